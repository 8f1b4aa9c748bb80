//! Debian's kernels: found in the cache, or fetched and unpacked into it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context as _, Result, bail};

use super::{
    apt::Apt,
    command,
    version::{self, Package, Series, newest_image},
};

/// An unpacked kernel package.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) series: Series,
    /// What `uname -r` says in the guest, such as `6.1.0-56-amd64`.
    pub(super) release: String,
    /// The compressed kernel that the machine boots.
    pub(super) image: PathBuf,
    /// The package's files, with `lib/modules/RELEASE` below, where `depmod` has run.
    pub(super) directory: PathBuf,
}

/// The directory outside the tree where kernels are kept: `$TRACER_CACHE`, or `tracer` in the user's cache.
///
/// ```text
/// debs/*.deb           downloads
/// apt/                 the private apt's lists
/// SERIES/VERSION/      unpacked packages
/// ```
pub(super) fn cache_directory() -> Result<PathBuf> {
    if let Some(directory) = env::var_os("TRACER_CACHE") {
        return Ok(PathBuf::from(directory));
    }
    let user_cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither TRACER_CACHE nor XDG_CACHE_HOME nor HOME says where kernels can be kept")?;
    Ok(user_cache.join("tracer"))
}

impl Kernel {
    /// The newest kernel of `series` in the cache; the network is asked only when there is none, or to `refresh`.
    pub(super) fn obtain(series: Series, refresh: bool) -> Result<Self> {
        let cache = cache_directory()?;
        let unpacked = cache.join(series.to_string());
        if !refresh && let Some(directory) = newest_unpacked(&unpacked) {
            return Self::open(series, directory);
        }
        let downloads = cache.join("debs");
        fs::create_dir_all(&downloads).with_context(|| format!("create {}", downloads.display()))?;
        let image = match newest_image(downloaded(&downloads)?, series) {
            Some(image) if !refresh && missing_parts(&image, &downloads)?.is_empty() => image,
            _ => fetch(series, &cache.join("apt"), &downloads)?,
        };
        let directory = unpacked.join(&image.version);
        if !directory.exists() {
            unpack(&image, &downloads, &directory)?;
        }
        Self::open(series, directory)
    }

    fn open(series: Series, directory: PathBuf) -> Result<Self> {
        let (release, image) = find_image(&directory)?;
        Ok(Self { series, release, image, directory })
    }
}

/// The unpacked kernel with the highest version below `directory`; a half-done one starts with a dot.
fn newest_unpacked(directory: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(directory).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest =
        names.filter(|name| !name.starts_with('.')).max_by(|left, right| version::compare(left, right))?;
    Some(directory.join(newest))
}

fn downloaded(directory: &Path) -> Result<Vec<Package>> {
    let entries = fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| Package::from_file_name(&name)).collect())
}

/// Downloads the newest image of `series`, and the packages it is split into, as far as they are not there.
fn fetch(series: Series, apt_directory: &Path, downloads: &Path) -> Result<Package> {
    super::note(&format!("fetching the newest Debian kernel of the series {series}"));
    let apt = Apt::prepare(apt_directory)?;
    let image = apt.newest_image(series)?;
    if !downloads.join(image.file_name()).exists() {
        super::note(&format!("downloading {} {}", image.name, image.version));
        apt.download(&image, downloads)?;
    }
    for part in missing_parts(&image, downloads)? {
        super::note(&format!("downloading {} {}", part.name, part.version));
        apt.download(&part, downloads)?;
    }
    Ok(image)
}

/// Since 7.1 the image package is empty and names where the kernel and the modules are.
fn parts(image: &Package, downloads: &Path) -> Result<Vec<Package>> {
    let file = downloads.join(image.file_name());
    let depends = command::text(Command::new("dpkg-deb").arg("-f").arg(&file).arg("Depends"))?;
    Ok(split_parts(&depends, &image.version))
}

fn missing_parts(image: &Package, downloads: &Path) -> Result<Vec<Package>> {
    let mut missing = parts(image, downloads)?;
    missing.retain(|part| !downloads.join(part.file_name()).exists());
    Ok(missing)
}

/// The kernel's own parts among the packages of a `Depends` field: `NAME (= VERSION), …`. None when the image package
/// holds the kernel itself; its `linux-base-…` then has nothing that a guest needs.
fn split_parts(depends: &str, image_version: &str) -> Vec<Package> {
    const PARTS: [&str; 3] = ["linux-base-", "linux-binary-", "linux-modules-"];
    let names = depends.split(',').filter_map(|dependency| dependency.split_whitespace().next());
    let parts: Vec<&str> = names.filter(|name| PARTS.iter().any(|part| name.starts_with(part))).collect();
    if !parts.iter().any(|name| name.starts_with("linux-binary-")) {
        return Vec::new();
    }
    parts
        .into_iter()
        .map(|name| Package { name: name.to_owned(), version: image_version.to_owned() })
        .collect()
}

/// Unpacks `image` and its parts to `directory`, which appears only once it is complete.
fn unpack(image: &Package, downloads: &Path, directory: &Path) -> Result<()> {
    super::note(&format!("unpacking {} {}", image.name, image.version));
    let parent = directory.parent().context("a cache directory has a parent")?;
    let partial = parent.join(format!(".unpack-{}", process::id()));
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    let result = unpack_into(image, downloads, &partial).and_then(|()| publish(&partial, directory));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    result
}

fn unpack_into(image: &Package, downloads: &Path, partial: &Path) -> Result<()> {
    let mut packages = parts(image, downloads)?;
    packages.push(image.clone());
    for package in packages {
        let file = downloads.join(package.file_name());
        command::text(Command::new("dpkg-deb").arg("-x").arg(&file).arg(partial))
            .with_context(|| format!("unpack {}; remove it to have it fetched anew", file.display()))?;
    }
    if !partial.join("lib").exists() {
        // depmod and modprobe look below lib, newer packages ship usr/lib.
        std::os::unix::fs::symlink("usr/lib", partial.join("lib")).context("link lib to usr/lib")?;
    }
    let (release, _) = find_image(partial)?;
    command::text(Command::new("depmod").arg("-b").arg(partial).arg(&release)).map(drop)
}

/// Moves a finished directory to its place. Another run may have been quicker: then its result stays.
pub(super) fn publish(partial: &Path, directory: &Path) -> Result<()> {
    match fs::rename(partial, directory) {
        Err(_) if directory.is_dir() => Ok(()),
        other => other.with_context(|| format!("rename {} to {}", partial.display(), directory.display())),
    }
}

/// Release and path of the one kernel below `directory`.
fn find_image(directory: &Path) -> Result<(String, PathBuf)> {
    let modules = directory.join("lib/modules");
    let releases = fs::read_dir(&modules).with_context(|| format!("list {}", modules.display()))?;
    let releases =
        releases.collect::<Result<Vec<_>, _>>().with_context(|| format!("list {}", modules.display()))?;
    let [release] = releases.as_slice() else {
        bail!("{} should hold one kernel's modules, and holds {}", modules.display(), releases.len());
    };
    let name = release.file_name().into_string().ok().context("a kernel's release is ASCII")?;
    let candidates = [directory.join(format!("boot/vmlinuz-{name}")), release.path().join("vmlinuz")];
    let image = candidates.into_iter().find(|path| path.is_file());
    let image = image.with_context(|| format!("no kernel image for {name} in {}", directory.display()))?;
    Ok((name, image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_package_names_its_parts() {
        let whole = "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool";
        let with_base =
            "dracut | initramfs-tools, kmod, linux-base-6.18.15+deb13-amd64 (= 6.18.15-1~bpo13+1)";
        let split = "dracut | initramfs-tools, linux-base-7.2.12+deb13-amd64 (= 7.2.12-1~bpo13+1), \
                     linux-binary-7.2.12+deb13-amd64 (= 7.2.12-1~bpo13+1), \
                     linux-modules-7.2.12+deb13-amd64 (= 7.2.12-1~bpo13+1)";
        let names = |depends: &str| {
            let parts = split_parts(depends, "7.2.12-1~bpo13+1");
            assert!(parts.iter().all(|part| part.version == "7.2.12-1~bpo13+1"));
            parts.into_iter().map(|part| part.name).collect::<Vec<_>>()
        };
        assert_eq!(names(whole), Vec::<String>::new());
        assert_eq!(names(with_base), Vec::<String>::new());
        let parts =
            ["linux-base", "linux-binary", "linux-modules"].map(|part| format!("{part}-7.2.12+deb13-amd64"));
        assert_eq!(names(split), parts);
    }
}

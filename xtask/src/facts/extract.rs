//! Getting a kernel's types out of a distribution's package, or out of a directory like `/sys/kernel/btf`.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use object::{Object as _, ObjectSection as _};

use super::{btf::Description, reduce::Kernel};

/// The section that holds the types.
const SECTION: &str = ".BTF";

const ELF_MAGIC: &[u8] = b"\x7fELF";

/// What a boot image's payload may be compressed with: how it begins, and what unpacks it. All of these write what
/// they could unpack before they complain about what follows it in the image.
const COMPRESSIONS: [(&[u8], &[&str]); 4] = [
    (b"\xfd7zXZ\0", &["xz", "-dc", "--single-stream"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dcq"]),
    (b"\x1f\x8b\x08", &["gzip", "-dcq"]),
    (b"\x02\x21\x4c\x18", &["lz4", "-dcq"]),
];

/// The types found in one source; a package may hold the image only, or modules only.
#[derive(Default)]
pub(super) struct Found {
    vmlinux: Option<Description>,
    modules: Vec<(String, Description)>,
}

impl Found {
    /// Takes over what another source holds.
    pub(super) fn merge(&mut self, other: Self) {
        self.vmlinux = other.vmlinux.or(self.vmlinux.take());
        self.modules.extend(other.modules);
    }

    /// The kernel, if its image was found.
    pub(super) fn into_kernel(self) -> anyhow::Result<Kernel> {
        let vmlinux = self.vmlinux.context("no source holds a kernel image")?;
        Ok(Kernel { vmlinux, modules: self.modules.into_iter().collect() })
    }
}

/// Reads the types of the kernel image and of `modules` from a `.deb` or a directory of plain BTF files.
pub(super) fn read(source: &Path, modules: &[&str]) -> anyhow::Result<Found> {
    let found = if source.is_dir() { read_directory(source, modules) } else { read_package(source, modules) };
    found.with_context(|| format!("cannot read kernel types from {}", source.display()))
}

fn read_directory(directory: &Path, modules: &[&str]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let vmlinux = directory.join("vmlinux");
    if vmlinux.is_file() {
        found.vmlinux = Some(Description::parse(&fs::read(vmlinux)?)?);
    }
    for module in modules {
        let path = directory.join(module);
        if path.is_file() {
            found.modules.push(((*module).to_owned(), Description::parse(&fs::read(path)?)?));
        }
    }
    Ok(found)
}

fn read_package(package: &Path, modules: &[&str]) -> anyhow::Result<Found> {
    let scratch = tempfile::tempdir().context("cannot make a directory to unpack into")?;
    let status = Command::new("dpkg-deb").arg("-x").arg(package).arg(scratch.path()).status();
    ensure!(status.context("cannot run dpkg-deb")?.success(), "dpkg-deb could not unpack the package");
    let mut found = Found::default();
    for path in files_below(scratch.path())? {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if name.starts_with("vmlinuz") {
            let types = section_bytes(&unpack_image(&path, scratch.path())?)?;
            found.vmlinux = Some(Description::parse(&types.context("the kernel image has no types")?)?);
        } else if let Some((module, compression)) = name.split_once(".ko")
            && modules.contains(&module)
            && let Some(types) = section_bytes(&unpack_module(&path, compression)?)?
        {
            found.modules.push((module.to_owned(), Description::parse(&types)?));
        }
    }
    Ok(found)
}

/// All regular files below a directory; links are not followed.
fn files_below(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The ELF file inside a boot image: tries every place that looks like the beginning of compressed data.
fn unpack_image(image: &Path, scratch: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(image)?;
    let payload = scratch.join("payload");
    for (magic, command) in COMPRESSIONS {
        let places = bytes.windows(magic.len()).enumerate().filter(|(_, window)| *window == magic);
        for (at, _) in places {
            fs::write(&payload, &bytes[at..])?;
            let unpacked = run_on(command, &payload)?;
            if unpacked.starts_with(ELF_MAGIC) {
                return Ok(unpacked);
            }
        }
    }
    bail!("no compressed kernel found in {}", image.display())
}

fn unpack_module(module: &Path, compression: &str) -> anyhow::Result<Vec<u8>> {
    match compression {
        "" => Ok(fs::read(module)?),
        ".xz" => run_on(&["xz", "-dc"], module),
        ".zst" => run_on(&["zstd", "-dcq"], module),
        ".gz" => run_on(&["gzip", "-dc"], module),
        other => bail!("{} is compressed in an unknown way: {other}", module.display()),
    }
}

/// What a command writes when it reads a file; its exit status is the caller's to judge by that.
fn run_on(command: &[&str], input: &Path) -> anyhow::Result<Vec<u8>> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(File::open(input)?)
        .output()
        .with_context(|| format!("cannot run {program}; install it"))?;
    Ok(output.stdout)
}

/// The bytes of an ELF file's types, or none if it was built without.
fn section_bytes(elf: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let file = object::File::parse(elf).context("not an ELF file")?;
    Ok(file.section_by_name(SECTION).map(|section| section.uncompressed_data()).transpose()?.map(Into::into))
}

//! Fetches kernel packages with an apt configuration of our own, which never touches the system's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    command,
    version::{Package, Series, newest_image},
};

const DEFAULT_ARCHIVE: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where the series are found: 6.1, 6.12, 6.18 and 7.2, in this order; the newest ones are in sid first.
const ARCHIVE_SUITES: [&str; 5] = ["bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"];
/// 5.10 is only kept up in the first of them.
const SECURITY_SUITES: [&str; 3] = ["bullseye-security", "bookworm-security", "trixie-security"];

/// The mirrors this machine uses.
#[derive(Debug, PartialEq, Eq)]
struct Mirrors {
    archive: String,
    security: String,
}

/// A private apt: its own sources, lists and cache below one directory.
pub(super) struct Apt {
    configuration: PathBuf,
}

impl Apt {
    /// Writes the configuration into `directory` and downloads the lists of packages.
    pub(super) fn prepare(directory: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "preferences.d"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        }
        let write = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::write(&path, content).with_context(|| format!("write {}", path.display())).map(|()| path)
        };
        write("status", "")?;
        write("sources.list", &source_lines(&mirrors(&system_sources())))?;
        let configuration = write("apt.conf", &configuration(directory))?;
        let apt = Self { configuration };
        command::text(apt.command("apt-get").arg("update"))
            .context("download the lists of Debian packages; is the mirror reachable?")?;
        Ok(apt)
    }

    /// The newest image of `series` that the mirrors offer.
    pub(super) fn newest_image(&self, series: Series) -> Result<Package> {
        let prefix = format!("linux-image-{series}.");
        let names = command::text(self.command("apt-cache").args(["pkgnames", &prefix]))?;
        let missing = || format!("the Debian mirrors offer no amd64 kernel image of the series {series}");
        let names: Vec<&str> = names.lines().filter(|name| name.contains("amd64")).collect();
        if names.is_empty() {
            anyhow::bail!(missing());
        }
        let offers = command::text(self.command("apt-cache").arg("madison").args(names))?;
        newest_image(offered(&offers), series).with_context(missing)
    }

    /// Downloads `package` into `directory`.
    pub(super) fn download(&self, package: &Package, directory: &Path) -> Result<()> {
        let wanted = format!("{}={}", package.name, package.version);
        command::text(self.command("apt-get").args(["download", &wanted]).current_dir(directory))
            .map(drop)
            .with_context(|| format!("download {wanted} into {}", directory.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.configuration).env("LC_ALL", "C");
        command
    }
}

fn configuration(directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    format!(
        "Dir::State \"{}\";\nDir::State::lists \"{}\";\nDir::State::status \"{}\";\nDir::Cache \"{}\";\n\
         Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"-\";\nDir::Etc::PreferencesParts \"{}\";\n\
         Acquire::Languages \"none\";\nAPT::Architecture \"amd64\";\n\
         # The files belong to whoever runs this, who need not let apt's own user in.\n\
         APT::Sandbox::User \"root\";\n",
        at(""),
        at("lists"),
        at("status"),
        at("cache"),
        at("sources.list"),
        at("preferences.d"),
    )
}

fn source_lines(mirrors: &Mirrors) -> String {
    let line = |address: &str, suite: &str| format!("deb [signed-by={KEYRING}] {address} {suite} main\n");
    let archive = ARCHIVE_SUITES.iter().map(|suite| line(&mirrors.archive, suite));
    archive.chain(SECURITY_SUITES.iter().map(|suite| line(&mirrors.security, suite))).collect()
}

/// Reads the output of `apt-cache madison`: `NAME | VERSION | SOURCE` a line.
fn offered(madison: &str) -> impl Iterator<Item = Package> {
    madison.lines().filter_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        let (name, version, source) = (fields.next()?, fields.next()?, fields.next()?);
        source.ends_with("Packages").then(|| Package { name: name.to_owned(), version: version.to_owned() })
    })
}

/// The text of every list of sources of this system; unreadable ones are left out.
fn system_sources() -> Vec<String> {
    let mut paths = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    paths.sort();
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// The mirrors named in `sources`, by the names of their suites. A security mirror that is not named is taken to lie
/// beside the archive, and without any Debian's own are used.
fn mirrors(sources: &[String]) -> Mirrors {
    let entries: Vec<(String, String)> = sources.iter().flat_map(|text| source_entries(text)).collect();
    let find = |wanted: &dyn Fn(&str) -> bool| {
        let entry = entries.iter().find(|(_, suite)| wanted(suite));
        entry.map(|(address, _)| address.trim_end_matches('/').to_owned())
    };
    let releases = ["bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"];
    let archive = find(&|suite| releases.contains(&suite)).unwrap_or_else(|| DEFAULT_ARCHIVE.to_owned());
    let security =
        find(&|suite| suite.ends_with("-security")).unwrap_or_else(|| format!("{archive}-security"));
    Mirrors { archive, security }
}

/// Address and suite of every binary source in `text`, in the one-line or the deb822 form.
fn source_entries(text: &str) -> Vec<(String, String)> {
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.trim_start().starts_with('#'));
    let mut entries: Vec<_> = lines().filter_map(one_line_entry).collect();
    let plain = lines().collect::<Vec<_>>().join("\n");
    entries.extend(plain.split("\n\n").flat_map(stanza_entries));
    entries
}

/// `deb [options] ADDRESS SUITE COMPONENT…`
fn one_line_entry(line: &str) -> Option<(String, String)> {
    let rest = line.trim_start().strip_prefix("deb ")?.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
    let mut words = rest.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

/// A stanza of `Types:`, `URIs:` and `Suites:`, each with any number of values.
fn stanza_entries(stanza: &str) -> Vec<(String, String)> {
    let mut values: [Vec<&str>; 3] = Default::default();
    let mut current = None;
    for line in stanza.lines() {
        let mut value = line;
        if !line.starts_with([' ', '\t']) {
            let (key, rest) = line.split_once(':').unwrap_or((line, ""));
            current = ["types", "uris", "suites"].iter().position(|name| key.eq_ignore_ascii_case(name));
            value = rest;
        }
        if let Some(index) = current {
            values[index].extend(value.split_whitespace());
        }
    }
    let [types, addresses, suites] = values;
    if !types.contains(&"deb") {
        return Vec::new();
    }
    let pairs = addresses.iter().flat_map(|address| suites.iter().map(move |suite| (address, suite)));
    pairs.map(|(address, suite)| ((*address).to_owned(), (*suite).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[&str]) -> (String, String) {
        let sources: Vec<String> = sources.iter().map(|text| (*text).to_owned()).collect();
        let Mirrors { archive, security } = mirrors(&sources);
        (archive, security)
    }

    #[test]
    fn mirrors_are_read_in_both_forms() {
        let one_line = "# comment\ndeb-src http://source.example/debian bookworm main\n\
                        deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib\n\
                        deb http://mirror.example/security bookworm-security main\n";
        let deb822 = "Types: deb deb-src\n# comment\nURIs: http://two.example/debian\n\
                      Suites: bookworm\n bookworm-updates\nComponents: main\n\n\
                      Types: deb\nURIs: http://two.example/safe\nSuites: bookworm-security\n";
        let other = "deb https://packages.example/apt tool main\n";
        let source_only = "Types: deb-src\nURIs: http://source.example/debian\nSuites: sid\n";
        let cases: [(&[&str], &str, &str); 5] = [
            (&[one_line], "http://mirror.example/debian", "http://mirror.example/security"),
            (&[other, deb822], "http://two.example/debian", "http://two.example/safe"),
            (&[other], DEFAULT_ARCHIVE, "http://deb.debian.org/debian-security"),
            (&[source_only], DEFAULT_ARCHIVE, "http://deb.debian.org/debian-security"),
            (
                &["deb http://m.example/debian stable main"],
                "http://m.example/debian",
                "http://m.example/debian-security",
            ),
        ];
        for (sources, archive, security) in cases {
            assert_eq!(found(sources), (archive.to_owned(), security.to_owned()), "{sources:?}");
        }
    }

    #[test]
    fn every_suite_gets_a_line_on_its_own_mirror() {
        let mirrors =
            Mirrors { archive: "http://a/debian".to_owned(), security: "http://s/security".to_owned() };
        let lines = source_lines(&mirrors);
        assert_eq!(lines.lines().count(), ARCHIVE_SUITES.len() + SECURITY_SUITES.len());
        assert!(
            lines.contains(&format!("deb [signed-by={KEYRING}] http://a/debian trixie-backports main\n"))
        );
        assert!(
            lines.contains(&format!("deb [signed-by={KEYRING}] http://s/security bullseye-security main\n"))
        );
    }

    #[test]
    fn offers_leave_out_source_packages() {
        let madison = " linux-image-6.1.0-56-amd64 | 6.1.192-2 | http://m bookworm/main amd64 Packages\n\
                       linux-image-6.1.0-56-amd64 | 6.1.192-3 | http://m bookworm/main Sources\n\nnonsense\n";
        let expected =
            Package { name: "linux-image-6.1.0-56-amd64".to_owned(), version: "6.1.192-2".to_owned() };
        assert_eq!(offered(madison).collect::<Vec<_>>(), [expected]);
    }
}

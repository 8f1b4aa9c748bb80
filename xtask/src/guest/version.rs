//! Debian version numbers and the names of kernel packages.

use std::{cmp::Ordering, fmt, str::FromStr};

use anyhow::{Context as _, Result};

/// A kernel series, such as 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    major: u32,
    minor: u32,
}

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (major, minor) = text.split_once('.').context("a kernel series has two numbers, such as 6.12")?;
        let number = |part: &str| part.parse().with_context(|| format!("`{part}` in a kernel series"));
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// One package in one version: what `apt-get download NAME=VERSION` fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
}

impl Package {
    /// Reads the name of a downloaded file: `NAME_VERSION_ARCHITECTURE.deb`, with `:` written as `%3a`.
    pub(super) fn from_file_name(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_suffix(".deb")?.split('_');
        let (name, version, _architecture) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then(|| Self { name: name.to_owned(), version: version.replace("%3a", ":") })
    }

    /// The file `apt-get download` writes for this package on amd64.
    pub(super) fn file_name(&self) -> String {
        format!("{}_{}_amd64.deb", self.name, self.version.replace(':', "%3a"))
    }

    /// Whether this is the ordinary amd64 kernel image of `series`: not a cloud, real-time, debug or meta package.
    pub(super) fn is_image_of(&self, series: Series) -> bool {
        let Some(rest) = self.name.strip_prefix(&format!("linux-image-{series}.")) else { return false };
        let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
        let Some(release) = rest.strip_suffix("-amd64") else { return false };
        !release.ends_with("-cloud") && !release.ends_with("-rt")
    }
}

/// The newest image of `series` among `packages`. Of a signed and an unsigned one of the same version, which hold the
/// same kernel, the unsigned one is taken.
pub(super) fn newest_image(packages: impl IntoIterator<Item = Package>, series: Series) -> Option<Package> {
    packages.into_iter().filter(|package| package.is_image_of(series)).max_by(|left, right| {
        compare(&left.version, &right.version)
            .then_with(|| left.name.ends_with("-unsigned").cmp(&right.name.ends_with("-unsigned")))
            .then_with(|| left.name.cmp(&right.name))
    })
}

/// Orders two versions as Debian Policy 5.6.12 does.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_upstream, left_revision) = split(left);
    let (right_epoch, right_upstream, right_revision) = split(right);
    compare_numbers(left_epoch, right_epoch)
        .then_with(|| compare_part(left_upstream, right_upstream))
        .then_with(|| compare_part(left_revision, right_revision))
}

/// Epoch, upstream version and revision; an absent epoch or revision counts as 0.
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Compares alternating runs of other characters and digits.
fn compare_part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = take(left, |character| !character.is_ascii_digit());
        let (right_text, right_rest) = take(right, |character| !character.is_ascii_digit());
        let (left_digits, left_rest) = take(left_rest, |character| character.is_ascii_digit());
        let (right_digits, right_rest) = take(right_rest, |character| character.is_ascii_digit());
        let order =
            compare_text(left_text, right_text).then_with(|| compare_numbers(left_digits, right_digits));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn take(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !wanted(character)).unwrap_or(text.len()))
}

/// Compares runs without digits: `~` sorts before the end, the end before letters, letters before the rest.
fn compare_text(left: &str, right: &str) -> Ordering {
    let weight = |character: Option<char>| match character {
        Some('~') => 0,
        None => 1,
        Some(character) if character.is_ascii_alphabetic() => u32::from(character) + 1,
        Some(character) => u32::from(character) + 0x1000,
    };
    let (mut left, mut right) = (left.chars(), right.chars());
    loop {
        let (one, other) = (left.next(), right.next());
        match weight(one).cmp(&weight(other)) {
            Ordering::Equal if one.is_none() && other.is_none() => return Ordering::Equal,
            Ordering::Equal => {}
            order => return order,
        }
    }
}

/// Compares digits as numbers of any length.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn versions_are_ordered_as_debian_orders_them() {
        let ascending = [
            ["1.0~rc1-1", "1.0-1"],
            ["6.1.99-1", "6.1.192-2"],
            ["6.12.117-1~deb12u1", "6.12.117-1"],
            ["7.2.12-1~bpo13+1", "7.2.12-1"],
            ["6.1.192-1", "6.1.192-2"],
            ["6.1.090-1", "6.1.91-1"],
            ["1.0a-1", "1.0+-1"],
            ["1.0", "1.0a"],
            ["9-1", "1:1-1"],
            ["1.0", "1.0-1"],
        ];
        for [older, newer] in ascending {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} > {older}");
        }
        assert_eq!(compare("1.0", "1.00-0"), Ordering::Equal);
    }

    #[test]
    fn only_the_ordinary_image_of_the_series_counts() {
        let cases = [
            ("linux-image-6.1.0-56-amd64-unsigned", true),
            ("linux-image-6.1.0-56-amd64", true),
            ("linux-image-6.1.0-0.deb11.51-amd64", true),
            ("linux-image-6.1-amd64", false),
            ("linux-image-6.1.0-56-cloud-amd64", false),
            ("linux-image-6.1.0-56-rt-amd64-unsigned", false),
            ("linux-image-6.1.0-56-amd64-dbg", false),
            ("linux-image-6.12.117+deb12-amd64", false),
            ("linux-headers-6.1.0-56-amd64", false),
        ];
        let series = Series { major: 6, minor: 1 };
        for (name, expected) in cases {
            assert_eq!(package(name, "1").is_image_of(series), expected, "{name}");
        }
    }

    #[test]
    fn newest_image_wins_and_unsigned_breaks_a_tie() {
        let packages = [
            package("linux-image-6.1.0-9-amd64", "6.1.99-1"),
            package("linux-image-6.1.0-56-amd64-unsigned", "6.1.192-2"),
            package("linux-image-6.1.0-56-amd64", "6.1.192-2"),
            package("linux-image-6.12.117+deb12-amd64", "6.12.117-1"),
        ];
        let newest = newest_image(packages, Series { major: 6, minor: 1 }).expect("one of them");
        assert_eq!(newest, package("linux-image-6.1.0-56-amd64-unsigned", "6.1.192-2"));
        assert_eq!(newest_image([], Series { major: 6, minor: 1 }), None);
    }

    #[test]
    fn file_names_read_back() {
        let image = package("linux-image-6.12.117+deb12-amd64", "6.12.117-1~deb12u1");
        assert_eq!(Package::from_file_name(&image.file_name()), Some(image));
        let epoch = package("bpftool", "1:7.1-1");
        assert_eq!(epoch.file_name(), "bpftool_1%3a7.1-1_amd64.deb");
        assert_eq!(Package::from_file_name(&epoch.file_name()), Some(epoch));
        for wrong in ["linux.deb", "linux-image_1.deb", "a_b_c_d.deb", "linux-image_1_amd64"] {
            assert_eq!(Package::from_file_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn series_is_two_numbers() {
        assert_eq!("5.10".parse::<Series>().expect("a series"), Series { major: 5, minor: 10 });
        for wrong in ["5", "5.x", "5.10.3", ""] {
            assert!(wrong.parse::<Series>().is_err(), "{wrong}");
        }
    }
}

//! Naming a network namespace.

use std::{convert::Infallible, fs, os::unix::fs::MetadataExt as _, path::PathBuf, str::FromStr};

use anyhow::Context as _;

use crate::filter::Filter;

/// Which network namespace to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NetnsChoice {
    All,
    Inode(u32),
    Name(String),
    File(PathBuf),
}

impl FromStr for NetnsChoice {
    type Err = Infallible;

    /// A number is an inode, a text with a slash a path, anything else a name given by `ip netns`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            _ if text == "all" => Self::All,
            Ok(inode) => Self::Inode(inode),
            Err(_) if text.contains('/') => Self::File(text.into()),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl NetnsChoice {
    /// What of a session is meant. Names are those it had when it was recorded; a path leads to a namespace of now.
    pub(super) fn filter(&self) -> anyhow::Result<Option<Filter>> {
        Ok(match self {
            Self::Name(name) => Some(Filter::netns_name(name)),
            Self::All | Self::Inode(_) | Self::File(_) => self.inode()?.map(Filter::netns),
        })
    }

    /// Its inode number; `None` for all.
    pub(super) fn inode(&self) -> anyhow::Result<Option<u32>> {
        match self {
            Self::All => Ok(None),
            Self::Inode(inode) => Ok(Some(*inode)),
            Self::Name(name) => Self::File(PathBuf::from("/run/netns").join(name)).inode(),
            Self::File(path) => {
                let metadata = fs::metadata(path).with_context(|| {
                    format!(
                        "no network namespace {}; `ip netns list` shows the named ones, /proc/PID/ns/net is a process's",
                        path.display()
                    )
                })?;
                let inode = u32::try_from(metadata.ino())
                    .with_context(|| format!("{} is no network namespace", path.display()))?;
                Ok(Some(inode))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NetnsChoice;

    #[test]
    fn a_namespace_is_named_by_inode_path_or_name() {
        for (text, expected) in [
            ("all", NetnsChoice::All),
            ("4026531840", NetnsChoice::Inode(4_026_531_840)),
            ("/proc/1/ns/net", NetnsChoice::File("/proc/1/ns/net".into())),
            ("blue", NetnsChoice::Name("blue".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn this_process_has_a_namespace_and_nobody_has_that_one() {
        let own: NetnsChoice = "/proc/self/ns/net".parse().unwrap();
        assert!(own.inode().unwrap().is_some());
        let none: NetnsChoice = "no-such-namespace".parse().unwrap();
        assert!(none.inode().unwrap_err().to_string().contains("no-such-namespace"));
        // A session may have it.
        assert_eq!(
            none.filter().unwrap().map(|filter| filter.to_string()).as_deref(),
            Some("netns no-such-namespace")
        );
    }
}

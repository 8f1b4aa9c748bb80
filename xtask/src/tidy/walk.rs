//! Every file of the repository: all but git's own and what builds leave.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Directories that hold nothing written here.
const SKIPPED: [&str; 2] = [".git", "target"];

/// Calls `visit` with the path from `root` and the bytes of every file, in order of their names.
///
/// Fails on the first file or directory that cannot be read.
pub(super) fn each_file(root: &Path, visit: &mut impl FnMut(&str, &[u8])) -> Result<()> {
    descend(root, "", visit)
}

fn descend(directory: &Path, prefix: &str, visit: &mut impl FnMut(&str, &[u8])) -> Result<()> {
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let entries = fs::read_dir(directory).with_context(|| unreadable(directory))?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().with_context(|| unreadable(directory))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let relative = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(|| unreadable(&path))?;
        if SKIPPED.contains(&name.as_ref()) {
            continue;
        }
        if kind.is_dir() {
            descend(&path, &format!("{relative}/"), visit)?;
        } else if kind.is_file() {
            visit(&relative, &fs::read(&path).with_context(|| unreadable(&path))?);
        }
    }
    Ok(())
}

//! No path that exists on one developer's machine only.

use super::{Complaint, File, lines};

/// Written in halves, as this file is checked too.
const PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/tmp/", "wt"), concat!(".lib", "rary")];

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    lines(file.text, "a path of one machine", |line| PATHS.iter().any(|path| line.contains(path)))
}

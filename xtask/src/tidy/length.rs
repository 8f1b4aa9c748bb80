//! A file of code is short enough to be about one subject.

use super::{Complaint, File};

const MOST_LINES: usize = 600;

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    let count = file.text.lines().count();
    if !file.is_rust() || count <= MOST_LINES {
        return Vec::new();
    }
    vec![(0, format!("{count} lines, more than {MOST_LINES}: split it by subject"))]
}

//! Nothing half done: work left to do is an issue, not a comment.

use super::{Complaint, File, lines};

/// Written in halves, as this file is checked too.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    if !file.is_written_by_hand() {
        return Vec::new();
    }
    let is_word = |word: &str| MARKS.contains(&word);
    lines(file.text, "a mark of unfinished work: do it, or open an issue", |line| {
        line.split(|c: char| !c.is_alphanumeric()).any(is_word)
    })
}

//! A file ends with one newline.

use super::{Complaint, File};

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    let wrong = !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n"));
    if !(file.is_written_by_hand() && wrong) {
        return Vec::new();
    }
    vec![(file.text.lines().count(), "the file does not end with exactly one newline".to_owned())]
}

//! No white space at the end of a line.

use super::{Complaint, File, lines};

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    if !file.is_written_by_hand() {
        return Vec::new();
    }
    lines(file.text, "white space at the end of the line", |line| line.ends_with([' ', '\t']))
}

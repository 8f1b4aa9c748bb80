//! No snapshot that nobody has looked at.

use super::{Complaint, File};

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    if !file.has_extension(&["new", "pending-snap"]) {
        return Vec::new();
    }
    vec![(0, "a snapshot not accepted yet: look at it, then `cargo insta accept`".to_owned())]
}

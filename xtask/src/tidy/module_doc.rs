//! Every file of code says at its top what it is about.

use super::{Complaint, File};

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    // A crate's root may set its attributes first.
    let first = file.text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
    if !file.is_rust() || first.is_some_and(|line| line.starts_with("//! ")) {
        return Vec::new();
    }
    vec![(1, "the file does not begin with a `//!` line that says what it is about".to_owned())]
}

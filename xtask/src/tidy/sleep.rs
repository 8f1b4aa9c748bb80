//! Tests wait for something to happen, in one helper, never for time to pass.

use super::{Complaint, File, lines};

const HELPER: &str = "tests/src/wait.rs";

pub(super) fn check(file: &File<'_>) -> Vec<Complaint> {
    let is_test =
        file.path.starts_with("tests/") || file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    if !file.is_rust() || !is_test || file.path == HELPER {
        return Vec::new();
    }
    lines(file.text, "a sleep in a test: wait for what it is about with the helper", |line| {
        line.contains("sleep(")
    })
}

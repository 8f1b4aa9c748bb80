//! Each rule on text that keeps it and text that breaks it.

use super::{File, RULES, Rule, final_newline, has_unsafe, leftovers, length, local_paths, module_doc};
use super::{sleep as sleep_rule, snapshots, trailing_space};

const GOOD: &str = "//! What it is about.\n\nfn main() {}\n";

#[test]
fn a_good_file_breaks_no_rule() {
    for path in ["xtask/src/a.rs", "README.md", ".ci/run", "tests/src/a.rs"] {
        for rule in RULES {
            assert_eq!(rule(&File { path, text: GOOD }), [], "{path}");
        }
    }
}

#[test]
fn each_rule_complains_about_its_breach_at_its_line() {
    let long = format!("//! Long.\n{}", "\n".repeat(600));
    let mark = concat!("//! A.\n// TO", "DO: more\n");
    let path = concat!("//! A.\n//! In /wo", "rk/main.\n");
    let cases: [(Rule, &str, &str, usize); 10] = [
        (final_newline::check, "a.rs", "//! A.", 1),
        (final_newline::check, "a.md", "A\n\n", 2),
        (leftovers::check, "a.rs", mark, 2),
        (length::check, "a.rs", &long, 0),
        (local_paths::check, "a.json", path, 2),
        (module_doc::check, "a.rs", "#![no_std]\nfn main() {}\n", 1),
        (module_doc::check, "a.rs", "", 1),
        (sleep_rule::check, "tests/src/a.rs", concat!("thread::sle", "ep(second);\n"), 1),
        (snapshots::check, "a.snap.new", "", 0),
        (trailing_space::check, "a.toml", "a = 1\nb = 2 \n", 2),
    ];
    for (rule, path, text, line) in cases {
        let complaints = rule(&File { path, text });
        let at: Vec<_> = complaints.iter().map(|(line, _)| *line).collect();
        assert_eq!(at, [line], "{path}: {text:?}: {complaints:?}");
    }
}

#[test]
fn rules_leave_alone_what_they_are_not_about() {
    let cases: [(Rule, &str, &str); 7] = [
        (length::check, "a.snap", &"\n".repeat(700)),
        (module_doc::check, "a.md", "# A\n"),
        (module_doc::check, "a.rs", "#![no_std]\n//! A.\n"),
        (sleep_rule::check, "tests/src/wait.rs", concat!("thread::sle", "ep(step);\n")),
        (leftovers::check, "a.rs", "//! MASTODON and XXXL.\n"),
        (trailing_space::check, "a.snap", "padded \n"),
        (final_newline::check, "a.bin", "x"),
    ];
    for (rule, path, text) in cases {
        assert_eq!(rule(&File { path, text }), [], "{path}: {text:?}");
    }
}

#[test]
fn unsafe_is_counted_in_code_only() {
    assert!(has_unsafe("let a = unsafe { b() };"));
    assert!(has_unsafe("unsafe impl Send for A {}"));
    assert!(!has_unsafe("//! about unsafe { code }"));
}

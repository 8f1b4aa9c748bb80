//! What tells one machine and one tracer from others: facts for those who read a session elsewhere.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tracer_common::offsets::{Field, Offsets};

use super::Paths;
use crate::rulesets::iptables;

/// Names and values of facts. What cannot be read is left out.
pub fn facts(paths: &Paths) -> Vec<(String, String)> {
    let line = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned());
    [
        ("tracer", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("architecture", Some(env::consts::ARCH.to_owned())),
        ("cpus", line(&paths.sys.join("devices/system/cpu/online")).and_then(|list| count_of_cpus(&list))),
        ("boot id", line(&paths.proc.join("sys/kernel/random/boot_id"))),
        ("kernel build", line(&paths.proc.join("version"))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .chain(iptables::facts(&root(paths)))
    .collect()
}

/// The node's root directory, which is another than tracer's own in a container; where it may not be looked into, the
/// one that `proc` is in.
fn root(paths: &Paths) -> PathBuf {
    let first = paths.proc.join("1/root");
    let own = || paths.proc.parent().map_or_else(|| PathBuf::from("/"), PathBuf::from);
    if first.join("usr").is_dir() { first } else { own() }
}

/// How many CPUs a list as `0-3,8` names.
fn count_of_cpus(list: &str) -> Option<String> {
    let count = |range: &str| -> Option<u32> {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        to.parse::<u32>().ok()?.checked_sub(from.parse().ok()?)?.checked_add(1)
    };
    list.split(',').map(count).sum::<Option<u32>>().map(|number| number.to_string())
}

/// Where this kernel keeps each field tracer reads: `offset sock_state` and `18`, a bit field as `20 bits 3+1` (first
/// bit and width), or `absent`.
pub fn offsets(offsets: &Offsets) -> Vec<(String, String)> {
    let fields: &[Field; Offsets::PATHS.len()] = zerocopy::transmute_ref!(offsets);
    Offsets::PATHS
        .iter()
        .zip(fields)
        .map(|(path, field)| (format!("offset {}", path.name), place(*field)))
        .collect()
}

fn place(field: Field) -> String {
    let Field { offset, bit_shift, bit_width } = field;
    match (field.is_present(), bit_width) {
        (false, _) => "absent".to_owned(),
        (true, 0) => offset.to_string(),
        (true, _) => format!("{offset} bits {bit_shift}+{bit_width}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracer_common::offsets::{Field, Offsets};

    use super::{count_of_cpus, facts, offsets, place};
    use crate::kernel::Paths;

    #[test]
    fn what_is_not_there_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths { proc: root.path().join("proc"), sys: root.path().join("sys") };
        let names = |paths: &Paths| facts(paths).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&paths), ["tracer", "architecture"]);
        fs::create_dir_all(paths.proc.join("sys/kernel/random")).unwrap();
        fs::write(paths.proc.join("sys/kernel/random/boot_id"), "4f6c\n").unwrap();
        fs::write(paths.proc.join("version"), "Linux version 6.12.0 (gcc)\n").unwrap();
        let told = facts(&paths);
        assert_eq!(
            told[2..],
            [("boot id", "4f6c"), ("kernel build", "Linux version 6.12.0 (gcc)")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        for (list, expected) in [
            ("0", Some("1")),
            ("0-3", Some("4")),
            ("0-3,8,10-11", Some("7")),
            ("", None),
            ("3-0", None),
            ("a", None),
        ] {
            assert_eq!(count_of_cpus(list).as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn every_field_is_told() {
        let told = offsets(&Offsets::ABSENT);
        assert_eq!(told.len(), Offsets::PATHS.len());
        assert!(told.iter().all(|(name, value)| name.starts_with("offset ") && value == "absent"));
        for (field, expected) in [
            (Field { offset: 18, bit_shift: 0, bit_width: 0 }, "18"),
            (Field { offset: 20, bit_shift: 3, bit_width: 1 }, "20 bits 3+1"),
            (Field::ABSENT, "absent"),
        ] {
            assert_eq!(place(field), expected);
        }
    }
}

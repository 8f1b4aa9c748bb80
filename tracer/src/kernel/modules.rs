//! Which modules are in the running kernel.

use std::path::Path;

use super::Paths;

/// Whether a module is in the kernel: loaded, or built in and with parameters or a version. `name` is spelt with
/// underscores.
pub fn is_loaded(paths: &Paths, name: &str) -> bool {
    paths.sys.join("module").join(name).is_dir()
}

/// The names of the loaded modules, sorted. Empty if the kernel has no modules or does not list them.
pub fn loaded(paths: &Paths) -> Vec<String> {
    let table = std::fs::read_to_string(paths.proc.join("modules")).unwrap_or_default();
    let mut names: Vec<_> =
        table.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Whether the kernel describes the types of this module. One that is loaded but not described cannot be hooked by
/// type id, and its structs cannot be read.
pub fn has_module_btf(paths: &Paths, name: &str) -> bool {
    is_plain_name(name) && paths.btf().join(name).is_file()
}

/// Whether joining the name to a directory stays in it.
fn is_plain_name(name: &str) -> bool {
    Path::new(name).components().count() == 1 && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn modules_are_read_from_the_directories_named() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths { proc: root.path().join("proc"), sys: root.path().join("sys") };
        assert_eq!(loaded(&paths), Vec::<String>::new());

        fs::create_dir_all(&paths.proc).unwrap();
        fs::write(
            paths.proc.join("modules"),
            "ip_vs 212992 3 ip_vs_rr, Live 0x0\nbridge 4096 0 - Live 0x0\n",
        )
        .unwrap();
        fs::create_dir_all(paths.sys.join("module/ip_vs")).unwrap();
        fs::create_dir_all(paths.btf()).unwrap();
        fs::write(paths.btf().join("ip_vs"), "").unwrap();

        assert_eq!(loaded(&paths), ["bridge", "ip_vs"]);
        assert!(is_loaded(&paths, "ip_vs") && !is_loaded(&paths, "bridge"));
        let cases = [("ip_vs", true), ("bridge", false), ("../btf/ip_vs", false), ("..", false), ("", false)];
        for (name, expected) in cases {
            assert_eq!(has_module_btf(&paths, name), expected, "{name:?}");
        }
    }
}

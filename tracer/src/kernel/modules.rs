//! Which modules are in the running kernel.

use std::path::Path;

use super::{Paths, symbols::Symbols};

/// Whether a module is in the kernel: loaded, or built in and with parameters or a version. `name` is spelt with
/// underscores.
pub fn is_loaded(paths: &Paths, name: &str) -> bool {
    paths.sys.join("module").join(name).is_dir()
}

/// A part of the kernel that is a module or built in, and that would be loaded by asking it something.
#[derive(Debug)]
pub struct Part {
    paths: Paths,
    module: &'static str,
    function: &'static str,
    /// Whether the kernel image holds it, once read.
    is_built_in: Option<bool>,
}

impl Part {
    /// By the name of its module, spelt with underscores, and a function that it has in every version.
    pub fn new(paths: Paths, module: &'static str, function: &'static str) -> Self {
        Self { paths, module, function, is_built_in: None }
    }

    /// Whether the kernel has it already.
    pub fn is_there(&mut self) -> bool {
        if is_loaded(&self.paths, self.module) {
            return true;
        }
        let (symbols, function) = (self.paths.symbols(), self.function);
        *self.is_built_in.get_or_insert_with(|| {
            Symbols::read(&symbols, &[function])
                .is_ok_and(|symbols| symbols.get(function).is_some_and(|symbol| symbol.module.is_none()))
        })
    }
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

    #[test]
    fn a_part_is_there_as_a_module_or_built_in() {
        let cases = [
            ("", false, false),
            ("ffffffff81f7dc50 t nf_tables_commit\n", false, true),
            ("ffffffffc1f7dc50 t nf_tables_commit\t[nf_tables]\n", false, false),
            ("", true, true),
        ];
        for (symbols, is_module, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            let paths = Paths { proc: root.path().into(), sys: root.path().into() };
            fs::write(paths.symbols(), symbols).unwrap();
            if is_module {
                fs::create_dir_all(root.path().join("module/nf_tables")).unwrap();
            }
            let mut nftables = Part::new(paths, "nf_tables", "nf_tables_commit");
            assert_eq!(nftables.is_there(), expected, "{symbols:?} {is_module}");
        }
    }
}

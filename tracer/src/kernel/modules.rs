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

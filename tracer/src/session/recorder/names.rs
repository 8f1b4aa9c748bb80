//! Names of a session's files.

use std::{ffi::OsString, path::PathBuf};

/// The name of every part.
#[derive(Clone, Debug)]
pub(super) struct Names {
    path: PathBuf,
    is_numbered: bool,
}

impl Names {
    /// One file of that name, or several whose numbers stand before its ending.
    pub(super) fn new(path: PathBuf, is_numbered: bool) -> Self {
        Self { path, is_numbered }
    }

    /// `run.tracer` is `run.0001.tracer` if it is numbered.
    pub(super) fn of_part(&self, part: u32) -> PathBuf {
        if !self.is_numbered {
            return self.path.clone();
        }
        let mut name = OsString::from(self.path.file_stem().unwrap_or_default());
        name.push(format!(".{part:04}"));
        if let Some(ending) = self.path.extension() {
            name.push(".");
            name.push(ending);
        }
        self.path.with_file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Names;

    #[test]
    fn a_number_stands_before_the_ending() {
        for (path, is_numbered, part, expected) in [
            ("/var/a/run.tracer", false, 1, "/var/a/run.tracer"),
            ("/var/a/run.tracer", true, 1, "/var/a/run.0001.tracer"),
            ("run", true, 12_345, "run.12345"),
            ("a.b/run.x.tracer", true, 2, "a.b/run.x.0002.tracer"),
            (".hidden", true, 2, ".hidden.0002"),
        ] {
            assert_eq!(Names::new(path.into(), is_numbered).of_part(part), Path::new(expected), "{path}");
        }
    }
}

//! Names of a session's files.

use std::{ffi::OsString, path::PathBuf};

/// The name of every part.
#[derive(Clone, Debug)]
pub(super) struct Names {
    path: PathBuf,
    numbering: Numbering,
}

/// When a name gets a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// Never: there is one file of that name, or none.
    No,
    /// When another file has the name.
    IfTaken,
    /// Always: there are several parts.
    Parts,
}

impl Names {
    pub(super) fn new(path: PathBuf, numbering: Numbering) -> Self {
        Self { path, numbering }
    }

    /// `run.tracer` is `run.0001.tracer` if there are parts.
    pub(super) fn of_part(&self, part: u32) -> PathBuf {
        match self.numbering {
            Numbering::No | Numbering::IfTaken => self.path.clone(),
            Numbering::Parts => self.numbered(&format!(".{part:04}")),
        }
    }

    /// The names a part may have, in the order they are tried: also `run-2.tracer` and so on where a number is wanted
    /// only if another file has the name.
    pub(super) fn candidates(&self, part: u32) -> impl Iterator<Item = PathBuf> {
        /// As many as nobody makes in the same second, which names tell.
        const NUMBERS: u32 = 100;
        let numbers = if self.numbering == Numbering::IfTaken { 2..NUMBERS } else { 0..0 };
        [self.of_part(part)].into_iter().chain(numbers.map(|number| self.numbered(&format!("-{number}"))))
    }

    fn numbered(&self, number: &str) -> PathBuf {
        let mut name = OsString::from(self.path.file_stem().unwrap_or_default());
        name.push(number);
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

    use super::{Names, Numbering};

    #[test]
    fn a_number_stands_before_the_ending() {
        for (path, numbering, part, expected) in [
            ("/var/a/run.tracer", Numbering::No, 1, "/var/a/run.tracer"),
            ("/var/a/run.tracer", Numbering::IfTaken, 1, "/var/a/run.tracer"),
            ("/var/a/run.tracer", Numbering::Parts, 1, "/var/a/run.0001.tracer"),
            ("run", Numbering::Parts, 12_345, "run.12345"),
            ("a.b/run.x.tracer", Numbering::Parts, 2, "a.b/run.x.0002.tracer"),
            (".hidden", Numbering::Parts, 2, ".hidden.0002"),
        ] {
            assert_eq!(Names::new(path.into(), numbering).of_part(part), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn another_name_is_tried_only_where_that_is_wanted() {
        for (numbering, count, second) in [
            (Numbering::No, 1, None),
            (Numbering::Parts, 1, None),
            (Numbering::IfTaken, 99, Some("/var/a/run.x-2.tracer")),
        ] {
            let names = Names::new("/var/a/run.x.tracer".into(), numbering);
            let candidates: Vec<_> = names.candidates(1).collect();
            assert_eq!((candidates.len(), &candidates[0]), (count, &names.of_part(1)), "{numbering:?}");
            assert_eq!(candidates.get(1).map(|path| &**path), second.map(Path::new), "{numbering:?}");
        }
    }
}

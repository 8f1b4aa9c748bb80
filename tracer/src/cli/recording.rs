//! A session file that a command is writing.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::anyhow;

use crate::{block::Block, session::SessionWriter};

/// A session file being written.
pub(super) struct Recording {
    path: PathBuf,
    writer: SessionWriter<File>,
}

impl Recording {
    /// Makes the file; one that is there is replaced only with `force`.
    pub(super) fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        Ok(Self { path: path.to_owned(), writer: SessionWriter::create(path, force)? })
    }

    /// Takes a block.
    pub(super) fn append(&mut self, block: &Block) -> anyhow::Result<()> {
        // As text: a broken pipe here must not pass for a reader of standard output that has gone.
        self.writer.append(block).map_err(|error| anyhow!("cannot write {}: {error}", self.path.display()))
    }

    /// Writes the rest and the index; the file's length in bytes.
    pub(super) fn finish(self) -> anyhow::Result<u64> {
        let Self { path, writer } = self;
        let file = writer.finish().and_then(|file| file.metadata());
        let metadata = file.map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
        Ok(metadata.len())
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written to it so far.
    pub(super) fn bytes(&self) -> u64 {
        self.writer.bytes()
    }
}

//! Files that are made for their owner only, and known again later.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Makes a file that only its owner can read. It never follows a symbolic link; it replaces a file that is there only
/// with `force`. The mode of what is no regular file stays as it is.
pub(crate) fn create(path: &Path, force: bool) -> io::Result<File> {
    const OWNER_ONLY: u32 = 0o600;
    let mut options = OpenOptions::new();
    options.write(true).mode(OWNER_ONLY).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let file = options.open(path)?;
    // A file that was there keeps its mode when it is opened. A device or a pipe is not ours to change.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(file)
}

/// What tells a file from another that may have its name later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Identity {
    /// Removes the file, if it still has that name.
    pub(crate) fn remove(self, path: &Path) -> io::Result<()> {
        if Self::from(&path.symlink_metadata()?) == self { fs::remove_file(path) } else { Ok(()) }
    }
}

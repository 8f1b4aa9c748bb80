//! From a cgroup's id to its path, by asking the kernel: the id is a file handle of the unified hierarchy.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
};

/// The mount of the unified hierarchy.
#[derive(Debug)]
pub(super) struct Handles {
    mount: File,
}

/// `struct file_handle` with a handle of kernfs (`kernfs_encode_fh`, 64 bits from 5.5 on).
#[repr(C)]
struct CgroupHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

impl Handles {
    /// By its mount point; `None` if something else is there, or it may not be opened.
    pub(super) fn open(mount_point: &Path) -> Option<Self> {
        let mount = File::open(mount_point).ok()?;
        let kind = fstatfs(&mount).ok()?.filesystem_type();
        (kind == CGROUP2_SUPER_MAGIC).then_some(Self { mount })
    }

    /// The path of a cgroup, with the mount point before it; `None` if the cgroup is gone. Fails where handles may not be
    /// opened, which takes `CAP_DAC_READ_SEARCH`.
    pub(super) fn path(&self, id: u64) -> io::Result<Option<String>> {
        /// `FILEID_KERNFS`.
        const KIND: libc::c_int = 0xfe;
        let mut handle = CgroupHandle { bytes: 8, kind: KIND, id: id.to_ne_bytes() };
        // SAFETY: the handle has the layout of `struct file_handle`, with as many bytes behind its head as it says, and
        // lives through the call, which does not keep it.
        let opened = unsafe {
            libc::open_by_handle_at(
                self.mount.as_raw_fd(),
                (&raw mut handle).cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            )
        };
        let descriptor = match Errno::result(opened) {
            // SAFETY: the descriptor is new, and nobody else's.
            Ok(opened) => unsafe { OwnedFd::from_raw_fd(opened) },
            Err(Errno::ESTALE) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let path = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))?;
        Ok(path.to_str().map(ToOwned::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Handles;

    #[test]
    fn only_cgroups_have_such_handles() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Handles::open(directory.path()).is_none());
        assert!(Handles::open(Path::new("/no/such/directory")).is_none());
    }
}

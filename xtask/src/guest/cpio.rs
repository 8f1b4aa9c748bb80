//! Writes a cpio archive in the `newc` form, the one the kernel unpacks as its first file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive being written. Paths have no leading slash; missing parent directories are added, and a path that is
/// already in the archive is left as it is.
pub(super) struct Archive<W> {
    writer: W,
    inode: u32,
    written: BTreeSet<String>,
}

#[derive(Default)]
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    device: (u32, u32),
    content: &'a [u8],
}

impl<W: Write> Archive<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, inode: 0, written: BTreeSet::new() }
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        self.written.contains(path)
    }

    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.add(&Entry { path, mode: DIRECTORY | 0o755, ..Entry::default() })
    }

    /// A regular file with the permission bits `permissions`.
    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.add(&Entry { path, mode: REGULAR | permissions, content, ..Entry::default() })
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.add(&Entry { path, mode: SYMLINK | 0o777, content: target.as_bytes(), ..Entry::default() })
    }

    /// A character device with the number `device` (major, minor).
    pub(super) fn character_device(&mut self, path: &str, device: (u32, u32)) -> io::Result<()> {
        self.add(&Entry { path, mode: CHARACTER_DEVICE | 0o600, device, ..Entry::default() })
    }

    /// Writes the trailer and returns the writer.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(&Entry { path: "TRAILER!!!", ..Entry::default() })?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn add(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        if !self.written.insert(entry.path.to_owned()) {
            return Ok(());
        }
        if let Some((parent, _)) = entry.path.rsplit_once('/') {
            self.directory(parent)?;
        }
        self.entry(entry)
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let too_long =
            |_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{} does not fit", entry.path));
        let size = u32::try_from(entry.content.len()).map_err(too_long)?;
        let name_size = u32::try_from(entry.path.len() + 1).map_err(too_long)?;
        self.inode += 1;
        let (links, time, user, group) = (1, 0, 0, 0);
        let (device_major, device_minor) = entry.device;
        let fields = [
            self.inode,
            entry.mode,
            user,
            group,
            links,
            time,
            size,
            0,
            0,
            device_major,
            device_minor,
            name_size,
            0,
        ];
        let mut header = Vec::with_capacity(112 + entry.path.len());
        header.extend_from_slice(b"070701");
        for field in fields {
            write!(header, "{field:08X}")?;
        }
        header.extend_from_slice(entry.path.as_bytes());
        header.push(0);
        pad(&mut header);
        self.writer.write_all(&header)?;
        self.writer.write_all(entry.content)?;
        self.writer.write_all(&[0; 3][..entry.content.len().wrapping_neg() % 4])
    }
}

/// Fills up to the next multiple of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one entry says, read back independently of the writer.
    #[derive(Debug, PartialEq, Eq)]
    struct Read {
        path: String,
        mode: u32,
        device: (u32, u32),
        content: Vec<u8>,
    }

    fn read(archive: &[u8]) -> Vec<Read> {
        let (mut at, mut entries) = (0, Vec::new());
        loop {
            assert_eq!(&archive[at..at + 6], b"070701", "magic at {at}");
            let header = at;
            let field = |index: usize| {
                let start = header + 6 + index * 8;
                let text = std::str::from_utf8(&archive[start..start + 8]).expect("hexadecimal text");
                u32::from_str_radix(text, 16).expect("hexadecimal digits")
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = header + 110;
            let path = String::from_utf8(archive[name..name + name_size - 1].to_vec()).expect("UTF-8");
            assert_eq!(archive[name + name_size - 1], 0);
            let content = (name + name_size).next_multiple_of(4);
            at = (content + size).next_multiple_of(4);
            if path == "TRAILER!!!" {
                assert_eq!(at, archive.len());
                return entries;
            }
            let device = (field(9), field(10));
            entries.push(Read {
                path,
                mode: field(1),
                device,
                content: archive[content..content + size].to_vec(),
            });
        }
    }

    fn entry(path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Read {
        Read { path: path.to_owned(), mode, device, content: content.to_vec() }
    }

    #[test]
    fn entries_read_back_with_their_parents_once() {
        let mut archive = Archive::new(Vec::new());
        archive.file("usr/bin/tool", 0o755, b"12345").expect("written");
        archive.symlink("usr/bin/other", "tool").expect("written");
        archive.character_device("dev/console", (5, 1)).expect("written");
        archive.file("usr/bin/tool", 0o644, b"a second one is not taken").expect("written");
        assert!(archive.contains("usr/bin") && !archive.contains("usr/sbin"));
        let bytes = archive.finish().expect("written");
        let expected = [
            entry("usr", 0o040_755, (0, 0), b""),
            entry("usr/bin", 0o040_755, (0, 0), b""),
            entry("usr/bin/tool", 0o100_755, (0, 0), b"12345"),
            entry("usr/bin/other", 0o120_777, (0, 0), b"tool"),
            entry("dev", 0o040_755, (0, 0), b""),
            entry("dev/console", 0o020_600, (5, 1), b""),
        ];
        assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn every_length_is_padded() {
        for length in 0..9 {
            let name = "n".repeat(length + 1);
            let content = vec![b'c'; length];
            let mut archive = Archive::new(Vec::new());
            archive.file(&name, 0o600, &content).expect("written");
            let bytes = archive.finish().expect("written");
            assert_eq!(read(&bytes), [entry(&name, 0o100_600, (0, 0), &content)]);
        }
    }
}

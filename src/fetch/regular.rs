//! Reads files that a repository names. It may hold symlinks to devices, and pipes, of which reading
//! would not end.

use std::io::{self, Read as _};
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// The greatest length of a list of requirements, or of another file that states some, in bytes.
pub const LONGEST_LIST: u64 = 16 << 20;

/// The greatest length of a manifest, of a lock and of a file that cotter wrote, in bytes.
pub const LONGEST_TEXT: u64 = 64 << 20;

/// The greatest length of a file of keys, in bytes.
pub const LONGEST_KEYRING: u64 = 1 << 20;

/// Opens a regular file. A directory is opened too, because reading it fails by itself.
///
/// # Errors
/// If it cannot be opened, or if it is a device, a pipe or a socket.
pub fn open_regular(path: &Path) -> io::Result<fs::File> {
    // Opening a pipe would wait for somebody who writes.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_dir() {
        true => Ok(file),
        false => Err(io::Error::other("expected a file, got a device or a pipe")),
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// If it is no such file, or cannot be read.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = open_regular(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match read as u64 <= most {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("expected at most {most} bytes, got more"))),
    }
}

/// Reads a list of requirements, or another file that states some.
///
/// # Errors
/// If it is no regular file, is longer than [`LONGEST_LIST`], or is no UTF-8.
pub fn read_list(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular(path, LONGEST_LIST)?).map_err(|e| {
        io::Error::new(io::ErrorKind::InvalidData, format!("expected UTF-8: {}", e.utf8_error()))
    })
}

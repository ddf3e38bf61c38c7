//! Limits for the unpacked size of an archive.

use std::io::{self, Read};

use crate::error::{Cause, Error};

/// The limits for one archive.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of entries.
    pub entries: u64,
    /// The maximum number of unpacked bytes in total.
    pub bytes: u64,
}

impl Limits {
    /// Returns the limits for an archive of `packed` bytes: 400 times its own size, but at least
    /// 256 MiB and at most 32 GiB, and a million entries. Real toolchains unpack to between 3 and
    /// 30 times their size; a bomb of zeros unpacks to 1,000 times (gzip) or 7,000 times (xz) its
    /// size.
    pub fn for_archive(packed: u64) -> Self {
        let bytes = packed.saturating_mul(400).clamp(256 << 20, 32 << 30);
        Limits { entries: 1_000_000, bytes }
    }
}

/// A reader that fails when more bytes than its budget are read.
pub struct Budget<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Budget<R> {
    /// Creates a reader that lets `limit` bytes through.
    pub fn new(inner: R, limit: u64) -> Self {
        Budget { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::from(
                Error::verification(format!(
                    "the archive unfolds to more than {} MiB: refused as a bomb",
                    self.limit >> 20
                ))
                .with_cause(Cause::HostileArchive),
            )
        })?;
        Ok(n)
    }
}

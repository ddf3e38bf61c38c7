//! Bounds on what an archive may unfold to.

use std::io::{self, Read};

use crate::error::{Cause, Error};

/// How large an archive may become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most entries.
    pub entries: u64,
    /// Most unpacked bytes in all.
    pub bytes: u64,
}

impl Limits {
    /// Limits for an archive of `packed` bytes: at least 256 MiB, at most 400 times its own size, at most 32 GiB; a million entries.
    /// Real toolchains unfold to between 3 and 30 times their size; a bomb of zeros to 1,000 (gzip) or 7,000 times (xz).
    pub fn for_archive(packed: u64) -> Self {
        let bytes = packed.saturating_mul(400).clamp(256 << 20, 32 << 30);
        Limits { entries: 1_000_000, bytes }
    }
}

/// A reader that refuses to yield more than its budget.
pub struct Budget<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Budget<R> {
    /// Lets `limit` bytes through.
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

//! The `ar` container of Debian packages. Source: deb(5) and the System V ar format: a magic line,
//! and then members with a 60-byte header of text fields, each member padded to an even length.

use std::io::{self, Read};

use crate::error::{Cause, Error, Result};

/// The greatest number of members that are looked at.
const MOST_MEMBERS: usize = 16;

/// A container that is read from its beginning to its end.
pub struct ArReader<R> {
    inner: R,
    /// The bytes of the current member that have not been read yet, with the padding.
    left: u64,
    members: usize,
}

impl<R: Read> ArReader<R> {
    /// Reads the magic line.
    ///
    /// # Errors
    /// If the bytes are no such container.
    pub fn new(mut inner: R) -> Result<Self> {
        let mut magic = [0; 8];
        inner.read_exact(&mut magic).map_err(|e| damaged("too short").cause(&e))?;
        if &magic != b"!<arch>\n" {
            return Err(damaged("no ar magic at its beginning"));
        }
        Ok(ArReader { inner, left: 0, members: 0 })
    }

    /// Skips to the next member whose name begins with one of `prefixes`. Returns its name and its
    /// content.
    ///
    /// # Errors
    /// If the container is damaged or has no such member. The message names the last prefix.
    pub fn find(&mut self, prefixes: &[&str]) -> Result<(String, impl Read)> {
        let wanted = prefixes.last().copied().unwrap_or_default();
        while self.members < MOST_MEMBERS {
            let skipped = io::copy(&mut (&mut self.inner).take(self.left), &mut io::sink())
                .map_err(crate::tree::archive_error)?;
            if skipped != self.left {
                return Err(damaged("it ends inside a member"));
            }
            let mut header = [0; 60];
            self.inner
                .read_exact(&mut header)
                .map_err(|e| damaged(&format!("no member {wanted}*")).cause(&e))?;
            if &header[58..] != b"`\n" {
                return Err(damaged("a member's header has no end mark"));
            }
            let text = |range: std::ops::Range<usize>| {
                std::str::from_utf8(&header[range]).unwrap_or("").trim_end().to_owned()
            };
            let name = text(0..16).trim_end_matches('/').to_owned();
            let size = crate::model::decimal(&text(48..58))
                .ok_or_else(|| damaged("a member's size is no number"))?;
            self.members += 1;
            self.left = size + size % 2;
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                return Ok((name, Member { archive: self, left: size }));
            }
        }
        Err(damaged(&format!("no member {wanted}* among the first {MOST_MEMBERS}")))
    }
}

/// The content of one member.
struct Member<'a, R> {
    archive: &'a mut ArReader<R>,
    left: u64,
}

impl<R: Read> Read for Member<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (&mut self.archive.inner).take(self.left).read(buf)?;
        self.left -= n as u64;
        self.archive.left -= n as u64;
        Ok(n)
    }
}

fn damaged(what: &str) -> Error {
    Error::verification(format!("not a Debian package: {what}")).with_cause(Cause::DamagedArchive)
}

//! The `ar` container of Debian packages. Source: deb(5) and the System V ar format: a magic line,
//! and then members with a 60-byte header of text fields, each member padded to an even length.

use std::io::{self, Read};

use crate::error::{Cause, Error, Result};

/// Skips to the first member whose name begins with `prefix`, and returns its name and its content.
///
/// # Errors
/// If the container is damaged or has no such member.
pub fn find_member<'a, R: Read>(
    archive: &'a mut R,
    prefix: &str,
) -> Result<(String, io::Take<&'a mut R>)> {
    let damaged = |what: &str| {
        Error::verification(format!("not a Debian package: {what}"))
            .with_cause(Cause::DamagedArchive)
    };
    let mut magic = [0; 8];
    archive.read_exact(&mut magic).map_err(|e| damaged("too short").cause(&e))?;
    if &magic != b"!<arch>\n" {
        return Err(damaged("no ar magic at its beginning"));
    }
    for _ in 0..16 {
        let mut header = [0; 60];
        archive
            .read_exact(&mut header)
            .map_err(|e| damaged(&format!("no member {prefix}*")).cause(&e))?;
        if &header[58..] != b"`\n" {
            return Err(damaged("a member's header has no end mark"));
        }
        let text = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&header[range]).unwrap_or("").trim_end().to_owned()
        };
        let name = text(0..16).trim_end_matches('/').to_owned();
        let size = crate::model::decimal(&text(48..58))
            .ok_or_else(|| damaged("a member's size is no number"))?;
        if name.starts_with(prefix) {
            return Ok((name, archive.take(size)));
        }
        let skip = size + size % 2;
        let skipped = io::copy(&mut archive.take(skip), &mut io::sink())
            .map_err(crate::tree::archive_error)?;
        if skipped != skip {
            return Err(damaged("it ends inside a member"));
        }
    }
    Err(damaged(&format!("no member {prefix}* among the first 16")))
}

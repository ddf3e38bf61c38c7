//! Zip archives, including wheels. Source: PKWARE's APPNOTE 6.3.

use std::io::{Read, Seek, SeekFrom};

use super::budget::Limits;
use super::layer::{CaseCollisions, LayerBuilder, cut, hostile};
use crate::error::Result;
use crate::tree::{BlobDir, Node, Tree, archive_error};

/// Reads a zip file.
///
/// # Errors
/// If it is damaged or hostile; see [`super::unpack_tar`].
pub fn unpack_zip(
    mut file: impl Read + Seek,
    strip: usize,
    limits: Limits,
    blobs: &BlobDir,
) -> Result<Tree> {
    let damaged = |e: zip::result::ZipError| archive_error(e.into());
    let listed = listed_members(&mut file).map_err(archive_error)?;
    let mut zip = zip::ZipArchive::new(file).map_err(damaged)?;
    // The crate merges members of the same name into one, but the end record counts all of them.
    if listed.is_some_and(|n| n != zip.len()) {
        return Err(hostile("a name stands in it twice".to_owned()));
    }
    if zip.is_empty() {
        return Err(cut("it has no entries"));
    }
    let mut layer = LayerBuilder::new(strip, CaseCollisions::Refuse, limits, &Some);
    let mut buffer = vec![0; super::BUFFER];
    let mut left = limits.bytes;
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(damaged)?;
        let Some(path) = layer.place(entry.name_raw())? else { continue };
        let mode = entry.unix_mode().unwrap_or(0o644);
        let node =
            if entry.is_dir() {
                Node::Directory
            } else {
                match mode & 0o170_000 {
                    0 | 0o100_000 => {}
                    0o120_000 => {
                        let mut target = String::new();
                        entry.by_ref().take(4096).read_to_string(&mut target).map_err(|_| {
                            hostile(format!("the symlink {path} has no valid target"))
                        })?;
                        layer.add(path, Node::Symlink(target))?;
                        continue;
                    }
                    _ => return Err(hostile(format!("{path} is a device node or a pipe"))),
                }
                let declared = entry.size();
                // One byte more than the declared size is enough to detect a false size.
                let allowed = declared.min(left).saturating_add(1);
                let blob = blobs.write(&mut entry.by_ref().take(allowed), &mut buffer)?;
                if blob.size() > left {
                    return Err(hostile(format!(
                        "it unfolds to more than {} MiB: refused as a bomb",
                        limits.bytes >> 20
                    )));
                }
                if blob.size() != declared {
                    return Err(hostile(format!(
                        "{path} has another size than its header says ({declared})"
                    )));
                }
                left -= blob.size();
                Node::File { blob, executable: mode & 0o111 != 0 }
            };
        layer.add(path, node)?;
    }
    Ok(layer.finish())
}

/// Returns the number of members in the end of central directory record (APPNOTE, section 4.3.16),
/// or `None` if the record leaves the number to the zip64 record.
fn listed_members(file: &mut (impl Read + Seek)) -> std::io::Result<Option<usize>> {
    const LONGEST: u64 = 22 + 65_535;
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(LONGEST)))?;
    let mut tail = vec![];
    file.read_to_end(&mut tail)?;
    let at = tail.windows(4).rposition(|w| w == b"PK\x05\x06");
    let count =
        at.and_then(|at| Some(u16::from_le_bytes(tail.get(at + 10..at + 12)?.try_into().ok()?)));
    Ok(count.filter(|n| *n != u16::MAX).map(usize::from))
}

//! Tar archives (POSIX.1-2001 ustar and pax, and GNU's extensions).

use std::io::{self, Read};

use super::budget::{Budget, Limits};
use super::layer::{CaseCollisions, LayerBuilder, cut, hostile};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree, archive_error};

/// The options for reading a tarball.
#[derive(Clone, Copy)]
pub struct TarOptions<'a> {
    /// The number of leading components to remove from each name.
    pub strip: usize,
    /// Whether names may differ only in case.
    pub cases: CaseCollisions,
    /// Whether it may have no entries at all, as the files of a Debian package.
    pub may_be_empty: bool,
    /// The limits for its unpacked size.
    pub limits: Limits,
    /// Moves a path, or drops it with `None`. Dropped files are not even written to the staging
    /// directory.
    pub map: &'a dyn Fn(MemberPath) -> Option<MemberPath>,
}

/// The greatest length in bytes of a name in a header of its own. Linux accepts 4096.
const LONGEST_NAME: u64 = 64 << 10;

/// The greatest length in bytes of the pax records for one entry.
const MOST_PAX: u64 = 1 << 20;

/// What headers before an entry say of it.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Said {
    /// Reads a header of GNU tar, whose content is a name that ends with NUL.
    fn gnu(slot: &mut Option<Vec<u8>>, header: &mut dyn Read, size: u64) -> Result<()> {
        let mut name = bounded(header, size, LONGEST_NAME)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        match slot.replace(name) {
            None => Ok(()),
            Some(_) => Err(hostile("two names stand before one entry".to_owned())),
        }
    }

    /// Reads pax records. Names in headers of GNU tar count more.
    fn pax(&mut self, header: &mut dyn Read, size: u64) -> Result<()> {
        let records = bounded(header, size, MOST_PAX)?;
        for record in tar::PaxExtensions::new(&records) {
            let record = record.map_err(archive_error)?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => drop(self.name.get_or_insert_with(|| value.to_vec())),
                b"linkpath" => drop(self.link.get_or_insert_with(|| value.to_vec())),
                b"size" => {
                    let text = String::from_utf8_lossy(value);
                    let size = crate::model::decimal(&text);
                    self.size =
                        Some(size.ok_or_else(|| {
                            hostile(format!("a pax header has the size {text:?}"))
                        })?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(hostile(
                        "it has a sparse file, whose holes are not stored: make it without --sparse"
                            .to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.size.is_none()
    }
}

/// Reads the content of a header, which may have `most` bytes.
fn bounded(header: &mut dyn Read, size: u64, most: u64) -> Result<Vec<u8>> {
    if size > most {
        return Err(hostile(format!(
            "a header before an entry has {size} bytes, and {most} are allowed"
        )));
    }
    let mut out = vec![];
    header.take(most).read_to_end(&mut out).map_err(archive_error)?;
    if out.len() as u64 != size {
        return Err(hostile("it ends within a header".to_owned()));
    }
    Ok(out)
}

/// A reader that remembers whether the end of the stream was seen.
struct Watched<R> {
    inner: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.ended |= n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

impl<R: Read> Watched<R> {
    /// Checks that the archive ended with its mark of two blocks of zeros, and reads what follows,
    /// so that the decompressor checks its own sums: it may only be padding.
    fn finish(mut self, buffer: &mut [u8]) -> Result<()> {
        if self.ended {
            return Err(cut("it ends without the mark at the end of a tar archive"));
        }
        loop {
            match self.inner.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(n) if buffer[..n].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err(hostile("there is data behind its end".to_owned())),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(archive_error(e)),
            }
        }
    }
}

/// Whether a symlink leads to the place to which it was itself moved: a package of a merged Debian
/// system may have both the directory `usr/bin` and the link `bin -> usr/bin`. Nothing is lost
/// without such a link.
fn leads_to_itself(name: &[u8], path: &MemberPath, target: &[u8]) -> bool {
    let Ok(Some(name)) = MemberPath::parse(name) else { return false };
    let Ok(target) = std::str::from_utf8(target) else { return false };
    name != *path && name.resolve_link(target).as_ref() == Some(path)
}

/// Reads an uncompressed tar stream.
///
/// # Errors
/// If it is damaged or hostile: absolute names or names that lead upwards, members behind symlinks,
/// links that leave the tree, device nodes, duplicates, sparse files, bombs. Also if it has no end
/// mark, or data behind it.
pub fn unpack_tar(stream: &mut dyn Read, blobs: &BlobDir, options: &TarOptions) -> Result<Tree> {
    let mut layer = LayerBuilder::new(options.strip, options.cases, options.limits, options.map);
    let mut buffer = vec![0; super::BUFFER];
    let stream = Watched { inner: Budget::new(stream, options.limits.bytes), ended: false };
    let mut archive = tar::Archive::new(stream);
    let (mut said, mut is_empty) = (Said::default(), true);
    // The library would read headers that describe the next entry whole, whatever their size.
    for entry in archive.entries().map_err(archive_error)?.raw(true) {
        let mut entry = entry.map_err(archive_error)?;
        let (kind, size) = (entry.header().entry_type(), entry.size());
        match kind {
            tar::EntryType::GNULongName => {
                Said::gnu(&mut said.name, &mut entry, size)?;
                continue;
            }
            tar::EntryType::GNULongLink => {
                Said::gnu(&mut said.link, &mut entry, size)?;
                continue;
            }
            tar::EntryType::XHeader => {
                said.pax(&mut entry, size)?;
                continue;
            }
            // The output of `git archive` begins with such a header, which contains nothing about
            // files.
            tar::EntryType::XGlobalHeader => continue,
            _ => {}
        }
        is_empty = false;
        let Said { name, link, size: pax_size } = std::mem::take(&mut said);
        if let Some(other) = pax_size.filter(|other| *other != size) {
            return Err(hostile(format!("an entry has two sizes, {size} and {other}")));
        }
        let name = name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = layer.place(&name)? else { continue };
        let node = match kind {
            tar::EntryType::Directory => Node::Directory,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let executable = entry.header().mode().map_err(archive_error)? & 0o111 != 0;
                let blob = blobs.write(&mut entry, &mut buffer)?;
                if blob.size() != size {
                    return Err(hostile(format!(
                        "{path} has {} bytes, its header says {size}",
                        blob.size()
                    )));
                }
                Node::File { blob, executable }
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let of_header = || entry.link_name_bytes().map(|t| t.into_owned());
                let target = link.or_else(of_header).unwrap_or_default();
                if kind == tar::EntryType::Link {
                    match layer.hard_link(&path, &target)? {
                        Some(node) => node,
                        None => continue,
                    }
                } else {
                    if leads_to_itself(&name, &path, &target) {
                        continue;
                    }
                    match String::from_utf8(target) {
                        Ok(t) if !t.is_empty() && !t.contains('\0') => Node::Symlink(t),
                        _ => {
                            return Err(hostile(format!("the symlink {path} has no valid target")));
                        }
                    }
                }
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                return Err(hostile(format!("{path} is a device node or a pipe")));
            }
            other => {
                return Err(hostile(format!(
                    "{path} is of an unknown type ({:#x})",
                    other.as_byte()
                )));
            }
        };
        layer.add(path, node)?;
    }
    if !said.is_empty() {
        return Err(cut("it ends behind a header that describes a further entry"));
    }
    archive.into_inner().finish(&mut buffer)?;
    if is_empty && !options.may_be_empty {
        return Err(cut("it has no entries"));
    }
    Ok(layer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_a_merged_system_leads_to_itself() {
        let of = |name: &str, path: &str, target: &str| {
            leads_to_itself(name.as_bytes(), &MemberPath::literal(path), target.as_bytes())
        };
        assert!(of("./bin", "usr/bin", "usr/bin"));
        assert!(of("lib64", "usr/lib64", "/usr/lib64"));
        assert!(!of("bin", "usr/bin", "usr/sbin"), "it leads elsewhere");
        assert!(!of("usr/bin", "usr/bin", "usr/bin"), "it was not moved");
        assert!(!of("bin", "usr/bin", ""), "it leads nowhere");
    }
}

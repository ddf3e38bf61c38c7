//! Tar archives (POSIX.1-2001 ustar and pax, and GNU's extensions).

use std::io::Read;

use super::budget::{Budget, Limits};
use super::layer::{CaseCollisions, LayerBuilder, hostile};
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
    /// The limits for its unpacked size.
    pub limits: Limits,
    /// Moves a path, or drops it with `None`. Dropped files are not even written to the staging
    /// directory.
    pub map: &'a dyn Fn(MemberPath) -> Option<MemberPath>,
}

/// Reads an uncompressed tar stream.
///
/// # Errors
/// If it is damaged or hostile: absolute names or names that lead upwards, members behind symlinks,
/// links that leave the tree, device nodes, duplicates, bombs.
pub fn unpack_tar(stream: &mut dyn Read, blobs: &BlobDir, options: &TarOptions) -> Result<Tree> {
    let mut layer = LayerBuilder::new(options.strip, options.cases, options.limits, options.map);
    let mut buffer = vec![0; super::BUFFER];
    let mut archive = tar::Archive::new(Budget::new(stream, options.limits.bytes));
    for entry in archive.entries().map_err(archive_error)? {
        let mut entry = entry.map_err(archive_error)?;
        let name = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        // The output of `git archive` begins with such a header, which contains nothing about
        // files.
        if kind == tar::EntryType::XGlobalHeader {
            continue;
        }
        let Some(path) = layer.place(&name)? else { continue };
        let node = match kind {
            tar::EntryType::Directory => Node::Directory,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let executable = entry.header().mode().map_err(archive_error)? & 0o111 != 0;
                let declared = entry.size();
                let blob = blobs.write(&mut entry, &mut buffer)?;
                if blob.size() != declared {
                    return Err(hostile(format!(
                        "{path} has {} bytes, its header says {declared}",
                        blob.size()
                    )));
                }
                Node::File { blob, executable }
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
                if kind == tar::EntryType::Link {
                    match layer.hard_link(&path, &target)? {
                        Some(node) => node,
                        None => continue,
                    }
                } else {
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
    Ok(layer.finish())
}

//! Unpacks a Nix archive into a tree.

use std::io::{self, Read};

use super::budget::{Budget, Limits};
use super::layer::{CaseCollisions, LayerBuilder, cut, hostile};
use crate::error::Result;
use crate::nix::nar::{self, NarError, NarVisitor};
use crate::tree::{BlobDir, Node, Staged, Tree, archive_error};

/// Unpacks a NAR whose root is a directory.
///
/// # Errors
/// If it is damaged, or if something in it is refused, or if it has more entries or bytes than
/// `limits` allow.
pub fn unpack_nar(stream: impl Read, blobs: &BlobDir, limits: Limits) -> Result<Tree> {
    let layer = LayerBuilder::new(0, CaseCollisions::Allow, limits, &Some);
    let mut into = Unpacked { layer, blobs, path: vec![], file: None };
    match nar::read(Budget::new(stream, limits.bytes), &mut into) {
        Ok(()) => Ok(into.layer.finish()),
        Err(NarError::Refused { at, what }) => Err(cut(&format!("{what}, at byte {at}"))),
        Err(NarError::Read(e) | NarError::Visitor(e)) => Err(archive_error(e)),
    }
}

/// The part of an archive that was read.
struct Unpacked<'a> {
    layer: LayerBuilder<'a>,
    blobs: &'a BlobDir,
    /// The names of the directories and of the entry that are open.
    path: Vec<Vec<u8>>,
    file: Option<(Staged, bool)>,
}

impl Unpacked<'_> {
    fn add(&mut self, node: Node) -> io::Result<()> {
        let name = self.path.join(&b'/');
        let placed = self.layer.place(&name).and_then(|path| match path {
            Some(path) => self.layer.add(path, node),
            None if matches!(node, Node::Directory) => Ok(()),
            None => Err(hostile("it is no directory".to_owned())),
        });
        placed.map_err(io::Error::other)
    }
}

impl NarVisitor for Unpacked<'_> {
    fn begin_directory(&mut self) -> io::Result<()> {
        self.add(Node::Directory)
    }

    fn end_directory(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.path.push(name.to_owned());
        Ok(())
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.path.pop();
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(target).map_err(|_| {
            io::Error::other(hostile("the target of a symlink is no UTF-8 text".to_owned()))
        })?;
        self.add(Node::Symlink(text.to_owned()))
    }

    fn begin_file(&mut self, executable: bool, _size: u64) -> io::Result<()> {
        self.file = Some((self.blobs.begin().map_err(io::Error::other)?, executable));
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((staged, _)) = &mut self.file else { return Ok(()) };
        staged.add(bytes).map_err(io::Error::other)
    }

    fn end_file(&mut self, _size: u64) -> io::Result<()> {
        let Some((staged, executable)) = self.file.take() else { return Ok(()) };
        let blob = staged.finish().map_err(io::Error::other)?;
        self.add(Node::File { blob, executable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MemberPath;
    use crate::tree::write_nar;

    #[test]
    fn a_tree_is_the_same_after_it_was_packed() {
        let dir = std::env::temp_dir().join(format!("cotter-nar-{}", std::process::id()));
        let blobs = BlobDir::create(dir.clone()).unwrap();
        let mut tree = Tree::default();
        let file = |text: &str, executable| Node::File {
            blob: blobs.put(text.as_bytes()).unwrap(),
            executable,
        };
        tree.put(MemberPath::literal("usr/bin/x"), file("#!x", true));
        tree.put(MemberPath::literal("usr/bin-x"), file("", false));
        tree.put(MemberPath::literal("usr/empty"), Node::Directory);
        tree.put(MemberPath::literal("usr/lib"), Node::Symlink("bin".to_owned()));
        let bytes = write_nar(&tree, vec![]).unwrap();
        let limits = Limits { entries: 100, bytes: 1 << 20 };
        let back = unpack_nar(bytes.as_slice(), &blobs, limits).unwrap();
        assert_eq!(write_nar(&back, vec![]).unwrap(), bytes);
        assert!(matches!(back.at("usr/bin/x"), Some(Node::File { executable: true, .. })));
        let few = Limits { entries: 3, bytes: 1 << 20 };
        assert!(unpack_nar(bytes.as_slice(), &blobs, few).is_err());
        assert!(unpack_nar(&bytes[..bytes.len() - 8], &blobs, limits).is_err());
        fs_err::remove_dir_all(dir).unwrap();
    }
}

//! Writes Nix archives.

use std::io::{self, Write};

use super::NarVisitor;

/// Writes the parts of a NAR in order. The caller traverses the tree depth first, with names sorted
/// bytewise.
pub struct NarWriter<W> {
    out: W,
}

impl<W: Write> NarWriter<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// Those of the writer, which applies to every method of this type.
    pub fn new(out: W) -> io::Result<Self> {
        let mut nar = NarWriter { out };
        nar.string(b"nix-archive-1")?;
        Ok(nar)
    }

    /// Opens a directory; its entries follow.
    pub fn begin_directory(&mut self) -> io::Result<()> {
        self.strings(&[b"(", b"type", b"directory"])
    }

    /// Closes a directory.
    pub fn end_directory(&mut self) -> io::Result<()> {
        self.string(b")")
    }

    /// Opens the entry `name` of a directory. One node follows.
    pub fn begin_entry(&mut self, name: impl AsRef<[u8]>) -> io::Result<()> {
        self.strings(&[b"entry", b"(", b"name", name.as_ref(), b"node"])
    }

    /// Closes an entry.
    pub fn end_entry(&mut self) -> io::Result<()> {
        self.string(b")")
    }

    /// Writes a complete symlink node.
    pub fn symlink(&mut self, target: impl AsRef<[u8]>) -> io::Result<()> {
        self.strings(&[b"(", b"type", b"symlink", b"target", target.as_ref(), b")"])
    }

    /// Opens a regular file node. `size` bytes of content follow.
    pub fn begin_file(&mut self, executable: bool, size: u64) -> io::Result<()> {
        self.strings(&[b"(", b"type", b"regular"])?;
        if executable {
            self.strings(&[b"executable", b""])?;
        }
        self.string(b"contents")?;
        self.out.write_all(&size.to_le_bytes())
    }

    /// Writes a part of the content of an opened file.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Closes a regular file node of `size` bytes.
    pub fn end_file(&mut self, size: u64) -> io::Result<()> {
        self.pad(size)?;
        self.string(b")")
    }

    /// Returns the writer, which has got every byte so far.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Returns the writer.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn strings(&mut self, all: &[&[u8]]) -> io::Result<()> {
        all.iter().try_for_each(|s| self.string(s))
    }

    fn string(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.out.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn pad(&mut self, len: u64) -> io::Result<()> {
        let rest = (8 - len % 8) % 8;
        self.out.write_all(&[0; 8][..rest as usize])
    }
}

/// What a reader finds is written as it is.
impl<W: Write> NarVisitor for NarWriter<W> {
    fn begin_directory(&mut self) -> io::Result<()> {
        NarWriter::begin_directory(self)
    }

    fn end_directory(&mut self) -> io::Result<()> {
        NarWriter::end_directory(self)
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        NarWriter::begin_entry(self, name)
    }

    fn end_entry(&mut self) -> io::Result<()> {
        NarWriter::end_entry(self)
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        NarWriter::symlink(self, target)
    }

    fn begin_file(&mut self, executable: bool, size: u64) -> io::Result<()> {
        NarWriter::begin_file(self, executable, size)
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        NarWriter::content(self, bytes)
    }

    fn end_file(&mut self, size: u64) -> io::Result<()> {
        NarWriter::end_file(self, size)
    }
}

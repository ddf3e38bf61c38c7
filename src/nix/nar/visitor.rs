//! What the reader of a NAR tells.

use std::io::{self, Read};

/// Receives the parts of a NAR in their order. The methods are those of the writer.
pub trait NarVisitor {
    /// A directory begins; its entries follow.
    ///
    /// # Errors
    /// Those of the receiver, which end the reading. That applies to every method of this trait.
    fn begin_directory(&mut self) -> io::Result<()>;

    /// The directory that was opened last ends.
    fn end_directory(&mut self) -> io::Result<()>;

    /// The entry `name` of a directory begins. One node follows.
    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()>;

    /// The entry that was opened last ends.
    fn end_entry(&mut self) -> io::Result<()>;

    /// A symlink.
    fn symlink(&mut self, target: &[u8]) -> io::Result<()>;

    /// A regular file of `size` bytes begins. Its content follows.
    fn begin_file(&mut self, executable: bool, size: u64) -> io::Result<()>;

    /// A part of the content of the file.
    fn content(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The file of `size` bytes ends.
    fn end_file(&mut self, size: u64) -> io::Result<()>;

    /// A complete regular file of `size` bytes that are read from `content`.
    ///
    /// # Errors
    /// Also if `content` is shorter than `size`.
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        content: &mut dyn Read,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        self.begin_file(executable, size)?;
        let mut left = size;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let got = content.read(&mut buffer[..want])?;
            if got == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "file is shorter than it was",
                ));
            }
            self.content(&buffer[..got])?;
            left -= got as u64;
        }
        self.end_file(size)
    }
}

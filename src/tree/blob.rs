//! File contents on their way into the store.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fs_err as fs;
use rustix::fs::{Mode, Timespec, Timestamps, fchmod, futimens};

use crate::error::{Cause, Error, Result};
use crate::model::{Digest, Hasher};

/// The modification time of every file, as in a Nix store: one second after the epoch, because some
/// tools interpret 0 as "unknown".
pub const MTIME: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
};

/// The number of bytes at the beginning of each blob that are kept in memory. They are used to
/// distinguish programs, scripts and texts among thousands of files.
const HEAD: usize = 512;

/// The greatest number of bytes that are read into memory at once. The largest programs and libraries
/// of Debian 12 have less than a quarter of that.
const MOST_READ: u64 = 2 << 30;

/// The content of one file: a staged file on disk, its length and its digest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blob(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    size: u64,
    sha256: Digest,
    head: Box<[u8]>,
    placed: AtomicBool,
    /// Whether it is a file of the store.
    stored: bool,
}

impl Blob {
    /// Creates a blob for a file that is already in the store. The file is read once and stays
    /// where it is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of_file(path: PathBuf) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut head = vec![];
        let mut file = fs::File::open(&path)?;
        (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
        hasher.update(&head);
        io::copy(&mut file, &mut hasher)?;
        let (size, sha256) = (hasher.len(), hasher.finish());
        // A file of the store must never be moved into another tree.
        let placed = AtomicBool::new(true);
        Ok(Blob(Arc::new(Inner { path, size, sha256, head: head.into(), placed, stored: true })))
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Returns the digest of the content at the time when it was written.
    pub fn sha256(&self) -> &Digest {
        &self.0.sha256
    }

    /// Reserves the staged file itself for a place in a tree. Returns `true` for the first caller;
    /// all later callers need a copy.
    pub fn take_place(&self) -> bool {
        !self.0.placed.swap(true, Ordering::Relaxed)
    }

    /// Whether it is a file of the store, with the mode that it has there.
    pub fn is_stored(&self, executable: bool) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let is_same = |meta: std::fs::Metadata| {
            meta.is_file()
                && (meta.permissions().mode() & 0o7777 == if executable { 0o555 } else { 0o444 })
        };
        self.0.stored && fs::symlink_metadata(&self.0.path).is_ok_and(is_same)
    }

    /// Whether two blobs have the same content.
    pub fn same_content(&self, other: &Blob) -> bool {
        self.sha256() == other.sha256()
    }

    /// Returns the path of the staged file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns all bytes.
    ///
    /// # Errors
    /// If the staged file cannot be read, or if it is larger than any program or text that must be in
    /// memory as a whole.
    pub fn read(&self) -> Result<Vec<u8>> {
        if self.0.size > MOST_READ {
            return Err(Error::verification(format!(
                "a file of the tree has {} bytes, and would have to be read as a whole",
                self.0.size
            ))
            .because(format!("expected at most {MOST_READ} bytes in a program or a text"))
            .hint("leave the largest program or text out with `prune`"));
        }
        fs::read(&self.0.path).map_err(|e| Error::io("can't read a staged file", e))
    }

    /// Returns the first bytes, at most `most`.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn head(&self, most: u64) -> Result<Vec<u8>> {
        let known = self.0.head.len();
        if most <= known as u64 || self.0.size <= known as u64 {
            return Ok(self.0.head[..known.min(usize::try_from(most).unwrap_or(known))].to_owned());
        }
        let read = || {
            let mut out = Vec::new();
            fs::File::open(&self.0.path)?.take(most).read_to_end(&mut out)?;
            Ok(out)
        };
        read().map_err(|e: io::Error| Error::io("can't read a staged file", e))
    }
}

impl Blob {
    /// Returns `length` bytes that begin at `offset`, or `None` if the file ends before.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn part(&self, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        use std::os::unix::fs::FileExt;
        if offset.checked_add(length).is_none_or(|end| end > self.0.size) {
            return Ok(None);
        }
        let mut out = vec![0; usize::try_from(length).expect("the file fits in memory")];
        fs::File::open(&self.0.path)
            .and_then(|file| file.file().read_exact_at(&mut out, offset))
            .map_err(|e| Error::io("can't read a staged file", e))?;
        Ok(Some(out))
    }
}

/// A directory to which blobs are written. Their names are numbers, so a name from an archive never
/// reaches the file system here.
pub struct BlobDir {
    dir: PathBuf,
    next: AtomicU64,
}

impl BlobDir {
    /// Creates the directory.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(|e| Error::at("make", &dir, e))?;
        Ok(BlobDir { dir, next: AtomicU64::new(0) })
    }

    /// Writes the bytes of `content` as a new blob: a read-only file with the modification time
    /// that it has in the store. The bytes are hashed while they are written.
    ///
    /// # Errors
    /// Those of the reader, unchanged. A failure to write is an error of the store.
    pub fn write(&self, content: &mut dyn Read, buffer: &mut [u8]) -> Result<Blob> {
        let mut staged = self.begin()?;
        loop {
            let n = match content.read(buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(archive_error(e)),
            };
            staged.add(&buffer[..n])?;
        }
        staged.finish()
    }

    /// Writes bytes as a new blob.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let mut staged = self.begin()?;
        staged.add(bytes)?;
        staged.finish()
    }

    /// Begins a new blob, whose bytes follow.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn begin(&self) -> Result<Staged> {
        let path = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = fs::File::create_new(&path).map_err(unwritable)?;
        Ok(Staged { path, file, hasher: Hasher::default(), head: vec![] })
    }
}

/// A blob that is being written.
pub struct Staged {
    path: PathBuf,
    file: fs::File,
    hasher: Hasher,
    head: Vec<u8>,
}

impl Staged {
    /// Adds bytes.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(unwritable)?;
        self.hasher.update(bytes);
        let rest = HEAD.saturating_sub(self.head.len());
        self.head.extend(&bytes[..rest.min(bytes.len())]);
        Ok(())
    }

    /// Ends the blob.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn finish(self) -> Result<Blob> {
        fchmod(self.file.file(), Mode::from_raw_mode(0o444))
            .and_then(|()| futimens(self.file.file(), &MTIME))
            .map_err(|e| unwritable(e.into()))?;
        Ok(Blob(Arc::new(Inner {
            path: self.path,
            size: self.hasher.len(),
            sha256: self.hasher.finish(),
            head: self.head.into_boxed_slice(),
            placed: AtomicBool::new(false),
            stored: false,
        })))
    }
}

fn unwritable(e: io::Error) -> Error {
    Error::io("can't write to the staging directory", e)
}

/// Converts an error of a decoder: to the error of cotter that it contains, or otherwise to an
/// error about damage in the archive.
pub(crate) fn archive_error(e: io::Error) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return crate::error::from_io("", e);
    }
    Error::verification("the archive is damaged").cause(&e).with_cause(Cause::DamagedArchive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_would_fill_the_memory_is_refused() {
        let blob = |size| {
            let (path, placed) = (PathBuf::from("/dev/null"), AtomicBool::new(true));
            Blob(Arc::new(Inner {
                path,
                size,
                sha256: Digest::of(b""),
                head: [].into(),
                placed,
                stored: false,
            }))
        };
        assert_eq!(blob(MOST_READ).read().unwrap(), b"");
        let error = blob(MOST_READ + 1).read().unwrap_err().to_string();
        assert!(error.contains("2147483649 bytes"), "{error}");
    }
}

//! File contents on their way into the store.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fs_err as fs;

use crate::error::{Cause, Error, Result};
use crate::model::{Digest, Hasher};

/// The content of one file: a staged file on disk and its length. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blob(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    size: u64,
    sha256: OnceLock<Digest>,
}

impl Blob {
    /// The content of a file that lies somewhere already.
    pub fn at(path: PathBuf, size: u64) -> Self {
        Blob(Arc::new(Inner { path, size, sha256: OnceLock::new() }))
    }

    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// The digest of the content, computed when it is first asked for: unpacking has better things to do.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn sha256(&self) -> io::Result<&Digest> {
        if let Some(known) = self.0.sha256.get() {
            return Ok(known);
        }
        let mut hasher = Hasher::default();
        let mut file = fs::File::open(&self.0.path)?;
        let mut buffer =
            vec![0; usize::try_from(self.0.size).unwrap_or(usize::MAX).clamp(1, 256 * 1024)];
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        Ok(self.0.sha256.get_or_init(|| hasher.finish()))
    }

    /// Whether two blobs have the same content.
    ///
    /// # Errors
    /// If a staged file cannot be read.
    pub fn same_content(&self, other: &Blob) -> io::Result<bool> {
        Ok(self.size() == other.size()
            && (Arc::ptr_eq(&self.0, &other.0) || self.sha256()? == other.sha256()?))
    }

    /// Where the bytes are staged.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// All bytes.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        fs::read(&self.0.path).map_err(|e| Error::io("can't read a staged file", e))
    }

    /// The first bytes, at most `most`.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn head(&self, most: u64) -> Result<Vec<u8>> {
        let read = || {
            let mut out = Vec::new();
            fs::File::open(&self.0.path)?.take(most).read_to_end(&mut out)?;
            Ok(out)
        };
        read().map_err(|e: io::Error| Error::io("can't read a staged file", e))
    }
}

/// A directory that blobs are written to, under numbers for names: no archive's name ever reaches the file system from here.
pub struct BlobDir {
    dir: PathBuf,
    next: AtomicU64,
}

impl BlobDir {
    /// Makes the directory.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(|e| Error::at("make", &dir, e))?;
        Ok(BlobDir { dir, next: AtomicU64::new(0) })
    }

    /// Writes what `content` yields as a new blob.
    ///
    /// # Errors
    /// Those of the reader, passed through; a failure to write is an error of the store.
    pub fn write(&self, content: &mut dyn Read, buffer: &mut [u8]) -> Result<Blob> {
        self.write_and(content, buffer, &mut |_| {})
            .map(|(path, size)| Blob(Arc::new(Inner { path, size, sha256: OnceLock::new() })))
    }

    /// The same for content whose digest is asked for at once.
    ///
    /// # Errors
    /// As [`BlobDir::write`].
    pub fn write_hashed(&self, content: &mut dyn Read, buffer: &mut [u8]) -> Result<Blob> {
        let mut hasher = Hasher::default();
        let (path, size) = self.write_and(content, buffer, &mut |bytes| hasher.update(bytes))?;
        Ok(Blob(Arc::new(Inner { path, size, sha256: OnceLock::from(hasher.finish()) })))
    }

    fn write_and(
        &self,
        content: &mut dyn Read,
        buffer: &mut [u8],
        also: &mut dyn FnMut(&[u8]),
    ) -> Result<(PathBuf, u64)> {
        let path = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let staged = |e| Error::io("can't write to the staging directory", e);
        let mut file = fs::File::create_new(&path).map_err(staged)?;
        let mut size = 0;
        loop {
            let n = match content.read(buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(archive_error(e)),
            };
            size += n as u64;
            file.write_all(&buffer[..n]).map_err(staged)?;
            also(&buffer[..n]);
        }
        Ok((path, size))
    }

    /// Writes bytes as a new blob.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let path = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let write = || {
            let mut file = BufWriter::new(fs::File::create_new(&path)?);
            file.write_all(bytes)?;
            file.into_inner().map(drop).map_err(|e| e.into_error())
        };
        write().map_err(|e: io::Error| Error::io("can't write to the staging directory", e))?;
        Ok(Blob(Arc::new(Inner {
            path: path.clone(),
            size: bytes.len() as u64,
            sha256: OnceLock::from(Digest::of(bytes)),
        })))
    }
}

/// An error that came out of a decoder: our own if it carries one, else damage in the archive.
pub(crate) fn archive_error(e: io::Error) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return crate::error::from_io("", e);
    }
    Error::verification("the archive is damaged").cause(&e).with_cause(Cause::DamagedArchive)
}

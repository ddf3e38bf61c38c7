//! A directory of the user as a place for files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::blob_store::{BlobStore, StoredBlob, is_whole};
use crate::error::{Cause, Error, Result};
use crate::fetch::{LONGEST_TEXT, Upload, open_regular, read_regular};

/// The beginning of the names of files that are not complete.
const NEW: &str = ".new-";

/// A directory.
pub struct DirectoryStore {
    dir: PathBuf,
    shown: String,
    next: AtomicU64,
}

impl DirectoryStore {
    /// Returns the place. Nothing is created yet.
    pub fn new(dir: PathBuf) -> Self {
        let shown = dir.display().to_string();
        DirectoryStore { dir, shown, next: AtomicU64::new(0) }
    }

    /// Deletes the files that killed processes left behind in a directory.
    fn sweep(dir: &Path) {
        for name in crate::store::names(dir).unwrap_or_default() {
            let path = dir.join(&name);
            let is_left = |file: &fs::File| {
                flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_ok()
            };
            if name.starts_with(NEW) && fs::File::open(&path).is_ok_and(|file| is_left(&file)) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn write(&self, to: &Path, body: Upload) -> io::Result<()> {
        let dir = to.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir)?;
        if self.next.load(Ordering::Relaxed) == 0 {
            Self::sweep(&self.dir);
            Self::sweep(&self.dir.join("nar"));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let new = dir.join(format!("{NEW}{}-{number}", std::process::id()));
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&new);
            let mut file = fs::File::create_new(&new)?;
            // It shows others that this process writes to it.
            let _ = flock(file.file(), FlockOperation::LockShared);
            match body {
                Upload::Text(text) => file.write_all(text.as_bytes())?,
                Upload::File { path, size, .. } => {
                    let copied = io::copy(&mut fs::File::open(path)?, &mut file)?;
                    if copied != size {
                        return Err(io::Error::other(format!(
                            "{copied} of {size} bytes were copied"
                        )));
                    }
                }
            }
            // Whoever reads the file after a crash of the machine must not find half of it.
            file.sync_all()?;
            fs::rename(&new, to)
        };
        write().inspect_err(|_| drop(fs::remove_file(&new)))
    }
}

impl BlobStore for DirectoryStore {
    fn name(&self) -> &str {
        &self.shown
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        let path = self.dir.join(path);
        match read_regular(&path, LONGEST_TEXT) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::output("read", &path, e)),
        }
    }

    fn has(&self, path: &str, size: Option<u64>) -> Result<bool> {
        let path = self.dir.join(path);
        match open_regular(&path).and_then(|file| file.metadata()) {
            Ok(meta) => Ok(is_whole(size, Some(meta.len()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::output("read", &path, e)),
        }
    }

    fn put(&self, path: &str, body: Upload) -> Result<()> {
        let to = self.dir.join(path);
        self.write(&to, body).map_err(|e| Error::output("write", &to, e))
    }

    fn list(&self) -> Result<Vec<StoredBlob>> {
        if !self.dir.is_dir() {
            return Err(Error::user(format!("there is no directory {}", self.shown))
                .with_cause(Cause::NoSuchFile));
        }
        let mut out = vec![];
        for (dir, prefix) in [(self.dir.clone(), ""), (self.dir.join("nar"), "nar/")] {
            Self::sweep(&dir);
            for name in crate::store::names(&dir)? {
                let path = dir.join(&name);
                let read = |e| Error::output("read", &path, e);
                let meta = fs::symlink_metadata(&path).map_err(read)?;
                if meta.is_file() && !name.starts_with(NEW) {
                    let modified = meta.modified().map_err(read)?;
                    let modified = jiff::Timestamp::try_from(modified).unwrap_or_default();
                    out.push(StoredBlob {
                        path: format!("{prefix}{name}"),
                        size: meta.len(),
                        modified,
                    });
                }
            }
        }
        Ok(out)
    }

    fn delete(&self, path: &str) -> Result<()> {
        let path = self.dir.join(path);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::output("delete", &path, e)),
            _ => Ok(()),
        }
    }
}

//! Staging: work in progress in a directory that belongs to one process and that is deleted when
//! its value is dropped. Directories that a killed process left behind are deleted by the next
//! process.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};

use super::Store;
use crate::error::{Error, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);
/// The staging directories of this process, so that they can be deleted if the process is
/// terminated during its work.
static MINE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn sweep_mine() {
    for dir in MINE.lock().map(|dirs| dirs.clone()).unwrap_or_default() {
        let _ = super::delete_tree(&dir);
        let _ = fs::remove_file(dir.with_extension("lock"));
    }
}

/// A directory for unfinished work.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    lock: PathBuf,
    _held: fs::File,
}

impl Staging {
    /// Creates a staging directory in the store.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn new(store: &Store) -> Result<Self> {
        let parent = store.part("staging")?;
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let lock = parent.join(format!("{name}.lock"));
            let held =
                match fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&lock) {
                    Ok(file) => file,
                    // A dead process with the same number left this directory behind.
                    Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                    Err(e) => return Err(Error::at("write", &lock, e)),
                };
            flock(held.file(), FlockOperation::LockExclusive)
                .map_err(|e| Error::at("lock", &lock, e.into()))?;
            let dir = parent.join(name);
            // Another process may have swept the file between its creation and its locking.
            if !lock.exists() {
                continue;
            }
            let staging = Staging { dir: dir.clone(), lock, _held: held };
            super::delete_tree(&dir).map_err(|e| Error::at("clear", &dir, e))?;
            super::owner::make_dir(&dir).map_err(|e| Error::at("make", &dir, e))?;
            if let Ok(mut mine) = MINE.lock() {
                mine.insert(dir);
            }
            crate::interrupt::before_end(sweep_mine);
            return Ok(staging);
        }
    }

    /// Returns the path of the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Deletes the directories that terminated processes left behind.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn sweep(store: &Store) -> Result<()> {
        sweep_downloads(&store.inputs())?;
        let parent = store.dir().join("staging");
        for name in super::names(&parent)? {
            let Some(stem) = name.strip_suffix(".lock") else {
                // A directory without a lock file: its owner died between two deletions.
                let lock = parent.join(format!("{name}.lock"));
                if !lock.exists() {
                    let _ = super::delete_tree(&parent.join(&name));
                }
                continue;
            };
            let lock = parent.join(&name);
            let Ok(file) = fs::OpenOptions::new().write(true).open(&lock) else { continue };
            let locked = flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_ok();
            // Another process may have swept it, and a new process may have created one with the
            // same name.
            let same = || {
                fs::metadata(&lock)
                    .is_ok_and(|there| file.metadata().is_ok_and(|held| there.ino() == held.ino()))
            };
            if locked && same() {
                let _ = super::delete_tree(&parent.join(stem));
                let _ = fs::remove_file(&lock);
            }
        }
        Ok(())
    }
}

/// Deletes the downloads without a known hash that terminated processes left behind. Nobody can go
/// on with them.
fn sweep_downloads(inputs: &Path) -> Result<()> {
    for name in super::names(inputs)?.iter().filter(|name| name.starts_with(".new-")) {
        let path = inputs.join(name);
        let Ok(file) = fs::File::open(&path) else { continue };
        if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Ok(mut mine) = MINE.lock() {
            mine.remove(&self.dir);
        }
        let _ = super::delete_tree(&self.dir);
        let _ = fs::remove_file(&self.lock);
    }
}

//! The downloads: inputs of trees, and what uv keeps of package indexes. All of it can be fetched
//! again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::Store;
use super::gc::young;
use crate::error::{Error, Result};

/// How long the directory of a download of pip is kept: longer than any download that is running.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Returns the directory in which uv keeps what indexes told it.
    pub fn uv_cache(&self) -> PathBuf {
        self.dir.join("cache").join("uv")
    }

    /// Deletes the inputs that are older than `keep` and that no process holds, or with `dry_run` only
    /// counts them. Returns their number and their size in bytes.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub fn delete_inputs(&self, keep: Duration, dry_run: bool) -> Result<(usize, u64)> {
        let mut out = (0, 0);
        let inputs = self.inputs();
        for name in super::names(&inputs)? {
            let path = inputs.join(&name);
            if path.is_dir() {
                if !young(&path, keep.max(A_DAY)) && !dry_run {
                    super::delete_tree(&path).map_err(|e| Error::at("remove", &path, e))?;
                }
                continue;
            }
            let Ok(file) = fs::File::open(&path) else { continue };
            if young(&path, keep)
                || flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err()
            {
                continue;
            }
            out.0 += 1;
            out.1 += file.metadata().map_or(0, |m| m.len());
            if !dry_run {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
            }
        }
        if !dry_run {
            self.delete_built(keep)?;
        }
        Ok(out)
    }

    /// Deletes what uv keeps, unless a process uses it. Returns its size in bytes, or nothing if it is
    /// in use. Source: uv locks the file `.lock` of its cache while it runs.
    ///
    /// # Errors
    /// If something cannot be deleted.
    pub fn delete_uv_cache(&self) -> Result<Option<u64>> {
        let dir = self.uv_cache();
        if !dir.exists() {
            return Ok(Some(0));
        }
        let lock = fs::File::open(dir.join(".lock")).ok();
        let held =
            |file: &fs::File| flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err();
        if lock.as_ref().is_some_and(held) {
            return Ok(None);
        }
        let size = size(&dir);
        super::delete_tree(&dir).map_err(|e| Error::at("remove", &dir, e))?;
        Ok(Some(size))
    }

    /// Returns the directories of what can be fetched or made again, each with its size in bytes: the inputs, what uv keeps, and packed trees.
    pub fn download_sizes(&self) -> [(PathBuf, u64); 3] {
        [self.inputs(), self.uv_cache(), self.packed()].map(|dir| {
            let size = size(&dir);
            (dir, size)
        })
    }
}

/// Returns the sum of the sizes of the files below a directory. What vanishes in the meantime does not
/// count, and symlinks are not followed.
fn size(dir: &Path) -> u64 {
    let mut sum = 0;
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            match fs::symlink_metadata(entry.path()) {
                Ok(meta) if meta.is_dir() => todo.push(entry.path()),
                Ok(meta) => sum += meta.len(),
                Err(_) => {}
            }
        }
    }
    sum
}

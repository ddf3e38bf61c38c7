//! What `cotter cache serve` keeps of trees that it packed, and what a push remembers of uploads that were interrupted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::gc::young;
use super::{Store, TreeLock, owner};
use crate::error::{Error, Result};
use crate::model::StoreName;

/// The directory of packed trees.
const PACKED: &str = "packed";

/// The directory of what is known of uploads.
const UPLOADS: &str = "uploads";

/// How long an upload is remembered.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Store {
    /// Returns the directory of packed trees.
    pub fn packed(&self) -> PathBuf {
        self.dir.join(PACKED)
    }

    /// Returns the directory of what is known of uploads, and creates it.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn uploads(&self) -> Result<PathBuf> {
        self.part(UPLOADS)
    }

    /// Forgets the uploads that nobody went on with for a week. Servers delete their parts by a rule of the bucket.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub(super) fn forget_uploads(&self) -> Result<()> {
        let dir = self.dir.join(UPLOADS);
        for name in super::names(&dir)? {
            let path = dir.join(name);
            if !young(&path, A_WEEK) {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Returns the text that belongs to a packed tree, such as its description, unless another user wrote it.
    pub fn packed_text(&self, file: &str) -> Option<String> {
        owner::read_own(&self.packed().join(file), self.owners()).ok()
    }

    /// Moves a finished file to the packed trees.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn keep_packed(&self, new: &Path, file: &str) -> Result<()> {
        let to = self.part(PACKED)?.join(file);
        fs::rename(new, &to).map_err(|e| Error::at("write", &to, e))
    }

    /// Opens a packed file.
    ///
    /// # Errors
    /// If it is no regular file, or cannot be opened.
    pub fn open_packed(&self, file: &str) -> std::io::Result<fs::File> {
        owner::open_plain(&self.packed().join(file))
    }

    /// Keeps `gc` from deleting a tree until the result is dropped. It is `None` if the store cannot be written, so that no `gc` runs, or if `gc` is just deleting it.
    pub fn hold(&self, name: &StoreName) -> Option<TreeLock> {
        let file = self.lock_file(name.as_str()).ok()?;
        flock(file.file(), FlockOperation::NonBlockingLockShared).ok()?;
        Some(TreeLock { _file: file })
    }

    /// Deletes what is packed of trees that `stays` does not keep, or with `dry_run` only counts it. Returns the number of files and their size in bytes. A server that
    /// is sending one of them goes on.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub fn delete_packed(
        &self,
        stays: &dyn Fn(&StoreName) -> bool,
        dry_run: bool,
    ) -> Result<(usize, u64)> {
        let mut out = (0, 0);
        for file in super::names(&self.packed())? {
            let path = self.packed().join(&file);
            let of_tree = tree_of(&file);
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if of_tree.is_some_and(|name| stays(&name)) {
                continue;
            }
            out.0 += 1;
            out.1 += meta.len();
            if !dry_run {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
            }
        }
        Ok(out)
    }
}

/// Returns the tree to which a packed file belongs.
fn tree_of(file: &str) -> Option<StoreName> {
    let stem = [".narinfo", ".ls"].iter().find_map(|end| file.strip_suffix(end));
    let stem = stem.or_else(|| Some(&file[..file.rfind(".nar")?]))?;
    stem.parse().ok()
}

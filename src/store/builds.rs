//! The results of builds that this machine has made, so that nothing is built twice although no lock
//! names its result yet. They are stored next to the trees.

use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;

use super::gc::young;
use super::{Staging, Store, owner};
use crate::error::{Error, Result};
use crate::model::{Built, Digest};

impl Store {
    fn build_path(&self, key: &Digest) -> PathBuf {
        self.dir.join("builds").join(key.hex())
    }

    /// Returns the result of the build with a key, or `None` if none was recorded by an owner of the
    /// store. Whether its bytes are still in the cache is another question.
    pub fn built(&self, key: &Digest) -> Option<Built> {
        let text = owner::read_own(&self.build_path(key), self.owners()).ok()?;
        let mut lines = text.lines();
        let file = lines.next()?.to_owned();
        Some(Built { file, size: lines.next()?.parse().ok()?, sha256: lines.next()?.parse().ok()? })
    }

    /// Records the result of a build.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn write_built(&self, key: &Digest, built: &Built) -> Result<()> {
        self.part("builds")?;
        let to = self.build_path(key);
        let staging = Staging::new(self)?;
        let new = staging.dir().join("built");
        let text = format!("{}\n{}\n{}\n", built.file, built.size, built.sha256.hex());
        owner::write_new(&new, text)
            .and_then(|()| fs::rename(&new, &to))
            .map_err(|e| Error::at("write", &to, e))
    }

    /// Deletes the records that are older than `keep`.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub(super) fn delete_built(&self, keep: Duration) -> Result<()> {
        let dir = self.dir.join("builds");
        for name in super::names(&dir)? {
            let path = dir.join(&name);
            if !young(&path, keep) {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
            }
        }
        Ok(())
    }
}

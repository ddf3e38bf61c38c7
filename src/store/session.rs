//! Small directories beside the trees that `exec` and `shell` put on PATH or hand to a shell. Each
//! is named by a hash of everything that it was made from, appears by a rename and never changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{
    FlockOperation, Mode, OFlags, Timespec, Timestamps, flock, fstat, futimens, open,
};

use super::Store;
use super::owner::{self, GUARDS, SESSIONS};
use crate::error::{Error, Result};

/// The time for which `gc` keeps a directory after its last use. A shell that only has it on its
/// PATH does not hold it.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A file of such a directory.
pub struct SessionFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

impl Store {
    /// Returns the directory `<part>/<key>` if an owner of the store made it, and marks it as used for as long as this
    /// process and those that it starts are alive.
    pub fn session(&self, part: &str, key: &str) -> Option<PathBuf> {
        let dir = self.dir().join(part).join(key);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let held = open(&dir, flags, Mode::empty()).ok()?;
        // Programs in it are started, so nobody else may have made it.
        if !self.owners().trust(fstat(&held).ok()?.st_uid) {
            return None;
        }
        // Others who may read the store can hold it for as long as they like.
        let _ = flock(&held, FlockOperation::NonBlockingLockShared);
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let _ = futimens(&held, &Timestamps { last_access: now, last_modification: now });
        // Like the marks of trees, it is left open on purpose.
        std::mem::forget(held);
        Some(dir)
    }

    /// Makes the directory `<part>/<key>` with `files`, unless another process was faster.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn add_session(&self, part: &str, key: &str, files: &[SessionFile]) -> Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let dir = self.part(part)?.join(key);
        // The next process deletes the new directory if this one is killed.
        let staging = super::Staging::new(self)?;
        let new = staging.dir().join("session");
        let foreign = |meta: std::fs::Metadata| !self.owners().trust(meta.uid());
        let fill = || {
            if fs::symlink_metadata(&dir).is_ok_and(foreign) {
                super::delete_tree(&dir)?;
            }
            owner::make_dir(&new)?;
            for file in files {
                let path = new.join(&file.name);
                owner::write_new(&path, &file.bytes)?;
                if file.executable {
                    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
                }
            }
            fs::rename(&new, &dir)
        };
        match fill() {
            Err(_) if fs::symlink_metadata(&dir).is_ok_and(|meta| meta.is_dir()) => Ok(()),
            Err(e) => Err(Error::at("write", &dir, e)),
            Ok(()) => Ok(()),
        }
    }

    /// Deletes the directories that no process holds and that nobody has used for a while.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub(super) fn clear_sessions(&self) -> Result<()> {
        for part in [GUARDS, SESSIONS] {
            let part = self.dir().join(part);
            for name in super::names(&part)? {
                let dir = part.join(name);
                if is_idle(&dir) {
                    super::delete_tree(&dir).map_err(|e| Error::at("remove", &dir, e))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether no process holds a directory and its last use is long ago.
fn is_idle(dir: &Path) -> bool {
    let used = fs::metadata(dir).and_then(|meta| meta.modified());
    let old = used.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT));
    let free = || {
        let file = open(dir, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()
    };
    old && free().is_some()
}

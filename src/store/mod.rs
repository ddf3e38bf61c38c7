//! The store: immutable trees under the names that Nix gives to their content. There is no
//! database: the directory is the only record.
//!
//! Layout below the store's directory:
//!
//! | path | content |
//! |---|---|
//! | `store/<name>` | finished trees; a tree appears by a rename and never changes |
//! | `links/<sha256>[-x]` | one file for each content in the trees, hard-linked into them |
//! | `listings/<name>` | names and sizes of a tree, for the quick `verify`; can be derived again |
//! | `narinfos/<name>.narinfo` | what a cache says of a path of a Nix store that is in `store` |
//! | `nix/<hash>` | the stores, the settings and the roots of the evaluator of Nix for a project; may be deleted |
//! | `facts/<name>.json` | what the recipe knows about a tree; can be derived again |
//! | `inputs/<sha256>` | downloads; unfinished ones end in `.part` |
//! | `staging/<pid>-<n>` | work in progress, locked by its process |
//! | `logs/<name>.log.zst` | what the last build of a name has printed |
//! | `failed/<name>` | what a build that failed has left, if the user wants it |
//! | `roots/<hash>` | the trees that each project uses |
//! | `packed/<name>.*` | trees as `cache serve` sends them; can be made again |
//! | `uploads/<hash>` | the identity of an upload to a bucket that is not complete |
//! | `guards/<hash>`, `sessions/<hash>` | what `exec` and `shell` put on PATH or hand to a shell |
//! | `locks/<name>`, `locks/<name>.compose` | held while a tree is used, or composed |
//! | `locks/roots` | held while the roots are changed |
//! | `locks/closures` | held while paths of a Nix store are put together |

mod builds;
mod commit;
mod composer;
pub mod copies;
mod downloads;
mod evaluations;
mod facts;
mod gc;
mod listing;
mod logs;
mod owner;
mod packed;
mod roots;
mod session;
mod staging;
mod substituted;
mod taken;
mod verify;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, OFlags, flock};

pub use commit::Commit;
pub use composer::{PAUSE, Waiting};
pub use evaluations::{delete_hostile, use_evaluations};
pub use gc::GcOptions;
pub use listing::Listing;
pub use owner::{GUARDS, SESSIONS};
pub use roots::{Root, RootTree, Stamp};
pub use session::SessionFile;
pub use staging::Staging;
pub use verify::{Damage, dump, hash_tree};

use crate::error::{Error, Result};
use crate::model::StoreName;

/// A store in a directory.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// Holds the lock of a tree until the value is dropped.
#[derive(Debug)]
pub struct TreeLock {
    _file: fs::File,
}

impl Store {
    /// Returns the store below `dir`. Nothing is created yet.
    pub fn at(dir: PathBuf) -> Self {
        Store { dir }
    }

    /// Returns the directory of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of a tree, whether the tree exists or not.
    pub fn path(&self, name: &StoreName) -> PathBuf {
        self.dir.join("store").join(name.as_str())
    }

    /// Whether a tree exists.
    pub fn has(&self, name: &StoreName) -> bool {
        rustix::fs::access(self.path(name), rustix::fs::Access::EXISTS).is_ok()
    }

    /// Whether this process may write to the store, or create it. A store that is not writable can
    /// still be read.
    pub fn is_writable(&self) -> bool {
        let may = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK);
        match may(&self.dir) {
            Ok(()) => !matches!(
                may(&self.dir.join("roots")),
                Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS)
            ),
            Err(e) => e == rustix::io::Errno::NOENT,
        }
    }

    /// Returns the directory of the downloads.
    pub fn inputs(&self) -> PathBuf {
        self.dir.join("inputs")
    }

    /// Returns the existing trees, sorted.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn trees(&self) -> Result<Vec<StoreName>> {
        let dir = self.dir.join("store");
        let mut out = vec![];
        for name in names(&dir)? {
            if let Ok(name) = name.parse() {
                out.push(name);
            }
        }
        out.sort_by(|a: &StoreName, b| a.as_str().cmp(b.as_str()));
        Ok(out)
    }

    /// Creates a directory of the layout.
    ///
    /// # Errors
    /// If it cannot be created: a read-only store, no permission, or a full disk.
    pub(crate) fn part(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        // Whatever the umask is, only this user may write there.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&dir)
            .map_err(|e| Error::at("make the store directory", &dir, e))?;
        Ok(dir)
    }

    /// Opens the file whose lock shows that a tree is in use. Everybody who may use the tree may
    /// lock it.
    fn lock_file(&self, name: &str) -> Result<fs::File> {
        let path = self.part("locks")?.join(name);
        fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|e| Error::at("write", &path, e))
    }

    /// Opens a file whose lock is for those alone who may write to the store: whoever may read a
    /// file can lock it, and keep others waiting.
    fn private_lock_file(&self, name: &str) -> Result<fs::File> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let dir = self.part("locks")?;
        let path = dir.join(name);
        let at = |e| Error::at("write", &path, e);
        let owner = fs::metadata(&dir).map_err(at)?;
        // A group that maintains the store may write to its directories.
        let mode = 0o600 | if owner.mode() & 0o020 == 0 { 0 } else { 0o060 };
        let mut options = fs::OpenOptions::new();
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        options.write(true).read(true).mode(mode).custom_flags(flags);
        match options.clone().create_new(true).open(&path) {
            Ok(file) => {
                // Of root, in a store of another user: its owner must be able to open it, too.
                if rustix::process::geteuid().is_root() && owner.uid() != 0 {
                    fchown(file.file(), Some(owner.uid()), None).map_err(at)?;
                }
                file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(at)?;
                return Ok(file);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(at(e)),
        }
        let file = options.open(&path).map_err(at)?;
        // An older version of this program let everybody read it.
        let meta = file.metadata().map_err(at)?;
        let is_own = meta.uid() == rustix::process::geteuid().as_raw() && meta.nlink() == 1;
        if is_own && meta.mode() & 0o777 != mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(at)?;
        }
        Ok(file)
    }

    /// Prevents other processes from composing the tree `name`. Returns `None` if another one is
    /// composing it now.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn try_lock_to_compose(&self, name: &StoreName) -> Result<Option<TreeLock>> {
        let file = self.private_lock_file(&format!("{name}.compose"))?;
        match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                composer::note(&file);
                Ok(Some(TreeLock { _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(Error::io("can't lock the store", e.into())),
        }
    }

    /// Waits until no other process composes the tree `name`, and prevents others from composing
    /// it. If that takes a moment, `tell` gets a sentence about the process that is waited for.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn lock_to_compose(&self, name: &StoreName, tell: &dyn Fn(&str)) -> Result<TreeLock> {
        let mut waiting = Waiting::default();
        loop {
            if let Some(lock) = self.try_lock_to_compose(name)? {
                return Ok(lock);
            }
            if waiting.is_long() {
                tell(&self.composer(name));
            }
            crate::interrupt::sleep(PAUSE)?;
        }
    }

    /// Returns a sentence about the process that composes the tree `name`.
    pub fn composer(&self, name: &StoreName) -> String {
        composer::sentence(&self.dir.join("locks").join(format!("{name}.compose")), name)
    }

    /// Marks a tree as used for as long as this process, and the processes that inherit the mark,
    /// are alive: `gc` does not delete it. Failures are ignored, because no `gc` can run on a store
    /// that cannot be written. If another process keeps this one waiting, `tell` gets a sentence
    /// about it.
    pub fn mark_used(&self, name: &StoreName, tell: &dyn Fn(&str)) {
        let path = self.dir.join("locks").join(name.as_str());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        let open = || rustix::fs::open(&path, flags, rustix::fs::Mode::empty());
        let file = match open() {
            Ok(fd) => fd,
            Err(_) => match self.lock_file(name.as_str()).map(drop).ok().and_then(|()| open().ok())
            {
                Some(fd) => fd,
                None => return,
            },
        };
        // This waits for a `gc` that is just deleting the tree, which takes only a moment. Others who
        // may read the store can hold the lock for as long as they like.
        let mut waiting = Waiting::default();
        while flock(&file, FlockOperation::NonBlockingLockShared)
            == Err(rustix::io::Errno::WOULDBLOCK)
        {
            if waiting.is_long() {
                tell(&format!("waiting for {name}: {}", composer::holder(&path)));
            }
            if waiting.is_too_long() || crate::interrupt::sleep(PAUSE).is_err() {
                return;
            }
        }
        // The file is left open and is not closed on exec: the lock lives as long as the last of
        // the programs that were started.
        std::mem::forget(file);
    }
}

/// Returns the names in a directory. The result is empty if the directory does not exist.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(Error::at("read", dir, e)),
    };
    let mut out = vec![];
    for entry in entries {
        let entry = entry.map_err(|e| Error::at("read", dir, e))?;
        if let Ok(name) = entry.file_name().into_string() {
            out.push(name);
        }
    }
    Ok(out)
}

/// Deletes a tree whose directories may be read-only.
pub(crate) fn delete_tree(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !meta.is_dir() {
        return fs::remove_file(path);
    }
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            delete_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(path)
}

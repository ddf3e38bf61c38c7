//! Writes a tree from memory into the store.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender};

use fs_err as fs;
use rustix::fs::{AtFlags, CWD, utimensat};

use super::{Listing, Staging, Store};
use crate::error::{Error, Result};
use crate::model::{Digest, Hasher, MemberPath, StoreName};
use crate::nix::nar::NarWriter;
use crate::nix::store_path;
use crate::tree::{Blob, MTIME, Step, Tree, steps};

/// A tree that is laid out in the staging directory, with its identity.
pub struct Commit<'a> {
    store: &'a Store,
    root: PathBuf,
    listing: Listing,
    /// The links that this tree added to the store. They are removed again if the tree is not
    /// published.
    new_links: Vec<PathBuf>,
    published: bool,
    /// The SHA-256 hash of its NAR.
    pub nar_hash: Digest,
    /// The length of its NAR in bytes.
    pub nar_size: u64,
}

impl<'a> Commit<'a> {
    /// Lays `tree` out below `staging` and hashes the files that are then on the disk. With
    /// `hard_links`, contents that the store already has are linked from there, and new contents
    /// are added. `expected` is the hash that the result must have: if it differs because a file of
    /// the store's links is damaged, the tree is laid out again without the links.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn stage(
        store: &'a Store,
        staging: &Staging,
        tree: &Tree,
        hard_links: bool,
        expected: Option<&Digest>,
    ) -> Result<Self> {
        tree.check_shape()?;
        let links = match (hard_links, expected) {
            (false, _) => Links::Off,
            (true, Some(_)) => Links::Trusted,
            (true, None) => Links::Checked,
        };
        match Self::stage_once(store, &staging.dir().join("tree"), tree, links) {
            Ok(commit) if links != Links::Trusted || expected == Some(&commit.nar_hash) => {
                Ok(commit)
            }
            Err(e)
                if links != Links::Trusted || e.kind() == crate::error::ErrorKind::Interrupted =>
            {
                Err(e)
            }
            _ => Self::stage_once(store, &staging.dir().join("again"), tree, Links::Off),
        }
    }

    fn stage_once(store: &'a Store, root: &Path, tree: &Tree, links: Links) -> Result<Self> {
        let links = if links == Links::Off {
            None
        } else {
            Some((store.part("links")?, links == Links::Checked))
        };
        fs::create_dir(root).map_err(staged)?;
        let steps = steps(tree);
        // One thread lays the files out and reads each of them back, the other hashes. A NAR is one
        // serial stream, so no more of the work can be divided.
        let (laid, following) = std::sync::mpsc::sync_channel(CHUNKS_AHEAD);
        let (used, free) = std::sync::mpsc::channel();
        let (placed, hashed) = std::thread::scope(|scope| {
            let placing = scope.spawn(|| {
                let laid = Laid { to: laid, free };
                crate::fault::caught(|| lay_out(root, &steps, links, laid))
            });
            let hashed = hash(&steps, &following, &used);
            drop(following);
            (placing.join().expect("its panics are caught"), hashed)
        });
        let new_links = placed?;
        let mut commit = Commit {
            store,
            root: root.to_owned(),
            listing: Listing::default(),
            new_links,
            published: false,
            nar_hash: Digest::of(b""),
            nar_size: 0,
        };
        (commit.nar_hash, commit.nar_size) = hashed?;
        for step in &steps {
            match step {
                Step::Directory(path) => commit.listing.directory(path),
                Step::Symlink(path, target) => commit.listing.symlink(path, target),
                Step::File(path, blob, executable) => {
                    commit.listing.file(path, blob.size(), *executable)
                }
                Step::End => {}
            }
        }
        Ok(commit)
    }

    /// Returns the store name of the tree for the name `name`.
    ///
    /// # Errors
    /// If a store name must not contain `name`.
    pub fn store_name(&self, name: &str) -> Result<StoreName> {
        store_path::of_tree(&self.nar_hash, name).map_err(|why| {
            Error::user(format!("{name:?} can't be a name in the store")).because(why)
        })
    }

    /// Renames the tree into the store. If the tree already exists there, nothing changes.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn publish(mut self, name: &StoreName) -> Result<()> {
        self.published = true;
        let dir = self.store.part("store")?;
        let to = dir.join(name.as_str());
        self.listing.write(self.store, name, &self.root.with_file_name("listing"))?;
        match fs::rename(&self.root, &to) {
            Ok(()) => {}
            // Another process was faster, and a directory that is not empty cannot be replaced.
            Err(_) if self.store.has(name) => return Ok(()),
            Err(e) => return Err(Error::at("move the finished tree to", &to, e)),
        }
        // This must come last: a directory without write permission cannot be moved to another
        // parent.
        fs::set_permissions(&to, std::fs::Permissions::from_mode(0o555))
            .map_err(|e| Error::at("protect", &to, e))?;
        let _ = utimensat(CWD, &to, &MTIME, AtFlags::empty());
        Ok(())
    }
}

/// How the links of the store are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// They are not used.
    Off,
    /// They are used without reading them: the hash of the tree is known and reveals a damaged
    /// link.
    Trusted,
    /// They are used after a check of their content: the hash of the tree is still to be
    /// determined, and must not include damaged content.
    Checked,
}

/// Returns the digest of a file, if it can be read.
fn file_digest(path: &Path) -> Option<Digest> {
    let mut hasher = Hasher::default();
    std::io::copy(&mut std::fs::File::open(path).ok()?, &mut hasher).ok()?;
    Some(hasher.finish())
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if !self.published {
            for link in &self.new_links {
                let _ = std::fs::remove_file(link);
            }
        }
    }
}

fn staged(e: std::io::Error) -> Error {
    Error::io("can't write to the staging directory", e)
}

/// The number of bytes of a file that are passed on at a time, and the number of such pieces that
/// may wait to be hashed: 1 MiB in all.
const CHUNK: usize = 128 << 10;
const CHUNKS_AHEAD: usize = 8;

/// A buffer, and the number of its bytes that belong to a file. A piece without bytes marks the end
/// of the file.
type Piece = (Box<[u8]>, usize);

/// Receives the contents of files as they are on the disk.
struct Laid {
    to: SyncSender<Piece>,
    /// Buffers whose bytes have been hashed and that can be reused.
    free: Receiver<Box<[u8]>>,
}

impl Laid {
    /// Reads a file back and passes its content on.
    fn file(&self, path: &Path) -> std::io::Result<()> {
        let mut file = fs::File::open(path)?;
        loop {
            let mut buffer =
                self.free.try_recv().unwrap_or_else(|_| vec![0; CHUNK].into_boxed_slice());
            let n = file.read(&mut buffer)?;
            // If nobody receives the piece, hashing has failed, and the hashing thread reports the
            // reason.
            if self.to.send((buffer, n)).is_err() || n == 0 {
                return Ok(());
            }
        }
    }
}

/// Creates the tree below `root` and passes on the content that its files then have. Returns the
/// links that were added to the store.
fn lay_out(
    root: &Path,
    steps: &[Step],
    links: Option<(PathBuf, bool)>,
    laid: Laid,
) -> Result<Vec<PathBuf>> {
    let mut placed = Placed { dir: links, added: vec![] };
    let mut work = || -> Result<()> {
        for step in steps {
            crate::interrupt::check()?;
            match step {
                Step::Directory(path) => {
                    fs::create_dir(root.join(path.as_str())).map_err(staged)?
                }
                Step::End => {}
                Step::Symlink(path, target) => {
                    let to = root.join(path.as_str());
                    std::os::unix::fs::symlink(target, &to).map_err(staged)?;
                    let _ = utimensat(CWD, &to, &MTIME, AtFlags::SYMLINK_NOFOLLOW);
                }
                Step::File(path, blob, executable) => {
                    placed.place(blob, *executable, path, root).map_err(staged)?;
                    laid.file(&root.join(path.as_str()))
                        .map_err(|e| Error::io("can't read back a staged file", e))?;
                }
            }
        }
        // Proceed from the deepest directory upwards, because a read-only directory accepts no more
        // members.
        for step in steps.iter().rev() {
            if let Step::Directory(path) = step {
                let path = root.join(path.as_str());
                fs::set_permissions(&path, std::fs::Permissions::from_mode(0o555))
                    .map_err(staged)?;
                utimensat(CWD, &path, &MTIME, AtFlags::empty()).map_err(|e| staged(e.into()))?;
            }
        }
        utimensat(CWD, root, &MTIME, AtFlags::empty()).map_err(|e| staged(e.into()))
    };
    match work() {
        Ok(()) => Ok(placed.added),
        Err(e) => {
            placed.added.iter().for_each(|link| drop(std::fs::remove_file(link)));
            Err(e)
        }
    }
}

/// Hashes the NAR of a tree whose file contents arrive while the files are laid out.
fn hash(steps: &[Step], laid: &Receiver<Piece>, used: &Sender<Box<[u8]>>) -> Result<(Digest, u64)> {
    let failed = |e| Error::io("can't hash the tree", e);
    let mut nar = NarWriter::new(Hasher::default()).expect("hashing does not fail");
    nar.begin_directory().map_err(failed)?;
    for step in steps {
        match step {
            Step::Directory(path) => {
                nar.begin_entry(path.file_name()).and_then(|()| nar.begin_directory())
            }
            Step::End => nar.end_directory().and_then(|()| nar.end_entry()),
            Step::Symlink(path, target) => nar
                .begin_entry(path.file_name())
                .and_then(|()| nar.symlink(target))
                .and_then(|()| nar.end_entry()),
            Step::File(path, blob, executable) => (|| {
                nar.begin_entry(path.file_name())?;
                nar.begin_file(*executable, blob.size())?;
                let mut size = 0;
                loop {
                    // The other thread has failed and reports the reason.
                    let (buffer, n) = laid.recv().map_err(std::io::Error::other)?;
                    size += n as u64;
                    nar.content(&buffer[..n])?;
                    let _ = used.send(buffer);
                    if n == 0 {
                        break;
                    }
                }
                nar.end_file(blob.size())?;
                if size != blob.size() {
                    // A linked file that has grown or shrunk: make sure that the hash does not
                    // match.
                    nar.symlink("damaged")?;
                }
                nar.end_entry()
            })(),
        }
        .map_err(failed)?;
    }
    nar.end_directory().map_err(failed)?;
    let hasher = nar.into_inner();
    let size = hasher.len();
    Ok((hasher.finish(), size))
}

/// How the files of a tree are put in their places.
struct Placed {
    /// The directory of the links, and whether their content is checked.
    dir: Option<(PathBuf, bool)>,
    added: Vec<PathBuf>,
}

impl Placed {
    /// Puts a blob at `path` below `root` with its final mode and time: either as a link to a file
    /// that the store has, or as a new file that is also added to the store's links.
    fn place(
        &mut self,
        blob: &Blob,
        executable: bool,
        path: &MemberPath,
        root: &Path,
    ) -> std::io::Result<()> {
        let to = root.join(path.as_str());
        let link = self.dir.as_ref().map(|(dir, _)| {
            dir.join(if executable { format!("{}-x", blob.sha256()) } else { blob.sha256().hex() })
        });
        if let Some(link) = &link {
            if matches!(self.dir, Some((_, true)))
                && file_digest(link).is_some_and(|d| d != *blob.sha256())
            {
                let _ = std::fs::remove_file(link);
            }
            match std::fs::hard_link(link, &to) {
                Ok(()) => return Ok(()),
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::TooManyLinks
                    ) => {}
                Err(e) => return Err(e),
            }
        }
        // A staged file already has its final mode and time. It may be needed again, by a hard link
        // of the archive or if the tree is laid out again. In that case it is copied, because
        // without links each place has a file of its own, and a file with the executable bit
        // differs from a file without it.
        if blob.take_place() && std::fs::hard_link(blob.path(), &to).is_ok() {
            if executable {
                fs::set_permissions(&to, std::fs::Permissions::from_mode(0o555))?;
            }
        } else if link.is_some()
            && blob.is_stored(executable)
            && std::fs::hard_link(blob.path(), &to).is_ok()
        {
            // A path of a Nix store and the tree that was made of it share their files.
        } else {
            fs::copy(blob.path(), &to)?;
            seal(&to, executable)?;
        }
        // The link only saves space, so a failure does no harm. If another thread or process was
        // faster, its file takes the place; what it contains is hashed in this tree, too.
        let Some(link) = link else { return Ok(()) };
        match std::fs::hard_link(&to, &link) {
            Ok(()) => self.added.push(link),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let beside = root.with_file_name("link");
                if std::fs::hard_link(&link, &beside).is_ok() {
                    fs::rename(&beside, &to)?;
                }
            }
            Err(_) => {}
        }
        Ok(())
    }
}

/// Gives a copied file its final mode and time.
fn seal(path: &Path, executable: bool) -> std::io::Result<()> {
    fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }),
    )?;
    utimensat(CWD, path, &MTIME, AtFlags::empty())?;
    Ok(())
}

//! Objects of the substituted identity: paths of a Nix store under their own names, with the bytes,
//! modes and times that Nix gives them. Their names do not follow from their content. Beside each
//! stands what its cache says of it, in the format of a binary cache: `narinfos/<name>.narinfo`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, fchmod, flock, futimens, utimensat};

use super::{Listing, Staging, Store, listing, owner};
use crate::error::{Cause, Error, Measure, Result, from_io};
use crate::model::{Digest, HashingReader, StoreName};
use crate::nix::nar::{self, NarError, NarVisitor};
use crate::nix::narinfo::PathInfo;
use crate::nix::store_path;
use crate::tree::MTIME;

/// The lock that is held while paths are put together that nothing refers to yet.
const CLOSURES: &str = "closures";

/// The least number of zeros for which a file gets a hole.
const HOLE: usize = 64 << 10;

impl Store {
    fn info_path(&self, name: &StoreName) -> PathBuf {
        self.dir.join("narinfos").join(format!("{name}.narinfo"))
    }

    /// Returns what is known of a path, if it is an object of the substituted identity and an owner
    /// of the store wrote this.
    pub fn info(&self, name: &StoreName) -> Option<PathInfo> {
        let text = owner::read_own(&self.info_path(name), self.owners()).ok()?;
        PathInfo::parse(&text).ok().filter(|info| info.path == *name)
    }

    /// Returns the path `top` and all to which it refers, in the order of their names, and of those
    /// that are not in the store, the first.
    pub fn closure(&self, top: &StoreName) -> (Vec<StoreName>, Option<StoreName>) {
        let mut found = BTreeSet::new();
        let (mut todo, mut missing) = (vec![top.clone()], None);
        while let Some(name) = todo.pop() {
            if !found.insert(name.clone()) {
                continue;
            }
            match self.info(&name).filter(|_| self.has(&name)) {
                Some(info) => todo.extend(info.references),
                None => drop(missing.get_or_insert(name)),
            }
        }
        (found.into_iter().collect(), missing)
    }

    /// Keeps `gc` from deleting paths of a Nix store for as long as this process and the processes
    /// that inherit the mark are alive: each is there before what refers to it.
    pub fn hold_closures(&self) {
        let Ok(file) = self.lock_file(CLOSURES) else { return };
        let _ = flock(file.file(), FlockOperation::LockShared);
        std::mem::forget(file);
    }

    /// Whether another process holds the paths.
    pub(super) fn holds_closures(&self) -> bool {
        let path = self.dir.join("locks").join(CLOSURES);
        let Ok(file) = fs::File::open(path) else { return false };
        flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err()
    }

    /// Forgets what is known of a path that was deleted.
    pub(super) fn forget(&self, name: &StoreName) {
        let _ = fs::remove_file(self.info_path(name));
    }

    /// Puts a path into the store in one pass: its NAR is read, hashed and laid out at once. The
    /// path appears when all its bytes have turned out to be those of `info`.
    ///
    /// # Errors
    /// If the bytes are others, or no canonical NAR, or if the store cannot be written.
    pub fn substitute(&self, info: &PathInfo, nar: &mut dyn Read) -> Result<()> {
        let full = store_path::full(&info.path);
        let staging = Staging::new(self)?;
        let root = staging.dir().join("tree");
        let mut laid = LayOut::below(&root);
        let cut = Cut { inner: nar, left: info.nar_size, size: info.nar_size, path: &full };
        let mut hashed = HashingReader::new(cut);
        nar::read(&mut hashed, &mut laid).map_err(|e| match e {
            NarError::Refused { .. } => {
                Error::verification(format!("the NAR of {full} is refused"))
                    .because(e.to_string())
                    .with_cause(Cause::HostileArchive)
            }
            NarError::Read(e) => crate::tree::archive_error(e),
            NarError::Visitor(e) => from_io("can't write to the staging directory", e),
        })?;
        let (size, hash) = hashed.finish().map_err(crate::tree::archive_error)?;
        check(info, &full, size, &hash)?;
        let listing = std::mem::take(&mut laid.listing);
        self.publish_substituted(info, &root, &listing)
    }

    pub(super) fn publish_substituted(
        &self,
        info: &PathInfo,
        root: &Path,
        listing: &Listing,
    ) -> Result<()> {
        let name = &info.path;
        listing.write(self, name, &root.with_file_name("listing"))?;
        self.part("narinfos")?;
        let (new, to) = (root.with_file_name("narinfo"), self.info_path(name));
        owner::write_new(&new, info.render())
            .and_then(|()| fs::rename(&new, &to))
            .map_err(|e| Error::at("write", &to, e))?;
        let to = self.part("store")?.join(name.as_str());
        match fs::rename(root, &to) {
            Ok(()) => {}
            // Another process was faster.
            Err(_) if self.has(name) => return Ok(()),
            Err(e) => return Err(Error::at("move the finished path to", &to, e)),
        }
        let meta = fs::symlink_metadata(&to).map_err(|e| Error::at("read", &to, e))?;
        if meta.is_dir() {
            // A directory without write permission cannot be moved to another parent.
            fs::set_permissions(&to, std::fs::Permissions::from_mode(0o555))
                .map_err(|e| Error::at("protect", &to, e))?;
            let _ = utimensat(CWD, &to, &MTIME, AtFlags::empty());
        }
        Ok(())
    }
}

/// Compares what was read with what was to be read.
pub(super) fn check(info: &PathInfo, full: &str, size: u64, hash: &Digest) -> Result<()> {
    let other = || Error::verification(format!("the NAR of {full} is another"));
    if size != info.nar_size {
        let (expected, got) = (info.nar_size.to_string(), size.to_string());
        return Err(other().because_of(Cause::Mismatch { what: Measure::Size, expected, got }));
    }
    if *hash != info.nar_hash {
        let (expected, got) = (info.nar_hash.hex(), hash.hex());
        return Err(other().because_of(Cause::Mismatch { what: Measure::Sha256, expected, got }));
    }
    Ok(())
}

/// A reader that fails when more bytes than a NAR has are read: a cache may send a bomb.
struct Cut<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    size: u64,
    path: &'a str,
}

impl Read for Cut<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(buf.len());
        let most = most.min(buf.len());
        let n = self.inner.read(&mut buf[..most])?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            let (expected, got) = (self.size.to_string(), "more".to_owned());
            Error::verification(format!("the NAR of {} unfolds to more than it should", self.path))
                .because_of(Cause::Mismatch { what: Measure::Size, expected, got })
        })?;
        Ok(n)
    }
}

/// Creates what a NAR holds.
struct LayOut {
    /// The path of the node that comes next.
    at: PathBuf,
    /// The length of the path of the root.
    root: usize,
    file: Option<Growing>,
    listing: Listing,
}

/// A file that is being written.
struct Growing {
    file: fs::File,
    executable: bool,
    written: u64,
    /// Whether its end is a hole.
    hole: bool,
}

impl LayOut {
    fn below(root: &Path) -> Self {
        LayOut {
            at: root.to_owned(),
            root: root.as_os_str().len(),
            file: None,
            listing: Listing::default(),
        }
    }

    /// Lists the present node.
    fn list(&mut self, entry: String) {
        let path = &self.at.as_os_str().as_bytes()[self.root..];
        let path = path.strip_prefix(b"/").unwrap_or(path).to_owned();
        self.listing.add(&path, entry);
    }

    fn is_root(&self) -> bool {
        self.at.as_os_str().len() == self.root
    }
}

impl NarVisitor for LayOut {
    fn begin_directory(&mut self) -> io::Result<()> {
        if !self.is_root() {
            self.list("d".to_owned());
        }
        fs::create_dir(&self.at)
    }

    fn end_directory(&mut self) -> io::Result<()> {
        if !self.is_root() {
            fs::set_permissions(&self.at, std::fs::Permissions::from_mode(0o555))?;
            utimensat(CWD, &self.at, &MTIME, AtFlags::empty())?;
        }
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        crate::interrupt::check()?;
        self.at.push(OsStr::from_bytes(name));
        Ok(())
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.at.pop();
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.list(listing::link(target));
        std::os::unix::fs::symlink(OsStr::from_bytes(target), &self.at)?;
        let _ = utimensat(CWD, &self.at, &MTIME, AtFlags::SYMLINK_NOFOLLOW);
        Ok(())
    }

    fn begin_file(&mut self, executable: bool, size: u64) -> io::Result<()> {
        self.list(listing::file(executable, size));
        let file = fs::File::create_new(&self.at)?;
        self.file = Some(Growing { file, executable, written: 0, hole: false });
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let growing = self.file.as_mut().expect("content belongs to a file");
        growing.hole = bytes.len() >= HOLE && bytes.iter().all(|byte| *byte == 0);
        if !growing.hole {
            growing.file.file().write_all_at(bytes, growing.written)?;
        }
        growing.written += bytes.len() as u64;
        Ok(())
    }

    fn end_file(&mut self, size: u64) -> io::Result<()> {
        crate::interrupt::check()?;
        let Growing { file, executable, hole, .. } = self.file.take().expect("it has begun");
        if hole {
            file.set_len(size)?;
        }
        fchmod(file.file(), Mode::from_raw_mode(if executable { 0o555 } else { 0o444 }))?;
        futimens(file.file(), &MTIME)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::nar::NarWriter;

    /// The hash of a name does not bind the rest of it, and a cache may say anything of both.
    #[test]
    fn paths_with_one_hash_have_a_description_each() {
        let dir = std::env::temp_dir().join(format!("cotter-one-hash-{}", std::process::id()));
        let store = Store::at(dir.clone());
        let put = |name: &str, content: &[u8]| {
            let mut nar = NarWriter::new(vec![]).unwrap();
            nar.file(false, content.len() as u64, &mut &content[..], &mut [0; 64]).unwrap();
            let bytes = nar.into_inner();
            let info = PathInfo {
                path: store_path::parse(&format!("/nix/store/{}-{name}", "0".repeat(32))).unwrap(),
                nar_hash: Digest::of(&bytes),
                nar_size: bytes.len() as u64,
                references: vec![],
                deriver: None,
                signatures: vec![],
                ca: None,
            };
            store.substitute(&info, &mut &bytes[..]).unwrap();
            info
        };
        let (honest, other) = (put("honest-1", b"one"), put("other-1", b"two"));
        for info in [honest, other] {
            assert_eq!(store.info(&info.path), Some(info.clone()));
            assert_eq!(store.verify(&info.path, true).unwrap(), []);
        }
        crate::store::delete_tree(&dir).unwrap();
    }
}

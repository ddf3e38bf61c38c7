//! Paths that lie in a store of Nix on this machine, and are taken over as they are. Their files are linked if nobody can change them who could not change this
//! store, and copied otherwise.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use fs_err as fs;
use rustix::fs::{AtFlags, CWD, utimensat};

use super::owner::{self, StoreOwners};
use super::substituted::check;
use super::{Listing, Staging, Store, hash_tree};
use crate::error::{Error, Result, from_io};
use crate::nix::narinfo::PathInfo;
use crate::nix::store_path;
use crate::tree::MTIME;

/// The modes of files in a store of Nix, and here.
const MODES: [u32; 2] = [0o444, 0o555];

impl Store {
    /// Puts the path that lies at `from` into the store. It appears when what is then in its place has turned out to be what `info` says.
    ///
    /// # Errors
    /// If it is something else, or cannot be read, or if the store cannot be written.
    pub fn take(&self, info: &PathInfo, from: &Path) -> Result<()> {
        let full = store_path::full(&info.path);
        let staging = Staging::new(self)?;
        let root = staging.dir().join("tree");
        let failed = |e| from_io(format!("can't take {full} over"), e);
        place(from, &root, true, self.owners()).map_err(failed)?;
        let (hash, size) = hash_tree(&root).map_err(failed)?;
        check(info, &full, size, &hash)?;
        let listing = Listing::of(&root).map_err(failed)?;
        self.publish_substituted(info, &root, &listing)
    }
}

/// Puts what is at `from` at `to`. The root is protected when it is in its last place.
fn place(from: &Path, to: &Path, is_root: bool, owners: StoreOwners) -> io::Result<()> {
    crate::interrupt::check()?;
    let meta = fs::symlink_metadata(from)?;
    if meta.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        let _ = utimensat(CWD, to, &MTIME, AtFlags::SYMLINK_NOFOLLOW);
        return Ok(());
    }
    if meta.is_file() {
        return if is_linked(from, to, owners)? { Ok(()) } else { copy(from, to) };
    }
    if !meta.is_dir() {
        return Err(Error::verification(format!(
            "{} is a device, a pipe or a socket",
            from.display()
        ))
        .because("expected a file, a directory or a symlink, which is all that a store of Nix has")
        .into());
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        place(&from.join(&name), &to.join(&name), false, owners)?;
    }
    if !is_root {
        fs::set_permissions(to, std::fs::Permissions::from_mode(0o555))?;
        utimensat(CWD, to, &MTIME, AtFlags::empty())?;
    }
    Ok(())
}

/// Links a file, if the file system can and if only the owners of this store can change it. The link is judged, not the name, which may be given to another file.
fn is_linked(from: &Path, to: &Path, owners: StoreOwners) -> io::Result<bool> {
    if std::fs::hard_link(from, to).is_err() {
        return Ok(false);
    }
    let meta = fs::symlink_metadata(to)?;
    let is_safe = meta.is_file()
        && owners.trust(meta.uid())
        && MODES.contains(&(meta.permissions().mode() & 0o7777))
        && (meta.mtime(), meta.mtime_nsec()) == (MTIME.last_modification.tv_sec, 0);
    if !is_safe {
        fs::remove_file(to)?;
    }
    Ok(is_safe)
}

/// Copies a file. The copy shares its blocks with the file where the file system allows that.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let source = owner::open_plain(from)?;
    let executable = source.metadata()?.permissions().mode() & 0o111 != 0;
    let target = fs::File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(target.file(), source.file()).is_err() {
        io::copy(&mut source.file(), &mut target.file())?;
    }
    target.set_permissions(std::fs::Permissions::from_mode(MODES[usize::from(executable)]))?;
    rustix::fs::futimens(target.file(), &MTIME)?;
    Ok(())
}

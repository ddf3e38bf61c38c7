//! Verifies that the content of the store matches its names.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use fs_err as fs;

use super::{Listing, Store, owner};
use crate::error::{Error, Result};
use crate::model::{Digest, Hasher, StoreName};
use crate::nix::nar::{NarVisitor, NarWriter};
use crate::nix::store_path;

/// The greatest number of findings that an error names.
const SHOWN: usize = 10;

/// The damage of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The tree.
    pub name: StoreName,
    /// A description of the damage, for messages.
    pub what: String,
}

impl Store {
    /// Checks a tree: modes and owners, and names and sizes against its listing, or, with `deep`,
    /// every byte against its name. A tree without a listing is always checked deeply.
    ///
    /// # Errors
    /// If the tree cannot be read for a reason other than damage. Damage itself is not an error.
    pub fn verify(&self, name: &StoreName, deep: bool) -> Result<Vec<Damage>> {
        let path = self.path(name);
        let damage = |what: String| Damage { name: name.clone(), what };
        let info = self.info(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => {}
            // A path of a Nix store may be a file or a symlink.
            Ok(meta) if info.is_some() && (meta.is_file() || meta.is_symlink()) => {}
            Ok(_) => return Ok(vec![damage("it is no directory".to_owned())]),
            Err(_) => return Ok(vec![damage("it is not in the store".to_owned())]),
        }
        let mut out = self.attributes(name)?;
        let Some(expected) = Listing::read(self, name).filter(|_| !deep) else {
            let (hash, _) = match hash_tree(&path) {
                Ok(out) => out,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(vec![damage("it changed while it was read".to_owned())]);
                }
                Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                    out.extend(self.differences(name)?);
                    return Ok(out);
                }
                Err(e) => return Err(Error::at("read", &path, e)),
            };
            let changed = match info {
                Some(info) => (hash != info.nar_hash).then(|| {
                    let (is, was) = (hash.sri(), info.nar_hash.sri());
                    format!("its content has changed: its NAR hash is {is}, not {was}")
                }),
                None => {
                    let is = store_path::of_tree(&hash, name.name()).map_err(Error::build)?;
                    (is != *name).then(|| format!("its content has changed, or it is a path of Nix whose description in `narinfos` is lost: by its content, it is {is}"))
                }
            };
            if let Some(changed) = changed {
                let differences = self.differences(name)?;
                if differences.is_empty() {
                    out.push(damage(changed));
                }
                out.extend(differences);
            }
            return Ok(out);
        };
        out.extend(self.compare(name, &expected)?);
        Ok(out)
    }

    /// Checks a tree that this user did not make, before it is used for the first time. What root
    /// or the owner of the store made is compared with its listing, and every byte is read of what
    /// somebody else made.
    ///
    /// # Errors
    /// If it is not what its name says, or cannot be read.
    pub fn check_foreign(&self, name: &StoreName) -> Result<()> {
        let path = self.path(name);
        let meta = fs::symlink_metadata(&path).map_err(|e| Error::at("read", &path, e))?;
        let owners = self.owners();
        if owners.is_me(meta.uid()) && (meta.is_dir() || self.info(name).is_some()) {
            return Ok(());
        }
        let found = self.verify(name, !owners.trust(meta.uid()))?;
        if found.is_empty() {
            return Ok(());
        }
        let by = meta.uid();
        let error = Error::verification(format!(
            "{name} is not what its name says, and user {by} put it into the store"
        ));
        let error = found.iter().take(SHOWN).fold(error, |e, found| e.because(found.what.clone()));
        Err(error.hint("run `cotter verify --deep --repair` to make it anew, and look after who may write to the store"))
    }

    /// Checks the modes and the owners of what a tree contains: nobody may write to it, nothing
    /// changes the user, and everything belongs to an owner of the store.
    fn attributes(&self, name: &StoreName) -> Result<Vec<Damage>> {
        let root = self.path(name);
        let owners = self.owners();
        let mut out = vec![];
        let mut todo = vec![(root.clone(), String::new())];
        while let Some((path, shown)) = todo.pop() {
            let meta = match fs::symlink_metadata(&path) {
                Ok(meta) => meta,
                // It has just been deleted, as the other checks tell.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::at("read", &path, e)),
            };
            let mode = meta.permissions().mode() & 0o7777;
            let expected: &[u32] = match meta.is_dir() {
                // The directory of a tree is protected last, and a process may end before that.
                true if shown.is_empty() => &[0o555, 0o755],
                true => &[0o555],
                false => &[0o444, 0o555],
            };
            let shown_or_root = if shown.is_empty() { "its directory" } else { &shown };
            let mut tell = |what: String| {
                out.push(Damage { name: name.clone(), what: format!("{shown_or_root} {what}") });
            };
            if !meta.is_symlink() && !expected.contains(&mode) {
                tell(format!("has the mode {mode:04o}{}, not {}", meaning(mode), list(expected)));
            }
            if !owners.trust(meta.uid()) {
                tell(format!("belongs to user {}, who does not own the store", meta.uid()));
            }
            if meta.is_dir() {
                let entries = fs::read_dir(&path).map_err(|e| Error::at("read", &path, e))?;
                for entry in entries {
                    let entry = entry.map_err(|e| Error::at("read", &path, e))?;
                    let member = entry.file_name().to_string_lossy().into_owned();
                    let below = if shown.is_empty() { member } else { format!("{shown}/{member}") };
                    todo.push((entry.path(), below));
                }
            }
        }
        out.sort_by(|a, b| a.what.cmp(&b.what));
        Ok(out)
    }

    fn differences(&self, name: &StoreName) -> Result<Vec<Damage>> {
        match Listing::read(self, name) {
            Some(expected) => self.compare(name, &expected),
            None => Ok(vec![]),
        }
    }

    fn compare(&self, name: &StoreName, expected: &Listing) -> Result<Vec<Damage>> {
        let path = self.path(name);
        let actual = Listing::of(&path).map_err(|e| Error::at("read", &path, e))?;
        let mut out = vec![];
        for (path, entry) in &expected.entries {
            match actual.entries.get(path) {
                None => out.push(Damage { name: name.clone(), what: format!("{path} is missing") }),
                Some(now) if now != entry => out.push(Damage {
                    name: name.clone(),
                    what: format!("{path} was {entry:?}, is {now:?}"),
                }),
                Some(_) => {}
            }
        }
        for path in actual.entries.keys().filter(|p| !expected.entries.contains_key(*p)) {
            out.push(Damage { name: name.clone(), what: format!("{path} does not belong there") });
        }
        Ok(out)
    }

    /// Removes a tree from the store, together with its listing and with the linked files that only
    /// this tree contains or that are damaged.
    ///
    /// # Errors
    /// If the tree cannot be deleted.
    pub fn remove(&self, name: &StoreName) -> Result<()> {
        let staging = super::Staging::new(self)?;
        let path = self.path(name);
        // First move the tree away from its name in one step, and then delete it.
        let away = staging.dir().join("removed");
        // The permissions of a symlink would be those of what it leads to.
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
        let opened = match is_dir {
            true => fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)),
            false => Ok(()),
        };
        let moved = opened.and_then(|()| fs::rename(&path, &away));
        match moved {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::at("remove", &path, e)),
        }
        let _ = fs::remove_file(self.dir.join("listings").join(name.as_str()));
        let _ = fs::remove_file(self.facts_path(name));
        self.forget(name);
        super::delete_tree(&away).map_err(|e| Error::at("delete", &away, e))
    }

    /// Whether a linked file has the content and the mode that its name states, and belongs to an
    /// owner of the store.
    fn is_sound_link(&self, path: &Path, name: &str) -> Result<bool> {
        let meta = fs::symlink_metadata(path).map_err(|e| Error::at("read", path, e))?;
        let (digest, mode) = match name.strip_suffix("-x") {
            Some(digest) => (digest, 0o555),
            None => (name, 0o444),
        };
        let owned = self.owners().trust(meta.uid());
        if !meta.is_file() || meta.permissions().mode() & 0o7777 != mode || !owned {
            return Ok(false);
        }
        let mut hasher = Hasher::default();
        let mut file = owner::open_plain(path).map_err(|e| Error::at("read", path, e))?;
        std::io::copy(&mut file, &mut hasher).map_err(|e| Error::at("read", path, e))?;
        Ok(hasher.finish().hex() == digest)
    }

    /// Deletes linked files whose content or mode does not match their name. Returns the number of deleted
    /// files.
    ///
    /// # Errors
    /// If a file cannot be read or deleted.
    pub fn drop_rotten_links(&self) -> Result<usize> {
        let dir = self.dir.join("links");
        let mut count = 0;
        for name in super::names(&dir)? {
            let path = dir.join(&name);
            if !self.is_sound_link(&path, &name)? {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// What a mode allows that it must not.
fn meaning(mode: u32) -> &'static str {
    match mode {
        mode if mode & 0o4000 != 0 => " (setuid)",
        mode if mode & 0o2000 != 0 => " (setgid)",
        mode if mode & 0o002 != 0 => " (everybody may write)",
        mode if mode & 0o020 != 0 => " (its group may write)",
        _ => "",
    }
}

fn list(modes: &[u32]) -> String {
    modes.iter().map(|mode| format!("{mode:04o}")).collect::<Vec<_>>().join(" or ")
}

/// Returns the hash and the length of the NAR of the tree at `path` on the disk.
///
/// # Errors
/// Those of the file system.
pub fn hash_tree(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut nar = NarWriter::new(Hasher::default())?;
    dump(path, &mut nar, &mut vec![0; 256 * 1024])?;
    let hasher = nar.into_inner();
    let size = hasher.len();
    Ok((hasher.finish(), size))
}

/// Tells a visitor what is at `path` on the disk, in the order of a NAR.
///
/// # Errors
/// Those of the file system and of the visitor.
pub fn dump(path: &Path, nar: &mut dyn NarVisitor, buffer: &mut [u8]) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return nar.symlink(fs::read_link(path)?.as_os_str().as_bytes());
    }
    if !meta.is_dir() {
        let mut file = owner::open_plain(path)?;
        // Of the three bits, that of the owner counts for Nix.
        return nar.file(meta.permissions().mode() & 0o100 != 0, meta.len(), &mut file, buffer);
    }
    nar.begin_directory()?;
    let mut names: Vec<_> =
        fs::read_dir(path)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        nar.begin_entry(name.as_bytes())?;
        dump(&path.join(&name), nar, buffer)?;
        nar.end_entry()?;
    }
    nar.end_directory()
}

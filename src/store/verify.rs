//! Verifies that the content of the store matches its names.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;

use super::{Listing, Store};
use crate::error::{Error, Result};
use crate::model::{Digest, Hasher, StoreName};
use crate::nix::nar::NarWriter;
use crate::nix::store_path;

/// The damage of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The tree.
    pub name: StoreName,
    /// A description of the damage, for messages.
    pub what: String,
}

impl Store {
    /// Checks a tree: names and sizes against its listing, or, with `deep`, every byte against its
    /// name. A tree without a listing is always checked deeply.
    ///
    /// # Errors
    /// If the tree cannot be read for a reason other than damage. Damage itself is not an error.
    pub fn verify(&self, name: &StoreName, deep: bool) -> Result<Vec<Damage>> {
        let path = self.path(name);
        let damage = |what: String| Damage { name: name.clone(), what };
        if !path.is_dir() {
            return Ok(vec![damage("it is not in the store".to_owned())]);
        }
        let Some(expected) = Listing::read(self, name).filter(|_| !deep) else {
            let (hash, _) = match hash_tree(&path) {
                Ok(out) => out,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(vec![damage("it changed while it was read".to_owned())]);
                }
                Err(e) => return Err(Error::at("read", &path, e)),
            };
            let is = store_path::of_tree(&hash, name.name()).map_err(Error::build)?;
            if is != *name {
                let mut out = self.differences(name)?;
                if out.is_empty() {
                    out.push(damage(format!(
                        "its content has changed: it would now be called {is}"
                    )));
                }
                return Ok(out);
            }
            return Ok(vec![]);
        };
        self.compare(name, &expected)
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
        let moved = fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .and_then(|()| fs::rename(&path, &away));
        match moved {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::at("remove", &path, e)),
        }
        let _ = fs::remove_file(self.dir.join("listings").join(name.as_str()));
        let _ = fs::remove_file(self.facts_path(name));
        super::delete_tree(&away).map_err(|e| Error::at("delete", &away, e))
    }

    /// Deletes linked files whose content does not match their name. Returns the number of deleted
    /// files.
    ///
    /// # Errors
    /// If a file cannot be read or deleted.
    pub fn drop_rotten_links(&self) -> Result<usize> {
        let dir = self.dir.join("links");
        let mut count = 0;
        for name in super::names(&dir)? {
            let path = dir.join(&name);
            let mut hasher = Hasher::default();
            let mut file = fs::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
            std::io::copy(&mut file, &mut hasher).map_err(|e| Error::at("read", &path, e))?;
            if hasher.finish().hex() != name.trim_end_matches("-x") {
                fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
                count += 1;
            }
        }
        Ok(count)
    }
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

fn dump(path: &Path, nar: &mut NarWriter<Hasher>, buffer: &mut [u8]) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return nar.symlink(&fs::read_link(path)?.to_string_lossy());
    }
    if !meta.is_dir() {
        let mut file = fs::File::open(path)?;
        return nar.file(meta.permissions().mode() & 0o111 != 0, meta.len(), &mut file, buffer);
    }
    nar.begin_directory()?;
    let mut names: Vec<_> =
        fs::read_dir(path)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        nar.begin_entry(&name.to_string_lossy())?;
        dump(&path.join(&name), nar, buffer)?;
        nar.end_entry()?;
    }
    nar.end_directory()
}

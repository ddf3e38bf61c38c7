//! Listings: the names and sizes of the files of a tree, for a check that does not read every byte.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;

use super::{Store, owner};
use crate::error::{Error, Result};
use crate::model::{MemberPath, StoreName};

/// The content of a tree: one entry for each path, in the form `f <size>`, `x <size>`, `d` or `l
/// <target>`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries by path.
    pub entries: BTreeMap<String, String>,
}

impl Listing {
    pub(super) fn directory(&mut self, path: &MemberPath) {
        self.entries.insert(path.to_string(), "d".to_owned());
    }

    pub(super) fn symlink(&mut self, path: &MemberPath, target: &str) {
        self.entries.insert(path.to_string(), format!("l {target}"));
    }

    pub(super) fn file(&mut self, path: &MemberPath, size: u64, executable: bool) {
        self.entries
            .insert(path.to_string(), format!("{} {size}", if executable { 'x' } else { 'f' }));
    }

    /// Writes the listing of the tree `name`: one line `<entry>\t<path>` for each path, sorted by
    /// path. It is first written to the path `new`, which lies in a staging directory.
    pub(super) fn write(&self, store: &Store, name: &StoreName, new: &Path) -> Result<()> {
        let to = store.part("listings")?.join(name.as_str());
        let text: String =
            self.entries.iter().map(|(path, entry)| format!("{entry}\t{path}\n")).collect();
        owner::write_new(new, text)
            .and_then(|()| fs::rename(new, &to))
            .map_err(|e| Error::at("write", &to, e))
    }

    /// Reads the listing of a tree. Returns `None` if there is none, or if somebody wrote it who does
    /// not own the store.
    pub(super) fn read(store: &Store, name: &StoreName) -> Option<Listing> {
        let path = store.dir().join("listings").join(name.as_str());
        let text = owner::read_own(&path, store.owners()).ok()?;
        let entries = text
            .lines()
            .filter_map(|l| l.split_once('\t'))
            .map(|(entry, path)| (path.to_owned(), entry.to_owned()))
            .collect();
        Some(Listing { entries })
    }

    /// Lists what is below `root` now.
    pub(super) fn of(root: &Path) -> std::io::Result<Listing> {
        let mut listing = Listing::default();
        walk(root, "", &mut listing)?;
        Ok(listing)
    }

    /// Returns the sum of the sizes of the files in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.entries
            .values()
            .filter_map(|e| e.strip_prefix("f ").or_else(|| e.strip_prefix("x ")))
            .filter_map(|s| s.parse::<u64>().ok())
            .sum()
    }
}

fn walk(dir: &Path, prefix: &str, out: &mut Listing) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let meta = entry.metadata()?;
        if meta.is_dir() {
            out.entries.insert(path.clone(), "d".to_owned());
            walk(&entry.path(), &format!("{path}/"), out)?;
        } else if meta.is_symlink() {
            out.entries.insert(path, format!("l {}", fs::read_link(entry.path())?.display()));
        } else if !meta.is_file() {
            out.entries.insert(path, "a device, a pipe or a socket".to_owned());
        } else {
            let kind = if meta.permissions().mode() & 0o111 != 0 { 'x' } else { 'f' };
            out.entries.insert(path, format!("{kind} {}", meta.len()));
        }
    }
    Ok(())
}

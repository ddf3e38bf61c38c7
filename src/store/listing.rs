//! Listings: the names and sizes of the files of a tree, for a check that does not read every byte.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
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
        self.entries.insert(path.to_string(), link(target.as_bytes()));
    }

    pub(super) fn file(&mut self, path: &MemberPath, size: u64, executable: bool) {
        self.entries.insert(path.to_string(), self::file(executable, size));
    }

    /// Adds an entry at a path of any bytes.
    pub(super) fn add(&mut self, path: &[u8], entry: String) {
        // Each name is escaped by itself, as it is when a directory is read.
        let names: Vec<String> = path.split(|byte| *byte == b'/').map(shown).collect();
        self.entries.insert(names.join("/"), entry);
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

    /// Lists what is below `root` now. If that is no directory, it is the only entry, and its path
    /// is empty.
    pub(super) fn of(root: &Path) -> std::io::Result<Listing> {
        let mut listing = Listing::default();
        let meta = fs::symlink_metadata(root)?;
        if meta.is_dir() {
            walk(root, "", &mut listing)?;
        } else {
            listing.entries.insert(String::new(), entry(root, &meta)?);
        }
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
        let path = format!("{prefix}{}", shown(entry.file_name().as_bytes()));
        let meta = entry.metadata()?;
        if meta.is_dir() {
            out.entries.insert(path.clone(), "d".to_owned());
            walk(&entry.path(), &format!("{path}/"), out)?;
        } else {
            out.entries.insert(path, self::entry(&entry.path(), &meta)?);
        }
    }
    Ok(())
}

/// Returns the entry of what is no directory.
fn entry(path: &Path, meta: &std::fs::Metadata) -> std::io::Result<String> {
    Ok(if meta.is_symlink() {
        link(fs::read_link(path)?.as_os_str().as_bytes())
    } else if meta.is_file() {
        file(meta.permissions().mode() & 0o111 != 0, meta.len())
    } else {
        "a device, a pipe or a socket".to_owned()
    })
}

/// Returns the entry of a file.
pub(super) fn file(executable: bool, size: u64) -> String {
    format!("{} {size}", if executable { 'x' } else { 'f' })
}

/// Returns the entry of a symlink.
pub(super) fn link(target: &[u8]) -> String {
    format!("l {}", shown(target))
}

/// Returns a path as a part of a line. What would end the line, and what is no UTF-8, is escaped.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(['\n', '\t', '\r']) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

//! A closure of Nix in a tree: its files name each other by absolute paths, `/nix/store/<hash>-<name>/...`.
//! The loader and libc read such paths themselves, so they change in the files: search paths and names
//! of needed libraries become relative, and what libc would open by itself is sealed. Every other path
//! stays as it is, and [`super::redirect`] sends it to the tree.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::dynamic::{Directory, Dynamic};
use super::elf::{Elf, tag};
use super::libraries::relativize;
use super::paths::is_libc;
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::tree::{BlobDir, Node, Tree};

/// The list of the versions that are needed of libraries.
const DT_VERNEED: u64 = 0x6fff_fffe;

/// The directory of a closure, as a path in the tree.
pub const STORE: &str = "nix/store";

/// Returns the directory of the closure to which a path of the tree belongs: its first three names.
pub fn owner(path: &MemberPath) -> Option<MemberPath> {
    let parts: Vec<&str> = path.parts().take(3).collect();
    (path.is_under(STORE) && parts.len() == 3).then(|| MemberPath::literal(&parts.join("/")))
}

/// Returns the path in the tree for an absolute path below `/nix/store`.
pub fn in_tree(text: &str) -> Option<MemberPath> {
    let path = MemberPath::parse(text.strip_prefix('/')?.as_bytes()).ok().flatten()?;
    owner(&path).map(|_| path)
}

/// Short names for the directories of a closure. A search path changes in its place, and a relative
/// one with the whole name would be longer than the absolute one.
struct Names<'t> {
    tree: &'t Tree,
    short: BTreeMap<MemberPath, MemberPath>,
    used: RefCell<BTreeSet<MemberPath>>,
}

impl<'t> Names<'t> {
    fn of(tree: &'t Tree) -> Names<'t> {
        let entries = tree.entries(STORE);
        let taken: BTreeSet<&str> = entries.iter().map(String::as_str).collect();
        let mut free = (0..).map(short_name).filter(|name| !taken.contains(name.as_str()));
        let whole = |name: &String| MemberPath::literal(&format!("{STORE}/{name}"));
        let mut short = BTreeMap::new();
        for name in &entries {
            let link = free.next().expect("numbers do not end");
            short.insert(whole(name), whole(&link));
        }
        Names { tree, short, used: RefCell::default() }
    }

    /// Returns the path, with a short name, of a directory of the closure that the tree has.
    fn directory(&self, text: &str) -> Option<MemberPath> {
        let path = in_tree(text)?;
        let real = self.tree.real_path(&path)?;
        self.tree.has_members(&real).then(|| self.shorten(&path)).flatten()
    }

    fn shorten(&self, path: &MemberPath) -> Option<MemberPath> {
        let owner = owner(path)?;
        let short = self.short.get(&owner)?;
        self.used.borrow_mut().insert(owner.clone());
        let rest = path.as_str().strip_prefix(owner.as_str())?;
        Some(MemberPath::literal(&format!("{short}{rest}")))
    }
}

/// Returns a name of few characters for a number.
fn short_name(mut number: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut out = vec![];
    loop {
        out.push(char::from(DIGITS[number % 36]));
        number /= 36;
        if number == 0 {
            return out.iter().rev().collect();
        }
    }
}

/// Makes the search paths of all programs and libraries relative. They lead through links with short
/// names beside the directories of the closure. Absolute names of needed libraries become plain names.
/// Returns the files with the directories that they do not name any more.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn settle_search_paths(
    tree: &mut Tree,
    blobs: &BlobDir,
    platform: Platform,
) -> Result<BTreeMap<MemberPath, Vec<MemberPath>>> {
    let mut changed: Vec<(MemberPath, Node)> = vec![];
    let mut outside = BTreeMap::new();
    let names = Names::of(tree);
    for (path, node) in tree.iter() {
        let Node::File { blob, executable } = node else { continue };
        let Some(dynamic) = Dynamic::of(blob, platform)? else { continue };
        let fixed = dynamic.search.iter().any(|d| !matches!(d, Directory::Origin(_)));
        if !fixed && !dynamic.needed.iter().any(|name| name.starts_with('/')) {
            continue;
        }
        let mut bytes = blob.read()?;
        let mut dirs = relativize(&mut bytes, path, &|text| names.directory(text));
        dirs.extend(rename_needed(&mut bytes, &|path| tree.file(path).is_some()));
        if !dirs.is_empty() {
            outside.insert(path.clone(), dirs);
        }
        let node = Node::File { blob: blobs.put(&bytes)?, executable: *executable };
        changed.push((path.clone(), node));
    }
    let links: Vec<(MemberPath, MemberPath)> =
        names.used.borrow().iter().map(|dir| (names.short[dir].clone(), dir.clone())).collect();
    for (link, dir) in links {
        tree.link(link, &dir);
    }
    for (path, node) in changed {
        tree.put(path, node);
    }
    Ok(outside)
}

/// Makes absolute names of needed libraries plain names, where `has` tells that the tree has the library: the end of a
/// string is a string, too. The list of needed versions repeats the names. Returns the directories.
pub fn rename_needed(bytes: &mut [u8], has: &dyn Fn(&MemberPath) -> bool) -> Vec<MemberPath> {
    let mut outside = vec![];
    let Some(elf) = Elf::parse(bytes) else { return outside };
    let Some(dynamic) = elf.dynamic(bytes) else { return outside };
    let offset = |tag| {
        let entry = dynamic.iter().find(|d| d.1 == tag)?;
        usize::try_from(elf.file_offset(entry.2)?).ok()
    };
    let Some(strings) = offset(tag::DT_STRTAB) else { return outside };
    // Returns the directory of the library whose name is at `value`, and where its plain name begins.
    let plain = |bytes: &[u8], value: u64| -> Option<(MemberPath, u64)> {
        let rest = bytes.get(strings.checked_add(usize::try_from(value).ok()?)?..)?;
        let text = std::str::from_utf8(rest.split(|b| *b == 0).next()?).ok()?;
        let dir = in_tree(text).filter(|path| has(path))?.parent()?;
        Some((dir, value + text.rfind('/')? as u64 + 1))
    };
    for &(slot, kind, value) in dynamic.iter().take_while(|d| d.1 != tag::DT_NULL) {
        if kind == tag::DT_NEEDED
            && let Some((dir, name)) = plain(bytes, value)
        {
            bytes[slot + 8..slot + 16].copy_from_slice(&name.to_le_bytes());
            outside.push(dir);
        }
    }
    // An entry of this list begins with two numbers of two bytes, the name, the offset of its versions,
    // and the offset of the next entry.
    let mut next = offset(DT_VERNEED).filter(|_| !outside.is_empty());
    while let Some(at) = next {
        let Some(entry) = bytes.get(at..).and_then(|rest| rest.get(..16)) else { break };
        let number =
            |i: usize| u32::from_le_bytes([entry[i], entry[i + 1], entry[i + 2], entry[i + 3]]);
        let (name, step) = (u64::from(number(4)), number(12));
        if let Some((_, name)) = plain(bytes, name) {
            bytes[at + 4..at + 8].copy_from_slice(&(name as u32).to_le_bytes());
        }
        next = (step > 0).then(|| at + step as usize);
    }
    outside
}

/// What libc opens by itself, and its replacement of the same length: its own files, the locales of a
/// NixOS, and the list of libraries that a NixOS loads into every program.
const SEALS: [(&[u8], &[u8]); 3] = [
    (b"/nix/store/", b"/.no/store/"),
    (b"/run/current-system/", b"/.no/current-system/"),
    (b"/etc/ld-nix.so.", b"/.no/ld-nix.so."),
];

/// Seals every loader and every libc of a closure. Launchers tell them where their files are.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_libc(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let libc = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. }) && path.is_under(STORE) && is_libc(path)
    };
    for path in tree.paths(libc) {
        let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
        let (mut bytes, executable) = (blob.read()?, *executable);
        if bytes.starts_with(b"\x7fELF") && seal(&mut bytes) > 0 {
            tree.put(path, Node::File { blob: blobs.put(&bytes)?, executable });
        }
    }
    Ok(())
}

/// Seals the strings that begin with one of the prefixes. The path of the loader stays, which only the
/// kernel and debuggers read. Returns the number of replacements.
fn seal(bytes: &mut [u8]) -> usize {
    let interpreter = Elf::parse(bytes).and_then(|elf| elf.segment(tag::PT_INTERP));
    let kept = interpreter.and_then(|(_, segment)| usize::try_from(segment.offset).ok());
    let mut count = 0;
    for (from, to) in SEALS {
        let mut at = 0;
        while let Some(step) = memchr::memmem::find(&bytes[at..], from) {
            at += step;
            if Some(at) != kept && (at == 0 || matches!(bytes[at - 1], 0 | b':')) {
                bytes[at..at + to.len()].copy_from_slice(to);
                count += 1;
            }
            at += from.len();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        let names: Vec<String> = [0, 9, 10, 35, 36, 1295, 1296].map(short_name).into();
        assert_eq!(names, ["0", "9", "a", "z", "10", "zz", "100"]);
    }

    #[test]
    fn paths_of_a_closure_have_an_owner() {
        let path = |text: &str| MemberPath::literal(text);
        assert_eq!(owner(&path("nix/store/h-n/lib/x")), Some(path("nix/store/h-n")));
        assert_eq!(owner(&path("nix/store")), None);
        assert_eq!(owner(&path("usr/lib/x")), None);
        assert_eq!(in_tree("/nix/store/h-n/../h-m/x"), None);
        assert_eq!(in_tree("/nix//store/h-n/."), Some(path("nix/store/h-n")));
        assert_eq!(in_tree("/etc/x"), None);
    }

    #[test]
    fn only_what_libc_opens_is_sealed() {
        let mut bytes =
            b"/nix/store/a/lib\0x/nix/store/b\0:/nix/store/c\0/run/current-system/sw\0".to_vec();
        assert_eq!(seal(&mut bytes), 3);
        assert_eq!(
            bytes,
            b"/.no/store/a/lib\0x/nix/store/b\0:/.no/store/c\0/.no/current-system/sw\0"
        );
        for (from, to) in SEALS {
            assert_eq!(from.len(), to.len());
        }
    }
}

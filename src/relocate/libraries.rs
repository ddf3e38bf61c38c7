//! Where the programs and libraries of a tree find the libraries that they need. Absolute search
//! paths become relative to the files that have them, and every needed library is looked up when the
//! tree is composed.

use std::collections::{BTreeMap, BTreeSet};

use super::dynamic::{Directory, Dynamic};
use super::elf::{Elf, tag};
use super::launcher::is_library_name;
use super::paths::is_libc;
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::tree::{BlobDir, Node, Tree};

/// A library that is needed and that the tree does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    /// The program or library that needs it.
    pub file: MemberPath,
    /// The name of the needed library.
    pub library: String,
}

/// What is known of the programs and libraries of a tree after they were settled.
#[derive(Debug, Default)]
pub struct Linkage {
    /// The libraries that the tree does not have.
    pub unresolved: Vec<Unresolved>,
    /// The files that may convert between character sets, by themselves or by what they load.
    pub converting: BTreeSet<MemberPath>,
    /// The names of all libraries that any file needs.
    pub needed: BTreeSet<String>,
}

/// Makes the search paths of all programs and libraries relative, and looks up every library that
/// they need. Directories that cannot be named in a file, and private directories that contain a
/// needed library, are added to the `library_dirs`, which are searched for every file. If the search paths of programs are to
/// be `inherited` by the libraries, as those of the in-place stub must be, each DT_RUNPATH becomes a
/// DT_RPATH.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn settle(
    tree: &mut Tree,
    blobs: &BlobDir,
    platform: Platform,
    library_dirs: &mut Vec<MemberPath>,
    inherited: bool,
) -> Result<Linkage> {
    let mut files = vec![];
    for (path, node) in tree.iter() {
        // Files that depend on the architecture are not below usr/share. What looks like a library
        // there is data, such as the test data of Go.
        if let Node::File { blob, .. } = node
            && !path.is_under("usr/share")
            && let Some(dynamic) = Dynamic::of(blob, platform)?
        {
            files.push((path.clone(), dynamic));
        }
    }
    let mut linked: Option<BTreeSet<MemberPath>> = None;
    for (path, dynamic) in &mut files {
        let relative = dynamic.search.iter().all(|d| matches!(d, Directory::Origin(_)));
        if relative && !(inherited && dynamic.runpath) {
            continue;
        }
        let Some(Node::File { blob, executable }) = tree.get(path) else { continue };
        let (mut bytes, executable) = (blob.read()?, *executable);
        let own = |text: &str| -> Option<MemberPath> {
            let dir = tree.real_path(&Directory::parse(text).within(path)?)?;
            tree.has_members(&dir).then_some(dir)
        };
        let outside = relativize(&mut bytes, path, &own);
        if inherited {
            inherit(&mut bytes);
        }
        // The loader takes $ORIGIN from the name by which it opened a library.
        let linked = linked.get_or_insert_with(|| linked_from_elsewhere(tree));
        let fixed = dynamic.search.iter().filter(|d| matches!(d, Directory::Fixed(_)));
        let fixed = fixed.filter(|_| linked.contains(path)).filter_map(|d| d.within(path));
        let fixed = fixed.filter_map(|d| tree.real_path(&d)).filter(|d| tree.has_members(d));
        for dir in outside.into_iter().chain(fixed.collect::<Vec<_>>()) {
            if !library_dirs.contains(&dir) {
                library_dirs.push(dir);
            }
        }
        let blob = blobs.put(&bytes)?;
        *dynamic = Dynamic::of(&blob, platform)?.unwrap_or_default();
        tree.put(path.clone(), Node::File { blob, executable });
    }
    let converting = converting(&files);
    let needed = files.iter().flat_map(|(_, dynamic)| dynamic.needed.iter().cloned()).collect();
    Ok(Linkage { unresolved: look_up(tree, &files, library_dirs), converting, needed })
}

/// Returns the files that may convert between character sets: those that name `iconv_open`, those
/// that need such a library, and those that may load any library, if the tree has such a library.
fn converting(files: &[(MemberPath, Dynamic)]) -> BTreeSet<MemberPath> {
    let others = files.iter().filter(|(path, _)| !is_libc(path));
    let mut by_name: BTreeMap<&str, Vec<&Dynamic>> = BTreeMap::new();
    for (path, dynamic) in others.clone() {
        by_name.entry(path.file_name()).or_default().push(dynamic);
    }
    // A library is needed by a name that is often a link to the file with the whole version.
    let named = |library: &str| -> Vec<&Dynamic> {
        let version = format!("{library}.");
        let same = by_name.range(library..).take_while(|(name, _)| name.starts_with(library));
        let same = same.filter(|(name, _)| **name == library || name.starts_with(&version));
        same.flat_map(|(_, files)| files.iter().copied()).collect()
    };
    let any = others.clone().any(|(path, d)| d.converts && is_library_name(path.file_name()));
    let mut out = BTreeSet::new();
    for (path, dynamic) in others {
        let (mut todo, mut seen) = (vec![dynamic], BTreeSet::new());
        while let Some(file) = todo.pop() {
            if file.converts || (file.loads && any) {
                out.insert(path.clone());
                break;
            }
            let needed = file.needed.iter().filter(|library| seen.insert(library.as_str()));
            todo.extend(needed.flat_map(|library| named(library)).collect::<Vec<_>>());
        }
    }
    out
}

/// Returns the libraries to which symlinks lead from other directories.
fn linked_from_elsewhere(tree: &Tree) -> BTreeSet<MemberPath> {
    let links = tree.paths(|_, node| matches!(node, Node::Symlink(_)));
    let targets = links.iter().filter_map(|link| Some((link, tree.real_path(link)?)));
    targets.filter(|(link, real)| link.parent() != real.parent()).map(|(_, real)| real).collect()
}

/// Looks up the needed libraries. A library that no searched directory has, but a private directory
/// of the tree, makes that directory one of the searched.
fn look_up(
    tree: &Tree,
    files: &[(MemberPath, Dynamic)],
    library_dirs: &mut Vec<MemberPath>,
) -> Vec<Unresolved> {
    let mut homes: BTreeMap<&str, Vec<MemberPath>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        if !matches!(node, Node::Directory) && !path.is_under("usr/share") {
            homes.entry(path.file_name()).or_default().extend(path.parent());
        }
    }
    let has = |dir: &MemberPath, library: &str| {
        tree.file(&MemberPath::literal(&format!("{dir}/{library}"))).is_some()
    };
    let mut out = vec![];
    for (path, dynamic) in files {
        let own: Vec<MemberPath> = dynamic.search.iter().filter_map(|d| d.within(path)).collect();
        for library in &dynamic.needed {
            let plain = !matches!(library.as_str(), "" | "." | "..") && !library.contains('/');
            if plain && own.iter().chain(library_dirs.iter()).any(|dir| has(dir, library)) {
                continue;
            }
            // Of several directories, take the one that is nearest to the file.
            let homes = homes.get(library.as_str()).into_iter().flatten();
            let homes = homes.filter(|dir| has(dir, library));
            match homes.max_by_key(|dir| (common(path, dir), std::cmp::Reverse(*dir))) {
                Some(dir) => library_dirs.push(dir.clone()),
                None => {
                    out.push(Unresolved { file: path.clone(), library: library.clone() });
                }
            }
        }
    }
    out
}

/// Returns the libraries that files of a tree need and that no file of the tree is called, wherever it
/// is: what is loaded first serves those that are loaded after it.
///
/// # Errors
/// If a file cannot be read.
pub fn lacking(tree: &Tree, platform: Platform) -> Result<Vec<Unresolved>> {
    let names: BTreeSet<&str> = tree.iter().map(|(path, _)| path.file_name()).collect();
    let mut out = vec![];
    for (path, node) in tree.iter() {
        let Node::File { blob, .. } = node else { continue };
        if !is_library_name(path.file_name()) {
            continue;
        }
        let needed = Dynamic::of(blob, platform)?.unwrap_or_default().needed;
        let lacking = needed.into_iter().filter(|library| !names.contains(library.as_str()));
        out.extend(lacking.map(|library| Unresolved { file: path.clone(), library }));
    }
    Ok(out)
}

/// Returns the number of components that two paths have in common at their beginning.
pub fn common(a: &MemberPath, b: &MemberPath) -> usize {
    a.parts().zip(b.parts()).take_while(|(a, b)| a == b).count()
}

/// Makes the search paths of the ELF file `bytes`, which is located at `at`, relative to it. `own`
/// returns the directory of the tree for an entry, if the tree has it. Entries that lead nowhere in
/// the tree are removed, because they could lead to the host. Returns the directories for which the
/// string table has no room.
///
/// The text is changed in its place, and only if no other string shares a byte with it: linkers store
/// a string that is the end of another only once. If it is shared, the whole entry is removed from
/// the dynamic section.
pub fn relativize(
    bytes: &mut [u8],
    at: &MemberPath,
    own: &dyn Fn(&str) -> Option<MemberPath>,
) -> Vec<MemberPath> {
    let mut outside = vec![];
    let Some(elf) = Elf::parse(bytes) else { return outside };
    let Some(dynamic) = elf.dynamic(bytes) else { return outside };
    let strings = dynamic.iter().find(|d| d.1 == tag::DT_STRTAB).and_then(|d| elf.file_offset(d.2));
    let Some(strings) = strings.and_then(|s| usize::try_from(s).ok()) else { return outside };
    let mut removed = vec![];
    for &(slot, kind, value) in dynamic.iter().take_while(|d| d.1 != tag::DT_NULL) {
        if kind != tag::DT_RPATH && kind != tag::DT_RUNPATH {
            continue;
        }
        let Some(start) = usize::try_from(value).ok().and_then(|v| strings.checked_add(v)) else {
            continue;
        };
        let Some(length) = bytes.get(start..).and_then(|b| b.iter().position(|b| *b == 0)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[start..start + length]).into_owned();
        let parts: Vec<(&str, Directory)> =
            text.split(':').map(|part| (part, Directory::parse(part))).collect();
        let relative = |(part, directory): &(&str, Directory)| -> Option<String> {
            match directory {
                Directory::Origin(_) => Some((*part).to_owned()),
                _ => own(part).map(|dir| origin(at, &dir)),
            }
        };
        let whole: Vec<String> = parts.iter().filter_map(relative).collect();
        let whole = whole.join(":");
        if whole == text {
            continue;
        }
        let origins: Vec<&str> = parts
            .iter()
            .filter(|(_, d)| matches!(d, Directory::Origin(_)))
            .map(|(part, _)| *part)
            .collect();
        let shared = is_shared(bytes, strings, start, length);
        let kept = match () {
            () if shared => String::new(),
            () if whole.len() <= length => whole,
            () => origins.join(":"),
        };
        for (part, _) in &parts {
            let dir = own(part);
            outside.extend(dir.filter(|dir| {
                let named = origin(at, dir);
                !kept.split(':').any(|k| k == *part || k == named)
            }));
        }
        if kept.is_empty() {
            removed.push(slot);
        } else {
            bytes[start..start + length].fill(0);
            bytes[start..start + kept.len()].copy_from_slice(kept.as_bytes());
        }
    }
    remove_entries(bytes, &dynamic, &removed);
    outside
}

/// Removes the directories that `is_foreign` tells from the search paths of the ELF file `bytes`, and
/// their text, unless another string shares it. Returns whether anything was removed.
pub fn forget(bytes: &mut [u8], is_foreign: &dyn Fn(&str) -> bool) -> bool {
    let Some(elf) = Elf::parse(bytes) else { return false };
    let Some(dynamic) = elf.dynamic(bytes) else { return false };
    let strings = dynamic.iter().find(|d| d.1 == tag::DT_STRTAB).and_then(|d| elf.file_offset(d.2));
    let Some(strings) = strings.and_then(|s| usize::try_from(s).ok()) else { return false };
    let mut removed = vec![];
    let mut any = false;
    for &(slot, kind, value) in dynamic.iter().take_while(|d| d.1 != tag::DT_NULL) {
        let is_path = kind == tag::DT_RPATH || kind == tag::DT_RUNPATH;
        let start = usize::try_from(value).ok().and_then(|v| strings.checked_add(v));
        let Some(start) = start.filter(|_| is_path) else { continue };
        let Some(length) = bytes.get(start..).and_then(|b| b.iter().position(|b| *b == 0)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[start..start + length]).into_owned();
        let kept: Vec<&str> = text.split(':').filter(|part| !is_foreign(part)).collect();
        let kept = kept.join(":");
        if kept == text {
            continue;
        }
        any = true;
        let shared = is_shared(bytes, strings, start, length);
        if kept.is_empty() || shared {
            removed.push(slot);
        }
        if !shared {
            bytes[start..start + length].fill(0);
            bytes[start..start + kept.len()].copy_from_slice(kept.as_bytes());
        }
    }
    remove_entries(bytes, &dynamic, &removed);
    any
}

/// Turns a DT_RUNPATH into a DT_RPATH. The loader ignores a DT_RPATH next to a DT_RUNPATH, and so it
/// is removed.
fn inherit(bytes: &mut [u8]) {
    let Some(dynamic) = Elf::parse(bytes).and_then(|elf| elf.dynamic(bytes)) else { return };
    let live: Vec<_> = dynamic.iter().take_while(|d| d.1 != tag::DT_NULL).collect();
    if !live.iter().any(|d| d.1 == tag::DT_RUNPATH) {
        return;
    }
    let rpaths: Vec<usize> = live.iter().filter(|d| d.1 == tag::DT_RPATH).map(|d| d.0).collect();
    for (slot, ..) in live.iter().filter(|d| d.1 == tag::DT_RUNPATH) {
        bytes[*slot..slot + 8].copy_from_slice(&tag::DT_RPATH.to_le_bytes());
    }
    remove_entries(bytes, &dynamic, &rpaths);
}

/// Removes entries of a dynamic section by their offsets, which ascend: those that follow move up.
fn remove_entries(bytes: &mut [u8], dynamic: &[(usize, u64, u64)], slots: &[usize]) {
    let Some(last) = dynamic.last().map(|d| d.0) else { return };
    for slot in slots.iter().rev() {
        bytes.copy_within(slot + 16..last + 16, *slot);
        bytes[last..last + 16].fill(0);
    }
}

/// Returns the entry of a search path that leads from the file at `at` to a directory.
fn origin(at: &MemberPath, dir: &MemberPath) -> String {
    if at.parent().as_ref() == Some(dir) {
        return "$ORIGIN".to_owned();
    }
    format!("$ORIGIN/{}", at.link_to(dir))
}

/// Whether another string of the string table at `strings` shares bytes with the one at `start`.
fn is_shared(bytes: &[u8], strings: usize, start: usize, length: usize) -> bool {
    if start > strings && bytes[start - 1] != 0 {
        return true;
    }
    let Ok(elf) = goblin::elf::Elf::parse(bytes) else { return true };
    let inside = |offset: usize| {
        strings.checked_add(offset).is_some_and(|at| (start..start + length).contains(&at))
    };
    let symbols = elf.dynsyms.iter().map(|s| s.st_name);
    let needs = elf.verneed.iter().flat_map(|section| section.iter());
    let needs = needs.flat_map(|need| {
        let auxiliary: Vec<usize> = need.iter().map(|aux| aux.vna_name).collect();
        auxiliary.into_iter().chain([need.vn_file])
    });
    let defined = elf.verdef.iter().flat_map(|section| section.iter());
    let defined = defined.flat_map(|def| def.iter().map(|aux| aux.vda_name).collect::<Vec<_>>());
    let entries = elf.dynamic.iter().flat_map(|dynamic| &dynamic.dyns);
    use goblin::elf::dynamic::{DT_NEEDED, DT_SONAME};
    const DT_AUXILIARY: u64 = 0x7fff_fffd;
    const DT_FILTER: u64 = 0x7fff_ffff;
    let named = [DT_NEEDED, DT_SONAME, DT_AUXILIARY, DT_FILTER];
    let entries = entries.filter(|d| named.contains(&d.d_tag)).map(|d| d.d_val as usize);
    // The empty string at the beginning of the table has the offset 0.
    symbols.chain(needs).chain(defined).chain(entries).any(|o| o != 0 && inside(o))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocate::elf::test::{Entry, image};

    const AT: &str = "usr/lib/x/libx.so";

    /// Returns the search path of the file and the directories for which it has no room, after the
    /// directories `usr/lib/x` and `usr/lib/y/z` of a tree were found.
    fn relativized(
        strings: &str,
        entries: &[Entry],
    ) -> (Option<Vec<String>>, Vec<String>, Vec<u8>) {
        let mut bytes = image(strings, entries);
        let own = |text: &str| {
            let there = ["/usr/lib/x", "/usr/lib/y/z"].contains(&text);
            there.then(|| MemberPath::literal(&text[1..]))
        };
        let outside = relativize(&mut bytes, &MemberPath::literal(AT), &own);
        let dynamic = Dynamic::of_bytes(&bytes).unwrap();
        let search: Vec<String> = dynamic.search.iter().filter_map(Directory::relative).collect();
        assert_eq!(search.len(), dynamic.search.len(), "only relative ones are left");
        let search = (!search.is_empty()).then_some(search);
        (search, outside.iter().map(ToString::to_string).collect(), bytes)
    }

    #[test]
    fn fixed_directories_become_relative_in_their_place() {
        let (search, outside, _) =
            relativized("/usr/lib/x:/none:$ORIGIN/a\0end", &[(tag::DT_RUNPATH, 1)]);
        assert_eq!(search.unwrap(), ["$ORIGIN", "$ORIGIN/a"]);
        assert!(outside.is_empty());
        let (search, outside, _) = relativized("/none:rel\0", &[(tag::DT_RPATH, 1)]);
        assert_eq!((search, outside), (None, vec![]));
    }

    #[test]
    fn what_does_not_fit_is_searched_by_the_launchers() {
        // $ORIGIN/../y/z is longer than /usr/lib/y/z.
        let (search, outside, _) = relativized(
            "$ORIGIN:/usr/lib/y/z\0libc\0",
            &[(tag::DT_RUNPATH, 1), (tag::DT_NEEDED, 22)],
        );
        assert_eq!(search.unwrap(), ["$ORIGIN"]);
        assert_eq!(outside, ["usr/lib/y/z"]);
    }

    #[test]
    fn a_string_that_is_shared_stays_as_it_is() {
        // The name of the needed library is the end of the search path.
        let text = "/usr/lib/y/z\0";
        let entries = [(tag::DT_RUNPATH, 1), (tag::DT_NEEDED, 12), (tag::DT_NEEDED, 12)];
        let (search, outside, bytes) = relativized(text, &entries);
        assert_eq!((search, outside), (None, vec!["usr/lib/y/z".to_owned()]));
        assert_eq!(Dynamic::of_bytes(&bytes).unwrap().needed, ["z", "z"]);
        // The search path is the end of another string.
        let (search, outside, bytes) = relativized("a:/usr/lib/x\0", &[(tag::DT_RPATH, 3)]);
        assert_eq!((search, outside), (None, vec!["usr/lib/x".to_owned()]));
        assert!(bytes.windows(12).any(|w| w == b"a:/usr/lib/x"));
    }

    #[test]
    fn directories_of_a_sandbox_are_forgotten() {
        let mut bytes = image(
            "/cotter/z/usr/lib\0/cotter/a:/usr/lib/x\0z\0",
            &[(tag::DT_RPATH, 1), (tag::DT_RUNPATH, 19), (tag::DT_NEEDED, 40)],
        );
        assert!(forget(&mut bytes, &|part| part.starts_with("/cotter/")));
        assert!(memchr::memmem::find(&bytes, b"/cotter/").is_none());
        let dynamic = Dynamic::of_bytes(&bytes).unwrap();
        assert_eq!(dynamic.search, [Directory::Fixed("/usr/lib/x".to_owned())]);
        assert_eq!(dynamic.needed, ["z"]);
        assert!(!forget(&mut bytes, &|part| part.starts_with("/cotter/")));
    }

    #[test]
    fn a_runpath_is_inherited_as_an_rpath() {
        let mut bytes =
            image("$ORIGIN/a\0$ORIGIN/b\0", &[(tag::DT_RPATH, 1), (tag::DT_RUNPATH, 11)]);
        inherit(&mut bytes);
        let dynamic = Dynamic::of_bytes(&bytes).unwrap();
        assert!(!dynamic.runpath);
        assert_eq!(dynamic.search, [Directory::Origin("b".to_owned())]);
    }
}

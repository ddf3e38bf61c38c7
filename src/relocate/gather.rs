//! The one directory in which compilers and programs of other trees look for the libraries of a
//! tree. Libraries of other directories get links in it.

use std::collections::{BTreeMap, BTreeSet};

use super::launcher::is_library_name;
use super::libraries::common;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};

/// Puts links into the directory `main` of a tree, where it has nothing of the same name: for the
/// shared and static libraries of `second`, and for each of the `needed` libraries that only another
/// directory has. Of several such directories, the one that is nearest to `main` counts.
///
/// A program that is linked with the libraries then needs only one search path, although the
/// packages put some of them in private directories.
pub fn gather(tree: &mut Tree, main: &MemberPath, second: &MemberPath, needed: &BTreeSet<String>) {
    for name in tree.entries(second.as_str()) {
        let is_library = is_library_name(&name) || name.ends_with(".a");
        let from = MemberPath::literal(&format!("{second}/{name}"));
        if name.starts_with("lib") && is_library && tree.file(&from).is_some() {
            link(tree, main, &from);
        }
    }
    let mut homes: BTreeMap<String, MemberPath> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let name = path.file_name();
        if matches!(node, Node::Directory)
            || ["usr/share", "usr/lib/.cotter"].iter().any(|dir| path.is_under(dir))
            || !needed.contains(name)
            || tree.file(path).is_none()
        {
            continue;
        }
        let is_nearer =
            homes.get(name).is_none_or(|known| common(path, main) > common(known, main));
        if is_nearer {
            homes.insert(name.to_owned(), path.clone());
        }
    }
    for from in homes.values() {
        link(tree, main, from);
    }
}

fn link(tree: &mut Tree, main: &MemberPath, from: &MemberPath) {
    let to = MemberPath::literal(&format!("{main}/{}", from.file_name()));
    if tree.get(&to).is_none() {
        tree.link(to, from);
    }
}

//! `bin/`: links to the programs under the plain names that users type.

use std::collections::BTreeMap;

use crate::error::{Error, Result, known_names};
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};

/// Creates `bin/`.
///
/// # Errors
/// If the manifest's `bin` names a path that does not exist in the tree.
pub fn names(plan: &Plan, tree: &mut Tree) -> Result<()> {
    let none = BTreeMap::new();
    let named = plan.spec.programs().map_or(&none, |p| &p.bin);
    for (name, target) in named {
        let path = MemberPath::parse(target.as_bytes()).ok().flatten().ok_or_else(|| {
            Error::user(format!("{target:?}, which `bin` names, is no path inside a tree"))
        })?;
        let Some((real, blob)) = tree.file(&path).map(|(real, blob)| (real, blob.clone())) else {
            let files = tree.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
            let files: Vec<&str> = files.map(|(path, _)| path.as_str()).collect();
            let error = Error::user(format!("{} has no {target}, which `bin` names", plan.name))
                .about(plan.name.as_str())
                .about(format!("bin {name}"));
            return Err(match known_names(target, &files) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        // A file that is named as a program is executable, regardless of its mode in the archive.
        tree.put(real, Node::File { blob, executable: true });
        let link = MemberPath::parse(format!("bin/{name}").as_bytes()).ok().flatten();
        let link = link.filter(|link| link.depth() == 2).ok_or_else(|| {
            Error::user(format!("{name:?}, which `bin` names, is no plain file name"))
        })?;
        tree.link(link, &path);
    }
    if named.is_empty() {
        let mut found =
            tree.paths(|path, node| is_program_place(path) && leads_to_program(tree, path, node));
        if found.is_empty() {
            found = tree.paths(|path, node| {
                path.depth() == 1 && matches!(node, Node::File { executable: true, .. })
            });
        }
        for path in found {
            let name = MemberPath::literal(&format!("bin/{}", path.file_name()));
            if name == path || tree.get(&name).is_some() || path.file_name().starts_with('.') {
                continue;
            }
            tree.link(name, &path);
        }
    }
    Ok(())
}

/// Whether the path is `usr/bin/x`, `bin/x`, or `x-1.data/scripts/x` of a wheel.
fn is_program_place(path: &MemberPath) -> bool {
    let dir = path.parent().map(|p| p.to_string()).unwrap_or_default();
    dir == "usr/bin" || dir == "bin" || (dir.ends_with(".data/scripts") && path.depth() == 3)
}

fn leads_to_program(tree: &Tree, path: &MemberPath, node: &Node) -> bool {
    match node {
        Node::File { executable, .. } => *executable,
        Node::Symlink(_) => tree.real_path(path).is_some_and(|real| {
            matches!(tree.get(&real), Some(Node::File { executable: true, .. }))
        }),
        Node::Directory => false,
    }
}

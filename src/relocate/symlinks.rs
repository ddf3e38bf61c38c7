//! Keeps symlinks inside the tree.

use crate::model::MemberPath;
use crate::tree::{Node, Tree};

/// Returns the path in a tree for a path of a Debian system: top-level `bin`, `sbin` and `lib*` are
/// below `usr`.
pub fn usrmerged(path: &MemberPath) -> MemberPath {
    let top = path.parts().next().expect("never empty");
    if matches!(top, "bin" | "sbin") || top.starts_with("lib") {
        MemberPath::literal(&format!("usr/{path}"))
    } else {
        path.clone()
    }
}

/// Makes every symlink relative, where absolute ones count as paths below the root, and drops
/// dangling symlinks repeatedly until none is left.
pub fn settle(tree: &mut Tree) {
    for path in tree.paths(|_, node| matches!(node, Node::Symlink(_))) {
        let Some(Node::Symlink(text)) = tree.get(&path) else { continue };
        match path.resolve_link(text) {
            Some(target) => {
                // Do not go through `lib -> usr/lib` if the target itself can be named.
                let merged = usrmerged(&target);
                let target = if tree.real_path(&merged).is_some() { merged } else { target };
                tree.link(path, &target);
            }
            None => drop(tree.remove(&path)),
        }
    }
    loop {
        let dangling = tree
            .paths(|path, node| matches!(node, Node::Symlink(_)) && tree.real_path(path).is_none());
        if dangling.is_empty() {
            return;
        }
        for path in dangling {
            tree.remove(&path);
        }
    }
}

//! The store paths of a closure, and which of them the toolchain asks for.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{MemberPath, base32};
use crate::relocate::closure::STORE;
use crate::tree::{Node, Tree};

/// The length of the hash in the name of a store path.
const HASH: usize = 32;

/// The store paths in a tree.
#[derive(Debug)]
pub struct ClosurePaths {
    /// All of them, as paths in the tree, ordered by their names without the hash.
    pub all: Vec<MemberPath>,
    /// Those for which the toolchain asks: their programs get names.
    pub wanted: Vec<MemberPath>,
}

impl ClosurePaths {
    /// Finds the store paths of a tree.
    ///
    /// # Errors
    /// If there are none, or if a staged file cannot be read.
    pub fn of(plan: &Plan, tree: &Tree) -> Result<ClosurePaths> {
        let is_path = |name: &String| {
            let (hash, rest) = name.split_at_checked(HASH).unwrap_or_default();
            hash.bytes().all(base32::is_digit) && rest.len() > 1 && rest.starts_with('-')
        };
        let mut all: Vec<MemberPath> = tree
            .entries(STORE)
            .into_iter()
            .filter(is_path)
            .map(|name| MemberPath::literal(&format!("{STORE}/{name}")))
            .collect();
        all.sort_by(|a, b| (name(a), a).cmp(&(name(b), b)));
        if all.is_empty() {
            return Err(Error::user(format!(
                "the inputs of {} hold no path of a Nix store: expected {STORE}/<hash>-<name>",
                plan.name
            ))
            .about(plan.name.as_str())
            .hint("use the recipe only with a closure of Nix"));
        }
        let wanted = match plan.closure() {
            Some(path) => vec![MemberPath::literal(&format!("{STORE}/{path}"))],
            None => roots(tree, &all)?,
        };
        Ok(ClosurePaths { all, wanted })
    }

    /// Returns the first program with a name in a directory `bin` of a store path, as that path names
    /// it.
    pub fn program(&self, tree: &Tree, name: &str) -> Option<MemberPath> {
        let named = |path: &MemberPath| {
            let path = MemberPath::composed(&format!("{path}/bin/{name}"))?;
            let (real, _) = tree.file(&path)?;
            matches!(tree.get(&real), Some(Node::File { executable: true, .. })).then_some(path)
        };
        self.wanted.iter().chain(&self.all).find_map(named)
    }
}

/// Returns the part of a store path's name after the hash.
fn name(path: &MemberPath) -> &str {
    path.file_name().get(HASH + 1..).unwrap_or_default()
}

/// Returns the store paths to which no other path of the closure refers, or all of them if each is
/// referred to. A path refers to another if a file or a link of it contains the other's hash.
fn roots(tree: &Tree, all: &[MemberPath]) -> Result<Vec<MemberPath>> {
    let hash = |path: &MemberPath| path.file_name()[..HASH].to_owned();
    let hashes: BTreeSet<String> = all.iter().map(hash).collect();
    let mut referred: BTreeSet<String> = BTreeSet::new();
    for (path, node) in tree.iter() {
        let own = path.parts().nth(2).and_then(|name| name.get(..HASH)).unwrap_or_default();
        let bytes = match node {
            Node::Directory => continue,
            Node::Symlink(target) => target.clone().into_bytes(),
            Node::File { blob, .. } => blob.read()?,
        };
        let mut start = 0;
        for (i, byte) in bytes.iter().enumerate() {
            if !base32::is_digit(*byte) {
                start = i + 1;
            } else if i + 1 >= start + HASH
                && let Ok(found) = std::str::from_utf8(&bytes[i + 1 - HASH..=i])
                && found != own
                && hashes.contains(found)
            {
                referred.insert(found.to_owned());
            }
        }
    }
    let roots = all.iter().filter(|path| !referred.contains(&hash(path)));
    let roots: Vec<MemberPath> = roots.cloned().collect();
    Ok(if roots.is_empty() { all.to_vec() } else { roots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockfile::{Spec, ToolSpec};
    use crate::tree::BlobDir;

    #[test]
    fn the_path_to_which_no_other_refers_is_wanted() {
        let dir = std::env::temp_dir().join(format!("cotter-nix-paths-{}", std::process::id()));
        let blobs = BlobDir::create(dir.clone()).unwrap();
        let plan = crate::recipe::tests::plan("nix", Spec::Tool(ToolSpec::default()));
        let (a, b, c) = ("0".repeat(32), "1".repeat(32), "z".repeat(32));
        let mut tree = Tree::default();
        let refused = ClosurePaths::of(&plan, &tree).unwrap_err();
        assert!(refused.to_string().contains("hold no path of a Nix store"), "{refused}");
        let file = |text: String| Node::File {
            blob: blobs.put(text.as_bytes()).unwrap(),
            executable: true,
        };
        let path = |text: &str| MemberPath::literal(&format!("{STORE}/{text}"));
        // The first names the second in a file, and the second the third in a link, and itself.
        tree.put(path(&format!("{a}-tool/bin/x")), file(format!("#!/{STORE}/{b}-shell/bin/sh\n")));
        tree.put(path(&format!("{b}-shell/bin/sh")), file(b.clone()));
        let link = Node::Symlink(format!("/{STORE}/{c}-libc/lib"));
        tree.put(path(&format!("{b}-shell/lib")), link);
        tree.put(path(&format!("{c}-libc/lib/libc.so.6")), file(String::new()));
        tree.put(path("short-name/x"), file(String::new()));
        let closure = ClosurePaths::of(&plan, &tree).unwrap();
        let names = |paths: &[MemberPath]| -> Vec<String> {
            paths.iter().map(|path| path.file_name().to_owned()).collect()
        };
        assert_eq!(names(&closure.wanted), [format!("{a}-tool")]);
        let all = [format!("{c}-libc"), format!("{b}-shell"), format!("{a}-tool")];
        assert_eq!(names(&closure.all), all);
        assert_eq!(closure.program(&tree, "sh"), Some(path(&format!("{b}-shell/bin/sh"))));
        assert_eq!(closure.program(&tree, "bash"), None);
        crate::store::delete_tree(&dir).unwrap();
    }
}

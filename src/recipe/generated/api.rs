//! The interface of a generator.

use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// A generator: it reads a tree and returns what Debian's maintainer scripts would add to it. If
/// the packages that it knows are not in the tree, it returns nothing. The result depends only on
/// the tree.
pub type Generator = fn(&Tree, &BlobDir) -> Result<Generated>;

/// Something that Debian generates when it installs a package, and that a tree lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ungenerated {
    /// What is missing, and what does not work without it.
    pub what: String,
    /// What a user can do about it.
    pub hint: String,
}

/// What a generator adds to a tree.
#[derive(Debug, Default)]
pub struct Generated {
    nodes: Vec<(MemberPath, Node)>,
    /// What the generator cannot make.
    pub missing: Vec<Ungenerated>,
}

impl Generated {
    /// Adds a file.
    ///
    /// # Errors
    /// If the staging directory cannot be written.
    pub fn file(&mut self, blobs: &BlobDir, path: &str, content: &[u8]) -> Result<()> {
        // A name of a package's file may be too long for what is added to it.
        if let Some(path) = MemberPath::composed(path) {
            self.nodes.push((path, Node::File { blob: blobs.put(content)?, executable: false }));
        }
        Ok(())
    }

    /// Adds a symlink that leads to another path of the tree.
    pub fn link(&mut self, path: &str, target: &str) {
        if let (Some(path), Some(target)) =
            (MemberPath::composed(path), MemberPath::composed(target))
        {
            let text = path.link_to(&target);
            self.nodes.push((path, Node::Symlink(text)));
        }
    }

    /// Adds a note about something that is missing.
    pub fn lacks(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.missing.push(Ungenerated { what: what.into(), hint: hint.into() });
    }

    /// Puts the additions into a tree. A file that a package brings is never replaced.
    pub fn apply(self, tree: &mut Tree) -> Vec<Ungenerated> {
        for (path, node) in self.nodes {
            if tree.get(&path).is_none() {
                tree.put(path, node);
            }
        }
        self.missing
    }
}

/// Returns the names directly below a directory that end in `ending`, sorted by bytes.
pub fn names(tree: &Tree, directory: &str, ending: &str) -> Vec<String> {
    if !MemberPath::composed(directory).is_some_and(|dir| tree.exists(&dir)) {
        return vec![];
    }
    tree.entries(directory).into_iter().filter(|name| name.ends_with(ending)).collect()
}

/// Returns the text of a file, if the tree has it. Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// If a staged file cannot be read.
pub fn text(tree: &Tree, path: &str) -> Result<Option<String>> {
    match MemberPath::composed(path).and_then(|path| tree.file(&path)) {
        Some((_, blob)) => Ok(Some(String::from_utf8_lossy(&blob.read()?).into_owned())),
        None => Ok(None),
    }
}

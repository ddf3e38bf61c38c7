//! A tree in memory: a node for each path. File contents stay on the disk as staged blobs.

mod blob;
mod nar;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) use blob::archive_error;
pub use blob::{Blob, BlobDir, MTIME, Staged};
pub use nar::{Step, steps, write_nar};

use crate::error::{Error, Result};
use crate::model::MemberPath;

/// One node of a tree. A directory is implied by its members.
#[derive(Debug, Clone)]
pub enum Node {
    /// A regular file.
    File {
        /// The content of the file.
        blob: Blob,
        /// Whether the file is executable.
        executable: bool,
    },
    /// A symbolic link with its text.
    Symlink(String),
    /// A directory, which may be empty.
    Directory,
}

/// A map from paths to nodes, sorted as in a NAR.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<MemberPath, Node>,
}

/// Returns the text of a symlink on the disk.
///
/// # Errors
/// If it cannot be read, or if its text is not UTF-8.
pub fn link_on_disk(path: &Path) -> Result<String> {
    let target = fs_err::read_link(path).map_err(|e| Error::at("read", path, e))?;
    target.into_os_string().into_string().map_err(|target| {
        Error::verification(format!("{} is a link that no tree can have", path.display()))
            .because(format!("expected a text in UTF-8, got {target:?}"))
    })
}

impl Tree {
    /// Returns the node at `path`.
    pub fn get(&self, path: &MemberPath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Returns the node at a path in the form of a text. What is no path has no node.
    pub fn at(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&MemberPath::composed(path)?)
    }

    /// Inserts a node and replaces the node that was at the path.
    pub fn put(&mut self, path: MemberPath, node: Node) {
        self.nodes.insert(path, node);
    }

    /// Puts a symlink at `path` that leads to `target`. Both are paths below the root of the tree.
    pub fn link(&mut self, path: MemberPath, target: &MemberPath) {
        let text = path.link_to(target);
        self.put(path, Node::Symlink(text));
    }

    /// Removes a node and returns it.
    pub fn remove(&mut self, path: &MemberPath) -> Option<Node> {
        self.nodes.remove(path)
    }

    /// Returns every node with its path, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&MemberPath, &Node)> {
        self.nodes.iter()
    }

    /// Keeps only the nodes for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&MemberPath, &Node) -> bool) {
        self.nodes.retain(|path, node| keep(path, node));
    }

    /// Returns the paths for which `want` holds, as a list that remains valid while the tree
    /// changes.
    pub fn paths(&self, want: impl Fn(&MemberPath, &Node) -> bool) -> Vec<MemberPath> {
        self.nodes.iter().filter(|(p, n)| want(p, n)).map(|(p, _)| p.clone()).collect()
    }

    /// Whether the tree has no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether anything except directories is below `path`.
    pub fn has_members(&self, path: &MemberPath) -> bool {
        self.nodes
            .range(path.clone()..)
            .skip_while(|(p, _)| *p == path)
            .take_while(|(p, _)| p.is_under(path.as_str()))
            .any(|(_, n)| !matches!(n, Node::Directory))
    }

    /// Whether nothing is below `path`.
    pub fn is_leaf(&self, path: &MemberPath) -> bool {
        let mut from = self.nodes.range(path.clone()..).map(|(p, _)| p);
        from.find(|p| *p != path).is_none_or(|p| !p.is_under(path.as_str()))
    }

    /// Whether something exists at `path`: a node, or members below it.
    pub fn exists(&self, path: &MemberPath) -> bool {
        self.nodes.contains_key(path)
            || self
                .nodes
                .range(path.clone()..)
                .next()
                .is_some_and(|(p, _)| p.is_under(path.as_str()))
    }

    /// Returns the names directly below a directory, sorted. An empty path stands for the root.
    pub fn entries(&self, directory: &str) -> Vec<String> {
        let dir = if directory.is_empty() {
            None
        } else {
            let real = MemberPath::composed(directory).and_then(|dir| self.real_path(&dir));
            if real.is_none() {
                return vec![];
            }
            real
        };
        let mut out: Vec<String> = vec![];
        for path in self.nodes.keys() {
            let below = match &dir {
                None => Some(path.as_str()),
                Some(dir) => {
                    path.as_str().strip_prefix(dir.as_str()).and_then(|r| r.strip_prefix('/'))
                }
            };
            if let Some(name) = below.and_then(|below| below.split('/').next())
                && out.last().is_none_or(|last| last != name)
            {
                out.push(name.to_owned());
            }
        }
        out.sort();
        out.dedup();
        out
    }

    /// Returns the tree at `root` on the disk. The whole tree is read once.
    ///
    /// # Errors
    /// If it cannot be read, or if it contains names that a tree must not contain.
    pub fn on_disk(root: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        let mut todo: Vec<(PathBuf, PathBuf)> = vec![(root.to_owned(), PathBuf::new())];
        while let Some((dir, below)) = todo.pop() {
            let read = |e| Error::at("read", &dir, e);
            for entry in fs_err::read_dir(&dir).map_err(read)? {
                let entry = entry.map_err(read)?;
                let meta = entry.metadata().map_err(read)?;
                let name = below.join(entry.file_name());
                let path = MemberPath::parse(name.as_os_str().as_bytes());
                let unfit = |why: &str| {
                    Error::verification(format!(
                        "{} holds a name that no tree can have: {name:?}",
                        root.display()
                    ))
                    .because(why)
                };
                let path = path.map_err(|e| unfit(&e.to_string()))?;
                let path = path.ok_or_else(|| unfit("it is empty"))?;
                let node = if meta.is_dir() {
                    todo.push((entry.path(), name));
                    Node::Directory
                } else if meta.is_symlink() {
                    Node::Symlink(link_on_disk(&entry.path())?)
                } else {
                    let executable = meta.permissions().mode() & 0o111 != 0;
                    let blob = Blob::of_file(entry.path()).map_err(read)?;
                    Node::File { blob, executable }
                };
                tree.put(path, node);
            }
        }
        Ok(tree)
    }

    /// Resolves the symlinks in every component of `path`. Returns `None` if a link dangles, loops
    /// or leaves the tree.
    pub fn real_path(&self, path: &MemberPath) -> Option<MemberPath> {
        let mut todo: Vec<String> = path.parts().rev().map(str::to_owned).collect();
        let mut done: Option<MemberPath> = None;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let next = match &done {
                Some(dir) => MemberPath::composed(&format!("{dir}/{part}"))?,
                None => MemberPath::composed(&part)?,
            };
            match self.nodes.get(&next) {
                Some(Node::Symlink(target)) => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    let landed = next.resolve_link(target)?;
                    todo.extend(landed.parts().rev().map(str::to_owned));
                    done = None;
                }
                Some(_) => done = Some(next),
                None if self.exists(&next) => done = Some(next),
                None => return None,
            }
        }
        done
    }

    /// Returns the file to which `path` leads through symlinks.
    pub fn file(&self, path: &MemberPath) -> Option<(MemberPath, &Blob)> {
        let real = self.real_path(path)?;
        match self.nodes.get(&real) {
            Some(Node::File { blob, .. }) => Some((real, blob)),
            _ => None,
        }
    }

    /// Merges `other` into this tree.
    ///
    /// # Errors
    /// If both contain the same path with different content. The message calls the other tree
    /// `name`.
    pub fn merge(&mut self, other: Tree, name: &str) -> Result<()> {
        for (path, node) in other.nodes {
            match (self.nodes.get(&path), &node) {
                (None, _) | (Some(Node::Directory), _) => {}
                (Some(_), Node::Directory) => continue,
                (Some(Node::Symlink(a)), Node::Symlink(b))
                    if path.resolve_link(a) == path.resolve_link(b) =>
                {
                    continue;
                }
                (Some(Node::File { blob: a, .. }), Node::File { blob: b, .. })
                    if a.same_content(b) =>
                {
                    continue;
                }
                (Some(_), _) => {
                    return Err(Error::build(format!(
                        "two inputs hold {path} with different content"
                    ))
                    .because(format!("the second is {name}")));
                }
            }
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    /// Checks that no node is below something that is not a directory.
    ///
    /// # Errors
    /// The error names the first conflicting pair.
    pub fn check_shape(&self) -> Result<()> {
        for path in self.nodes.keys() {
            let mut up = path.parent();
            while let Some(dir) = up {
                if let Some(Node::File { .. } | Node::Symlink(_)) = self.nodes.get(&dir) {
                    return Err(Error::verification(format!(
                        "{path} lies below {dir}, which is no directory"
                    )));
                }
                up = dir.parent();
            }
        }
        Ok(())
    }
}

//! The content of one archive, collected under one policy.

use std::collections::HashMap;

use super::budget::Limits;
use crate::error::{Cause, Error, Result};
use crate::model::{MemberPath, MemberPathError};
use crate::tree::{Node, Tree};

/// Whether two names in one archive may differ only in case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseCollisions {
    /// They may not: the tree would differ on a file system that folds case, and legitimate
    /// archives have no need for it.
    Refuse,
    /// They may: Debian's signed linux-libc-dev contains both `xt_MARK.h` and `xt_mark.h`.
    Allow,
}

/// Collects the entries of one archive and refuses harmful ones.
pub struct LayerBuilder<'a> {
    tree: Tree,
    strip: usize,
    cases: CaseCollisions,
    limits: Limits,
    entries: u64,
    linked: u64,
    folded: HashMap<String, MemberPath>,
    map: &'a dyn Fn(MemberPath) -> Option<MemberPath>,
}

impl<'a> LayerBuilder<'a> {
    /// Creates an empty layer. `strip` leading components are removed from each name. `map` may
    /// move the remaining path, or drop it by returning `None`.
    pub fn new(
        strip: usize,
        cases: CaseCollisions,
        limits: Limits,
        map: &'a dyn Fn(MemberPath) -> Option<MemberPath>,
    ) -> Self {
        LayerBuilder {
            tree: Tree::default(),
            strip,
            cases,
            limits,
            entries: 0,
            linked: 0,
            folded: HashMap::new(),
            map,
        }
    }

    /// Returns the path of an archive's entry, or `None` for the root and for entries that are
    /// stripped or dropped.
    ///
    /// # Errors
    /// If the name is hostile, or if there are too many entries.
    pub fn place(&mut self, name: &[u8]) -> Result<Option<MemberPath>> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(hostile(format!("it has more than {} entries", self.limits.entries)));
        }
        let Some(path) =
            MemberPath::parse(name).map_err(|e: MemberPathError| hostile(e.to_string()))?
        else {
            return Ok(None);
        };
        let rest: Vec<&str> = path.parts().skip(self.strip).collect();
        if rest.is_empty() {
            return Ok(None);
        }
        let path = if self.strip == 0 { path } else { MemberPath::literal(&rest.join("/")) };
        Ok((self.map)(path))
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If the path already exists, lies behind a symlink or a file, or collides with another path
    /// in case.
    pub fn add(&mut self, path: MemberPath, node: Node) -> Result<()> {
        match (self.tree.get(&path), &node) {
            (None, _) => {}
            (Some(Node::Directory), Node::Directory) => return Ok(()),
            // A directory entry must not replace a symlink that was created for it earlier
            // (usrmerge).
            (Some(Node::Symlink(a)), Node::Symlink(b)) if a == b => return Ok(()),
            (Some(_), _) => return Err(hostile(format!("{path} stands in it twice"))),
        }
        let mut up = path.parent();
        while let Some(dir) = up {
            match self.tree.get(&dir) {
                Some(Node::Directory) => break,
                Some(Node::Symlink(to)) => {
                    return Err(hostile(format!("{path} goes through the symlink {dir} -> {to}")));
                }
                Some(Node::File { .. }) => {
                    return Err(hostile(format!("{path} lies below the file {dir}")));
                }
                None => {}
            }
            up = dir.parent();
        }
        if !matches!(node, Node::Directory) && self.tree.exists(&path) {
            return Err(hostile(format!("{path} is a directory and something else")));
        }
        if self.cases == CaseCollisions::Refuse {
            // Check every ancestor too: `A/x` and `a/y` collide.
            let mut next = Some(path.clone());
            while let Some(p) = next {
                let key = p.as_str().to_lowercase();
                match self.folded.get(&key) {
                    Some(other) if *other != p => {
                        return Err(hostile(format!("{other} and {p} differ in case alone")));
                    }
                    Some(_) => break,
                    None => {
                        self.folded.insert(key, p.clone());
                    }
                }
                next = p.parent();
            }
        }
        // No file system accepts a longer target (PATH_MAX of Linux), and zip files may contain any
        // bytes.
        if let Node::Symlink(target) = &node
            && (target.is_empty() || target.len() >= 4096 || target.contains('\0'))
        {
            return Err(hostile(format!("the symlink {path} has no valid target")));
        }
        if let Node::Symlink(target) = &node
            && !target.starts_with('/')
            && !path.link_stays(target)
        {
            return Err(hostile(format!("the symlink {path} -> {target} leads out of it")));
        }
        self.tree.put(path, node);
        Ok(())
    }

    /// Returns the file that a hard link names, or `None` if that file is not wanted.
    ///
    /// # Errors
    /// If the archive has contained no such file so far.
    pub fn hard_link(&mut self, path: &MemberPath, target: &[u8]) -> Result<Option<Node>> {
        self.entries -= 1; // place() counts the name of the target, which is not an entry
        // If the file was dropped, the link is dropped too.
        let Some(to) = self.place(target)? else { return Ok(None) };
        match self.tree.get(&to) {
            Some(node @ Node::File { blob, .. }) => {
                // A link costs the archive nothing, but costs a tree without hard links the whole
                // file.
                self.linked = self.linked.saturating_add(blob.size());
                if self.linked > self.limits.bytes {
                    return Err(hostile(format!(
                        "its hard links stand for more than {} MiB: refused as a bomb",
                        self.limits.bytes >> 20
                    )));
                }
                Ok(Some(node.clone()))
            }
            _ => Err(hostile(format!("the hard link {path} -> {to} leads to no file of it"))),
        }
    }

    /// Returns the finished layer.
    pub fn finish(self) -> Tree {
        self.tree
    }
}

/// Returns the error that refuses an archive.
pub(crate) fn hostile(why: String) -> Error {
    Error::verification("the archive is refused").because(why).with_cause(Cause::HostileArchive)
}

/// Returns the error for an archive that was cut off.
pub(crate) fn cut(why: &str) -> Error {
    Error::verification("the archive is damaged").because(why).with_cause(Cause::DamagedArchive)
}

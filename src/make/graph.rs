//! Determines which trees must be made, and in which order.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{LockedTree, Lockfile};
use crate::model::{Platform, StoreName, ToolchainName};
use crate::store::Store;

/// The greatest number of trees of which each needs the next. A set needs the packages of its
/// builds, and these need an interpreter, so a real lock stays far below.
const DEEPEST: usize = 64;

/// A tree that is missing.
pub struct Missing<'a> {
    /// The tree.
    pub tree: &'a LockedTree,
    /// The positions in the graph of the trees that must be made first.
    pub after: Vec<usize>,
    /// The tree of the interpreter whose pip names the package index, if no index is configured.
    pub index_of: Option<&'a LockedTree>,
}

/// The data from which the graph is made.
pub struct Search<'a> {
    /// The lock.
    pub lock: &'a Lockfile,
    /// The store. A tree that it already holds is not made.
    pub store: &'a Store,
    /// The fetcher. A file that is in its cache needs neither an index nor a build.
    pub fetcher: &'a Fetcher,
    /// The platform of this machine. The tools that make a tree run on it.
    pub native: Option<Platform>,
    /// The interpreter that names the package index, if one is needed for that.
    pub index: Option<&'a LockedTree>,
}

impl<'a> Search<'a> {
    /// Returns the missing trees of `wanted` and the trees that are needed to make them. Each tree
    /// follows the trees that it needs.
    ///
    /// # Errors
    /// If a needed tree is not locked for this machine, or if trees need each other.
    pub fn missing(&self, wanted: &[&'a LockedTree]) -> Result<Vec<Missing<'a>>> {
        let mut out = vec![];
        let mut places = BTreeMap::new();
        for tree in wanted {
            self.visit(tree, 0, &mut out, &mut places)?;
        }
        Ok(out)
    }

    /// Adds a tree and the trees that it needs. Returns the position of the tree, or `None` if it
    /// is already in the store.
    fn visit(
        &self,
        tree: &'a LockedTree,
        depth: usize,
        out: &mut Vec<Missing<'a>>,
        places: &mut BTreeMap<StoreName, Option<usize>>,
    ) -> Result<Option<usize>> {
        let name = &tree.output.store_name;
        match places.get(name) {
            Some(Some(place)) => return Ok(Some(*place)),
            Some(None) => {
                return Err(damaged(format!("{} needs itself to be made", tree.plan.name))
                    .because("`uses` in the lock goes in a circle"));
            }
            None => {}
        }
        if self.store.has(name) {
            return Ok(None);
        }
        if depth > DEEPEST {
            return Err(damaged(format!("{} is needed too deeply", tree.plan.name))
                .because(format!("`uses` in the lock leads on over more than {DEEPEST} trees")));
        }
        places.insert(name.clone(), None);
        let mut after = vec![];
        if self.must_build(tree) {
            self.visit_makers(tree, depth, &mut after, out, places)?;
        }
        let index_of = self.index.filter(|_| self.must_ask_index(tree));
        if let Some(interpreter) = index_of {
            after.extend(self.visit(interpreter, depth + 1, out, places)?);
        }
        let place = out.len();
        places.insert(name.clone(), Some(place));
        out.push(Missing { tree, after, index_of });
        Ok(Some(place))
    }

    /// Adds the trees that build a tree, and those that build what it takes of others.
    fn visit_makers(
        &self,
        tree: &'a LockedTree,
        depth: usize,
        after: &mut Vec<usize>,
        out: &mut Vec<Missing<'a>>,
        places: &mut BTreeMap<StoreName, Option<usize>>,
    ) -> Result<()> {
        if depth > DEEPEST {
            return Err(damaged(format!("{} is needed too deeply", tree.plan.name))
                .because(format!("`uses` in the lock leads on over more than {DEEPEST} trees")));
        }
        let native = native_or_refuse(self.native)?;
        for used in &tree.plan.uses.make {
            let used = locked_for(self.lock, used, native)?;
            after.extend(self.visit(used, depth + 1, out, places)?);
            // Its tree is there, but not what it was made from.
            if tree.plan.building.is_some() && self.must_build(used) {
                self.visit_makers(used, depth + 1, after, out, places)?;
            }
        }
        Ok(())
    }

    /// Whether one of the tree's wheels, or its source, must be built.
    fn must_build(&self, tree: &LockedTree) -> bool {
        let built = tree.plan.inputs.iter().filter_map(|i| i.built.as_ref());
        built.into_iter().any(|built| self.fetcher.built(&built.sha256).is_none())
    }

    /// Whether one of the tree's files must be fetched from a Python package index.
    fn must_ask_index(&self, tree: &LockedTree) -> bool {
        tree.plan.inputs.iter().any(|input| {
            let built = input.built.as_ref();
            let at_hand = built.is_some_and(|built| self.fetcher.built(&built.sha256).is_some());
            input.project().is_some() && !at_hand && !self.fetcher.has(input)
        })
    }
}

fn damaged(message: String) -> Error {
    Error::new(ErrorKind::LockDamaged, message)
        .hint("restore the lock from version control, or run `cotter lock --fresh`")
}

/// Returns the platform of this machine.
///
/// # Errors
/// If cotter has no trees for this machine.
pub fn native_or_refuse(native: Option<Platform>) -> Result<Platform> {
    native.ok_or_else(|| {
        Error::user("cotter makes no trees that run on this machine").hint(
            "name one of the manifest's platforms with --platform, to prepare trees for other machines",
        )
    })
}

/// Returns the lock entry of a toolchain for a platform.
///
/// # Errors
/// If the toolchain is not locked for that platform.
pub fn locked_for<'a>(
    lock: &'a Lockfile,
    name: &ToolchainName,
    platform: Platform,
) -> Result<&'a LockedTree> {
    lock.get(name, platform).ok_or_else(|| {
        Error::user(format!("{name} is not locked for this machine, {platform}"))
            .hint(format!("add {:?} to its platforms in toolchains.toml", platform.as_str()))
    })
}

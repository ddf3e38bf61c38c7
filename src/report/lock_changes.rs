//! What the change of a lock means: which trees are made anew, and which packages are others.

use std::collections::{BTreeMap, BTreeSet};

use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::model::{Ecosystem, Input, Platform, ToolchainName};

/// The changes between two locks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockChanges {
    /// The entries that differ, by name and platform.
    pub trees: Vec<TreeChange>,
}

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// The entry as it was.
    pub old: Option<TreeState>,
    /// The entry as it is.
    pub new: Option<TreeState>,
    /// The packages that differ.
    pub packages: Vec<PackageChange>,
    /// What else differs, in a few words each.
    pub settings: Vec<String>,
}

/// One side of the change of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeState {
    /// The version of the tree.
    pub version: String,
    /// The name of the tree in the store.
    pub store_name: String,
    /// The number of packages.
    pub packages: usize,
    /// The sum of the sizes of the packages in bytes: what must be fetched.
    pub download: u64,
    /// The size of the tree in bytes.
    pub size: u64,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageChange {
    /// The name in the package system.
    pub name: String,
    /// The package system.
    pub ecosystem: Ecosystem,
    /// The package as it was.
    pub old: Option<PackageState>,
    /// The package as it is.
    pub new: Option<PackageState>,
}

/// One side of the change of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageState {
    /// The version.
    pub version: String,
    /// The size in bytes.
    pub size: u64,
}

/// What happens to a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The lock did not have it.
    Added,
    /// The lock does not have it any more.
    Removed,
    /// It is another tree now.
    MadeAnew,
    /// The tree is the same, and its entry is not.
    Recorded,
}

impl Happening {
    /// Returns the word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Happening::Added => "added",
            Happening::Removed => "removed",
            Happening::MadeAnew => "made-anew",
            Happening::Recorded => "recorded",
        }
    }
}

impl TreeChange {
    /// Returns what happens to the tree.
    pub fn happening(&self) -> Happening {
        match (&self.old, &self.new) {
            (None, _) => Happening::Added,
            (_, None) => Happening::Removed,
            (Some(old), Some(new)) if old.store_name == new.store_name => Happening::Recorded,
            _ => Happening::MadeAnew,
        }
    }

    /// Returns the version, or both if they differ.
    pub fn versions(&self) -> String {
        let version = |state: &TreeState| state.version.clone();
        both(self.old.as_ref().map(version), self.new.as_ref().map(version))
    }
}

impl PackageChange {
    /// Returns the versions: `1 -> 2`.
    pub fn versions(&self) -> String {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old.version == new.version => {
                format!("{} (other bytes)", new.version)
            }
            (old, new) => both(
                old.as_ref().map(|state| state.version.clone()),
                new.as_ref().map(|state| state.version.clone()),
            ),
        }
    }
}

/// Returns the text of two sides, of which one may be missing, or equal to the other.
fn both(old: Option<String>, new: Option<String>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
        (old, new) => new.or(old).unwrap_or_default(),
    }
}

impl LockChanges {
    /// Compares two locks.
    pub fn between(old: &Lockfile, new: &Lockfile) -> LockChanges {
        let keys: BTreeSet<_> = old.trees.keys().chain(new.trees.keys()).collect();
        let trees = keys.into_iter().filter_map(|key| {
            let (before, now) = (old.trees.get(key), new.trees.get(key));
            if before == now {
                return None;
            }
            Some(TreeChange {
                name: key.0.clone(),
                platform: key.1,
                old: before.map(TreeState::of),
                new: now.map(TreeState::of),
                packages: packages(before, now),
                settings: settings(before.map(|t| &t.plan), now.map(|t| &t.plan)),
            })
        });
        LockChanges { trees: trees.collect() }
    }

    /// Returns each change of a package once, with the names of the trees that it concerns. The
    /// packages of trees that are new or gone as a whole are not among them.
    pub fn packages(&self) -> BTreeMap<&PackageChange, BTreeSet<&ToolchainName>> {
        let mut out: BTreeMap<&PackageChange, BTreeSet<&ToolchainName>> = BTreeMap::new();
        for tree in self.trees.iter().filter(|tree| tree.old.is_some() && tree.new.is_some()) {
            for package in &tree.packages {
                out.entry(package).or_default().insert(&tree.name);
            }
        }
        out
    }

    /// Returns the number of trees to which something happens.
    pub fn number_of(&self, happening: Happening) -> usize {
        self.trees.iter().filter(|tree| tree.happening() == happening).count()
    }
}

impl TreeState {
    fn of(tree: &LockedTree) -> TreeState {
        TreeState {
            version: tree.plan.version.clone(),
            store_name: tree.output.store_name.to_string(),
            packages: tree.plan.inputs.len(),
            download: tree.plan.input_bytes(),
            size: tree.output.nar_size,
        }
    }
}

/// Returns the packages that differ between two entries.
fn packages(old: Option<&LockedTree>, new: Option<&LockedTree>) -> Vec<PackageChange> {
    type Named<'a> = BTreeMap<(Ecosystem, &'a str), &'a Input>;
    fn named(tree: Option<&LockedTree>) -> Named<'_> {
        let inputs = tree.into_iter().flat_map(|tree| &tree.plan.inputs);
        inputs.map(|i| ((i.component.ecosystem, i.component.name.as_str()), i)).collect()
    }
    let (old, new) = (named(old), named(new));
    let state = |input: &&Input| PackageState {
        version: input.component.version.clone(),
        size: input.size,
    };
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changed = keys.into_iter().filter_map(|key| {
        let (before, now) = (old.get(key), new.get(key));
        if before.map(|i| i.sha256) == now.map(|i| i.sha256) {
            return None;
        }
        Some(PackageChange {
            name: key.1.to_owned(),
            ecosystem: key.0,
            old: before.map(state),
            new: now.map(state),
        })
    });
    changed.collect()
}

/// Returns what differs between two entries besides their packages.
fn settings(old: Option<&Plan>, new: Option<&Plan>) -> Vec<String> {
    let (Some(old), Some(new)) = (old, new) else { return vec![] };
    let mut out = vec![];
    if old.recipe != new.recipe {
        out.push(format!("recipe {} -> {}", old.recipe, new.recipe));
    }
    if old.spec != new.spec {
        out.push("settings of the tree".to_owned());
    }
    out
}

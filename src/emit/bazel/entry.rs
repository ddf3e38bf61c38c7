//! What the files for Bazel say of an entry of the lock: the one place of this emitter that knows the lock's own types.

use crate::lockfile::{LockedTree, Lockfile};
use crate::model::{Kind, Platform, ToolchainName};

/// An entry of the lock.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The toolchain.
    pub name: &'a str,
    /// What it is for.
    pub kind: Kind,
    /// The platform that its programs run on.
    pub platform: Platform,
    /// The platform that a compiler makes programs for; of other kinds the same as `platform`.
    pub target: Platform,
    /// The tree's name in the store.
    pub store_name: &'a str,
    /// The toolchains that it is of no use without.
    pub uses: Vec<&'a str>,
    /// For Python packages: what they are.
    pub set: Option<Set<'a>>,
}

/// The Python packages of a tree.
#[derive(Debug)]
pub struct Set<'a> {
    /// The set's name in the manifest.
    pub name: &'a str,
    /// The toolchain of the interpreter that they are for.
    pub python: &'a str,
    /// The packages, each with the names of those that it needs.
    pub packages: Vec<(&'a str, &'a [String])>,
}

impl<'a> Entry<'a> {
    /// The entries of a lock that others are to use: none that only serves builds.
    pub fn all(lock: &'a Lockfile) -> Vec<Self> {
        lock.trees.values().filter(|t| !t.plan.serves_builds()).map(Entry::of).collect()
    }

    fn of(tree: &'a LockedTree) -> Self {
        let plan = &tree.plan;
        Entry {
            name: plan.name.as_str(),
            kind: plan.spec.kind(),
            platform: plan.platform,
            target: plan.target(),
            store_name: tree.output.store_name.as_str(),
            uses: plan.uses.run.iter().map(ToolchainName::as_str).collect(),
            set: plan.spec.packages().map(|set| Set {
                name: set.set.as_str(),
                python: set.interpreter.as_str(),
                packages: plan
                    .inputs
                    .iter()
                    .map(|input| (input.component.name.as_str(), input.requires.as_slice()))
                    .collect(),
            }),
        }
    }

    /// `gcc-x86_64-linux`: the entry within the emission.
    pub fn key(&self) -> String {
        format!("{}-{}", self.name, self.platform)
    }

    /// Whether a name of `[emit.bazel] toolchains` means it.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.set.as_ref().is_some_and(|set| set.name == name)
    }
}

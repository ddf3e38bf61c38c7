//! What the files for Bazel contain for an entry of the lock. Only this file of the emitter uses
//! the types of the lock.

use crate::lockfile::{LockedTree, Lockfile};
use crate::model::{Kind, Platform, ToolchainName};

/// An entry of the lock.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The name of the toolchain.
    pub name: &'a str,
    /// The kind of the tree.
    pub kind: Kind,
    /// The platform on which the programs of the tree run.
    pub platform: Platform,
    /// The platform for which a compiler generates code. For other kinds, it equals `platform`.
    pub target: Platform,
    /// The name of the tree in the store.
    pub store_name: &'a str,
    /// The toolchains without which the tree cannot be used.
    pub uses: Vec<&'a str>,
    /// The set of Python packages, if the tree is one.
    pub set: Option<Set<'a>>,
}

/// The set of Python packages in a tree.
#[derive(Debug)]
pub struct Set<'a> {
    /// The name of the set in the manifest.
    pub name: &'a str,
    /// The toolchain of the interpreter for which the packages are installed.
    pub python: &'a str,
    /// Whether it names toolchains with libraries.
    pub has_libraries: bool,
    /// The packages, each with the names of the packages that it needs.
    pub packages: Vec<(&'a str, &'a [String])>,
}

impl<'a> Entry<'a> {
    /// Returns the entries of a lock that users may use. Trees that only serve builds are left out.
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
                has_libraries: !set.libraries.is_empty(),
                packages: plan
                    .inputs
                    .iter()
                    .map(|input| (input.component.name.as_str(), input.requires.as_slice()))
                    .collect(),
            }),
        }
    }

    /// Returns the name of the entry within the emission, such as `gcc-x86_64-linux`.
    pub fn key(&self) -> String {
        format!("{}-{}", self.name, self.platform)
    }

    /// Whether `name`, from `[emit.bazel] toolchains`, refers to this entry.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.set.as_ref().is_some_and(|set| set.name == name)
    }
}

//! What stands in a lock.

use std::collections::BTreeMap;

use super::fingerprint::Fingerprint;
use super::spec::{PackagesRole, PackagesSpec, Spec};
use crate::error::{Error, Result};
use crate::model::{Digest, Input, Platform, StoreName, ToolchainName};
use crate::nix::store_path;

/// The file's name.
pub const FILE_NAME: &str = "toolchains.lock";

/// A whole lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockfile {
    /// The entries by toolchain and platform.
    pub trees: BTreeMap<(ToolchainName, Platform), LockedTree>,
}

/// One toolchain on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedTree {
    /// What the tree is made of.
    pub plan: Plan,
    /// What comes out.
    pub output: Output,
    /// Whether the entry's text was changed by another hand than cotter's since it was written.
    pub edited: Option<Edited>,
}

/// An entry whose digest is not that of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// The digest that the entry notes.
    pub noted: Digest,
    /// The digest of what it says now.
    pub now: Digest,
}

/// What a tree is made of, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// What the tree is to be.
    pub spec: Spec,
    /// The name of the source that decided the inputs.
    pub source: String,
    /// The version of its principal input, for people.
    pub version: String,
    /// The recipe that makes the tree out of the inputs.
    pub recipe: RecipeId,
    /// The trees of the same lock that this one needs.
    pub uses: Uses,
    /// What the manifest asked for when this was resolved.
    pub fingerprint: Fingerprint,
    /// The Debian releases that the resolution trusted.
    pub releases: Vec<TrustedRelease>,
    /// The inputs, in the order in which the recipe lays them down.
    pub inputs: Vec<Input>,
}

/// A recipe and its version, such as `gcc/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeId {
    /// The recipe's name. Of a compiler, it is the family.
    pub name: String,
    /// Goes up with every change of the recipe that changes a byte of a tree.
    pub version: u32,
}

impl std::fmt::Display for RecipeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

impl std::str::FromStr for RecipeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a recipe such as \"gcc/1\", got {text:?}");
        let (name, version) = text.split_once('/').ok_or_else(wrong)?;
        let plain = |s: &str, ok: fn(&u8) -> bool| !s.is_empty() && s.as_bytes().iter().all(ok);
        if !plain(name, |b| b.is_ascii_lowercase() || *b == b'-')
            || !plain(version, u8::is_ascii_digit)
        {
            return Err(wrong());
        }
        Ok(RecipeId { name: name.to_owned(), version: version.parse().map_err(|_| wrong())? })
    }
}

/// The trees of the lock that a tree needs, by the names of their toolchains, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// To be made: those for the machine that makes it.
    pub make: Vec<ToolchainName>,
    /// To run: those for its own platform.
    pub run: Vec<ToolchainName>,
}

impl Uses {
    /// What a set of Python packages uses. `builds` is the tree of what its builds import, if
    /// any of its wheels is built on the spot; then the compiler and the like are used, too.
    pub fn of_set(set: &PackagesSpec, built: bool, builds: Option<ToolchainName>) -> Uses {
        let mut make = vec![];
        if built {
            make.push(set.interpreter.clone());
            make.extend(set.build_tools.iter().cloned());
            make.extend(builds);
            make.sort();
            make.dedup();
        }
        Uses { make, run: vec![set.interpreter.clone()] }
    }
}

/// The identity of a finished tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name of the tree in the store.
    pub store_name: StoreName,
    /// The sha256 of the tree's NAR.
    pub nar_hash: Digest,
    /// The length of the tree's NAR in bytes.
    pub nar_size: u64,
}

/// A Debian `Release` file that a resolution trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRelease {
    /// The mirror family, `debian` as a rule.
    pub archive: String,
    /// The suite as the manifest names it.
    pub suite: String,
    /// The `Date` field, as RFC 3339 in UTC.
    pub date: String,
    /// The fingerprint of the key whose signature was good, in hexadecimal.
    pub key: String,
}

impl Plan {
    /// The platform that its programs make programs for: a compiler's target, else its own.
    pub fn target(&self) -> Platform {
        self.spec.cc().map_or(self.platform, |cc| cc.target)
    }

    /// Whether the tree serves the builds of a set of Python packages only.
    pub fn serves_builds(&self) -> bool {
        self.spec.packages().is_some_and(|p| p.role == PackagesRole::Builds)
    }

    /// Whether its inputs lie on a Python package index.
    pub fn comes_from_python_index(&self) -> bool {
        self.inputs.iter().any(|i| i.project().is_some())
    }

    /// The version of the component `name` among the inputs.
    pub fn component_version(&self, name: &str) -> Option<&str> {
        self.inputs.iter().find(|i| i.component.name == name).map(|i| i.component.version.as_str())
    }

    /// The glibc among the inputs, as its two numbers, such as `2.36`.
    pub fn glibc(&self) -> Option<String> {
        let version = self.component_version("libc6")?;
        let upstream = version.split(['-', '+']).next()?;
        Some(upstream.split('.').take(2).collect::<Vec<_>>().join("."))
    }

    /// What the tree is called in the store, behind the hash: toolchain, version, platform.
    pub fn tree_name(&self) -> String {
        let version: String = self
            .version
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' })
            .collect();
        format!("{}-{version}-{}", self.name, self.platform)
    }

    /// The time at which to ask Debian's public archive of old files: a day after the newest
    /// release that was trusted, for files enter that archive some hours later, and leave the
    /// mirrors some days later at the earliest.
    pub fn snapshot(&self) -> Option<String> {
        let newest =
            self.releases.iter().filter_map(|r| r.date.parse::<jiff::Timestamp>().ok()).max()?;
        let later = newest.checked_add(jiff::SignedDuration::from_hours(24)).ok()?;
        Some(later.strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    /// The sum of the sizes of the inputs, in bytes.
    pub fn input_bytes(&self) -> u64 {
        self.inputs.iter().fold(0, |sum, i| sum.saturating_add(i.size))
    }
}

impl LockedTree {
    /// An entry that was just made.
    pub fn new(plan: Plan, output: Output) -> Self {
        LockedTree { plan, output, edited: None }
    }

    /// Checks that the parts of the entry belong together: the name in the store follows from the
    /// NAR's hash, and nobody edited the text.
    ///
    /// # Errors
    /// A failed verification that names the entry, with expected and got.
    pub fn check(&self) -> Result<()> {
        let (plan, output) = (&self.plan, &self.output);
        let follows = store_path::of_tree(&output.nar_hash, output.store_name.name());
        if follows.as_ref() != Ok(&output.store_name) {
            let got = follows.map_or_else(|why| why, |name| name.to_string());
            return Err(Error::verification(format!(
                "the tree of {} is not the one that was locked",
                plan.name
            ))
            .because(format!(
                "{FILE_NAME} names {} for {}, and the NAR hash {} gives {got}",
                output.store_name,
                plan.platform,
                output.nar_hash.sri()
            ))
            .hint(self.way_out()));
        }
        match &self.edited {
            None => Ok(()),
            Some(edited) => Err(Error::verification(format!(
                "the entry of {} for {} in {FILE_NAME} was edited",
                plan.name, plan.platform
            ))
            .because(format!(
                "expected the digest {}, got {}",
                edited.noted.sri(),
                edited.now.sri()
            ))
            .hint(self.way_out())),
        }
    }

    fn way_out(&self) -> String {
        format!(
            "restore the entry from version control, or lock it anew with `cotter lock --upgrade {}`",
            self.plan.spec.packages().map_or(&self.plan.name, |p| &p.set)
        )
    }
}

impl Lockfile {
    /// The entry of a toolchain on a platform.
    pub fn get(&self, name: &ToolchainName, platform: Platform) -> Option<&LockedTree> {
        self.trees.get(&(name.clone(), platform))
    }

    /// The entry of a toolchain on a platform, or on any if it is not locked for that one: what is
    /// the same on all platforms may be read from it.
    pub fn get_or_any(&self, name: &ToolchainName, platform: Platform) -> Option<&LockedTree> {
        self.get(name, platform)
            .or_else(|| Platform::ALL.into_iter().find_map(|p| self.get(name, p)))
    }

    /// Puts an entry in its place.
    pub fn put(&mut self, tree: LockedTree) {
        self.trees.insert((tree.plan.name.clone(), tree.plan.platform), tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_names_and_numbers() {
        assert_eq!("gcc/12".parse(), Ok(RecipeId { name: "gcc".to_owned(), version: 12 }));
        for bad in ["", "gcc", "gcc/", "/1", "gcc/+1", "gcc/1/2", "GCC/1", "gcc/99999999999"] {
            assert!(bad.parse::<RecipeId>().is_err(), "{bad}");
        }
    }
}

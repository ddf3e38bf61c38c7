//! `toolchains.lock`: every byte that a tree is made of, and the tree's own identity. Pure.
//!
//! Sorted by toolchain and platform, one block an entry, nothing global: two people's additions merge line by line.

mod conflict;
mod read;
mod render;

use std::collections::BTreeMap;

use crate::manifest::Kind;
use crate::model::{Digest, Input, Platform, StoreName, ToolchainName};

pub use conflict::{has_conflict_markers, sides};

/// The file's name.
pub const FILE_NAME: &str = "toolchains.lock";
/// The version of the format that this program writes, and the newest it reads.
pub const VERSION: i64 = 1;

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
}

/// What a tree is made of, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// What the toolchain is for.
    pub kind: Kind,
    /// The name of the source, which knows how to unpack its inputs.
    pub source: String,
    /// The version of its principal input, for people.
    pub version: String,
    /// The recipe that makes the tree out of the inputs, with its version, such as `cc/1`.
    pub recipe: String,
    /// What the manifest asked for when this was resolved.
    pub request: Request,
    /// The Debian releases that the resolution trusted.
    pub releases: Vec<Release>,
    /// The inputs, in the order in which the recipe lays them down.
    pub inputs: Vec<Input>,
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

impl Plan {
    /// The values of a key of the request; none if it is not there.
    pub fn requested(&self, key: &str) -> &[String] {
        self.request.get(key).map_or(&[], Vec::as_slice)
    }

    /// The platform that a compiler makes programs for: its own, unless the request says otherwise.
    pub fn target(&self) -> Platform {
        self.requested("target").first().and_then(|t| t.parse().ok()).unwrap_or(self.platform)
    }

    /// Whether the tree serves the builds of a set of Python packages only.
    pub fn serves_builds(&self) -> bool {
        self.requested("role").iter().any(|r| r == "build")
    }

    /// Whether wheels of it are built on the spot.
    pub fn holds_built_wheels(&self) -> bool {
        self.inputs.iter().any(|i| i.package.as_ref().is_some_and(|p| p.built.is_some()))
    }

    /// Whether its inputs lie on a Python package index.
    pub fn comes_from_python_index(&self) -> bool {
        self.inputs.iter().any(|i| i.project().is_some())
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

    /// The time at which to ask Debian's public archive of old files: a day after the newest release that was trusted, for files enter that
    /// archive some hours later, and leave the mirrors some days later at the earliest.
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

/// What the manifest asked for, key by key; compared to say why an entry is stale.
pub type Request = BTreeMap<String, Vec<String>>;

/// A Debian `Release` file that a resolution trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The mirror family, `debian` as a rule.
    pub archive: String,
    /// The suite as the manifest names it.
    pub suite: String,
    /// The `Date` field, as RFC 3339 in UTC.
    pub date: String,
    /// The fingerprint of the key whose signature was good, in hexadecimal.
    pub key: String,
}

impl Lockfile {
    /// The entry of a toolchain on a platform.
    pub fn get(&self, name: &ToolchainName, platform: Platform) -> Option<&LockedTree> {
        self.trees.get(&(name.clone(), platform))
    }

    /// Puts an entry in its place.
    pub fn put(&mut self, tree: LockedTree) {
        self.trees.insert((tree.plan.name.clone(), tree.plan.platform), tree);
    }
}

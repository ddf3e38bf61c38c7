//! The content of a lock.

use std::collections::BTreeMap;

use super::building::Building;
use super::evaluation::Evaluation;
use super::fingerprint::Fingerprint;
use super::spec::{PackagesRole, Spec};
use super::uses::Uses;
use crate::error::{Error, Result};
use crate::manifest::Requirements;
use crate::model::{Digest, Format, Input, Platform, StoreName, ToolchainName};
use crate::nix::keys::{CacheKey, PUBLIC_KEY};
use crate::nix::store_path;

/// The file name of a lock.
pub const FILE_NAME: &str = "toolchains.lock";

/// A whole lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockfile {
    /// The entries, by toolchain and platform.
    pub trees: BTreeMap<(ToolchainName, Platform), LockedTree>,
}

/// One toolchain on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedTree {
    /// What the tree is made from.
    pub plan: Plan,
    /// The identity of the result.
    pub output: Output,
    /// Set if the text of the entry was changed by something other than cotter since it was
    /// written.
    pub edited: Option<Edited>,
}

/// An entry whose recorded digest does not match its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// The digest that the entry records.
    pub noted: Digest,
    /// The digest of the entry's present content.
    pub now: Digest,
}

/// What a tree is made from, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// The specification of the tree.
    pub spec: Spec,
    /// The name of the source that determined the inputs.
    pub source: String,
    /// The version of the principal input, for messages.
    pub version: String,
    /// The recipe that makes the tree from the inputs.
    pub recipe: RecipeId,
    /// The trees of the same lock that this one needs.
    pub uses: Uses,
    /// What the manifest asked for when this entry was resolved.
    pub fingerprint: Fingerprint,
    /// The Debian releases that the resolution trusted.
    pub releases: Vec<TrustedRelease>,
    /// What an evaluator of Nix has found, if it named the path.
    pub evaluation: Option<Evaluation>,
    /// How its files are built, if they are built from source.
    pub building: Option<Building>,
    /// The inputs, in the order in which the recipe merges them.
    pub inputs: Vec<Input>,
}

/// The name and version of a recipe, such as `gcc/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeId {
    /// The name of the recipe. For a compiler, it is the family.
    pub name: String,
    /// A number that is raised with every change of the recipe that changes a byte of a tree.
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

/// The identity of a finished tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name of the tree in the store.
    pub store_name: StoreName,
    /// The SHA-256 hash of the tree's NAR.
    pub nar_hash: Digest,
    /// The length of the tree's NAR in bytes.
    pub nar_size: u64,
}

/// A Debian `Release` file that a resolution trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRelease {
    /// The mirror family, usually `debian`, or the URL of an archive that belongs to no family.
    pub archive: String,
    /// The suite, as the manifest names it.
    pub suite: String,
    /// The `Date` field, in RFC 3339 format and UTC.
    pub date: String,
    /// The fingerprint, in hexadecimal, of the key that made the valid signature.
    pub key: String,
}

/// The package of the libc.
pub const LIBC_PACKAGE: &str = "libc6";

impl Plan {
    /// Returns the name and the platform, for people.
    pub fn label(&self) -> String {
        Plan::label_of(&self.name, self.platform)
    }

    /// Returns the label of a tree that has no plan yet.
    pub fn label_of(name: &ToolchainName, platform: Platform) -> String {
        format!("{name} for {platform}")
    }

    /// Returns the name under which the manifest asks for the tree: that of the toolchain, or that
    /// of the set of Python packages.
    pub fn manifest_name(&self) -> &ToolchainName {
        self.spec.packages().map_or(&self.name, |set| &set.set)
    }

    /// Returns the binary caches of Nix that the manifest named for this entry. None: the public one.
    pub fn nix_caches(&self) -> &[String] {
        match self.source.as_str() {
            "nix" => self.fingerprint.values("caches"),
            _ => &[],
        }
    }

    /// Returns the keys that may sign paths of Nix for this entry, beginning with that of the public
    /// cache.
    pub fn nix_keys(&self) -> Vec<CacheKey> {
        let named = match self.source.as_str() {
            "nix" => self.fingerprint.values("keys"),
            _ => &[],
        };
        let keys = std::iter::once(PUBLIC_KEY).chain(named.iter().map(String::as_str));
        keys.filter_map(|key| key.parse().ok()).collect()
    }

    /// Returns the version of the libc for which a compiler links programs of a platform, without what
    /// Debian appends, such as `2.36`. It is that of the package that starts the compiler itself.
    pub fn linked_libc(&self, platform: Platform) -> Option<&str> {
        let target = self.spec.cc()?.target;
        let libc = self.inputs.iter().find(|input| input.component.name == LIBC_PACKAGE)?;
        (target == platform).then(|| libc.component.version.split(['-', '+']).next())?
    }

    /// Returns the platform for which the tree's programs produce code: a compiler's target, or
    /// otherwise the tree's own platform.
    pub fn target(&self) -> Platform {
        self.spec.cc().map_or(self.platform, |cc| cc.target)
    }

    /// Whether the tree serves only the builds of a set of Python packages.
    pub fn serves_builds(&self) -> bool {
        self.spec.packages().is_some_and(|p| p.role == PackagesRole::Builds)
    }

    /// Whether its inputs come from a Python package index.
    pub fn comes_from_python_index(&self) -> bool {
        self.inputs.iter().any(|i| i.project().is_some())
    }

    /// Returns the version of the component `name` among the inputs.
    pub fn component_version(&self, name: &str) -> Option<&str> {
        self.inputs.iter().find(|i| i.component.name == name).map(|i| i.component.version.as_str())
    }

    /// Returns the version of the glibc among the inputs as two numbers, such as `2.36`.
    pub fn glibc(&self) -> Option<String> {
        let version = self.component_version("libc6")?;
        let upstream = version.split(['-', '+']).next()?;
        Some(upstream.split('.').take(2).collect::<Vec<_>>().join("."))
    }

    /// Returns the part of the store name that follows the hash: toolchain, version, platform.
    pub fn tree_name(&self) -> String {
        let version: String = self
            .version
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' })
            .collect();
        format!("{}-{version}-{}", self.name, self.platform)
    }

    /// Returns the time at which to ask Debian's public archive of old files: one day after the
    /// newest trusted release. Files enter that archive some hours after a release, and they leave
    /// the mirrors some days after it at the earliest.
    pub fn snapshot(&self) -> Option<String> {
        // That archive has nothing of vendors.
        let debian = self.releases.iter().filter(|r| r.archive.starts_with("debian"));
        let newest = debian.filter_map(|r| r.date.parse::<jiff::Timestamp>().ok()).max()?;
        let later = newest.checked_add(jiff::SignedDuration::from_hours(24)).ok()?;
        Some(later.strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    /// Whether `uses` names exactly the trees that the specification calls for. Only what is built from
    /// source, and a set of Python packages, use other trees. A set has a tree of packages for its builds only if its manifest
    /// names such packages, which the specification does not tell.
    fn uses_fit(&self) -> bool {
        if let Some(building) = &self.building {
            return self.uses == building.uses();
        }
        let Some(set) = self.spec.packages() else { return self.uses == Uses::default() };
        let built = self.inputs.iter().any(|i| i.built.is_some());
        let builds = Requirements::builds_name(&self.name);
        [None, Some(builds)].into_iter().any(|builds| self.uses == Uses::of_set(set, built, builds))
    }

    /// Returns the path of a Nix store for which the manifest asks. The other inputs are the paths to
    /// which it refers, directly or not.
    pub fn closure(&self) -> Option<&StoreName> {
        Some(&self.inputs.first()?.nix.as_ref()?.path)
    }

    /// Returns the name of the file with the result of its build.
    pub fn built_name(&self) -> String {
        format!("{}.nar", self.tree_name())
    }

    /// Returns what determines the result of its build, if it is built from source: two plans with the
    /// same key have the same result. Its name is a part of that, because texts name the directory of
    /// the source by it.
    pub fn build_key(&self) -> Option<Digest> {
        let building = self.building.as_ref()?;
        let is_source = |input: &&Input| matches!(input.format, Format::Source | Format::Patch);
        let sources = self.inputs.iter().filter(is_source).map(|input| {
            let prefix = input.layout.strip_prefix.as_deref().unwrap_or_default();
            format!("{} {prefix}", input.sha256.hex())
        });
        let mut text = super::building::table(building).lines();
        text.extend(
            sources
                .chain([self.platform.to_string(), self.name.to_string()])
                .map(|line| line + "\n"),
        );
        Some(Digest::of(text.as_bytes()))
    }

    /// Whether Nix builds what no cache has.
    pub fn builds_with_nix(&self) -> bool {
        self.evaluation.as_ref().is_some_and(|evaluation| evaluation.expression.build)
    }

    /// Returns the sum of the sizes of the inputs in bytes.
    pub fn input_bytes(&self) -> u64 {
        self.inputs.iter().fold(0, |sum, i| sum.saturating_add(i.size))
    }
}

impl LockedTree {
    /// Creates an entry for a tree that was just made.
    pub fn new(plan: Plan, output: Output) -> Self {
        LockedTree { plan, output, edited: None }
    }

    /// Checks the consistency of the entry: the store name must follow from the NAR hash, `uses`
    /// must follow from the specification, and the text must not have been edited.
    ///
    /// # Errors
    /// A failed verification that names the entry, with the expected and the actual value.
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
            None if !plan.uses_fit() => Err(Error::verification(format!(
                "the entry of {} for {} in {FILE_NAME} was edited",
                plan.name, plan.platform
            ))
            .because("`uses` does not name the trees that its [tree.spec] calls for")
            .hint(self.way_out())),
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
            self.plan.manifest_name()
        )
    }
}

impl Lockfile {
    /// Returns the entry of a toolchain on a platform.
    pub fn get(&self, name: &ToolchainName, platform: Platform) -> Option<&LockedTree> {
        self.trees.get(&(name.clone(), platform))
    }

    /// Returns the entry of a toolchain on a platform, or on any other platform if it is not locked
    /// for that one. Facts that are the same on all platforms may be read from it.
    pub fn get_or_any(&self, name: &ToolchainName, platform: Platform) -> Option<&LockedTree> {
        self.get(name, platform)
            .or_else(|| Platform::ALL.into_iter().find_map(|p| self.get(name, p)))
    }

    /// Inserts an entry at its place.
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

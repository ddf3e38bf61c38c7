//! The interface of a source.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use jiff::Timestamp;

use crate::error::{Place, Result};
use crate::evaluator::Evaluator;
use crate::fetch::Fetcher;
use crate::lockfile::{Building, Evaluation, Fingerprint, Lockfile, TrustedRelease};
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{Input, Kind, Platform};
use crate::nix::expression::NixExpression;
use crate::recipe::{Notes, Recipe, package_of_command};
use crate::reporter::Reporter;
use crate::resolve::debian_index::Index;
use crate::resolve::debian_release::Keyring;

/// Reads what a table of the manifest says of a source. `None`: problems were added.
pub type Bind = fn(&mut Fields, &Toolchain, &Manifest, &mut Problems) -> Option<Box<dyn Source>>;

/// A kind of source.
pub struct SourceKind {
    /// The name of the source in the manifest.
    pub name: &'static str,
    /// The keys of a toolchain's table that belong to the source.
    pub keys: &'static [&'static str],
    /// Takes the source's keys from a toolchain's table.
    pub bind: Bind,
}

/// The request of a manifest to a source, for one toolchain.
pub trait Source {
    /// Returns what the manifest asks for. It is compared with what the manifest asked for when an
    /// entry was locked.
    fn fingerprint(&self, platform: Platform) -> Fingerprint;

    /// Returns the name of the recipe for the files of this source, if the manifest names no recipe
    /// and the default recipe of the kind would be wrong.
    fn recipe(&self, _kind: Kind) -> Option<&'static str> {
        None
    }

    /// Returns the Debian suites that the source reads, each with its archive.
    fn suites(&self) -> Vec<(&str, &str)> {
        vec![]
    }

    /// Returns the file of keys of each of the Debian suites, relative to the manifest, or `None` for a
    /// suite that names none.
    fn keys(&self) -> Vec<Option<&str>> {
        vec![]
    }

    /// Returns what an evaluator of Nix is asked for on a platform, if one is.
    fn expression(&self, _platform: Platform) -> Option<&NixExpression> {
        None
    }

    /// Returns how the files are built on a platform, without the trees that build them, if they are
    /// built from source.
    fn building(&self, _platform: Platform) -> Option<Building> {
        None
    }

    /// Returns the files of the project whose contents determine the tree, relative to the manifest.
    fn files(&self, platform: Platform) -> Vec<String> {
        self.expression(platform).map(NixExpression::files).unwrap_or_default()
    }

    /// Returns what only the manifest vouches for: addresses, and keys that are not Debian's, each with
    /// its place in the manifest.
    fn foreign(&self, _platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        vec![]
    }

    /// Returns the components that the manifest names.
    fn named(&self) -> Vec<String> {
        vec![]
    }

    /// Returns the Debian packages that the manifest names, each perhaps with a version or a suite,
    /// with their places.
    fn places(&self) -> Vec<(String, Place)> {
        vec![]
    }

    /// Returns the versions of the Debian packages whose names are wanted, in the suites of the source.
    /// Uses the network.
    ///
    /// # Errors
    /// If an index cannot be obtained or trusted.
    fn search(
        &self,
        _wanted: &dyn Fn(&str) -> bool,
        _platform: Platform,
        _cx: &ResolveContext,
    ) -> Result<Vec<FoundPackage>> {
        Ok(vec![])
    }

    /// Returns the newest version that there is, if the manifest names a version and the source knows
    /// others. Uses the network.
    ///
    /// # Errors
    /// If the index cannot be asked.
    fn newest(&self, _cx: &ResolveContext) -> Result<Option<NewestVersion>> {
        Ok(None)
    }

    /// Whether `additions` can change the result of [`Source::resolve`].
    fn may_grow(&self, _recipe: &dyn Recipe) -> bool {
        false
    }

    /// Determines the inputs for one platform and for the recipe that will merge them, with the
    /// `additions` that composing the tree has shown to be needed. May use the network.
    ///
    /// # Errors
    /// If the request cannot be satisfied.
    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution>;
}

/// A version of a Debian package in a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPackage {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The archive of the suite.
    pub archive: String,
    /// The suite.
    pub suite: String,
    /// Whether it is the version that is taken if the manifest names none.
    pub is_candidate: bool,
}

/// The newest version of a package of which the manifest names a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestVersion {
    /// The name of the package.
    pub package: String,
    /// The version that the manifest names.
    pub named: String,
    /// The newest version.
    pub newest: String,
}

/// Something for which only the manifest vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// An address from which files are taken.
    Url(String),
    /// A file of keys that may sign packages, relative to the manifest.
    Key(String),
    /// A key that may sign paths of a Nix store.
    Signer(String),
    /// An expression that Nix evaluates, and perhaps builds.
    Code(NixExpression),
}

/// What composing a tree has shown to be needed in addition to what the manifest names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// Essential packages whose commands the tree starts.
    pub essential: BTreeSet<String>,
    /// Metapackages: the packages on which they depend count as named by the manifest, too.
    pub handed_over: BTreeSet<String>,
}

impl Additions {
    /// Adds what the notes about a tree ask for.
    pub fn take_from(&mut self, notes: &Notes) {
        let packages = notes.missing.iter().filter_map(|m| package_of_command(&m.name));
        self.essential.extend(packages.map(str::to_owned));
        let meta = notes.nameless.iter().filter(|nameless| nameless.is_meta);
        self.handed_over.extend(meta.map(|nameless| nameless.package.clone()));
    }
}

/// The result of resolving a request.
#[derive(Debug)]
pub struct Resolution {
    /// The version, for messages and for the name in the store.
    pub version: String,
    /// The Debian releases that were trusted.
    pub releases: Vec<TrustedRelease>,
    /// The Debian package that determines the version, if a package does.
    pub principal: Option<String>,
    /// What an evaluator of Nix has found, if it was asked.
    pub evaluation: Option<Evaluation>,
    /// How the files are built, if they are built from source. The first input is the source code.
    pub building: Option<Building>,
    /// The inputs in the order in which they are merged.
    pub inputs: Vec<Input>,
    /// The components that the manifest names, and those to which a metapackage hands that over.
    pub named: Vec<String>,
    /// The packages of [`Additions::essential`] that are among the inputs only for that reason.
    pub essential: Vec<String>,
}

/// The services and data that resolving may use.
pub struct ResolveContext<'a> {
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// Reports progress.
    pub reporter: &'a Reporter,
    /// The current time.
    pub now: Timestamp,
    /// The keys to trust, if a suite names no key.
    pub keyring: &'a Keyring,
    /// The directory of the manifest.
    pub dir: &'a Path,
    /// The evaluator of Nix.
    pub evaluator: &'a Evaluator,
    /// What is locked so far: the toolchains with which others are built.
    pub lock: &'a Lockfile,
    /// Whether an expired index is refused.
    pub check_valid_until: bool,
    /// The releases that the lock has trusted so far. A release must not be older than these.
    pub known: Vec<TrustedRelease>,
    /// The index that was read last. An index is large, so only one is kept, and platforms are
    /// resolved one after the other.
    pub index: RefCell<Option<CachedIndex>>,
}

/// An index, with a name that identifies it and the releases that authenticate it.
pub type CachedIndex = (String, Rc<(Index, Vec<TrustedRelease>)>);

impl ResolveContext<'_> {
    /// Returns the date of the newest release of a suite that the lock has trusted.
    pub fn newest_known(&self, archive: &str, suite: &str) -> Option<Timestamp> {
        self.known
            .iter()
            .filter(|r| r.archive == archive && r.suite == suite)
            .filter_map(|r| r.date.parse().ok())
            .max()
    }
}

//! The interface of a source.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;

use crate::error::Result;
use crate::fetch::Fetcher;
use crate::lockfile::{Fingerprint, TrustedRelease};
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{Input, Kind, Platform};
use crate::recipe::Recipe;
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

    /// Determines the inputs for one platform and for the recipe that will merge them. May use the
    /// network.
    ///
    /// # Errors
    /// If the request cannot be satisfied.
    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution>;
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
    /// The inputs in the order in which they are merged.
    pub inputs: Vec<Input>,
}

/// The services and data that resolving may use.
pub struct ResolveContext<'a> {
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// Reports progress.
    pub reporter: &'a Reporter,
    /// The current time.
    pub now: Timestamp,
    /// The keys to trust.
    pub keyring: &'a Keyring,
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

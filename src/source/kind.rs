//! What a source is.

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

/// A kind of source.
pub struct SourceKind {
    /// Its name in the manifest.
    pub name: &'static str,
    /// The keys of a toolchain's table that belong to it.
    pub keys: &'static [&'static str],
    /// Takes its keys out of a toolchain's table.
    pub bind: fn(&mut Fields, &Toolchain, &Manifest, &mut Problems) -> Option<Box<dyn Source>>,
}

/// What a manifest asks of a source for one toolchain.
pub trait Source {
    /// What the manifest asks for, to be compared with what it asked for when an entry was locked.
    fn fingerprint(&self, platform: Platform) -> Fingerprint;

    /// The name of the recipe for what this source brings, where the manifest names none and the
    /// one of the kind would be wrong.
    fn recipe(&self, _kind: Kind) -> Option<&'static str> {
        None
    }

    /// The Debian suites that it asks, each with the archive.
    fn suites(&self) -> Vec<(&str, &str)> {
        vec![]
    }

    /// Decides which inputs, for one platform and the recipe that will lay them down. May use the
    /// network.
    ///
    /// # Errors
    /// If the request cannot be met.
    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution>;
}

/// What a source decided.
#[derive(Debug)]
pub struct Resolution {
    /// The version, for people and for the name in the store.
    pub version: String,
    /// The Debian releases that were trusted.
    pub releases: Vec<TrustedRelease>,
    /// The Debian package whose version this is, if it is one's.
    pub principal: Option<String>,
    /// The inputs in the order in which they are laid down.
    pub inputs: Vec<Input>,
}

/// What resolving may use.
pub struct ResolveContext<'a> {
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// For progress.
    pub reporter: &'a Reporter,
    /// The time.
    pub now: Timestamp,
    /// The keys to trust.
    pub keyring: &'a Keyring,
    /// Whether an expired index is refused.
    pub check_valid_until: bool,
    /// The releases that the lock has trusted so far: none may be older.
    pub known: Vec<TrustedRelease>,
    /// The index read last: it is large, so there is one at a time, and platforms are resolved one after the other.
    pub index: RefCell<Option<CachedIndex>>,
}

/// An index under the name of what it is of, with the releases that vouch for it.
pub type CachedIndex = (String, Rc<(Index, Vec<TrustedRelease>)>);

impl ResolveContext<'_> {
    /// The date of the newest release of a suite that the lock has trusted.
    pub fn newest_known(&self, archive: &str, suite: &str) -> Option<Timestamp> {
        self.known
            .iter()
            .filter(|r| r.archive == archive && r.suite == suite)
            .filter_map(|r| r.date.parse().ok())
            .max()
    }
}

//! Where toolchains come from. Adding a source is one file here and one line in [`KINDS`].

mod archive;
mod debian;
mod pypi;
pub mod wheels;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;

use crate::error::Result;
use crate::fetch::Fetcher;
use crate::lockfile::{Plan, Release, Request};
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{Input, Platform, ToolchainName};
use crate::recipe::Pruning;
use crate::reporter::{Reporter, Task};
use crate::resolve::debian_index::Index;
use crate::resolve::debian_release::Keyring;
use crate::tree::{BlobDir, Tree};

/// A kind of source.
pub struct SourceKind {
    /// Its name in the manifest.
    pub name: &'static str,
    /// The keys of a toolchain's table that belong to it.
    pub keys: &'static [&'static str],
    /// Reads its keys of a toolchain's table.
    pub bind: fn(&Toolchain, &Manifest, &mut Problems) -> Option<Box<dyn Source>>,
    /// Unpacks one locked input. Uses nothing but the lock and the input's bytes.
    pub unpack: fn(&Unpack) -> Result<Tree>,
}

/// Every kind of source.
const KINDS: &[&SourceKind] = &[&archive::KIND, &debian::KIND, &pypi::KIND];

/// What a manifest asks of a source for one toolchain.
pub trait Source {
    /// The request in the words of the lock: compared to tell whether an entry is stale.
    fn request(&self, platform: Platform) -> Request;

    /// Decides which inputs, for one platform. May use the network.
    ///
    /// # Errors
    /// If the request cannot be met.
    fn resolve(&self, platform: Platform, cx: &ResolveContext) -> Result<Resolution>;
}

/// What a source decided.
#[derive(Debug)]
pub struct Resolution {
    /// The version, for people and for the name in the store.
    pub version: String,
    /// The Debian releases that were trusted.
    pub releases: Vec<Release>,
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
    pub known: Vec<Release>,
    /// The index read last: it is large, so there is one at a time, and platforms are resolved one after the other.
    pub index: RefCell<Option<CachedIndex>>,
}

/// An index under the name of what it is of, with the releases that vouch for it.
pub type CachedIndex = (String, Rc<(Index, Vec<Release>)>);

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

/// One input to unpack.
pub struct Unpack<'a> {
    /// What the tree is made of.
    pub plan: &'a Plan,
    /// The input.
    pub input: &'a Input,
    /// What of it is left out.
    pub pruning: &'a Pruning,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// Where contents go.
    pub blobs: &'a BlobDir,
    /// The bar.
    pub task: &'a Task,
}

/// The sources of a manifest, by toolchain.
pub type Sources = BTreeMap<ToolchainName, Box<dyn Source>>;

/// Reads the keys that belong to the sources. What is wrong goes into `problems`.
pub fn bind(manifest: &Manifest, problems: &mut Problems) -> Sources {
    let mut out = Sources::new();
    for (name, toolchain) in &manifest.toolchains {
        match KINDS.iter().find(|k| k.name == toolchain.source.value) {
            Some(kind) => out.extend(
                (kind.bind)(toolchain, manifest, problems).map(|source| (name.clone(), source)),
            ),
            None => {
                let names = KINDS.iter().map(|k| k.name);
                let known = names.clone().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
                let got = &toolchain.source.value;
                let near = problems.did_you_mean(got, names);
                problems.add(
                    toolchain.source.span.clone(),
                    format!("expected one of {known}, got {got:?}{near}"),
                );
            }
        }
    }
    out
}

/// Reports the keys that `own` does not know, and to which other source they belong.
fn finish(fields: Fields, own: &SourceKind, problems: &mut Problems) {
    fields.finish_knowing(problems, |key| {
        let others: Vec<String> = KINDS
            .iter()
            .filter(|k| k.keys.contains(&key))
            .map(|k| format!("source = {:?}", k.name))
            .collect();
        (!others.is_empty()).then(|| {
            format!("it belongs to {}, and this is source = {:?}", others.join(" and "), own.name)
        })
    });
}

/// Unpacks one input of a locked tree.
///
/// # Errors
/// If its bytes cannot be had or are refused, or if the lock names a source that this program does not know.
pub fn unpack(job: &Unpack) -> Result<Tree> {
    if job.input.file_name().ends_with(".deb") {
        return (debian::KIND.unpack)(job);
    }
    if job.plan.source == wheels::NAME {
        return wheels::unpack(job);
    }
    match KINDS.iter().find(|k| k.name == job.plan.source) {
        Some(kind) => (kind.unpack)(job),
        None => Err(crate::error::Error::user(format!(
            "the lock names a source that this cotter does not know: {:?}",
            job.plan.source
        ))
        .hint("update cotter to the version that your colleagues use")),
    }
}

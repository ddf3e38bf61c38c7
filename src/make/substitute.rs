//! Substituters: places that may have a finished tree, so that the tree need not be composed.

use crate::error::Result;
use crate::lockfile::LockedTree;
use crate::reporter::Reporter;
use crate::store::Store;

/// Where a substituted tree is put.
#[derive(Clone, Copy)]
pub struct Landing<'a> {
    /// The store.
    pub store: &'a Store,
    /// Reports progress.
    pub reporter: &'a Reporter,
    /// Whether identical files in the store are hard-linked.
    pub hard_links: bool,
}

/// A place that may have a locked tree.
pub trait Substituter: Sync {
    /// The name of the place, for messages.
    fn name(&self) -> &str;

    /// Puts the tree into the store, verified by its NAR hash, if this place has it. Returns
    /// whether the tree is in the store now.
    ///
    /// # Errors
    /// If the store cannot be written. A place that cannot deliver the tree, or delivers another
    /// one, is no error: the tree can be made without it.
    fn substitute(&self, tree: &LockedTree, landing: &Landing) -> Result<bool>;
}

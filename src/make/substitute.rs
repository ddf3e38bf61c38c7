//! Substituters: caches that may have a finished tree.

use crate::error::Result;
use crate::lockfile::LockedTree;
use crate::store::Store;

/// A place that may have a locked tree, so that the tree need not be composed.
pub trait Substituter: Sync {
    /// The name of the place, for messages.
    fn name(&self) -> &str;

    /// Puts the tree into the store, verified by its NAR hash, if this place has it. Returns
    /// whether the tree is in the store now.
    ///
    /// # Errors
    /// If the place has the tree but cannot deliver it, or if the delivered tree is not the locked
    /// one.
    fn substitute(&self, tree: &LockedTree, store: &Store) -> Result<bool>;
}

/// The store itself: another process or another project may have made the tree in the meantime.
pub struct OwnStore;

impl Substituter for OwnStore {
    fn name(&self) -> &str {
        "the store"
    }

    fn substitute(&self, tree: &LockedTree, store: &Store) -> Result<bool> {
        Ok(store.has(&tree.output.store_name))
    }
}

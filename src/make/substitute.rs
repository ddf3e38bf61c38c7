//! Caches that may have a finished tree.

use crate::error::Result;
use crate::lockfile::LockedTree;
use crate::store::Store;

/// A place that may have a locked tree, so that it need not be composed.
pub trait Substituter: Sync {
    /// Its name, for people.
    fn name(&self) -> &str;

    /// Puts the tree into the store, verified by its NAR hash, if this place has it. Returns whether
    /// it is in the store now.
    ///
    /// # Errors
    /// If the place has the tree and it cannot be had, or is not what the lock says.
    fn substitute(&self, tree: &LockedTree, store: &Store) -> Result<bool>;
}

/// The store itself: another process, or another project, may have made the tree meanwhile.
pub struct OwnStore;

impl Substituter for OwnStore {
    fn name(&self) -> &str {
        "the store"
    }

    fn substitute(&self, tree: &LockedTree, store: &Store) -> Result<bool> {
        Ok(store.has(&tree.output.store_name))
    }
}

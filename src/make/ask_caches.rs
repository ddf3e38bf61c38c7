//! Asks binary caches for trees before anything else is done for them.

use std::sync::Arc;
use std::time::Instant;

use super::binary_cache::BinaryCache;
use super::schedule::Made;
use super::substitute::{Landing, Substituter};
use crate::error::Result;
use crate::lockfile::LockedTree;
use crate::parallel;
use crate::store::Staging;

/// Asks caches for the trees that are missing, several at once. Returns what was substituted. A tree that another process makes is left to it.
///
/// # Errors
/// If the store cannot be written.
pub fn substitute_all(
    caches: &[Arc<BinaryCache>],
    wanted: &[&LockedTree],
    landing: &Landing,
    threads: usize,
) -> Result<Vec<Made>> {
    let is_missing = |tree: &&&LockedTree| !landing.store.has(&tree.output.store_name);
    let mut missing: Vec<&LockedTree> = wanted.iter().filter(is_missing).copied().collect();
    if caches.is_empty() || missing.is_empty() {
        return Ok(vec![]);
    }
    Staging::sweep(landing.store)?;
    // The largest comes first, so that no thread is left alone with it at the end.
    missing.sort_by_key(|tree| std::cmp::Reverse(tree.output.nar_size));
    let one = |tree: &&LockedTree| -> Result<Option<Made>> {
        crate::interrupt::check()?;
        let since = Instant::now();
        let name = &tree.output.store_name;
        let Some(_held) = landing.store.try_lock_to_compose(name)? else { return Ok(None) };
        for cache in caches {
            if landing.store.has(name) {
                return Ok(None);
            }
            if cache.substitute(tree, landing)? {
                return Ok(Some(Made {
                    time: Some(since.elapsed()),
                    from: Some(cache.name().to_owned()),
                    ..Made::there(&tree.output)
                }));
            }
        }
        Ok(None)
    };
    Ok(parallel::each(&missing, threads, &one)?.into_iter().flatten().collect())
}

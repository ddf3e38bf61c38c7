//! Asks binary caches for trees before anything else is done for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::binary_cache::BinaryCache;
use super::schedule::Made;
use super::substitute::{Landing, Substituter};
use crate::error::{Error, Result};
use crate::lockfile::LockedTree;
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
    let next = AtomicUsize::new(0);
    let made: Mutex<Vec<Made>> = Mutex::default();
    let failed: Mutex<Option<Error>> = Mutex::default();
    let one = |tree: &LockedTree| -> Result<()> {
        crate::interrupt::check()?;
        let since = Instant::now();
        let name = &tree.output.store_name;
        let Some(_held) = landing.store.try_lock_to_compose(name)? else { return Ok(()) };
        for cache in caches {
            if landing.store.has(name) {
                return Ok(());
            }
            if cache.substitute(tree, landing)? {
                let made_now = Made {
                    time: Some(since.elapsed()),
                    from: Some(cache.name().to_owned()),
                    ..Made::there(&tree.output)
                };
                made.lock().expect("no panic holds it").push(made_now);
                return Ok(());
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, missing.len()) {
            scope.spawn(|| {
                while failed.lock().is_ok_and(|failed| failed.is_none())
                    && let Some(tree) = missing.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(e) = crate::fault::caught(|| one(tree)) {
                        failed.lock().expect("no panic holds it").get_or_insert(e);
                    }
                }
            });
        }
    });
    match failed.into_inner().expect("no panic holds it") {
        Some(e) => Err(e),
        None => Ok(made.into_inner().expect("no panic holds it")),
    }
}

//! The same work for several things at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Applies a function to each item, in at most `threads` threads. The results are in the order of the
/// items.
///
/// # Errors
/// The first failure. No item is begun after it.
pub fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    apply: &(dyn Fn(&T) -> Result<R> + Sync),
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let failed: Mutex<Option<Error>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while failed.lock().is_ok_and(|failed| failed.is_none()) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(i) else { return };
                    match crate::fault::caught(|| apply(item)) {
                        Ok(result) => done.lock().expect("no panic holds it").push((i, result)),
                        Err(e) => {
                            failed.lock().expect("no panic holds it").get_or_insert(e);
                        }
                    }
                }
            });
        }
    });
    if let Some(e) = failed.into_inner().expect("no panic holds it") {
        return Err(e);
    }
    let mut done = done.into_inner().expect("no panic holds it");
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_a_failure_ends_the_work() {
        let items: Vec<u32> = (0..100).collect();
        let twice = each(&items, 4, &|n| Ok(2 * n)).unwrap();
        assert_eq!(twice, items.iter().map(|n| 2 * n).collect::<Vec<_>>());
        let begun = AtomicUsize::new(0);
        let failing = |n: &u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 0 { Err(Error::user("no")) } else { Ok(()) }
        };
        assert_eq!(each(&items, 1, &failing).unwrap_err().to_string(), "no");
        assert_eq!(begun.into_inner(), 1);
        // A panic is a failure, too.
        each(&items, 2, &|n| if *n == 3 { panic!("on purpose") } else { Ok(()) }).unwrap_err();
        assert!(each(&[] as &[u32], 2, &|_| Ok(())).unwrap().is_empty());
    }
}

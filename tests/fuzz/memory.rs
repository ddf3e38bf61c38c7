//! Counts the memory that a thread holds, so that an input that makes a parser hold too much is found.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The most that a parser may hold for one input, in bytes.
pub const MOST: isize = 150 << 20;

/// More is never given: the process would only harm the machine.
const NEVER: isize = 1 << 30;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator with a count for each thread.
pub struct Counting;

impl Counting {
    /// Returns whether the thread may have `more` bytes, and counts them.
    fn take(more: isize) -> bool {
        let held = HELD.with(|h| {
            h.set(h.get() + more);
            h.get()
        });
        PEAK.with(|p| p.set(p.get().max(held)));
        if held > NEVER {
            HELD.with(|h| h.set(h.get() - more));
        }
        held <= NEVER
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged. The counters are plain numbers of the thread, which allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Counting::take(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the rules of the same function of the trait.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Counting::take(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Counting::take(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        if !Counting::take(new as isize - layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, new) }
    }
}

/// Runs something, and returns by how many bytes the memory of this thread grew at most.
pub fn peak_of(run: impl FnOnce()) -> isize {
    let before = HELD.with(Cell::get);
    PEAK.with(|p| p.set(before));
    run();
    PEAK.with(Cell::get) - before
}

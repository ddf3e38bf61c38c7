//! Records the keys for which the reader of a manifest asks. Tests compare them with the schema and
//! the documentation.

use std::cell::RefCell;

thread_local! {
    static KEYS: RefCell<Vec<(String, String)>> = const { RefCell::new(vec![]) };
}

/// Records that `key` of a table was asked for.
pub(super) fn note(table: &str, key: &str) {
    KEYS.with_borrow_mut(|keys| keys.push((table.to_owned(), key.to_owned())));
}

/// Returns the result of `read` and the keys for which it asked on this thread: the name of the
/// table in messages, and the key.
pub(crate) fn during<T>(read: impl FnOnce() -> T) -> (T, Vec<(String, String)>) {
    KEYS.take();
    let out = read();
    (out, KEYS.take())
}

//! Which keys the reader of a manifest asks for: tests compare them with the schema and the docs.

use std::cell::RefCell;

thread_local! {
    static KEYS: RefCell<Vec<(String, String)>> = const { RefCell::new(vec![]) };
}

/// Notes that `key` of a table was asked for.
pub(super) fn note(table: &str, key: &str) {
    KEYS.with_borrow_mut(|keys| keys.push((table.to_owned(), key.to_owned())));
}

/// What `read` gives, with the keys that it asked for on this thread: the table as messages call it, and the key.
pub(crate) fn during<T>(read: impl FnOnce() -> T) -> (T, Vec<(String, String)>) {
    KEYS.take();
    let out = read();
    (out, KEYS.take())
}

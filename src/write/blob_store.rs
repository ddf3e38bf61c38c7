//! Places that take files under names.

use crate::error::Result;
use crate::fetch::{Upload, says_absent};

/// A file in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: jiff::Timestamp,
}

/// A place that takes files under names: paths with `/`, without anything that leads elsewhere.
pub trait BlobStore: Sync {
    /// The name of the place, for messages.
    fn name(&self) -> &str;

    /// Returns a text, or `None` if there is none of this name.
    ///
    /// # Errors
    /// If the place cannot be read. That applies to every method.
    fn text(&self, path: &str) -> Result<Option<String>>;

    /// Whether a file is there, as far as the place tells with all its bytes.
    fn has(&self, path: &str, size: Option<u64>) -> Result<bool>;

    /// Writes a file. It appears as a whole or not at all.
    fn put(&self, path: &str, body: Upload) -> Result<()>;

    /// Returns all files.
    fn list(&self) -> Result<Vec<StoredBlob>>;

    /// Deletes a file, if it is there.
    fn delete(&self, path: &str) -> Result<()>;
}

/// Whether a file that has this length is the one that is expected. What is not known is no reason
/// against it.
pub fn is_whole(expected: Option<u64>, got: Option<u64>) -> bool {
    match (expected, got) {
        (Some(expected), Some(got)) => expected == got,
        _ => true,
    }
}

/// Turns the error that something is not there into `None`.
///
/// # Errors
/// Every other one.
pub fn unless_absent<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(e) if says_absent(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

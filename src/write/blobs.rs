//! Places that take files under names.

use std::path::Path;

use super::bucket::BucketStore;
use super::directory::DirectoryStore;
use super::web::WebStore;
use crate::error::{Error, Result};
use crate::fetch::{Http, S3Defaults, S3Place, Upload, local_path};
use crate::store::Store;

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

    /// Whether a file is there.
    fn has(&self, path: &str) -> Result<bool>;

    /// Writes a file. It appears as a whole or not at all.
    fn put(&self, path: &str, body: Upload) -> Result<()>;

    /// Returns all files.
    fn list(&self) -> Result<Vec<StoredBlob>>;

    /// Deletes a file, if it is there.
    fn delete(&self, path: &str) -> Result<()>;
}

/// What is needed to reach places.
pub struct Means<'a> {
    /// The directory to which paths are relative.
    pub here: &'a Path,
    /// The client.
    pub http: &'a Http,
    /// The accounts of buckets.
    pub s3: &'a S3Defaults,
    /// The store, which keeps what is known of uploads that were interrupted.
    pub store: &'a Store,
}

/// Opens a place: a directory, or an address of the kinds file, http, https or s3.
///
/// # Errors
/// If the address is none.
pub fn open<'a>(place: &str, means: &Means<'a>) -> Result<Box<dyn BlobStore + 'a>> {
    if let Some(path) = local_path(place) {
        return Ok(Box::new(DirectoryStore::new(path)));
    }
    match place.split_once("://") {
        None => Ok(Box::new(DirectoryStore::new(means.here.join(place)))),
        Some(("http" | "https", _)) => Ok(Box::new(WebStore::new(place, means.http))),
        Some(("s3", _)) => {
            let bucket = S3Place::parse(place, means.s3)?;
            Ok(Box::new(BucketStore::new(bucket, means.http, means.store)))
        }
        Some((other, _)) => Err(Error::user(format!("no cache can be at {other}://")).hint(
            "name a directory, or a URL that begins with file://, http://, https:// or s3://",
        )),
    }
}

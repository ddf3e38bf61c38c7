//! Opens places that take files.

use std::path::Path;

use super::blob_store::BlobStore;
use super::bucket::BucketStore;
use super::directory::DirectoryStore;
use super::web::WebStore;
use crate::error::{Error, Result};
use crate::fetch::{Http, S3Defaults, S3Place, local_path};
use crate::store::Store;

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
    if place.is_empty() {
        return Err(Error::user("expected the place of a cache, got nothing")
            .hint("name a directory or a URL; `.` is this directory"));
    }
    if let Some(path) = local_path(place) {
        if !path.is_absolute() {
            return Err(Error::user(format!("{place} names no directory of this machine"))
                .hint("an address of a directory begins with file:/// and has its whole path"));
        }
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

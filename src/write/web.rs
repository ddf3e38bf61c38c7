//! A server that takes files by PUT (RFC 9110, section 9.3.4).

use super::blob_store::{BlobStore, StoredBlob, is_whole, unless_absent};
use crate::error::{Error, Result};
use crate::fetch::{Answer, Http, Upload, Verb, encode, redact};

/// A server.
pub struct WebStore<'a> {
    base: String,
    shown: String,
    http: &'a Http,
}

impl<'a> WebStore<'a> {
    /// Returns the place below a URL.
    pub fn new(url: &str, http: &'a Http) -> Self {
        let base = url.trim_end_matches('/').to_owned();
        WebStore { shown: redact(&base), base, http }
    }

    fn ask(&self, verb: Verb, path: &str, body: Option<Upload>) -> Result<Answer> {
        let path = encode(path);
        let (url, shown) = (format!("{}/{path}", self.base), format!("{}/{path}", self.shown));
        self.http.exchange(verb, &url, &shown, body, true)
    }
}

impl BlobStore for WebStore<'_> {
    fn name(&self) -> &str {
        &self.shown
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        Ok(unless_absent(self.ask(Verb::Get, path, None))?.map(|answer| answer.text))
    }

    fn has(&self, path: &str, size: Option<u64>) -> Result<bool> {
        let answer = unless_absent(self.ask(Verb::Head, path, None))?;
        Ok(answer.is_some_and(|answer| is_whole(size, answer.length)))
    }

    fn put(&self, path: &str, body: Upload) -> Result<()> {
        self.ask(Verb::Put, path, Some(body)).map(drop)
    }

    fn list(&self) -> Result<Vec<StoredBlob>> {
        Err(Error::user(format!("{} can't list what it has", self.shown))
            .hint("name the directory or the bucket of the cache"))
    }

    fn delete(&self, path: &str) -> Result<()> {
        unless_absent(self.ask(Verb::Delete, path, None)).map(drop)
    }
}

//! A bucket as a place for files. Large files go in parts, and an upload that was interrupted goes on where it stopped.

use std::path::PathBuf;

use fs_err as fs;
use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2, ListParts};

use super::blob_store::{BlobStore, StoredBlob, is_whole, unless_absent};
use crate::error::{Cause, Error, Result};
use crate::fetch::{Answer, Http, S3Place, S3Request, Upload, Verb};
use crate::model::Digest;
use crate::store::Store;

/// The length of a part in bytes. Servers take at most 10,000 parts of an object, each of at least 5 MiB but the last.
const PART: u64 = 8 << 20;

/// The greatest number of parts.
const MOST_PARTS: u64 = 10_000;

/// A bucket.
pub struct BucketStore<'a> {
    place: S3Place,
    http: &'a Http,
    store: &'a Store,
}

impl<'a> BucketStore<'a> {
    /// Returns the place.
    pub fn new(place: S3Place, http: &'a Http, store: &'a Store) -> Self {
        BucketStore { place, http, store }
    }

    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.place.shown().trim_end_matches('/'))
    }

    fn ask(
        &self,
        verb: Verb,
        request: S3Request,
        path: &str,
        body: Option<Upload>,
    ) -> Result<Answer> {
        let shown = self.shown(path);
        let once = || {
            let url = self.place.address(request, path);
            self.http.exchange(verb, &url, &shown, body, false)
        };
        let patience = self.http.patience();
        let mut attempt = 0;
        loop {
            let error = match once() {
                Ok(answer) => return Ok(answer),
                Err(e) => e,
            };
            // An address that has expired is refused (403). Each attempt has a new one.
            let again = match error.reason() {
                Some(Cause::Http { status: 403, .. }) => attempt == 0 && self.place.has_login(),
                Some(Cause::Http { status, .. }) => {
                    matches!(status, 408 | 429 | 500..) && attempt < patience.retries
                }
                Some(Cause::Unreachable | Cause::BrokenOff { .. }) => attempt < patience.retries,
                _ => false,
            };
            if !again {
                return Err(match error.reason() {
                    Some(Cause::Http { status: 401 | 403, .. }) => self.keys(error),
                    _ => error,
                });
            }
            crate::interrupt::sleep(patience.pause(attempt))?;
            attempt += 1;
        }
    }

    fn keys(&self, error: Error) -> Error {
        error.hint(if self.place.has_login() {
            "the keys are those of AWS_ACCESS_KEY_ID, or of the profile AWS_PROFILE in the file of credentials: check what they allow, and the clock of this machine"
        } else {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write the keys into ~/.aws/credentials"
        })
    }

    /// Returns the file that keeps the identity of an upload until it is complete.
    fn memory(&self, path: &str, size: u64) -> Result<PathBuf> {
        let of = format!("{} {size}", self.place.identity(path));
        Ok(self.store.uploads()?.join(&Digest::of(of.as_bytes()).hex()[..32]))
    }

    /// Uploads a file in parts. The name of a file in a cache has the hash of the file, so parts that an earlier process uploaded are the same.
    fn put_parts(&self, path: &str, file: &std::path::Path, size: u64) -> Result<()> {
        let length = PART.max(size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
        let memory = self.memory(path, size)?;
        let known = fs::read_to_string(&memory).ok().filter(|id| !id.is_empty());
        let (id, mut tags) = match known.map(|id| (self.parts(path, &id, length), id)) {
            Some((Ok(Some(tags)), id)) => (id, tags),
            Some((Err(e), _)) => return Err(e),
            // It is complete, or was given up.
            Some((Ok(None), _)) | None => (self.begin(path, &memory)?, vec![]),
        };
        let count = size.div_ceil(length);
        while (tags.len() as u64) < count {
            crate::interrupt::check()?;
            let from = tags.len() as u64 * length;
            let number = u16::try_from(tags.len() + 1).expect("there are at most 10,000");
            let body = Upload::File { path: file, from, size: length.min(size - from) };
            let answer = self.ask(Verb::Put, S3Request::Part(&id, number), path, Some(body))?;
            tags.push(answer.etag.ok_or_else(|| self.strange(path, "a part without a tag"))?);
        }
        let end = self.place.end(path, &id, &tags);
        let ended = self.ask(Verb::Post, S3Request::End(&id), path, Some(Upload::Text(&end)));
        let answer = match ended {
            // Another process has ended the same upload.
            Err(_) if self.has(path, Some(size))? => None,
            other => Some(other?),
        };
        // A server may answer 200 before it knows whether it can do it.
        if answer.is_some_and(|answer| answer.text.contains("<Error>")) {
            let _ = self.ask(Verb::Delete, S3Request::GiveUp(&id), path, None);
            let _ = fs::remove_file(&memory);
            return Err(self.strange(path, "an error at the end of an upload"));
        }
        let _ = fs::remove_file(&memory);
        Ok(())
    }

    fn begin(&self, path: &str, memory: &std::path::Path) -> Result<String> {
        let answer = self.ask(Verb::Post, S3Request::Begin, path, None)?;
        let begun = CreateMultipartUpload::parse_response(&answer.text)
            .map_err(|e| self.strange(path, &e.to_string()))?;
        let id = begun.upload_id().to_owned();
        fs::write(memory, &id).map_err(|e| Error::at("write", memory, e))?;
        Ok(id)
    }

    /// Returns the tags of the first parts of an upload that are there, or `None` if the server does not know the upload.
    fn parts(&self, path: &str, id: &str, length: u64) -> Result<Option<Vec<String>>> {
        let mut tags = vec![];
        let mut behind = None;
        loop {
            let asked = self.ask(Verb::Get, S3Request::Parts(id, behind), path, None);
            let Some(answer) = unless_absent(asked)? else { return Ok(None) };
            // Some servers call the root as the type of the answer is called.
            let text = answer.text.replace("ListPartsResponse", "ListPartsResult");
            let list =
                ListParts::parse_response(&text).map_err(|e| self.strange(path, &e.to_string()))?;
            for part in list.parts {
                if usize::from(part.number) != tags.len() + 1 || part.size != length {
                    return Ok(Some(tags));
                }
                tags.push(part.etag);
            }
            behind = list.next_part_number_marker;
            if behind.is_none() {
                return Ok(Some(tags));
            }
        }
    }

    fn strange(&self, path: &str, what: &str) -> Error {
        Error::network(format!("the server of {} answers strangely", self.shown(path)))
            .because(what)
    }
}

impl BlobStore for BucketStore<'_> {
    fn name(&self) -> &str {
        self.place.shown()
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        let answer = self.ask(Verb::Get, S3Request::Get, path, None);
        Ok(unless_absent(answer)?.map(|answer| answer.text))
    }

    fn has(&self, path: &str, size: Option<u64>) -> Result<bool> {
        let answer = unless_absent(self.ask(Verb::Head, S3Request::Head, path, None))?;
        Ok(answer.is_some_and(|answer| is_whole(size, answer.length)))
    }

    fn put(&self, path: &str, body: Upload) -> Result<()> {
        match body {
            Upload::File { path: file, size, .. } if size > PART => {
                self.put_parts(path, file, size)
            }
            _ => self.ask(Verb::Put, S3Request::Put, path, Some(body)).map(drop),
        }
    }

    fn list(&self) -> Result<Vec<StoredBlob>> {
        let (mut out, mut next) = (vec![], None::<String>);
        loop {
            let url = self.place.list(next.as_deref());
            let shown = self.place.shown();
            let answer = self.http.exchange(Verb::Get, &url, shown, None, false);
            let answer = answer.map_err(|e| self.keys(e))?;
            let list = ListObjectsV2::parse_response(&answer.text)
                .map_err(|e| self.strange("", &e.to_string()))?;
            for object in list.contents {
                let modified = object.last_modified.and_then(|time| time.parse().ok());
                if let (Some(path), Some(modified)) = (self.place.below(&object.key), modified) {
                    let path = path.to_owned();
                    out.push(StoredBlob { path, size: object.size.unwrap_or(0), modified });
                }
            }
            next = list.next_continuation_token;
            if next.is_none() {
                return Ok(out);
            }
        }
    }

    fn delete(&self, path: &str) -> Result<()> {
        unless_absent(self.ask(Verb::Delete, S3Request::Delete, path, None)).map(drop)
    }
}

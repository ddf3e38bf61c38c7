//! Requests that change something on a server, or ask for something else than a file.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use reqwest::Method;
use reqwest::blocking::{Body as Sent, Response};
use reqwest::header::{self, HeaderName};

use super::http::{CREDENTIALS, Http, answered, parsed, transfer_error};
use super::pace::Paced;
use crate::error::{Cause, Error, Result};
use crate::model::decimal;

/// The longest answer that is read, in bytes.
const MOST_ANSWER: u64 = 4 << 20;

/// The rate in bytes per second that an upload, or an answer to it, has at least on average.
const LEAST_UPLOAD: u64 = 32 << 10;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Asks for a text.
    Get,
    /// Asks whether a file is there.
    Head,
    /// Sends a file.
    Put,
    /// Begins or ends an upload of several parts.
    Post,
    /// Deletes a file.
    Delete,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum Upload<'a> {
    /// A text.
    Text(&'a str),
    /// A part of a file, which may be all of it.
    File {
        /// The file.
        path: &'a Path,
        /// The first byte.
        from: u64,
        /// The number of bytes.
        size: u64,
    },
}

/// The answer of a server.
#[derive(Debug)]
pub struct Answer {
    /// The text of the answer.
    pub text: String,
    /// The tag of the file's version (RFC 9110, section 8.8.3).
    pub etag: Option<String>,
    /// The length of the file in bytes.
    pub length: Option<u64>,
}

impl Upload<'_> {
    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        match self {
            Upload::Text(text) => text.len() as u64,
            Upload::File { size, .. } => *size,
        }
    }

    fn body(&self) -> Result<Sent> {
        match *self {
            Upload::Text(text) => Ok(Sent::from(text.to_owned())),
            Upload::File { path, from, size } => {
                let at = |e| Error::at("read", path, e);
                let mut file = fs::File::open(path).map_err(at)?;
                file.seek(SeekFrom::Start(from)).map_err(at)?;
                Ok(Sent::sized(file.take(size), size))
            }
        }
    }
}

impl Http {
    /// Sends a request once. Messages call the URL `shown`. With `login`, it carries the user's credentials for the host, if there are any; an address that is signed
    /// must not.
    ///
    /// # Errors
    /// If the server cannot be reached or does not do what it was asked for.
    pub fn exchange(
        &self,
        verb: Verb,
        url: &str,
        shown: &str,
        body: Option<Upload>,
        login: bool,
    ) -> Result<Answer> {
        if self.offline() {
            return Err(Error::network(format!("--offline forbids to ask {shown}"))
                .with_cause(Cause::Offline)
                .hint("run the same command once without --offline"));
        }
        let (method, what) = match verb {
            Verb::Get => (Method::GET, "read"),
            Verb::Head => (Method::HEAD, "ask for"),
            Verb::Put => (Method::PUT, "put"),
            Verb::Post => (Method::POST, "put"),
            Verb::Delete => (Method::DELETE, "delete"),
        };
        let parsed = parsed(url, shown)?;
        let mut request = self.client()?.request(method, url);
        if login {
            request = self.with_login(request, &parsed);
        }
        let size = body.map_or(0, |body| body.size());
        if let Some(body) = body {
            let time = self.patience().stall + Duration::from_secs(size / LEAST_UPLOAD);
            request = request.body(body.body()?).timeout(time);
        }
        let response = request.send().map_err(|e| {
            let error = self.unreachable(&parsed, shown, e);
            // A server that refuses a body may close the connection before it is sent.
            if size > 0 { error.hint(limit(size)) } else { error }
        })?;
        let status = response.status();
        if status.is_success() {
            return answer(response, shown, self.patience().stall);
        }
        let error = answered(format!("can't {what} {shown}"), status);
        Err(match status.as_u16() {
            401 | 403 | 407 if login => error.hint(CREDENTIALS),
            413 => error.hint(limit(size)),
            _ => error,
        })
    }
}

fn limit(size: u64) -> String {
    format!(
        "the body has {size} bytes: if the server, or a proxy before it, has a limit for bodies, raise it, or push to a bucket, which takes parts"
    )
}

fn answer(response: Response, shown: &str, stall: Duration) -> Result<Answer> {
    let text_of = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let etag = text_of(header::ETAG);
    let length = text_of(header::CONTENT_LENGTH).as_deref().and_then(decimal);
    let mut bytes = vec![];
    // Such texts are short, and come at once or hardly at all.
    let response = Paced::with_least(response, stall, LEAST_UPLOAD);
    let read = response.take(MOST_ANSWER + 1).read_to_end(&mut bytes);
    read.map_err(|e| transfer_error(shown, e))?;
    if bytes.len() as u64 > MOST_ANSWER {
        return Err(Error::network(format!("the answer of {shown} is too long"))
            .because(format!("expected at most {MOST_ANSWER} bytes")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::network(format!("the answer of {shown} is no text")))?;
    Ok(Answer { text, etag, length })
}

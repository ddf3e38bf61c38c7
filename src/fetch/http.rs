//! The HTTP client, made when first needed: a run that fetches nothing never pays for it.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use fs_err as fs;
use reqwest::StatusCode;
use reqwest::header;

use super::Patience;
use super::netrc::Netrc;
use crate::error::{Error, Result};
pub use crate::model::redact;

/// An HTTP(S) and file client with this program's manners.
pub struct Http {
    client: OnceLock<reqwest::blocking::Client>,
    offline: bool,
    patience: Patience,
    netrc: Netrc,
}

/// A response's body.
pub struct Body {
    /// The bytes.
    pub reader: Box<dyn Read + Send>,
    /// How many bytes at the beginning the server left out, as asked.
    pub skipped: u64,
    /// The length of the whole file in bytes, if the server says.
    pub length: Option<u64>,
}

impl Http {
    /// A client. `netrc` is the text of the user's netrc file.
    pub fn new(offline: bool, patience: Patience, netrc: &str) -> Self {
        Http { client: OnceLock::new(), offline, patience, netrc: Netrc::parse(netrc) }
    }

    /// Whether the network is forbidden.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// How patient it is.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Asks for `url` from byte `from` on. One try.
    ///
    /// # Errors
    /// If the server cannot be reached or answers with an error.
    pub fn get(&self, url: &str, from: u64) -> Result<Body> {
        self.request(url, from, None)
    }

    /// Asks for a small text, with retries.
    ///
    /// # Errors
    /// As [`Http::get`]; also if it is larger than `most` bytes.
    pub fn text(
        &self,
        url: &str,
        most: u64,
        accept: Option<&str>,
    ) -> Result<(String, Option<String>)> {
        let mut attempt = 0;
        loop {
            let out = self.request_text(url, most, accept);
            match out {
                Err(e)
                    if e.kind() == crate::error::Kind::Network
                        && attempt < self.patience.retries
                        && !e.causes().iter().any(|c| c.starts_with("the server answered 4")) =>
                {
                    crate::interrupt::sleep(self.patience.backoff * 2u32.pow(attempt.min(6)))?;
                    attempt += 1;
                }
                out => return out,
            }
        }
    }

    fn request_text(
        &self,
        url: &str,
        most: u64,
        accept: Option<&str>,
    ) -> Result<(String, Option<String>)> {
        if url.starts_with("file://") {
            let mut out = String::new();
            self.get(url, 0)?
                .reader
                .take(most)
                .read_to_string(&mut out)
                .map_err(|e| transfer_error(url, e))?;
            return Ok((out, None));
        }
        let response = self.send(url, 0, accept)?;
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let mut out = vec![];
        response.take(most + 1).read_to_end(&mut out).map_err(|e| transfer_error(url, e))?;
        if out.len() as u64 > most {
            return Err(Error::verification(format!(
                "{} is larger than {most} bytes",
                redact(url)
            )));
        }
        let text = String::from_utf8(out)
            .map_err(|_| Error::verification(format!("{} is no UTF-8 text", redact(url))))?;
        Ok((text, kind))
    }

    fn request(&self, url: &str, from: u64, accept: Option<&str>) -> Result<Body> {
        if let Some(path) = url.strip_prefix("file://") {
            let missing = |e| {
                Error::network(format!("can't read {url}"))
                    .cause(&e)
                    .because("the server answered 404 Not Found: there is no such file")
            };
            let mut file = fs::File::open(Path::new(path)).map_err(missing)?;
            let length = file.metadata().ok().map(|m| m.len());
            file.seek(SeekFrom::Start(from)).map_err(|e| Error::at("read", Path::new(path), e))?;
            return Ok(Body { reader: Box::new(file), skipped: from, length });
        }
        let response = self.send(url, from, accept)?;
        let header_number = |name| {
            response
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.parse::<u64>().ok())
        };
        let (skipped, length) = if response.status() == StatusCode::PARTIAL_CONTENT {
            // RFC 9110, section 14.4: `bytes 0-499/1234`.
            let range = response
                .headers()
                .get(header::CONTENT_RANGE)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("");
            let start = range
                .strip_prefix("bytes ")
                .and_then(|r| r.split('-').next())
                .and_then(|s| s.parse().ok());
            if start != Some(from) {
                return Err(Error::network(format!(
                    "{} sent another range than was asked for: {range:?}",
                    redact(url)
                )));
            }
            (from, range.rsplit('/').next().and_then(|s| s.parse().ok()))
        } else {
            (0, header_number(header::CONTENT_LENGTH))
        };
        Ok(Body { reader: Box::new(response), skipped, length })
    }

    fn send(
        &self,
        url: &str,
        from: u64,
        accept: Option<&str>,
    ) -> Result<reqwest::blocking::Response> {
        if self.offline {
            return Err(Error::network(format!("--offline forbids to fetch {}", redact(url))));
        }
        let mut request = self.client()?.get(url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        let parsed = reqwest::Url::parse(url)
            .map_err(|e| Error::user(format!("{} is no URL", redact(url))).cause(&e))?;
        if parsed.username().is_empty()
            && let Some((user, password)) =
                parsed.host_str().and_then(|host| self.netrc.login(host))
        {
            request = request.basic_auth(user, Some(password));
        }
        let response = request.send().map_err(|e| {
            Error::network(format!("can't reach {}", redact(url))).cause(&e.without_url())
        })?;
        let status = response.status();
        if !status.is_success() {
            let mut error = Error::network(format!("can't fetch {}", redact(url)))
                .because(format!("the server answered {status}"));
            if matches!(status.as_u16(), 401 | 403 | 407) {
                error =
                    error.hint("put the credentials into ~/.netrc (or the file that NETRC names)");
            }
            return Err(error);
        }
        Ok(response)
    }

    fn client(&self) -> Result<&reqwest::blocking::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        super::names::restrict_to_builtin();
        // Ring rather than aws-lc: it builds without cmake. A second install is refused, and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::blocking::Client::builder()
                .user_agent(concat!("cotter/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(self.patience.stall.min(Duration::from_secs(10)))
                .timeout(self.patience.stall)
                .pool_max_idle_per_host(8)
        };
        // On a machine without certificates nobody is trusted, but plain HTTP works: what comes is hashed and signed.
        let client = builder()
            .build()
            .or_else(|e| builder().tls_certs_only([]).build().map_err(|_| e))
            .map_err(|e| Error::network("can't set up the HTTP client").cause(&e))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Whether a failure may pass: of the network, and not a server's final word.
pub fn is_passing(error: &Error) -> bool {
    let says_no = |cause: &String| {
        cause.starts_with("the server answered 4")
            && !cause.contains("408")
            && !cause.contains("429")
    };
    error.kind() == crate::error::Kind::Network && !error.causes().iter().any(says_no)
}

/// A failure while a body was read.
pub fn transfer_error(url: &str, e: io::Error) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return crate::error::from_io("", e);
    }
    let chain = std::iter::successors(Some(&e as &dyn std::error::Error), |e| e.source());
    let stalled = e.kind() == io::ErrorKind::TimedOut
        || chain.map(ToString::to_string).any(|text| text.contains("timed out"));
    let what = if stalled { "went silent" } else { "broke off" };
    Error::network(format!("{} {what}", redact(url))).cause(&e)
}

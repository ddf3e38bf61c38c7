//! The HTTP client. It is created when it is first needed, so that a run that fetches nothing does
//! not pay for it.

use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::header;

use super::Patience;
use super::addresses::{Addresses, Resolver};
use super::netrc::Netrc;
use super::pace::Paced;
use super::proxy::Proxies;
use super::regular::open_regular;
use super::s3::{S3Defaults, object_address};
use super::vicinity::{leads_nearer, resolved, stated};
use crate::error::{Cause, Error, ErrorKind, Measure, Result};
pub use crate::model::redact;
use crate::model::{decimal, has_login};

/// The greatest number of requests that are made at once, and of connections to one server that are
/// kept for later ones. A server that is far away, or busy, takes its time for each.
pub const MOST_CONNECTIONS: usize = 32;

/// A client for HTTP(S) and for files, with this program's rules for timeouts and retries.
pub struct Http {
    client: OnceLock<reqwest::blocking::Client>,
    /// Held by the thread that creates the client, which reads all certificates of the machine.
    creation: Mutex<()>,
    addresses: Arc<Addresses>,
    offline: bool,
    patience: Patience,
    netrc: Netrc,
    proxies: Proxies,
    s3: OnceLock<S3Defaults>,
    /// Reads what the machine says of buckets. It is asked when the first one is.
    read_s3: fn() -> S3Defaults,
}

/// The body of a response.
pub struct Body {
    /// The bytes.
    pub reader: Box<dyn Read + Send>,
    /// The number of bytes at the beginning that the server omitted, as requested.
    pub skipped: u64,
    /// The length of the whole file in bytes, if the server reports it.
    pub length: Option<u64>,
}

/// Which credentials a request carries, if its URL has none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Login {
    /// Those of the user's netrc file.
    OfNetrc,
    /// None: somebody else chose the host.
    None,
}

impl Http {
    /// Creates a client. `netrc` is the text of the user's netrc file.
    pub fn new(offline: bool, patience: Patience, netrc: &str, proxies: Proxies) -> Self {
        Http {
            client: OnceLock::new(),
            creation: Mutex::new(()),
            addresses: Arc::default(),
            offline,
            patience,
            netrc: Netrc::parse(netrc),
            proxies,
            s3: OnceLock::new(),
            read_s3: S3Defaults::default,
        }
    }

    /// Sets what tells the keys and the region for buckets.
    #[must_use]
    pub fn with_s3(self, read_s3: fn() -> S3Defaults) -> Self {
        Http { read_s3, ..self }
    }

    /// Returns the addresses of servers that are known in this run.
    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether network access is forbidden.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// Whether a proxy is asked for a URL.
    pub fn has_proxy_for(&self, url: &reqwest::Url) -> bool {
        self.proxies.of_url(url).is_some()
    }

    /// Returns the limits for timeouts and retries.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Requests `url`, starting at byte `from`. There is only one attempt.
    ///
    /// # Errors
    /// If the server cannot be reached or responds with an error.
    pub fn get(&self, url: &str, from: u64) -> Result<Body> {
        self.request(url, from, None, Login::OfNetrc)
    }

    /// Requests `url` without the user's credentials for its host.
    ///
    /// # Errors
    /// The same as those of [`Http::get`].
    pub fn get_without_login(&self, url: &str) -> Result<Body> {
        self.request(url, 0, None, Login::None)
    }

    /// Requests a small text, with retries.
    ///
    /// # Errors
    /// The same as those of [`Http::get`], and if the text is larger than `most` bytes.
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
                Err(e) if is_passing(&e) && attempt < self.patience.retries => {
                    crate::interrupt::sleep(self.patience.pause(attempt))?;
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
        let mut out = vec![];
        if url.starts_with("file://") {
            self.get(url, 0)?
                .reader
                .take(most + 1)
                .read_to_end(&mut out)
                .map_err(|e| Error::user(format!("can't read {}", redact(url))).cause(&e))?;
            return Ok((limited_text(url, most, out)?, None));
        }
        let response = self.send(url, 0, accept, Login::OfNetrc)?;
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        // A server that announces more is not asked for any of it.
        if response.content_length().is_some_and(|length| length > most) {
            return Err(too_large(url, most));
        }
        Paced::new(response, self.patience.stall)
            .take(most + 1)
            .read_to_end(&mut out)
            .map_err(|e| transfer_error(url, e))?;
        Ok((limited_text(url, most, out)?, kind))
    }

    fn request(&self, url: &str, from: u64, accept: Option<&str>, login: Login) -> Result<Body> {
        if let Some(path) = local_path(url) {
            return open_local(url, &path, from);
        }
        let response = self.send(url, from, accept, login)?;
        let header_number =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).and_then(decimal);
        let (skipped, length) = if response.status() == StatusCode::PARTIAL_CONTENT {
            // RFC 9110, section 14.4: `bytes 0-499/1234`.
            let range = response
                .headers()
                .get(header::CONTENT_RANGE)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("");
            let start =
                range.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(decimal);
            if start != Some(from) {
                return Err(Error::network(format!(
                    "{} sent another range than was asked for: {range:?}",
                    redact(url)
                )));
            }
            (from, range.rsplit('/').next().and_then(decimal))
        } else {
            (0, header_number(header::CONTENT_LENGTH))
        };
        let reader = Box::new(Paced::new(response, self.patience.stall));
        Ok(Body { reader, skipped, length })
    }

    fn send(
        &self,
        url: &str,
        from: u64,
        accept: Option<&str>,
        login: Login,
    ) -> Result<reqwest::blocking::Response> {
        if self.offline {
            return Err(Error::network(format!("--offline forbids to fetch {}", redact(url)))
                .with_cause(Cause::Offline)
                .hint("run the same command once without --offline, or name a mirror on this disk: [mirrors] ... = [\"file:///...\"]"));
        }
        let signed = match url.starts_with("s3://") {
            true => Some(object_address(url, self.s3.get_or_init(self.read_s3))?),
            false => None,
        };
        let login = if signed.is_some() { Login::None } else { login };
        let parsed = parsed(signed.as_deref().unwrap_or(url), &redact(url))?;
        let mut request = self.client()?.get(parsed.clone());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        if login == Login::OfNetrc {
            request = self.with_login(request, &parsed);
        }
        let asks = stated(&parsed).is_none() && !self.has_proxy_for(&parsed);
        if let Some(host) = parsed.host_str().filter(|_| asks) {
            // The one thread that serves all connections would otherwise wait for the answer.
            let _ = self.addresses.of(host);
        }
        let response = request.send().map_err(|e| self.unreachable(&parsed, &redact(url), e))?;
        let status = response.status();
        // Any other success has no file in it: 204, for example, says that there is nothing.
        let has_file = status.as_u16() == 200 || (status.as_u16() == 206 && from > 0);
        if !has_file {
            let error = answered(format!("can't fetch {}", redact(url)), status);
            return Err(match status.as_u16() {
                // A bucket that does not list its objects says so of one that is missing.
                403 if signed.is_some() => error.with_cause(Cause::NoSuchFile).hint(S3_KEYS),
                401 | 407 if signed.is_some() => error.hint(S3_KEYS),
                401 | 403 | 407 => error.hint(CREDENTIALS),
                _ => error,
            });
        }
        Ok(response)
    }

    /// Adds the credentials of the user's netrc file for the host, unless the URL has some.
    pub(super) fn with_login(
        &self,
        request: reqwest::blocking::RequestBuilder,
        url: &reqwest::Url,
    ) -> reqwest::blocking::RequestBuilder {
        let login = url.host_str().and_then(|host| self.netrc.login(host));
        match login.filter(|_| url.username().is_empty()) {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Returns the error for a request that got no answer. Messages call the URL `shown`.
    pub(super) fn unreachable(&self, url: &reqwest::Url, shown: &str, e: reqwest::Error) -> Error {
        if e.is_redirect() {
            return Error::network(format!("the redirections of {shown} are refused"))
                .cause(&e.without_url())
                .hint("if you trust the server to which it leads, name that address instead");
        }
        if let Some(host) = url.host_str().filter(|_| e.is_connect()) {
            self.addresses.forget(host);
        }
        Error::network(format!("can't reach {shown}"))
            .hint(self.way_out(url, &e))
            .cause(&e.without_url())
            .with_cause(Cause::Unreachable)
    }

    /// Returns a hint for a server to which no connection came about.
    fn way_out(&self, url: &reqwest::Url, error: &reqwest::Error) -> String {
        if distrusts_certificate(error) {
            return "if the server, or a proxy in between, has a certificate of your own authority, name the file of that authority in SSL_CERT_FILE, or its directory in SSL_CERT_DIR; on a machine without certificates, install ca-certificates".to_owned();
        }
        match self.proxies.of_url(url) {
            Some(proxy) => format!(
                "{} is set: check that the proxy {} answers, or name the host in no_proxy",
                proxy.variable, proxy.url
            ),
            None => "check the network, and the proxy if one is set (https_proxy, http_proxy)"
                .to_owned(),
        }
    }

    pub(super) fn client(&self) -> Result<&reqwest::blocking::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let _creates = self.creation.lock().expect("no panic holds it");
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Ring is used instead of aws-lc because it builds without cmake. A second installation is
        // refused, which does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::blocking::Client::builder()
                .user_agent(concat!("cotter/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(self.patience.stall.min(Duration::from_secs(10)))
                .timeout(self.patience.stall)
                .redirect(reqwest::redirect::Policy::custom({
                    let (proxies, addresses) = (self.proxies.clone(), self.addresses.clone());
                    move |attempt| follow(attempt, &proxies, &addresses)
                }))
                .dns_resolver(Arc::new(Resolver(self.addresses.clone())))
                .pool_max_idle_per_host(MOST_CONNECTIONS)
        };
        // On a machine without certificates, no HTTPS server is trusted, but plain HTTP works: the
        // received bytes are verified by hashes and signatures.
        let client = builder()
            .build()
            .or_else(|e| builder().tls_certs_only([]).build().map_err(|_| e))
            .map_err(|e| Error::network("can't set up the HTTP client").cause(&e))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// What to do if a server asks for credentials.
pub(super) const CREDENTIALS: &str =
    "put the credentials into ~/.netrc (or the file that NETRC names)";

/// What to do if a bucket refuses a request.
const S3_KEYS: &str = "if the object is there, check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials, and what these keys allow";

/// Parses a URL. Messages call it `shown`.
pub(super) fn parsed(url: &str, shown: &str) -> Result<reqwest::Url> {
    if is_ambiguous(url) {
        return Err(Error::user(format!("{shown} is no URL"))
            .because("expected a host behind `://`, and no backslash"));
    }
    reqwest::Url::parse(url).map_err(|e| Error::user(format!("{shown} is no URL")).cause(&e))
}

/// Returns the error for an answer that is none to what was asked.
pub(super) fn answered(message: String, status: StatusCode) -> Error {
    Error::network(message).because_of(Cause::Http {
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or("without a reason"),
    })
}

fn too_large(url: &str, most: u64) -> Error {
    let (expected, got) = (format!("at most {most}"), "more".to_owned());
    Error::verification(format!("{} is larger than {most} bytes", redact(url)))
        .with_cause(Cause::Mismatch { what: Measure::Size, expected, got })
}

/// Returns the bytes as a text, unless there are more than `most` of them.
fn limited_text(url: &str, most: u64, bytes: Vec<u8>) -> Result<String> {
    if bytes.len() as u64 > most {
        return Err(too_large(url, most));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::verification(format!("{} is no UTF-8 text", redact(url))))
}

/// The greatest number of redirections that are followed.
const MOST_REDIRECTIONS: usize = 10;

/// Decides on a redirection. One from https to http would let anybody on the way choose the bytes,
/// of which no hash may be known yet.
fn follow(
    attempt: reqwest::redirect::Attempt,
    proxies: &Proxies,
    addresses: &Addresses,
) -> reqwest::redirect::Action {
    let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    if from_https && attempt.url().scheme() != "https" {
        let to = redact(attempt.url().as_str());
        return attempt.error(format!("it leads from https to {to}"));
    }
    // Behind a proxy, only the proxy resolves names.
    let to = attempt.url();
    let near = || match proxies.of_url(to) {
        Some(_) => stated(to).into_iter().collect(),
        None => resolved(to, addresses),
    };
    let nearer = |from: &reqwest::Url| leads_nearer(|| resolved(from, addresses), near());
    if attempt.previous().first().is_some_and(nearer) {
        let to = redact(attempt.url().as_str());
        return attempt.error(format!("it leads to {to}, which is nearer to this machine"));
    }
    if attempt.previous().len() > MOST_REDIRECTIONS {
        return attempt.error(format!("it leads on more than {MOST_REDIRECTIONS} times"));
    }
    attempt.follow()
}

/// Whether a connection failed because the certificate of the server is not trusted.
fn distrusts_certificate(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(tls) = e.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        // The source of an `io::Error` is the source of the error that it contains.
        next = match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => e.source(),
        };
    }
    false
}

/// Opens a file of this machine at byte `from`.
fn open_local(url: &str, path: &Path, from: u64) -> Result<Body> {
    let failed = |e: io::Error| {
        let error = Error::user(format!("can't read {}", redact(url)));
        match e.kind() {
            io::ErrorKind::NotFound => error.because_of(Cause::NoSuchFile),
            _ => error.cause(&e).with_cause(Cause::Unreachable),
        }
    };
    let mut file = open_regular(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(Error::user(format!("can't read {}", redact(url)))
            .because("it is a directory")
            .with_cause(Cause::Unreachable));
    }
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    Ok(Body { reader: Box::new(file), skipped: from, length: Some(meta.len()) })
}

/// Whether a failure is temporary: a network failure that is not a server's final answer. Servers
/// ask for a retry with the status codes 408, 425 and 429 (RFC 9110, RFC 8470, RFC 6585).
pub fn is_passing(error: &Error) -> bool {
    error.kind() == ErrorKind::Network
        && match error.reason() {
            Some(Cause::Http { status, .. }) => {
                !(400..500).contains(status) || matches!(status, 408 | 425 | 429)
            }
            Some(Cause::Offline) => false,
            _ => true,
        }
}

/// Returns the path of a `file:` URL, in which escapes stand for bytes (RFC 8089, section 2).
pub fn local_path(url: &str) -> Option<PathBuf> {
    let bytes = percent_decode_str(url.strip_prefix("file://")?).collect();
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// Whether the server reports that the file does not exist. The next mirror may have it.
pub fn says_absent(error: &Error) -> bool {
    matches!(error.reason(), Some(Cause::Http { status: 404 | 410, .. } | Cause::NoSuchFile))
}

/// Whether the client may ask another host than the one that people, and the list of what is
/// trusted, read in a URL: it takes a backslash for a slash, and finds a host behind a third slash
/// (the URL Standard, section 4.4).
fn is_ambiguous(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    url.contains('\\') || authority.starts_with(['/', '?', '#'])
}

/// Returns the server of a URL as the client finds it, such as `https://host.example:8443`, and
/// `None` for files and for what is no URL. The default port of the scheme is left out (the URL
/// Standard, section 4.7).
pub fn origin(url: &str) -> Option<String> {
    let origin = reqwest::Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// Returns an address without the user name and the password that it may hold.
pub fn without_login(url: &str) -> String {
    if !has_login(url) {
        return url.to_owned();
    }
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return redact(url) };
    match (parsed.set_username(""), parsed.set_password(None)) {
        (Ok(()), Ok(())) => parsed.into(),
        _ => redact(url),
    }
}

/// Returns the error for a failure while a body was read.
pub fn transfer_error(url: &str, e: io::Error) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return crate::error::from_io("", e);
    }
    let timed_out = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
            || e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
    };
    let inner = e.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    let stalled = e.kind() == io::ErrorKind::TimedOut
        || std::iter::successors(inner, |e| e.source()).any(timed_out);
    let too_slow =
        e.kind() == io::ErrorKind::TimedOut && inner.is_some_and(|i| i.source().is_none());
    let what = match (stalled, too_slow) {
        (true, true) => "is too slow",
        (true, false) => "went silent",
        (false, _) => "broke off",
    };
    Error::network(format!("{} {what}", redact(url)))
        .cause(&e)
        .with_cause(Cause::BrokenOff { stalled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_can_be_read_in_two_ways_are_found() {
        for url in ["http://one.example\\@two.example/x", "http:///one.example/x", "https://?x"] {
            assert!(is_ambiguous(url), "{url}");
        }
        assert!(!is_ambiguous("https://user:word@one.example/a//b"));
        let asked = origin("http://one.example\\@two.example/x");
        assert_eq!(asked.as_deref(), Some("http://one.example"));
        let asked = origin("HTTPS://user:word@Two.example:443/x?y");
        assert_eq!(asked.as_deref(), Some("https://two.example"));
        assert_eq!((origin("file:///x"), origin("x")), (None, None));
    }
}

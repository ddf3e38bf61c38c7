//! The requests that the server understands. Pure.

use crate::model::{StoreName, base32, decimal};
use crate::nix::cache_info;

/// The greatest number of headers of a request.
const MOST_HEADERS: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The introduction of the cache.
    CacheInfo,
    /// The description of the path with this hash.
    NarInfo(String),
    /// The listing of the path with this hash.
    Listing(String),
    /// The NAR of the path with this hash, and the name that was asked for.
    Nar(String, String),
}

/// A part of a file (RFC 9110, section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From a byte to a byte, which is included, or to the end.
    From(u64, Option<u64>),
    /// The last bytes.
    Last(u64),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRequest {
    /// Whether only the headers are asked for.
    pub head: bool,
    /// What is asked for, or `None` if the server has nothing there.
    pub route: Option<Route>,
    /// The part of the file.
    pub range: Option<ByteRange>,
    /// Whether the connection stays open.
    pub keep: bool,
}

/// What was read of a request so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is not complete.
    Part,
    /// It is complete and has this number of bytes.
    Whole(CacheRequest, usize),
    /// It is refused with this status.
    Refused(u16),
}

/// Reads the bytes of a request.
pub fn hear(bytes: &[u8]) -> Heard {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Heard::Part,
        Err(httparse::Error::TooManyHeaders) => return Heard::Refused(431),
        Err(_) => return Heard::Refused(400),
    };
    let head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Heard::Refused(405),
    };
    let mut keep = request.version == Some(1);
    let (mut range, mut is_conditional) = (None, false);
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("connection") {
            let says = |word: &str| value.split(',').any(|w| w.trim().eq_ignore_ascii_case(word));
            keep = says("keep-alive") || (keep && !says("close"));
        } else if is("range") {
            range = parse_range(value);
        } else if is("if-range") {
            // The files have no tags, so none is the one that the client knows.
            is_conditional = true;
        } else if is("transfer-encoding") || (is("content-length") && value != "0") {
            // A body would be taken for the next request.
            return Heard::Refused(400);
        }
    }
    let route = request.path.and_then(route);
    Heard::Whole(
        CacheRequest { head, route, range: range.filter(|_| !is_conditional), keep },
        length,
    )
}

/// Returns what a path asks for. Only complete names of files of a cache are known, so no part of it ever reaches the file system.
fn route(path: &str) -> Option<Route> {
    let path = path.split('?').next()?.strip_prefix('/')?;
    let hash = |text: &str| {
        (text.len() == 32 && text.bytes().all(base32::is_digit)).then(|| text.to_owned())
    };
    if path == cache_info::FILE_NAME {
        return Some(Route::CacheInfo);
    }
    if let Some(name) = path.strip_suffix(".narinfo") {
        return hash(name).map(Route::NarInfo);
    }
    if let Some(name) = path.strip_suffix(".ls") {
        return hash(name).map(Route::Listing);
    }
    let file = path.strip_prefix("nar/")?;
    hash(file.get(..32)?).map(|hash| Route::Nar(hash, path.to_owned()))
}

/// Returns the address of a NAR below the cache. It changes with the bytes of the file, so that nobody goes on with another one.
pub fn nar_url(name: &StoreName, file_hash: &crate::model::Digest, ending: &str) -> String {
    format!("nar/{}-{}.nar{ending}", name.hash(), file_hash.nix32())
}

/// Parses a header `Range` with one range. Others are ignored, as RFC 9110 allows.
fn parse_range(value: &str) -> Option<ByteRange> {
    let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
    match (from.trim(), to.trim()) {
        ("", last) => Some(ByteRange::Last(decimal(last)?)),
        (from, "") => Some(ByteRange::From(decimal(from)?, None)),
        (from, to) => {
            let (from, to) = (decimal(from)?, decimal(to)?);
            (from <= to).then_some(ByteRange::From(from, Some(to)))
        }
    }
}

impl ByteRange {
    /// Returns the first byte and the number of bytes in a file of this size, or `None` if it has none of them.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        match self {
            ByteRange::Last(0) => None,
            ByteRange::Last(n) => (size > 0).then(|| (size - n.min(size), n.min(size))),
            ByteRange::From(from, to) => {
                let end = to.map_or(size, |to| to.saturating_add(1).min(size));
                (from < size).then(|| (from, end - from))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r";

    fn asked(text: &str) -> CacheRequest {
        match hear(text.as_bytes()) {
            Heard::Whole(request, length) => {
                assert_eq!(length, text.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_of_clients() {
        let request = asked(&format!("GET /{HASH}.narinfo HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(request.route, Some(Route::NarInfo(HASH.to_owned())));
        assert!(request.keep && !request.head && request.range.is_none());
        let text = "HEAD /nix-cache-info?x HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n";
        let request = asked(text);
        assert_eq!(request.route, Some(Route::CacheInfo));
        assert!(request.keep && request.head);
        assert_eq!(hear(b"GET / HTTP/1.1\r\nHost"), Heard::Part);
        let path = format!("nar/{HASH}-x.nar.zst");
        let request =
            asked(&format!("GET /{path} HTTP/1.1\r\nRange: bytes=5-\r\nConnection: close\r\n\r\n"));
        assert_eq!(request.route, Some(Route::Nar(HASH.to_owned(), path.clone())));
        assert_eq!((request.range, request.keep), (Some(ByteRange::From(5, None)), false));
        let conditional =
            format!("GET /{path} HTTP/1.1\r\nIf-Range: \"a\"\r\nRange: bytes=5-\r\n\r\n");
        assert_eq!(asked(&conditional).range, None);
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "/",
            "/../../etc/passwd",
            "/nar/../../etc/passwd",
            "/nar/",
            "/nar/%2e%2e",
            "/KZM3wc4b8kzvbxhqv4xhbc8hhaqqj27r.narinfo",
            "/kzm.narinfo",
            "//nix-cache-info",
            "/store/x",
            "http://other/nix-cache-info",
        ] {
            assert_eq!(asked(&format!("GET {path} HTTP/1.1\r\n\r\n")).route, None, "{path}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (status, text) in [
            (405, "PUT /x HTTP/1.1\r\n\r\n"),
            (405, "DELETE /x HTTP/1.1\r\n\r\n"),
            (400, "GET /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
            (400, "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (400, "nonsense\r\n\r\n"),
            (400, "GET /x HTTP/9\r\n\r\n"),
        ] {
            assert_eq!(hear(text.as_bytes()), Heard::Refused(status), "{text}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
        assert_eq!(hear(many.as_bytes()), Heard::Refused(431));
    }

    #[test]
    fn ranges() {
        let within = |text: &str| parse_range(text).map(|range| range.within(10));
        assert_eq!(within("bytes=0-"), Some(Some((0, 10))));
        assert_eq!(within("bytes=2-4"), Some(Some((2, 3))));
        assert_eq!(within("bytes=9-99"), Some(Some((9, 1))));
        assert_eq!(within("bytes=-3"), Some(Some((7, 3))));
        assert_eq!(within("bytes=-99"), Some(Some((0, 10))));
        assert_eq!(within("bytes=10-"), Some(None));
        assert_eq!(within("bytes=-0"), Some(None));
        for bad in ["bytes=", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x-"] {
            assert_eq!(within(bad), None, "{bad}");
        }
    }
}

//! The addresses of the files of a binary cache of Nix.

use percent_encoding::percent_decode_str;

use super::http::{origin, redact};
use super::s3::{S3Defaults, S3Place};
use crate::model::Location;

/// Returns the address of a file below a cache. What is behind the `?` of a bucket stays there.
pub fn below(cache: &str, path: &str) -> String {
    match bucket(cache) {
        Some((base, query)) => format!("{}/{path}{query}", base.trim_end_matches('/')),
        None => format!("{cache}/{path}"),
    }
}

/// Returns the cache in which an address of a NAR lies, if it is one of those that Nix writes.
pub fn cache_of(url: &str) -> Option<String> {
    let (base, query) = bucket(url).unwrap_or((url, ""));
    let (cache, _) = base.rsplit_once("/nar/")?;
    Some(format!("{cache}{query}"))
}

/// Whether an address is one of a file below a cache that is a directory of this machine.
pub fn is_in_directory(cache: &str, url: &str) -> bool {
    let below = url.strip_prefix(cache).and_then(|rest| rest.strip_prefix('/'));
    cache.starts_with("file:///") && below.is_some_and(|below| !climbs(below))
}

/// Whether a path leads out of the directory below which it is meant. An address may spell a dot, a
/// slash and a backslash by their codes, and a client takes a backslash for a slash.
fn climbs(path: &str) -> bool {
    percent_decode_str(path).decode_utf8_lossy().split(['/', '\\']).any(|part| part == "..")
}

/// Returns the server of a bucket, if its address names one.
pub fn endpoint(url: &str) -> Option<String> {
    if !url.split_once('?')?.1.split('&').any(|pair| pair.starts_with("endpoint=")) {
        return None;
    }
    let place = S3Place::parse(url, &S3Defaults::default()).ok()?;
    origin(&place.identity(""))
}

/// Returns the address of a bucket without its query, and the query with its `?`.
fn bucket(url: &str) -> Option<(&str, &str)> {
    let end = url.find('?').unwrap_or(url.len());
    url.starts_with("s3://").then(|| url.split_at(end))
}

/// Returns the address of the file that a description of `cache` names: a path below the cache, or an
/// address on the same server. A cache must not lead to other servers, nor to files of this machine.
///
/// # Errors
/// A sentence that states what was expected.
pub fn nar_url(cache: &str, url: &str) -> Result<String, String> {
    let bad = |expected: &str| Err(format!("URL: expected {expected}, got {:?}", redact(url)));
    let url = if url.contains("://") {
        if origin(url).is_none() || origin(url) != origin(cache) {
            return bad("a file of the cache");
        }
        url.to_owned()
    } else {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        if (bucket(cache).is_some() && path != url)
            || path.is_empty()
            || url.starts_with('/')
            || climbs(path)
        {
            return bad("a path below the cache");
        }
        below(cache, url)
    };
    match url.parse::<Location>() {
        Ok(Location::Url(_) | Location::Bucket(_)) if !url.contains('\\') => Ok(url),
        _ => bad("an address"),
    }
}

#[cfg(test)]
mod tests {
    use super::{below, cache_of, endpoint, is_in_directory, nar_url};

    #[test]
    fn a_cache_leads_to_its_own_files_alone() {
        let cache = "https://cache.example/a";
        assert_eq!(nar_url(cache, "nar/x.nar.xz").unwrap(), "https://cache.example/a/nar/x.nar.xz");
        let elsewhere = "https://cache.example:443/b?c";
        assert_eq!(nar_url(cache, elsewhere).unwrap(), elsewhere);
        assert_eq!(nar_url("file:///a", "nar/x").unwrap(), "file:///a/nar/x");
        for bad in [
            "../x",
            "nar/../../x",
            "%2e%2e/%2E%2e/outside.nar",
            ".%2e/x",
            "nar%2f..%2f..%2fx",
            "nar/..%5c..%5cx",
            "nar/..\\x",
            "/etc/passwd",
            "",
            "file:///etc/passwd",
            "http://cache.example/a/x",
            "https://other.example/x",
            "https://cache.example\\@other.example/x",
            "nar/a b",
        ] {
            assert!(nar_url(cache, bad).is_err(), "{bad}");
        }
        assert!(nar_url("file:///a", "file:///a/nar/x").is_err());
        assert!(nar_url("file:///a", "%2e%2e/outside.nar").is_err());
        assert!(nar_url("s3://team", "%2e%2e/outside.nar").is_err());
        assert_eq!(nar_url("file:///a", "nar/..x%20y").unwrap(), "file:///a/nar/..x%20y");
    }

    #[test]
    fn a_file_is_of_the_directory_in_which_it_lies() {
        assert!(is_in_directory("file:///a", "file:///a/nar/x"));
        for (cache, url) in [
            ("file:///a", "file:///ab/nar/x"),
            ("file:///a", "file:///a"),
            ("file:///a", "file:///a/../x"),
            ("file:///a", "file:///a/%2e%2e/x"),
            ("https://a.example", "https://a.example/nar/x"),
        ] {
            assert!(!is_in_directory(cache, url), "{url}");
        }
    }

    #[test]
    fn a_cache_in_a_bucket_keeps_its_server() {
        let cache = "s3://team/trees/?endpoint=127.0.0.1:9000&scheme=http";
        let nar = "s3://team/trees/nar/x.nar.zst?endpoint=127.0.0.1:9000&scheme=http";
        assert_eq!(nar_url(cache, "nar/x.nar.zst").unwrap(), nar);
        let same = "s3://team/trees?endpoint=127.0.0.1:9000&scheme=http";
        assert_eq!(cache_of(nar).unwrap(), same);
        assert_eq!(endpoint(nar).as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(endpoint("s3://team/trees?region=eu-1"), None);
        assert_eq!(below("s3://team", "x.narinfo"), "s3://team/x.narinfo");
        assert_eq!(cache_of("https://one.example/a/nar/x").unwrap(), "https://one.example/a");
        for bad in ["nar/x?endpoint=other.example", "s3://team/trees/nar/x", "nar/x#y", "../x"] {
            assert!(nar_url(cache, bad).is_err(), "{bad}");
        }
    }
}

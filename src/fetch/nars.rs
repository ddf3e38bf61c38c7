//! The addresses of the files of a binary cache of Nix.

use super::http::{origin, redact};
use crate::model::Location;

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
        if path.is_empty() || url.starts_with('/') || path.split('/').any(|part| part == "..") {
            return bad("a path below the cache");
        }
        format!("{cache}/{url}")
    };
    match url.parse::<Location>() {
        Ok(Location::Url(_)) if !url.contains('\\') => Ok(url),
        _ => bad("an address"),
    }
}

#[cfg(test)]
mod tests {
    use super::nar_url;

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
    }
}

//! The configuration file of a user. It says what is particular to the machine or to the person, and
//! nothing that a lock or a check depends on.

use std::collections::BTreeMap;

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::{Fields, Problems, read_mirrors, root_table};
use crate::model::{has_login, redact};
use crate::nix::keys::{CacheKey, is_secret};

/// A binary cache that may have finished trees, with the keys of those who may sign them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// Its address.
    pub url: String,
    /// The keys.
    pub keys: Vec<CacheKey>,
}

/// What the file of a user says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// The mirrors by family, which come before those of the manifest.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// The binary caches that are asked for finished trees.
    pub caches: Vec<CacheEntry>,
    /// The number of inputs that are processed at once.
    pub jobs: Option<usize>,
    /// The directory of the store: an absolute path, or one that begins with `~/`.
    pub store: Option<String>,
    /// When colours are used: a value of `--color`.
    pub color: Option<String>,
}

/// The greatest number of inputs that are processed at once.
pub const MOST_JOBS: u64 = 256;

impl UserConfig {
    /// Reads the text of the file. Every problem is added to `problems`.
    pub fn parse(text: &str, problems: &mut Problems) -> UserConfig {
        let mut root = root_table("the configuration", text, problems);
        let mirrors = read_mirrors(&mut root, problems).into_iter();
        let mirrors = mirrors
            .map(|(family, urls)| (family, urls.into_iter().map(|url| url.value).collect()))
            .collect();
        let caches = read_caches(&mut root, problems);
        let jobs = root.number("jobs", problems).and_then(|jobs| {
            let fits = (1..=MOST_JOBS).contains(&jobs.value);
            if !fits {
                problems.add(
                    jobs.span,
                    format!("expected a number from 1 to {MOST_JOBS}, got {}", jobs.value),
                );
            }
            usize::try_from(jobs.value).ok().filter(|_| fits)
        });
        let store = root.string("store", problems).and_then(|store| {
            let fits = store.value.starts_with('/') || store.value.starts_with("~/");
            if !fits {
                problems.add(
                    store.span,
                    format!(
                        "expected an absolute path, or one that begins with ~/, got {:?}",
                        store.value
                    ),
                );
            }
            fits.then_some(store.value)
        });
        let color = root.string("color", problems).and_then(|color| {
            let fits = ["auto", "always", "never"].contains(&color.value.as_str());
            if !fits {
                problems.add(
                    color.span,
                    format!("expected \"auto\", \"always\" or \"never\", got {:?}", color.value),
                );
            }
            fits.then_some(color.value)
        });
        root.finish(problems);
        UserConfig { mirrors, caches, jobs, store, color }
    }
}

fn read_caches(root: &mut Fields, problems: &mut Problems) -> Vec<CacheEntry> {
    let Some(mut table) = root.table("caches", problems) else { return vec![] };
    let mut out = vec![];
    for url in table.keys() {
        let span = table.key_span(&url);
        if let Err(why) = check_cache_url(&url) {
            problems.add(span.clone(), why);
        }
        let Some(mut entry) = table.table(&url, problems) else { continue };
        let mut keys = vec![];
        for text in entry.string_list("keys", problems).unwrap_or_default() {
            match text.value.parse() {
                Ok(key) => keys.push(key),
                Err(why) => problems.add(text.span, why),
            }
        }
        entry.finish(problems);
        if keys.is_empty() {
            problems
                .add(span, "expected `keys` with the public keys that sign the cache, got none");
        }
        out.push(CacheEntry { url, keys });
    }
    out
}

/// Checks the address of a cache.
///
/// # Errors
/// A sentence that states what was expected.
pub fn check_cache_url(url: &str) -> Result<(), String> {
    let kinds = ["https://", "http://", "file:///", "s3://"];
    let fits = kinds.iter().any(|kind| url.len() > kind.len() && url.starts_with(kind))
        && !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if !fits {
        let got = match is_secret(url) {
            true => "a secret key".to_owned(),
            false => format!("{:?}", redact(url)),
        };
        return Err(format!("expected an https://, http://, file:/// or s3:// URL, got {got}"));
    }
    let is_s3 = url.starts_with("s3://");
    if is_s3 && has_login(url) {
        return Err("expected no keys in the address of a bucket: they are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the file of credentials".to_owned());
    }
    // Names of files are appended to the address.
    if !is_s3 && url.contains(['?', '#']) {
        return Err(format!("expected a URL without a query, got {:?}", redact(url)));
    }
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if !url.starts_with("file:") && (host.is_empty() || host.starts_with(':')) {
        return Err(format!("expected a URL with a host, got {:?}", redact(url)));
    }
    Ok(())
}

/// Returns the text of a configuration with a cache, or without it if there is none of its keys.
///
/// # Errors
/// If the text is no TOML.
pub fn with_cache(text: &str, url: &str, keys: &[CacheKey]) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let new = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let caches = document.entry("caches").or_insert_with(new);
    let caches = caches.as_table_like_mut().ok_or("`caches` is no table")?;
    if keys.is_empty() {
        caches.remove(url);
    } else {
        let list: Array = keys.iter().map(ToString::to_string).collect();
        let mut table = Table::new();
        table.insert("keys", Item::Value(Value::Array(list)));
        caches.insert(url, Item::Table(table));
    }
    if caches.is_empty() {
        document.remove("caches");
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (UserConfig, String) {
        let mut problems = Problems::new("config.toml", text);
        let config = UserConfig::parse(text, &mut problems);
        (config, format!("{:?}", problems.check()))
    }

    #[test]
    fn caches_are_added_and_removed_and_the_rest_stays() {
        let key: CacheKey = "test-1:3D5dId+ffUWy7Wt2UlM6xOPSD+OE4r1TZml5gzP+uCE=".parse().unwrap();
        let before = "# mine\njobs = 3 # few\n";
        let (one, two) = ("http://one.example/x", "s3://two?region=eu");
        let text = with_cache(before, one, std::slice::from_ref(&key)).unwrap();
        let text = with_cache(&text, two, std::slice::from_ref(&key)).unwrap();
        let (config, said) = read(&text);
        assert_eq!(said, "Ok(())", "{text}");
        assert!(text.starts_with(before), "{text}");
        let entry = |url: &str| CacheEntry { url: url.to_owned(), keys: vec![key.clone()] };
        assert_eq!(config.caches, [entry(one), entry(two)]);
        let text = with_cache(&with_cache(&text, one, &[]).unwrap(), two, &[]).unwrap();
        assert_eq!(text, before);
    }

    #[test]
    fn what_is_no_cache_is_refused() {
        for (text, words) in [
            ("[caches.\"ftp://x\"]\nkeys = []\n", "ftp://x"),
            ("[caches.\"http://x\"]\n", "keys"),
            ("[caches.\"http://x\"]\nkeys = [\"x\"]\n", "a public key"),
            ("[caches.\"http://x\"]\nkeys = []\nother = 1\n", "other"),
            ("[caches]\n\"http://x\" = 1\n", "a table"),
        ] {
            let (_, said) = read(text);
            assert!(said.contains(words), "{said}");
        }
    }
}

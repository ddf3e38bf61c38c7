//! What a manifest says of binary caches of Nix: the table `[nix]`, and the same keys in the table of a
//! toolchain.

use super::{Fields, Problems};
use crate::error::Place;
use crate::model::{has_login, redact};
use crate::nix::keys::CacheKey;

/// A value and its place in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// The place.
    pub place: Place,
}

/// Binary caches, and the keys that may sign what they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NixCaches {
    /// The addresses of the caches, in the order in which they are asked. None: the public one.
    pub caches: Vec<Placed<String>>,
    /// The keys, besides that of the public cache.
    pub keys: Vec<Placed<CacheKey>>,
}

impl NixCaches {
    /// Takes the keys `caches` and `keys`.
    pub fn read(fields: &mut Fields, problems: &mut Problems) -> Self {
        let mut out = NixCaches::default();
        for url in fields.string_list("caches", problems).unwrap_or_default() {
            let has = |schemes: &[&str]| schemes.iter().any(|s| url.value.starts_with(s));
            let has_none_of =
                |bad: &str| !url.value.contains(|c: char| c.is_whitespace() || bad.contains(c));
            let is_url = (has(&["https://", "http://", "file:///"]) && has_none_of("?#"))
                || (has(&["s3://"]) && url.value.len() > "s3://".len() && has_none_of("#"));
            if !is_url {
                problems.add(
                    url.span,
                    format!(
                        "caches: expected an https://, http:// or file:/// URL without a query, or s3://BUCKET/PREFIX?endpoint=..., got {:?}",
                        redact(&url.value)
                    ),
                );
            } else if has_login(&url.value) {
                problems.add(
                    url.span,
                    "caches: the lock would contain the credentials of this URL: put them into ~/.netrc (or the file that NETRC names)",
                );
            } else {
                let place = problems.place(url.span.start);
                let value = url.value.trim_end_matches('/').to_owned();
                out.caches.push(Placed { value, place });
            }
        }
        for key in fields.string_list("keys", problems).unwrap_or_default() {
            match key.value.parse() {
                Ok(value) => {
                    out.keys.push(Placed { value, place: problems.place(key.span.start) });
                }
                Err(why) => problems.add(key.span, format!("keys: {why}")),
            }
        }
        out
    }
}

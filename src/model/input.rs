//! A locked input: where its bytes may lie, how many there are, and which they are.

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// One file that a tree is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// Where to look, in this order. Hints: the digest is the identity.
    pub locations: Vec<Location>,
    /// The exact length in bytes.
    pub size: u64,
    /// The digest of the bytes.
    pub sha256: Digest,
    /// What it is to a set of Python packages, if it is part of one.
    pub package: Option<Package>,
}

/// A file of a Python package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Package {
    /// The packages of the same set that it needs on this platform, by normalised name, sorted.
    pub requires: Vec<String>,
    /// For a source distribution: the wheel that it is built into.
    pub built: Option<Built>,
}

/// A wheel that is built on the spot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Built {
    /// Its file name.
    pub file: String,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub sha256: Digest,
}

impl Input {
    /// An input that is no Python package's.
    pub fn new(locations: Vec<Location>, size: u64, sha256: Digest) -> Self {
        Input { locations, size, sha256, package: None }
    }

    /// The normalised name of the Python project whose file it is.
    pub fn project(&self) -> Option<&str> {
        match self.locations.first() {
            Some(Location::Mirror { mirror, path }) if mirror == "python" => {
                path.split_once('/').map(|(project, _)| project)
            }
            _ => None,
        }
    }

    /// The last part of the first location: a name for people.
    pub fn file_name(&self) -> &str {
        let text = self.locations.first().map_or("", Location::path);
        text.rsplit('/').next().unwrap_or(text)
    }
}

/// Where bytes may lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// An `https:`, `http:` or `file:` URL.
    Url(String),
    /// `mirror://<mirror>/<path>`: expanded when fetching, through the user's mirrors, the machine's, the public default.
    Mirror {
        /// Which family of mirrors: `debian`, `python`, or one of the manifest's.
        mirror: String,
        /// The path below a mirror's root.
        path: String,
    },
}

impl Location {
    /// The path of a mirror location, or the URL without its query.
    pub fn path(&self) -> &str {
        match self {
            Location::Url(url) => url.split(['?', '#']).next().unwrap_or(url),
            Location::Mirror { path, .. } => path,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Url(url) => f.write_str(url),
            Location::Mirror { mirror, path } => write!(f, "mirror://{mirror}/{path}"),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("mirror://") {
            return match rest.split_once('/') {
                Some((mirror, path))
                    if !mirror.is_empty()
                        && !path.is_empty()
                        && !path.split('/').any(|p| p == "..") =>
                {
                    Ok(Location::Mirror { mirror: mirror.to_owned(), path: path.to_owned() })
                }
                _ => Err(format!("expected mirror://<name>/<path>, got {text:?}")),
            };
        }
        let known = ["https://", "http://", "file:///"]
            .iter()
            .any(|s| text.starts_with(s) && text.len() > s.len());
        if known && !text.contains(char::is_whitespace) {
            Ok(Location::Url(text.to_owned()))
        } else {
            Err(format!("expected an https://, http:// or file:/// URL, got {:?}", redact(text)))
        }
    }
}

/// A URL fit for a message: without user name and password, and without its query, which may be a signature.
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?..."));
    let end = rest.find('/').unwrap_or(rest.len());
    let start = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}{query}", &rest[start..])
}

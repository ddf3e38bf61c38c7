//! Expands locations to URLs: first the user's mirrors, then the machine's mirrors, then the public
//! default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::index_settings::ConfiguredIndexes;
use super::nars::below;
use crate::model::{Location, MemberPath};

/// The family of the archives of old Debian files. Below each of its mirrors, an archive has the
/// path of [`snapshot_path`].
pub const SNAPSHOT: &str = "snapshot";

/// The mirror of [`SNAPSHOT`] that is asked last.
const PUBLIC_SNAPSHOT: &str = "https://snapshot.debian.org";

/// The family of binary caches of Nix that have the same files under the same names as the public one.
pub const NIX: &str = "nix";

/// The cache of [`NIX`] that is asked last.
const PUBLIC_NIX: &str = "https://cache.nixos.org";

/// Returns the path of an archive at a point in time (`YYYYMMDDTHHMMSSZ`) below a mirror of
/// [`SNAPSHOT`].
pub fn snapshot_path(family: &str, time: &str) -> String {
    format!("archive/{family}/{time}")
}

/// A place from which a file can be requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// A URL.
    Url(String),
    /// A file of a Python project in any of the indexes in use.
    PythonFile {
        /// The normalised project name.
        project: String,
        /// The file name.
        file: String,
    },
}

impl Candidate {
    /// Whether the file is on this machine.
    pub fn is_file(&self) -> bool {
        matches!(self, Candidate::Url(url) if url.starts_with("file://"))
    }
}

/// The mirrors by family. Each list is in the order in which the mirrors are tried.
#[derive(Debug, Clone, Default)]
pub struct Mirrors {
    named: BTreeMap<String, Vec<String>>,
    apt: BTreeMap<String, Vec<String>>,
    python: ConfiguredIndexes,
    project: Option<PathBuf>,
}

impl Mirrors {
    /// Creates the table of mirrors. `named` are the user's mirrors by family, `apt` the machine's
    /// Debian mirrors by archive, and `python` the machine's package indexes.
    pub fn new(
        named: BTreeMap<String, Vec<String>>,
        apt: BTreeMap<String, Vec<String>>,
        python: ConfiguredIndexes,
    ) -> Self {
        Mirrors { named, apt, python, project: None }
    }

    /// Sets the directory in which files of the project lie.
    #[must_use]
    pub fn in_project(mut self, dir: &Path) -> Self {
        self.project = Some(dir.to_path_buf());
        self
    }

    /// Returns the URL of a file of the project. A symlink that leads out of the project is followed
    /// by nobody, because the bytes of a tree can be read by other users.
    fn project_file(&self, path: &MemberPath) -> Option<String> {
        let dir = self.project.as_ref()?.canonicalize().ok()?;
        let file = dir.join(path.as_str());
        let inside = file.canonicalize().map_or(true, |real| real.starts_with(&dir));
        inside.then(|| format!("file://{}", encode(file.to_str().unwrap_or_default())))
    }

    /// Returns the base URLs of a family. `snapshot` is the point in time (`YYYYMMDDTHHMMSSZ`) for
    /// which Debian's public archive of old files is asked.
    pub fn bases(&self, family: &str, snapshot: Option<&str>) -> Vec<String> {
        let mut out: Vec<String> = vec![];
        let user = self.named.get(family).into_iter().flatten();
        for url in user.chain(self.apt.get(family).into_iter().flatten()) {
            let url = url.trim_end_matches('/').to_owned();
            if !out.contains(&url) {
                out.push(url);
            }
        }
        if let Some(time) = snapshot
            && family.starts_with("debian")
        {
            let path = snapshot_path(family, time);
            out.extend(self.bases(SNAPSHOT, None).iter().map(|base| format!("{base}/{path}")));
        }
        if family == SNAPSHOT {
            out.push(PUBLIC_SNAPSHOT.to_owned());
        }
        if family == NIX {
            out.push(PUBLIC_NIX.to_owned());
        }
        out
    }

    /// Returns the binary caches of Nix to ask, in order: those of the machine and the user, followed
    /// by the `named` ones, or by the public one if none is named.
    pub fn nix_caches(&self, named: &[String]) -> Vec<String> {
        let mut out = self.bases(NIX, None);
        if !named.is_empty() {
            out.pop();
        }
        for url in named {
            let url = url.trim_end_matches('/').to_owned();
            if !out.contains(&url) {
                out.push(url);
            }
        }
        out
    }

    /// Returns the Python package indexes in use, in the order in which they are asked: the user's, or
    /// otherwise the machine's, with `default` in the place of a default that is not configured.
    pub fn python_indexes(&self, default: Option<String>) -> Vec<String> {
        match self.named.get("python") {
            Some(urls) if !urls.is_empty() => urls.clone(),
            _ => self.python.in_order(default),
        }
    }

    /// Whether the index to ask by default is configured.
    pub fn has_default_python_index(&self) -> bool {
        self.python.default.is_some() || self.named.get("python").is_some_and(|l| !l.is_empty())
    }

    /// Returns every place from which `location` can be requested, in order.
    pub fn expand(&self, location: &Location, snapshot: Option<&str>) -> Vec<Candidate> {
        match location {
            Location::Url(url) | Location::Bucket(url) => vec![Candidate::Url(url.clone())],
            Location::Project(path) => {
                self.project_file(path).map(Candidate::Url).into_iter().collect()
            }
            Location::Mirror { mirror, path } if mirror == "python" => match path.split_once('/') {
                Some((project, file)) => vec![Candidate::PythonFile {
                    project: project.to_owned(),
                    file: file.to_owned(),
                }],
                None => vec![],
            },
            Location::Mirror { mirror, path } => self
                .bases(mirror, snapshot)
                .into_iter()
                .map(|base| Candidate::Url(below(&base, &encode(path))))
                .collect(),
        }
    }
}

/// All characters but those that the path of a URL may contain as they are (RFC 3986, section 3.3): `+` and `~` are in Debian's names.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b'=')
    .remove(b',')
    .remove(b'@')
    .remove(b':');

/// Percent-encodes the characters that the path of a URL must not contain.
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// Replaces the escapes of an address (RFC 3986, section 2.1).
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

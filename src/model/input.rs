//! A locked input: the possible locations of its bytes, their number, and their digest.

use std::fmt;
use std::str::FromStr;

use super::{Digest, MemberPath, StoreName, is_project_name, normalize_project};

/// One file from which a tree is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The locations to try, in this order. Locations are only hints: the digest is the identity.
    pub locations: Vec<Location>,
    /// The exact length in bytes. For a path of a Nix store, it is that of its NAR, whatever the
    /// compression of a cache.
    pub size: u64,
    /// The digest of the bytes. For a path of a Nix store, it is that of its NAR.
    pub sha256: Digest,
    /// How the bytes are turned into files.
    pub format: Format,
    /// The identity of the file for users and for package databases.
    pub component: Component,
    /// How the files of the archive are laid out in the tree.
    pub layout: Layout,
    /// The packages of the same tree that it needs on this platform, by their names in the package
    /// system, sorted. Older locks have them for Python packages only.
    pub requires: Vec<String>,
    /// For a source distribution: the wheel that is built from it. For an archive of source code: the
    /// files that its steps install, as a NAR.
    pub built: Option<Built>,
    /// For a path of a Nix store: what a cache says of it.
    pub nix: Option<NixPath>,
}

/// The format of an input's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A Debian binary package (deb(5)).
    Deb,
    /// A Python wheel (PEP 427).
    Wheel,
    /// A Python source distribution (PEP 625), which is built into a wheel.
    Sdist,
    /// A tar archive, plain or compressed.
    Tar,
    /// A zip archive.
    Zip,
    /// One file, plain or compressed, which becomes a program.
    File,
    /// A Nix archive, plain or compressed: a path of a Nix store.
    Nar,
    /// An archive of source code, plain or compressed, which is built. No file of it is in the tree.
    Source,
    /// A patch of source code.
    Patch,
}

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: [Format; 9] = [
        Format::Deb,
        Format::Wheel,
        Format::Sdist,
        Format::Tar,
        Format::Zip,
        Format::File,
        Format::Nar,
        Format::Source,
        Format::Patch,
    ];

    /// Returns the word for the format in the lock.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::Wheel => "wheel",
            Format::Sdist => "sdist",
            Format::Tar => "tar",
            Format::Zip => "zip",
            Format::File => "file",
            Format::Nar => "nar",
            Format::Source => "source",
            Format::Patch => "patch",
        }
    }

    /// Returns the format that the file name indicates, for an archive that belongs to no package
    /// system.
    pub fn of_archive(file_name: &str) -> Format {
        const TAR: [&str; 10] = [
            ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2",
            ".tbz",
        ];
        if file_name.ends_with(".deb") {
            Format::Deb
        } else if file_name.ends_with(".whl") {
            Format::Wheel
        } else if file_name.ends_with(".zip") {
            Format::Zip
        } else if TAR.iter().any(|ending| file_name.ends_with(ending)) {
            Format::Tar
        } else {
            Format::File
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Format::ALL.map(|f| format!("{:?}", f.as_str())).join(", ");
        Self::ALL
            .into_iter()
            .find(|f| f.as_str() == text)
            .ok_or_else(|| format!("expected one of {}, got {text:?}", known()))
    }
}

/// A package system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Debian and other distributions that use its archive format.
    Debian,
    /// The Python package index.
    Pypi,
    /// No package system: an archive by URL.
    Generic,
    /// The packages of Nix, by the names of their store paths.
    Nix,
}

impl Ecosystem {
    /// Every ecosystem.
    pub const ALL: [Ecosystem; 4] =
        [Ecosystem::Debian, Ecosystem::Pypi, Ecosystem::Generic, Ecosystem::Nix];

    /// Returns the word for the ecosystem in the lock. `pypi` and `generic` are types of the
    /// package URL specification (purl). `debian` stands for the purl type `deb` with the namespace
    /// `debian`.
    pub fn as_str(self) -> &'static str {
        match self {
            Ecosystem::Debian => "debian",
            Ecosystem::Pypi => "pypi",
            Ecosystem::Generic => "generic",
            Ecosystem::Nix => "nix",
        }
    }
}

impl FromStr for Ecosystem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Ecosystem::ALL.map(|e| format!("{:?}", e.as_str())).join(", ");
        Self::ALL
            .into_iter()
            .find(|e| e.as_str() == text)
            .ok_or_else(|| format!("expected one of {}, got {text:?}", known()))
    }
}

/// The identity of an input in its package system, which software bills of materials, vulnerability
/// databases and comparisons of versions use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The package system.
    pub ecosystem: Ecosystem,
    /// The name in the package system. The name of a Python project is normalised (PEP 503).
    pub name: String,
    /// The version. A Debian version includes the epoch.
    pub version: String,
    /// For Debian: the source package from which it was built, if its name or version differs.
    pub source: Option<SourcePackage>,
}

/// A Debian source package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version. Locks of version 1 did not record it.
    pub version: Option<String>,
}

/// How the files of an archive are laid out in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout {
    /// The directory of the archive that becomes the root of the tree. Files outside it are left
    /// out.
    pub strip_prefix: Option<String>,
    /// For a single file: the name that it gets instead of the last part of its URL.
    pub file_name: Option<String>,
    /// The directories of a package whose files are taken. If the list is empty, all files are.
    pub only: Vec<String>,
}

impl Layout {
    /// Whether the file at `path` of the archive is taken.
    pub fn takes(&self, path: &MemberPath) -> bool {
        self.only.is_empty() || self.only.iter().any(|directory| path.is_under(directory))
    }
}

/// A file that is built locally: a wheel, or a NAR of all that the steps of a build install.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Built {
    /// Its file name.
    pub file: String,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub sha256: Digest,
}

/// A path of a Nix store, as a cache describes it. Together with the hash and the length of the NAR,
/// this is what its signature covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NixPath {
    /// The path, without the directory of the store.
    pub path: StoreName,
    /// The paths to which it refers, which may be itself. Sorted.
    pub references: Vec<StoreName>,
    /// The derivation by which it was built.
    pub deriver: Option<StoreName>,
    /// The signature for which the path was accepted, behind the name of its key and a colon. There
    /// is none if the path follows from its content.
    pub signature: Option<String>,
    /// How the path follows from its content, if it does, in the notation of Nix.
    pub ca: Option<String>,
    /// Whether no cache had it when it was locked, so that Nix built it.
    pub built: bool,
}

impl NixPath {
    /// Returns the references to other paths.
    pub fn others(&self) -> impl Iterator<Item = &StoreName> {
        self.references.iter().filter(|name| **name != self.path)
    }
}

impl Input {
    /// Creates an input that has no layout of its own and belongs to no set of Python packages.
    pub fn new(
        locations: Vec<Location>,
        size: u64,
        sha256: Digest,
        format: Format,
        component: Component,
    ) -> Self {
        Input {
            locations,
            size,
            sha256,
            format,
            component,
            layout: Layout::default(),
            requires: vec![],
            built: None,
            nix: None,
        }
    }

    /// Returns the normalised name of the Python project to which the file belongs, if an index has
    /// it.
    pub fn project(&self) -> Option<&str> {
        match self.locations.first() {
            Some(Location::Mirror { mirror, path }) if mirror == "python" => {
                path.split_once('/').map(|(project, _)| project)
            }
            _ => None,
        }
    }

    /// Returns the last part of the first location, or the name of a path of a Nix store, for messages.
    pub fn file_name(&self) -> &str {
        if let Some(nix) = &self.nix {
            return nix.path.as_str();
        }
        let text = self.locations.first().map_or("", Location::path);
        text.rsplit('/').next().unwrap_or(text)
    }
}

/// A possible location of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// An `https:`, `http:` or `file:` URL.
    Url(String),
    /// `s3://<bucket>/<path>?endpoint=...`: an object of a bucket, which only a path of a Nix store is.
    Bucket(String),
    /// `./<path>`: a file of the project, below the directory of the manifest.
    Project(MemberPath),
    /// `mirror://<mirror>/<path>`: expanded when fetching, through the user's mirrors, the
    /// machine's mirrors and the public default.
    Mirror {
        /// The family of mirrors: `debian`, `python`, or one that the manifest defines.
        mirror: String,
        /// The path below the root of a mirror.
        path: String,
    },
}

impl Location {
    /// Returns the path of a mirror location, or the URL without its query.
    pub fn path(&self) -> &str {
        match self {
            Location::Url(url) | Location::Bucket(url) => {
                url.split(['?', '#']).next().unwrap_or(url)
            }
            Location::Project(path) => path.as_str(),
            Location::Mirror { path, .. } => path,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Url(url) | Location::Bucket(url) => f.write_str(url),
            Location::Project(path) => write!(f, "./{path}"),
            Location::Mirror { mirror, path } => write!(f, "mirror://{mirror}/{path}"),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("mirror://") {
            // The name of a project becomes a part of the address of its page.
            let is_file_of_index = |path: &str| {
                path.split_once('/').is_some_and(|(project, file)| {
                    is_project_name(project)
                        && normalize_project(project) == project
                        && !file.is_empty()
                        && !file.contains('/')
                })
            };
            return match rest.split_once('/') {
                Some(("python", path)) if !is_file_of_index(path) => Err(format!(
                    "expected mirror://python/<normalised project>/<file>, got {:?}",
                    redact(text)
                )),
                Some((mirror, path))
                    if !mirror.is_empty()
                        && !path.is_empty()
                        && !path.split('/').any(|p| p == "..") =>
                {
                    Ok(Location::Mirror { mirror: mirror.to_owned(), path: path.to_owned() })
                }
                _ => Err(format!("expected mirror://<name>/<path>, got {:?}", redact(text))),
            };
        }
        if let Some(path) = text.strip_prefix("./") {
            return match MemberPath::parse(path.as_bytes()) {
                Ok(Some(path)) => Ok(Location::Project(path)),
                Ok(None) => Err(format!("expected a file of the project, got {text:?}")),
                Err(why) => Err(format!("expected a file of the project, got {text:?}: {why}")),
            };
        }
        let of_bucket = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        if of_bucket.is_some_and(|(bucket, path)| !bucket.is_empty() && !path.is_empty())
            && !text.contains(char::is_whitespace)
        {
            return Ok(Location::Bucket(text.to_owned()));
        }
        let known = ["https://", "http://", "file:///"]
            .iter()
            .any(|s| text.starts_with(s) && text.len() > s.len());
        if known && !text.contains(char::is_whitespace) {
            Ok(Location::Url(text.to_owned()))
        } else {
            Err(format!(
                "expected an https://, http:// or file:/// URL, or a file of the project, ./<path>, got {:?}",
                redact(text)
            ))
        }
    }
}

/// Returns a URL that may be shown in a message: without the user name and the password, and
/// without the query, which may be a signature.
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // What was to be a URL but lacks its beginning, such as `//user:password@host/`.
        return match url.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => format!("...@{host}"),
            _ => url.to_owned(),
        };
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let mut start = rest[..end].rfind('@').map_or(0, |at| at + 1);
    let port = rest[start..end].split_once(':').map_or("", |(_, port)| port);
    // No port, but the beginning of a password that contains `/`, `?` or `#` unencoded.
    if !rest[start..].starts_with('[') && !port.bytes().all(|b| b.is_ascii_digit()) {
        start = rest.rfind('@').map_or(start, |at| start.max(at + 1));
    }
    let rest = &rest[start..];
    match rest.find(['?', '#']) {
        Some(end) => format!("{scheme}://{}{}...", &rest[..end], &rest[end..=end]),
        None => format!("{scheme}://{rest}"),
    }
}

/// Whether a URL holds a user name or a password.
pub fn has_login(url: &str) -> bool {
    !url.starts_with(redact(url).trim_end_matches("..."))
}

#[cfg(test)]
mod tests {
    use super::{Location, has_login, redact};

    #[test]
    fn a_location_stays_below_its_index() {
        for good in ["python/zope-interface/x-1.whl", "debian/pool/a/a%2e_1+b~c.deb"] {
            let location: Location = format!("mirror://{good}").parse().unwrap();
            assert_eq!(location.to_string(), format!("mirror://{good}"));
        }
        for bad in [
            "python/%2e%2e?delete=1/x.whl",
            "python/a?b/x.whl",
            "python/a#b/x.whl",
            "python/A_b/x.whl",
            "python/-/x.whl",
            "python/a",
            "python/a/",
            "python/a/b/x.whl",
            "debian/../x",
        ] {
            assert!(format!("mirror://{bad}").parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn logins_are_found() {
        for url in ["https://u:p@h/p", "https://u@h", "https://u:p/@h/p?q", "http://:p@h/p#x"] {
            assert!(has_login(url), "{url}");
        }
        for url in ["https://h/p@1", "https://h:80/a...", "https://h/p?u:p@h", "file:///a@b/c"] {
            assert!(!has_login(url), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for url in [
            "https://u:secret@h/p",
            "https://u:se@secret@h/p",
            "https://u:secret/@h/p",
            "https://u:secret?@h/p",
            "https://u:secret#@h/p",
            "https://h/p?secret",
            "https://h/p#secret",
            "https://h/p#secret?x",
            "https:u:secret@h/p",
            "//u:secret@h/p",
        ] {
            let shown = redact(url);
            assert!(
                !shown.contains("secret") && shown.contains("h/p"),
                "{url} is shown as {shown}"
            );
        }
        for url in ["https://h:8080/@scope/p@1", "https://[::1]:80/a@b", "file:///a@b", "p@1"] {
            assert_eq!(redact(url), url);
        }
    }
}

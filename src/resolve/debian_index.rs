//! A `Packages` index. Source: Debian Policy, chapters 5 and 7, and the Debian wiki,
//! "RepositoryFormat".

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{BufRead, Read};

use super::debian_version;
use crate::error::{Error, Result};
use crate::model::Digest;

/// One binary package of an index.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `amd64`, `all`, ...
    pub architecture: String,
    /// The name and the version of the source package from which it was built, if one of them
    /// differs from its own.
    pub source: Option<(String, String)>,
    /// The unparsed text of `Pre-Depends` and `Depends`: a resolution reads only about a hundred of
    /// the 60,000 packages.
    depends: String,
    /// The unparsed text of `Conflicts` and `Breaks`.
    conflicts: String,
    /// The unparsed text of the other fields that name packages: `Recommends`, `Suggests`, `Replaces`
    /// and `Enhances`. No resolution follows them.
    mentions: String,
    /// `Provides`: a name, and the version if the entry has one.
    pub provides: Vec<(String, Option<String>)>,
    /// How important it is for a system: its place in [`IMPORTANCE`]. A package that does not say so
    /// comes first, as in apt.
    pub importance: usize,
    /// The path below the root of the archive.
    pub filename: String,
    /// The length in bytes.
    pub size: u64,
    /// The digest.
    pub sha256: Digest,
    /// The number of its suite among those of the index.
    pub suite: usize,
    /// The number of its entry in the index.
    number: usize,
}

impl Package {
    /// Returns the clauses of `Pre-Depends` and `Depends`.
    pub fn depends(&self) -> Vec<Clause> {
        self.each_clause().collect()
    }

    /// Reads the clauses of `Pre-Depends` and `Depends` one after the other.
    pub fn each_clause(&self) -> impl Iterator<Item = Clause> {
        each_clause(&self.depends)
    }

    /// Returns what the package does not get along with: `Conflicts` and `Breaks`.
    pub fn conflicts(&self) -> impl Iterator<Item = Dependency> {
        clauses(&self.conflicts).into_iter().flatten()
    }
}

/// The values of `Priority`, the most important first (Debian Policy, section 2.5).
const IMPORTANCE: [&str; 5] = ["", "required", "important", "standard", "optional"];

/// A list of alternatives, one of which must be satisfied.
pub type Clause = Vec<Dependency>;

/// One alternative of a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package or virtual package.
    pub name: String,
    /// The architecture after a colon: `any`, `native` or a name.
    pub qualifier: Option<String>,
    /// A relation and a version.
    pub version: Option<(Relation, String)>,
}

/// A relation between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Exactly,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Dependency {
    /// Whether `version` satisfies the relation.
    pub fn accepts(&self, version: &str) -> bool {
        let Some((relation, wanted)) = &self.version else { return true };
        let order = debian_version::compare(version, wanted);
        match relation {
            Relation::Earlier => order == Ordering::Less,
            Relation::EarlierOrEqual => order != Ordering::Greater,
            Relation::Exactly => order == Ordering::Equal,
            Relation::LaterOrEqual => order != Ordering::Less,
            Relation::Later => order == Ordering::Greater,
        }
    }

    /// Whether a package satisfies the dependency of a package of `own` architecture, under its own
    /// name or under a name that it provides.
    pub fn is_met_by(&self, package: &Package, own: &str) -> bool {
        let architecture = match self.qualifier.as_deref() {
            // `:any` requires Multi-Arch: allowed. Within one architecture, every package satisfies
            // it.
            None | Some("any" | "native") => true,
            Some(named) => {
                package.architecture == named || (package.architecture == "all" && named == own)
            }
        };
        let named = package.name == self.name && self.accepts(&package.version);
        // An unversioned Provides never satisfies a versioned dependency (Policy 7.5).
        let provided = package.provides.iter().any(|(n, v)| {
            *n == self.name && v.as_ref().map_or(self.version.is_none(), |v| self.accepts(v))
        });
        architecture && (named || provided)
    }
}

impl std::fmt::Display for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if let Some(q) = &self.qualifier {
            write!(f, ":{q}")?;
        }
        if let Some((relation, version)) = &self.version {
            let sign = match relation {
                Relation::Earlier => "<<",
                Relation::EarlierOrEqual => "<=",
                Relation::Exactly => "=",
                Relation::LaterOrEqual => ">=",
                Relation::Later => ">>",
            };
            write!(f, " ({sign} {version})")?;
        }
        Ok(())
    }
}

/// The packages of some suites for one architecture.
#[derive(Debug, Default)]
pub struct Index {
    packages: HashMap<String, Vec<Package>>,
    providers: HashMap<String, Vec<(String, Option<String>)>>,
    /// The priority of each suite.
    priorities: Vec<u32>,
    /// The number of packages so far.
    count: usize,
    /// The place of each name of a package among all names, in the order in which the entries of the
    /// index first mention them. It is made when it is first asked for.
    mentioned: OnceCell<HashMap<String, usize>>,
}

/// The greatest length in bytes of the entry of one package. The longest one of Debian 12 has 40 KB.
const LONGEST_STANZA: u64 = 2 << 20;

/// The fields that may go on in further lines, which begin with a space (deb822(5)).
const FOLDED: &[&str] = &[
    "Breaks",
    "Conflicts",
    "Depends",
    "Enhances",
    "Pre-Depends",
    "Provides",
    "Recommends",
    "Replaces",
    "Suggests",
];

/// The greatest length of a name or a version. Those of Debian have less than 100 characters.
const LONGEST_NAME: usize = 128;

/// Whether a text can be the name or the version of a package (Debian Policy, 5.6.1 and 5.6.12):
/// with capital letters and underscores, which some vendors use.
fn is_plain(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "+-.~:_".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= LONGEST_NAME
        && text.chars().all(known)
}

/// Reads the packages of an uncompressed `Packages` file.
///
/// # Errors
/// If a stanza lacks a field that every package must have.
pub fn read(mut text: &mut dyn BufRead) -> Result<Vec<Package>> {
    let mut out = vec![];
    let mut stanza: Vec<u8> = vec![];
    loop {
        let mut rest = Read::by_ref(&mut text).take(LONGEST_STANZA - stanza.len() as u64);
        let n = rest.read_until(b'\n', &mut stanza).map_err(crate::tree::archive_error)?;
        if stanza.len() as u64 >= LONGEST_STANZA {
            return Err(Error::verification("the package index is damaged")
                .because(format!("a stanza has more than {LONGEST_STANZA} bytes")));
        }
        let blank = n == 0 || stanza.ends_with(b"\n\n") || stanza == b"\n";
        // Descriptions may be in any encoding. What is read here is ASCII.
        if blank && !stanza.trim_ascii().is_empty() {
            out.push(parse(&String::from_utf8_lossy(&stanza))?);
        }
        if blank {
            stanza.clear();
        }
        if n == 0 {
            return Ok(out);
        }
    }
}

impl Index {
    /// Adds the packages of a suite, which has this priority.
    pub fn add_suite(&mut self, priority: u32, packages: Vec<Package>) {
        let suite = self.priorities.len();
        self.priorities.push(priority);
        for package in packages {
            let number = self.count;
            self.count += 1;
            self.add(Package { suite, number, ..package });
        }
        self.mentioned.take();
    }

    /// Returns the number of suites.
    pub fn suites(&self) -> usize {
        self.priorities.len()
    }

    fn add(&mut self, package: Package) {
        for (name, version) in &package.provides {
            self.providers
                .entry(name.clone())
                .or_default()
                .push((package.name.clone(), version.clone()));
        }
        self.packages.entry(package.name.clone()).or_default().push(package);
    }

    /// Returns the best package with a name that `accept` accepts: that of the suite with the
    /// highest priority; of equal priorities, the newest; and of equal versions, that of the suite
    /// that comes first.
    pub fn best(&self, name: &str, accept: impl Fn(&Package) -> bool) -> Option<&Package> {
        let rank = |p: &Package| (self.priorities[p.suite], std::cmp::Reverse(p.suite));
        self.packages.get(name)?.iter().filter(|p| accept(p)).max_by(|a, b| {
            let ((priority_a, first_a), (priority_b, first_b)) = (rank(a), rank(b));
            priority_a
                .cmp(&priority_b)
                .then_with(|| debian_version::compare(&a.version, &b.version))
                .then_with(|| first_a.cmp(&first_b))
        })
    }

    /// Returns every version of a package, in all suites.
    pub fn versions(&self, name: &str) -> &[Package] {
        self.packages.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the names of the packages that provide `name`, each with the version that it
    /// provides, sorted.
    pub fn providers(&self, name: &str) -> Vec<(&str, Option<&str>)> {
        let mut out: Vec<_> = self
            .providers
            .get(name)
            .into_iter()
            .flatten()
            .map(|(n, v)| (n.as_str(), v.as_deref()))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Returns the place of a package in the order in which apt learns of packages: an entry of an index
    /// mentions its own package, then those of its fields, in the order of [`MENTIONING`]. Of equally
    /// important providers, apt takes the one of which it learns last. This was measured with apt 2.6.
    pub fn mentioned(&self, name: &str) -> usize {
        let places = self.mentioned.get_or_init(|| {
            let mut all: Vec<&Package> = self.packages.values().flatten().collect();
            all.sort_unstable_by_key(|package| package.number);
            let mut places: HashMap<String, usize> = HashMap::new();
            let mut note = |name: &str| {
                let next = places.len();
                if !places.contains_key(name) {
                    places.insert(name.to_owned(), next);
                }
            };
            for package in all {
                note(&package.name);
                for text in [&package.depends, &package.conflicts, &package.mentions] {
                    names_in(text, &package.architecture).for_each(&mut note);
                }
                package.provides.iter().for_each(|(name, _)| note(name));
            }
            places
        });
        places.get(name).copied().unwrap_or(usize::MAX)
    }

    /// Returns the name of every package.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }
}

/// The fields of a package's entry that name other packages, in the order in which apt reads them.
/// `Provides` follows them.
const MENTIONING: [&str; 8] = [
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Recommends",
    "Suggests",
    "Replaces",
    "Enhances",
];

/// Returns the names of the packages of an architecture in the text of a field.
fn names_in<'t>(text: &'t str, architecture: &'t str) -> impl Iterator<Item = &'t str> {
    text.split([',', '|']).filter_map(move |alternative| {
        let name = alternative.split(['(', '[', '<']).next().unwrap_or_default().trim();
        match name.split_once(':') {
            Some((name, qualifier)) => (qualifier == architecture).then_some(name),
            None => (!name.is_empty()).then_some(name),
        }
    })
}

fn parse(stanza: &str) -> Result<Package> {
    let mut fields: HashMap<&str, Cow<str>> = HashMap::new();
    let mut last = "";
    for line in stanza.lines() {
        if line.starts_with([' ', '\t']) {
            if FOLDED.contains(&last)
                && let Some(field) = fields.get_mut(last)
            {
                field.to_mut().push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.insert(key, Cow::Borrowed(value.trim()));
            last = key;
        }
    }
    let name = fields.get("Package").map_or("?", |text| text.as_ref());
    let version = fields.get("Version").map_or("", |text| text.as_ref());
    let need = |key: &str| {
        fields.get(key).map(|text| text.as_ref()).ok_or_else(|| {
            Error::verification(format!("the package index is damaged: {name} has no field {key}"))
        })
    };
    let joined = |keys: &[&str]| {
        let texts: Vec<&str> =
            keys.iter().filter_map(|key| fields.get(key).map(|text| text.as_ref())).collect();
        texts.join(", ")
    };
    let provides = fields.get("Provides").map(|t| clauses(t)).unwrap_or_default();
    let damaged = |what: &str| {
        Error::verification(format!("the package index is damaged: {name} has an invalid {what}"))
    };
    for key in ["Package", "Version"] {
        let text = need(key)?;
        if !is_plain(text) {
            return Err(damaged(&format!("{key}: {text:?}")));
        }
    }
    Ok(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: need("Architecture")?.to_owned(),
        source: fields.get("Source").and_then(|text| source(text, name, version)),
        depends: joined(&MENTIONING[..2]),
        conflicts: joined(&MENTIONING[2..4]),
        mentions: joined(&MENTIONING[4..]),
        provides: provides
            .into_iter()
            .flatten()
            .map(|d| (d.name, d.version.map(|(_, v)| v)))
            .collect(),
        importance: fields
            .get("Priority")
            .map_or(0, |priority| IMPORTANCE.iter().take_while(|known| *known != priority).count()),
        filename: clean_path(need("Filename")?).ok_or_else(|| damaged("Filename"))?,
        size: crate::model::decimal(need("Size")?).ok_or_else(|| damaged("Size"))?,
        sha256: need("SHA256")?.parse().map_err(|_| damaged("SHA256"))?,
        suite: 0,
        number: 0,
    })
}

/// Returns a path without `./` at its beginning, as flat archives have it. A path that leaves the
/// archive is damaged.
fn clean_path(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    let leaves = rest.is_empty() || rest.starts_with('/') || rest.split('/').any(|p| p == "..");
    (!leaves).then(|| rest.to_owned())
}

/// Parses a `Source` field: a name, and a version in parentheses if it differs from the binary
/// package's (Debian Policy, section 5.6.1). Returns `None` if both are the binary package's own.
fn source(text: &str, name: &str, version: &str) -> Option<(String, String)> {
    let (source, rest) = text.split_once('(').unwrap_or((text, ""));
    let source = source.trim();
    let own = rest.split(')').next().map(str::trim).filter(|v| !v.is_empty()).unwrap_or(version);
    (source != name || own != version).then(|| (source.to_owned(), own.to_owned()))
}

/// Parses a relationship field: commas separate clauses, and bars separate alternatives.
pub fn clauses(text: &str) -> Vec<Clause> {
    each_clause(text).collect()
}

fn each_clause(text: &str) -> impl Iterator<Item = Clause> {
    text.split(',')
        .map(|clause| clause.split('|').filter_map(dependency).collect::<Clause>())
        .filter(|c| !c.is_empty())
}

fn dependency(text: &str) -> Option<Dependency> {
    let text = text.trim();
    let (head, rest) = text.split_once('(').map_or((text, None), |(h, r)| (h.trim(), Some(r)));
    let head = head.split(['[', '<']).next()?.trim();
    if head.is_empty() {
        return None;
    }
    let (name, qualifier) =
        head.split_once(':').map_or((head, None), |(n, q)| (n, Some(q.to_owned())));
    let version = rest.and_then(|r| {
        let inner = r.split(')').next()?.trim();
        let at = inner.find(|c: char| !"<>=".contains(c))?;
        let relation = match &inner[..at] {
            "<<" => Relation::Earlier,
            "<=" | "<" => Relation::EarlierOrEqual,
            "=" => Relation::Exactly,
            ">=" | ">" => Relation::LaterOrEqual,
            ">>" => Relation::Later,
            _ => return None,
        };
        Some((relation, inner[at..].trim().to_owned()))
    });
    Some(Dependency { name: name.to_owned(), qualifier, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_come_before_versions_and_versions_before_the_order() {
        let packages = |version: &str| {
            let text = format!(
                "Package: a\nVersion: {version}\nArchitecture: all\nFilename: ./a_{version}.deb\nSize: 1\nSHA256: {}\n",
                "0".repeat(64)
            );
            let out = read(&mut text.as_bytes()).unwrap();
            assert_eq!(out[0].filename, format!("a_{version}.deb"));
            out
        };
        let best = |suites: &[(u32, &str)]| {
            let mut index = Index::default();
            suites.iter().for_each(|(priority, v)| index.add_suite(*priority, packages(v)));
            index.best("a", |_| true).unwrap().suite
        };
        assert_eq!(best(&[(500, "1"), (500, "2")]), 1);
        assert_eq!(best(&[(500, "2"), (500, "1")]), 0);
        assert_eq!(best(&[(500, "1"), (500, "1.0"), (500, "1")]), 1);
        assert_eq!(best(&[(500, "1"), (500, "1")]), 0);
        assert_eq!(best(&[(500, "1"), (100, "2")]), 0);
        assert_eq!(best(&[(500, "2"), (990, "1")]), 1);
        for bad in ["../a.deb", "/a.deb", ".//", "pool/../../a.deb"] {
            assert_eq!(clean_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn fields_go_on_in_further_lines_and_texts_may_have_any_encoding() {
        let stanza = |more: &[u8]| {
            let mut text =
                b"Package: a\nVersion: 1\nArchitecture: all\nFilename: a.deb\nSize: 1\n".to_vec();
            text.extend(format!("SHA256: {}\n", "0".repeat(64)).bytes());
            text.extend(more);
            text
        };
        let one = |more: &[u8]| -> Result<Package> {
            let mut out = read(&mut stanza(more).as_slice())?;
            assert_eq!(out.len(), 1);
            Ok(out.remove(0))
        };
        let package = one(b"Depends: b,\n c (>= 2),\n d\nPre-Depends:\n\te\nProvides: v,\n w\nDescription: caf\xe9\n more\n").unwrap();
        let names: Vec<String> =
            package.depends().iter().map(|clause| clause[0].name.clone()).collect();
        assert_eq!(names, ["e", "b", "c", "d"]);
        let provided: Vec<&str> = package.provides.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(provided, ["v", "w"]);
        for bad in [
            &b"Version: 1 0\x1b[31mred\n"[..],
            b"Version:\n",
            b"Version: ../../etc\n",
            b"Package: a/b\n",
        ] {
            let error = one(bad).unwrap_err();
            assert!(error.message().contains("the package index is damaged"), "{error:?}");
        }
        let long = format!("Description: {}\n", "x".repeat(3 << 20));
        assert!(one(long.as_bytes()).is_err());
    }

    #[test]
    fn relationship_fields_are_read() {
        let all = clauses(
            "libc6 (>= 2.36), python3:any | python3-minimal (= 3.11.2-1), debconf (>> 0.5) | debconf-2.0",
        );
        assert_eq!(all.len(), 3);
        assert_eq!(all[1][0].qualifier.as_deref(), Some("any"));
        assert_eq!(all[1][1].to_string(), "python3-minimal (= 3.11.2-1)");
        assert!(all[0][0].accepts("2.36-9+deb12u14") && !all[0][0].accepts("2.31-1"));
    }
}

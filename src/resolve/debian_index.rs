//! A `Packages` index. Source: Debian Policy, chapters 5 and 7, and the Debian wiki,
//! "RepositoryFormat".

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::BufRead;

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
    /// `Provides`: a name, and the version if the entry has one.
    pub provides: Vec<(String, Option<String>)>,
    /// The path below the root of the archive.
    pub filename: String,
    /// The length in bytes.
    pub size: u64,
    /// The digest.
    pub sha256: Digest,
}

impl Package {
    /// Returns the clauses of `Pre-Depends` and `Depends`.
    pub fn depends(&self) -> Vec<Clause> {
        clauses(&self.depends)
    }
}

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

/// The packages of one suite and architecture.
#[derive(Debug, Default)]
pub struct Index {
    packages: HashMap<String, Vec<Package>>,
    providers: HashMap<String, Vec<(String, Option<String>)>>,
}

impl Index {
    /// Reads an uncompressed `Packages` file into this index.
    ///
    /// # Errors
    /// If a stanza lacks a field that every package must have.
    pub fn read(&mut self, mut text: impl BufRead) -> Result<()> {
        let mut stanza = String::new();
        loop {
            let n = text.read_line(&mut stanza).map_err(crate::tree::archive_error)?;
            let blank = n == 0 || stanza.ends_with("\n\n") || stanza == "\n";
            if blank && !stanza.trim().is_empty() {
                self.add(parse(&stanza)?);
            }
            if blank {
                stanza.clear();
            }
            if n == 0 {
                return Ok(());
            }
        }
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

    /// Returns the newest package with a name that `accept` accepts.
    pub fn newest(&self, name: &str, accept: impl Fn(&Package) -> bool) -> Option<&Package> {
        self.packages
            .get(name)?
            .iter()
            .filter(|p| accept(p))
            .max_by(|a, b| debian_version::compare(&a.version, &b.version))
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

    /// Returns the name of every package.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }
}

fn parse(stanza: &str) -> Result<Package> {
    let mut fields: HashMap<&str, &str> = HashMap::new();
    for line in stanza.lines().filter(|l| !l.starts_with([' ', '\t'])) {
        if let Some((key, value)) = line.split_once(':') {
            fields.insert(key, value.trim());
        }
    }
    let name = fields.get("Package").copied().unwrap_or("?");
    let version = fields.get("Version").copied().unwrap_or("");
    let need = |key: &str| {
        fields.get(key).copied().ok_or_else(|| {
            Error::verification(format!("the package index is damaged: {name} has no field {key}"))
        })
    };
    let depends: Vec<&str> =
        ["Pre-Depends", "Depends"].iter().filter_map(|key| fields.get(key).copied()).collect();
    let provides = fields.get("Provides").map(|t| clauses(t)).unwrap_or_default();
    let damaged = |what: &str| {
        Error::verification(format!("the package index is damaged: {name} has an invalid {what}"))
    };
    Ok(Package {
        name: need("Package")?.to_owned(),
        version: need("Version")?.to_owned(),
        architecture: need("Architecture")?.to_owned(),
        source: fields.get("Source").and_then(|text| source(text, name, version)),
        depends: depends.join(", "),
        provides: provides
            .into_iter()
            .flatten()
            .map(|d| (d.name, d.version.map(|(_, v)| v)))
            .collect(),
        filename: need("Filename")?.to_owned(),
        size: crate::model::decimal(need("Size")?).ok_or_else(|| damaged("Size"))?,
        sha256: need("SHA256")?.parse().map_err(|_| damaged("SHA256"))?,
    })
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
    text.split(',')
        .map(|clause| clause.split('|').filter_map(dependency).collect::<Clause>())
        .filter(|c| !c.is_empty())
        .collect()
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

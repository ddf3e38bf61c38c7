//! Computes the closure of a list of packages over `Pre-Depends` and `Depends`. Source: Debian
//! Policy, chapter 7.

use std::collections::{BTreeMap, BTreeSet};

use super::debian_index::{Clause, Dependency, Index, Package};
use crate::error::{Error, Result, nearest};

/// Packages that only maintainer scripts need. No tree runs a maintainer script, so a dependency on
/// these packages counts as satisfied.
pub const NEVER: &[&str] = &[
    "adduser",
    "base-files",
    "cdebconf",
    "debconf",
    "debconf-2.0",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "install-info",
    "lsb-base",
    "sensible-utils",
    "sysvinit-utils",
    "ucf",
];

/// Resolves `roots` and everything on which they depend, for one architecture. The result is sorted
/// by name. The packages in `exclude` are left out, together with the packages that only they need.
///
/// Alternatives are tried in the order of the field: an alternative that is already chosen comes
/// first, then the first one that is available. A real package is preferred to packages that
/// provide its name; of several providers, the first by name is taken. The result therefore depends
/// only on the index and the request.
///
/// # Errors
/// If a package does not exist (with the most similar names), or if a dependency cannot be
/// satisfied (with the chain that led to it). The error concerns the root that led to it.
pub fn resolve<'a>(
    index: &'a Index,
    architecture: &str,
    roots: &[String],
    exclude: &BTreeSet<String>,
) -> Result<Resolved<'a>> {
    let mut closure = Closure {
        index,
        architecture,
        exclude,
        chosen: BTreeMap::new(),
        left_out: BTreeSet::new(),
    };
    // Choose all requested packages first, because a dependency with alternatives prefers a package
    // that is already chosen.
    for root in roots {
        let (name, version) =
            root.split_once('=').map_or((root.as_str(), None), |(n, v)| (n, Some(v)));
        let found = index
            .newest(name, |p| version.is_none_or(|v| p.version == v))
            .ok_or_else(|| closure.missing(name, version).about(root))?;
        if closure
            .chosen
            .insert(&found.name, found)
            .is_some_and(|other| other.version != found.version)
        {
            return Err(Error::user(format!("{name} is asked for in two versions")).about(root));
        }
    }
    for package in closure.chosen.values().copied().collect::<Vec<_>>() {
        closure.follow(package, &mut vec![]).map_err(|e| {
            let root = roots.iter().find(|r| r.split('=').next() == Some(&package.name));
            e.about(root.unwrap_or(&package.name))
        })?;
    }
    Ok(Resolved { packages: closure.chosen.into_values().collect(), left_out: closure.left_out })
}

/// The result of a resolution.
#[derive(Debug)]
pub struct Resolved<'a> {
    /// The packages, sorted by name.
    pub packages: Vec<&'a Package>,
    /// The names in `exclude` on which some package depends.
    pub left_out: BTreeSet<String>,
}

struct Closure<'a, 'b> {
    index: &'a Index,
    architecture: &'b str,
    exclude: &'b BTreeSet<String>,
    chosen: BTreeMap<&'a str, &'a Package>,
    left_out: BTreeSet<String>,
}

impl<'a> Closure<'a, '_> {
    fn missing(&self, name: &str, version: Option<&str>) -> Error {
        if let Some(version) = version
            && let Some(there) = self.index.newest(name, |_| true)
        {
            return Error::user(format!(
                "the suite has no version {version} of {name} for {}",
                self.architecture
            ))
            .hint(format!("it has {name}={}", there.version));
        }
        let error =
            Error::user(format!("the suite has no package {name:?} for {}", self.architecture));
        let providers = self.index.providers(name);
        if !providers.is_empty() {
            let names: Vec<_> = providers.iter().take(5).map(|(n, _)| *n).collect();
            return error.hint(format!(
                "it is a virtual package; name one that provides it: {}",
                names.join(", ")
            ));
        }
        match nearest(name, self.index.names(), 3).as_slice() {
            [] => error,
            names => error.hint(format!("did you mean {}?", names.join(" or "))),
        }
    }

    fn choose(&mut self, package: &'a Package, chain: &mut Vec<String>) -> Result<()> {
        if self.chosen.contains_key(package.name.as_str()) {
            return Ok(());
        }
        self.chosen.insert(&package.name, package);
        self.follow(package, chain)
    }

    fn follow(&mut self, package: &'a Package, chain: &mut Vec<String>) -> Result<()> {
        chain.push(format!("{} {}", package.name, package.version));
        for clause in package.depends() {
            self.satisfy(&clause, chain)?;
        }
        chain.pop();
        Ok(())
    }

    fn satisfy(&mut self, clause: &Clause, chain: &mut Vec<String>) -> Result<()> {
        let excluded = clause.iter().filter(|d| self.exclude.contains(&d.name));
        self.left_out.extend(excluded.map(|d| d.name.clone()));
        if clause.iter().any(|d| self.exclude.contains(&d.name) || self.met_by_chosen(d)) {
            return Ok(());
        }
        let mut why = None;
        for package in clause.iter().flat_map(|d| self.candidates(d)).collect::<Vec<_>>() {
            let before = self.chosen.clone();
            let depth = chain.len();
            match self.choose(package, chain) {
                Ok(()) => return Ok(()),
                Err(e) => {
                    self.chosen = before;
                    chain.truncate(depth);
                    why.get_or_insert(e);
                }
            }
        }
        Err(why.unwrap_or_else(|| {
            let wanted: Vec<String> = clause.iter().map(ToString::to_string).collect();
            let there: Vec<String> = clause
                .iter()
                .filter_map(|d| self.index.newest(&d.name, |_| true))
                .map(|p| format!("the suite has {} {}", p.name, p.version))
                .collect();
            let mut error =
                Error::user(format!("nothing in the suite satisfies {}", wanted.join(" | ")))
                    .because(format!("{} needs it", chain.join(" -> ")));
            if !there.is_empty() {
                error = error.because(there.join(", "));
            }
            error.hint("leave the package out with `exclude`, or take it from another suite")
        }))
    }

    /// Whether a package satisfies `dependency`, under its own name or under a name that it
    /// provides.
    fn fits(&self, package: &Package, dependency: &Dependency) -> bool {
        let architecture = match dependency.qualifier.as_deref() {
            // `:any` requires Multi-Arch: allowed. Within one architecture, every package satisfies
            // it.
            None | Some("any" | "native") => true,
            Some(named) => {
                package.architecture == named
                    || (package.architecture == "all" && named == self.architecture)
            }
        };
        let named = package.name == dependency.name && dependency.accepts(&package.version);
        // An unversioned Provides never satisfies a versioned dependency (Policy 7.5).
        let provided = package.provides.iter().any(|(n, v)| {
            *n == dependency.name
                && v.as_ref().map_or(dependency.version.is_none(), |v| dependency.accepts(v))
        });
        architecture && (named || provided)
    }

    fn met_by_chosen(&self, dependency: &Dependency) -> bool {
        self.chosen.get(dependency.name.as_str()).is_some_and(|p| self.fits(p, dependency))
            || self
                .index
                .providers(&dependency.name)
                .iter()
                .any(|(n, _)| self.chosen.get(n).is_some_and(|p| self.fits(p, dependency)))
    }

    /// Returns the packages that could satisfy `dependency`, the best one first.
    fn candidates(&self, dependency: &Dependency) -> Vec<&'a Package> {
        let free =
            |p: &Package| !self.chosen.contains_key(p.name.as_str()) && self.fits(p, dependency);
        let providers = self.index.providers(&dependency.name);
        let provided = providers.into_iter().filter_map(|(n, _)| self.index.newest(n, free));
        self.index.newest(&dependency.name, free).into_iter().chain(provided).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(stanzas: &[&str]) -> Index {
        let hash = "0".repeat(64);
        let text: Vec<String> = stanzas
            .iter()
            .map(|s| {
                let arch = if s.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
                let version = if s.contains("Version:") { "" } else { "Version: 1\n" };
                format!("{s}\n{arch}{version}Filename: pool/x.deb\nSize: 1\nSHA256: {hash}\n\n")
            })
            .collect();
        let mut index = Index::default();
        index.read(text.concat().as_bytes()).unwrap();
        index
    }

    fn names(index: &Index, roots: &[&str], exclude: &[&str]) -> Result<Vec<String>> {
        let roots: Vec<String> = roots.iter().map(|s| (*s).to_owned()).collect();
        let exclude = exclude.iter().map(|s| (*s).to_owned()).collect();
        Ok(resolve(index, "amd64", &roots, &exclude)?
            .packages
            .into_iter()
            .map(|p| format!("{}={}", p.name, p.version))
            .collect())
    }

    #[test]
    fn alternatives_providers_and_versions() {
        let i = index(&[
            "Package: a\nDepends: gone | b (>= 2), v, w (>= 3)\nPre-Depends: c:any",
            "Package: b\nVersion: 1.9",
            "Package: b\nVersion: 2.0-1",
            "Package: c\nArchitecture: all\nMulti-Arch: allowed",
            "Package: z-provider\nProvides: v",
            "Package: d-provider\nProvides: v\nDepends: gone",
            "Package: w-old\nProvides: w",
            "Package: w-new\nProvides: w (= 3.1)",
        ]);
        // d-provider comes first by name, but cannot be satisfied.
        assert_eq!(
            names(&i, &["a"], &[]).unwrap(),
            ["a=1", "b=2.0-1", "c=1", "w-new=1", "z-provider=1"]
        );
    }

    #[test]
    fn versioned_provides_and_qualifiers() {
        let i = index(&[
            "Package: a\nDepends: w (>= 3), c:any, d:amd64",
            "Package: w-old\nProvides: w",
            "Package: w-new\nProvides: w (= 3.1)",
            "Package: c\nArchitecture: all",
            "Package: d",
        ]);
        assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "c=1", "d=1", "w-new=1"]);
        let i = index(&["Package: a\nDepends: d:arm64", "Package: d"]);
        assert!(names(&i, &["a"], &[]).is_err());
    }

    #[test]
    fn an_alternative_that_fails_deep_down_is_taken_back() {
        let i = index(&[
            "Package: a\nDepends: b | c",
            "Package: b\nDepends: x, gone",
            "Package: x",
            "Package: c",
        ]);
        assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "c=1"]);
    }

    #[test]
    fn failures_name_the_chain_and_the_nearest() {
        let i = index(&[
            "Package: gcc-12\nDepends: cpp-12 (= 9)",
            "Package: cpp-12",
            "Package: gcc-11",
        ]);
        let error = names(&i, &["gcc-12"], &[]).unwrap_err();
        assert_eq!(error.message(), "nothing in the suite satisfies cpp-12 (= 9)");
        assert_eq!(error.causes(), ["gcc-12 1 needs it", "the suite has cpp-12 1"]);
        let error = names(&i, &["gcc12"], &[]).unwrap_err();
        assert_eq!(error.hints(), ["did you mean gcc-12 or gcc-11?"]);
    }

    #[test]
    fn cycles_end() {
        let i =
            index(&["Package: libc6\nDepends: libgcc-s1", "Package: libgcc-s1\nDepends: libc6"]);
        assert_eq!(names(&i, &["libc6"], &[]).unwrap(), ["libc6=1", "libgcc-s1=1"]);
    }
}

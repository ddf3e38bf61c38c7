//! Computes the closure of a list of packages over `Pre-Depends` and `Depends`. Source: Debian
//! Policy, chapter 7.

use std::cmp::Reverse;
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

/// A package that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRoot {
    /// The text that asks for it: `name`, `name=version` or `name/suite`.
    pub asked: String,
    /// The number of the suite from which it must come.
    pub suite: Option<usize>,
}

impl PackageRoot {
    /// Returns the name of the package.
    pub fn name(&self) -> &str {
        self.asked.split(['=', '/']).next().unwrap_or(&self.asked)
    }

    /// Returns the version that it must have.
    pub fn version(&self) -> Option<&str> {
        self.asked.split_once('=').map(|(_, version)| version)
    }

    fn accepts(&self, package: &Package) -> bool {
        self.version().is_none_or(|v| package.version == v)
            && self.suite.is_none_or(|s| package.suite == s)
    }
}

/// The greatest number of times that a resolution begins again with another version of a package.
const MOST_ATTEMPTS: usize = 100;

/// Resolves `roots` and everything on which they depend, for one architecture. The result is sorted
/// by name. The packages in `exclude` are left out, together with the packages that only they need.
///
/// As in apt, each package has a candidate, the best of its versions ([`Index::best`]).
/// Alternatives are tried in the order of the field: an alternative that is already chosen comes
/// first, then the first one whose candidate fits. A real package is preferred to packages that
/// provide its name; of several providers, the most important is taken, and of those the one that the
/// index mentions last ([`Index::mentioned`]). If no candidate fits, other versions are tried in the same order; if a version that does not fit was chosen before, the
/// resolution begins again with one that does. If two of the packages conflict and one of them was
/// chosen among alternatives, the resolution begins again and chooses that one last. The result
/// depends only on the index and the request, in which the order of the roots counts.
///
/// # Errors
/// If a package does not exist (with the most similar names), or if a dependency cannot be
/// satisfied (with the chain that led to it). The error concerns the root that led to it.
pub fn resolve<'a>(
    index: &'a Index,
    architecture: &str,
    roots: &[PackageRoot],
    exclude: &BTreeSet<String>,
) -> Result<Resolved<'a>> {
    let (mut preferred, mut avoided) = (BTreeMap::new(), BTreeSet::new());
    for _ in 0..MOST_ATTEMPTS {
        let mut closure = Closure {
            index,
            architecture,
            exclude,
            preferred: &preferred,
            avoided: &avoided,
            roots,
            chosen: BTreeMap::new(),
            alternatives: BTreeSet::new(),
            left_out: BTreeSet::new(),
            rather: None,
        };
        match (closure.run(), closure.rather.take()) {
            (Ok(()), _) => match closure.conflicting() {
                Some(name) => {
                    avoided.insert(name);
                }
                None => {
                    return Ok(Resolved {
                        packages: closure.chosen.into_values().collect(),
                        left_out: closure.left_out,
                    });
                }
            },
            (Err(_), Some((name, version))) => {
                preferred.insert(name, version);
            }
            (Err(error), None) => return Err(error),
        }
    }
    Err(Error::user("the dependencies of the packages can't be satisfied together")
        .because(format!("tried {MOST_ATTEMPTS} combinations of versions"))
        .hint("name the versions of some of the packages: packages = [\"name=version\"]"))
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
    /// The versions that are candidates instead of the best ones.
    preferred: &'b BTreeMap<String, String>,
    /// Packages that are chosen only if no other alternative can be.
    avoided: &'b BTreeSet<String>,
    roots: &'b [PackageRoot],
    chosen: BTreeMap<&'a str, &'a Package>,
    /// The packages that were chosen where there was an alternative to them.
    alternatives: BTreeSet<&'a str>,
    left_out: BTreeSet<String>,
    /// The first package of which another version was chosen than a dependency accepts, and a
    /// version that it accepts.
    rather: Option<(String, String)>,
}

impl<'a> Closure<'a, '_> {
    fn run(&mut self) -> Result<()> {
        // Choose all requested packages first, because a dependency with alternatives prefers a
        // package that is already chosen.
        for root in self.roots {
            let found = self
                .index
                .best(root.name(), |p| {
                    let preferred = self.preferred.get(root.name());
                    root.accepts(p) && preferred.is_none_or(|v| p.version == *v)
                })
                .ok_or_else(|| self.missing(root).about(&root.asked))?;
            if self
                .chosen
                .insert(&found.name, found)
                .is_some_and(|other| other.version != found.version)
            {
                let name = root.name();
                return Err(
                    Error::user(format!("{name} is asked for in two versions")).about(&root.asked)
                );
            }
        }
        for root in self.roots {
            let package = self.chosen[root.name()];
            self.follow(package, &mut vec![]).map_err(|e| e.about(&root.asked))?;
        }
        Ok(())
    }

    /// Returns a package that conflicts with another one, if it was chosen among alternatives and
    /// is not avoided yet.
    fn conflicting(&self) -> Option<String> {
        let may_go = |p: &&Package| {
            self.alternatives.contains(p.name.as_str()) && !self.avoided.contains(&p.name)
        };
        let meets = |name: &str, conflict: &Dependency| {
            let found = self.chosen.get(name).copied();
            found.filter(|other| self.fits(other, conflict))
        };
        for package in self.chosen.values() {
            for conflict in package.conflicts() {
                let providers = self.index.providers(&conflict.name);
                let names = std::iter::once(conflict.name.as_str())
                    .chain(providers.iter().map(|(name, _)| *name));
                for other in names.filter_map(|name| meets(name, &conflict)) {
                    // A package may provide the name with which it conflicts.
                    if other.name == package.name {
                        continue;
                    }
                    if let Some(gone) = [package, &other].into_iter().copied().find(may_go) {
                        return Some(gone.name.clone());
                    }
                }
            }
        }
        None
    }

    /// Returns `one` for an index of one suite, and otherwise `several`.
    fn suites(&self, one: &'static str, several: &'static str) -> &'static str {
        if self.index.suites() > 1 { several } else { one }
    }

    fn missing(&self, root: &PackageRoot) -> Error {
        let (name, architecture) = (root.name(), self.architecture);
        let has_none = self.suites("the suite has no", "none of the suites has a");
        if let Some(there) = self.index.best(name, |_| true) {
            let error = match (root.version(), root.suite) {
                (Some(version), _) => Error::user(format!(
                    "{} version {version} of {name} for {architecture}",
                    self.suites("the suite has no", "none of the suites has the")
                )),
                _ => Error::user(format!(
                    "the suite of {:?} has no package {name:?} for {architecture}",
                    root.asked
                )),
            };
            return error.hint(format!(
                "{} {name}={}",
                self.suites("it has", "there is"),
                there.version
            ));
        }
        let error = Error::user(format!("{has_none} package {name:?} for {architecture}"));
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
        let candidates = clause.iter().flat_map(|d| self.candidates(d));
        let others = clause.iter().flat_map(|d| self.others(d));
        let mut all: Vec<&Package> = candidates.chain(others).collect();
        all.sort_by_key(|p| self.avoided.contains(&p.name));
        for package in &all {
            if all.iter().any(|other| other.name != package.name) {
                self.alternatives.insert(&package.name);
            }
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
        if self.rather.is_none() {
            self.rather = clause.iter().find_map(|d| self.better(d));
        }
        Err(why.unwrap_or_else(|| {
            let wanted: Vec<String> = clause.iter().map(ToString::to_string).collect();
            let there: Vec<String> = clause
                .iter()
                .filter_map(|d| self.candidate(&d.name))
                .map(|p| {
                    let has = self.suites("the suite has", "the suites have");
                    format!("{has} {} {}", p.name, p.version)
                })
                .collect();
            let mut error = Error::user(format!(
                "nothing in the suite{} satisfies {}",
                self.suites("", "s"),
                wanted.join(" | ")
            ))
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

    /// Returns the version of a package that is taken if nothing else is asked for.
    fn candidate(&self, name: &str) -> Option<&'a Package> {
        let preferred = self.preferred.get(name);
        self.index.best(name, |p| preferred.is_none_or(|v| p.version == *v))
    }

    /// Whether a package may still be chosen and satisfies `dependency`.
    fn is_free(&self, package: &Package, dependency: &Dependency) -> bool {
        !self.chosen.contains_key(package.name.as_str()) && self.fits(package, dependency)
    }

    /// Returns the candidates that could satisfy `dependency`, the best one first.
    fn candidates(&self, dependency: &Dependency) -> Vec<&'a Package> {
        let name = dependency.name.as_str();
        let providers = self.index.providers(name);
        let mut provided: Vec<&Package> =
            providers.into_iter().filter_map(|(provider, _)| self.candidate(provider)).collect();
        if provided.len() > 1 {
            provided.sort_by_key(|p| (p.importance, Reverse(self.index.mentioned(&p.name))));
        }
        let all = self.candidate(name).into_iter().chain(provided);
        all.filter(|p| self.is_free(p, dependency)).collect()
    }

    /// Returns the packages that could satisfy `dependency` although they are no candidates.
    fn others(&self, dependency: &Dependency) -> Vec<&'a Package> {
        let name = dependency.name.as_str();
        let providers = self.index.providers(name);
        std::iter::once(name)
            .chain(providers.into_iter().map(|(provider, _)| provider))
            .filter_map(|name| {
                let candidate = self.candidate(name).map(|p| &p.version);
                let free =
                    |p: &Package| Some(&p.version) != candidate && self.is_free(p, dependency);
                self.index.best(name, free)
            })
            .collect()
    }

    /// Returns the package of a dependency with a version that satisfies it, if another version is
    /// chosen only because nothing else was asked for.
    fn better(&self, dependency: &Dependency) -> Option<(String, String)> {
        let name = dependency.name.as_str();
        let free = self.chosen.contains_key(name)
            && !self.preferred.contains_key(name)
            && !self.roots.iter().any(|root| root.name() == name && root.asked != name);
        let found = self.index.best(name, |p| free && self.fits(p, dependency))?;
        Some((name.to_owned(), found.version.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::debian_index::read;
    use super::*;

    fn packages(stanzas: &[&str]) -> Vec<Package> {
        let hash = "0".repeat(64);
        let text: Vec<String> = stanzas
            .iter()
            .map(|s| {
                let arch = if s.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
                let version = if s.contains("Version:") { "" } else { "Version: 1\n" };
                format!("{s}\n{arch}{version}Filename: pool/x.deb\nSize: 1\nSHA256: {hash}\n\n")
            })
            .collect();
        let mut packages = vec![];
        read(text.concat().as_bytes(), &mut packages).unwrap();
        packages
    }

    fn index(stanzas: &[&str]) -> Index {
        let mut index = Index::default();
        index.add_suite(500, packages(stanzas));
        index
    }

    fn names(index: &Index, roots: &[&str], exclude: &[&str]) -> Result<Vec<String>> {
        let root = |asked: &&str| PackageRoot {
            asked: (*asked).to_owned(),
            suite: asked.split_once('/').map(|(_, suite)| suite.parse().unwrap()),
        };
        let roots: Vec<PackageRoot> = roots.iter().map(root).collect();
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
    fn of_several_providers_the_most_important_is_taken() {
        let i = index(&[
            "Package: a\nDepends: awk",
            "Package: gawk\nProvides: awk\nPriority: optional",
            "Package: mawk\nProvides: awk\nPriority: required",
            "Package: zawk\nProvides: awk\nPriority: required",
            "Package: aawk\nProvides: awk\nPriority: extra",
        ]);
        assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "zawk=1"]);
    }

    /// The results are those of apt 2.6 for the same indexes.
    #[test]
    fn of_equally_important_providers_the_one_that_is_mentioned_last_is_taken() {
        let a = "Package: a\nDepends: v";
        let [b, z] = ["Package: b\nProvides: v", "Package: z\nProvides: v"];
        for (stanzas, taken) in [
            (vec![a, b, z], "z"),
            (vec![a, z, b], "b"),
            (vec![a, "Package: w\nDepends: z", b, z], "b"),
            (vec![a, "Package: w\nDepends: z | b", b, z], "b"),
            (vec![a, "Package: w\nDepends: b | z", b, z], "z"),
            (vec![a, "Package: w\nDepends: z:any", b, z], "z"),
            (vec![a, "Package: w\nDepends: z:amd64 (>= 2)", b, z], "b"),
            (vec![a, "Package: w\nEnhances: b\nSuggests: z", b, z], "b"),
            (vec![a, "Package: w\nEnhances: z\nReplaces: b", b, z], "z"),
        ] {
            let found = names(&index(&stanzas), &["a"], &[]).unwrap();
            assert_eq!(found, ["a=1".to_owned(), format!("{taken}=1")], "{stanzas:?}");
        }
        let mut suites = Index::default();
        suites.add_suite(500, packages(&[a, z]));
        suites.add_suite(500, packages(&[b]));
        assert_eq!(names(&suites, &["a"], &[]).unwrap(), ["a=1", "b=1"]);
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

    /// Backports have a lower priority: nothing comes from there by itself, except what a package
    /// needs that was asked for from there.
    #[test]
    fn what_a_package_of_another_suite_needs_comes_from_there() {
        let mut i = index(&[
            "Package: a\nDepends: b, c | d",
            "Package: b",
            "Package: c\nVersion: 1",
            "Package: d",
            "Package: e\nDepends: c (>= 2) | d",
            "Package: f\nDepends: b",
        ]);
        i.add_suite(
            100,
            packages(&[
                "Package: a\nVersion: 2\nDepends: b (>= 2)",
                "Package: b\nVersion: 2",
                "Package: c\nVersion: 2",
            ]),
        );
        assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "b=1", "c=1"]);
        assert_eq!(names(&i, &["a/1"], &[]).unwrap(), ["a=2", "b=2"]);
        assert_eq!(names(&i, &["a=2"], &[]).unwrap(), ["a=2", "b=2"]);
        // The candidate of the second alternative comes before another version of the first.
        assert_eq!(names(&i, &["e"], &[]).unwrap(), ["d=1", "e=1"]);
        // A version that was chosen before is exchanged, unless it was asked for.
        assert_eq!(names(&i, &["a/1", "b"], &[]).unwrap(), ["a=2", "b=2"]);
        assert_eq!(names(&i, &["f", "a/1"], &[]).unwrap(), ["a=2", "b=2", "f=1"]);
        let error = names(&i, &["a/1", "b=1"], &[]).unwrap_err();
        assert_eq!(error.message(), "nothing in the suites satisfies b (>= 2)");
        assert_eq!(error.causes(), ["a 2 needs it", "the suites have b 1"]);
        let error = names(&i, &["d/1"], &[]).unwrap_err();
        assert_eq!(error.message(), "the suite of \"d/1\" has no package \"d\" for amd64");
        assert_eq!(error.hints(), ["there is d=1"]);
    }

    #[test]
    fn the_order_of_the_roots_counts() {
        let i = index(&[
            "Package: a\nDepends: x | y",
            "Package: b\nDepends: y",
            "Package: x",
            "Package: y",
        ]);
        assert_eq!(names(&i, &["a", "b"], &[]).unwrap(), ["a=1", "b=1", "x=1", "y=1"]);
        assert_eq!(names(&i, &["b", "a"], &[]).unwrap(), ["a=1", "b=1", "y=1"]);
    }

    #[test]
    fn an_alternative_that_conflicts_gives_way() {
        let i = index(&[
            "Package: a\nDepends: b, full",
            "Package: b\nDepends: small | full",
            "Package: small\nProvides: some",
            "Package: full\nConflicts: small\nProvides: some",
            "Package: c\nDepends: small, full",
            "Package: d\nDepends: e | f, g",
            "Package: e\nProvides: some\nConflicts: some",
            "Package: f",
            "Package: g\nBreaks: e (<< 1)",
        ]);
        assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "b=1", "full=1"]);
        // What has no alternative stays: no maintainer script runs, so a tree may hold both.
        assert_eq!(names(&i, &["c"], &[]).unwrap(), ["c=1", "full=1", "small=1"]);
        assert_eq!(names(&i, &["d"], &[]).unwrap(), ["d=1", "e=1", "g=1"]);
        assert_eq!(names(&i, &["d", "full"], &[]).unwrap(), ["d=1", "f=1", "full=1", "g=1"]);
    }

    #[test]
    fn cycles_end() {
        let i =
            index(&["Package: libc6\nDepends: libgcc-s1", "Package: libgcc-s1\nDepends: libc6"]);
        assert_eq!(names(&i, &["libc6"], &[]).unwrap(), ["libc6=1", "libgcc-s1=1"]);
    }
}

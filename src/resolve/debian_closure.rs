//! Computes the closure of a list of packages over `Pre-Depends` and `Depends`. Source: Debian
//! Policy, chapter 7.

use std::collections::{BTreeMap, BTreeSet};

use super::debian_index::{Clause, Dependency, Index, Package};
use super::debian_search::{Candidates, ClosureSearch, DeadEnd, MOST_STEPS};
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
/// index mentions last ([`Index::mentioned`]). If no candidate fits, other
/// versions are tried in the same order; if a version that does not fit was chosen before, the
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
    resolve_in(MOST_STEPS, index, architecture, roots, exclude)
}

/// Resolves as [`resolve`] does, and tries at most `most` packages.
///
/// # Errors
/// The same as those of [`resolve`].
pub(super) fn resolve_in<'a>(
    most: usize,
    index: &'a Index,
    architecture: &str,
    roots: &[PackageRoot],
    exclude: &BTreeSet<String>,
) -> Result<Resolved<'a>> {
    let (mut preferred, mut avoided) = (BTreeMap::new(), BTreeSet::new());
    let fixed: BTreeSet<String> = roots
        .iter()
        .filter(|root| root.name() != root.asked)
        .map(|root| root.name().to_owned())
        .collect();
    let mut steps = most;
    for _ in 0..MOST_ATTEMPTS {
        let among = Candidates {
            index,
            architecture,
            exclude,
            preferred: &preferred,
            avoided: &avoided,
            fixed: &fixed,
        };
        let mut closure =
            Closure { among: &among, roots, most, search: ClosureSearch::new(&among, &mut steps) };
        match (closure.run(), closure.search.rather.take()) {
            (Ok(()), _) => match closure.conflicting() {
                Some(name) => {
                    avoided.insert(name);
                }
                None => {
                    return Ok(Resolved {
                        packages: closure.search.chosen.into_values().collect(),
                        left_out: closure.search.left_out,
                    });
                }
            },
            (Err(Refusal::Other(_)), Some((name, version))) => {
                preferred.insert(name, version);
            }
            (Err(Refusal::Other(error) | Refusal::Final(error)), _) => return Err(error),
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

/// An attempt with certain candidates.
struct Closure<'a, 'b> {
    among: &'b Candidates<'a, 'b>,
    roots: &'b [PackageRoot],
    /// The number of packages that all attempts may try.
    most: usize,
    search: ClosureSearch<'a, 'b>,
}

/// Why an attempt failed.
enum Refusal {
    /// Another attempt with other versions may succeed.
    Other(Error),
    /// No other attempt is made.
    Final(Error),
}

/// The number of packages of a chain that are told at its beginning and at its end, if it is long.
const TOLD: usize = 10;

impl<'a> Closure<'a, '_> {
    fn run(&mut self) -> std::result::Result<(), Refusal> {
        // Choose all requested packages first, because a dependency with alternatives prefers a
        // package that is already chosen.
        for root in self.roots {
            let found = self
                .among
                .index
                .best(root.name(), |p| {
                    let preferred = self.among.preferred.get(root.name());
                    root.accepts(p) && preferred.is_none_or(|v| p.version == *v)
                })
                .ok_or_else(|| Refusal::Other(self.missing(root).about(&root.asked)))?;
            if self
                .search
                .chosen
                .insert(&found.name, found)
                .is_some_and(|other| other.version != found.version)
            {
                let error = Error::user(format!("{} is asked for in two versions", root.name()));
                return Err(Refusal::Other(error.about(&root.asked)));
            }
        }
        for root in self.roots {
            let package = self.search.chosen[root.name()];
            self.search.follow(package).map_err(|failure| match failure {
                DeadEnd::Unsatisfied(chain, clause) => {
                    Refusal::Other(self.unsatisfied(&chain, &clause).about(&root.asked))
                }
                DeadEnd::TooLong(chain) => Refusal::Final(
                    Error::user(format!(
                        "the dependencies of the packages can't be resolved in {} steps",
                        self.most
                    ))
                    .because(format!("the last one was at {}", told(&chain)))
                    .hint("leave one of these packages out with `exclude`, or name one of its alternatives in `packages`")
                    .about(&root.asked),
                ),
            })?;
        }
        Ok(())
    }

    /// Returns a package that conflicts with another one, if it was chosen among alternatives and
    /// is not avoided yet.
    fn conflicting(&self) -> Option<String> {
        let may_go = |p: &&Package| {
            self.search.alternatives.contains(p.name.as_str())
                && !self.among.avoided.contains(&p.name)
        };
        let meets = |name: &str, conflict: &Dependency| {
            let found = self.search.chosen.get(name).copied();
            found.filter(|other| self.among.fits(other, conflict))
        };
        for package in self.search.chosen.values() {
            for conflict in package.conflicts() {
                let providers = self.among.index.providers(&conflict.name);
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
        if self.among.index.suites() > 1 { several } else { one }
    }

    fn missing(&self, root: &PackageRoot) -> Error {
        let (name, architecture) = (root.name(), self.among.architecture);
        let has_none = self.suites("the suite has no", "none of the suites has a");
        if let Some(there) = self.among.index.best(name, |_| true) {
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
        let providers = self.among.index.providers(name);
        if !providers.is_empty() {
            let names: Vec<_> = providers.iter().take(5).map(|(n, _)| *n).collect();
            return error.hint(format!(
                "it is a virtual package; name one that provides it: {}",
                names.join(", ")
            ));
        }
        match nearest(name, self.among.index.names(), 3).as_slice() {
            [] => error,
            names => error.hint(format!("did you mean {}?", names.join(" or "))),
        }
    }

    fn unsatisfied(&self, chain: &[&Package], clause: &Clause) -> Error {
        let wanted: Vec<String> = clause.iter().map(ToString::to_string).collect();
        let there: Vec<String> = clause
            .iter()
            .filter_map(|d| self.among.candidate(&d.name))
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
        .because(format!("{} needs it", told(chain)));
        if !there.is_empty() {
            error = error.because(there.join(", "));
        }
        error.hint("leave the package out with `exclude`, or take it from another suite")
    }
}

/// Returns a chain of dependencies for messages. The middle of a long one is left out.
fn told(chain: &[&Package]) -> String {
    let name = |p: &&Package| format!("{} {}", p.name, p.version);
    let mut out: Vec<String> = vec![];
    match chain.len().checked_sub(2 * TOLD) {
        None | Some(0) => out.extend(chain.iter().map(name)),
        Some(more) => {
            out.extend(chain[..TOLD].iter().map(name));
            out.push(format!("({more} more)"));
            out.extend(chain[chain.len() - TOLD..].iter().map(name));
        }
    }
    out.join(" -> ")
}

//! The search for packages that satisfy dependencies: depth first, with its own stack, so that a chain of any length fits, and with a
//! log by which choices are taken back. What can never be satisfied is tried once, and the number of steps is limited, because
//! an index may be made so that a search has no end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::debian_index::{Clause, Dependency, Index, Package};

/// The greatest number of packages that all attempts of a resolution may try. Debian 12 has 64,000
/// packages, and the closure of any of them is tried in far fewer steps.
pub const MOST_STEPS: usize = 500_000;

/// The packages among which a search chooses.
pub struct Candidates<'a, 'b> {
    /// The packages that exist.
    pub index: &'a Index,
    /// The architecture.
    pub architecture: &'b str,
    /// The names that count as satisfied and are left out.
    pub exclude: &'b BTreeSet<String>,
    /// The versions that are candidates instead of the best ones.
    pub preferred: &'b BTreeMap<String, String>,
    /// Packages that are chosen only if no other alternative can be.
    pub avoided: &'b BTreeSet<String>,
    /// The packages that are asked for in one version or from one suite.
    pub fixed: &'b BTreeSet<String>,
}

/// The packages that were chosen, by name.
pub type ChosenPackages<'a> = BTreeMap<&'a str, &'a Package>;

impl<'a> Candidates<'a, '_> {
    /// Whether a package satisfies `dependency`, under its own name or under a name that it
    /// provides.
    pub fn fits(&self, package: &Package, dependency: &Dependency) -> bool {
        dependency.is_met_by(package, self.architecture)
    }

    /// Returns the version of a package that is taken if nothing else is asked for.
    pub fn candidate(&self, name: &str) -> Option<&'a Package> {
        let preferred = self.preferred.get(name);
        self.index.best(name, |p| preferred.is_none_or(|v| p.version == *v))
    }

    fn met_by(&self, chosen: &ChosenPackages, dependency: &Dependency) -> bool {
        chosen.get(dependency.name.as_str()).is_some_and(|p| self.fits(p, dependency))
            || self
                .index
                .providers(&dependency.name)
                .iter()
                .any(|(n, _)| chosen.get(n).is_some_and(|p| self.fits(p, dependency)))
    }

    /// Returns the packages that could satisfy a clause if no other version of them is chosen: the
    /// candidates, the best one first, and then those that are no candidates.
    fn alternatives(&self, chosen: &ChosenPackages, clause: &Clause) -> Vec<&'a Package> {
        let candidates = clause.iter().flat_map(|d| self.candidates(chosen, d));
        let others = clause.iter().flat_map(|d| self.others(chosen, d));
        let mut all: Vec<&Package> = candidates.chain(others).collect();
        all.sort_by_key(|p| self.avoided.contains(&p.name));
        all
    }

    /// Whether a package may still be chosen and satisfies `dependency`.
    fn is_free(&self, chosen: &ChosenPackages, package: &Package, dependency: &Dependency) -> bool {
        !chosen.contains_key(package.name.as_str()) && self.fits(package, dependency)
    }

    /// Returns the candidates that could satisfy `dependency`, the best one first.
    fn candidates(&self, chosen: &ChosenPackages, dependency: &Dependency) -> Vec<&'a Package> {
        let name = dependency.name.as_str();
        let providers = self.index.providers(name);
        let mut provided: Vec<&Package> =
            providers.into_iter().filter_map(|(provider, _)| self.candidate(provider)).collect();
        if provided.len() > 1 {
            provided.sort_by_key(|p| (p.importance, Reverse(self.index.mentioned(&p.name))));
        }
        let all = self.candidate(name).into_iter().chain(provided);
        all.filter(|p| self.is_free(chosen, p, dependency)).collect()
    }

    /// Returns the packages that could satisfy `dependency` although they are no candidates.
    fn others(&self, chosen: &ChosenPackages, dependency: &Dependency) -> Vec<&'a Package> {
        let name = dependency.name.as_str();
        let providers = self.index.providers(name);
        std::iter::once(name)
            .chain(providers.into_iter().map(|(provider, _)| provider))
            .filter_map(|name| {
                let candidate = self.candidate(name).map(|p| &p.version);
                let free = |p: &Package| {
                    Some(&p.version) != candidate && self.is_free(chosen, p, dependency)
                };
                self.index.best(name, free)
            })
            .collect()
    }

    /// Returns the package of a dependency with a version that satisfies it, if another version is
    /// chosen only because nothing else was asked for.
    fn better(&self, chosen: &ChosenPackages, dependency: &Dependency) -> Option<(String, String)> {
        let name = dependency.name.as_str();
        let free = chosen.contains_key(name)
            && !self.preferred.contains_key(name)
            && !self.fixed.contains(name);
        let found = self.index.best(name, |p| free && self.fits(p, dependency))?;
        Some((name.to_owned(), found.version.clone()))
    }

    /// Returns every package that satisfies `dependency`, in every version.
    fn satisfying(&self, dependency: &Dependency) -> impl Iterator<Item = &'a Package> {
        let providers = self.index.providers(&dependency.name);
        let mut names: Vec<String> = providers.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.push(dependency.name.clone());
        let index = self.index;
        names
            .into_iter()
            .flat_map(move |name| index.versions(&name))
            .filter(|package| self.fits(package, dependency))
    }
}

/// Why a package cannot be taken: one of its clauses cannot be satisfied.
#[derive(Clone, Copy)]
struct Reason<'a> {
    package: &'a Package,
    /// The number of the clause.
    clause: usize,
    /// Why the first package cannot be taken that would satisfy the clause: the number of the
    /// reason. `None` if there is no such package.
    because: Option<usize>,
}

/// The end of a search without a result.
pub enum DeadEnd<'a> {
    /// A clause cannot be satisfied: the packages that lead to it, of which the last one has the
    /// clause, and the clause.
    Unsatisfied(Vec<&'a Package>, Clause),
    /// It took too many steps: the packages that were being followed.
    TooLong(Vec<&'a Package>),
}

/// A package whose clauses are being satisfied.
struct Frame<'a> {
    package: &'a Package,
    /// The clauses that are still to be read. A chain may be long, so they are not all kept.
    clauses: Box<dyn Iterator<Item = (usize, Clause)> + 'a>,
    /// The clause for which a package is being followed.
    open: Option<Open<'a>>,
}

/// A clause with several ways to satisfy it.
struct Open<'a> {
    clause: usize,
    left: std::vec::IntoIter<&'a Package>,
    /// Whether they have different names.
    several: bool,
    /// The length of the log before any of them was chosen.
    mark: usize,
    /// Why the first of them cannot be taken.
    because: Option<usize>,
}

impl<'a> Frame<'a> {
    fn new(package: &'a Package) -> Self {
        Frame { package, clauses: Box::new(package.each_clause().enumerate()), open: None }
    }
}

/// A search, and what it has found so far.
pub struct ClosureSearch<'a, 'b> {
    among: &'b Candidates<'a, 'b>,
    /// The packages that are chosen.
    pub chosen: ChosenPackages<'a>,
    /// The names of the packages that were chosen, in order.
    log: Vec<&'a str>,
    /// The packages that were chosen where there was an alternative to them.
    pub alternatives: BTreeSet<&'a str>,
    /// The names in `exclude` on which some package depends.
    pub left_out: BTreeSet<String>,
    /// The first package of which another version was chosen than a dependency accepts, and a
    /// version that it accepts.
    pub rather: Option<(String, String)>,
    /// The number of packages that may still be tried.
    steps: &'b mut usize,
    reasons: Vec<Reason<'a>>,
    /// The packages that can never be taken, whatever else is chosen, with the reason. They are
    /// known by their address.
    hopeless: HashMap<*const Package, usize>,
}

impl<'a, 'b> ClosureSearch<'a, 'b> {
    /// Begins with nothing chosen. `steps` is the number of packages that may be tried; it is
    /// counted down.
    pub fn new(among: &'b Candidates<'a, 'b>, steps: &'b mut usize) -> Self {
        ClosureSearch {
            among,
            chosen: BTreeMap::new(),
            log: vec![],
            alternatives: BTreeSet::new(),
            left_out: BTreeSet::new(),
            rather: None,
            steps,
            reasons: vec![],
            hopeless: HashMap::new(),
        }
    }

    /// Satisfies what a chosen package needs. Whatever that takes is chosen.
    ///
    /// # Errors
    /// If it cannot be satisfied.
    pub fn follow(&mut self, root: &'a Package) -> Result<(), DeadEnd<'a>> {
        let mut stack = vec![Frame::new(root)];
        loop {
            let frame = stack.last_mut().expect("the loop ends with the last frame");
            let Some(open) = &mut frame.open else {
                match frame.clauses.next() {
                    Some((number, clause)) => frame.open = self.open(number, &clause),
                    None => {
                        stack.pop();
                        // The clause that led here is satisfied.
                        match stack.last_mut() {
                            Some(parent) => parent.open = None,
                            None => return Ok(()),
                        }
                    }
                }
                continue;
            };
            if let Some(package) = open.left.next() {
                if open.several {
                    self.alternatives.insert(&package.name);
                }
                if let Some(reason) = self.hopeless.get(&std::ptr::from_ref(package)) {
                    open.because.get_or_insert(*reason);
                    continue;
                }
                let Some(steps) = self.steps.checked_sub(1) else {
                    return Err(DeadEnd::TooLong(stack.iter().map(|f| f.package).collect()));
                };
                *self.steps = steps;
                self.chosen.insert(&package.name, package);
                self.log.push(&package.name);
                stack.push(Frame::new(package));
                continue;
            }
            let reason = self.give_up(frame.package, open.clause, open.because);
            stack.pop();
            match stack.last_mut().and_then(|parent| parent.open.as_mut()) {
                Some(open) => {
                    self.take_back(open.mark);
                    open.because.get_or_insert(reason);
                }
                None => return Err(self.explain(reason)),
            }
        }
    }

    /// Looks at a clause. Returns `None` if it is satisfied already.
    fn open(&mut self, number: usize, clause: &Clause) -> Option<Open<'a>> {
        let excluded = clause.iter().filter(|d| self.among.exclude.contains(&d.name));
        self.left_out.extend(excluded.map(|d| d.name.clone()));
        let met = |d: &Dependency| {
            self.among.exclude.contains(&d.name) || self.among.met_by(&self.chosen, d)
        };
        if clause.iter().any(met) {
            return None;
        }
        let all = self.among.alternatives(&self.chosen, clause);
        Some(Open {
            clause: number,
            several: all.iter().any(|other| other.name != all[0].name),
            left: all.into_iter(),
            mark: self.log.len(),
            because: None,
        })
    }

    fn take_back(&mut self, mark: usize) {
        for name in self.log.drain(mark..) {
            self.chosen.remove(name);
        }
    }

    /// Records that a clause of a package cannot be satisfied. Returns the number of the reason.
    fn give_up(&mut self, package: &'a Package, clause: usize, because: Option<usize>) -> usize {
        self.reasons.push(Reason { package, clause, because });
        let reason = self.reasons.len() - 1;
        let Some(wanted) = package.each_clause().nth(clause) else { return reason };
        if self.rather.is_none() {
            self.rather = wanted.iter().find_map(|d| self.among.better(&self.chosen, d));
        }
        // Everything that would satisfy the clause can never be taken. A package that was not tried,
        // because another version of it is chosen, might be taken at another time.
        let hopeless = |p: &Package| self.hopeless.contains_key(&std::ptr::from_ref(p));
        if wanted.iter().all(|d| self.among.satisfying(d).all(hopeless)) {
            self.hopeless.insert(package, reason);
        }
        reason
    }

    fn explain(&self, reason: usize) -> DeadEnd<'a> {
        let first = Some(self.reasons[reason]);
        let next = |reason: &Reason<'a>| reason.because.map(|number| self.reasons[number]);
        let reasons: Vec<Reason> = std::iter::successors(first, next).collect();
        let last = reasons.last().expect("there is the first one");
        let clause = last.package.each_clause().nth(last.clause).unwrap_or_default();
        DeadEnd::Unsatisfied(reasons.iter().map(|reason| reason.package).collect(), clause)
    }
}

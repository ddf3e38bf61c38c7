//! Why a package is among the inputs of a tree: the paths from what the manifest names to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::error::Place;
use crate::lockfile::Plan;
use crate::model::{Ecosystem, Input, normalize_project};

/// A package that something asks for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the package.
    pub package: String,
    /// What asks for it, in a few words.
    pub asked_by: String,
    /// The place where it is named.
    pub place: Option<Place>,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}, {}", self.asked_by),
            None => f.write_str(&self.asked_by),
        }
    }
}

/// The dependencies between the inputs of a tree.
pub struct Dependencies<'a> {
    plan: &'a Plan,
    /// The inputs by name.
    inputs: BTreeMap<&'a str, &'a Input>,
    origins: Vec<Origin>,
    /// The inputs to which no dependency leads.
    unreached: BTreeSet<&'a str>,
}

/// A path from a package that is named to the one in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<'a> {
    /// What asks for the first package.
    pub origin: &'a Origin,
    /// The names of the packages, of which each depends on the next one.
    pub packages: Vec<&'a str>,
}

impl<'a> Dependencies<'a> {
    /// Returns the dependencies of the inputs of a plan. `origins` are the packages that are named.
    pub fn of(plan: &'a Plan, origins: Vec<Origin>) -> Self {
        let inputs: BTreeMap<&str, &Input> =
            plan.inputs.iter().map(|i| (i.component.name.as_str(), i)).collect();
        let mut out = Dependencies { plan, inputs, origins, unreached: BTreeSet::new() };
        let reached = out.below(out.origins.iter().map(|o| o.package.as_str()));
        out.unreached = out.inputs.keys().copied().filter(|name| !reached.contains(name)).collect();
        out
    }

    /// Whether the lock records which package needs which. Older locks do not, except for Python
    /// packages.
    pub fn are_recorded(&self) -> bool {
        self.unreached.is_empty() || self.plan.inputs.iter().any(|i| !i.requires.is_empty())
    }

    /// Returns the version of a package, if it is among the inputs.
    pub fn version(&self, package: &str) -> Option<&'a str> {
        self.inputs.get(package).map(|input| input.component.version.as_str())
    }

    /// Returns the name under which a package is locked: projects of Python have several spellings of
    /// one name (PEP 503).
    pub fn locked_name(&self, package: &str) -> Option<&'a str> {
        let is_other_spelling = |input: &Input| {
            input.component.ecosystem == Ecosystem::Pypi
                && normalize_project(&input.component.name) == normalize_project(package)
        };
        match self.inputs.get_key_value(package) {
            Some((name, _)) => Some(name),
            None => self.inputs.iter().find_map(|(name, i)| is_other_spelling(i).then_some(*name)),
        }
    }

    /// Returns the names of the packages.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.inputs.keys().copied()
    }

    /// Returns the shortest path from each origin that leads to a package, the shortest of all first.
    /// The list is empty if the package is there for another reason than a dependency.
    pub fn chains(&self, package: &str) -> Vec<Chain<'_>> {
        let chain = |origin| {
            let packages = self.path(origin, package)?;
            Some(Chain { origin, packages })
        };
        let mut out: Vec<Chain> = self.origins.iter().filter_map(chain).collect();
        out.sort_by_key(|chain| chain.packages.len());
        out
    }

    /// Returns the packages, each with its version, with what it needs and with what names it.
    pub fn json(&self) -> Vec<serde_json::Value> {
        let package = |(name, input): (&&str, &&Input)| {
            let asked = self.origins.iter().filter(|origin| origin.package == **name);
            let asked: Vec<_> = asked
                .map(|origin| {
                    let place = origin.place.as_ref().map(ToString::to_string);
                    serde_json::json!({ "asked_by": origin.asked_by, "place": place })
                })
                .collect();
            serde_json::json!({
                "name": name,
                "version": input.component.version,
                "requires": input.requires,
                "asked": asked,
            })
        };
        self.inputs.iter().map(package).collect()
    }

    /// Returns the lines of the tree of packages. A package whose dependencies were shown before is
    /// marked with `(*)`.
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![];
        let mut shown = BTreeSet::new();
        // Depth-first with a stack of our own: the chains of dependencies may be long.
        let mut todo: Vec<(&str, String, String)> = vec![];
        let present = self.origins.iter().filter(|o| self.inputs.contains_key(o.package.as_str()));
        let mut roots: Vec<(&str, String)> =
            present.map(|o| (o.package.as_str(), format!(" ({o})"))).collect();
        let reason = if self.are_recorded() {
            " (no dependency: the programs of the tree need it)"
        } else {
            " (the lock does not say why)"
        };
        roots.extend(self.unreached.iter().map(|name| (*name, reason.to_owned())));
        for (name, note) in roots.into_iter().rev() {
            todo.push((name, String::new(), note));
        }
        while let Some((name, before, note)) = todo.pop() {
            let Some(input) = self.inputs.get(name) else { continue };
            let below: Vec<&str> = input
                .requires
                .iter()
                .map(String::as_str)
                .filter(|n| self.inputs.contains_key(n))
                .collect();
            let again = !shown.insert(name) && !below.is_empty();
            let star = if again { " (*)" } else { "" };
            out.push(format!("{before}{name} {}{note}{star}", input.component.version));
            if again {
                continue;
            }
            // The line of a package begins with what stands below the branch of its parent.
            let indent = before.replace("├── ", "│   ").replace("└── ", "    ");
            for (at, next) in below.iter().enumerate().rev() {
                let branch = if at + 1 == below.len() { "└── " } else { "├── " };
                todo.push((next, format!("{indent}{branch}"), String::new()));
            }
        }
        out
    }

    /// Returns everything to which dependencies lead from some packages, with these.
    fn below<'s>(&'s self, from: impl Iterator<Item = &'s str>) -> BTreeSet<&'s str> {
        let mut out = BTreeSet::new();
        let mut todo: Vec<&str> = from.collect();
        while let Some(name) = todo.pop() {
            if let Some(input) = self.inputs.get(name)
                && out.insert(name)
            {
                todo.extend(input.requires.iter().map(String::as_str));
            }
        }
        out
    }

    /// Returns the shortest path from an origin to a package.
    fn path<'s>(&'s self, origin: &'s Origin, package: &str) -> Option<Vec<&'s str>> {
        let mut from: BTreeMap<&str, Option<&str>> =
            BTreeMap::from([(origin.package.as_str(), None)]);
        let mut todo = VecDeque::from([origin.package.as_str()]);
        while let Some(name) = todo.pop_front() {
            let Some(input) = self.inputs.get(name) else { continue };
            if name == package {
                let mut path = vec![name];
                while let Some(Some(before)) = path.last().and_then(|name| from.get(name)) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            for next in &input.requires {
                if !from.contains_key(next.as_str()) {
                    from.insert(next, Some(name));
                    todo.push_back(next);
                }
            }
        }
        None
    }
}

//! The request of a manifest to a Debian archive.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::kind::Foreign;
use super::suites::{self, Defaults, SuiteRequest};
use crate::error::Place;
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Problems, Spanned};
use crate::model::Platform;
use crate::resolve::debian_closure::PackageRoot;

/// The packages to take from a Debian archive.
#[derive(Debug, Clone)]
pub struct DebianRequest {
    /// What holds for suites that say nothing themselves.
    pub defaults: Defaults,
    /// The suites, of which the first has precedence.
    pub suites: Vec<SuiteRequest>,
    /// The packages, each optionally in the form `name=version` or `name/suite`.
    pub packages: Vec<String>,
    /// Packages to leave out in addition to those that the recipe leaves out.
    pub exclude: Vec<String>,
    /// Packages to include although the recipe would leave them out.
    pub include: Vec<String>,
    /// Whether Essential packages are added whose commands the scripts of the tree start. Without a
    /// value, the kind of the toolchain determines it.
    pub include_essential: Option<bool>,
    /// The number of platforms resolved so far, the packages that `exclude` left out on them, and those
    /// that are there because of `include`.
    pub effects: RefCell<(usize, BTreeSet<String>, BTreeSet<String>)>,
    /// The number of platforms for which the request is resolved.
    pub platforms: usize,
    /// The places in the manifest where each of the packages and exclusions is named.
    pub places: BTreeMap<Named, Place>,
}

/// A name in the manifest that is part of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// One of the packages, with its version or suite if it has one.
    Package(String),
    /// One of the exclusions.
    Exclude(String),
    /// One of the inclusions.
    Include(String),
}

/// The name of a package without its version or suite.
pub fn plain_name(package: &str) -> &str {
    package.split(['=', '/']).next().unwrap_or(package)
}

impl DebianRequest {
    /// Returns what only the manifest vouches for, with its place.
    pub fn foreign(&self) -> impl Iterator<Item = (Foreign, Option<Place>)> + '_ {
        let of_suite = |suite: &SuiteRequest| {
            let urls: Vec<Foreign> = suite.urls.iter().cloned().map(Foreign::Url).collect();
            let all = urls.into_iter().chain(suite.key.clone().map(Foreign::Key));
            let place = suite.place.clone();
            all.map(move |foreign| (foreign, Some(place.clone())))
        };
        self.suites.iter().flat_map(of_suite)
    }

    /// Reads the keys of a request. Returns `None` if no packages are named.
    pub fn read(
        fields: &mut Fields,
        required: bool,
        problems: &mut Problems,
    ) -> Option<DebianRequest> {
        let defaults = Defaults::read(fields, problems);
        let suites = suites::read(fields, required, &defaults, problems);
        let mut list =
            |key: &str| -> Option<Vec<Spanned<String>>> { fields.string_list(key, problems) };
        let (packages, exclude, include) = (list("packages"), list("exclude"), list("include"));
        let include_essential = fields.bool("include_essential", problems);
        let mut places = BTreeMap::new();
        let mut note = |named: Named, span: &std::ops::Range<usize>| {
            places.entry(named).or_insert_with(|| problems.place(span.start));
        };
        for package in packages.iter().flatten() {
            note(Named::Package(package.value.clone()), &package.span);
        }
        for package in exclude.iter().flatten() {
            note(Named::Exclude(package.value.clone()), &package.span);
        }
        for package in include.iter().flatten() {
            note(Named::Include(package.value.clone()), &package.span);
        }
        for package in packages.iter().flatten() {
            let Some((_, wanted)) = package.value.split_once('/') else { continue };
            let known = || suites.iter().map(|suite| suite.suite.as_str());
            if !suites.is_empty() && !known().any(|suite| suite == wanted) {
                let list: Vec<String> = known().map(|suite| format!("{suite:?}")).collect();
                problems.add(
                    package.span.clone(),
                    format!(
                        "{:?} asks for a suite that is not among those of the toolchain: expected one of {}",
                        package.value,
                        list.join(", ")
                    ),
                );
            }
        }
        for excluded in exclude.iter().flatten() {
            if packages.iter().flatten().any(|p| plain_name(&p.value) == excluded.value) {
                problems.add(
                    excluded.span.clone(),
                    format!(
                        "`exclude` names {:?}, which `packages` asks for: leave one of the two out",
                        excluded.value
                    ),
                );
            }
        }
        for package in packages.iter().chain(&exclude).chain(&include).flatten() {
            let name = plain_name(&package.value);
            let valid = name.len() > 1
                && !(package.value.contains('=') && package.value.contains('/'))
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
            if !valid {
                problems.add(
                    package.span.clone(),
                    format!(
                        "expected the name of a Debian package, perhaps with =version or /suite, got {:?}",
                        package.value
                    ),
                );
            }
        }
        let plain = |list: Option<Vec<Spanned<String>>>| -> Vec<String> {
            list.unwrap_or_default().into_iter().map(|s| s.value).collect()
        };
        let packages = plain(packages);
        if packages.is_empty() && required {
            problems.add(
                fields.span(),
                "a Debian toolchain needs the key \"packages\" with at least one package",
            );
        }
        if suites.is_empty() {
            return None;
        }
        Some(DebianRequest {
            defaults,
            suites,
            packages,
            exclude: plain(exclude),
            include: plain(include),
            include_essential,
            effects: RefCell::default(),
            platforms: 1,
            places,
        })
    }

    /// Returns the fingerprint of what the manifest asks for.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("archive", [&self.defaults.archive]);
        out.note("suite", self.suites.iter().map(|suite| suite.described(&self.defaults)));
        out.note("components", &self.defaults.components);
        out.note("snapshot", self.defaults.snapshot.as_ref().map(|s| s.text.clone()));
        out.note("packages", &self.packages);
        out.note("exclude", &self.exclude);
        out.note("include", &self.include);
        out.note("include_essential", self.include_essential.map(|b| b.to_string()));
        out
    }

    /// Returns the suites, each with its archive.
    pub fn suites(&self) -> impl Iterator<Item = (&str, &str)> {
        self.suites.iter().map(|suite| (suite.archive(), suite.suite.as_str()))
    }

    /// Returns the packages with the places where they are named.
    pub fn places(&self) -> Vec<(String, Place)> {
        let place = |(named, place): (&Named, &Place)| match named {
            Named::Package(package) => Some((package.clone(), place.clone())),
            Named::Exclude(_) | Named::Include(_) => None,
        };
        self.places.iter().filter_map(place).collect()
    }

    /// Returns the file of keys of each suite.
    pub fn keys(&self) -> impl Iterator<Item = Option<&str>> {
        self.suites.iter().map(|suite| suite.key.as_deref())
    }

    /// Returns a package of the request as a root of the closure.
    pub fn root(&self, asked: &str) -> PackageRoot {
        let wanted = asked.split_once('/').map(|(_, suite)| suite);
        let suite = wanted.and_then(|w| self.suites.iter().position(|s| s.suite == w));
        PackageRoot { asked: asked.to_owned(), suite }
    }

    /// Adds what a library of this compiler asks for. Returns whether its suites are the same.
    pub fn add(&mut self, library: DebianRequest) -> bool {
        let fits = self.suites.len() == library.suites.len()
            && self.suites.iter().zip(&library.suites).all(|(own, other)| own.is_same(other));
        self.packages.extend(library.packages);
        self.exclude.extend(library.exclude);
        let merge = |own: &mut Vec<String>, other: Vec<String>| {
            for component in other {
                if !own.contains(&component) {
                    own.push(component);
                }
            }
        };
        merge(&mut self.defaults.components, library.defaults.components);
        for (own, other) in self.suites.iter_mut().zip(library.suites) {
            merge(&mut own.components, other.components);
        }
        fits
    }

    /// Sets the number of platforms of the toolchain.
    #[must_use]
    pub fn on(mut self, platforms: &[Platform]) -> Self {
        self.platforms = platforms.len();
        self
    }
}

//! The request of a manifest to a Debian archive.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::Place;
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Problems, Spanned};
use crate::model::Platform;

/// The packages to take from a Debian archive.
#[derive(Debug, Clone)]
pub struct DebianRequest {
    /// The mirror family: `debian`, `debian-security`.
    pub archive: String,
    /// The suite: `bookworm`, `trixie`.
    pub suite: String,
    /// The components, usually `main`.
    pub components: Vec<String>,
    /// The packages, each optionally in the form `name=version`.
    pub packages: Vec<String>,
    /// Packages to leave out in addition to those that the recipe leaves out.
    pub exclude: Vec<String>,
    /// Packages to include although the recipe would leave them out.
    pub include: Vec<String>,
    /// Whether Essential packages are added whose commands the scripts of the tree start. Without a
    /// value, the kind of the toolchain determines it.
    pub include_essential: Option<bool>,
    /// The number of platforms resolved so far, and the packages that `exclude` left out on them.
    pub left_out: RefCell<(usize, BTreeSet<String>)>,
    /// The number of platforms for which the request is resolved.
    pub platforms: usize,
    /// The places in the manifest where the suite and each of the components, packages and
    /// exclusions are named.
    pub places: BTreeMap<Named, Place>,
}

/// A name in the manifest that is part of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// The suite.
    Suite,
    /// One of the components.
    Component(String),
    /// One of the packages, with its version if it has one.
    Package(String),
    /// One of the exclusions.
    Exclude(String),
}

/// The name of a package without its version.
pub fn plain_name(package: &str) -> &str {
    package.split_once('=').map_or(package, |(name, _)| name)
}

impl DebianRequest {
    /// Reads the keys of a request. Returns `None` if no packages are named.
    pub fn read(
        fields: &mut Fields,
        required: bool,
        problems: &mut Problems,
    ) -> Option<DebianRequest> {
        let suite = if required {
            fields.required_string("suite", problems)
        } else {
            fields.string("suite", problems)
        };
        let archive =
            fields.string("archive", problems).map_or_else(|| "debian".to_owned(), |s| s.value);
        let mut list =
            |key: &str| -> Option<Vec<Spanned<String>>> { fields.string_list(key, problems) };
        let (components, packages, exclude, include) =
            (list("components"), list("packages"), list("exclude"), list("include"));
        let include_essential = fields.bool("include_essential", problems);
        let mut places = BTreeMap::new();
        let mut note = |named: Named, span: &std::ops::Range<usize>| {
            places.entry(named).or_insert_with(|| problems.place(span.start));
        };
        for component in components.iter().flatten() {
            note(Named::Component(component.value.clone()), &component.span);
        }
        for package in packages.iter().flatten() {
            note(Named::Package(package.value.clone()), &package.span);
        }
        for package in exclude.iter().flatten() {
            note(Named::Exclude(package.value.clone()), &package.span);
        }
        if let Some(suite) = &suite {
            note(Named::Suite, &suite.span);
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
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
            if !valid {
                problems.add(
                    package.span.clone(),
                    format!(
                        "expected the name of a Debian package, perhaps with =version, got {:?}",
                        package.value
                    ),
                );
            }
        }
        if let Some(suite) = &suite
            && (suite.value.is_empty()
                || suite.value.contains([' ', ':'])
                || suite.value.split('/').any(|p| p == ".." || p.is_empty()))
        {
            problems.add(
                suite.span.clone(),
                format!("expected the name of a suite such as \"bookworm\", got {:?}", suite.value),
            );
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
        let components =
            if components.is_none() { vec!["main".to_owned()] } else { plain(components) };
        Some(DebianRequest {
            archive,
            suite: suite?.value,
            components,
            packages,
            exclude: plain(exclude),
            include: plain(include),
            include_essential,
            left_out: RefCell::default(),
            platforms: 1,
            places,
        })
    }

    /// Returns the fingerprint of what the manifest asks for.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("archive", [&self.archive]);
        out.note("suite", [&self.suite]);
        out.note("components", &self.components);
        out.note("packages", &self.packages);
        out.note("exclude", &self.exclude);
        out.note("include", &self.include);
        out.note("include_essential", self.include_essential.map(|b| b.to_string()));
        out
    }

    /// Returns the archive and the suite.
    pub fn suite(&self) -> (&str, &str) {
        (&self.archive, &self.suite)
    }

    /// Sets the number of platforms of the toolchain.
    #[must_use]
    pub fn on(mut self, platforms: &[Platform]) -> Self {
        self.platforms = platforms.len();
        self
    }
}

//! Questions to the indexes whose answers are not locked: what there is, and what is newer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use pep440_rs::Version;

use super::stale::target;
use super::toolchains::keyring;
use crate::context::Context;
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::fetch::Fetcher;
use crate::fetch::python_index::ProjectFile;
use crate::lockfile::{LockedTree, Lockfile, PackagesRole};
use crate::model::{Ecosystem, Platform, ToolchainName, normalize_project};
use crate::project::Project;
use crate::reporter::{Reporter, Verbosity};
use crate::resolve::debian_release::Keyring;
use crate::source::{Additions, FoundPackage, ResolveContext, Source, releases};

/// The services for questions.
pub struct Inquiry<'a> {
    project: &'a Project,
    cx: &'a Context,
    fetcher: &'a Fetcher,
    keyring: Keyring,
    evaluator: Evaluator,
    lock: Lockfile,
    reporter: Reporter,
    allow_expired: bool,
}

/// A package of which there is another version than the locked one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewerPackage {
    /// The name of the package.
    pub name: String,
    /// The package system.
    pub ecosystem: Ecosystem,
    /// The locked version.
    pub locked: String,
    /// The version that there is now.
    pub available: String,
    /// What decides whether it is taken.
    pub decided_by: DecidedBy,
}

/// What decides whether a newer version is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DecidedBy {
    /// `cotter lock --upgrade` takes it.
    Upgrade,
    /// `cotter lock --upgrade` takes it if the requirements of the set, and those of its packages,
    /// allow it. Only uv can tell.
    Requirements,
    /// The manifest names the version.
    Manifest,
}

impl DecidedBy {
    /// Returns the word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            DecidedBy::Upgrade => "upgrade",
            DecidedBy::Requirements => "requirements",
            DecidedBy::Manifest => "manifest",
        }
    }
}

/// What is newer than the lock.
#[derive(Debug, Default)]
pub struct Newer {
    /// The packages, with the toolchains that contain them.
    pub packages: BTreeMap<NewerPackage, BTreeSet<ToolchainName>>,
    /// The toolchains whose sources know no other versions: archives by URL.
    pub unknown: BTreeSet<ToolchainName>,
    /// The projects of Python that the sets have as files in place of releases. An index is not asked
    /// for them: it may have another project of the name.
    pub files: BTreeSet<String>,
}

impl<'a> Inquiry<'a> {
    /// Creates the services.
    ///
    /// # Errors
    /// If the keys of the project cannot be read.
    pub fn new(
        project: &'a Project,
        cx: &'a Context,
        fetcher: &'a Fetcher,
        allow_expired: bool,
    ) -> Result<Self> {
        // What is wrong with a request was told when it was locked.
        let reporter = Reporter::new(Verbosity::Quiet, false);
        let (keyring, evaluator) = (keyring(project)?, cx.evaluator());
        let lock = Lockfile::default();
        Ok(Inquiry { project, cx, fetcher, keyring, evaluator, reporter, lock, allow_expired })
    }

    fn resolving(&self) -> ResolveContext<'_> {
        let settings = &self.project.manifest.settings;
        ResolveContext {
            fetcher: self.fetcher,
            reporter: &self.reporter,
            now: self.cx.now(),
            keyring: &self.keyring,
            dir: self.project.dir(),
            evaluator: &self.evaluator,
            lock: &self.lock,
            check_valid_until: settings.check_valid_until && !self.allow_expired,
            known: vec![],
            index: RefCell::default(),
        }
    }

    /// Returns the Debian packages whose names are wanted, in the suites of some sources. Each
    /// combination of suites is asked once.
    ///
    /// # Errors
    /// If an index cannot be obtained or trusted.
    pub fn search(
        &self,
        sources: &[&dyn Source],
        platform: Platform,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<FoundPackage>> {
        let resolving = self.resolving();
        let mut asked = BTreeSet::new();
        let mut out: Vec<FoundPackage> = vec![];
        for source in sources {
            if !asked.insert(source.suites()) {
                continue;
            }
            let _spinner = self.cx.reporter.spinner("reading", "the indexes");
            for found in source.search(wanted, platform, &resolving)? {
                let is_same = |other: &&mut FoundPackage| {
                    (&other.name, &other.version, &other.archive, &other.suite)
                        == (&found.name, &found.version, &found.archive, &found.suite)
                };
                match out.iter_mut().find(is_same) {
                    Some(other) => other.is_candidate |= found.is_candidate,
                    None => out.push(found),
                }
            }
        }
        Ok(out)
    }

    /// Returns what is newer than the locked packages of some toolchains and sets, or of all.
    ///
    /// # Errors
    /// If an index cannot be obtained or trusted, or if a request cannot be satisfied any more.
    pub fn newer(&self, lock: &Lockfile, names: &[ToolchainName]) -> Result<Newer> {
        let resolving = self.resolving();
        let mut out = Newer::default();
        let wanted = |tree: &&LockedTree| {
            let plan = &tree.plan;
            names.is_empty() || names.contains(&plan.name) || names.contains(plan.manifest_name())
        };
        let mut trees: Vec<&LockedTree> = lock.trees.values().filter(wanted).collect();
        // The index of one platform is in memory at a time.
        trees.sort_by_key(|tree| (tree.plan.platform.as_str(), tree.plan.name.clone()));
        for tree in trees {
            crate::interrupt::check()?;
            let name = &tree.plan.name;
            let _spinner = self.cx.reporter.spinner("asking for", name.as_str());
            if tree.plan.spec.packages().is_some() {
                self.newer_in_set(tree, lock, &mut out)?;
            } else {
                self.newer_in_toolchain(tree, &resolving, &mut out).map_err(|e| {
                    let error = e.context(format!("can't tell what is newer than {name}"));
                    self.project.locate(error.about(name.as_str()))
                })?;
            }
        }
        Ok(out)
    }

    fn newer_in_toolchain(
        &self,
        tree: &LockedTree,
        resolving: &ResolveContext,
        out: &mut Newer,
    ) -> Result<()> {
        let (plan, project) = (&tree.plan, self.project);
        let Some(toolchain) = project.manifest.toolchains.get(&plan.name) else { return Ok(()) };
        let source = &project.sources[&plan.name];
        if let Some(newest) = source.newest(resolving)?
            && newest.newest != newest.named
        {
            let package = NewerPackage {
                name: newest.package,
                ecosystem: Ecosystem::Pypi,
                locked: newest.named,
                available: newest.newest,
                decided_by: DecidedBy::Manifest,
            };
            out.packages.entry(package).or_default().insert(plan.name.clone());
        }
        if plan.inputs.iter().any(|input| input.component.ecosystem == Ecosystem::Generic) {
            out.unknown.insert(plan.name.clone());
        }
        if source.suites().is_empty() {
            return Ok(());
        }
        let essential = plan.spec.programs().map(|programs| programs.essential.clone());
        let additions = Additions {
            essential: essential.unwrap_or_default().into_iter().collect(),
            handed_over: BTreeSet::new(),
        };
        let recipe = project.recipe(toolchain);
        let found = source.resolve(plan.platform, recipe, &additions, resolving)?;
        for input in found.inputs {
            let component = input.component;
            let locked = plan.component_version(&component.name);
            let Some(locked) = locked.filter(|locked| *locked != component.version) else {
                continue;
            };
            let package = NewerPackage {
                name: component.name.clone(),
                ecosystem: component.ecosystem,
                locked: locked.to_owned(),
                available: component.version,
                decided_by: DecidedBy::Upgrade,
            };
            out.packages.entry(package).or_default().insert(plan.name.clone());
        }
        Ok(())
    }

    fn newer_in_set(&self, tree: &LockedTree, lock: &Lockfile, out: &mut Newer) -> Result<()> {
        let Some(packages) = tree.plan.spec.packages() else { return Ok(()) };
        let Some(set) = self.project.manifest.requirements.get(&packages.set) else {
            return Ok(());
        };
        let target = target(&packages.interpreter, tree.plan.platform, lock);
        let end = set.exclude_newer.as_deref().and_then(end_of);
        for input in &tree.plan.inputs {
            crate::interrupt::check()?;
            let Some(project) = input.project() else {
                out.files.insert(input.component.name.clone());
                continue;
            };
            let is_built = packages.role == PackagesRole::Set
                && set.build.iter().any(|name| name == "*" || normalize_project(name) == project);
            // What uv would not take is not available: files for other versions of Python, those that
            // are too new for the set, and sources of what the set does not build.
            let counts = |file: &ProjectFile| {
                let covers = |stated: &String| {
                    target.as_ref().and_then(|target| target.is_covered_by(stated)) != Some(false)
                };
                (is_built || file.name.ends_with(".whl"))
                    && file.requires_python.as_ref().is_none_or(covers)
                    && end.is_none_or(|end| file.uploaded.is_some_and(|time| time < end))
            };
            let newest =
                releases(&*self.fetcher.python_project(project)?, &counts).into_iter().next();
            let component = &input.component;
            let locked = Version::from_str(&component.version).ok();
            let Some(newest) = newest.filter(|newest| locked.as_ref().is_none_or(|l| newest > l))
            else {
                continue;
            };
            let package = NewerPackage {
                name: component.name.clone(),
                ecosystem: component.ecosystem,
                locked: component.version.clone(),
                available: newest.to_string(),
                decided_by: DecidedBy::Requirements,
            };
            out.packages.entry(package).or_default().insert(tree.plan.name.clone());
        }
        Ok(())
    }
}

/// Returns the time before which files must have been published for `exclude_newer`: a date includes
/// its day. Source: uv's reference of settings.
fn end_of(exclude_newer: &str) -> Option<Timestamp> {
    exclude_newer.parse().ok().or_else(|| {
        let day: Date = exclude_newer.parse().ok()?;
        Offset::UTC.to_timestamp(day.tomorrow().ok()?.at(0, 0, 0, 0)).ok()
    })
}

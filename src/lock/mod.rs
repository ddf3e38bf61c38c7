//! Brings a lock up to date with its manifest: stale toolchains are resolved source by source,
//! followed by the sets of Python packages.

mod building;
mod coherence;
pub mod inquiry;
mod listing;
mod notes;
mod options;
mod package_files;
mod packages;
mod stale;
mod together;
mod toolchains;

use std::cell::RefCell;

use crate::context::{Context, shown};
use crate::error::Result;
use crate::fetch::Fetcher;
use crate::lockfile::{self, LockedTree, Lockfile, TrustedRelease};
use crate::make::Made;
use crate::model::{MemberPath, Platform, ToolchainName};
use crate::project::{Project, read_lock_text};

pub use options::{Options, Until, Upgrade};
use stale::other_trees;

pub use stale::{Stale, check, required, stale};

/// The result of bringing a lock up to date.
pub struct Outcome {
    /// The lock as it is now.
    pub lock: Lockfile,
    /// The changes, one line of text each.
    pub changes: Vec<String>,
    /// Whether the file was written, or would be.
    pub written: bool,
    /// The trees that were made in the process, with the time that each one took.
    pub made: Vec<Made>,
    /// The lock as it was. It is empty if there was none, or a damaged one that was not read.
    pub before: Lockfile,
    /// The files of requirements that belong to the lock.
    texts: packages::RequirementTexts,
}

impl Outcome {
    /// Writes what was proposed: the files of requirements, and then the lock if its bytes change.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, project: &Project) -> Result<()> {
        packages::write(project, &self.texts)?;
        if self.written {
            let name = MemberPath::literal(lockfile::FILE_NAME);
            project.files()?.replace(&name, &self.lock.render())?;
        }
        Ok(())
    }
}

/// Brings the lock up to date with the manifest, and writes it if its bytes change.
///
/// # Errors
/// If something cannot be resolved, fetched or composed. The lock then stays as it was.
pub fn update(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    options: &Options,
) -> Result<Outcome> {
    let outcome = propose(project, cx, fetcher, options)?;
    outcome.write(project)?;
    Ok(outcome)
}

/// Determines the lock that fits the manifest, and writes nothing into the project. Trees whose
/// identities were not known are made in the store.
///
/// # Errors
/// If something cannot be resolved, fetched or composed.
pub fn propose(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    options: &Options,
) -> Result<Outcome> {
    let file = shown(&project.lock_path, &cx.here);
    let there = project.lock_path.exists();
    // With `--fresh`, the old lock serves only to tell the changes, so it may be damaged.
    let (old_text, old, before) = if options.fresh {
        let text = read_lock_text(&project.lock_path, &file).unwrap_or_default();
        let before = Lockfile::parse(&text, &file).unwrap_or_default();
        (text, Lockfile::default(), before)
    } else if there {
        let text = read_lock_text(&project.lock_path, &file)?;
        let old = read_old(project, &text, cx)?;
        (text, old.clone(), old)
    } else {
        Default::default()
    };
    let stale = stale(project, &old);
    let mut lock = Lockfile::default();
    let mut made = vec![];
    let mut todo: Vec<(ToolchainName, Platform)> = vec![];
    let mut to_build: Vec<(ToolchainName, Platform)> = vec![];
    for (toolchain, platform) in project.entries() {
        let is_stale = stale.iter().any(|s| s.name == toolchain.name && s.platform == platform);
        // Whether they are stale depends on the toolchains that build them.
        let is_built = project.sources[&toolchain.name].building(platform).is_some();
        match old.get(&toolchain.name, platform) {
            Some(locked) if !is_built && !is_stale && !options.upgrade.wants(&toolchain.name) => {
                locked.check()?;
                lock.put(locked.clone());
            }
            _ if is_built => to_build.push((toolchain.name.clone(), platform)),
            _ => todo.push((toolchain.name.clone(), platform)),
        }
    }
    let known: Vec<TrustedRelease> =
        old.trees.values().flat_map(|t| t.plan.releases.clone()).collect();
    let built = RefCell::default();
    let resolving = toolchains::Locking { project, cx, fetcher, known, old: &old, built, options };
    if !todo.is_empty() {
        // Toolchains that come from a Python index may need the pinned Python, which must be locked
        // first.
        let is_indexed = |name: &ToolchainName| {
            project.manifest.toolchains[name].source.value == crate::source::PYPI
        };
        let (indexed, todo): (Vec<_>, Vec<_>) =
            todo.into_iter().partition(|(name, _)| is_indexed(name));
        // What is evaluated may need the pinned evaluator.
        let is_evaluated = |name: &ToolchainName, platform: Platform| {
            project.sources[name].expression(platform).is_some()
        };
        let (evaluated, plain): (Vec<_>, Vec<_>) =
            todo.into_iter().partition(|(name, platform)| is_evaluated(name, *platform));
        made.extend(resolving.run(&mut lock, plain)?);
        if !indexed.is_empty() {
            project.maker(cx, fetcher).offer_index(&lock)?;
            made.extend(resolving.run(&mut lock, indexed)?);
        }
        if !evaluated.is_empty() {
            made.extend(resolving.run(&mut lock, evaluated)?);
        }
    }
    while !to_build.is_empty() {
        let ready = building::ready(project, &to_build);
        if ready.is_empty() {
            return Err(building::circle(project, &to_build));
        }
        to_build.retain(|entry| !ready.contains(entry));
        let mut todo = vec![];
        for (name, platform) in ready {
            let is_stale = stale.iter().any(|s| s.name == name && s.platform == platform);
            let locked = old.get(&name, platform).filter(|_| !is_stale);
            let fits = |locked: &&LockedTree| {
                let building = locked.plan.building.as_ref();
                building.is_some_and(|b| other_trees(b, platform, &lock).is_empty())
            };
            match locked.filter(fits).filter(|_| !options.upgrade.wants(&name)) {
                Some(locked) => {
                    locked.check()?;
                    lock.put(locked.clone());
                }
                None => todo.push((name, platform)),
            }
        }
        if !todo.is_empty() {
            made.extend(resolving.run(&mut lock, todo)?);
        }
    }
    let (of_sets, texts) =
        packages::update(project, cx, fetcher, &old, &mut lock, &options.upgrade)?;
    made.extend(of_sets);
    let changes = describe(&before, &lock);
    let written = lock.render() != old_text;
    Ok(Outcome { lock, changes, written, made, before, texts })
}

/// Returns the lock as it was. A lock with conflict markers yields all entries of both sides that
/// fit the manifest.
fn read_old(project: &Project, text: &str, cx: &Context) -> Result<Lockfile> {
    let file = shown(&project.lock_path, &cx.here);
    if !lockfile::has_conflict_markers(text) {
        return Lockfile::parse_union(text, &file);
    }
    let line = lockfile::first_marker(text).map_or_else(String::new, |line| format!(":{line}"));
    cx.reporter.line(&format!(
        "{file}{line} holds merge conflict markers: keeping what fits the manifest"
    ));
    let mut out = Lockfile::default();
    for side in lockfile::sides(text) {
        let Ok(lock) = Lockfile::parse(&side, &file) else { continue };
        let stale = stale(project, &lock);
        for ((name, platform), tree) in lock.trees {
            let fits = !stale.iter().any(|s| s.name == name && s.platform == platform);
            if fits && tree.edited.is_none() && out.get(&name, platform).is_none() {
                out.put(tree);
            }
        }
    }
    Ok(out)
}

fn describe(old: &Lockfile, new: &Lockfile) -> Vec<String> {
    let mut out = vec![];
    let keys: std::collections::BTreeSet<_> = old.trees.keys().chain(new.trees.keys()).collect();
    for key in keys {
        let name = format!("{} for {}", key.0, key.1);
        match (old.trees.get(key), new.trees.get(key)) {
            (None, Some(tree)) => out.push(format!(
                "added {name}: {}, {} input{}",
                tree.plan.version,
                tree.plan.inputs.len(),
                if tree.plan.inputs.len() == 1 { "" } else { "s" }
            )),
            (Some(_), None) => out.push(format!("removed {name}")),
            (Some(a), Some(b)) if a != b => {
                let version = if a.plan.version == b.plan.version {
                    a.plan.version.clone()
                } else {
                    format!("{} -> {}", a.plan.version, b.plan.version)
                };
                out.push(format!("changed {name}: {version}"));
                let only = |these: &lockfile::Plan, those: &lockfile::Plan| -> Vec<String> {
                    let known = |hash| those.inputs.iter().any(|i| i.sha256 == hash);
                    let new = these.inputs.iter().filter(|i| !known(i.sha256));
                    new.map(|i| i.file_name().to_owned()).collect()
                };
                out.extend(only(&b.plan, &a.plan).iter().map(|file| format!("  + {file}")));
                out.extend(only(&a.plan, &b.plan).iter().map(|file| format!("  - {file}")));
            }
            _ => {}
        }
    }
    out
}

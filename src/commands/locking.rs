//! The work of `lock`, which `setup` does too when there is no lock or it is stale.

use std::cell::RefCell;

use fs_err as fs;
use jiff::Timestamp;

use super::{pip, requirements};
use crate::compose::{Composed, Composer, Order};
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{self, LockedTree, Lockfile, Plan, Release};
use crate::model::{Platform, ToolchainName};
use crate::project::{Project, read_text};
use crate::recipe;
use crate::resolve::debian_release::Keyring;
use crate::source::ResolveContext;

/// Which entries to lock anew, besides those that are stale.
pub enum Upgrade {
    /// None.
    Nothing,
    /// All.
    All,
    /// Those of some toolchains.
    Some(Vec<ToolchainName>),
}

impl Upgrade {
    pub(super) fn wants(&self, name: &ToolchainName) -> bool {
        match self {
            Upgrade::Nothing => false,
            Upgrade::All => true,
            Upgrade::Some(names) => names.contains(name),
        }
    }
}

/// A lock brought up to date.
pub struct Outcome {
    /// The lock now.
    pub lock: Lockfile,
    /// What changed, for people: a line each.
    pub changes: Vec<String>,
    /// The trees that were made on the way, with the time that each took.
    pub made: Vec<Composed>,
}

/// Brings the lock up to date with the manifest and writes it if its bytes change.
///
/// # Errors
/// If something cannot be resolved, fetched or composed; then the lock stays as it was.
pub fn update(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    upgrade: &Upgrade,
    allow_expired: bool,
) -> Result<Outcome> {
    let old_text = if project.lock_path.exists() {
        read_text(&project.lock_path, &shown(&project.lock_path, &cx.here))?
    } else {
        String::new()
    };
    let old = read_old(project, &old_text, cx)?;
    let stale = project.stale(&old);
    let mut lock = Lockfile::default();
    let mut made = vec![];
    let mut todo: Vec<(ToolchainName, Platform)> = vec![];
    for (toolchain, platform) in project.entries() {
        let is_stale = stale.iter().any(|s| s.name == toolchain.name && s.platform == platform);
        match old.get(&toolchain.name, platform) {
            Some(locked) if !is_stale && !upgrade.wants(&toolchain.name) => {
                lock.put(locked.clone())
            }
            _ => todo.push((toolchain.name.clone(), platform)),
        }
    }
    let known: Vec<Release> = old.trees.values().flat_map(|t| t.plan.releases.clone()).collect();
    if !todo.is_empty() {
        // What comes through pip needs the pinned Python, which must be locked first.
        let (through_pip, plain): (Vec<_>, Vec<_>) = todo
            .into_iter()
            .partition(|(name, _)| project.manifest.toolchains[name].source.value == "pypi");
        made.extend(resolve_and_compose(
            project,
            cx,
            fetcher,
            &mut lock,
            plain,
            &known,
            allow_expired,
        )?);
        if !through_pip.is_empty() {
            pip::offer(cx, fetcher, &lock, project.manifest.settings.hard_links)?;
            made.extend(resolve_and_compose(
                project,
                cx,
                fetcher,
                &mut lock,
                through_pip,
                &known,
                allow_expired,
            )?);
        }
    }
    made.extend(requirements::update(project, cx, fetcher, &old, &mut lock, upgrade)?);
    let changes = describe(&old, &lock);
    let text = lock.render();
    if text != old_text {
        crate::project::replace(&project.lock_path, &text)?;
    }
    Ok(Outcome { lock, changes, made })
}

/// The lock as it was. From one with conflict markers, all entries of both sides that fit the manifest.
fn read_old(project: &Project, text: &str, cx: &Context) -> Result<Lockfile> {
    let file = shown(&project.lock_path, &cx.here);
    if text.is_empty() {
        return Ok(Lockfile::default());
    }
    if !lockfile::has_conflict_markers(text) {
        return Lockfile::parse(text, &file);
    }
    cx.reporter
        .line(&format!("{file} holds merge conflict markers: keeping what fits the manifest"));
    let mut out = Lockfile::default();
    for side in lockfile::sides(text) {
        let Ok(lock) = Lockfile::parse(&side, &file) else { continue };
        let stale = project.stale(&lock);
        for ((name, platform), tree) in lock.trees {
            let fits = !stale.iter().any(|s| s.name == name && s.platform == platform);
            if fits && out.get(&name, platform).is_none() {
                out.put(tree);
            }
        }
    }
    Ok(out)
}

fn resolve_and_compose(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    lock: &mut Lockfile,
    mut todo: Vec<(ToolchainName, Platform)>,
    known: &[Release],
    allow_expired: bool,
) -> Result<Vec<Composed>> {
    let settings = &project.manifest.settings;
    let keyring = match &settings.keyring {
        Some(file) => {
            let path = project.dir().join(file);
            let bytes = fs::read(&path).map_err(|e| {
                Error::unreadable(&path, e)
                    .hint("[settings] keyring names it, relative to toolchains.toml")
            })?;
            Keyring::parse(&bytes, &path.display().to_string())?
        }
        None => Keyring::shipped()?,
    };
    let resolving = ResolveContext {
        fetcher,
        reporter: &cx.reporter,
        now: Timestamp::now(),
        keyring: &keyring,
        check_valid_until: settings.check_valid_until && !allow_expired,
        known: known.to_vec(),
        index: RefCell::default(),
    };
    // Platform by platform: the index of one is as much as there should be in memory.
    todo.sort_by(|a, b| (a.1.as_str(), &a.0).cmp(&(b.1.as_str(), &b.0)));
    let mut plans = vec![];
    for (name, platform) in todo {
        crate::interrupt::check()?;
        let toolchain = &project.manifest.toolchains[&name];
        let _spinner = cx.reporter.spinner("resolving", &format!("{name} for {platform}"));
        let found = project.sources[&name].resolve(platform, &resolving).map_err(|e| {
            project
                .locate(e.context(format!("can't lock {name} for {platform}")).about(name.as_str()))
        })?;
        plans.push(Plan {
            name,
            platform,
            kind: toolchain.kind,
            source: toolchain.source.value.clone(),
            version: found.version,
            recipe: recipe::current(toolchain.kind).to_owned(),
            request: project.request(toolchain, platform),
            releases: found.releases,
            inputs: found.inputs,
        });
    }
    resolving.index.take();
    let composer = Composer {
        store: &cx.store,
        fetcher,
        reporter: cx.reporter.clone(),
        jobs: cx.jobs(),
        hard_links: settings.hard_links,
    };
    let native = Platform::native();
    let orders: Vec<Order> = plans
        .iter()
        .map(|plan| Order { plan, expected: None, keep: native == Some(plan.platform) })
        .collect();
    let made = composer.run(&orders).map_err(|e| project.locate(e))?;
    let idle: Vec<_> =
        plans.iter().zip(&made).map(|(p, made)| (&p.name, made.idle.as_slice())).collect();
    project.warn_of_idle_patterns(&idle, cx);
    for (plan, made) in plans.into_iter().zip(&made) {
        lock.put(LockedTree { plan, output: made.output.clone() });
    }
    Ok(made)
}

fn describe(old: &Lockfile, new: &Lockfile) -> Vec<String> {
    let mut out = vec![];
    let keys: std::collections::BTreeSet<_> = old.trees.keys().chain(new.trees.keys()).collect();
    for key in keys {
        let name = format!("{} for {}", key.0, key.1);
        match (old.trees.get(key), new.trees.get(key)) {
            (None, Some(tree)) => out.push(format!(
                "added {name}: {}, {} inputs",
                tree.plan.version,
                tree.plan.inputs.len()
            )),
            (Some(_), None) => out.push(format!("removed {name}")),
            (Some(a), Some(b)) if a != b => {
                let version = if a.plan.version == b.plan.version {
                    a.plan.version.clone()
                } else {
                    format!("{} -> {}", a.plan.version, b.plan.version)
                };
                out.push(format!("changed {name}: {version}"));
                for input in b.plan.inputs.iter().filter(|i| !a.plan.inputs.contains(i)) {
                    out.push(format!("  + {}", input.file_name()));
                }
                for input in a.plan.inputs.iter().filter(|i| !b.plan.inputs.contains(i)) {
                    out.push(format!("  - {}", input.file_name()));
                }
            }
            _ => {}
        }
    }
    out
}

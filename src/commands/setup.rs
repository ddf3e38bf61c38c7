//! `cotter setup`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::locking::{self, Upgrade};
use super::{emit, human, pip, print, print_json, requirements, table};
use crate::cli::Setup;
use crate::compose::{Composed, Composer, Order};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::lockfile::{self, LockedTree, Lockfile};
use crate::manifest::did_you_mean;
use crate::model::{Platform, ToolchainName};
use crate::project::{Project, read_lock, stale_error};
use crate::reporter::Verbosity;
use crate::store::{Root, RootTree, Staging, Stamp, Store};

/// What became of one tree.
pub struct Ready {
    /// The tree.
    pub tree: RootTree,
    /// How long it took to make, if it was not there.
    pub made_in: Option<Duration>,
}

/// Runs the command.
///
/// # Errors
/// See [`ensure`].
pub fn run(args: &Setup, cx: &Context) -> Result<ExitCode> {
    let platform = native_or(args.platform)?;
    let ready = match fresh(&args.names, platform, cx) {
        Some(trees) => trees.into_iter().map(|tree| Ready { tree, made_in: None }).collect(),
        None => ensure(args, platform, cx)?,
    };
    if args.json {
        let list: Vec<_> = ready
            .iter()
            .map(|r| {
                json!({
                    "name": r.tree.name.as_str(), "kind": r.tree.kind.as_str(), "version": r.tree.version, "platform": r.tree.platform.as_str(),
                    "path": cx.store.path(&r.tree.store_name), "size": r.tree.nar_size, "seconds": r.made_in.map(|t| t.as_secs_f64()), "fetched": r.made_in.is_some(),
                })
            })
            .collect();
        print_json(&json!({ "trees": list }))?;
    } else if cx.reporter.verbosity() > Verbosity::Quiet {
        let rows: Vec<Vec<String>> = ready
            .iter()
            .map(|r| {
                let (time, what) = match r.made_in {
                    Some(time) => (format!("{:.1} s", time.as_secs_f64()), "fetched"),
                    None => ("-".to_owned(), "already there"),
                };
                vec![
                    r.tree.name.to_string(),
                    r.tree.version.clone(),
                    r.tree.platform.to_string(),
                    human(r.tree.nar_size),
                    time,
                    what.to_owned(),
                ]
            })
            .collect();
        print(&table::render(
            &["name", "version", "platform", "size", "time", ""],
            &rows,
            &[3, 4],
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The platform that was named, or this machine's.
///
/// # Errors
/// If none was named and cotter has no trees for this machine.
pub fn native_or(platform: Option<Platform>) -> Result<Platform> {
    platform.or_else(Platform::native).ok_or_else(|| {
        Error::user("cotter makes no trees that run on this machine")
            .hint("name one of the manifest's platforms with --platform, to prepare trees for other machines")
    })
}

/// The trees of the project's root, if neither manifest nor lock changed since it was made and all are there: the way without reading either.
pub fn fresh(names: &[ToolchainName], platform: Platform, cx: &Context) -> Option<Vec<RootTree>> {
    let manifest = cx.manifest_path().ok()?;
    let root = cx.store.root(&manifest)?;
    if Stamp::of(&manifest) != Some(root.manifest)
        || Stamp::of(&manifest.with_file_name(lockfile::FILE_NAME)) != Some(root.lock)
        || root.inputs.iter().any(|(path, stamp)| Stamp::of(path) != Some(*stamp))
        || (names.is_empty() && !root.complete.contains(&platform))
    {
        return None;
    }
    let mut trees: Vec<RootTree> =
        root.trees.into_iter().filter(|t| t.platform == platform).collect();
    if !names.is_empty() {
        trees = names
            .iter()
            .map(|n| trees.iter().find(|t| t.name == *n).cloned())
            .collect::<Option<_>>()?;
    }
    trees.iter().all(|t| cx.store.has(&t.store_name)).then_some(trees)
}

/// Makes the trees that are missing and registers the project's root.
///
/// # Errors
/// If the lock does not fit and may not change, or a tree cannot be fetched, composed or stored.
pub fn ensure(args: &Setup, platform: Platform, cx: &Context) -> Result<Vec<Ready>> {
    crate::interrupt::install();
    // Also when nothing is missing: a process may have been killed between its last tree and the end.
    Staging::sweep(&cx.store)?;
    let manifest_path = cx.manifest_path()?;
    let lock_path = manifest_path.with_file_name(lockfile::FILE_NAME);
    let (fetcher, hard_links, lock, known);
    let mut emits = None;
    // As they are now: what changes while this runs, the next run must see.
    let manifest_stamp = Stamp::of(&manifest_path);
    let mut made_before = vec![];
    if cx.global.frozen {
        let found = read_lock(&lock_path, cx)?;
        lock = found.ok_or_else(|| {
            Error::new(Kind::LockStale, format!("there is no {}", lock_path.display()))
                .hint("run `cotter lock` first, or leave --frozen out")
        })?;
        // The manifest is not checked against the lock, but where its mirrors are is worth knowing.
        let project = Project::load(cx).ok();
        fetcher = cx.fetcher(project.as_ref().map(|p| &p.manifest))?;
        hard_links = project.is_none_or(|p| p.manifest.settings.hard_links);
        known = lock.trees.keys().map(|k| k.0.clone()).collect::<Vec<_>>();
    } else {
        let project = Project::load(cx)?;
        fetcher = cx.fetcher(Some(&project.manifest))?;
        hard_links = project.manifest.settings.hard_links;
        (lock, made_before) = current_lock(&project, args, cx, &fetcher)?;
        known = project
            .manifest
            .toolchains
            .keys()
            .cloned()
            .chain(project.package_trees().into_iter().map(|t| t.name))
            .collect();
        emits = Some(project);
    }
    for name in &args.names {
        if !known.contains(name) {
            return Err(Error::user(format!(
                "there is no toolchain {:?}{}",
                name.as_str(),
                did_you_mean(name.as_str(), known.iter().map(|n| n.as_str()))
            )));
        }
        if lock.get(name, platform).is_none() {
            return Err(Error::user(format!("{name} is not locked for {platform}"))
                .hint(format!("add {:?} to the platforms of toolchains.toml", platform.as_str())));
        }
    }
    let wanted: Vec<&LockedTree> = lock
        .trees
        .values()
        .filter(|t| {
            t.plan.platform == platform
                && if args.names.is_empty() {
                    !t.plan.serves_builds()
                } else {
                    args.names.contains(&t.plan.name)
                }
        })
        .collect();
    if wanted.is_empty() && !known.is_empty() {
        return Err(Error::user(format!("no toolchain is locked for {platform}"))
            .hint(format!("add {:?} to the platforms of toolchains.toml", platform.as_str())));
    }
    let composer = Composer {
        store: &cx.store,
        fetcher: &fetcher,
        reporter: cx.reporter.clone(),
        jobs: cx.jobs(),
        hard_links,
    };
    // From here on `gc` leaves them alone, there or not.
    for tree in &wanted {
        cx.store.mark_used(&tree.output.store_name);
    }
    let mut held = vec![];
    let mut ready = vec![];
    // What may need the pinned Python comes after it.
    let (late, early): (Vec<&LockedTree>, Vec<&LockedTree>) =
        wanted.iter().copied().partition(|t| t.plan.comes_from_python_index());
    for (round, trees) in [early, late].into_iter().enumerate() {
        if round == 1
            && trees.iter().any(|t| {
                !cx.store.has(&t.output.store_name)
                    && (t.plan.holds_built_wheels()
                        || !t.plan.inputs.iter().all(|i| fetcher.has(i)))
            })
        {
            pip::offer(cx, &fetcher, &lock, hard_links)?;
        }
        // In the order of names, so that two processes never wait for each other.
        let mut missing: Vec<&LockedTree> =
            trees.iter().copied().filter(|t| !cx.store.has(&t.output.store_name)).collect();
        missing.sort_by(|a, b| a.output.store_name.as_str().cmp(b.output.store_name.as_str()));
        missing.dedup_by(|a, b| a.output.store_name == b.output.store_name);
        for tree in &missing {
            held.push(cx.store.lock_to_compose(&tree.output.store_name)?);
        }
        missing.retain(|t| !cx.store.has(&t.output.store_name));
        // What builds use comes before what is built.
        let (plain, built): (Vec<&LockedTree>, Vec<&LockedTree>) =
            missing.iter().copied().partition(|t| !t.plan.holds_built_wheels());
        let mut made = compose(&composer, &plain)?;
        requirements::rebuild(&built, &lock, cx, &fetcher, &composer)?;
        made.extend(compose(&composer, &built)?);
        missing = [plain, built].concat();
        for tree in trees {
            let now = missing.iter().position(|m| m.output == tree.output).map(|i| made[i].time);
            let made_in = now
                .or_else(|| made_before.iter().find(|m| m.output == tree.output).map(|m| m.time));
            ready.push(Ready { tree: root_tree(tree), made_in });
        }
    }
    ready.sort_by(|a, b| a.tree.name.cmp(&b.tree.name));
    let lock_stamp = Stamp::of(&lock_path);
    let unchanged = read_lock(&lock_path, cx).is_ok_and(|now| now.as_ref() == Some(&lock));
    // A root without valid stamps keeps its trees from `gc`, but is no shortcut.
    let stamps = manifest_stamp.zip(lock_stamp).filter(|_| unchanged && !cx.global.frozen);
    // The files of requirements may have changed meanwhile, too.
    let stamps =
        stamps.filter(|_| emits.as_ref().is_none_or(|project| project.stale(&lock).is_empty()));
    let inputs = emits.as_ref().map(Project::package_files).unwrap_or_default();
    // Of a store that is part of an image, or of another user, nothing is deleted behind our back, and nothing was made: there is nothing to note.
    if cx.store.is_writable() || ready.iter().any(|r| r.made_in.is_some()) {
        register(&cx.store, &manifest_path, stamps.unwrap_or_default(), inputs, &lock, &ready)?;
    }
    drop(held);
    if let Some(project) = emits {
        emit::after_setup(&project, &lock, cx)?;
    }
    Ok(ready)
}

/// Makes locked trees; the results are in their order.
fn compose(composer: &Composer, trees: &[&LockedTree]) -> Result<Vec<Composed>> {
    let orders: Vec<Order> = trees
        .iter()
        .map(|t| Order { plan: &t.plan, expected: Some(&t.output), keep: true })
        .collect();
    if orders.is_empty() { Ok(vec![]) } else { composer.run(&orders) }
}

fn current_lock(
    project: &Project,
    args: &Setup,
    cx: &Context,
    fetcher: &crate::fetch::Fetcher,
) -> Result<(Lockfile, Vec<Composed>)> {
    let text_exists = project.lock_path.exists();
    if cx.global.locked {
        let lock = project.lock(cx)?.unwrap_or_default();
        let stale = project.stale(&lock);
        return if stale.is_empty() {
            Ok((lock, vec![]))
        } else {
            Err(stale_error(&stale, &project.lock_path, cx))
        };
    }
    if text_exists {
        let lock = project.lock(cx)?.unwrap_or_default();
        if project.stale(&lock).is_empty() {
            return Ok((lock, vec![]));
        }
    }
    let outcome = locking::update(project, cx, fetcher, &Upgrade::Nothing, args.allow_expired)?;
    for line in &outcome.changes {
        cx.reporter.line(line);
    }
    Ok((outcome.lock, outcome.made))
}

fn root_tree(tree: &LockedTree) -> RootTree {
    RootTree {
        name: tree.plan.name.clone(),
        kind: tree.plan.kind,
        platform: tree.plan.platform,
        store_name: tree.output.store_name.clone(),
        nar_size: tree.output.nar_size,
        version: tree.plan.version.clone(),
    }
}

/// Registers what is ready now, with what the root had before and the lock still names. `stamps` are those of manifest and lock as they were read: if they changed
/// meanwhile, the next setup must look again.
fn register(
    store: &Store,
    manifest: &Path,
    stamps: (Stamp, Stamp),
    inputs: Vec<PathBuf>,
    lock: &Lockfile,
    ready: &[Ready],
) -> Result<()> {
    let project = manifest.to_owned();
    let mut trees: Vec<RootTree> = ready.iter().map(|r| r.tree.clone()).collect();
    if let Some(old) = store.root(&project) {
        let still = |t: &RootTree| {
            lock.get(&t.name, t.platform).is_some_and(|l| l.output.store_name == t.store_name)
        };
        trees.extend(old.trees.into_iter().filter(|t| {
            still(t)
                && !ready.iter().any(|r| r.tree.name == t.name && r.tree.platform == t.platform)
        }));
    }
    trees.sort_by(|a, b| (&a.name, a.platform).cmp(&(&b.name, b.platform)));
    let all_of = |platform: &Platform| {
        let mut locked = lock
            .trees
            .values()
            .filter(|t| t.plan.platform == *platform && !t.plan.serves_builds())
            .peekable();
        locked.peek().is_some()
            && locked.all(|t| trees.iter().any(|r| r.store_name == t.output.store_name))
    };
    let complete = Platform::ALL.into_iter().filter(all_of).collect();
    let inputs = inputs
        .into_iter()
        .filter_map(|path| Some((Stamp::of(&path)?, path)))
        .map(|(stamp, path)| (path, stamp))
        .collect();
    let root = Root { project, manifest: stamps.0, lock: stamps.1, complete, inputs, trees };
    if store.root(&root.project).as_ref() == Some(&root) {
        return Ok(());
    }
    store.add_root(&root)
}

//! Makes the trees of a project ready for use: through the project's root in the store, which is
//! the short way, or by locking, making and registering the missing trees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::Fetcher;
use crate::lock::{self, Options, Upgrade};
use crate::lockfile::{self, LockedTree, Lockfile};
use crate::make::{Made, native_or_refuse};
use crate::manifest::no_such_toolchain;
use crate::model::{Kind, Platform, ToolchainName};
use crate::project::{Project, maker, read_lock};
use crate::python::editable::Editable;
use crate::recipe::{self, Active};
use crate::store::{Root, RootTree, Staging, Stamp, Store};
use crate::trust;

/// A request for trees.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The toolchains. Those that their programs need to run come along. An empty list means all
    /// toolchains of the platform.
    pub names: &'a [ToolchainName],
    /// The platform.
    pub platform: Platform,
    /// Whether an index whose `Valid-Until` has passed is accepted if something must be locked.
    pub allow_expired: bool,
    /// Whether the facts of the trees must be recorded, because other tools read them.
    pub with_facts: bool,
}

/// The result for one tree.
pub struct Ready {
    /// The tree.
    pub tree: RootTree,
    /// The time that it took to make the tree, if it was missing.
    pub made_in: Option<Duration>,
    /// The binary cache that had it.
    pub from: Option<String>,
}

/// Returns the platform that was named, or this machine's platform.
///
/// # Errors
/// If no platform was named and cotter has no trees for this machine.
pub fn native_or(platform: Option<Platform>) -> Result<Platform> {
    native_or_refuse(platform.or_else(Platform::native))
}

/// Returns the trees of the project's root, if neither the manifest nor the lock changed since the
/// root was registered and all trees exist. Neither file is read. With `emitted`, the files that
/// were emitted for other tools must be unchanged, too.
fn fresh(
    names: &[ToolchainName],
    platform: Platform,
    emitted: bool,
    cx: &Context,
) -> Option<Vec<RootTree>> {
    let is_changed = |(path, stamp): &(PathBuf, Stamp)| Stamp::of(path) != Some(*stamp);
    let manifest = cx.manifest_path().ok()?;
    let root = cx.store.root(&manifest)?;
    if Stamp::of(&manifest) != Some(root.manifest)
        || Stamp::of(&manifest.with_file_name(lockfile::FILE_NAME)) != Some(root.lock)
        || root.inputs.iter().any(is_changed)
        || (emitted && root.emitted.iter().any(is_changed))
        || (names.is_empty() && !root.complete.contains(&platform))
    {
        return None;
    }
    let mut trees: Vec<RootTree> =
        root.trees.into_iter().filter(|t| t.platform == platform).collect();
    if !names.is_empty() {
        let find = |name: &ToolchainName| trees.iter().find(|t| t.name == *name);
        let names = with_companions(names, &|name| {
            let tree = find(name)?;
            Some((recipe::named(&tree.recipe)?.kind(), tree.run.as_slice()))
        });
        trees = names.iter().map(|name| find(name).cloned()).collect::<Option<_>>()?;
    }
    trees.iter().all(|t| cx.store.has(&t.store_name)).then_some(trees)
}

/// Emits the files for which a project asks. The results are the files with their stamps; a file
/// that is not as it should be has the default stamp.
pub type EmitFiles<'a> = &'a dyn Fn(&Project, &Lockfile, &Context) -> Result<Vec<(PathBuf, Stamp)>>;

/// Makes the trees ready, by the short way if possible. `emit` is called unless the short way is
/// taken.
///
/// # Errors
/// See [`ensure`].
pub fn ready(request: &Wanted, cx: &Context, emit: EmitFiles) -> Result<Vec<Ready>> {
    cx.store.refuse_if_open()?;
    // A store that cannot be written cannot record any facts.
    let has_facts = |trees: &Vec<RootTree>| {
        trees.iter().all(|t| cx.store.has_facts(&t.store_name)) || !cx.store.is_writable()
    };
    let fresh = fresh(request.names, request.platform, request.with_facts, cx);
    match fresh.filter(|trees| !request.with_facts || has_facts(trees)) {
        Some(trees) => {
            Ok(trees.into_iter().map(|tree| Ready { tree, made_in: None, from: None }).collect())
        }
        None => ensure(request, cx, emit),
    }
}

/// Returns the trees of a request as they are: nothing is locked, fetched, made or registered.
///
/// # Errors
/// If the lock does not fit the manifest, or if a tree is not in the store. The hints name
/// `cotter setup`, which may change both.
pub fn present(names: &[ToolchainName], platform: Platform, cx: &Context) -> Result<Vec<RootTree>> {
    cx.store.refuse_if_open()?;
    if let Some(trees) = fresh(names, platform, false, cx) {
        return Ok(trees);
    }
    let request = Wanted { names, platform, allow_expired: false, with_facts: false };
    let (lock, known) = if cx.global.frozen {
        let manifest = cx.manifest_path()?;
        let lock = lock_as_it_is(&manifest.with_file_name(lockfile::FILE_NAME), cx)?;
        let known = lock.trees.keys().map(|k| k.0.clone()).collect();
        (lock, known)
    } else {
        let project = Project::load(cx)?;
        let known = known_names(&project);
        project.pins_something(names, cx)?;
        check_names(names, &known)?;
        let setup = |e: Error| e.hint("or run `cotter setup`, which also makes the trees");
        let lock = lock::required(&project, cx).map_err(setup)?;
        lock::check(&project, &lock, cx).map_err(setup)?;
        (lock, known)
    };
    check_names(names, &known)?;
    let wanted = wanted(&request, &lock, &known)?;
    let missing: Vec<&&LockedTree> =
        wanted.iter().filter(|tree| !cx.store.has(&tree.output.store_name)).collect();
    let Some(first) = missing.first() else {
        let mut trees: Vec<RootTree> = wanted.into_iter().map(root_tree).collect();
        trees.sort_by(|a, b| a.name.cmp(&b.name));
        check_foreign(&cx.store, &cx.manifest_path()?, &mut trees.iter())?;
        return Ok(trees);
    };
    let list: Vec<&str> = missing.iter().map(|tree| tree.plan.name.as_str()).collect();
    let be = if list.len() == 1 { "is" } else { "are" };
    let flag = match Platform::native() == Some(platform) {
        true => String::new(),
        false => format!(" --platform {platform}"),
    };
    Err(Error::user(format!("{} {be} not set up", list.join(", ")))
        .because(format!(
            "{} is not in the store {}",
            first.output.store_name,
            cx.store.dir().display()
        ))
        .hint(format!("run `cotter setup{flag}`")))
}

/// Like [`present`], for a verb that hands on the environment of the trees. A root stands for what was
/// accepted when it was made; otherwise the user must have accepted the variables of the manifest.
///
/// # Errors
/// See [`present`] and [`trust::check_variables`].
pub fn present_environment(
    names: &[ToolchainName],
    platform: Platform,
    cx: &Context,
) -> Result<Vec<RootTree>> {
    let trees = present(names, platform, cx)?;
    if fresh(names, platform, false, cx).is_none() {
        trust::check_variables(&trees, cx)?;
    }
    Ok(trees)
}

/// Makes the missing trees and registers the project's root.
///
/// # Errors
/// If the lock does not fit the manifest and must not change, or if a tree cannot be fetched,
/// composed or stored, or if `emit` fails. In the last case, the root is registered nevertheless.
fn ensure(request: &Wanted, cx: &Context, emit: EmitFiles) -> Result<Vec<Ready>> {
    crate::interrupt::install();
    let manifest_path = cx.manifest_path()?;
    let lock_path = manifest_path.with_file_name(lockfile::FILE_NAME);
    // Take the stamps now: the next run must see any change made while this one runs.
    let manifest_stamp = Stamp::of(&manifest_path);
    let current = if cx.global.frozen {
        frozen(&lock_path, request.names, cx)?
    } else {
        Current::read(request, cx)?
    };
    let Current { project, unlocked, fetcher, hard_links, lock, made: made_before, known } =
        current;
    refuse_or_warn(cx)?;
    let wanted = wanted(request, &lock, &known)?;
    // The root, by which the next run takes the short way, is only made after this.
    let loaded = project.as_ref().or(unlocked.as_ref());
    trust::demand(loaded, Some(&lock), cx)?;
    let missing = wanted.iter().any(|tree| !cx.store.has(&tree.output.store_name));
    if missing || cx.store.is_writable() {
        // Sweep even if nothing is missing: a process may have been killed between its last tree
        // and its end.
        Staging::sweep(&cx.store)?;
    }
    let maker = match loaded {
        Some(project) => project.maker(cx, &fetcher),
        None => maker(cx, &fetcher, hard_links),
    };
    let made = maker.ensure(&lock, &wanted)?;
    let ready = |(tree, made): (&&LockedTree, &Made)| {
        let before = made_before.iter().find(|m| m.output == tree.output);
        let made_in = made.time.or_else(|| before.and_then(|m| m.time));
        let from = made.from.clone().or_else(|| before.and_then(|m| m.from.clone()));
        Ready { tree: root_tree(tree), made_in, from }
    };
    let mut trees: Vec<Ready> = wanted.iter().zip(&made).map(ready).collect();
    trees.sort_by(|a, b| a.tree.name.cmp(&b.tree.name));
    let lock_stamp = Stamp::of(&lock_path);
    let unchanged = read_lock(&lock_path, cx).is_ok_and(|now| now.as_ref() == Some(&lock));
    // A root without valid stamps protects its trees from `gc`, but does not serve as a shortcut.
    let stamps = manifest_stamp.zip(lock_stamp).filter(|_| unchanged && !cx.global.frozen);
    // The requirement files may have changed in the meantime, too.
    let stamps = stamps
        .filter(|_| project.as_ref().is_none_or(|project| lock::stale(project, &lock).is_empty()));
    let inputs = project.as_ref().map(Project::package_files).unwrap_or_default();
    let fits = |project: &&Project| lock::stale(project, &lock).is_empty();
    let emitted = match project.as_ref().filter(fits) {
        Some(project) => Some(emit(project, &lock, cx)).transpose(),
        None => Ok(None),
    };
    // If the store is part of an image or belongs to another user, nobody deletes trees from it
    // unexpectedly, and nothing was made, so there is nothing to record.
    if cx.store.is_writable() || missing {
        let there = trees.iter().filter(|ready| ready.made_in.is_none());
        check_foreign(&cx.store, &manifest_path, &mut there.map(|ready| &ready.tree))?;
        let noted = match &emitted {
            Ok(files) => files.clone(),
            // The next setup tries again.
            Err(_) => Some(vec![(manifest_path.clone(), Stamp::default())]),
        };
        let files = Files { inputs, emitted: noted };
        register(&cx.store, &manifest_path, stamps.unwrap_or_default(), files, &lock, &trees)?;
    }
    emitted?;
    Ok(trees)
}

/// Refuses a store that everybody may change, and warns of one that some others may change.
fn refuse_or_warn(cx: &Context) -> Result<()> {
    for weakness in cx.store.weaknesses() {
        if weakness.is_grave() {
            return Err(weakness.into_error());
        }
        cx.reporter.warn(&format!("{weakness}: {}", weakness.way_out()));
    }
    Ok(())
}

/// Checks the trees that the project uses for the first time and that this user did not make.
fn check_foreign(
    store: &Store,
    project: &Path,
    trees: &mut dyn Iterator<Item = &RootTree>,
) -> Result<()> {
    let known = store.root(project).map(|root| root.trees).unwrap_or_default();
    for tree in trees {
        let name = &tree.store_name;
        if !known.iter().any(|tree| tree.store_name == *name) {
            store.check_foreign(name)?;
        }
    }
    Ok(())
}

/// The lock that is to be used, and the data that was read with it.
struct Current {
    project: Option<Project>,
    /// The project if its manifest is not compared with the lock.
    unlocked: Option<Project>,
    fetcher: Fetcher,
    hard_links: bool,
    lock: Lockfile,
    /// The trees that were made while locking.
    made: Vec<Made>,
    /// The names that a request may contain.
    known: Vec<ToolchainName>,
}

/// Reads the lock, which must exist.
fn lock_as_it_is(lock_path: &Path, cx: &Context) -> Result<Lockfile> {
    read_lock(lock_path, cx)?.ok_or_else(|| {
        Error::new(ErrorKind::LockStale, format!("there is no {}", lock_path.display()))
            .hint("run `cotter lock` first, or leave --frozen out")
    })
}

/// Returns the names that a request may contain: those of the toolchains and of the trees of sets.
fn known_names(project: &Project) -> Vec<ToolchainName> {
    let sets = project.package_trees().into_iter().map(|t| t.name);
    project.manifest.toolchains.keys().cloned().chain(sets).collect()
}

/// Returns the lock as it is. The manifest is not compared with it, but its mirrors and settings
/// are used.
fn frozen(lock_path: &Path, names: &[ToolchainName], cx: &Context) -> Result<Current> {
    let lock = lock_as_it_is(lock_path, cx)?;
    let project = Project::load(cx).ok();
    let fetcher = cx.fetcher(project.as_ref().map(|p| &p.manifest))?;
    let hard_links = project.as_ref().is_none_or(|p| p.manifest.settings.hard_links);
    let known: Vec<ToolchainName> = lock.trees.keys().map(|k| k.0.clone()).collect();
    check_names(names, &known)?;
    let unlocked = project;
    Ok(Current { project: None, unlocked, fetcher, hard_links, lock, made: vec![], known })
}

impl Current {
    /// Returns the lock, brought up to date if that is allowed.
    fn read(request: &Wanted, cx: &Context) -> Result<Current> {
        let project = Project::load(cx)?;
        let fetcher = cx.fetcher(Some(&project.manifest))?;
        let hard_links = project.manifest.settings.hard_links;
        let known = known_names(&project);
        project.pins_something(request.names, cx)?;
        // Check the names before anything is fetched.
        check_names(request.names, &known)?;
        let (lock, made) = Self::lock(&project, request, cx, &fetcher)?;
        let unlocked = None;
        Ok(Current { project: Some(project), unlocked, fetcher, hard_links, lock, made, known })
    }

    fn lock(
        project: &Project,
        request: &Wanted,
        cx: &Context,
        fetcher: &Fetcher,
    ) -> Result<(Lockfile, Vec<Made>)> {
        if cx.global.locked {
            let lock = lock::required(project, cx)?;
            lock::check(project, &lock, cx)?;
            return Ok((lock, vec![]));
        }
        if let Some(lock) = project.lock(cx)? {
            let stale = lock::stale(project, &lock);
            if stale.is_empty() {
                return Ok((lock, vec![]));
            }
            // The uv of a lock must start, for example, where its `uv.lock` is to be made anew.
            if request.is_met_by(&lock, &stale) {
                let mut names: Vec<&str> = stale.iter().map(|stale| stale.name.as_str()).collect();
                names.dedup();
                cx.reporter.line(&format!(
                    "{} does not fit the manifest: {} (`cotter lock` brings it up to date)",
                    lockfile::FILE_NAME,
                    names.join(", ")
                ));
                return Ok((lock, vec![]));
            }
        }
        trust::demand(Some(project), project.lock(cx)?.as_ref(), cx)?;
        let options = Options {
            upgrade: Upgrade::Nothing,
            fresh: false,
            allow_expired: request.allow_expired,
            until: None,
        };
        let outcome = lock::update(project, cx, fetcher, &options)?;
        for line in &outcome.changes {
            cx.reporter.line(line);
        }
        Ok((outcome.lock, outcome.made))
    }
}

/// Fails if a requested name is not known.
fn check_names(asked: &[ToolchainName], known: &[ToolchainName]) -> Result<()> {
    match asked.iter().find(|name| !known.contains(name)) {
        Some(name) => {
            let known: std::collections::BTreeSet<&str> =
                known.iter().map(ToolchainName::as_str).collect();
            Err(no_such_toolchain(name.as_str(), known.into_iter()))
        }
        None => Ok(()),
    }
}

/// Returns the trees that the request asks for.
fn wanted<'l>(
    request: &Wanted,
    lock: &'l Lockfile,
    known: &[ToolchainName],
) -> Result<Vec<&'l LockedTree>> {
    let platform = request.platform;
    let add = || format!("add {:?} to the platforms of toolchains.toml", platform.as_str());
    for name in request.names {
        if lock.get(name, platform).is_none() {
            return Err(Error::user(format!("{name} is not locked for {platform}")).hint(add()));
        }
    }
    let names = with_companions(request.names, &|name| {
        let plan = &lock.get(name, platform)?.plan;
        Some((plan.spec.kind(), plan.uses.run.as_slice()))
    });
    let wants = |plan: &lockfile::Plan| match names.as_slice() {
        [] => !plan.serves_builds(),
        names => names.contains(&plan.name),
    };
    let wanted: Vec<&LockedTree> =
        lock.trees.values().filter(|t| t.plan.platform == platform && wants(&t.plan)).collect();
    if wanted.is_empty() && !known.is_empty() {
        return Err(Error::user(format!("no toolchain is locked for {platform}")).hint(add()));
    }
    Ok(wanted)
}

/// The kind of a toolchain, and the toolchains that its programs need to run.
type Needs<'a> = (Kind, &'a [ToolchainName]);

impl Wanted<'_> {
    /// Whether all that is asked for by name, and what its programs need to run, is in a lock of which other
    /// entries are stale.
    fn is_met_by(&self, lock: &Lockfile, stale: &[lock::Stale]) -> bool {
        let of = |name: &ToolchainName| Some(&lock.get(name, self.platform)?.plan);
        let names = with_companions(self.names, &|name| {
            of(name).map(|plan| (plan.spec.kind(), plan.uses.run.as_slice()))
        });
        let is_met = |name: &ToolchainName| {
            of(name).is_some() && !stale.iter().any(|stale| stale.name == *name)
        };
        !names.is_empty() && names.iter().all(is_met)
    }
}

/// Returns the named toolchains and those that their programs need to run, which `of` returns with
/// the kind of a toolchain. A set of Python packages needs its interpreter, unless an interpreter
/// is named, too. Without it, the programs of the set would start with a Python of the host.
fn with_companions<'a>(
    names: &[ToolchainName],
    of: &dyn Fn(&ToolchainName) -> Option<Needs<'a>>,
) -> Vec<ToolchainName> {
    let mut out = names.to_vec();
    let known: Vec<_> = names.iter().filter_map(of).collect();
    if known.iter().any(|(kind, _)| *kind == Kind::Python) {
        return out;
    }
    for name in known.iter().flat_map(|(_, run)| *run) {
        if !out.contains(name) {
            out.push(name.clone());
        }
    }
    out
}

fn root_tree(tree: &LockedTree) -> RootTree {
    RootTree {
        name: tree.plan.name.clone(),
        recipe: tree.plan.recipe.name.clone(),
        platform: tree.plan.platform,
        store_name: tree.output.store_name.clone(),
        nar_size: tree.output.nar_size,
        version: tree.plan.version.clone(),
        target: tree.plan.target(),
        run: tree.plan.uses.run.clone(),
        env: tree.plan.spec.programs().map(|p| p.env.clone()).unwrap_or_default(),
        editable: tree.plan.spec.packages().map(|p| p.editable.clone()).unwrap_or_default(),
        named: tree.plan.spec.programs().map(|p| p.named.clone()).unwrap_or_default(),
        closure: tree.plan.closure().cloned(),
    }
}

/// The files of a project, apart from its manifest and its lock, that a root records.
struct Files {
    /// The files that state which Python packages are required, and those generated from them.
    inputs: Vec<PathBuf>,
    /// The files that were emitted, or `None` if the emission was not asked.
    emitted: Option<Vec<(PathBuf, Stamp)>>,
}

/// Registers the trees that are ready now, together with the trees that the root already had and
/// that the lock still names. `stamps` are those of the manifest and the lock at the time of
/// reading: if the files changed in the meantime, the next setup must read them again.
fn register(
    store: &Store,
    manifest: &Path,
    stamps: (Stamp, Stamp),
    files: Files,
    lock: &Lockfile,
    ready: &[Ready],
) -> Result<()> {
    let project = manifest.to_owned();
    let _held = store.hold_roots()?;
    let mut trees: Vec<RootTree> = ready.iter().map(|r| r.tree.clone()).collect();
    let old = store.root(&project);
    let emitted = files.emitted.or_else(|| old.as_ref().map(|old| old.emitted.clone()));
    if let Some(old) = old {
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
    let inputs = files
        .inputs
        .into_iter()
        .filter_map(|path| Some((Stamp::of(&path)?, path)))
        .map(|(stamp, path)| (path, stamp))
        .collect();
    let root = Root {
        project,
        manifest: stamps.0,
        lock: stamps.1,
        complete,
        inputs,
        emitted: emitted.unwrap_or_default(),
        trees,
    };
    if store.root(&root.project).as_ref() == Some(&root) {
        return Ok(());
    }
    store.add_root(&root)
}

/// Converts ready trees to the input of an environment. The trees are marked as used.
///
/// # Errors
/// If a tree was made by a recipe that this version of cotter does not have.
pub fn active(trees: Vec<RootTree>, cx: &Context) -> Result<Vec<Active>> {
    let is_library = |tree: &&RootTree| {
        recipe::named(&tree.recipe).is_some_and(|recipe| recipe.kind() == Kind::Library)
    };
    let libraries: BTreeMap<ToolchainName, PathBuf> = trees
        .iter()
        .filter(is_library)
        .map(|tree| (tree.name.clone(), cx.store.path(&tree.store_name)))
        .collect();
    let active = |tree: RootTree| {
        let recipe = recipe::named(&tree.recipe).ok_or_else(|| {
            Error::user(format!("this cotter has no recipe {:?}", tree.recipe))
                .hint("run `cotter setup`")
        })?;
        let path = cx.store.path(&tree.store_name);
        let manifest = cx.manifest_path()?;
        let mut imports = vec![];
        for directory in &tree.editable {
            let project = manifest.parent().unwrap_or(Path::new("/"));
            for root in Editable::read(project, directory)?.roots() {
                let root = root.display().to_string();
                if root.contains(':') {
                    return Err(Error::user(format!("{root} can't be imported from"))
                        .because("expected a path without colons, which separate the directories of PYTHONPATH")
                        .hint("move the project to another directory, or use the packages in an environment: cotter venv"));
                }
                imports.push(root);
            }
        }
        Ok(Active {
            libraries: tree.run.iter().filter_map(|name| libraries.get(name).cloned()).collect(),
            imports,
            name: tree.name,
            recipe,
            platform: tree.platform,
            target: tree.target,
            env: tree.env,
            path,
            version: tree.version,
        })
    };
    trees.into_iter().map(active).collect()
}

//! `cotter emit`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::present::{self, programs};
use super::{print, print_json};
use crate::cli::Emit;
use crate::context::{Context, shown};
use crate::emit::{Bound, Destination, Files, MachineTree, MachineTrees, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::Fetcher;
use crate::lock;
use crate::lockfile::Lockfile;
use crate::make;
use crate::model::{MemberPath, Platform, ToolchainName, redact};
use crate::project::Project;
use crate::recipe;
use crate::reporter::Phase;
use crate::store::Stamp;
use crate::text::terminal::escaped;
use crate::trust;

/// What an emission gives.
struct Emitted {
    files: Files,
    /// What the user is told besides the names of the files.
    notes: Vec<String>,
}

/// A file of the folder whose content is not the expected one.
struct Change {
    /// Its path in the project.
    name: MemberPath,
    path: PathBuf,
    /// Its present content, if it exists.
    before: Option<String>,
    /// Its expected content.
    after: String,
}

/// Runs the command.
///
/// # Errors
/// If the lock is missing or stale, or if the result cannot be written; with `--check`, if a file
/// differs from what would be written.
pub fn run(args: &Emit, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    let bound = project
        .emissions
        .iter()
        .find(|bound| bound.name == args.tool)
        .expect("the command line takes the names of emitters only");
    check_usage(args, bound)?;
    let lock = lock::required(&project, cx)?;
    if !cx.global.frozen {
        lock::check(&project, &lock, cx)?;
    }
    match bound.emission.destination() {
        Destination::Folder(dir) => folder(bound, Some(dir), args, &project, &lock, cx),
        Destination::Project => folder(bound, None, args, &project, &lock, cx),
        Destination::Output => {
            let emitted = emission_of(bound, &args.names, &project, &lock, cx)?;
            let text: String = emitted.files.into_values().collect();
            match &args.output {
                Some(path) => crate::project::replace(&cx.here.join(path), &text)?,
                None => print(&text)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Fails if the command line contains arguments that the emitter does not have.
fn check_usage(args: &Emit, bound: &Bound) -> Result<()> {
    let usage = |message, hint: &str| Err(Error::new(ErrorKind::Usage, message).hint(hint));
    match bound.emission.destination() {
        Destination::Folder(dir) if args.output.is_some() || !args.names.is_empty() => usage(
            format!("`cotter emit {}` writes the folder {dir}, out of the whole lock", bound.name),
            "leave the names and --output out; [emit] in toolchains.toml has the folder",
        ),
        Destination::Project if args.output.is_some() || !args.names.is_empty() => usage(
            format!("`cotter emit {}` writes files of fixed names into the project", bound.name),
            "leave the names and --output out; `toolchains` of [emit.editor] in toolchains.toml selects toolchains",
        ),
        Destination::Output if args.check || args.json => usage(
            format!("`cotter emit {}` has neither --check nor --json", bound.name),
            "leave the flag out, and name a file with --output if you want one",
        ),
        _ => Ok(()),
    }
}

/// Writes or checks the files of a folder, or of the directory of the manifest.
fn folder(
    bound: &Bound,
    dir: Option<&str>,
    args: &Emit,
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<ExitCode> {
    let Emitted { files, notes } = emission_of(bound, &[], project, lock, cx)?;
    let changes = changes(project, dir, files)?;
    let dir = dir.map_or_else(|| project.dir().to_owned(), |dir| project.dir().join(dir));
    let place = shown(&dir, &cx.here);
    let place = if place.is_empty() { "this directory".to_owned() } else { place };
    let paths: Vec<String> = changes.iter().map(|c| shown(&c.path, &cx.here)).collect();
    if args.json {
        let said = json!({ "dir": dir, "changed": paths, "written": !args.check, "notes": notes });
        print_json(&said)?;
    }
    if args.check {
        if !args.json {
            notes.iter().for_each(|note| cx.reporter.line(note));
        }
        if changes.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if !args.json {
            for (change, path) in changes.iter().zip(&paths) {
                // The file that stands there is the repository's.
                let diff = diff(path, change);
                print(&diff.lines().map(|line| escaped(line) + "\n").collect::<String>())?;
            }
        }
        let count = paths.len();
        return Err(Error::new(
            ErrorKind::LockStale,
            format!(
                "in {place} {count} file{} not what toolchains.lock gives",
                if count == 1 { " is" } else { "s are" }
            ),
        )
        .because("the lock is newer, or a file was edited by hand")
        .hint(format!("run `cotter emit {}`", bound.name)));
    }
    write(bound, project, &changes, cx)?;
    if !args.json {
        match paths.as_slice() {
            [] => cx.reporter.line(&format!("{place} is up to date")),
            _ => paths.iter().for_each(|path| cx.reporter.line(&format!("wrote {path}"))),
        }
        notes.iter().for_each(|note| cx.reporter.line(note));
    }
    Ok(ExitCode::SUCCESS)
}

/// Updates the folders for which the manifest asks, after a setup. With `--locked`, nothing is
/// written; the differences are only reported. Returns the files with their stamps, by which the
/// next setup notices a change; a file that is not as it should be has the default stamp.
///
/// # Errors
/// If a folder cannot be written.
pub fn after_setup(
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<Vec<(PathBuf, Stamp)>> {
    let mut emitted = vec![];
    for bound in project.emissions.iter().filter(|bound| bound.is_asked_for) {
        let folder = match bound.emission.destination() {
            Destination::Folder(dir) => Some(dir),
            Destination::Project if all_ready(lock, cx) => None,
            Destination::Project | Destination::Output => continue,
        };
        let emit = || emission_of(bound, &[], project, lock, cx);
        let subject = format!("files for {}", bound.name);
        let Emitted { files, notes } = cx.reporter.timed(&subject, Phase::Emit, emit)?;
        let dir = folder.map_or_else(|| project.dir().to_owned(), |dir| project.dir().join(dir));
        let paths: Vec<PathBuf> = files.keys().map(|name| dir.join(name)).collect();
        let changes = changes(project, folder, files)?;
        if cx.global.locked && !changes.is_empty() {
            let stamp = |path: &PathBuf| match changes.iter().any(|c| c.path == *path) {
                true => Stamp::default(),
                false => Stamp::of(path).unwrap_or_default(),
            };
            emitted.extend(paths.iter().map(|path| (path.clone(), stamp(path))));
            let what = match folder {
                Some(_) => shown(&dir, &cx.here),
                None => shown(&changes[0].path, &cx.here),
            };
            cx.reporter.warn(&format!(
                "{what} is not what toolchains.lock gives: run `cotter emit {}`",
                bound.name
            ));
            continue;
        }
        let writing = || write(bound, project, &changes, cx);
        cx.reporter.timed(&subject, Phase::Emit, writing)?;
        match folder {
            _ if changes.is_empty() => {}
            Some(_) => cx.reporter.line(&format!("wrote {}", shown(&dir, &cx.here))),
            None => {
                let paths: Vec<String> = changes.iter().map(|c| shown(&c.path, &cx.here)).collect();
                cx.reporter.line(&format!("wrote {}", paths.join(", ")));
                notes.iter().for_each(|note| cx.reporter.line(note));
            }
        }
        emitted.extend(paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path).unwrap_or_default();
            (path, stamp)
        }));
    }
    Ok(emitted)
}

/// Whether every tree of this machine's platform is in the store.
fn all_ready(lock: &Lockfile, cx: &Context) -> bool {
    let native = Platform::native();
    let mut trees = lock.trees.values().filter(|tree| Some(tree.plan.platform) == native);
    trees.all(|tree| tree.plan.serves_builds() || cx.store.has(&tree.output.store_name))
}

/// Returns the trees that `exec` would use. Nothing is locked, fetched or made.
fn machine_trees(names: &[ToolchainName], lock: &Lockfile, cx: &Context) -> Result<MachineTrees> {
    let active = present::all_present(names, cx)?;
    let mut changes = recipe::environment(&active);
    // The language of the user's session stays as it is.
    changes.complete(&|name| (name == "LANG").then(String::new));
    let mut out = MachineTrees { changes, ..MachineTrees::default() };
    for tree in &active {
        let path = tree.path.display().to_string();
        for name in programs(&tree.path.join("bin")) {
            let program = format!("{path}/bin/{name}");
            out.programs.entry(name).or_insert(program);
        }
        let Some(locked) = lock.get(&tree.name, tree.platform) else { continue };
        out.trees.push(MachineTree {
            name: tree.name.clone(),
            kind: tree.recipe.kind(),
            path,
            is_cross: tree.target != tree.platform,
            target: tree.target,
            facts: make::facts(&cx.store, locked)?,
        });
    }
    Ok(out)
}

/// Returns the files of an emission. The index is asked only if the emission needs an address.
fn emission_of(
    bound: &Bound,
    names: &[ToolchainName],
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<Emitted> {
    let mut index: Option<Fetcher> = None;
    let mut url = |name: &str, file: &str| {
        if index.is_none() {
            trust::demand(Some(project), Some(lock), cx)?;
            let fetcher = cx.fetcher(Some(&project.manifest))?;
            project.maker(cx, &fetcher).offer_index(lock)?;
            index = Some(fetcher);
        }
        let fetcher = index.as_ref().expect("it was made above");
        // An index may return addresses that contain its own credentials.
        Ok(redact(&fetcher.python_project(name)?.url_of(file)?))
    };
    let mut trees = |names: &[ToolchainName]| machine_trees(names, lock, cx);
    let files = project.files()?;
    let present = |name: &str| {
        let bytes = files.read(&MemberPath::literal(name))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let link = |name: &str| {
        let target = std::fs::read_link(project.dir().join(name)).ok()?;
        Some(target.display().to_string())
    };
    let (mut notes, present, link) = (vec![], &present, &link);
    let mut request =
        Request { lock, names, url: &mut url, trees: &mut trees, present, link, notes: &mut notes };
    let files = bound.emission.files(&mut request)?;
    Ok(Emitted { files, notes })
}

/// Returns the files of a folder whose content is not the expected one. Only `write` cares whether
/// cotter wrote those that are there.
fn changes(project: &Project, dir: Option<&str>, files: Files) -> Result<Vec<Change>> {
    let mut out = vec![];
    let present = project.files()?;
    for (name, after) in files {
        let name = dir.map_or_else(|| name.clone(), |dir| format!("{dir}/{name}"));
        let name = MemberPath::literal(&name);
        let path = project.dir().join(name.as_str());
        // The difference is printed, so no symlink may choose the file.
        let before = present.read(&name)?;
        let before = before.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if before.as_ref() != Some(&after) {
            out.push(Change { name, path, before, after });
        }
    }
    Ok(out)
}

/// Writes the files. A repository names their folder, so a file that is there is replaced only if its
/// text says that cotter wrote it, or if its other content is kept.
fn write(bound: &Bound, project: &Project, changes: &[Change], cx: &Context) -> Result<()> {
    let foreign = |change: &Change| {
        let mark = bound.emission.mark(change.name.as_str())?;
        let text = change.before.as_ref()?;
        (!text.trim().is_empty() && !text.contains(mark)).then_some(mark)
    };
    if let Some((change, mark)) = changes.iter().find_map(|c| Some((c, foreign(c)?))) {
        let path = shown(&change.path, &cx.here);
        return Err(Error::user(format!("{path} is there, and cotter did not write it"))
            .because(format!("expected a file that says {mark:?}"))
            .hint("move the file away, or name another folder: [emit.bazel] dir = \"...\""));
    }
    let files = project.files()?;
    changes.iter().try_for_each(|change| files.replace(&change.name, &change.after))
}

fn diff(path: &str, change: &Change) -> String {
    let before = change.before.as_deref().unwrap_or("");
    let from = if change.before.is_some() { format!("a/{path}") } else { "/dev/null".to_owned() };
    diffy::DiffOptions::new()
        .set_original_filename(from)
        .set_modified_filename(format!("b/{path}"))
        .create_patch(before, &change.after)
        .to_string()
}

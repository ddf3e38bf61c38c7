//! `cotter emit`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{print, print_json};
use crate::cli::Emit;
use crate::context::{Context, shown};
use crate::emit::{Bound, Destination, Files, MARK, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::Fetcher;
use crate::lock;
use crate::lockfile::Lockfile;
use crate::model::{MemberPath, ToolchainName, redact};
use crate::project::Project;
use crate::store::Stamp;
use crate::text::terminal::escaped;
use crate::trust;

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
        Destination::Folder(dir) => folder(bound, dir, args, &project, &lock, cx),
        Destination::Output => {
            let files = files(bound, &args.names, &project, &lock, cx)?;
            let text: String = files.into_values().collect();
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
        Destination::Output if args.check || args.json => usage(
            format!("`cotter emit {}` has neither --check nor --json", bound.name),
            "leave the flag out, and name a file with --output if you want one",
        ),
        _ => Ok(()),
    }
}

/// Writes or checks a folder.
fn folder(
    bound: &Bound,
    dir: &str,
    args: &Emit,
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<ExitCode> {
    let changes = changes(project, dir, files(bound, &[], project, lock, cx)?)?;
    let dir = project.dir().join(dir);
    let paths: Vec<String> = changes.iter().map(|c| shown(&c.path, &cx.here)).collect();
    if args.json {
        print_json(&json!({ "dir": dir, "changed": paths, "written": !args.check }))?;
    }
    if args.check {
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
                "in {} {count} file{} not what toolchains.lock gives",
                shown(&dir, &cx.here),
                if count == 1 { " is" } else { "s are" }
            ),
        )
        .because("the lock is newer, or a file was edited by hand")
        .hint(format!("run `cotter emit {}`", bound.name)));
    }
    write(project, &changes, cx)?;
    if !args.json {
        match paths.as_slice() {
            [] => cx.reporter.line(&format!("{} is up to date", shown(&dir, &cx.here))),
            _ => paths.iter().for_each(|path| cx.reporter.line(&format!("wrote {path}"))),
        }
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
        let Destination::Folder(dir) = bound.emission.destination() else { continue };
        let files = files(bound, &[], project, lock, cx)?;
        let (folder, dir) = (dir, project.dir().join(dir));
        let paths: Vec<PathBuf> = files.keys().map(|name| dir.join(name)).collect();
        let changes = changes(project, folder, files)?;
        if cx.global.locked && !changes.is_empty() {
            let stamp = |path: &PathBuf| match changes.iter().any(|c| c.path == *path) {
                true => Stamp::default(),
                false => Stamp::of(path).unwrap_or_default(),
            };
            emitted.extend(paths.iter().map(|path| (path.clone(), stamp(path))));
            cx.reporter.warn(&format!(
                "{} is not what toolchains.lock gives: run `cotter emit {}`",
                shown(&dir, &cx.here),
                bound.name
            ));
            continue;
        }
        write(project, &changes, cx)?;
        if !changes.is_empty() {
            cx.reporter.line(&format!("wrote {}", shown(&dir, &cx.here)));
        }
        emitted.extend(paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path).unwrap_or_default();
            (path, stamp)
        }));
    }
    Ok(emitted)
}

/// Returns the files of an emission. The index is asked only if the emission needs an address.
fn files(
    bound: &Bound,
    names: &[ToolchainName],
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<Files> {
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
    bound.emission.files(&mut Request { lock, names, url: &mut url })
}

/// Returns the files of a folder whose content is not the expected one. Only `write` cares whether
/// cotter wrote those that are there.
fn changes(project: &Project, dir: &str, files: Files) -> Result<Vec<Change>> {
    let mut out = vec![];
    let present = project.files()?;
    for (name, after) in files {
        let name = MemberPath::literal(&format!("{dir}/{name}"));
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
/// text says that cotter wrote it.
fn write(project: &Project, changes: &[Change], cx: &Context) -> Result<()> {
    let is_foreign = |change: &&Change| {
        change.before.as_ref().is_some_and(|text| !text.trim().is_empty() && !text.contains(MARK))
    };
    if let Some(foreign) = changes.iter().find(is_foreign) {
        let path = shown(&foreign.path, &cx.here);
        return Err(Error::user(format!("{path} is there, and cotter did not write it"))
            .because(format!("expected a file that says {MARK:?}"))
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

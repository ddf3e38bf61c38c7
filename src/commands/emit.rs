//! `cotter emit`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fs_err as fs;
use serde_json::json;

use super::{print, print_json};
use crate::cli::{Emit, Tool};
use crate::context::{Context, shown};
use crate::emit::{BAZEL, Emitter, Request};
use crate::error::{Error, Kind, Result};
use crate::lockfile::Lockfile;
use crate::manifest::did_you_mean;
use crate::project::{Project, stale_error};

/// A file of the folder that is not as it should be.
struct Change {
    path: PathBuf,
    /// What stands there, if anything.
    before: Option<String>,
    /// What should.
    after: String,
}

/// Runs the command.
///
/// # Errors
/// If the lock is missing or stale, or the folder can't be written; with `--check`, if a file is not what would be written.
pub fn run(args: &Emit, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    let lock = project.lock(cx)?.ok_or_else(|| {
        Error::new(Kind::LockStale, format!("there is no {}", shown(&project.lock_path, &cx.here)))
            .hint("run `cotter lock` first")
    })?;
    if !cx.global.frozen {
        let stale = project.stale(&lock);
        if !stale.is_empty() {
            return Err(stale_error(&stale, &project.lock_path, cx));
        }
    }
    let emitter = match args.tool {
        Tool::Bazel => BAZEL,
    };
    let (dir, changes) = changes(emitter, &project, &lock, cx)?;
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
                print(&diff(path, change))?;
            }
        }
        let count = paths.len();
        return Err(Error::new(
            Kind::LockStale,
            format!(
                "in {} {count} file{} not what toolchains.lock gives",
                shown(&dir, &cx.here),
                if count == 1 { " is" } else { "s are" }
            ),
        )
        .because("the lock is newer, or a file was edited by hand")
        .hint(format!("run `cotter emit {}`", emitter.name())));
    }
    write(&changes)?;
    if !args.json {
        match paths.as_slice() {
            [] => cx.reporter.line(&format!("{} is up to date", shown(&dir, &cx.here))),
            _ => paths.iter().for_each(|path| cx.reporter.line(&format!("wrote {path}"))),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// After a setup: brings the folder up to date, if the manifest wants one. With `--locked` nothing is written, only told.
///
/// # Errors
/// If the folder can't be written.
pub fn after_setup(project: &Project, lock: &Lockfile, cx: &Context) -> Result<()> {
    if project.manifest.bazel.is_none() {
        return Ok(());
    }
    let (dir, changes) = changes(BAZEL, project, lock, cx)?;
    if changes.is_empty() {
        return Ok(());
    }
    if cx.global.locked {
        cx.reporter.warn(&format!(
            "{} is not what toolchains.lock gives: run `cotter emit bazel`",
            shown(&dir, &cx.here)
        ));
        return Ok(());
    }
    write(&changes)?;
    cx.reporter.line(&format!("wrote {}", shown(&dir, &cx.here)));
    Ok(())
}

fn changes(
    emitter: &dyn Emitter,
    project: &Project,
    lock: &Lockfile,
    cx: &Context,
) -> Result<(PathBuf, Vec<Change>)> {
    let defaults = crate::manifest::BazelSettings::default();
    let bazel = project.manifest.bazel.as_ref().unwrap_or(&defaults);
    for name in bazel.toolchains.iter().flatten() {
        let (toolchains, sets) = (&project.manifest.toolchains, &project.manifest.requirements);
        if !toolchains.contains_key(name) && !sets.contains_key(name) {
            let known = toolchains.keys().chain(sets.keys()).map(|n| n.as_str());
            return Err(Error::user(format!(
                "{}: [emit.bazel] names a toolchain {:?} that is not there{}",
                shown(&project.manifest_path, &cx.here),
                name.as_str(),
                did_you_mean(name.as_str(), known)
            )));
        }
    }
    let request = Request { lock, bazel };
    let dir = project.dir().join(emitter.dir(&request));
    let files = emitter
        .files(&request)
        .map_err(|why| Error::user(format!("can't emit for {}: {why}", emitter.name())))?;
    let mut out = vec![];
    for (name, after) in files {
        let path = dir.join(name);
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Some(String::new()),
            Err(e) => return Err(Error::at("read", &path, e)),
        };
        if before.as_ref() != Some(&after) {
            out.push(Change { path, before, after });
        }
    }
    Ok((dir, out))
}

fn write(changes: &[Change]) -> Result<()> {
    for change in changes {
        let dir = change.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(|e| Error::at("make", dir, e))?;
        crate::project::replace(&change.path, &change.after)?;
    }
    Ok(())
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

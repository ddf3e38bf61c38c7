//! `cotter export`

use std::process::ExitCode;

use super::print;
use crate::cli::{Export, ExportFormat};
use crate::context::{Context, shown};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::lock;
use crate::lockfile::{LockedTree, Role};
use crate::manifest::no_such_set;
use crate::model::redact;
use crate::project::Project;
use crate::python::pylock;

/// Runs the command.
///
/// # Errors
/// If the lock does not fit, there is no such set, or the index in force lacks a file.
pub fn run(args: &Export, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    let lock = project.lock(cx)?.ok_or_else(|| {
        Error::new(
            ErrorKind::LockStale,
            format!("there is no {}", shown(&project.lock_path, &cx.here)),
        )
        .hint("run `cotter lock` first")
    })?;
    if !cx.global.frozen {
        lock::check(&project, &lock, cx)?;
    }
    let sets = || {
        lock.trees.values().filter(|t| t.plan.spec.packages().is_some_and(|p| p.role == Role::Set))
    };
    let trees: Vec<&LockedTree> = sets().filter(|t| t.plan.name == args.name).collect();
    if trees.is_empty() {
        let known = sets().map(|t| t.plan.name.as_str()).collect::<std::collections::BTreeSet<_>>();
        return Err(no_such_set(args.name.as_str(), known.into_iter()));
    }
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    project.maker(cx, &fetcher).offer_index(&lock)?;
    let text = match args.format {
        // An index may hand out addresses with its own credentials in them.
        ExportFormat::Pylock => pylock::render(&trees, &mut |name, file| {
            Ok::<_, Error>(redact(&fetcher.python_project(name)?.url_of(file)?))
        })?,
    };
    match &args.output {
        Some(path) => crate::project::replace(&cx.here.join(path), &text)?,
        None => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `cotter outdated`

use std::process::ExitCode;

use serde_json::json;

use super::{print, print_json, table};
use crate::cli::Outdated;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::inquiry::{DecidedBy, Inquiry, NewerPackage};
use crate::lockfile::FILE_NAME;
use crate::manifest::no_such_toolchain;
use crate::model::ToolchainName;
use crate::project::Project;
use crate::trust;

/// Runs the command.
///
/// # Errors
/// If there is no lock, or if an index cannot be asked.
pub fn run(args: &Outdated, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    project.pins_something(&args.names, cx)?;
    let lock = project.lock(cx)?.ok_or_else(|| {
        Error::new(ErrorKind::LockStale, format!("there is no {FILE_NAME}"))
            .hint("run `cotter lock`")
    })?;
    for name in &args.names {
        let (toolchains, sets) = (&project.manifest.toolchains, &project.manifest.requirements);
        if !toolchains.contains_key(name) && !sets.contains_key(name) {
            let known = toolchains.keys().chain(sets.keys()).map(ToolchainName::as_str);
            return Err(no_such_toolchain(name.as_str(), known));
        }
    }
    trust::demand(Some(&project), Some(&lock), cx)?;
    crate::interrupt::install();
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    if lock.trees.values().any(|tree| tree.plan.comes_from_python_index()) {
        project.maker(cx, &fetcher).offer_index(&lock)?;
    }
    let newer =
        Inquiry::new(&project, cx, &fetcher, args.allow_expired)?.newer(&lock, &args.names)?;
    let note = |package: &NewerPackage| match package.decided_by {
        DecidedBy::Upgrade => "cotter lock --upgrade",
        DecidedBy::Requirements => "cotter lock --upgrade, if the requirements allow it",
        DecidedBy::Manifest => "the version in toolchains.toml",
    };
    if args.json {
        let list = newer.packages.iter().map(|(package, trees)| {
            json!({
                "name": package.name, "ecosystem": package.ecosystem.as_str(), "locked": package.locked,
                "available": package.available, "by": package.decided_by.as_str(),
                "toolchains": trees.iter().map(ToolchainName::as_str).collect::<Vec<_>>(),
            })
        });
        let unknown: Vec<&str> = newer.unknown.iter().map(ToolchainName::as_str).collect();
        print_json(
            &json!({ "packages": list.collect::<Vec<_>>(), "unknown": unknown, "files": newer.files }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let names = |trees: &std::collections::BTreeSet<ToolchainName>| {
        trees.iter().map(ToolchainName::as_str).collect::<Vec<_>>().join(", ")
    };
    if !newer.unknown.is_empty() {
        let names = names(&newer.unknown);
        cx.reporter.line(&format!("not asked, because they are archives by URL: {names}"));
    }
    if !newer.files.is_empty() {
        let names: Vec<&str> = newer.files.iter().map(String::as_str).collect();
        cx.reporter.line(&format!(
            "not asked, because they are files in place of releases: {}",
            names.join(", ")
        ));
    }
    if newer.packages.is_empty() {
        cx.reporter.line("everything is as new as the indexes");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = newer
        .packages
        .iter()
        .map(|(package, trees)| {
            vec![
                package.name.clone(),
                package.locked.clone(),
                package.available.clone(),
                names(trees),
                note(package).to_owned(),
            ]
        })
        .collect();
    print(&table::render(&["package", "locked", "available", "in", "by"], &rows, &[]))?;
    Ok(ExitCode::SUCCESS)
}

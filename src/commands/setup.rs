//! `cotter setup`

use std::process::ExitCode;

use serde_json::json;

use super::present::kind;
use super::{human, machine, print, print_json, reaches, sweep, table, timings};
use crate::cli::Setup;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::facts::RecordedFacts;
use crate::lockfile;
use crate::make;
use crate::project::read_lock;
use crate::python::venv::packages_of;
use crate::ready::{self, Ready, Wanted};
use crate::reporter::Verbosity;
use crate::store::RootTree;

/// Runs the command.
///
/// # Errors
/// If a tree cannot be made ready, or the files for other tools cannot be written.
pub fn run(args: &Setup, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    sweep(cx)?;
    let request = Wanted {
        names: &args.names,
        platform,
        allow_expired: args.allow_expired,
        with_facts: true,
    };
    let trees = super::trees::ready(&request, cx)?;
    let made = trees.iter().filter(|r| r.made_in.is_some());
    reaches::warn(made.clone().map(|r| (&r.tree.name, &r.tree.store_name)), cx);
    machine::warn(made.map(|r| &r.tree), cx);
    if args.json {
        let list: Vec<_> = trees
            .iter()
            .map(|r| {
                let mut tree = json!({
                    "name": r.tree.name.as_str(), "kind": kind(&r.tree), "version": r.tree.version, "platform": r.tree.platform.as_str(),
                    "path": cx.store.path(&r.tree.store_name), "size": r.tree.nar_size, "seconds": r.made_in.map(|t| t.as_secs_f64()), "fetched": r.made_in.is_some(), "from": r.from,
                });
                if let Some(facts) = unrecorded_facts(&r.tree, cx)? {
                    tree["facts"] = facts;
                }
                Ok(tree)
            })
            .collect::<Result<_>>()?;
        let mut said = json!({ "trees": list });
        if args.timings {
            said["timings"] = timings::json(cx);
        }
        print_json(&said)?;
    } else if cx.reporter.verbosity() > Verbosity::Quiet {
        let rows: Vec<Vec<String>> = trees
            .iter()
            .map(|r| {
                let (time, what) = match r.made_in {
                    Some(time) => {
                        let from = r.from.as_ref().map(|cache| format!("from {cache}"));
                        let from = from.unwrap_or_else(|| "fetched".to_owned());
                        (format!("{:.1} s", time.as_secs_f64()), from)
                    }
                    None => ("-".to_owned(), "already there".to_owned()),
                };
                vec![
                    r.tree.name.to_string(),
                    r.tree.version.clone(),
                    r.tree.platform.to_string(),
                    human(r.tree.nar_size),
                    time,
                    what,
                ]
            })
            .collect();
        print(&table::render(
            &["name", "version", "platform", "size", "time", ""],
            &rows,
            &[3, 4],
        ))?;
    }
    if args.timings && !args.json {
        timings::tell(cx);
    }
    if args.names.is_empty() {
        tell_of_old_environment(&trees, cx)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells that the environment beside the manifest has other packages than those that were set up: only
/// `cotter venv` changes it.
fn tell_of_old_environment(trees: &[Ready], cx: &Context) -> Result<()> {
    let dir = cx.manifest_path()?.with_file_name(".venv");
    let Some(packages) = packages_of(&dir) else { return Ok(()) };
    if trees.iter().all(|ready| ready.tree.store_name.as_str() != packages) {
        cx.reporter.line(&format!(
            "{} has other packages than the lock: run `cotter venv`",
            shown(&dir, &cx.here)
        ));
    }
    Ok(())
}

/// Returns the facts of a tree that the store does not record, because it cannot be written. They
/// are derived from the tree. Bazel's repositories are made from them.
fn unrecorded_facts(tree: &RootTree, cx: &Context) -> Result<Option<serde_json::Value>> {
    if cx.store.facts(&tree.store_name).is_some() {
        return Ok(None);
    }
    let path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&path, cx)?.unwrap_or_default();
    let Some(locked) = lock.get(&tree.name, tree.platform) else { return Ok(None) };
    let facts =
        RecordedFacts { recipe: tree.recipe.clone(), facts: make::facts(&cx.store, locked)? };
    serde_json::to_value(&facts)
        .map(Some)
        .map_err(|e| Error::user(format!("can't print the facts of {}", tree.name)).cause(&e))
}

//! `cotter lock`

use std::process::ExitCode;

use serde_json::json;

use super::{count, print, print_json, reaches, sweep, timings};
use crate::cli::Lock;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::lock::{self, Options, Upgrade};
use crate::lockfile::{Evaluation, LockedTree, Lockfile};
use crate::manifest::no_such_toolchain;
use crate::nix::expression::{NixOrigin, is_state_of};
use crate::project::Project;
use crate::report::lock_changes::LockChanges;
use crate::report::lock_forms;
use crate::trust;

/// Runs the command.
///
/// # Errors
/// See [`lock::update`]; with `--check`, a stale lock.
pub fn run(args: &Lock, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    project.pins_something(args.upgrade.as_deref().unwrap_or_default(), cx)?;
    let writes = (args.fresh || args.upgrade.is_some()) && !args.dry_run;
    if !args.check && (cx.global.frozen || cx.global.locked && writes) {
        let flag = if cx.global.frozen { "--frozen" } else { "--locked" };
        return Err(Error::user(format!("{flag} does not let `cotter lock` write the lock"))
            .hint(format!("leave {flag} out, or run `cotter lock --check`")));
    }
    if args.check || cx.global.locked && !args.dry_run {
        return check(&project, args, cx);
    }
    let upgrade = match &args.upgrade {
        None => Upgrade::Nothing,
        Some(names) if names.is_empty() => Upgrade::All,
        Some(names) => {
            for name in names {
                let (toolchains, sets) =
                    (&project.manifest.toolchains, &project.manifest.requirements);
                if !toolchains.contains_key(name) && !sets.contains_key(name) {
                    let known = toolchains.keys().chain(sets.keys()).map(|n| n.as_str());
                    return Err(no_such_toolchain(name.as_str(), known));
                }
            }
            Upgrade::Some(names.clone())
        }
    };
    // A damaged lock is reported by what reads it, and `--fresh` reads none.
    let old = project.lock(cx).ok().flatten().filter(|_| !args.fresh);
    trust::demand(Some(&project), old.as_ref(), cx)?;
    crate::interrupt::install();
    cx.store.refuse_if_open()?;
    sweep(cx)?;
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    let (fresh, allow_expired) = (args.fresh, args.allow_expired);
    let options = Options { upgrade, fresh, allow_expired, until: None };
    let outcome = lock::propose(&project, cx, &fetcher, &options)?;
    let with_timings = |mut said: serde_json::Value| {
        if args.timings {
            said["timings"] = timings::json(cx);
        }
        said
    };
    if args.dry_run {
        let changes = LockChanges::between(&outcome.before, &outcome.lock);
        match args.json {
            true => print_json(&with_timings(lock_forms::json(&changes)))?,
            false => print(&lock_forms::text(&changes))?,
        }
        if args.timings && !args.json {
            timings::tell(cx);
        }
        return Ok(ExitCode::SUCCESS);
    }
    outcome.write(&project)?;
    let is_made = |tree: &&LockedTree| {
        let made = outcome.made.iter().any(|m| m.time.is_some() && m.output == tree.output);
        made && !tree.plan.serves_builds()
    };
    let made = outcome.lock.trees.values().filter(is_made);
    reaches::warn(made.map(|t| (&t.plan.name, &t.output.store_name)), cx);
    warn_of_other_flakes(&outcome.lock, cx);
    if args.json {
        let said = json!({ "lock": project.lock_path, "changes": outcome.changes });
        print_json(&with_timings(said))?;
    } else if !outcome.written {
        cx.reporter.line(&format!(
            "{} is up to date: {}",
            shown(&project.lock_path, &cx.here),
            count(outcome.lock.trees.len(), "tree")
        ));
    } else {
        for line in &outcome.changes {
            cx.reporter.line(line);
        }
        cx.reporter.line(&format!("wrote {}", shown(&project.lock_path, &cx.here)));
    }
    if args.timings && !args.json {
        timings::tell(cx);
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells which flakes of a lock are others than those that the manifest names.
fn warn_of_other_flakes(lock: &Lockfile, cx: &Context) {
    for tree in lock.trees.values() {
        let Some(Evaluation { expression, locked: Some(locked), .. }) = &tree.plan.evaluation
        else {
            continue;
        };
        if let NixOrigin::Flake(flake) = &expression.origin
            && !is_state_of(locked, flake)
        {
            cx.reporter.warn(&format!(
                "{} is locked as {locked}, which is another flake than {flake}: the flake leads there, or somebody has altered the lock; `cotter lock --upgrade {}` asks it anew",
                tree.plan.label(),
                tree.plan.manifest_name()
            ));
        }
    }
}

fn check(project: &Project, args: &Lock, cx: &Context) -> Result<ExitCode> {
    let lock = project.lock(cx)?.unwrap_or_default();
    let stale = lock::stale(project, &lock);
    if args.json {
        let list: Vec<_> = stale.iter().map(|s| json!({ "name": s.name.as_str(), "platform": s.platform.as_str(), "reasons": s.reasons })).collect();
        print_json(&json!({ "stale": list }))?;
    }
    let lock = lock::required(project, cx)?;
    lock::check(project, &lock, cx)?;
    if !args.json && cx.reporter.verbosity() > crate::reporter::Verbosity::Quiet {
        print(&format!(
            "{} fits the manifest: {}\n",
            shown(&project.lock_path, &cx.here),
            count(lock.trees.len(), "tree")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

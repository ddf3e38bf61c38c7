//! `cotter verify`

use std::process::ExitCode;

use serde_json::json;

use super::{pip, print_json};
use crate::cli::Verify;
use crate::compose::{Composer, Order};
use crate::context::Context;
use crate::error::{Error, Result, known_names};
use crate::lockfile::{self, LockedTree, Lockfile};
use crate::model::StoreName;
use crate::project::{Project, read_lock};
use crate::store::Finding;

/// Most findings that are told of one tree.
const SHOWN: usize = 10;

/// Runs the command.
///
/// # Errors
/// If something is broken and was not repaired.
pub fn run(args: &Verify, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    let lock = match cx.manifest_path() {
        Ok(manifest) => {
            read_lock(&manifest.with_file_name(lockfile::FILE_NAME), cx)?.unwrap_or_default()
        }
        Err(e) if !args.names.is_empty() || args.repair => return Err(e),
        Err(_) => Lockfile::default(),
    };
    let mut names: Vec<StoreName> = vec![];
    if args.names.is_empty() {
        names = cx.store.trees()?;
    }
    for name in &args.names {
        let found: Vec<&LockedTree> = lock
            .trees
            .values()
            .filter(|t| args.platform.is_none_or(|p| t.plan.platform == p))
            .filter(|t| {
                t.plan.name == *name
                    && (args.platform.is_some()
                        || cx.store.has(&t.output.store_name)
                        || Some(t.plan.platform) == crate::model::Platform::native())
            })
            .collect();
        if found.is_empty() {
            let known: std::collections::BTreeSet<&str> =
                lock.trees.keys().map(|(name, _)| name.as_str()).collect();
            let error = Error::user(format!("{name} is not in the lock"));
            let known: Vec<&str> = known.into_iter().collect();
            return Err(match known_names(name.as_str(), &known) {
                Some(hint) => error.hint(hint),
                None => error.hint("run `cotter lock` first"),
            });
        }
        names.extend(found.iter().map(|t| t.output.store_name.clone()));
    }
    let mut broken: Vec<(StoreName, Vec<Finding>)> = vec![];
    for name in &names {
        crate::interrupt::check()?;
        let _spinner = cx.reporter.spinner("verifying", name.as_str());
        let findings = cx.store.verify(name, args.deep)?;
        if !findings.is_empty() {
            broken.push((name.clone(), findings));
        }
    }
    let mut repaired = vec![];
    let mut lost = vec![];
    if args.repair && !broken.is_empty() {
        cx.store.drop_rotten_links()?;
        for (name, _) in &broken {
            match lock.trees.values().find(|t| t.output.store_name == *name) {
                Some(tree) => {
                    repair(tree, &lock, cx)?;
                    repaired.push(name.clone());
                }
                None => lost.push(name.clone()),
            }
        }
    }
    if args.json {
        let list: Vec<_> = broken
            .iter()
            .map(|(n, f)| json!({ "store_name": n.as_str(), "findings": f.iter().map(|f| &f.what).collect::<Vec<_>>(), "repaired": repaired.contains(n) }))
            .collect();
        print_json(&json!({ "checked": names.len(), "broken": list }))?;
    }
    let left: Vec<_> = broken.iter().filter(|(n, _)| !repaired.contains(n)).collect();
    if left.is_empty() {
        if !args.json {
            let how = if args.deep { "every byte" } else { "names and sizes" };
            cx.reporter.line(&format!(
                "{} trees checked ({how}): {}",
                names.len(),
                if repaired.is_empty() {
                    "all sound".to_owned()
                } else {
                    format!("{} repaired", repaired.len())
                }
            ));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut error =
        Error::verification(format!("{} of {} trees are broken", left.len(), names.len()));
    for (name, findings) in &left {
        for finding in findings.iter().take(SHOWN) {
            error = error.because(format!("{name}: {}", finding.what));
        }
        if findings.len() > SHOWN {
            error = error.because(format!("{name}: and {} more", findings.len() - SHOWN));
        }
    }
    Err(if lost.is_empty() {
        error.hint("run `cotter verify --repair` in the project that uses them")
    } else {
        error.hint("this project's lock does not name them: repair them from the project that does, or let `cotter gc` delete them")
    })
}

/// Takes a broken tree away and makes it anew.
fn repair(tree: &LockedTree, lock: &Lockfile, cx: &Context) -> Result<()> {
    let project = Project::load(cx)?;
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    if tree.plan.comes_from_python_index() {
        pip::offer(cx, &fetcher, lock, project.manifest.settings.hard_links)?;
    }
    let _held = cx.store.lock_to_compose(&tree.output.store_name)?;
    cx.store.remove(&tree.output.store_name)?;
    let composer = Composer {
        store: &cx.store,
        fetcher: &fetcher,
        reporter: cx.reporter.clone(),
        jobs: cx.jobs(),
        hard_links: project.manifest.settings.hard_links,
    };
    super::requirements::rebuild(&[tree], lock, cx, &fetcher, &composer)?;
    composer.run(&[Order { plan: &tree.plan, expected: Some(&tree.output), keep: true }]).map(drop)
}

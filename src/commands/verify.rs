//! `cotter verify`

use std::process::ExitCode;

use serde_json::json;

use super::{count, must_be_writable, print_json, sweep};
use crate::cli::Verify;
use crate::context::Context;
use crate::error::{Error, Result, known_names};
use crate::lockfile::{self, LockedTree, Lockfile};
use crate::model::StoreName;
use crate::project::{Project, read_lock};
use crate::store::Damage;
use crate::trust;

/// The maximum number of problems that are printed for one tree.
const SHOWN: usize = 10;

/// Runs the command.
///
/// # Errors
/// If something is damaged and was not repaired.
pub fn run(args: &Verify, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    if args.repair {
        sweep(cx)?;
    }
    let lock = match cx.manifest_path() {
        Ok(manifest) => {
            read_lock(&manifest.with_file_name(lockfile::FILE_NAME), cx)?.unwrap_or_default()
        }
        Err(e) if !args.names.is_empty() || args.repair => return Err(e),
        Err(_) => Lockfile::default(),
    };
    let (mut names, mut lost): (Vec<StoreName>, Vec<StoreName>) = (vec![], vec![]);
    if args.names.is_empty() {
        names = cx.store.trees()?;
        // A repair that failed on its way has removed trees that are still to be made.
        let root = args.repair.then(|| cx.store.root(&cx.manifest_path().ok()?)).flatten();
        let trees = root.into_iter().flat_map(|root| root.trees).map(|tree| tree.store_name);
        lost = trees.filter(|name| !names.contains(name)).collect();
        names.extend(lost.iter().cloned());
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
    for weakness in cx.store.weaknesses() {
        cx.reporter.warn(&format!("{weakness}: {}", weakness.way_out()));
    }
    let mut broken: Vec<(StoreName, Vec<Damage>)> = vec![];
    let mut gone = 0;
    for name in &names {
        crate::interrupt::check()?;
        let _spinner = cx.reporter.spinner("verifying", name.as_str());
        let findings = cx.store.verify(name, args.deep);
        // Nobody asked for this tree by its name, and `gc` has deleted it in the meantime.
        if args.names.is_empty() && !lost.contains(name) && !cx.store.has(name) {
            gone += 1;
            continue;
        }
        let findings = findings?;
        if !findings.is_empty() {
            broken.push((name.clone(), findings));
        }
    }
    let checked = names.len() - gone;
    let of_lock = |name: &StoreName| {
        let is_part = |tree: &LockedTree| {
            tree.plan.inputs.iter().filter_map(|i| i.nix.as_ref()).any(|nix| nix.path == *name)
        };
        lock.trees.values().find(|t| t.output.store_name == *name || is_part(t))
    };
    let mut repaired: Vec<StoreName> = vec![];
    if args.repair && !broken.is_empty() {
        must_be_writable(cx, "cotter verify --repair")?;
        let trees: Vec<&LockedTree> = broken.iter().filter_map(|(n, _)| of_lock(n)).collect();
        let names: Vec<&StoreName> =
            broken.iter().map(|(name, _)| name).filter(|name| of_lock(name).is_some()).collect();
        repair(&names, &trees, &lock, cx)?;
        repaired = names.into_iter().cloned().collect();
    }
    let nobodys = args.repair && broken.iter().any(|(name, _)| of_lock(name).is_none());
    if args.json {
        let list: Vec<_> = broken
            .iter()
            .map(|(n, f)| json!({ "store_name": n.as_str(), "findings": f.iter().map(|f| &f.what).collect::<Vec<_>>(), "repaired": repaired.contains(n) }))
            .collect();
        print_json(&json!({ "checked": checked, "broken": list }))?;
    }
    let left: Vec<_> = broken.iter().filter(|(n, _)| !repaired.contains(n)).collect();
    if left.is_empty() {
        if !args.json {
            let how = if args.deep { "every byte" } else { "names, sizes, modes and owners" };
            cx.reporter.line(&format!(
                "{} checked ({how}): {}",
                count(checked, "tree"),
                if repaired.is_empty() {
                    "all sound".to_owned()
                } else {
                    format!("{} repaired", repaired.len())
                }
            ));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut error = Error::verification(format!(
        "{} of {} {} broken",
        left.len(),
        count(checked, "tree"),
        if left.len() == 1 && checked == 1 { "is" } else { "are" }
    ));
    for (name, findings) in &left {
        for finding in findings.iter().take(SHOWN) {
            error = error.because(format!("{name}: {}", finding.what));
        }
        if findings.len() > SHOWN {
            error = error.because(format!("{name}: and {} more", findings.len() - SHOWN));
        }
    }
    Err(if !nobodys {
        // A change that keeps the size of a file is found only by reading every byte.
        let deep = if args.deep { " --deep" } else { "" };
        error.hint(format!("run `cotter verify{deep} --repair` in the project that uses them"))
    } else {
        error.hint("this project's lock does not name them: repair them from the project that does, or let `cotter gc` delete them")
    })
}

/// Removes damaged trees and makes them again. All of them are removed first, because one of them
/// may be used to build another, and a missing tree is made before the trees that need it.
/// Of a closure of Nix, the paths that were removed are fetched again.
fn repair(
    names: &[&StoreName],
    trees: &[&LockedTree],
    lock: &Lockfile,
    cx: &Context,
) -> Result<()> {
    cx.store.drop_rotten_links()?;
    let project = Project::load(cx)?;
    trust::demand(Some(&project), Some(lock), cx)?;
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    for name in names {
        let tell = |text: &str| cx.reporter.line(text);
        let _held = cx.store.lock_to_compose(name, &tell)?;
        cx.store.remove(name)?;
    }
    let maker = project.maker(cx, &fetcher);
    trees.iter().try_for_each(|tree| maker.ensure_closure(tree))?;
    maker.ensure(lock, trees).map(drop)
}

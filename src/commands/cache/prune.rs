//! `cotter cache gc`

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::json;

use super::{count, human, print, print_json};
use crate::cli::CacheGc;
use crate::context::{Context, patience, s3_defaults};
use crate::error::{Cause, Error, Result};
use crate::model::StoreName;
use crate::project::read_lock;
use crate::write::{Means, PruneRules, open, prune};

/// Runs the command.
///
/// # Errors
/// If a lock cannot be read, or the cache cannot be listed or changed.
pub fn run(args: &CacheGc, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    let mut keep: BTreeSet<StoreName> = BTreeSet::new();
    for path in &args.keep {
        let path = cx.here.join(path);
        // A lock that is not there must not mean that nothing is kept.
        let lock = read_lock(&path, cx)?.ok_or_else(|| {
            Error::user(format!("there is no {}", path.display())).with_cause(Cause::NoSuchFile)
        })?;
        for tree in lock.trees.values() {
            keep.insert(tree.output.store_name.clone());
            // The paths of a closure of Nix lie in the cache under their own names.
            let paths = tree.plan.inputs.iter().filter_map(|input| input.nix.as_ref());
            keep.extend(paths.map(|nix| nix.path.clone()));
        }
    }
    let (http, s3) = (cx.http(patience()?), s3_defaults());
    let means = Means { here: &cx.here, http: &http, s3: &s3, store: &cx.store };
    let cache = open(&args.of, &means)?;
    let now = cx.now();
    let age = jiff::SignedDuration::from_hours(i64::from(args.older_than) * 24);
    let before = now.checked_sub(age).unwrap_or(jiff::Timestamp::MIN);
    let rules = PruneRules { keep: &keep, before, now, dry_run: args.dry_run };
    let pruned = prune(&*cache, &rules)?;
    for path in &pruned.unreadable {
        cx.reporter.warn(&format!(
            "{path} of {} is damaged or misnamed, and stays; no file without a description is deleted",
            cache.name()
        ));
    }
    let size: u64 = pruned.paths.iter().map(|(_, size)| size).sum();
    if args.json {
        let row =
            |(name, size): &(StoreName, u64)| json!({ "store_name": name.as_str(), "size": size });
        print_json(&json!({
            "dry_run": args.dry_run, "trees": pruned.paths.iter().map(row).collect::<Vec<_>>(), "left": pruned.left,
            "orphans": { "count": pruned.orphans.0, "size": pruned.orphans.1 },
        }))?;
    } else if !cx.global.quiet {
        let verb = if args.dry_run { "would delete" } else { "deleted" };
        let mut out = String::new();
        for (name, size) in &pruned.paths {
            out += &format!("{verb} {name} ({})\n", human(*size));
        }
        if pruned.orphans.0 > 0 {
            let (number, size) = (count(pruned.orphans.0, "file"), human(pruned.orphans.1));
            out += &format!("{verb} {number} to which no tree belongs ({size})\n");
        }
        let (gone, left) = (count(pruned.paths.len(), "tree"), count(pruned.left, "tree"));
        out += &format!("{verb} {gone} ({}), {left} left\n", human(size));
        print(&out)?;
    }
    Ok(ExitCode::SUCCESS)
}

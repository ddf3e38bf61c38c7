//! `cotter gc`

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::{count, human, must_be_writable, print, print_json};
use crate::cli::Gc;
use crate::context::Context;
use crate::error::Result;
use crate::store::GcOptions;

/// Runs the command.
///
/// # Errors
/// If something cannot be read or deleted.
pub fn run(args: &Gc, cx: &Context) -> Result<ExitCode> {
    if !args.dry_run {
        must_be_writable(cx, "cotter gc").map_err(|e| {
            e.hint("`cotter gc --dry-run` tells what would be deleted, and deletes nothing")
        })?;
    }
    let keep = Duration::from_secs(u64::from(args.keep_days) * 24 * 60 * 60);
    let report = cx.store.gc(GcOptions { dry_run: args.dry_run, keep })?;
    let bytes: u64 = report.trees.iter().map(|t| t.1).sum();
    if args.json {
        print_json(&json!({
            "dry_run": args.dry_run,
            "trees": report.trees.iter().map(|(n, s)| json!({ "store_name": n.as_str(), "size": s })).collect::<Vec<_>>(),
            "in_use": report.in_use.iter().map(|n| n.as_str()).collect::<Vec<_>>(),
            "roots": report.roots,
            "inputs": { "count": report.inputs.0, "size": report.inputs.1 },
            "packed": { "count": report.packed.0, "size": report.packed.1 },
            "links": { "size": report.link_bytes },
            "evaluations": { "count": report.evaluations.0, "size": report.evaluations.1 },
            "logs": { "size": report.log_bytes },
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if cx.global.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let verb = if args.dry_run { "would delete" } else { "deleted" };
    let mut out = String::new();
    for root in &report.roots {
        out.push_str(&format!("{verb} the root of {}, which is gone\n", root.display()));
    }
    for (name, size) in &report.trees {
        out.push_str(&format!("{verb} {name} ({})\n", human(*size)));
    }
    for name in &report.in_use {
        out.push_str(&format!("kept {name}: a process uses it\n"));
    }
    if report.packed.0 > 0 {
        let (number, size) = (count(report.packed.0, "file"), human(report.packed.1));
        out.push_str(&format!("{verb} {number} of packed trees ({size})\n"));
    }
    if report.evaluations.1 > 0 {
        let (number, size) = (count(report.evaluations.0, "project"), human(report.evaluations.1));
        out.push_str(&format!("{verb} what Nix has evaluated and built for {number} ({size})\n"));
    }
    if report.log_bytes > 0 {
        out.push_str(&format!("{verb} logs of builds ({})\n", human(report.log_bytes)));
    }
    out.push_str(&format!(
        "{verb} {} ({}), {} ({}), {} of shared files\n",
        count(report.trees.len(), "tree"),
        human(bytes),
        count(report.inputs.0, "download"),
        human(report.inputs.1),
        human(report.link_bytes)
    ));
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

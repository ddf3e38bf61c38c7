//! `cotter setup`

use std::process::ExitCode;

use serde_json::json;

use super::trees::kind;
use super::{human, print, print_json, reaches, table};
use crate::cli::Setup;
use crate::context::Context;
use crate::error::Result;
use crate::ready::{self, Wanted};
use crate::reporter::Verbosity;

/// Runs the command.
///
/// # Errors
/// If a tree cannot be made ready, or the files for other tools cannot be written.
pub fn run(args: &Setup, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    let request = Wanted {
        names: &args.names,
        platform,
        allow_expired: args.allow_expired,
        with_facts: true,
    };
    let trees = super::trees::ready(&request, cx)?;
    let made = trees.iter().filter(|r| r.made_in.is_some());
    reaches::warn(made.map(|r| (&r.tree.name, &r.tree.store_name)), cx);
    if args.json {
        let list: Vec<_> = trees
            .iter()
            .map(|r| {
                json!({
                    "name": r.tree.name.as_str(), "kind": kind(&r.tree), "version": r.tree.version, "platform": r.tree.platform.as_str(),
                    "path": cx.store.path(&r.tree.store_name), "size": r.tree.nar_size, "seconds": r.made_in.map(|t| t.as_secs_f64()), "fetched": r.made_in.is_some(),
                })
            })
            .collect();
        print_json(&json!({ "trees": list }))?;
    } else if cx.reporter.verbosity() > Verbosity::Quiet {
        let rows: Vec<Vec<String>> = trees
            .iter()
            .map(|r| {
                let (time, what) = match r.made_in {
                    Some(time) => (format!("{:.1} s", time.as_secs_f64()), "fetched"),
                    None => ("-".to_owned(), "already there"),
                };
                vec![
                    r.tree.name.to_string(),
                    r.tree.version.clone(),
                    r.tree.platform.to_string(),
                    human(r.tree.nar_size),
                    time,
                    what.to_owned(),
                ]
            })
            .collect();
        print(&table::render(
            &["name", "version", "platform", "size", "time", ""],
            &rows,
            &[3, 4],
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `cotter list`

use std::process::ExitCode;

use serde_json::json;

use super::{human, print, print_json, table};
use crate::cli::List;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::lockfile;
use crate::project::read_lock;

/// Runs the command.
///
/// # Errors
/// If there is no lock.
pub fn run(args: &List, cx: &Context) -> Result<ExitCode> {
    let path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&path, cx)?.ok_or_else(|| {
        Error::new(ErrorKind::LockStale, format!("there is no {}", path.display()))
            .hint("run `cotter lock`")
    })?;
    if args.json {
        let list: Vec<_> = lock
            .trees
            .values()
            .map(|t| {
                json!({
                    "name": t.plan.name.as_str(), "kind": t.plan.spec.kind().as_str(), "source": t.plan.source, "version": t.plan.version, "platform": t.plan.platform.as_str(),
                    "store_name": t.output.store_name.as_str(), "nar_hash": t.output.nar_hash.sri(), "size": t.output.nar_size, "download": t.plan.input_bytes(),
                    "inputs": t.plan.inputs.len(), "path": cx.store.path(&t.output.store_name), "present": cx.store.has(&t.output.store_name),
                })
            })
            .collect();
        print_json(&json!({ "trees": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = lock
        .trees
        .values()
        .map(|t| {
            let there = if cx.store.has(&t.output.store_name) { "ready" } else { "not set up" };
            vec![
                t.plan.name.to_string(),
                t.plan.spec.kind().to_string(),
                t.plan.version.clone(),
                t.plan.platform.to_string(),
                human(t.plan.input_bytes()),
                human(t.output.nar_size),
                there.to_owned(),
            ]
        })
        .collect();
    print(&table::render(
        &["name", "kind", "version", "platform", "download", "size", ""],
        &rows,
        &[4, 5],
    ))?;
    Ok(ExitCode::SUCCESS)
}

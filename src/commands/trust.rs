//! `cotter trust`

use std::process::ExitCode;

use serde_json::json;

use super::{count, print, print_json};
use crate::cli::Trust;
use crate::context::Context;
use crate::error::Result;
use crate::project::Project;
use crate::text::terminal::escaped;
use crate::trust;

/// Runs the command.
///
/// # Errors
/// If the manifest or the lock cannot be read, or if the record cannot be written.
pub fn run(args: &Trust, cx: &Context) -> Result<ExitCode> {
    let mut record = trust::record(cx)?;
    let dir = escaped(&record.project().display().to_string());
    if args.revoke {
        let what =
            if record.revoke()? { "nothing is trusted any more" } else { "nothing was trusted" };
        cx.reporter.line(&format!("{dir}: {what}"));
        return Ok(ExitCode::SUCCESS);
    }
    let project = Project::load_from(cx.found_manifest()?, cx)?;
    let lock = project.lock(cx)?;
    let mut items = trust::owners(&project.manifest_path);
    items.extend(trust::items(Some(&project), lock.as_ref()));
    let new: Vec<bool> = items.iter().map(|item| !record.accepts(&item.what)).collect();
    if !args.list {
        record.accept(items.iter().map(|item| item.what.clone()))?;
    }
    let is_accepted = |is_new: &bool| !args.list || !is_new;
    if args.json {
        let list: Vec<_> = items
            .iter()
            .zip(&new)
            .map(|(item, is_new)| {
                let place = item.place.as_ref();
                let place =
                    place.map(|p| json!({ "file": p.file, "line": p.line, "column": p.column }));
                json!({ "what": item.what, "place": place, "trusted": is_accepted(is_new) })
            })
            .collect();
        print_json(&json!({ "project": record.project(), "items": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (item, is_new) in items.iter().zip(&new) {
        let word = if is_accepted(is_new) { "trusted" } else { "new" };
        print(&format!("{word:<8} {}\n", item.text()))?;
    }
    if items.is_empty() {
        cx.reporter.line(&format!("{dir} brings nothing that must be trusted"));
    } else if !args.list {
        cx.reporter.line(&format!("{dir}: {} trusted", count(items.len(), "item")));
    }
    Ok(ExitCode::SUCCESS)
}

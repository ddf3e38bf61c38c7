//! `cotter tree`

use std::process::ExitCode;

use serde_json::json;

use super::lock_of_project::{AskedTrees, unrecorded};
use super::{print, print_json};
use crate::cli::TreeArgs;
use crate::context::Context;
use crate::error::Result;
use crate::project::origins;
use crate::report::dependencies::Dependencies;

/// Runs the command.
///
/// # Errors
/// If the lock does not fit the manifest, or if there is no such toolchain.
pub fn run(args: &TreeArgs, cx: &Context) -> Result<ExitCode> {
    let asked = AskedTrees::read(&args.names, args.platform, cx)?;
    let mut out = String::new();
    let mut list = vec![];
    let mut old = vec![];
    for tree in asked.trees() {
        let plan = &tree.plan;
        let dependencies = Dependencies::of(plan, origins(&asked.project, plan, cx));
        out.push_str(&format!("{} {} for {}\n", plan.name, plan.version, plan.platform));
        list.push(json!({
            "name": plan.name.as_str(),
            "version": plan.version,
            "platform": plan.platform.as_str(),
            "packages": dependencies.json(),
        }));
        for line in dependencies.lines() {
            out.push_str(&format!("  {line}\n"));
        }
        if !dependencies.are_recorded() {
            old.push(&plan.name);
        }
    }
    match args.json {
        true => print_json(&json!({ "trees": list }))?,
        false => print(&out)?,
    }
    if !old.is_empty() {
        cx.reporter.warn(&unrecorded(&old));
    }
    Ok(ExitCode::SUCCESS)
}

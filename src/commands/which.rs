//! `cotter which`

use std::process::ExitCode;

use serde_json::json;

use super::present::{self, is_program, programs};
use super::{print, print_json};
use crate::cli::Which;
use crate::context::Context;
use crate::error::{Error, Result, nearest};

/// Runs the command.
///
/// # Errors
/// If the toolchains are not set up, or if none of them brings the command.
pub fn run(args: &Which, cx: &Context) -> Result<ExitCode> {
    let active = present::present_active(&[], cx)?;
    let file = |tree: &crate::recipe::Active| tree.path.join("bin").join(&args.name);
    let is_plain = !args.name.is_empty() && !args.name.contains('/');
    let found = active.iter().filter(|tree| is_plain && is_program(&file(tree)));
    let found: Vec<_> = found.take(if args.all { usize::MAX } else { 1 }).collect();
    if found.is_empty() {
        let all: std::collections::BTreeMap<String, &str> = active
            .iter()
            .rev()
            .flat_map(|t| programs(&t.path.join("bin")).into_iter().map(|p| (p, t.name.as_str())))
            .collect();
        let near = nearest(&args.name, all.keys().map(String::as_str), 3);
        let near: Vec<String> =
            near.iter().map(|name| format!("{name} ({})", all[*name])).collect();
        let error = Error::user(format!("no toolchain brings the command {:?}", args.name));
        return Err(if near.is_empty() {
            let names: Vec<&str> = active.iter().map(|tree| tree.name.as_str()).collect();
            error.hint(format!("the toolchains in use: {}", names.join(", ")))
        } else {
            error.hint(format!("did you mean {}?", near.join(" or ")))
        });
    }
    if args.json {
        let list = found.iter().map(|tree| {
            json!({ "path": file(tree), "toolchain": tree.name.as_str(), "version": tree.version })
        });
        print_json(&json!({ "commands": list.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for tree in found {
        print(&format!("{}\n", file(tree).display()))?;
        cx.reporter.line(&format!("{} of {} {}", args.name, tree.name, tree.version));
    }
    Ok(ExitCode::SUCCESS)
}

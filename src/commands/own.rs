//! `cotter self`

use std::process::ExitCode;

use serde_json::json;

use super::{print, print_json};
use crate::cli::{Own, OwnWhat};
use crate::context::Context;
use crate::error::Result;
use crate::lockfile::VERSION;
use crate::model::Platform;
use crate::recipe::{RECIPES, id};

/// Runs the command.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: &Own, _cx: &Context) -> Result<ExitCode> {
    let OwnWhat::Version(args) = &args.what;
    let recipes: Vec<String> = RECIPES.iter().map(|recipe| id(*recipe).to_string()).collect();
    let platforms: Vec<&str> = Platform::ALL.iter().map(|platform| platform.as_str()).collect();
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        print_json(&json!({
            "version": version, "lock": VERSION, "platforms": platforms, "recipes": recipes,
        }))?;
    } else {
        print(&format!(
            "cotter {version}\nlock: version {VERSION}\nplatforms: {}\nrecipes: {}\n",
            platforms.join(", "),
            recipes.join(", ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `cotter path`

use std::process::ExitCode;

use serde_json::json;

use super::{present, print, print_json};
use crate::cli::PathArgs;
use crate::context::Context;
use crate::error::Result;
use crate::model::Kind;
use crate::ready;
use crate::recipe;
use crate::store::RootTree;

/// Runs the command.
///
/// # Errors
/// If the lock does not fit the manifest, or if the toolchain is not set up.
pub fn run(args: &PathArgs, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    let trees = present::present(args.name.as_slice(), platform, cx)?;
    if args.bin {
        return print_dirs(trees, args, cx);
    }
    let named = trees.iter().filter(|tree| args.name.as_ref() == Some(&tree.name));
    if args.json {
        let path = named.map(|tree| cx.store.path(&tree.store_name)).next();
        print_json(&json!({ "path": path }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for tree in named {
        print(&format!("{}\n", cx.store.path(&tree.store_name).display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the directories of commands, separated by colons. Interpreters come before the sets of
/// Python packages, whose scripts take the first Python on PATH.
fn print_dirs(trees: Vec<RootTree>, args: &PathArgs, cx: &Context) -> Result<ExitCode> {
    let name = args.name.as_ref();
    let is_set = |tree: &RootTree| {
        recipe::named(&tree.recipe).is_some_and(|recipe| recipe.kind() == Kind::Packages)
    };
    let (mut sets, mut others): (Vec<RootTree>, Vec<RootTree>) =
        trees.into_iter().partition(is_set);
    // A set that is named brings its interpreter; any other tree stands for itself.
    if !sets.iter().any(|set| Some(&set.name) == name) {
        others.retain(|tree| name.is_none_or(|name| tree.name == *name));
    }
    let names: Vec<String> = sets.iter().map(|set| set.name.to_string()).collect();
    if let [first, ..] = names.as_slice() {
        let left_out = if sets.len() > 1 { ", so that none of them is listed" } else { "" };
        cx.reporter.warn(&format!(
            "the programs of {} find their packages only with the variables that `exec` sets{left_out}: start them with `cotter exec {first} -- COMMAND`, or make an environment with `cotter venv {first}`",
            names.join(", "),
        ));
    }
    if sets.len() > 1 {
        sets.clear();
    }
    // Libraries have no programs.
    let dirs: Vec<String> = others
        .iter()
        .chain(&sets)
        .map(|tree| cx.store.path(&tree.store_name).join("bin"))
        .filter(|dir| dir.is_dir())
        .map(|dir| dir.display().to_string())
        .collect();
    match args.json {
        true => print_json(&json!({ "bin": dirs }))?,
        false => print(&format!("{}\n", dirs.join(":")))?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `cotter path`

use std::process::ExitCode;

use super::{active, print, setup};
use crate::cli::PathArgs;
use crate::context::Context;
use crate::error::Result;

/// Runs the command.
///
/// # Errors
/// If the toolchain cannot be made ready.
pub fn run(args: &PathArgs, cx: &Context) -> Result<ExitCode> {
    let platform = setup::native_or(args.platform)?;
    let trees = active::root_trees(std::slice::from_ref(&args.name), platform, cx)?;
    for tree in trees {
        print(&format!("{}\n", cx.store.path(&tree.store_name).display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `cotter path`

use std::process::ExitCode;

use super::{print, trees};
use crate::cli::PathArgs;
use crate::context::Context;
use crate::error::Result;
use crate::ready;

/// Runs the command.
///
/// # Errors
/// If the toolchain cannot be made ready.
pub fn run(args: &PathArgs, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    let trees = trees::roots(std::slice::from_ref(&args.name), platform, cx)?;
    for tree in trees {
        print(&format!("{}\n", cx.store.path(&tree.store_name).display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

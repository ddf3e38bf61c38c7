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
/// If the lock does not fit the manifest, or if the toolchain is not set up.
pub fn run(args: &PathArgs, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    let mut trees = trees::present(args.name.as_slice(), platform, cx)?;
    if let Some(name) = &args.name {
        trees.retain(|tree| tree.name == *name);
    }
    if args.bin {
        // Libraries have no programs.
        let dirs: Vec<String> = trees
            .iter()
            .map(|tree| cx.store.path(&tree.store_name).join("bin"))
            .filter(|dir| dir.is_dir())
            .map(|dir| dir.display().to_string())
            .collect();
        print(&format!("{}\n", dirs.join(":")))?;
        return Ok(ExitCode::SUCCESS);
    }
    for tree in trees {
        print(&format!("{}\n", cx.store.path(&tree.store_name).display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

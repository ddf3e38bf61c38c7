//! `cotter shell`

use std::ffi::OsString;
use std::process::ExitCode;

use super::{exec, trees};
use crate::cli::Shell;
use crate::context::{Context, var_os};
use crate::error::Result;
use crate::recipe;

/// Runs the command.
///
/// # Errors
/// If the toolchains cannot be made ready, or the shell cannot be started.
pub fn run(args: &Shell, cx: &Context) -> Result<ExitCode> {
    let active = trees::active(&args.names, cx)?;
    let mut changes = recipe::environment(&active);
    // Prompts and scripts can use it to detect the shell.
    changes.set.insert("COTTER_SHELL".to_owned(), "1".to_owned());
    let shell = var_os("SHELL").unwrap_or_else(|| OsString::from("/bin/sh"));
    Err(exec::become_command(&shell, &[], &changes, args.pure, &cx.here))
}

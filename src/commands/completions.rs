//! `cotter completions`

use std::process::ExitCode;

use clap::CommandFactory;

use super::print;
use crate::cli::{Cli, Completions};
use crate::context::Context;
use crate::error::Result;

/// Runs the command.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: &Completions, _cx: &Context) -> Result<ExitCode> {
    let mut out = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "cotter", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(ExitCode::SUCCESS)
}

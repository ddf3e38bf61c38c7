//! `cotter audit`

mod bazel;
mod command;
mod findings;
mod jail;
mod tree;

use std::process::ExitCode;

use crate::cli::{Audit, AuditWhat};
use crate::context::Context;
use crate::error::Result;

/// Runs the command.
///
/// # Errors
/// If something is found that the allow list does not accept, with exit code 7, or if Bazel or a
/// tool that `--jail` needs fails.
pub fn run(args: &Audit, cx: &Context) -> Result<ExitCode> {
    match &args.what {
        AuditWhat::Bazel(args) => bazel::run(args, cx),
        AuditWhat::Tree(args) => tree::run(args, cx),
    }
}

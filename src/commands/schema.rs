//! `cotter schema`

use std::process::ExitCode;

use super::print;
use crate::cli::{Schema, SchemaFile};
use crate::context::Context;
use crate::error::Result;

/// Runs the command.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: &Schema, _cx: &Context) -> Result<ExitCode> {
    print(match args.file {
        SchemaFile::Manifest => include_str!("../../templates/toolchains.schema.json"),
        SchemaFile::Lock => include_str!("../../templates/toolchains-lock.schema.json"),
        SchemaFile::Config => include_str!("../../templates/config.schema.json"),
    })?;
    Ok(ExitCode::SUCCESS)
}

//! `cotter init`

use std::process::ExitCode;

use fs_err as fs;

use crate::cli::{Init, Template};
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::manifest;

/// Runs the command.
///
/// # Errors
/// If a manifest already exists, or if it cannot be written.
pub fn run(args: &Init, cx: &Context) -> Result<ExitCode> {
    let dir = args.dir.as_ref().map_or_else(|| cx.here.clone(), |d| cx.here.join(d));
    let path = dir.join(manifest::FILE_NAME);
    if path.exists() {
        return Err(Error::user(format!("{} is there already", path.display()))
            .hint("edit it, or remove it first"));
    }
    let text = match args.template {
        Template::Full => include_str!("../../templates/full.toml"),
        Template::Cpp => include_str!("../../templates/cpp.toml"),
        Template::Python => include_str!("../../templates/python.toml"),
    };
    fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&path, text))
        .map_err(|e| Error::user(format!("can't write {}", path.display())).cause(&e))?;
    cx.reporter.line(&format!("wrote {}; next: cotter setup", shown(&path, &cx.here)));
    Ok(ExitCode::SUCCESS)
}

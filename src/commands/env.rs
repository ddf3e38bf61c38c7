//! `cotter env`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use fs_err as fs;
use serde_json::json;

use super::{print, print_json, trees};
use crate::cli::Env;
use crate::context::{Context, var_os};
use crate::environment::Changes;
use crate::error::{Error, Result};
use crate::recipe;

/// Runs the command.
///
/// # Errors
/// If the toolchains cannot be made ready, or if the files of GitHub Actions cannot be written.
pub fn run(args: &Env, cx: &Context) -> Result<ExitCode> {
    let active = trees::active(&args.names, cx)?;
    let changes = recipe::environment(&active);
    if args.json {
        print_json(&json!({ "path": changes.path, "set": changes.set, "unset": changes.unset }))?;
    } else if args.github {
        github(&changes)?;
    } else {
        print(&posix(&changes, args.direnv))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns assignments for a POSIX shell. For direnv, they use its own function for PATH, and name
/// the lock as a file to watch.
fn posix(changes: &Changes, direnv: bool) -> String {
    let mut out = String::new();
    if direnv {
        let _ = writeln!(out, "watch_file toolchains.toml toolchains.lock");
        for dir in changes.path.iter().rev() {
            let _ = writeln!(out, "PATH_add {}", quoted(dir));
        }
    } else if !changes.path.is_empty() {
        let _ = writeln!(out, "export PATH={}${{PATH:+:$PATH}}", quoted(&changes.path.join(":")));
    }
    for (name, value) in &changes.set {
        let _ = writeln!(out, "export {name}={}", quoted(value));
    }
    for name in &changes.unset {
        let _ = writeln!(out, "unset {name}");
    }
    out
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Writes the environment files of GitHub Actions. Source: GitHub's "Workflow commands",
/// environment files.
fn github(changes: &Changes) -> Result<()> {
    let append = |variable: &str, text: String| -> Result<()> {
        let path = var_os(variable).ok_or_else(|| {
            Error::user(format!("{variable} is not set"))
                .hint("--github is for a step of GitHub Actions")
        })?;
        let open =
            fs::OpenOptions::new().append(true).create(true).open(std::path::PathBuf::from(&path));
        open.and_then(|mut f| f.write_all(text.as_bytes()))
            .map_err(|e| Error::output("write", std::path::Path::new(&path), e))
    };
    append("GITHUB_PATH", changes.path.iter().rev().map(|d| format!("{d}\n")).collect())?;
    let set = changes.set.iter().map(|(k, v)| format!("{k}={v}\n"));
    append("GITHUB_ENV", set.chain(changes.unset.iter().map(|k| format!("{k}=\n"))).collect())
}

//! `cotter env`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use fs_err as fs;
use serde_json::json;

use super::session::{Access, Session};
use super::{present, print, print_json};
use crate::cli::Env;
use crate::context::{Context, var_os};
use crate::environment::Changes;
use crate::error::{Error, Result};
use crate::lockfile;
use crate::manifest;
use crate::project::Project;
use crate::text::shell::{assignments, quoted};

/// Runs the command.
///
/// # Errors
/// If the lock does not fit the manifest, if a toolchain is not set up, or if the files of GitHub Actions cannot be written.
pub fn run(args: &Env, cx: &Context) -> Result<ExitCode> {
    if args.direnv {
        // They come first, so that direnv tries again when a file is mended that made this fail.
        print(&watched(cx))?;
    }
    let access = Access::of_flags(args.host, false);
    let session = Session::of(present::present_active(&args.names, cx)?, access, cx)?;
    let changes = &session.changes;
    if args.json {
        print_json(&json!({
            "path": changes.path, "guards": session.guards, "set": changes.set, "unset": changes.unset,
        }))?;
    } else if args.github {
        github(changes)?;
    } else {
        print(&posix(&session, args.direnv))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the line by which direnv watches the files that determine the environment.
fn watched(cx: &Context) -> String {
    let manifest = cx.manifest_path().unwrap_or_else(|_| cx.here.join(manifest::FILE_NAME));
    let lock = manifest.with_file_name(lockfile::FILE_NAME);
    let files = Project::load(cx).map(|project| project.package_files()).unwrap_or_default();
    let quote = |path: PathBuf| quoted(&path.display().to_string());
    let files: Vec<String> = [manifest, lock].into_iter().chain(files).map(quote).collect();
    format!("watch_file {}\n", files.join(" "))
}

/// Returns assignments for a POSIX shell. For direnv, they use its own function for PATH.
fn posix(session: &Session, direnv: bool) -> String {
    let (mut out, front) = (String::new(), session.front());
    if direnv {
        for dir in front.iter().rev() {
            let _ = writeln!(out, "PATH_add {}", quoted(dir));
        }
    } else if !front.is_empty() {
        let _ = writeln!(out, "export PATH={}${{PATH:+:$PATH}}", quoted(&front.join(":")));
    }
    out + &assignments(&session.changes.set, &session.changes.unset)
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

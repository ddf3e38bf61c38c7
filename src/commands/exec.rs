//! `cotter exec`

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::trees;
use crate::cli::Exec;
use crate::context::{Context, var_os};
use crate::environment::Changes;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe;

/// Runs the command. This process is replaced with it, so that the command receives signals
/// directly and its exit code is passed on.
///
/// # Errors
/// If the toolchains cannot be made ready, or if the command cannot be started.
pub fn run(args: Exec, cx: &Context) -> Result<ExitCode> {
    let active = trees::active(&args.names, cx)?;
    let changes = recipe::environment(&active);
    Err(become_command(&args.command[0], &args.command[1..], &changes, args.pure, &cx.here))
}

/// Replaces this process with a command. Returns only if that fails.
pub fn become_command(
    program: &OsString,
    args: &[OsString],
    changes: &Changes,
    pure: bool,
    here: &Path,
) -> Error {
    let path = search_path(changes, pure);
    let Some(found) = find(program, &path, here) else {
        let error = Error::new(
            ErrorKind::CommandNotFound,
            format!(
                "there is no command {:?} in the toolchains{}",
                program.to_string_lossy(),
                if pure { "" } else { " or on PATH" }
            ),
        );
        return if pure {
            error.hint("leave --pure out to see the host's commands too")
        } else {
            error
        };
    };
    let mut command = Command::new(&found);
    command.arg0(program).args(args);
    apply(&mut command, changes, &path);
    let e = command.exec();
    let kind = if e.kind() == std::io::ErrorKind::NotFound {
        ErrorKind::CommandNotFound
    } else {
        ErrorKind::CommandNotExecutable
    };
    let error = Error::new(kind, format!("can't start {}", found.display())).cause(&e);
    match e.kind() {
        std::io::ErrorKind::NotFound => {
            error.hint("its interpreter or dynamic loader is not on this machine; a program built with -specs=pinned-libc.specs brings its own")
        }
        _ => error,
    }
}

/// Applies the changes to the environment of a command.
pub fn apply(command: &mut Command, changes: &Changes, path: &OsString) {
    command.env("PATH", path).envs(&changes.set);
    for name in &changes.unset {
        command.env_remove(name);
    }
}

/// Returns PATH with the directories of the trees in front.
pub fn search_path(changes: &Changes, pure: bool) -> OsString {
    let mut out = OsString::from(changes.path.join(":"));
    if let (false, Some(host)) = (pure, var_os("PATH")) {
        if !out.is_empty() {
            out.push(":");
        }
        out.push(host);
    }
    out
}

/// Returns the file that a command names, or that a search path has for it.
pub fn find(program: &OsString, path: &OsString, here: &Path) -> Option<PathBuf> {
    let program = Path::new(program);
    if program.components().count() > 1 || program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Some(here.join(program));
    }
    std::env::split_paths(path)
        .map(|d| here.join(d).join(program))
        .find(|p| p.is_file() && rustix::fs::access(p, rustix::fs::Access::EXEC_OK).is_ok())
}

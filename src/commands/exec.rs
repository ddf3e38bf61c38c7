//! `cotter exec`

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::session::{Access, Session};
use crate::cli::Exec;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// Runs the command. This process is replaced with it, so that the command receives signals
/// directly and its exit code is passed on.
///
/// # Errors
/// If the toolchains cannot be made ready, or if the command cannot be started.
pub fn run(args: Exec, cx: &Context) -> Result<ExitCode> {
    let session = Session::open(&args.names, Access::of_flags(args.host, args.pure), cx)?;
    let program = session.find(&args.command[0])?;
    let mut command = Command::new(&program);
    command.arg0(&args.command[0]).args(&args.command[1..]);
    apply(&mut command, &session);
    Err(become_command(command, &program))
}

/// Replaces this process with a command. Returns only if that fails.
pub fn become_command(mut command: Command, program: &Path) -> Error {
    let e = command.exec();
    let kind = if e.kind() == std::io::ErrorKind::NotFound {
        ErrorKind::CommandNotFound
    } else {
        ErrorKind::CommandNotExecutable
    };
    let error = Error::new(kind, format!("can't start {}", program.display())).cause(&e);
    match e.kind() {
        std::io::ErrorKind::NotFound if !program.exists() => {
            error.hint("there is no such file")
        }
        std::io::ErrorKind::NotFound => {
            error.hint("its interpreter or dynamic loader is not on this machine; a program built with -specs=pinned-libc.specs brings its own")
        }
        _ => error,
    }
}

/// Applies the environment of a session to a command.
pub fn apply(command: &mut Command, session: &Session) {
    let path: OsString = session.search_path();
    for name in &session.changes.unset {
        command.env_remove(name);
    }
    command.env("PATH", path).envs(&session.changes.set);
}

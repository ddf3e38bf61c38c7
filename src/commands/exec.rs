//! `cotter exec`

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::nix_store::{self, Start};
use super::session::{Access, Session};
use crate::cli::Exec;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::open_regular;
use crate::python::wheel::SCRIPT_HEAD;

/// Runs the command. This process is replaced with it, so that the command receives signals
/// directly and its exit code is passed on.
///
/// # Errors
/// If the toolchains cannot be made ready, or if the command cannot be started.
pub fn run(args: Exec, cx: &Context) -> Result<ExitCode> {
    let access = Access::of_flags(args.host, args.pure);
    let session = match args.nix_store {
        None => Session::open(&args.names, access, cx)?,
        Some(how) => match nix_store::start(how, &args, cx)? {
            Start::Here(trees) => Session::of(trees, access, cx)?,
            Start::Inside(command) => {
                let program = PathBuf::from(command.get_program());
                return Err(become_command(command, &program));
            }
        },
    };
    let program = session.find(&args.command[0])?;
    let (mut command, program) = starting(&session, program, &args.command[0])?;
    command.args(&args.command[1..]);
    apply(&mut command, &session);
    Err(become_command(command, &program))
}

/// Returns the command that starts a program, and what is started. A console script of a set of
/// packages asks `/bin/sh` for its interpreter, which a machine need not have: it is started by the
/// interpreter that it would find.
///
/// # Errors
/// If no interpreter is found for such a script.
pub fn starting(session: &Session, program: PathBuf, name: &OsStr) -> Result<(Command, PathBuf)> {
    let mut head = vec![];
    let wanted = SCRIPT_HEAD.trim_end();
    if let Ok(file) = open_regular(&program) {
        let _ = file.take(wanted.len() as u64).read_to_end(&mut head);
    }
    if head != wanted.as_bytes() {
        let mut command = Command::new(&program);
        command.arg0(name);
        return Ok((command, program));
    }
    let beside = program.with_file_name("python3");
    let python = if beside.exists() { beside } else { session.find("python3".as_ref())? };
    let mut command = Command::new(&python);
    command.arg(program);
    Ok((command, python))
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

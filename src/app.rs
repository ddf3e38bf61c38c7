//! Arguments to context to command; the one place where errors become exit codes.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command, Exec, Global};
use crate::commands;
use crate::context::{self, Context};
use crate::error::{Error, Kind};
use crate::reporter::line;

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = match quick_exec().map_or_else(Cli::try_parse, Ok) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return match e.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(Kind::Usage.exit_code()),
            };
        }
    };
    let quiet_pipe =
        |e: &Error| e.kind() == Kind::Store && e.causes().iter().any(|c| c.contains("Broken pipe"));
    match Context::new(cli.global).and_then(|cx| dispatch(cli.command, &cx)) {
        Ok(code) => code,
        Err(e) if quiet_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            report(&e);
            ExitCode::from(e.kind().exit_code())
        }
    }
}

/// `cotter exec NAME... -- COMMAND` without flags, read without clap: building its tables takes a third of a millisecond, which every program started through
/// `exec` would pay. Whatever is not of that very form is clap's.
fn quick_exec() -> Option<Cli> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "exec" {
        return None;
    }
    let mut names = vec![];
    loop {
        let arg = args.next()?;
        if arg == "--" {
            break;
        }
        names.push(arg.to_str()?.parse().ok()?);
    }
    let command: Vec<_> = args.collect();
    if command.is_empty() {
        return None;
    }
    Some(Cli {
        command: Command::Exec(Exec { names, pure: false, command }),
        global: quick_global()?,
    })
}

/// The global flags as the environment sets them; `None` if it sets one that takes more than a look.
fn quick_global() -> Option<Global> {
    let rare = [
        "COTTER_OFFLINE",
        "COTTER_JOBS",
        "COTTER_QUIET",
        "COTTER_VERBOSE",
        "COTTER_COLOR",
        "COTTER_NO_PROGRESS",
        "COTTER_LOCKED",
        "COTTER_FROZEN",
    ];
    let empty = |name: &&str| context::var_os(name).is_some_and(|v| v.is_empty());
    if rare.iter().any(|name| context::var_os(name).is_some())
        || ["COTTER_MANIFEST", "COTTER_STORE"].iter().any(empty)
    {
        return None;
    }
    let path = |name| context::var_os(name).map(std::path::PathBuf::from);
    Some(Global {
        manifest: path("COTTER_MANIFEST"),
        store: path("COTTER_STORE"),
        ..Global::default()
    })
}

fn dispatch(command: Command, cx: &Context) -> Result<ExitCode, Error> {
    match command {
        Command::Init(args) => commands::init::run(&args, cx),
        Command::Lock(args) => commands::lock::run(&args, cx),
        Command::Setup(args) => commands::setup::run(&args, cx),
        Command::Exec(args) => commands::exec::run(args, cx),
        Command::Shell(args) => commands::shell::run(&args, cx),
        Command::Env(args) => commands::env::run(&args, cx),
        Command::Path(args) => commands::path::run(&args, cx),
        Command::List(args) => commands::list::run(&args, cx),
        Command::Venv(args) => commands::venv::run(&args, cx),
        Command::Verify(args) => commands::verify::run(&args, cx),
        Command::Emit(args) => commands::emit::run(&args, cx),
        Command::Audit(args) => commands::audit::run(&args, cx),
        Command::Gc(args) => commands::gc::run(&args, cx),
        Command::Doctor(args) => commands::doctor::run(&args, cx),
        Command::Completions(args) => commands::completions::run(&args, cx),
        Command::Schema(args) => commands::schema::run(&args, cx),
    }
}

/// `error:`, `caused by:`, `hint:` on standard error.
fn report(e: &Error) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
    line(&format!("{red}error:{red:#} {}", e.message()));
    for cause in e.causes() {
        line(&format!("  {red}caused by:{red:#} {cause}"));
    }
    for hint in e.hints() {
        line(&format!("  {cyan}hint:{cyan:#} {hint}"));
    }
}

//! Parses the arguments, creates the context and runs the command. This is the only place where
//! errors are converted to exit codes.

use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapErrorKind};
use clap::{CommandFactory, FromArgMatches};
use serde_json::json;

use crate::cli::{AuditWhat, Cli, Command, Exec, Global, OwnWhat};
use crate::commands;
use crate::context::{self, Context};
use crate::error::{Cause, Error, ErrorKind, Measure, Medium, Place};
use crate::model::shortened;
use crate::reporter::line;
use crate::sandbox;
use crate::text::terminal::block;

/// Runs the program.
pub fn run() -> ExitCode {
    // A panic in there is printed: its standard error is what its caller shows.
    if let Some(code) = inner_command() {
        return code;
    }
    crate::fault::install();
    if let Some(code) = names_for_completion().or_else(tree_for_a_builder) {
        return code;
    }
    let cli = match quick_exec().map_or_else(parse, Ok) {
        Ok(cli) => cli,
        Err(e) => return usage(e),
    };
    let json = wants_json(&cli.command);
    let evaluated = failing_command(&cli.command);
    crate::interrupt::tell_by(if json { report_json } else { report });
    let needs_store = needs_store(&cli);
    let (command, mut global) = (cli.command, cli.global);
    adjust(&mut global, &command);
    let work = || Context::new(global, needs_store).and_then(|cx| dispatch(command, &cx));
    match crate::fault::caught(work) {
        Ok(code) => code,
        // The reader has closed the pipe, as in `cotter list | head -1`.
        Err(e) if e.is_closed_output() => ExitCode::SUCCESS,
        Err(e) => {
            if let Some(command) = evaluated {
                let _ = writeln!(anstream::stdout(), "{command}");
            }
            if json {
                report_json(&e)
            } else {
                report(&e)
            }
            ExitCode::from(e.kind().exit_code())
        }
    }
}

/// Changes the flags that every command accepts by those of the verb.
fn adjust(global: &mut Global, command: &Command) {
    match command {
        Command::Lock(args) => global.keep_failed = args.keep_failed,
        Command::Setup(args) => global.keep_failed = args.keep_failed,
        Command::Build(args) => {
            global.keep_failed = args.keep_failed;
            // Whoever builds on purpose wants to see it.
            global.verbose = !global.quiet && !args.json;
        }
        _ => {}
    }
}

/// Parses the arguments. A variable without a value counts as none, as with cargo and uv: CI systems
/// set variables to nothing where a setting is missing.
fn parse() -> std::result::Result<Cli, clap::Error> {
    let is_empty = |name: &str| context::var_os(name).is_some_and(|value| value.is_empty());
    let command = Cli::command().mut_args(|arg| {
        match arg.get_env().and_then(|name| name.to_str()).is_some_and(is_empty) {
            true => arg.env(Resettable::Reset),
            false => arg,
        }
    });
    let format = |e: clap::Error| e.format(&mut Cli::command());
    Cli::from_arg_matches(&command.try_get_matches()?).map_err(format)
}

/// Runs the command with which this program starts itself, which no user types.
fn inner_command() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let command = args.next()?;
    if command == sandbox::NIX_STORE {
        return Some(sandbox::enter_nix_store(args).unwrap_or_else(|e| {
            report(&e);
            ExitCode::from(e.kind().exit_code())
        }));
    }
    if command == sandbox::EVALUATION {
        return Some(sandbox::enter_evaluation(args));
    }
    (command == sandbox::COMMAND && args.next().is_none()).then(sandbox::enter)
}

/// Prints the names that a script for completion asks for. Nothing is said if there are none: a shell
/// completes a line that may be wrong still.
fn names_for_completion() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != commands::completions::COMMAND {
        return None;
    }
    let what = args.next()?.into_string().ok()?;
    let work = || {
        let global = Global {
            manifest: context::var_os("COTTER_MANIFEST").map(Into::into),
            ..Global::default()
        };
        commands::completions::names(&what, &Context::new(global, false)?)
    };
    let _ = crate::fault::caught(work);
    Some(ExitCode::SUCCESS)
}

/// Composes the tree that a builder of Nix asks for.
fn tree_for_a_builder() -> Option<ExitCode> {
    let args = context::arguments();
    let (command, args) = args.split_first()?;
    if command != commands::compose::COMMAND {
        return None;
    }
    let work = || {
        let cx = Context::new(commands::compose::global(), true)?;
        commands::compose::run(args, &cx)
    };
    Some(crate::fault::caught(work).unwrap_or_else(|e| {
        report(&e);
        ExitCode::from(e.kind().exit_code())
    }))
}

/// Whether the command reads or writes the store.
fn needs_store(cli: &Cli) -> bool {
    match &cli.command {
        Command::Lock(args) => !args.check && !cli.global.locked,
        Command::Init(_)
        | Command::Diff(_)
        | Command::Tree(_)
        | Command::Why(_)
        | Command::Search(_)
        | Command::Trust(_)
        | Command::Own(_)
        | Command::CompileCommands(_)
        | Command::Man(_)
        | Command::Completions(_)
        | Command::Schema(_) => false,
        Command::Hook(args) => args.update,
        Command::Cache(args) => args.what.needs_store(),
        _ => true,
    }
}

/// Whether the command was asked for JSON. Errors are then JSON, too.
fn wants_json(command: &Command) -> bool {
    match command {
        Command::Lock(args) => args.json,
        Command::Add(args) => args.json,
        Command::Remove(args) => args.json,
        Command::Path(args) => args.json,
        Command::Tree(args) => args.json,
        Command::Why(args) => args.json,
        Command::Run(args) => args.json,
        Command::Venv(args) => args.json,
        Command::Diff(args) => args.json,
        Command::Which(args) => args.json,
        Command::Search(args) => args.json,
        Command::Outdated(args) => args.json,
        Command::Cache(args) => args.what.is_json(),
        Command::Own(args) => matches!(&args.what, OwnWhat::Version(args) if args.json),
        Command::Setup(args) => args.json,
        Command::Build(args) => args.json,
        Command::Env(args) => args.json,
        Command::List(args) => args.json,
        Command::Verify(args) => args.json,
        Command::Rebuild(args) => args.json,
        Command::Challenge(args) => args.json,
        Command::Emit(args) => args.json,
        Command::CompileCommands(args) => args.json,
        Command::Audit(args) => match &args.what {
            AuditWhat::Bazel(args) => args.output.is_json(),
            AuditWhat::Tree(args) => args.output.is_json(),
        },
        Command::Trust(args) => args.json,
        Command::Gc(args) => args.json,
        Command::Doctor(args) => args.json,
        Command::Init(_)
        | Command::Log(_)
        | Command::Exec(_)
        | Command::Shell(_)
        | Command::Provenance(_)
        | Command::Man(_)
        | Command::Export(_)
        | Command::Import(_)
        | Command::Completions(_)
        | Command::Hook(_)
        | Command::Schema(_) => false,
    }
}

/// Returns the command that ends the output if a shell evaluates it, as in `eval "$(cotter env)"`,
/// and the command failed. The exit code of `$(...)` is lost there, so without it, a script with
/// `set -e` would go on with the programs of the host. direnv does not use `set -e`.
fn failing_command(command: &Command) -> Option<&'static str> {
    match command {
        Command::Env(args) if args.json || args.github => None,
        Command::Env(args) if args.direnv => Some("false || exit 1"),
        Command::Env(_) => Some("false"),
        _ => None,
    }
}

/// Prints help and the version, which are not errors, and reports incorrect usage in clap's words.
fn usage(mut e: clap::Error) -> ExitCode {
    if matches!(e.kind(), ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion) {
        let _ = e.print();
        return ExitCode::SUCCESS;
    }
    // What is no public key may be a secret one.
    if let Some(ContextValue::String(arg)) = e.get(ContextKind::InvalidArg)
        && arg.starts_with("--key ")
    {
        e.insert(ContextKind::InvalidValue, ContextValue::String("...".to_owned()));
    }
    let args: Vec<_> = std::env::args_os().skip(1).take_while(|a| a != "--").collect();
    // Options whose values come from the environment count as used, and are not.
    if let Some(ContextValue::StyledStr(usage)) = e.get(ContextKind::Usage) {
        let shown = usage.to_string();
        let mut plain = shown.clone();
        for shape in [" --manifest <FILE>", " --store <DIR>", " --trust"] {
            let option = shape.trim_start().split(' ').next().unwrap_or_default();
            let given = |arg: &std::ffi::OsString| arg.to_string_lossy().starts_with(option);
            if !args.iter().any(given) {
                plain = plain.replace(shape, "");
            }
        }
        if plain != shown {
            e.insert(ContextKind::Usage, ContextValue::StyledStr(plain.into()));
        }
    }
    // The flag belongs to the command that is to be run, so suggesting a similar flag of cotter
    // would not help.
    if e.kind() == ClapErrorKind::UnknownArgument
        && args.iter().any(|a| a == "exec")
        && args.len() == std::env::args_os().count() - 1
    {
        e.remove(ContextKind::SuggestedArg);
        let tip = "the command stands behind `--`: cotter exec gcc -- gcc --version";
        e.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        let usage = "Usage: cotter exec [NAMES]... -- <COMMAND>...";
        e.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
    }
    let has = |word: &str| args.iter().any(|a| a == word);
    if has("env") && !has("--json") && !has("--github") {
        let _ = writeln!(anstream::stdout(), "false");
    }
    let advice = advice(&e, &args);
    if has("--json") {
        let text = e.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        // clap lists what is missing in lines of their own.
        let missing = match e.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(list)) if message.ends_with(':') => list.join(", "),
            _ => String::new(),
        };
        let message = format!("{message} {missing}");
        let error = Error::new(ErrorKind::Usage, message.trim_end());
        let error = advice.into_iter().fold(error, Error::hint);
        report_json(&error.hint("run `cotter --help`, or the command with --help"));
    } else {
        let _ = e.print();
        let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
        if let Some(hint) = advice {
            line(&format!("  {cyan}hint:{cyan:#} {hint}"));
        }
    }
    ExitCode::from(ErrorKind::Usage.exit_code())
}

/// Returns a hint for incorrect usage that clap cannot explain, because it does not know what the
/// words mean. `args` are the arguments before `--`.
fn advice(e: &clap::Error, args: &[std::ffi::OsString]) -> Option<String> {
    let words: Vec<&str> = args.iter().filter_map(|a| a.to_str()).collect();
    let verbs = Cli::command();
    let verb = words.iter().position(|word| verbs.find_subcommand(word).is_some());
    match e.kind() {
        ClapErrorKind::MissingRequiredArgument if words.first() == Some(&"exec") => {
            let command = words[1..].iter().position(|word| !word.starts_with('-'));
            let command = command.map_or("COMMAND".to_owned(), |at| words[at + 1..].join(" "));
            Some(format!("the command stands behind `--`: cotter exec -- {command}"))
        }
        ClapErrorKind::UnknownArgument => {
            let before = words.iter().position(|word| *word == "--json")?;
            let verb = verb.filter(|verb| *verb > before)?;
            Some(format!("--json stands behind the command: cotter {} --json", words[verb]))
        }
        _ => None,
    }
}

/// Parses `cotter exec NAME... -- COMMAND` without flags and without clap. Building clap's tables
/// takes a third of a millisecond, which every program started through `exec` would pay. Any other
/// form is left to clap.
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
        command: Command::Exec(Exec { names, pure: false, host: false, nix_store: None, command }),
        global: quick_global()?,
    })
}

/// Returns the global flags as the environment sets them, or `None` if it sets one that needs
/// further parsing.
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
    let trust = match context::var_os("COTTER_TRUST") {
        None => false,
        Some(value) if value == "1" => true,
        Some(_) => return None,
    };
    let path = |name| context::var_os(name).map(std::path::PathBuf::from);
    Some(Global {
        trust,
        manifest: path("COTTER_MANIFEST"),
        store: path("COTTER_STORE"),
        ..Global::default()
    })
}

fn dispatch(command: Command, cx: &Context) -> Result<ExitCode, Error> {
    match command {
        Command::Init(args) => commands::init::run(&args, cx),
        Command::Add(args) => commands::add::run(&args, cx),
        Command::Remove(args) => commands::remove::run(&args, cx),
        Command::Lock(args) => commands::lock::run(&args, cx),
        Command::Diff(args) => commands::diff::run(&args, cx),
        Command::Setup(args) => commands::setup::run(&args, cx),
        Command::Exec(args) => commands::exec::run(args, cx),
        Command::Run(args) => commands::run::run(&args, cx),
        Command::Outdated(args) => commands::outdated::run(&args, cx),
        Command::Search(args) => commands::search::run(&args, cx),
        Command::Cache(args) => commands::cache::run(&args, cx),
        Command::Own(args) => commands::own::run(&args, cx),
        Command::Man(args) => commands::man::run(&args, cx),
        Command::Shell(args) => commands::shell::run(&args, cx),
        Command::Env(args) => commands::env::run(&args, cx),
        Command::Path(args) => commands::path::run(&args, cx),
        Command::Which(args) => commands::which::run(&args, cx),
        Command::Build(args) => commands::build::run(&args, cx),
        Command::Log(args) => commands::log::run(&args, cx),
        Command::List(args) => commands::list::run(&args, cx),
        Command::Tree(args) => commands::tree::run(&args, cx),
        Command::Why(args) => commands::why::run(&args, cx),
        Command::Provenance(args) => commands::provenance::run(&args, cx),
        Command::Venv(args) => commands::venv::run(&args, cx),
        Command::Verify(args) => commands::verify::run(&args, cx),
        Command::Rebuild(args) => commands::rebuild::run(&args, cx),
        Command::Challenge(args) => commands::challenge::run(&args, cx),
        Command::Emit(args) => commands::emit::run(&args, cx),
        Command::CompileCommands(args) => commands::compile_commands::run(&args, cx),
        Command::Export(args) => commands::export::run(&args, cx),
        Command::Import(args) => commands::import::run(&args, cx),
        Command::Audit(args) => commands::audit::run(&args, cx),
        Command::Trust(args) => commands::trust::run(&args, cx),
        Command::Gc(args) => commands::gc::run(&args, cx),
        Command::Doctor(args) => commands::doctor::run(&args, cx),
        Command::Hook(args) => commands::hook::run(&args, cx),
        Command::Completions(args) => commands::completions::run(&args, cx),
        Command::Schema(args) => commands::schema::run(&args, cx),
    }
}

/// Writes the lines `error:`, `at:`, `caused by:` and `hint:` to standard error. If a text has
/// several lines, they form a block below its first line.
fn report(e: &Error) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
    // Text from a server, a lock or an archive may contain control sequences for a terminal.
    let block = |text: &str| block(&shortened(text));
    line(&format!("{red}error:{red:#} {}", block(e.message())));
    if let Some(place) = e.place() {
        line(&format!("  {red}at:{red:#} {place}"));
    }
    for cause in e.causes() {
        line(&format!("  {red}caused by:{red:#} {}", block(cause)));
    }
    for hint in e.hints() {
        line(&format!("  {cyan}hint:{cyan:#} {}", block(hint)));
    }
}

/// Writes the error as one line of JSON to standard error. `docs/exit-codes.md` documents its keys.
fn report_json(e: &Error) {
    let place = e.place().map(place_json);
    line(
        &json!({ "error": {
            "kind": e.kind().as_str(),
            "exit_code": e.kind().exit_code(),
            "message": e.message(),
            "place": place,
            "cause": e.reason().map(cause_json),
            "causes": e.causes(),
            "hints": e.hints(),
        } })
        .to_string(),
    );
}

fn place_json(place: &Place) -> serde_json::Value {
    json!({ "file": place.file, "line": place.line, "column": place.column })
}

fn cause_json(cause: &Cause) -> serde_json::Value {
    match cause {
        Cause::Io { kind, medium } => json!({
            "type": "io",
            "error": kind.to_string(),
            "medium": match medium {
                Medium::Store => "store",
                Medium::Output => "output",
                Medium::StandardOutput => "standard-output",
            },
        }),
        Cause::NoSuchFile => json!({ "type": "no-such-file" }),
        Cause::Http { status, .. } => json!({ "type": "http", "status": status }),
        Cause::Unreachable => json!({ "type": "unreachable" }),
        Cause::BrokenOff { stalled } => json!({ "type": "broken-off", "stalled": stalled }),
        Cause::Offline => json!({ "type": "offline" }),
        Cause::HostileArchive => json!({ "type": "hostile-archive" }),
        Cause::DamagedArchive => json!({ "type": "damaged-archive" }),
        Cause::Mismatch { what, expected, got } => json!({
            "type": "mismatch",
            "of": match what {
                Measure::Sha256 => "sha256",
                Measure::Size => "size",
            },
            "expected": expected,
            "got": got,
        }),
        Cause::NoSuchSuite => json!({ "type": "no-such-suite" }),
        Cause::Problems(list) => json!({
            "type": "problems",
            "problems": list
                .iter()
                .map(|(place, message)| json!({ "place": place_json(place), "message": message }))
                .collect::<Vec<_>>(),
        }),
    }
}

//! `cotter shell`

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use super::exec;
use super::session::{Access, Session, files_of_session};
use crate::cli::Shell;
use crate::context::{Context, var, var_os};
use crate::error::Result;
use crate::text::shell::{assignments, fish_assignments, fish_quoted, quoted};

/// Runs the command.
///
/// # Errors
/// If the toolchains cannot be made ready, or the shell cannot be started.
pub fn run(args: &Shell, cx: &Context) -> Result<ExitCode> {
    let mut session = Session::open(&args.names, Access::of_flags(args.host, args.pure), cx)?;
    // Prompts and scripts can use it to detect the shell.
    session.changes.set.insert("COTTER_SHELL".to_owned(), "1".to_owned());
    let shell = var_os("SHELL").unwrap_or_else(|| OsString::from("/bin/sh"));
    let program = match shell.as_encoded_bytes().contains(&b'/') {
        true => PathBuf::from(&shell),
        false => session.find(&shell)?,
    };
    let mut command = Command::new(&program);
    let pure = args.pure;
    match program.file_name().and_then(|name| name.to_str()) {
        Some("bash") => {
            let dir = files_of_session(vec![("bashrc", bashrc(&session, pure))], cx)?;
            command.arg("--rcfile").arg(dir.join("bashrc"));
        }
        Some("zsh") => {
            let files = vec![(".zshenv", ZSHENV.to_owned()), (".zshrc", zshrc(&session, pure))];
            let dir = files_of_session(files, cx)?;
            if let Some(own) = var("ZDOTDIR") {
                session.changes.set.insert("COTTER_ZDOTDIR".to_owned(), own);
            }
            let dir = dir.display().to_string();
            session.changes.set.insert("ZDOTDIR".to_owned(), dir);
        }
        Some("fish") => {
            command.arg("-C").arg(fish(&session, pure));
        }
        // No start-up file of theirs can be replaced without losing the user's own.
        _ => {}
    }
    exec::apply(&mut command, &session);
    Err(exec::become_command(command, &program))
}

/// Returns commands for bash and zsh that set the variables again which the user's own files may
/// have changed. The directories of the trees come first on PATH, each of them once.
fn again(session: &Session, pure: bool) -> String {
    let front = session.front();
    let mut out = String::new();
    if pure {
        out += &format!("export PATH={}\n", quoted(&front.join(":")));
    } else {
        out += &off_path(&front);
        out += &format!("export PATH={}\"${{PATH:+:$PATH}}\"\n", quoted(&front.join(":")));
    }
    out + &assignments(&session.changes.set, &session.changes.unset)
}

/// Returns commands for bash and zsh that take directories off PATH.
pub fn off_path(dirs: &[String]) -> String {
    let dirs = dirs.iter().map(|dir| format!("PATH=\"${{PATH//:{}:/:}}\"\n", pattern(dir)));
    let dirs: String = dirs.collect();
    format!("PATH=\":$PATH:\"\n{dirs}PATH=\"${{PATH#:}}\"; PATH=\"${{PATH%:}}\"\n")
}

/// Returns a directory as a pattern within double quotes of bash and zsh, that matches only itself.
fn pattern(dir: &str) -> String {
    let special = |c: char| !(c.is_ascii_alphanumeric() || "._-+".contains(c));
    dir.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// bash reads this file instead of `~/.bashrc`. Source: bash(1), "INVOCATION", `--rcfile`.
fn bashrc(session: &Session, pure: bool) -> String {
    format!("if [ -f ~/.bashrc ]; then . ~/.bashrc; fi\n{}", again(session, pure))
}

/// zsh reads its files in `ZDOTDIR`. This one stands for the user's `.zshenv`, and lets zsh read
/// the next file here, too. Source: zsh(1), "STARTUP/SHUTDOWN FILES".
const ZSHENV: &str = r#"cotter_dir=$ZDOTDIR
if [ -n "${COTTER_ZDOTDIR-}" ]; then ZDOTDIR=$COTTER_ZDOTDIR; else unset ZDOTDIR; fi
if [ -f "${ZDOTDIR-$HOME}/.zshenv" ]; then . "${ZDOTDIR-$HOME}/.zshenv"; fi
if [ -n "${ZDOTDIR-}" ]; then export COTTER_ZDOTDIR=$ZDOTDIR; fi
export ZDOTDIR=$cotter_dir
unset cotter_dir
"#;

/// The file that zsh reads last. From here on, the user's own directory counts again.
fn zshrc(session: &Session, pure: bool) -> String {
    format!(
        "if [ -n \"${{COTTER_ZDOTDIR-}}\" ]; then export ZDOTDIR=$COTTER_ZDOTDIR; else unset ZDOTDIR; fi\nunset COTTER_ZDOTDIR\nif [ -f \"${{ZDOTDIR-$HOME}}/.zshrc\" ]; then . \"${{ZDOTDIR-$HOME}}/.zshrc\"; fi\n{}",
        again(session, pure)
    )
}

/// Returns the commands that fish runs after its own files. Source: fish(1), `--init-command`.
fn fish(session: &Session, pure: bool) -> String {
    let front: Vec<String> = session.front().iter().map(|dir| fish_quoted(dir)).collect();
    let front = front.join(" ");
    let path = match pure {
        true => format!("set -gx PATH {front}\n"),
        false => format!("{}set -gx PATH {front} $cotter_rest\n", fish_rest_of_path(&front)),
    };
    path + &fish_assignments(&session.changes.set, &session.changes.unset)
}

/// Returns commands for fish that set `cotter_rest` to the directories of PATH that are not among `front`, words of fish.
pub fn fish_rest_of_path(front: &str) -> String {
    format!(
        "set -l cotter_rest\nfor dir in $PATH; contains -- $dir {front}; or set -a cotter_rest $dir; end\n"
    )
}

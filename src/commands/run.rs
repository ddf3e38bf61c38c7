//! `cotter run`

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::json;

use super::exec::{apply, become_command, starting};
use super::session::{Access, Session};
use super::{print, print_json, table};
use crate::cli::Run;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result, known_names};
use crate::manifest::FILE_NAME;
use crate::manifest::tasks::{ProjectTask, in_order};
use crate::project::Project;
use crate::text::shell::quoted;
use crate::text::terminal::escaped;

/// Runs the command.
///
/// # Errors
/// If there is no such task, if the toolchains cannot be made ready, or if a command cannot be
/// started.
pub fn run(args: &Run, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    let tasks = &project.manifest.tasks;
    let Some(name) = &args.name else {
        return list(&project, args.json);
    };
    let order = in_order(tasks, name);
    let Some(((last, task), before)) = order.split_last() else {
        let known: Vec<&str> = tasks.keys().map(String::as_str).collect();
        let error = Error::user(format!("there is no task {name:?}"));
        return Err(match known_names(name, &known) {
            Some(hint) => error.hint(hint),
            None => error.hint(format!(
                "{FILE_NAME} has none: begin with [tasks] and {name} = [\"command\", \"argument\"]"
            )),
        });
    };
    if task.command.is_empty() && !args.args.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("the task {last} takes no arguments"))
            .located(task.place.clone())
            .because("it has no command of its own, only `depends-on`"));
    }
    let session = Session::open(&[], Access::of_flags(args.host, args.pure), cx)?;
    for (name, task) in before {
        let Some((mut command, program)) = command(task, &session, project.dir())? else {
            continue;
        };
        cx.reporter.line(&format!("task {name}: {}", escaped(&shown(task))));
        apply(&mut command, &session);
        command.envs(&task.env);
        let status = command.status().map_err(|e| {
            Error::new(
                ErrorKind::CommandNotExecutable,
                format!("can't start {}", program.display()),
            )
            .located(task.place.clone())
            .cause(&e)
        })?;
        if !status.success() {
            cx.reporter.warn(&format!("{}: the task {name} failed: {status}", task.place));
            let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
    }
    let Some((mut command, program)) = command(task, &session, project.dir())? else {
        return Ok(ExitCode::SUCCESS);
    };
    command.args(&args.args);
    apply(&mut command, &session);
    command.envs(&task.env);
    Err(become_command(command, &program).located(task.place.clone()))
}

/// Returns the command of a task, and its program. It starts in the directory of the manifest.
fn command(
    task: &ProjectTask,
    session: &Session,
    dir: &Path,
) -> Result<Option<(Command, PathBuf)>> {
    let Some((first, rest)) = task.command.split_first() else { return Ok(None) };
    let program = if first.contains('/') {
        dir.join(first)
    } else {
        session.find(first.as_ref()).map_err(|e| e.located(task.place.clone()))?
    };
    let (mut command, program) = starting(session, program, first.as_ref())?;
    command.args(rest).current_dir(dir);
    Ok(Some((command, program)))
}

/// Returns a command as a shell would read it.
fn shown(task: &ProjectTask) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => quoted(word),
    };
    task.command.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Prints the tasks.
fn list(project: &Project, json: bool) -> Result<ExitCode> {
    let tasks = &project.manifest.tasks;
    let before = |task: &ProjectTask| -> Vec<String> {
        task.depends_on.iter().map(|before| before.value.clone()).collect()
    };
    if json {
        let task = |(name, task): (&String, &ProjectTask)| json!({ "name": name, "depends_on": before(task), "command": task.command });
        let list: Vec<_> = tasks.iter().map(task).collect();
        print_json(&json!({ "tasks": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if tasks.is_empty() {
        return Err(Error::user(format!("{FILE_NAME} has no tasks"))
            .hint("begin with [tasks] and build = [\"make\", \"-j4\"]"));
    }
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|(name, task)| vec![name.clone(), before(task).join(", "), shown(task)])
        .collect();
    print(&table::render(&["task", "after", "command"], &rows, &[]))?;
    Ok(ExitCode::SUCCESS)
}

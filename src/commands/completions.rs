//! `cotter completions`

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::print;
use crate::cli::{Cli, Completions};
use crate::context::Context;
use crate::error::Result;
use crate::project::Project;

/// The first argument with which the printed scripts ask for [`names`]. No user types it.
pub const COMMAND: &str = "__complete";

/// The verbs that take names of the project, each with what it takes.
const TAKERS: &[(&str, &str)] = &[
    ("setup", "toolchains"),
    ("build", "toolchains"),
    ("log", "toolchains"),
    ("exec", "toolchains"),
    ("shell", "toolchains"),
    ("env", "toolchains"),
    ("path", "toolchains"),
    ("verify", "toolchains"),
    ("rebuild", "toolchains"),
    ("challenge", "toolchains"),
    ("tree", "toolchains"),
    ("provenance", "toolchains"),
    ("lock", "tables"),
    ("outdated", "tables"),
    ("remove", "tables"),
    ("venv", "sets"),
    ("run", "tasks"),
    ("why", "packages"),
];

/// Runs the command.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: &Completions, _cx: &Context) -> Result<ExitCode> {
    let mut out = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "cotter", &mut out);
    let script = String::from_utf8_lossy(&out).into_owned();
    print(&match args.shell {
        Shell::Bash => script + &bash(),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &fish(),
        _ => script,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints names of the project, one in each line.
///
/// # Errors
/// If there is no project, or if its files cannot be read.
pub fn names(what: &str, cx: &Context) -> Result<()> {
    let project = Project::load(cx)?;
    let manifest = &project.manifest;
    let tables = || manifest.toolchains.keys().chain(manifest.requirements.keys());
    let mut names = BTreeSet::new();
    match what {
        "tables" => names.extend(tables().map(ToString::to_string)),
        "toolchains" => {
            names.extend(manifest.toolchains.keys().map(ToString::to_string));
            let sets = project.package_trees().into_iter().filter(|tree| !tree.builds);
            names.extend(sets.map(|tree| tree.name.to_string()));
        }
        "sets" => {
            let sets = project.package_trees().into_iter().filter(|tree| !tree.builds);
            names.extend(sets.map(|tree| tree.name.to_string()));
        }
        "tasks" => names.extend(manifest.tasks.keys().cloned()),
        "packages" => {
            let lock = project.lock(cx)?.unwrap_or_default();
            let inputs = lock.trees.values().flat_map(|tree| &tree.plan.inputs);
            names.extend(inputs.map(|input| input.component.name.clone()));
        }
        _ => {}
    }
    // A shell would read what others wrote as words of its own.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    names.retain(|name| name.chars().all(plain));
    names.iter().try_for_each(|name| print(&format!("{name}\n")))
}

/// Returns the verbs that take the same names, separated by `separator`.
fn takers(what: &str, separator: &str) -> String {
    let verbs = TAKERS.iter().filter(|(_, takes)| *takes == what).map(|(verb, _)| *verb);
    verbs.collect::<Vec<_>>().join(separator)
}

/// Returns what names there are, each once.
fn kinds() -> BTreeSet<&'static str> {
    TAKERS.iter().map(|(_, what)| *what).collect()
}

/// Adds the names to those that clap's function proposes. What stands behind `--` belongs to another
/// command.
fn bash() -> String {
    let cases: String = kinds()
        .into_iter()
        .map(|what| format!("        {}) what={what} ;;\n", takers(what, "|")))
        .collect();
    format!(
        r#"
_cotter_with_names() {{
    _cotter "$@"
    local cur=${{COMP_WORDS[COMP_CWORD]}} what= word
    [[ $cur == -* ]] && return 0
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        [[ $word == -- ]] && return 0
        [[ -z $what ]] && case $word in
{cases}        esac
    done
    [[ -n $what ]] && COMPREPLY+=($(compgen -W "$(command cotter {COMMAND} "$what" 2>/dev/null)" -- "$cur"))
    return 0
}}
complete -F _cotter_with_names -o bashdefault -o default cotter
"#
    )
}

/// Lets the arguments that are names of the project be completed by a function that asks for them.
fn zsh(script: &str) -> String {
    let mut out = String::new();
    let mut takes = None;
    for line in script.lines() {
        let case = line.trim().strip_prefix('(').and_then(|line| line.strip_suffix(')'));
        if let Some(case) = case {
            takes = TAKERS.iter().find(|(verb, _)| *verb == case).map(|(_, what)| *what);
        }
        let is_name = ["'*::names --", "'::name --", "':package --", "'*--upgrade="]
            .iter()
            .any(|begin| line.starts_with(begin));
        match takes.filter(|_| is_name) {
            Some(what) => {
                // Zsh offers what may follow an optional word beside it, here every file and program.
                let line = line.replacen("'::name --", "':name --", 1);
                out += &line.replace(":_default'", &format!(":_cotter_{what}'"));
            }
            None => out += line,
        }
        out.push('\n');
    }
    let functions: String = kinds()
        .into_iter()
        .map(|what| {
            format!(
                "_cotter_{what}() {{ local -a names; names=(${{(f)\"$(command cotter {COMMAND} {what} 2>/dev/null)\"}}); compadd -a names }}\n"
            )
        })
        .collect();
    // The functions come before the last lines, which call the first one.
    match out.rfind("\nif [ \"$funcstack[1]\"") {
        Some(at) => format!("{}\n{functions}{}", &out[..at], &out[at..]),
        None => out,
    }
}

fn fish() -> String {
    kinds()
        .into_iter()
        .map(|what| {
            let verbs = takers(what, " ");
            format!(
                "complete -c cotter -n \"__fish_cotter_using_subcommand {verbs}; and not contains -- -- (commandline -opc)\" -f -a \"(command cotter {COMMAND} {what} 2>/dev/null)\"\n"
            )
        })
        .collect()
}

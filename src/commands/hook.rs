//! `cotter hook`: a shell that enters the environment of a project with its directory, and leaves it with it.

use std::path::Path;
use std::process::ExitCode;

use super::session::{Access, Session};
use super::shell::{fish_rest_of_path, off_path};
use super::{present, print};
use crate::cli::{Hook, HookShell};
use crate::context::{Context, var};
use crate::error::{Error, Result};
use crate::lockfile;
use crate::store::Stamp;
use crate::text::shell::{assignments, fish_assignments, fish_quoted, quoted};

/// The variable that names the state for which the environment of the shell was set: the manifest and the stamps of the manifest and the
/// lock.
const STATE: &str = "COTTER_HOOK";

/// The variable with the commands that restore what the hook has changed.
const UNDO: &str = "COTTER_HOOK_UNDO";

/// What stands in the snippets for the path of this program. A name would be looked up on the `PATH` that the hook has changed, where a package of the project
/// may bring a program `cotter`.
const PROGRAM: &str = "COTTER";

/// bash runs the hook before each prompt. Source: bash(1), `PROMPT_COMMAND`.
const BASH: &str = r#"_cotter_hook() {
  local status=$?
  eval "$(command COTTER hook bash --update)"
  _cotter_mark
  return $status
}
_cotter_mark() {
  PS1=${PS1#"(cotter) "}
  if [ -n "${COTTER_HOOK_UNDO-}" ] && [ "${COTTER_HOOK_PROMPT-1}" != 0 ]; then PS1="(cotter) $PS1"; fi
}
case ";${PROMPT_COMMAND[*]-};" in
  *";_cotter_hook;"*) ;;
  *) PROMPT_COMMAND="_cotter_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}" ;;
esac
"#;

/// zsh runs the hook before each prompt. Source: zshmisc(1), "Hook Functions".
const ZSH: &str = r#"_cotter_hook() {
  eval "$(command COTTER hook zsh --update)"
  PS1=${PS1#"(cotter) "}
  if [[ -n ${COTTER_HOOK_UNDO-} && ${COTTER_HOOK_PROMPT-1} != 0 ]]; then PS1="(cotter) $PS1"; fi
}
typeset -ga precmd_functions
if [[ -z ${precmd_functions[(r)_cotter_hook]} ]]; then precmd_functions=(_cotter_hook $precmd_functions); fi
"#;

/// fish runs the hook before each prompt. The prompt is a function, which is wrapped again whenever the user has chosen another one.
/// Source: fish's documentation, "Event handlers" and "fish_prompt".
const FISH: &str = r#"function _cotter_hook --on-event fish_prompt
    command COTTER hook fish --update | source
    if functions -q fish_prompt; and not functions fish_prompt | string match -q '*_cotter_prompt*'
        functions -e _cotter_prompt
        functions -c fish_prompt _cotter_prompt
        function fish_prompt
            set -l code $status
            if test -n "$COTTER_HOOK_UNDO"; and test "$COTTER_HOOK_PROMPT" != 0
                echo -n '(cotter) '
            end
            _cotter_status $code
            _cotter_prompt
        end
    end
end
function _cotter_status
    return $argv[1]
end
"#;

/// Runs the command.
///
/// # Errors
/// If the environment of the project cannot be entered. What was printed lets the shell go on without it, and not ask again.
pub fn run(args: &Hook, cx: &Context) -> Result<ExitCode> {
    let (text, entered) = match (args.update, args.shell) {
        (true, shell) => update(shell, cx)?,
        (false, HookShell::Bash) => (of_this_program(BASH, args.shell, cx)?, Ok(())),
        (false, HookShell::Zsh) => (of_this_program(ZSH, args.shell, cx)?, Ok(())),
        (false, HookShell::Fish) => (of_this_program(FISH, args.shell, cx)?, Ok(())),
    };
    print(&text)?;
    entered.map(|()| ExitCode::SUCCESS)
}

/// Returns a snippet that starts this program by its path.
fn of_this_program(snippet: &str, shell: HookShell, cx: &Context) -> Result<String> {
    let path = cx.program()?;
    let path = path.to_str().ok_or_else(|| {
        Error::user(format!("the hook can't start {}", path.display()))
            .because("expected a path in UTF-8")
            .hint("move cotter to another directory")
    })?;
    let path = if shell == HookShell::Fish { fish_quoted(path) } else { quoted(path) };
    Ok(snippet.replacen(PROGRAM, &path, 1))
}

/// Returns the commands that bring a shell into the state of its directory: none if it is in it. With them comes what is wrong with
/// the project.
fn update(shell: HookShell, cx: &Context) -> Result<(String, Result<()>)> {
    // `cotter shell` has set the environment for as long as it runs.
    if var("COTTER_SHELL").is_some() {
        return Ok((String::new(), Ok(())));
    }
    // A manifest that is not used because of its owner has a state, too, so that this is told once.
    let manifest = cx.found_manifest().ok();
    let now = manifest.as_deref().map(state).unwrap_or_default();
    let before = var(STATE).unwrap_or_default();
    if now == before {
        return Ok((String::new(), Ok(())));
    }
    let again = match shell {
        HookShell::Fish => "command COTTER hook fish --update | source\n",
        HookShell::Bash => "eval \"$(command COTTER hook bash --update)\"\n",
        HookShell::Zsh => "eval \"$(command COTTER hook zsh --update)\"\n",
    };
    if !before.is_empty() {
        // What another project has changed is restored first. The values that the shell has then are known to the next call only.
        let undo = match shell {
            HookShell::Fish => format!("eval ${UNDO}\nset -e {STATE}\nset -e {UNDO}\n"),
            _ => format!("eval \"${{{UNDO}-}}\"\nunset {STATE} {UNDO}\n"),
        };
        let text = if now.is_empty() { undo } else { undo + &of_this_program(again, shell, cx)? };
        return Ok((text, Ok(())));
    }
    // The state is set in any case, so that a fault is told once and not before each prompt.
    let state = set(shell, STATE, &now);
    Ok(match enter(shell, cx) {
        Ok((entered, undo)) => (entered + &state + &set(shell, UNDO, &undo), Ok(())),
        Err(error) => (state, Err(error)),
    })
}

/// Returns the words for the state of a project.
fn state(manifest: &Path) -> String {
    let stamp = |path: &Path| Stamp::of(path).map(|s| s.to_string()).unwrap_or_default();
    let lock = manifest.with_file_name(lockfile::FILE_NAME);
    format!("{} {} {}", manifest.display(), stamp(manifest), stamp(&lock))
}

fn set(shell: HookShell, name: &str, value: &str) -> String {
    match shell {
        HookShell::Fish => format!("set -gx {name} {}\n", fish_quoted(value)),
        _ => format!("export {name}={}\n", quoted(value)),
    }
}

/// Returns the commands that enter the environment of the project, and those that leave it.
fn enter(shell: HookShell, cx: &Context) -> Result<(String, String)> {
    let session = Session::of(present::present_active(&[], cx)?, Access::Listed, cx)?;
    let (front, changes) = (session.front(), &session.changes);
    let names = changes.set.keys().chain(&changes.unset);
    let old: Vec<(&String, Option<String>)> = names.map(|name| (name, var(name))).collect();
    let kept = old.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
    let gone: Vec<String> =
        old.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| (*name).clone()).collect();
    Ok(match shell {
        HookShell::Fish => {
            let front: Vec<String> = front.iter().map(|dir| fish_quoted(dir)).collect();
            let front = front.join(" ");
            let rest = fish_rest_of_path(&front);
            let enter = format!("{rest}set -gx PATH {front} $cotter_rest\n");
            let leave = format!("{rest}set -gx PATH $cotter_rest\n");
            (
                enter + &fish_assignments(&changes.set, &changes.unset),
                leave + &fish_assignments(kept, &gone),
            )
        }
        HookShell::Bash | HookShell::Zsh => {
            let leave = off_path(&front) + "hash -r\n";
            let enter =
                format!("export PATH={}\"${{PATH:+:$PATH}}\"\nhash -r\n", quoted(&front.join(":")));
            (enter + &assignments(&changes.set, &changes.unset), leave + &assignments(kept, &gone))
        }
    })
}

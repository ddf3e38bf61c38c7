//! A shell of the user in the sandbox of a build, where the steps of the build stand.

use super::build::Workshop;
use super::from_source::{PREAMBLE, Prepared};
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::sandbox::{Ended, Quota, Surroundings};
use crate::store::Staging;

/// Starts a shell that somebody can type into. Bash is comfortable, and every build has some `sh`.
const INTERACTIVE: &str = r#"cotter_shell() {
    trap - EXIT
    set +eu
    echo "[cotter] $1; \`exit\` leaves the sandbox, and nothing of it is kept"
    unset cotter_code cotter_step cotter_patch
    export TERM="${TERM:-xterm}" PS1='[cotter] \w \$ '
    command -v bash > /dev/null && exec bash --norc --noprofile -i
    PS1='[cotter] $ ' exec /bin/sh -i
}
"#;

/// Takes the place of what tells that a step has failed.
const AT_FAILURE: &str = r#"trap 'cotter_code=$?; test "$cotter_code" = 0 || cotter_shell "step $cotter_step has failed with exit code $cotter_code"' EXIT
"#;

impl Workshop<'_> {
    /// Lets the user type into a shell in the sandbox of a build: before the step with a number, or
    /// otherwise where a step has failed.
    ///
    /// # Errors
    /// If there is no such step, if an input cannot be fetched, or without a terminal.
    pub fn shell(&self, plan: &Plan, before: Option<usize>) -> Result<()> {
        let scratch = Staging::new(self.store)?;
        // Nobody thinks in limited time.
        let limits = Quota { seconds: u64::MAX, keep_failed: false, ..self.limits };
        let unlimited = Workshop { limits, ..*self };
        let Prepared { mut view, script, steps } =
            unlimited.prepared(plan, &Surroundings::default(), scratch.dir())?;
        if let Some(step) = before.filter(|step| !(1..=steps.len()).contains(step)) {
            return Err(Error::user(format!("the build of {} has no step {step}", plan.name))
                .because(format!("its steps are numbered from 1 to {}", steps.len())));
        }
        let mut text = PREAMBLE.to_owned() + INTERACTIVE + AT_FAILURE;
        let done = before.unwrap_or(steps.len() + 1) - 1;
        text.extend(steps.iter().take(done).map(String::as_str));
        text += &match before {
            Some(step) => format!("cotter_shell 'before step {step} of {}'\n", steps.len()),
            None => format!("cotter_shell 'all {} steps have succeeded'\n", steps.len()),
        };
        view.terminal = true;
        match Prepared::job(view, &script, &text)?.run_at_terminal()? {
            Ended::Code(_) | Ended::Signal(_) => Ok(()),
            ended => Err(ended.explain(Error::build(format!(
                "the shell in the sandbox of {} was ended",
                plan.name
            )))),
        }
    }
}

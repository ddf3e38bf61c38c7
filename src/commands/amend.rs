//! What `add` and `remove` share: a changed manifest is locked before it is written.

use fs_err as fs;

use super::{print, print_json, sweep, trees};
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::lock::{self, Options, Upgrade};
use crate::project::{Project, read_text, replace};
use crate::ready::{self, Wanted};
use crate::report::lock_changes::LockChanges;
use crate::report::lock_forms;
use crate::reporter::Verbosity;
use crate::trust;

/// The manifest of a project before a change.
pub struct Before {
    /// The project.
    pub project: Project,
    /// The text of its manifest.
    pub text: String,
}

/// How a changed manifest becomes effective.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Whether the trees are made ready.
    pub setup: bool,
    /// Whether an index whose `Valid-Until` has passed is accepted.
    pub allow_expired: bool,
    /// Whether the changes are printed as JSON.
    pub json: bool,
}

impl Before {
    /// Reads the manifest that is to be changed.
    ///
    /// # Errors
    /// If it may not be changed, or if it has problems already.
    pub fn read(verb: &str, cx: &Context) -> Result<Before> {
        let flag = match (cx.global.locked, cx.global.frozen) {
            (true, _) => Some("--locked"),
            (_, true) => Some("--frozen"),
            _ => None,
        };
        if let Some(flag) = flag {
            return Err(Error::user(format!("{flag} does not let `cotter {verb}` write the lock"))
                .hint(format!("leave {flag} out")));
        }
        let path = cx.manifest_path()?;
        let file = shown(&path, &cx.here);
        if let Ok(to) = fs::read_link(&path) {
            return Err(Error::user(format!("{file} is a symlink to {}", to.display()))
                .hint("name the file that is meant: --manifest FILE"));
        }
        let text = read_text(&path, &file)?;
        let project = Project::of_text(path, &text, cx)?;
        Ok(Before { project, text })
    }

    /// Locks what `text` asks for, writes it as the manifest, and prints what changed. If the locking
    /// fails, the manifest and the lock stay as they were.
    ///
    /// # Errors
    /// If `text` has problems, or if it cannot be locked or set up.
    pub fn become_text(&self, text: &str, effect: Effect, cx: &Context) -> Result<()> {
        let path = self.project.manifest_path.clone();
        let file = shown(&path, &cx.here);
        let unchanged = |e: Error| e.hint(format!("{file} and the lock are as they were"));
        let project = Project::of_text(path.clone(), text, cx).map_err(unchanged)?;
        let old = project.lock(cx)?;
        trust::demand(Some(&project), old.as_ref(), cx)?;
        crate::interrupt::install();
        cx.store.refuse_if_open()?;
        sweep(cx)?;
        let fetcher = cx.fetcher(Some(&project.manifest))?;
        let allow_expired = effect.allow_expired;
        let options =
            Options { upgrade: Upgrade::Nothing, fresh: false, allow_expired, until: None };
        let outcome = lock::propose(&project, cx, &fetcher, &options).map_err(unchanged)?;
        // What was read must still be there: an editor may have written the file in the meantime.
        if read_text(&path, &file)? != self.text {
            return Err(Error::user(format!("{file} was changed in the meantime"))
                .hint("run the command again"));
        }
        outcome.write(&project).map_err(unchanged)?;
        replace(&path, text).map_err(|e| e.hint("the lock is ahead of it: run `cotter lock`"))?;
        let changes = LockChanges::between(&outcome.before, &outcome.lock);
        if effect.json {
            print_json(&lock_forms::json(&changes))?;
        } else if cx.reporter.verbosity() > Verbosity::Quiet {
            print(&lock_forms::text(&changes))?;
        }
        if effect.setup && !project.manifest.toolchains.is_empty() {
            let platform = ready::native_or(None)?;
            let wanted = Wanted { names: &[], platform, allow_expired, with_facts: true };
            let next = format!("{file} and the lock are written; next: cotter setup");
            trees::ready(&wanted, cx).map_err(|e| e.hint(next))?;
        }
        Ok(())
    }
}

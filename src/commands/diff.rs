//! `cotter diff`

use std::path::Path;
use std::process::{Command, ExitCode};

use super::{print, print_json};
use crate::cli::Diff;
use crate::context::{Context, shown};
use crate::error::{Error, ErrorKind, Result};
use crate::lockfile::{self, Lockfile};
use crate::project::{read_lock, read_lock_text};
use crate::report::lock_changes::LockChanges;
use crate::report::lock_forms;

/// The revision that is compared by default.
const HEAD: &str = "HEAD";

/// Runs the command.
///
/// # Errors
/// If one of the two locks cannot be read.
pub fn run(args: &Diff, cx: &Context) -> Result<ExitCode> {
    let path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let new = read_lock(&path, cx)?.ok_or_else(|| {
        Error::new(ErrorKind::LockStale, format!("there is no {}", shown(&path, &cx.here)))
            .hint("run `cotter lock`")
    })?;
    let old = old(&args.old, &path, cx)?;
    let changes = LockChanges::between(&old, &new);
    if args.json {
        print_json(&lock_forms::json(&changes))?;
    } else if args.markdown {
        print(&lock_forms::markdown(&changes))?;
    } else if args.html {
        print(&lock_forms::html(&changes))?;
    } else {
        print(&lock_forms::text(&changes))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the old lock: a file, or that of a revision.
fn old(asked: &str, lock: &Path, cx: &Context) -> Result<Lockfile> {
    let file = cx.here.join(asked);
    let read = || Lockfile::parse(&read_lock_text(&file, asked)?, asked).map_err(damaged);
    let is_file = file.is_file();
    if is_file && is_path(asked) {
        return read();
    }
    let dir = lock.parent().unwrap_or(Path::new("."));
    let commit = match git(dir, &["rev-parse", "--verify", &format!("{asked}^{{commit}}")]) {
        Ok(Ok(commit)) => commit,
        // A repository chooses the names of its files, and must not so choose the old lock.
        _ if is_file && asked != HEAD => return read(),
        Ok(Err(why)) => {
            return Err(Error::user(format!("{asked:?} is neither a file nor a revision of git"))
                .because(why)
                .hint("name a lock, or a revision: `cotter diff origin/main`"));
        }
        Err(e) => return Err(e),
    };
    if is_file {
        cx.reporter.warn(&format!(
            "{asked} is a revision and a file: the revision is compared, and `cotter diff ./{asked}` takes the file"
        ));
    }
    let commit = commit.trim();
    let named = format!("./{}", lockfile::FILE_NAME);
    let listed = git(dir, &["ls-tree", "--name-only", commit, "--", &named])?
        .map_err(|why| Error::user("git can't list the files of the revision").because(why))?;
    if listed.trim().is_empty() {
        cx.reporter.warn(&format!("{asked} has no {}: everything is new", lockfile::FILE_NAME));
        return Ok(Lockfile::default());
    }
    let text = git(dir, &["cat-file", "blob", &format!("{commit}:{named}")])?
        .map_err(|why| Error::user("git can't read the lock of the revision").because(why))?;
    Lockfile::parse(&text, &format!("{asked}:{}", lockfile::FILE_NAME)).map_err(damaged)
}

/// Returns the error for an old lock that is damaged. Locking anew would not mend it.
fn damaged(error: Error) -> Error {
    error.with_hint("name another file, or a revision: `cotter diff HEAD~1`")
}

/// Whether an argument can only name a file. No revision begins so, and git refuses the ending `.lock`
/// of branches and tags. Source: git-check-ref-format(1).
fn is_path(asked: &str) -> bool {
    ["/", "./", "../"].iter().any(|beginning| asked.starts_with(beginning))
        || asked.ends_with(".lock")
}

/// Runs git in a directory. Returns what it printed, or what it complained about.
///
/// # Errors
/// If there is no git.
fn git(dir: &Path, args: &[&str]) -> Result<std::result::Result<String, String>> {
    // A repository must not make git start what fetches a missing object. Source: git(1),
    // GIT_NO_LAZY_FETCH (since 2.45). What is committed in it must not be taken for a repository of
    // its own, with revisions of its own. Source: git-config(1), safe.bareRepository (since 2.38).
    let mut command = Command::new("git");
    command
        .args(["-c", "safe.bareRepository=explicit", "-C"])
        .arg(dir)
        .args(args)
        .env("GIT_NO_LAZY_FETCH", "1");
    let output = command.output().map_err(|e| {
        Error::user("can't start git, which knows the lock of a revision")
            .cause(&e)
            .hint("install git, or name a file: `cotter diff OLD.lock`")
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr).trim().to_owned()),
    })
}

//! `cotter audit tree --run`: runs a command with the toolchains under a trace.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;

use super::super::exec;
use super::super::session::{Access, Session};
use super::jail::tool;
use crate::audit::Finding;
use crate::audit::trace::{self, TracedMachine};
use crate::context::{Context, temporary_directory};
use crate::error::{Error, ErrorKind, Result};
use crate::model::ToolchainName;
use crate::relocate::redirect;
use crate::store::{RootTree, Staging};

/// Runs the command in the environment of `cotter exec`, and returns what it did with the files of
/// the host. What the command prints to standard output goes to standard error.
///
/// # Errors
/// If the command or `strace` cannot be started, or if the command fails.
pub fn run(
    program: &OsString,
    args: &[OsString],
    names: &[ToolchainName],
    roots: &[RootTree],
    cx: &Context,
) -> Result<Vec<Finding>> {
    let strace = tool("strace", "strace", "--run")?;
    let session = Session::open(names, Access::Listed, cx)?;
    let found = session.find(program)?;
    let staging = Staging::new(&cx.store)?;
    let file = staging.dir().join("trace");
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-y", "-s", "4096", "-e", trace::COMMAND_CALLS]);
    command.args(["-e", "signal=none", "-o"]).arg(&file).arg("--").arg(&found).args(args);
    exec::apply(&mut command, &session);
    let output = std::io::stderr().as_fd().try_clone_to_owned();
    command.stdout(output.map_or_else(|_| Stdio::null(), Stdio::from));
    cx.reporter.line(&format!("running {} under a trace", found.display()));
    let status = command
        .status()
        .map_err(|e| Error::new(ErrorKind::CommandNotExecutable, "can't start strace").cause(&e))?;
    let bytes = fs::read(&file).map_err(|e| Error::at("read", &file, e))?;
    let own = own_places(cx);
    let trees: Vec<(String, String)> = roots
        .iter()
        .flat_map(|tree| {
            let path = cx.store.path(&tree.store_name);
            both(&path).into_iter().map(|path| (path, tree.name.to_string()))
        })
        .collect();
    let here = cx.here.display().to_string();
    let around =
        TracedMachine { here: &here, own: &own, machine: redirect::MACHINE, trees: &trees };
    let observed = trace::observe(&String::from_utf8_lossy(&bytes), &around);
    cx.reporter.line(&format!(
        "{} files of the host were only found to exist, {} were looked for in vain{}",
        observed.seen.len(),
        observed.missed.len(),
        if observed.seen.is_empty() && observed.missed.is_empty() {
            ""
        } else {
            " (--verbose lists them)"
        }
    ));
    for (what, list) in [("was found by", &observed.seen), ("was looked for by", &observed.missed)]
    {
        for (path, by) in list {
            cx.reporter.detail(&format!("  {path} {what} {by}"));
        }
    }
    if !status.success() {
        // What a command does before it fails proves little.
        cx.reporter.warn(&format!("the command failed: {status}"));
        if observed.findings.is_empty() {
            return Err(Error::build(format!("the command failed: {status}"))
                .hint("a trace shows what a command does when it works: mend the command first"));
        }
    }
    Ok(observed.findings)
}

/// Returns the directories whose files do not belong to the host.
fn own_places(cx: &Context) -> Vec<String> {
    let temporary = temporary_directory();
    let mut out = vec![];
    for dir in [cx.store.dir(), &cx.here, &temporary, Path::new("/tmp")] {
        out.extend(both(dir));
    }
    out.sort();
    out.dedup();
    out
}

/// Returns a path as it is named, and as it is without links.
fn both(path: &Path) -> Vec<String> {
    let mut out = vec![path.display().to_string()];
    out.extend(path.canonicalize().ok().map(|p| p.display().to_string()));
    out.dedup();
    out
}

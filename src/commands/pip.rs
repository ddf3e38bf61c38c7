//! The way to Python packages where no index is configured: the pinned Python's own pip, which knows its default.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fs_err as fs;

use crate::compose::{Composer, Order};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::Lockfile;
use crate::manifest::Kind;
use crate::model::Platform;

/// Lets the fetcher use the pip of a Python of the lock for this machine, which is made first if it is not in the store.
///
/// # Errors
/// If that Python cannot be made.
pub fn offer(cx: &Context, fetcher: &Fetcher, lock: &Lockfile, hard_links: bool) -> Result<()> {
    if !fetcher.mirrors.python_indexes().is_empty() || cx.global.offline {
        return Ok(());
    }
    let Some(python) = lock.trees.values().find(|t| t.plan.kind == Kind::Python && Some(t.plan.platform) == Platform::native()) else { return Ok(()) };
    let name = &python.output.store_name;
    if !cx.store.has(name) {
        let _held = cx.store.lock_to_compose(name)?;
        if !cx.store.has(name) {
            let composer = Composer { store: &cx.store, fetcher, reporter: cx.reporter.clone(), jobs: cx.jobs(), hard_links };
            composer.run(&[Order { plan: &python.plan, expected: Some(&python.output), keep: true }])?;
        }
    }
    let program = cx.store.path(name).join("bin/python3");
    fetcher.set_pip(Arc::new(move |project, what, dir| download(&program, project, what, dir)));
    Ok(())
}

/// `what` is a wheel's file name, or `project==version platform` to let pip choose the file; ` glibc` behind that prefers one that was made for glibc.
fn download(python: &Path, project: &str, what: &str, dir: &Path) -> Result<PathBuf> {
    let (requirement, tags) = match what.split_once(' ') {
        Some((requirement, rest)) => {
            let mut words = rest.split(' ');
            let cpu = words.next().and_then(|platform| platform.split('-').next()).unwrap_or("");
            // musl first, for such a wheel's programs are static as a rule; last for a tree that brings glibc.
            let mut tags = vec!["musllinux_1_2", "musllinux_1_1", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010"];
            if words.next() == Some("glibc") {
                tags.rotate_left(2);
            }
            (requirement.to_owned(), tags.into_iter().map(|tag| format!("{tag}_{cpu}")).collect::<Vec<_>>())
        }
        None => {
            let parts: Vec<&str> = what.trim_end_matches(".whl").split('-').collect();
            let version = parts.get(1).copied().unwrap_or("");
            (format!("{project}=={version}"), parts.last().map(|t| t.split('.').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default())
        }
    };
    fs::create_dir_all(dir).map_err(|e| Error::at("make", dir, e))?;
    let mut tried = String::new();
    // One tag at a time, in the order of preference: with several, pip prefers by its own order.
    for tag in &tags {
        crate::interrupt::check()?;
        let mut command = Command::new(python);
        command.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-version",
            "3.11",
            "--implementation",
            "py",
            "--abi",
            "none",
        ]);
        command.args(["--platform", tag, "--dest"]).arg(dir).arg(&requirement).env_remove("PIP_FIND_LINKS").stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.output().map_err(|e| Error::io(format!("can't start {}", python.display()), e))?;
        let found = fs::read_dir(dir)
            .map_err(|e| Error::at("read", dir, e))?
            .filter_map(Result::ok)
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "whl"));
        if let (true, Some(path)) = (output.status.success(), found) {
            return Ok(path);
        }
        tried = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    }
    let error = Error::network(format!("pip can't fetch {requirement}"));
    Err(tried.lines().rev().take(3).fold(error, |e, line| e.because(line.trim_start_matches("ERROR: ").to_owned())))
}

//! The package index where none is configured: the pinned Python's pip knows its own default.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::compose::{Composer, Order};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::Lockfile;
use crate::manifest::Kind;
use crate::model::Platform;

/// Lets the fetcher ask the pip of a Python of the lock for this machine, which is made first if it is not in the store.
///
/// # Errors
/// If that Python cannot be made.
pub fn offer(cx: &Context, fetcher: &Fetcher, lock: &Lockfile, hard_links: bool) -> Result<()> {
    if fetcher.has_python_index() || cx.global.offline {
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
    fetcher.set_default_python_index(Arc::new(move || {
        let mut command = Command::new(&program);
        command.args(["-I", "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"]).stdin(Stdio::null());
        let output = command.output().map_err(|e| Error::io(format!("can't start {}", program.display()), e))?;
        let url = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && url.contains("://") {
            return Ok(url);
        }
        Err(crate::fetch::no_python_index().because(format!("the pip of {} does not tell its default", program.display())))
    }));
    Ok(())
}

//! `cotter build`

use std::cell::RefCell;
use std::process::ExitCode;

use super::{setup, sweep};
use crate::cli::{Build, Setup};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock::{self, Options, Until, Upgrade};
use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::make::{Workshop, locked_for};
use crate::manifest::no_such_toolchain;
use crate::model::{Platform, ToolchainName};
use crate::project::Project;
use crate::ready;
use crate::sandbox::need_terminal;
use crate::trust;

/// Runs the command.
///
/// # Errors
/// If a toolchain is not built from source, or if its build fails.
pub fn run(args: &Build, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(None)?;
    let project = Project::load(cx)?;
    let is_built = |name: &ToolchainName| project.sources[name].building(platform).is_some();
    for name in args.names.iter().chain(&args.shell) {
        if !project.manifest.toolchains.contains_key(name) {
            let known = project.manifest.toolchains.keys().map(ToolchainName::as_str);
            return Err(no_such_toolchain(name.as_str(), known));
        }
        if !is_built(name) {
            let place = &project.manifest.toolchains[name].place;
            return Err(Error::user(format!("{name} is not built from source"))
                .located(place.clone())
                .hint("`cotter setup` makes what is not"));
        }
    }
    if let Some(name) = &args.shell {
        return shell(name, args, platform, &project, cx);
    }
    let of_platform = |name: &&ToolchainName| {
        project.manifest.toolchains[*name].platforms.contains(&platform) && is_built(name)
    };
    let names = match args.names.is_empty() {
        true => project.manifest.toolchains.keys().filter(of_platform).cloned().collect(),
        false => args.names.clone(),
    };
    if names.is_empty() {
        return Err(Error::user("no toolchain is built from source")
            .hint("`source = \"build\"` builds one; `cotter setup` makes all others"));
    }
    let setup = Setup {
        names,
        platform: None,
        allow_expired: args.allow_expired,
        keep_failed: args.keep_failed,
        timings: false,
        json: args.json,
    };
    setup::run(&setup, cx)
}

/// Lets the user type into a shell in the sandbox of a build.
fn shell(
    name: &ToolchainName,
    args: &Build,
    platform: Platform,
    project: &Project,
    cx: &Context,
) -> Result<ExitCode> {
    need_terminal()?;
    let old = project.lock(cx)?;
    trust::demand(Some(project), old.as_ref(), cx)?;
    crate::interrupt::install();
    cx.store.refuse_if_open()?;
    sweep(cx)?;
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    let (plan, lock) = match old.and_then(|lock| locked(name, platform, project, lock)) {
        Some(found) => found,
        None if cx.global.locked || cx.global.frozen => {
            lock::check(project, &lock::required(project, cx)?, cx)?;
            return Err(Error::user(format!("{name} is not locked for {platform}")));
        }
        None => {
            let until = Until { name: name.clone(), platform, found: RefCell::default() };
            let options = Options {
                upgrade: Upgrade::Nothing,
                fresh: false,
                allow_expired: args.allow_expired,
                until: Some(until),
            };
            let outcome = lock::propose(project, cx, &fetcher, &options);
            let found = options.until.and_then(|until| until.found.into_inner());
            match (found, outcome) {
                (Some(found), _) => found,
                (None, Err(e)) => return Err(e),
                (None, Ok(_)) => {
                    return Err(Error::user(format!("{name} is not locked for {platform}")));
                }
            }
        }
    };
    let used: Vec<&LockedTree> = plan
        .uses
        .make
        .iter()
        .map(|name| locked_for(&lock, name, platform))
        .collect::<Result<_>>()?;
    project.maker(cx, &fetcher).ensure(&lock, &used)?;
    let (store, reporter, limits) = (&cx.store, &cx.reporter, cx.limits());
    let workshop = Workshop { store, fetcher: &fetcher, reporter, lock: &lock, platform, limits };
    workshop.shell(&plan, args.step)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the entry of the lock for a toolchain, if it and what it is built with fit the manifest.
fn locked(
    name: &ToolchainName,
    platform: Platform,
    project: &Project,
    lock: Lockfile,
) -> Option<(Plan, Lockfile)> {
    let stale = lock::stale(project, &lock);
    let tree = lock.get(name, platform)?;
    let is_fresh =
        |name: &ToolchainName| !stale.iter().any(|s| s.name == *name && s.platform == platform);
    let fits = is_fresh(name) && tree.plan.uses.make.iter().all(is_fresh) && tree.check().is_ok();
    let plan = tree.plan.clone();
    fits.then_some((plan, lock))
}

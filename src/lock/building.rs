//! Builds what is built from source while it is locked: the result is a part of the lock.

use super::options::Until;
use super::toolchains::Locking;
use crate::error::{Error, Result};
use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::make::{Workshop, locked_for, native_or_refuse};
use crate::model::{Built, Platform, ToolchainName};
use crate::project::Project;

impl Locking<'_> {
    /// Builds the source of a plan, if it has one, and records the result. What the lock says of the
    /// same build is believed: the result is compared with it when it is built again.
    ///
    /// # Errors
    /// If the build fails, or if it would run on another platform than this machine's.
    pub(super) fn build(&self, plan: &mut Plan, lock: &Lockfile) -> Result<()> {
        let Some(key) = plan.build_key() else { return Ok(()) };
        let wanted = self.options.until.as_ref();
        let is_wanted = |u: &&Until| u.name == plan.name && u.platform == plan.platform;
        if let Some(until) = wanted.filter(is_wanted) {
            *until.found.borrow_mut() = Some((plan.clone(), lock.clone()));
            return Err(Error::build(format!("{} was not to be built", plan.name)));
        }
        let of_lock = || {
            let tree = self.old.get(&plan.name, plan.platform)?;
            tree.plan.inputs.first()?.built.clone().filter(|_| tree.plan.build_key() == Some(key))
        };
        let known = self.built.borrow().get(&key).cloned().or_else(of_lock);
        let built = match known {
            Some(built) => built,
            None => self.build_now(plan, lock)?,
        };
        self.built.borrow_mut().insert(key, built.clone());
        // What has the same key may have another version, and so another name of the file.
        let name = plan.built_name();
        for input in plan.inputs.iter_mut().take(1) {
            input.built = Some(Built { file: name.clone(), ..built.clone() });
        }
        Ok(())
    }

    fn build_now(&self, plan: &Plan, lock: &Lockfile) -> Result<Built> {
        let platform = native_or_refuse(Platform::native())?;
        if plan.platform != platform {
            return Err(Error::build(format!(
                "{} can't be built for {} on this machine, {platform}",
                plan.name, plan.platform
            ))
            .hint("lock it on such a machine first, and commit the lock: what is locked stays")
            .hint(format!("or leave the platform out: platforms = [{:?}]", platform.as_str())));
        }
        let used: Vec<&LockedTree> = plan
            .uses
            .make
            .iter()
            .map(|name| locked_for(lock, name, platform))
            .collect::<Result<_>>()?;
        self.project.maker(self.cx, self.fetcher).ensure(lock, &used)?;
        let (store, fetcher, reporter) = (&self.cx.store, self.fetcher, &self.cx.reporter);
        let limits = self.cx.limits();
        Workshop { store, fetcher, reporter, lock, platform, limits }.build_source(plan)
    }
}

/// Returns those of some toolchains that are built with none of the others.
pub(super) fn ready(
    project: &Project,
    pending: &[(ToolchainName, Platform)],
) -> Vec<(ToolchainName, Platform)> {
    let is_pending = |name: &ToolchainName| pending.iter().any(|(other, _)| other == name);
    let is_ready = |(name, platform): &&(ToolchainName, Platform)| {
        let building = project.sources[name].building(*platform);
        building.is_none_or(|building| !building.toolchains().any(is_pending))
    };
    pending.iter().filter(is_ready).cloned().collect()
}

/// Returns the error for toolchains that are built with each other.
pub(super) fn circle(project: &Project, pending: &[(ToolchainName, Platform)]) -> Error {
    let names: Vec<&str> = pending.iter().map(|(name, _)| name.as_str()).collect();
    let error = Error::user(format!("{} are built with each other", names.join(", ")))
        .because("`with` and `libraries` go in a circle, so none of them can be built first");
    let place = pending.first().and_then(|(name, _)| project.manifest.toolchains.get(name));
    match place {
        Some(toolchain) => error.located(toolchain.place.clone()),
        None => error,
    }
}

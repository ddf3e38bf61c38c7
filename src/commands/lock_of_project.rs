//! The entries of a lock that a verb is asked about.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::lock;
use crate::lockfile::{FILE_NAME, LockedTree, Lockfile};
use crate::manifest::no_such_toolchain;
use crate::model::{Platform, ToolchainName};
use crate::project::Project;
use crate::ready;

/// A project, and the entries of its lock that are asked about.
pub struct AskedTrees {
    /// The project.
    pub project: Project,
    lock: Lockfile,
    names: Vec<ToolchainName>,
    platform: Platform,
}

impl AskedTrees {
    /// Reads the project and its lock. Nothing is locked, fetched or made.
    ///
    /// # Errors
    /// If there is no lock that fits the manifest, or if it has no entry of a name.
    pub fn read(
        names: &[ToolchainName],
        platform: Option<Platform>,
        cx: &Context,
    ) -> Result<AskedTrees> {
        let project = Project::load(cx)?;
        project.pins_something(names, cx)?;
        let lock = project.lock(cx)?.ok_or_else(|| {
            Error::new(ErrorKind::LockStale, format!("there is no {FILE_NAME}"))
                .hint("run `cotter lock`")
        })?;
        if !cx.global.frozen {
            lock::check(&project, &lock, cx)?;
        }
        let platform = ready::native_or(platform)?;
        let out = AskedTrees { project, lock, names: names.to_vec(), platform };
        let known = || out.lock.trees.values().map(|tree| &tree.plan);
        for name in names {
            if !known().any(|plan| plan.name == *name || plan.manifest_name() == name) {
                let known = known().map(|plan| plan.name.as_str());
                let known: std::collections::BTreeSet<&str> = known.collect();
                return Err(no_such_toolchain(name.as_str(), known.into_iter()));
            }
        }
        if out.trees().next().is_none() {
            return Err(Error::user(format!("nothing of that is locked for {platform}"))
                .hint("name another platform: --platform"));
        }
        Ok(out)
    }

    /// Returns the whole lock.
    pub fn lock(&self) -> &Lockfile {
        &self.lock
    }

    /// Returns the entries.
    pub fn trees(&self) -> impl Iterator<Item = &LockedTree> {
        self.lock.trees.values().filter(|tree| {
            let plan = &tree.plan;
            let is_named =
                self.names.contains(&plan.name) || self.names.contains(plan.manifest_name());
            plan.platform == self.platform && (self.names.is_empty() || is_named)
        })
    }
}

/// Returns the warning about entries that do not record which package needs which.
pub fn unrecorded(names: &[&ToolchainName]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let names = names.join(" ");
    format!(
        "the lock does not record which packages of {names} need which: an older cotter wrote it; `cotter lock --upgrade {names}` records it"
    )
}

//! Locks toolchains: each source determines the inputs, and composing the inputs determines the
//! tree.

use std::cell::RefCell;

use fs_err as fs;

use super::options::Options;
use super::stale::fingerprint;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{LockedTree, Lockfile, Plan, Programs, Selection, TrustedRelease, Uses};
use crate::make::Made;
use crate::manifest::Toolchain;
use crate::model::{Platform, ToolchainName};
use crate::project::Project;
use crate::recipe::{self, Asked};
use crate::resolve::debian_release::Keyring;
use crate::source::ResolveContext;

/// The data that locking uses.
pub struct Locking<'a> {
    /// The project.
    pub project: &'a Project,
    /// The context.
    pub cx: &'a Context,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// The releases that the lock has trusted so far.
    pub known: Vec<TrustedRelease>,
    /// The options of the command line.
    pub options: &'a Options,
}

impl Locking<'_> {
    /// Locks toolchains for platforms into `lock`.
    ///
    /// # Errors
    /// If a toolchain cannot be resolved, fetched or composed.
    pub fn run(
        &self,
        lock: &mut Lockfile,
        mut todo: Vec<(ToolchainName, Platform)>,
    ) -> Result<Vec<Made>> {
        let (project, cx) = (self.project, self.cx);
        let settings = &project.manifest.settings;
        let keyring = self.keyring()?;
        let resolving = ResolveContext {
            fetcher: self.fetcher,
            reporter: &cx.reporter,
            now: cx.now(),
            keyring: &keyring,
            check_valid_until: settings.check_valid_until && !self.options.allow_expired,
            known: self.known.clone(),
            index: RefCell::default(),
        };
        // Proceed platform by platform, so that the index of only one platform is in memory at a
        // time.
        todo.sort_by(|a, b| (a.1.as_str(), &a.0).cmp(&(b.1.as_str(), &b.0)));
        let mut plans = vec![];
        for (name, platform) in todo {
            crate::interrupt::check()?;
            let _spinner = cx.reporter.spinner("resolving", &format!("{name} for {platform}"));
            let toolchain = &project.manifest.toolchains[&name];
            let plan = self.plan(toolchain, platform, &resolving);
            let plan = plan.map_err(|e| {
                let error = e.context(format!("can't lock {name} for {platform}"));
                project.locate(error.about(name.as_str()))
            })?;
            if let Some(advice) = project.recipe(toolchain).advice(&plan) {
                cx.reporter.warn(&format!("{}: {advice}", toolchain.place));
            }
            plans.push(plan);
        }
        resolving.index.take();
        let made = project
            .maker(cx, self.fetcher)
            .identify(lock, &plans)
            .map_err(|e| project.locate(e))?;
        let idle: Vec<_> =
            plans.iter().zip(&made).map(|(p, made)| (&p.name, made.idle.as_slice())).collect();
        project.warn_of_idle_patterns(&idle, cx);
        for (plan, made) in plans.into_iter().zip(&made) {
            lock.put(LockedTree::new(plan, made.output.clone()));
        }
        Ok(made)
    }

    fn plan(
        &self,
        toolchain: &Toolchain,
        platform: Platform,
        resolving: &ResolveContext,
    ) -> Result<Plan> {
        let (project, name) = (self.project, &toolchain.name);
        let recipe = project.recipe(toolchain);
        let found = project.sources[name].resolve(platform, recipe, resolving)?;
        let asked = Asked {
            target: toolchain.target.unwrap_or(platform),
            libraries: toolchain.libraries.iter().map(|l| l.value.clone()).collect(),
            selection: Selection { prune: toolchain.prune.clone(), keep: toolchain.keep.clone() },
            programs: Programs { self_exe: toolchain.self_exe.clone(), bin: toolchain.bin.clone() },
            version: found.version.clone(),
            principal: found.principal,
        };
        Ok(Plan {
            name: name.clone(),
            platform,
            spec: recipe.spec(asked),
            source: toolchain.source.value.clone(),
            version: found.version,
            recipe: recipe::id(recipe),
            uses: Uses::default(),
            fingerprint: fingerprint(project, toolchain, platform),
            releases: found.releases,
            inputs: found.inputs,
        })
    }

    fn keyring(&self) -> Result<Keyring> {
        match &self.project.manifest.settings.keyring {
            Some(file) => {
                let path = self.project.dir().join(file);
                let bytes = fs::read(&path).map_err(|e| {
                    Error::unreadable(&path, e)
                        .hint("[settings] keyring names it, relative to toolchains.toml")
                })?;
                Keyring::parse(&bytes, &path.display().to_string())
            }
            None => Keyring::shipped(),
        }
    }
}

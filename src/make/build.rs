//! Builds source distributions into wheels, and source code into the files that it installs, with the
//! trees that the lock names for this purpose.

use std::path::{Path, PathBuf};

use super::failed_build::{FailedBuild, keep_log};
use super::graph;
use crate::environment::RUNTIME_VARIABLE;
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{Lockfile, PackagesSpec, Plan};
use crate::manifest::Requirements;
use crate::model::{Built, Input, Platform, ToolchainName, minor_version};
use crate::python::sdist::{Builder, WheelBuild};
use crate::recipe::{self, Active};
use crate::reporter::{Reporter, Verbosity};
use crate::sandbox::{Ended, Printed, Quota, Surroundings};
use crate::store::{Staging, Store};

/// Builds wheels. The trees that a build uses must already be in the store.
pub struct Workshop<'a> {
    /// The store.
    pub store: &'a Store,
    /// The fetcher, whose cache receives the built wheels.
    pub fetcher: &'a Fetcher,
    /// Reports progress.
    pub reporter: &'a Reporter,
    /// The lock that names the trees of the build.
    pub lock: &'a Lockfile,
    /// The platform of the machine that runs the build.
    pub platform: Platform,
    /// How much of the machine the build may use.
    pub limits: Quota,
}

/// The trees that a build uses.
pub struct Tools<'a> {
    /// The interpreter.
    pub interpreter: &'a ToolchainName,
    /// The tree of packages that the build may import, if there is one.
    pub requires: Option<&'a ToolchainName>,
    /// The toolchains whose programs are on PATH.
    pub path: &'a [ToolchainName],
}

impl<'a> Tools<'a> {
    /// Returns what the wheels of a set are built with. `requires` is the name that the set's own
    /// build requirements would have.
    pub fn of(plan: &Plan, set: &'a PackagesSpec, requires: &'a ToolchainName) -> Self {
        Tools {
            interpreter: &set.interpreter,
            requires: plan.uses.make.contains(requires).then_some(requires),
            path: &set.build_tools,
        }
    }
}

impl Workshop<'_> {
    /// Builds the wheels that a plan needs and that are not in the cache, and compares each of them
    /// with the lock.
    ///
    /// # Errors
    /// If a build fails, or if it produces a wheel other than the locked one.
    pub fn rebuild(&self, plan: &Plan, input: &Input) -> Result<()> {
        let Some(built) = &input.built else { return Ok(()) };
        if self.fetcher.built(&built.sha256).is_some() {
            return Ok(());
        }
        if plan.building.is_some() {
            // The libraries of another toolchain are built as its own.
            let is_of = |plan: &&Plan| plan.inputs.first() == Some(input);
            let mut used = plan
                .uses
                .make
                .iter()
                .filter_map(|name| Some(&self.lock.get(name, plan.platform)?.plan));
            let owner = std::iter::once(plan).find(is_of).or_else(|| used.find(is_of));
            return self.rebuild_source(owner.unwrap_or(plan), built);
        }
        let Some(set) = plan.spec.packages() else { return Ok(()) };
        let requires = Requirements::builds_name(&plan.name);
        let tools = Tools::of(plan, set, &requires);
        let got = self.build(input, &tools)?;
        if got != *built {
            return Err(Error::verification(format!(
                "the wheel built of {} is not the one that was locked",
                input.file_name()
            ))
            .because(format!("expected {} with sha256 {}", built.file, built.sha256))
            .because(format!("got {} with sha256 {}", got.file, got.sha256))
            .hint("its build is not reproducible: ask its authors for a wheel, or serve the wheel that was locked from an index of yours"));
        }
        Ok(())
    }

    /// Builds the wheel of an input and puts it into the cache.
    ///
    /// # Errors
    /// If the input cannot be fetched, or if its build fails.
    pub fn build(&self, input: &Input, tools: &Tools) -> Result<Built> {
        let scratch = Staging::new(self.store)?;
        let (path, built) = self.wheel(input, tools, &Surroundings::default(), scratch.dir())?;
        self.fetcher.adopt(&path, &built.sha256)?;
        Ok(built)
    }

    /// Builds the wheel of an input below `scratch`, and returns its path beside its name, size and
    /// digest.
    ///
    /// # Errors
    /// If the input cannot be fetched, or if its build fails.
    pub fn wheel(
        &self,
        input: &Input,
        tools: &Tools,
        surroundings: &Surroundings,
        scratch: &Path,
    ) -> Result<(PathBuf, Built)> {
        let name = input.file_name();
        let task = self.reporter.task(name, input.size);
        let sdist = self.fetcher.file(input, None, &task)?;
        drop(task);
        let _spinner = self.reporter.spinner("building", name);
        let (python, interpreter) = self.tree(tools.interpreter)?;
        let requires = tools.requires.map(|name| self.tree(name)).transpose()?;
        let mut trees = vec![];
        let mut active = vec![];
        for tool in tools.path {
            let (plan, path) = self.tree(tool)?;
            active.push(self.active(plan, path.clone())?);
            trees.push((tool.to_string(), path));
        }
        let mut env = recipe::environment(&active).set;
        // A wheel is used on other machines, so it must not name a directory of this store.
        env.remove(RUNTIME_VARIABLE);
        let version = python
            .spec
            .python()
            .map_or_else(|| minor_version(&python.version), |p| p.version.clone());
        let log = scratch.join("log");
        let tell = |line: &str| self.reporter.detail(&format!("{}: {line}", input.component.name));
        let printed = Printed { log: &log, tell: self.is_live().then_some(&tell) };
        let builder = Builder {
            python: &interpreter,
            requires: requires.as_ref().map(|(_, path)| path.as_path()),
            version: &version,
            tools: &trees,
            env: &env,
            scratch,
            printed: &printed,
            limits: self.limits,
            surroundings,
        };
        match builder.build(&sdist, name, &input.component.name)? {
            WheelBuild::Made(path, built) => {
                keep_log(name, &log, self.store, self.reporter);
                Ok((path, built))
            }
            WheelBuild::Failed { ended, said, left, env, script } => {
                let mut error = Error::build(format!("can't build a wheel of {name}"));
                if let Ended::Code(_) = ended {
                    error = error.hint("what its build imports goes into `build_requires` of the set, the compiler and other tools into `build_tools`");
                }
                let (printed, ended, said) = (log.as_path(), &ended, said.as_slice());
                let failed = FailedBuild { name, printed, ended, said, left, env: &env, script };
                Err(failed.explain(error, self.store, self.reporter))
            }
        }
    }

    /// Whether what a build prints is shown as it comes.
    pub(super) fn is_live(&self) -> bool {
        self.reporter.verbosity() == Verbosity::Verbose
    }

    /// Returns a tree that a build is about to use.
    pub(super) fn active(&self, plan: &Plan, path: PathBuf) -> Result<Active> {
        Ok(Active {
            name: plan.name.clone(),
            recipe: recipe::of_plan(plan)?,
            platform: self.platform,
            target: plan.target(),
            env: plan.spec.programs().map(|p| p.env.clone()).unwrap_or_default(),
            imports: vec![],
            libraries: vec![],
            path,
            version: plan.version.clone(),
        })
    }

    pub(super) fn tree(&self, name: &ToolchainName) -> Result<(&Plan, PathBuf)> {
        let tree = graph::locked_for(self.lock, name, self.platform)?;
        Ok((&tree.plan, self.store.path(&tree.output.store_name)))
    }
}

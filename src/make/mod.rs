//! The only way to obtain a tree: it is already in the store, or a substituter has it, or it is
//! composed from its inputs, some of which may have to be built first. Every tree that is used to
//! make another one is named in the lock and is made first.

mod advice;
mod again;
mod ask_caches;
mod binary_cache;
mod build;
mod build_shell;
mod compose;
mod failed_build;
mod from_source;
mod graph;
mod index;
mod layer;
mod local_nix;
mod nar;
mod order;
mod place;
mod sandbox_paths;
mod schedule;
mod substitute;

use std::sync::Arc;

use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::facts::{Facts, RecordedFacts};
use crate::fetch::Fetcher;
use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::model::{Input, Kind, Platform, ToolchainName};
use crate::recipe::{self, Stage};
use crate::reporter::Reporter;
use crate::sandbox::Quota;
use crate::store::{Staging, Store};
use crate::tree::Tree;

pub use again::{Again, Attributed, Rebuilt};
pub use binary_cache::BinaryCache;
pub use build::{Tools, Workshop};
pub use graph::{locked_for, native_or_refuse};
pub use local_nix::LocalNix;
pub use schedule::Made;

use ask_caches::substitute_all;
use graph::Search;
use order::Order;
use schedule::Schedule;
use substitute::Landing;

/// Makes trees.
pub struct Maker<'a> {
    /// The store.
    pub store: &'a Store,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// The evaluator of Nix, which builds what no cache has.
    pub evaluator: Evaluator,
    /// The toolchain that has its program, if it is not that of the machine.
    pub evaluated_by: Option<ToolchainName>,
    /// The binary caches that are asked for trees before anything of them is fetched.
    pub caches: Vec<Arc<BinaryCache>>,
    /// Reports progress.
    pub reporter: Reporter,
    /// The number of inputs that are processed at once.
    pub jobs: usize,
    /// Whether identical files in the store are hard-linked.
    pub hard_links: bool,
    /// How much of the machine a build may use.
    pub limits: Quota,
}

/// A plan that is not locked yet.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The plan.
    pub plan: Plan,
    /// Whether the plan will be made again with more inputs if the notes about its tree ask for
    /// them.
    pub may_grow: bool,
}

impl Maker<'_> {
    /// Makes the trees of `wanted` that are missing, and the trees that are needed to make them.
    /// The results are in the order of `wanted`.
    ///
    /// # Errors
    /// If an entry of the lock was edited, or if a tree cannot be fetched, built, composed or
    /// stored.
    pub fn ensure(&self, lock: &Lockfile, wanted: &[&LockedTree]) -> Result<Vec<Made>> {
        for tree in wanted {
            tree.check()?;
            // From here on `gc` does not delete these trees, whether they exist yet or not.
            let tell = |text: &str| self.reporter.warn(text);
            self.store.mark_used(&tree.output.store_name, &tell);
        }
        // What a cache has needs none of the trees that would be needed to make it.
        let substituted = substitute_all(&self.caches, wanted, &self.landing(), self.jobs)?;
        let search = Search {
            lock,
            store: self.store,
            fetcher: self.fetcher,
            native: Platform::native(),
            index: self.index(lock),
        };
        let missing = search.missing(wanted)?;
        let names: Vec<_> = missing.iter().map(|n| n.tree.output.store_name.clone()).collect();
        let jobs: Vec<Order> = missing
            .into_iter()
            .map(|node| Order {
                plan: &node.tree.plan,
                locked: Some(node.tree),
                stage: Stage::Locked,
                keep: true,
                after: node.after,
                index_of: node.index_of,
            })
            .collect();
        if !jobs.is_empty() {
            Staging::sweep(self.store)?;
        }
        self.hold_closures(jobs.iter().map(|job| job.plan));
        let mut inputs = jobs.iter().flat_map(|job| &job.plan.inputs);
        if inputs.any(|input| input.nix.as_ref().is_some_and(|nix| nix.built)) {
            self.offer_evaluator(lock)?;
        }
        let made = self.schedule(lock).run(&jobs).map_err(|e| advice::of_lock(e, lock))?;
        let of = |tree: &&LockedTree| match names
            .iter()
            .position(|name| *name == tree.output.store_name)
        {
            Some(place) => made[place].clone(),
            None => {
                let there = Made::there(&tree.output);
                let of_cache = substituted.iter().find(|made| made.output == tree.output);
                of_cache.cloned().unwrap_or(there)
            }
        };
        let out: Vec<Made> = wanted.iter().map(of).collect();
        for tree in wanted {
            self.derive_facts(tree)?;
        }
        Ok(out)
    }

    /// Returns the path of a toolchain's tree for this machine, and makes the tree if it is
    /// missing.
    ///
    /// # Errors
    /// If the toolchain is not locked for this machine, or if its tree cannot be made.
    pub fn native(&self, lock: &Lockfile, name: &ToolchainName) -> Result<std::path::PathBuf> {
        let tree = locked_for(lock, name, native_or_refuse(Platform::native())?)?;
        self.ensure(lock, &[tree])?;
        Ok(self.store.path(&tree.output.store_name))
    }

    /// Determines the results of plans that are not locked yet. The trees for this machine's
    /// platform are kept in the store, except those that `may_grow` and whose notes ask for more
    /// inputs.
    ///
    /// # Errors
    /// The same as those of [`Maker::ensure`].
    pub fn identify(&self, lock: &Lockfile, proposals: &[Proposal]) -> Result<Vec<Made>> {
        let jobs = proposals.iter().map(|proposal| Order {
            plan: &proposal.plan,
            locked: None,
            stage: if proposal.may_grow { Stage::Draft } else { Stage::Final },
            keep: Platform::native() == Some(proposal.plan.platform),
            after: vec![],
            index_of: None,
        });
        let jobs: Vec<Order> = jobs.collect();
        Staging::sweep(self.store)?;
        self.hold_closures(jobs.iter().map(|job| job.plan));
        self.schedule(lock).run(&jobs)
    }

    /// Keeps the paths of Nix stores that are about to be put together.
    fn hold_closures<'p>(&self, mut plans: impl Iterator<Item = &'p Plan>) {
        if plans.any(|plan| plan.closure().is_some()) {
            self.store.hold_closures();
        }
    }

    /// Makes sure that every path of the closure from which a tree was made is in the store.
    ///
    /// # Errors
    /// If a path cannot be fetched or stored.
    pub fn ensure_closure(&self, tree: &LockedTree) -> Result<()> {
        let Some(top) = tree.plan.closure() else { return Ok(()) };
        tree.check()?;
        self.store.mark_used(top, &|text| self.reporter.warn(text));
        let is_there =
            |input: &&Input| input.nix.as_ref().is_some_and(|nix| self.store.has(&nix.path));
        if tree.plan.inputs.iter().all(|input| is_there(&input)) {
            return Ok(());
        }
        self.store.hold_closures();
        for input in &tree.plan.inputs {
            let task = self.reporter.task(input.file_name(), input.size);
            let build = nar::NixBuild { evaluator: &self.evaluator, plan: &tree.plan };
            nar::ensure(self.store, self.fetcher, input, build, &task)?;
        }
        Ok(())
    }

    /// Makes the toolchain that has the evaluator of Nix, if one has, and lets it be used.
    ///
    /// # Errors
    /// If it is not locked for this machine, or if its tree cannot be made.
    pub fn offer_evaluator(&self, lock: &Lockfile) -> Result<()> {
        let Some(name) = &self.evaluated_by else { return Ok(()) };
        if self.evaluator.toolchain.get().is_none() {
            let tree = self.native(lock, name)?;
            let _ = self.evaluator.toolchain.set(tree.join("bin/nix"));
        }
        Ok(())
    }

    /// Lets the fetcher ask the pip of the pinned Python for a package index, if none is
    /// configured. The interpreter is made if it is missing.
    ///
    /// # Errors
    /// If the interpreter cannot be made.
    pub fn offer_index(&self, lock: &Lockfile) -> Result<()> {
        if let Some(interpreter) = self.index(lock) {
            self.ensure(lock, &[interpreter])?;
            index::offer(self.fetcher, self.store.path(&interpreter.output.store_name));
        }
        Ok(())
    }

    /// Returns the facts of a tree that is in the store.
    ///
    /// # Errors
    /// If no facts are recorded and the tree cannot be read.
    pub fn facts(&self, tree: &LockedTree) -> Result<Facts> {
        facts(self.store, tree)
    }

    /// Derives and records the facts of a tree that has none, because an older version of cotter
    /// made it, or because another project made it with another recipe.
    fn derive_facts(&self, tree: &LockedTree) -> Result<()> {
        let name = &tree.output.store_name;
        if recorded(self.store, tree).is_some() || !self.store.has(name) {
            return Ok(());
        }
        // A store that cannot be written needs no special handling: the facts are derived again
        // whenever they are needed.
        let recipe = tree.plan.recipe.name.clone();
        let _ = self.store.write_facts(name, &RecordedFacts { recipe, facts: self.facts(tree)? });
        Ok(())
    }

    /// Returns the interpreter of the lock that can name a package index, if an index must be
    /// asked.
    fn index<'l>(&self, lock: &'l Lockfile) -> Option<&'l LockedTree> {
        if self.fetcher.has_python_index() || self.fetcher.http.offline() {
            return None;
        }
        let native = Platform::native();
        lock.trees
            .values()
            .find(|t| t.plan.spec.kind() == Kind::Python && Some(t.plan.platform) == native)
    }

    fn landing(&self) -> Landing<'_> {
        Landing { store: self.store, reporter: &self.reporter, hard_links: self.hard_links }
    }

    fn schedule<'s>(&'s self, lock: &'s Lockfile) -> Schedule<'s> {
        let caches = self.caches.iter().map(|cache| &**cache as &dyn substitute::Substituter);
        Schedule {
            store: self.store,
            fetcher: self.fetcher,
            evaluator: &self.evaluator,
            reporter: self.reporter.clone(),
            threads: self.jobs,
            hard_links: self.hard_links,
            limits: self.limits,
            substituters: caches.collect(),
            lock,
            native: Platform::native(),
        }
    }
}

/// Returns the recorded facts of a tree, unless another recipe recorded them. Two recipes can make
/// the same tree.
pub fn recorded(store: &Store, tree: &LockedTree) -> Option<Facts> {
    let recorded = store.facts(&tree.output.store_name)?;
    (recorded.recipe == tree.plan.recipe.name).then_some(recorded.facts)
}

/// Returns the facts of a tree that is in the store: those recorded when the tree was made, or
/// those derived from the tree itself.
///
/// # Errors
/// If no facts are recorded and the tree cannot be read.
pub fn facts(store: &Store, tree: &LockedTree) -> Result<Facts> {
    let name = &tree.output.store_name;
    match recorded(store, tree) {
        Some(facts) => Ok(facts),
        None => recipe::facts(&tree.plan, &Tree::on_disk(&store.path(name))?),
    }
}

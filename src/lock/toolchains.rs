//! Locks toolchains: each source determines the inputs, and composing the inputs determines the
//! tree.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::options::Options;
use super::stale::fingerprint;
use super::{notes, together};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::{Fetcher, LONGEST_KEYRING, read_regular};
use crate::lockfile::{Building, LockedTree, Lockfile, Plan, Programs, Selection, TrustedRelease};
use crate::make::{Made, Proposal};
use crate::manifest::Toolchain;
use crate::model::{Built, Digest, Kind, Platform, ToolchainName};
use crate::project::Project;
use crate::recipe::{self, Asked, Notes};
use crate::reporter::Phase;
use crate::resolve::debian_release::Keyring;
use crate::source::{Additions, ResolveContext};

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
    /// The lock as it was. What it says of a build holds for the same build.
    pub old: &'a Lockfile,
    /// The results of the builds of this run.
    pub built: RefCell<BTreeMap<Digest, Built>>,
    /// The options of the command line.
    pub options: &'a Options,
}

/// The greatest number of times that a tree is composed until its inputs are complete. Each round
/// adds what the scripts of the packages of the last one need, so three are usual.
const MOST_ROUNDS: usize = 8;

/// A tree whose inputs may not be complete yet.
struct Draft {
    plan: Plan,
    additions: Additions,
    /// Whether something can be added, if the tree asks for it.
    may_grow: bool,
    made: Option<Made>,
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
        let keyring = keyring(project)?;
        let maker = project.maker(cx, self.fetcher);
        let evaluated = |(name, platform): &(ToolchainName, Platform)| {
            project.sources[name].expression(*platform).is_some()
        };
        if todo.iter().any(evaluated) {
            maker.offer_evaluator(lock)?;
        }
        let resolving = ResolveContext {
            fetcher: self.fetcher,
            reporter: &cx.reporter,
            now: cx.now(),
            keyring: &keyring,
            dir: project.dir(),
            evaluator: &maker.evaluator,
            lock: &*lock,
            check_valid_until: settings.check_valid_until && !self.options.allow_expired,
            known: self.known.clone(),
            index: RefCell::default(),
        };
        // Proceed platform by platform, so that the index of only one platform is in memory at a
        // time.
        todo.sort_by(|a, b| (a.1.as_str(), &a.0).cmp(&(b.1.as_str(), &b.0)));
        let mut drafts = vec![];
        for (name, platform) in todo {
            let additions = Additions::default();
            let plan = self.plan(&name, platform, &additions, &resolving)?;
            let toolchain = &project.manifest.toolchains[&name];
            let recipe = project.recipe(toolchain);
            if let Some(advice) = recipe.advice(&plan) {
                cx.reporter.warn(&format!("{}: {advice}", toolchain.place));
            }
            let may_grow = project.sources[&name].may_grow(recipe);
            drafts.push(Draft { plan, additions, may_grow, made: None });
        }
        for round in 1.. {
            resolving.index.take();
            let mut open: Vec<&mut Draft> =
                drafts.iter_mut().filter(|draft| draft.made.is_none()).collect();
            if open.is_empty() {
                break;
            }
            let proposal = |draft: &&mut Draft| Proposal {
                plan: draft.plan.clone(),
                may_grow: draft.may_grow && round < MOST_ROUNDS,
            };
            let proposals: Vec<Proposal> = open.iter().map(proposal).collect();
            let made = maker.identify(lock, &proposals).map_err(|e| project.locate(e))?;
            for ((draft, proposal), made) in open.iter_mut().zip(&proposals).zip(made) {
                if !proposal.may_grow || !made.notes.ask_for_more() {
                    draft.made = Some(made);
                    continue;
                }
                draft.additions.take_from(&made.notes);
                let (name, platform) = (&proposal.plan.name, proposal.plan.platform);
                draft.plan = self.plan(name, platform, &draft.additions, &resolving)?;
                // If nothing can be added, the same tree is made once more, and kept.
                draft.may_grow = draft.plan != proposal.plan;
            }
        }
        let finished = drafts.iter().filter_map(|d| Some((d, d.made.as_ref()?)));
        let idle: Vec<_> =
            finished.clone().map(|(d, made)| (&d.plan.name, made.notes.idle.as_slice())).collect();
        project.warn_of_idle_patterns(&idle, cx);
        let mut out = vec![];
        let locked: Vec<(Plan, Notes)> =
            finished.clone().map(|(d, made)| (d.plan.clone(), made.notes.clone())).collect();
        for (draft, made) in finished {
            let asked = project.sources[&draft.plan.name].named();
            notes::tell(&draft.plan, &made.notes, &asked, &cx.reporter);
            lock.put(LockedTree::new(draft.plan.clone(), made.output.clone()));
            out.push(made.clone());
        }
        let locked: Vec<(&Plan, &Notes)> = locked.iter().map(|(plan, n)| (plan, n)).collect();
        together::tell_libc(lock, &locked, &cx.reporter);
        let plans: Vec<&Plan> = locked.iter().map(|(plan, _)| *plan).collect();
        together::tell_versions(lock, &plans, &cx.reporter);
        Ok(out)
    }

    /// Returns the plan of a toolchain for a platform, with the `additions` that composing it has
    /// shown to be needed so far.
    ///
    /// # Errors
    /// If the toolchain cannot be resolved.
    fn plan(
        &self,
        name: &ToolchainName,
        platform: Platform,
        additions: &Additions,
        resolving: &ResolveContext,
    ) -> Result<Plan> {
        crate::interrupt::check()?;
        let _spinner = self.cx.reporter.spinner("resolving", &format!("{name} for {platform}"));
        let toolchain = &self.project.manifest.toolchains[name];
        self.resolve(toolchain, platform, additions, resolving).map_err(|e| {
            let error = e.context(format!("can't lock {name} for {platform}"));
            self.project.locate(error.about(name.as_str()))
        })
    }

    fn resolve(
        &self,
        toolchain: &Toolchain,
        platform: Platform,
        additions: &Additions,
        resolving: &ResolveContext,
    ) -> Result<Plan> {
        let (project, name) = (self.project, &toolchain.name);
        let recipe = project.recipe(toolchain);
        let source = &project.sources[name];
        let label = Plan::label_of(&toolchain.name, platform);
        let ask = || source.resolve(platform, recipe, additions, resolving);
        let found = self.cx.reporter.timed(&label, Phase::Resolve, ask)?;
        let asked = Asked {
            target: toolchain.target.unwrap_or(platform),
            // Those of a build are what it is linked to.
            libraries: match &found.building {
                Some(_) => vec![],
                None => toolchain.libraries.iter().map(|l| l.value.clone()).collect(),
            },
            selection: Selection { prune: toolchain.prune.clone(), keep: toolchain.keep.clone() },
            programs: Programs {
                self_exe: toolchain.self_exe.clone(),
                bin: toolchain.bin.clone(),
                named: if recipe.kind() == Kind::Tool { found.named } else { vec![] },
                essential: found.essential,
                env: toolchain.env.clone(),
            },
            version: found.version.clone(),
            principal: found.principal,
        };
        let mut plan = Plan {
            name: name.clone(),
            platform,
            spec: recipe.spec(asked),
            source: toolchain.source.value.clone(),
            version: found.version,
            recipe: recipe::id(recipe),
            uses: found.building.as_ref().map(Building::uses).unwrap_or_default(),
            fingerprint: fingerprint(project, toolchain, platform),
            releases: found.releases,
            evaluation: found.evaluation,
            building: found.building,
            inputs: found.inputs,
        };
        self.build(&mut plan, resolving.lock)?;
        Ok(plan)
    }
}

/// Returns the keys that may sign a suite which names none.
///
/// # Errors
/// If the file of `[settings] keyring` cannot be read.
pub fn keyring(project: &Project) -> Result<Keyring> {
    match &project.manifest.settings.keyring {
        Some(file) => {
            let path = project.dir().join(file);
            let bytes = read_regular(&path, LONGEST_KEYRING).map_err(|e| {
                Error::unreadable(&path, e)
                    .hint("[settings] keyring names it, relative to toolchains.toml")
            })?;
            Keyring::parse(&bytes, file)
        }
        None => Keyring::shipped(),
    }
}

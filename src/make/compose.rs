//! Merges the layers of a tree into the tree, and makes the tree an object of the store.

use std::collections::BTreeMap;

use super::order::Order;
use crate::error::{Error, Result};
use crate::facts::RecordedFacts;
use crate::lockfile::{Output, Plan};
use crate::recipe::{self, Layers, Notes, Pruning, Stage};
use crate::reporter::{Phase, Reporter};
use crate::store::{Commit, Staging, Store};
use crate::tree::BlobDir;
use crate::unpack::Layer;

/// A tree in progress: the places that hold its parts until it is published. All of them are
/// removed when this value is dropped.
pub struct Bench {
    /// The working directory.
    pub staging: Staging,
    /// The contents of the files.
    pub blobs: BlobDir,
    /// The paths that are left out, and which patterns of the manifest have matched nothing so far.
    pub pruning: Pruning,
}

impl Bench {
    /// Creates the working directory in the store.
    ///
    /// # Errors
    /// If the store cannot be written, or if the plan was made for another recipe.
    pub fn new(store: &Store, plan: &Plan) -> Result<Self> {
        let pruning = recipe::pruning(plan)?;
        let staging = Staging::new(store)?;
        let blobs = BlobDir::create(staging.dir().join("blobs"))?;
        Ok(Bench { staging, blobs, pruning })
    }

    /// Merges the layers, which are numbered like their inputs, finishes the tree with its recipe,
    /// and determines the identity of the tree and what there is to tell about it.
    /// If the order says so, the tree, its listing and its facts are put into the store.
    ///
    /// # Errors
    /// If the layers do not fit together, if the recipe refuses them, or if the result is not the
    /// locked one.
    pub fn compose(
        &self,
        store: &Store,
        order: &Order,
        layers: BTreeMap<usize, Layer>,
        hard_links: bool,
        reporter: &Reporter,
    ) -> Result<(Output, Notes)> {
        let (plan, expected) = (order.plan, order.locked.map(|locked| &locked.output));
        let named = |e: Error| {
            if e.is_about(plan.name.as_str()) {
                e
            } else {
                e.context(format!("can't compose {}", plan.tree_name())).about(plan.name.as_str())
            }
        };
        let label = plan.label();
        let mut merged = Layers { stage: order.stage, ..Layers::default() };
        for (i, layer) in layers {
            merged
                .merge(i, layer, plan.inputs[i].file_name())
                .map_err(|e| named(e).hint(way_out_of_conflict(plan)))?;
        }
        let mut notes = Notes::default();
        let finish =
            || recipe::finish(plan, merged, &self.blobs, &self.pruning, &mut notes).map_err(named);
        let tree = reporter.timed(&label, Phase::Make, finish)?;
        notes.idle = self.pruning.idle(&tree);
        let hash = expected.map(|o| &o.nar_hash);
        let stage = || Commit::stage(store, &self.staging, &tree, hard_links, hash);
        let commit = reporter.timed(&label, Phase::Link, stage)?;
        let output = Output {
            store_name: commit.store_name(&plan.tree_name())?,
            nar_hash: commit.nar_hash,
            nar_size: commit.nar_size,
        };
        if let Some(expected) = expected
            && *expected != output
        {
            return Err(Error::verification(format!(
                "the tree of {} is not the one that was locked",
                plan.name
            ))
            .because(format!(
                "expected {} with NAR hash {} and {} bytes",
                expected.store_name,
                expected.nar_hash.sri(),
                expected.nar_size
            ))
            .because(format!(
                "got {} with NAR hash {} and {} bytes",
                output.store_name,
                output.nar_hash.sri(),
                output.nar_size
            ))
            .hint(format!(
                "the lock was made by another cotter, or edited; `cotter lock --upgrade {}` makes the entry anew",
                plan.name
            )));
        }
        let is_draft = order.stage == Stage::Draft && notes.ask_for_more();
        if order.keep && !is_draft {
            let facts = || recipe::facts(plan, &tree).map_err(named);
            let facts = reporter.timed(&label, Phase::Make, facts)?;
            let recipe = plan.recipe.name.clone();
            store.write_facts(&output.store_name, &RecordedFacts { recipe, facts })?;
            reporter.timed(&label, Phase::Link, || commit.publish(&output.store_name))?;
        }
        Ok((output, notes))
    }
}

/// Returns what to do if two inputs do not fit together: the key of the table that the tree comes
/// from.
fn way_out_of_conflict(plan: &Plan) -> String {
    match plan.spec.packages() {
        Some(set) => format!(
            "leave the path out with `prune` in [requirements.{}], or one of the two packages",
            set.set
        ),
        None if plan.source == "debian" => "leave one of the two out with `exclude`".to_owned(),
        None => "leave one of the two out".to_owned(),
    }
}

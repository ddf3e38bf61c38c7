//! Plans into trees: inputs are fetched, hashed, unpacked as they arrive, several at once and the largest first; then each tree is finished and committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{Output, Plan};
use crate::recipe::{self, Idle, Pruning};
use crate::reporter::Reporter;
use crate::source::{self, Unpack};
use crate::store::{Commit, Staging, Store};
use crate::tree::{BlobDir, Tree};

/// A tree to make.
pub struct Order<'a> {
    /// What it is made of.
    pub plan: &'a Plan,
    /// What must come out, if that is known.
    pub expected: Option<&'a Output>,
    /// Whether it goes into the store; if not, only its identity is found out.
    pub keep: bool,
}

/// What composing needs.
pub struct Composer<'a> {
    /// The store.
    pub store: &'a Store,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// For progress.
    pub reporter: Reporter,
    /// How many inputs are worked on at once.
    pub jobs: usize,
    /// Whether equal files of the store are hard-linked.
    pub hard_links: bool,
}

/// One tree that was made.
#[derive(Debug, Clone)]
pub struct Composed {
    /// Its identity.
    pub output: Output,
    /// How long it took, from the first of its inputs on.
    pub time: Duration,
    /// The patterns of the manifest that matched nothing in it.
    pub idle: Vec<Idle>,
}

/// The inputs of one order on their way.
struct Work<'a> {
    order: &'a Order<'a>,
    staging: Staging,
    blobs: BlobDir,
    pruning: Pruning,
    layers: Mutex<BTreeMap<usize, Tree>>,
    left: AtomicUsize,
    started: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct State {
    failed: Option<Error>,
    done: BTreeMap<usize, Composed>,
}

impl Composer<'_> {
    /// Makes the trees of all orders; the results are in their order.
    ///
    /// # Errors
    /// The first failure; then nothing of the tree that failed is left, and others may be done.
    pub fn run(&self, orders: &[Order]) -> Result<Vec<Composed>> {
        Staging::sweep(self.store)?;
        let mut works = vec![];
        for order in orders {
            let staging = Staging::new(self.store)?;
            let blobs = BlobDir::create(staging.dir().join("blobs"))?;
            works.push(Work {
                order,
                staging,
                blobs,
                pruning: Pruning::of(order.plan)?,
                layers: Mutex::default(),
                left: AtomicUsize::new(order.plan.inputs.len()),
                started: Mutex::default(),
            });
        }
        let mut queue: Vec<(usize, usize)> = works
            .iter()
            .enumerate()
            .flat_map(|(w, work)| (0..work.order.plan.inputs.len()).map(move |i| (w, i)))
            .collect();
        queue.sort_by_key(|(w, i)| std::cmp::Reverse(works[*w].order.plan.inputs[*i].size));
        let mut reporter = self.reporter.clone();
        let sizes = orders.iter().map(|o| o.plan.input_bytes());
        reporter.begin_total(sizes.fold(0, u64::saturating_add));
        let queue = Mutex::new(VecDeque::from(queue));
        let state = Mutex::new(State::default());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().expect("no panic holds it").pop_front();
                        let Some((w, i)) = next else { break };
                        if let Err(e) = self.step(&reporter, &works[w], w, i, &state) {
                            queue.lock().expect("no panic holds it").clear();
                            state.lock().expect("no panic holds it").failed.get_or_insert(e);
                        }
                    }
                });
            }
        });
        reporter.end_total();
        let state = state.into_inner().expect("no panic holds it");
        match state.failed {
            Some(e) => Err(e),
            None => Ok(state.done.into_values().collect()),
        }
    }

    /// Unpacks one input; the last of a tree's also finishes the tree.
    fn step(
        &self,
        reporter: &Reporter,
        work: &Work,
        w: usize,
        i: usize,
        state: &Mutex<State>,
    ) -> Result<()> {
        crate::interrupt::check()?;
        let start =
            *work.started.lock().expect("no panic holds it").get_or_insert_with(Instant::now);
        let plan = work.order.plan;
        let input = &plan.inputs[i];
        let task = reporter.task(input.file_name(), input.size);
        let layer = source::unpack(&Unpack {
            plan,
            input,
            pruning: &work.pruning,
            fetcher: self.fetcher,
            blobs: &work.blobs,
            task: &task,
        })
        .map_err(|e| e.about(plan.name.as_str()))?;
        drop(task);
        work.layers.lock().expect("no panic holds it").insert(i, layer);
        if work.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let _spinner = reporter.spinner("composing", &plan.tree_name());
        let layers = std::mem::take(&mut *work.layers.lock().expect("no panic holds it"));
        let (output, idle) = self.finish(work, layers)?;
        state
            .lock()
            .expect("no panic holds it")
            .done
            .insert(w, Composed { output, time: start.elapsed(), idle });
        Ok(())
    }

    fn finish(&self, work: &Work, layers: BTreeMap<usize, Tree>) -> Result<(Output, Vec<Idle>)> {
        let plan = work.order.plan;
        let named = |e: Error| {
            if e.is_about(plan.name.as_str()) {
                e
            } else {
                e.context(format!("can't compose {}", plan.tree_name())).about(plan.name.as_str())
            }
        };
        let mut tree = Tree::default();
        for (i, layer) in layers {
            tree.merge(layer, plan.inputs[i].file_name()).map_err(named)?;
        }
        let tree = recipe::finish(plan, tree, &work.blobs, &work.pruning).map_err(named)?;
        let idle = work.pruning.idle(&tree);
        let expected = work.order.expected.map(|o| &o.nar_hash);
        let commit = Commit::stage(self.store, &work.staging, &tree, self.hard_links, expected)?;
        let output = Output {
            store_name: commit.store_name(&plan.tree_name())?,
            nar_hash: commit.nar_hash,
            nar_size: commit.nar_size,
        };
        if let Some(expected) = work.order.expected
            && *expected != output
        {
            return Err(Error::verification(format!("the tree of {} is not the one that was locked", plan.name))
                .because(format!("expected {} with NAR hash {}", expected.store_name, expected.nar_hash.sri()))
                .because(format!("got {} with NAR hash {}", output.store_name, output.nar_hash.sri()))
                .hint(format!("the lock was made by another cotter, or edited; `cotter lock --upgrade {}` makes the entry anew", plan.name)));
        }
        if work.order.keep {
            commit.publish(&output.store_name)?;
        }
        Ok((output, idle))
    }
}

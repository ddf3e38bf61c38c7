//! Schedules the work on several trees at once, and on several inputs of each tree.
//!
//! An input of a tree that was begun comes before a new tree, and larger inputs come first.
//! Therefore few trees are in progress at any time, and the disk space for staging is that of the
//! largest trees, not the sum of all trees. A tree begins when the trees that it needs are
//! published, and its lock is held from then until the tree itself is published. No thread ever
//! waits for a tree while it holds the lock of another tree, so two processes cannot wait for each
//! other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::build::Workshop;
use super::compose::Bench;
use super::index;
use super::layer::Unpack;
use super::order::Order;
use super::substitute::{Landing, Substituter};
use crate::error::{Error, Result};
use crate::evaluator::Evaluator;
use crate::fetch::Fetcher;
use crate::lockfile::{Lockfile, Output};
use crate::model::Platform;
use crate::recipe::Notes;
use crate::reporter::{Phase, Reporter};
use crate::sandbox::Quota;
use crate::store::{Store, TreeLock, Waiting};
use crate::unpack::Layer;

/// The time that a thread waits before it asks again for a tree that another process makes.
const PATIENCE: Duration = crate::store::PAUSE;

/// The result of a job.
#[derive(Debug, Clone)]
pub struct Made {
    /// The identity of the tree.
    pub output: Output,
    /// The time from the beginning to the end of the job, or `None` if the tree already existed.
    pub time: Option<Duration>,
    /// What there is to tell about the tree, if it was made.
    pub notes: Notes,
    /// The binary cache that had it.
    pub from: Option<String>,
}

impl Made {
    /// Returns the result for a tree that already existed.
    pub fn there(output: &Output) -> Made {
        Made { output: output.clone(), time: None, notes: Notes::default(), from: None }
    }
}

/// The data that all threads share.
pub struct Schedule<'a> {
    /// The store.
    pub store: &'a Store,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// The evaluator of Nix.
    pub evaluator: &'a Evaluator,
    /// Reports progress.
    pub reporter: Reporter,
    /// The number of threads.
    pub threads: usize,
    /// Whether identical files in the store are hard-linked.
    pub hard_links: bool,
    /// How much of the machine a build may use.
    pub limits: Quota,
    /// The substituters that may have finished trees, in the order in which they are asked.
    pub substituters: Vec<&'a dyn Substituter>,
    /// The lock, which names the trees that builds use.
    pub lock: &'a Lockfile,
    /// The platform of this machine.
    pub native: Option<Platform>,
}

/// A tree whose work has begun.
struct Begun {
    bench: Bench,
    layers: Mutex<BTreeMap<usize, Layer>>,
    since: Instant,
    _held: Option<TreeLock>,
}

enum State {
    /// Not begun. If there is a time, the job must not begin before it.
    Waiting(Option<Instant>),
    /// A thread is about to begin it.
    Beginning,
    /// Its inputs are being processed.
    Open {
        begun: Arc<Begun>,
        todo: VecDeque<usize>,
        left: usize,
    },
    Done(Box<Made>),
}

struct Shared {
    states: Vec<State>,
    /// The jobs whose trees another process makes.
    waiting: BTreeMap<usize, Waiting>,
    failed: Option<Error>,
}

enum Task {
    Begin(usize),
    Input(usize, usize, Arc<Begun>),
}

/// The state of the whole schedule: the jobs and the state of each.
struct Board<'a, 'j> {
    schedule: &'a Schedule<'a>,
    jobs: &'j [Order<'j>],
    /// The jobs in the order in which they begin: first those that other jobs wait for, then the
    /// largest.
    order: Vec<usize>,
    shared: Mutex<Shared>,
    changed: Condvar,
}

impl Schedule<'_> {
    /// Makes the trees of all jobs. The results are in the order of the jobs.
    ///
    /// # Errors
    /// The first failure. Nothing of the tree that failed is left behind; other trees may have been
    /// finished.
    pub fn run(&self, jobs: &[Order]) -> Result<Vec<Made>> {
        if jobs.is_empty() {
            return Ok(vec![]);
        }
        let mut reporter = self.reporter.clone();
        let sizes = jobs.iter().map(|j| j.plan.input_bytes());
        reporter.begin_total(sizes.fold(0, u64::saturating_add));
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        let wanted = |j: usize| jobs.iter().filter(|job| job.after.contains(&j)).count();
        order.sort_by_key(|j| std::cmp::Reverse((wanted(*j), jobs[*j].plan.input_bytes())));
        let states = jobs.iter().map(|_| State::Waiting(None)).collect();
        let board = Board {
            schedule: self,
            jobs,
            order,
            shared: Mutex::new(Shared { states, waiting: BTreeMap::new(), failed: None }),
            changed: Condvar::new(),
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| board.work(&reporter));
            }
        });
        reporter.end_total();
        let shared = board.shared.into_inner().expect("no panic holds it");
        match shared.failed {
            Some(e) => Err(e),
            None => Ok(shared.states.into_iter().filter_map(State::made).collect()),
        }
    }
}

impl State {
    fn made(self) -> Option<Made> {
        match self {
            State::Done(made) => Some(*made),
            _ => None,
        }
    }
}

impl Board<'_, '_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic holds it")
    }

    /// Works until no task is left.
    fn work(&self, reporter: &Reporter) {
        while let Some(task) = self.next() {
            // A panic must not leave the other threads waiting for this task.
            let done = crate::fault::caught(|| {
                crate::interrupt::check()?;
                match task {
                    Task::Begin(j) => self.begin(j, reporter),
                    Task::Input(j, i, begun) => self.input(j, i, begun, reporter),
                }
            });
            if let Err(e) = done {
                self.lock().failed.get_or_insert(e);
            }
            self.changed.notify_all();
        }
    }

    /// Returns the next task, or `None` if all jobs are done or one has failed.
    fn next(&self) -> Option<Task> {
        let mut shared = self.lock();
        loop {
            if shared.failed.is_some() {
                return None;
            }
            for j in &self.order {
                if let State::Open { begun, todo, .. } = &mut shared.states[*j]
                    && let Some(i) = todo.pop_front()
                {
                    return Some(Task::Input(*j, i, begun.clone()));
                }
            }
            let now = Instant::now();
            let is_done = |j: &usize| matches!(shared.states[*j], State::Done(_));
            let ready = self.order.iter().find(|j| {
                let may = matches!(shared.states[**j], State::Waiting(time) if time.is_none_or(|t| t <= now));
                may && self.jobs[**j].after.iter().all(is_done)
            });
            if let Some(j) = ready {
                shared.states[*j] = State::Beginning;
                return Some(Task::Begin(*j));
            }
            if self.order.iter().all(is_done) {
                return None;
            }
            shared = self.changed.wait_timeout(shared, PATIENCE).expect("no panic holds it").0;
        }
    }

    fn set(&self, j: usize, state: State) {
        self.lock().states[j] = state;
    }

    fn begin(&self, j: usize, reporter: &Reporter) -> Result<()> {
        let (job, schedule) = (&self.jobs[j], self.schedule);
        if let Some(interpreter) = job.index_of {
            index::offer(schedule.fetcher, schedule.store.path(&interpreter.output.store_name));
        }
        let mut held = None;
        if let Some(locked) = job.locked {
            let name = &locked.output.store_name;
            held = schedule.store.try_lock_to_compose(name)?;
            if held.is_none() {
                // Another process makes this tree, so look for other work in the meantime.
                if self.lock().waiting.entry(j).or_default().is_long() {
                    schedule.reporter.line(&schedule.store.composer(name));
                }
                self.set(j, State::Waiting(Some(Instant::now() + PATIENCE)));
                return Ok(());
            }
            // Another process or another project may have made the tree in the meantime.
            if schedule.store.has(name) {
                self.set(j, State::Done(Box::new(Made::there(&locked.output))));
                return Ok(());
            }
            let (since, hard_links) = (Instant::now(), schedule.hard_links);
            let landing = Landing { store: schedule.store, reporter, hard_links };
            for substituter in &schedule.substituters {
                if substituter.substitute(locked, &landing)? {
                    let made = Made {
                        time: Some(since.elapsed()),
                        from: Some(substituter.name().to_owned()),
                        ..Made::there(&locked.output)
                    };
                    self.set(j, State::Done(Box::new(made)));
                    return Ok(());
                }
            }
        }
        let begun = Begun {
            bench: Bench::new(schedule.store, job.plan)?,
            layers: Mutex::default(),
            since: Instant::now(),
            _held: held,
        };
        let mut todo: Vec<usize> = (0..job.plan.inputs.len()).collect();
        todo.sort_by_key(|i| std::cmp::Reverse(job.plan.inputs[*i].size));
        let left = todo.len();
        // A set of packages that requires nothing has no inputs.
        if left == 0 {
            return self.finish(j, Arc::new(begun), reporter);
        }
        self.set(j, State::Open { begun: Arc::new(begun), todo: todo.into(), left });
        Ok(())
    }

    /// Unpacks one input. The thread that unpacks the last input of a tree also finishes the tree.
    fn input(&self, j: usize, i: usize, begun: Arc<Begun>, reporter: &Reporter) -> Result<()> {
        let (job, schedule) = (&self.jobs[j], self.schedule);
        let (plan, input) = (job.plan, &job.plan.inputs[i]);
        if let Some(platform) = schedule.native
            && input.built.is_some()
        {
            let Schedule { store, fetcher, lock, limits, .. } = schedule;
            let limits = *limits;
            let workshop = Workshop { store, fetcher, reporter, lock, platform, limits };
            reporter.timed(&plan.label(), Phase::Build, || workshop.rebuild(plan, input))?;
        }
        let task = reporter.task(input.file_name(), input.size);
        let (fetcher, blobs, pruning) =
            (schedule.fetcher, &begun.bench.blobs, &begun.bench.pruning);
        let since = Instant::now();
        let (store, evaluator) = (schedule.store, schedule.evaluator);
        let layer = Unpack { plan, input, pruning, store, fetcher, evaluator, blobs, task: &task }
            .run()
            .map_err(|e| e.about(plan.name.as_str()))?;
        reporter.spend(&plan.label(), Phase::Fetch, task.waited());
        let unpacking = since.elapsed().saturating_sub(task.waited());
        reporter.spend(&plan.label(), Phase::Unpack, unpacking);
        drop(task);
        begun.layers.lock().expect("no panic holds it").insert(i, layer);
        {
            let mut shared = self.lock();
            let State::Open { left, .. } = &mut shared.states[j] else { return Ok(()) };
            *left -= 1;
            if *left > 0 {
                return Ok(());
            }
        }
        self.finish(j, begun, reporter)
    }

    /// Makes a tree out of its layers.
    fn finish(&self, j: usize, begun: Arc<Begun>, reporter: &Reporter) -> Result<()> {
        let (job, schedule) = (&self.jobs[j], self.schedule);
        let _spinner = reporter.spinner("composing", &job.plan.tree_name());
        let layers = std::mem::take(&mut *begun.layers.lock().expect("no panic holds it"));
        let (store, links) = (schedule.store, schedule.hard_links);
        let (output, notes) = begun.bench.compose(store, job, layers, links, reporter)?;
        let time = Some(begun.since.elapsed());
        // Remove the staging directory and release the lock before other threads learn that the
        // tree exists.
        self.set(j, State::Beginning);
        drop(begun);
        self.set(j, State::Done(Box::new(Made { output, time, notes, from: None })));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::fetch::{Http, Mirrors, Patience, Proxies};
    use crate::lockfile::LockedTree;
    use crate::recipe::Stage;
    use crate::reporter::Verbosity;

    struct Broken;

    impl Substituter for Broken {
        fn name(&self) -> &str {
            "a broken cache"
        }

        fn substitute(&self, _: &LockedTree, _: &Landing) -> Result<bool> {
            panic!("it is broken")
        }
    }

    /// The other threads would wait for the task of the one that panicked.
    #[test]
    fn a_panic_ends_the_schedule_with_an_error_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("cotter-schedule-{}", std::process::id()));
        let store = Store::at(dir.clone());
        let lock = include_str!("../../examples/libraries/toolchains.lock");
        let lock = Lockfile::parse(lock, "lock").unwrap();
        let patience = Patience { stall: PATIENCE, retries: 0, backoff: PATIENCE };
        let http = Http::new(true, patience, "", Proxies::default());
        let fetcher = Fetcher::new(http, Mirrors::default(), store.inputs());
        let schedule = Schedule {
            store: &store,
            fetcher: &fetcher,
            evaluator: &Evaluator::default(),
            reporter: Reporter::new(Verbosity::Quiet, false),
            threads: 4,
            hard_links: true,
            limits: Quota::of_builds(1),
            substituters: vec![&Broken],
            lock: &lock,
            native: None,
        };
        let orders = lock.trees.values().map(|tree| Order {
            plan: &tree.plan,
            locked: Some(tree),
            stage: Stage::Locked,
            keep: true,
            after: vec![],
            index_of: None,
        });
        let orders: Vec<Order> = orders.collect();
        let error = schedule.run(&orders).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.causes().join(" ").contains("it is broken"), "{error:?}");
        assert_eq!(crate::store::names(&dir.join("staging")).unwrap(), Vec::<String>::new());
        let name = &lock.trees.values().next().unwrap().output.store_name;
        assert!(store.try_lock_to_compose(name).unwrap().is_some(), "its lock was given back");
        crate::store::delete_tree(&dir).unwrap();
    }
}

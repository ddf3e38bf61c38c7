//! Schedules the work on several trees at once, and on several inputs of each tree.
//!
//! An input of a tree that was begun comes before a new tree, and larger inputs come first. Some
//! threads do nothing but fetch inputs into the cache, in the same order: a server takes its time to
//! answer, however many cores this machine has. What they have fetched is unpacked before anything
//! else is fetched.
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
use crate::fetch::{Fetcher, MOST_CONNECTIONS};
use crate::lockfile::{Lockfile, Output};
use crate::model::{Ecosystem, Format, Input, Platform};
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
    /// The number of threads that unpack inputs and make trees.
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
        fetched: VecDeque<usize>,
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

/// An input of a tree whose work has begun.
struct Part {
    job: usize,
    input: usize,
    begun: Arc<Begun>,
}

enum Task {
    Begin(usize),
    Fetch(Part),
    Unpack { part: Part, is_fetched: bool },
}

/// What a thread is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// It begins trees, unpacks inputs, fetches them while it does, and finishes trees.
    Make,
    /// It fetches inputs.
    Fetch,
    /// It fetches files of Python indexes. Their servers are made for many requests at once, whereas
    /// mirrors of Debian, and its archive of old files above all, turn eager clients away.
    FetchOfIndex,
}

/// The number of threads that fetch, for each thread that makes beyond the first: a user who asks for
/// one job wants one thing at a time.
const FETCHING: usize = 8;

/// The number of those among them that fetch any input.
const FETCHING_ALL: usize = 4;

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
            let threads = self.threads.max(1);
            for _ in 0..threads {
                scope.spawn(|| board.work(Duty::Make, &reporter));
            }
            let fetching = self.to_fetch(jobs).min((threads - 1) * FETCHING).min(MOST_CONNECTIONS);
            for n in 0..fetching {
                let duty = if n < FETCHING_ALL { Duty::Fetch } else { Duty::FetchOfIndex };
                let (board, reporter) = (&board, &reporter);
                scope.spawn(move || board.work(duty, reporter));
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

impl Schedule<'_> {
    /// Returns the number of inputs that must be fetched, but for those that the other threads take.
    fn to_fetch(&self, jobs: &[Order]) -> usize {
        let inputs = jobs.iter().flat_map(|job| &job.plan.inputs);
        let missing = inputs.filter(|input| can_be_fetched(input) && !self.fetcher.has(input));
        missing.count().saturating_sub(self.threads)
    }
}

impl Duty {
    /// Whether a thread that fetches takes an input.
    fn may_fetch(self, input: &Input) -> bool {
        can_be_fetched(input)
            && (self == Duty::Fetch || input.component.ecosystem == Ecosystem::Pypi)
    }
}

/// Whether the bytes of an input come into the cache as they are. Paths of a Nix store do not: they
/// are files of the store itself.
fn can_be_fetched(input: &Input) -> bool {
    input.built.is_none() && !matches!(input.format, Format::Nar | Format::Patch)
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
    fn work(&self, duty: Duty, reporter: &Reporter) {
        while let Some(task) = self.next(duty) {
            // A panic must not leave the other threads waiting for this task.
            let done = crate::fault::caught(|| {
                crate::interrupt::check()?;
                match task {
                    Task::Begin(j) => self.begin(j, reporter),
                    Task::Fetch(part) => self.fetch(part, reporter),
                    Task::Unpack { part, is_fetched } => self.unpack(part, is_fetched, reporter),
                }
            });
            if let Err(e) = done {
                self.lock().failed.get_or_insert(e);
            }
            self.changed.notify_all();
        }
    }

    /// Returns the next task, or `None` if all jobs are done or one has failed.
    fn next(&self, duty: Duty) -> Option<Task> {
        let mut shared = self.lock();
        loop {
            if shared.failed.is_some() {
                return None;
            }
            for job in self.order.iter().copied() {
                let State::Open { begun, todo, fetched, .. } = &mut shared.states[job] else {
                    continue;
                };
                let part = |input| Part { job, input, begun: begun.clone() };
                if duty != Duty::Make {
                    let inputs = &self.jobs[job].plan.inputs;
                    let may = todo.iter().position(|i| duty.may_fetch(&inputs[*i]));
                    if let Some(input) = may.and_then(|at| todo.remove(at)) {
                        return Some(Task::Fetch(part(input)));
                    }
                } else if let Some(input) = fetched.pop_front() {
                    return Some(Task::Unpack { part: part(input), is_fetched: true });
                } else if let Some(input) = todo.pop_front() {
                    return Some(Task::Unpack { part: part(input), is_fetched: false });
                }
            }
            let now = Instant::now();
            let is_done = |j: &usize| matches!(shared.states[*j], State::Done(_));
            let ready = self.order.iter().filter(|_| duty == Duty::Make).find(|j| {
                let may = matches!(shared.states[**j], State::Waiting(time) if time.is_none_or(|t| t <= now));
                may && self.jobs[**j].after.iter().all(is_done)
            });
            if let Some(j) = ready {
                shared.states[*j] = State::Beginning;
                return Some(Task::Begin(*j));
            }
            let has_all = |j: &usize| matches!(&shared.states[*j], State::Open { todo, .. } if todo.is_empty());
            let ends = |j: &usize| is_done(j) || duty != Duty::Make && has_all(j);
            if self.order.iter().all(ends) {
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
        let (begun, todo) = (Arc::new(begun), todo.into());
        self.set(j, State::Open { begun, todo, fetched: VecDeque::new(), left });
        Ok(())
    }

    /// Fetches one input into the cache, unless it is there.
    fn fetch(&self, part: Part, reporter: &Reporter) -> Result<()> {
        let (plan, fetcher) = (self.jobs[part.job].plan, self.schedule.fetcher);
        let input = &plan.inputs[part.input];
        let task = reporter.task(input.file_name(), input.size);
        if fetcher.has(input) {
            task.advance(input.size);
        } else {
            reporter
                .timed(&plan.label(), Phase::Fetch, || {
                    fetcher.file(input, plan.snapshot().as_deref(), &task)
                })
                .map_err(|e| e.about(plan.name.as_str()))?;
        }
        if let State::Open { fetched, .. } = &mut self.lock().states[part.job] {
            fetched.push_back(part.input);
        }
        Ok(())
    }

    /// Unpacks one input. The thread that unpacks the last input of a tree also finishes the tree.
    fn unpack(&self, part: Part, is_fetched: bool, reporter: &Reporter) -> Result<()> {
        let Part { job: j, input: i, begun } = part;
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
        let task = match is_fetched {
            true => reporter.unpacking(input.file_name(), input.size),
            false => reporter.task(input.file_name(), input.size),
        };
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

//! The messages and progress bars that a user sees. All of them go to standard error; data goes to
//! standard output.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::terminal::{block, escaped};

/// The amount of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only errors.
    Quiet,
    /// One line for each event.
    Normal,
    /// Additionally retries, mirrors and reasons.
    Verbose,
}

/// What time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Indexes are asked which inputs a tree has.
    Resolve,
    /// The bytes of inputs are awaited.
    Fetch,
    /// Inputs are decoded and unpacked.
    Unpack,
    /// Source distributions are built.
    Build,
    /// The tree is made out of its inputs, with relocation.
    Make,
    /// The tree is hashed, linked and put into the store.
    Link,
    /// Files for other tools are written.
    Emit,
}

impl Phase {
    /// All phases, in the order in which they follow each other.
    pub const ALL: [Phase; 7] = [
        Phase::Resolve,
        Phase::Fetch,
        Phase::Unpack,
        Phase::Build,
        Phase::Make,
        Phase::Link,
        Phase::Emit,
    ];

    /// Returns the name of the phase.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Fetch => "fetch",
            Phase::Unpack => "unpack",
            Phase::Build => "build",
            Phase::Make => "make",
            Phase::Link => "link",
            Phase::Emit => "emit",
        }
    }
}

/// The number of bars that are shown at once, beside that of the total. A terminal has few lines.
const MOST_BARS: usize = 8;

/// The time that was spent, by what it was spent on and by phase.
type Spent = BTreeMap<String, BTreeMap<Phase, Duration>>;

/// Reports progress and messages: with bars on a terminal, and otherwise with plain lines.
#[derive(Clone)]
pub struct Reporter {
    verbosity: Verbosity,
    bars: Option<MultiProgress>,
    total: Option<ProgressBar>,
    /// The number of tasks that have a bar.
    shown: Arc<AtomicUsize>,
    spent: Arc<Mutex<Spent>>,
}

/// The room for the bar of a task.
struct Room(Arc<AtomicUsize>);

impl Room {
    fn take(shown: &Arc<AtomicUsize>) -> Option<Room> {
        let room = Room(shown.clone());
        (shown.fetch_add(1, Ordering::Relaxed) < MOST_BARS).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reporter {
    /// Creates a reporter. `bars` requests progress bars, which appear if standard error is a
    /// terminal.
    pub fn new(verbosity: Verbosity, bars: bool) -> Self {
        let bars = (bars && verbosity > Verbosity::Quiet && std::io::stderr().is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15)));
        Reporter { verbosity, bars, total: None, shown: Arc::default(), spent: Arc::default() }
    }

    /// Returns the amount of output.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Does some work and adds the time that it takes to what was spent on `subject`.
    pub fn timed<T>(&self, subject: &str, phase: Phase, work: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let out = work();
        self.spend(subject, phase, since.elapsed());
        out
    }

    /// Adds a time to what was spent on `subject`.
    pub fn spend(&self, subject: &str, phase: Phase, time: Duration) {
        let mut spent = self.spent.lock().expect("no panic holds it");
        *spent.entry(subject.to_owned()).or_default().entry(phase).or_default() += time;
    }

    /// Returns what was spent so far. Threads that worked at the same time add up.
    pub fn spent(&self) -> BTreeMap<String, BTreeMap<Phase, Duration>> {
        self.spent.lock().expect("no panic holds it").clone()
    }

    /// Prints a line, unless the verbosity is quiet. What could change a terminal is escaped, here and
    /// in all other messages: a repository, a package or a server may have chosen a part of them.
    pub fn line(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.print(&block(text));
        }
    }

    /// Prints a line if the verbosity is verbose.
    pub fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.print(&block(text));
        }
    }

    /// Prints a warning.
    pub fn warn(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            let style = anstyle::AnsiColor::Yellow.on_default().bold();
            self.print(&format!("{style}warning:{style:#} {}", block(text)));
        }
    }

    /// Opens the bar for the total progress of `bytes` bytes.
    pub fn begin_total(&mut self, bytes: u64) {
        if let Some(bars) = &self.bars {
            let bar = bars.add(ProgressBar::new(bytes));
            bar.set_style(style(if is_narrow() {
                "{prefix:9.bold} {percent:>3}% {bytes_per_sec:>12} {eta:>4}"
            } else {
                "{prefix:9.bold} {bar:20.green/dim} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {eta:>4}"
            }));
            bar.set_prefix("total");
            self.total = Some(bar);
        }
    }

    /// Closes the bar for the total progress.
    pub fn end_total(&mut self) {
        if let Some(bar) = self.total.take() {
            bar.finish_and_clear();
        }
    }

    /// Starts a task of `bytes` bytes, such as a download. Without a terminal it prints nothing
    /// unless the verbosity is verbose.
    pub fn task(&self, name: &str, bytes: u64) -> Task {
        self.detail(&format!("fetching {name}"));
        self.task_of("fetching", name, bytes, self.total.clone())
    }

    /// Starts a task for `bytes` bytes that were fetched by another one, which has counted them.
    pub fn unpacking(&self, name: &str, bytes: u64) -> Task {
        self.task_of("unpacking", name, bytes, None)
    }

    fn task_of(
        &self,
        what: &'static str,
        name: &str,
        bytes: u64,
        total: Option<ProgressBar>,
    ) -> Task {
        let room = self.bars.as_ref().and_then(|_| Room::take(&self.shown));
        let bar = self.bars.as_ref().filter(|_| room.is_some()).map(|bars| {
            let bar = match &self.total {
                Some(total) => bars.insert_before(total, ProgressBar::new(bytes)),
                None => bars.add(ProgressBar::new(bytes)),
            };
            bar.set_style(style(if is_narrow() {
                "{prefix:9.cyan} {percent:>3}% {wide_msg:.dim}"
            } else {
                "{prefix:9.cyan} {bar:20.cyan/dim} {bytes:>10}/{total_bytes:<10} {wide_msg:.dim}"
            }));
            bar.set_prefix(what);
            bar.set_message(escaped(name));
            bar
        });
        let (done, waited) = (Arc::default(), AtomicU64::new(0));
        Task { bar, _room: room, total, done, waited, reporter: self.clone() }
    }

    /// Starts a task of unknown length, such as a composition.
    pub fn spinner(&self, what: &str, name: &str) -> Task {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = match &self.total {
                Some(total) => bars.insert_before(total, ProgressBar::new_spinner()),
                None => bars.add(ProgressBar::new_spinner()),
            };
            bar.set_style(style("{prefix:9.magenta} {spinner} {wide_msg}"));
            bar.set_prefix(what.to_owned());
            bar.set_message(escaped(name));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let (done, waited) = (Arc::default(), AtomicU64::new(0));
        Task { bar, _room: None, total: None, done, waited, reporter: self.clone() }
    }

    fn print(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| line(text)),
            None => line(text),
        }
    }
}

/// Writes a line to standard error, with colours if it supports them. Failures to write are
/// ignored.
pub fn line(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The columns of a terminal that a bar with its numbers needs.
const WIDE: u16 = 76;

/// Whether the terminal is too narrow for bars, so that only percentages are shown.
fn is_narrow() -> bool {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .is_ok_and(|size| (1..WIDE).contains(&size.ws_col))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constant")
        .progress_chars("━╸─")
}

/// A task that makes progress. Its bar disappears when it is dropped.
pub struct Task {
    bar: Option<ProgressBar>,
    _room: Option<Room>,
    total: Option<ProgressBar>,
    done: Arc<AtomicU64>,
    /// The nanoseconds for which it waited for bytes.
    waited: AtomicU64,
    reporter: Reporter,
}

impl Task {
    /// Adds `bytes` bytes to the progress.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        for bar in [&self.bar, &self.total].into_iter().flatten() {
            bar.inc(bytes);
        }
    }

    /// Does some work that is nothing but waiting for bytes.
    pub fn waiting<T>(&self, work: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let out = work();
        let time = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(time, Ordering::Relaxed);
        out
    }

    /// Returns the time for which it waited for bytes.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// Resets the progress to the beginning.
    pub fn restart(&self) {
        let done = self.done.swap(0, Ordering::Relaxed);
        for bar in [&self.bar, &self.total].into_iter().flatten() {
            bar.dec(done);
        }
    }

    /// Prints a warning.
    pub fn warn(&self, text: &str) {
        self.reporter.warn(text);
    }

    /// Prints a message if the verbosity is verbose.
    pub fn note(&self, text: &str) {
        self.reporter.detail(text);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

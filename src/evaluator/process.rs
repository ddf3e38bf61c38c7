//! A process of Nix with bounds: it ends in time, its output is read as it comes, and its last words are kept.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::error::{Error, Result};
use crate::sandbox::{Ended, OUT_OF_MEMORY, Quota};
use crate::store::delete_hostile;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 16 << 20;

/// The greatest number of bytes of its words that are kept: the last ones.
const MOST_WORDS: usize = 256 << 10;

/// The time between two looks at the clock.
const LOOK: Duration = Duration::from_millis(20);

/// The same for who waits for its output.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The time that a process has to end by itself: less than this program has when it is interrupted.
const GRACE: Duration = Duration::from_secs(1);

/// A directory for the temporary files of one command, which is deleted behind it.
pub struct TemporaryFiles(PathBuf);

impl TemporaryFiles {
    /// Creates one below the directory of a project.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn below(dir: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = dir.join("tmp").join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|e| Error::at("create", &dir, e))?;
        Ok(TemporaryFiles(dir))
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFiles {
    fn drop(&mut self) {
        let _ = delete_hostile(&self.0);
    }
}

/// A command in a namespace of its own.
pub struct Enclosed {
    /// The command that enters the namespace.
    pub command: Command,
    /// How much of the machine it may use.
    pub limits: Quota,
    /// Its temporary files.
    pub files: TemporaryFiles,
}

/// A command of Nix that is about to run.
pub struct NixCommand {
    command: Command,
    seconds: u64,
    confined: Option<Enclosed>,
}

impl NixCommand {
    /// Creates one that may run for some seconds.
    pub fn new(command: Command, seconds: u64) -> Self {
        NixCommand { command, seconds, confined: None }
    }

    /// Creates one that runs in a namespace of its own.
    pub(super) fn confined(command: Command, confined: Enclosed, seconds: u64) -> Self {
        NixCommand { command, seconds, confined: Some(confined) }
    }

    /// Runs the command and returns what it prints. `failed` makes an error of what Nix says.
    ///
    /// # Errors
    /// If it fails, takes too long, or prints too much or what is no text.
    pub fn text(self, failed: &dyn Fn(String) -> Error) -> Result<String> {
        let ran = self.run(|from| {
            let mut out = vec![];
            from.take(LONGEST_ANSWER + 1).read_to_end(&mut out).map(|_| out)
        })?;
        let out = ran.taken.map_err(|e| failed(e.to_string()))?;
        if out.len() as u64 > LONGEST_ANSWER {
            return Err(failed(format!("it prints more than {} MiB", LONGEST_ANSWER >> 20)));
        }
        if !ran.status.success() {
            return Err(failed(words(&ran.said)));
        }
        String::from_utf8(out).map_err(|e| failed(e.to_string()))
    }

    /// Runs the command. `take` reads its output.
    ///
    /// # Errors
    /// If it cannot be started, takes too long, or uses too much memory.
    pub fn run<T>(self, take: impl FnOnce(&mut dyn Read) -> T) -> Result<Ran<T>> {
        let program: OsString = self.command.get_program().to_owned();
        let (command, limits, _files) = match self.confined {
            Some(Enclosed { command, limits, files }) => (command, Some(limits), Some(files)),
            None => (self.command, None, None),
        };
        let ran = run(command, Duration::from_secs(self.seconds), take).map_err(|e| {
            Error::user(format!("can't start {}", Path::new(&program).display()))
                .cause(&e)
                .hint("Nix 2.8 or newer must be installed, with its programs on PATH")
        })?;
        crate::interrupt::check()?;
        let ended = |error: Error| match ran.said.trim() {
            "" => error,
            _ => error.because(words(&ran.said)),
        };
        if ran.is_late {
            let error = Error::build("Nix was ended, because it did not come to an end");
            return Err(ended(Ended::Time(self.seconds).explain(error)));
        }
        if let Some(limits) = limits
            && ran.status.code() == Some(OUT_OF_MEMORY.into())
        {
            let error = Error::build("Nix was ended, because it used too much memory");
            return Err(ended(Ended::Memory(limits.memory).explain(error)));
        }
        Ok(ran)
    }
}

/// Returns what Nix says, as a cause.
pub(super) fn words(said: &str) -> String {
    match said.trim() {
        "" => "Nix says nothing".to_owned(),
        said => format!("Nix says:\n{said}"),
    }
}

/// What a process has done.
pub struct Ran<T> {
    /// How it ended.
    pub status: ExitStatus,
    /// What was made of its output.
    pub taken: T,
    /// What it wrote to standard error.
    pub said: String,
    /// Whether it was ended because it took too long.
    pub is_late: bool,
}

/// Runs a command for at most some time. `take` reads its output.
///
/// # Errors
/// If it cannot be started.
fn run<T>(
    mut command: Command,
    most: Duration,
    take: impl FnOnce(&mut dyn Read) -> T,
) -> io::Result<Ran<T>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // With a group of its own, all that it starts can be ended.
    let mut child = command.process_group(0).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let group = Pid::from_child(&child);
    let (is_over, is_late) = (AtomicBool::new(false), AtomicBool::new(false));
    let has_ended = AtomicBool::new(false);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let words = scope.spawn(|| {
            stderr.map(|inner| keep(UntilEnd::new(inner, &has_ended))).unwrap_or_default()
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                if !has_ended.load(Ordering::Acquire) && has_exited(group) {
                    // What it left behind must not keep its output open.
                    let _ = kill_process_group(group, Signal::KILL);
                    has_ended.store(true, Ordering::Release);
                }
                let too_long = !has_ended.load(Ordering::Acquire) && begin.elapsed() > most;
                if too_long || crate::interrupt::check().is_err() {
                    is_late.fetch_or(too_long, Ordering::Release);
                    let _ = kill_process_group(group, Signal::TERM);
                    let asked = Instant::now();
                    while !is_over.load(Ordering::Acquire) && asked.elapsed() < GRACE {
                        std::thread::sleep(LOOK);
                    }
                    let _ = kill_process_group(group, Signal::KILL);
                    has_ended.store(true, Ordering::Release);
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
        let taken = match stdout {
            Some(stdout) => take(&mut UntilEnd::new(stdout, &has_ended)),
            None => take(&mut io::empty()),
        };
        let status = child.wait();
        let _ = kill_process_group(group, Signal::KILL);
        has_ended.store(true, Ordering::Release);
        is_over.store(true, Ordering::Release);
        let said = words.join().unwrap_or_default();
        Ok(Ran { status: status?, taken, said, is_late: is_late.load(Ordering::Acquire) })
    })
}

/// Whether a process has ended. It stays there to be waited for.
fn has_exited(process: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(process), options), Ok(None) | Err(rustix::io::Errno::INTR))
}

/// The number of times that a pipe is read behind the end of its process: more than a pipe can hold.
const READS_BEHIND_END: u32 = 64;

/// A pipe that a process writes, up to the end of the process: others may hold it open, and write on.
struct UntilEnd<'a, R> {
    inner: R,
    has_ended: &'a AtomicBool,
    left: u32,
}

impl<'a, R> UntilEnd<'a, R> {
    fn new(inner: R, has_ended: &'a AtomicBool) -> Self {
        UntilEnd { inner, has_ended, left: READS_BEHIND_END }
    }
}

impl<R: Read + AsFd> Read for UntilEnd<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // It is asked before the pipe is looked at, so that all that the process has written is read.
            let has_ended = self.has_ended.load(Ordering::Acquire);
            let mut fds = [PollFd::new(&self.inner, PollFlags::IN)];
            match poll(&mut fds, Some(&WAIT)) {
                Ok(0) if has_ended => return Ok(0),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) if has_ended && self.left == 0 => return Ok(0),
                Ok(_) => {
                    self.left -= u32::from(has_ended);
                    return self.inner.read(buffer);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Reads all words and keeps the last ones, without the colours that a program gives them.
fn keep(mut from: impl Read) -> String {
    let mut kept: Vec<u8> = vec![];
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => kept.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        if kept.len() > 2 * MOST_WORDS {
            kept.drain(..kept.len() - MOST_WORDS);
        }
    }
    let text = String::from_utf8_lossy(&kept);
    anstream::adapter::strip_str(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(script: &str, most: u64) -> (Ran<String>, Duration) {
        let begin = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ran = run(command, Duration::from_secs(most), |from| {
            let mut out = String::new();
            from.read_to_string(&mut out).unwrap();
            out
        });
        (ran.unwrap(), begin.elapsed())
    }

    /// Where there are no namespaces, a process that has left its group goes on.
    #[test]
    fn who_holds_the_output_open_keeps_nobody_waiting() {
        let (ran, time) = text("setsid sleep 20 & echo out; echo err >&2; exit 3", 60);
        assert_eq!((ran.taken.as_str(), ran.said.as_str()), ("out\n", "err\n"));
        assert_eq!((ran.status.code(), ran.is_late), (Some(3), false));
        assert!(time < Duration::from_secs(10), "{time:?}");
        let (ran, time) = text("setsid sleep 20 & echo out; sleep 20", 1);
        assert_eq!((ran.taken.as_str(), ran.is_late), ("out\n", true));
        assert!(time < Duration::from_secs(10), "{time:?}");
        let (ran, time) = text("setsid timeout 20 yes & exit 0", 60);
        assert!(ran.taken.starts_with("y\n") || ran.taken.is_empty());
        assert!(time < Duration::from_secs(10), "{time:?}");
    }

    #[test]
    fn all_output_is_read() {
        let (ran, _) = text("yes | head -c 3000000; yes | head -c 100000 >&2", 60);
        assert_eq!((ran.taken.len(), ran.said.len()), (3_000_000, 100_000));
        assert!(ran.status.success());
    }
}

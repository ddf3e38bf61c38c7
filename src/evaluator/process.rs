//! A process with a limit of time, whose output is read as it comes and whose words are kept.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The greatest number of bytes of its words that are kept: the last ones.
const MOST_WORDS: usize = 256 << 10;

/// The time between two looks at the clock.
const LOOK: Duration = Duration::from_millis(20);

/// The time that a process has to end by itself: less than this program has when it is interrupted.
const GRACE: Duration = Duration::from_secs(1);

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
pub fn run<T>(
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
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let words = scope.spawn(|| stderr.map(keep).unwrap_or_default());
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let too_long = begin.elapsed() > most;
                if too_long || crate::interrupt::check().is_err() {
                    is_late.fetch_or(too_long, Ordering::Release);
                    let _ = kill_process_group(group, Signal::TERM);
                    let asked = Instant::now();
                    while !is_over.load(Ordering::Acquire) && asked.elapsed() < GRACE {
                        std::thread::sleep(LOOK);
                    }
                    let _ = kill_process_group(group, Signal::KILL);
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
        let taken = match stdout {
            Some(mut stdout) => take(&mut stdout),
            None => take(&mut io::empty()),
        };
        let status = child.wait();
        // What it left behind must not keep its output open.
        let _ = kill_process_group(group, Signal::KILL);
        is_over.store(true, Ordering::Release);
        let said = words.join().unwrap_or_default();
        Ok(Ran { status: status?, taken, said, is_late: is_late.load(Ordering::Acquire) })
    })
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

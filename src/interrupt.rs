//! Handles Ctrl-C. Long-running work calls this module to ask whether to continue, and cleans up if
//! it must not. Work that cannot ask, because it waits for a server that does not respond, is
//! terminated after a moment. This is safe because unfinished data never has a final name in the
//! store.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// The time that work has to end by itself.
const GRACE: Duration = Duration::from_millis(1500);

static STOP: AtomicBool = AtomicBool::new(false);
static SWEEP: Mutex<Option<fn()>> = Mutex::new(None);
static TELL: Mutex<Option<fn(&Error)>> = Mutex::new(None);

/// Installs handlers for SIGINT, SIGTERM and SIGHUP. The first signal asks the program to stop, and
/// terminates the process if that takes too long. The second signal terminates it immediately.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::Relaxed) {
                end();
            }
            std::thread::spawn(|| {
                std::thread::sleep(GRACE);
                end();
            });
        });
    });
}

/// Sets the function that runs before the process is terminated during its work.
pub fn before_end(sweep: fn()) {
    if let Ok(mut slot) = SWEEP.lock() {
        *slot = Some(sweep);
    }
}

/// Sets the function that reports an error, for the case that the process is terminated during its
/// work.
pub fn tell_by(tell: fn(&Error)) {
    if let Ok(mut slot) = TELL.lock() {
        *slot = Some(tell);
    }
}

fn end() -> ! {
    if let Some(sweep) = SWEEP.lock().ok().and_then(|s| *s) {
        sweep();
    }
    // End the line on which the terminal shows ^C.
    let _ = writeln!(std::io::stderr());
    if let Some(tell) = TELL.lock().ok().and_then(|t| *t) {
        tell(&interrupted());
    }
    std::process::exit(i32::from(ErrorKind::Interrupted.exit_code()));
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted")
        .hint("run the same command again: it goes on where this one stopped")
}

/// Fails if the user has asked the program to stop.
///
/// # Errors
/// [`ErrorKind::Interrupted`].
pub fn check() -> Result<()> {
    if STOP.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
}

/// Sleeps, but wakes up when the user asks the program to stop.
///
/// # Errors
/// [`ErrorKind::Interrupted`].
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

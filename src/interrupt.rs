//! Ctrl-C: long work asks here whether to go on, and cleans up behind itself if not. Work that can't ask, because it waits for a silent server, is ended after a
//! moment: the store is made so that nothing half-made has a name in it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How long work may take to end by itself.
const GRACE: Duration = Duration::from_millis(1500);

static STOP: AtomicBool = AtomicBool::new(false);
static SWEEP: Mutex<Option<fn()>> = Mutex::new(None);
static TELL: Mutex<Option<fn(&Error)>> = Mutex::new(None);

/// Takes over SIGINT, SIGTERM and SIGHUP. The first asks to stop, and ends the process if that takes too long; the second ends it at once.
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

/// Says what to do before the process is ended in the middle of its work.
pub fn before_end(sweep: fn()) {
    if let Ok(mut slot) = SWEEP.lock() {
        *slot = Some(sweep);
    }
}

/// Says how an error is told: the process may be ended in the middle of its work.
pub fn tell_by(tell: fn(&Error)) {
    if let Ok(mut slot) = TELL.lock() {
        *slot = Some(tell);
    }
}

fn end() -> ! {
    if let Some(sweep) = SWEEP.lock().ok().and_then(|s| *s) {
        sweep();
    }
    // Behind the ^C that the terminal shows.
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

/// Fails once the user has asked to stop.
///
/// # Errors
/// [`ErrorKind::Interrupted`].
pub fn check() -> Result<()> {
    if STOP.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
}

/// Sleeps, but wakes when the user asks to stop.
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

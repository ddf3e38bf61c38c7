//! A job at the user's terminal. The job gets a terminal of its own, and never sees that of the user,
//! whose settings it therefore cannot change; what it writes is passed on as it is. Sources: pty(7),
//! `tty_ioctl(4)`, termios(3).

use std::io::{self, IsTerminal as _};
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};

use super::job::{Ended, Job};
use super::run::receive;
use crate::error::{Error, Result};

/// The time after which the size of the terminal is looked at, and whether the user wants to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The settings of the user's terminal, which are restored when the value is dropped.
struct Settings(Termios);

impl Settings {
    /// Lets every key pass through to the job.
    fn raw() -> rustix::io::Result<Settings> {
        let old = tcgetattr(io::stdin())?;
        let mut raw = old.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Settings(old))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Fails without a terminal.
///
/// # Errors
/// If standard input or standard output is none.
pub fn need_terminal() -> Result<()> {
    match io::stdin().is_terminal() && io::stdout().is_terminal() {
        true => Ok(()),
        false => Err(Error::user("a shell in the sandbox needs a terminal")
            .because("standard input or standard output is none")),
    }
}

impl Job {
    /// Runs the job at the terminal of the user, and returns how it ended.
    ///
    /// # Errors
    /// If there is no terminal, or if the job cannot be started.
    pub fn run_at_terminal(&self) -> Result<Ended> {
        need_terminal()?;
        let failed = |e: rustix::io::Errno| Error::io("can't open a terminal for a job", e.into());
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).map_err(failed)?;
        grantpt(&ours).and_then(|()| unlockpt(&ours)).map_err(failed)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags).map_err(failed)?;
        // Before the job can ask for it.
        let size = fit(&ours, None);
        let (mut child, _input) = self.start(Stdio::from(theirs))?;
        let settings = Settings::raw().map_err(failed)?;
        let passed = pass(&ours, size);
        drop(settings);
        if passed.is_err() {
            let _ = child.kill();
        }
        let outcome = receive(child.stdout.take(), false, |from| {
            let _ = from.read(&mut [0]);
            Ok(())
        });
        let _ = child.wait();
        passed?;
        outcome.map(|(ended, ..)| ended)
    }
}

/// Passes on what the user types and what the job writes, until nobody has the job's terminal any
/// more.
fn pass(ours: &OwnedFd, mut size: Option<Winsize>) -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::io("can't use the terminal", e.into());
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let (mut buffer, mut types) = ([0; 4096], true);
    loop {
        crate::interrupt::check()?;
        size = fit(ours, size);
        let mut fds = vec![PollFd::new(ours, PollFlags::IN)];
        if types {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match poll(&mut fds, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            match rustix::io::read(ours, &mut buffer) {
                // That is how the end of a terminal looks like.
                Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
                Ok(read) => write_all(&stdout, &buffer[..read]).map_err(failed)?,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(e) => return Err(failed(e)),
            }
        }
        if ready.get(1) == Some(&true) {
            match rustix::io::read(&stdin, &mut buffer) {
                Ok(0) => types = false,
                Ok(read) => write_all(ours, &buffer[..read]).map_err(failed)?,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Gives the job's terminal the size of the user's, if that is not `known`. Returns it.
fn fit(ours: &OwnedFd, known: Option<Winsize>) -> Option<Winsize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    let is_new = known.is_none_or(|old| (old.ws_col, old.ws_row) != (size.ws_col, size.ws_row));
    if is_new {
        let _ = rustix::termios::tcsetwinsize(ours, size);
    }
    Some(size)
}

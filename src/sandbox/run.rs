//! The caller of a job.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::job::{COMMAND, Ended, Job, REPORTED, View};
use super::log;
use crate::error::{Error, Result};
use crate::tree::{BlobDir, Tree};
use crate::unpack::{CaseCollisions, Limits, TarOptions, unpack_tar};

/// Unpacks the result of a job, in the form that [`Job::run`] reads, under the policy for archives.
///
/// # Errors
/// If something in it is refused, or if it has more entries or bytes than `limits` allow.
pub fn unpacked(blobs: &BlobDir, limits: Limits) -> impl FnOnce(&mut dyn Read) -> Result<Tree> {
    move |result| {
        let cases = CaseCollisions::Allow;
        let options = TarOptions { strip: 0, cases, may_be_empty: true, limits, map: &Some };
        unpack_tar(result, blobs, &options)
    }
}

/// The longest line with an outcome, in bytes.
const LONGEST_REPORT: u64 = 64 << 10;

/// Where what a job prints goes.
pub struct Printed<'a> {
    /// The file that holds it. It is bounded.
    pub log: &'a Path,
    /// Is told each line as it comes.
    pub tell: Option<&'a (dyn Fn(&str) + Sync)>,
}

/// What a job has done.
#[derive(Debug)]
pub struct JobOutcome<T> {
    /// How it ended.
    pub ended: Ended,
    /// Its result, if its program ended with 0.
    pub result: Option<T>,
    /// The directory in which it worked, if it failed and its limits say that this is kept.
    pub left: Option<Result<T>>,
    /// The last lines that it printed, without empty ones.
    pub said: Vec<String>,
}

impl Job {
    /// Runs the job. `take` reads its result, a tar archive that is as hostile as any other, or in the
    /// same form what it left. The result of a job with a masked view is empty.
    ///
    /// # Errors
    /// If the job cannot be started, and those of `take` for a result. A job that fails is no error.
    pub fn run<T>(
        &self,
        printed: &Printed,
        take: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<JobOutcome<T>> {
        self.run_served(printed, take, &|_| ())
    }

    /// Runs the job, and serves it. `serve` is called for each connection to the gateway, in a
    /// thread of its own.
    ///
    /// # Errors
    /// Those of [`Job::run`].
    pub fn run_served<T>(
        &self,
        printed: &Printed,
        take: impl FnOnce(&mut dyn Read) -> Result<T>,
        serve: &(dyn Fn(TcpStream) + Sync),
    ) -> Result<JobOutcome<T>> {
        let (mut child, input) = self.start(Stdio::piped())?;
        let said = child.stderr.take();
        let over = AtomicBool::new(false);
        let most = match &self.view {
            View::Sealed(sealed) => sealed.limits.output,
            View::Masked { .. } => u64::MAX,
        };
        let kept = std::thread::scope(|scope| {
            let reader =
                scope.spawn(|| said.map(|said| log::keep(said, printed.log, most, printed.tell)));
            if matches!(&self.view, View::Sealed(sealed) if sealed.gateway) {
                scope.spawn(|| gateway(&input, &over, serve));
            }
            let outcome = receive(child.stdout.take(), self.keeps_failed(), take);
            over.store(true, Ordering::Relaxed);
            // A job whose result was refused must not go on.
            if !matches!(&outcome, Ok((_, _, None | Some(Ok(_))))) {
                let _ = child.kill();
            }
            let kept = reader.join().map_err(|_| Error::build("a thread of the sandbox failed"))?;
            Ok((outcome, kept))
        });
        let status = child.wait().map_err(broken)?;
        crate::interrupt::check()?;
        let (outcome, kept) = kept?;
        let kept = kept.transpose().map_err(|e| Error::at("write", printed.log, e))?;
        let kept = kept.unwrap_or_default();
        let said: Vec<String> = String::from_utf8_lossy(&kept.tail)
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect();
        // If the result was refused, the job was killed for it.
        let was_killed = !matches!(&outcome, Ok((_, _, None | Some(Ok(_)))));
        if status.code() != Some(REPORTED.into()) && (!was_killed || status.code().is_some()) {
            let error = Error::build("the sandbox ended without a word");
            return Err(said.iter().rev().take(5).rev().fold(error, |e, l| e.because(l.clone())));
        }
        let (ended, result, left) = outcome?;
        Ok(match kept.is_too_much {
            true => JobOutcome { ended: Ended::Output(most), result: None, left, said },
            false => JobOutcome { ended, result, left, said },
        })
    }

    fn keeps_failed(&self) -> bool {
        matches!(&self.view, View::Sealed(sealed) if sealed.limits.keep_failed && !sealed.terminal)
    }

    /// Starts the process that makes the sandbox, and describes the job to it. Returns the process, and
    /// the other end of its standard input.
    pub(super) fn start(&self, errors: Stdio) -> Result<(Child, UnixStream)> {
        // The path stays valid if the program was replaced by a new version in the meantime.
        let mut command = Command::new("/proc/self/exe");
        let (mut input, theirs) = UnixStream::pair().map_err(broken)?;
        command.arg(COMMAND).stdin(OwnedFd::from(theirs));
        command.stdout(Stdio::piped()).stderr(errors);
        if matches!(self.view, View::Sealed(_)) {
            command.env_clear().current_dir("/");
        }
        let child = command.spawn().map_err(broken)?;
        // The command still holds the other ends of what it hands on.
        drop(command);
        let text = serde_json::to_vec(self).map_err(|e| broken(e.into()))?;
        // If it has ended, what it said is better than a broken pipe.
        let _ = input.write_all(&text).and_then(|()| input.shutdown(Shutdown::Write));
        Ok((child, input))
    }
}

fn broken(e: std::io::Error) -> Error {
    Error::io("can't run a job in the sandbox", e)
}

/// The greatest number of connections that are served at once. uv has at most 50, and further ones
/// wait in the queue of the socket.
const MOST_CONNECTIONS: usize = 64;

/// The time after which a gateway looks whether there is room for another connection.
const ROOM: std::time::Duration = std::time::Duration::from_millis(5);

/// The time after which a gateway looks whether its job has ended.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Receives the socket on which a job's gateway listens, and serves it until the job is over.
fn gateway(input: &UnixStream, over: &AtomicBool, serve: &(dyn Fn(TcpStream) + Sync)) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut message = [std::io::IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    // The job was not started if nothing arrives. What failed is in its report.
    if recvmsg(input, &mut message, &mut ancillary, flags).is_err() {
        return;
    }
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let Some(listener) = socket.map(TcpListener::from) else { return };
    answer(&listener, over, serve);
}

/// Serves the connections to a socket until the job is over, a limited number of them at once: the
/// job may open as many as it likes.
fn answer(listener: &TcpListener, over: &AtomicBool, serve: &(dyn Fn(TcpStream) + Sync)) {
    let served = AtomicUsize::new(0);
    let served = &served;
    std::thread::scope(|scope| {
        while !over.load(Ordering::Relaxed) {
            if served.load(Ordering::Acquire) >= MOST_CONNECTIONS {
                std::thread::sleep(ROOM);
                continue;
            }
            let mut fds = [PollFd::new(listener, PollFlags::IN)];
            if poll(&mut fds, Some(&LOOK)).is_ok_and(|ready| ready > 0)
                && let Ok((stream, _)) = listener.accept()
            {
                served.fetch_add(1, Ordering::Acquire);
                let place = ServedPlace(served);
                // Without a thread, the connection is closed.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || {
                    let _place = place;
                    serve(stream);
                });
            }
        }
    });
}

/// One of the connections that are served.
struct ServedPlace<'a>(&'a AtomicUsize);

impl Drop for ServedPlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Reads the outcome, and the result or what is left.
pub(super) fn receive<T>(
    from: Option<impl Read>,
    keeps_failed: bool,
    take: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<(Ended, Option<T>, Option<Result<T>>)> {
    let broken = |e: std::io::Error| Error::io("can't read the outcome of a job", e);
    let Some(from) = from else { return Err(Error::build("the sandbox has no output")) };
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut line = vec![];
    from.by_ref().take(LONGEST_REPORT).read_until(b'\n', &mut line).map_err(broken)?;
    if line.is_empty() {
        return Err(Error::build("the sandbox ended without a word"));
    }
    let ended: Ended = serde_json::from_slice(&line).map_err(|e| broken(e.into()))?;
    if let Ended::NotStarted { what, hint } = &ended {
        let error = Error::build("the sandbox can't be made").because(what.clone());
        return Err(match hint {
            Some(hint) => error.hint(hint.clone()).hint("without them, take what another machine has built from a binary cache: see `cotter cache add`"),
            None => error,
        });
    }
    if let Ended::Unwatched(why) = &ended {
        return Err(Error::build("a job in the sandbox can't be watched, so it was ended")
            .because(why.clone())
            .hint("run the same command again; if it fails again, check the memory and the processes of this machine"));
    }
    Ok(match (&ended, keeps_failed) {
        (Ended::Code(0), _) => (ended, Some(take(&mut from)?), None),
        (_, true) => (ended, None, Some(take(&mut from))),
        (_, false) => (ended, None, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_job_before_and_after_its_start_is_told_apart() {
        let said = |ended: &Ended| {
            let line = serde_json::to_string(ended).unwrap() + "\n";
            let error = receive(Some(line.as_bytes()), false, |_| Ok(())).unwrap_err();
            error.to_string()
        };
        let not_started = Ended::NotStarted { what: "no".to_owned(), hint: None };
        assert!(said(&not_started).contains("the sandbox can't be made"));
        let unwatched = Ended::Unwatched("too many open files".to_owned());
        assert!(said(&unwatched).contains("can't be watched, so it was ended"));
    }

    #[test]
    fn a_job_has_no_more_connections_served_than_there_are_places() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (over, now, most) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let serve = |mut stream: TcpStream| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The client says when it is done.
            let _ = stream.read(&mut [0]);
            now.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(b"x");
        };
        std::thread::scope(|scope| {
            scope.spawn(|| answer(&listener, &over, &serve));
            let mut clients: Vec<TcpStream> =
                (0..MOST_CONNECTIONS + 40).map(|_| TcpStream::connect(address).unwrap()).collect();
            while now.load(Ordering::SeqCst) < MOST_CONNECTIONS {
                std::thread::sleep(ROOM);
            }
            std::thread::sleep(ROOM * 10);
            // All are served in the end.
            for client in &mut clients {
                client.write_all(b"x").unwrap();
            }
            for client in &mut clients {
                client.read_exact(&mut [0]).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(most.load(Ordering::SeqCst), MOST_CONNECTIONS);
    }
}

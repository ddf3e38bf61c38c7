//! The supervisor of a job, and the process 1 that it starts.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use fs_err as fs;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{
    DumpableBehavior, Gid, Pid, Signal, Uid, WaitOptions, set_dumpable_behavior,
    set_parent_process_death_signal,
};
use rustix::thread::UnshareFlags;

use super::job::{Ended, FAILED, GATEWAY, Job, REPORTED, SealedView, View};
use super::{confine, fence, mounts, send, sys, watch};

/// The user and the group that a job of root is to the machine: those that own nothing (`nobody`).
const NOBODY: u32 = 65_534;

/// Why a job was not started.
struct Fault {
    what: String,
    hint: Option<&'static str>,
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Fault { what: e.to_string(), hint: None }
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(e: rustix::io::Errno) -> Self {
        io::Error::from(e).into()
    }
}

fn fault(what: impl Into<String>, e: impl Into<io::Error>) -> Fault {
    Fault { what: format!("{}: {}", what.into(), e.into()), hint: None }
}

/// Runs the job that standard input describes. The whole of `cotter __sandbox`.
pub fn enter() -> ExitCode {
    let outcome = supervise();
    let Err(Fault { what, hint }) = outcome else {
        return outcome.unwrap_or(ExitCode::from(REPORTED));
    };
    let ended = Ended::NotStarted { what, hint: hint.map(str::to_owned) };
    match report(&ended) {
        Ok(()) => ExitCode::from(REPORTED),
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Writes how the job ended, on a line of its own.
fn report(ended: &Ended) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, ended)?;
    writeln!(out)?;
    out.flush()
}

fn supervise() -> Result<ExitCode, Fault> {
    let parent = rustix::process::getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != parent || parent.is_none() {
        return Ok(ExitCode::from(FAILED));
    }
    // A directory that was left open would be a way out.
    sys::close_from(3)?;
    let job: Job = serde_json::from_reader(io::stdin().lock()).map_err(io::Error::from)?;
    let root = rustix::process::geteuid().is_root();
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let proc = fs::File::open("/proc")?;
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if !root {
        flags |= UnshareFlags::NEWUSER;
    }
    sys::unshare(flags).map_err(|e| Fault {
        what: format!("this machine allows no namespaces: {e}"),
        hint: Some(if root {
            "in a container, start it with --privileged, or as a user who may make user namespaces"
        } else {
            "builds need user namespaces: see `sysctl kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns user.max_user_namespaces`"
        }),
    })?;
    if !root {
        let (inner_user, inner_group) = match &job.view {
            View::Sealed(sealed) => (sealed.surroundings.user, sealed.surroundings.user),
            View::Masked { .. } => (user.as_raw(), group.as_raw()),
        };
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{inner_user} {} 1", user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("{inner_group} {} 1", group.as_raw()))?;
    }
    // If the kernel runs out of memory, it ends the job and not its caller.
    if matches!(job.view, View::Sealed(_)) {
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
    }
    let (alive, mine) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let (asks, asked) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let Some(first) = sys::fork()? else {
        drop((mine, asks));
        let first = First { job: &job, root, alive, asked: Some(asked) };
        return Ok(first.run());
    };
    drop((alive, asked));
    if let View::Sealed(sealed) = &job.view
        && root
    {
        map_users(&proc, first, sealed.surroundings.user, &asks, &mine)?;
    }
    loop {
        match rustix::process::waitpid(Some(first), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
                return Ok(ExitCode::from(code.unwrap_or(FAILED)));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until process 1 is in its user namespace, and says there who is who: only root may name
/// another user than itself.
fn map_users(
    proc: &fs::File,
    first: Pid,
    user: u32,
    asks: &OwnedFd,
    answer: &OwnedFd,
) -> Result<(), Fault> {
    let mut byte = [0];
    if rustix::io::read(asks, &mut byte)? == 0 {
        // It has failed, and has reported why.
        return Ok(());
    }
    for (name, text) in
        [("uid_map", format!("{user} {NOBODY} 1")), ("gid_map", format!("{user} {NOBODY} 1"))]
    {
        let path = format!("{}/{name}", first.as_raw_nonzero());
        let file = openat(proc.file(), path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes())
            .map_err(|e| fault("can't become an ordinary user", e))?;
    }
    rustix::io::write(answer, &[1])?;
    Ok(())
}

/// Process 1 of a job.
struct First<'a> {
    job: &'a Job,
    root: bool,
    /// Ends when the supervisor ends; before that, it says that the users are known.
    alive: OwnedFd,
    /// Asks the supervisor to say who is who.
    asked: Option<OwnedFd>,
}

impl First<'_> {
    fn run(mut self) -> ExitCode {
        let code = |result: io::Result<()>| match result {
            Ok(()) => ExitCode::from(REPORTED),
            Err(_) => ExitCode::from(FAILED),
        };
        match self.start() {
            Ok(ended) => {
                let whole = ended == Ended::Code(0);
                code(report(&ended).and_then(|()| match &self.job.view {
                    View::Sealed(sealed) if sealed.terminal => Ok(()),
                    View::Sealed(sealed) if whole => send::result(sealed).inspect_err(|e| {
                        let _ = writeln!(io::stderr(), "the result can't be read: {e}");
                    }),
                    View::Sealed(sealed) if sealed.limits.keep_failed => send::left(sealed),
                    _ => Ok(()),
                }))
            }
            Err(Fault { what, hint }) => {
                let hint = hint.map(str::to_owned);
                code(report(&Ended::NotStarted { what, hint }))
            }
        }
    }

    fn start(&mut self) -> Result<Ended, Fault> {
        self.end_with_supervisor()?;
        let (limits, mut command) = match &self.job.view {
            View::Sealed(sealed) => {
                self.seal(sealed)?;
                let mut command = self.command();
                command.env_clear().envs(&sealed.env);
                (Some(&sealed.limits), command)
            }
            View::Masked { mask, programs, directory } => {
                mounts::mask(mask, programs)?;
                sys::bring_up_loopback()?;
                // A trace from outside of a namespace loses the processes in it.
                confine::forbid_namespaces()?;
                self.end_with_supervisor()?;
                std::env::set_current_dir(directory)?;
                (None, self.command())
            }
        };
        let child = command
            .spawn()
            .map_err(|e| fault(format!("can't start {}", self.job.command[0]), e))?;
        let ended = watch::watch(Pid::from_child(&child), limits, Some(Path::new("/tmp")));
        watch::end_all();
        Ok(ended.unwrap_or_else(|e| Ended::Unwatched(e.to_string())))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.job.command[0]);
        // Standard output carries the outcome, and the job must not reach it.
        let errors = || {
            let errors = io::stderr().as_fd().try_clone_to_owned();
            errors.map_or_else(|_| Stdio::null(), Stdio::from)
        };
        let has_terminal = matches!(&self.job.view, View::Sealed(sealed) if sealed.terminal);
        command.args(&self.job.command[1..]).stdout(errors());
        command.stdin(if has_terminal { errors() } else { Stdio::null() });
        command
    }

    /// Changes to the view of a job that is not trusted, and gives up every privilege.
    fn seal(&mut self, sealed: &SealedView) -> Result<(), Fault> {
        let nobody = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::system::sethostname(sealed.surroundings.host.as_bytes())?;
        if let Some(processors) = sealed.surroundings.processors {
            use_processors(processors)?;
        }
        sys::bring_up_loopback()?;
        if sealed.gateway {
            offer_gateway()?;
        }
        // The job is another user than the one who makes its directories.
        rustix::process::umask(Mode::from_raw_mode(0o022));
        mounts::enter(sealed, self.root.then_some(nobody))?;
        rustix::process::setsid()?;
        if sealed.terminal {
            // So that the job can open it once more, as by /dev/stderr.
            if self.root {
                rustix::fs::fchown(io::stderr(), Some(nobody.0), Some(nobody.1))?;
            }
            rustix::process::ioctl_tiocsctty(io::stderr())
                .map_err(|e| fault("can't use the terminal", e))?;
        }
        if self.root {
            self.become_ordinary(sealed.surroundings.user)?;
        }
        let source = Path::new("/").join(&sealed.surroundings.place).join("source");
        std::env::set_current_dir(source.join(&sealed.directory))?;
        fence::close(sealed)?;
        sys::set_personality(sealed.surroundings.old_kernel, sealed.surroundings.fixed_addresses)?;
        confine::confine(&sealed.limits)?;
        // A change of credentials has cleared the signal.
        self.end_with_supervisor()?;
        // Nobody in the sandbox may look into this process, which holds the way to the caller.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        Ok(())
    }

    /// Root becomes a user who owns nothing, in a user namespace that owns nothing of the view.
    fn become_ordinary(&mut self, user: u32) -> Result<(), Fault> {
        sys::unshare(UnshareFlags::NEWUSER)
            .map_err(|e| fault("can't make a user namespace as root", e))?;
        let asked = self.asked.take();
        if let Some(asked) = &asked {
            rustix::io::write(asked, &[1])?;
        }
        let mut byte = [0];
        if rustix::io::read(&self.alive, &mut byte)? == 0 {
            return Err(io::Error::other("the supervisor has ended").into());
        }
        rustix::thread::set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
        Ok(())
    }

    /// Makes the kernel end this process, and with it the job, when the supervisor ends.
    fn end_with_supervisor(&self) -> Result<(), Fault> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before this.
        let mut fds = [PollFd::new(&self.alive, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut fds, Some(&now))? > 0 && fds[0].revents().contains(PollFlags::HUP) {
            return Err(io::Error::other("the supervisor has ended").into());
        }
        Ok(())
    }
}

/// Leaves the job some of the processors that this process may use.
fn use_processors(most: usize) -> Result<(), Fault> {
    let mut own = rustix::thread::sched_getaffinity(None)?;
    let usable = (0..rustix::thread::CpuSet::MAX_CPU).filter(|n| own.is_set(*n));
    let left_out: Vec<usize> = usable.skip(most.max(1)).collect();
    left_out.into_iter().for_each(|n| own.unset(n));
    rustix::thread::sched_setaffinity(None, &own)?;
    Ok(())
}

/// Listens at the address of the gateway, and hands the socket to the caller over standard input,
/// which is a socket, too. A socket stays in the network where it was made, so the caller serves
/// the job from outside. Source: unix(7), `SCM_RIGHTS`.
fn offer_gateway() -> Result<(), Fault> {
    let listener = TcpListener::bind(("127.0.0.1", GATEWAY))
        .map_err(|e| fault("can't listen for the job", e))?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let message = [io::IoSlice::new(&[1])];
    sendmsg(io::stdin(), &message, &mut ancillary, SendFlags::empty())
        .map_err(|e| fault("can't hand a socket to the caller", e))?;
    Ok(())
}

//! A namespace in which Nix evaluates what others wrote. Its evaluator reads files and starts programs as the code likes, so it sees little: the programs of the
//! machine, what it is shown, and a few directories of its own. It shares the network of the machine, from which flakes are fetched.
//!
//! `cotter` starts itself as `cotter __evaluation`, with the view and the command as arguments, and the environment of the command as its own. Two processes stand
//! between the caller and the command: a supervisor, which enters new namespaces and waits, and process 1, which mounts what is seen, gives up every privilege and
//! watches the command. When one of them ends, the kernel ends those below it. Sources: namespaces(7), `user_namespaces(7)`, `pivot_root(2)`, `proc_pid_mountinfo(5)`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use fs_err as fs;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, set_dumpable_behavior,
    set_parent_process_death_signal,
};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::job::{Ended, FAILED, Quota};
use super::mounts::{because, close, devices};
use super::{confine, sys, watch};

/// The first argument with which this program starts itself for that. The view and the command follow.
pub const EVALUATION: &str = "__evaluation";

/// The exit code of a command that was ended because of its memory.
pub const OUT_OF_MEMORY: u8 = 71;

/// The home of the command: an empty directory in memory.
pub const EVALUATION_HOME: &str = "/home/nix";

/// What a command sees beside the programs of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvaluationView {
    /// Files and directories that can be read, each at its own place.
    pub shown: Vec<PathBuf>,
    /// Directories that can be written, each at its own place.
    pub written: Vec<PathBuf>,
    /// The directory that is `/tmp`.
    pub scratch: PathBuf,
    /// The directory in which the command starts.
    pub directory: PathBuf,
    /// How much of the machine it may use. Its time is the business of the caller.
    pub limits: Quota,
    /// Whether it may talk to the daemon of Nix.
    pub daemon: bool,
}

/// The directory that the new root covers until it becomes the root.
const PLACE: &str = "/proc";

/// The parts of the machine that hold its programs. Each is a directory, or a link into another.
const PROGRAMS: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// The files of the machine by which names of servers are looked up and their certificates are checked,
/// and by which programs find their libraries. Private keys are in none of them.
const NETWORK: &[&str] = &[
    "resolv.conf",
    "hosts",
    "nsswitch.conf",
    "gai.conf",
    "services",
    "protocols",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/ca-trust/extracted",
    "ca-certificates/extracted",
    "static",
];

/// The bytes that a process may reserve beyond its memory.
const RESERVED: u64 = 1 << 30;

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Runs the command of the arguments, as the whole of `cotter __evaluation`. Without a command, it only
/// tries to make the namespace, and writes why it cannot to standard output.
pub fn enter_evaluation(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let view = args.next().unwrap_or_default();
    let command: Vec<OsString> = args.collect();
    supervise(&view, &command).unwrap_or_else(|e| {
        fail(&e, command.is_empty());
        ExitCode::from(FAILED)
    })
}

/// Tells why there is no namespace.
fn fail(e: &io::Error, is_tried: bool) {
    let _ = match is_tried {
        true => write!(io::stdout(), "{e}"),
        false => writeln!(io::stderr(), "the namespace for Nix can't be made: {e}"),
    };
}

fn supervise(view: &OsStr, command: &[OsString]) -> io::Result<ExitCode> {
    let parent = rustix::process::getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != parent || parent.is_none() {
        return Ok(ExitCode::from(FAILED));
    }
    // A directory that was left open would be a way out.
    sys::close_from(3)?;
    let view: EvaluationView = serde_json::from_slice(view.as_bytes())?;
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    sys::unshare(flags)
        .map_err(|e| io::Error::new(e.kind(), format!("it allows no namespaces: {e}")))?;
    fs::write("/proc/self/setgroups", "deny")?;
    let (user, group) = (user.as_raw(), group.as_raw());
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    // If the kernel runs out of memory, it ends the command and not its caller.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let (alive, mine) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let Some(first) = sys::fork()? else {
        drop(mine);
        let code = start(&view, command, &alive).unwrap_or_else(|e| {
            fail(&e, command.is_empty());
            FAILED
        });
        return Ok(ExitCode::from(code));
    };
    drop(alive);
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

/// The whole of process 1. Returns the exit code.
fn start(
    view: &EvaluationView,
    command: &[OsString],
    alive: &impl std::os::fd::AsFd,
) -> io::Result<u8> {
    end_with_supervisor(alive)?;
    show(view)?;
    rustix::process::setsid()?;
    rustix::system::sethostname(b"cotter")?;
    std::env::set_current_dir(&view.directory)?;
    // The sum is watched. A process of Nix reserves more than it uses.
    let reserved = Quota { memory: view.limits.memory.saturating_add(RESERVED), ..view.limits };
    confine::confine_evaluation(&reserved, view.daemon)?;
    // A change of credentials has cleared the signal.
    end_with_supervisor(alive)?;
    // Nobody in the namespace may look into this process.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let Some((program, args)) = command.split_first() else { return Ok(0) };
    let child = Command::new(program).args(args).spawn().map_err(|e| {
        io::Error::new(e.kind(), format!("can't start {}: {e}", Path::new(program).display()))
    })?;
    let limits = Quota { seconds: u64::MAX, ..view.limits };
    let ended = watch::watch(Pid::from_child(&child), Some(&limits), None);
    watch::end_all();
    Ok(match ended? {
        Ended::Code(code) => u8::try_from(code).unwrap_or(FAILED),
        Ended::Signal(signal) => u8::try_from(128 + signal).unwrap_or(FAILED),
        Ended::Memory(_) | Ended::MachineMemory => OUT_OF_MEMORY,
        Ended::Time(_)
        | Ended::Processes(_)
        | Ended::Output(_)
        | Ended::Unwatched(_)
        | Ended::NotStarted { .. } => FAILED,
    })
}

/// Makes the kernel end this process, and with it all in the namespace, when the supervisor ends.
fn end_with_supervisor(alive: &impl std::os::fd::AsFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut fds = [PollFd::new(alive, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&now))? > 0 && fds[0].revents().contains(PollFlags::HUP) {
        return Err(io::Error::other("the supervisor has ended"));
    }
    Ok(())
}

/// Makes the new root, and changes to it.
fn show(view: &EvaluationView) -> io::Result<()> {
    let mounted = mounted()?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(|e| because("keep mounts to itself", e))?;
    new(PLACE, "tmpfs", PLAIN, c"mode=755,size=4m,nr_inodes=4k")?;
    std::env::set_current_dir(PLACE)?;
    for name in PROGRAMS {
        let top = Path::new("/").join(name);
        match fs::read_link(&top) {
            Ok(target) => symlink(target, name)?,
            Err(_) if top.is_dir() => read_only(&top, Path::new(name), &mounted)?,
            Err(_) => {}
        }
    }
    for dir in ["dev", "proc", "tmp", "var", "etc", &EVALUATION_HOME[1..]] {
        fs::create_dir_all(dir)?;
    }
    devices()?;
    symlink("../tmp", "var/tmp")?;
    new(&EVALUATION_HOME[1..], "tmpfs", PLAIN, c"mode=700,size=16m,nr_inodes=1k")?;
    mount_bind_recursive(&view.scratch, "tmp")
        .map_err(|e| because(&format!("mount {}", view.scratch.display()), e))?;
    for name in NETWORK {
        // Links of the machine lead to places that are not shown.
        if let Ok(real) = Path::new("/etc").join(name).canonicalize() {
            read_only(&real, &Path::new("etc").join(name), &mounted)?;
        }
    }
    accounts()?;
    let shown = view.shown.iter().map(|path| (path, false));
    let mut parts: Vec<_> = shown.chain(view.written.iter().map(|path| (path, true))).collect();
    // What lies in another part comes behind it, and what can be written behind what cannot.
    parts.sort_by_key(|(path, written)| (path.components().count(), *written));
    for (path, written) in parts {
        let Ok(at) = path.strip_prefix("/") else { continue };
        if at.as_os_str().is_empty() {
            continue;
        }
        match written {
            true => {
                place_for(path, at)?;
                mount_bind_recursive(path, at)
                    .map_err(|e| because(&format!("mount {}", path.display()), e))?;
            }
            false => read_only(path, at, &mounted)?,
        }
    }
    // Read-only, because /proc/sys contains switches of the whole machine.
    new("proc", "proc", MountFlags::RDONLY | PLAIN | MountFlags::NOEXEC, c"")?;
    rustix::process::pivot_root(".", ".").map_err(|e| because("change the root", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| because("leave the old root", e))?;
    std::env::set_current_dir("/")?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | PLAIN, c"")
        .map_err(|e| because("close the root", e))
}

fn new(target: &str, kind: &str, flags: MountFlags, data: &std::ffi::CStr) -> io::Result<()> {
    mount(kind, target, kind, flags, data).map_err(|e| because(&format!("mount {target}"), e))
}

/// Shows a path, and all that is mounted below it, so that it can only be read.
fn read_only(path: &Path, at: &Path, mounted: &[PathBuf]) -> io::Result<()> {
    let failed = |e| because(&format!("mount {}", path.display()), e);
    place_for(path, at)?;
    mount_bind_recursive(path, at).map_err(failed)?;
    close(at, PLAIN).map_err(failed)?;
    let real = path.canonicalize()?;
    for below in mounted.iter().filter_map(|place| place.strip_prefix(&real).ok()) {
        if below.as_os_str().is_empty() {
            continue;
        }
        match close(at.join(below), PLAIN) {
            // Something else is mounted above it.
            Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(())
}

/// Makes the file or the directory over which a path is mounted.
fn place_for(path: &Path, at: &Path) -> io::Result<()> {
    if at.exists() {
        return Ok(());
    }
    if fs::metadata(path)?.is_dir() {
        return fs::create_dir_all(at);
    }
    if let Some(above) = at.parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(at, "")
}

/// Writes who the command is. No other account of the machine is told.
fn accounts() -> io::Result<()> {
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    fs::write("etc/passwd", format!("nix:x:{user}:{group}::{EVALUATION_HOME}:/bin/sh\n"))?;
    fs::write("etc/group", format!("nix:x:{group}:\n"))
}

/// Returns the places of all mounts.
fn mounted() -> io::Result<Vec<PathBuf>> {
    let text = fs::read("/proc/self/mountinfo")?;
    let places = text.split(|byte| *byte == b'\n').filter_map(|line| {
        line.split(|byte| *byte == b' ').nth(4).map(unescaped).map(OsString::from_vec)
    });
    Ok(places.map(PathBuf::from).collect())
}

/// Returns a path of the kernel's list: it writes a space, a tab, a line feed and a backslash by three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (vec![], text);
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &behind[3..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn places_of_mounts_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(br"/a\040b\134c"), br"/a b\c");
        assert_eq!(unescaped(br"/a\"), br"/a\");
        assert_eq!(unescaped(b"/proc"), b"/proc");
    }
}

//! Watches a job from its process 1: until its program ends, or until the job uses more than it
//! may. Memory is a sum over all processes, which no limit of a process knows; it is looked at a
//! few times a second, and between two looks, the limits of each process hold.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitOptions};

use super::job::{Ended, Quota};
use super::sys;

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// The job ends if less than this part of the machine's memory is available: what no sum counts,
/// such as files without a name, is in memory all the same.
const LAST_PART: u64 = 32;

/// Waits for the program of a job, which is a child of this process, and collects the processes
/// that others leave to process 1. `limits` are those of a job that is not trusted. `files` is where its
/// files are that are in memory, if it has such, and a network of its own.
///
/// # Errors
/// If the processes cannot be observed.
pub fn watch(program: Pid, limits: Option<&Quota>, files: Option<&Path>) -> io::Result<Ended> {
    let start = Instant::now();
    let handle = rustix::process::pidfd_open(program, PidfdFlags::empty())?;
    let timeout = Timespec::try_from(LOOK).map_err(io::Error::other)?;
    loop {
        let errors = io::stderr();
        // The second one is of no interest until nobody reads from it.
        let mut fds =
            [PollFd::new(&handle, PollFlags::IN), PollFd::new(&errors, PollFlags::empty())];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if let Some(ended) = collect(program)? {
            return Ok(ended);
        }
        let Some(limits) = limits else { continue };
        if fds[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return Ok(Ended::Output(limits.output));
        }
        if let Some(ended) = excess(limits, start.elapsed(), files)? {
            return Ok(ended);
        }
    }
}

/// Ends all processes of the job.
pub fn end_all() {
    sys::kill_others();
    while rustix::process::wait(WaitOptions::empty()).is_ok() {}
}

/// Collects the processes that have ended. Returns how the program ended, if it is among them.
fn collect(program: Pid) -> io::Result<Option<Ended>> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => {
                return Ok(Some(match status.terminating_signal() {
                    Some(signal) => Ended::Signal(signal),
                    None => Ended::Code(status.exit_status().unwrap_or(-1)),
                }));
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
}

fn excess(limits: &Quota, elapsed: Duration, files: Option<&Path>) -> io::Result<Option<Ended>> {
    if elapsed.as_secs() >= limits.seconds {
        return Ok(Some(Ended::Time(limits.seconds)));
    }
    if uses_more_than(limits.memory, files)? {
        return Ok(Some(Ended::Memory(limits.memory)));
    }
    // At the limit, the kernel makes no further ones, and what happens then differs between programs.
    if tasks()? + SPARE >= limits.processes {
        return Ok(Some(Ended::Processes(limits.processes)));
    }
    let (total, available) = machine()?;
    Ok((available < total / LAST_PART).then_some(Ended::MachineMemory))
}

/// The number of processes below the limit with which a job counts as being at it: some may end while
/// they are counted.
const SPARE: u64 = 4;

/// Returns the number of processes and threads of the job.
fn tasks() -> io::Result<u64> {
    let mut out = 0;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.bytes().all(|b| b.is_ascii_digit()) {
            // The process may have ended. Its directory of threads has two further links.
            let meta = fs::metadata(path.join("task"));
            out += meta.map_or(0, |meta| meta.nlink().saturating_sub(2).max(1));
        }
    }
    Ok(out)
}

/// What the buffers of a Unix socket may hold, in bytes: twice the greatest `SO_SNDBUF` of a kernel as
/// it comes. Source: socket(7), `wmem_max`.
const SOCKET: u64 = 2 * 212_992;

/// Whether the job uses more memory than a limit in bytes: the private pages of its processes, the
/// pages that they share, its files, and what may be in the buffers of its sockets.
fn uses_more_than(limit: u64, files: Option<&Path>) -> io::Result<bool> {
    let page = rustix::param::page_size() as u64;
    let (mut private, mut shared) = (0, vec![]);
    let files = match files {
        Some(files) => {
            private += socket_memory();
            let files = rustix::fs::statvfs(files)?;
            (files.f_blocks - files.f_bfree) * files.f_frsize
        }
        None => 0,
    };
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        // The process may have ended.
        let Ok(text) = fs::read_to_string(path.join("statm")) else { continue };
        let mut fields = text.split(' ').skip(1).map(|n| n.parse::<u64>().unwrap_or(0) * page);
        let (resident, common) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
        private += resident.saturating_sub(common);
        shared.push((path, common));
    }
    let most: u64 = shared.iter().map(|(_, common)| common).sum();
    if private + files + most <= limit {
        return Ok(false);
    }
    // Pages that several processes map count several times in that sum, and so do files that are
    // mapped. What each process has a part in takes longer to find. A process that does not let
    // others look counts in full.
    let parts = shared.iter().map(|(path, common)| shared_memory(path).unwrap_or(*common));
    Ok(private + files.max(parts.sum()) > limit)
}

/// Returns the share of a process in the memory that it shares with others and that is no file of a
/// disk, in bytes. Source: proc(5), `smaps_rollup`.
fn shared_memory(process: &Path) -> Option<u64> {
    let text = fs::read_to_string(process.join("smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Shmem:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Returns what may be in the buffers of the sockets of this network namespace, in bytes. No limit of
/// a process counts it. Source: proc(5), `/proc/net/unix` and `/proc/net/tcp`.
fn socket_memory() -> u64 {
    let lines = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/self/net").join(name)).unwrap_or_default();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    // The kernel tells of no Unix socket what it holds.
    let of_unix = lines("unix").len() as u64 * SOCKET;
    let queues = ["tcp", "tcp6", "udp", "udp6"].map(lines);
    of_unix + queues.iter().flatten().map(|line| queued(line)).sum::<u64>()
}

/// Returns the bytes in the two queues of a socket of IP, which a line of the kernel's list describes.
fn queued(line: &str) -> u64 {
    let queues = line.split_whitespace().nth(4).and_then(|queues| queues.split_once(':'));
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    queues.map_or(0, |(sent, received)| number(sent) + number(received))
}

/// Returns the memory of the machine and what is available of it, in bytes.
fn machine() -> io::Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Ok((of("MemTotal:").unwrap_or(0) << 10, of("MemAvailable:").unwrap_or(u64::MAX >> 10) << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_of_a_socket_are_read() {
        let line = "   0: 0100007F:8DBD 00000000:0000 0A 00000010:0000ff00 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0";
        assert_eq!(queued(line), 0x10 + 0xff00);
        assert_eq!(queued("  sl  local_address"), 0);
    }

    #[test]
    fn sockets_count() {
        let pairs: Vec<_> =
            (0..50).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).collect();
        assert!(socket_memory() >= 2 * pairs.len() as u64 * SOCKET);
    }
}

//! The system calls that no library offers without `unsafe`.
#![allow(unsafe_code)]

use std::io;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// The operation of `keyctl(2)` that joins a session keyring.
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Starts a copy of this process. Returns its number, or `None` in the copy.
///
/// # Errors
/// If there are too many processes, or too little memory.
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the supervisor has a single thread, so no lock is held by a thread that the copy
    // does not have.
    let pid = unsafe { libc::fork() };
    checked(pid.into())?;
    Ok(Pid::from_raw(pid))
}

/// Leaves namespaces for new ones.
///
/// # Errors
/// If the machine does not allow it.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the function is unsafe because of the flag for file descriptors, which the caller
    // does not use.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Joins a new and empty session keyring. A kernel without keyrings has nothing to leave.
///
/// # Errors
/// If the quota of keys is used up.
pub fn leave_keyring() -> io::Result<()> {
    let name = std::ptr::null::<libc::c_char>();
    // SAFETY: the kernel reads no memory if the name is null.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) };
    match checked(result) {
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        other => other.map(drop),
    }
}

/// Closes all file descriptors from `first` on.
///
/// # Errors
/// If neither `close_range(2)` nor the limit of descriptors is known.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the callers own none of these descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    match checked(result) {
        // Before Linux 5.9.
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            let last = limit.current.unwrap_or(1 << 20).min(1 << 20);
            for fd in first..u32::try_from(last).unwrap_or(u32::MAX) {
                // SAFETY: as above.
                unsafe { libc::close(fd.cast_signed()) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Changes what the programs of this process see of the kernel's version, and of the addresses of
/// their memory. Source: personality(2).
///
/// # Errors
/// If the kernel refuses it.
pub fn set_personality(old_kernel: bool, fixed_addresses: bool) -> io::Result<()> {
    let mut wanted = 0;
    for (is_wanted, flag) in
        [(old_kernel, libc::UNAME26), (fixed_addresses, libc::ADDR_NO_RANDOMIZE)]
    {
        if is_wanted {
            wanted |= flag;
        }
    }
    if wanted == 0 {
        return Ok(());
    }
    // SAFETY: no memory is involved.
    checked(unsafe { libc::personality(libc::c_ulong::from(wanted.cast_unsigned())) }.into())
        .map(drop)
}

/// Kills every other process of this process namespace.
pub fn kill_others() {
    // SAFETY: no memory is involved. Process 1 is not among those that -1 means.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Brings up the loopback interface of a new network namespace: many test suites serve to
/// themselves.
///
/// # Errors
/// If the interface cannot be changed.
pub fn bring_up_loopback() -> io::Result<()> {
    // SAFETY: a request is plain data, for which zeros are valid; the socket is closed below.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        checked(socket.into())?;
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request);
        let out = checked(result.into());
        libc::close(socket);
        out.map(drop)
    }
}

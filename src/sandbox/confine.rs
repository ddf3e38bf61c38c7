//! Gives up what hostile code must not have: capabilities, keys, resources and system calls.

use std::collections::BTreeMap;
use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::job::Quota;
use super::sys;

/// The system calls that are refused. They reach the kernel's own machinery or other processes, and
/// no build needs them.
const REFUSED: &[libc::c_long] = &[
    // Keys of the caller.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Parts of the kernel with a large surface.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The machine as a whole.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Pages of other processes, and calls that nobody uses any more.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// The first of the system calls of the ABI x32, which a kernel may offer beside those of x86-64 and
/// under the same architecture (`__X32_SYSCALL_BIT` of the kernel's
/// `arch/x86/include/uapi/asm/unistd.h`). They would pass by a list of numbers.
const X32: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// The flags of `clone(2)` and `unshare(2)` that make namespaces.
const NEW_NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
/// Of `unshare(2)` only, because `clone(2)` uses the bit for a signal.
const NEW_TIME: i32 = 0x80;

/// Gives up everything. Process 1 of a job calls this before it starts the job.
///
/// # Errors
/// If the kernel refuses one of the steps.
pub fn confine(limits: &Quota) -> io::Result<()> {
    give_up(limits, &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6])
}

/// Gives up everything but the network of the machine. A socket of Unix, which could reach a desktop
/// or an agent by a name that is no file, is only allowed to ask the daemon of Nix.
///
/// # Errors
/// Those of [`confine`].
pub fn confine_evaluation(limits: &Quota, daemon: bool) -> io::Result<()> {
    match daemon {
        true => confine(limits),
        false => give_up(limits, &[libc::AF_INET, libc::AF_INET6]),
    }
}

/// Gives up everything but sockets of some families.
fn give_up(limits: &Quota, families: &[i32]) -> io::Result<()> {
    sys::leave_keyring()?;
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel has no further capability.
            Err(rustix::io::Errno::INVAL) => break,
            Err(e) => return Err(e.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)?;
    limit(limits)?;
    for filter in filters(families).map_err(io::Error::other)? {
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Sets the limits that the kernel enforces for each process. The sums over all processes are
/// watched by [`super::watch`].
fn limit(limits: &Quota) -> io::Result<()> {
    let fixed = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    let files = rustix::process::getrlimit(Resource::Nofile);
    let most = files.maximum.unwrap_or(65_536).min(65_536);
    for (resource, value) in [
        (Resource::Nproc, fixed(limits.processes)),
        (Resource::Data, fixed(limits.memory)),
        (Resource::Fsize, fixed(limits.space)),
        (Resource::Core, fixed(0)),
        (Resource::Memlock, fixed(64 << 10)),
        (Resource::Sigpending, fixed(4096)),
        (Resource::Msgqueue, fixed(1 << 20)),
        (Resource::Rtprio, fixed(0)),
        (Resource::Nofile, Rlimit { current: Some(most.min(1024)), maximum: Some(most) }),
    ] {
        // A limit of the caller that is lower stays.
        let old = rustix::process::getrlimit(resource);
        let lower = |new: Option<u64>, old: Option<u64>| match (new, old) {
            (Some(new), Some(old)) => Some(new.min(old)),
            (new, old) => new.or(old),
        };
        let new = Rlimit {
            current: lower(value.current, old.maximum),
            maximum: lower(value.maximum, old.maximum),
        };
        setrlimit(resource, new)?;
    }
    Ok(())
}

/// Forbids new namespaces, and with them sandboxes within this one.
///
/// # Errors
/// If the kernel refuses the filter.
pub fn forbid_namespaces() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let made = new_namespaces().and_then(|calls| {
        Ok([filter(calls, libc::EPERM)?, filter(calls_of(&[libc::SYS_clone3]), libc::ENOSYS)?])
    });
    for filter in made.map_err(io::Error::other)? {
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    }
    Ok(())
}

/// System calls, each with the rules of which one must match. Without rules, every call matches.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

fn calls_of(numbers: &[libc::c_long]) -> Calls {
    numbers.iter().map(|call| (*call, vec![])).collect()
}

/// Returns a filter that lets some system calls fail with an error.
fn filter(calls: Calls, error: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let refused = SeccompAction::Errno(error.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(calls, SeccompAction::Allow, refused, architecture)?.try_into()
}

/// Returns a condition for an argument of a system call.
fn argument(
    number: u8,
    test: SeccompCmpOp,
    value: i32,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, test, value)
}

/// Returns the calls that make namespaces.
fn new_namespaces() -> Result<Calls, seccompiler::BackendError> {
    let any_of = |flags: i32| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        (0..32)
            .map(|bit| 1_i32 << bit)
            .filter(|bit| flags & bit != 0)
            .map(|bit| {
                let test = SeccompCmpOp::MaskedEq(u64::from(bit.cast_unsigned()));
                SeccompRule::new(vec![argument(0, test, bit)?])
            })
            .collect()
    };
    Ok(BTreeMap::from([
        (libc::SYS_clone, any_of(NEW_NAMESPACES)?),
        (libc::SYS_unshare, any_of(NEW_NAMESPACES | NEW_TIME)?),
    ]))
}

/// Returns the filters for hostile code, which may have sockets of some families.
fn filters(families: &[i32]) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut refused = calls_of(REFUSED);
    refused.extend(new_namespaces()?);
    // The query of the personality is allowed, and so are the two that everybody has anyway.
    let other = |value| argument(0, SeccompCmpOp::Ne, value);
    refused.insert(
        libc::SYS_personality,
        vec![SeccompRule::new(vec![other(-1)?, other(0)?, other(libc::ADDR_NO_RANDOMIZE)?])?],
    );
    // Typing into a terminal, should the job ever get one.
    let into_terminal = |request: libc::c_ulong| {
        let test = SeccompCmpOp::Eq;
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, test, request)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    refused.insert(
        libc::SYS_ioctl,
        vec![into_terminal(libc::TIOCSTI)?, into_terminal(libc::TIOCLINUX)?],
    );
    // Another process, such as the one that watches the job, could be starved. Libraries name a
    // thread of their own and go on if they may not.
    let others = |number: u8| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        Ok(vec![SeccompRule::new(vec![argument(number, SeccompCmpOp::Ne, 0)?])?])
    };
    for call in [
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
        libc::SYS_prlimit64,
    ] {
        refused.insert(call, others(0)?);
    }
    for (call, process) in [(libc::SYS_setpriority, libc::PRIO_PROCESS), (libc::SYS_ioprio_set, 1)]
    {
        let mut rules = others(1)?;
        let process = i32::try_from(process).unwrap_or_default();
        rules.push(SeccompRule::new(vec![argument(0, SeccompCmpOp::Ne, process)?])?);
        refused.insert(call, rules);
    }
    // Programs do without these calls, as on an older kernel. The arguments of the first are in
    // memory, where a filter cannot read them. The others make memory that belongs to no process
    // and to no file, so that no sum would count it.
    let unknown = calls_of(&[libc::SYS_clone3, libc::SYS_memfd_create, libc::SYS_memfd_secret]);
    // Sockets of other families reach the kernel, or the machine around a virtual one.
    let none_of = |families: &[i32]| {
        let conditions = families.iter().map(|family| other(*family));
        SeccompRule::new(conditions.collect::<Result<_, _>>()?)
    };
    let sockets = BTreeMap::from([
        (libc::SYS_socket, vec![none_of(families)?]),
        // A pair reaches nobody.
        (libc::SYS_socketpair, vec![none_of(&[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6])?]),
    ]);
    let mut out = vec![
        filter(refused, libc::EPERM)?,
        filter(unknown, libc::ENOSYS)?,
        filter(sockets, libc::EAFNOSUPPORT)?,
    ];
    out.extend(X32.map(none_from));
    Ok(out)
}

/// Returns a filter that refuses all system calls from a number on. Sources: bpf(2), and the
/// kernel's `Documentation/userspace-api/seccomp_filter.rst`.
fn none_from(first: u32) -> BpfProgram {
    let instruction = |code: u32, jf: u8, k: u32| sock_filter {
        code: u16::try_from(code).expect("the codes are small"),
        jt: 0,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        // The number of the call is the first field of what the filter sees.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, first),
        instruction(libc::BPF_RET | libc::BPF_K, 0, refuse),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

"""What hostile code tries from within a build. Each probe returns None if it was refused, and otherwise says what it got.

`seen()` returns the results by name. The test replaces the words between at signs: the port and the abstract socket on which it listens, and parts of paths of the machine.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import stat
import struct
import time

PORT, ABSTRACT, PATHS = "@PORT@", "@ABSTRACT@", "@PATHS@".split("|")
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
# The numbers of system calls: x86-64, and those of all newer architectures.
CALLS = {
    "ptrace": (101, 117), "syslog": (103, 116), "setgroups": (116, 159), "capset": (126, 91), "personality": (135, 92), "pivot_root": (155, 41),
    "chroot": (161, 51), "acct": (163, 89), "settimeofday": (164, 170), "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224),
    "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162), "init_module": (175, 105), "delete_module": (176, 106),
    "quotactl": (179, 60), "clock_settime": (227, 112), "mbind": (237, 235), "kexec_load": (246, 104), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "migrate_pages": (256, 238), "unshare": (272, 97), "move_pages": (279, 239), "perf_event_open": (298, 241), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "clock_adjtime": (305, 266), "setns": (308, 268), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "finit_module": (313, 273), "kexec_file_load": (320, 294), "bpf": (321, 280), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "pidfd_open": (434, 434), "clone3": (435, 435),
    "pidfd_getfd": (438, 438), "mount_setattr": (442, 442), "clone": (56, 220), "socket": (41, 198), "memfd_create": (319, 279), "memfd_secret": (447, 447),
}
PROBES = []


def probe(function):
    PROBES.append((function.__name__, function))
    return function


def call(name, *args, expect=(errno.EPERM,)):
    """Returns None if a system call is refused with one of the errors."""
    number = CALLS[name][0 if X86 else 1] if isinstance(name, str) else name
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    code = ctypes.get_errno()
    return None if result == -1 and code in expect else f"{name} returned {result}, errno {code}"


def refused(action, *args, expect=None, **named):
    """Returns None if an action raises OSError."""
    try:
        got = action(*args, **named)
    except OSError as e:
        return None if expect is None or e.errno in expect else f"errno {e.errno}"
    return f"it worked: {got!r}"[:200]


def in_child(action):
    """Runs an action in a child, and returns how the child ended."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(action() or 0)
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if hasattr(os, "waitstatus_to_exitcode") else os.waitpid(child, 0)[1]


def syscall_probe(title, name, *args, expect=(errno.EPERM,)):
    PROBES.append((title, lambda: call(name, *args, expect=expect)))


def action_probe(title, action, *args, **named):
    PROBES.append((title, lambda: refused(action, *args, **named)))


# Devices.
for device in ["full", "null", "urandom", "zero", "random"]:
    action_probe(f"chmod of /dev/{device}", os.chmod, f"/dev/{device}", 0o777)
    action_probe(f"times of /dev/{device}", os.utime, f"/dev/{device}", (1, 1))
action_probe("chown of /dev/null", os.chown, "/dev/null", os.getuid(), os.getgid())
action_probe("an attribute of /dev/null", os.setxattr, "/dev/null", "user.x", b"1")
action_probe("a hard link to /dev/null", os.link, "/dev/null", "/tmp/null")
action_probe("/dev/null is renamed", os.rename, "/dev/null", "/dev/other")
action_probe("a new file in /dev", open, "/dev/new", "w")
for title, kind, major, minor in [("a character device", stat.S_IFCHR, 1, 1), ("a block device", stat.S_IFBLK, 8, 0), ("the device of overlay's white-outs", stat.S_IFCHR, 0, 0)]:
    if (major, minor) != (0, 0):
        action_probe(title, os.mknod, f"/tmp/device-{minor}", kind | 0o600, os.makedev(major, minor))
for device in ["mem", "kmsg", "fuse", "kvm", "ptmx", "tty", "console", "loop-control", "vda", "sda", "net/tun", "vsock", "hwrng", "input"]:
    action_probe(f"/dev/{device} is opened", os.open, f"/dev/{device}", os.O_RDONLY)


# Users and privileges.
action_probe("becomes root", os.setresuid, 0, 0, 0)
action_probe("becomes another user", os.setresuid, 65534, 65534, 65534)
action_probe("joins root's group", os.setresgid, 0, 0, 0)
action_probe("sets its groups", os.setgroups, [0])


@probe
def has_a_capability():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file.read().splitlines())
    bad = {k: fields[k].strip() for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(fields[k], 16)}
    if fields["NoNewPrivs"].strip() != "1" or fields["Seccomp"].strip() != "2":
        bad["flags"] = fields["NoNewPrivs"] + fields["Seccomp"]
    return bad or None


@probe
def setuid_program_gains():
    program = "/tmp/setuid"
    with open("/cotter/python/bin/python3", "rb") as source, open(program, "wb") as file:
        file.write(source.read())
    os.chmod(program, 0o6755)
    return None if os.statvfs(program).f_flag & os.ST_NOSUID else "/tmp honours setuid"


@probe
def a_mount_honours_setuid_or_devices():
    bad = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            options = fields[5].split(",")
            if "nosuid" not in options or ("nodev" not in options and not fields[4].startswith("/dev/")):
                bad.append(fields[4])
    return bad or None


@probe
def a_mount_can_be_written():
    with open("/proc/self/mountinfo") as file:
        writable = [fields[4] for fields in map(str.split, file) if "ro" not in fields[5].split(",")]
    return None if sorted(writable) == ["/build", "/dev/shm", "/tmp"] else writable


@probe
def mountinfo_names_the_machine():
    text = "".join(open(f"/proc/self/{name}").read() for name in ("mountinfo", "mounts", "mountstats"))
    return [p for p in PATHS if p and p in text] or None


@probe
def links_of_proc_name_the_machine():
    bad = []
    for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
        for name in ["exe", "cwd", "root"]:
            try:
                target = os.readlink(f"/proc/{pid}/{name}")
            except OSError:
                continue
            bad += [target for p in PATHS if p and p in target]
    return bad or None


# Keys.
syscall_probe("the session keyring", "keyctl", 0, -3, 0)
syscall_probe("the user keyring", "keyctl", 0, -4, 1)
syscall_probe("joins a keyring", "keyctl", 1, 0)
syscall_probe("searches a key", "keyctl", 10, -4, b"user", b"cotter-probe", 0)
syscall_probe("adds a key", "add_key", b"user", b"x", b"y", 1, -3)
syscall_probe("requests a key", "request_key", b"user", b"cotter-probe", 0, 0)


@probe
def proc_keys_lists_keys_of_the_caller():
    try:
        with open("/proc/keys") as file:
            return [line for line in file if "cotter-probe" in line] or None
    except OSError:
        return None


# The kernel's machinery.
for title, name, args in [
    ("bpf", "bpf", (0, 0, 0)), ("io_uring", "io_uring_setup", (1, 0)), ("perf", "perf_event_open", (0, 0, -1, -1, 0)), ("userfaultfd", "userfaultfd", (0,)),
    ("fanotify", "fanotify_init", (0, 0)), ("quotactl", "quotactl", (0, 0, 0, 0)), ("syslog", "syslog", (3, 0, 0)), ("acct", "acct", (0,)),
    ("mounts a file system", "mount", (b"none", b"/tmp", b"tmpfs", 0, 0)), ("remounts the root", "mount", (b"none", b"/", 0, 0x1020, 0)),
    ("binds over a tree", "mount", (b"/tmp", b"/cotter", 0, 4096, 0)), ("unmounts /proc", "umount2", (b"/proc", 2)), ("pivot_root", "pivot_root", (b"/tmp", b"/tmp")),
    ("chroot", "chroot", (b"/tmp",)), ("a new user namespace", "unshare", (0x10000000,)), ("a new mount namespace", "unshare", (0x20000,)),
    ("a new network namespace", "unshare", (0x40000000,)), ("a new time namespace", "unshare", (0x80,)), ("enters a namespace", "setns", (0, 0)),
    ("clones a tree of mounts", "open_tree", (-100, b"/", 1)), ("opens a file system", "fsopen", (b"tmpfs", 0)), ("moves a mount", "move_mount", (-1, b"", -1, b"", 0)),
    ("changes a mount's attributes", "mount_setattr", (-100, b"/", 0, 0, 0)), ("a handle of a file", "name_to_handle_at", (-100, b"/", 0, 0, 0)),
    ("opens by a handle", "open_by_handle_at", (-100, 0, 0)), ("kexec", "kexec_load", (0, 0, 0, 0)), ("kexec of a file", "kexec_file_load", (0, 0, 0, 0, 0)),
    ("loads a module", "init_module", (0, 0, 0)), ("loads a module from a file", "finit_module", (0, 0, 0)), ("removes a module", "delete_module", (b"x", 0)),
    ("reboots", "reboot", (0, 0, 0, 0)), ("sets the time", "settimeofday", (0, 0)), ("sets a clock", "clock_settime", (0, 0)), ("adjusts a clock", "clock_adjtime", (0, 0)),
    ("sets the host's name", "sethostname", (b"x", 1)), ("sets the domain's name", "setdomainname", (b"x", 1)), ("swaps", "swapon", (b"/tmp/x", 0)),
    ("makes all memory executable", "personality", (0x0400000,)), ("traces itself", "ptrace", (0, 0, 0, 0)), ("traces process 1", "ptrace", (16, 1, 0, 0)),
    ("reads the memory of process 1", "process_vm_readv", (1, 0, 0, 0, 0, 0)), ("writes the memory of process 1", "process_vm_writev", (1, 0, 0, 0, 0, 0)),
    ("compares itself with process 1", "kcmp", (1, 1, 0, 0, 0)), ("moves pages", "move_pages", (1, 0, 0, 0, 0, 0)), ("migrates pages", "migrate_pages", (1, 0, 0, 0)),
    ("a child in a new user namespace", "clone", (0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)), ("a child in a new process namespace", "clone", (0x20000000 | signal.SIGCHLD, 0, 0, 0, 0)),
]:
    syscall_probe(title, name, *args)
syscall_probe("clone3, whose flags no filter sees", "clone3", 0, 0, expect=(errno.ENOSYS,))
syscall_probe("takes a file of process 1", "pidfd_getfd", 0, 0, 0)


@probe
def a_call_of_x32_passes():
    return call(0x40000000 | 39, expect=(errno.ENOSYS,)) if X86 else None


@probe
def a_call_of_i386_passes():
    if not X86:
        return None
    import mmap
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # mov eax, 20 (getpid); int 0x80; ret
    memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    ended = in_child(lambda: 1 if function() > 0 else 0)
    return None if ended != 1 else "getpid of i386 returned a number"


# The network, and sockets of other families.
for title, family, kind in [("netlink", 16, socket.SOCK_RAW), ("the kernel's cryptography", 38, socket.SOCK_SEQPACKET), ("packets", 17, socket.SOCK_RAW), ("vsock", 40, socket.SOCK_STREAM),
                            ("bluetooth", 31, socket.SOCK_RAW), ("CAN", 29, socket.SOCK_RAW), ("XDP", 44, socket.SOCK_RAW), ("key management", 15, socket.SOCK_RAW), ("TIPC", 30, socket.SOCK_STREAM)]:
    syscall_probe(f"a socket of {title}", "socket", family, int(kind), 0, expect=(errno.EAFNOSUPPORT,))
action_probe("a raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
action_probe("the machine's loopback", socket.create_connection, ("127.0.0.1", int(PORT) if PORT.isdigit() else 1), 2)
action_probe("an address outside", socket.create_connection, ("192.0.2.1", 80), 2)


@probe
def an_abstract_socket_of_the_machine():
    with socket.socket(socket.AF_UNIX) as s:
        return refused(s.connect, "\0" + ABSTRACT)


@probe
def network_interfaces():
    with open("/proc/net/dev") as file:
        found = [line.split(":")[0].strip() for line in file if ":" in line]
    return None if found == ["lo"] else found


# Other processes.
for name in ["mem", "environ", "maps", "fd", "root", "cwd", "io", "auxv", "syscall", "stack", "pagemap"]:
    def read(name=name):
        path = f"/proc/1/{name}"
        return os.listdir(path) if name in ("fd", "root", "cwd") else open(path, "rb").read(1)
    action_probe(f"/proc/1/{name}", read)


@probe
def processes_of_the_machine():
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
    return None if set(pids) <= {1, os.getpid()} else pids


@probe
def process_1_can_be_killed():
    os.kill(1, signal.SIGTERM)
    os.kill(1, signal.SIGSTOP)
    os.kill(1, signal.SIGKILL)
    time.sleep(0.2)
    return None


# /proc.
for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/self/uid_map", "/proc/self/setgroups",
             "/proc/self/oom_score_adj", "/proc/sys/net/ipv4/ip_forward", "/proc/self/loginuid", "/proc/1/oom_score_adj", "/proc/self/timerslack_ns"]:
    action_probe(f"{path} is written", lambda path=path: os.close(os.open(path, os.O_WRONLY)))


@probe
def proc_names_a_control_group_of_the_machine():
    with open("/proc/self/cgroup") as file:
        return [line for line in file if line.strip().split(":")[2] not in ("/", "")] or None


# Files.
for path in ["/etc", "/home", "/root", "/sys", "/usr", "/var", "/run", "/lib", "/bin", "/nix", "/mnt", "/srv", "/opt", "/boot"]:
    action_probe(f"{path} exists", os.stat, path)
action_probe("a new file in the root", open, "/new", "w")
action_probe("a new file in a tree", open, "/cotter/python/new", "w")
action_probe("a file of a tree is written", open, "/cotter/python/bin/python3", "r+b")
action_probe("the mode of a tree's file", os.chmod, "/cotter/python/bin/python3", 0o777)
action_probe("the times of a tree", os.utime, "/cotter/python", (1, 1))
action_probe("a tree's file is removed", os.unlink, "/cotter/python/bin/python3")
action_probe("a tree's directory is renamed", os.rename, "/cotter/python", "/cotter/other")
action_probe("a hard link to a tree's file", os.link, "/cotter/python/bin/python3", "/build/source/python3", expect=(errno.EXDEV, errno.EROFS, errno.EPERM, errno.EACCES))


@probe
def open_descriptors():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            pass
    bad = [f for f in found if f[0] > 2]
    return bad or (None if ("/dev/null" in dict(found)[0]) else found)


@probe
def above_the_root():
    return None if os.stat("/..").st_ino == os.stat("/").st_ino and sorted(os.listdir("/../..")) == sorted(os.listdir("/")) else os.listdir("/..")


@probe
def a_terminal():
    import fcntl
    bad = [fd for fd in (0, 1, 2) if os.isatty(fd)]
    typed = refused(fcntl.ioctl, 0, 0x5412, b"x")
    return bad or typed


@probe
def environment_of_the_caller():
    known = {"PATH", "HOME", "TMPDIR", "LC_ALL", "TZ", "CFLAGS", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "PYTHONPATH", "LC_CTYPE"}
    # Set by the pinned interpreter itself.
    known |= {"CTGCV_PATH", "CTLPATH", "TERMINFO_DIRS", "TZDIR"}
    return sorted(set(os.environ) - known) or None


# Resources.
@probe
def six_hundred_processes():
    children = []
    try:
        for _ in range(600 + 32 * (os.cpu_count() or 1)):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError:
        return None
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


@probe
def more_disk_than_memory():
    block = b"\0" * (1 << 20)
    try:
        with open("/build/source/fill", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
            file.write(block)
    except OSError:
        return None
    finally:
        os.unlink("/build/source/fill")
    return "the file was made"


@probe
def more_memory_than_the_machine_has():
    import mmap
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return refused(mmap.mmap, -1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


syscall_probe("a file that nothing counts", "memfd_create", b"x", 0, expect=(errno.ENOSYS,))
syscall_probe("a secret file that nothing counts", "memfd_secret", 0, expect=(errno.ENOSYS,))


@probe
def limits_can_be_raised():
    bad = []
    for name in ["NPROC", "FSIZE", "CORE", "NOFILE", "DATA", "MEMLOCK"]:
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        if hard == resource.RLIM_INFINITY:
            bad.append(f"{name} has no limit")
            continue
        try:
            resource.setrlimit(which, (hard, hard + 1))
            bad.append(name)
        except (ValueError, OSError):
            pass
    return bad or None


action_probe("a real-time priority", os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
action_probe("a higher priority", os.setpriority, os.PRIO_PROCESS, 0, -10)


action_probe("the processors of process 1", os.sched_setaffinity, 1, {0})
action_probe("the scheduler of process 1", os.sched_setscheduler, 1, os.SCHED_BATCH, os.sched_param(0))
action_probe("the priority of process 1", os.setpriority, os.PRIO_PROCESS, 1, 19)
action_probe("the priority of its user", os.setpriority, os.PRIO_USER, 0, 19)
action_probe("the limits of process 1", resource.prlimit, 1, resource.RLIMIT_NOFILE, (0, 0))


@probe
def a_core_dump():
    return None if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else "allowed"


def seen():
    socket.setdefaulttimeout(2)
    results = []
    for name, function in PROBES:
        try:
            got = function()
        except Exception as e:
            got = f"the probe failed: {type(e).__name__}: {e}"
        results.append((name.replace("_", " "), None if got is None else str(got)))
    return results


if __name__ == "__main__":
    # From the command line: without the test, for trying.
    for name, got in seen():
        print("refused" if got is None else "OPEN   ", name, got or "")

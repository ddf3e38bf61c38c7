"""Builds a wheel out of a source distribution where nothing of the machine exists: `build_sdist.py JOB`, run by the pinned interpreter.

JOB is a JSON object: `trees` (directories by their names below /cotter), `work` (a directory that appears as /build and holds `source/` and `wheel/`), `env` and `path`
(names of trees whose programs are found). Sources: namespaces(7), pivot_root(2), PEP 517.
"""

import ctypes
import ctypes.util
import json
import os
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        code = ctypes.get_errno()
        sys.exit(f"{what}: {os.strerror(code)}")


def mount(source, target, kind=None, flags=0, data=None):
    words = [w.encode() if w is not None else None for w in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None), f"can't mount {target}")


def bind(source, target, read_only=True):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        open(target, "w").close()
    mount(source, target, flags=MS_BIND | MS_REC)
    if read_only and os.path.isdir(source):
        # In a user namespace, the flags that the mount already has must be kept.
        inherited = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount(None, target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | inherited)


def enter(job):
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    check(libc.unshare(flags), "builds need user namespaces, and this machine allows none")
    for name, text in [("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")]:
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    # The first child becomes process 1 of the new namespace.
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    root = job["work"] + "/root"
    os.makedirs(root)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID, "mode=755")
    for name, path in job["trees"].items():
        bind(path, f"{root}/cotter/{name}")
    os.makedirs(f"{root}/dev")
    for device in ["null", "zero", "full", "random", "urandom"]:
        bind(f"/dev/{device}", f"{root}/dev/{device}")
    for part in ["proc", "tmp", "build/source", "build/wheel"]:
        os.makedirs(f"{root}/{part}")
    # Read-only, because root is still root to the kernel, and /proc/sys contains switches of the whole machine.
    mount("proc", f"{root}/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for part in ["source", "wheel"]:
        bind(f"{job['work']}/{part}", f"{root}/build/{part}", read_only=False)
    os.chdir(root)
    check(libc.pivot_root(b".", b"."), "can't change the root")
    check(libc.umount2(b".", MNT_DETACH), "can't leave the old root")
    os.chdir("/build/source")
    os.umask(0o022)
    # A directory that was left open would be a way out of the sandbox.
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 20))
    # Start the interpreter again, so that it keeps nothing from outside of the sandbox.
    bins = [f"/cotter/{name}/bin" for name in job["path"]]
    env = {"PATH": ":".join(bins), "HOME": "/tmp", "TMPDIR": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC", **job["env"]}
    os.execve("/cotter/python/bin/python3", ["python3", "-c", job["program"], "build"], env)


def build():
    import importlib

    try:
        import tomllib
    except ImportError:
        from pip._vendor import tomli as tomllib
    system = {}
    if os.path.exists("pyproject.toml"):
        with open("pyproject.toml", "rb") as file:
            system = tomllib.load(file).get("build-system", {})
    module, _, attribute = system.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    sys.path[:0] = [os.path.abspath(path) for path in system.get("backend-path", [])]
    sys.argv = ["setup.py"]
    backend = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        backend = getattr(backend, name)
    wanted = getattr(backend, "get_requires_for_build_wheel", lambda *_: [])(None)
    if wanted:
        print("its build asks for:", ", ".join(wanted), file=sys.stderr)
    print(backend.build_wheel("/build/wheel"))


if sys.argv[1] == "build":
    build()
else:
    with open(sys.argv[1]) as file:
        job = json.load(file)
    with open(sys.argv[0]) as file:
        job["program"] = file.read()
    enter(job)

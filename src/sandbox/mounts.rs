//! What a job sees: a new root in memory, trees and a few devices that cannot be written, and one
//! place in memory to work in.

use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::{Gid, Uid};

use super::job::{SealedView, SystemView};

/// The directory that the new root covers until it becomes the root. It exists wherever a process
/// namespace can be used, and no tree is below it.
const PLACE: &str = "/proc";

/// The devices that a job sees.
pub(super) const DEVICES: &[&str] = &["full", "null", "random", "urandom", "zero"];

/// Returns the places that a job may write to, in its root and in the file system in memory that holds
/// them.
pub(super) fn writable(sealed: &SealedView) -> [(&str, &str, u32); 3] {
    [
        (sealed.surroundings.place.as_str(), "build", 0o755),
        ("tmp", "tmp", 0o1777),
        ("dev/shm", "shm", 0o1777),
    ]
}

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Makes the new root, and changes to it. The files that the job may write belong to `owner`, if
/// one is given.
///
/// # Errors
/// If something cannot be mounted. The message says what.
pub fn enter(sealed: &SealedView, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(|e| because("keep mounts to itself", e))?;
    let new = |target: &str, kind: &str, flags: MountFlags, data: &str| {
        let data = std::ffi::CString::new(data)?;
        mount(kind, target, kind, flags, data.as_c_str())
            .map_err(|e| because(&format!("mount {target}"), e))
    };
    new(PLACE, "tmpfs", PLAIN, "mode=755,size=4m,nr_inodes=4k")?;
    std::env::set_current_dir(PLACE)?;
    for dir in ["trees", "nothing", "cotter", "dev", "proc", "work", "source"] {
        fs::create_dir(dir)?;
    }
    for (number, (name, path)) in sealed.trees.iter().enumerate() {
        let beside = format!("trees/{number}");
        stack(std::slice::from_ref(path), &beside, &format!("cotter/{name}"))?;
    }
    devices()?;
    let size = format!("mode=755,size={},nr_inodes=1m", sealed.limits.space);
    new("work", "tmpfs", PLAIN, &size)?;
    system(&sealed.system)?;
    for (place, name, mode) in writable(sealed) {
        let inner = format!("work/{name}");
        fs::create_dir(&inner)?;
        fs::set_permissions(&inner, std::fs::Permissions::from_mode(mode))?;
        fs::create_dir_all(place)?;
    }
    for part in ["source", sealed.result.as_str()] {
        fs::create_dir(format!("work/build/{part}"))?;
    }
    stack(std::slice::from_ref(&sealed.source), "trees/source", "source")?;
    let reversed = sealed.surroundings.reversed;
    copy(Path::new("source"), Path::new("work/build/source"), owner, reversed)?;
    unmount("source", UnmountFlags::DETACH)?;
    fs::remove_dir("source")?;
    for (place, name, _) in writable(sealed) {
        let inner = format!("work/{name}");
        own(Path::new(&inner), owner)?;
        mount_bind(&inner, place)?;
    }
    let result = format!("work/build/{}", sealed.result);
    own(Path::new(&result), owner)?;
    if let Some(at) = &sealed.system.result {
        fs::create_dir(at)?;
        mount_bind(&result, at).map_err(|e| because(&format!("mount /{at}"), e))?;
    }
    unmount("work", UnmountFlags::DETACH)?;
    for dir in ["work", "trees", "nothing"] {
        fs::remove_dir_all(dir)?;
    }
    // Read-only, because /proc/sys contains switches of the whole machine.
    new("proc", "proc", MountFlags::RDONLY | PLAIN | MountFlags::NOEXEC, "")?;
    rustix::process::pivot_root(".", ".").map_err(|e| because("change the root", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| because("leave the old root", e))?;
    std::env::set_current_dir("/")?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | PLAIN, c"")
        .map_err(|e| because("close the root", e))
}

/// Mounts what stands beside the trees.
fn system(system: &SystemView) -> io::Result<()> {
    for (number, (at, paths)) in system.directories.iter().enumerate() {
        stack(paths, &format!("trees/system{number}"), at)?;
    }
    for (at, target) in &system.links {
        let at = Path::new(at);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, at)?;
    }
    Ok(())
}

/// Mounts directories on top of each other at `at`, so that they can only be read. `beside` is a place
/// for a moment.
///
/// They are the only layers that hold anything of an overlay file system: in contrast to a bind mount,
/// /proc/self/mountinfo does not show then where they are on the machine, and nothing of the machine's
/// own mount can be changed.
fn stack(paths: &[PathBuf], beside: &str, at: &str) -> io::Result<()> {
    let failed = |e| because(&format!("mount {at}"), e);
    fs::create_dir(beside)?;
    fs::create_dir_all(at)?;
    let layers: Vec<String> = (0..paths.len()).map(|n| format!("{beside}/{n}")).collect();
    for (path, layer) in paths.iter().zip(&layers) {
        fs::create_dir(layer)?;
        let failed = |e| because(&format!("mount {}", path.display()), e);
        mount_bind_recursive(path, layer).map_err(failed)?;
    }
    let data = std::ffi::CString::new(format!("lowerdir={}:nothing", layers.join(":")))?;
    let mounted = mount("overlay", at, "overlay", MountFlags::RDONLY | PLAIN, data.as_c_str());
    for layer in &layers {
        unmount(layer, UnmountFlags::DETACH).map_err(failed)?;
        fs::remove_dir(layer)?;
    }
    fs::remove_dir(beside)?;
    match (mounted, paths) {
        (Ok(()), _) => Ok(()),
        // A kernel before 5.11 does not allow it to everybody.
        (Err(_), [path]) => {
            mount_bind_recursive(path, at).map_err(failed)?;
            close(at, PLAIN).map_err(failed)
        }
        (Err(e), _) => Err(failed(e)),
    }
}

/// Makes the devices, and the links to the job's own streams. Only root may make a device, so each
/// is a mount of the machine's own that can neither be changed nor be executed.
pub(super) fn devices() -> io::Result<()> {
    for name in DEVICES {
        let at = format!("dev/{name}");
        fs::write(&at, "")?;
        let failed = |e| because(&format!("mount /dev/{name}"), e);
        mount_bind(format!("/dev/{name}"), &at).map_err(failed)?;
        close(&at, MountFlags::NOSUID | MountFlags::NOEXEC).map_err(failed)?;
    }
    for (link, to) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{to}"), format!("dev/{link}"))?;
    }
    Ok(())
}

/// Makes a bind mount read-only. In a user namespace, the flags that it has must be kept.
pub(super) fn close(at: impl AsRef<Path>, flags: MountFlags) -> rustix::io::Result<()> {
    let at = at.as_ref();
    let has = rustix::fs::statvfs(at)?.f_flag;
    let kept = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let kept = kept.into_iter().filter(|(flag, _)| has.contains(*flag)).map(|(_, flag)| flag);
    let all = kept.fold(flags | MountFlags::BIND | MountFlags::RDONLY, MountFlags::union);
    mount_remount(at, all, c"")
}

/// Copies a directory. All files get the same time, so that a build sees the same at any moment,
/// and no tool takes a generated file for one that is out of date.
fn copy(from: &Path, to: &Path, owner: Option<(Uid, Gid)>, reversed: bool) -> io::Result<()> {
    // A directory in memory lists the entry first that was made last.
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    if !reversed {
        entries.reverse();
    }
    for entry in entries {
        let (kind, at) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&at)?;
            copy(&entry.path(), &at, owner, reversed)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &at)?;
            own(&at, owner)?;
        } else {
            fs::copy(entry.path(), &at)?;
            own(&at, owner)?;
            set_time(&at)?;
        }
    }
    own(to, owner)?;
    fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    set_time(to)
}

fn set_time(path: &Path) -> io::Result<()> {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(super::job::EPOCH);
    let times = std::fs::FileTimes::new().set_accessed(time).set_modified(time);
    std::fs::File::open(path)?.set_times(times)
}

fn own(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(rustix::fs::CWD, path, Some(uid), Some(gid), flags)?;
    Ok(())
}

/// Masks programs of the machine: each becomes the file `mask`.
///
/// # Errors
/// If something cannot be mounted.
pub fn mask(mask: &Path, programs: &[PathBuf]) -> io::Result<()> {
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(|e| because("keep mounts to itself", e))?;
    for program in programs {
        let failed = |e| because(&format!("mask {}", program.display()), e);
        mount_bind(mask, program).map_err(failed)?;
        close(program, MountFlags::empty()).map_err(failed)?;
    }
    let flags = PLAIN | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, c"").map_err(|e| because("mount /proc", e))
}

pub(super) fn because(what: &str, e: rustix::io::Errno) -> io::Error {
    let e = io::Error::from(e);
    io::Error::new(e.kind(), format!("can't {what}: {e}"))
}

//! A namespace in which the objects of a store are at `/nix/store`: programs out of a closure of Nix run
//! there as they are, without root and without a directory `/nix` of the machine. Everything else is
//! as outside. Sources: `user_namespaces(7)`, `mount_namespaces(7)`, `pivot_root(2)`.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use fs_err as fs;
use rustix::fd::AsRawFd as _;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, unmount,
};
use rustix::thread::UnshareFlags;

use super::mounts::{because, close};
use super::sys;
use crate::error::{Error, ErrorKind, Result};

/// The first argument with which this program starts itself for that. The directory with the objects
/// and the command follow.
pub const NIX_STORE: &str = "__nix-store";

/// Directories that exist on most machines and that the new root can cover for a moment.
const PLACES: &[&str] = &["/mnt", "/srv", "/media", "/opt", "/tmp"];

/// Enters the namespace and becomes the command. Without a command, it only says whether that can be
/// done.
///
/// # Errors
/// If the machine does not allow it, or if the command cannot be started.
pub fn enter_nix_store(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let objects = PathBuf::from(args.next().unwrap_or_default());
    enter(&objects).map_err(|e| {
        Error::user("this machine shows no store at /nix/store").cause(&e).hint(
            "`cotter doctor` tells which ways there are; `--nix-store relocated` works everywhere",
        )
    })?;
    let Some(program) = args.next() else { return Ok(ExitCode::SUCCESS) };
    let e = Command::new(&program).args(args).exec();
    let shown = Path::new(&program).display();
    Err(Error::new(ErrorKind::CommandNotExecutable, format!("can't start {shown}")).cause(&e))
}

fn enter(objects: &Path) -> io::Result<()> {
    let here = std::env::current_dir()?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // Root needs no namespace of users, unless a container has taken the privilege from it.
    if !user.is_root() || sys::unshare(UnshareFlags::NEWNS).is_err() {
        sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUSER)
            .map_err(|e| io::Error::new(e.kind(), format!("it allows no namespaces: {e}")))?;
        fs::write("/proc/self/setgroups", "deny")?;
        let (user, group) = (user.as_raw(), group.as_raw());
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(|e| because("keep mounts to itself", e))?;
    let is_there = fs::symlink_metadata("/nix/store").is_ok_and(|meta| meta.is_dir());
    if is_there {
        show(objects, Path::new("/nix/store"))?;
    } else {
        new_root(objects)?;
    }
    std::env::set_current_dir(here)
}

/// Shows the objects at a place, where they can only be read.
fn show(objects: &Path, at: &Path) -> io::Result<()> {
    let failed = |e| because(&format!("mount {} at /nix/store", objects.display()), e);
    mount_bind_recursive(objects, at).map_err(failed)?;
    close(at, MountFlags::empty()).map_err(failed)
}

/// Makes a root like the present one, with the objects, and changes to it: only root may make a
/// directory in the present one.
fn new_root(objects: &Path) -> io::Result<()> {
    let place = PLACES.iter().map(Path::new).find(|place| {
        fs::symlink_metadata(place).is_ok_and(|meta| meta.is_dir()) && !objects.starts_with(place)
    });
    let place = place.ok_or_else(|| {
        io::Error::other(format!("expected one of the directories {}", PLACES.join(", ")))
    })?;
    let covered = fs::File::open(place)?;
    let kept = fs::File::open(objects)?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755,size=1m")
        .map_err(|e| because(&format!("mount {}", place.display()), e))?;
    mirror(Path::new("/"), place, "nix", Some((place, &covered)))?;
    let nix = place.join("nix");
    fs::create_dir(&nix)?;
    if Path::new("/nix").is_dir() {
        mirror(Path::new("/nix"), &nix, "store", None)?;
    }
    fs::create_dir(nix.join("store"))?;
    show(&by_descriptor(&kept), &nix.join("store"))?;
    std::env::set_current_dir(place)?;
    rustix::process::pivot_root(".", ".").map_err(|e| because("change the root", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| because("leave the old root", e))
}

/// Returns a path that leads to an open file, whatever covers it.
fn by_descriptor(file: &fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Makes each entry of a directory visible in another one, except `left_out`. The directory of
/// `covered` is taken as it was when it was opened.
fn mirror(
    from: &Path,
    to: &Path,
    left_out: &str,
    covered: Option<(&Path, &fs::File)>,
) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() == left_out {
            continue;
        }
        let (path, at) = (entry.path(), to.join(entry.file_name()));
        let failed = |e| because(&format!("mount {}", path.display()), e);
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &at)?;
        } else if kind.is_dir() {
            fs::create_dir(&at)?;
            match covered.filter(|(place, _)| *place == path) {
                Some((_, file)) => mount_bind(by_descriptor(file), &at).map_err(failed)?,
                None => mount_bind_recursive(&path, &at).map_err(failed)?,
            }
        } else {
            fs::write(&at, "")?;
            mount_bind(&path, &at).map_err(failed)?;
        }
    }
    Ok(())
}

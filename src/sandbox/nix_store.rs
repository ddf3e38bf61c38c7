//! A namespace in which the objects of a store are at `/nix/store`: programs out of a closure of Nix run
//! there as they are, without root and without a directory `/nix` of the machine. Everything else is
//! as outside. Sources: `user_namespaces(7)`, `mount_namespaces(7)`, `pivot_root(2)`, `open_tree(2)`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use fs_err as fs;
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_bind_recursive, mount_change, move_mount, open_tree, unmount,
};
use rustix::thread::UnshareFlags;

use super::mounts::{because, close};
use super::sys;
use crate::error::{Error, ErrorKind, Result};

/// The first argument with which this program starts itself for that. The directory with the objects
/// and the command follow.
pub const NIX_STORE: &str = "__nix-store";

/// The directory that the new root covers until it becomes the root. It exists wherever a namespace of
/// users can be used.
const PLACE: &str = "/proc";

/// Enters the namespace and becomes the command. Without a command, it only tries to, and writes why
/// it cannot to standard output.
///
/// # Errors
/// If the machine does not allow it, or if the command cannot be started.
pub fn enter_nix_store(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let objects = PathBuf::from(args.next().unwrap_or_default());
    let program = args.next();
    let entered = enter(&objects);
    let Some(program) = program else {
        return Ok(match entered {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                let _ = write!(io::stdout(), "{e}");
                ExitCode::FAILURE
            }
        });
    };
    entered.map_err(|e| {
        Error::user("this machine shows no store at /nix/store").cause(&e).hint(
            "`cotter doctor` tells which ways there are; `--nix-store relocated` works everywhere",
        )
    })?;
    let e = Command::new(&program).args(args).exec();
    let shown = Path::new(&program).display();
    Err(Error::new(ErrorKind::CommandNotExecutable, format!("can't start {shown}")).cause(&e))
}

#[expect(
    clippy::disallowed_methods,
    reason = "it comes back to its directory behind the new mounts"
)]
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
/// directory in the present one. Everything is taken before the new root covers anything.
fn new_root(objects: &Path) -> io::Result<()> {
    let mut parts = vec![];
    for dir in ["/", "/nix"] {
        if Path::new(dir).is_dir() {
            take(Path::new(dir), &mut parts)?;
        }
    }
    let objects = Part { at: "nix/store".into(), what: mounts_at(objects)? };
    mount("tmpfs", PLACE, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755,size=1m")
        .map_err(|e| because("mount the new root", e))?;
    std::env::set_current_dir(PLACE)?;
    fs::create_dir("nix")?;
    parts.iter().chain([&objects]).try_for_each(Part::put)?;
    close(&objects.at, MountFlags::empty()).map_err(|e| because("close /nix/store", e))?;
    rustix::process::pivot_root(".", ".").map_err(|e| because("change the root", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| because("leave the old root", e))
}

/// An entry of the new root.
struct Part {
    /// Its path below the root.
    at: PathBuf,
    what: Taken,
}

/// What is at the path.
enum Taken {
    Link(PathBuf),
    /// A file or a directory (the flag), with all mounts below it.
    Mounts(OwnedFd, bool),
}

/// Takes each entry of a directory, except where the objects will be.
fn take(dir: &Path, parts: &mut Vec<Part>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if ["/nix", "/nix/store"].map(Path::new).contains(&path.as_path()) {
            continue;
        }
        let what = match fs::symlink_metadata(&path)?.is_symlink() {
            true => Taken::Link(fs::read_link(&path)?),
            false => mounts_at(&path)?,
        };
        let at = path.strip_prefix("/").unwrap_or(&path).to_owned();
        parts.push(Part { at, what });
    }
    Ok(())
}

fn mounts_at(path: &Path) -> io::Result<Taken> {
    let is_dir = fs::metadata(path)?.is_dir();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let mounts =
        open_tree(CWD, path, flags).map_err(|e| because(&format!("take {}", path.display()), e))?;
    Ok(Taken::Mounts(mounts, is_dir))
}

impl Part {
    /// Puts the entry below the working directory.
    fn put(&self) -> io::Result<()> {
        match &self.what {
            Taken::Link(target) => return symlink(target, &self.at),
            Taken::Mounts(_, true) => fs::create_dir(&self.at)?,
            Taken::Mounts(_, false) => fs::write(&self.at, "")?,
        }
        let Taken::Mounts(mounts, _) = &self.what else { return Ok(()) };
        move_mount(mounts, "", CWD, &self.at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(|e| because(&format!("mount /{}", self.at.display()), e))
    }
}

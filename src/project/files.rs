//! Writes files into a project. A repository that was only cloned must not choose a place outside
//! of itself, so no symlink below the project's directory is followed.

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::fetch::LONGEST_TEXT;
use crate::model::MemberPath;

/// The greatest number of names that are tried for a new file. Somebody would have to guess them.
const MOST_NAMES: u32 = 16;

/// The permissions of new directories and files, before the user's mask.
const DIRECTORY: u32 = 0o777;
const FILE: u32 = 0o666;

/// The directory of a project, into which files are written.
#[derive(Debug)]
pub struct ProjectFiles {
    dir: OwnedFd,
    path: PathBuf,
}

impl ProjectFiles {
    /// Opens the directory of a project. Its own path may lead through symlinks, because the user
    /// named it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|e| Error::output("open", path, e.into()))?;
        Ok(ProjectFiles { dir, path: path.to_owned() })
    }

    /// Replaces the file at a path of the project, or creates it with its directories: a new file
    /// is written next to it and then renamed over it. A symlink at the path itself is replaced.
    ///
    /// # Errors
    /// If a symlink stands in the place of a directory, or if the file cannot be written.
    pub fn replace(&self, name: &MemberPath, text: &str) -> Result<()> {
        let target = self.path.join(name.as_str());
        let at = |e: Errno| Error::output("write", &target, e.into());
        let Some(parent) = name.parent() else {
            return write_in(&self.dir, name, text).map_err(at);
        };
        let dir = self.directory(&parent).map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => {
                self.not_beneath("write", &parent, &target)
            }
            e => at(e),
        })?;
        write_in(&dir, name, text).map_err(at)
    }

    /// Reads the file at a path of the project, if there is one.
    ///
    /// # Errors
    /// If a symlink stands in its place, or in that of a directory, or if it is no regular file or
    /// cannot be read.
    pub fn read(&self, name: &MemberPath) -> Result<Option<Vec<u8>>> {
        let target = self.path.join(name.as_str());
        let mut dir = self.enter(self.dir.as_fd(), ".").map_err(|e| unreadable(&target, e))?;
        let parent = name.parent();
        for part in parent.iter().flat_map(MemberPath::parts) {
            dir = match self.enter(dir.as_fd(), part) {
                Ok(dir) => dir,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => {
                    let parent = parent.as_ref().unwrap_or(name);
                    return Err(self.not_beneath("read", parent, &target));
                }
                Err(e) => return Err(unreadable(&target, e)),
            };
        }
        // Opening a pipe would wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&dir, name.file_name(), flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(not_regular(&target)),
            Err(e) => return Err(unreadable(&target, e)),
        };
        let mut bytes = vec![];
        match file.metadata().map(|meta| meta.is_file()) {
            Ok(false) => return Err(not_regular(&target)),
            Ok(true) => {
                let mut file = (&file).take(LONGEST_TEXT + 1);
                file.read_to_end(&mut bytes).map_err(|e| Error::unreadable(&target, e))?;
                if file.limit() == 0 {
                    return Err(Error::user(format!("can't read {}", target.display()))
                        .because(format!("expected at most {LONGEST_TEXT} bytes, got more"))
                        .hint("remove it"));
                }
            }
            Err(e) => return Err(Error::unreadable(&target, e)),
        }
        Ok(Some(bytes))
    }

    /// Opens a directory below the project's, and creates what is missing.
    fn directory(&self, path: &MemberPath) -> Result<OwnedFd, Errno> {
        let mut dir = self.enter(self.dir.as_fd(), ".")?;
        for part in path.parts() {
            dir = match self.enter(dir.as_fd(), part) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(DIRECTORY)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e),
                    }
                    self.enter(dir.as_fd(), part)?
                }
                other => other?,
            };
        }
        Ok(dir)
    }

    /// Opens one directory in another. Source: openat2(2); kernels before 5.6, and sandboxes that
    /// do not know it, open with O_NOFOLLOW, which is the same for one component.
    fn enter(&self, dir: impl AsFd, part: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(dir.as_fd(), part, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(dir, part, flags, Mode::empty()),
            other => other,
        }
    }

    /// Returns the error for a directory that is a symlink or a file.
    fn not_beneath(&self, doing: &str, parent: &MemberPath, target: &Path) -> Error {
        let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        let mut all: Vec<PathBuf> =
            self.path.join(parent.as_str()).ancestors().map(Path::to_owned).collect();
        all.retain(|path| path.starts_with(&self.path) && *path != self.path);
        let wrong = all.into_iter().rev().find(|path| !is_dir(path)).unwrap_or_default();
        let what = match fs::read_link(&wrong) {
            Ok(to) => format!("{} is a symlink to {}", wrong.display(), to.display()),
            Err(_) => format!("{} is no directory", wrong.display()),
        };
        Error::user(format!("can't {doing} {}", target.display())).because(what).hint(format!(
            "nothing is {} through a symlink of a project: replace it by a directory, or name another place in toolchains.toml",
            if doing == "write" { "written" } else { "read" }
        ))
    }
}

fn unreadable(path: &Path, e: Errno) -> Error {
    Error::unreadable(path, e.into())
}

/// Returns the error for what stands in the place of a file that cotter writes.
fn not_regular(path: &Path) -> Error {
    let what = match fs::read_link(path) {
        Ok(to) => format!("a symlink to {}", to.display()),
        Err(_) => "something else".to_owned(),
    };
    Error::user(format!("can't read {}", path.display()))
        .because(format!("expected a regular file, got {what}"))
        .hint("remove it")
}

/// Replaces a file whose path the user named. Symlinks on the way to it are followed.
///
/// # Errors
/// If the directory cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    replace_as(path, text, Readers::AsBefore)
}

/// Like [`replace`], for what nobody but the user may read from now on.
///
/// # Errors
/// If the directory cannot be written.
pub fn replace_private(path: &Path, text: &str) -> Result<()> {
    replace_as(path, text, Readers::User)
}

/// Who may read a file that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Those who may read the file that it replaces.
    AsBefore,
    /// Nobody but the user.
    User,
}

fn replace_as(path: &Path, text: &str, readers: Readers) -> Result<()> {
    let at = |e: Errno| Error::output("write", path, e.into());
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(at)?;
    let name = path.file_name().ok_or(Errno::ISDIR).map_err(at)?;
    write_named(&dir, name, text, readers).map_err(at)
}

fn write_in(dir: &OwnedFd, name: &MemberPath, text: &str) -> Result<(), Errno> {
    write_named(dir, OsStr::new(name.file_name()), text, Readers::AsBefore)
}

/// Returns the permissions of a file that replaces the one of this name, if they are not those of a
/// new file.
fn permissions(dir: &OwnedFd, name: &OsStr, readers: Readers) -> Option<u32> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    let is_file = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
    let before = stat.map(|stat| stat.st_mode).filter(|mode| is_file(*mode));
    match readers {
        Readers::AsBefore => before.map(|mode| mode & 0o777),
        Readers::User => Some(before.unwrap_or(FILE) & 0o700),
    }
}

/// Writes a new file under a name that nobody can foresee, and renames it. The files that killed
/// processes left behind under such names are deleted.
fn write_named(dir: &OwnedFd, name: &OsStr, text: &str, readers: Readers) -> Result<(), Errno> {
    let permissions = permissions(dir, name, readers);
    // Nobody may open it before it has its permissions.
    let mode = Mode::from_raw_mode(permissions.map_or(FILE, |mode| FILE & mode));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    sweep(dir, name);
    let mut tries = 0;
    let (new, file) = loop {
        let mut new = beginning(name);
        new.push(format!("{:016x}", unforeseen()?));
        match rustix::fs::openat(dir, &new, flags, mode) {
            // The lock shows others that the file is in use. One of them may have been faster.
            Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if tries < MOST_NAMES => tries += 1,
                _ if tries < MOST_NAMES && rustix::fs::fstat(&file)?.st_nlink == 0 => tries += 1,
                _ => break (new, file),
            },
            Err(Errno::EXIST) if tries < MOST_NAMES => tries += 1,
            Err(e) => return Err(e),
        }
    };
    // The lock is held until the file has its name.
    let mut file = std::fs::File::from(file);
    let permit = match permissions {
        Some(mode) => rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)),
        None => Ok(()),
    };
    let written = permit
        .and_then(|()| {
            let written = file.write_all(text.as_bytes());
            written.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
        })
        .and_then(|()| rustix::fs::renameat(dir, &new, dir, name));
    if written.is_err() {
        let _ = rustix::fs::unlinkat(dir, &new, AtFlags::empty());
    }
    written
}

/// Returns how the temporary names of a file begin.
fn beginning(name: &OsStr) -> OsString {
    let mut out = OsStr::new(".").to_owned();
    out.push(name);
    out.push(".");
    out
}

/// Deletes the temporary files of `name` that no process holds.
fn sweep(dir: &OwnedFd, name: &OsStr) {
    // The directory was opened as a path, which cannot be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(readable) = rustix::fs::openat(dir, ".", flags, Mode::empty()) else { return };
    let Ok(entries) = rustix::fs::Dir::new(readable) else { return };
    let beginning = beginning(name);
    for entry in entries.filter_map(Result::ok) {
        let left = entry.file_name().to_bytes().strip_prefix(beginning.as_bytes());
        if !left.is_some_and(|rest| rest.len() == 16 && rest.iter().all(u8::is_ascii_hexdigit)) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(dir, entry.file_name(), flags, Mode::empty()) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(dir, entry.file_name(), AtFlags::empty());
        }
    }
}

/// Returns a random number. Source: getrandom(2).
fn unforeseen() -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an empty directory, and a victim beside it.
    fn scratch(name: &str) -> (PathBuf, PathBuf) {
        let top = std::env::temp_dir().join(format!("cotter-{name}-{}", std::process::id()));
        let (dir, victim) = (top.join("project"), top.join("victim"));
        let _ = crate::store::delete_tree(&top);
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&victim).unwrap();
        (dir, victim)
    }

    #[test]
    fn nothing_is_written_through_a_symlink() {
        let (dir, victim) = scratch("files");
        let files = ProjectFiles::open(&dir).unwrap();
        files.replace(&MemberPath::literal("a/b/c.txt"), "new").unwrap();
        assert_eq!(fs::read_to_string(dir.join("a/b/c.txt")).unwrap(), "new");
        for (link, to) in
            [("out", victim.as_path()), ("up", Path::new("..")), ("in", Path::new("a"))]
        {
            std::os::unix::fs::symlink(to, dir.join(link)).unwrap();
            let path = MemberPath::literal(&format!("{link}/x/file"));
            let error = files.replace(&path, "evil").unwrap_err();
            assert!(format!("{error:?}").contains("is a symlink to"), "{error:?}");
        }
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        // A link at the place of the file itself is replaced.
        fs::write(victim.join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink(victim.join("kept"), dir.join("lock")).unwrap();
        files.replace(&MemberPath::literal("lock"), "new").unwrap();
        assert!(dir.join("lock").symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_to_string(victim.join("kept")).unwrap(), "kept");
        fs::write(dir.join("plain"), "").unwrap();
        let error = files.replace(&MemberPath::literal("plain/file"), "").unwrap_err();
        assert!(format!("{error:?}").contains("is no directory"), "{error:?}");
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 6, "{names:?}");
        crate::store::delete_tree(dir.parent().unwrap()).unwrap();
    }
}

//! Copies of trees outside the store, which users may change. They share no inode with the store.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock};

use super::delete_tree;
use crate::error::{Error, Result};

/// Fills a new directory beside `dir` with `fill`, and then moves it to `dir`: either the new
/// content is complete, or the previous content stays. What killed processes left beside `dir` is
/// deleted.
///
/// # Errors
/// If the directory cannot be written, or those of `fill`.
pub fn replace(dir: &Path, fill: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(|e| Error::output("make", parent, e))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let prefix = format!(".{name}.cotter-");
    sweep(parent, &prefix);
    // While the locks are held, no other process deletes what has a temporary name.
    let (new, _new) = beside(parent, &prefix).map_err(|e| Error::output("make", dir, e))?;
    let _held = held(dir);
    if let Err(e) = fill(&new) {
        let _ = delete_tree(&new);
        return Err(e);
    }
    if fs::symlink_metadata(dir).is_err() {
        return fs::rename(&new, dir).map_err(|e| Error::output("make", dir, e));
    }
    let exchanged =
        rustix::fs::renameat_with(CWD, &new, CWD, dir, rustix::fs::RenameFlags::EXCHANGE);
    let gone = match exchanged {
        Ok(()) => new,
        // Some file systems cannot exchange two names.
        Err(_) => {
            let digits = new.to_string_lossy();
            let digits = &digits[digits.len() - DIGITS..];
            let old = parent.join(format!("{prefix}old-{digits}"));
            let moved = fs::rename(dir, &old)
                .and_then(|()| fs::rename(&new, dir).inspect_err(|_| drop(fs::rename(&old, dir))));
            if let Err(e) = moved {
                let _ = delete_tree(&new);
                return Err(Error::output("replace", dir, e));
            }
            old
        }
    };
    delete_tree(&gone).map_err(|e| Error::output("delete", &gone, e))
}

/// The number of hexadecimal digits at the end of a temporary name.
const DIGITS: usize = 16;

/// Creates a directory with a temporary name, and locks it.
fn beside(parent: &Path, prefix: &str) -> std::io::Result<(PathBuf, OwnedFd)> {
    loop {
        let mut bytes = [0; DIGITS / 2];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        let path = parent.join(format!("{prefix}new-{:016x}", u64::from_ne_bytes(bytes)));
        match fs::create_dir(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        // Another process may sweep the directory before it is locked.
        if let Some(held) = held(&path)
            && path.exists()
        {
            return Ok((path, held));
        }
    }
}

/// Opens a directory and locks it, so that `sweep` in other processes leaves it alone.
fn held(dir: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, dir, flags, Mode::empty()).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// Deletes the temporary directories that killed processes left behind. Their names begin with
/// `prefix`.
fn sweep(parent: &Path, prefix: &str) {
    let is_left = |name: &str| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix("new-").or_else(|| rest.strip_prefix("old-")))
            .is_some_and(|d| d.len() == DIGITS && d.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for name in super::names(parent).unwrap_or_default().iter().filter(|name| is_left(name)) {
        let path = parent.join(name);
        if held(&path).is_some() {
            let _ = delete_tree(&path);
        }
    }
}

/// Whether a directory may be replaced as a whole: it has a name of its own, it does not lie in
/// `store`, and neither does `store` nor any of the paths in `kept` lie in it. Paths are compared by
/// what they lead to.
pub fn may_replace(dir: &Path, store: &Path, kept: &[&Path]) -> bool {
    let real = |path: &Path| {
        let there = path.ancestors().find_map(|a| Some((a, fs::canonicalize(a).ok()?)));
        let (ancestor, real) = there?;
        Some(real.join(path.strip_prefix(ancestor).unwrap_or(Path::new(""))))
    };
    let Some(target) = real(dir) else { return false };
    let holds = |path: &&Path| real(path).is_none_or(|path| path.starts_with(&target));
    let in_store = real(store).is_none_or(|store| target.starts_with(store));
    dir.file_name().is_some() && !in_store && !holds(&store) && !kept.iter().any(holds)
}

/// Copies every file below `from` whose name `is_wanted` to the directory `to`, which exists. If
/// the file system supports it, a copy shares the blocks (copy_file_range(2)).
///
/// # Errors
/// If a file cannot be read or written.
pub fn copy_files(
    from: &Path,
    to: &Path,
    is_wanted: &dyn Fn(&OsStr) -> bool,
) -> std::io::Result<()> {
    let mut todo: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                fs::create_dir(&target)?;
                todo.push((entry.path(), target));
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
            } else if is_wanted(&entry.file_name()) {
                fs::copy(entry.path(), &target)?;
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                fs::set_permissions(&target, std::fs::Permissions::from_mode(mode))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_replaced_at_once_and_leftovers_are_deleted() {
        let top = std::env::temp_dir().join(format!("cotter-copies-{}", std::process::id()));
        let _ = delete_tree(&top);
        let dir = top.join("env");
        let fill = |text: &'static str| {
            move |new: &Path| {
                fs::write(new.join("file"), text).map_err(|e| Error::output("write", new, e))
            }
        };
        replace(&dir, &fill("one")).unwrap();
        let (left, used) = (
            top.join(".env.cotter-new-0123456789abcdef"),
            top.join(".env.cotter-old-0123456789abcdef"),
        );
        let other = top.join(".env.cotter-new-x");
        for path in [&left, &used, &other] {
            fs::create_dir_all(path.join("in")).unwrap();
        }
        let in_use = held(&used).unwrap();
        replace(&dir, &fill("two")).unwrap();
        assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "two");
        assert!(!left.exists() && used.exists() && other.exists());
        drop(in_use);
        let failing = |_: &Path| Err(Error::user("no"));
        assert!(replace(&dir, &failing).is_err());
        assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "two");
        assert_eq!(super::super::names(&top).unwrap().len(), 2, "the directory and the other one");
        delete_tree(&top).unwrap();
    }
}

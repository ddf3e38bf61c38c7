//! Copies of trees outside the store, which users may change. They share no inode with the store.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::delete_tree;
use crate::error::{Error, Result};

/// Fills a new directory beside `dir` with `fill`, and then moves it to `dir`: either the new
/// content is complete, or the previous content stays.
///
/// # Errors
/// If the directory cannot be written, or those of `fill`.
pub fn replace(dir: &Path, fill: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(|e| Error::output("make", parent, e))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |what: &str| parent.join(format!(".{name}.{what}-{}", std::process::id()));
    let (new, old) = (beside("new"), beside("old"));
    let _ = delete_tree(&new);
    let filled = fs::create_dir(&new).map_err(|e| Error::output("make", dir, e));
    if let Err(e) = filled.and_then(|()| fill(&new)) {
        let _ = delete_tree(&new);
        return Err(e);
    }
    let was_there = fs::symlink_metadata(dir).is_ok();
    if was_there {
        fs::rename(dir, &old).map_err(|e| Error::output("replace", dir, e))?;
    }
    fs::rename(&new, dir).map_err(|e| Error::output("make", dir, e))?;
    if was_there {
        delete_tree(&old).map_err(|e| Error::output("delete", &old, e))?;
    }
    Ok(())
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

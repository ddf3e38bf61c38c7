//! The directories in which Nix evaluates: one for each project. What flakes did there is hostile, so each directory is deleted as a whole, and nothing in it is followed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::Store;
use super::gc::young;
use crate::error::{Error, Result};
use crate::model::Digest;

/// The number of digits of a directory's name.
const DIGITS: usize = 16;

/// The time after which the directory of a project that is still there is deleted if nothing was evaluated: what is in it can be made again.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Returns the directory in which Nix works for the project of a manifest.
    pub fn evaluations_of(&self, manifest: &Path) -> PathBuf {
        let real = manifest.canonicalize().unwrap_or_else(|_| manifest.to_owned());
        let name = Digest::of(real.as_os_str().as_encoded_bytes()).hex();
        self.dir.join("nix").join(&name[..DIGITS])
    }

    /// Deletes the directories of projects of which `used` does not hold, and of the others what no tree in `live` was made of. Returns the number of directories and the bytes
    /// of what is deleted, or would be with `dry_run`.
    pub(super) fn delete_evaluations(
        &self,
        used: &dyn Fn(&str) -> bool,
        live: &dyn Fn(&str) -> bool,
        keep: Duration,
        dry_run: bool,
    ) -> Result<(usize, u64)> {
        let (mut count, mut bytes) = (0, 0);
        let all = self.dir.join("nix");
        for name in super::names(&all)? {
            let dir = all.join(&name);
            let mark = dir.join(MARK);
            let held = fs::File::open(&mark);
            if held.as_ref().is_ok_and(|file| {
                flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err()
            }) {
                continue;
            }
            let is_kept = used(&name) && young(&mark, KEPT) || young(&mark, keep);
            let parts = match is_kept {
                false => vec![dir],
                true => {
                    let roots = super::names(&dir.join("roots")).unwrap_or_default();
                    let root = |name: &String| dir.join("roots").join(name);
                    let gone = |name: &String| !live(name) && !young(&root(name), keep);
                    let gone = roots.iter().filter(|name| gone(name)).map(root);
                    gone.chain([dir.join("tmp")])
                        .filter(|path| path.is_symlink() || path.exists())
                        .collect()
                }
            };
            count += usize::from(!is_kept);
            for part in parts {
                bytes += size(&part);
                if !dry_run {
                    delete_hostile(&part).map_err(|e| Error::at("delete", &part, e))?;
                }
            }
        }
        Ok((count, bytes))
    }
}

/// The file that is locked while the directory is used, and whose time says when it was used last.
const MARK: &str = "used";

/// Creates the directory of a project in which Nix works, and keeps `gc` from deleting it for as long as the file is open.
///
/// # Errors
/// If it cannot be written.
pub fn use_evaluations(dir: &Path, project: &Path) -> Result<fs::File> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    let path = dir.join(MARK);
    loop {
        fs::create_dir_all(dir).map_err(|e| Error::at("create", dir, e))?;
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|e| Error::at("write", &path, e))?;
        flock(file.file(), FlockOperation::LockShared)
            .map_err(|e| Error::at("lock", &path, e.into()))?;
        match fs::write(&path, format!("{}\n", project.display())) {
            Ok(()) if is_same(&file, &path) => return Ok(file),
            // `gc` has deleted it meanwhile.
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::at("write", &path, e)),
        }
    }
}

fn is_same(file: &fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Returns the sum of the lengths of the files below a path. What cannot be reached does not count.
fn size(path: &Path) -> u64 {
    let (mut todo, mut bytes) = (vec![path.to_owned()], 0);
    while let Some(path) = todo.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        match meta.is_dir() {
            true => todo.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| Some(entry.ok()?.path())),
            ),
            false => bytes += meta.len(),
        }
    }
    bytes
}

/// Deletes a path and all below it, however deep that is: every directory is first moved to the top. Nothing may write there at the same time.
///
/// # Errors
/// If it cannot be deleted.
pub fn delete_hostile(path: &Path) -> std::io::Result<()> {
    let open = |path: &Path| fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return fs::remove_file(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let top = path.with_file_name(format!("{name}.{}.gone", std::process::id()));
    fs::create_dir(&top)?;
    let place = |number: usize| top.join(number.to_string());
    open(path)?;
    fs::rename(path, place(0))?;
    let (mut number, mut todo) = (0, vec![0]);
    while let Some(at) = todo.pop() {
        let dir = place(at);
        let entries: Vec<_> = fs::read_dir(&dir)?.collect::<std::io::Result<_>>()?;
        for entry in entries {
            match entry.file_type()?.is_dir() {
                false => fs::remove_file(entry.path())?,
                true => {
                    number += 1;
                    open(&entry.path())?;
                    fs::rename(entry.path(), place(number))?;
                    todo.push(number);
                }
            }
        }
        fs::remove_dir(&dir)?;
    }
    fs::remove_dir(&top)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in a namespace can make directories whose paths are too long for the kernel.
    #[test]
    fn directories_of_any_depth_are_deleted() {
        let dir = std::env::temp_dir().join(format!("cotter-deep-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let name = "d".repeat(200);
        let script = format!(
            "for i in $(seq 300); do mkdir {name} && cd -P {name} || exit 1; done; echo x > f; chmod 0500 ."
        );
        let mut shell = std::process::Command::new("sh");
        let made = shell.args(["-c", &script]).current_dir(&dir).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink("/", dir.join("root")).unwrap();
        assert!(super::super::delete_tree(&dir).is_err(), "the test makes no deep directory");
        delete_hostile(&dir).unwrap();
        assert!(!dir.exists());
    }
}

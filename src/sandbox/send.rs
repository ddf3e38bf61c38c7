//! What leaves the sandbox: the result of a job, or what one that failed has left, as a tar archive on
//! standard output. All processes of the job have ended before. The caller unpacks it like any other
//! archive.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::job::SealedView;

type Archive<'a> = tar::Builder<io::BufWriter<io::StdoutLock<'a>>>;

fn archive<'a>() -> Archive<'a> {
    let out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut archive = tar::Builder::new(out);
    archive.follow_symlinks(false);
    archive.mode(tar::HeaderMode::Deterministic);
    archive
}

/// Writes the result of a job.
///
/// # Errors
/// If a file cannot be read, or if the caller has ended.
pub fn result(sealed: &SealedView) -> io::Result<()> {
    let mut archive = archive();
    archive.append_dir_all(".", format!("/{}/{}", sealed.surroundings.place, sealed.result))?;
    archive.into_inner()?.flush()
}

/// Writes the directory of a job that failed. What is no file, directory or symlink is left out, and
/// so is what has a name that the caller would refuse.
///
/// # Errors
/// If a file changes or cannot be read, or if the caller has ended.
pub fn left(sealed: &SealedView) -> io::Result<()> {
    let mut archive = archive();
    let top = Path::new("/").join(&sealed.surroundings.place);
    add(&mut archive, &top, Path::new(""))?;
    archive.into_inner()?.flush()
}

fn add(archive: &mut Archive, top: &Path, below: &Path) -> io::Result<()> {
    let dir = top.join(below);
    readable(&dir, 0o700);
    let mut entries: Vec<_> = fs::read_dir(&dir)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let (path, to) = (entry.path(), below.join(&name));
        if name.to_str().is_none_or(|name| name.contains('\\')) {
            continue;
        }
        if kind.is_dir() {
            archive.append_dir(&to, &path)?;
            add(archive, top, &to)?;
        } else if kind.is_file() {
            readable(&path, 0o400);
            archive.append_path_with_name(&path, &to)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            archive.append_link(&mut header, &to, absolute_if_it_leaves(top, &to, &target))?;
        }
    }
    Ok(())
}

/// Lets a file of the job be read. The job was the same user.
fn readable(path: &Path, mode: u32) {
    if let Ok(meta) = fs::symlink_metadata(path) {
        let old = meta.permissions().mode();
        if old & mode != mode {
            let _ = fs::set_permissions(path, std::fs::Permissions::from_mode(old | mode));
        }
    }
}

/// Returns the target of a symlink at `at` below `top`. One that leads out of it by `..` becomes the
/// absolute path in the sandbox that it means.
fn absolute_if_it_leaves(top: &Path, at: &Path, target: &Path) -> PathBuf {
    let mut depth = at.components().count() - 1;
    let mut leaves = false;
    for part in target.components() {
        match part {
            Component::ParentDir if depth == 0 => leaves = true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
    }
    if target.is_absolute() || !leaves {
        return target.to_owned();
    }
    let mut out = top.join(at.parent().unwrap_or(Path::new("")));
    for part in target.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_leads_out_of_what_is_kept() {
        let top = Path::new("/build");
        for (at, target, expected) in [
            ("source/a", "b", "b"),
            ("source/a", "../out/b", "../out/b"),
            ("source/a", "../../usr/bin/b", "/usr/bin/b"),
            ("source/d/a", "../../../../etc", "/etc"),
            ("source/a", "/etc/passwd", "/etc/passwd"),
            ("a", "..", "/"),
        ] {
            let got = absolute_if_it_leaves(top, Path::new(at), Path::new(target));
            assert_eq!(got, Path::new(expected), "{at} -> {target}");
        }
    }
}

//! Copies of what uv reads, in a directory where nothing stands above them: uv looks for a workspace
//! above a `pyproject.toml` (`[tool.uv.workspace]`) and takes sources and indexes from it, which the
//! user was not asked for. Source: uv's documentation of workspaces and of `tool.uv.managed`.

use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::named_files::{self, KnownFile};
use super::pyproject;
use super::requirement_files::{closure, is_project};
use super::requirement_lines::{FileTarget, NamedFile};
use super::sources::with_files;
use super::uv::SetResolution;
use super::uv_lock;
use crate::error::{Error, Result};
use crate::fetch::{LONGEST_LIST, read_list, read_regular};

/// The directory of the copies, in the scratch directory.
const COPIES: &str = "resolution-source";
/// The directory of the project among them. Requirement files may lie above the project, but not
/// further above than this is deep.
pub(super) const PROJECT: &str = "above/above/above/above/above/above/above/above/project";
/// Ends uv's search at the top of the copies.
const TOP: &str = "[tool.uv]\nmanaged = false\n";

impl SetResolution<'_> {
    /// Returns the copy of the project's directory, where uv runs.
    pub(super) fn place(&self) -> PathBuf {
        self.scratch.join(COPIES).join(PROJECT)
    }

    /// Returns the place of the copy of a file that a set names.
    ///
    /// # Errors
    /// If it lies too far above the project.
    pub(super) fn copy_of(&self, path: &Path) -> Result<PathBuf> {
        let copies = self.scratch.join(COPIES);
        // A file that is named by an absolute path is read where it is.
        let Ok(relative) = path.strip_prefix(self.dir) else { return Ok(path.to_owned()) };
        let mut at = self.place();
        for part in relative.components() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::ParentDir => drop(at.pop()),
                _ => {}
            }
        }
        if at.starts_with(&copies) && at != copies {
            return Ok(at);
        }
        let most = PROJECT.split('/').count() - 1;
        Err(Error::user(format!("{} lies too far above the project", path.display()))
            .located(self.set.inputs_place().clone())
            .because(format!("uv sees {most} directories above the project")))
    }

    /// Returns the path by which the copy of a list names a file of constraints.
    ///
    /// # Errors
    /// If the file lies too far above the project.
    pub(super) fn constraints_in(&self, file: &Path, list: &Path) -> Result<PathBuf> {
        let copy = self.copy_of(file)?;
        let is_copy = copy != file;
        Ok(if is_copy { relative(&copy, list) } else { copy })
    }

    /// Copies the files of requirements.
    ///
    /// # Errors
    /// If a copy cannot be written, or if a file lies too far above the project.
    pub(super) fn copy_project(&self) -> Result<()> {
        let place = self.place();
        fs::create_dir_all(&place).map_err(|e| Error::at("make", &place, e))?;
        let top = self.scratch.join(COPIES).join(pyproject::FILE);
        fs::write(&top, TOP).map_err(|e| Error::at("write", &top, e))?;
        for file in self.set.inputs.iter().chain(&self.set.constraints) {
            for path in closure(self.dir, &self.dir.join(&file.value)) {
                self.copy(&path)?;
            }
        }
        if !self.set.groups.is_empty() {
            self.copy(&self.dir.join(pyproject::FILE))?;
        }
        Ok(())
    }

    fn copy(&self, path: &Path) -> Result<()> {
        let at = self.copy_of(path)?;
        if at == path { Ok(()) } else { put(path, &at) }
    }

    /// Copies what was written for uv into the scratch directory, too. Returns the directory of all
    /// copies.
    ///
    /// # Errors
    /// If a copy cannot be written.
    pub(super) fn copies(&self) -> Result<PathBuf> {
        let to = self.scratch.join(COPIES);
        let files = fs::read_dir(self.scratch).map_err(|e| Error::at("read", self.scratch, e))?;
        for entry in files.filter_map(|e| e.ok()) {
            if entry.file_type().is_ok_and(|t| t.is_file()) {
                put(&entry.path(), &to.join("scratch").join(entry.file_name()))?;
            }
        }
        Ok(to)
    }

    /// Copies a `uv.lock` and the `pyproject.toml` next to it, which is all that its export needs.
    /// Returns their directory. `file` is the name of the lock in the manifest.
    ///
    /// # Errors
    /// If a copy cannot be written.
    pub(super) fn copied_lock(&self, path: &Path, file: &str) -> Result<PathBuf> {
        let dir = self.scratch.join(COPIES).join("locks").join(file.replace('/', "-"));
        for name in ["uv.lock", pyproject::FILE] {
            put(&path.with_file_name(name), &dir.join(name))?;
        }
        Ok(dir)
    }
}

impl SetResolution<'_> {
    /// Returns the line by which uv gets a file.
    ///
    /// # Errors
    /// If the file is not one of those that the set names.
    pub(super) fn file_line(&self, file: &NamedFile) -> Result<String> {
        let known = self.files.iter().find(|known| known.line.file.target == file.target);
        known
            .ok_or_else(|| {
                Error::user(format!("{} is named in no list", named_files::shown(&file.target)))
                    .located(self.set.inputs_place().clone())
            })?
            .line_for_uv(file)
    }

    /// Copies the files to where uv reads them.
    ///
    /// # Errors
    /// If a copy cannot be written.
    pub(super) fn copy_files(&self) -> Result<()> {
        for file in self.files {
            let at = self.place().join(file.copy());
            let made = |e| Error::at("copy a file of requirements to", &at, e);
            fs::create_dir_all(at.parent().unwrap_or(&at)).map_err(made)?;
            if !at.exists() {
                fs::copy(&file.bytes, &at).map_err(made)?;
            }
        }
        Ok(())
    }

    /// Lets the copies of projects among the inputs name the copies of their files.
    ///
    /// # Errors
    /// If a copy cannot be written.
    pub(super) fn name_files(&self) -> Result<()> {
        let inputs = self.set.inputs.iter().map(|file| self.dir.join(&file.value));
        let projects = inputs.filter(|path| is_project(path));
        let groups = (!self.set.groups.is_empty()).then(|| self.dir.join(pyproject::FILE));
        for path in projects.chain(groups) {
            let path = path.with_file_name(pyproject::FILE);
            let copy = self.copy_of(&path)?;
            let own = path.parent().unwrap_or(self.dir);
            let at = |file: &NamedFile| {
                let target = uv_lock::beside(file, own, self.dir).target;
                let known = self.files.iter().find(|known| known.line.file.target == target)?;
                let to = relative(&self.place().join(known.copy()), &copy);
                Some(format!("./{}", to.display()))
            };
            let Ok(text) = read_list(&copy) else { continue };
            if let Some(text) = with_files(&text, &at).filter(|_| copy != path) {
                fs::write(&copy, text).map_err(|e| Error::at("write", &copy, e))?;
            }
        }
        Ok(())
    }

    /// Returns the file whose copy uv calls by this path.
    pub(super) fn file_at(&self, path: &str) -> Option<&KnownFile> {
        self.files.iter().find(|file| path.ends_with(&file.copy()))
    }

    /// Returns a text of uv in which files have the names by which the lists call them.
    pub(super) fn with_files(&self, text: String) -> String {
        self.files.iter().fold(text, |text, file| {
            let name = match &file.line.file.target {
                FileTarget::Path(_) => named_files::shown(&file.line.file.target),
                FileTarget::Url(url) => match file.line.project() {
                    Ok(project) => format!("{project} @ {url}"),
                    Err(_) => url.clone(),
                },
            };
            // The copy is named by a path that may lead upwards, or by an address.
            let copy = file.copy();
            let mut parts = text.split(&copy);
            let mut out = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let is_of_path = |c: char| !c.is_whitespace() && !"`'\"(".contains(c);
                let up = out.trim_end_matches(is_of_path).len();
                out.truncate(up);
                out.push_str(&name);
                out.push_str(part);
            }
            out
        })
    }
}

/// Copies a file, and creates the directory of the copy. What cannot be read is reported before, or
/// by uv.
fn put(from: &Path, at: &Path) -> Result<()> {
    let made = |e| Error::at("copy a file of requirements to", at, e);
    fs::create_dir_all(at.parent().unwrap_or(at)).map_err(made)?;
    match read_regular(from, LONGEST_LIST) {
        Ok(bytes) => fs::write(at, bytes).map_err(made),
        Err(_) => Ok(()),
    }
}

/// Returns the path of a file relative to the directory of another one. Both are absolute, and have
/// no parts that lead upwards.
fn relative(file: &Path, from: &Path) -> PathBuf {
    let (to, from) = (file.components(), from.parent().unwrap_or(from).components());
    let common = to.clone().zip(from.clone()).take_while(|(a, b)| a == b).count();
    let up = from.skip(common).map(|_| Component::ParentDir);
    up.chain(to.skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_directory_of_a_file() {
        for (file, from, expected) in [
            ("/a/b/c", "/a/b/d", "c"),
            ("/a/b/c", "/a/x/y/d", "../../b/c"),
            ("/a/b/c/d", "/a/x", "b/c/d"),
        ] {
            assert_eq!(relative(Path::new(file), Path::new(from)), Path::new(expected));
        }
    }
}

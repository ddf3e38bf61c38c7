//! Directories whose modules are imported from where they are (`-e .`): nothing of them is built or
//! copied. Source: PEP 660 for what an installation of that kind has, PEP 610 for `direct_url.json`,
//! and the documentation of the build backends for where the modules lie.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::pyproject;
use super::requirement_files::closure;
use super::requirement_lines::{Line, is_list, lines, parse};
use super::uv_lock;
use super::wheel::script_text;
use crate::error::{Error, Place, Result};
use crate::fetch::read_list;
use crate::manifest::Requirements;
use crate::model::normalize_project;

/// The tables in which build backends state the directory of the modules, each with whether its
/// values are the packages in this directory.
const ROOTS: &[(&[&str], bool)] = &[
    (&["tool", "setuptools", "package-dir", ""], false),
    (&["tool", "setuptools", "packages", "find", "where"], false),
    (&["tool", "hatch", "build", "targets", "wheel", "packages"], true),
    (&["tool", "hatch", "build", "packages"], true),
    (&["tool", "pdm", "build", "package-dir"], false),
    (&["tool", "maturin", "python-source"], false),
    (&["tool", "uv", "build-backend", "module-root"], false),
];

/// A directory that a set imports from, with the place that says so.
#[derive(Debug, Clone)]
pub struct EditableLine {
    /// The path relative to the directory of the manifest, or an absolute one.
    pub path: PathBuf,
    /// Where it stands.
    pub place: Place,
}

/// Returns the directories that a set imports from: those of its key `editable`, of the lines `-e` in
/// its lists, and of its locks of uv, each once.
pub fn of_set(set: &Requirements, dir: &Path) -> Vec<EditableLine> {
    let mut out: Vec<EditableLine> = vec![];
    for file in &set.editable {
        let place = set.places.get(&file.value).unwrap_or(&set.place).clone();
        out.push(EditableLine { path: (&file.value).into(), place });
    }
    let named = set.inputs.iter().flat_map(|file| closure(dir, &dir.join(&file.value)));
    for path in named.collect::<BTreeSet<PathBuf>>() {
        let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        if path.ends_with(uv_lock::FILE) {
            let found = uv_lock::editables(&path, &name).into_iter();
            out.extend(found.map(|(path, place)| EditableLine { path, place }));
        }
        let text = if is_list(&path) { read_list(&path).unwrap_or_default() } else { continue };
        for (line, text) in lines(&text) {
            match parse(&text) {
                Line::Directory(directory) if directory.editable => out.push(EditableLine {
                    path: directory.path,
                    place: Place { file: name.clone(), line, column: 1 },
                }),
                _ => {}
            }
        }
    }
    let mut known = BTreeSet::new();
    out.retain(|line| known.insert(line.relative(dir)));
    out
}

impl EditableLine {
    /// Returns the path relative to `dir`, in the form of the lock: `.` for the directory itself.
    pub fn relative(&self, dir: &Path) -> String {
        let path = self.path.strip_prefix(dir).unwrap_or(&self.path);
        let plain: PathBuf = path.components().filter(|c| c.as_os_str() != ".").collect();
        let text = plain.display().to_string();
        if text.is_empty() { ".".to_owned() } else { text }
    }
}

/// Whether a name is that of a file which others may see in messages and on PATH.
fn is_file_name(name: &str) -> bool {
    !["", ".", ".."].contains(&name) && !name.contains(|c: char| c == '/' || c.is_control())
}

/// Returns the words by which a user accepts that modules of a directory are imported.
pub fn accepted_as(directory: &str, tree: &str) -> String {
    format!("modules of the directory {directory} for the Python programs of {tree}")
}

/// A directory whose modules are imported from where they are.
pub struct Editable {
    dir: PathBuf,
    document: toml::Table,
}

impl Editable {
    /// Reads the `pyproject.toml` of a directory, if there is one.
    ///
    /// # Errors
    /// If the directory is not there or does not lie in the checkout around `project`, or if the file
    /// cannot be read.
    pub fn read(project: &Path, relative: &str) -> Result<Self> {
        let path = project.join(relative);
        let dir = path.canonicalize().map_err(|e| {
            Error::unreadable(&path, e).hint("restore the directory, or run `cotter lock`")
        })?;
        let top = project.ancestors().find(|above| above.join(".git").exists()).unwrap_or(project);
        let is_inside = |path: &Path| top.canonicalize().is_ok_and(|top| path.starts_with(top));
        let refused = |what: &str, expected: &str| {
            Error::user(format!("{what} does not lie in the checkout of the project"))
                .because(format!("expected {expected} below {}", top.display()))
        };
        if !is_inside(&dir) {
            return Err(refused(relative, "a directory"));
        }
        let file = dir.join(pyproject::FILE);
        let text = if file.exists() {
            // A link may lead to any file of this machine, and a message would quote it.
            if !file.canonicalize().is_ok_and(|real| is_inside(&real)) {
                return Err(refused(&format!("{relative}/{}", pyproject::FILE), "a file"));
            }
            read_list(&file).map_err(|e| Error::unreadable(&file, e))?
        } else {
            String::new()
        };
        let document = text
            .parse()
            .map_err(|e| Error::user(format!("can't read {}", file.display())).cause(&e))?;
        Ok(Editable { dir, document })
    }

    fn value(&self, keys: &[&str]) -> Option<&toml::Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter().try_fold(self.document.get(*first)?, |value, key| value.get(key))
    }

    /// Returns the directories from which its modules are imported: those that a build backend is told
    /// of, otherwise `src` if it holds the modules, otherwise the directory itself.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut stated: Vec<PathBuf> = vec![];
        for (keys, are_packages) in ROOTS {
            let value = self.value(keys);
            let texts = match value {
                Some(toml::Value::Array(list)) => list.iter().filter_map(|v| v.as_str()).collect(),
                Some(toml::Value::String(text)) => vec![text.as_str()],
                _ => vec![],
            };
            for text in texts {
                let path = self.dir.join(text);
                stated.push(if *are_packages {
                    path.parent().unwrap_or(&path).to_owned()
                } else {
                    path
                });
            }
        }
        let of_poetry = self.value(&["tool", "poetry", "packages"]).and_then(toml::Value::as_array);
        for package in of_poetry.into_iter().flatten() {
            let from = package.get("from").and_then(toml::Value::as_str).unwrap_or(".");
            stated.push(self.dir.join(from));
        }
        let inside = |path: PathBuf| {
            path.canonicalize().ok().filter(|real| real.starts_with(&self.dir) && real.is_dir())
        };
        let mut out: Vec<PathBuf> = vec![];
        for root in stated.into_iter().filter_map(inside) {
            if !out.contains(&root) {
                out.push(root);
            }
        }
        if out.is_empty() {
            let src = self.dir.join("src");
            let holds = src.is_dir() && !src.join("__init__.py").exists();
            out.push(inside(src).filter(|_| holds).unwrap_or_else(|| self.dir.clone()));
        }
        out
    }

    fn text(&self, keys: &[&str]) -> Option<&str> {
        self.value(keys)?.as_str().filter(|text| !text.contains(['\n', '\r', '/']))
    }

    /// Returns the entry points of the project in the form of `entry_points.txt`, and its scripts, each
    /// with its program.
    fn entry_points(&self) -> (String, Vec<(String, String)>) {
        let mut text = String::new();
        let mut programs = vec![];
        let table = |value: Option<&toml::Value>| value.and_then(toml::Value::as_table).cloned();
        let mut sections = vec![];
        for (key, section) in [("scripts", "console_scripts"), ("gui-scripts", "gui_scripts")] {
            sections.extend(table(self.value(&["project", key])).map(|t| (section.to_owned(), t)));
        }
        for (section, value) in table(self.value(&["project", "entry-points"])).unwrap_or_default()
        {
            sections.extend(table(Some(&value)).map(|t| (section, t)));
        }
        for (section, entries) in sections {
            let _ = writeln!(text, "[{section}]");
            for (name, target) in entries {
                let Some(target) = target.as_str() else { continue };
                let _ = writeln!(text, "{name} = {target}");
                let is_script = section.ends_with("_scripts") && is_file_name(&name);
                let program = script_text(target.split('[').next().unwrap_or(target).trim());
                programs.extend(program.filter(|_| is_script).map(|program| (name, program)));
            }
            text.push('\n');
        }
        (text, programs)
    }

    /// Whether a program is one of its scripts. A virtual environment has them, and nothing else does.
    pub fn brings(&self, program: &str) -> bool {
        self.entry_points().1.iter().any(|(name, _)| name == program)
    }

    /// Installs it into an environment: its modules are found, `importlib.metadata` knows the project,
    /// and its scripts are there.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn install(&self, site: &Path, bin: &Path) -> std::io::Result<()> {
        let own = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let name = self.text(&["project", "name"]).unwrap_or(&own);
        // Only a build backend knows a version that is not stated.
        let version = self.text(&["project", "version"]).unwrap_or("0");
        let plain = normalize_project(name).replace('-', "_");
        let roots: String =
            self.roots().iter().map(|root| format!("{}\n", root.display())).collect();
        fs::write(site.join(format!("_cotter_editable_{plain}.pth")), roots)?;
        let info = site.join(format!("{plain}-{version}.dist-info"));
        // A package may have a directory of this name, whose files are links into the store.
        let _ = fs::remove_dir_all(&info);
        fs::create_dir_all(&info)?;
        let (entry_points, programs) = self.entry_points();
        let url = crate::fetch::encode(&self.dir.display().to_string());
        let direct =
            serde_json::json!({ "url": format!("file://{url}"), "dir_info": { "editable": true } });
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        for (file, text) in [
            ("METADATA", metadata),
            ("INSTALLER", "cotter\n".to_owned()),
            ("direct_url.json", direct.to_string()),
            ("entry_points.txt", entry_points),
        ] {
            fs::write(info.join(file), text)?;
        }
        for (script, program) in programs {
            use std::os::unix::fs::PermissionsExt as _;
            let path = bin.join(&script);
            let _ = fs::remove_file(&path);
            fs::write(&path, program)?;
            fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for a file that is no TOML quotes a line of it.
    #[test]
    fn a_project_file_outside_of_the_checkout_is_not_read() {
        let top = std::env::temp_dir().join(format!("cotter-editable-{}", std::process::id()));
        let dir = top.join("project/lib");
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(top.join("project/.git")).unwrap();
        fs::write(top.join("secret"), "machine x login y password z").unwrap();
        std::os::unix::fs::symlink("../../secret", dir.join(pyproject::FILE)).unwrap();
        let error = Editable::read(&top.join("project"), "lib").map(|_| ()).unwrap_err();
        let said = format!("{error} {:?}", error.causes());
        assert!(said.contains("lib/pyproject.toml does not lie in the checkout"), "{said}");
        assert!(!said.contains("password"), "{said}");
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn scripts_have_names_of_files() {
        for (name, good) in [
            ("a", true),
            ("a.b", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a\u{1b}b", false),
        ] {
            assert_eq!(is_file_name(name), good, "{name:?}");
        }
    }
}

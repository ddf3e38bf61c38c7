//! Creates virtual environments of locked packages. Source: PEP 405 and the module `venv`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::editable::Editable;
use crate::error::{Error, Result};
use crate::facts::{PythonFacts, RuntimeVariable};
use crate::fetch::read_list;
use crate::model::{LIBRARIES_FILE, VENV_MARK, site_packages};
use crate::store::copies;

/// The name of the module that sets the variables for what libraries need.
const VARIABLES: &str = "_cotter_variables";

/// The text of this module. Variables that are set already stay, and lists get a further entry.
const SET_VARIABLES: &str = r#""""Leads to what the libraries need with which these packages were built. Written by `cotter venv`."""

import os

_variables = [
@VARIABLES@]
# What belongs together is judged before any of it is set.
_refused = [any(os.environ.get(name) for name in unless) for _, _, _, unless in _variables]
for (_name, _path, _is_list, _), _is_refused in zip(_variables, _refused):
    _old = os.environ.get(_name)
    if not _old and not _is_refused:
        os.environ[_name] = _path
    elif _old and _is_list and _path not in _old.split(":"):
        os.environ[_name] = _path + ":" + _old
"#;

/// An environment to create.
pub struct Environment<'a> {
    /// The final path of the environment.
    pub dir: &'a Path,
    /// The tree of the packages.
    pub packages: &'a Path,
    /// The tree of the interpreter.
    pub interpreter: &'a Path,
    /// The facts of the interpreter.
    pub python: &'a PythonFacts,
    /// The full version of the interpreter.
    pub version: &'a str,
    /// The text for the prompt of the shell.
    pub prompt: &'a str,
    /// The store name of the packages' tree.
    pub object: &'a str,
    /// The variables that lead to what the libraries need with which the packages were built, with
    /// absolute paths.
    pub variables: &'a [RuntimeVariable],
    /// The directories of libraries that the interpreter searches behind its own.
    pub libraries: &'a [PathBuf],
    /// The directories whose modules are imported from where they are.
    pub editable: &'a [Editable],
}

impl Environment<'_> {
    /// Creates the environment: either it is complete, or the previous content of the directory
    /// stays. Bytecode caches are not copied, because the environment creates its own.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn make(&self) -> Result<()> {
        copies::replace(self.dir, &|new| self.lay_out(new))
    }

    fn lay_out(&self, new: &Path) -> Result<()> {
        let at = |e| Error::output("make", self.dir, e);
        let is_wanted = |name: &OsStr| name != "__pycache__";
        copies::copy_files(self.packages, new, &is_wanted).map_err(at)?;
        let bin = new.join("bin");
        fs::create_dir_all(&bin).map_err(at)?;
        let site = new.join(site_packages(&self.python.version));
        fs::create_dir_all(&site).map_err(at)?;
        if !self.variables.is_empty() {
            // Python executes the lines of such a file that begin with `import` at its start.
            fs::write(site.join(format!("{VARIABLES}.pth")), format!("import {VARIABLES}\n"))
                .map_err(at)?;
            fs::write(site.join(format!("{VARIABLES}.py")), self.variables_text()).map_err(at)?;
        }
        if !self.libraries.is_empty() {
            let listed: Vec<String> =
                self.libraries.iter().map(|dir| dir.display().to_string()).collect();
            let file = new.join(LIBRARIES_FILE);
            let _ = fs::remove_file(&file);
            fs::write(file, listed.join(":") + "\n").map_err(at)?;
        }
        for editable in self.editable {
            editable.install(&site, &bin).map_err(at)?;
        }
        fs::create_dir_all(new.join("include")).map_err(at)?;
        let _ = fs::remove_file(new.join(crate::model::PACKAGES_INDEX));
        // A package may contain files with these names, which are links into the store. They are
        // replaced, and never written through.
        let link = |target: &Path, name: &str| {
            let _ = fs::remove_file(bin.join(name));
            std::os::unix::fs::symlink(target, bin.join(name))
        };
        link(&self.interpreter.join("bin/python3"), "python").map_err(at)?;
        for name in ["python3".to_owned(), format!("python{}", self.python.version)] {
            link(Path::new("python"), &name).map_err(at)?;
        }
        let _ = fs::remove_file(new.join("lib64"));
        std::os::unix::fs::symlink("lib", new.join("lib64")).map_err(at)?;
        let full: String =
            self.version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let config = format!(
            "home = {}\ninclude-system-site-packages = false\nversion = {full}\nprompt = {}\n{VENV_MARK}{}\n",
            self.interpreter.join("bin").display(),
            self.prompt,
            self.object
        );
        let _ = fs::remove_file(new.join("pyvenv.cfg"));
        fs::write(new.join("pyvenv.cfg"), config).map_err(at)?;
        // It is made from the lock, and belongs into no repository. Other tools write the same.
        fs::write(new.join(".gitignore"), "*\n").map_err(at)?;
        self.activate_scripts(&bin).map_err(at)
    }

    /// Returns the module that sets the variables.
    fn variables_text(&self) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("a string");
        let list =
            |names: &[String]| names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
        let rows: String = self
            .variables
            .iter()
            .map(|v| {
                let is_list = if v.is_list { "True" } else { "False" };
                let (name, path, unless) = (quoted(&v.name), quoted(&v.path), list(&v.unless));
                format!("    ({name}, {path}, {is_list}, [{unless}]),\n")
            })
            .collect();
        SET_VARIABLES.replace("@VARIABLES@", &rows)
    }

    /// Copies the activation scripts of the interpreter's module `venv`, with their placeholders
    /// filled in.
    fn activate_scripts(&self, bin: &Path) -> std::io::Result<()> {
        let blanks = [
            ("__VENV_DIR__", self.dir.display().to_string()),
            ("__VENV_NAME__", self.prompt.to_owned()),
            ("__VENV_PROMPT__", format!("({}) ", self.prompt)),
            ("__VENV_BIN_NAME__", "bin".to_owned()),
            ("__VENV_PYTHON__", self.dir.join("bin/python").display().to_string()),
        ];
        let Some(scripts) = &self.python.venv_scripts else { return Ok(()) };
        let scripts = self.interpreter.join(scripts);
        for part in ["common", "posix"] {
            let Ok(entries) = fs::read_dir(scripts.join(part)) else { continue };
            for entry in entries {
                let path = entry?.path();
                let Ok(mut text) = fs::read_to_string(&path) else { continue };
                for (blank, value) in &blanks {
                    // Newer versions of the module quote the inserted values; the scripts of older
                    // versions contain the quotes.
                    text = text
                        .replace(&format!("\"{blank}"), &format!("\"{value}"))
                        .replace(blank, &format!("'{}'", value.replace('\'', "'\\''")));
                }
                let script = bin.join(path.file_name().unwrap_or_default());
                let _ = fs::remove_file(&script);
                fs::write(script, text)?;
            }
        }
        Ok(())
    }
}

/// Whether a directory contains an environment that cotter made.
pub fn is_ours(dir: &Path) -> bool {
    packages_of(dir).is_some()
}

/// Returns the name in the store of the packages of an environment that cotter made.
pub fn packages_of(dir: &Path) -> Option<String> {
    // A repository may hold a pipe, or a link to a device.
    let config = read_list(&dir.join("pyvenv.cfg")).ok()?;
    let mark = config.lines().find_map(|line| line.strip_prefix(VENV_MARK))?;
    Some(mark.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository may hold an environment that is a pipe, or a link to a device.
    #[test]
    fn what_has_no_end_is_no_environment() {
        let dir = std::env::temp_dir().join(format!("cotter-venv-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let config = dir.join("pyvenv.cfg");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(!is_ours(&dir));
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
        assert!(!is_ours(&dir));
        fs::remove_file(&config).unwrap();
        fs::write(&config, "home = x\ncotter = y\n").unwrap();
        assert!(is_ours(&dir));
        fs::remove_dir_all(&dir).unwrap();
    }
}

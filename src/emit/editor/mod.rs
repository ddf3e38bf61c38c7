//! Emits the files by which editors find the toolchains: VS Code, clangd, CMake's presets and
//! Pyright. The files name paths of this machine, so they are made for it and not committed.

mod clangd;
mod presets;
mod pyright;
mod vscode;

use super::api::{Destination, Emission, Emitter, Files, MachineTrees, Request};
use super::named;
use crate::error::{Error, Result};
use crate::manifest::{Fields, Manifest, Problems};
use crate::model::{Kind, ToolchainName, VENV_MARK};

/// What each emitted file that is cotter's alone says.
const MARK: &str =
    "Written by `cotter emit editor` with paths of this machine; what is changed here is lost.";

const SETTINGS: &str = ".vscode/settings.json";
const CLANGD: &str = ".clangd";
const PRESETS: &str = "CMakeUserPresets.json";
const PYRIGHT: &str = "pyrightconfig.json";
const VENV: &str = ".venv";

/// The emitter for editors.
#[derive(Debug)]
pub struct Editor;

impl Emitter for Editor {
    fn name(&self) -> &'static str {
        "editor"
    }

    fn about(&self) -> &'static str {
        "Settings for VS Code, clangd, CMake's presets and Pyright, with paths of this machine"
    }

    fn bind(
        &self,
        fields: Option<Fields>,
        manifest: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission> {
        let toolchains = fields.and_then(|mut fields| {
            let names = named::toolchains("editor", &mut fields, manifest, problems);
            fields.finish(problems);
            names
        });
        Box::new(EditorSettings { toolchains: toolchains.unwrap_or_default() })
    }
}

/// The `[emit.editor]` table.
#[derive(Debug)]
struct EditorSettings {
    /// The toolchains that the editor uses. An empty list stands for all.
    toolchains: Vec<ToolchainName>,
}

impl Emission for EditorSettings {
    fn destination(&self) -> Destination<'_> {
        Destination::Project
    }

    fn mark(&self, name: &str) -> Option<&'static str> {
        (name != SETTINGS).then_some(MARK)
    }

    fn files(&self, request: &mut Request) -> Result<Files> {
        let used = (request.trees)(&self.toolchains)?;
        let set = set_in_use(&used)?;
        // A file that cannot be read is no environment of cotter.
        let config = (request.present)(&format!("{VENV}/pyvenv.cfg")).ok().flatten();
        let has_venv = set.is_some_and(|set| {
            let object = set.rsplit('/').next().unwrap_or_default();
            let of_set = |line: &str| line.strip_prefix(VENV_MARK) == Some(object);
            // A repository may hold an environment that says so and has another interpreter.
            let python = used.trees.iter().find(|tree| tree.kind == Kind::Python);
            let python = python.map(|tree| format!("{}/bin/python3", tree.path));
            python.is_some()
                && (request.link)(&format!("{VENV}/bin/python")) == python
                && config.is_some_and(|text| text.lines().any(of_set))
        });
        let mut files = Files::new();
        if let Some(text) = clangd::render(&used, MARK) {
            own(CLANGD, text, request, &mut files)?;
        }
        if let Some(text) = presets::render(&used, MARK) {
            own(PRESETS, text, request, &mut files)?;
        }
        let keys = pyright::keys(&used, set, has_venv.then_some(VENV));
        if !keys.is_empty() {
            let project = (request.present)("pyproject.toml")?;
            if pyright::is_in_pyproject(project.as_deref()) {
                request.notes.push(format!(
                    "pyproject.toml has [tool.pyright], which a {PYRIGHT} would hide; for this machine, add:\n{}",
                    pyright::as_toml(&keys)
                ));
            } else {
                own(PYRIGHT, pyright::as_json(&keys, MARK), request, &mut files)?;
            }
        }
        let entries = vscode::entries(&used, has_venv.then_some(VENV));
        if !entries.is_empty() {
            let present = (request.present)(SETTINGS)?;
            match vscode::merged(present.as_deref(), &entries) {
                Ok(text) => drop(files.insert(SETTINGS.to_owned(), text)),
                Err(why) => request.notes.push(format!(
                    "{SETTINGS} stays as it is, because {why}; add:\n{}",
                    vscode::as_text(&entries)
                )),
            }
        }
        if files.is_empty() && request.notes.is_empty() {
            return Err(Error::user("the toolchains have nothing for an editor")
                .because("expected a compiler, an interpreter, a CMake or a clangd")
                .hint("add one to toolchains.toml, such as with `cotter add gcc-12`"));
        }
        if let (Some(set), false) = (set_name(&used), has_venv) {
            request.notes.push(format!(
                "programs that the editor starts do not find the packages of {set}: run `cotter venv {set}` and then `cotter emit editor`"
            ));
        }
        let ignored = (request.present)(".gitignore").ok().flatten().unwrap_or_default();
        let lines: Vec<String> = files
            .keys()
            .filter(|name| !is_ignored(name, &ignored))
            .map(|n| format!("/{n}"))
            .collect();
        if !lines.is_empty() {
            request.notes.push(format!(
                "the paths in these files are those of this machine; lines for .gitignore:\n{}",
                lines.join("\n")
            ));
        }
        Ok(files)
    }
}

/// Returns the path of the set of Python packages that is in use, if there is one.
fn set_in_use(used: &MachineTrees) -> Result<Option<&str>> {
    let mut sets = used.trees.iter().filter(|tree| tree.kind == Kind::Packages);
    let (first, second) = (sets.next(), sets.next());
    match (first, second) {
        (Some(one), Some(other)) => {
            Err(Error::user("an editor can use one set of Python packages")
                .because(format!("expected one, got {} and {}", one.name, other.name))
                .hint(format!(
                    "name what it is to use in toolchains.toml: [emit.editor] toolchains = [{:?}]",
                    one.name.as_str()
                )))
        }
        (first, _) => Ok(first.map(|tree| tree.path.as_str())),
    }
}

/// Returns the name of the set of Python packages that is in use.
fn set_name(used: &MachineTrees) -> Option<&ToolchainName> {
    used.trees.iter().find(|tree| tree.kind == Kind::Packages).map(|tree| &tree.name)
}

/// Adds a file that is cotter's alone, unless somebody else wrote the one that is there.
fn own(name: &str, text: String, request: &mut Request, files: &mut Files) -> Result<()> {
    match (request.present)(name)? {
        Some(present) if !present.trim().is_empty() && !present.contains(MARK) => {
            request.notes.push(format!(
                "{name} stays as it is, because cotter did not write it; it would be:\n{}",
                text.trim_end()
            ));
        }
        _ => drop(files.insert(name.to_owned(), text)),
    }
    Ok(())
}

/// Whether a line of `.gitignore` names a file or its directory. A pattern that also matches it is not
/// recognised.
fn is_ignored(name: &str, gitignore: &str) -> bool {
    let dir = name.split_once('/').map(|(dir, _)| dir);
    let named = |line: &str| {
        let line = line.trim().trim_start_matches('/').trim_end_matches('/');
        line == name || Some(line) == dir
    };
    gitignore.lines().any(named)
}

#[cfg(test)]
mod tests;

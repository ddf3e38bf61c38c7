//! Files in place of releases: wheels and source distributions that a list names by a path or an
//! address. Their bytes are known before uv runs, which reads copies of them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::pyproject::{self, PyProject};
use super::requirement_files::{closure, is_project};
use super::requirement_lines::{FileTarget, Line, NamedFile, is_list, lines, parse};
use super::uv_lock;
use crate::error::{Error, Place, Result};
use crate::fetch::read_list;
use crate::manifest::Requirements;
use crate::model::{Digest, Location, MemberPath, WheelName, normalize_project};

/// The directory of the copies, in the copy of the project.
pub(super) const COPIES: &str = ".cotter-files";

/// A line that names a file, with its place.
#[derive(Debug, Clone)]
pub struct FileLine {
    /// What it says.
    pub file: NamedFile,
    /// Where it stands.
    pub place: Place,
}

/// A file whose bytes are known.
#[derive(Debug, Clone)]
pub struct KnownFile {
    /// The line that names it.
    pub line: FileLine,
    /// Where the lock finds it.
    pub location: Location,
    /// Its hash.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The path of its bytes on this machine.
    pub bytes: PathBuf,
}

/// Returns the files that a set names, in the order of the files of requirements. Lists that cannot be
/// read name none: they are reported by what checks them.
pub fn of_set(set: &Requirements, dir: &Path) -> Vec<FileLine> {
    let mut out: Vec<FileLine> = vec![];
    let named = set.inputs.iter().flat_map(|file| closure(dir, &dir.join(&file.value)));
    for path in named.collect::<BTreeSet<PathBuf>>() {
        let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        if path.ends_with(uv_lock::FILE) {
            let files = uv_lock::files(&path, &name, dir).into_iter();
            out.extend(files.map(|(file, place)| FileLine { file, place }));
        }
        let text = if is_list(&path) { read_list(&path).unwrap_or_default() } else { continue };
        for (line, text) in lines(&text) {
            if let Line::File(file) = parse(&text) {
                out.push(FileLine { file, place: Place { file: name.clone(), line, column: 1 } });
            }
        }
    }
    let projects = set.inputs.iter().map(|file| dir.join(&file.value)).filter(|p| is_project(p));
    for path in projects {
        out.extend(of_project(&path.with_file_name(pyproject::FILE), dir, &set.extras, &[]));
    }
    if !set.groups.is_empty() {
        out.extend(of_project(&dir.join(pyproject::FILE), dir, &[], &set.groups));
    }
    out
}

/// Returns the files that a `pyproject.toml` names with extras and groups.
fn of_project(path: &Path, dir: &Path, extras: &[String], groups: &[String]) -> Vec<FileLine> {
    let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let Ok(project) = PyProject::read(path, &name) else { return vec![] };
    let extras: Vec<String> = extras.iter().filter(|e| project.has_extra(e)).cloned().collect();
    let mut required = project.group_requirements(groups);
    if groups.is_empty() {
        required.extend(project.requirements(&extras).unwrap_or_default());
    }
    let own = path.parent().unwrap_or(dir);
    let files = required.iter().filter_map(|required| project.file_of(required));
    files.map(|(file, place)| FileLine { file: uv_lock::beside(&file, own, dir), place }).collect()
}

impl FileLine {
    /// Returns the place and what it names, for messages.
    pub fn place_and_target(&self) -> String {
        format!("{}:{}: {}", self.place.file, self.place.line, shown(&self.file.target))
    }

    /// Whether the line begins with the place of the file, and not with the name of its project.
    pub fn is_unnamed(&self) -> bool {
        self.file.names.is_empty()
    }

    /// Returns the path or the address as a list names it.
    pub fn target(&self) -> String {
        shown(&self.file.target)
    }

    /// Returns where the lock finds the file.
    ///
    /// # Errors
    /// If it is no file below the directory of the manifest.
    pub fn location(&self, dir: &Path) -> Result<Location> {
        let path = match &self.file.target {
            FileTarget::Url(url) => return Ok(Location::Url(url.clone())),
            FileTarget::Path(path) => path,
        };
        let relative = path.strip_prefix(dir).unwrap_or(path);
        let is_below = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let parsed = relative.to_str().and_then(|text| MemberPath::parse(text.as_bytes()).ok()?);
        parsed.filter(|_| is_below).map(Location::Project).ok_or_else(|| {
            Error::user(format!("{} names a file outside of the project", self.place.file))
                .located(self.place.clone())
                .because(format!(
                    "expected a file in the directory of toolchains.toml or below it, got {:?}",
                    path.display().to_string()
                ))
                .hint("put the file itself there, and name it by its path from that directory: ./lib-1.0-py3-none-any.whl")
        })
    }

    /// Returns the normalised name of the project that the file holds.
    ///
    /// # Errors
    /// If neither the line nor the name of the file tells it.
    pub fn project(&self) -> Result<String> {
        let file = self.file.target.file_name();
        let of_wheel = || WheelName::parse(&file).map(|wheel| wheel.project.to_owned());
        // PEP 625: the name has one dash. Older names have more, and their version begins with a digit.
        let of_sdist = || {
            let (name, version) = file.rsplit_once('-')?;
            let is_version = version.starts_with(|c: char| c.is_ascii_digit());
            (is_version && !file.ends_with(".whl")).then(|| name.to_owned())
        };
        let name = self.file.names.last().cloned().or_else(of_wheel).or_else(of_sdist);
        name.map(|name| normalize_project(&name)).ok_or_else(|| {
            Error::user(format!("{} does not say which project {file} is", self.place.file))
                .located(self.place.clone())
                .because("expected its name in front of its place, or the name of a wheel or of a source distribution")
                .hint(format!("write \"lib @ {}\"", shown(&self.file.target)))
        })
    }

    /// Checks the hash of the file against the one that the line demands.
    ///
    /// # Errors
    /// If it has another one.
    pub fn check(&self, got: &Digest) -> Result<()> {
        let Some(expected) = self.file.sha256.filter(|expected| expected != got) else {
            return Ok(());
        };
        let file = self.file.target.file_name();
        let place = &self.place;
        Err(Error::verification(format!("{file} is not the file that {} demands", place.file))
            .located(place.clone())
            .because(format!("expected sha256 {expected}, got {got}"))
            .hint("check where the hash comes from before you change it"))
    }
}

/// Returns a place as a line names it.
pub(super) fn shown(target: &FileTarget) -> String {
    match target {
        FileTarget::Url(url) => url.clone(),
        FileTarget::Path(path) => {
            let text = path.display().to_string();
            if text.starts_with(['.', '/']) { text } else { format!("./{text}") }
        }
    }
}

impl KnownFile {
    /// Returns the path of its copy, relative to the copy of the project. Two files of one name
    /// have two copies.
    pub(super) fn copy(&self) -> String {
        let name = self.line.file.target.file_name();
        format!("{COPIES}/{}/{name}", &self.sha256.hex()[..16])
    }

    /// Returns the line by which uv gets it, for the requirement `asked`.
    pub(super) fn line_for_uv(&self, asked: &NamedFile) -> Result<String> {
        let extras = match asked.extras.as_slice() {
            [] => String::new(),
            extras => format!("[{}]", extras.join(",")),
        };
        let marker = asked.marker.as_ref().map(|m| format!(" ; {m}")).unwrap_or_default();
        let project = self.line.project()?;
        Ok(format!("{project}{extras} @ ./{}{marker} --hash=sha256:{}", self.copy(), self.sha256))
    }
}

/// Returns a list of pins without the lines that name files: uv would look for them.
pub(super) fn without_files(text: &str) -> String {
    let kept = lines(text).into_iter().filter(|(_, line)| !matches!(parse(line), Line::File(_)));
    kept.map(|(_, line)| line + "\n").collect()
}

//! Whether a `uv.lock` belongs to the `pyproject.toml` next to it. uv itself would find out, but may
//! run a build backend for it. Source: uv's documentation of the lock, and its format version 1.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::dependency::RequiresDist;
use super::pyproject::{self, PyProject};
use super::requirement_lines::{FileTarget, Line, NamedFile, requirement};
use super::target::WheelTarget;
use crate::error::{Error, Place, Result};
use crate::fetch::read_list;
use crate::manifest::Problems;
use crate::model::normalize_project as normalize;

/// The name of the file.
pub const FILE: &str = "uv.lock";

#[derive(Deserialize)]
struct UvLock {
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
    #[serde(default)]
    manifest: UvManifest,
    #[serde(default, rename = "package")]
    packages: Vec<UvPackage>,
}

#[derive(Deserialize, Default)]
struct UvManifest {
    members: Option<Vec<String>>,
    #[serde(default)]
    constraints: Vec<UvRequirement>,
    #[serde(default)]
    overrides: Vec<UvRequirement>,
}

#[derive(Deserialize)]
struct UvPackage {
    name: String,
    source: Option<UvSource>,
    #[serde(default)]
    wheels: Vec<UvFile>,
    sdist: Option<UvFile>,
    #[serde(default)]
    metadata: UvMetadata,
}

#[derive(Deserialize)]
struct UvSource {
    editable: Option<String>,
    url: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct UvFile {
    hash: Option<String>,
}

#[derive(Deserialize, Default)]
struct UvMetadata {
    #[serde(default, rename = "requires-dist")]
    requires: Vec<UvRequirement>,
    #[serde(default, rename = "provides-extras")]
    extras: Vec<String>,
    #[serde(default, rename = "requires-dev")]
    groups: BTreeMap<String, Vec<UvRequirement>>,
}

#[derive(Deserialize)]
struct UvRequirement {
    name: String,
    #[serde(default)]
    extras: Vec<String>,
    specifier: Option<String>,
    marker: Option<String>,
}

impl UvRequirement {
    fn parsed(&self) -> Result<RequiresDist, String> {
        let specifier = self.specifier.as_deref().unwrap_or_default();
        let marker = self.marker.as_ref().map(|m| format!(" ; {m}")).unwrap_or_default();
        format!("{}[{}]{specifier}{marker}", self.name, self.extras.join(",")).parse()
    }
}

/// Returns the files that a lock names in place of releases, with their hashes. Messages call the lock
/// `file`. A lock that cannot be read names none.
pub fn files(path: &Path, file: &str, dir: &Path) -> Vec<(NamedFile, Place)> {
    let text = read_list(path).unwrap_or_default();
    let Ok(lock) = toml::from_str::<UvLock>(&text) else { return vec![] };
    let mut out = vec![];
    for package in &lock.packages {
        let Some(UvSource { url, path: at, .. }) = &package.source else { continue };
        let Some(target) = url.as_ref().or(at.as_ref()) else { continue };
        let target = if url.is_none() && !target.starts_with(['.', '/']) {
            format!("./{target}")
        } else {
            target.clone()
        };
        let Line::File(named) = requirement(&format!("{} @ {target}", package.name)) else {
            continue;
        };
        let hash = package.wheels.iter().chain(&package.sdist).find_map(|f| f.hash.as_deref());
        let sha256 = hash.and_then(|hash| hash.strip_prefix("sha256:")?.parse().ok());
        let lock_dir = path.parent().unwrap_or(dir);
        let named = NamedFile { sha256, ..beside(&named, lock_dir, dir) };
        let line = line_of(&text, &package.name);
        out.push((named, Place { file: file.to_owned(), line, column: 1 }));
    }
    out
}

/// Returns the directories from which a lock has modules imported, relative to that of the lock, which
/// messages call `file`: the projects of a workspace with a build backend, and directories with
/// `editable = true`.
pub fn editables(path: &Path, file: &str) -> Vec<(PathBuf, Place)> {
    let text = read_list(path).unwrap_or_default();
    let Ok(lock) = toml::from_str::<UvLock>(&text) else { return vec![] };
    let above = Path::new(file).parent().unwrap_or(Path::new(""));
    let found = lock.packages.iter().filter_map(|package| {
        let at = package.source.as_ref()?.editable.as_ref()?;
        Some((
            above.join(at),
            Place { file: file.to_owned(), line: line_of(&text, &package.name), column: 1 },
        ))
    });
    found.collect()
}

/// Returns the line of a lock that names a package.
fn line_of(text: &str, name: &str) -> usize {
    let is_it = |line: &str| line.trim() == format!("name = {name:?}");
    text.lines().position(is_it).map_or(1, |at| at + 1)
}

/// Returns a file that is named relative to the directory of a lock, relative to `dir`.
pub fn beside(file: &NamedFile, lock_dir: &Path, dir: &Path) -> NamedFile {
    let target = match &file.target {
        FileTarget::Path(path) => {
            let mut whole = PathBuf::new();
            for part in lock_dir.join(path).components() {
                match part {
                    Component::ParentDir => drop(whole.pop()),
                    Component::CurDir => {}
                    other => whole.push(other),
                }
            }
            FileTarget::Path(whole.strip_prefix(dir).unwrap_or(&whole).to_owned())
        }
        url @ FileTarget::Url(_) => url.clone(),
    };
    NamedFile { target, ..file.clone() }
}

/// A requirement in a form that can be compared, without its marker.
fn form(dependency: &RequiresDist, project: &PyProject) -> String {
    let extras: Vec<&str> = dependency.extras.iter().map(String::as_str).collect();
    let mut versions: Vec<String> = dependency.versions.iter().map(ToString::to_string).collect();
    versions.sort();
    // The lock has the version of what comes from elsewhere in another place.
    if project.has_source(&dependency.name) {
        versions.clear();
    }
    let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
    format!("{}{extras}{}", dependency.name, versions.join(","))
}

/// Checks that the lock at `path` was made for the `pyproject.toml` next to it, as far as the
/// `targets` are concerned. Messages call the lock `file`.
///
/// # Errors
/// If they state different requirements, with both places.
pub fn check(path: &Path, file: &str, targets: &[WheelTarget]) -> Result<()> {
    let text = read_list(path).map_err(|e| Error::unreadable(Path::new(file), e))?;
    let lock: UvLock = toml::from_str(&text).map_err(|e| {
        let mut problems = Problems::new(file, &text);
        problems.add_syntax([e]);
        problems.check().err().unwrap_or_else(|| Error::user(format!("can't read {file}")))
    })?;
    let beside = path.with_file_name(pyproject::FILE);
    if !beside.exists() {
        return Ok(());
    }
    let shown = match file.rsplit_once('/') {
        Some((dir, _)) => format!("{dir}/{}", pyproject::FILE),
        None => pyproject::FILE.to_owned(),
    };
    let project = PyProject::read(&beside, &shown)?;
    let name = project.name().unwrap_or_default();
    let differs = |place: Place, in_lock: &str, in_project: &str| {
        Error::user(format!("{file} does not fit {shown}"))
            .located(place)
            .because(format!("{shown} states {in_project}"))
            .because(format!("{file}:{} states {in_lock}", line_of(&text, &name)))
            .hint("lock it again: `cotter exec uv python -- uv lock`, then `cotter lock --upgrade`")
    };
    let unread = |why: String| Error::user(format!("can't read {file}")).because(why);

    if let (Some(of_lock), Some((of_project, place)), None) =
        (&lock.requires_python, project.requires_python(), &lock.manifest.members)
    {
        let parsed = |text: &str| format!("python{text}").parse::<RequiresDist>();
        let (Ok(a), Ok(b)) = (parsed(of_lock), parsed(of_project)) else { return Ok(()) };
        if form(&a, &project) != form(&b, &project) {
            let said = |text: &str| format!("requires-python = {text:?}");
            return Err(differs(place, &said(of_lock), &said(of_project)));
        }
    }
    let [constraints, overrides] = project.constraints_and_overrides()?;
    for (key, own, locked) in [
        ("constraint-dependencies", constraints, &lock.manifest.constraints),
        ("override-dependencies", overrides, &lock.manifest.overrides),
    ] {
        let own: BTreeSet<String> = own.iter().map(|d| form(d, &project)).collect();
        let locked = locked
            .iter()
            .map(|r| Ok(form(&r.parsed()?, &project)))
            .collect::<Result<BTreeSet<String>, String>>()
            .map_err(unread)?;
        if own != locked {
            let said = |set: &BTreeSet<String>| format!("{key} = {set:?}");
            return Err(differs(project.project_place(), &said(&locked), &said(&own)));
        }
    }
    let package = lock.packages.iter().find(|p| !name.is_empty() && normalize(&p.name) == name);
    let Some(package) = package.filter(|_| project.is_dynamic().is_none()) else { return Ok(()) };
    let locked = parsed(&package.metadata.requires).map_err(unread)?;
    let stated = project.stated()?;
    let extras: BTreeSet<Option<String>> = stated
        .iter()
        .map(|(extra, _, _)| extra.clone())
        .chain(package.metadata.extras.iter().map(|extra| Some(normalize(extra))))
        .chain([None])
        .collect();
    let none = BTreeSet::new();
    for target in targets {
        let value = |name: &str| target.marker(name);
        for extra in &extras {
            let with: BTreeSet<String> = extra.iter().cloned().collect();
            let own = stated
                .iter()
                .filter(|(of, d, _)| (of.is_none() || of == extra) && d.counts(&value, &none))
                .map(|(_, d, place)| (form(d, &project), place.clone()));
            let locked = locked.iter().filter(|d| d.counts(&value, &with));
            compare(
                own.collect(),
                locked.map(|d| form(d, &project)).collect(),
                &project,
                &differs,
            )?;
        }
        for (group, list) in project.stated_of_groups()? {
            let found = package.metadata.groups.iter().find(|(name, _)| normalize(name) == group);
            let locked = parsed(found.into_iter().flat_map(|(_, list)| list)).map_err(unread)?;
            let own = list
                .iter()
                .filter(|(d, _)| d.counts(&value, &none))
                .map(|(d, place)| (form(d, &project), place.clone()));
            let locked = locked.iter().filter(|d| d.counts(&value, &none));
            compare(
                own.collect(),
                locked.map(|d| form(d, &project)).collect(),
                &project,
                &differs,
            )?;
        }
    }
    Ok(())
}

/// Parses requirements of the lock.
fn parsed<'a>(
    all: impl IntoIterator<Item = &'a UvRequirement>,
) -> Result<Vec<RequiresDist>, String> {
    all.into_iter().map(UvRequirement::parsed).collect()
}

/// Compares the requirements of both files.
fn compare(
    own: BTreeMap<String, Place>,
    locked: BTreeSet<String>,
    project: &PyProject,
    differs: &dyn Fn(Place, &str, &str) -> Error,
) -> Result<()> {
    if let Some((new, place)) = own.iter().find(|(form, _)| !locked.contains(*form)) {
        let name = |form: &str| super::dependency::leading_name(form);
        let old = locked.iter().find(|old| name(old) == name(new));
        let old = old.map_or_else(|| format!("nothing of {:?}", name(new)), |o| format!("{o:?}"));
        return Err(differs(place.clone(), &old, &format!("{new:?}")));
    }
    match locked.iter().find(|form| !own.contains_key(*form)) {
        Some(gone) => Err(differs(
            project.project_place(),
            &format!("{gone:?}"),
            "no such requirement any more",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Platform;

    const PROJECT: &str = "[project]\nname = \"Own_app\"\nversion = \"1\"\nrequires-python = \">=3.11, <4\"\ndependencies = [\n  \"lib[Fast]>=1,<2\",\n  \"old; python_version < '3.9'\",\n]\n[project.optional-dependencies]\nmore = [\"other\"]\n[dependency-groups]\ndev = [\"tool==1\", { include-group = \"docs\" }]\ndocs = [\"book\"]\n[tool.uv]\nconstraint-dependencies = [\"deep<3\"]\n";
    const LOCK: &str = "version = 1\nrequires-python = \">=3.11, <4\"\n[manifest]\nconstraints = [{ name = \"deep\", specifier = \"<3\" }]\n[[package]]\nname = \"own-app\"\nsource = { virtual = \".\" }\n[package.metadata]\nrequires-dist = [\n    { name = \"lib\", extras = [\"fast\"], specifier = \">=1,<2\" },\n    { name = \"old\", marker = \"python_full_version < '3.9'\" },\n    { name = \"other\", marker = \"extra == 'more'\" },\n]\nprovides-extras = [\"more\"]\n[package.metadata.requires-dev]\ndev = [{ name = \"book\" }, { name = \"tool\", specifier = \"==1\" }]\ndocs = [{ name = \"book\" }]\n";

    fn said(project: &str, lock: &str) -> Option<String> {
        let dir = std::env::temp_dir().join(format!(
            "uv-lock-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join("pyproject.toml"), project).unwrap();
        fs_err::write(dir.join("uv.lock"), lock).unwrap();
        let target = WheelTarget::new("3.11.2", None, Platform::X86_64Linux).unwrap();
        let out = check(&dir.join("uv.lock"), "uv.lock", &[target]);
        fs_err::remove_dir_all(&dir).unwrap();
        out.err()
            .map(|e| format!("{} {e}", e.place().map_or_else(String::new, ToString::to_string)))
    }

    #[test]
    fn a_lock_fits_until_one_of_them_changes() {
        assert_eq!(said(PROJECT, LOCK), None);
        for (old, new, expected) in [
            ("lib[Fast]>=1,<2", "lib[Fast]>=1", "pyproject.toml:6:"),
            ("  \"lib[Fast]>=1,<2\",\n", "", "no such requirement any more"),
            ("[\"other\"]", "[\"other\", \"new\"]", "nothing of \"new\""),
            ("tool==1", "tool==2", "\"tool==1\""),
            ("more = [\"other\"]", "more = []", "no such requirement any more"),
            ("deep<3", "deep<4", "constraint-dependencies"),
            (">=3.11, <4", ">=3.12", "requires-python"),
        ] {
            let said = said(&PROJECT.replacen(old, new, 1), LOCK).unwrap_or_default();
            assert!(said.contains("uv.lock does not fit pyproject.toml"), "{old}: {said}");
            assert!(said.contains(expected), "{old}: {said}");
        }
        // What counts on no target may change.
        assert_eq!(said(&PROJECT.replace("'3.9'", "'3.8'"), LOCK), None);
    }
}

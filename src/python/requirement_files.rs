//! Files that state requirements: the other files that they name, the hashes that they contain, and
//! the annotations of uv. Source: pip's documentation of the requirements file format, and PEP 751
//! for `pylock.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::pyproject;
use super::requirement_lines::{Line, Refusal, is_list, lines, parse};
use crate::error::{Error, Result};
use crate::manifest::Problems;
use crate::model::Digest;
use crate::model::normalize_project as normalize;

/// Returns every file that contributes to `file`: the file itself, the files that it names with `-r`
/// and `-c`, and the `pyproject.toml` of the directories that it names, whose paths are relative to
/// `dir`. Files that cannot be read are included.
pub fn closure(dir: &Path, file: &Path) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let mut todo = vec![file.to_owned()];
    while let Some(file) = todo.pop() {
        if !out.insert(file.clone()) {
            continue;
        }
        if file.ends_with("setup.py") || file.ends_with("setup.cfg") {
            out.insert(file.with_file_name(pyproject::FILE));
        }
        if !is_list(&file) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for (_, line) in lines(&text) {
            match parse(&line) {
                Line::List(name) | Line::Constraints(name) if !name.is_empty() => {
                    todo.push(file.parent().unwrap_or(Path::new("")).join(name));
                }
                Line::Directory(directory) => {
                    let project = dir.join(directory.path).join(pyproject::FILE);
                    // Without the parts `.`, equal paths are equal.
                    out.insert(project.components().collect());
                }
                _ => {}
            }
        }
    }
    out
}

/// A pinned line of a requirements file, in the form that uv writes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub version: String,
    /// The hashes.
    pub hashes: BTreeSet<Digest>,
    /// The normalised projects that require it, according to the annotations. Files are left out.
    pub via: BTreeSet<String>,
}

/// Returns the pins of a requirements file by normalised project. If a project has several pins
/// (under different markers), the result has all hashes and the version of the last pin.
pub fn pins(text: &str) -> BTreeMap<String, Pin> {
    let mut out: BTreeMap<String, Pin> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        let trimmed = line.trim().trim_end_matches('\\').trim();
        if let Some(comment) = trimmed.strip_prefix('#') {
            let comment = comment.trim();
            let by = comment.strip_prefix("via").map_or(comment, str::trim);
            if let Some(pin) = current.as_ref().and_then(|name| out.get_mut(name))
                && line.starts_with(char::is_whitespace)
                && !by.is_empty()
                && !by.contains(' ')
            {
                pin.via.insert(normalize(by.split('[').next().unwrap_or(by)));
            }
            continue;
        }
        let is_option = trimmed.starts_with("--");
        if !is_option && let Some((name, rest)) = trimmed.split_once("==") {
            let name = normalize(name.split('[').next().unwrap_or(name).trim());
            let version =
                rest.trim_start_matches(['=', ' ']).split([' ', ';', '\\']).next().unwrap_or("");
            out.entry(name.clone()).or_default().version = version.to_owned();
            current = Some(name);
        }
        if let Some(pin) = current.as_ref().and_then(|name| out.get_mut(name)) {
            pin.hashes.extend(
                trimmed
                    .split_whitespace()
                    .filter_map(|w| w.strip_prefix("--hash=sha256:"))
                    .filter_map(|h| h.parse::<Digest>().ok()),
            );
        }
    }
    out
}

#[derive(Deserialize)]
struct Pylock {
    #[serde(default)]
    packages: Vec<PylockPackage>,
}

#[derive(Deserialize)]
struct PylockPackage {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    wheels: Vec<PylockFile>,
    sdist: Option<PylockFile>,
    directory: Option<toml::Value>,
    vcs: Option<toml::Value>,
    archive: Option<toml::Value>,
}

/// A file entry of a `pylock.toml`.
#[derive(Deserialize, Debug, Clone)]
pub struct PylockFile {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl PylockFile {
    /// Returns its file name: the declared name, or otherwise the last part of its location.
    pub fn file_name(&self) -> Option<String> {
        let from = |text: &str| {
            text.split(['?', '#'])
                .next()?
                .rsplit('/')
                .next()
                .map(|n| n.replace("%2B", "+").replace("%2b", "+"))
        };
        self.name.clone().or_else(|| from(self.url.as_deref().or(self.path.as_deref())?))
    }

    /// Returns its digest, if the entry states it.
    pub fn sha256(&self) -> Option<Digest> {
        self.hashes.get("sha256").and_then(|h| h.parse().ok())
    }

    /// Returns its length in bytes, if the entry states it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

/// A package entry of a `pylock.toml`.
#[derive(Debug, Clone)]
pub struct PylockEntry {
    /// Its normalised name.
    pub name: String,
    /// Its version. A package without a version comes from a directory or a repository.
    pub version: Option<String>,
    /// The marker that states when it is needed.
    pub marker: Option<String>,
    /// Its wheels.
    pub wheels: Vec<PylockFile>,
    /// Its source distribution.
    pub sdist: Option<PylockFile>,
    /// Whether it is a directory. What it requires has entries of its own.
    pub is_directory: bool,
    /// Why it is no release of an index.
    pub refusal: Option<Refusal>,
}

/// Parses a `pylock.toml`. Messages call it `file`.
///
/// # Errors
/// If the text is not a valid `pylock.toml`.
pub fn pylock(text: &str, file: &str) -> Result<Vec<PylockEntry>> {
    let lock: Pylock = toml::from_str(text).map_err(|e| {
        let mut problems = Problems::new(file, text);
        problems.add_syntax([e]);
        problems
            .lines()
            .into_iter()
            .fold(Error::user(format!("{file} is no pylock.toml")), Error::because)
    })?;
    let entry = |p: PylockPackage| PylockEntry {
        name: normalize(&p.name),
        version: p.version,
        marker: p.marker,
        wheels: p.wheels,
        sdist: p.sdist,
        is_directory: p.directory.is_some(),
        refusal: match (p.vcs, p.archive) {
            (Some(_), _) => Some(Refusal::Repository),
            (_, Some(_)) => Some(Refusal::Archive),
            _ => None,
        },
    };
    Ok(lock.packages.into_iter().map(entry).collect())
}

/// Converts the entries of a `pylock.toml` to a list of pinned requirements with hashes.
pub fn requirements_of(entries: &[PylockEntry]) -> String {
    let mut out = String::new();
    for entry in entries.iter().filter(|entry| !entry.is_directory) {
        let Some(version) = &entry.version else { continue };
        out.push_str(&format!("{}=={version}", entry.name));
        if let Some(marker) = &entry.marker {
            out.push_str(&format!(" ; {marker}"));
        }
        for hash in entry.wheels.iter().chain(&entry.sdist).filter_map(PylockFile::sha256) {
            out.push_str(&format!(" \\\n    --hash=sha256:{hash}"));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_with_hashes_and_reasons() {
        let hash = "a".repeat(64);
        let text = format!(
            "# made by\nclick == 8.1 \\\n    --hash=sha256:{hash}\n    # via\n    #   celery[redis]\n    #   -r requirements.in\nFlask[async]==3.0 ; python_version < '4'\n    # via app\n"
        );
        let found = pins(&text);
        assert_eq!((found["click"].version.as_str(), found["click"].hashes.len()), ("8.1", 1));
        assert_eq!(found["click"].via.iter().collect::<Vec<_>>(), ["celery"]);
        assert_eq!((found["flask"].version.as_str(), found["flask"].via.len()), ("3.0", 1));
    }
}

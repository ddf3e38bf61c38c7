//! What a `pyproject.toml` states about its requirements without running any code. Source: the
//! "Declaring project metadata" and "RequiresDist Groups" specifications of PyPA, and uv's
//! documentation of `tool.uv.sources`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::dependency::RequiresDist;
use super::requirement_lines::{Line, NamedFile, requirement};
use super::tool_uv::{NamedIndex, Uv};
use crate::error::{Error, Place, Result};
use crate::fetch::read_list;
use crate::manifest::Problems;
use crate::model::{normalize_project as normalize, redact};

/// The keys of `tool.uv.sources` that name no release of an index.
pub const ELSEWHERE: &[&str] = &["git", "url", "path", "workspace"];

/// Those keys, and the one that names another index. Outside of its file, a requirement would lose
/// that index.
pub const ANYWHERE: &[&str] = &["git", "url", "path", "workspace", "index"];

/// The name of the file.
pub const FILE: &str = "pyproject.toml";

#[derive(Deserialize, Default)]
struct Document {
    project: Option<Spanned<Project>>,
    #[serde(default, rename = "dependency-groups")]
    groups: BTreeMap<String, Vec<Spanned<toml::Value>>>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize)]
struct Project {
    name: Option<Spanned<String>>,
    #[serde(rename = "requires-python")]
    requires_python: Option<Spanned<String>>,
    #[serde(default)]
    dynamic: Vec<Spanned<String>>,
    dependencies: Option<Vec<Spanned<String>>>,
    #[serde(default, rename = "optional-dependencies")]
    extras: BTreeMap<String, Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
struct Tool {
    poetry: Option<toml::Value>,
    #[serde(default)]
    uv: Uv,
}

/// A `pyproject.toml`.
pub struct PyProject {
    file: String,
    text: String,
    document: Document,
}

/// A requirement as it stands in the file, with its place.
#[derive(Clone)]
pub struct Required {
    /// The requirement in the form of PEP 508.
    pub text: String,
    place: Place,
}

impl PyProject {
    /// Reads the file of a directory. Messages call it `file`.
    ///
    /// # Errors
    /// If it cannot be read, or if it is not a valid `pyproject.toml`.
    pub fn read(path: &Path, file: &str) -> Result<Self> {
        let text = read_list(path).map_err(|e| Error::unreadable(Path::new(file), e))?;
        let document = toml::from_str(&text).map_err(|e| {
            let mut problems = Problems::new(file, &text);
            problems.add_syntax([e]);
            problems.check().err().unwrap_or_else(|| Error::user(format!("can't read {file}")))
        })?;
        Ok(PyProject { file: file.to_owned(), text, document })
    }

    fn place(&self, offset: usize) -> Place {
        Problems::new(&self.file, &self.text).place(offset)
    }

    /// Returns why the requirements are not stated in the file, with the place. A build backend
    /// would have to run to learn them.
    pub fn is_dynamic(&self) -> Option<(String, Place)> {
        let Some(table) = &self.document.project else {
            return Some(("there is no table [project]".to_owned(), self.place(0)));
        };
        let (project, at) = (table.get_ref(), table.span().start);
        let keys = ["dependencies", "optional-dependencies"];
        let dynamic = project.dynamic.iter().find(|d| keys.contains(&d.get_ref().as_str()));
        if let Some(key) = dynamic {
            let why = format!("{:?} is one of `dynamic`", key.get_ref());
            return Some((why, self.place(key.span().start)));
        }
        if project.name.is_none() {
            return Some(("[project] has no name".to_owned(), self.place(at)));
        }
        if project.dependencies.is_none() && self.document.tool.poetry.is_some() {
            let why = "[tool.poetry] may state dependencies, and [project] states none";
            return Some((why.to_owned(), self.place(at)));
        }
        None
    }

    /// Returns the name of the project that is not `name`, with its place.
    pub fn other_name(&self, name: &str) -> Option<(&str, Place)> {
        let own = self.document.project.as_ref()?.get_ref().name.as_ref()?;
        let differs = normalize(own.get_ref()) != normalize(name);
        differs.then(|| (own.get_ref().as_str(), self.place(own.span().start)))
    }

    /// Returns the versions of Python for which the project is made.
    pub fn requires_python(&self) -> Option<(&str, Place)> {
        let stated = self.document.project.as_ref()?.get_ref().requires_python.as_ref()?;
        Some((stated.get_ref(), self.place(stated.span().start)))
    }

    /// Checks that `[tool.uv]` has no key that changes a resolution and that this program does not
    /// read. `indexes` are the addresses of those in use.
    ///
    /// # Errors
    /// If it has one, or if it names an index for all packages that is not in use.
    pub fn check_uv_keys(&self, indexes: &[String]) -> Result<()> {
        let refused = |key: &str, at: usize| {
            Error::user(format!("[tool.uv] in {} has the key {key:?}", self.file))
                .located(self.place(at))
        };
        for (key, value, hint) in self.document.tool.uv.unread() {
            let Some(value) = value.as_ref().filter(|value| !is_idle(value.get_ref())) else {
                continue;
            };
            return Err(refused(key, value.span().start)
                .because("expected of the keys that change a resolution only `constraint-dependencies`, `override-dependencies` and `sources`")
                .because("the set would not be the one that this key asks for")
                .hint(hint));
        }
        let in_use = |url: &str| {
            let plain = |url: &str| redact(url.trim()).trim_end_matches('/').to_owned();
            indexes.iter().any(|index| plain(index) == plain(url))
        };
        for (key, url, at) in self.general_indexes() {
            if in_use(url) {
                continue;
            }
            return Err(refused(key, at)
                .because(format!(
                    "expected an index in use ({}), got {}",
                    indexes.iter().map(|index| redact(index)).collect::<Vec<_>>().join(", "),
                    redact(url)
                ))
                .because("packages that it has would come from another index")
                .hint("name it by `[mirrors] python` in the manifest, or by COTTER_MIRROR_PYTHON; an index for the packages that `sources` names has `explicit = true`"));
        }
        Ok(())
    }

    /// Returns the indexes from which uv would take any package, each with the key that names it and
    /// the offset in the file.
    fn general_indexes(&self) -> Vec<(&'static str, &str, usize)> {
        let uv = &self.document.tool.uv;
        let tables = uv.indexes.iter().filter(|index| !index.explicit);
        let mut out: Vec<_> = tables
            .map(|index| ("index", index.url.get_ref().as_str(), index.url.span().start))
            .collect();
        for (key, value) in [("index-url", &uv.index_url), ("extra-index-url", &uv.extra_index_url)]
        {
            let Some(value) = value else { continue };
            let urls = several(value.get_ref()).iter().filter_map(toml::Value::as_str);
            out.extend(urls.map(|url| (key, url, value.span().start)));
        }
        out
    }

    /// Returns the versions of uv for which the project is made.
    pub fn required_uv(&self) -> Option<(&str, Place)> {
        let stated = self.document.tool.uv.required_version.as_ref()?;
        Some((stated.get_ref(), self.place(stated.span().start)))
    }

    /// Returns the versions of Python for which dependency groups are made, those of included groups
    /// among them: each with the name of the group.
    pub fn groups_require_python(&self, groups: &[String]) -> Vec<(&str, &str, Place)> {
        let wanted = self.with_included(groups);
        let settings = self.document.tool.uv.groups.iter();
        settings
            .filter(|(name, _)| wanted.contains(&normalize(name)))
            .filter_map(|(name, group)| {
                let stated = group.requires_python.as_ref()?;
                let place = self.place(stated.span().start);
                Some((name.as_str(), stated.get_ref().as_str(), place))
            })
            .collect()
    }

    /// Returns the constraints and the overrides in `[tool.uv]`, in this order.
    ///
    /// # Errors
    /// If one of them is no release of an index.
    pub fn constraints_and_overrides(&self) -> Result<[Vec<RequiresDist>; 2]> {
        let uv = &self.document.tool.uv;
        let read = |list: &[Spanned<String>]| -> Result<Vec<RequiresDist>> {
            let required: Vec<Required> = list
                .iter()
                .map(|item| Required {
                    text: item.get_ref().clone(),
                    place: self.place(item.span().start),
                })
                .collect();
            self.check(&required, ELSEWHERE)?;
            required.iter().map(|required| self.parsed(required)).collect()
        };
        Ok([read(&uv.constraints)?, read(&uv.overrides)?])
    }

    /// Parses a requirement of the file.
    fn parsed(&self, required: &Required) -> Result<RequiresDist> {
        required.text.parse().map_err(|why: String| {
            Error::user(format!("{:?} is no requirement", required.text))
                .located(required.place.clone())
                .because(why)
        })
    }

    /// Returns the requirements of the project, each with the extra that it belongs to, as they
    /// stand in the file.
    ///
    /// # Errors
    /// If one of them is no requirement.
    pub fn stated(&self) -> Result<Vec<(Option<String>, RequiresDist, Place)>> {
        let Some(table) = &self.document.project else { return Ok(vec![]) };
        let project = table.get_ref();
        let plain = project.dependencies.iter().flatten().map(|item| (None, item));
        let of_extras = project
            .extras
            .iter()
            .flat_map(|(extra, list)| list.iter().map(move |item| (Some(normalize(extra)), item)));
        plain
            .chain(of_extras)
            .map(|(extra, item)| {
                let place = self.place(item.span().start);
                let text = item.get_ref().clone();
                let required = Required { text, place: place.clone() };
                Ok((extra, self.parsed(&required)?, place))
            })
            .collect()
    }

    /// Returns the requirements of each dependency group, those of included groups among them.
    ///
    /// # Errors
    /// If one of them is no requirement.
    pub fn stated_of_groups(&self) -> Result<BTreeMap<String, Vec<(RequiresDist, Place)>>> {
        let mut out = BTreeMap::new();
        // The group `dev` has a second place, which is older than groups.
        let is_split = |name: &str| name == "dev" && self.document.tool.uv.old_dev_group.is_some();
        for name in self.document.groups.keys().filter(|name| !is_split(name)) {
            let list = self.group_requirements(std::slice::from_ref(name));
            let parsed = list.iter().map(|r| Ok((self.parsed(r)?, r.place.clone())));
            out.insert(normalize(name), parsed.collect::<Result<Vec<_>>>()?);
        }
        Ok(out)
    }

    /// Returns the normalised name of the project.
    pub fn name(&self) -> Option<String> {
        self.document
            .project
            .as_ref()?
            .get_ref()
            .name
            .as_ref()
            .map(|name| normalize(name.get_ref()))
    }

    /// Whether `tool.uv.sources` names where a package comes from.
    pub fn has_source(&self, project: &str) -> bool {
        self.document.tool.uv.sources.keys().any(|name| normalize(name.get_ref()) == project)
    }

    /// Returns the place of the table `[project]`, or the beginning of the file.
    pub fn project_place(&self) -> Place {
        self.place(self.document.project.as_ref().map_or(0, |table| table.span().start))
    }

    /// Whether the project has an extra.
    pub fn has_extra(&self, extra: &str) -> bool {
        let project = self.document.project.as_ref().map(Spanned::get_ref);
        project.is_some_and(|p| p.extras.keys().any(|name| normalize(name) == normalize(extra)))
    }

    /// Returns the requirements of the project with extras.
    ///
    /// # Errors
    /// If it has no such extra.
    pub fn requirements(&self, extras: &[String]) -> Result<Vec<Required>> {
        let Some(table) = &self.document.project else { return Ok(vec![]) };
        let project = table.get_ref();
        let own = project.name.as_ref().map(|name| normalize(name.get_ref())).unwrap_or_default();
        let mut out = vec![];
        let mut todo: Vec<String> = extras.iter().map(|e| normalize(e)).collect();
        let mut done = BTreeSet::new();
        let mut add = |list: &[Spanned<String>], todo: &mut Vec<String>| {
            for item in list {
                let text = item.get_ref().trim();
                // A project may name itself to include one of its extras in another.
                let name = text.split(['[', ';', ' ']).next().unwrap_or(text);
                if normalize(name) == own && text.contains('[') && !text.contains(';') {
                    let list = text.split(['[', ']']).nth(1).unwrap_or_default();
                    todo.extend(list.split(',').map(|e| normalize(e.trim())));
                } else {
                    out.push(Required {
                        text: text.to_owned(),
                        place: self.place(item.span().start),
                    });
                }
            }
        };
        add(project.dependencies.as_deref().unwrap_or_default(), &mut todo);
        while let Some(extra) = todo.pop() {
            if !done.insert(extra.clone()) {
                continue;
            }
            let found = project.extras.iter().find(|(name, _)| normalize(name) == extra);
            let Some((_, list)) = found else {
                let known: Vec<&str> = project.extras.keys().map(String::as_str).collect();
                return Err(Error::user(format!("{} has no extra {extra:?}", self.file))
                    .located(self.place(table.span().start))
                    .hint(match known.as_slice() {
                        [] => "it has no extras: leave them out".to_owned(),
                        known => format!("it has {}", known.join(", ")),
                    }));
            };
            add(list, &mut todo);
        }
        Ok(out)
    }

    /// Returns the normalised names of dependency groups, and of those that they include.
    fn with_included(&self, groups: &[String]) -> BTreeSet<String> {
        let mut todo: Vec<String> = groups.iter().map(|g| normalize(g)).collect();
        let mut done = BTreeSet::new();
        while let Some(group) = todo.pop() {
            if !done.insert(group.clone()) {
                continue;
            }
            let found = self.document.groups.iter().filter(|(name, _)| normalize(name) == group);
            let included = found.flat_map(|(_, list)| list).filter_map(|item| {
                item.get_ref().get("include-group").and_then(toml::Value::as_str)
            });
            todo.extend(included.map(normalize));
        }
        done
    }

    /// Returns the requirements of dependency groups. Groups that do not exist are left out: uv
    /// reports them.
    pub fn group_requirements(&self, groups: &[String]) -> Vec<Required> {
        let wanted = self.with_included(groups);
        let named =
            self.document.groups.iter().filter(|(name, _)| wanted.contains(&normalize(name)));
        named
            .flat_map(|(_, list)| list)
            .filter_map(|item| {
                let text = item.get_ref().as_str()?.to_owned();
                Some(Required { text, place: self.place(item.span().start) })
            })
            .collect()
    }

    /// Whether it is the root of a workspace, whose sources count for other projects, too.
    pub fn is_workspace(&self) -> bool {
        self.document.tool.uv.workspace.is_some()
    }

    /// Returns the indexes from which `tool.uv.sources` takes packages: uv asks them.
    pub fn indexes(&self) -> Vec<(&str, Place)> {
        let uv = &self.document.tool.uv;
        let named: BTreeSet<&str> = uv
            .sources
            .values()
            .flat_map(several)
            .filter_map(|source| source.get("index")?.as_str())
            .collect();
        let is_named =
            |index: &&NamedIndex| index.name.as_deref().is_some_and(|n| named.contains(n));
        let of = |index: &'_ NamedIndex| self.place(index.url.span().start);
        uv.indexes.iter().filter(is_named).map(|i| (i.url.get_ref().as_str(), of(i))).collect()
    }

    /// Returns the file that a requirement names directly or by `tool.uv.sources`, with its place. Its
    /// path is relative to the directory of the project.
    pub fn file_of(&self, required: &Required) -> Option<(NamedFile, Place)> {
        if let Line::File(file) = requirement(&required.text) {
            return Some((file, required.place.clone()));
        }
        let asked: RequiresDist = required.text.parse().ok()?;
        let mut sources = self.document.tool.uv.sources.iter();
        let (name, source) = sources.find(|(name, _)| normalize(name.get_ref()) == asked.name)?;
        let Line::File(file) = named_by_source(name.get_ref(), source)? else { return None };
        let extras = asked.extras.into_iter().collect();
        Some((NamedFile { extras, ..file }, self.place(name.span().start)))
    }

    /// Returns the requirements that name no file.
    pub fn without_files(&self, required: &[Required]) -> Vec<Required> {
        let plain = required.iter().filter(|required| self.file_of(required).is_none());
        plain.cloned().collect()
    }

    /// Checks that requirements are releases of an index. `elsewhere` are the keys of
    /// `tool.uv.sources` that are refused.
    ///
    /// # Errors
    /// If one of them names a directory, an archive, an address or a repository, directly or by
    /// `tool.uv.sources`.
    pub fn check(&self, required: &[Required], elsewhere: &[&str]) -> Result<()> {
        for Required { text, place } in required {
            let (what, why, hint) = match requirement(text) {
                Line::Refused(refusal) => (refusal.what(), refusal.why(), refusal.hint()),
                Line::File(_) => (
                    "a file in place of a release",
                    "here, a file stands for no release",
                    "name it in a list (requirements.in) among the `inputs`, and the project alone here",
                ),
                Line::Directory(_) => (
                    "a directory in place of a release",
                    "a lock names files of an index by hash",
                    "name a release, or name what the directory requires",
                ),
                _ => continue,
            };
            return Err(Error::user(format!("{} names {what}", self.file))
                .located(place.clone())
                .because(format!(
                    "expected a release such as \"click==8.1.7\", got {:?}",
                    redact(text)
                ))
                .because(why)
                .hint(hint));
        }
        for (name, source) in &self.document.tool.uv.sources {
            let is_used = |r: &Required| {
                let end = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-');
                let used = r.text.trim().split(end).next().unwrap_or_default();
                normalize(used) == normalize(name.get_ref())
            };
            let kind = several(source)
                .iter()
                .find_map(|source| elsewhere.iter().find(|kind| source.get(kind).is_some()));
            let Some(kind) = kind.filter(|_| required.iter().any(is_used)) else { continue };
            return Err(Error::user(format!(
                "{} takes {} from elsewhere than the index in use",
                self.file,
                name.get_ref()
            ))
            .located(self.place(name.span().start))
            .because(format!("[tool.uv.sources] names its `{kind}`"))
            .because("a lock names files of the index in use by hash")
            .hint("take it from that index, or name what it requires in its place"));
        }
        Ok(())
    }
}

/// Returns what a table of `tool.uv.sources` with an address or a path asks for.
pub(super) fn named_by_source(name: &str, source: &toml::Value) -> Option<Line> {
    let table = source.as_table()?;
    let keys: Vec<&str> = table.keys().map(String::as_str).collect();
    let (["url"] | ["path"]) = keys.as_slice() else { return None };
    let target = table[keys[0]].as_str()?;
    let is_plain = keys[0] == "url" || target.starts_with(['.', '/']);
    Some(requirement(&format!("{name} @ {}{target}", if is_plain { "" } else { "./" })))
}

/// Returns the sources of one package: there may be several, under different markers.
fn several(source: &toml::Value) -> &[toml::Value] {
    source.as_array().map_or(std::slice::from_ref(source), Vec::as_slice)
}

/// Whether a value is what uv takes if the key is missing.
fn is_idle(value: &toml::Value) -> bool {
    let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
    let is_empty_table = value.as_table().is_some_and(toml::Table::is_empty);
    let defaults = ["first-index", "requires-python"];
    let is_default = value.as_str().is_some_and(|text| defaults.contains(&text));
    value.as_bool() == Some(false) || is_empty_list || is_empty_table || is_default
}

//! The tables `[requirements.<name>]`, each of which defines a set of Python packages.

use std::collections::BTreeMap;

use super::{FILE_NAME, Fields, PatternPlaces, Problems, Spanned, patterns, read_platforms};
use crate::error::Place;
use crate::model::{MemberPath, Platform, ToolchainName, normalize_project};

/// The maximum length of the names of a set and an interpreter together. With this limit, the names
/// of their trees are valid names too.
const MOST_OF_NAMES: usize = 57;

/// One `[requirements.<name>]` table.
#[derive(Debug)]
pub struct Requirements {
    /// The name of the set.
    pub name: ToolchainName,
    /// The place where its table begins.
    pub place: Place,
    /// The places of its patterns, of the names in `build`, and of the key `output`.
    pub pattern_places: PatternPlaces,
    /// The places where the files of requirements and constraints are named, by name.
    pub places: BTreeMap<String, Place>,
    /// The interpreters for which the set is made: toolchains of kind `python`.
    pub python: Vec<Spanned<ToolchainName>>,
    /// The files that state what is required, relative to the manifest.
    pub inputs: Vec<Spanned<String>>,
    /// The directories whose modules are imported from where they are, relative to the manifest.
    pub editable: Vec<Spanned<String>>,
    /// Files of constraints, relative to the manifest.
    pub constraints: Vec<Spanned<String>>,
    /// The extras of a `pyproject.toml` among the inputs.
    pub extras: Vec<String>,
    /// The dependency groups (PEP 735) of a `pyproject.toml` next to the manifest.
    pub groups: Vec<String>,
    /// The platforms for which it is locked, sorted.
    pub platforms: Vec<Platform>,
    /// Packages that were published later are not considered. The value is a date, or a time in RFC
    /// 3339 format.
    pub exclude_newer: Option<String>,
    /// The packages that may be built from source. `*` means all packages.
    pub build: Vec<String>,
    /// The packages that their builds import, such as `setuptools<60`. The default is setuptools
    /// and wheel.
    pub build_requires: Vec<String>,
    /// The toolchains that are on the PATH of builds, such as the compiler.
    pub build_tools: Vec<Spanned<ToolchainName>>,
    /// The library toolchains whose libraries its packages find.
    pub libraries: Vec<Spanned<ToolchainName>>,
    /// Patterns of paths to leave out.
    pub prune: Vec<String>,
    /// The file of hashed requirements to write, relative to the manifest.
    pub output: Option<MemberPath>,
    /// The toolchain that provides uv.
    pub uv: Spanned<ToolchainName>,
    /// Whether cotter itself writes the file of its inputs, outside of the project.
    pub is_generated: bool,
}

impl Requirements {
    pub(super) fn read(
        name: ToolchainName,
        mut fields: Fields,
        platforms: &[Platform],
        problems: &mut Problems,
    ) -> Option<Self> {
        let span = fields.span();
        let names = |key: &str,
                     fields: &mut Fields,
                     problems: &mut Problems|
         -> Vec<Spanned<ToolchainName>> {
            let list = fields.string_list(key, problems).unwrap_or_default();
            let parse = |item: Spanned<String>| match item.value.parse() {
                Ok(value) => Some(Spanned { value, span: item.span }),
                Err(why) => {
                    problems.add(item.span, why);
                    None
                }
            };
            list.into_iter().filter_map(parse).collect()
        };
        let mut python = names("python", &mut fields, problems);
        if python.is_empty() {
            python.push(Spanned { value: "python".parse().expect("a name"), span: span.clone() });
        }
        for python in &python {
            if name.as_str().len() + python.value.as_str().len() > MOST_OF_NAMES {
                problems
                    .add(span.clone(), format!("the names of [requirements.{name}] and {} make more than {MOST_OF_NAMES} characters together", python.value));
                return None;
            }
        }
        let build_tools = names("build_tools", &mut fields, problems);
        let libraries = names("libraries", &mut fields, problems);
        let inputs = fields.string_list("inputs", problems).unwrap_or_default();
        let uv = match fields.string("uv", problems) {
            Some(uv) => match uv.value.parse() {
                Ok(value) => Spanned { value, span: uv.span },
                Err(why) => {
                    problems.add(uv.span, why);
                    return None;
                }
            },
            None => Spanned { value: "uv".parse().expect("a name"), span: span.clone() },
        };
        let constraints = fields.string_list("constraints", problems).unwrap_or_default();
        let editable = fields.string_list("editable", problems).unwrap_or_default();
        for directory in
            editable.iter().filter(|d| d.value.starts_with('/') || d.value.contains(['\n', ':']))
        {
            problems.add(
                directory.span.clone(),
                format!(
                    "expected a directory relative to the manifest, such as \".\", got {:?}",
                    directory.value
                ),
            );
        }
        for (key, files) in [("inputs", &inputs), ("constraints", &constraints)] {
            for file in files {
                if let Some(why) = unreadable_kind(&file.value, key == "constraints") {
                    problems.add(file.span.clone(), why);
                }
            }
        }
        let places = inputs
            .iter()
            .chain(&constraints)
            .chain(&editable)
            .map(|f| (f.value.clone(), problems.place(f.span.start)))
            .collect();
        // uv takes extras from the files that declare them, and lock files declare none.
        if fields.has("extras")
            && !inputs.iter().any(|f| declares_extras(&f.value))
            && !inputs.is_empty()
        {
            problems.add(
                fields.key_span("extras"),
                format!(
                    "`extras` are those of a pyproject.toml, and none is among the inputs: add \"{}\" to them",
                    beside(&inputs[0].value, "pyproject.toml")
                ),
            );
        }
        let mut list = |key: &str, fields: &mut Fields| -> Vec<String> {
            fields
                .string_list(key, problems)
                .unwrap_or_default()
                .into_iter()
                .map(|s| s.value)
                .collect()
        };
        let extras = list("extras", &mut fields);
        let groups = list("groups", &mut fields);
        let build_requires = if fields.has("build_requires") {
            list("build_requires", &mut fields)
        } else {
            ["setuptools", "wheel"].map(str::to_owned).into()
        };
        let mut pattern_places = patterns::Places::new();
        let mut build = vec![];
        for item in fields.string_list("build", problems).unwrap_or_default() {
            let any = item.value == "*";
            let name = if any { item.value } else { normalize_project(&item.value) };
            pattern_places.insert(("build", name.clone()), problems.place(item.span.start));
            build.push(name);
        }
        let prune = patterns::read("prune", &mut fields, &mut pattern_places, problems);
        let platforms = read_platforms(&mut fields, problems).unwrap_or_else(|| platforms.to_vec());
        let exclude_newer = fields.string("exclude_newer", problems).and_then(|s| {
            let ok = s.value.parse::<jiff::Timestamp>().is_ok()
                || s.value.parse::<jiff::civil::Date>().is_ok();
            if !ok {
                problems.add(
                    s.span,
                    format!(
                        "expected a date such as \"2026-01-31\" or a time as RFC 3339, got {:?}",
                        s.value
                    ),
                );
            }
            ok.then_some(s.value)
        });
        let output = fields.string("output", problems).and_then(|output| {
            pattern_places.insert(("output", String::new()), problems.place(output.span.start));
            let name = output.value.as_str();
            let path = MemberPath::parse(name.as_bytes()).ok().flatten();
            let is_file = |path: &MemberPath| {
                !name.ends_with('/') && ![FILE_NAME, "toolchains.lock"].contains(&path.as_str())
            };
            let path = path.filter(is_file);
            if path.as_ref().is_some_and(MemberPath::is_in_git) {
                problems.add(
                    output.span.clone(),
                    format!("expected a file outside of .git, got {name:?}"),
                );
            } else if path.is_none() {
                problems.add(
                    output.span.clone(),
                    format!(
                        "expected a file of its own below the manifest's directory, got {name:?}"
                    ),
                );
            }
            path
        });
        if inputs.is_empty() && groups.is_empty() {
            problems.add(span, format!("[requirements.{name}] names neither inputs nor groups: say inputs = [\"requirements.in\"]"));
        }
        let place = problems.place(fields.span().start);
        fields.finish(problems);
        Some(Requirements {
            name,
            place,
            pattern_places,
            places,
            python,
            inputs,
            editable,
            constraints,
            extras,
            groups,
            platforms,
            exclude_newer,
            build,
            build_requires,
            build_tools,
            libraries,
            prune,
            output,
            uv,
            is_generated: false,
        })
    }

    /// Returns the set of packages that the builds of `set` import. It is resolved from `file`, and
    /// contains only wheels.
    pub fn of_builds(set: &Requirements, file: &str) -> Requirements {
        Requirements {
            name: set.name.clone(),
            place: set.place.clone(),
            pattern_places: PatternPlaces::new(),
            places: BTreeMap::new(),
            python: set.python.clone(),
            inputs: vec![Spanned { value: file.to_owned(), span: 0..0 }],
            editable: vec![],
            constraints: vec![],
            extras: vec![],
            groups: vec![],
            platforms: set.platforms.clone(),
            exclude_newer: set.exclude_newer.clone(),
            build: vec![],
            build_requires: vec![],
            build_tools: vec![],
            libraries: vec![],
            prune: vec![],
            output: None,
            uv: set.uv.clone(),
            is_generated: true,
        }
    }

    /// Returns the place of a key of its table, or otherwise the place of the table.
    pub fn place_of(&self, key: &'static str) -> Place {
        self.pattern_places.get(&(key, String::new())).unwrap_or(&self.place).clone()
    }

    /// Returns the place where the manifest states what is required: the place of the file name if
    /// there is only one file, or otherwise the place of the table.
    pub fn inputs_place(&self) -> &Place {
        match self.inputs.as_slice() {
            [one] => self.places.get(&one.value).unwrap_or(&self.place),
            _ => &self.place,
        }
    }

    /// Returns the name of the trees for an interpreter: the name of the set if there is only one
    /// interpreter.
    pub fn tree_name(&self, python: &ToolchainName) -> ToolchainName {
        if self.python.len() == 1 { self.name.clone() } else { self.name.extended(python.as_str()) }
    }

    /// Returns the name of the tree of the packages that the builds of `tree` import.
    pub fn builds_name(tree: &ToolchainName) -> ToolchainName {
        tree.extended("build")
    }

    /// Returns the file of hashed requirements for an interpreter, relative to the manifest.
    pub fn output(&self, python: &ToolchainName) -> MemberPath {
        match &self.output {
            None => MemberPath::literal(&format!("requirements-{}.txt", self.tree_name(python))),
            Some(file) if self.python.len() == 1 => file.clone(),
            Some(file) => {
                let (stem, ending) =
                    file.file_name().rsplit_once('.').unwrap_or((file.file_name(), "txt"));
                file.with_file_name(&format!("{stem}-{python}.{ending}"))
            }
        }
    }
}

/// Returns the last component of a path that the manifest names.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the path of a file in the same directory as another file.
fn beside(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((dir, _)) => format!("{dir}/{name}"),
        None => name.to_owned(),
    }
}

/// Whether a file may declare extras. Requirement lists and lock files may not.
fn declares_extras(path: &str) -> bool {
    matches!(file_name(path), "pyproject.toml" | "setup.py" | "setup.cfg")
}

/// Returns the reason why a file, judged by its name, is of a kind that cannot be read.
fn unreadable_kind(path: &str, constraints: bool) -> Option<String> {
    let name = file_name(path);
    let lower = name.to_ascii_lowercase();
    let way_out = match lower.as_str() {
        "pipfile" | "pipfile.lock" => "`pipenv requirements > requirements.txt` makes a list of it",
        "poetry.lock" => "name the pyproject.toml beside it, or a list that `poetry export` makes",
        "pdm.lock" => "name the pyproject.toml beside it, or a list that `pdm export` makes",
        "environment.yml" | "environment.yaml" | "conda-lock.yml" | "pixi.toml" | "pixi.lock" => {
            "packages of conda are no packages of an index: name what you need of one in a list"
        }
        _ if name.is_empty() => "a directory is none",
        "uv.lock" if !constraints => return None,
        _ if lower.ends_with(".lock") => "it is a lock of an unknown tool",
        _ if [".toml", ".yml", ".yaml", ".json", ".whl", ".gz", ".zip", ".cfg", ".py"]
            .iter()
            .any(|e| lower.ends_with(e)) =>
        {
            let known =
                declares_extras(name) || (lower.starts_with("pylock.") && lower.ends_with(".toml"));
            if known && !constraints {
                return None;
            }
            "it has another form"
        }
        _ => return None,
    };
    let expected = if constraints {
        "a list of requirements (constraints.txt)"
    } else {
        "a list of requirements (requirements.in, requirements.txt), pyproject.toml, setup.cfg, setup.py, pylock.toml or uv.lock"
    };
    Some(format!("expected {expected}, got {path:?}: {way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files_are_known_by_name() {
        for good in [
            "requirements.in",
            "dir/requirements.txt",
            "pyproject.toml",
            "a/setup.cfg",
            "setup.py",
            "pylock.toml",
            "pylock.dev.toml",
            "locked/uv.lock",
            "requirements",
            "needs.pip",
        ] {
            assert_eq!(unreadable_kind(good, false), None, "{good}");
        }
        for bad in [
            "Pipfile",
            "x/Pipfile.lock",
            "poetry.lock",
            "environment.yml",
            "other.lock",
            "config.toml",
            "package.json",
            "a-1-py3-none-any.whl",
            "dir/",
            "",
        ] {
            assert!(unreadable_kind(bad, false).is_some(), "{bad}");
        }
        assert_eq!(unreadable_kind("constraints.txt", true), None);
        assert!(unreadable_kind("pyproject.toml", true).is_some());
    }

    /// A lock that somebody edited may have a name of the greatest length.
    #[test]
    fn the_longest_name_has_a_name_for_its_builds() {
        let longest: ToolchainName = "n".repeat(64).parse().unwrap();
        let builds = Requirements::builds_name(&longest);
        assert_eq!(builds.as_str(), format!("{longest}-build"));
    }
}

//! The tables `[requirements.<name>]`: sets of Python packages.

use super::{Fields, Problems, Spanned, read_platforms};
use crate::model::{Platform, ToolchainName};

/// How long the names of a set and an interpreter may be together, so that those of their trees are names, too.
const MOST_OF_NAMES: usize = 57;

/// One `[requirements.<name>]` table.
#[derive(Debug)]
pub struct Requirements {
    /// Its name.
    pub name: ToolchainName,
    /// The interpreters that it is for: toolchains of kind `python`.
    pub python: Vec<Spanned<ToolchainName>>,
    /// The files that say what is required, relative to the manifest.
    pub inputs: Vec<Spanned<String>>,
    /// Files of constraints, relative to the manifest.
    pub constraints: Vec<Spanned<String>>,
    /// Extras of a `pyproject.toml` among the inputs.
    pub extras: Vec<String>,
    /// Dependency groups (PEP 735) of a `pyproject.toml` beside the manifest.
    pub groups: Vec<String>,
    /// The platforms it is locked for, sorted.
    pub platforms: Vec<Platform>,
    /// Nothing that was published later is considered: a date, or a time as RFC 3339.
    pub exclude_newer: Option<String>,
    /// Packages that may be built from source; `*` is all.
    pub build: Vec<String>,
    /// What their builds import, such as `setuptools<60`: setuptools and wheel, unless the manifest says otherwise.
    pub build_requires: Vec<String>,
    /// Toolchains that builds see on PATH, such as the compiler.
    pub build_tools: Vec<Spanned<ToolchainName>>,
    /// Patterns of paths to leave out.
    pub prune: Vec<String>,
    /// The file of hashed requirements that is written, relative to the manifest.
    pub output: Option<String>,
    /// The toolchain that brings uv.
    pub uv: Spanned<ToolchainName>,
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
        let build = list("build", &mut fields)
            .iter()
            .map(|n| if n == "*" { n.clone() } else { crate::model::normalize_project(n) })
            .collect();
        let build_requires = if fields.has("build_requires") {
            list("build_requires", &mut fields)
        } else {
            ["setuptools", "wheel"].map(str::to_owned).into()
        };
        let prune = list("prune", &mut fields);
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
        let output = fields.string("output", problems).map(|s| s.value);
        if inputs.is_empty() && groups.is_empty() {
            problems.add(span, format!("[requirements.{name}] names neither inputs nor groups: say inputs = [\"requirements.in\"]"));
        }
        fields.finish(problems);
        Some(Requirements {
            name,
            python,
            inputs,
            constraints,
            extras,
            groups,
            platforms,
            exclude_newer,
            build,
            build_requires,
            build_tools,
            prune,
            output,
            uv,
        })
    }

    /// The set of what the builds of `set` import: resolved out of `file`, from wheels alone.
    pub fn of_builds(set: &Requirements, file: &str) -> Requirements {
        Requirements {
            name: set.name.clone(),
            python: set.python.clone(),
            inputs: vec![Spanned { value: file.to_owned(), span: 0..0 }],
            constraints: vec![],
            extras: vec![],
            groups: vec![],
            platforms: set.platforms.clone(),
            exclude_newer: set.exclude_newer.clone(),
            build: vec![],
            build_requires: vec![],
            build_tools: vec![],
            prune: vec![],
            output: None,
            uv: set.uv.clone(),
        }
    }

    /// What the trees of an interpreter are called: the set's own name if there is but one.
    pub fn tree_name(&self, python: &ToolchainName) -> ToolchainName {
        if self.python.len() == 1 {
            self.name.clone()
        } else {
            format!("{}-{python}", self.name).parse().expect("two names and a dash are one")
        }
    }

    /// What the tree of the packages that the builds of `tree` import is called.
    pub fn builds_name(tree: &ToolchainName) -> ToolchainName {
        format!("{tree}-build").parse().expect("a name and a word are one")
    }

    /// The file of hashed requirements of an interpreter, relative to the manifest.
    pub fn output(&self, python: &ToolchainName) -> String {
        match &self.output {
            None => format!("requirements-{}.txt", self.tree_name(python)),
            Some(file) if self.python.len() == 1 => file.clone(),
            Some(file) => {
                let (stem, ending) = file.rsplit_once('.').unwrap_or((file, "txt"));
                format!("{stem}-{python}.{ending}")
            }
        }
    }
}

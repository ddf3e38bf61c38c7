//! `pyrightconfig.json`. Source: Pyright's documentation of its configuration.

use serde_json::Value;

use crate::emit::api::MachineTrees;
use crate::environment::IMPORTS;
use crate::facts::Facts;
use crate::text::toml;

/// Returns the settings by which Pyright finds the interpreter's version and the packages of the set at
/// the path `set`. `venv` is the environment of the set in the project, if there is one.
pub fn keys(
    used: &MachineTrees,
    set: Option<&str>,
    venv: Option<&str>,
) -> Vec<(&'static str, Value)> {
    let version = used.trees.iter().find_map(|tree| match &tree.facts {
        Facts::Packages(facts) => Some(facts.python.clone()),
        _ => None,
    });
    let version = version.or_else(|| {
        used.trees.iter().find_map(|tree| match &tree.facts {
            Facts::Python(facts) => Some(facts.version.clone()),
            _ => None,
        })
    });
    let Some(version) = version else { return vec![] };
    let mut out: Vec<(&str, Value)> =
        vec![("pythonPlatform", "Linux".into()), ("pythonVersion", version.into())];
    match (venv, set.and_then(|set| set.rsplit_once('/'))) {
        (Some(venv), _) => {
            out.extend([("venvPath", ".".into()), ("venv", venv.into())]);
        }
        // The tree of a set is laid out like an environment.
        (None, Some((dir, name))) => {
            out.extend([("venvPath", dir.into()), ("venv", name.into())]);
            // An environment has the modules that are imported from where they are, and a tree has not.
            let imports = used.changes.set.get(IMPORTS).map(|list| list.split(':').collect());
            let imports: Option<Vec<&str>> = imports;
            out.extend(imports.map(|list| ("extraPaths", Value::from(list))));
        }
        (None, None) => {}
    }
    out
}

/// Whether a `pyproject.toml` has settings of Pyright.
pub fn is_in_pyproject(text: Option<&str>) -> bool {
    let table = text.and_then(|text| text.parse::<::toml::Table>().ok());
    table.is_some_and(|table| table.get("tool").and_then(|tool| tool.get("pyright")).is_some())
}

/// Returns the settings as lines of TOML.
pub fn as_toml(keys: &[(&str, Value)]) -> String {
    let text = |value: &Value| toml::string(value.as_str().unwrap_or_default());
    let of = |value: &Value| match value.as_array() {
        Some(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(", ")),
        None => text(value),
    };
    let lines: Vec<String> =
        keys.iter().map(|(key, value)| format!("{key} = {}", of(value))).collect();
    lines.join("\n")
}

/// Returns the file. Pyright reads comments in it.
pub fn as_json(keys: &[(&str, Value)], mark: &str) -> String {
    let lines: Vec<String> =
        keys.iter().map(|(key, value)| format!("  {key:?}: {value}")).collect();
    format!("// {mark}\n{{\n{}\n}}\n", lines.join(",\n"))
}

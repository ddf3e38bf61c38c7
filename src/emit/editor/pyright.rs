//! `pyrightconfig.json`. Source: Pyright's documentation of its configuration.

use crate::emit::api::MachineTrees;
use crate::facts::Facts;
use crate::text::toml;

/// Returns the settings by which Pyright finds the interpreter's version and the packages of the set at
/// the path `set`. `venv` is the environment of the set in the project, if there is one.
pub fn keys(
    used: &MachineTrees,
    set: Option<&str>,
    venv: Option<&str>,
) -> Vec<(&'static str, String)> {
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
    let mut out = vec![("pythonPlatform", "Linux".to_owned()), ("pythonVersion", version)];
    match (venv, set.and_then(|set| set.rsplit_once('/'))) {
        (Some(venv), _) => {
            out.extend([("venvPath", ".".to_owned()), ("venv", venv.to_owned())]);
        }
        // The tree of a set is laid out like an environment.
        (None, Some((dir, name))) => {
            out.extend([("venvPath", dir.to_owned()), ("venv", name.to_owned())]);
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
pub fn as_toml(keys: &[(&str, String)]) -> String {
    let lines: Vec<String> =
        keys.iter().map(|(key, value)| format!("{key} = {}", toml::string(value))).collect();
    lines.join("\n")
}

/// Returns the file. Pyright reads comments in it.
pub fn as_json(keys: &[(&str, String)], mark: &str) -> String {
    let lines: Vec<String> = keys
        .iter()
        .map(|(key, value)| format!("  {key:?}: {}", serde_json::Value::from(value.as_str())))
        .collect();
    format!("// {mark}\n{{\n{}\n}}\n", lines.join(",\n"))
}

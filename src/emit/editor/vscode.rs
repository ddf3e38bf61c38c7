//! The entries of VS Code's `settings.json`. Source: the settings of its extensions for Python, clangd,
//! C++ and CMake.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstNode, CstRootNode};

use crate::emit::api::MachineTrees;
use crate::facts::Facts;

/// Returns the entries, sorted by name. `venv` is the environment of the set in the project, if there is one.
pub fn entries(used: &MachineTrees, venv: Option<&str>) -> Vec<(&'static str, String)> {
    let mut out = vec![];
    if let Some(c) = used.changes.set.get("CC") {
        out.push(("C_Cpp.default.compilerPath", c.clone()));
    }
    if let Some(clangd) = used.programs.get("clangd") {
        out.push(("clangd.path", clangd.clone()));
    }
    if let Some(cmake) = used.programs.get("cmake") {
        out.push(("cmake.cmakePath", cmake.clone()));
    }
    let interpreter = used.trees.iter().find_map(|tree| match &tree.facts {
        Facts::Python(_) => Some(format!("{}/bin/python3", tree.path)),
        _ => None,
    });
    let interpreter =
        venv.map(|venv| format!("${{workspaceFolder}}/{venv}/bin/python")).or(interpreter);
    if let Some(interpreter) = interpreter {
        out.push(("python.defaultInterpreterPath", interpreter));
    }
    out
}

/// Returns the settings of the user with the entries. Everything else stays as it is, with its
/// comments.
///
/// # Errors
/// If the text is no JSON object, with the reason.
pub fn merged(present: Option<&str>, entries: &[(&str, String)]) -> Result<String, String> {
    let text = present.filter(|text| !text.trim().is_empty()).unwrap_or("{}\n");
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(|e| e.to_string())?;
    let object = root.object_value().ok_or("it holds no object")?;
    for (key, value) in entries {
        match object.get(key) {
            None => drop(object.append(key, value.as_str().into())),
            Some(property)
                if property.value().as_ref().and_then(string).as_ref() == Some(value) => {}
            Some(property) => property.set_value(value.as_str().into()),
        }
    }
    let mut out = root.to_string();
    if !out.ends_with('\n') && present.is_none_or(|text| text.ends_with('\n')) {
        out.push('\n');
    }
    Ok(out)
}

/// Returns the entries as the lines of a `settings.json`.
pub fn as_text(entries: &[(&str, String)]) -> String {
    let line = |(key, value): &(&str, String)| {
        format!("  {key:?}: {}", serde_json::Value::from(value.as_str()))
    };
    entries.iter().map(line).collect::<Vec<_>>().join(",\n")
}

fn string(node: &CstNode) -> Option<String> {
    node.as_string_lit()?.decoded_value().ok()
}

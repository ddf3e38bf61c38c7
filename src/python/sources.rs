//! Replaces the files that a `pyproject.toml` names, so that uv finds their copies.

use std::collections::BTreeMap;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::pyproject::named_by_source;
use super::requirement_lines::{Line, NamedFile, requirement};

/// Returns the text of a `pyproject.toml` in which the files that its requirements and its
/// `tool.uv.sources` name are at the paths that `at` returns for them.
pub fn with_files(text: &str, at: &dyn Fn(&NamedFile) -> Option<String>) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let mut found = BTreeMap::new();
    if let Some(project) = document.get_mut("project").and_then(Item::as_table_like_mut) {
        let list = project.get_mut("dependencies").and_then(Item::as_array_mut);
        list.into_iter().for_each(|list| rename(list, at, &mut found));
        let extras = project.get_mut("optional-dependencies").and_then(Item::as_table_like_mut);
        extras.into_iter().for_each(|extras| rename_all(extras, at, &mut found));
    }
    let groups = document.get_mut("dependency-groups").and_then(Item::as_table_like_mut);
    groups.into_iter().for_each(|groups| rename_all(groups, at, &mut found));
    let stated: toml::Table = text.parse().ok()?;
    let sources = stated.get("tool").and_then(|tool| tool.get("uv")?.get("sources"));
    for (name, source) in sources.and_then(toml::Value::as_table).into_iter().flatten() {
        if let Some(Line::File(file)) = named_by_source(name, source)
            && let Some(path) = at(&file)
        {
            found.insert(name.clone(), path);
        }
    }
    if found.is_empty() {
        return None;
    }
    let table = || Item::Table(Table::new());
    let tool = document.entry("tool").or_insert_with(table).as_table_like_mut()?;
    let uv = tool.entry("uv").or_insert_with(table).as_table_like_mut()?;
    let sources = uv.entry("sources").or_insert_with(table).as_table_like_mut()?;
    for (name, path) in found {
        let source: InlineTable = [("path", Value::from(path))].into_iter().collect();
        sources.insert(&name, Item::Value(Value::InlineTable(source)));
    }
    Some(document.to_string())
}

fn rename_all(
    lists: &mut dyn TableLike,
    at: &dyn Fn(&NamedFile) -> Option<String>,
    found: &mut BTreeMap<String, String>,
) {
    for (_, item) in lists.iter_mut() {
        item.as_array_mut().into_iter().for_each(|list| rename(list, at, found));
    }
}

fn rename(
    list: &mut Array,
    at: &dyn Fn(&NamedFile) -> Option<String>,
    found: &mut BTreeMap<String, String>,
) {
    for item in list.iter_mut() {
        let Some(Line::File(file)) = item.as_str().map(requirement) else { continue };
        let (Some(name), Some(path)) = (file.names.last().cloned(), at(&file)) else { continue };
        let extras = match file.extras.as_slice() {
            [] => String::new(),
            extras => format!("[{}]", extras.join(",")),
        };
        let marker = file.marker.as_ref().map(|marker| format!(" ; {marker}")).unwrap_or_default();
        *item = Value::from(format!("{name}{extras}{marker}"));
        found.insert(name, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_their_copies_are() {
        let text = "# of us\n[project]\ndependencies = [\"b\", \"a[x] @ https://x.example/a-1.zip ; os_name == 'x'\"]\n[dependency-groups]\ndev = [{ include-group = \"y\" }, \"c @ https://x.example/c\"]\n[tool.uv.sources]\nb = { path = \"b-1.zip\" }\nd = { git = \"x\" }\n";
        let made =
            with_files(text, &|file| Some(format!("../{}", file.target.file_name()))).unwrap();
        for part in [
            "# of us",
            "dependencies = [\"b\", \"a[x] ; os_name == 'x'\"]",
            "\"c @ https://x.example/c\"",
            "a = { path = \"../a-1.zip\" }",
            "b = { path = \"../b-1.zip\" }",
            "d = { git = \"x\" }",
        ] {
            assert!(made.contains(part), "{part} in\n{made}");
        }
        assert_eq!(with_files("[project]\nname = \"a\"\n", &|_| None), None);
    }
}

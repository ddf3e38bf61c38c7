//! Tests of the files for editors.

use super::*;

fn merged(present: Option<&str>, entries: &[(&str, &str)]) -> Result<String, String> {
    let entries: Vec<(&str, String)> = entries.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let out = vscode::merged(present, &entries)?;
    // Nothing changes the second time.
    assert_eq!(vscode::merged(Some(&out), &entries).as_ref(), Ok(&out));
    Ok(out)
}

#[test]
fn settings_keep_what_the_user_wrote() {
    let ours = [("clangd.path", "/s/clangd"), ("python.defaultInterpreterPath", "/s/python3")];
    assert_eq!(
        merged(None, &ours).unwrap(),
        "{\n  \"clangd.path\": \"/s/clangd\",\n  \"python.defaultInterpreterPath\": \"/s/python3\"\n}\n"
    );
    let theirs = "// Ours, all of us.\n{\n    /* wide */ \"editor.rulers\": [100],\n    \"clangd.path\": \"/old\", // of the last lock\n    \"files.exclude\": { \"build\": true, },\n}\n";
    let text = merged(Some(theirs), &ours).unwrap();
    for kept in [
        "// Ours, all of us.\n",
        "/* wide */ \"editor.rulers\": [100],",
        "\"clangd.path\": \"/s/clangd\", // of the last lock",
        "{ \"build\": true, }",
        "\n    \"python.defaultInterpreterPath\": \"/s/python3\"",
    ] {
        assert!(text.contains(kept), "{kept:?} is not in:\n{text}");
    }
    for wrong in ["[1]", "{ \"a\": }", "{ \"a\"", &"[".repeat(30_000)] {
        assert!(merged(Some(wrong), &ours).is_err(), "{wrong}");
    }
}

#[test]
fn lines_that_are_ignored_already_are_not_proposed() {
    let lines = "# mine\n/.clangd\n.vscode/\n";
    assert!(is_ignored(".clangd", lines) && is_ignored(".vscode/settings.json", lines));
    assert!(!is_ignored("pyrightconfig.json", lines));
}

#[test]
fn settings_of_pyright_in_pyproject_are_found() {
    assert!(pyright::is_in_pyproject(Some("[tool.pyright]\nstrict = []\n")));
    assert!(!pyright::is_in_pyproject(Some("[tool.other]\n")));
    assert!(!pyright::is_in_pyproject(Some("no [toml")));
    let keys = [("venv", "a\"b".into()), ("extraPaths", vec!["/x", "/y"].into())];
    assert_eq!(pyright::as_toml(&keys), "venv = \"a\\\"b\"\nextraPaths = [\"/x\", \"/y\"]");
    let text = "// mark\n{\n  \"venv\": \"a\\\"b\",\n  \"extraPaths\": [\"/x\",\"/y\"]\n}\n";
    assert_eq!(pyright::as_json(&keys, "mark"), text);
}

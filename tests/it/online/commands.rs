//! The command line on the repository's own toolchains.

use crate::support::{Project, REPO, contains, in_store, ok, shared_store};

#[test]
fn data_goes_to_standard_output_and_quiet_is_quiet() {
    let repo = std::path::Path::new(REPO);
    let output = in_store(shared_store(), repo, &["setup"]).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    contains(&out, &["name", "gcc", "12.2.0-14+deb12u1", "x86_64-linux", "MiB", "already there"]);
    assert_eq!(err, "");
    assert!(!out.contains('\x1b'), "colours off a terminal");
    let output = in_store(shared_store(), repo, &["setup", "--quiet"]).output().unwrap();
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    contains(&ok(&mut in_store(shared_store(), repo, &["setup", "--color", "always"])), &["\x1b["]);
    let json: serde_json::Value =
        serde_json::from_str(&ok(&mut in_store(shared_store(), repo, &["setup", "--json"])))
            .unwrap();
    assert_eq!(json["trees"].as_array().unwrap().len(), 2);
    assert_eq!(json["trees"][0]["fetched"], false);
    let json: serde_json::Value =
        serde_json::from_str(&ok(&mut in_store(shared_store(), repo, &["list", "--json"])))
            .unwrap();
    assert_eq!(json["trees"].as_array().unwrap().len(), 4);
    contains(&ok(&mut in_store(shared_store(), repo, &["list"])), &["python", "ready"]);
}

#[test]
fn completions_schema_doctor_and_github() {
    let project = Project::new("platforms = [\"x86_64-linux\"]\n");
    for shell in ["bash", "zsh", "fish"] {
        contains(&project.ok(&["completions", shell]), &["cotter", "verify"]);
    }
    contains(&project.ok(&["doctor", "--offline"]), &["store", "disk", "not asked: --offline"]);
    let json: serde_json::Value = serde_json::from_str(&project.ok(&["doctor", "--json"])).unwrap();
    assert!(json["checks"].as_array().unwrap().len() >= 5);
    let repo = std::path::Path::new(REPO);
    let files = crate::support::Scratch::new();
    ok(in_store(shared_store(), repo, &["env", "--github"])
        .env("GITHUB_ENV", files.join("env"))
        .env("GITHUB_PATH", files.join("path")));
    contains(&std::fs::read_to_string(files.join("env")).unwrap(), &["CC=/", "/bin/gcc\n"]);
    assert_eq!(std::fs::read_to_string(files.join("path")).unwrap().lines().count(), 2);
    contains(
        &ok(&mut in_store(shared_store(), repo, &["env", "--direnv"])),
        &["PATH_add '/", "watch_file"],
    );
}

#[test]
fn the_schemas_accept_the_real_files_and_know_every_key() {
    let scratch = crate::support::Scratch::new();
    // Other programs check the result: the pinned Python has a TOML reader, and jsonschema comes from the machine's index.
    let python = crate::support::tree("python").join("bin/python3");
    let mut venv = std::process::Command::new(&python);
    crate::support::clean(&mut venv, scratch.path());
    ok(venv.args(["-m", "venv"]).arg(scratch.join("venv")));
    let mut pip = std::process::Command::new(scratch.join("venv/bin/pip"));
    crate::support::clean(&mut pip, scratch.path());
    ok(pip.args(["install", "--quiet", "--disable-pip-version-check", "jsonschema==4.23.0"]));
    let script = r#"
import json, subprocess, sys, tomllib, jsonschema
cotter, repo = sys.argv[1:]
def schema(what): return json.loads(subprocess.check_output([cotter, "schema", what]))
def check(what, path):
    jsonschema.Draft202012Validator.check_schema(schema(what))
    return [e.message for e in jsonschema.Draft202012Validator(schema(what)).iter_errors(tomllib.loads(open(path).read()))]
for d in [repo, repo + "/examples/libraries", repo + "/examples/flask", repo + "/examples/zig"]:
    assert check("manifest", d + "/toolchains.toml") == [], check("manifest", d + "/toolchains.toml")
    assert check("lock", d + "/toolchains.lock") == [], check("lock", d + "/toolchains.lock")
bad = repo_bad = sys.stdin.read()
open("bad.toml", "w").write(bad)
assert len(check("manifest", "bad.toml")) >= 3, check("manifest", "bad.toml")
print("valid")
"#;
    let mut python = std::process::Command::new(scratch.join("venv/bin/python"));
    crate::support::clean(&mut python, scratch.path());
    let mut child = python
        .args(["-c", script, env!("CARGO_BIN_EXE_cotter"), REPO])
        .current_dir(scratch.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"platforms = [\"mips\"]\ncolour = 1\n[toolchains.X]\nkind = \"c\"\nsource = \"debian\"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", crate::support::text(&output));
}

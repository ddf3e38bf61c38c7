//! Wheels are installed as pip and uv install them, and their packages behave as in a virtual environment.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::requirements::{Packages, Wheel, publish_app};
use crate::support::server::Fault;
use crate::support::{contains, ok, text};

const LIB: &str = "answer = 42\n";

/// A wheel whose RECORD has a further row for its module: the last one counts.
fn recorded(row: &str) -> Wheel {
    let module = "lib/__init__.py";
    let digest = cotter::internals::Digest::of(LIB.as_bytes());
    let row = row
        .replace("@HEX@", &digest.hex().to_uppercase())
        .replace("@STANDARD@", &STANDARD.encode(digest.as_bytes()))
        .replace("@PADDED@", &URL_SAFE.encode(digest.as_bytes()));
    let mut wheel = Wheel::of(&[(module, LIB)]);
    let text = Box::leak(format!("@RECORD@{row}").into_boxed_str());
    wheel.record = Some(text);
    wheel
}

#[test]
fn record_is_read_in_every_form_that_tools_write() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    packages.inputs("lib\n");
    for row in [
        "lib/__init__.py,sha256=@HEX@,12\n",
        "lib/__init__.py,sha256=@STANDARD@,12\n",
        "lib/__init__.py,sha256=@PADDED@,\n",
        "/lib/__init__.py,sha256=@PADDED@,12\n",
        "lib\\__init__.py,sha256=@PADDED@,12\n",
    ] {
        packages.publish_wheel("lib", "1.0", recorded(row));
        let _ = std::fs::remove_file(packages.project.dir().join("requirements-app.txt"));
        packages.project.ok(&["lock", "--upgrade", "app"]);
    }
    let wrong = "0".repeat(64);
    let row = Box::leak(format!("lib/__init__.py,sha256={wrong},12\n").into_boxed_str());
    packages.publish_wheel("lib", "1.0", recorded(row));
    packages.refused(4, &["lock", "--upgrade", "app"], &["is not what its RECORD says"]);
    // A version has several forms.
    let wheel = Wheel::of(&[("lib.py", LIB)]).bytes("lib", "1.0");
    packages.publish("lib", &[("lib-1.0.0-py3-none-any.whl", wheel, "")]);
    packages.project.ok(&["lock", "--upgrade", "app"]);
    contains(&packages.project.lock_text(), &["lib-1.0.0-py3-none-any.whl"]);
}

#[test]
fn packages_are_a_site_directory() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.publish_wheel(
        "paths",
        "1.0",
        Wheel::of(&[
            ("paths.pth", "below\nimport sys; sys.of_pth = 'read'\n"),
            ("below/deep.py", "name = 'deep'\n"),
        ]),
    );
    packages.inputs("paths\nlib\n");
    let project = &packages.project;
    project.ok(&["setup"]);
    let code = "import sys, deep, lib; print(deep.name, sys.of_pth, lib.answer)";
    assert_eq!(project.ok(&["exec", "--", "python3", "-c", code]), "deep read 42\n");
    // In Bazel, they are on PYTHONPATH, and a module that is loaded at the start reads such files.
    let own = std::path::Path::new(crate::support::REPO).join("templates/bazel/sitecustomize.py");
    project.scratch.write("start/sitecustomize.py", std::fs::read(own).unwrap());
    let tree = |name: &str| project.ok(&["path", name]).trim().to_owned();
    let path = format!(
        "{}:{}/lib/python3.11/site-packages",
        project.scratch.join("start").display(),
        tree("app")
    );
    let python = format!("{}/bin/python3", tree("python"));
    let mut in_bazel = std::process::Command::new(python);
    assert_eq!(ok(in_bazel.args(["-c", code]).env("PYTHONPATH", path)), "deep read 42\n");
    // What the user has set does not hide the packages, and their own directory comes first.
    project.scratch.write("own/lib.py", "answer = 'own'\n");
    let said = ok(project
        .cotter(&["exec", "--", "python3", "-c", "import lib; print(lib.answer)"])
        .env("PYTHONNOUSERSITE", "1")
        .env("PYTHONUSERBASE", "/nowhere")
        .env("PYTHONPATH", project.scratch.join("own")));
    assert_eq!(said, "own\n");
    // An environment that is made within does not have the packages.
    project.ok(&["exec", "--", "python3", "-m", "venv", "--without-pip", "own-env"]);
    let code = "import importlib.util as u; print(u.find_spec('lib'), u.find_spec('deep'))";
    let python = project.dir().join("own-env/bin/python").display().to_string();
    assert_eq!(project.ok(&["exec", "--", &python, "-c", code]), "None None\n");
}

#[test]
fn scripts_keep_their_modes_and_their_beginnings() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let mut wheel = Wheel::of(&[
        ("app/run.sh", "#!/bin/sh\necho ran\n"),
        ("app/data.txt", "data\n"),
        (
            "app-1.0.data/scripts/tell",
            "#!python\n\"\"\"What it does.\"\"\"\nfrom __future__ import annotations\nimport sys\nprint(__doc__, sys.argv[1:])\n",
        ),
        ("app-1.0.data/scripts/old", "#!python3\n# -*- coding: cp1252 -*-\nprint('caf\u{e9}')\n"),
        ("app-1.0.dist-info/entry_points.txt", "[console_scripts]\nentry = app.main:main\n"),
        ("app/main.py", "import sys\ndef main():\n    print(sys.argv[1:])\n"),
    ]);
    wheel.programs = vec!["app/run.sh"];
    packages.publish_wheel("app", "1.0", wheel);
    packages.inputs("app\n");
    let project = &packages.project;
    project.ok(&["setup"]);
    let run = |args: &[&str]| project.ok(&[&["exec", "--"], args].concat());
    assert_eq!(run(&["tell", "a b"]), "What it does. ['a b']\n");
    assert_eq!(run(&["entry", "a b"]), "['a b']\n");
    // The two bytes of UTF-8 are two letters in the encoding that the script names.
    assert_eq!(run(&["old"]), "caf\u{c3}\u{a9}\n");
    let tree: std::path::PathBuf = project.ok(&["path", "app"]).trim().into();
    let site = tree.join("lib/python3.11/site-packages/app");
    assert_eq!(ok(&mut std::process::Command::new(site.join("run.sh"))), "ran\n");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(site.join("data.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0);
}

#[test]
fn indexes_are_asked_in_the_order_of_uv() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let project = &packages.project;
    let own = Wheel::of(&[("lib/__init__.py", "answer = 'private'\n")]).bytes("lib", "9.0");
    let name = "lib-9.0-py3-none-any.whl";
    let page = format!(
        "<a href='../../files/{name}#sha256={}'>x</a>",
        cotter::internals::Digest::of(&own)
    );
    packages.server.put("/own/simple/lib/", page);
    packages.server.put(&format!("/own/files/{name}"), own);
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let public = format!("{}/simple", packages.server.url);
    project.manifest(&manifest.replace(&format!("python = [\"{public}\"]"), ""));
    packages.inputs("app\n");
    let private = format!("{}/own/simple", packages.server.url);
    for (variable, value) in
        [("UV_INDEX", format!("own={private}")), ("UV_EXTRA_INDEX_URL", private.clone())]
    {
        let _ = std::fs::remove_file(project.dir().join("requirements-app.txt"));
        let said = text(
            &project
                .cotter(&["lock", "--upgrade", "app"])
                .env("UV_DEFAULT_INDEX", &public)
                .env(variable, value)
                .output()
                .unwrap(),
        );
        assert!(project.lock_text().contains(name), "{variable}: {said}");
    }
    // The index of pip is the default, and what it has in addition comes behind.
    let said = text(
        &project
            .cotter(&["lock", "--upgrade", "app"])
            .env("PIP_INDEX_URL", &public)
            .env("PIP_EXTRA_INDEX_URL", &private)
            .output()
            .unwrap(),
    );
    assert!(project.lock_text().contains("lib-1.0-py3"), "{said}");
}

#[test]
fn pages_are_asked_again_and_links_are_decoded() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let wheel = Wheel::of(&[("lib.py", LIB)]).bytes("lib", "1!2.0+local");
    packages.server.put("/files/lib-1!2.0+local-py3-none-any.whl", wheel.clone());
    packages.server.put("/files/lib-1%212.0%2Blocal-py3-none-any.whl", wheel.clone());
    packages.server.put(
        "/simple/lib/",
        format!(
            "<a href=\"../../files/lib-1%212.0%2Blocal-py3-none-any.whl#sha256={}\">x</a>",
            cotter::internals::Digest::of(&wheel)
        ),
    );
    packages.inputs("lib\n");
    let project = &packages.project;
    for status in [429, 408, 503] {
        let _ = std::fs::remove_file(project.dir().join("requirements-app.txt"));
        let _ = std::fs::remove_dir_all(project.store.join("cache/uv"));
        packages.server.fault("/simple/lib/", Fault::Status(status, 2));
        project.ok(&["lock", "--upgrade", "app"]);
        contains(&project.lock_text(), &["lib-1!2.0+local-py3-none-any.whl"]);
        project.ok(&["setup"]);
    }
}

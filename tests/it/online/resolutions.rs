//! What a resolver says about Python packages is checked: tags, versions of Python, dependencies, and the files of other tools.

use super::requirements::{Packages, Wheel, publish_app};
use crate::support::contains;

/// Publishes a wheel whose metadata, which an index may serve beside the file, is another one.
fn publish_liar(packages: &Packages, project: &str, served: Wheel, wheel: Wheel) {
    let name = format!("{project}-1.0-py3-none-any.whl");
    let requires: String =
        served.requires.iter().map(|r| format!("Requires-Dist: {r}\n")).collect();
    packages.server.put(
        &format!("/files/{name}.metadata"),
        format!("Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n{requires}"),
    );
    packages
        .publish(project, &[(&name, wheel.bytes(project, "1.0"), "data-core-metadata=\"true\"")]);
}

#[test]
fn only_wheels_that_the_interpreter_can_load_are_locked() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let of = |text: &'static str| Wheel::of(&[("ext.py", text)]).bytes("ext", "1.0");
    let tags = ["cp314-cp314t", "cp312-cp312", "cp311-cp311", "cp310-cp310", "cp312-abi3"];
    let names = tags.map(|tag| format!("ext-1.0-{tag}-manylinux_2_17_x86_64.whl"));
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), of("x = 1\n"), "")).collect();
    packages.publish("ext", &files);
    packages.inputs("ext\n");
    packages.project.ok(&["lock"]);
    contains(&packages.project.lock_text(), &["ext-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"]);

    // A lock that has the wrong one, and one of another uv, do not fit.
    let lock = packages.project.lock_text();
    let edit = |old: &str, new: &str| {
        assert!(lock.contains(old), "{old} in {lock}");
        packages.project.scratch.write("project/toolchains.lock", lock.replace(old, new));
    };
    edit("ext-1.0-cp311-cp311", "ext-1.0-cp312-cp312");
    packages.refused(
        3,
        &["lock", "--check"],
        &["ext-1.0-cp312-cp312-manylinux_2_17_x86_64.whl is no wheel for CPython 3.11"],
    );
    edit("uv = [\"0.13.8\"]", "uv = [\"0.9.0\"]");
    packages.refused(3, &["lock", "--check"], &["uv: added 0.13.8; removed 0.9.0"]);

    packages.publish("ext", &[files[0].clone(), files[1].clone(), files[4].clone()]);
    packages.inputs("ext<2\n");
    let _ = std::fs::remove_file(packages.project.dir().join("requirements-app.txt"));
    packages.refused(1, &["lock"], &["ext"]);
}

#[test]
fn a_set_is_closed_under_what_its_wheels_require() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let needs = |list: &[&'static str]| Wheel::of(&[("liar.py", "")]).needs(list);
    packages.inputs("liar\nlib\n");
    publish_liar(&packages, "liar", needs(&[]), needs(&["lib>=2"]));
    packages.refused(
        1,
        &["lock"],
        &[
            "lib-1.0-py3-none-any.whl does not meet what liar-1.0-py3-none-any.whl requires",
            "expected lib>=2, got lib 1.0",
            "toolchains.toml:",
        ],
    );
    publish_liar(&packages, "liar", needs(&[]), needs(&["other; python_version < '3.12'"]));
    packages.refused(
        1,
        &["lock"],
        &["other is not in the set", "liar-1.0-py3-none-any.whl requires"],
    );
    // What does not count here need not be there.
    let wheel = needs(&["other; python_version > '3.12'", "never; extra == 'x'", "lib"]);
    publish_liar(&packages, "liar", needs(&["lib"]), wheel);
    packages.project.ok(&["lock"]);
    contains(&packages.project.lock_text(), &["requires = [\"lib\"]"]);
}

/// A name that begins with `via` is a name.
#[test]
fn every_edge_is_locked() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.publish_wheel("viable", "1.0", Wheel::of(&[("viable.py", "")]).needs(&["lib"]));
    let extra = ["lib; extra == 'more'"];
    packages.publish_wheel("opt", "1.0", Wheel::of(&[("opt.py", "")]).needs(&extra));
    packages.inputs("viable\nopt[more]\n");
    packages.project.ok(&["lock"]);
    let lock = packages.project.lock_text();
    assert_eq!(lock.matches("requires = [\"lib\"]").count(), 2, "{lock}");
}

#[test]
fn a_project_for_another_python_is_refused() {
    let packages = Packages::new("inputs = [\"pyproject.toml\"]");
    publish_app(&packages);
    let project = &packages.project;
    let write = |requires: &str, more: &str| {
        let text = format!(
            "[project]\nname = \"own\"\nversion = \"1\"\nrequires-python = \"{requires}\"\ndependencies = [\"lib\"]\n{more}"
        );
        project.scratch.write("project/pyproject.toml", text);
    };
    write(">=3.13", "");
    packages.refused(
        1,
        &["lock"],
        &[
            "pyproject.toml is made for another Python",
            "pyproject.toml:4:",
            "got \">=3.13\"",
            "[toolchains.python] (toolchains.toml:",
        ],
    );
    write("three", "");
    packages.refused(1, &["lock"], &["got \"three\""]);
    write(">=3.11", "");
    project.ok(&["lock"]);
    project.scratch.write(
        "project/pylock.toml",
        "lock-version = \"1.0\"\nrequires-python = \">=3.13\"\npackages = []\n",
    );
    packages.set("inputs = [\"pylock.toml\", \"pyproject.toml\"]");
    packages.refused(1, &["lock"], &["pylock.toml:2:", "got \">=3.13\""]);
}

#[test]
fn constraints_and_overrides_of_uv_are_honoured() {
    let packages = Packages::new("inputs = [\"pyproject.toml\"]");
    publish_app(&packages);
    let lib = |version: &str| Wheel::of(&[("lib.py", "")]).bytes("lib", version);
    packages.publish(
        "lib",
        &[
            ("lib-0.9-py3-none-any.whl", lib("0.9"), ""),
            ("lib-1.0-py3-none-any.whl", lib("1.0"), ""),
            ("lib-2.0-py3-none-any.whl", lib("2.0"), ""),
        ],
    );
    let project = &packages.project;
    let write = |table: &str| {
        let text = format!(
            "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"app\"]\n[tool.uv]\n{table}\n"
        );
        project.scratch.write("project/pyproject.toml", text);
    };
    write("constraint-dependencies = [\"lib<2\"]");
    project.ok(&["lock"]);
    contains(&project.lock_text(), &["lib-1.0-py3"]);
    write("override-dependencies = [\"lib<1\"]");
    project.ok(&["lock"]);
    contains(&project.lock_text(), &["lib-0.9-py3"]);
    write("override-dependencies = [\"lib @ git+https://host.example/lib\"]");
    packages.refused(1, &["lock"], &["a repository in place of a release", "pyproject.toml:6:"]);
    write("exclude-dependencies = [\"lib\"]");
    packages.refused(1, &["lock"], &["the key \"exclude-dependencies\"", "pyproject.toml:6:"]);

    // Where uv would look for other packages.
    let own = format!("{}/simple", packages.server.url);
    for (table, key) in [
        ("index-url = \"http://u:secret@own.example/simple\"", "index-url"),
        ("extra-index-url = [\"http://own.example/simple\"]", "extra-index-url"),
        ("no-index = true", "no-index"),
        ("find-links = [\"./dist\"]", "find-links"),
        ("no-binary = true", "no-binary"),
        ("no-binary-package = [\"lib\"]", "no-binary-package"),
        ("environments = [\"sys_platform == 'linux'\"]", "environments"),
        ("required-environments = [\"sys_platform == 'linux'\"]", "required-environments"),
        ("fork-strategy = \"fewest\"", "fork-strategy"),
        ("index-strategy = \"unsafe-best-match\"", "index-strategy"),
        ("build-constraint-dependencies = [\"lib<1\"]", "build-constraint-dependencies"),
        ("exclude-newer-package = { lib = \"2020-01-01\" }", "exclude-newer-package"),
        ("no-sources = true", "no-sources"),
        ("pip = { universal = true }", "pip"),
    ] {
        write(table);
        let said = project.fails(1, &["lock"]);
        contains(&said, &[&format!("the key {key:?}"), "pyproject.toml:6:", "hint: "]);
        assert!(!said.contains("secret"), "{said}");
    }
    for keys in ["default = true", "", "name = \"own\""] {
        write(&format!("[[tool.uv.index]]\nurl = \"http://own.example/simple\"\n{keys}\n"));
        packages.refused(
            1,
            &["lock"],
            &[
                "the key \"index\"",
                "pyproject.toml:7:",
                &format!("expected an index in use ({own}), got http://own.example/simple"),
                "[mirrors] python",
            ],
        );
    }
    write("required-version = \">=99\"");
    packages.refused(
        1,
        &["lock"],
        &["pyproject.toml is made for another uv", "got \">=99\"", "pyproject.toml:6:"],
    );
    // What changes nothing.
    write(&format!(
        "required-version = \">=0.9\"\nno-index = false\nfind-links = []\nindex-strategy = \"first-index\"\nfork-strategy = \"requires-python\"\npip = {{}}\nindex-url = \"{own}/\"\n[[tool.uv.index]]\nurl = \"{own}\"\ndefault = true\n[[tool.uv.index]]\nname = \"idle\"\nurl = \"http://own.example\"\nexplicit = true"
    ));
    project.ok(&["lock"]);
}

#[test]
fn a_group_for_another_python_is_refused() {
    let packages = Packages::new("inputs = [\"pyproject.toml\"]\ngroups = [\"all\"]");
    publish_app(&packages);
    let project = &packages.project;
    let write = |requires: &str| {
        let text = format!(
            "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"lib\"]\n[dependency-groups]\nall = [{{ include-group = \"Dev\" }}]\nDev = [\"other\"]\nidle = []\n[tool.uv.dependency-groups]\nidle = {{ requires-python = \"<3\" }}\ndev = {{ requires-python = \"{requires}\" }}\n"
        );
        project.scratch.write("project/pyproject.toml", text);
    };
    write(">=3.12");
    packages.refused(
        1,
        &["lock"],
        &[
            "the group \"dev\" of pyproject.toml is made for another Python",
            "got \">=3.12\"",
            "pyproject.toml:11:",
        ],
    );
    write(">=3.11");
    project.ok(&["lock"]);
    contains(&project.lock_text(), &["/other-1.0-"]);
}

#[test]
fn a_lock_of_uv_belongs_to_its_project() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("lib\n");
    let project = &packages.project;
    project.ok(&["lock"]);
    let uv: std::path::PathBuf = project.ok(&["path", "uv", "--frozen"]).trim().into();
    let python: std::path::PathBuf = project.ok(&["path", "python", "--frozen"]).trim().into();
    let text = "[project]\nname = \"own\"\nversion = \"1\"\nrequires-python = \">=3.11,<4\"\ndependencies = [\n  \"app>=1,<9; python_version < '3.14'\",\n]\n[project.optional-dependencies]\nmore = [\"other\"]\nall = [\"own[more]\"]\n[dependency-groups]\ndev = [\"lib\", {include-group = \"docs\"}]\ndocs = [\"other\"]\n[tool.uv]\nconstraint-dependencies = [\"lib<2\"]\n";
    project.scratch.write("project/pyproject.toml", text);
    crate::support::ok(
        std::process::Command::new(uv.join("bin/uv"))
            .args(["lock", "--quiet", "--no-config", "--python"])
            .arg(python.join("bin/python3"))
            .current_dir(project.dir())
            .env("UV_DEFAULT_INDEX", format!("{}/simple", packages.server.url))
            .env("UV_CACHE_DIR", project.scratch.join("uv-cache")),
    );
    packages.set("inputs = [\"uv.lock\"]");
    project.ok(&["lock"]);
    let fits = project.lock_text();
    // Only the groups that the set names are installed, and the group `dev` is none of them.
    assert!(fits.contains("/app-1.0-") && !fits.contains("/other-1.0-"), "{fits}");
    packages.set("inputs = [\"uv.lock\"]\ngroups = [\"docs\"]");
    project.ok(&["lock"]);
    contains(&project.lock_text(), &["/app-1.0-", "/other-1.0-"]);
    packages.set("inputs = [\"uv.lock\"]");
    project.ok(&["lock"]);
    assert_eq!(project.lock_text(), fits);
    for (old, new, said) in [
        ("app>=1,<9", "app>=1", "pyproject.toml:6:"),
        ("dependencies = [\n", "dependencies = [ \"never\",\n", "nothing of \"never\""),
        ("more = [\"other\"]", "more = []", "no such requirement any more"),
        ("docs = [\"other\"]", "docs = [\"other>=1\"]", "\"other>=1\""),
        ("lib<2", "lib<3", "constraint-dependencies"),
        (">=3.11,<4", ">=3.10,<4", "requires-python"),
    ] {
        project.scratch.write("project/pyproject.toml", text.replacen(old, new, 1));
        packages.refused(
            1,
            &["lock"],
            &["uv.lock does not fit pyproject.toml", "uv.lock:", said, "uv lock"],
        );
    }
    // What changed how uv made its lock does not change how it is read.
    project.scratch.write("project/pyproject.toml", format!("{text}prerelease = \"allow\"\n"));
    project.ok(&["lock"]);
    project.scratch.write("project/pyproject.toml", text);
    project.ok(&["lock"]);
    assert_eq!(project.lock_text(), fits);
}

#[test]
fn a_uv_that_is_too_old_is_refused() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("lib\n");
    let old = Wheel::of(&[("uv-0.6.15.data/scripts/uv", "#!/bin/sh\nexit 1\n")]);
    let name = "uv-0.6.15-py3-none-manylinux_2_17_x86_64.whl";
    packages.publish("uv", &[(name, old.bytes("uv", "0.6.15"), "")]);
    let manifest = packages.project.dir().join("toolchains.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    packages.project.manifest(&text.replace("\"0.13.8\"", "\"0.6.15\""));
    let said = packages.project.fails(1, &["lock"]);
    contains(
        &said,
        &["uv 0.6.15 is too old", "at least 0.9.0", "[toolchains.uv]", "toolchains.toml:"],
    );
}

#[test]
fn constraints_ask_for_nothing_and_a_name_has_several_spellings() {
    let packages =
        Packages::new("inputs = [\"requirements.in\"]\nconstraints = [\"sub/others.txt\"]");
    publish_app(&packages);
    let words = Wheel::of(&[("two_words.py", "")]).bytes("two_words", "1.0");
    packages.publish("two-words", &[("two_words-1.0-py3-none-any.whl", words, "")]);
    packages.inputs("-r sub/more.in\nother\n");
    let project = &packages.project;
    project.scratch.write("project/sub/more.in", "app\ntwo-words\n-c bounds.txt\n");
    project.scratch.write("project/sub/bounds.txt", "lib<2\n-r rest.txt\n");
    project.scratch.write("project/sub/rest.txt", "lib>=1\n");
    project.scratch.write("project/sub/others.txt", "lib<3\n");
    project.ok(&["lock"]);
    let list = "a list of [requirements.app]";
    for spelling in ["lib", "Lib"] {
        assert_eq!(
            project.ok(&["why", spelling]),
            format!("lib 1.0 in app for x86_64-linux\n  sub/more.in:1:1, {list}: app -> lib\n")
        );
    }
    for spelling in ["two-words", "two_words", "Two.Words"] {
        let said = project.ok(&["why", spelling]);
        contains(&said, &[&format!("  sub/more.in:2:1, {list}: two")]);
    }
    assert!(!project.ok(&["tree", "app"]).contains(".txt"));
}

#[test]
fn only_what_the_interpreter_and_the_set_can_take_is_newer() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let project = &packages.project;
    let wheel = |version: &str| Wheel::of(&[("lib.py", "")]).bytes("lib", version);
    let first = ("lib-1.0-py3-none-any.whl", wheel("1.0"), "");
    packages.publish("lib", std::slice::from_ref(&first));
    packages.inputs("lib\n");
    project.ok(&["lock"]);
    let newer = || -> Vec<String> {
        let json: serde_json::Value =
            serde_json::from_str(&project.ok(&["outdated", "app", "--json"])).unwrap();
        let list = json["packages"].as_array().unwrap().iter();
        list.map(|package| package["available"].as_str().unwrap().to_owned()).collect()
    };
    packages.publish(
        "lib",
        &[
            first.clone(),
            ("lib-1.0.post1-py3-none-any.whl", wheel("1.0.post1"), ""),
            ("lib-2.0-py3-none-any.whl", wheel("2.0"), "data-requires-python=\"&gt;=3.12\""),
            ("lib-4.0.tar.gz", vec![], ""),
            ("lib-5.0rc1-py3-none-any.whl", wheel("5.0rc1"), ""),
        ],
    );
    assert_eq!(newer(), ["1.0.post1"]);
    contains(&project.ok(&["search", "--python", "lib"]), &["4.0", "1.0.post1"]);
    // With the newest of them, nothing is newer.
    project.ok(&["lock", "--upgrade", "app"]);
    contains(&project.lock_text(), &["lib-1.0.post1-py3"]);
    assert_eq!(newer(), Vec::<String>::new());
    // A day counts with its end, and a file without a time does not count.
    let url = &packages.server.url;
    let file = |version: &str, time: &str| {
        format!(
            "{{\"filename\": \"lib-{version}-py3-none-any.whl\", \"url\": \"{url}/files/x.whl\", \"hashes\": {{}}{time}}}"
        )
    };
    let page = format!(
        "{{\"files\": [{}, {}, {}]}}",
        file("1.1", ", \"upload-time\": \"2024-05-01T23:00:00Z\""),
        file("1.2", ", \"upload-time\": \"2024-05-02T00:00:00Z\""),
        file("1.3", ""),
    );
    packages.server.put("/simple/lib/", page);
    assert_eq!(newer(), ["1.3"]);
    for (time, expected) in
        [("2024-05-01", &["1.1"][..]), ("2024-05-02T00:00:01Z", &["1.2"]), ("2024-04-30", &[])]
    {
        packages.set(&format!("inputs = [\"requirements.in\"]\nexclude_newer = \"{time}\""));
        assert_eq!(newer(), expected, "{time}");
    }
}

#[test]
fn a_list_that_demands_hashes_has_them_and_no_list_leads_to_itself() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let project = &packages.project;
    packages.inputs("app\n");
    project.ok(&["lock"]);
    let written = std::fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
    let hash = |name: &str| {
        let line = written.split(&format!("{name}==1.0")).nth(1).unwrap();
        line.split("--hash=sha256:").nth(1).unwrap()[..64].to_owned()
    };
    let (app, lib) = (hash("app"), hash("lib"));
    let pinned = format!("--require-hashes\napp==1.0 --hash=sha256:{app}\n");
    project.scratch.write("project/sub/hashed.in", &pinned);
    packages.inputs("-r sub/hashed.in\n");
    packages.refused(
        1,
        &["lock"],
        &["lib has no hash", "at: sub/hashed.in:1:1", "lib==VERSION --hash=sha256:HASH"],
    );
    project
        .scratch
        .write("project/sub/hashed.in", format!("{pinned}lib==1.0 --hash=sha256:{lib}\n"));
    project.ok(&["lock"]);

    packages.inputs("lib\n-r ./requirements.in\n");
    packages.refused(
        1,
        &["lock"],
        &[
            "at: requirements.in:2:1",
            "got requirements.in -> requirements.in",
            "leave this line out",
        ],
    );
    packages.inputs("lib\n-r sub/more.in\n");
    project.scratch.write("project/sub/more.in", "other\n-c ../requirements.in\n");
    packages.refused(
        1,
        &["lock"],
        &["at: sub/more.in:2:1", "got requirements.in -> sub/more.in -> requirements.in"],
    );
    // A list may be named twice.
    packages.inputs("-r sub/more.in\n-r sub/other.in\n-c sub/other.in\n");
    project.scratch.write("project/sub/more.in", "lib\n-r other.in\n");
    project.scratch.write("project/sub/other.in", "other\n");
    project.ok(&["lock"]);
}

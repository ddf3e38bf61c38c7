//! Directories, archives and repositories in files of requirements: what a directory states is
//! taken from its `pyproject.toml`, no code of the repository runs, and the rest is refused.

use std::process::Command;

use super::requirements::{Packages, publish_app};
use crate::support::{contains, ok};

/// The beginning of a `pyproject.toml` whose build backend, a file of the project, leaves a mark.
const BACKEND: &str =
    "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";

/// A project whose directory holds a build backend that must not run.
fn rig(set: &str) -> Packages {
    let packages = Packages::new(set);
    publish_app(&packages);
    let mark = packages.project.scratch.join("ran");
    let ran =
        format!("open({:?}, 'w').write('ran')\nraise SystemExit(1)\n", mark.display().to_string());
    for dir in ["project", "project/sub", "project/lib"] {
        packages.project.scratch.write(&format!("{dir}/backend.py"), &ran);
        packages.project.scratch.write(&format!("{dir}/setup.py"), &ran);
    }
    packages
}

fn pyproject(packages: &Packages, dir: &str, text: &str) {
    packages
        .project
        .scratch
        .write(&format!("project/{dir}/pyproject.toml"), format!("{BACKEND}{text}"));
}

#[track_caller]
fn nothing_ran(packages: &Packages) {
    assert!(!packages.project.scratch.join("ran").exists(), "code of the repository ran");
}

/// Returns the names of the wheels in the lock.
fn wheels(packages: &Packages) -> Vec<String> {
    let lock = packages.project.lock_text();
    let mut out: Vec<String> = lock
        .split("mirror://python/")
        .skip(1)
        .filter_map(|rest| rest.split('/').next())
        .filter(|name| *name != "uv")
        .map(str::to_owned)
        .collect();
    out.sort();
    out.dedup();
    out
}

#[test]
fn a_directory_gives_what_its_pyproject_states_and_nothing_runs() {
    // Even a set that may build everything builds no directory.
    let packages = rig("inputs = [\"requirements.in\"]\nbuild = [\"*\"]\nbuild_requires = []");
    let project = &packages.project;
    pyproject(
        &packages,
        "lib",
        "[project]\nname = \"own\"\ndynamic = [\"version\"]\ndependencies = [\"lib\"]\n[project.optional-dependencies]\nmore = [\"other ; python_version > '3'\", \"never\"]\nall = [\"own[more]\"]\n",
    );
    for (lines, expected) in [
        ("-e ./lib\n", &["lib"][..]),
        ("--editable=lib[all] ; sys_platform == 'linux'\n", &["lib", "never", "other"]),
        ("-e./lib[more]\n", &["lib", "never", "other"]),
        ("-e own @ ./lib\n", &["lib"]),
        ("-e own[all] @ file:lib\nApp\n", &["app", "lib", "never", "other"]),
        ("-r sub/nested.in\nother\n", &["lib", "other"]),
    ] {
        packages.inputs(lines);
        project
            .scratch
            .write("project/sub/nested.in", "# like pip, from the working directory\n-e lib\n");
        project.ok(&["lock"]);
        assert_eq!(wheels(&packages), expected, "{lines}");
        nothing_ran(&packages);
    }
    let own = format!("-e own @ file://{}\n", project.dir().join("lib").display());
    packages.inputs(&own);
    project.ok(&["lock"]);
    assert_eq!(wheels(&packages), ["lib"]);
    project.ok(&["lock", "--check"]);
    // A change of what the directory states makes the lock stale.
    pyproject(&packages, "lib", "[project]\nname = \"own\"\ndependencies = [\"other\"]\n");
    packages.refused(3, &["lock", "--check"], &["lib/pyproject.toml"]);
    nothing_ran(&packages);
}

/// A directory can hold another project than the one that a line calls by its name.
#[test]
fn names_and_extras_of_directories_are_compared() {
    let packages = rig("inputs = [\"requirements.in\"]");
    let project = &packages.project;
    pyproject(
        &packages,
        "lib",
        "[project]\nname = \"Own_It\"\ndependencies = []\n[project.optional-dependencies]\nmore = [\"lib\"]\n",
    );
    for line in
        ["-e other @ ./lib", "-e other[more]@lib", "-e ./lib#egg=other", "-e lib#egg=other[more]"]
    {
        packages.inputs(&format!("app\n{line}\n"));
        packages.refused(
            1,
            &["lock"],
            &[
                "requirements.in calls the project of a directory by another name",
                "at: requirements.in:2:1",
                "expected \"Own_It\", as lib/pyproject.toml:6 says, got \"other\"",
                "write Own_It in the list, or name the directory of other",
            ],
        );
        nothing_ran(&packages);
    }
    packages.inputs("-e ./lib#egg=own-it[none]\n");
    packages.refused(1, &["lock"], &["lib/pyproject.toml has no extra \"none\"", "it has more"]);
    for line in ["-e ./lib#egg=own-it[more]", "-e own.it[more] @ ./lib", "-e ./lib[more]"] {
        packages.inputs(&format!("{line}\n"));
        project.ok(&["lock"]);
        assert_eq!(wheels(&packages), ["lib"], "{line}");
    }
}

#[test]
fn what_only_a_build_backend_knows_is_refused() {
    let packages =
        rig("inputs = [\"requirements.in\"]\nbuild = [\"own\", \"*\"]\nbuild_requires = []");
    let cases = [
        ("", "lib/pyproject.toml:1:1", "there is no table [project]"),
        ("[project]\ndependencies = []\n", "lib/pyproject.toml:5:1", "[project] has no name"),
        (
            "[project]\nname = \"own\"\ndynamic = [\"dependencies\"]\n",
            "lib/pyproject.toml:7:12",
            "\"dependencies\" is one of `dynamic`",
        ),
        (
            "[project]\nname = \"own\"\ndynamic = [\"optional-dependencies\"]\n",
            "lib/pyproject.toml:7:12",
            "\"optional-dependencies\" is one of `dynamic`",
        ),
        (
            "[project]\nname = \"own\"\n[tool.poetry]\nname = \"own\"\n",
            "lib/pyproject.toml:5:1",
            "[tool.poetry]",
        ),
    ];
    for (text, at, why) in cases {
        pyproject(&packages, "lib", text);
        packages.inputs("app\n-e lib\n");
        packages.refused(
            1,
            &["lock"],
            &[&format!("at: {at}"), why, "requirements.in:2: \"-e lib\"", "hint: state `name`"],
        );
        // The same holds for the project itself as an input.
        packages.set("inputs = [\"lib/pyproject.toml\"]\nbuild = [\"*\"]\nbuild_requires = []");
        packages.refused(1, &["lock"], &[&format!("at: {at}"), why]);
        packages.set("inputs = [\"lib/setup.py\"]\nbuild = [\"*\"]\nbuild_requires = []");
        packages.refused(1, &["lock"], &[&format!("at: {at}"), why]);
        packages
            .set("inputs = [\"requirements.in\"]\nbuild = [\"own\", \"*\"]\nbuild_requires = []");
        nothing_ran(&packages);
    }
    std::fs::remove_file(packages.project.dir().join("lib/pyproject.toml")).unwrap();
    for line in ["-e lib", "-e ./lib", "-e own @ ./lib", "-e nowhere", "-e ${HOME}/lib"] {
        packages.inputs(&format!("{line}\n"));
        packages.refused(
            1,
            &["lock"],
            &[
                "at: requirements.in:1:1",
                "names a directory",
                "pyproject.toml",
                line,
                "hint: state `name`",
            ],
        );
    }
    nothing_ran(&packages);
}

#[test]
fn what_no_lock_can_name_is_refused_with_its_place() {
    let packages = rig("inputs = [\"requirements.in\"]");
    let url = packages.server.url.clone();
    for (line, words) in [
        ("./a-1.tar.bz2".to_owned(), "an archive in place of a release"),
        (format!("a @ {url}/files/a"), "an address in place of a release"),
        ("own @ ./lib".to_owned(), "a directory in place of a release"),
        ("./lib".to_owned(), "a directory in place of a release"),
        (format!("-r {url}/more.in"), "a list on a server"),
        ("--find-links ./dist".to_owned(), "a place of links beside the index"),
        ("--no-binary lib".to_owned(), "a package to build"),
        ("-e git+https://git.example/x".to_owned(), "a repository in place of a release"),
        // What cotter and uv could read in two ways.
        ("-r deps.lock".to_owned(), "more than one way"),
        ("-r deps.py".to_owned(), "more than one way"),
        ("-r \"more.in\"".to_owned(), "more than one way"),
        ("-r a b.in".to_owned(), "more than one way"),
        ("-r ${LC_ALL}".to_owned(), "more than one way"),
        ("-i http://one.example\\@two.example/simple".to_owned(), "more than one way"),
        ("--unknown-option".to_owned(), "more than one way"),
        ("# note\r--no-binary lib\r-e .".to_owned(), "more than one way"),
        ("# note\u{2028}-e .".to_owned(), "more than one way"),
    ] {
        packages.project.scratch.write("project/sub/nested.in", format!("lib\n{line}\n"));
        packages.inputs("-r sub/nested.in\n");
        packages.refused(1, &["lock"], &["at: sub/nested.in:2:1", words, "hint: "]);
    }
    packages.inputs("\u{feff}-e .\n");
    packages.refused(1, &["lock"], &["at: requirements.in:1:1", "more than one way"]);
    // Files of the machine are no part of the project, whatever leads to them.
    packages.inputs("-r /etc/hostname\n");
    packages.refused(1, &["lock"], &["does not lie in the checkout of the project"]);
    std::os::unix::fs::symlink("/etc/hostname", packages.project.dir().join("link.in")).unwrap();
    packages.inputs("-r link.in\n");
    packages.refused(1, &["lock"], &["does not lie in the checkout of the project"]);
    packages.inputs("lib\n");
    pyproject(&packages, "lib", "[project]\nname = \"own\"\ndependencies = [\"lib\"]\n");
    packages.project.scratch.write("project/c.in", "own @ ./lib\n");
    packages.set("inputs = [\"requirements.in\"]\nconstraints = [\"c.in\"]");
    packages.refused(1, &["lock"], &["at: c.in:1:1", "is a file of constraints"]);

    // A pyproject.toml.
    let head = "[project]\nname = \"own\"\nversion = \"1\"\n";
    for (keys, text, at, words) in [
        (
            "",
            "dependencies = [\"a @ file:sub\"]\n",
            "pyproject.toml:8:17",
            "a directory in place of a release",
        ),
        (
            "",
            "dependencies = [\"lib\",\n \"a @ git+https://git.example/a\"]\n",
            "pyproject.toml:9:2",
            "a repository",
        ),
        (
            "extras = [\"x\"]",
            "[project.optional-dependencies]\nx = [\"a @ ./a-1.tar.bz2\"]\n",
            "pyproject.toml:9:6",
            "an archive in place of a release",
        ),
        (
            "groups = [\"dev\"]",
            "[dependency-groups]\nall = [\"a @ ./sub\"]\ndev = [{ include-group = \"all\" }]\n",
            "pyproject.toml:9:8",
            "a directory",
        ),
        (
            "",
            "dependencies = [\"Li.b\"]\n[tool.uv.sources]\nli-b = { path = \"sub\" }\n",
            "pyproject.toml:10:1",
            "names its `path`",
        ),
        (
            "",
            "dependencies = [\"lib>1\"]\n[tool.uv.sources]\nlib = { workspace = true }\n",
            "pyproject.toml:10:1",
            "names its `workspace`",
        ),
        (
            "",
            "dependencies = [\"lib\"]\n[tool.uv.sources]\nlib = [{ git = \"https://git.example/a\", marker = \"x\" }]\n",
            "pyproject.toml:10:1",
            "names its `git`",
        ),
    ] {
        pyproject(&packages, ".", &format!("{head}{text}"));
        packages.set(&format!("inputs = [\"pyproject.toml\"]\n{keys}"));
        packages.refused(1, &["lock"], &[&format!("at: {at}"), words, "hint: "]);
        packages.inputs("-e .[x]\n");
    }
    // What is not asked for does not count.
    pyproject(
        &packages,
        ".",
        &format!(
            "{head}dependencies = [\"lib\"]\n[dependency-groups]\ndev = [\"a\"]\n[tool.uv.sources]\na = {{ path = \"sub\" }}\n"
        ),
    );
    packages.set("inputs = [\"pyproject.toml\"]");
    packages.project.ok(&["lock"]);
    assert_eq!(wheels(&packages), ["lib"]);
    nothing_ran(&packages);
}

#[test]
fn locks_of_other_tools_give_releases_only() {
    let packages = rig("inputs = [\"requirements.in\"]");
    packages.inputs("lib\n");
    let project = &packages.project;
    project.ok(&["lock"]);
    let tree =
        |name: &str| std::path::PathBuf::from(project.ok(&["path", name, "--frozen"]).trim());
    let (uv, python) = (tree("uv"), tree("python"));
    // A workspace with a member, and with a directory beside it.
    pyproject(
        &packages,
        "sub",
        "[project]\nname = \"sub\"\nversion = \"1\"\ndependencies = [\"other\"]\n",
    );
    pyproject(
        &packages,
        "lib",
        "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"lib\"]\n",
    );
    project.scratch.write(
        "project/pyproject.toml",
        "[project]\nname = \"top\"\nversion = \"1\"\nrequires-python = \">=3.11\"\ndependencies = [\"sub\", \"own\"]\n[tool.uv.workspace]\nmembers = [\"sub\"]\n[tool.uv.sources]\nsub = { workspace = true }\nown = { path = \"lib\", editable = true }\n",
    );
    for dir in ["sub", "lib"] {
        let path = project.dir().join(dir).join("pyproject.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            path,
            text.replace("version = \"1\"\n", "version = \"1\"\nrequires-python = \">=3.11\"\n"),
        )
        .unwrap();
    }
    ok(Command::new(uv.join("bin/uv"))
        .args(["lock", "--quiet", "--no-config", "--python"])
        .arg(python.join("bin/python3"))
        .current_dir(project.dir())
        .env("UV_DEFAULT_INDEX", format!("{}/simple", packages.server.url))
        .env("UV_CACHE_DIR", project.scratch.join("uv-cache")));
    let lock = std::fs::read_to_string(project.dir().join("uv.lock")).unwrap();
    contains(&lock, &["source = { editable = \"sub\" }", "source = { editable = \"lib\" }"]);
    packages.set("inputs = [\"uv.lock\"]\nbuild = [\"*\"]\nbuild_requires = []");
    project.ok(&["lock"]);
    assert_eq!(wheels(&packages), ["lib", "other"]);
    nothing_ran(&packages);
    // One of its packages comes from an address.
    let registry = format!("source = {{ registry = \"{}/simple\" }}", packages.server.url);
    let (before, after) = lock.split_once("name = \"other\"").unwrap();
    let after = after.replacen(
        &registry,
        &format!(
            "source = {{ url = \"{}/files/other-1.0-py3-none-any.whl\" }}",
            packages.server.url
        ),
        1,
    );
    let edited = format!("{before}name = \"other\"{after}");
    project.scratch.write("project/uv.lock", &edited);
    project.ok(&["lock"]);
    let url = format!("\"{}/files/other-1.0-py3-none-any.whl\"", packages.server.url);
    contains(&project.lock_text(), &[&url, "editable = [\"lib\", \"sub\"]"]);

    packages.set("inputs = [\"pylock.toml\"]");
    let head = "lock-version = \"1.0\"\ncreated-by = \"test\"\n[[packages]]\nname = \"a\"\n";
    for (entry, words) in [
        (
            "vcs = { type = \"git\", url = \"https://git.example/a\", commit-id = \"0\" }\n",
            "a repository",
        ),
        ("archive = { path = \"a-1.zip\", hashes = { sha256 = \"00\" } }\n", "an archive"),
    ] {
        project.scratch.write("project/pylock.toml", format!("{head}{entry}"));
        packages.refused(1, &["lock"], &["at: pylock.toml:4:1", words]);
    }
    // A directory is left out, and is not looked for in the index.
    let lib = "[[packages]]\nname = \"lib\"\nversion = \"1.0\"\n";
    project.scratch.write(
        "project/pylock.toml",
        format!("{head}version = \"1\"\ndirectory = {{ path = \"lib\" }}\n{lib}"),
    );
    project.ok(&["lock"]);
    assert_eq!(wheels(&packages), ["lib"]);
    nothing_ran(&packages);
}

/// uv takes the sources of a workspace above a `pyproject.toml`, for which nobody was asked.
#[test]
fn a_workspace_above_the_inputs_counts_for_nothing() {
    let packages = rig("inputs = [\"pyproject.toml\", \"lib/pyproject.toml\"]");
    let (project, url) = (&packages.project, &packages.server.url);
    let evil = format!(
        "[tool.uv.workspace]\nmembers = [\"project\", \"lib\", \"**\"]\n[tool.uv.sources]\nlib = {{ url = \"{url}/evil/lib-9-py3-none-any.whl\" }}\n"
    );
    packages.server.put("/evil/lib-9-py3-none-any.whl", "evil");
    let plain = |name: &str, requires: &str| {
        format!("[project]\nname = \"{name}\"\nversion = \"1\"\ndependencies = [{requires:?}]\n")
    };
    pyproject(&packages, "", &plain("own", "app"));
    pyproject(&packages, "lib", &plain("part", "lib"));
    // The store may lie below the workspace, too: in the directory of the test, it does.
    project.scratch.write("pyproject.toml", &evil);
    for set in [
        "inputs = [\"pyproject.toml\", \"lib/pyproject.toml\"]",
        "inputs = [\"lib/pyproject.toml\"]\nconstraints = [\"c.txt\"]",
        "inputs = [\"lib/pyproject.toml\"]\nbuild = [\"*\"]\nbuild_requires = []",
    ] {
        packages.set(set);
        project.scratch.write("project/c.txt", "lib>=1\n");
        packages.server.clear_log();
        project.ok(&["lock", "--upgrade", "app"]);
        let log = packages.server.log().join("\n");
        assert!(log.contains("/simple/lib/") && !log.contains("evil"), "{set}\n{log}");
        assert!(wheels(&packages).contains(&"lib".to_owned()));
        nothing_ran(&packages);
    }
    // A workspace among the inputs is checked for its members.
    pyproject(&packages, "", &format!("{}{evil}", plain("own", "app")));
    packages.set("inputs = [\"pyproject.toml\", \"lib/pyproject.toml\"]");
    packages.refused(
        1,
        &["lock"],
        &["pyproject.toml takes lib from elsewhere", "[tool.uv.sources] names its `url`"],
    );
}

/// The file of requirements names the files of the project, and not those of a run.
#[test]
fn origins_have_the_names_of_the_inputs() {
    let packages = rig("inputs = [\"sub/requirements.in\"]\nconstraints = [\"c.txt\"]");
    let project = &packages.project;
    pyproject(&packages, "lib", "[project]\nname = \"own\"\ndependencies = [\"lib\"]\n");
    let scratch = &project.scratch;
    scratch.write("project/sub/requirements.in", "-e ./lib\n-c ../near.txt\n-r more/more.in\n");
    scratch.write("project/sub/more/more.in", "other\n-c far.txt\n");
    for list in ["c.txt", "near.txt", "sub/more/far.txt"] {
        scratch.write(&format!("project/{list}"), "lib<2\nother<2\n");
    }
    let text = || std::fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
    for build in ["", "\nbuild = [\"*\"]\nbuild_requires = []"] {
        packages
            .set(&format!("inputs = [\"sub/requirements.in\"]\nconstraints = [\"c.txt\"]{build}"));
        project.ok(&["lock", "--upgrade", "app"]);
        let text = text();
        let said: Vec<&str> =
            text.lines().filter(|line| line.contains(" -")).map(str::trim).collect();
        for line in &said {
            let known = line.starts_with("--hash")
                || [
                    "-r sub/requirements.in",
                    "-c c.txt",
                    "-c sub/../near.txt",
                    "-c sub/more/far.txt",
                ]
                .iter()
                .any(|origin| line.trim_start_matches(['#', ' ', 'v', 'i', 'a']) == *origin);
            assert!(known, "{line}\n{text}");
        }
        contains(&text, &["-r sub/requirements.in", "-c sub/more/far.txt"]);
    }
    // Groups are those of the project, in the sandbox, too.
    pyproject(&packages, "", "[dependency-groups]\ndev = [\"lib\"]\n");
    for build in ["", "\nbuild = [\"*\"]\nbuild_requires = []"] {
        packages.set(&format!("groups = [\"dev\"]{build}"));
        project.ok(&["lock", "--upgrade", "app"]);
        assert_eq!(wheels(&packages), ["lib"]);
        contains(&text(), &["pyproject.toml:dev"]);
    }
}

//! Directories whose modules are imported from where they are: in `exec`, and in virtual environments.

use std::fs;
use std::process::Command;

use super::requirements::{Packages, publish_app};
use crate::support::{contains, ok};

const PYPROJECT: &str = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\n[project]\nname = \"Own-It\"\nversion = \"1.5\"\ndependencies = [\"lib\"]\n[project.scripts]\nown = \"own_it:main\"\n";
const MODULE: &str = "import lib\nanswer = 1\ndef main():\n    print('own', answer, lib.answer)\n";

fn rig(set: &str, project: &str) -> Packages {
    let packages = Packages::new(set);
    publish_app(&packages);
    let scratch = &packages.project.scratch;
    scratch.write(&format!("project/{project}/pyproject.toml"), PYPROJECT);
    scratch.write(&format!("project/{project}/src/own_it/__init__.py"), MODULE);
    packages
}

#[test]
fn an_editable_directory_is_imported_in_exec_and_in_an_environment() {
    let program = "import own_it; own_it.main()";
    for (set, line, directory) in [
        ("inputs = [\"requirements.in\"]", "-e ./part\n", "part"),
        ("inputs = [\"requirements.in\"]", "-e .\n", "."),
        ("inputs = [\"pyproject.toml\"]\neditable = [\".\"]", "", "."),
    ] {
        let packages = rig(set, directory);
        let project = &packages.project;
        packages.inputs(line);
        project.ok(&["lock"]);
        contains(&project.lock_text(), &[&format!("editable = [\"{directory}\"]")]);
        project.ok(&["lock", "--check"]);
        let run = |program: &str| project.ok(&["exec", "app", "--", "python3", "-c", program]);
        assert_eq!(run(program), "own 1 42\n");
        assert_eq!(run(program), "own 1 42\n", "by the short way");
        // Its dependencies lead to its file, and its scripts are in an environment only.
        let prefix = if directory == "." { String::new() } else { format!("{directory}/") };
        contains(
            &project.ok(&["why", "lib"]),
            &[&format!("{prefix}pyproject.toml:7:17, a project of [requirements.app]: lib")],
        );
        let said = project.fails(127, &["exec", "app", "--", "own"]);
        contains(&said, &[&format!("own is a script of {directory}"), "`cotter venv`"]);
        // An edit counts at once, and the directories of the user come first.
        let module = project.dir().join(directory).join("src/own_it/__init__.py");
        // The text has another length: Python takes a compiled file of the same second and length for the module's.
        fs::write(&module, MODULE.replace("= 1", "= 1 + 1")).unwrap();
        assert_eq!(run(program), "own 2 42\n");
        project.scratch.write("mine/own_it.py", "def main():\n    print('mine')\n");
        let mine = project.scratch.join("mine");
        let mut command = project.cotter(&["exec", "app", "--", "python3", "-c", program]);
        assert_eq!(ok(command.env("PYTHONPATH", &mine)), "mine\n");

        // The environment is complete, also after it was made anew.
        for _ in 0..2 {
            project.ok(&["venv"]);
            let bin = project.dir().join(".venv/bin");
            assert_eq!(ok(Command::new(bin.join("own")).env_clear()), "own 2 42\n");
            let known = "import importlib.metadata as m, json; d = m.distribution('own-it'); print(d.version, json.loads(d.read_text('direct_url.json'))['dir_info'])";
            let known = ok(Command::new(bin.join("python")).args(["-c", known]).env_clear());
            assert_eq!(known, "1.5 {'editable': True}\n");
        }
    }
}

#[test]
fn a_build_backend_is_asked_by_its_tables_alone() {
    let packages = rig("inputs = [\"requirements.in\"]", "part");
    let project = &packages.project;
    let program = "import own_it; own_it.main()";
    for (table, place) in [
        ("[tool.setuptools.package-dir]\n\"\" = \"lib\"\n", "lib"),
        ("[tool.setuptools.packages.find]\nwhere = [\"a/b\"]\n", "a/b"),
        ("[tool.hatch.build.targets.wheel]\npackages = [\"deep/own_it\"]\n", "deep"),
        ("[tool.poetry]\npackages = [{ include = \"own_it\", from = \"poetry\" }]\n", "poetry"),
        ("[tool.uv.build-backend]\nmodule-root = \"\"\n", "."),
    ] {
        let scratch = &project.scratch;
        let _ = fs::remove_dir_all(project.dir().join("part"));
        scratch.write("project/part/pyproject.toml", format!("{PYPROJECT}{table}"));
        scratch.write(&format!("project/part/{place}/own_it/__init__.py"), MODULE);
        packages.inputs("-e ./part\n");
        let said = project.ok(&["exec", "app", "--", "python3", "-c", program]);
        assert_eq!(said, "own 1 42\n", "{table}");
    }
}

/// A repository that was only cloned could bring modules that shadow others.
#[test]
fn modules_of_a_repository_are_imported_after_they_were_trusted() {
    let packages = rig("inputs = [\"requirements.in\"]", "part");
    let project = &packages.project;
    packages.inputs("lib\n-e part\n");
    project.ok(&["lock"]);
    for args in
        [&["setup"][..], &["exec", "app", "--", "python3", "-c", "import own_it"], &["venv"]]
    {
        let output = project.cotter(args).env_remove("COTTER_TRUST").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        contains(
            &said,
            &[
                "requirements.in:2: modules of the directory part for the Python programs of app",
                "cotter trust",
            ],
        );
    }
    // A directory outside of the checkout is none of the project.
    project.scratch.write("far/pyproject.toml", PYPROJECT);
    packages.inputs("-e ../far\n");
    contains(&project.fails(1, &["lock"]), &["does not lie in the checkout of the project"]);
    packages.inputs("lib\n");
    packages.set("inputs = [\"requirements.in\"]\neditable = [\"../far\"]");
    contains(
        &project.fails(1, &["lock"]),
        &["toolchains.toml:", "does not lie in the checkout of the project"],
    );
}

//! Wheels and source distributions that lists name by a path or an address: they are locked by their
//! hashes, and a change is told.

use std::fs;

use super::requirements::{Packages, Wheel, publish_app, sdist};
use crate::support::contains;

const WHEEL: &str = "own_lib-1.0-py3-none-any.whl";

fn own(answer: &'static str) -> Vec<u8> {
    Wheel::of(&[("own_lib.py", answer)]).needs(&["lib>=1"]).bytes("own_lib", "1.0")
}

fn hash(bytes: &[u8]) -> String {
    cotter::internals::Digest::of(bytes).to_string()
}

/// A project with a wheel of its own, and the same file on a server.
fn rig() -> Packages {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.project.scratch.write(&format!("project/vendor/{WHEEL}"), own("answer = 1\n"));
    packages.server.put(&format!("/files/{WHEEL}"), own("answer = 2\n"));
    packages
}

fn answer(packages: &Packages) -> String {
    let program = "import own_lib, lib; print(own_lib.answer, lib.answer)";
    packages.project.ok(&["exec", "app", "--", "python3", "-c", program])
}

#[test]
fn a_wheel_of_the_project_is_locked_by_its_hash_and_a_change_is_told() {
    let packages = rig();
    let project = &packages.project;
    for line in [
        format!("./vendor/{WHEEL}"),
        format!("own-lib @ ./vendor/{WHEEL} ; python_version > '3'"),
        format!("vendor/{WHEEL} --hash=sha256:{}", hash(&own("answer = 1\n"))),
        format!("./other/../vendor/./{WHEEL}"),
        format!("Own.Lib @ file:vendor/{WHEEL}#sha256={}", hash(&own("answer = 1\n"))),
    ] {
        packages.inputs(&format!("# ours\n{line}\n"));
        project.ok(&["lock"]);
        let lock = project.lock_text();
        contains(
            &lock,
            &[
                &format!("\"./vendor/{WHEEL}\""),
                &hash(&own("answer = 1\n")),
                "requires = [\"lib\"]",
            ],
        );
        project.ok(&["lock", "--check"]);
        let text = fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
        contains(&text, &[&format!("./vendor/{WHEEL} \\"), "lib==1.0"]);
        assert!(!text.contains("cotter-files"), "{text}");
        assert_eq!(answer(&packages), "1 42\n", "{line}");
    }
    // What asks for it, and what it asks for, is known. An index is not asked for its name.
    contains(
        &project.ok(&["why", "own-lib"]),
        &["requirements.in:2:1, a list of [requirements.app]: own-lib"],
    );
    packages.inputs(&format!("# ours\n\n./vendor/{WHEEL}\n"));
    project.ok(&["lock"]);
    contains(
        &project.ok(&["why", "lib"]),
        &["requirements.in:3:1, a file of [requirements.app]: own-lib -> lib"],
    );
    packages.server.clear_log();
    let json = project.ok(&["outdated", "--json", "app"]);
    contains(&json, &["\"files\": [\n    \"own-lib\"\n  ]"]);
    let asked = packages.server.log();
    assert!(asked.iter().any(|line| line.contains("/lib")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("own")), "{asked:?}");
    // In the sandbox, too.
    packages.set("inputs = [\"requirements.in\"]\nbuild = [\"*\"]\nbuild_requires = []");
    packages.inputs(&format!("./vendor/{WHEEL}\n"));
    project.ok(&["lock"]);
    assert_eq!(answer(&packages), "1 42\n");
    packages.set("inputs = [\"requirements.in\"]");
    project.ok(&["lock"]);

    // A change is told with the line, and locked with the next lock.
    project.scratch.write(&format!("project/vendor/{WHEEL}"), own("answer = 3\n"));
    packages.refused(
        3,
        &["lock", "--check"],
        &[&format!("requirements.in:1: ./vendor/{WHEEL}"), "files"],
    );
    packages.refused(3, &["setup", "--locked"], &[&format!("requirements.in:1: ./vendor/{WHEEL}")]);
    project.ok(&["lock"]);
    assert_eq!(answer(&packages), "3 42\n");
    // A line with a hash does not follow the file.
    packages
        .inputs(&format!("lib\n./vendor/{WHEEL} --hash=sha256:{}\n", hash(&own("answer = 1\n"))));
    packages.refused(
        4,
        &["lock"],
        &[
            "at: requirements.in:2:1",
            "is not the file that requirements.in demands",
            &hash(&own("answer = 1\n")),
            &hash(&own("answer = 3\n")),
        ],
    );
}

#[test]
fn a_file_of_an_address_is_locked_by_its_hash() {
    let packages = rig();
    let project = &packages.project;
    packages.inputs(&format!("./vendor/{WHEEL}\n"));
    project.ok(&["lock"]);
    let pylock = project.ok(&["emit", "pylock", "app"]);
    contains(&pylock, &[&format!("archive = {{ path = \"vendor/{WHEEL}\", size = ")]);
    let url = format!("{}/files/{WHEEL}", packages.server.url);
    let sha256 = hash(&own("answer = 2\n"));
    for line in [
        format!("own-lib @ {url}"),
        url.clone(),
        format!("{url}#sha256={sha256}"),
        format!("own_lib @ {url} ; sys_platform == 'linux' --hash=sha256:{sha256}"),
    ] {
        packages.inputs(&format!("{line}\n"));
        project.ok(&["lock", "--upgrade", "app"]);
        contains(&project.lock_text(), &[&format!("\"{url}\""), &sha256]);
        let text = fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
        contains(&text, &[&format!("own-lib @ {url} ")]);
        assert_eq!(answer(&packages), "2 42\n", "{line}");
        let pylock = project.ok(&["emit", "pylock", "app"]);
        contains(&pylock, &[&format!("archive = {{ url = \"{url}\", size = "), "name = \"lib\""]);
        project.ok(&["lock"]);
    }
    packages.inputs(&format!("own-lib @ {url}#sha256={}\n", "0".repeat(64)));
    packages.refused(4, &["lock"], &["at: requirements.in:1:1", &sha256, &"0".repeat(64)]);
    packages.inputs(&format!("own-lib @ {}/files/none-1-py3-none-any.whl\n", packages.server.url));
    contains(&project.fails(5, &["lock"]), &["at: requirements.in:1:1", "404"]);
}

/// The archive of a commit is a source distribution, whose build needs permission.
#[test]
fn an_archive_of_a_commit_is_built_in_the_sandbox() {
    let packages = rig();
    let project = &packages.project;
    packages.server.put("/made/archive/0123abcd.tar.gz", sdist("def seen():\n    return 7\n"));
    let url = format!("{}/made/archive/0123abcd.tar.gz", packages.server.url);
    packages.inputs(&format!("{url}\n"));
    packages.refused(1, &["lock"], &["at: requirements.in:1:1", "does not say which project"]);
    packages.inputs(&format!("src @ {url}\n"));
    contains(
        &project.fails(1, &["lock"]),
        &["at: requirements.in:1:1", "name it in `build` of [requirements.app]"],
    );
    packages.set("inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = []");
    project.ok(&["lock"]);
    contains(&project.lock_text(), &[&format!("\"{url}\""), "src-1.0-py3-none-any.whl"]);
    let program = "import src; print(src.seen)";
    assert_eq!(project.ok(&["exec", "app", "--", "python3", "-c", program]), "7\n");
    // What names no commit is refused, and so is the repository itself.
    for line in [
        "made @ git+https://git.example/made@main",
        "git+https://git.example/made@0123456789012345678901234567890123456789#egg=made",
    ] {
        packages.inputs(&format!("lib\n{line}\n"));
        packages.refused(
            1,
            &["lock"],
            &["at: requirements.in:2:1", "a repository in place of a release", "COMMIT.tar.gz"],
        );
    }
}

/// Nobody but the user decides whether a file of a server, or of the repository, is installed.
#[test]
fn a_file_must_be_trusted_and_lie_in_the_project() {
    let packages = rig();
    let project = &packages.project;
    let url = format!("{}/files/{WHEEL}", packages.server.url);
    for (line, what) in [
        (url.clone(), format!("files from {} for the toolchain app", packages.server.url)),
        (format!("./vendor/{WHEEL}"), format!("files from ./vendor/{WHEEL}")),
    ] {
        packages.inputs(&format!("{line}\n"));
        let mut command = project.cotter(&["lock"]);
        command.env_remove("COTTER_TRUST");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        contains(&said, &["requirements.in:1", &what, "cotter trust"]);
    }
    project.scratch.write(&format!("outside/{WHEEL}"), own("answer = 4\n"));
    std::os::unix::fs::symlink(
        project.dir().join(format!("../outside/{WHEEL}")),
        project.dir().join(WHEEL),
    )
    .unwrap();
    for (line, words) in [
        (format!("../outside/{WHEEL}"), "a file outside of the project"),
        (format!("./{WHEEL}"), "leads out of the project"),
        ("./vendor/none-1-py3-none-any.whl".to_owned(), "none-1-py3-none-any.whl"),
        (format!("-e ./vendor/{WHEEL}"), "an archive in place of a release"),
        (format!("own-lib @ https://u:p@x.example/{WHEEL}"), "an address in place of a release"),
        (format!("own-lib @ {url}#subdirectory=x"), "an address in place of a release"),
        (format!("own-lib @ {url}#md5=00"), "an address in place of a release"),
        ("own-lib @ https://x.example/${A}/a-1.tar.gz".to_owned(), "an address in place"),
        (format!("{url}\n./vendor/{WHEEL}"), "named twice"),
    ] {
        packages.inputs(&format!("{line}\n"));
        let output = project.cotter(&["lock"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        contains(&said, &["requirements.in:", words]);
    }
}

/// What a `pyproject.toml` names is found like what a list names, also beside the manifest's directory.
#[test]
fn a_project_names_files_in_its_requirements_and_sources() {
    let packages = rig();
    let project = &packages.project;
    let url = format!("{}/files/{WHEEL}", packages.server.url);
    let head = "[project]\nname = \"top\"\nversion = \"1\"\n";
    let by_url = format!("{head}dependencies = [\"own-lib @ {url}\"]\n");
    let by_source = format!(
        "{head}dependencies = [\"own-lib>=1\"]\n[tool.uv.sources]\nown-lib = {{ url = \"{url}\" }}\n"
    );
    let path = |path: &str| {
        format!(
            "{head}[project.optional-dependencies]\nx = [\"own_lib\"]\n[tool.uv.sources]\nOwn-Lib = {{ path = \"{path}\" }}\n"
        )
    };
    let group = format!("{head}[dependency-groups]\ndev = [\"own-lib @ {url}\"]\n");
    let in_place = format!("vendor/{WHEEL}");
    for (file, text, keys, expected) in [
        ("pyproject.toml", by_url.clone(), "", "2 42\n"),
        ("pyproject.toml", by_url, "build = [\"*\"]\nbuild_requires = []", "2 42\n"),
        ("sub/pyproject.toml", by_source, "", "2 42\n"),
        ("pyproject.toml", path(&in_place), "extras = [\"x\"]", "1 42\n"),
        ("sub/pyproject.toml", path(&format!("../{in_place}")), "extras = [\"x\"]", "1 42\n"),
        ("pyproject.toml", group, "groups = [\"dev\"]", "2 42\n"),
    ] {
        project.scratch.write(&format!("project/{file}"), &text);
        packages.set(&format!("inputs = [\"{file}\"]\n{keys}"));
        project.ok(&["lock"]);
        let place = if expected == "2 42\n" { url.clone() } else { format!("./{in_place}") };
        contains(&project.lock_text(), &[&format!("\"{place}\"")]);
        let written = fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
        contains(&written, &[&place]);
        assert!(!written.contains("cotter-files"), "{written}");
        assert_eq!(answer(&packages), expected, "{text}");
        project.ok(&["lock", "--check"]);
    }
    // Of an editable directory, only releases are taken.
    project.scratch.write("project/sub/pyproject.toml", path(&format!("../{in_place}")));
    packages.set("inputs = [\"requirements.in\"]");
    packages.inputs("-e ./sub[x]\n");
    packages.refused(1, &["lock"], &["sub/pyproject.toml takes Own-Lib from elsewhere"]);
}

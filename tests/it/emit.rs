//! `cotter emit`: what it writes and when, and what its messages say. The tests in online/bazel.rs build with the result.

use std::path::Path;

use crate::support::{Project, REPO, contains, names, text};

pub const EXAMPLES: [&str; 5] = ["cpp", "flask", "mixed", "python", "zig"];

/// Returns a project with the manifest and the lock of an example.
pub fn project(example: &str) -> Project {
    let dir = Path::new(REPO).join("examples").join(example);
    let project = Project::new(&std::fs::read_to_string(dir.join("toolchains.toml")).unwrap());
    std::fs::copy(dir.join("toolchains.lock"), project.dir().join("toolchains.lock")).unwrap();
    project
}

#[test]
fn the_same_lock_gives_the_same_bytes() {
    let (one, other) = (project("mixed"), project("mixed"));
    one.ok(&["emit", "bazel"]);
    other.ok(&["emit", "bazel"]);
    let (a, b) = (one.dir().join("bazel/cotter"), other.dir().join("bazel/cotter"));
    assert!(names(&a).len() > 10);
    for name in names(&a) {
        // Zig's cache is the only fixed place outside of the workspace. It is the same on every machine.
        let bytes = std::fs::read_to_string(a.join(&name))
            .unwrap()
            .replace("_CACHE = \"/tmp/cotter-zig\"", "");
        assert_eq!(
            std::fs::read(a.join(&name)).unwrap(),
            std::fs::read(b.join(&name)).unwrap(),
            "{name}"
        );
        assert!(
            !bytes.contains(one.dir().to_str().unwrap())
                && !bytes.contains("/home/")
                && !bytes.contains("/tmp/"),
            "{name} names a path of this machine"
        );
        assert!(
            bytes.contains("Written by `cotter emit bazel`"),
            "{name} does not say where it comes from"
        );
        assert!(
            bytes.ends_with('\n')
                && !bytes.contains("\t")
                && bytes.lines().all(|l| l.trim_end() == l),
            "{name} is untidy"
        );
    }
    assert_eq!(one.ok(&["emit", "bazel"]), "");
}

#[test]
fn check_shows_what_was_edited_by_hand() {
    let project = project("python");
    contains(
        &project.fails(3, &["emit", "bazel", "--check"]),
        &["not what toolchains.lock gives", "run `cotter emit bazel`"],
    );
    project.ok(&["emit", "bazel"]);
    project.ok(&["emit", "bazel", "--check"]);
    let build = project.dir().join("bazel/cotter/BUILD.bazel");
    let emitted = std::fs::read_to_string(&build).unwrap();
    std::fs::write(&build, emitted.replace("/bin/bash", "/opt/bash")).unwrap();
    let output = project.cotter(&["emit", "bazel", "--check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    contains(
        &text(&output),
        &[
            "-    shell = \"/opt/bash\",",
            "+    shell = \"/bin/bash\",",
            "1 file is not",
            "edited by hand",
        ],
    );
    let said: serde_json::Value = serde_json::from_slice(
        &project.cotter(&["emit", "bazel", "--check", "--json"]).output().unwrap().stdout,
    )
    .unwrap();
    assert_eq!(said["changed"].as_array().unwrap().len(), 1);
    project.ok(&["emit", "bazel"]);
    assert_eq!(std::fs::read_to_string(&build).unwrap(), emitted);
}

#[test]
fn a_lock_must_be_there_and_fit() {
    let project = project("python");
    let lock = project.dir().join("toolchains.lock");
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace("\"libstdc++6\",", ""));
    contains(&project.fails(3, &["emit", "bazel"]), &["does not fit", "cotter lock"]);
    project.manifest(&manifest);
    std::fs::remove_file(lock).unwrap();
    contains(
        &project.fails(3, &["emit", "bazel"]),
        &["there is no toolchains.lock", "cotter lock"],
    );
    assert!(!project.dir().join("bazel").exists());
}

#[test]
fn settings_are_obeyed_and_checked() {
    let project = project("mixed");
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let with = |settings: &str| {
        project.manifest(&format!(
            "{}[emit.bazel]\n{settings}\n",
            manifest.split("[emit.bazel]").next().unwrap()
        ))
    };
    with(
        "dir = \"tools/pins\"\nrepository = \"pins\"\ntoolchains = [\"gcc\", \"openssl\"]\nregister = false",
    );
    project.ok(&["emit", "bazel"]);
    let read =
        |name: &str| std::fs::read_to_string(project.dir().join("tools/pins").join(name)).unwrap();
    contains(
        &read("lock.bzl"),
        &[
            "HUB = \"pins\"",
            "\"gcc-x86_64-linux\"",
            "\"openssl-x86_64-linux\"",
            "MANIFEST = \"../../toolchains.toml\"",
        ],
    );
    assert!(!read("lock.bzl").contains("python"), "{}", read("lock.bzl"));
    assert!(!read("cotter.MODULE.bazel").contains("register_toolchains"));
    contains(&read("lock.bzl"), &["FOLDER = \"//tools/pins\""]);
    contains(&read("rules.bzl"), &["load(\"@pins//:rules_cc.bzl\""]);
    assert!(!read("cotter.bazelrc").contains("build --custom_malloc"));
    with("toolchains = [\"gc\"]");
    contains(
        &project.fails(1, &["emit", "bazel"]),
        &["names a toolchain \"gc\"", "did you mean \"gcc\"?"],
    );
    with("dir = \"../up\"\nlibc = \"musl\"\nrepository = \"Pins\"\nwhat = 1");
    let said = project.fails(1, &["emit", "bazel"]);
    contains(
        &said,
        &[
            "toolchains.toml:",
            "\"../up\"",
            "expected \"system\" or \"pinned\"",
            "\"Pins\"",
            "unknown key \"what\"",
        ],
    );
    project.manifest(&format!("{manifest}\n[[audit.allow]]\nid = \"shebang\"\n\n[audit]\n"));
    project.fails(1, &["emit", "bazel"]);
    project.manifest(&format!("{manifest}\n[[audit.allow]]\nid = \"shebang\"\nreason = \" \"\n"));
    contains(&project.fails(1, &["emit", "bazel"]), &["expected a reason"]);
}

#[test]
fn an_emitter_that_is_not_there_is_told() {
    let project = project("python");
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace("[emit.bazel]", "[emit.bazzel]"));
    contains(
        &project.fails(1, &["emit", "bazel"]),
        &["unknown key \"bazzel\" in [emit]", "did you mean \"bazel\"?"],
    );
}

#[test]
fn a_symlink_does_not_lead_out_of_the_project() {
    let project = project("mixed");
    let outside = project.scratch.join("outside");
    std::fs::create_dir(&outside).unwrap();
    let link = project.dir().join("bazel");
    std::os::unix::fs::symlink("../outside", &link).unwrap();
    contains(
        &project.fails(1, &["emit", "bazel"]),
        &["bazel is a symlink to ../outside", "replace it by a directory"],
    );
    assert_eq!(names(&outside), Vec::<String>::new());
    // Nor is one followed within the project.
    std::fs::remove_file(&link).unwrap();
    std::fs::create_dir(project.dir().join("other")).unwrap();
    std::os::unix::fs::symlink("other", &link).unwrap();
    project.fails(1, &["emit", "bazel"]);
    std::fs::remove_file(&link).unwrap();
    project.ok(&["emit", "bazel"]);
    // What lies behind one is not shown either.
    let secret = project.scratch.write("secret/BUILD.bazel", "SECRET\n");
    let build = project.dir().join("bazel/cotter/BUILD.bazel");
    std::fs::remove_file(&build).unwrap();
    std::os::unix::fs::symlink(&secret, &build).unwrap();
    for args in [&["emit", "bazel", "--check"][..], &["emit", "bazel"]] {
        let said = project.fails(1, args);
        contains(&said, &["expected a regular file, got a symlink to", "BUILD.bazel"]);
        assert!(!said.contains("SECRET"), "{said}");
    }
    std::fs::remove_file(&build).unwrap();
    project.ok(&["emit", "bazel"]);
    let folder = project.dir().join("bazel/cotter");
    std::fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(secret.parent().unwrap(), &folder).unwrap();
    let said = project.fails(1, &["emit", "bazel", "--check"]);
    contains(&said, &["bazel/cotter is a symlink to", "nothing is read through a symlink"]);
    assert!(!said.contains("SECRET"), "{said}");
}

/// `setup` with nothing else to do notices that emitted files are gone or damaged, and `exec`
/// leaves them alone.
#[test]
fn setup_heals_emitted_files() {
    let server = crate::support::server::Server::start();
    let tar = crate::support::archive::Tar::new().program("bin/x", b"x").finish();
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.x]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{}\"\n[emit.bazel]\n",
        server.put("/x.tar", tar)
    ));
    project.ok(&["setup"]);
    let folder = project.dir().join("bazel/cotter");
    let good: Vec<(String, Vec<u8>)> = names(&folder)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect();
    assert!(good.len() > 20);
    let setup = |args: &[&str]| text(&project.cotter(args).output().unwrap());
    assert!(!setup(&["setup"]).contains("wrote"));
    type Damage<'a> = &'a dyn Fn();
    let damages: [(&str, Damage); 4] = [
        ("the folder is deleted", &|| std::fs::remove_dir_all(&folder).unwrap()),
        ("a file is deleted", &|| std::fs::remove_file(folder.join("lock.bzl")).unwrap()),
        ("a file is empty", &|| std::fs::write(folder.join("BUILD.bazel"), "").unwrap()),
        ("a file is edited", &|| {
            let file = folder.join("cc.bzl");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text + "# edited\n").unwrap();
        }),
    ];
    for (what, damage) in damages {
        damage();
        // A program that is started does not wait for files that it does not read.
        setup(&["exec", "--", "true"]);
        // Without the right to write, it is told each time.
        for _ in 0..2 {
            contains(
                &setup(&["setup", "--locked"]),
                &["is not what toolchains.lock gives: run `cotter emit bazel`"],
            );
        }
        contains(&setup(&["setup"]), &["wrote bazel/cotter"]);
        for (name, bytes) in &good {
            assert_eq!(&std::fs::read(folder.join(name)).unwrap(), bytes, "{what}: {name}");
        }
        assert!(!setup(&["setup"]).contains("wrote"), "{what}");
    }
    // If the files cannot be written, the next setup tries again.
    std::fs::remove_dir_all(project.dir().join("bazel")).unwrap();
    std::fs::write(project.dir().join("bazel"), "in the way").unwrap();
    for _ in 0..2 {
        project.fails(1, &["setup"]);
    }
    std::fs::remove_file(project.dir().join("bazel")).unwrap();
    contains(&setup(&["setup"]), &["wrote bazel/cotter"]);
    // The manifest no longer asks for the files.
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace("[emit.bazel]\n", ""));
    project.ok(&["setup"]);
    std::fs::remove_dir_all(project.dir().join("bazel")).unwrap();
    project.ok(&["setup"]);
    assert!(!project.dir().join("bazel").exists());
}

/// A repository names the folder, so `emit` could replace any file of it, such as a hook of git.
#[test]
fn only_files_that_cotter_wrote_are_replaced() {
    let project = project("python");
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let with = |dir: &str| {
        let head = manifest.split("[emit.bazel]").next().unwrap();
        project.manifest(&format!("{head}[emit.bazel]\ndir = \"{dir}\"\n"));
    };
    for dir in [".git", ".git/hooks", "a/.GIT/b"] {
        with(dir);
        contains(
            &project.fails(1, &["emit", "bazel"]),
            &["expected a folder outside of .git", &format!("{dir:?}")],
        );
        assert!(!project.dir().join(".git").exists());
    }
    with("build");
    for (name, bytes) in
        [("BUILD.bazel", &b"own"[..]), ("lock.bzl", b"\xff\xfe"), ("zig.bzl", b"# Written by me")]
    {
        let file = project.scratch.write(&format!("project/build/{name}"), bytes);
        for args in [&["emit", "bazel"][..], &["emit", "bazel", "--json"]] {
            contains(
                &project.fails(1, args),
                &[
                    &format!("build/{name} is there, and cotter did not write it"),
                    "Written by `cotter emit bazel`",
                    "[emit.bazel] dir",
                ],
            );
        }
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
        assert_eq!(names(&project.dir().join("build")), [name]);
        std::fs::remove_file(file).unwrap();
    }
    project.ok(&["emit", "bazel"]);
}

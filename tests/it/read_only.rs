//! The verbs that only look: they lock nothing, fetch nothing, make nothing and run nothing.

use std::process::Command;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, fails, names, ok};

/// A project with a tool that is an archive on a server, and with a folder for Bazel.
fn rig() -> (Server, Project) {
    let server = Server::start();
    let tar = Tar::new().program("bin/a", b"a").finish();
    let url = server.put("/a.tar", tar);
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[emit.bazel]\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
    ));
    (server, project)
}

/// The verbs that only look and that need the lock, with the lock alone or with trees.
const OF_LOCK: &[&[&str]] =
    &[&["list"], &["list", "--json"], &["lock", "--check"], &["emit", "bazel", "--check"]];
const OF_TREES: &[&[&str]] = &[
    &["path", "a"],
    &["path", "--bin"],
    &["env"],
    &["env", "--json"],
    &["env", "--direnv"],
    &["env", "--github"],
    &["env", "a"],
];
const ALWAYS: &[&[&str]] = &[
    &["verify"],
    &["verify", "--deep"],
    &["gc", "--dry-run"],
    &["schema"],
    &["completions", "bash"],
];

/// Runs a verb that only looks and returns whether it succeeded, and what it said.
#[track_caller]
fn look(server: &Server, project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let state = || {
        let mut files = vec![];
        for name in names(&project.dir()) {
            let path = project.dir().join(&name);
            let text = if path.is_file() { std::fs::read(&path).unwrap() } else { vec![] };
            files.push((name, text));
        }
        let part = |part: &str| names(&project.store.join(part));
        (files, part("store"), part("inputs"), part("roots"), part("staging"))
    };
    let before = state();
    server.clear_log();
    let mut command = project.cotter(args);
    command.env("GITHUB_ENV", project.scratch.join("env"));
    command.env("GITHUB_PATH", project.scratch.join("path"));
    let output = command.output().unwrap();
    assert_eq!(server.log(), Vec::<String>::new(), "{args:?} asked a server");
    assert!(state() == before, "{args:?} changed something");
    let said = crate::support::text(&output);
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code(), said)
}

#[test]
fn verbs_that_look_change_nothing_and_name_the_next_step() {
    let (server, project) = rig();
    let check = |verbs: &[&[&str]], code: i32, words: &[&str]| {
        for args in verbs {
            let (got, said) = look(&server, &project, args);
            assert_eq!(got, Some(code), "{args:?}\n{said}");
            contains(&said, words);
        }
    };
    // There is no lock.
    check(
        OF_TREES,
        3,
        &["there is no toolchains.lock", "run `cotter lock`", "or run `cotter setup`"],
    );
    check(OF_LOCK, 3, &["toolchains.lock", "cotter lock"]);
    check(ALWAYS, 0, &[]);
    // A machine without free space is one that doctor finds fault with.
    let (code, said) = look(&server, &project, &["doctor", "--offline"]);
    assert!(code == Some(0) || said.contains("bad  disk"), "{said}");
    contains(&said, &["ok   store ", "not asked: --offline"]);
    assert_eq!(names(&project.dir()), ["toolchains.toml"]);

    // There is a lock, and no tree.
    project.ok(&["lock"]);
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    check(OF_TREES, 1, &["a is not set up", "is not in the store", "run `cotter setup`"]);
    check(&[&["list"]], 0, &["not set up"]);
    check(&[&["emit", "bazel", "--check"]], 3, &["run `cotter emit bazel`"]);
    check(&[&["lock", "--check"]], 0, &["fits the manifest"]);
    check(&[&["path", "a", "--frozen"]], 1, &["a is not set up"]);
    check(ALWAYS, 0, &[]);

    // Everything is there.
    project.ok(&["setup"]);
    check(OF_TREES, 0, &[]);
    check(OF_LOCK, 0, &[]);
    contains(&project.ok(&["path", "--bin"]), &["-a-1-x86_64-linux/bin\n"]);

    // Nobody registered the trees for this project, but they are there. (`gc` would delete them.)
    std::fs::remove_dir_all(project.store.join("roots")).unwrap();
    check(OF_TREES, 0, &[]);

    // The manifest changed.
    let text = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&text.replace("version = \"1\"", "version = \"2\""));
    check(OF_TREES, 3, &["does not fit", "run `cotter lock`", "or run `cotter setup`"]);
    check(&OF_LOCK[2..], 3, &["does not fit", "cotter lock"]);
    check(ALWAYS, 0, &[]);
    // The lock as it is still serves.
    check(&[&["path", "a", "--frozen"], &["env", "--frozen"]], 0, &[]);
    contains(&project.fails(1, &["path", "b"]), &["there is no toolchain \"b\""]);
}

/// `setup` in `.envrc` makes the trees, which the user allowed with `direnv allow`.
#[test]
fn direnv_sets_up_what_was_allowed() {
    let (_server, project) = rig();
    let program = env!("CARGO_BIN_EXE_cotter");
    let text = format!("{program} setup --quiet\neval \"$({program} env --direnv)\"\n");
    project.scratch.write("project/.envrc", text);
    let direnv = |args: &[&str]| {
        let mut command = Command::new("direnv");
        command.args(args).envs(project.cotter(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.current_dir(project.dir());
        command
    };
    let look = ["exec", ".", "sh", "-c", "command -v a"];
    assert!(!direnv(&look).output().unwrap().status.success(), "nobody allowed it");
    assert_eq!(project.stored("store"), Vec::<String>::new());
    ok(&mut direnv(&["allow"]));
    contains(&ok(&mut direnv(&look)), &["-a-1-x86_64-linux/bin/a"]);
    // Without the setup, the environment fails and says what to do.
    project.scratch.write("project/.envrc", format!("eval \"$({program} env --direnv)\"\n"));
    ok(&mut direnv(&["allow"]));
    let text = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&text.replace("version = \"1\"", "version = \"2\""));
    let said = fails(1, &mut direnv(&look));
    contains(&said, &["does not fit", "cotter setup"]);
}

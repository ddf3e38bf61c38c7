//! Builds from source that fail: what is said, what is kept for the user, and that the store is as before.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::building::{Building, INSTALL, Thing};
use crate::support::users::is_root;
use crate::support::{contains, fails, names, ok, text};

/// Every way in which a build can be wrong has its message, its next step and its exit code, and leaves the store as it was.
#[test]
fn what_is_wrong_with_a_build_is_told() {
    let building = Building::new(&[]);
    let before = building.stored();
    let log = building.project.store.join("logs/thing-1.0-x86_64-linux.log.zst");
    let log = log.to_str().unwrap();
    let all = format!("hint: all that it printed: {log}");
    for (step, said) in [
        (
            "echo before; false; echo after",
            vec!["    before\n", "step 2 has failed with exit code 1"],
        ),
        ("cmake .", vec!["cmake: not found", "goes into a toolchain of `with`"]),
        ("needs ninja", vec!["there is no program ninja", "goes into a toolchain of `with`"]),
        ("echo x > /usr/bin/x", vec!["Read-only file system"]),
        ("echo x > /etc/x", vec!["Read-only file system"]),
        (
            "exec bash -c 'exec 3<>/dev/tcp/www.example.com/80'",
            vec!["www.example.com: Temporary failure in name resolution", "a build has no network"],
        ),
        (
            "exec bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'",
            vec!["Network is unreachable", "a build has no network"],
        ),
        ("kill -9 $$", vec!["signal 9 ended it"]),
        ("printf 'a\\033[2Jb\\n'; false", vec!["a\\u{1b}[2Jb"]),
    ] {
        building.thing(&Thing { steps: &["true", step], ..Thing::default() });
        let got = building.project.fails(6, &["setup", "thing"]);
        contains(
            &got,
            &["error: can't lock thing for x86_64-linux", "caused by: can't build thing"],
        );
        contains(&got, &said);
        contains(&got, &[all.as_str()]);
        assert!(!got.contains("    after\n") && !got.contains('\u{1b}'), "{got}");
        building.assert_stored(&before);
    }
    building.thing(&Thing { steps: &["true"], ..Thing::default() });
    let got = building.project.fails(6, &["setup", "thing"]);
    contains(&got, &["its steps have installed nothing below /out", "DESTDIR=/out"]);
    // The log of a build that succeeded is kept, too.
    assert_eq!(building.project.ok(&["log", "thing"]), "[cotter] step 1 of 1\n");
    let thing = Thing { steps: &[INSTALL], ..Thing::default() };
    building.manifest(&thing, &"0".repeat(64));
    let got = building.project.fails(4, &["setup", "thing"]);
    contains(&got, &["thing-1.0.tar", "sha256"]);
    // A patch for other text.
    building.project.scratch.write(
        "project/wrong.patch",
        "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-of something else\n+of mine\n",
    );
    let more = "patches = [\"wrong.patch\"]";
    building.thing(&Thing { steps: &[INSTALL], more, ..Thing::default() });
    let got = building.project.fails(6, &["setup", "thing"]);
    contains(&got, &["Hunk #1 FAILED", "step 1 has failed with exit code 1", all.as_str()]);
    building.assert_stored(&before);
}

/// A result that is not the one of the lock is refused, and does not come into the store.
#[test]
fn another_result_than_that_of_the_lock_is_refused() {
    let building = Building::new(&[]);
    let date = "mkdir -p /out/usr/share; date +%s%N > /out/usr/share/time";
    building.thing(&Thing { steps: &[INSTALL, date], ..Thing::default() });
    building.project.ok(&["setup", "thing"]);
    let store = &building.project.store;
    let lock = building.project.lock_text();
    let built = lock.lines().find(|line| line.starts_with("built = ")).unwrap_or_default();
    let built = built.to_owned() + lock.split("built").nth(1).unwrap_or_default();
    // Nothing of the first build is left.
    for name in names(&store.join("store")) {
        if name.contains("-thing-") {
            ok(Command::new("rm").arg("-rf").arg(store.join("store").join(name)));
        }
    }
    std::fs::remove_dir_all(store.join("builds")).unwrap();
    for name in names(&store.join("inputs")) {
        if built.contains(&name) {
            std::fs::remove_file(store.join("inputs").join(name)).unwrap();
        }
    }
    let before = building.stored();
    let got = building.project.fails(4, &["setup", "--locked", "thing"]);
    contains(&got, &["what was built of thing is not what was locked", "rebuild --check thing"]);
    let trees = |list: &[String]| -> Vec<String> {
        list.iter().filter(|line| line.contains("/store/store/")).cloned().collect()
    };
    assert_eq!(trees(&building.stored()), trees(&before));
    assert_eq!(building.project.stored("staging"), Vec::<String>::new());
}

/// Where no namespaces can be made, this is said, and what is left.
#[test]
fn a_machine_without_namespaces_is_told() {
    if !is_root() {
        return;
    }
    let building = Building::new(&[]);
    building.thing(&Thing { steps: &[INSTALL], ..Thing::default() });
    let before = building.stored();
    let own = building.project.cotter(&["setup", "thing"]);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]);
    command.arg(own.get_program()).args(own.get_args()).env_clear();
    command.envs(own.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.current_dir(building.project.dir());
    let got = fails(6, &mut command);
    contains(&got, &["this machine allows no namespaces", "--privileged", "from a binary cache"]);
    building.assert_stored(&before);
}

/// What a failed build leaves is copied out of the sandbox, and nothing in it leads elsewhere.
#[test]
fn what_a_failed_build_leaves_is_kept() {
    let building = Building::new(&[("main.c", "int main(void) { return 0; }\n")]);
    let step = "gcc -o main main.c; mkfifo pipe; ln -s ../../usr/bin/env out; ln -s README in; mkdir closed; echo x > closed/file; chmod 0 closed; chmod 0 main.c; export MORE=more; false";
    building.thing(&Thing {
        steps: &["mkdir -p /out/usr/bin", step],
        more: "build_env = { OWN = \"it's\" }",
        ..Thing::default()
    });
    let before = building.stored();
    let got = building.project.fails(6, &["setup", "--keep-failed", "thing"]);
    let dir = building.project.store.join("failed/thing-1.0-x86_64-linux");
    contains(&got, &[&format!("hint: what it left: {}", dir.display())]);
    building.assert_stored(&before);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(names(&dir), ["build", "environment", "script"]);
    assert_eq!(
        names(&dir.join("build/source")),
        ["README", "closed", "in", "main", "main.c", "out"]
    );
    assert_eq!(read("build/source/closed/file"), "x\n");
    assert!(dir.join("build/out/usr/bin").is_dir());
    let link = |name: &str| std::fs::read_link(dir.join("build/source").join(name)).unwrap();
    assert_eq!(
        (link("out").as_path(), link("in").as_path()),
        (Path::new("/usr/bin/env"), Path::new("README"))
    );
    ok(&mut Command::new(dir.join("build/source/main")));
    contains(&read("script"), &["cotter_step=2", "gcc -o main main.c"]);
    let shown = ok(Command::new("sh")
        .arg("-c")
        .arg(format!(". {}; echo \"$OWN $CC\"", dir.join("environment").display())));
    assert_eq!(shown, "it's gcc\n");
    // The next one takes its place, and without the flag nothing is kept.
    building.thing(&Thing { steps: &["echo new > new; false"], ..Thing::default() });
    let got = building.project.fails(6, &["lock"]);
    assert!(!got.contains("what it left"), "{got}");
    let mut command = building.project.cotter(&["lock"]);
    contains(&fails(6, command.env("COTTER_KEEP_FAILED", "1")), &["what it left"]);
    assert_eq!(names(&dir.join("build/source")), ["README", "main.c", "new"]);
    // What is too much for the policy of archives is said, beside the failure itself.
    building.thing(&Thing { steps: &["truncate -s 100G large; false"], ..Thing::default() });
    let mut command = building.project.cotter(&["build", "--keep-failed"]);
    let got = fails(6, command.env("COTTER_BUILD_MEMORY", "300"));
    contains(&got, &["can't build thing", "step 1 has failed"]);
}

/// A build is shown while it runs, each line with the name of its toolchain; `build` does so by itself, and `log` prints it again.
#[test]
fn a_build_is_shown_and_can_be_read_again() {
    let building = Building::new(&[]);
    let step = "printf 'one\\n\\033[2Jtwo\\tx\\r\\nthree'";
    building.thing(&Thing { steps: &[step, INSTALL], ..Thing::default() });
    let output = building.project.cotter(&["build"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    contains(
        &said,
        &[
            "thing: [cotter] step 1 of 2\n",
            "thing: one\n",
            "thing: \\u{1b}[2Jtwo\tx\n",
            "thing: three[cotter] step 2 of 2\n",
        ],
    );
    assert_eq!(
        building.project.ok(&["log", "thing"]),
        "[cotter] step 1 of 2\none\n\\u{1b}[2Jtwo\tx\nthree[cotter] step 2 of 2\n"
    );
    assert_eq!(
        building.project.ok(&["log", "thing-1.0-x86_64-linux"]).lines().count(),
        4,
        "by the name of the log"
    );
    contains(
        &building.project.fails(1, &["log", "gcc"]),
        &["there is no log of gcc", "thing-1.0-x86_64-linux"],
    );
    contains(
        &building.project.fails(1, &["build", "gcc"]),
        &["gcc is not built from source", "cotter setup"],
    );
    contains(&building.project.fails(1, &["build", "thin"]), &["thin", "thing"]);
}

/// Runs a command of a shell on a terminal, and types a text.
fn typed(building: &Building, shell: &str, input: &str) -> String {
    let like = building.project.cotter(&[]);
    let mut command = Command::new("script");
    command.args(["-qec", shell, "/dev/null"]).env_clear();
    command.envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.env("COTTER", like.get_program()).env("COTTER_NO_PROGRESS", "1");
    command.current_dir(building.project.dir());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    text(&child.wait_with_output().unwrap())
}

/// `build --shell` leads to where a step has failed, or before a step; the user's terminal is afterwards as it was, also if cotter is ended.
#[test]
fn a_shell_stands_where_a_step_has_failed() {
    let building = Building::new(&[("sub/file", "of the source\n")]);
    let steps = &["cd sub; echo made > made; export VARIABLE=value", "false", INSTALL];
    building.thing(&Thing { steps, ..Thing::default() });
    contains(&building.project.fails(1, &["build", "--shell", "thing"]), &["needs a terminal"]);
    let before = building.stored();
    let around = |command: &str| {
        format!("stty -a > before; {command}; echo \"ended with $?\"; stty -a > after")
    };
    let shown = typed(
        &building,
        &around("\"$COTTER\" build --shell thing"),
        "echo \"made: $(cat made) $VARIABLE $PWD $((40 + 2))\"; echo again > /dev/stderr && echo could; stty -echo; exit 7\n",
    );
    contains(
        &shown,
        &[
            "step 2 has failed with exit code 1",
            "made: made value /build/source/sub 42",
            "could",
            "ended with 0",
        ],
    );
    let settings = || {
        ["before", "after"]
            .map(|name| std::fs::read_to_string(building.project.dir().join(name)).unwrap())
    };
    let [first, last] = settings();
    assert_eq!(first, last, "the terminal is not as it was");
    building.assert_stored(&before);
    let shown = typed(&building, "\"$COTTER\" build --shell thing --step 1", "ls; exit\n");
    contains(&shown, &["before step 1 of 3", "README"]);
    let shown = typed(&building, "\"$COTTER\" build --shell thing --step 4", "");
    contains(&shown, &["the build of thing has no step 4", "from 1 to 3"]);
    // Cotter is ended while somebody types.
    let shown = typed(
        &building,
        &around("timeout --foreground -s TERM 4 \"$COTTER\" build --shell thing --step 1"),
        "sleep 100\n",
    );
    contains(&shown, &["ended with 124"]);
    let [first, last] = settings();
    assert_eq!(first, last, "the terminal is not as it was");
}

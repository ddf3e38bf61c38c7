//! What builds have printed and left, in the store.

use std::process::Command;

use crate::support::{Project, contains, names, ok};

/// Logs go when they are old and when there are too many, and what failed builds left goes at once.
#[test]
fn gc_deletes_old_logs_and_what_was_left() {
    let project = Project::new("platforms = [\"x86_64-linux\"]\n");
    let log = |name: &str, days: u32| {
        let path = project.scratch.write(&format!("store/logs/{name}.log.zst"), "");
        ok(Command::new("touch").args(["-d", &format!("{days} days ago")]).arg(path));
    };
    log("new-1.0-x86_64-linux", 6);
    log("old-1.0-x86_64-linux", 8);
    project.scratch.write("store/failed/new-1.0-x86_64-linux/build/source/README", "left");
    project.ok(&["gc", "--dry-run"]);
    assert_eq!((project.stored("logs").len(), project.stored("failed").len()), (2, 1));
    project.ok(&["gc", "--keep-days", "10"]);
    assert_eq!((project.stored("logs").len(), project.stored("failed").len()), (2, 1));
    project.ok(&["gc"]);
    assert_eq!(project.stored("logs"), ["new-1.0-x86_64-linux.log.zst"]);
    assert_eq!(project.stored("failed"), Vec::<String>::new());
}

/// A log that is not there, and one that is damaged, are told.
#[test]
fn a_log_that_is_not_there_is_told() {
    let project = Project::new("platforms = [\"x86_64-linux\"]\n");
    contains(
        &project.fails(1, &["log", "thing"]),
        &["there is no log of thing", "no build has printed anything yet", "cotter build"],
    );
    project.scratch.write("store/logs/thing-1.0-x86_64-linux.log.zst", "no zstd");
    contains(
        &project.fails(1, &["log", "other"]),
        &["the store has 1 log", "thing-1.0-x86_64-linux"],
    );
    contains(&project.fails(8, &["log", "thing"]), &["thing-1.0-x86_64-linux.log.zst"]);
    // A link in the place of a log is not followed.
    let secret = project.scratch.write("secret", "secret");
    let link = project.store.join("logs/linked-1.0-x86_64-linux.log.zst");
    std::os::unix::fs::symlink(secret, link).unwrap();
    assert!(!project.fails(8, &["log", "linked"]).contains("secret\n"));
    assert_eq!(names(&project.store), ["logs"]);
}

/// Without a toolchain that is built, `build` says what makes the others.
#[test]
fn nothing_to_build_is_told() {
    let project = Project::new("platforms = [\"x86_64-linux\"]\n");
    contains(&project.fails(1, &["build"]), &["no toolchain is built from source", "cotter setup"]);
    contains(&project.fails(1, &["build", "--shell", "thing"]), &["thing"]);
    contains(&project.fails(2, &["build", "--step", "1"]), &["--shell"]);
}

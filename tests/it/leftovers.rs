//! What killed processes leave behind, and processes that wait for each other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::archives::manifest;
use crate::support::archive::Tar;
use crate::support::{Project, contains, names, ok, text};

/// Returns a project whose only tree is made from a file of this machine.
fn local() -> Project {
    let project = Project::new("");
    let bytes = Tar::new().program("bin/thing", b"x").file("share/data", &[9; 9000]).finish();
    let path = project.scratch.write("mirror/a.tar", &bytes);
    project.manifest(&manifest(&format!("file://{}", path.display()), &bytes, ""));
    project
}

/// Writes what a killed process leaves in the store while it works.
fn plant(project: &Project) {
    let staging = project.store.join("staging");
    std::fs::create_dir_all(staging.join("99999-0/tree/dir")).unwrap();
    std::fs::write(staging.join("99999-0.lock"), "").unwrap();
    std::fs::write(project.store.join("inputs/.new-99999-0123"), "half").unwrap();
}

#[test]
fn the_next_run_sweeps_although_there_is_nothing_to_do() {
    let project = local();
    project.ok(&["setup"]);
    for command in [&["setup"][..], &["lock"], &["gc"]] {
        plant(&project);
        assert_eq!(project.stored("staging").len(), 2);
        let used = project.store.join("inputs/.new-1-4567");
        let held = std::fs::File::create(&used).unwrap();
        flock(&held, FlockOperation::LockShared).unwrap();
        project.ok(command);
        assert!(used.exists(), "{command:?} deletes what another process writes");
        assert!(!project.stored("inputs").contains(&".new-99999-0123".to_owned()), "{command:?}");
        std::fs::remove_file(used).unwrap();
        assert_eq!(project.stored("staging"), Vec::<String>::new(), "{command:?}");
    }
    // Nothing else has a temporary name.
    for part in ["listings", "roots", "facts", "store"] {
        let odd: Vec<String> = project
            .stored(part)
            .into_iter()
            .filter(|n| n.starts_with('.') || n.contains(".new-"))
            .collect();
        assert_eq!(odd, Vec::<String>::new(), "{part}");
    }
}

#[test]
fn a_file_that_a_killed_process_did_not_finish_is_swept_and_one_in_use_is_not() {
    let project = crate::emit::project("cpp");
    project.ok(&["emit", "bazel"]);
    let dir = project.dir().join("bazel/cotter");
    let (left, used) =
        (dir.join(".BUILD.bazel.0123456789abcdef"), dir.join(".BUILD.bazel.fedcba9876543210"));
    let not_ours = dir.join(".BUILD.bazel.notes");
    for path in [&left, &used, &not_ours] {
        std::fs::write(path, "half").unwrap();
    }
    let held = std::fs::File::open(&used).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    std::fs::remove_file(dir.join("BUILD.bazel")).unwrap();
    project.ok(&["emit", "bazel"]);
    assert!(!left.exists() && used.exists() && not_ours.exists(), "{:?}", names(&dir));
    assert!(dir.join("BUILD.bazel").is_file());
}

/// Waits until a file has some text.
fn wait_for(path: &Path, part: &str) -> String {
    for _ in 0..600 {
        let said = std::fs::read_to_string(path).unwrap_or_default();
        if said.contains(part) {
            return said;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} never had {part:?}: {:?}", path.display(), std::fs::read_to_string(path));
}

#[test]
fn who_waits_says_for_whom() {
    let project = local();
    project.ok(&["setup"]);
    let tree = project.tree();
    let name = tree.file_name().unwrap().to_str().unwrap();
    let lock = project.store.join(format!("locks/{name}.compose"));
    // A tree that is locked for the first time has no name yet.
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(&tree));
    std::fs::remove_dir_all(&tree).unwrap();
    project.ok(&["setup"]);
    let noted = std::fs::read_to_string(&lock).unwrap();
    contains(&noted, &["cotter setup"]);
    assert!(noted.split(' ').next().unwrap().parse::<u32>().is_ok(), "{noted}");
    let damaged = tree.join("share/data");
    for command in [&["setup"][..], &["verify", "--deep", "--repair"]] {
        ok(Command::new("chmod").args(["-R", "u+w"]).arg(&tree));
        if command[0] == "setup" {
            std::fs::remove_dir_all(&tree).unwrap();
        } else {
            std::fs::write(&damaged, [8; 9000]).unwrap();
        }
        std::fs::write(&lock, "4711 cotter lock --fresh\u{1b}[2J").unwrap();
        let held = std::fs::File::open(&lock).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let said: PathBuf = project.scratch.join("said");
        let mut child = project
            .cotter(command)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let told = wait_for(&said, "waiting for process 4711");
        contains(&told, &[&format!("has been making {name} for "), " s: cotter lock --fresh [2J"]);
        drop(held);
        assert!(child.wait().unwrap().success(), "{}", std::fs::read_to_string(&said).unwrap());
        assert_eq!(std::fs::read(&damaged).unwrap(), [9; 9000]);
    }
}

/// The tree goes away after `verify` has listed the trees.
#[test]
fn a_tree_that_gc_deletes_meanwhile_is_not_broken() {
    let project = local();
    project.ok(&["setup"]);
    let tree = project.tree();
    let verify = project.cotter(&["verify", "--deep"]);
    let mut traced = Command::new("strace");
    traced
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=getdents64",
            "-e",
            "inject=getdents64:delay_exit=700000",
        ])
        .arg(verify.get_program())
        .args(verify.get_args())
        .env_clear()
        .envs(verify.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(project.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = traced.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1000));
    ok(Command::new("mv").arg(project.dir()).arg(project.scratch.join("moved")));
    ok(project.cotter(&["gc"]).current_dir(project.scratch.path()));
    assert!(!tree.exists());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    // A tree that somebody asks for by its name is missing.
    ok(Command::new("mv").arg(project.scratch.join("moved")).arg(project.dir()));
    contains(&project.fails(4, &["verify", "thing"]), &["it is not in the store"]);
}

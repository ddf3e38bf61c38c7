//! The store: verification, repair, garbage collection and links.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, ok};

struct Rig {
    _server: Server,
    project: Project,
}

fn rig() -> Rig {
    let server = Server::start();
    let mut text = "platforms = [\"x86_64-linux\"]\n".to_owned();
    for name in ["one", "two"] {
        let url = server.put(
            &format!("/{name}.tar"),
            Tar::new()
                .program(&format!("bin/{name}"), b"x")
                .file("share/same", &[9; 5000])
                .file("share/own", name.as_bytes())
                .finish(),
        );
        text += &format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
        );
    }
    let project = Project::new(&text);
    project.ok(&["setup"]);
    Rig { _server: server, project }
}

impl Rig {
    fn tree(&self, name: &str) -> std::path::PathBuf {
        self.project.ok(&["path", name]).trim().into()
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn damage_is_found_and_repaired() {
    let rig = rig();
    rig.project.ok(&["verify"]);
    rig.project.ok(&["verify", "--deep"]);
    let own = rig.tree("one").join("share/own");
    // The content is different but has the same size, so only a deep verification finds it.
    overwrite(&own, b"eno");
    rig.project.ok(&["verify"]);
    contains(
        &rig.project.fails(4, &["verify", "--deep"]),
        &["1 of 2 trees are broken", "one-1-x86_64-linux: its content has changed", "--repair"],
    );
    rig.project.ok(&["verify", "--deep", "--repair"]);
    assert_eq!(std::fs::read(&own).unwrap(), b"one");
    // One file has another size, one is missing, and one is added.
    overwrite(&own, b"longer");
    contains(&rig.project.fails(4, &["verify", "one"]), &["share/own was \"f 3\", is \"f 6\""]);
    let share = rig.tree("one").join("share");
    std::fs::set_permissions(&share, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(&own).unwrap();
    std::fs::write(share.join("more"), "").unwrap();
    contains(
        &rig.project.fails(4, &["verify"]),
        &["share/own is missing", "share/more does not belong there"],
    );
    rig.project.ok(&["verify", "--repair"]);
    rig.project.ok(&["verify", "--deep"]);
}

#[test]
fn a_linked_file_that_rotted_is_replaced_in_every_tree() {
    let rig = rig();
    overwrite(&rig.tree("one").join("share/same"), &[8; 5000]);
    contains(&rig.project.fails(4, &["verify", "--deep"]), &["2 of 2 trees are broken"]);
    rig.project.ok(&["verify", "--deep", "--repair"]);
    rig.project.ok(&["verify", "--deep"]);
    assert_eq!(std::fs::read(rig.tree("two").join("share/same")).unwrap(), [9; 5000]);
    // Damage that nobody noticed does not spread, because a new tree is hashed as it is on the disk.
    overwrite(&rig.tree("one").join("share/same"), &[7; 5000]);
    let two = rig.tree("two");
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(&two));
    std::fs::remove_dir_all(&two).unwrap();
    rig.project.ok(&["setup"]);
    rig.project.ok(&["verify", "--deep", "two"]);
}

#[test]
fn equal_files_are_one_file_unless_switched_off() {
    let linked = rig();
    let inode = |rig: &Rig, name: &str, file: &str| {
        std::fs::metadata(rig.tree(name).join(file)).unwrap().ino()
    };
    assert_eq!(inode(&linked, "one", "share/same"), inode(&linked, "two", "share/same"));
    assert_ne!(inode(&linked, "one", "share/own"), inode(&linked, "two", "share/own"));
    let server = Server::start();
    let url = server.put(
        "/a.tar",
        Tar::new().file("x", b"same").file("y", b"same").program("z", b"same").finish(),
    );
    let text = format!(
        "platforms = [\"x86_64-linux\"]\n[settings]\nhard_links = false\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
    );
    let project = Project::new(&text);
    project.ok(&["setup"]);
    let inodes: std::collections::BTreeSet<u64> = ["x", "y", "z"]
        .iter()
        .map(|n| std::fs::metadata(project.tree().join(n)).unwrap().ino())
        .collect();
    assert_eq!(inodes.len(), 3);
    let off = project.tree();
    let on = Project::new(&text.replace("hard_links = false", ""));
    on.ok(&["setup"]);
    assert_eq!(off.file_name(), on.tree().file_name(), "links are no part of a tree's identity");
}

#[test]
fn garbage_is_what_no_project_and_no_process_uses() {
    let rig = rig();
    let (one, two) = (rig.tree("one"), rig.tree("two"));
    contains(&rig.project.ok(&["gc", "--dry-run"]), &["would delete 0 trees"]);
    // The manifest drops one toolchain, and the next setup records that.
    let text = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
    rig.project.manifest(&text[..text.find("[toolchains.two]").unwrap()]);
    rig.project.ok(&["setup"]);
    contains(
        &rig.project.ok(&["gc", "--dry-run"]),
        &["would delete", "-two-1", "would delete 1 tree ("],
    );
    assert!(two.exists());
    contains(&rig.project.ok(&["gc", "--keep-days", "1"]), &["deleted 0 trees"]);
    contains(&rig.project.ok(&["gc"]), &["deleted 1 tree (", "downloads"]);
    assert!(!two.exists() && one.exists());
    rig.project.ok(&["verify", "--deep"]);
    // A manifest with another name has a root of its own, which keeps its trees.
    std::fs::rename(
        rig.project.dir().join("toolchains.toml"),
        rig.project.dir().join("tools.toml"),
    )
    .unwrap();
    rig.project.ok(&["setup", "--manifest", "tools.toml"]);
    contains(
        &rig.project.ok(&["gc"]),
        &["deleted the root of", "toolchains.toml, which is gone", "deleted 0 trees"],
    );
    assert!(one.exists());
    std::fs::rename(
        rig.project.dir().join("tools.toml"),
        rig.project.dir().join("toolchains.toml"),
    )
    .unwrap();
    // The project itself is deleted, and its root with it.
    std::fs::remove_file(rig.project.dir().join("toolchains.toml")).unwrap();
    contains(&rig.project.ok(&["gc"]), &["the root of", "deleted 1 tree ("]);
    assert!(!one.exists());
    assert_eq!(rig.project.stored("links"), Vec::<String>::new());
}

#[test]
fn a_tree_in_use_is_not_deleted() {
    let rig = rig();
    let one = rig.tree("one");
    let mut child = rig.project.cotter(&["exec", "one", "--", "/bin/sleep", "20"]).spawn().unwrap();
    // Wait until the process of exec has become that of sleep.
    let comm = format!("/proc/{}/comm", child.id());
    for _ in 0..200 {
        if std::fs::read_to_string(&comm).is_ok_and(|c| c.trim() == "sleep") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::remove_file(rig.project.dir().join("toolchains.toml")).unwrap();
    contains(
        &rig.project.ok(&["gc"]),
        &["-one-1-x86_64-linux: a process uses it", "deleted 1 tree ("],
    );
    assert!(one.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    contains(&rig.project.ok(&["gc"]), &["deleted 1 tree ("]);
    assert!(!one.exists());
}

#[test]
fn what_a_dead_process_left_is_swept() {
    let rig = rig();
    let staging = rig.project.store.join("staging");
    std::fs::create_dir_all(staging.join("99999-0/tree/dir")).unwrap();
    std::fs::write(staging.join("99999-0.lock"), "").unwrap();
    std::fs::set_permissions(
        staging.join("99999-0/tree/dir"),
        std::fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    let two = rig.tree("two");
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(&two));
    std::fs::remove_dir_all(&two).unwrap();
    rig.project.ok(&["setup"]);
    assert_eq!(rig.project.stored("staging"), Vec::<String>::new());
}

/// A store that this process may not write to, because it is part of an image or belongs to another user, can be used by projects at paths that it has never seen.
#[test]
fn a_store_that_cannot_be_written_serves_a_project_at_another_path() {
    let rig = rig();
    let (store, scratch) = (&rig.project.store, rig.project.scratch.path());
    let tree = rig.tree("one");
    let name = tree.file_name().unwrap().to_str().unwrap();
    // As in an image, the files that are fetched and recorded at run time do not exist.
    for part in ["inputs", "staging", "roots", "locks"] {
        std::fs::remove_dir_all(store.join(part)).unwrap();
    }
    let elsewhere = rig.project.scratch.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for file in ["toolchains.toml", "toolchains.lock"] {
        std::fs::copy(rig.project.dir().join(file), elsewhere.join(file)).unwrap();
    }
    let program = scratch.join("cotter");
    crate::support::copy_program(env!("CARGO_BIN_EXE_cotter"), &program);
    for path in [scratch, &elsewhere, &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = crate::support::names(store);
    let root = rustix::process::geteuid().is_root();
    // Use a read-only mount, and another user (who is not root, if this user is).
    let mut read_only = vec!["bwrap", "--bind", "/", "/", "--dev", "/dev", "--ro-bind"];
    read_only.extend([store.to_str().unwrap(), store.to_str().unwrap(), "--"]);
    let nobody = vec!["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    if !root {
        std::fs::set_permissions(store, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    for way in [read_only, if root { nobody } else { vec!["env", "--"] }] {
        let run = |args: &[&str]| {
            let mut command = Command::new(way[0]);
            crate::support::clean(&mut command, scratch);
            command
                .args(&way[1..])
                .arg(&program)
                .args(args)
                .current_dir(&elsewhere)
                .env("COTTER_STORE", store);
            command
        };
        for flags in [&["--frozen", "--offline"][..], &["--locked", "--offline"], &[]] {
            let with = |args: &[&'static str]| [flags, args].concat();
            let show = "printf '%s ' \"$PATH\"; command -v one";
            let said = ok(&mut run(&with(&["exec", "one", "--", "/bin/sh", "-c", show])));
            contains(&said, &[&format!("{}/bin/one", tree.display())]);
            assert_eq!(ok(&mut run(&with(&["path", "one"]))).trim(), tree.to_str().unwrap());
            contains(&ok(&mut run(&with(&["env"]))), &[&format!("{}/bin", tree.display())]);
            contains(&ok(&mut run(&with(&["setup"]))), &["already there"]);
        }
        // Only the owner of the store can delete trees, but everybody can list them.
        let said = crate::support::fails(8, &mut run(&["gc"]));
        contains(&said, &["may not write to the store", "let its owner run `cotter gc`"]);
        assert!(!said.contains("--store"), "{said}");
        contains(&ok(&mut run(&["gc", "--dry-run"])), &["would delete 2 trees"]);
        let own = tree.join("share/own");
        overwrite(&own, b"damaged");
        contains(&crate::support::fails(4, &mut run(&["verify"])), &["1 of 2 trees are broken"]);
        let said = crate::support::fails(8, &mut run(&["verify", "--repair"]));
        contains(
            &said,
            &["may not write to the store", "let its owner run `cotter verify --repair`"],
        );
        assert!(!said.contains("--store"), "{said}");
        overwrite(&own, b"one");
        // Facts that the store does not record are derived and printed.
        let facts = store.join("facts").join(format!("{name}.json"));
        std::fs::rename(&facts, facts.with_extension("away")).unwrap();
        let recorded = std::fs::read_to_string(facts.with_extension("away")).unwrap();
        let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
        let json = ["--frozen", "--offline", "setup", "one", "--json"];
        let said: serde_json::Value = serde_json::from_str(&ok(&mut run(&json))).unwrap();
        assert_eq!(said["trees"][0]["facts"], recorded);
        assert_eq!(recorded["facts"]["form"], "tool");
        std::fs::rename(facts.with_extension("away"), &facts).unwrap();
        let said: serde_json::Value = serde_json::from_str(&ok(&mut run(&json))).unwrap();
        assert_eq!(said["trees"][0].get("facts"), None);
        // A missing tree cannot be made, and the message gives the reason.
        std::fs::rename(&tree, tree.with_extension("away")).unwrap();
        let said = crate::support::fails(8, &mut run(&["--frozen", "setup", "one"]));
        contains(&said, &["can't", "--store DIR or COTTER_STORE"]);
        std::fs::rename(tree.with_extension("away"), &tree).unwrap();
    }
    assert_eq!(crate::support::names(store), before);
}

#[test]
fn the_directories_of_commands_need_no_cotter() {
    let rig = rig();
    let bin = |name: &str| rig.tree(name).join("bin").display().to_string();
    assert_eq!(rig.project.ok(&["path", "--bin", "two"]).trim(), bin("two"));
    let all = rig.project.ok(&["path", "--bin"]).trim().to_owned();
    assert_eq!(all, format!("{}:{}", bin("one"), bin("two")));
    contains(&rig.project.fails(2, &["path"]), &["<NAME>"]);
    let found = ok(Command::new("/bin/sh").args(["-c", "command -v two"]).env("PATH", all));
    assert_eq!(found.trim(), format!("{}/two", bin("two")));
}

#[test]
fn setup_records_lost_facts_again() {
    let rig = rig();
    let name = rig.tree("one").file_name().unwrap().to_str().unwrap().to_owned();
    let facts = rig.project.store.join("facts").join(format!("{name}.json"));
    let good = std::fs::read_to_string(&facts).unwrap();
    std::fs::remove_file(&facts).unwrap();
    rig.project.ok(&["setup"]);
    assert_eq!(std::fs::read_to_string(&facts).unwrap(), good);
    // The file is empty after a crash of the machine, or another recipe recorded the facts.
    for bad in
        [String::new(), r#"{"recipe":"packages","facts":{"python":"3","packages":{}}}"#.into()]
    {
        std::fs::write(&facts, bad).unwrap();
        let text = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
        rig.project.manifest(&(text + "\n"));
        rig.project.ok(&["setup"]);
        assert_eq!(std::fs::read_to_string(&facts).unwrap(), good);
    }
}

/// The repository rules of Bazel do that. A tree whose registration is lost would be deleted while it is used.
#[test]
fn trees_that_are_registered_at_once_are_all_kept() {
    let server = Server::start();
    let names: Vec<String> = (0..6).map(|n| format!("t{n}")).collect();
    let tables = names.iter().map(|name| {
        let tar = Tar::new().program(&format!("bin/{name}"), name.as_bytes()).finish();
        let url = server.put(&format!("/{name}.tar"), tar);
        format!("[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n")
    });
    let tables: String = tables.collect();
    let project =
        Project::new(&format!("platforms = [\"x86_64-linux\", \"aarch64-linux\"]\n{tables}"));
    project.ok(&["setup"]);
    for _ in 0..10 {
        std::fs::remove_dir_all(project.store.join("roots")).unwrap();
        let started = names.iter().map(|name| project.cotter(&["setup", name]).spawn().unwrap());
        for mut child in started.collect::<Vec<_>>() {
            assert!(child.wait().unwrap().success());
        }
        project.ok(&["gc"]);
        let left = project.stored("store");
        let lost: Vec<_> = names
            .iter()
            .filter(|n| !left.iter().any(|tree| tree.contains(&format!("-{n}-"))))
            .collect();
        assert!(lost.is_empty(), "{lost:?} were deleted");
    }
}

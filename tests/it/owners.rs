//! A store that others may change, and what others put into it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::users::{NOBODY, give, is_root};
use crate::support::{Project, contains, fails, ok};

struct Rig {
    _server: Server,
    project: Project,
}

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        let tar = Tar::new().program("bin/one", b"one").file("share/own", b"one");
        let url = server.put("/one.tar", tar.finish());
        let project = Project::new(&format!(
            "platforms = [\"x86_64-linux\"]\nhost = [\"env\"]\n[toolchains.one]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
        ));
        project.ok(&["setup"]);
        Rig { _server: server, project }
    }

    fn store(&self, part: &str) -> PathBuf {
        self.project.store.join(part)
    }

    /// Lets the next setup look at everything.
    fn touch(&self) {
        let file = self.project.dir().join("toolchains.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text + "\n").unwrap();
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_store_that_everybody_may_change_is_refused() {
    let rig = Rig::new();
    contains(&doctor(&rig.project), &["ok   store "]);
    for part in ["", "store", "roots"] {
        let dir = rig.store(part);
        for mode in [0o777, 0o757, 0o1777] {
            chmod(&dir, mode);
            for args in [
                &["setup"][..],
                &["exec", "one", "--", "/bin/true"],
                &["path", "one"],
                &["env"],
                &["lock", "--upgrade"],
            ] {
                contains(
                    &rig.project.fails(8, args),
                    &[
                        "the store is not safe to use",
                        "every user of this machine may change",
                        "chmod o-w",
                    ],
                );
            }
            contains(
                &doctor(&rig.project),
                &["bad  store", "every user of this machine may change"],
            );
        }
        chmod(&dir, 0o755);
        rig.project.ok(&["setup"]);
    }
    // The others are looked at when there is something to do.
    for part in ["links", "listings", "facts", "inputs", "staging"] {
        chmod(&rig.store(part), 0o777);
        rig.touch();
        contains(
            &rig.project.fails(8, &["setup"]),
            &["every user of this machine may change", part],
        );
        let output = rig.project.cotter(&["verify"]).output().unwrap();
        contains(&crate::support::text(&output), &["warning", "may change", part]);
        chmod(&rig.store(part), 0o755);
        rig.project.ok(&["setup"]);
    }
}

/// What doctor says, which also looks at the free space of the machine. It fails if something is bad.
fn doctor(project: &Project) -> String {
    let output = project.cotter(&["doctor", "--offline"]).output().unwrap();
    let said = crate::support::text(&output);
    assert_eq!(output.status.code(), Some(i32::from(said.contains("bad  "))), "{said}");
    said
}

#[test]
fn the_directories_of_a_store_are_not_open_whatever_the_umask_is() {
    let rig = Rig::new();
    let store = rig.project.scratch.join("open");
    let mut command = Command::new("/bin/sh");
    crate::support::clean(&mut command, rig.project.scratch.path());
    command
        .args([
            "-c",
            "umask 000; exec \"$0\" exec one -- /bin/echo one",
            env!("CARGO_BIN_EXE_cotter"),
        ])
        .current_dir(rig.project.dir())
        .env("COTTER_STORE", &store);
    assert_eq!(ok(&mut command), "one\n");
    let mut todo = vec![store];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let meta = std::fs::symlink_metadata(entry.path()).unwrap();
            // Locks are empty, and downloads are judged by their hash.
            let judged = ["locks", "inputs"].iter().any(|part| dir.ends_with(part));
            if !meta.is_symlink() && !judged {
                let mode = meta.permissions().mode();
                assert_eq!(mode & 0o022, 0, "{}: {mode:o}", entry.path().display());
            }
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
}

#[test]
fn a_store_of_somebody_else_or_of_a_group_is_told() {
    if !is_root() {
        return;
    }
    let rig = Rig::new();
    let said = |args: &[&str]| {
        let output = rig.project.cotter(args).output().unwrap();
        assert!(output.status.success(), "{}", crate::support::text(&output));
        crate::support::text(&output)
    };
    chown(rig.store("store"), None, Some(NOBODY)).unwrap();
    chmod(&rig.store("store"), 0o775);
    rig.touch();
    contains(&said(&["setup"]), &["warning", "the members of group 65534 may change", "chmod g-w"]);
    contains(&doctor(&rig.project), &["note store", "the members of group 65534"]);
    // With nothing to do, nothing is said.
    assert!(!said(&["setup"]).contains("warning"));
    chmod(&rig.store("store"), 0o755);
    chown(rig.store("facts"), Some(NOBODY), None).unwrap();
    rig.touch();
    contains(&said(&["setup"]), &["warning", "facts belongs to user 65534, who may change it"]);
    contains(&doctor(&rig.project), &["note store", "facts belongs to user 65534"]);
}

#[test]
fn verify_tells_of_modes_and_owners() {
    let rig = Rig::new();
    let tree = rig.project.tree();
    let (own, program) = (tree.join("share/own"), tree.join("bin/one"));
    let changes: [(&dyn Fn(), &str); 5] = [
        (&|| chmod(&program, 0o4755), "bin/one has the mode 4755 (setuid), not 0444 or 0555"),
        (&|| chmod(&own, 0o2444), "share/own has the mode 2444 (setgid)"),
        (&|| chmod(&own, 0o646), "share/own has the mode 0646 (everybody may write)"),
        (&|| chmod(&tree.join("share"), 0o575), "share has the mode 0575 (its group may write)"),
        (
            &|| chmod(&tree, 0o775),
            "its directory has the mode 0775 (its group may write), not 0555 or 0755",
        ),
    ];
    for (change, told) in changes {
        change();
        for args in [&["verify"][..], &["verify", "--deep"]] {
            contains(&rig.project.fails(4, args), &["1 tree is broken", told]);
        }
        rig.project.ok(&["verify", "--repair"]);
        rig.project.ok(&["verify", "--deep"]);
    }
    if is_root() {
        give(&own, NOBODY);
        contains(
            &rig.project.fails(4, &["verify"]),
            &["share/own belongs to user 65534, who does not own the store"],
        );
        // The shared file with this content is made anew, too.
        rig.project.ok(&["verify", "--repair"]);
        rig.project.ok(&["verify"]);
        assert_eq!(std::fs::metadata(rig.project.tree().join("share/own")).unwrap().uid(), 0);
    }
    // A pipe is neither read nor waited for.
    chmod(&tree.join("share"), 0o755);
    ok(Command::new("mkfifo").arg(tree.join("share/pipe")));
    for args in [&["verify"][..], &["verify", "--deep"]] {
        contains(&rig.project.fails(4, args), &["share/pipe does not belong there"]);
    }
    rig.project.ok(&["verify", "--repair"]);
}

/// Another user put a tree into the store, with its listing, before the project uses it.
#[test]
fn a_planted_tree_is_found_before_it_is_used() {
    if !is_root() {
        return;
    }
    let rig = Rig::new();
    let tree = rig.project.tree();
    let name = tree.file_name().unwrap().to_str().unwrap().to_owned();
    let program = tree.join("bin/one");
    let plant = |text: &[u8]| {
        chmod(&program, 0o755);
        std::fs::write(&program, text).unwrap();
        chmod(&program, 0o555);
        give(&tree, NOBODY);
        give(&rig.store("listings").join(&name), NOBODY);
        let _ = std::fs::remove_dir_all(rig.store("roots"));
    };
    // The content has the size that the listing states.
    plant(b"bad");
    for args in [&["setup"][..], &["exec", "one", "--", "/bin/true"], &["env"]] {
        contains(
            &rig.project.fails(4, args),
            &[
                "is not what its name says, and user 65534 put it into the store",
                "its content has changed",
                "cotter verify --deep --repair",
            ],
        );
    }
    rig.project.ok(&["verify", "--deep", "--repair"]);
    rig.project.ok(&["exec", "one", "--", "/bin/true"]);
    assert_eq!(std::fs::read(&program).unwrap(), b"one");
    // The right content does not make its owner trustworthy: he may change it at any time.
    plant(b"one");
    contains(&rig.project.fails(4, &["setup"]), &["its directory belongs to user 65534"]);
    rig.project.ok(&["verify", "--deep", "--repair"]);
    rig.project.ok(&["setup"]);
}

/// Roots, facts and guards decide which programs start.
#[test]
fn what_others_recorded_is_not_believed() {
    if !is_root() {
        return;
    }
    let rig = Rig::new();
    let root = rig.store("roots").join(&rig.project.stored("roots")[0]);
    let text = std::fs::read_to_string(&root).unwrap();
    std::fs::write(&root, text.replace("tree one ", "tree two ")).unwrap();
    contains(&rig.project.ok(&["setup"]), &["two"]);
    give(&root, NOBODY);
    contains(&rig.project.fails(1, &["path", "two"]), &["two"]);
    let said = rig.project.ok(&["setup"]);
    assert!(said.contains("one") && !said.contains("two"), "{said}");
    assert_eq!(std::fs::metadata(&root).unwrap().uid(), 0);
    let facts = rig.store("facts").join(&rig.project.stored("facts")[0]);
    give(&facts, NOBODY);
    rig.touch();
    rig.project.ok(&["setup"]);
    assert_eq!(std::fs::metadata(&facts).unwrap().uid(), 0);
    rig.project.ok(&["exec", "one", "--", "/bin/true"]);
    let guards = rig.store("guards");
    for name in rig.project.stored("guards") {
        give(&guards.join(name), NOBODY);
    }
    rig.project.ok(&["exec", "one", "--", "/bin/true"]);
    for name in rig.project.stored("guards") {
        assert_eq!(std::fs::metadata(guards.join(name)).unwrap().uid(), 0);
    }
}

#[test]
fn symlinks_in_the_place_of_files_of_the_store_are_not_followed() {
    let rig = Rig::new();
    let victim = rig.project.scratch.write("victim", "kept");
    let tree = rig.project.tree();
    let name = tree.file_name().unwrap().to_str().unwrap().to_owned();
    let lock = rig.store("locks").join(format!("{name}.compose"));
    let input = rig.project.stored("inputs")[0].trim_end_matches(".part").to_owned();
    let part = rig.store("inputs").join(format!("{input}.part"));
    for path in [&lock, &part] {
        let open = ["-type", "d", "-exec", "chmod", "u+w", "{}", "+"];
        ok(Command::new("find").arg(rig.store("store")).args(open));
        std::fs::remove_dir_all(rig.store("store")).unwrap();
        let _ = std::fs::remove_file(rig.store("inputs").join(&input));
        let _ = std::fs::remove_file(path);
        symlink(&victim, path).unwrap();
        contains(&rig.project.fails(8, &["setup"]), &["can't write"]);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
        std::fs::remove_file(path).unwrap();
        rig.project.ok(&["setup"]);
    }
    // A listing that leads elsewhere is none, so every byte is read.
    let listing = rig.store("listings").join(&name);
    std::fs::remove_file(&listing).unwrap();
    symlink(&victim, &listing).unwrap();
    rig.project.ok(&["verify"]);
    // A tree that leads elsewhere is none.
    let elsewhere = rig.project.scratch.join("elsewhere");
    chmod(&tree, 0o755);
    std::fs::rename(&tree, &elsewhere).unwrap();
    symlink(&elsewhere, &tree).unwrap();
    contains(&fails(4, &mut rig.project.cotter(&["verify"])), &["it is no directory"]);
    chmod(&elsewhere, 0o755);
}

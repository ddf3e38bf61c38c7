//! Locks are reproducible, complete and merge-friendly.

use std::path::Path;
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{PROJECTS, Project, REPO, Scratch, clean, contains, in_store, ok};

/// A project of toolchains that are single files on a server.
struct Tools {
    server: Server,
    project: Project,
}

const HEAD: &str = "platforms = [\"x86_64-linux\"]\n";

impl Tools {
    fn new(names: &[&str]) -> Self {
        let server = Server::start();
        let project = Project::new("");
        let tools = Tools { server, project };
        tools.want(names);
        tools
    }

    fn table(&self, name: &str) -> String {
        let url = self.server.put(
            &format!("/{name}.tar"),
            Tar::new().program(&format!("bin/{name}"), name.as_bytes()).finish(),
        );
        format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
        )
    }

    fn want(&self, names: &[&str]) {
        let tables: String = names.iter().map(|n| self.table(n)).collect();
        self.project.manifest(&format!("{HEAD}{tables}"));
    }
}

#[test]
fn a_lock_is_read_back_as_it_was_written() {
    let store = Scratch::new();
    for dir in [REPO.to_owned(), format!("{REPO}/examples/libraries")] {
        let text = std::fs::read_to_string(format!("{dir}/toolchains.lock")).unwrap();
        let lock = cotter::internals::Lockfile::parse(&text, "lock").unwrap();
        assert_eq!(lock.render(), text);
        ok(&mut in_store(store.path(), Path::new(&dir), &["lock", "--check", "--offline"]));
    }
}

#[test]
fn check_says_why_an_entry_is_stale() {
    let tools = Tools::new(&["a", "b"]);
    tools.project.ok(&["lock"]);
    tools.project.ok(&["lock", "--check", "--offline"]);
    let text = format!(
        "{HEAD}{}prune = [\"x/**\"]\n{}",
        tools.table("a").replace("version = \"1\"", "version = \"2\""),
        tools.table("c")
    );
    tools.project.manifest(&text);
    let said = tools.project.fails(3, &["lock", "--check", "--offline"]);
    contains(
        &said,
        &[
            "a for x86_64-linux: prune: added x/**; version: added 2; removed 1",
            "b for x86_64-linux: the manifest does not ask for it any more",
            "c for x86_64-linux: it is not in the lock",
            "run `cotter lock`",
        ],
    );
    contains(&tools.project.fails(3, &["setup", "--locked"]), &["does not fit"]);
    // A frozen setup reads only the lock.
    tools.project.ok(&["setup", "--frozen"]);
    // Setup without flags brings the lock up to date.
    tools.project.ok(&["setup"]);
    tools.project.ok(&["lock", "--check"]);
}

#[test]
fn adding_a_toolchain_leaves_the_others_alone() {
    let tools = Tools::new(&["a", "c"]);
    tools.project.ok(&["lock"]);
    let before = tools.project.lock_text();
    tools.want(&["a", "b", "c"]);
    tools.server.clear_log();
    tools.project.ok(&["lock"]);
    let after = tools.project.lock_text();
    for line in before.lines() {
        assert!(after.contains(line), "{line}");
    }
    let kept: Vec<&str> =
        after.split("\n[[tree]]").filter(|b| !b.contains("name = \"b\"")).collect();
    assert_eq!(kept.join("\n[[tree]]"), before);
    assert_eq!(tools.server.log().len(), 1, "only the new one was fetched");
}

#[test]
fn upgrade_moves_what_is_named_and_prints_what_changed() {
    let tools = Tools::new(&["a", "b"]);
    tools.project.ok(&["lock"]);
    for name in ["a", "b"] {
        tools.server.put(
            &format!("/{name}.tar"),
            Tar::new().program(&format!("bin/{name}"), b"newer").finish(),
        );
    }
    let before = tools.project.lock_text();
    tools.project.ok(&["lock"]);
    assert_eq!(before, tools.project.lock_text(), "without --upgrade nothing moves");
    let output = tools.project.cotter(&["lock", "--upgrade", "a"]).output().unwrap();
    contains(
        &crate::support::text(&output),
        &["changed a for x86_64-linux", "  + a.tar", "  - a.tar"],
    );
    let after = tools.project.lock_text();
    let block = |text: &str, name: &str| {
        text.split("\n[[tree]]")
            .find(|b| b.contains(&format!("name = \"{name}\"")))
            .unwrap()
            .to_owned()
    };
    assert_eq!(block(&before, "b"), block(&after, "b"));
    assert_ne!(block(&before, "a"), block(&after, "a"));
    contains(
        &tools.project.fails(1, &["lock", "--upgrade", "bb"]),
        &["there is no toolchain \"bb\""],
    );
}

#[test]
fn a_setup_for_one_platform_says_nothing_of_another() {
    let tools = Tools::new(&["a"]);
    let text = tools.table("a");
    tools.project.manifest(&format!("platforms = [\"aarch64-linux\", \"x86_64-linux\"]\n{text}"));
    tools.project.ok(&["setup", "--platform", "aarch64-linux"]);
    contains(
        &tools.project.ok(&["exec", "--host", "--", "sh", "-c", "command -v a"]),
        &["-a-1-x86_64-linux/bin/a"],
    );
    tools.project.ok(&["setup"]);
    contains(&tools.project.ok(&["setup", "--platform", "aarch64-linux"]), &["aarch64-linux"]);
}

#[test]
fn locked_holds_for_every_command() {
    let tools = Tools::new(&["a"]);
    tools.project.ok(&["setup"]);
    // A lock that was edited but has the same meaning is still accepted.
    tools
        .project
        .scratch
        .write("project/toolchains.lock", format!("# a note\n{}", tools.project.lock_text()));
    tools.project.ok(&["setup"]);
    assert!(std::fs::read_dir(tools.project.store.join("roots")).unwrap().all(|r| {
        std::fs::read_to_string(r.unwrap().path()).unwrap().contains("complete x86_64-linux")
    }));
    tools.want(&["a", "b"]);
    let before = tools.project.lock_text();
    for args in [&["exec", "--", "true"][..], &["env"], &["path", "b"], &["setup"], &["lock"]] {
        contains(
            &crate::support::fails(3, tools.project.cotter(args).env("COTTER_LOCKED", "1")),
            &["does not fit"],
        );
    }
    for (args, why) in [
        (&["lock", "--locked", "--fresh"], "--locked does not let"),
        (&["lock", "--locked", "--upgrade"], "--locked does not let"),
        (&["lock", "--frozen", "--json"], "--frozen does not let"),
    ] {
        contains(&tools.project.fails(1, args), &[why, "cotter lock --check"]);
    }
    assert_eq!(tools.project.lock_text(), before);
    tools.project.ok(&["lock"]);
    tools.project.ok(&["lock", "--locked"]);
}

#[test]
fn passing_faults_do_not_stop_a_first_lock() {
    let tools = Tools::new(&["a"]);
    tools.server.fault("/a.tar", crate::support::server::Fault::Status(503, 2));
    tools.project.ok(&["lock"]);
    // A file that the cache has under the hash in the manifest is not fetched again.
    let hash = cotter::internals::Lockfile::parse(&tools.project.lock_text(), "lock")
        .unwrap()
        .trees
        .values()
        .next()
        .unwrap()
        .plan
        .inputs[0]
        .sha256;
    tools.project.manifest(&format!("{HEAD}{}sha256 = \"{hash}\"\n", tools.table("a")));
    tools.project.ok(&["lock", "--offline"]);
}

#[test]
fn newer_and_damaged_locks_are_refused() {
    let tools = Tools::new(&["a"]);
    tools.project.ok(&["lock"]);
    let good = tools.project.lock_text();
    let write = |text: &str| drop(tools.project.scratch.write("project/toolchains.lock", text));
    write("version = 99\nnews = true\n");
    contains(
        &tools.project.fails(1, &["setup"]),
        &["toolchains.lock has version 99, this cotter reads up to version 2", "update cotter"],
    );
    write(&good.replace("sha256 = \"", "sha256 = \"z"));
    let anew = "cotter lock --fresh";
    contains(
        &tools.project.fails(3, &["setup"]),
        &["toolchains.lock:", "sha256: expected a sha256", anew],
    );
    write(&good.replace("kind = \"tool\"", "kind = \"tool\"\nsurprise = 1"));
    contains(
        &tools.project.fails(3, &["setup"]),
        &["toolchains.lock:", "unknown key \"surprise\"", anew],
    );
    write(&format!("{good}{}", &good[good.find("[[tree]]").unwrap()..]));
    contains(&tools.project.fails(3, &["setup"]), &["a for x86_64-linux stands here twice", anew]);
    let inputs = good.find("inputs = [").unwrap();
    write(&format!(
        "{}inputs = []\n{}",
        &good[..inputs],
        &good[good.find("[tree.fingerprint]").unwrap()..]
    ));
    contains(&tools.project.fails(3, &["setup"]), &["a for x86_64-linux has no inputs", anew]);
    for (version, said) in [("0", "got 0"), ("-3", "got -3"), ("\"2\"", "got \"2\"")] {
        write(&good.replace("version = 2\n", &format!("version = {version}\n")));
        contains(
            &tools.project.fails(3, &["setup"]),
            &["toolchains.lock:2:11: expected a version from 1 to 2", said, anew],
        );
    }
    for (text, said) in [
        ("", "the file is empty"),
        ("[[tree]]\n", "got no version"),
        (&good[..good.len() / 2], "toolchains.lock:"),
        ("version = 2\n\u{1}", "toolchains.lock:2"),
    ] {
        write(text);
        contains(&tools.project.fails(3, &["setup"]), &[said, anew]);
        contains(&tools.project.fails(3, &["lock"]), &[said, anew]);
    }
    let path = tools.project.dir().join("toolchains.lock");
    std::fs::write(&path, b"version = 2\n# \xff\n").unwrap();
    contains(
        &tools.project.fails(3, &["setup"]),
        &["toolchains.lock is no UTF-8 text", "toolchains.lock:2:3", anew],
    );
    // A cloned repository can contain a symlink to a device that never ends.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    for args in [["list"], ["lock"]] {
        contains(&tools.project.fails(1, &args), &["toolchains.lock is a device or a pipe"]);
    }
    std::fs::remove_file(&path).unwrap();
    // A damaged lock is made again if the user asks for it.
    tools.project.ok(&["lock", "--fresh"]);
    assert_eq!(tools.project.lock_text(), good);
    // An entry that was edited by hand is found even if the store has the tree, and the hint of the message solves the problem.
    let hash = &good[good.find("sha256 = \"").unwrap() + 10..][..64];
    write(&good.replace(hash, &"0".repeat(64)));
    contains(
        &tools.project.fails(4, &["setup"]),
        &["the entry of a for x86_64-linux in toolchains.lock was edited", "expected the digest"],
    );
    tools.project.ok(&["lock", "--upgrade", "a"]);
    assert_eq!(tools.project.lock_text(), good);
    write(&good.replace("version = \"1\"", "version = \"7\""));
    contains(
        &tools.project.fails(3, &["setup"]),
        &["toolchains.lock:", "store_name: expected it to end in \"a-7-x86_64-linux\"", anew],
    );
    // A text that is shown may not forge lines on a terminal.
    for (from, to) in [
        ("version = \"1\"", "version = \"1\\u001b[2K\""),
        ("source = \"archive\"", "source = \"archive\\nerror: no\""),
        ("name = \"a\", version", "name = \"a\\u009b\", version"),
    ] {
        assert!(good.contains(from), "{from} is not in {good}");
        write(&good.replacen(from, to, 1));
        let said = tools.project.fails(3, &["list"]);
        contains(&said, &["got the control character U+00", anew]);
        assert!(!said.contains(['\u{1b}', '\u{9b}']) && !said.contains("\nerror: no"), "{said}");
    }
    // A mirror may be changed by hand.
    write(&good.replace("url = \"", "url = \"file:///nowhere/"));
    tools.project.ok(&["setup", "--frozen"]);
    // An output that does not follow from the inputs is detected.
    let lock = cotter::internals::Lockfile::parse(&good, "lock").unwrap();
    let sri = lock.trees.values().next().unwrap().output.nar_hash.sri();
    write(&good.replace(&sri, &cotter::internals::Digest::of(b"else").sri()));
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&tools.project.store).output();
    std::fs::remove_dir_all(tools.project.store.join("store")).unwrap();
    contains(
        &tools.project.fails(4, &["setup", "--locked"]),
        &["the tree of a is not the one that was locked", "NAR hash sha256-"],
    );
    tools.project.assert_store_empty();
    // An entry of another version of its recipe is stale, and the message says so.
    let recipe = good.lines().find(|line| line.starts_with("recipe = ")).unwrap();
    write(&good.replace(recipe, "recipe = \"tool/1\""));
    contains(
        &tools.project.fails(3, &["lock", "--check"]),
        &["the recipe was \"tool/1\", is \"tool/"],
    );
}

fn git(dir: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new("git");
    clean(&mut command, dir);
    command
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.invalid",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

#[test]
fn additions_of_two_people_merge_and_a_conflict_is_repaired() {
    let tools = Tools::new(&["d", "m", "t"]);
    let dir = tools.project.dir();
    tools.project.ok(&["lock"]);
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &["commit", "-qm", "base"],
        &["checkout", "-qb", "theirs"],
    ] {
        assert!(git(&dir, args).status.success());
    }
    let commit = |names: &[&str], branch: &str| {
        assert!(git(&dir, &["checkout", "-q", branch]).status.success());
        // The manifest is written in such a way that it merges, because this test is about the lock.
        let both: Vec<&str> = names.to_vec();
        tools.want(&both);
        tools.project.ok(&["lock"]);
        assert!(git(&dir, &["commit", "-qam", branch]).status.success());
    };
    commit(&["d", "m", "p", "t"], "theirs");
    commit(&["d", "e", "m", "t"], "main");
    let merged = git(&dir, &["merge", "-q", "theirs"]);
    assert!(merged.status.success(), "{}", crate::support::text(&merged));
    tools.project.ok(&["lock", "--check"]);
    // Two additions at the same place conflict, and `cotter lock` keeps both.
    assert!(git(&dir, &["branch", "-f", "theirs"]).status.success());
    commit(&["d", "e", "g", "m", "p", "t"], "theirs");
    commit(&["d", "e", "h", "m", "p", "t"], "main");
    assert!(!git(&dir, &["merge", "-q", "theirs"]).status.success());
    assert!(tools.project.lock_text().contains("<<<<<<<"));
    tools.want(&["d", "e", "g", "h", "m", "p", "t"]);
    contains(&tools.project.fails(3, &["setup"]), &["holds merge conflict markers", "cotter lock"]);
    tools.server.clear_log();
    tools.project.ok(&["lock"]);
    assert!(!tools.project.lock_text().contains("<<<<<<<"));
    assert!(
        tools.server.log().len() <= 2,
        "what both sides had was not fetched anew: {:?}",
        tools.server.log()
    );
    tools.project.ok(&["lock", "--check"]);
}

#[test]
fn wheels_are_locked_by_name_and_hash_from_the_index_in_force() {
    let server = Server::start();
    let wheel = crate::support::archive::zip(&[
        ("tool-1.0.data/scripts/tool", 0o100_755, b"program", 7),
        ("tool-1.0.dist-info/METADATA", 0o100_644, b"m", 1),
    ]);
    let hash = cotter::internals::Digest::of(&wheel);
    let musl = "tool-1.0-py3-none-musllinux_1_2_x86_64.whl";
    server.put(&format!("/files/{musl}"), wheel);
    server.put("/files/tool-1.0-py3-none-manylinux_2_17_x86_64.whl", b"never asked for".to_vec());
    let anchors =
        [musl, "tool-1.0-py3-none-manylinux_2_17_x86_64.whl", "tool-0.9-py3-none-any.whl"].map(
            |f| {
                format!(
                    "<a href=\"../../files/{f}#sha256={}\">{f}</a>",
                    if f == musl { hash.hex() } else { "0".repeat(64) }
                )
            },
        );
    server.put("/simple/tool/", anchors.concat());
    let text = |version: &str| {
        format!(
            "{HEAD}[mirrors]\npython = [\"{}/simple\"]\n[toolchains.tool]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"{version}\"\n",
            server.url
        )
    };
    let project = Project::new(&text("1.0"));
    project.ok(&["setup"]);
    contains(&project.lock_text(), &[&format!("mirror://python/tool/{musl}"), &hash.hex()]);
    assert!(!project.lock_text().contains(&server.url));
    assert_eq!(std::fs::read(project.tree().join("bin/tool")).unwrap(), b"program");
    project.manifest(&text("2.0"));
    contains(
        &project.fails(1, &["lock"]),
        &["the package index has no wheel of tool 2.0", "it has"],
    );
    // Without an index and without a pinned Python, the message says what to do.
    project.manifest(
        &text("1.0")
            .replace("[mirrors]", "[settings]")
            .replace(&format!("python = [\"{}/simple\"]\n", server.url), ""),
    );
    std::fs::remove_file(project.dir().join("toolchains.lock")).unwrap();
    let mut command = project.cotter(&["lock"]);
    command.env_remove("PIP_CONFIG_FILE").env("PATH", "/nowhere");
    contains(
        &crate::support::fails(1, &mut command),
        &["no Python package index is configured", "install pip or uv", "pin a Python with pip"],
    );
    // The index that the user's own pip or uv would ask is read in their files. Nothing is started.
    for (file, text) in [
        (
            "lib/python3.9/site-packages/pip/_internal/models/index.py",
            "PyPI = PackageIndex(\"SITE/\")",
        ),
        ("bin/uv", "the default package index (by default: <SITE/simple>)"),
    ] {
        let tools = Scratch::new();
        tools.write("bin/python3", "not a program");
        tools.write(file, text.replace("SITE", &server.url));
        let mut command = project.cotter(&["lock"]);
        command.env_remove("PIP_CONFIG_FILE").env("PATH", tools.join("bin"));
        ok(&mut command);
        std::fs::remove_file(project.dir().join("toolchains.lock")).unwrap();
    }
}

/// Locks of version 1 are read, and their content is the same in version 2.
#[test]
fn locks_of_version_1_are_read() {
    let read = |example: &str| {
        let file = format!("{REPO}/tests/locks/{example}.v1.lock");
        let text = std::fs::read_to_string(&file).unwrap();
        let lock = cotter::internals::Lockfile::parse(&text, &file).unwrap();
        // The text that version 2 writes has the same content.
        let again = cotter::internals::Lockfile::parse(&lock.render(), "v2").unwrap();
        assert!(again == lock, "{example}");
        assert!(lock.render().contains("version = 2\n"));
        lock
    };
    let of = |lock: &cotter::internals::Lockfile, name: &str| {
        let tree = lock.trees.values().find(|t| t.plan.name.as_str() == name);
        tree.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let (libraries, zig, flask, cpp) = (read("libraries"), read("zig"), read("flask"), read("cpp"));
    assert_eq!(of(&libraries, "gcc").plan.recipe.to_string(), "gcc/1");
    assert_eq!(of(&zig, "zig").plan.recipe.to_string(), "zig/1");
    let cross = of(&cpp, "gcc-aarch64").plan;
    assert_eq!(
        (cross.target().as_str(), cross.platform.as_str()),
        ("aarch64-linux", "x86_64-linux")
    );
    let gcc = of(&libraries, "gcc").plan;
    let cpp12 = gcc.inputs.iter().find(|i| i.component.name == "cpp-12").unwrap();
    assert_eq!(cpp12.component.source.as_ref().unwrap().name, "gcc-12");
    assert_eq!(gcc.glibc().as_deref(), Some("2.36"));
    let old = of(&flask, "app-2020").plan;
    let cotter::internals::Spec::Packages(set) = &old.spec else { panic!("{:?}", old.spec) };
    assert_eq!(
        (set.interpreter.as_str(), set.python.as_str(), set.abi.as_str()),
        ("python", "3.11", "cp311")
    );
    let names = |list: &[cotter::internals::ToolchainName]| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(&old.uses.run), ["python"]);
    assert_eq!(names(&old.uses.make), ["app-2020-build", "gcc", "python"]);
    assert_eq!(names(&of(&flask, "app").plan.uses.make), Vec::<String>::new());
    let sdist = old.inputs.iter().find(|i| i.built.is_some()).unwrap();
    assert_eq!(
        (sdist.component.name.as_str(), sdist.component.version.as_str()),
        ("markupsafe", "1.1.1")
    );
}

/// The locks of this repository have exactly the bytes that this cotter writes.
#[test]
fn committed_locks_come_back_to_the_byte() {
    let mut count = 0;
    for dir in PROJECTS.into_iter().chain(["tests/python/many"]) {
        let file = Path::new(REPO).join(dir).join("toolchains.lock");
        let text = std::fs::read_to_string(&file).unwrap();
        let lock = cotter::internals::Lockfile::parse(&text, dir).unwrap();
        assert!(lock.render() == text, "{dir}");
        count += lock.trees.len();
    }
    assert!(count > 20, "{count} trees");
}

/// The staging directory of a tree is deleted when that tree is done, so the disk space that several trees need at a time is not the sum of all.
#[test]
fn few_trees_are_under_way_at_a_time() {
    let server = Server::start();
    let mut manifest = String::new();
    for i in 0..6 {
        let tar = Tar::new().program(&format!("bin/t{i}"), &vec![i as u8; 8 << 20]).finish();
        server.put(&format!("/t{i}.tar"), tar);
        manifest += &format!(
            "[toolchains.t{i}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{}/t{i}.tar\"\n",
            server.url
        );
    }
    let project = Project::new(&manifest);
    project.ok(&["lock"]);
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(project.store.join("store")).unwrap();
    std::fs::remove_dir_all(project.store.join("links")).unwrap();
    let mut setup = project.cotter(&["setup", "-j", "1"]).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        let staged = crate::support::names(&project.store.join("staging"));
        most = most.max(staged.iter().filter(|n| !n.ends_with(".lock")).count());
        if let Some(status) = setup.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success());
    assert!((1..=2).contains(&most), "{most} trees were under way at a time");
    assert_eq!(project.stored("store").len(), 6);
}

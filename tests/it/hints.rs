//! Hints: each failure says how to go on, and a small mistake of a person or of a tool loses
//! nothing.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::{Fault, Server, untrusted_tls};
use crate::support::{Project, REPO, contains, fails, in_store, ok, text};

const HEAD: &str = "platforms = [\"x86_64-linux\"]\n";

/// Returns the table of a tool that is an archive at `url`.
fn tool(name: &str, url: &str) -> String {
    format!(
        "[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
    )
}

/// A project with tools of these names, each of which is an archive on a server.
fn tools(names: &[&str]) -> (Server, Project) {
    let server = Server::start();
    let table = |name: &&str| {
        let tar = Tar::new().program(&format!("bin/{name}"), name.as_bytes()).finish();
        tool(name, &server.put(&format!("/{name}.tar"), tar))
    };
    let tables: String = names.iter().map(table).collect();
    let project = Project::new(&format!("{HEAD}{tables}"));
    (server, project)
}

fn empty_store(project: &Project) {
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
}

#[test]
fn commands_that_use_no_store_need_no_home() {
    let (_server, project) = tools(&["a"]);
    project.ok(&["lock"]);
    let homeless = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.env_remove("HOME").env_remove("COTTER_STORE");
        command
    };
    contains(&ok(&mut homeless(&["schema"])), &["\"$schema\""]);
    contains(&ok(&mut homeless(&["completions", "bash"])), &["_cotter"]);
    contains(&ok(&mut homeless(&["lock", "--check"])), &["fits the manifest: 1 tree\n"]);
    ok(homeless(&["lock"]).env("COTTER_LOCKED", "1"));
    for args in [&["setup"][..], &["lock"], &["gc"], &["path", "a"]] {
        contains(&fails(1, &mut homeless(args)), &["HOME is not set", "--store DIR"]);
    }
}

#[test]
fn a_failure_to_connect_names_what_can_be_set() {
    let (_server, project) = tools(&[]);
    let lock = |url: &str, variables: &[(&str, &str)]| {
        project.manifest(&format!("{HEAD}{}", tool("a", url)));
        let mut command = project.cotter(&["lock"]);
        for name in ["http_proxy", "https_proxy", "no_proxy"] {
            command.env_remove(name);
        }
        fails(5, command.env("COTTER_HTTP_RETRIES", "0").envs(variables.iter().copied()))
    };
    let tls = format!("{}/a.tar", untrusted_tls());
    contains(&lock(&tls, &[]), &["certificate", "SSL_CERT_FILE", "SSL_CERT_DIR"]);
    // A proxy that is down is named with its variable and without its password.
    let dead = "http://user:secret@127.0.0.1:9";
    for (variable, url) in [
        ("http_proxy", "http://x.invalid/a.tar"),
        ("HTTPS_PROXY", "https://x.invalid/a.tar"),
        ("all_proxy", "https://x.invalid/a.tar"),
    ] {
        let said = lock(url, &[(variable, dead)]);
        contains(&said, &[&format!("{variable} is set"), "127.0.0.1:9", "no_proxy"]);
        assert!(!said.contains("secret") && !said.contains("SSL_CERT"), "{said}");
    }
    // A server that is down is not the fault of a proxy that does not stand for it.
    let url = "http://127.0.0.1:9/a.tar";
    let said = lock(url, &[("http_proxy", dead), ("no_proxy", "127.0.0.1")]);
    contains(&said, &["check the network"]);
    assert!(!said.contains("http_proxy is set"), "{said}");
}

#[test]
fn an_input_that_is_gone_or_changed_is_told_with_its_toolchain() {
    let (server, project) = tools(&["a", "b"]);
    project.ok(&["lock"]);
    empty_store(&project);
    let setup = |code: i32| {
        fails(code, project.cotter(&["setup", "--locked"]).env("COTTER_HTTP_RETRIES", "0"))
    };
    server.put("/b.tar", b"of another size".to_vec());
    contains(
        &setup(4),
        &["b.tar is not the file that was locked", "bytes", "cotter lock --upgrade b` pins"],
    );
    server.fault("/b.tar", Fault::Status(404, 99));
    contains(
        &setup(5),
        &["error: can't fetch an input of b", "answered 404", "cotter lock --upgrade b` pins"],
    );
    server.fault("/b.tar", Fault::Status(503, 99));
    let said = setup(5);
    assert!(!said.contains("--upgrade"), "a server that is busy has the file: {said}");
}

#[test]
fn offline_locking_tells_how_to_go_on() {
    let server = Server::start();
    let signer = Signer::new();
    let mut archive = Archive::default();
    archive.package("thing", "1", "", Tar::new().program("./usr/bin/thing", b"x"));
    archive.publish(&server, &signer);
    let project = Project::new(&format!(
        "{HEAD}[mirrors]\ndebian = [\"{}/debian\"]\n[settings]\nkeyring = \"keys.asc\"\n[toolchains.thing]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"thing\"]\n",
        server.url
    ));
    project.scratch.write("project/keys.asc", signer.public());
    contains(
        &project.fails(5, &["lock", "--offline"]),
        &["--offline forbids", "once without --offline", "file:///"],
    );
    let (_server, project) = tools(&["a"]);
    contains(
        &project.fails(5, &["lock", "--offline"]),
        &["--offline forbids", "once without --offline"],
    );
}

#[test]
fn a_left_over_conflict_marker_is_told_with_its_line() {
    let (_server, project) = tools(&["a", "b"]);
    project.ok(&["lock"]);
    let good = project.lock_text();
    let second = good.rfind("[[tree]]").unwrap();
    let line = good[..second].lines().count() + 1;
    let write = |text: &str| drop(project.scratch.write("project/toolchains.lock", text));
    for marker in ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"] {
        write(&format!("{}{marker}\n{}", &good[..second], &good[second..]));
        for args in [["setup"], ["lock"], ["list"]] {
            contains(
                &project.fails(3, &args),
                &[
                    "holds a marker that was left over from a merge conflict",
                    &format!("at: toolchains.lock:{line}:1"),
                    "delete the line",
                ],
            );
        }
    }
    // A whole conflict is told with the line at which it begins.
    let (a, b) = (&good[..second], &good[second..]);
    write(&format!("{a}<<<<<<< HEAD\n{b}=======\n>>>>>>> theirs\n"));
    contains(
        &project.fails(3, &["setup"]),
        &["holds merge conflict markers", &format!("at: toolchains.lock:{line}:1")],
    );
    contains(
        &text(&project.cotter(&["lock"]).output().unwrap()),
        &[&format!("toolchains.lock:{line} holds merge conflict markers")],
    );
    assert_eq!(project.lock_text(), good);
}

#[test]
fn an_entry_that_a_merge_wrote_twice_is_merged() {
    let (server, project) = tools(&["a", "b"]);
    project.ok(&["lock"]);
    let good = project.lock_text();
    let entry = &good[good.find("[[tree]]").unwrap()..good.rfind("\n[[tree]]").unwrap()];
    let twice = good.replacen(entry, &format!("{entry}\n{entry}"), 1);
    project.scratch.write("project/toolchains.lock", &twice);
    contains(
        &project.fails(3, &["setup"]),
        &["a for x86_64-linux stands here twice, with the same content: `cotter lock` keeps one"],
    );
    assert_eq!(project.lock_text(), twice);
    // The servers are not needed for that: no entry is lost.
    drop(server);
    project.ok(&["lock"]);
    assert_eq!(project.lock_text(), good);
    // Of two that differ, a person must choose.
    let other = entry.replace("a.tar", "mirror/a.tar");
    assert_ne!(other, entry);
    let both = good.replacen(entry, &format!("{entry}\n{other}"), 1);
    project.scratch.write("project/toolchains.lock", &both);
    contains(
        &project.fails(3, &["lock"]),
        &["a for x86_64-linux stands here twice, and the two differ: delete the wrong one"],
    );
    assert_eq!(project.lock_text(), both);
}

#[test]
fn what_uses_names_is_compared_with_what_the_spec_calls_for() {
    let (_server, project) = tools(&["a", "b"]);
    project.ok(&["setup"]);
    // Somebody who edits an entry may also write the digest that belongs to it.
    let lock = cotter::internals::Lockfile::parse(&project.lock_text(), "lock").unwrap();
    let mut edited = lock.clone();
    let first = edited.trees.values_mut().next().unwrap();
    first.plan.uses.make.push("b".parse().unwrap());
    let edited = edited.render();
    assert!(edited.contains("make = [\"b\"]"), "{edited}");
    project.scratch.write("project/toolchains.lock", edited);
    for args in [&["setup", "--frozen"][..], &["lock", "--check"], &["lock"]] {
        contains(
            &project.fails(4, args),
            &["the entry of a for x86_64-linux", "was edited", "`uses` does not name the trees"],
        );
    }
    project.ok(&["lock", "--upgrade", "a"]);
    assert_eq!(project.lock_text(), lock.render());
    // The sets of Python packages of this repository pass the check.
    let flask = Path::new(REPO).join("examples/flask");
    ok(&mut in_store(project.scratch.path(), &flask, &["lock", "--check", "--offline"]));
}

#[test]
fn a_fresh_lock_with_the_same_result_is_not_written() {
    use std::os::unix::fs::MetadataExt;
    let (server, project) = tools(&["a", "b"]);
    project.ok(&["lock"]);
    let file = project.dir().join("toolchains.lock");
    let inode = || std::fs::metadata(&file).unwrap().ino();
    let before = inode();
    let said = text(&project.cotter(&["lock", "--fresh"]).output().unwrap());
    contains(&said, &["is up to date: 2 trees"]);
    assert!(!said.contains("added") && !said.contains("wrote"), "{said}");
    assert_eq!(inode(), before);
    // Only what changed is told.
    server.put("/b.tar", Tar::new().program("bin/b", b"newer").finish());
    let said = text(&project.cotter(&["lock", "--fresh"]).output().unwrap());
    contains(&said, &["changed b for x86_64-linux", "wrote toolchains.lock"]);
    assert!(!said.contains("added") && !said.contains(" a for"), "{said}");
    std::fs::write(&file, "damaged").unwrap();
    let said = text(&project.cotter(&["lock", "--fresh"]).output().unwrap());
    contains(&said, &["added a for x86_64-linux: 1, 1 input\n", "added b for"]);
}

#[test]
fn a_compiler_without_a_libc_is_warned_of() {
    let server = Server::start();
    let signer = Signer::new();
    let mut archive = Archive::default();
    let program = || Tar::new().program("./usr/bin/gcc-12", b"x");
    archive.package("gcc-12", "12.2.0", "", program());
    archive.package("gcc-12-aarch64-linux-gnu", "12.2.0", "", program());
    archive.package("libc6-dev", "2.36", "", Tar::new().file("./usr/include/stdio.h", b"x"));
    archive.publish(&server, &signer);
    let project = Project::new("");
    project.scratch.write("project/keys.asc", signer.public());
    let lock = |more: &str| {
        project.manifest(&format!(
            "{HEAD}[mirrors]\ndebian = [\"{}/debian\"]\n[settings]\nkeyring = \"keys.asc\"\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"test\"\n{more}\n",
            server.url
        ));
        // What the tree is made of is no compiler, so composing it may fail afterwards.
        text(&project.cotter(&["lock"]).output().unwrap())
    };
    contains(
        &lock("packages = [\"gcc-12\"]"),
        &[
            "warning: toolchains.toml:6:13: no package of gcc brings the headers",
            "add \"libc6-dev\"",
        ],
    );
    contains(
        &lock("packages = [\"gcc-12-aarch64-linux-gnu\"]\ntarget = \"aarch64-linux\""),
        &["add \"libc6-dev-arm64-cross\""],
    );
    let said = lock("packages = [\"gcc-12\", \"libc6-dev\"]");
    assert!(!said.contains("brings the headers"), "{said}");
}

#[test]
fn a_flag_or_a_command_at_the_wrong_place_is_explained() {
    let (_server, project) = tools(&["a"]);
    let said = project.fails(2, &["exec", "true"]);
    contains(&said, &["<COMMAND>", "hint: the command stands behind `--`: cotter exec -- true"]);
    contains(
        &project.fails(2, &["exec", "--pure", "make", "all"]),
        &["hint: the command stands behind `--`: cotter exec -- make all"],
    );
    let said = project.fails(2, &["--json", "list"]);
    let error: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    assert_eq!(error["error"]["hints"][0], "--json stands behind the command: cotter list --json");
    // Flags that an emitter does not have are wrong usage, too.
    let flask = crate::emit::project("flask");
    for flag in ["--check", "--json"] {
        contains(
            &flask.fails(2, &["emit", "pylock", flag]),
            &["has neither --check nor --json", "--output"],
        );
    }
    contains(&flask.fails(2, &["emit", "bazel", "--output", "x"]), &["writes the folder"]);
}

#[test]
fn values_that_are_too_long_are_shortened() {
    let long = "x".repeat(200_000);
    let project = Project::new("");
    for manifest in [
        format!("{long} = 1\n"),
        format!("{HEAD}[toolchains.a]\nkind = \"{long}\"\nsource = \"{long}\"\n"),
        format!("{HEAD}{}\"{long}/\" = 1\n", tool("a", "https://x.example/x")),
        format!("{HEAD}[{long}]\n[{long}]\n"),
    ] {
        project.manifest(&manifest);
        let said = project.fails(1, &["lock"]);
        assert!(said.len() < 4000, "{} bytes", said.len());
        contains(&said, &["characters)"]);
    }
    let (_server, project) = tools(&["a"]);
    project.ok(&["lock"]);
    let good = project.lock_text();
    for text in [
        good.replace("kind = \"tool\"", &format!("kind = \"{long}\"")),
        good.replace("kind = \"tool\"", &format!("kind = \"tool\"\n{long} = 1")),
        good.replace("source = \"archive\"", &format!("source = \"{long}\"")),
    ] {
        project.scratch.write("project/toolchains.lock", text);
        let said = project.fails(3, &["lock", "--check"]);
        assert!(said.len() < 4000, "{} bytes", said.len());
        contains(&said, &["characters)"]);
    }
}

#[test]
fn a_version_of_any_size_is_told_in_our_words() {
    let (_server, project) = tools(&["a"]);
    for (version, code, said) in [
        ("99999999999999999999", 1, "has version 99999999999999999999, this cotter reads"),
        ("-99999999999999999999", 3, "expected a version from 1 to 2, got -99999999999999999999"),
        ("0x63", 1, "has version 0x63, this cotter reads"),
        ("2.0", 3, "expected a version from 1 to 2, got 2.0"),
    ] {
        project.scratch.write("project/toolchains.lock", format!("version = {version}\n"));
        contains(&project.fails(code, &["lock", "--check"]), &[said]);
    }
}

#[test]
fn very_many_patterns_take_little_time() {
    let server = Server::start();
    let mut tar = Tar::new().program("bin/a", b"a");
    for i in 0..300 {
        tar = tar.file(&format!("share/{}/{i}", i % 10), b"x");
    }
    let url = server.put("/a.tar", tar.finish());
    let project = Project::new("");
    let manifest = |kind: &str| {
        let patterns: String = (0..100_000).map(|i| format!("\"share/{kind}/{i}/**\",")).collect();
        project.manifest(&format!("{HEAD}{}prune = [{patterns}]\n", tool("a", &url)));
    };
    manifest("x");
    let start = Instant::now();
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    contains(&said, &["`prune` of \"share/x/0/**\" matches nothing in a", "99950 more patterns"]);
    manifest("y");
    let said = project.fails(3, &["lock", "--check"]);
    contains(&said, &["prune: added share/y/0/**", "and 99950 more; removed share/x/0/**"]);
    assert!(said.len() < 20_000, "{} bytes", said.len());
    // Quadratic work took many minutes. This is an unoptimised program on a busy machine.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_wrong_name_in_bin_is_told_with_its_line() {
    let server = Server::start();
    let url = server.put("/a.tar", Tar::new().program("bin/tool", b"x").finish());
    let project = Project::new(&format!(
        "{HEAD}{}[toolchains.a.bin]\ngood = \"bin/tool\"\nbad = \"bin/toool\"\n",
        tool("a", &url)
    ));
    contains(
        &project.fails(1, &["lock"]),
        &["at: toolchains.toml:9:1", "a has no bin/toool, which `bin` names", "did you mean"],
    );
}

#[test]
fn what_bazel_settings_name_is_checked_with_its_line() {
    let project = crate::emit::project("python");
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let before = manifest.split("[emit.bazel]").next().unwrap().to_owned();
    let line = before.lines().count() + 2;
    let with = |setting: &str| {
        project.manifest(&format!("{before}[emit.bazel]\n{setting}\n"));
        project.fails(1, &["emit", "bazel"])
    };
    for name in ["rules_cc", "rules_python", "bazel_tools", "local_config_cc", "platforms"] {
        contains(
            &with(&format!("repository = \"{name}\"")),
            &[&format!("toolchains.toml:{line}:14"), name, "choose another name"],
        );
    }
    contains(
        &with("toolchains = [\"absent\"]"),
        &[&format!("toolchains.toml:{line}:15"), "\"absent\""],
    );
    contains(
        &with("toolchains = []"),
        &[&format!("at: toolchains.toml:{line}:1"), "names no toolchain that is to be emitted"],
    );
}

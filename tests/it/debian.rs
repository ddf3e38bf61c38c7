//! The source `debian` with an archive that the test makes: what is refused, and what the messages say.

use crate::support::archive::{Tar, gzip};
use crate::support::debian::{Archive, Signer, deb};
use crate::support::server::Server;
use crate::support::{Project, contains};

struct Rig {
    server: Server,
    signer: Signer,
    archive: Archive,
}

impl Rig {
    fn new() -> Self {
        let mut archive = Archive::default();
        archive.package(
            "thing",
            "1.0-1",
            "Depends: libthing (>= 1)\n",
            Tar::new().dir("./usr/").program("./usr/bin/thing", b"program"),
        );
        archive.package(
            "libthing",
            "1.2-3",
            "",
            Tar::new()
                .file("./lib/libthing.so.1", b"library")
                .symlink("./usr/lib/libthing.so", "/lib/libthing.so.1"),
        );
        Rig { server: Server::start(), signer: Signer::new(), archive }
    }

    /// Publishes the archive and makes a project that asks it for `packages`.
    fn project(&self, packages: &str) -> Project {
        self.archive.publish(&self.server, &self.signer);
        let project = Project::new(&self.manifest(packages));
        project.scratch.write("project/keys.asc", self.signer.public());
        project
    }

    fn manifest(&self, packages: &str) -> String {
        format!(
            "platforms = [\"x86_64-linux\"]\n[mirrors]\ndebian = [\"{}/debian\"]\n[settings]\nkeyring = \"keys.asc\"\n[toolchains.thing]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = {packages}\n",
            self.server.url
        )
    }
}

#[test]
fn a_closure_is_locked_and_becomes_one_merged_tree() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    project.ok(&["setup"]);
    let tree = project.tree();
    // With a merged /usr, the directory /lib of one package and the directory /usr/lib to which another package links are the same directory.
    assert_eq!(std::fs::read(tree.join("usr/lib/libthing.so.1")).unwrap(), b"library");
    assert_eq!(
        std::fs::read_link(tree.join("usr/lib/libthing.so")).unwrap().to_str(),
        Some("libthing.so.1")
    );
    contains(
        &project.lock_text(),
        &[
            "mirror://debian/pool/main/libthing_1.2-3_amd64.deb",
            "archive = \"debian\", suite = \"test\", date = \"2026-07-11T10:16:37Z\", key = \"",
            "version = \"1.0-1\"",
            "recipe = \"tool/6\"",
        ],
    );
    assert!(
        !project.lock_text().contains("127.0.0.1"),
        "a location of this machine is in the lock"
    );
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    project.scratch.write("project/keys.asc", Signer::new().public());
    contains(&project.fails(4, &["lock"]), &["is not signed by a key that is trusted", "keyring"]);
    // Without the setting, only Debian's own keys are trusted.
    project.manifest(&rig.manifest("[\"thing\"]").replace("keyring = \"keys.asc\"", ""));
    contains(&project.fails(4, &["lock"]), &["is not signed by a key that is trusted"]);
    project.assert_store_empty();
}

#[test]
fn a_release_that_was_altered_is_refused() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let release = rig
        .signer
        .sign("Origin: Test\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n 00 0 x\n")
        .replace("11 Jul", "12 Jul");
    rig.server.put("/debian/dists/test/InRelease", release);
    contains(&project.fails(4, &["lock"]), &["is not signed by a key"]);
    rig.server.put("/debian/dists/test/InRelease", "Origin: nobody\n");
    contains(&project.fails(4, &["lock"]), &["is not a signed Release file"]);
    // The index is not the one that the Release file names.
    rig.archive.publish(&rig.server, &rig.signer);
    rig.server.put("/debian/dists/test/main/binary-amd64/Packages.xz", "other");
    contains(&project.fails(4, &["lock"]), &["Packages.xz is not the file that was locked"]);
}

#[test]
fn the_release_of_another_suite_or_an_older_one_is_refused() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let sign = |suite: &str, day: &str| {
        rig.signer.sign(&format!(
            "Suite: {suite}\nDate: Sat, {day} Jul 2026 10:16:37 UTC\nSHA256:\n {} 1 x\n",
            "0".repeat(64)
        ))
    };
    rig.server.put("/debian/dists/test/InRelease", sign("other", "11"));
    contains(
        &project.fails(4, &["lock"]),
        &["is the release of another suite", "expected test, got other"],
    );
    rig.archive.publish(&rig.server, &rig.signer);
    project.ok(&["lock"]);
    rig.server.put("/debian/dists/test/InRelease", sign("test", "04"));
    contains(
        &project.fails(4, &["lock", "--upgrade"]),
        &["is older than what the lock knows", "cotter lock --fresh"],
    );
    // That an old release has expired may be accepted. That it takes the place of a newer one may not.
    let allowed = ["lock", "--upgrade", "--allow-expired"];
    contains(&project.fails(4, &allowed), &["is older than what the lock knows"]);
    let unchecked = rig.manifest("[\"thing\"]");
    let unchecked = unchecked.replace("[settings]", "[settings]\ncheck_valid_until = false");
    project.manifest(&unchecked);
    contains(&project.fails(4, &["lock", "--upgrade"]), &["is older than what the lock knows"]);
    // Only who says that the lock is to be forgotten goes back. The release names no index.
    contains(&project.fails(1, &["lock", "--fresh"]), &["lists no index of main"]);
}

/// A release has no hash that is known before, so a mirror that sends it byte by byte could hold a lock for hours.
#[test]
fn a_mirror_that_is_too_slow_with_its_release_is_left() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let url = &rig.server.url;
    rig.server.put("/slow/dists/test/InRelease", rig.signer.sign(&"x".repeat(5000)));
    rig.server.fault("/slow/dists/test/InRelease", crate::support::server::Fault::Slow(100));
    let mirrors = format!("debian = [\"{url}/slow\", ");
    project.manifest(&rig.manifest("[\"thing\"]").replace("debian = [", &mirrors));
    let mut command = project.cotter(&["lock"]);
    command.env("COTTER_HTTP_TIMEOUT", "1").env("COTTER_HTTP_RETRIES", "0");
    crate::support::ok(&mut command);
    let log = rig.server.log();
    assert!(log.iter().any(|line| line.starts_with("/slow/dists/test/InRelease")), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("/debian/dists/test/InRelease")), "{log:?}");
}

/// Nothing of a release that is too large is parsed, and of one that the server announces, nothing is even read.
#[test]
fn a_release_that_is_too_large_is_refused_by_its_size() {
    let rig = Rig::new();
    let hostile = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}",
        "- -----BEGIN PGP SIGNATURE-----\n".repeat(450_000)
    );
    assert!(hostile.len() > 14_000_000);
    let project = rig.project("[\"thing\"]");
    rig.server.put("/debian/dists/test/InRelease", hostile.clone());
    contains(&project.fails(4, &["lock"]), &["InRelease is larger than 2097152 bytes"]);
    // A file of this machine is read by the same rule.
    let dir = project.scratch.join("mirror/dists/test");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("InRelease"), hostile).unwrap();
    let local = format!("file://{}", project.scratch.join("mirror").display());
    project.manifest(
        &rig.manifest("[\"thing\"]").replace(&format!("{}/debian", rig.server.url), &local),
    );
    contains(&project.fails(4, &["lock"]), &["InRelease is larger than 2097152 bytes"]);
}

#[test]
fn a_release_of_the_future_is_refused() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let text = format!(
        "Suite: test\nDate: Sat, 01 Jan 2089 10:16:37 UTC\nSHA256:\n {} 1 x\n",
        "0".repeat(64)
    );
    rig.server.put("/debian/dists/test/InRelease", rig.signer.sign(&text));
    for args in [&["lock"][..], &["lock", "--allow-expired"]] {
        contains(
            &project.fails(4, args),
            &["InRelease is of the future", "got 2089-01-01T10:16:37Z", "check the clock"],
        );
    }
}

#[test]
fn an_expired_release_is_refused_unless_told_otherwise() {
    let mut rig = Rig::new();
    rig.archive.valid_until = Some("Sun, 12 Jul 2020 10:00:00 UTC".to_owned());
    let project = rig.project("[\"thing\"]");
    contains(
        &project.fails(4, &["lock"]),
        &["has expired", "2020-07-12", "--allow-expired", "check_valid_until"],
    );
    assert!(!project.dir().join("toolchains.lock").exists());
    project.ok(&["lock", "--allow-expired"]);
    std::fs::remove_file(project.dir().join("toolchains.lock")).unwrap();
    project.manifest(
        &rig.manifest("[\"thing\"]").replace("[settings]", "[settings]\ncheck_valid_until = false"),
    );
    project.ok(&["lock"]);
}

#[test]
fn an_unknown_package_has_near_names() {
    let rig = Rig::new();
    let project = rig.project("[\"thingg\"]");
    contains(
        &project.fails(1, &["lock"]),
        &["the suite has no package \"thingg\" for amd64", "did you mean thing"],
    );
    let project = rig.project("[\"thing=9\"]");
    contains(
        &project.fails(1, &["lock"]),
        &["the suite has no version 9 of thing", "it has thing=1.0-1"],
    );
}

#[test]
fn an_unsatisfiable_dependency_shows_its_chain() {
    let mut rig = Rig::new();
    rig.archive.package("top", "1", "Depends: middle\n", Tar::new());
    rig.archive.package("middle", "2", "Depends: libthing (>= 9) | gone\n", Tar::new());
    let project = rig.project("[\"top\"]");
    contains(
        &project.fails(1, &["lock"]),
        &[
            "nothing in the suite satisfies libthing (>= 9) | gone",
            "top 1 -> middle 2 needs it",
            "the suite has libthing 1.2-3",
            "exclude",
        ],
    );
    project.manifest(&rig.manifest("[\"top\"]\nexclude = [\"gone\"]"));
    project.ok(&["lock"]);
}

#[test]
fn the_archive_of_old_files_is_the_last_mirror() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    project.ok(&["lock"]);
    // After the mirrors of the user and of the machine, the public archive is asked for the state of one day after the release.
    let lock = cotter::internals::Lockfile::parse(&project.lock_text(), "lock").unwrap();
    let plan = &lock.trees.values().next().unwrap().plan;
    assert_eq!(plan.snapshot().as_deref(), Some("20260712T101637Z"));
    let family = |url: &str| [("debian".to_owned(), vec![url.to_owned()])].into();
    let mirrors = cotter::internals::Mirrors::new(
        family("http://user.example/debian"),
        family("http://apt.example/debian"),
        Default::default(),
    );
    let urls = mirrors.expand(&plan.inputs[0].locations[0], plan.snapshot().as_deref());
    let bases = [
        "http://user.example/debian",
        "http://apt.example/debian",
        "https://snapshot.debian.org/archive/debian/20260712T101637Z",
    ];
    assert_eq!(
        urls,
        bases.map(|b| cotter::internals::Candidate::Url(format!(
            "{b}/pool/main/libthing_1.2-3_amd64.deb"
        )))
    );
}

#[test]
fn mirrors_are_asked_in_order_environment_manifest_machine() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let other = Server::start();
    rig.archive.publish(&other, &rig.signer);
    // The mirror of the environment comes first.
    let mut command = project.cotter(&["lock"]);
    assert!(
        command
            .env("COTTER_MIRROR_DEBIAN", format!("{}/debian", other.url))
            .status()
            .unwrap()
            .success()
    );
    assert!(rig.server.log().is_empty() && !other.log().is_empty());
    // If the manifest names no mirror, those of the machine's apt configuration are used.
    let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    other.clear_log();
    let text = rig.manifest("[\"thing\"]");
    project.manifest(&text.replace(&format!("debian = [\"{}/debian\"]", rig.server.url), ""));
    let etc = project
        .scratch
        .write("apt/sources.list", format!("deb [arch=amd64] {}/debian test main\n", other.url));
    let mut command = project.cotter(&["setup", "--locked"]);
    assert!(command.env("COTTER_APT_ETC", etc.parent().unwrap()).status().unwrap().success());
    assert!(!other.log().is_empty());
}

#[test]
fn damaged_and_hostile_packages_are_refused() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"not an ar file".to_vec(), "not a Debian package"),
        (b"!<arch>\n".to_vec(), "no member data.tar*"),
        (deb(b"no xz at all"), "damaged"),
        (
            deb(&crate::support::archive::xz(&Tar::new().file("./../../etc/evil", b"x").finish())),
            "climbs out",
        ),
        (
            deb(&crate::support::archive::xz(
                &Tar::new()
                    .symlink("./usr/share/x", "/etc")
                    .file("./usr/share/x/evil", b"x")
                    .finish(),
            )),
            "goes through the symlink",
        ),
        (deb(&gzip(&Tar::new().finish())), "damaged"),
    ];
    for (bytes, words) in cases {
        let mut rig = Rig::new();
        rig.archive.raw_package("bad", "1", "", bytes);
        let project = rig.project("[\"bad\"]");
        contains(&project.fails(4, &["setup"]), &[words]);
        project.assert_store_empty();
    }
    // Debian's packages contain names that differ only in case, so such names are allowed.
    let mut rig = Rig::new();
    rig.archive.package(
        "cases",
        "1",
        "",
        Tar::new().file("./usr/include/xt_MARK.h", b"1").file("./usr/include/xt_mark.h", b"2"),
    );
    rig.project("[\"cases\"]").ok(&["setup"]);
    // Two packages have the same file with different contents.
    rig.archive.package("one", "1", "Depends: two\n", Tar::new().file("./usr/share/same", b"1"));
    rig.archive.package("two", "1", "", Tar::new().file("./usr/share/same", b"2"));
    let project = rig.project("[\"one\"]");
    contains(
        &project.fails(6, &["setup"]),
        &[
            "two inputs hold usr/share/same with different content",
            "two_1_amd64.deb",
            "with `exclude`",
        ],
    );
    project.assert_store_empty();
}

#[test]
fn an_input_that_two_trees_share_is_downloaded_once() {
    let rig = Rig::new();
    let project = rig.project("[\"thing\"]");
    let text = rig.manifest("[\"thing\"]");
    project.manifest(&format!("{text}[toolchains.other]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"thing\", \"libthing\"]\n"));
    project.ok(&["setup"]);
    let log = rig.server.log();
    let times = log.iter().filter(|l| l.contains("pool/main/libthing")).count();
    assert_eq!(times, 1, "{log:?}");
}

#[test]
fn the_keys_of_the_real_archive_are_known() {
    let keyring = cotter::internals::Keyring::shipped().unwrap();
    let error = cotter::internals::Release::verify(
        "no release",
        &keyring,
        "2026-07-11T10:16:37Z".parse().unwrap(),
        "x",
    )
    .unwrap_err();
    assert_eq!(error.kind(), cotter::internals::ErrorKind::Verification);
    // Every test that locks packages of the real bookworm shows that its signatures are accepted.
    let lock =
        std::fs::read_to_string(format!("{}/toolchains.lock", crate::support::REPO)).unwrap();
    contains(&lock, &["suite = \"bookworm\"", "key = \""]);
}

/// The tree that the project's lock names.
fn locked_tree(project: &Project) -> std::path::PathBuf {
    let text = project.lock_text();
    let name = text.lines().find_map(|line| line.strip_prefix("store_name = ")).unwrap();
    project.store.join("store").join(name.trim_matches('"'))
}

/// The links in `bin/` of the project's tree, each as `name -> target`.
fn names(project: &Project) -> Vec<String> {
    let bin = locked_tree(project).join("bin");
    let mut out: Vec<String> = std::fs::read_dir(&bin)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let target = std::fs::read_link(entry.path()).unwrap();
            format!("{} -> {}", entry.file_name().display(), target.display())
        })
        .collect();
    out.sort();
    out
}

/// Runs a command that succeeds, and returns what it told.
fn told(project: &Project, args: &[&str]) -> String {
    let out = project.cotter(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{text}");
    text
}

#[test]
fn alternatives_become_links_and_the_named_package_wins() {
    let mut rig = Rig::new();
    let call = |path: &str, priority: u32| {
        format!(
            "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n  update-alternatives --install /usr/bin/run run {path} {priority} \\\n    --slave /usr/bin/walk walk {path} --slave /usr/share/man/man1/run.1 run.1 {path}\nfi\n"
        )
    };
    let (low, high) = ("/usr/lib/vm/low/bin/run", "/usr/lib/vm/high/bin/run");
    let program = |path: &str| Tar::new().program(&format!(".{path}"), path.as_bytes());
    rig.archive.scripted("low", "1", "Depends: high\n", &call(low, 10), program(low));
    rig.archive.scripted("high", "1", "", &call(high, 20), program(high));
    rig.archive.package(
        "both",
        "1",
        "Depends: low, high\n",
        Tar::new().program("./usr/bin/x", b"x"),
    );
    // Neither is named: the priority decides.
    let project = rig.project("[\"both\"]");
    project.ok(&["setup"]);
    let link =
        |name: &str| std::fs::read_link(locked_tree(&project).join("usr/bin").join(name)).unwrap();
    assert_eq!(link("run").to_str(), Some("../lib/vm/high/bin/run"));
    assert_eq!(link("walk").to_str(), Some("../lib/vm/high/bin/run"));
    assert!(!locked_tree(&project).join("usr/share/man").exists());
    assert_eq!(
        names(&project),
        ["run -> ../usr/bin/run", "walk -> ../usr/bin/walk", "x -> ../usr/bin/x"]
    );
    // The one that is named wins.
    project.manifest(&rig.manifest("[\"low\"]"));
    project.ok(&["setup"]);
    let link = std::fs::read_link(locked_tree(&project).join("usr/bin/run")).unwrap();
    assert_eq!(link.to_str(), Some("../lib/vm/low/bin/run"));
    // What a script computes is counted, and shown with --verbose.
    let computed = "#!/bin/sh\nupdate-alternatives --install /usr/bin/run run $(find) 1\n";
    rig.archive.scripted("odd", "1", "", computed, Tar::new().program("./usr/bin/odd", b"odd"));
    let project = rig.project("[\"odd\"]");
    contains(
        &told(&project, &["lock", "--verbose"]),
        &["1 call of update-alternatives could not be read", "of odd: --install /usr/bin/run"],
    );
}

#[test]
fn the_programs_of_named_packages_come_first() {
    let mut rig = Rig::new();
    let tool = |dir: &str, text: &str| {
        Tar::new()
            .program(&format!(".{dir}/tool"), text.as_bytes())
            .program(&format!(".{dir}/{text}"), b"x")
    };
    rig.archive.package("server", "1", "Depends: client\n", tool("/usr/sbin", "server"));
    rig.archive.package("client", "1", "", tool("/usr/bin", "client"));
    let dir = "/usr/lib/db/15/bin";
    rig.archive.package("private", "1", "Depends: client, sql\n", tool(dir, "private"));
    rig.archive.package("sql", "1", "", Tar::new().program(&format!(".{dir}/sql"), b"sql"));
    rig.archive.package(
        "meta",
        "1",
        "Depends: server\n",
        Tar::new().file("./usr/share/doc/meta/copyright", b"c"),
    );
    rig.archive.package(
        "data",
        "1",
        "Depends: client\n",
        Tar::new().file("./usr/lib/data/x", b"x"),
    );
    // A dependency in usr/bin does not hide the named package's program in usr/sbin.
    let project = rig.project("[\"server\"]");
    assert!(!told(&project, &["setup"]).contains("warning"));
    let expected =
        ["client -> ../usr/bin/client", "server -> ../usr/sbin/server", "tool -> ../usr/sbin/tool"];
    assert_eq!(names(&project), expected);
    // Private directories count for named packages without other programs.
    project.manifest(&rig.manifest("[\"private\"]"));
    project.ok(&["setup"]);
    contains(
        &names(&project).join("\n"),
        &[
            "tool -> ../usr/lib/db/15/bin/tool",
            "private -> ../usr/lib/db/15/bin/private",
            "sql -> ../usr/lib/db/15/bin/sql",
        ],
    );
    // A metapackage hands over.
    project.manifest(&rig.manifest("[\"meta\"]"));
    assert!(!told(&project, &["setup"]).contains("warning"));
    assert_eq!(names(&project), expected);
    contains(&project.lock_text(), &["named = [\"meta\", \"server\"]"]);
    // The lock holds the result: the same tree comes of it without a resolution.
    let before = names(&project);
    project.ok(&["lock", "--check"]);
    project.ok(&["setup", "--locked"]);
    assert_eq!(names(&project), before);
    // Two named packages that claim one name, and a package that brings none.
    project.manifest(&rig.manifest("[\"client\", \"server\"]"));
    contains(
        &told(&project, &["setup"]),
        &[
            "`tool` is usr/bin/tool of client; usr/sbin/tool of server has no name: give it one with `bin`",
        ],
    );
    project.manifest(&rig.manifest("[\"data\"]"));
    contains(
        &told(&project, &["setup"]),
        &["the package data brings no program; among its dependencies, client brings client, tool"],
    );
}

/// An archive with stand-ins for the Essential packages, which are static programs.
fn with_essential(rig: &mut Rig) {
    rig.archive.package(
        "dash",
        "1",
        "",
        Tar::new().program("./bin/dash", b"shell").symlink("./bin/sh", "dash"),
    );
    rig.archive.package("sed", "1", "", Tar::new().program("./bin/sed", b"sed"));
    rig.archive.package(
        "coreutils",
        "1",
        "",
        Tar::new().program("./bin/cat", b"cat").program("./bin/ls", b"ls"),
    );
    let gzip = Tar::new()
        .program("./bin/gzip", b"gzip")
        .program("./bin/zcat", b"#!/bin/sh\nexec gzip -cd \"$@\" | cat\n");
    rig.archive.package("gzip", "1", "", gzip);
    let script = b"#!/bin/sh\n# find the page\nzcat \"$1\" | sed -e s/a/b/\n";
    let data = Tar::new()
        .program("./usr/bin/page", script)
        .program("./usr/lib/page/helper", b"#!/bin/sh\nsed x\n")
        .program("./usr/lib/page/helper.py", b"#!/usr/bin/python3\n")
        .program("./usr/bin/snake", b"#!/usr/bin/env python3\n");
    rig.archive.package("page", "1", "Depends: libc6\n", data);
    // Nothing starts this loader here: a tree with a loader counts as a tree with a libc.
    let loader = Tar::new().file("./lib64/ld-linux-x86-64.so.2", b"loader");
    rig.archive.package("libc6", "1", "", loader);
}

#[test]
fn essential_packages_join_when_scripts_need_them() {
    let mut rig = Rig::new();
    with_essential(&mut rig);
    let project = rig.project("[\"page\"]");
    let out = told(&project, &["setup"]);
    // `cat` is needed by a script of gzip, which is needed by the named package's script. Words in
    // comments count for nothing.
    contains(
        &project.lock_text(),
        &[
            "named = [\"page\"], essential = [\"coreutils\", \"dash\", \"gzip\", \"sed\"]",
            "pool/main/gzip_1",
        ],
    );
    // They have no names, so they do not hide the user's own.
    assert_eq!(names(&project), ["page -> ../usr/bin/page"]);
    let tree = locked_tree(&project);
    assert!(tree.join("usr/bin/sed").exists() && tree.join("usr/bin/ls").exists());
    assert_eq!(std::fs::read_link(tree.join("usr/bin/sh")).unwrap().to_str(), Some("dash"));
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str| tree.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("usr/lib/page/helper"), mode("usr/lib/page/helper.py")), (0o555, 0o444));
    // What is left out is told, with the package that would help.
    contains(
        &out,
        &[
            "1 script is left out, because the tree has no python3: add \"python3\" to `packages`: usr/bin/snake",
        ],
    );
    contains(
        &told(&project, &["lock", "--upgrade", "--verbose"]),
        &["usr/lib/page/helper.py cannot be executed"],
    );
    // The second time nothing changes, and the lock is complete.
    let text = project.lock_text();
    project.ok(&["lock", "--fresh"]);
    assert_eq!(text, project.lock_text());
    project.ok(&["setup", "--locked"]);
    // One of them can be left out; then what needs it is named.
    project.manifest(&rig.manifest("[\"page\"]\nexclude = [\"sed\"]"));
    let out = told(&project, &["setup"]);
    contains(&out, &["start commands that it lacks: sed (for usr/"]);
    assert!(!out.contains("leaves nothing out"), "{out}");
    assert!(!locked_tree(&project).join("usr/bin/sed").exists());
    contains(&project.lock_text(), &["essential = [\"coreutils\", \"dash\", \"gzip\"]"]);
    // A package that is named has its names.
    project.manifest(&rig.manifest("[\"page\", \"coreutils\"]"));
    project.ok(&["setup"]);
    assert_eq!(
        names(&project),
        ["cat -> ../usr/bin/cat", "ls -> ../usr/bin/ls", "page -> ../usr/bin/page"]
    );
    // Without them, the scripts are left out, and it is told what would help.
    project.manifest(&rig.manifest("[\"page\"]\ninclude_essential = false"));
    contains(
        &told(&project, &["setup"]),
        &[
            "1 script is left out, because the tree has no /bin/sh: add \"dash\" to `packages`: usr/bin/page",
            "the package page brings no program",
        ],
    );
    // A tree without a libc whose program is a script needs its interpreter.
    rig.archive.package("bare", "1", "", Tar::new().program("./usr/bin/bare", b"#!/bin/sh\n"));
    let project = rig.project("[\"bare\"]");
    project.ok(&["setup"]);
    assert_eq!(names(&project), ["bare -> ../usr/bin/bare"]);
    project.manifest(&rig.manifest("[\"bare\"]\ninclude_essential = false"));
    contains(
        &project.fails(6, &["lock"]),
        &["usr/bin/bare is a script for \"#!/bin/sh\", which the tree lacks"],
    );
}

#[test]
fn a_control_member_is_data_too() {
    use crate::support::archive::xz;
    use crate::support::debian::deb_with;
    let data = xz(&Tar::new().program("./usr/bin/x", b"x").finish());
    let long = vec![b'#'; 2 << 20];
    let cases: Vec<(Vec<u8>, Option<&str>)> = vec![
        // A script that is a program, one that is too long, and one that is no text are not read.
        (xz(&Tar::new().program("./postinst", b"\x7fELF\x02").finish()), None),
        (xz(&Tar::new().program("./postinst", &long).finish()), None),
        (xz(&Tar::new().program("./postinst", b"#!/bin/sh\n\xff").finish()), None),
        (xz(&Tar::new().symlink("./postinst", "/etc/passwd").finish()), None),
        (b"no xz at all".to_vec(), Some("damaged")),
        (xz(&vec![0x55; 1 << 12]), Some("damaged")),
    ];
    for (control, refused) in cases {
        let mut rig = Rig::new();
        rig.archive.raw_package("bad", "1", "", deb_with(&control, &data));
        let project = rig.project("[\"bad\"]");
        match refused {
            Some(words) => {
                contains(&project.fails(4, &["setup"]), &[words]);
                project.assert_store_empty();
            }
            None => {
                project.ok(&["setup"]);
                assert_eq!(names(&project), ["x -> ../usr/bin/x"]);
            }
        }
    }
}

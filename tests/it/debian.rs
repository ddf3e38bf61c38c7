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
            "recipe = \"tool/1\"",
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
        &["is older than what the lock knows", "--allow-expired"],
    );
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
        vec![],
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
        &["two inputs hold usr/share/same with different content", "two_1_amd64.deb"],
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
    let error = cotter::internals::Release::verify("no release", &keyring, "x").unwrap_err();
    assert_eq!(error.kind(), cotter::internals::ErrorKind::Verification);
    // Every test that locks packages of the real bookworm shows that its signatures are accepted.
    let lock =
        std::fs::read_to_string(format!("{}/toolchains.lock", crate::support::REPO)).unwrap();
    contains(&lock, &["suite = \"bookworm\"", "key = \""]);
}

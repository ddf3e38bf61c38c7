//! `nix/from-lock.nix`: the real Nix reads locks. What needs real packages is in `online/from_lock.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archives::{honest, manifest};
use crate::closures::Rig;
use crate::support::archive::gzip;
use crate::support::nix::{Nix, from_lock};
use crate::support::server::Server;
use crate::support::{Project, REPO, Scratch, clean, contains, copy_program, fails, ok};

/// Returns a directory for expressions of which nothing is built.
fn no_program(nix: &Nix) -> PathBuf {
    nix.scratch.write("cotter/bin/cotter", "");
    nix.scratch.join("cotter")
}

/// Returns what an expression about the result for a lock evaluates to.
fn evaluate(nix: &Nix, lock: &Path, more: &str, what: &str) -> String {
    let expression = format!("let trees = {}; in {what}", from_lock(lock, &no_program(nix), more));
    let mut command = nix.command("nix-instantiate");
    ok(command.args(["--eval", "--strict", "--json", "--expr", &expression]))
}

const MIRRORS: &str = "mirrors = { debian = \"http://127.0.0.1:1/debian\"; };";

#[test]
fn every_tree_of_every_lock_has_its_store_name() {
    let nix = Nix::new();
    let mut trees = 0;
    for dir in crate::support::PROJECTS {
        let path = Path::new(REPO).join(dir).join("toolchains.lock");
        let text = std::fs::read_to_string(&path).unwrap();
        let lock = cotter::internals::Lockfile::parse(&text, "toolchains.lock").unwrap();
        for platform in cotter::internals::Platform::ALL {
            let more = format!(
                "platform = \"{platform}\"; mirrors = {{ debian = [ ]; python = path: [ \"http://127.0.0.1:1/${{path}}\" ]; }};"
            );
            let what = "builtins.mapAttrs (name: tree: tree.outPath) trees";
            let printed = evaluate(&nix, &path, &more, what);
            let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
            let printed = printed.as_object().unwrap();
            let expected = lock.trees.values().filter(|tree| tree.plan.platform == platform);
            let mut count = 0;
            for tree in expected {
                count += 1;
                let name = format!("/nix/store/{}", tree.output.store_name);
                assert_eq!(printed[tree.plan.name.as_str()], name);
            }
            assert_eq!(count, printed.len(), "{dir} {platform}");
            trees += count;
        }
    }
    assert!(trees > 20, "{trees}");
}

#[test]
fn addresses_are_those_that_cotter_would_ask() {
    let nix = Nix::new();
    let lock = |url: &str, dates: &[&str]| {
        let releases: String = dates
            .iter()
            .map(|date| {
                format!(
                    "  {{ archive = \"debian\", suite = \"x\", date = \"{date}\", key = \"\" }},\n"
                )
            })
            .collect();
        let text = format!(
            "version = 2\n[[tree]]\nname = \"x\"\nplatform = \"{}\"\nstore_name = \"6jgsyjffj58bwgx46jl8gy1isgw9ni1g-x-1\"\nnar_hash = \"sha256-aqWil+zsCOaTZZjVGmH2rGVOJ9jQlpTBz6SaH79e2ro=\"\nreleases = [\n{releases}]\ninputs = [\n  {{ url = \"{url}\", size = 1, sha256 = \"{}\", format = \"deb\" }},\n]\n",
            "x86_64-linux",
            "1".repeat(64),
        );
        nix.scratch.write("project/toolchains.lock", text)
    };
    let asked = |url: &str, dates: &[&str], mirrors: &str| {
        // The fetcher of the test fails with what it was asked for.
        let more = format!(
            "platform = \"x86_64-linux\"; mirrors = {{ {mirrors} }}; fetchurl = asked: throw (builtins.toJSON asked);"
        );
        let expression =
            format!("({}).x.outPath", from_lock(&lock(url, dates), &no_program(&nix), &more));
        let mut command = nix.command("nix-instantiate");
        let said = fails(1, command.args(["--eval", "--expr", &expression]));
        let line = said.lines().find_map(|line| line.strip_prefix("error: {")).expect(&said);
        let asked: serde_json::Value = serde_json::from_str(&format!("{{{line}")).unwrap();
        let urls = asked["urls"].as_array().unwrap().iter();
        let urls: Vec<String> = urls.map(|url| url.as_str().unwrap().to_owned()).collect();
        (asked["name"].as_str().unwrap().to_owned(), urls)
    };
    let pool = "mirror://debian/pool/main/x/x_1%3a2~rc1+b_amd64.deb";
    let own = "debian = [ \"http://127.0.0.1/one\" \"http://127.0.0.1/two\" ];";
    let dates = ["2026-07-11T10:16:37Z", "2026-08-31T22:05:09Z"];
    let (name, urls) = asked(pool, &dates, own);
    assert_eq!(name, "x_1-3a2-rc1+b_amd64.deb");
    let path = "pool/main/x/x_1%253a2~rc1+b_amd64.deb";
    let archive = |time: &str| format!("https://snapshot.debian.org/archive/debian/{time}/{path}");
    let mirrors = ["one", "two"].map(|mirror| format!("http://127.0.0.1/{mirror}/{path}")).to_vec();
    assert_eq!(urls, [mirrors, vec![archive("20260901T220509Z")]].concat());
    // A mirror of the archive of old files is asked before it, as by cotter.
    let old = |base: &str| archive("20260901T220509Z").replace("https://snapshot.debian.org", base);
    for snapshot in [
        "[ \"http://127.0.0.1/old/\" ]",
        "\"http://127.0.0.1/old\"",
        "path: [ \"http://127.0.0.1/old/${path}\" ]",
    ] {
        let urls = asked(pool, &dates, &format!("snapshot = {snapshot};")).1;
        assert_eq!(urls, [old("http://127.0.0.1/old"), old("https://snapshot.debian.org")]);
    }
    for (date, next) in [
        ("2024-02-28T00:00:00Z", "20240229T000000Z"),
        ("2024-02-29T00:00:00Z", "20240301T000000Z"),
        ("2026-02-28T08:09:00Z", "20260301T080900Z"),
        ("2100-02-28T08:09:00Z", "21000301T080900Z"),
        ("2026-12-31T23:59:59Z", "20270101T235959Z"),
        ("2026-04-30T23:59:59Z", "20260501T235959Z"),
        ("2026-10-08T23:59:59Z", "20261009T235959Z"),
    ] {
        assert_eq!(asked(pool, &[date], "").1, [archive(next)]);
    }
    let url = "https://a.example/d/.x.tar.gz?raw=1";
    assert_eq!(asked(url, &[], ""), ("_.x.tar.gz".to_owned(), vec![url.to_owned()]));
}

#[test]
fn what_nix_cannot_read_is_said() {
    let nix = Nix::new();
    let failure = |text: &str, what: &str| {
        let lock = nix.scratch.write("project/toolchains.lock", text);
        let expression = format!("({}).{what}", from_lock(&lock, &no_program(&nix), MIRRORS));
        fails(1, nix.command("nix-instantiate").args(["--eval", "--expr", &expression]))
    };
    contains(&failure("version = 1\n", "gcc"), &["a lock of version 1", "cotter lock"]);
    contains(&failure("version = 3\n", "gcc"), &["version 3", "a newer cotter"]);
    let app = std::fs::read_to_string(format!("{REPO}/examples/flask/toolchains.lock")).unwrap();
    let said = failure(&app, "app.outPath");
    contains(&said, &["no mirror is known for mirror://python/", "mirrors = { python = ["]);
}

#[test]
fn nix_composes_archives_from_an_address_and_from_the_project_and_refuses_others() {
    let bytes = gzip(&honest().finish());
    let server = Server::start();
    let url = server.put("/a%201.0.tgz?raw=1", bytes.clone());
    for url in [url.as_str(), "./third party/a 1.0.tgz"] {
        let nix = Nix::new();
        let project = Project::new(&manifest(url, &bytes, "strip_prefix = \"thing-1.0\""));
        let file = project.scratch.write("project/third party/a 1.0.tgz", &bytes);
        project.ok(&["setup"]);
        let dir = nix.scratch.join("cotter");
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        copy_program(env!("CARGO_BIN_EXE_cotter"), &dir.join("bin/cotter"));
        let lock = project.dir().join("toolchains.lock");
        let expression = format!("({}).thing", from_lock(&lock, &dir, ""));
        let expression = nix.scratch.write("thing.nix", expression);
        let build = |option: &str| {
            let mut command = nix.command("nix-build");
            command.arg(&expression).args(["--no-out-link", option]);
            command
        };
        // Other bytes are refused, and nothing is made.
        std::fs::write(&file, b"changed").unwrap();
        server.put("/a%201.0.tgz?raw=1", b"changed".to_vec());
        let refused = build("--keep-going").output().unwrap();
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("hash mismatch") || said.contains("store path mismatch"), "{said}");
        let ours = project.tree();
        let place = nix.place("/nix/store").join(ours.file_name().unwrap());
        assert!(!place.exists());
        std::fs::write(&file, &bytes).unwrap();
        server.put("/a%201.0.tgz?raw=1", bytes.clone());
        assert_eq!(nix.place(ok(&mut build("--keep-going")).trim()), place);
        let hash = |tree: &Path| cotter::internals::hash_tree(tree).unwrap();
        assert_eq!(hash(&place), hash(&ours));
        // The builder itself refuses an entry that was edited, whatever Nix would think of the result.
        let edited =
            project.lock_text().replace("strip_prefix = \"thing-1.0\"", "strip_prefix = \"thing\"");
        assert_ne!(edited, project.lock_text());
        std::fs::write(&lock, edited).unwrap();
        ok(nix
            .command("nix-store")
            .arg("--delete")
            .arg(format!("/nix/store/{}", ours.file_name().unwrap().to_str().unwrap())));
        let refused = build("--keep-going").output().unwrap();
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        contains(&said, &["was edited"]);
    }
}

#[test]
fn a_closure_is_the_path_of_nix_itself() {
    let Rig { nix, path, project, server } = crate::closures::rig();
    project.ok(&["lock"]);
    let other = Nix::new();
    let trees = from_lock(&project.dir().join("toolchains.lock"), &no_program(&nix), "");
    let expression = format!(
        "derivation {{ name = \"said\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"${{({trees}).greet}}/bin/greet > $out\" ]; PATH = \"/usr/bin:/bin\"; }}"
    );
    let file = other.scratch.write("said.nix", expression);
    let mut build = other.command("nix-build");
    build.arg(file).args(["--no-out-link", "--option", "substituters", &server.url]);
    let built = ok(build.args(["--option", "trusted-public-keys", &nix.key]));
    let said = std::fs::read_to_string(other.place(built.trim())).unwrap();
    contains(&said, &["hi from /nix/store/"]);
    assert!(other.place(&path).join("bin/greet").is_file());
}

#[test]
fn the_builder_says_what_is_wrong() {
    let scratch = Scratch::new();
    let compose = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
        clean(&mut command, scratch.path());
        command.current_dir(scratch.path()).arg("__compose").args(args);
        command
    };
    let lock = format!("{REPO}/examples/libraries/toolchains.lock");
    contains(&fails(1, &mut compose(&[&lock, "zlib"])), &["got less"]);
    let missing = ["no.lock", "zlib", "x86_64-linux", "out"];
    contains(&fails(1, &mut compose(&missing)), &["there is no lock", "no.lock"]);
    let unknown = [&lock, "nothing", "x86_64-linux", "out"];
    contains(&fails(1, &mut compose(&unknown)), &["nothing is not locked"]);
    let without = [&lock, "zlib", "x86_64-linux", "out"];
    contains(&fails(5, &mut compose(&without)), &["zlib1g", "is not in the cache"]);
    assert!(!scratch.join("out").exists());
    // An entry that was edited.
    let text = std::fs::read_to_string(&lock).unwrap().replacen(
        "kind = \"library\"",
        "kind = \"tool\"",
        9,
    );
    let edited = scratch.write("edited.lock", text);
    let edited = [edited.to_str().unwrap(), "zlib", "x86_64-linux", "out"];
    contains(&fails(4, &mut compose(&edited)), &["was edited"]);
}

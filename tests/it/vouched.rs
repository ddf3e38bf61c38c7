//! Who vouches for a path of Nix: what a lock says counts as little as what a cache says, and every cache that is named is asked. No network.

use std::path::Path;
use std::process::Command;

use crate::closures::{Rig, rig};
use crate::support::nix::{Nix, narinfo, serve, tool};
use crate::support::server::Fault;
use crate::support::{Project, contains, fails, names, ok, text};

/// Returns the text between `from` and the next quote.
fn quoted<'t>(text: &'t str, from: &str) -> &'t str {
    text.split_once(from).unwrap().1.split('"').next().unwrap()
}

/// Writes a lock as somebody does who knows its format: its digests fit.
pub fn forge(project: &Project, lock: &str) {
    let path = project.scratch.write("project/toolchains.lock", lock);
    let said = text(&project.cotter(&["setup", "--frozen"]).output().unwrap());
    let (_, rest) = said.split_once("expected the digest ").expect(&said);
    let (noted, rest) = rest.split_once(", got ").unwrap();
    let now = rest.split_whitespace().next().unwrap();
    assert!(lock.contains(noted), "{said}");
    std::fs::write(path, lock.replace(noted, now)).unwrap();
}

fn without_line(text: &str, start: &str) -> String {
    let kept = text.lines().filter(|line| !line.trim_start().starts_with(start));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_a_lock_says_of_a_path_must_be_signed_too() {
    let Rig { nix, path, project, server: _server } = rig();
    project.ok(&["lock"]);
    let (lock, manifest) = (project.lock_text(), nix.manifest(&_server.url) + &tool(&path));
    let signature = quoted(&lock, "signature = \"").to_owned();
    let zeros = format!("cache.nixos.org-1:{}==", "A".repeat(86));
    let refused = |how: &[&str], lock: &str, words: &[&str]| {
        let _ = std::fs::rename(
            &project.store,
            project.scratch.join(&format!("old-{}", names(project.scratch.path()).len())),
        );
        forge(&project, lock);
        for how in how {
            let said = project.fails(4, &["setup", how]);
            contains(&said, words);
            contains(&said, &["somebody has altered the lock", "cotter lock --upgrade greet"]);
        }
        let kept = project.stored("store");
        assert!(!kept.iter().any(|name| name.ends_with("-greet-3.0")), "{kept:?}");
    };
    let unsigned = "nobody who is trusted has signed what the lock says of /nix/store/";
    let both = ["--locked", "--frozen"];
    // A key that nobody has is no key of the manifest.
    project.manifest(&without_line(&manifest, "keys"));
    let keyless = without_line(&lock, "keys");
    assert_ne!(keyless, lock);
    refused(&both, &keyless, &[unsigned, "expected a signature of cache.nixos.org-1"]);
    let others: Vec<&str> = lock.split("signature = \"").skip(1).collect();
    let mut forged = keyless.clone();
    for other in others {
        forged = forged.replace(other.split('"').next().unwrap(), &zeros);
    }
    refused(&both, &forged, &[unsigned, "got one of cache.nixos.org-1 that does not fit"]);
    // The key is named, and the signature is that of another path.
    project.manifest(&manifest);
    let other = lock.rsplit("signature = \"").next().unwrap().split('"').next().unwrap();
    assert_ne!(other, signature);
    refused(
        &both,
        &lock.replace(&signature, other),
        &[unsigned, "got one of test-1 that does not fit"],
    );
    // Neither does a name follow from the content because the lock says so.
    let content = format!("ca = \"fixed:r:sha256:{}\"", "0".repeat(52));
    let signed = format!("signature = \"{signature}\"");
    refused(&both, &lock.replace(&signed, &content), &[unsigned, "got none"]);
    // What was built is what the user lets Nix build.
    let built = lock.replace(&signed, "built = true");
    refused(
        &["--frozen"],
        &built,
        &["nothing builds /nix/store/", "names no expression that is built"],
    );
}

#[test]
fn the_keys_and_caches_of_a_lock_are_trusted_by_themselves() {
    let Rig { nix, project, server, .. } = rig();
    project.ok(&["lock"]);
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    // With `--frozen`, nobody compares the manifest.
    let text = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&without_line(&text, "keys"));
    server.clear_log();
    let mut command = project.cotter(&["setup", "--frozen"]);
    let said = fails(1, command.env_remove("COTTER_TRUST"));
    contains(&said, &[&format!("paths of Nix signed with the key {}", nix.key), &server.url]);
    assert_eq!(server.log(), Vec::<String>::new());
}

/// A closure in two caches, whose files have other names in the second.
fn two_caches() -> (Nix, String, [std::path::PathBuf; 2]) {
    let nix = Nix::new();
    let path = nix.greet();
    let caches = [nix.copy(&[&path], "a", "zstd", true), nix.copy(&[&path], "b", "xz", true)];
    (nix, path, caches)
}

/// Returns the address of the NAR of a path in a cache.
fn nar(cache: &Path, path: &str) -> String {
    let text = std::fs::read_to_string(cache.join(narinfo(path))).unwrap();
    let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    format!("/{url}")
}

#[test]
fn every_cache_of_a_toolchain_is_asked_also_for_what_is_locked() {
    let (nix, path, [a, b]) = two_caches();
    let (first, second) = (serve(&a), serve(&b));
    let table = format!(
        "{}caches = [\"{}\", \"{}\"]\nkeys = [\"{}\"]\n",
        tool(&path),
        first.url,
        second.url,
        nix.key
    );
    let project = Project::new(&format!("platforms = [\"x86_64-linux\"]\n{table}"));
    // The bytes of the first cache are others while it is locked.
    first.put(&nar(&a, &path), b"other".repeat(99));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    contains(&text(&output), &["another mirror had the right one"]);
    // It loses them.
    first.fault(&nar(&a, &path), Fault::Status(404, u32::MAX));
    first.fault(&format!("/{}", narinfo(&path)), Fault::Status(404, u32::MAX));
    for how in ["--locked", "--frozen"] {
        std::fs::rename(&project.store, project.scratch.join(&format!("before{how}"))).unwrap();
        second.clear_log();
        project.ok(&["setup", how]);
        assert!(second.log().iter().any(|line| line.contains(&nar(&b, &path))), "{how}");
    }
}

#[test]
fn a_cache_that_lies_is_told_if_another_one_does_not() {
    let (nix, path, [a, b]) = two_caches();
    for path in nix.closure(&path) {
        let file = a.join(narinfo(&path));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("NarSize: ", "NarSize: 1")).unwrap();
    }
    let caches = format!("file://{}\", \"file://{}", a.display(), b.display());
    let project = Project::new(&(nix.manifest(&caches) + &tool(&path)));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(output.status.success());
    let said = text(&output);
    let told =
        format!("what file://{} says is not trusted, and another cache is taken", a.display());
    assert_eq!(said.matches(&told).count(), 1, "once, not for each path: {said}");
    contains(&said, &["nobody who is trusted has signed", "which does not fit"]);
}

#[test]
fn a_password_of_a_mirror_is_not_in_the_lock() {
    let Rig { nix, path, project, server } = rig();
    let name = narinfo(&path);
    let text = std::fs::read_to_string(nix.scratch.join("cache").join(&name)).unwrap();
    let at = nar(&nix.scratch.join("cache"), &path);
    let asked = format!("{at}?hash=abc");
    server.put(&format!("/{name}"), text.replace(&at[1..], &asked[1..]));
    let bytes = std::fs::read(nix.scratch.join("cache").join(&at[1..])).unwrap();
    server.put(&asked, bytes);
    let keys = nix.manifest(&server.url);
    project.manifest(&(without_line(&keys, "caches") + &tool(&path)));
    let mirror = server.url.replace("http://", "http://user:s3cr3t@");
    ok(project.cotter(&["lock"]).env("COTTER_MIRROR_NIX", &mirror));
    let lock = project.lock_text();
    contains(&lock, &[&format!("url = \"{}{asked}\"", server.url)]);
    assert!(!lock.contains("s3cr3t") && !lock.contains("user"), "{lock}");
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    ok(project.cotter(&["setup", "--locked"]).env("COTTER_MIRROR_NIX", &mirror));
}

#[test]
fn a_cache_in_a_directory_is_trusted_once() {
    let nix = Nix::new();
    let path = nix.greet();
    let cache = nix.copy(&[&path], "cache", "zstd", true);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    let run = |args: &[&str]| -> Command {
        let mut command = project.cotter(args);
        command.env_remove("COTTER_TRUST");
        command
    };
    contains(&fails(1, &mut run(&["lock"])), &[&format!("files from {url} for")]);
    ok(&mut run(&["trust"]));
    ok(&mut run(&["lock"]));
    ok(&mut run(&["setup"]));
    // Another path of the same cache is no other source.
    let other = nix.closure(&path).into_iter().find(|path| path.contains("greet-lib")).unwrap();
    project.manifest(&(nix.manifest(&url) + &tool(&other)));
    ok(&mut run(&["lock"]));
    ok(&mut run(&["setup"]));
    // A lock that names another file of this machine is asked for it.
    let lock = project.lock_text();
    let at = quoted(&lock, "url = \"file://").to_owned();
    let climbing = format!("{}/../x", cache.display());
    project.scratch.write("project/toolchains.lock", lock.replace(&at, &climbing));
    contains(&fails(1, &mut run(&["setup", "--locked"])), &["/cache/../x"]);
}

#[test]
fn what_no_signature_covers_is_not_kept() {
    let Rig { nix, path, project, server } = rig();
    let name = narinfo(&path);
    let text = std::fs::read_to_string(nix.scratch.join("cache").join(&name)).unwrap();
    let more =
        format!("CA: text:sha256:{}\nDeriver: {}-x.drv\n", "said".repeat(999), "1".repeat(32));
    server.put(&format!("/{name}"), without_line(&text, "Deriver: ") + &more);
    project.ok(&["setup"]);
    let noted = project.stored("narinfos");
    let noted = noted.iter().find(|other| other.starts_with(&name[..32])).unwrap();
    let noted = std::fs::read_to_string(project.store.join("narinfos").join(noted)).unwrap();
    for text in [project.lock_text(), noted] {
        assert!(!text.contains("said") && !text.contains("-x.drv"), "{text}");
    }
    // So the lock is the same, whoever was asked.
    let lock = project.lock_text();
    server.put(&format!("/{name}"), text);
    project.ok(&["lock", "--fresh"]);
    assert_eq!(project.lock_text(), lock);
}

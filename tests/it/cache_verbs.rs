//! The verbs of `cotter cache` on caches, keys and configurations that others wrote, damaged or laid as a trap. No network.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::caches::rig;
use crate::support::{contains, names, ok, text};

const CONFIG: &str = ".config/cotter/config.toml";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Returns the description of the tree whose name contains `part`, with its path.
fn description(cache: &Path, part: &str) -> (PathBuf, String) {
    let read = |name: String| {
        let path = cache.join(name);
        let text = std::fs::read_to_string(&path).ok()?;
        Some((path, text))
    };
    let mut all = names(cache).into_iter().filter(|n| n.ends_with(".narinfo")).filter_map(read);
    all.find(|(_, text)| text.lines().next().is_some_and(|line| line.contains(part))).unwrap()
}

fn value<'t>(text: &'t str, key: &str) -> &'t str {
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn the_closure_of_a_lock_is_no_garbage() {
    let rig = crate::closures::rig();
    rig.project.ok(&["lock"]);
    let cache = rig.nix.scratch.join("cache");
    let all = [names(&cache), names(&cache.join("nar"))].concat();
    ok(Command::new("find").arg(&cache).args(["-exec", "touch", "-d", "90 days ago", "{}", "+"]));
    let to = cache.to_str().unwrap();
    let args = ["cache", "gc", to, "--keep", "toolchains.lock", "--older-than", "30"];
    contains(&rig.project.ok(&args), &["deleted 0 trees", "3 trees left"]);
    assert_eq!([names(&cache), names(&cache.join("nar"))].concat(), all);
}

#[test]
fn a_copy_of_a_description_does_not_lose_what_it_describes() {
    let rig = rig();
    let cache = rig.pushed();
    let (path, text) = description(&cache, "-one-");
    std::fs::write(cache.join("zzz.narinfo"), &text).unwrap();
    let args = ["cache", "gc", "../cache", "--keep", "toolchains.lock"];
    let output = rig.project.cotter(&args).output().unwrap();
    let said = crate::support::text(&output);
    assert!(output.status.success(), "{said}");
    contains(&said, &["zzz.narinfo", "misnamed", "deleted 0 trees", "2 trees left"]);
    assert!(path.exists() && cache.join(value(&text, "URL")).exists());
    let args = ["cache", "gc", "../nowhere", "--keep", "toolchains.lock"];
    contains(&rig.project.fails(1, &args), &["there is no directory"]);
}

#[test]
fn a_secret_key_in_a_wrong_place_is_not_shown() {
    let rig = rig();
    let secret = std::fs::read_to_string(rig.project.scratch.join("key")).unwrap();
    let secret = secret.trim();
    let hidden = |command: &mut Command, words: &[&str]| {
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        contains(&said, words);
        let base64 = secret.split_once(':').unwrap().1;
        assert!(!said.contains(&base64[..20]) && !said.contains(&base64[60..]), "{said}");
    };
    let project = &rig.project;
    let add = |key: &str| project.cotter(&["cache", "add", "http://x.example", "--key", key]);
    hidden(&mut add(secret), &["--key", "a secret key"]);
    hidden(&mut add(&secret[..secret.len() - 3]), &["--key", "another text"]);
    let args = ["cache", "push", "../c", "--key", secret];
    hidden(&mut project.cotter(&args), &["the key itself"]);
    let args = ["cache", "serve", "--listen", "127.0.0.1:0", "--key", secret];
    hidden(&mut project.cotter(&args), &["the key itself"]);
    let caches = format!("http://x.example {secret}");
    hidden(project.cotter(&["setup"]).env("COTTER_CACHES", caches), &["a secret key"]);
    let turned = format!("{secret} http://x.example");
    hidden(project.cotter(&["setup"]).env("COTTER_CACHES", turned), &["a secret key"]);
    let config = format!("[caches.\"http://x.example\"]\nkeys = [\"{secret}\"]\n");
    let config = project.scratch.write(CONFIG, config);
    hidden(&mut project.cotter(&["setup"]), &["a secret key"]);
    std::fs::remove_file(config).unwrap();
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&format!("{manifest}\n[nix]\nkeys = [\"{secret}\"]\n"));
    hidden(&mut project.cotter(&["lock"]), &["a secret key"]);
}

#[test]
fn a_push_signs_what_the_store_says_and_not_what_the_cache_does() {
    let rig = rig();
    let cache = rig.pushed();
    let (path, before) = description(&cache, "-one-");
    let foreign = "kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-foreign";
    let alter = |from: &str, to: &str| {
        let kept = before.replace(from, to);
        let kept = kept.lines().filter(|line| !line.starts_with("Sig: "));
        let altered = kept.map(|line| format!("{line}\n")).collect::<String>();
        assert!(altered.contains(foreign), "{altered}");
        std::fs::write(&path, altered).unwrap();
    };
    alter("References: \n", &format!("References: {foreign}\n"));
    let output = rig.project.cotter(&["cache", "push", "../cache", "--key", "../key"]).output();
    contains(&text(&output.unwrap()), &["something else", "is written anew", "pushed"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    // No signature covers the deriver, and it is not taken over either.
    alter("References: \n", &format!("References: \nDeriver: {foreign}.drv\n"));
    contains(&rig.push("../cache"), &["already there"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn a_cut_file_of_a_cache_is_pushed_again() {
    let rig = rig();
    let cache = rig.pushed();
    let (_, text) = description(&cache, "-one-");
    let nar = cache.join(value(&text, "URL"));
    let whole = std::fs::read(&nar).unwrap();
    std::fs::write(&nar, &whole[..whole.len() / 2]).unwrap();
    contains(&rig.push("../cache"), &["pushed", "already there"]);
    assert!(std::fs::read(&nar).unwrap() == whole);
}

#[test]
fn what_names_no_place_is_not_pushed_to() {
    let rig = rig();
    let before = names(&rig.project.dir());
    for (place, words) in [
        ("", "got nothing"),
        ("file://relative", "begins with file:///"),
        ("file://host/x", "begins with file:///"),
    ] {
        let args = ["cache", "push", place, "--key", "../key"];
        contains(&rig.project.fails(1, &args), &[words]);
    }
    assert_eq!(names(&rig.project.dir()), before);
}

#[test]
fn a_configuration_keeps_its_permissions_and_hides_passwords() {
    let rig = rig();
    let project = &rig.project;
    let config =
        project.scratch.write(CONFIG, "[mirrors]\nnix = [\"http://u:secret@x.example\"]\n");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let add = |url: &str| project.ok(&["cache", "add", url, "--key", &rig.public]);
    add("http://one.example");
    assert_eq!(mode(&config), 0o600);
    project.ok(&["cache", "remove", "http://one.example"]);
    assert_eq!(mode(&config), 0o600);
    std::fs::write(&config, "").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
    add("http://one.example");
    assert_eq!(mode(&config), 0o644);
    add("http://u:password@two.example");
    assert_eq!(mode(&config), 0o600);
    let args = ["cache", "remove", "http://other:x@two.example"];
    let said = project.fails(1, &args);
    contains(&said, &["with another login", "http://two.example"]);
    project.ok(&["cache", "remove", "http://two.example"]);
    // A new one with a password is for the user alone from the beginning.
    std::fs::remove_file(&config).unwrap();
    add("http://u:password@two.example");
    assert_eq!(mode(&config), 0o600);
}

#[test]
fn an_address_that_can_be_none_of_a_cache_is_not_added() {
    let rig = rig();
    let project = &rig.project;
    for (url, words) in [
        ("http://u:secret@", "with a host"),
        ("http://:80/x", "with a host"),
        ("https://h.example?token=secret", "without a query"),
        ("s3://KEY:secret@bucket", "AWS_ACCESS_KEY_ID"),
    ] {
        let said = project.fails(1, &["cache", "add", url, "--key", &rig.public]);
        contains(&said, &["no cache is added", words]);
        assert!(!said.contains("secret@") && !said.contains("=secret"), "{said}");
    }
    let config = project.scratch.join(CONFIG);
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    symlink("nowhere/config.toml", &config).unwrap();
    let said = project.fails(1, &["cache", "add", "http://x.example", "--key", &rig.public]);
    contains(&said, &["it is a link to nowhere/config.toml"]);
    assert!(config.is_symlink());
}

#[test]
fn caches_that_are_added_at_once_are_all_kept() {
    let rig = rig();
    let url = |n: usize| format!("http://cache{n}.example");
    let start = |n: usize| {
        let mut command = rig.project.cotter(&["cache", "add", &url(n), "--key", &rig.public]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let all: Vec<_> = (0..8).map(start).collect();
    for mut child in all {
        assert!(child.wait().unwrap().success());
    }
    let listed = rig.project.ok(&["cache", "list"]);
    for n in 0..8 {
        contains(&listed, &[&url(n)]);
    }
}

#[test]
fn the_server_says_no_false_length_and_takes_no_long_head() {
    let rig = rig();
    let serving = rig.serve();
    let tree: PathBuf = rig.project.ok(&["path", "one"]).trim().into();
    let hash = &tree.file_name().unwrap().to_str().unwrap()[..32];
    let ask = format!("HEAD /{hash}.narinfo HTTP/1.1\r\nConnection: close\r\n\r\n");
    let (head, body) = serving.ask(&ask);
    contains(&head, &["200 OK", "text/x-nix-narinfo"]);
    assert!(body.is_empty() && !head.contains("Content-Length"), "{head}");
    for (length, status) in [(16_000, "200 OK"), (18_000, "431")] {
        let filler = "y".repeat(length);
        let ask =
            format!("GET /nix-cache-info HTTP/1.1\r\nConnection: close\r\nX: {filler}\r\n\r\n");
        contains(&serving.ask(&ask).0, &[status]);
    }
}

//! Closures of Nix: paths that the real Nix builds, in caches that it writes, are locked, fetched, checked and run without it. Hostile caches are refused.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use cotter::internals::nar;

use crate::support::archive::{Tar, zstd};
use crate::support::nix::{Nix, attributes, bind_the_machine, narinfo, noted_as, serve, tool};
use crate::support::server::{Fault, Server};
use crate::support::{Project, Scratch, contains, names, ok};

/// A closure in a signed cache, and the project that asks for it.
pub struct Rig {
    pub nix: Nix,
    pub path: String,
    pub server: Server,
    pub project: Project,
}

pub fn rig() -> Rig {
    let nix = Nix::new();
    let path = nix.greet();
    let server = serve(&nix.copy(&[&path], "cache", "zstd", true));
    let project = Project::new(&(nix.manifest(&server.url) + &tool(&path)));
    Rig { nix, path, server, project }
}

impl Rig {
    /// Returns the description of the path, or of the one whose name contains `part`.
    fn description(&self, part: &str) -> (String, String) {
        let closure = self.nix.closure(&self.path);
        let path = closure.iter().find(|path| path.contains(part)).unwrap();
        let name = narinfo(path);
        let text = std::fs::read_to_string(self.nix.scratch.join("cache").join(&name)).unwrap();
        (format!("/{name}"), text)
    }

    /// Puts an altered description there.
    fn alter(&self, part: &str, from: &str, to: &str) {
        let (name, text) = self.description(part);
        assert!(text.contains(from), "{text}");
        self.server.put(&name, text.replace(from, to));
    }

    /// Returns the path of the NAR of a path on the server.
    fn nar(&self, part: &str) -> String {
        let (_, text) = self.description(part);
        format!("/{}", line(&text, "URL"))
    }

    fn store_path(&self, part: &str) -> String {
        self.nix.closure(&self.path).into_iter().find(|path| path.contains(part)).unwrap()
    }
}

fn line<'t>(text: &'t str, key: &str) -> &'t str {
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn a_closure_is_locked_fetched_and_kept_as_nix_has_it() {
    let Rig { nix, path, project, server } = rig();
    project.ok(&["lock"]);
    let lock = project.lock_text();
    contains(&lock, &["format = \"nar\"", &path, "signature = \"test-1:", "ecosystem = \"nix\""]);
    project.ok(&["setup"]);
    let closure = nix.closure(&path);
    assert_eq!(closure.len(), 3);
    for path in &closure {
        let ours = project.store.join("store").join(path.rsplit('/').next().unwrap());
        assert_eq!(attributes(&ours), attributes(&nix.place(path)));
        let (hash, size) = cotter::internals::hash_tree(&ours).unwrap();
        let query = |what| ok(nix.command("nix-store").args(["--query", what, path]));
        assert_eq!(query("--size").trim(), size.to_string());
        let mut convert = Command::new("nix-hash");
        convert.args(["--type", "sha256", "--to-base32", &hash.hex()]);
        assert_eq!(query("--hash").trim(), format!("sha256:{}", ok(&mut convert).trim()));
        let noted = project.store.join("narinfos").join(noted_as(path));
        let noted = std::fs::read_to_string(noted).unwrap();
        contains(&noted, &[&format!("StorePath: {path}\n"), "NarHash: sha256:", "Sig: test-1:"]);
    }
    contains(&project.ok(&["verify", "--deep"]), &[]);
    project.ok(&["list"]);
    // The lock is complete: another store needs no description.
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    server.clear_log();
    project.ok(&["setup", "--locked"]);
    assert!(!server.log().iter().any(|line| line.contains("narinfo")), "{:?}", server.log());
    assert_eq!(project.lock_text(), lock);
}

#[test]
fn a_closure_runs_at_nix_store_with_and_without_a_directory_of_that_name() {
    let Rig { nix, path, project, server: _server } = rig();
    project.ok(&["setup"]);
    let data = nix.closure(&path).into_iter().find(|path| path.contains("data")).unwrap();
    let said = format!("hi from {data}\n");
    let run = ["exec", "--nix-store", "namespace", "--", "greet"];
    assert_eq!(project.ok(&run), said);
    assert_eq!(project.ok(&["exec", "--nix-store=auto", "greet", "--", "greet"]), said);
    // A machine without Nix and without /nix.
    let view = |nix_store: Option<&Path>, args: &[&str]| {
        let inner = project.cotter(args);
        let mut bwrap = Command::new("bwrap");
        bwrap.args(["--unshare-user", "--uid", "1000", "--cap-add", "ALL"]);
        bind_the_machine(&mut bwrap);
        bwrap.args(["--proc", "/proc", "--dev", "/dev"]);
        if let Some(dir) = nix_store {
            bwrap.arg("--bind").arg(dir).arg("/nix/store");
        }
        bwrap.args(["--tmpfs", "/var", "--chdir"]).arg(project.dir()).arg("--");
        bwrap.arg(inner.get_program()).args(inner.get_args()).env_clear();
        bwrap.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        bwrap
    };
    assert_eq!(ok(&mut view(None, &run)), said);
    assert_eq!(ok(&mut view(None, &["exec", "--nix-store", "auto", "--", "greet"])), said);
    let real = ["exec", "--nix-store", "real", "--", "greet"];
    let output = view(None, &real).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    contains(
        &String::from_utf8_lossy(&output.stderr),
        &["lacks a path of the closure", "namespace"],
    );
    let store = nix.place("/nix/store");
    assert_eq!(ok(&mut view(Some(&store), &real)), said);
    // Its own exit code and its arguments are passed on.
    let shell = ["exec", "--host", "--nix-store", "namespace", "--", "sh", "-c", "exit 7"];
    project.fails(7, &shell);
    let doctor = project.cotter(&["doctor"]).output().unwrap();
    contains(&String::from_utf8_lossy(&doctor.stdout), &["closures of Nix", "namespace: yes"]);
}

#[test]
fn other_toolchains_have_no_store_of_nix() {
    let project = Project::new("");
    project.manifest(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"file://{}\"\n",
        project.scratch.write("a.tar", Tar::new().program("bin/a", b"a").finish()).display()
    ));
    let said = project.fails(1, &["exec", "--nix-store", "auto", "--", "a"]);
    contains(&said, &["none of these toolchains is a closure of Nix", "leave --nix-store out"]);
}

#[test]
fn every_compression_is_recognised() {
    let nix = Nix::new();
    let path = nix.greet();
    for compression in ["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4"] {
        let cache = nix.copy(&[&path], compression, compression, true);
        let text = std::fs::read_to_string(cache.join(narinfo(&path))).unwrap();
        assert_eq!(line(&text, "Compression"), compression);
        let url = format!("file://{}", cache.display());
        let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
        project.ok(&["setup"]);
        project.ok(&["verify", "--deep"]);
        assert_eq!(names(&project.store.join("narinfos")).len(), 3, "{compression}");
    }
}

#[test]
fn what_a_cache_says_is_believed_as_far_as_it_is_signed() {
    let rig = rig();
    let Rig { server, project, path, .. } = &rig;
    let refused = |part: &str, from: &str, to: &str, words: &[&str]| {
        rig.alter(part, from, to);
        let said = project.fails(4, &["lock"]);
        contains(&said, words);
        contains(&said, &["at: toolchains.toml:8:8"]);
        project.assert_store_empty();
        let (name, text) = rig.description(part);
        server.put(&name, text);
    };
    let (_, text) = rig.description("greet-3.0");
    let signature = line(&text, "Sig").to_owned();
    refused(
        "greet-3.0",
        &format!("Sig: {signature}\n"),
        "",
        &["nobody who is trusted has signed", "got none", "hint: if you trust"],
    );
    refused("greet-3.0", "Sig: test-1:", "Sig: other-1:", &["got other-1", "add the key"]);
    let unfit = &["nobody who is trusted", "does not fit what is said of the path", "altered"];
    let size = format!("NarSize: {}\n", line(&text, "NarSize"));
    refused("greet-3.0", &size, "NarSize: 99999\n", unfit);
    let (_, data) = rig.description("data");
    let hash = line(&text, "NarHash").to_owned();
    refused("greet-3.0", &hash, line(&data, "NarHash"), unfit);
    let references = format!("References: {}\n", line(&text, "References"));
    refused("greet-3.0", &references, "References: \n", unfit);
    refused("data", "Sig: test-1:", "Sig: other-1:", &["data-1.0", "got other-1"]);
    let other = format!("StorePath: {path}\n");
    refused(
        "greet-3.0",
        &other,
        &format!("StorePath: {}\n", rig.store_path("data")),
        &["describes another path", "expected", "got"],
    );
    refused("greet-3.0", "URL: nar/", "URL: ../nar/", &["no description", "below the cache"]);
    refused("greet-3.0", "URL: nar/", "URL: http://other.example/", &["a file of the cache"]);
    refused("greet-3.0", "NarSize: ", "NarSize: x", &["no description of a store path"]);
    // What is not signed may be wrong.
    rig.alter("greet-3.0", "Compression: zstd", "Compression: xz");
    rig.alter("data", "FileHash: sha256:", "FileHash: sha256:0000");
    let (name, text) = rig.description("data");
    let sound = line(&text, "FileHash").to_owned();
    server.put(&name, text.replace(&sound, line(&text, "NarHash")));
    // Several signatures: one of a trusted key is enough.
    let (name, text) = rig.description("greet-lib");
    let own = line(&text, "Sig").to_owned();
    let foreign = own.replace("test-1:", "other-1:");
    server.put(
        &name,
        text.replace(&format!("Sig: {own}\n"), &format!("Sig: {foreign}\nSig: {own}\n")),
    );
    project.ok(&["lock"]);
    assert!(!project.lock_text().contains("other-1"));
}

/// Bytes of another path, garbage, a bomb, an archive that no Nix writes, and one that is cut off.
#[test]
fn bytes_that_are_not_the_signed_ones_are_refused() {
    let rig = rig();
    let Rig { nix, server, project, .. } = &rig;
    let file = |part: &str| {
        let path = nix.scratch.join("cache").join(&rig.nar(part)[1..]);
        std::fs::read(path).unwrap()
    };
    let (at, whole) = (rig.nar("greet-lib"), file("greet-lib"));
    let plain = ok_bytes(
        nix.command("nix-store").args(["--dump"]).arg(nix.place(&rig.store_path("greet-lib"))),
    );
    let zeros = zstd(&vec![0; 64 << 20]);
    let mut bomb = plain.clone();
    bomb.resize(64 << 20, 0);
    let twisted = String::from_utf8_lossy(&plain).replacen("greet.sh", "../ee.sh", 1).into_bytes();
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        ("another path", file("greet-3.0"), &["the NAR of", "is another", "it came from http://"]),
        ("garbage", b"<html>no</html>".repeat(99), &["the archive is damaged"]),
        ("nothing", vec![], &["is damaged"]),
        ("zeros", zeros, &["is refused", "expected \"nix-archive-1\""]),
        ("a bomb", zstd(&bomb), &["unfolds to more than it should", "got more"]),
        ("a name that climbs", twisted, &["is refused", "expected a file name, got \"../ee.sh\""]),
        ("a cut", whole[..whole.len() - 40].to_vec(), &["damaged"]),
    ];
    for (what, bytes, words) in cases {
        server.put(&at, bytes);
        let said = project.fails(4, &["lock"]);
        contains(&said, &["no cache delivers /nix/store/", "greet-lib-2.1"]);
        assert!(words.iter().all(|word| said.contains(word)), "{what}: {said}");
        assert_eq!(names(&project.store.join("staging")), Vec::<String>::new(), "{what}");
        let kept = names(&project.store.join("store"));
        assert!(
            !kept.iter().any(|name| name.contains("greet-lib") || name.contains("linux")),
            "{kept:?}"
        );
    }
    server.put(&at, whole);
    project.ok(&["lock"]);
    project.ok(&["verify", "--deep"]);
}

fn ok_bytes(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

#[test]
fn a_cache_that_fails_is_left_for_the_next() {
    let rig = rig();
    let Rig { nix, path, server, project } = &rig;
    // Absent: the path that refers to it is named.
    server.fault(&rig.description("data").0, Fault::Status(404, u32::MAX));
    let said = project.fails(5, &["lock"]);
    contains(
        &said,
        &["no cache has /nix/store/", "data-1.0", "404", "refers to it", "hint: check the path"],
    );
    server.heal();
    server.fault(&rig.description("data").0, Fault::Status(500, u32::MAX));
    contains(&project.fails(5, &["lock"]), &["can't lock /nix/store/", "500"]);
    server.heal();
    // A transfer that breaks off goes on.
    server.fault(&rig.nar("greet-lib"), Fault::Break(100, 2));
    project.ok(&["setup"]);
    server.heal();
    // The place that the lock names is gone; another cache has the path, compressed otherwise.
    let lock = project.lock_text();
    let other = nix.copy(&[path], "other", "xz", false);
    for part in ["greet-3.0", "greet-lib", "data"] {
        server.fault(&rig.nar(part), Fault::Status(404, u32::MAX));
        server.fault(&rig.description(part).0, Fault::Status(404, u32::MAX));
    }
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    let said = project.fails(5, &["setup", "--locked"]);
    contains(&said, &["no cache delivers", "404", "caches", "mirror"]);
    let mirror = format!("file://{}", other.display());
    ok(project.cotter(&["setup", "--locked"]).env("COTTER_MIRROR_NIX", &mirror));
    assert_eq!(project.lock_text(), lock);
    project.ok(&["verify", "--deep"]);
    // Without a network, what is there is used, and what is not is named.
    project.ok(&["setup", "--offline", "--locked"]);
    std::fs::rename(&project.store, project.scratch.join("second")).unwrap();
    contains(&project.fails(5, &["setup", "--offline", "--locked"]), &["--offline"]);
    // Of two caches, the first is down: it is asked for one path only.
    let dead = Server::start();
    let url = dead.url.clone();
    drop(dead);
    project.manifest(&format!(
        "platforms = [\"x86_64-linux\"]\n[nix]\ncaches = [\"{url}\", \"file://{}\"]\nkeys = [\"{}\"]\n{}",
        nix.scratch.join("cache").display(),
        nix.key,
        tool(path)
    ));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("is not asked any more").count(), 1, "{said}");
}

#[test]
fn caches_and_keys_of_a_manifest_must_be_trusted() {
    let Rig { project, nix, server, .. } = rig();
    let mut command = project.cotter(&["lock"]);
    let output = command.env_remove("COTTER_TRUST").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    contains(
        &said,
        &["files from http://127.0.0.1", "paths of Nix signed with the key test-1:", &nix.key],
    );
    assert_eq!(server.log(), Vec::<String>::new());
}

#[test]
fn a_manifest_that_asks_wrongly_is_told_where() {
    let project = Project::new("");
    for (table, words) in [
        ("path = \"/usr/bin/gcc\"", &["toolchains.toml:5:8", "expected a path in /nix/store"][..]),
        ("path = \"/nix/store/abc-x\"", &["expected a store name"]),
        (
            "path = \"/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d/bin/x\"",
            &["without a file below it"],
        ),
        ("", &["expected `path = \"/nix/store/...\"` for x86_64-linux"]),
        (
            "path = \"/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d\"\ncaches = \"ftp://host/x\"",
            &["caches: expected an https://"],
        ),
        (
            "path = \"/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d\"\ncaches = \"https://u:p@x.example\"",
            &["~/.netrc"],
        ),
        (
            "path = \"/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d\"\nkeys = \"x\"",
            &["keys: expected a public key"],
        ),
        (
            "path = \"/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d\"\nplatforms = [\"x86_64-linux\", \"aarch64-linux\"]",
            &["for aarch64-linux: add it to [toolchains.a.platform"],
        ),
    ] {
        project.manifest(&format!("platforms = [\"x86_64-linux\"]\n[toolchains.a]\nkind = \"tool\"\nsource = \"nix\"\n{table}\n"));
        contains(&project.fails(1, &["lock"]), words);
    }
}

#[test]
fn a_path_that_follows_from_its_content_needs_no_signature() {
    let nix = Nix::new();
    let dir = nix.scratch.join("content-1");
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    nix.scratch.write("content-1/bin/tool", "#!/bin/sh\necho tool\n");
    let path = nix.add(&dir);
    let cache = nix.copy(&[&path], "cache", "xz", false);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    project.ok(&["setup"]);
    contains(&project.lock_text(), &["ca = \"fixed:r:sha256:"]);
    assert!(!project.lock_text().contains("signature"));
    // Said of another content, or of another name, it needs one.
    let file = cache.join(narinfo(&path));
    let text = std::fs::read_to_string(&file).unwrap();
    let hash = line(&text, "NarHash").to_owned();
    let other = hash.replace("sha256:", "sha256:0").chars().take(hash.len()).collect::<String>();
    std::fs::write(&file, text.replace(&hash, &other)).unwrap();
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    contains(&project.fails(4, &["lock"]), &["nobody who is trusted has signed"]);
}

#[test]
fn gc_follows_references_and_verify_finds_what_changed() {
    let rig = rig();
    let Rig { nix, path, project, .. } = &rig;
    project.ok(&["setup"]);
    project.ok(&["gc"]);
    let paths = nix.closure(path);
    let names_of = || names(&project.store.join("store"));
    assert_eq!(names_of().len(), 4, "a tree, and the closure of which it was made");
    // A change that keeps the length is found by the recorded hash.
    let data = project.store.join("store").join(rig.store_path("data").rsplit('/').next().unwrap());
    let file = data.join("share/text");
    ok(Command::new("chmod").arg("u+w").arg(&file));
    std::fs::File::options().write(true).open(&file).unwrap().write_all(b"HI\n").unwrap();
    ok(Command::new("chmod").arg("0444").arg(&file));
    project.ok(&["verify"]);
    let said = project.fails(4, &["verify", "--deep"]);
    contains(&said, &["data-1.0: its content has changed: its NAR hash is"]);
    // The tree shares the file, so both are made anew.
    project.ok(&["verify", "--deep", "--repair"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hi\n");
    project.ok(&["verify", "--deep"]);
    std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
    project.ok(&["gc"]);
    assert_eq!(names_of(), Vec::<String>::new());
    assert_eq!(names(&project.store.join("narinfos")), Vec::<String>::new());
    assert_eq!(paths.len(), 3);
}

/// Fills a directory with what archives seldom have.
fn corpus(dir: &Path) {
    std::fs::create_dir_all(dir.join("empty/also empty")).unwrap();
    for name in ["a", "a-", "a.b", "A", "\u{fc}mlaut", "with space", "new\nline", "tab\t", "~", "-"]
    {
        std::fs::write(dir.join(name), name).unwrap();
    }
    std::fs::create_dir(dir.join("a_")).unwrap();
    let raw = std::ffi::OsStr::from_bytes(b"raw-\xff\xfe");
    std::fs::write(dir.join(raw), "no UTF-8").unwrap();
    std::fs::write(dir.join("n".repeat(255)), "").unwrap();
    std::fs::write(dir.join("big"), vec![7; 1_000_001]).unwrap();
    std::fs::write(dir.join("run"), "#!/bin/sh\n").unwrap();
    ok(Command::new("chmod").arg("0755").arg(dir.join("run")));
    for (link, target) in
        [("up", "../elsewhere"), ("dangling", "/nowhere/at all"), ("self", "self")]
    {
        std::os::unix::fs::symlink(target, dir.join(link)).unwrap();
    }
    std::os::unix::fs::symlink(raw, dir.join("to raw")).unwrap();
}

#[test]
fn archives_are_those_of_nix_in_both_directions() {
    let scratch = Scratch::new();
    corpus(&scratch.join("corpus"));
    for part in ["corpus", "corpus/big", "corpus/run", "corpus/dangling"] {
        let dumped = ok_bytes(Command::new("nix-store").arg("--dump").arg(scratch.join(part)));
        let mut again = nar::NarWriter::new(vec![]).unwrap();
        nar::read(&dumped[..], &mut again).unwrap();
        let again = again.into_inner();
        assert!(again == dumped, "{part}: {} bytes, {} again", dumped.len(), again.len());
        // What is written here, Nix reads.
        let target = scratch.join("restored");
        let mut restore = Command::new("nix-store");
        restore.arg("--restore").arg(&target).stdin(std::process::Stdio::piped());
        let mut child = restore.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&again).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(ok_bytes(Command::new("nix-store").arg("--dump").arg(&target)) == dumped);
        if !target.is_symlink() && target.is_dir() {
            std::fs::remove_dir_all(&target).unwrap();
        } else {
            std::fs::remove_file(&target).unwrap();
        }
    }
    let (hash, _) = cotter::internals::hash_tree(&scratch.join("corpus")).unwrap();
    let nix = ok(Command::new("nix-hash").args(["--type", "sha256"]).arg(scratch.join("corpus")));
    assert_eq!(nix.trim(), hash.hex());
}

/// A store keeps names that are no UTF-8. A tree cannot have them.
#[test]
fn odd_names_are_kept_in_the_store_and_refused_in_a_tree() {
    let nix = Nix::new();
    let dir = nix.scratch.join("odd-1");
    corpus(&dir);
    let path = nix.add(&dir);
    let cache = nix.copy(&[&path], "cache", "zstd", false);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    let said = project.fails(4, &["lock"]);
    contains(&said, &["can't be a part of a tree", "holds a name that no tree can have"]);
    let name = path.rsplit('/').next().unwrap();
    let kept = project.store.join("store").join(name);
    assert_eq!(attributes(&kept), attributes(&nix.place(&path)));
    project.ok(&["verify", "--deep"]);
    project.ok(&["verify"]);
    let (hash, _) = cotter::internals::hash_tree(&kept).unwrap();
    let by_nix = ok(Command::new("nix-hash").args(["--type", "sha256"]).arg(nix.place(&path)));
    assert_eq!(by_nix.trim(), hash.hex());
}

/// A name that is changed would fall together with others, and the last one would win.
#[test]
fn names_and_links_that_are_no_utf_8_are_refused_and_not_changed() {
    let nix = Nix::new();
    let refused = |name: &str, fill: &dyn Fn(&Path), words: &[&str]| {
        let dir = nix.scratch.join(name);
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        fill(&dir);
        let path = nix.add(&dir);
        let cache = nix.copy(&[&path], &format!("cache-{name}"), "none", false);
        let url = format!("file://{}", cache.display());
        let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
        let said = project.fails(4, &["lock"]);
        contains(&said, &["can't be a part of a tree"]);
        contains(&said, words);
    };
    let raw = |bytes: &'static [u8]| std::ffi::OsStr::from_bytes(bytes);
    refused(
        "mangled-1",
        &|dir| {
            std::fs::write(dir.join(raw(b"\xff")), "one").unwrap();
            std::fs::write(dir.join("\u{fffd}"), "two").unwrap();
        },
        &["holds a name that no tree can have: \"\\xFF\"", "is not valid"],
    );
    let link = |dir: &Path| std::os::unix::fs::symlink(raw(b"\xfe"), dir.join("to raw")).unwrap();
    refused("linked-1", &link, &["to raw is a link that no tree can have", "got \"\\xFE\""]);
    let deep = |dir: &Path| std::fs::create_dir_all(dir.join("d/".repeat(70))).unwrap();
    refused("deep-1", &deep, &["below more than 63 directories"]);
}

#[test]
#[ignore = "it writes and hashes 4 GiB several times"]
fn a_file_of_4_gib_passes_and_stays_sparse() {
    use std::os::unix::fs::MetadataExt as _;
    let nix = Nix::new();
    let dir = nix.scratch.join("large-1");
    std::fs::create_dir_all(&dir).unwrap();
    let file = std::fs::File::create(dir.join("zeros")).unwrap();
    file.set_len((4 << 30) + 5).unwrap();
    drop(file);
    let path = nix.add(&dir);
    let cache = nix.copy(&[&path], "cache", "zstd", false);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    project.ok(&["setup"]);
    project.ok(&["verify", "--deep"]);
    let kept = project.store.join("store").join(path.rsplit('/').next().unwrap()).join("zeros");
    let meta = std::fs::metadata(kept).unwrap();
    assert_eq!(meta.len(), (4 << 30) + 5);
    assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
}

#[test]
#[ignore = "Nix takes a while to write a cache of a thousand paths"]
fn a_thousand_descriptions_take_less_than_a_second() {
    let nix = Nix::new();
    let files: Vec<_> =
        (0..1000).map(|n| nix.scratch.write(&format!("files/part-{n}"), format!("{n}"))).collect();
    let added = ok(nix.command("nix-store").arg("--add").args(&files));
    let listed: Vec<String> =
        added.lines().map(|path| format!("(builtins.storePath {path})")).collect();
    let expression = format!(
        "derivation {{ name = \"all-1\"; system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-c\" \"mkdir $out; cp $list $out/list\" ]; list = builtins.toFile \"list\" (toString [ {} ]); }}",
        listed.join(" ")
    );
    let path = nix.build(&expression);
    assert_eq!(nix.closure(&path).len(), 1001);
    let server = serve(&nix.copy(&[&path], "cache", "zstd", true));
    let project = Project::new(&(nix.manifest(&server.url) + &tool(&path)));
    let output = project.cotter(&["lock", "--timings"]).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let row = said.lines().find_map(|line| line.strip_prefix("greet for x86_64-linux"));
    let seconds: f64 = row.unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert!(said.contains("resolve") && seconds < 1.0, "{said}");
}

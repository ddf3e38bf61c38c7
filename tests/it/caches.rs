//! Binary caches: trees are pushed, served, and taken from them, by cotter and by the real Nix. No network.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::archive::Tar;
use crate::support::server::{Fault, Server};
use crate::support::{Project, Scratch, clean, contains, fails, names, ok, text};

/// A project whose two trees are made of archives, and a key.
pub struct Rig {
    server: Server,
    pub project: Project,
    pub public: String,
}

const TREES: [&str; 2] = ["one", "two"];

pub fn rig() -> Rig {
    let server = Server::start();
    let mut manifest = "platforms = [\"x86_64-linux\"]\n".to_owned();
    for name in TREES {
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let url = server.put(
            &format!("/{name}.tar"),
            Tar::new()
                .program(&format!("bin/{name}"), b"x")
                .file("share/same", &noise)
                .file("share/own", name.as_bytes())
                .file("share/empty", b"")
                .symlink("share/link", "own")
                .finish(),
        );
        manifest += &format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
        );
    }
    let project = Project::new(&manifest);
    project.ok(&["setup"]);
    let public = project.ok(&["cache", "key", "test-1", "../key"]).trim().to_owned();
    Rig { server, project, public }
}

impl Rig {
    /// Returns the same project on another machine: it has the lock, and no tree.
    fn elsewhere(&self) -> Project {
        let manifest = std::fs::read_to_string(self.project.dir().join("toolchains.toml")).unwrap();
        let other = Project::new(&manifest);
        other.scratch.write("project/toolchains.lock", self.project.lock_text());
        self.server.clear_log();
        other
    }

    pub fn push(&self, to: &str) -> String {
        self.project.ok(&["cache", "push", to, "--key", "../key"])
    }

    /// Pushes to a directory, and returns it.
    pub fn pushed(&self) -> PathBuf {
        self.push("../cache");
        self.project.scratch.join("cache")
    }

    /// Pushes to a directory, and puts its files onto a server.
    fn on_server(&self) -> Server {
        let (dir, server) = (self.pushed(), Server::start());
        for (prefix, dir) in [("/", dir.clone()), ("/nar/", dir.join("nar"))] {
            for name in names(&dir).iter().filter(|name| *name != "nar") {
                server.put(&format!("{prefix}{name}"), std::fs::read(dir.join(name)).unwrap());
            }
        }
        server
    }

    fn store_names(&self) -> Vec<String> {
        self.project.stored("store")
    }

    pub fn serve(&self) -> Serving {
        let mut command =
            self.project.cotter(&["cache", "serve", "--listen", "127.0.0.1:0", "--key", "../key"]);
        Serving::start(&mut command)
    }
}

/// A running `cotter cache serve`.
pub struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://127.0.0.1:"), "{line}");
        Serving { child, url: line.trim().to_owned() }
    }

    pub fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut all = vec![];
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        (String::from_utf8(all[..end].to_vec()).unwrap(), all[end..].to_vec())
    }

    fn get(&self, path: &str, more: &str) -> (String, Vec<u8>) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real Nix with a store of its own and nothing of this machine's configuration.
struct Nix(Scratch);

impl Nix {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write(
            "etc/nix.conf",
            "build-users-group =\nsubstituters =\nexperimental-features = nix-command\n",
        );
        Nix(scratch)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        clean(&mut command, self.0.path());
        command.env("NIX_CONF_DIR", self.0.join("etc"));
        command.arg("--store").arg(self.0.join("root"));
        command
    }

    fn realise(&self, cache: &str, key: &str, paths: &[String]) -> Command {
        let mut command = self.command("nix-store");
        command.args(["--option", "substituters", cache, "--option", "trusted-public-keys", key]);
        command.args(["--option", "substitute", "true", "--realise"]);
        command.args(paths);
        command
    }

    /// Takes paths from a cache, lets Nix verify them, and checks who signed them.
    fn takes(&self, cache: &str, key: &str, paths: &[String]) {
        ok(&mut self.realise(cache, key, paths));
        ok(self.command("nix-store").arg("--verify-path").args(paths));
        let told = ok(self.command("nix").args(["path-info", "--sigs"]).args(paths));
        let name = key.split(':').next().unwrap();
        for (line, path) in told.lines().zip(paths) {
            contains(line, &[path, &format!("{name}:")]);
        }
        assert_eq!(told.lines().count(), paths.len());
    }
}

fn full(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("/nix/store/{name}")).collect()
}

fn file_url(dir: &Path) -> String {
    format!("file://{}", dir.display())
}

/// Copies a cache without the lines by which Nix takes a path that nobody signed.
fn without_ca(cache: &Path, scratch: &Scratch) -> PathBuf {
    let to = scratch.join("without-ca");
    ok(Command::new("cp").arg("-r").arg(cache).arg(&to));
    for name in names(&to).iter().filter(|name| name.ends_with(".narinfo")) {
        let text = std::fs::read_to_string(to.join(name)).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with("CA: "));
        std::fs::write(to.join(name), kept.map(|l| format!("{l}\n")).collect::<String>()).unwrap();
    }
    to
}

#[test]
fn nix_takes_trees_from_a_pushed_directory() {
    for compression in ["zstd", "xz", "none"] {
        let rig = rig();
        let args = ["cache", "push", "../cache", "--key", "../key", "--compression", compression];
        contains(&rig.project.ok(&args), &["one-1-x86_64-linux", "pushed"]);
        let cache = rig.project.scratch.join("cache");
        let paths = full(&rig.store_names());
        let nix = Nix::new();
        nix.takes(&file_url(&cache), &rig.public, &paths);
        for (path, name) in paths.iter().zip(rig.store_names()) {
            let theirs = nix.0.join("root").join(&path[1..]);
            let same = Command::new("diff")
                .arg("-r")
                .arg(&theirs)
                .arg(rig.project.store.join("store").join(name))
                .output();
            assert!(same.unwrap().status.success(), "{path}");
        }
        // The listing is the one that Nix reads.
        let mut ls = Command::new("nix");
        clean(&mut ls, nix.0.path());
        ls.env("NIX_CONF_DIR", nix.0.join("etc"));
        let listed = ok(ls.args(["--store", &file_url(&cache), "store", "ls", "-lR", &paths[0]]));
        contains(&listed, &["-r--r--r--               800000 ./share/same", "./share/link -> own"]);
        let content = {
            let mut cat = Command::new("nix");
            clean(&mut cat, nix.0.path());
            cat.env("NIX_CONF_DIR", nix.0.join("etc"));
            ok(cat.args([
                "--store",
                &file_url(&cache),
                "store",
                "cat",
                &format!("{}/share/own", paths[0]),
            ]))
        };
        assert!(TREES.contains(&content.as_str()), "{content}");
    }
}

#[test]
fn nix_takes_our_signature_and_no_other() {
    let rig = rig();
    let scratch = Scratch::new();
    let cache = file_url(&without_ca(&rig.pushed(), &scratch));
    let paths = full(&rig.store_names());
    Nix::new().takes(&cache, &rig.public, &paths);
    let other = rig.project.ok(&["cache", "key", "test-1", "../other"]);
    let said = text(&Nix::new().realise(&cache, other.trim(), &paths).output().unwrap());
    contains(&said, &["is not signed by any of the keys"]);
}

#[test]
fn nix_signs_with_our_key_and_we_with_that_of_nix() {
    let rig = rig();
    let scratch = Scratch::new();
    // Ours signs what Nix writes.
    let nix = Nix::new();
    scratch.write("d/file", "x");
    let path = ok(nix.command("nix-store").arg("--add").arg(scratch.join("d")));
    let key = rig.project.scratch.join("key");
    let to = format!("file://{}?secret-key={}", scratch.join("of-nix").display(), key.display());
    ok(nix.command("nix").args(["copy", "--to", &to, path.trim()]));
    let plain = without_ca(&scratch.join("of-nix"), &scratch);
    Nix::new().takes(&file_url(&plain), &rig.public, &[path.trim().to_owned()]);
    // That of Nix signs what we push.
    let files = [scratch.join("sec"), scratch.join("pub")];
    ok(Command::new("nix-store").args(["--generate-binary-cache-key", "nix-1"]).args(&files));
    let secret = files[0].to_str().unwrap();
    rig.project.ok(&["cache", "push", "../cache", "--key", secret]);
    let public = std::fs::read_to_string(&files[1]).unwrap();
    let cache = rig.project.scratch.join("cache");
    std::fs::remove_dir_all(scratch.join("without-ca")).unwrap();
    let plain = without_ca(&cache, &scratch);
    Nix::new().takes(&file_url(&plain), public.trim(), &full(&rig.store_names()));
    // A second key adds its signature and packs nothing.
    rig.project.ok(&["cache", "push", "../cache", "--key", "../key"]);
    for name in names(&cache).iter().filter(|name| name.ends_with(".narinfo")) {
        let text = std::fs::read_to_string(cache.join(name)).unwrap();
        contains(&text, &["\nSig: nix-1:", "\nSig: test-1:"]);
    }
    assert_eq!(names(&cache.join("nar")).len(), TREES.len());
}

#[test]
fn nix_takes_trees_from_serve() {
    let rig = rig();
    let serving = rig.serve();
    Nix::new().takes(&serving.url, &rig.public, &full(&rig.store_names()));
    // The packed files were kept, and those of trees that are gone are deleted.
    assert_eq!(rig.project.stored("packed").len(), 3 * TREES.len());
    contains(&rig.project.ok(&["cache", "dir"]), &["/packed\n"]);
    std::fs::remove_file(rig.project.dir().join("toolchains.toml")).unwrap();
    contains(&rig.project.ok(&["gc"]), &["deleted 6 files of packed trees"]);
    assert_eq!(rig.project.stored("packed"), Vec::<String>::new());
    let (head, _) = serving.get(&format!("/{}.narinfo", "a".repeat(32)), "");
    contains(&head, &["404"]);
}

/// Two versions of a tree: Nix finds the same differences, whether they came from a pushed directory or from a server.
#[test]
fn nix_compares_what_was_pushed_as_what_was_served() {
    let rig = rig();
    let manifest = |version: &str, size: usize| {
        let tar = Tar::new().program("bin/one", b"x").file("share/data", &vec![b'x'; size]);
        let url = rig.server.put(&format!("/{version}.tar"), tar.finish());
        rig.project.manifest(&format!(
            "platforms = [\"x86_64-linux\"]\n[toolchains.tool]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"{version}\"\nurl = \"{url}\"\n"
        ));
        let before = rig.store_names();
        rig.project.ok(&["setup"]);
        rig.push("../cache");
        let new = rig.store_names().into_iter().find(|name| !before.contains(name));
        format!("/nix/store/{}", new.unwrap())
    };
    let paths = [manifest("1.5", 1000), manifest("1.6", 3 << 20)];
    let serving = rig.serve();
    let cache = file_url(&rig.project.scratch.join("cache"));
    let compared = [&cache, &serving.url].map(|from| {
        let nix = Nix::new();
        nix.takes(from, &rig.public, &paths);
        ok(nix.command("nix-store").args(["--verify", "--check-contents"]));
        ok(nix.command("nix").args(["store", "diff-closures", &paths[0], &paths[1]]))
    });
    assert_eq!(compared[0], compared[1]);
    contains(&compared[0], &["tool: 1.5-x86_64 → 1.6-x86_64", "+3071.0 KiB"]);
}

#[test]
fn a_closure_is_served_with_its_references_and_all_signatures() {
    let theirs = crate::support::nix::Nix::new();
    let path = theirs.greet();
    let from = crate::support::nix::serve(&theirs.copy(&[&path], "cache", "zstd", true));
    let manifest = theirs.manifest(&from.url) + &crate::support::nix::tool(&path);
    let project = Project::new(&manifest);
    project.ok(&["setup"]);
    let public = project.ok(&["cache", "key", "ours-1", "../key"]);
    let args = ["cache", "serve", "--listen", "127.0.0.1:0", "--key", "../key"];
    let serving = Serving::start(&mut project.cotter(&args));
    let closure = theirs.closure(&path);
    assert_eq!(closure.len(), 3);
    let nix = Nix::new();
    nix.takes(&serving.url, public.trim(), &closure);
    let query = |command: &mut Command| {
        let told = ok(command.args(["--query", "--references", &path]));
        let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let references = query(&mut nix.command("nix-store"));
    assert!(!references.is_empty());
    assert_eq!(references, query(&mut theirs.command("nix-store")));
    let hash = &path.rsplit('/').next().unwrap()[..32];
    let (_, info) = serving.get(&format!("/{hash}.narinfo"), "");
    contains(&String::from_utf8(info).unwrap(), &["\nSig: test-1:", "\nSig: ours-1:"]);
    // The tree that is made of the closure is taken by cotter.
    let other = Project::new(&manifest);
    other.scratch.write("project/toolchains.lock", project.lock_text());
    let mut command = other.cotter(&["--frozen", "setup"]);
    let caches = format!("{} {}", serving.url, public.trim());
    contains(&ok(command.env("COTTER_CACHES", caches)), &[&format!("from {}", serving.url)]);
    assert_eq!(other.stored("store").len(), 1);
}

#[test]
fn a_tree_is_taken_from_a_cache_and_no_source_is_asked() {
    let rig = rig();
    let cache = file_url(&rig.pushed());
    let serving = rig.serve();
    for url in [cache, serving.url.clone()] {
        let other = rig.elsewhere();
        contains(
            &other.ok(&["cache", "add", &url, "--key", &rig.public]),
            &["added", "config.toml"],
        );
        contains(&other.ok(&["cache", "list"]), &[&url, &rig.public]);
        contains(&other.ok(&["--frozen", "setup"]), &[&format!("from {url}")]);
        assert_eq!(rig.server.log(), Vec::<String>::new(), "{url}");
        assert_eq!(other.stored("store"), rig.store_names());
        assert_eq!(other.stored("facts"), rig.project.stored("facts"));
        assert_eq!(other.stored("staging"), Vec::<String>::new());
        other.ok(&["verify", "--deep"]);
        let tree = other.ok(&["path", "one"]);
        assert_eq!(std::fs::read_to_string(format!("{}/share/own", tree.trim())).unwrap(), "one");
        other.ok(&["cache", "remove", &url]);
        assert_eq!(other.ok(&["cache", "list"]), "");
    }
}

#[test]
fn a_cache_of_the_environment_is_asked_too() {
    let rig = rig();
    let cache = file_url(&rig.pushed());
    let other = rig.elsewhere();
    let caches = format!("file:///nowhere {0}, {cache} {0}", rig.public);
    let said = ok(other
        .cotter(&["--offline", "--frozen", "setup", "--json"])
        .env("COTTER_CACHES", caches));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["trees"][0]["from"], cache.as_str());
    for (value, words) in
        [("http://x", "a key behind http://x"), ("x y", "URL"), ("http://x y", "public key")]
    {
        contains(
            &fails(1, other.cotter(&["list"]).env("COTTER_CACHES", value)),
            &["COTTER_CACHES", words],
        );
    }
}

/// Sets up without a cache's help, and returns what was warned.
#[track_caller]
fn made_without(rig: &Rig, url: &str, words: &[&str]) {
    let other = rig.elsewhere();
    let mut command = other.cotter(&["--frozen", "--jobs", "1", "setup"]);
    let caches = format!("{url} {}", rig.public);
    let since = Instant::now();
    let output =
        command.env("COTTER_CACHES", caches).env("COTTER_HTTP_TIMEOUT", "1").output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    contains(&said, words);
    contains(&said, &["warning:", &format!("the cache {url} is left out"), "fetched"]);
    assert_eq!(said.matches("is left out").count(), 1, "{said}");
    assert_eq!(other.stored("store"), rig.store_names(), "{said}");
    assert_eq!(other.stored("staging"), Vec::<String>::new());
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    other.ok(&["verify", "--deep"]);
}

#[test]
fn a_cache_that_lies_is_left_out_with_a_warning() {
    let rig = rig();
    let dir = rig.pushed();
    let infos: Vec<String> =
        names(&dir).into_iter().filter(|name| name.ends_with(".narinfo")).collect();
    let texts: Vec<String> =
        infos.iter().map(|n| std::fs::read_to_string(dir.join(n)).unwrap()).collect();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(&format!("{name}: "))).unwrap();
        line.to_owned()
    };
    let other_key = rig.project.ok(&["cache", "key", "test-1", "../other"]);
    assert_ne!(other_key.trim(), rig.public);
    type Change<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let replace = |name: &'static str, with: String| -> Change<'_> {
        Box::new(move |text: &str| text.replace(&field(text, name), &with))
    };
    let swapped: Change<'_> =
        Box::new(|text: &str| texts.iter().find(|other| *other != text).unwrap().clone());
    let cases: Vec<(Change<'_>, &str)> = vec![
        (
            replace("NarHash", format!("NarHash: sha256:{}", "0".repeat(52))),
            "expected the NAR hash",
        ),
        (replace("NarSize", "NarSize: 100".to_owned()), "and 100 bytes"),
        (
            replace("Sig", "Deriver: unknown-deriver".to_owned()),
            "expected a signature of test-1, got none",
        ),
        (
            replace("URL", "URL: http://127.0.0.1:1/nar/x".to_owned()),
            "the path of a file of the cache",
        ),
        (replace("URL", "URL: ../x".to_owned()), "the path of a file of the cache"),
        (replace("URL", "URL: nar/x.nar.zst".to_owned()), "a description of the cache names it"),
        (replace("References", "References: ../x".to_owned()), "References: expected a store name"),
        (Box::new(|_: &str| "<html>sign in</html>\n".to_owned()), "is refused"),
        (Box::new(|_: &str| "x: y\n".repeat(300_000)), "is refused"),
        (swapped, "is refused: expected"),
    ];
    for (change, words) in cases {
        let server = rig.on_server();
        for (name, text) in infos.iter().zip(&texts) {
            let changed = change(text);
            assert_ne!(&changed, text);
            server.put(&format!("/{name}"), changed);
        }
        made_without(&rig, &server.url, &[words]);
    }
    // Nobody whose key is configured signed it.
    let server = rig.on_server();
    let other = rig.elsewhere();
    let caches = format!("{} {}", server.url, other_key.trim());
    let said =
        text(&other.cotter(&["--frozen", "setup"]).env("COTTER_CACHES", caches).output().unwrap());
    contains(&said, &["expected a signature of test-1, got test-1", "fetched"]);
}

/// No signature covers the compression, so the bytes decide. A missing line means bzip2 to Nix.
#[test]
fn what_a_cache_says_of_the_compression_does_not_matter() {
    let rig = rig();
    let cache = rig.pushed();
    for name in names(&cache).iter().filter(|name| name.ends_with(".narinfo")) {
        let text = std::fs::read_to_string(cache.join(name)).unwrap();
        std::fs::write(cache.join(name), text.replace("Compression: zstd\n", "")).unwrap();
    }
    let other = rig.elsewhere();
    let caches = format!("{} {}", file_url(&cache), rig.public);
    let said = ok(other.cotter(&["--frozen", "setup"]).env("COTTER_CACHES", caches));
    contains(&said, &["from file://"]);
    other.ok(&["verify", "--deep"]);
}

#[test]
fn a_nar_that_is_another_one_is_refused() {
    let rig = rig();
    let dir = rig.pushed();
    let nars = names(&dir.join("nar"));
    let unpacked = |name: &str| {
        let file = std::fs::File::open(dir.join("nar").join(name)).unwrap();
        zstd::decode_all(file).unwrap()
    };
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let cases: [(Change, &str); 6] = [
        (|nar| nar[..nar.len() - 100].to_vec(), "is no tree"),
        (
            |mut nar| {
                nar.extend([0; 100_000]);
                nar
            },
            "refused as a bomb",
        ),
        (
            |mut nar| {
                let at = nar.len() / 2;
                nar[at] ^= 1;
                nar
            },
            "is another tree",
        ),
        // The order of names is that of bytes.
        (|nar| String::from_utf8_lossy(&nar).into_owned().into_bytes(), "is "),
        (|_| b"\r\0\0\0\0\0\0\0nix-archive-1\0\0\0".to_vec(), "is no tree"),
        (|_| vec![], "is no tree"),
    ];
    for (change, words) in cases {
        let server = rig.on_server();
        for name in &nars {
            server.put(&format!("/nar/{name}"), packed(&change(unpacked(name))));
        }
        made_without(&rig, &server.url, &[words]);
    }
    let server = rig.on_server();
    for name in &nars {
        server.put(&format!("/nar/{name}"), "this is no zstd");
    }
    made_without(&rig, &server.url, &["is damaged"]);
    // Frames of zstd that are skipped, and unfold to nothing.
    let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &4088_u32.to_le_bytes(), &[0; 4088]];
    let frames = [zstd::encode_all(&b""[..], 1).unwrap(), skipped.concat().repeat(2000)].concat();
    for name in &nars {
        server.put(&format!("/nar/{name}"), frames.clone());
    }
    made_without(&rig, &server.url, &["refused as endless"]);
}

#[test]
fn a_cache_that_is_down_or_slow_costs_little() {
    let rig = rig();
    let infos: Vec<String> =
        rig.store_names().iter().map(|n| format!("/{}.narinfo", &n[..32])).collect();
    let nars: Vec<String> = {
        let dir = rig.pushed();
        names(&dir.join("nar")).iter().map(|name| format!("/nar/{name}")).collect()
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    made_without(&rig, &format!("http://{closed}"), &["can't reach"]);
    for (paths, fault, words) in [
        (&infos, Fault::Status(500, 1000), "500"),
        (&infos, Fault::Status(403, 1000), "403"),
        (&infos, Fault::Stall(0), "went silent"),
        (&infos, Fault::Stall(40), "went silent"),
        (&infos, Fault::Circle, "redirections"),
        (&nars, Fault::Status(500, 1000), "500"),
        (&nars, Fault::Stall(1000), "went silent"),
        (&nars, Fault::Slow(2000), "is too slow"),
        (&nars, Fault::Break(1000, 1000), "broke off"),
        (&nars, Fault::Corrupt, "is damaged"),
    ] {
        let server = rig.on_server();
        for path in paths {
            server.fault(path, fault.clone());
        }
        made_without(&rig, &server.url, &[words]);
    }
    // A description that goes on and on, not slow enough for a source of inputs.
    let server = rig.on_server();
    for path in &infos {
        server.put(path, vec![b'x'; 500_000]);
        server.fault(path, Fault::Slow(4000));
    }
    made_without(&rig, &server.url, &["is too slow"]);
}

#[test]
fn a_cache_without_a_tree_is_asked_once_and_says_nothing() {
    let rig = rig();
    let server = Server::start();
    let other = rig.elsewhere();
    let caches = format!("{} {}", server.url, rig.public);
    let output =
        other.cotter(&["--frozen", "setup"]).env("COTTER_CACHES", caches).output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && !said.contains("warning"), "{said}");
    let mut asked = server.log();
    asked.sort();
    let expected: Vec<String> =
        rig.store_names().iter().map(|n| format!("/{}.narinfo -", &n[..32])).collect();
    assert_eq!(asked, expected);
}

/// A path that was put, with the credentials and the content.
type Taken = (String, String, Vec<u8>);

/// A server that takes files, or refuses them.
struct Taker {
    url: String,
    files: Arc<Mutex<Vec<Taken>>>,
    refuse: Arc<Mutex<Option<(&'static str, u16)>>>,
}

impl Taker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let refuse: Arc<Mutex<Option<(&'static str, u16)>>> = Arc::default();
        let (files_too, refuse_too) = (files.clone(), refuse.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let (files, refuse) = (files_too.clone(), refuse_too.clone());
                std::thread::spawn(move || Self::serve(&stream, &files, &refuse));
            }
        });
        Taker { url, files, refuse }
    }

    fn serve(
        stream: &TcpStream,
        files: &Mutex<Vec<Taken>>,
        refuse: &Mutex<Option<(&'static str, u16)>>,
    ) {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut line, mut length, mut login) = (String::new(), 0, String::new());
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let lower = header.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if lower.starts_with("authorization: ") {
                    login = header.trim()["authorization: ".len()..].to_owned();
                }
                if header == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let (method, path) = (words[0], words[1].to_owned());
            let refused =
                refuse.lock().unwrap().filter(|(part, _)| method == "PUT" && path.contains(part));
            let mut files = files.lock().unwrap();
            let there = files.iter().find(|(known, ..)| *known == path).map(|f| f.2.clone());
            let (status, answer) = match (method, refused, there) {
                (_, Some((_, status)), _) => (status, vec![]),
                ("PUT", ..) => {
                    files.push((path, login, body));
                    (201, vec![])
                }
                (_, _, Some(content)) => (200, content),
                _ => (404, vec![]),
            };
            let length = answer.len();
            let answer = if method == "HEAD" { vec![] } else { answer };
            let mut out = stream;
            let head = format!("HTTP/1.1 {status} Told so\r\nContent-Length: {length}\r\n\r\n");
            if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&answer)).is_err() {
                return;
            }
        }
    }

    fn paths(&self) -> Vec<String> {
        self.files.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect()
    }
}

#[test]
fn a_push_over_http_has_credentials_and_ends_with_the_descriptions() {
    let rig = rig();
    let taker = Taker::start();
    rig.project.scratch.write(".netrc", "machine 127.0.0.1 login user password secret\n");
    let to = format!("{}/team/", taker.url);
    let said = rig.project.ok(&["--jobs", "1", "cache", "push", &to, "--key", "../key"]);
    contains(&said, &["one-1-x86_64-linux", "pushed"]);
    let paths = taker.paths();
    assert_eq!(paths[0], "/team/nix-cache-info");
    for chunk in paths[1..].chunks(3) {
        assert!(chunk[0].starts_with("/team/nar/"), "{paths:?}");
        assert!(chunk[1].ends_with(".ls") && chunk[2].ends_with(".narinfo"), "{paths:?}");
    }
    for (path, login, _) in taker.files.lock().unwrap().iter() {
        assert_eq!(login, "Basic dXNlcjpzZWNyZXQ=", "{path}");
    }
    assert!(!said.contains("secret"));
    // The second time, nothing is sent.
    contains(&rig.push(&to), &["already there"]);
    assert_eq!(taker.paths(), paths);
    Nix::new().takes(&format!("{}/team", taker.url), &rig.public, &full(&rig.store_names()));
}

#[test]
fn a_push_that_is_refused_says_why_and_names_nothing_that_is_not_there() {
    let rig = rig();
    for (part, status, words) in [
        ("/nar/", 413, "if the server, or a proxy before it, has a limit for bodies, raise it"),
        ("/nar/", 401, "~/.netrc"),
        ("/nar/", 403, "403 Forbidden"),
        ("/nar/", 500, "500"),
        ("narinfo", 507, "507"),
        ("nix-cache-info", 405, "405"),
    ] {
        let taker = Taker::start();
        *taker.refuse.lock().unwrap() = Some((part, status));
        let args = ["--jobs", "1", "cache", "push", taker.url.as_str(), "--key", "../key"];
        contains(&rig.project.fails(5, &args), &[words, "can't put", part]);
        let paths = taker.paths();
        assert!(!paths.iter().any(|path| path.ends_with(".narinfo")), "{paths:?}");
        assert_eq!(rig.project.stored("staging"), Vec::<String>::new());
        // The next push goes on with what is there.
        *taker.refuse.lock().unwrap() = None;
        rig.push(&taker.url);
        let mut all = taker.paths();
        let count = all.len();
        assert_eq!(all.iter().filter(|path| path.ends_with(".narinfo")).count(), TREES.len());
        all.retain(|path| path.contains("/nar/"));
        assert_eq!(all.len(), TREES.len(), "no NAR was sent twice");
        assert!(count >= 7);
    }
}

#[test]
fn a_push_to_a_directory_leaves_no_half_file() {
    let rig = rig();
    // As a process that was killed leaves them.
    rig.project.scratch.write("cache/nar/.new-1-0", "half");
    rig.project.scratch.write("cache/.new-1-1", "half");
    let cache = rig.pushed();
    let all = [names(&cache), names(&cache.join("nar"))].concat();
    assert!(!all.iter().any(|name| name.starts_with(".new")), "{all:?}");
    // Without its file, a description is written anew with it.
    let nar = cache.join("nar").join(&names(&cache.join("nar"))[0]);
    std::fs::remove_file(&nar).unwrap();
    contains(&rig.push("../cache"), &["pushed", "already there"]);
    assert!(nar.exists());
    // A cut one is, too.
    let info = names(&cache).into_iter().find(|name| name.ends_with(".narinfo")).unwrap();
    std::fs::write(cache.join(&info), "StorePath: /nix/st").unwrap();
    let output = rig.project.cotter(&["cache", "push", "../cache", "--key", "../key"]).output();
    contains(&text(&output.unwrap()), &["is damaged, and is written anew"]);
    rig.project.scratch.write("readonly/nix-cache-info", "StoreDir: /nix/store\n");
    rig.project.scratch.write("foreign/nix-cache-info", "StoreDir: /gnu/store\n");
    let args = ["cache", "push", "../foreign", "--key", "../key"];
    contains(&rig.project.fails(1, &args), &["nothing is pushed", "/gnu/store"]);
    let args = ["cache", "push", "ftp://x", "--key", "../key"];
    contains(&rig.project.fails(1, &args), &["no cache can be at ftp://"]);
}

#[test]
fn a_damaged_tree_is_neither_pushed_nor_served() {
    let rig = rig();
    let tree: PathBuf = rig.project.ok(&["path", "one"]).trim().into();
    let own = tree.join("share/own");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&own, "eno").unwrap();
    let args = ["--jobs", "1", "cache", "push", "../cache", "--key", "../key", "one"];
    contains(
        &rig.project.fails(4, &args),
        &["is not what its name says", "verify --deep --repair"],
    );
    assert_eq!(names(&rig.project.scratch.join("cache")), ["nix-cache-info"]);
    let name = tree.file_name().unwrap().to_str().unwrap();
    let (head, _) = rig.serve().get(&format!("/{}.narinfo", &name[..32]), "");
    contains(&head, &["500 Internal Server Error"]);
    assert_eq!(rig.project.stored("packed"), Vec::<String>::new());
}

#[test]
fn keys_are_made_once_and_read_with_care() {
    let rig = rig();
    let key = rig.project.scratch.join("key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    contains(&rig.project.fails(1, &["cache", "key", "x", "../key"]), &["exists already"]);
    contains(&rig.project.fails(1, &["cache", "key", "a:b", "../new"]), &["name of a key"]);
    assert!(!rig.project.scratch.join("new").exists());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output =
        rig.project.cotter(&["cache", "push", "../c", "--key", "../key"]).output().unwrap();
    contains(&text(&output), &["every user of this machine may read the key", "chmod go-r"]);
    let secret = std::fs::read_to_string(&key).unwrap();
    rig.project.scratch.write("bad", format!("{}A", &secret[..80]));
    let said = rig.project.fails(1, &["cache", "push", "../c", "--key", "../bad"]);
    contains(&said, &["holds no secret key", "cotter cache key NAME FILE"]);
    assert!(!said.contains(&secret[10..40]), "{said}");
    contains(
        &rig.project.fails(1, &["cache", "push", "../c", "--key", "../none"]),
        &["can't read"],
    );
}

#[test]
fn the_garbage_of_a_cache_is_what_no_lock_names() {
    let rig = rig();
    let cache = rig.pushed();
    // Another lock has one of the two trees.
    let other = rig.elsewhere();
    let manifest = std::fs::read_to_string(other.dir().join("toolchains.toml")).unwrap();
    other.manifest(&manifest[..manifest.find("[toolchains.two]").unwrap()]);
    other.ok(&["lock"]);
    let lock = other.dir().join("toolchains.lock");
    let lock = lock.to_str().unwrap();
    rig.project.scratch.write("cache/nar/orphan.nar.zst", "x");
    let gc = |more: &[&str]| {
        let args = ["cache", "gc", "../cache", "--keep", lock];
        rig.project.ok(&[&args, more].concat())
    };
    let all = [names(&cache), names(&cache.join("nar"))].concat();
    contains(&gc(&["--dry-run"]), &["would delete 1 tree", "two-1-x86_64-linux", "1 tree left"]);
    contains(&gc(&["--older-than", "1"]), &["deleted 0 trees", "2 trees left"]);
    assert_eq!([names(&cache), names(&cache.join("nar"))].concat(), all);
    let said: serde_json::Value = serde_json::from_str(&gc(&["--json"])).unwrap();
    assert_eq!((said["left"].as_u64(), said["trees"].as_array().unwrap().len()), (Some(1), 1));
    // What was written just now may belong to somebody who is pushing.
    assert_eq!(names(&cache.join("nar")).len(), 2);
    let old = Command::new("touch")
        .args(["-d", "3 days ago"])
        .arg(cache.join("nar/orphan.nar.zst"))
        .status();
    assert!(old.unwrap().success());
    contains(&gc(&[]), &["deleted 1 file to which no tree belongs"]);
    assert_eq!((names(&cache).len(), names(&cache.join("nar")).len()), (4, 1));
    let both = full(&rig.store_names());
    let one = both.iter().find(|path| path.contains("one")).unwrap();
    Nix::new().takes(&file_url(&cache), &rig.public, std::slice::from_ref(one));
    contains(
        &rig.project.fails(1, &["cache", "gc", "../cache", "--keep", "none"]),
        &["there is no"],
    );
    contains(
        &rig.project.fails(1, &["cache", "gc", "http://127.0.0.1:1", "--keep", lock]),
        &["can't list what it has"],
    );
}

#[test]
fn the_server_answers_ranges_and_nothing_but_files_of_a_cache() {
    let rig = rig();
    let serving = rig.serve();
    let name = &rig.store_names()[0];
    let (head, body) = serving.get(&format!("/{}.narinfo", &name[..32]), "");
    contains(&head, &["HTTP/1.1 200 OK", "text/x-nix-narinfo"]);
    let info = String::from_utf8(body).unwrap();
    contains(&info, &[&format!("StorePath: /nix/store/{name}\n"), "\nSig: test-1:"]);
    let url = format!("/{}", info.lines().find_map(|l| l.strip_prefix("URL: ")).unwrap());
    let size: usize =
        info.lines().find_map(|l| l.strip_prefix("FileSize: ")).unwrap().parse().unwrap();
    let (_, whole) = serving.get(&url, "");
    assert_eq!(whole.len(), size);
    for (range, from, to) in
        [("0-9", 0, 10), ("5-", 5, size), ("-7", size - 7, size), ("9-99999999", 9, size)]
    {
        let (head, part) = serving.get(&url, &format!("Range: bytes={range}\r\n"));
        contains(&head, &["206", &format!("Content-Range: bytes {from}-{}/{size}", to - 1)]);
        assert_eq!(part, whole[from..to], "{range}");
    }
    let (head, part) = serving.get(&url, &format!("Range: bytes={size}-\r\n"));
    contains(&head, &["416", &format!("Content-Range: bytes */{size}")]);
    assert!(part.is_empty());
    let head = format!("HEAD {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let (head, body) = serving.ask(&head);
    contains(&head, &["200 OK", &format!("Content-Length: {size}"), "Accept-Ranges: bytes"]);
    assert!(body.is_empty());
    let (head, body) = serving.get(&format!("/{}.ls", &name[..32]), "");
    contains(&head, &["application/json"]);
    let listing: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(listing["root"]["entries"]["share"]["entries"]["own"]["type"], "regular");
    for path in [
        "/",
        "/../key",
        "/nar/../../key",
        "/store/x",
        "/nar/%2e%2e/key",
        "/etc/passwd",
        &url[..url.len() - 1],
    ] {
        contains(&serving.get(path, "").0, &["404 Not Found"]);
    }
    let put = "PUT /nix-cache-info HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    contains(&serving.ask(put).0, &["405", "Allow: GET, HEAD", "Connection: close"]);
    contains(&serving.ask("nonsense\r\n\r\n").0, &["400"]);
    contains(&serving.ask(&format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(20_000))).0, &["431"]);
    // Several requests on one connection, sent at once.
    let two = "GET /nix-cache-info HTTP/1.1\r\n\r\nGET /nix-cache-info HTTP/1.1\r\nConnection: close\r\n\r\n";
    let (_, rest) = serving.ask(two);
    assert_eq!(String::from_utf8_lossy(&rest).matches("StoreDir").count(), 2);
}

#[test]
fn the_server_serves_two_hundred_clients_at_once() {
    let rig = rig();
    let serving = rig.serve();
    let names = rig.store_names();
    let host = serving.url.trim_start_matches("http://");
    // These say nothing, and keep nobody from being served.
    let _silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(host).unwrap()).collect();
    let open: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(host).unwrap()).collect();
    let bodies: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let asked: Vec<_> = open
            .into_iter()
            .enumerate()
            .map(|(i, mut stream)| {
                let name = &names[i % names.len()];
                let serving = &serving;
                scope.spawn(move || {
                    let head = format!(
                        "GET /{}.narinfo HTTP/1.1\r\nConnection: close\r\n\r\n",
                        &name[..32]
                    );
                    stream.write_all(head.as_bytes()).unwrap();
                    let mut info = String::new();
                    stream.read_to_string(&mut info).unwrap();
                    assert!(info.starts_with("HTTP/1.1 200"), "{info}");
                    let url = info.lines().find_map(|l| l.strip_prefix("URL: ")).unwrap();
                    let (head, body) = serving.get(&format!("/{url}"), "");
                    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                    body
                })
            })
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (i, body) in bodies.iter().enumerate() {
        assert_eq!(*body, bodies[i % names.len()]);
    }
    // Each tree was packed once.
    assert_eq!(rig.project.stored("packed").len(), 3 * TREES.len());
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let memory = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = memory.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 300 << 10, "{kib} KiB");
}

#[test]
fn what_is_no_cache_is_not_added() {
    let rig = rig();
    for (url, words) in [("../cache", "URL"), ("ftp://x", "ftp://x"), ("http://", "URL")] {
        let args = ["cache", "add", url, "--key", &rig.public];
        contains(&rig.project.fails(1, &args), &["no cache is added", words]);
    }
    rig.pushed();
    let args = ["cache", "add", "../cache", "--key", &rig.public];
    contains(&rig.project.fails(1, &args), &["a directory is named by its address: file:///"]);
    contains(&rig.project.fails(2, &["cache", "add", "http://x", "--key", "y"]), &["public key"]);
    contains(&rig.project.fails(2, &["cache", "add", "http://x"]), &["--key"]);
    contains(&rig.project.fails(1, &["cache", "remove", "http://x"]), &["not among the caches"]);
    let config = rig.project.scratch.join(".config/cotter/config.toml");
    assert!(!config.exists());
    // A repository cannot name any.
    let manifest = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
    let caches = format!("\n[caches.\"http://x\"]\nkeys = [\"{}\"]\n", rig.public);
    rig.project.manifest(&(manifest + &caches));
    contains(&rig.project.fails(1, &["lock"]), &["caches"]);
}

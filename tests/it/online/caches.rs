//! Binary caches with real toolchains, and a bucket on a server of the Python package index.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::support::nix::{Nix, narinfo, tool};
use crate::support::{
    Project, REPO, Scratch, clean, contains, fails, in_store, names, ok, shared_store, text,
};

/// The version of the server of buckets.
const MOTO: &str = "moto[server]==5.2.5";

/// Returns the program of the server of buckets, which is installed once and kept between runs.
fn moto() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("moto-5.2.5");
        let program = dir.join("bin/moto_server");
        if !program.exists() {
            let _ = std::fs::remove_dir_all(&dir);
            ok(Command::new("python3").args(["-m", "venv"]).arg(&dir));
            ok(Command::new(dir.join("bin/pip")).args(["install", "--quiet", MOTO]));
        }
        program
    })
}

/// A running server of buckets, with a bucket.
struct Buckets {
    child: Child,
    port: u16,
}

impl Buckets {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(moto());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let buckets = Buckets { child, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let made = buckets.ask("PUT /team HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                assert!(made.starts_with("HTTP/1.1 200"), "{made}");
                let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::team/*"}]}"#;
                let head = format!(
                    "PUT /team?policy HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    policy.len()
                );
                let made = buckets.ask(&(head + policy));
                assert!(made.starts_with("HTTP/1.1 20"), "{made}");
                return buckets;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server of buckets does not answer");
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Buckets {
    /// Puts the files of a directory below a prefix into the bucket.
    fn put_all(&self, dir: &Path, prefix: &str) {
        for name in names(dir) {
            let (path, to) = (dir.join(&name), format!("{prefix}/{name}"));
            if path.is_dir() {
                self.put_all(&path, &to);
                continue;
            }
            let body = std::fs::read(path).unwrap();
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
            write!(stream, "PUT /team{to} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a proxy does with the requests that it passes on.
#[derive(Default)]
struct Passing {
    log: Vec<String>,
    /// The number of parts that are taken before every further one is refused as if its address had expired.
    parts: Option<usize>,
    /// Whether only one is refused.
    once: bool,
}

/// Passes requests on to the server of buckets.
struct Proxy {
    port: u16,
    state: Arc<Mutex<Passing>>,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<Passing>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || pass(stream, to, &shared));
            }
        });
        Proxy { port, state }
    }

    fn parts(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .log
            .iter()
            .filter(|l| l.starts_with("PUT") && l.contains("partNumber"))
            .cloned()
            .collect()
    }
}

/// Passes one request on, and closes the connection.
fn pass(mut client: TcpStream, to: u16, state: &Mutex<Passing>) {
    let (mut head, mut byte) = (vec![], [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).unwrap();
    let line = head.lines().next().unwrap();
    let refused = {
        let mut state = state.lock().unwrap();
        state.log.push(line.to_owned());
        let is_part = line.starts_with("PUT") && line.contains("partNumber");
        match state.parts {
            Some(0) if is_part => {
                if state.once {
                    state.parts = None;
                }
                true
            }
            Some(n) if is_part => {
                state.parts = Some(n - 1);
                false
            }
            _ => false,
        }
    };
    if refused {
        let answer =
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        let head = format!(
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let _ = client.write_all((head + answer).as_bytes());
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).unwrap();
    server.write_all(&body).unwrap();
    let _ = std::io::copy(&mut server, &mut client);
}

/// A project of the repository in the shared store, and a key.
struct Rig {
    scratch: Scratch,
    dir: PathBuf,
    public: String,
}

impl Rig {
    fn new() -> Self {
        let scratch = Scratch::new();
        let dir = Path::new(REPO).join("examples/libraries");
        let key = scratch.join("key");
        let public = ok(&mut in_store(
            shared_store(),
            &dir,
            &["cache", "key", "team-1", key.to_str().unwrap()],
        ));
        Rig { public: public.trim().to_owned(), scratch, dir }
    }

    fn push(&self, to: &str, names: &[&str]) -> Command {
        let key = self.scratch.join("key");
        let args = ["--frozen", "cache", "push", to, "--key", key.to_str().unwrap()];
        let mut command = in_store(shared_store(), &self.dir, &[&args, names].concat());
        command.env("AWS_ACCESS_KEY_ID", "public").env("AWS_SECRET_ACCESS_KEY", "very-secret");
        command.env("COTTER_HTTP_RETRIES", "0");
        command
    }

    /// Sets a toolchain up on another machine, with a cache and no mirror. Returns the store.
    fn takes(&self, cache: &str, name: &str) -> Project {
        let read = |name: &str| std::fs::read_to_string(self.dir.join(name)).unwrap();
        let other = Project::new(&read("toolchains.toml"));
        other.scratch.write("project/toolchains.lock", read("toolchains.lock"));
        let mut command = other.cotter(&["--frozen", "setup", name]);
        command.env("COTTER_CACHES", format!("{cache} {}", self.public));
        command.env("AWS_ACCESS_KEY_ID", "public").env("AWS_SECRET_ACCESS_KEY", "very-secret");
        for mirror in ["DEBIAN", "DEBIAN_SECURITY", "SNAPSHOT", "PYTHON"] {
            command.env(format!("COTTER_MIRROR_{mirror}"), "http://127.0.0.1:1");
        }
        let shown = cache.split('?').next().unwrap().to_owned();
        contains(&ok(&mut command), &[&format!("from {shown}")]);
        assert_eq!(other.stored("inputs"), Vec::<String>::new());
        other.ok(&["verify", "--deep"]);
        other
    }
}

/// The gcc tree of a lock is set up from a cache alone: nothing is downloaded but its NAR.
#[test]
fn a_compiler_is_set_up_from_a_cache_alone() {
    let rig = Rig::new();
    let dir = rig.scratch.join("cache");
    contains(&ok(&mut rig.push(dir.to_str().unwrap(), &["gcc"])), &["gcc-12.2.0", "pushed"]);
    let other = rig.takes(&format!("file://{}", dir.display()), "gcc");
    other
        .scratch
        .write("project/x.c", "#include <stdio.h>\nint main(void) { puts(\"made\"); return 0; }\n");
    let mut command = other.cotter(&["--frozen", "exec", "gcc", "--", "gcc", "x.c", "-o", "x"]);
    ok(&mut command);
    assert_eq!(ok(&mut Command::new(other.dir().join("x"))), "made\n");
    // Its facts are those that the recipe wrote down.
    let name = &other.stored("store")[0];
    let facts = |store: &Path| {
        std::fs::read_to_string(store.join("facts").join(format!("{name}.json"))).unwrap()
    };
    assert_eq!(facts(&other.store), facts(shared_store()));
}

#[test]
fn a_bucket_takes_parts_and_an_upload_goes_on_where_it_stopped() {
    let rig = Rig::new();
    let buckets = Buckets::start();
    let proxy = Proxy::start(buckets.port);
    let to =
        format!("s3://team/trees?endpoint=127.0.0.1:{}&scheme=http&region=us-east-1", proxy.port);
    let uploads = || names(&shared_store().join("uploads"));
    let before = uploads();
    proxy.state.lock().unwrap().parts = Some(3);
    let said = fails(5, &mut rig.push(&to, &["gcc"]));
    contains(&said, &["can't put s3://team/trees/nar/", "403", "AWS_ACCESS_KEY_ID"]);
    assert!(!said.contains("very-secret") && !said.contains("Signature"), "{said}");
    assert!(
        !proxy
            .state
            .lock()
            .unwrap()
            .log
            .iter()
            .any(|l| l.starts_with("PUT") && l.contains(".narinfo"))
    );
    assert_eq!(uploads().len(), before.len() + 1, "what is known of the upload is kept");
    // Three parts, and two attempts for the fourth, each with an address that was signed for it.
    assert_eq!(proxy.parts().len(), 5);
    {
        let mut state = proxy.state.lock().unwrap();
        // The next part meets an address that has expired, once.
        (state.parts, state.once) = (Some(0), true);
        state.log.clear();
    }
    contains(&ok(&mut rig.push(&to, &["gcc"])), &["pushed"]);
    let numbers: Vec<u32> = proxy
        .parts()
        .iter()
        .map(|l| {
            l.split("partNumber=")
                .nth(1)
                .unwrap()
                .split(['&', ' '])
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers[..3], [4, 4, 5], "the first three were not sent again");
    assert_eq!(uploads(), before);
    // What is there is not sent again.
    proxy.state.lock().unwrap().log.clear();
    contains(&ok(&mut rig.push(&to, &["gcc"])), &["already there"]);
    assert!(!proxy.state.lock().unwrap().log.iter().any(|l| l.starts_with("PUT")));
    rig.takes(&to, "gcc");
}

#[test]
fn nix_takes_trees_from_a_bucket_and_its_garbage_goes() {
    let rig = Rig::new();
    let buckets = Buckets::start();
    let to = format!("s3://team/trees?endpoint=127.0.0.1:{}&scheme=http", buckets.port);
    ok(&mut rig.push(&to, &["zlib", "pkg-config"]));
    // Debian's Nix was built without S3, and reads the same objects by their plain addresses.
    let url = format!("http://127.0.0.1:{}/team/trees", buckets.port);
    rig.scratch.write(
        "etc/nix.conf",
        "build-users-group =\nsubstituters =\nexperimental-features = nix-command\n",
    );
    let nix = |program: &str| {
        let mut command = Command::new(program);
        clean(&mut command, rig.scratch.path());
        command.env("NIX_CONF_DIR", rig.scratch.join("etc"));
        command.arg("--store").arg(rig.scratch.join("root"));
        command
    };
    let tree = ok(&mut in_store(shared_store(), &rig.dir, &["path", "zlib"]));
    let path =
        format!("/nix/store/{}", Path::new(tree.trim()).file_name().unwrap().to_str().unwrap());
    let mut realise = nix("nix-store");
    realise.args([
        "--option",
        "substituters",
        &url,
        "--option",
        "trusted-public-keys",
        &rig.public,
    ]);
    ok(realise.args(["--option", "substitute", "true", "--realise", &path]));
    ok(nix("nix-store").args(["--verify-path", &path]));
    contains(&ok(nix("nix").args(["path-info", "--sigs", &path])), &[" team-1:"]);
    // The lock of another example has one of the two trees.
    let keep = Path::new(REPO).join("examples/cpp/toolchains.lock");
    let gc = |more: &[&str]| {
        let args = ["cache", "gc", &to, "--keep", keep.to_str().unwrap()];
        let mut command = in_store(shared_store(), &rig.dir, &[&args, more].concat());
        command.env("AWS_ACCESS_KEY_ID", "public").env("AWS_SECRET_ACCESS_KEY", "very-secret");
        text(&command.output().unwrap())
    };
    contains(&gc(&["--dry-run"]), &["would delete 1 tree", "pkg-config"]);
    contains(&gc(&[]), &["deleted 1 tree", "pkg-config", "1 tree left"]);
    contains(&gc(&[]), &["deleted 0 trees", "1 tree left"]);
    rig.takes(&to, "zlib");
    // Without keys, the server of a real bucket refuses.
    contains(&fails(1, &mut rig.push("s3://team?bad=1", &[])), &["names no bucket", "endpoint"]);
}

/// Closures of Nix lie in buckets, too: requests are signed with the same keys as those of a push.
#[test]
fn a_closure_is_locked_and_fetched_from_a_bucket() {
    let nix = Nix::new();
    let path = nix.greet();
    let buckets = Buckets::start();
    buckets.put_all(&nix.copy(&[&path], "cache", "zstd", true), "/nix");
    let proxy = Proxy::start(buckets.port);
    let cache = format!("s3://team/nix?endpoint=127.0.0.1:{}&scheme=http", proxy.port);
    let project = Project::new(&(nix.manifest(&cache) + &tool(&path)));
    let with_keys = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.env("AWS_ACCESS_KEY_ID", "public").env("AWS_SECRET_ACCESS_KEY", "very-secret");
        command.env("COTTER_HTTP_RETRIES", "0");
        command
    };
    let requests = || std::mem::take(&mut proxy.state.lock().unwrap().log);
    let mut untrusted = with_keys(&["lock"]);
    let said = fails(1, untrusted.env_remove("COTTER_TRUST"));
    let server = format!("files from s3://team at http://127.0.0.1:{} for", proxy.port);
    contains(&said, &[&server]);
    assert_eq!(requests(), Vec::<String>::new());
    ok(&mut with_keys(&["lock"]));
    let asked = requests();
    assert!(asked.iter().any(|line| line.contains(&format!("/team/nix/{}?", narinfo(&path)))));
    let is_signed = |line: &String| {
        line.starts_with("GET /team/nix/")
            && line.contains("X-Amz-Signature=")
            && line.contains("X-Amz-Credential=public%2F")
    };
    assert!(asked.iter().all(is_signed), "{asked:?}");
    let lock = project.lock_text();
    contains(&lock, &["\"s3://team/nix/nar/", &cache[cache.find('?').unwrap()..]]);
    assert!(!lock.contains("Amz") && !lock.contains("very-secret"), "{lock}");
    assert_eq!(project.ok(&["exec", "--nix-store", "namespace", "--", "greet"]).lines().count(), 1);
    // The lock is complete: another store asks for the NARs alone.
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    requests();
    ok(&mut with_keys(&["setup", "--locked"]));
    let asked = requests();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|line| is_signed(line) && line.contains("/nix/nar/")), "{asked:?}");
    project.ok(&["verify", "--deep"]);
    // A mirror of this machine, in a bucket: the lock does not name it.
    let mirrored = Project::new(&(nix.manifest("file:///nowhere") + &tool(&path)));
    let mut command = mirrored.cotter(&["setup"]);
    command.env("AWS_ACCESS_KEY_ID", "public").env("AWS_SECRET_ACCESS_KEY", "very-secret");
    ok(command.env("COTTER_MIRROR_NIX", &cache));
    contains(&mirrored.lock_text(), &["\"mirror://nix/nar/"]);
    // What the bucket lacks, and what it refuses.
    let absent = "/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-absent-1";
    project.manifest(&(nix.manifest(&cache) + &tool(absent)));
    let said = fails(5, &mut with_keys(&["lock"]));
    contains(&said, &["no cache has", "absent-1", "404"]);
    assert!(!said.contains("very-secret") && !said.contains("Signature"), "{said}");
}

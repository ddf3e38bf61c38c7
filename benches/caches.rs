//! Compares taking a tree from a binary cache with composing it, and packing it with the compressor alone, as ratios within one run: `cargo bench --bench caches`.
//! The tree is the GCC of `examples/libraries`. Its packages are downloaded once into the store that COTTER_STORE names, or into a new one. `dpkg-deb` and Nix must be installed.
//! Nix takes all trees of the example out of the same caches.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{peak_memory, remove, row, run};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const COTTER: &str = env!("CARGO_BIN_EXE_cotter");
const ROUNDS: usize = 5;
const CLIENTS: usize = 200;

fn main() {
    let scratch = std::env::temp_dir().join(format!("cotter-bench-caches-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let bench = Bench::new(&scratch);
    bench.setups();
    bench.substitutions();
    bench.pushes();
    bench.clients();
    remove(&scratch);
}

struct Bench {
    scratch: PathBuf,
    store: PathBuf,
    public: String,
}

/// A running `cotter cache serve`.
struct Serving(Child, String);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cotter(store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(COTTER);
    command.current_dir(format!("{REPO}/examples/libraries")).env("COTTER_STORE", store);
    command.env("COTTER_TRUST", "1").args(["--frozen", "--quiet"]).args(arguments);
    command
}

/// Returns the shortest time of several rounds. What a round leaves is removed before the next one, which does not count.
fn best(mut round: impl FnMut(), mut clean: impl FnMut()) -> Duration {
    let one = |_| {
        clean();
        let since = Instant::now();
        round();
        since.elapsed()
    };
    (0..ROUNDS).map(one).min().unwrap()
}

impl Bench {
    fn new(scratch: &Path) -> Bench {
        let store =
            std::env::var_os("COTTER_STORE").map_or_else(|| scratch.join("store"), Into::into);
        run(&mut cotter(&store, &["setup", "gcc"]));
        let key = scratch.join("key");
        let public = run(&mut cotter(&store, &["cache", "key", "bench-1", key.to_str().unwrap()]));
        Bench { scratch: scratch.to_owned(), store, public: public.trim().to_owned() }
    }

    fn push(&self, to: &Path, compression: &str, names: &[&str]) {
        let key = self.scratch.join("key");
        let (to, key) = (to.to_str().unwrap(), key.to_str().unwrap());
        let args = ["cache", "push", to, "--key", key, "--compression", compression];
        run(cotter(&self.store, &args).args(names));
    }

    fn serve(&self) -> Serving {
        let key = self.scratch.join("key");
        let args = ["cache", "serve", "--listen", "127.0.0.1:0", "--key", key.to_str().unwrap()];
        let mut command = cotter(&self.store, &args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Serving(child, line.trim().to_owned())
    }

    /// The `.deb` files of the tree, as the store has them.
    fn packages(&self) -> Vec<PathBuf> {
        let lock = std::fs::read_to_string(format!("{REPO}/examples/libraries/toolchains.lock"));
        let lock = cotter::internals::Lockfile::parse(&lock.unwrap(), "lock").unwrap();
        let native = cotter::internals::Platform::native().unwrap();
        let tree = lock.get(&"gcc".parse().unwrap(), native).unwrap();
        let of = |hash: String| self.store.join("inputs").join(hash);
        tree.plan.inputs.iter().map(|input| of(input.sha256.hex())).collect()
    }

    /// A cold setup: the store has nothing but, to compose, the packages.
    fn setups(&self) {
        println!("a cold setup of the GCC tree");
        let store = self.scratch.join("cold");
        let packages = self.packages();
        let compose = best(
            || drop(run(&mut cotter(&store, &["--offline", "setup", "gcc"]))),
            || {
                remove(&store);
                std::fs::create_dir_all(store.join("inputs")).unwrap();
                for package in &packages {
                    let to = store.join("inputs").join(package.file_name().unwrap());
                    std::fs::copy(package, to).expect("the packages are among the downloads");
                }
            },
        );
        let unpacked = self.scratch.join("unpacked");
        let dpkg = best(
            || {
                for package in &packages {
                    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&unpacked));
                }
            },
            || remove(&unpacked),
        );
        row("composed out of .deb files on the disk", compose, compose);
        row("`dpkg-deb -x` of the same files, one after the other", dpkg, compose);
        let from = |url: &str| {
            let caches = format!("{url} {}", self.public);
            best(
                || {
                    run(cotter(&store, &["setup", "gcc"]).env("COTTER_CACHES", &caches));
                    assert!(!store.join("inputs").exists(), "the cache was not asked");
                },
                || remove(&store),
            )
        };
        for compression in ["zstd", "xz", "none"] {
            let cache = self.scratch.join(compression);
            self.push(&cache, compression, &["gcc"]);
            let time = from(&format!("file://{}", cache.display()));
            row(&format!("from a directory, {compression}"), time, compose);
        }
        let serving = self.serve();
        row("from `cache serve` on loopback, zstd", from(&serving.1), compose);
        println!("  goals for zstd: a third of composing, a fifth of dpkg-deb");
    }

    /// All trees of the example out of the same caches, into a fresh store of cotter and into one of Nix.
    fn substitutions(&self) {
        println!("all trees of the example out of a cache, against `nix-store --realise`");
        run(&mut cotter(&self.store, &["setup"]));
        let native = cotter::internals::Platform::native().unwrap();
        let lock = std::fs::read_to_string(format!("{REPO}/examples/libraries/toolchains.lock"));
        let lock = cotter::internals::Lockfile::parse(&lock.unwrap(), "lock").unwrap();
        let trees = lock.trees.values().filter(|tree| tree.plan.platform == native);
        let paths = trees.map(|tree| format!("/nix/store/{}", tree.output.store_name));
        let paths: Vec<String> = paths.collect();
        let settings = self.scratch.join("settings");
        std::fs::create_dir_all(&settings).unwrap();
        std::fs::write(settings.join("nix.conf"), "build-users-group =\nsubstituters =\n").unwrap();
        let (ours, theirs) = (self.scratch.join("ours"), self.scratch.join("theirs"));
        for compression in ["zstd", "xz", "none"] {
            let cache = self.scratch.join(format!("all-{compression}"));
            self.push(&cache, compression, &[]);
            let url = format!("file://{}", cache.display());
            let own = || {
                let mut command = cotter(&ours, &["setup"]);
                command.env("COTTER_CACHES", format!("{url} {}", self.public));
                command
            };
            let nix = || {
                let mut command = Command::new("nix-store");
                command.env("NIX_CONF_DIR", &settings).env("HOME", &self.scratch);
                command.arg("--store").arg(&theirs).args(["--option", "substituters", &url]);
                command.args(["--option", "trusted-public-keys", &self.public, "--realise"]);
                command.args(&paths);
                command
            };
            let time = best(|| drop(run(&mut own())), || remove(&ours));
            let of_nix = best(|| drop(run(&mut nix())), || remove(&theirs));
            row(&format!("cotter, {compression}"), time, time);
            row(&format!("Nix, {compression}"), of_nix, time);
            let peak = |mut command: Command| {
                command.env_remove("LD_LIBRARY_PATH").stdout(Stdio::null()).stderr(Stdio::null());
                peak_memory(&mut command.spawn().unwrap()) as f64 / 1e3
            };
            remove(&ours);
            remove(&theirs);
            println!("  peak memory: cotter {:.0} MB, Nix {:.0} MB", peak(own()), peak(nix()));
        }
        println!("  goals: 1.5 with zstd and xz, 1 without compression, a third of the memory");
    }

    /// A push to a directory, and the compressor alone with the same NAR and the same level.
    fn pushes(&self) {
        println!("a push of the GCC tree to a directory");
        let nar = self.scratch.join("none/nar");
        let nar = std::fs::read_dir(nar).unwrap().next().unwrap().unwrap().path();
        let size = std::fs::metadata(&nar).unwrap().len();
        let alone = best(
            || {
                let to = std::fs::File::create(self.scratch.join("alone")).unwrap();
                zstd::stream::copy_encode(std::fs::File::open(&nar).unwrap(), to, 3).unwrap();
            },
            || {},
        );
        let to = self.scratch.join("pushed");
        let push = best(|| self.push(&to, "zstd", &["gcc"]), || remove(&to));
        row("the compressor alone", alone, alone);
        row("`cotter cache push`", push, alone);
        println!("  {:.0} MB per second", size as f64 / 1e6 / push.as_secs_f64());
    }

    /// Many clients at once, each of which asks for the description and takes the NAR.
    fn clients(&self) {
        let serving = self.serve();
        let host = serving.1.trim_start_matches("http://").to_owned();
        let get = |path: &str| {
            let mut stream = TcpStream::connect(&host).unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = vec![];
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
            answer
        };
        let tree = run(&mut cotter(&self.store, &["path", "gcc"]));
        let name = Path::new(tree.trim()).file_name().unwrap().to_str().unwrap();
        let description = format!("/{}.narinfo", &name[..32]);
        let info = String::from_utf8(get(&description)).unwrap();
        let listing = format!("/{}.ls", &name[..32]);
        assert!(info.contains("\nSig: bench-1:"), "{info}");
        let since = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    for path in [&description, &listing, &description, &description, &description] {
                        get(path);
                    }
                });
            }
        });
        let time = since.elapsed();
        println!("{CLIENTS} clients of `cache serve` at once, 5 requests each: no error");
        row("all together", time, time);
    }
}

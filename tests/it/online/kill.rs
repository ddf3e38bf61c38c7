//! Setups that are killed at random moments.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::server::Server;
use crate::support::{Scratch, ok};

/// Kills a setup of `dir` from an empty store at random moments, while it downloads, unpacks, composes or commits. Every tree that has a name in the store is sound, and one more
/// setup makes the others. The bytes come from a mirror on loopback.
fn killed(times: u32, dir: &std::path::Path) {
    let server = Server::start();
    let lock = cotter::internals::Lockfile::parse(
        &std::fs::read_to_string(dir.join("toolchains.lock")).unwrap(),
        "lock",
    )
    .unwrap();
    for tree in lock
        .trees
        .values()
        .filter(|t| Some(t.plan.platform) == cotter::internals::Platform::native())
    {
        for input in &tree.plan.inputs {
            let bytes = std::fs::read(
                crate::support::shared_store().join("inputs").join(input.sha256.hex()),
            )
            .unwrap();
            server.put(&format!("/debian/{}", input.locations[0].path()), bytes);
        }
    }
    let store = Scratch::new();
    let cotter = |args: &[&str]| {
        let mut command = crate::support::in_store(store.path(), dir, args);
        command.stdout(Stdio::null()).env("COTTER_MIRROR_DEBIAN", format!("{}/debian", server.url));
        command
    };
    let setup = ["setup", "--locked", "--quiet"];
    let empty = || {
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(store.join("store"))
            .arg(store.join("staging"))
            .output();
        for part in ["store", "roots", "links", "listings", "inputs", "locks", "staging"] {
            let _ = std::fs::remove_dir_all(store.join(part));
        }
    };
    let start = Instant::now();
    ok(&mut cotter(&setup));
    let whole = start.elapsed().as_micros() as u64;
    let mut x = 88_172_645_463_325_252u64;
    let mut unfinished = 0;
    for _ in 0..times {
        empty();
        let mut child = cotter(&setup).spawn().unwrap();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        std::thread::sleep(Duration::from_micros(x % whole));
        let _ = child.kill();
        unfinished += u32::from(!child.wait().unwrap().success());
        // Every tree that has a name in the store is complete, and one more setup is enough.
        ok(&mut cotter(&["verify", "--deep", "--quiet"]));
        ok(&mut cotter(&setup));
        ok(&mut cotter(&["verify", "--deep", "--quiet"]));
        assert_eq!(crate::support::names(&store.join("staging")), Vec::<String>::new());
    }
    assert!(unfinished > times / 4, "only {unfinished} of {times} were killed in time");
}

#[test]
fn kill_at_random_moments_leaves_a_sound_store() {
    let project = Scratch::new();
    small_project(&project);
    killed(100, project.path());
}

/// The same test with the repository's own compiler and interpreter.
#[test]
#[ignore = "full suite: takes minutes"]
fn kill_at_a_hundred_random_moments_of_the_repositorys_own_setup() {
    killed(100, std::path::Path::new(crate::support::REPO));
}

/// 900 runs of `setup`, `lock`, `gc`, `emit` and `verify --repair` on small trees, and 100 of `venv`.
#[test]
#[ignore = "full suite: takes many minutes"]
fn a_thousand_kills_of_every_command_that_writes_do_no_lasting_harm() {
    let killed: u32 = crate::injected::scenarios().iter().map(|s| s.kill(180)).sum();
    let killed = killed + killed_environments(100);
    println!("of 1000 runs, {killed} were killed before their end");
    assert!(killed > 500, "only {killed} were killed in time");
}

#[test]
fn some_kills_of_an_environment_do_no_lasting_harm() {
    assert!(killed_environments(4) > 0);
}

/// Kills `venv` at random moments. The directory has the previous environment or the new one, and the next run leaves nothing beside it.
fn killed_environments(times: u32) -> u32 {
    let store = crate::support::shared_store();
    let scratch = Scratch::new();
    let from = std::path::Path::new(crate::support::REPO).join("examples/flask");
    for name in crate::support::names(&from) {
        if name.starts_with("toolchains.") || name.starts_with("requirements") {
            std::fs::copy(from.join(&name), scratch.join(&name)).unwrap();
        }
    }
    let venv = || {
        let mut command = crate::support::in_store(store, scratch.path(), &["venv", "app", "env"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    ok(&mut crate::support::in_store(store, scratch.path(), &["setup", "--locked"]));
    let start = Instant::now();
    ok(&mut venv());
    let whole = start.elapsed().as_micros() as u64;
    let right = crate::support::names(scratch.path());
    let mut random = crate::injected::Random::new();
    let mut killed = 0;
    for i in 0..times {
        let mut child = venv().spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(whole)));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        let flask = ["-c", "import flask, sys; assert sys.prefix.endswith('env')"];
        ok(Command::new(scratch.join("env/bin/python3")).args(flask).env_clear());
        ok(&mut venv());
        assert_eq!(crate::support::names(scratch.path()), right, "after kill {i}");
    }
    println!("venv: {times} runs, of which {killed} were killed before their end");
    killed
}

/// zlib and OpenSSL from the lock of the example are trees that take tenths of a second.
fn small_project(scratch: &Scratch) {
    let dir = std::path::Path::new(crate::support::REPO).join("examples/libraries");
    crate::support::shared_store();
    let pick = |text: &str, start: &str, want: &dyn Fn(&str) -> bool| -> String {
        let mut parts = text.split(start);
        let head = parts.next().unwrap().to_owned();
        parts.filter(|p| want(p)).fold(head, |all, p| all + start + p)
    };
    let manifest = std::fs::read_to_string(dir.join("toolchains.toml")).unwrap();
    scratch.write(
        "toolchains.toml",
        pick(&manifest, "[toolchains.", &|p| p.starts_with("zlib]") || p.starts_with("openssl]")),
    );
    let lock = std::fs::read_to_string(dir.join("toolchains.lock")).unwrap();
    scratch.write(
        "toolchains.lock",
        pick(&lock, "[[tree]]", &|p| {
            p.contains("name = \"zlib\"") || p.contains("name = \"openssl\"")
        }),
    );
}

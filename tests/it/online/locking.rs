//! Locks of real packages.

use std::path::Path;
use std::process::Command;

use crate::support::{Project, REPO, Scratch, clean, contains, fails, in_store, ok, shared_store};

#[test]
fn locking_twice_at_two_paths_in_two_profiles_gives_the_same_bytes() {
    // This is the profile that is not under test.
    let (profile, flags): (&str, &[&str]) =
        if cfg!(debug_assertions) { ("release", &["--release"]) } else { ("debug", &[]) };
    ok(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", "cotter"])
        .args(flags)
        .current_dir(REPO));
    let other = Path::new(env!("CARGO_BIN_EXE_cotter"))
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join(profile)
        .join("cotter");
    let manifest = std::fs::read_to_string(format!("{REPO}/toolchains.toml")).unwrap();
    let (here, there) = (Scratch::new(), Scratch::new());
    here.write("toolchains.toml", &manifest);
    there.write("another/path/toolchains.toml", &manifest);
    // Both stores may use only the downloads of the shared cache.
    for store in [here.join("store"), there.join("store")] {
        std::fs::create_dir_all(store.join("inputs")).unwrap();
        ok(Command::new("cp")
            .args(["-rlT"])
            .arg(shared_store().join("inputs"))
            .arg(store.join("inputs")));
    }
    ok(&mut in_store(&here.join("store"), here.path(), &["lock"]));
    let mut command = Command::new(other);
    clean(&mut command, there.path());
    ok(command
        .arg("lock")
        .current_dir(there.join("another/path"))
        .env("COTTER_STORE", there.join("store")));
    let first = std::fs::read_to_string(here.join("toolchains.lock")).unwrap();
    assert!(first == std::fs::read_to_string(there.join("another/path/toolchains.lock")).unwrap());
    ok(&mut in_store(&here.join("store"), here.path(), &["lock", "--upgrade"]));
    assert!(first == std::fs::read_to_string(here.join("toolchains.lock")).unwrap());
}

/// If no index is configured, the pip of the pinned Python fetches the package, because it knows its default index.
#[test]
fn a_real_tool_comes_as_a_wheel() {
    let manifest = crate::support::template("python");
    let mut project = Project::new(&format!("{manifest}[toolchains.ninja]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1.11.1.4\"\nsuite = \"bookworm\"\npackages = [\"libc6\", \"libstdc++6\"]\n").replace("\"aarch64-linux\", ", ""));
    project.store = shared_store().to_owned();
    project.ok(&["setup"]);
    // A project that has the lock but no trees asks only for the wheel. The Python that fetches it is made in the process.
    let fresh =
        Project::new(&std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap());
    std::fs::copy(project.dir().join("toolchains.lock"), fresh.dir().join("toolchains.lock"))
        .unwrap();
    contains(&fresh.ok(&["setup", "--locked", "ninja"]), &["ninja", "fetched"]);
    let work = Scratch::new();
    let ninja: std::path::PathBuf = project.ok(&["path", "ninja"]).trim().into();
    contains(
        &ok(crate::support::jail::jail(shared_store(), work.path())
            .arg(ninja.join("bin/ninja"))
            .arg("--version")),
        &["1.11.1"],
    );
}

/// A lock of version 1 is read, and is written anew without moving anything: every input stays. The trees themselves are those of the present recipes.
#[test]
fn a_lock_of_version_1_is_read_and_written_anew() {
    for example in ["libraries", "zig"] {
        let dir = Scratch::new();
        let manifest = format!("{REPO}/tests/locks/{example}.v1.toml");
        dir.write("toolchains.toml", std::fs::read_to_string(manifest).unwrap());
        let old = std::fs::read_to_string(format!("{REPO}/tests/locks/{example}.v1.lock")).unwrap();
        let lock = dir.write("toolchains.lock", &old);
        let run = |args: &[&str]| ok(&mut in_store(shared_store(), dir.path(), args));
        // It is stale for one reason only: the recipes make other trees today.
        let said = fails(3, &mut in_store(shared_store(), dir.path(), &["setup", "--locked"]));
        contains(&said, &["the recipe was \"", "cotter lock"]);
        assert!(!said.contains("was added") && !said.contains("was removed"), "{said}");
        assert_eq!(std::fs::read_to_string(&lock).unwrap(), old, "a setup does not write it");
        run(&["lock"]);
        let new = std::fs::read_to_string(&lock).unwrap();
        contains(&new, &["version = 2\n", "[tree.fingerprint]", "format = ", "component = "]);
        let hashes = |text: &str| -> std::collections::BTreeSet<String> {
            text.match_indices("sha256 = \"")
                .map(|(at, key)| text[at + key.len()..][..64].to_owned())
                .collect()
        };
        let (old, new) = (hashes(&old), hashes(&new));
        assert!(old.len() > 2 && old.is_subset(&new), "{:?}", old.difference(&new));
        run(&["lock", "--check"]);
    }
}

/// The interpreter determines the version, and therefore the directory of the packages, at any position in the list.
#[test]
fn the_interpreter_need_not_be_named_first() {
    let packages = "[\"ca-certificates\", \"python3.11\", \"libstdc++6\"]";
    let project = Project::new(&format!(
        "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = {packages}\n"
    ));
    std::fs::create_dir_all(project.store.join("inputs")).unwrap();
    ok(Command::new("cp")
        .args(["-rlT"])
        .arg(shared_store().join("inputs"))
        .arg(project.store.join("inputs")));
    project.ok(&["lock"]);
    contains(
        &project.lock_text(),
        &["version = \"3.11.2-", "spec = { version = \"3.11\", abi = \"cp311\" }"],
    );
    let said = project.ok(&[
        "exec",
        "--",
        "python3",
        "-c",
        "import ssl, sys; print(sys.version_info[:2])",
    ]);
    contains(&said, &["(3, 11)"]);
}

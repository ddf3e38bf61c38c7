//! The real Nix composes the trees of locks, out of real packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::{Nix, from_lock};
use crate::support::server::Server;
use crate::support::{Project, REPO, contains, in_store, library, ok, shared_store};

/// Returns a directory with `bin/cotter`.
fn program(nix: &Nix) -> PathBuf {
    let dir = nix.scratch.join("cotter");
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    crate::support::copy_program(env!("CARGO_BIN_EXE_cotter"), &dir.join("bin/cotter"));
    dir
}

/// Serves the downloads of the shared store under the paths that a lock names, for every tree whose files are there.
fn mirror(lock: &Path) -> Server {
    let server = Server::start();
    let text = std::fs::read_to_string(lock).unwrap();
    let lock = cotter::internals::Lockfile::parse(&text, "toolchains.lock").unwrap();
    for input in lock.trees.values().flat_map(|tree| &tree.plan.inputs) {
        let file = shared_store().join("inputs").join(input.sha256.hex());
        if let Ok(bytes) = std::fs::read(file) {
            // Nix asks for the address of a file whose name has an escape.
            server.put(&format!("/{}", input.locations[0].path()), bytes);
        }
    }
    server
}

/// Builds one tree of the lock in a directory of this repository by Nix, and compares it with the one that cotter has made.
fn build(nix: &Nix, dir: &str, name: &str, platform: &str) -> String {
    let path = Path::new(REPO).join(dir).join("toolchains.lock");
    let (server, text) = (mirror(&path), std::fs::read_to_string(&path).unwrap());
    let lock = cotter::internals::Lockfile::parse(&text, "toolchains.lock").unwrap();
    let mut trees = lock.trees.values();
    let tree = trees.find(|t| t.plan.name.as_str() == name && t.plan.platform.as_str() == platform);
    let store_name = tree.unwrap().output.store_name.as_str();
    let ours = shared_store().join("store").join(store_name);
    let more =
        format!("platform = \"{platform}\"; system = builtins.currentSystem; {}", mirrors(&server));
    let path = nix.build(&format!("({}).{name}", from_lock(&path, &program(nix), &more)));
    assert_eq!(path, format!("/nix/store/{store_name}"));
    let asked = |line: &String| [".deb", ".whl"].iter().any(|ending| line.contains(ending));
    assert!(server.log().iter().any(asked), "Nix fetched the files");
    let place = nix.place(&path);
    ok(Command::new("diff").args(["-r", "--no-dereference"]).arg(&place).arg(&ours));
    let hash = |tree: &Path| cotter::internals::hash_tree(tree).unwrap().0;
    assert_eq!(hash(&place), hash(&ours));
    ok(nix.command("nix-store").args(["--verify-path", &path]));
    path
}

/// Returns the argument that names a server for every family.
fn mirrors(server: &Server) -> String {
    let families = ["debian", "debian-security", "python"];
    let named: String = families.iter().map(|f| format!("{f} = \"{}\"; ", server.url)).collect();
    format!("mirrors = {{ {named}}};")
}

#[test]
fn nix_composes_a_library_a_tool_and_one_of_another_platform() {
    let nix = Nix::new();
    let dir = "examples/libraries";
    build(&nix, dir, "zlib", "x86_64-linux");
    let tool = build(&nix, dir, "pkg-config", "x86_64-linux");
    let version = ok(Command::new(nix.place(&tool).join("bin/pkg-config")).arg("--version"));
    contains(&version, &["1.8"]);
    let foreign = ["setup", "zlib", "--platform", "aarch64-linux"];
    ok(&mut in_store(shared_store(), &Path::new(REPO).join(dir), &foreign));
    build(&nix, dir, "zlib", "aarch64-linux");
}

#[test]
fn nix_composes_the_compiler_and_the_interpreter_of_this_repository() {
    let nix = Nix::new();
    let python = build(&nix, "", "python", "x86_64-linux");
    build(&nix, "", "gcc", "x86_64-linux");
    // A derivation uses it like any other.
    let lock = Path::new(REPO).join("toolchains.lock");
    let expression = format!(
        "let trees = {}; in derivation {{ name = \"said\"; system = \"x86_64-linux\"; builder = \"${{trees.python}}/bin/python3\"; args = [ \"-c\" \"import os, ssl; open(os.environ['out'], 'w').write(ssl.__file__)\" ]; }}",
        from_lock(&lock, &program(&nix), "platform = \"x86_64-linux\";")
    );
    let said = std::fs::read_to_string(nix.place(&nix.build(&expression))).unwrap();
    assert!(said.starts_with(&format!("{python}/")), "{said}");
}

#[test]
fn nix_composes_sets_of_python_packages_one_of_which_is_compiled() {
    let nix = Nix::new();
    build(&nix, "examples/flask", "app", "x86_64-linux");
    build(&nix, "examples/flask", "app-2020", "x86_64-linux");
    build(&nix, "examples/flask", "uv", "x86_64-linux");
}

#[test]
fn nix_takes_a_tree_from_a_cache_of_cotter_and_asks_for_no_key() {
    let nix = Nix::new();
    let dir = Path::new(REPO).join("examples/libraries");
    let (key, cache) = (nix.scratch.join("key"), nix.scratch.join("pushed"));
    ok(in_store(shared_store(), &dir, &["cache", "key", "test-1"]).arg(&key));
    let mut push = in_store(shared_store(), &dir, &["cache", "push"]);
    ok(push.arg(&cache).arg("--key").arg(&key).arg("zlib"));
    let lock = dir.join("toolchains.lock");
    let expression = format!("({}).zlib", from_lock(&lock, &program(&nix), ""));
    let file = nix.scratch.write("zlib.nix", expression);
    let mut build = nix.command("nix-build");
    build.arg(file).args(["--no-out-link", "--max-jobs", "0", "--option", "substituters"]);
    let path = ok(build.arg(format!("file://{}", cache.display())));
    assert_eq!(nix.place(path.trim()).file_name(), library("zlib").file_name());
}

/// Copies what git knows of this repository, so that nothing that was made in it is read.
fn checkout(nix: &Nix) -> PathBuf {
    let dir = nix.scratch.join("checkout");
    std::fs::create_dir(&dir).unwrap();
    let copy =
        format!("git ls-files -z | xargs -0 cp --parents --no-dereference -t {}", dir.display());
    ok(Command::new("sh").args(["-ec", &copy]).current_dir(REPO));
    dir
}

/// Returns a command of a Nix that knows flakes, whose builders also see `seen`, and the arguments that put the stand-in in the place of nixpkgs.
fn flake(nix: &Nix, verb: &[&str], dir: &Path, seen: &[&Path], input: &str) -> Command {
    let mut command = nix.command("nix");
    command.args(["--option", "experimental-features", "nix-command flakes", "--offline"]);
    let paths = seen.iter().map(|path| path.display().to_string());
    let paths: Vec<String> =
        ["/bin", "/lib", "/lib64", "/usr"].map(str::to_owned).into_iter().chain(paths).collect();
    command.args(["--option", "sandbox-paths", &paths.join(" ")]).args(verb);
    command.args(["--no-write-lock-file", "--override-input", input]);
    command.arg(format!("path:{}", nix.scratch.join("nixpkgs").display()));
    command.arg(format!("path:{}", dir.display()));
    command
}

/// Writes the stand-in for nixpkgs.
fn stand_in(nix: &Nix, settings: &serde_json::Value) {
    let text = std::fs::read(format!("{REPO}/tests/nix/nixpkgs/flake.nix")).unwrap();
    nix.scratch.write("nixpkgs/flake.nix", text);
    nix.scratch.write("nixpkgs/settings.json", settings.to_string());
}

#[test]
fn the_flake_and_its_example_pass_their_checks_without_network() {
    check_flakes(&Nix::new());
}

fn check_flakes(nix: &Nix) {
    let (checkout, program) = (checkout(nix), program(nix));
    stand_in(nix, &serde_json::json!({ "program": program.join("bin/cotter") }));
    let named = "builtins.mapAttrs (system: builtins.mapAttrs (name: made: made.name))";
    for (output, names) in [
        ("packages", &["cotter-0.1.0", "cotter-0.1.0"][..]),
        ("checks", &["cotter-0.1.0", "cotter-manual", "cotter-manual"]),
        ("devShells", &["shell"]),
    ] {
        let wanted = PathBuf::from(format!("{}#{output}", checkout.display()));
        let verb = ["eval", "--json", "--apply", named];
        let said = ok(&mut flake(nix, &verb, &wanted, &[], "nixpkgs"));
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        for system in ["aarch64-linux", "x86_64-linux"] {
            let mut got: Vec<&serde_json::Value> =
                said[system].as_object().unwrap().values().collect();
            got.sort_by_key(|name| name.to_string());
            assert_eq!(got, names, "{output}");
        }
    }
    ok(&mut flake(nix, &["flake", "check"], &checkout, &[&program], "nixpkgs"));
    assert!(nix.place(&built(nix, "cotter-manual")[0]).join("cotter.1").is_file());

    let example = nix.scratch.join("example");
    ok(Command::new("cp").arg("-r").arg(checkout.join("examples/nix")).arg(&example));
    let lock = example.join("toolchains.lock");
    let server = mirror(&lock);
    let text = std::fs::read_to_string(example.join("flake.nix")).unwrap();
    let named = mirrors(&server);
    assert!(text.contains("mirrors = { };"), "{text}");
    let text = text.replace("mirrors = { };", &named);
    std::fs::write(
        example.join("flake.nix"),
        text.replace("git+file:///path/to/cotter", &format!("path:{}", checkout.display())),
    )
    .unwrap();
    ok(&mut flake(nix, &["flake", "check"], &example, &[&program], "cotter/nixpkgs"));
    let counted = built(nix, "counted");
    assert_eq!(std::fs::read_to_string(nix.place(&counted[0])).unwrap(), "3\n");
    let ours = in_store(shared_store(), &Path::new(REPO).join("examples/nix"), &["path", "tools"]);
    let ours = PathBuf::from(ok(&mut { ours }).trim());
    assert!(nix.place("/nix/store").join(ours.file_name().unwrap()).is_dir());
}

#[test]
#[ignore = "full suite: compiles cotter for release"]
fn nix_compiles_cotter_out_of_vendored_crates_and_uses_it() {
    let nix = Nix::new();
    let checkout = checkout(&nix);
    let vendor = nix.scratch.join("vendor");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut fetch = Command::new(cargo);
    ok(fetch.args(["vendor", "--locked", "--quiet"]).arg(&vendor).current_dir(&checkout));
    let mut ask = Command::new("rustc");
    let toolchain = ok(ask.args(["--print", "sysroot"]).current_dir(REPO));
    let toolchain = Path::new(toolchain.trim());
    stand_in(&nix, &serde_json::json!({ "toolchain": toolchain, "vendor": vendor }));
    // The builder has no network, and of the machine it sees the Rust, the crates and the C compiler.
    let seen = [toolchain, &vendor, Path::new("/etc/alternatives")];
    ok(&mut flake(&nix, &["flake", "check"], &checkout, &seen, "nixpkgs"));
    let cotter = nix.place(&built(&nix, "cotter-0.1.0")[0]);
    let version = ok(Command::new(cotter.join("bin/cotter")).arg("--version"));
    contains(&version, &["cotter 0.1.0"]);
    let lock = Path::new(REPO).join("examples/libraries/toolchains.lock");
    let server = mirror(&lock);
    let path = nix.build(&format!("({}).zlib", from_lock(&lock, &cotter, &mirrors(&server))));
    assert_eq!(nix.place(&path).file_name(), library("zlib").file_name());
}

/// The newest Nix of Debian is itself a tree of cotter.
#[test]
#[ignore = "full suite: makes a Nix out of 95 packages of Debian's unstable suite"]
fn the_newest_nix_makes_the_same_trees() {
    let project = Project::new(
        "platforms = [\"x86_64-linux\"]\nsettings = { check_valid_until = false }\n[toolchains.nix]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"sid\"\npackages = [\"nix-bin\"]\n",
    );
    project.ok(&["setup"]);
    let programs = PathBuf::from(project.ok(&["path", "nix"]).trim()).join("bin");
    let nix = Nix { programs: Some(programs), ..Nix::new() };
    let version = ok(nix.command("nix").arg("--version"));
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    assert!(minor.is_some_and(|minor| minor >= 34), "{version}");
    build(&nix, "examples/libraries", "zlib", "x86_64-linux");
    build(&nix, "", "python", "x86_64-linux");
    check_flakes(&nix);
}

/// Returns the paths of a store whose names end in `name`.
fn built(nix: &Nix, name: &str) -> Vec<String> {
    let there = crate::support::names(&nix.place("/nix/store"));
    let found = there.iter().filter(|path| path.get(33..) == Some(name));
    let found: Vec<String> = found.map(|path| format!("/nix/store/{path}")).collect();
    assert!(!found.is_empty(), "{name} is not in {there:?}");
    found
}

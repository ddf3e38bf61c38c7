//! Flakes and expressions: the real Nix of this machine resolves them while locking, and builds what no cache has. What they say is hostile.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::{Nix, serve, without_nix};
use crate::support::server::Server;
use crate::support::{Project, contains, fails, names, ok};

/// The beginning of a flake and of an expression: packages that the shell of this machine builds.
const MAKE: &str = r#"
  make = name: word: extra: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\necho ${word}\n' > $out/bin/hello; chmod +x $out/bin/hello; if test -n \"$dev\"; then mkdir -p $dev/include; echo '#define X' > $dev/include/x.h; fi" ];
    PATH = "/usr/bin:/bin";
  } // extra);
"#;

fn flake() -> String {
    format!(
        "{{ outputs = {{ self }}: let {MAKE} in {{
  packages.x86_64-linux.hello = make \"hello-1.0\" \"hi\" {{ outputs = [ \"out\" \"dev\" ]; }};
  packages.aarch64-linux.hello = make \"hello-arm-1.0\" \"hi of arm\" {{ }};
  legacyPackages.x86_64-linux.set.old = make \"old-1.0\" \"old\" {{ }};
  plain = make \"plain-1.0\" \"plain\" {{ }};
  fails = throw \"this \\\"package\\\" is broken\";
  nothing = {{ a = 1; }};
  import = import (builtins.toString (make \"made.nix\" \"1\" {{ }}));
  passwd = builtins.readFile \"/etc/passwd\";
  home = make (builtins.getEnv \"HOME\") \"\" {{ }};
  out = import ../outside.nix;
  endless = let f = n: f (n + 1); in f 0;
  write = builtins.toFile \"x\" \"written\";
}}; }}"
    )
}

/// The store of Nix is shown to the programs, whose shell is that of the machine.
const RUN: [&str; 5] = ["exec", "--nix-store", "namespace", "--", "hello"];

/// A flake in a project, and a signed cache with what it describes.
struct Rig {
    nix: Nix,
    server: Server,
    project: Project,
}

fn rig() -> Rig {
    let project = Project::new("");
    project.scratch.write("project/nix/flake.nix", flake());
    let nix = Nix::new();
    let mut paths = vec![];
    for attribute in [
        "packages.x86_64-linux.hello.out",
        "packages.x86_64-linux.hello.dev",
        "packages.aarch64-linux.hello",
        "legacyPackages.x86_64-linux.set.old",
        "plain",
    ] {
        paths.push(build(&nix, &project.dir().join("nix"), attribute));
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let server = serve(&nix.copy(&paths, "cache", "zstd", true));
    Rig { nix, server, project }
}

/// Builds an attribute of a flake with the real Nix and returns its path.
fn build(nix: &Nix, flake: &Path, attribute: &str) -> String {
    let reference = format!("path:{}#{attribute}", flake.display());
    let flakes = ["--extra-experimental-features", "flakes"];
    ok(nix.command("nix").args(["build", "--no-link", &reference]).args(flakes));
    ok(nix.command("nix").args(["eval", "--raw", &format!("{reference}.outPath")]).args(flakes))
}

impl Rig {
    /// Writes a manifest for platforms with a table of the toolchain.
    fn manifest(&self, platforms: &str, table: &str) {
        self.project.manifest(&format!(
            "platforms = [{platforms}]\n[nix]\ncaches = [\"{}\"]\nkeys = [\"{}\"]\n[toolchains.hello]\nkind = \"tool\"\nsource = \"nix\"\n{table}\n",
            self.server.url, self.nix.key
        ));
    }

    /// Writes a manifest with a table of the toolchain for this machine.
    fn asks(&self, table: &str) {
        self.manifest("\"x86_64-linux\"", table);
    }
}

/// Returns the names and contents of the files of a project, without its lock.
fn files(project: &Project) -> String {
    ok(Command::new("sh")
        .args(["-c", "find . -type f ! -name 'toolchains.*' -exec sha256sum {} + | sort"])
        .current_dir(project.dir()))
}

#[test]
fn a_flake_is_locked_for_two_systems_and_then_needs_no_nix() {
    let rig = rig();
    let project = &rig.project;
    rig.manifest("\"x86_64-linux\", \"aarch64-linux\"", "flake = \"./nix#hello\"");
    let before = files(project);
    project.ok(&["lock"]);
    assert_eq!(files(project), before, "nothing is written into the project");
    let lock = project.lock_text();
    contains(
        &lock,
        &["-hello-1.0\"", "-hello-arm-1.0\"", "flake = \"./nix\", attribute = \"hello\""],
    );
    contains(&lock, &["-hello-1.0.drv\"", "flake.nix "]);
    assert!(!lock.contains(project.dir().to_str().unwrap()), "no path of this machine: {lock}");
    assert_eq!(project.ok(&RUN), "hi\n");
    // From now on, neither Nix nor an evaluation is needed.
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    ok(&mut without_nix(&project.cotter(&["lock", "--check"])));
    assert_eq!(ok(&mut without_nix(&project.cotter(&RUN))), "hi\n");
    ok(&mut without_nix(&project.cotter(&["lock"])));
    assert_eq!(project.lock_text(), lock);
    // A flake that changes makes the lock stale, without Nix, too.
    project.scratch.write("project/nix/flake.nix", flake().replace("\"hi\"", "\"ho\""));
    let said = fails(3, &mut without_nix(&project.cotter(&["lock", "--check"])));
    contains(&said, &["files: added nix/flake.nix "]);
    let said = fails(1, &mut without_nix(&project.cotter(&["lock"])));
    contains(
        &said,
        &["there is no Nix on this machine", "evaluator = \"NAME\"", "toolchains.toml:8:9"],
    );
    contains(&project.fails(5, &["lock"]), &["no cache has /nix/store/", "-hello-1.0"]);
    // A new flake.lock counts, too.
    project.scratch.write("project/nix/flake.nix", flake());
    project.ok(&["lock", "--check"]);
    project.scratch.write(
        "project/nix/flake.lock",
        "{\"nodes\":{\"root\":{}},\"root\":\"root\",\"version\":7}",
    );
    contains(&project.fails(3, &["lock", "--check"]), &["flake.lock"]);
}

#[test]
fn attributes_outputs_and_expressions_are_found_as_nix_finds_them() {
    let rig = rig();
    let project = &rig.project;
    let absolute = format!("flake = \"path:{}/nix#plain\"", project.dir().display());
    project.scratch.write(
        "project/default.nix",
        format!("{{ system ? builtins.currentSystem }}: let {MAKE} in {{ old = make \"old-1.0\" \"old\" {{ }}; }}"),
    );
    project.scratch.write(
        "project/one.nix",
        format!("{{ system }}: let {MAKE} in if system == \"x86_64-linux\" then make \"plain-1.0\" \"plain\" {{ }} else throw system"),
    );
    for (table, name) in [
        ("flake = \"./nix#hello\"", "hello-1.0"),
        ("flake = \"./nix#hello\"\noutput = \"dev\"", "hello-1.0-dev"),
        ("flake = \"./nix#packages.aarch64-linux.hello\"", "hello-arm-1.0"),
        ("flake = \"./nix#set.old\"", "old-1.0"),
        (absolute.as_str(), "plain-1.0"),
        ("file = \"default.nix\"\nattribute = \"old\"", "old-1.0"),
        ("file = \"one.nix\"", "plain-1.0"),
    ] {
        rig.asks(table);
        project.ok(&["lock"]);
        let lock = project.lock_text();
        contains(&lock, &[&format!("-{name}\""), "derivation = "]);
        project.ok(&["lock", "--check"]);
        assert_eq!(lock.contains("locked = \"path:"), table == absolute, "{lock}");
    }
    let said = |table: &str| {
        rig.asks(table);
        project.fails(1, &["lock"])
    };
    contains(
        &said("flake = \"./nix#hello\"\noutput = \"man\""),
        &["no output man: it has out dev"],
    );
    contains(
        &said("flake = \"./nix#none\""),
        &["Nix says:", "packages.x86_64-linux.none", "toolchains.toml:8:9"],
    );
    contains(&said("flake = \"./nix#nothing\""), &["it is no package"]);
    contains(&said("flake = \"./other#a\""), &["there is no ./other/flake.nix"]);
    contains(&said("file = \"other.nix\""), &["there is no other.nix"]);
    contains(&said("flake = \"nixpkgs#hello\""), &["toolchains.toml:8:9", "names of a registry"]);
    contains(
        &said("flake = \"./nix#a\"\nfile = \"one.nix\""),
        &["expected one of path, flake and file"],
    );
    contains(&said("output = \"dev\""), &["it belongs to a `flake` or a `file`"]);
    contains(&said("flake = \"./nix\"\nattribute = \"a\""), &["behind its reference"]);
}

#[test]
fn what_an_author_writes_reads_and_changes_nothing() {
    let rig = rig();
    let project = &rig.project;
    project.scratch.write("outside.nix", "\"secret\"");
    let before = files(project);
    let said = |table: &str, code: i32| {
        rig.asks(table);
        let mut command = project.cotter(&["lock"]);
        fails(code, command.env("COTTER_BUILD_TIMEOUT", "20"))
    };
    contains(
        &said("flake = \"./nix#fails\"", 1),
        &["Nix can't evaluate ./nix#fails", "this \"package\" is broken"],
    );
    contains(&said("flake = \"./nix#passwd\"", 1), &["/etc/passwd", "forbidden in pure eval"]);
    contains(&said("flake = \"./nix#home\"", 1), &["Nix can't evaluate"]);
    contains(&said("flake = \"./nix#out\"", 1), &["forbidden in pure eval"]);
    contains(&said("flake = \"./nix#import\"", 1), &["allow-import-from-derivation"]);
    contains(&said("flake = \"./nix#endless\"", 1), &["Nix can't evaluate"]);
    contains(&said("flake = \"./nix#write\"", 1), &["it is no package"]);
    for (text, words) in [
        ("builtins.readFile \"/etc/passwd\"", "/etc/passwd"),
        ("import ../outside.nix", "forbidden in restricted mode"),
        ("import <nixpkgs> { }", "nixpkgs"),
        ("builtins.fetchurl \"file:///etc/passwd\"", "forbidden in restricted mode"),
        ("builtins.exec [ \"touch\" \"/tmp/cotter-was-here\" ]", "exec"),
    ] {
        project.scratch.write("project/default.nix", text);
        contains(&said("file = \"default.nix\"", 1), &["Nix can't evaluate default.nix", words]);
    }
    std::fs::remove_file(project.dir().join("default.nix")).unwrap();
    std::os::unix::fs::symlink("../outside.nix", project.dir().join("link.nix")).unwrap();
    contains(&said("file = \"link.nix\"", 1), &["does not lie in the checkout"]);
    std::fs::remove_file(project.dir().join("link.nix")).unwrap();
    assert_eq!(files(project), before);
    project.assert_store_empty();
    // Nothing is evaluated before its author is trusted.
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    rig.asks("flake = \"./nix#hello\"");
    let mut command = project.cotter(&["lock"]);
    let said = fails(1, command.env_remove("COTTER_TRUST"));
    contains(
        &said,
        &["toolchains.toml:8: code of ./nix#hello, which Nix evaluates for the toolchain hello"],
    );
    assert!(!project.store.join("nix").exists());
}

/// The author of a lock chooses what is evaluated again.
#[test]
fn a_lock_that_names_another_flake_must_be_trusted() {
    let rig = rig();
    let project = &rig.project;
    rig.asks(&format!("flake = \"path:{}/nix#plain\"", project.dir().display()));
    project.ok(&["lock"]);
    ok(project.cotter(&["trust"]).env_remove("COTTER_TRUST"));
    ok(project.cotter(&["setup"]).env_remove("COTTER_TRUST"));
    let lock = project.lock_text();
    let hostile = lock.replace("locked = \"path:/", "locked = \"path:/srv/");
    assert_ne!(hostile, lock);
    project.scratch.write("project/toolchains.lock", hostile);
    let mut command = project.cotter(&["lock"]);
    let said = fails(1, command.env_remove("COTTER_TRUST"));
    contains(&said, &["code of path:/srv/", "#plain, which Nix evaluates for the toolchain hello"]);
    // Who trusts it all the same is told, also by a lock whose digests fit.
    crate::vouched::forge(project, &project.lock_text());
    let said = project.cotter(&["lock"]).output().unwrap();
    let other =
        ["is locked as path:/srv/", "which is another flake than path:/", "--upgrade hello"];
    contains(&String::from_utf8_lossy(&said.stderr), &other);
}

#[test]
fn an_evaluation_that_does_not_end_is_ended() {
    let rig = rig();
    rig.project.scratch.write(
        "project/default.nix",
        "let f = n: if n == 0 then 0 else f (n - 1); in builtins.foldl' (a: b: f 900) 0 (builtins.genList (n: n) 10000000)",
    );
    rig.asks("file = \"default.nix\"");
    let mut command = rig.project.cotter(&["lock"]);
    let said = fails(6, command.env("COTTER_BUILD_TIMEOUT", "2"));
    contains(&said, &["did not come to an end", "more than 2 s", "COTTER_BUILD_TIMEOUT"]);
}

#[test]
fn a_nix_that_is_too_old_or_none_is_told() {
    let rig = rig();
    rig.asks("flake = \"./nix#hello\"");
    let said = |script: &str| {
        rig.project.scratch.write("bin/nix", script);
        ok(Command::new("chmod").arg("0755").arg(rig.project.scratch.join("bin/nix")));
        let mut command = rig.project.cotter(&["lock"]);
        fails(1, command.env("PATH", rig.project.scratch.join("bin")))
    };
    let old = said("#!/bin/sh\necho 'nix (Nix) 2.3.16'\n");
    contains(&old, &["expected Nix 2.8 or newer, got 2.3", "install Nix 2.8 or newer"]);
    contains(&said("#!/bin/sh\necho hello\n"), &["got \"hello\""]);
    contains(
        &said("#!/bin/sh\necho no >&2; exit 3\n"),
        &["does not tell its version", "Nix says:", "no"],
    );
    let mut command = rig.project.cotter(&["lock"]);
    let none = fails(1, command.env("PATH", rig.project.scratch.join("empty")));
    contains(&none, &["there is no Nix on this machine", "evaluator = \"NAME\"", "needs no Nix"]);
}

/// A machine with Nix: the directory of its store, and a project whose commands use it.
fn machine<'c>(nix: &Nix, command: &'c mut Command) -> &'c mut Command {
    let root: PathBuf = nix.place("/nix/store").parent().unwrap().parent().unwrap().into();
    command.env("NIX_REMOTE", root).env("NIX_CONF_DIR", nix.scratch.join("etc"))
}

#[test]
fn what_no_cache_has_is_built_and_built_again_elsewhere() {
    let rig = rig();
    let project = &rig.project;
    // One path is in the cache, and the other refers to it.
    let new = flake().replace(
        "plain =",
        "both = make \"both-1.0\" \"both\" { hello = make \"hello-arm-1.0\" \"hi of arm\" { }; args = [ \"-c\" \"mkdir -p $out/bin; printf '#!/bin/sh\\n. %s/bin/hello\\necho both\\n' $hello > $out/bin/both; chmod +x $out/bin/both\" ]; };\n  plain =",
    );
    project.scratch.write("project/nix/flake.nix", &new);
    rig.asks("flake = \"./nix#both\"");
    contains(&project.fails(5, &["lock"]), &["no cache has /nix/store/", "-both-1.0"]);
    rig.asks("flake = \"./nix#both\"\nbuild = true");
    let here = Nix::new();
    let mut command = project.cotter(&["lock"]);
    let said = fails(1, command.env_remove("COTTER_TRUST"));
    contains(&said, &["which Nix evaluates for the toolchain hello, and which it builds"]);
    ok(machine(&here, &mut project.cotter(&["lock"])));
    let lock = project.lock_text();
    contains(&lock, &["built = true", "build = true", "signature = \"test-1:"]);
    assert_eq!(lock.matches("built = true").count(), 1, "{lock}");
    let run = ["exec", "--nix-store", "namespace", "--", "both"];
    assert_eq!(project.ok(&run), "hi of arm\nboth\n");
    project.ok(&["verify", "--deep"]);
    // The garbage collection of Nix leaves what was built.
    let path =
        lock.split('"').find(|word| word.starts_with("/nix/store/") && word.ends_with("-both-1.0"));
    ok(here.command("nix-store").args(["--gc"]));
    assert!(here.place(path.unwrap()).exists());
    // Another machine builds it again, and gets the same.
    let there = Nix::new();
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    ok(machine(&there, &mut project.cotter(&["setup", "--locked"])));
    assert_eq!(project.ok(&run), "hi of arm\nboth\n");
    assert_eq!(project.lock_text(), lock);
    // A cache that has it by now saves that, and Nix is not needed.
    let from = |cache: &std::path::PathBuf| {
        let mut command = project.cotter(&["setup", "--locked"]);
        command.env("COTTER_MIRROR_NIX", format!("file://{}", cache.display()));
        without_nix(&command)
    };
    std::fs::rename(&project.store, project.scratch.join("second")).unwrap();
    // The lock has no signature of what was built, so the cache must have one that counts.
    let unsigned = here.copy(&[path.unwrap()], "unsigned", "zstd", false);
    contains(&fails(1, &mut from(&unsigned)), &["nobody who is trusted has signed there"]);
    std::fs::copy(rig.nix.scratch.join("secret"), here.scratch.join("secret")).unwrap();
    ok(&mut from(&here.copy(&[path.unwrap()], "pushed", "zstd", true)));
    // Without both, the next step is told.
    std::fs::rename(&project.store, project.scratch.join("third")).unwrap();
    let said = fails(1, &mut without_nix(&project.cotter(&["setup", "--locked"])));
    contains(&said, &["-both-1.0, and it can't be built", "there is no Nix on this machine"]);
    // Without leave, it is no entry of this manifest.
    rig.asks("flake = \"./nix#both\"");
    contains(&project.fails(3, &["lock", "--check"]), &["build: removed true"]);
}

#[test]
fn a_build_that_fails_or_differs_is_told() {
    let rig = rig();
    let project = &rig.project;
    project.scratch.write(
        "project/nix/flake.nix",
        format!("{{ outputs = {{ self }}: let {MAKE} in {{
  odd = make \"odd-1.0\" \"odd\" {{ args = [ \"-c\" \"mkdir -p $out/bin; cat /proc/sys/kernel/random/uuid > $out/bin/odd\" ]; }};
  bad = make \"bad-1.0\" \"bad\" {{ args = [ \"-c\" \"echo first words; echo last words >&2; exit 7\" ]; }};
}}; }}"),
    );
    let here = Nix::new();
    rig.asks("flake = \"./nix#bad\"\nbuild = true");
    let said = fails(6, machine(&here, &mut project.cotter(&["lock"])));
    contains(&said, &["Nix can't build /nix/store/", "first words", "last words", "exit code 7"]);
    assert!(!project.dir().join("toolchains.lock").exists());
    project.assert_store_empty();
    rig.asks("flake = \"./nix#odd\"\nbuild = true");
    ok(machine(&here, &mut project.cotter(&["lock"])));
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    // Where it was built, it is still there.
    ok(machine(&here, &mut project.cotter(&["setup", "--locked"])));
    std::fs::rename(&project.store, project.scratch.join("second")).unwrap();
    let there = Nix::new();
    let said = fails(4, machine(&there, &mut project.cotter(&["setup", "--locked"])));
    contains(
        &said,
        &["is not reproducible", "expected the NAR hash sha256-", "got sha256-", "--upgrade hello"],
    );
    project.assert_store_empty();
    let left = names(Path::new("/nix/store"));
    assert!(!left.iter().any(|name| name.ends_with("-bad-1.0")), "{left:?}");
}

//! Redirection: every function that the preloaded library wraps, in a tree that contains a program of this test; and programs of real packages whose paths are compiled in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archives::manifest;
use crate::support::archive::Tar;
use crate::support::jail::jail;
use crate::support::server::Server;
use crate::support::{Project, REPO, Scratch, contains, ok, shared_store, tree};

/// A project whose only tree contains `tests/redirect/calls.c`, compiled by the pinned GCC, with a shell and a library that it loads.
fn calls() -> Project {
    let scratch = Scratch::new();
    let gcc = tree("gcc").join("bin/gcc");
    let compile = |name: &str, args: &[&str]| {
        let out = scratch.join(name);
        ok(Command::new(&gcc).args(args).arg("-o").arg(&out).current_dir(scratch.path()));
        std::fs::read(out).unwrap()
    };
    scratch.write("neighbour.c", "int forty(void) { return 40; }\n");
    scratch.write("plug.c", "int forty(void);\nint answer(void) { return forty() + 2; }\n");
    let shared = ["-shared", "-fPIC"];
    let neighbour = compile("libneighbour.so", &[&shared[..], &["neighbour.c"]].concat());
    let linked = ["plug.c", "-L.", "-lneighbour", "-Wl,-rpath,$ORIGIN"];
    let plug = compile("plug.so", &[&shared[..], &linked].concat());
    let program = compile("calls", &["-O2", &format!("{REPO}/tests/redirect/calls.c")]);
    let archive = Tar::new()
        .program("usr/bin/calls", &program)
        .file("usr/lib/calls/libneighbour.so", &neighbour)
        .file("usr/lib/calls/plug.so", &plug)
        .program("usr/lib/calls/run.sh", b"#!/bin/sh -e\necho \"${0##*/} $*\"\n")
        .program("usr/lib/calls/env.sh", b"#!/usr/bin/env sh\necho \"${0##*/} $*\"\n")
        .file("usr/share/calls/data", b"data\n")
        .symlink("usr/share/calls/link", "data")
        .file("usr/share/calls/dir/one", b"")
        .finish();
    let server = Server::start();
    let url = server.put("/calls.tar", archive.clone());
    let runtime = "suite = \"bookworm\"\npackages = [\"libc6\", \"libc-bin\", \"dash\"]";
    let mut project = Project::new(&manifest(&url, &archive, runtime));
    project.store = shared_store().to_owned();
    project.ok(&["setup"]);
    project
}

/// The names of the functions that the committed library wraps.
fn wrapped() -> BTreeSet<String> {
    let bytes = std::fs::read(format!("{REPO}/launcher/redirect-x86_64.so")).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let defined = elf.dynsyms.iter().filter(|s| !s.is_import() && s.is_function());
    defined.map(|s| elf.dynstrtab.get_at(s.st_name).unwrap().to_owned()).collect()
}

/// Runs the program; every check must have succeeded, and none may be missing.
fn check(command: &mut Command) {
    let said = ok(command);
    let failed: Vec<&str> = said.lines().filter(|l| !l.starts_with("ok ")).collect();
    assert!(failed.is_empty(), "{command:?}\n{}", failed.join("\n"));
    let names: BTreeSet<String> =
        said.lines().filter_map(|l| l.strip_prefix("ok ")).map(str::to_owned).collect();
    let missing: Vec<String> = wrapped().difference(&names).cloned().collect();
    assert!(missing.is_empty(), "no check of {missing:?}");
    contains(&said, &["ok the program's own path\n", "ok configuration that no package owns\n"]);
}

#[test]
fn every_wrapped_function_gives_what_the_tree_has() {
    let project = calls();
    project.ok(&["setup"]);
    let tree: PathBuf = project.ok(&["path", "thing"]).trim().into();
    let work = Scratch::new();
    work.write("data", "data\n");
    let at = work.path();
    check(Command::new(tree.join("bin/calls")).arg("host").arg(at).env_clear());
    let pure = format!("{}:{}", shared_store().display(), at.display());
    check(
        Command::new(tree.join("bin/calls"))
            .arg("pure")
            .arg(at)
            .env_clear()
            .env("COTTER_PURE", pure),
    );
    check(jail(shared_store(), at).arg(tree.join("bin/calls")).arg("jail").arg(at));
    // A path with characters that are special to the loader and to patterns.
    let moved = Scratch::new();
    let store = moved.join("moved [to] a * store");
    std::fs::create_dir_all(store.join("store")).unwrap();
    ok(Command::new("cp").arg("-a").arg(&tree).arg(store.join("store")));
    let copy = store.join("store").join(tree.file_name().unwrap());
    check(jail(&store, at).arg(copy.join("bin/calls")).arg("jail").arg(at));
}

/// What a program of the tree opens on the host, with the machine's configuration left out.
fn opened(work: &Path, command: &[&str]) -> (String, Vec<String>) {
    let log = work.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=open,openat,execve,readlink", "-o"]).arg(&log);
    let said = ok(strace
        .args(command)
        .current_dir(work)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", work));
    let trace = std::fs::read_to_string(&log).unwrap();
    assert!(trace.contains("/lib/.cotter/redirect.so"), "{command:?} is not redirected");
    let configuration =
        ["/etc/ld.so.preload", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd"];
    let host = trace
        .lines()
        .filter(|l| !l.contains(" = -1 ") && !l.contains("readlink"))
        .filter_map(|l| l.split('"').nth(1))
        .filter(|p| ["/usr/", "/lib", "/etc/", "/bin/", "/sbin/"].iter().any(|d| p.starts_with(d)))
        .filter(|p| !configuration.contains(p))
        .map(str::to_owned)
        .collect();
    (said, host)
}

/// Two releases, because their packages keep their files in different places.
#[test]
fn interpreters_find_their_own_modules_and_nothing_of_the_host() {
    for suite in ["bookworm", "trixie"] {
        let table = |name: &str, packages: &str| {
            format!(
                "[toolchains.{name}]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"{suite}\"\npackages = [{packages}]\n"
            )
        };
        let tables = [
            table("perl", "\"perl\", \"perl-base\""),
            table("bison", "\"bison\""),
            table("lua", "\"lua5.4\", \"lua-socket\""),
        ];
        let mut project = Project::new(&tables.join("\n"));
        project.store = shared_store().to_owned();
        project.ok(&["setup"]);
        let program = |tool: &str, name: &str| {
            let tree = project.ok(&["path", tool]);
            format!("{}/bin/{name}", tree.trim())
        };
        let work = Scratch::new();
        work.write("g.y", "%%\ns: 'a';\n%%\n");
        let perl = program("perl", "perl");
        let script = "use strict; use POSIX; use Encode; use File::Temp; print POSIX::floor(3.7), readlink('/proc/self/exe')";
        let bison = program("bison", "bison");
        let lua = program("lua", "lua5.4");
        let commands: [(&[&str], String); 3] = [
            (&[&perl, "-e", script], format!("3{}", perl.replace("/bin/", "/usr/bin/"))),
            (&[&bison, "-o", "g.c", "g.y"], String::new()),
            (&[&lua, "-e", "io.write(type(require('socket').tcp))"], "function".to_owned()),
        ];
        for (command, expected) in commands {
            let (said, host) = opened(work.path(), command);
            assert_eq!(said, expected, "{command:?} of {suite}");
            assert!(host.is_empty(), "{command:?} of {suite} opened {host:?}");
            let said = ok(jail(shared_store(), work.path()).args(command));
            assert_eq!(said, expected, "{command:?} of {suite} in the jail");
        }
        // bison has told m4 where its skeletons are, as a path that is compiled into bison alone.
        contains(&std::fs::read_to_string(work.join("g.c")).unwrap(), &["yyparse (void)"]);
    }
}

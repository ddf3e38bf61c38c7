//! A program that links pinned zlib, OpenSSL and libpq.

use std::path::Path;

use crate::support::jail::jail;
use crate::support::{REPO, Scratch, contains, in_store, library, ok, shared_store, tree};

const EXPECTED: [&str; 3] = ["openssl 3.0.", "sha256(abc) ba78...", "no server, as expected"];

fn exec(args: &[&str]) -> std::process::Command {
    let mut command =
        in_store(shared_store(), &Path::new(REPO).join("examples/libraries"), &["exec", "--"]);
    command.args(args);
    command
}

#[test]
fn the_example_builds_and_runs_on_this_machine_and_in_the_jail() {
    let scratch = Scratch::new();
    let out = scratch.join("main");
    let path = out.to_str().unwrap();
    ok(&mut exec(&["sh", "build.sh", path]));
    contains(&ok(&mut std::process::Command::new(&out)), &EXPECTED);
    ok(&mut exec(&["sh", "build.sh", path, "-specs=pinned-libc.specs"]));
    contains(&ok(jail(shared_store(), scratch.path()).arg(&out)), &EXPECTED);
}

/// The compiler's tree has a zlib of its own, for its linker. It does not hide that of a library tree.
#[test]
fn a_program_with_the_pinned_libc_takes_the_library_and_not_the_compilers_own() {
    assert!(tree("gcc").join("usr/lib/x86_64-linux-gnu/libz.so.1").exists());
    let scratch = Scratch::new();
    let source = scratch.write(
        "z.c",
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdio.h>\n#include <zlib.h>\nint main(void) {\n  Dl_info info;\n  dladdr((void *)zlibVersion, &info);\n  puts(info.dli_fname);\n}\n",
    );
    let out = scratch.join("z");
    let (source, path) = (source.to_str().unwrap(), out.to_str().unwrap());
    ok(&mut exec(&["gcc", "-specs=pinned-libc.specs", source, "-lz", "-o", path]));
    let said = ok(jail(shared_store(), scratch.path()).arg(&out));
    assert!(said.starts_with(library("zlib").to_str().unwrap()), "{said}");
}

#[test]
fn the_libraries_link_statically_too() {
    let scratch = Scratch::new();
    let out = scratch.join("main");
    let libpq = library("libpq");
    let include = format!("-I{}/usr/include/postgresql", libpq.display());
    let dir = format!("-L{}/usr/lib/postgresql/15/lib", libpq.display());
    let fixed = [
        "-Wl,-Bstatic",
        "-lpq",
        "-lpgcommon",
        "-lpgport",
        "-lssl",
        "-lcrypto",
        "-lz",
        "-Wl,-Bdynamic",
    ];
    // Debian has no static Kerberos, and LDAP needs it.
    let rest = ["-l:libgssapi_krb5.so.2", "-l:libldap-2.5.so.0"];
    ok(exec(&[
        "gcc",
        "main.c",
        "-specs=pinned-libc.specs",
        &include,
        &dir,
        "-o",
        out.to_str().unwrap(),
    ])
    .args(fixed)
    .args(rest));
    contains(&ok(jail(shared_store(), scratch.path()).arg(&out)), &EXPECTED);
    let needed = ok(std::process::Command::new("readelf").arg("-d").arg(&out));
    for name in ["libpq.so", "libssl.so", "libcrypto.so", "libz.so"] {
        assert!(!needed.contains(name), "{name} is linked dynamically:\n{needed}");
    }
}

#[test]
fn the_compiler_can_be_asked_with_libraries_at_hand() {
    // Configure scripts ask in this way, and nothing may be linked.
    let mut command = exec(&["gcc", "-v"]);
    assert!(command.output().unwrap().status.success());
    ok(&mut exec(&["gcc", "-dumpmachine"]));
}

/// With `libraries = [...]`, the libraries are in the compiler's own sysroot, and the command line need not name them.
#[test]
fn a_compiler_with_libraries_in_its_sysroot() {
    let manifest = std::fs::read_to_string(format!("{REPO}/examples/libraries/toolchains.toml"))
        .unwrap()
        .replace("\"aarch64-linux\", ", "");
    let head = manifest.find("[toolchains.openssl]").unwrap();
    let text = manifest[..head].replace(
        "packages = [\"gcc-12\", \"g++-12\"]",
        "packages = [\"gcc-12\", \"g++-12\"]\nlibraries = [\"zlib\"]",
    );
    let mut project = crate::support::Project::new(&text);
    project.store = shared_store().to_owned();
    let source = project.scratch.write(
        "work/z.c",
        "#include <stdio.h>\n#include <zlib.h>\nint main(void) { puts(zlibVersion()); }\n",
    );
    let out = project.scratch.join("work/z");
    project.ok(&[
        "exec",
        "gcc",
        "--",
        "gcc",
        "-specs=pinned-libc.specs",
        source.to_str().unwrap(),
        "-lz",
        "-o",
        out.to_str().unwrap(),
    ]);
    let work = project.scratch.join("work");
    contains(&ok(jail(shared_store(), &work).arg(&out)), &["1.2.13"]);
}

#[test]
fn pkg_config_names_no_host_path() {
    let answer = ok(&mut exec(&["pkg-config", "--cflags", "--libs", "libpq", "openssl", "zlib"]));
    let store = shared_store().display().to_string();
    for word in answer.split_whitespace() {
        if let Some(path) = word.strip_prefix("-I").or_else(|| word.strip_prefix("-L")) {
            assert!(path.starts_with(&store), "{word} in {answer}");
        }
    }
    contains(&answer, &["-lpq", "-lssl", "-lz"]);
    // The host may have this package, and no tree has it.
    assert!(!exec(&["pkg-config", "--exists", "glib-2.0"]).status().unwrap().success());
}

#[test]
fn a_library_tree_holds_no_libc_and_no_program() {
    let zlib = library("zlib");
    assert!(
        zlib.join("usr/include/zlib.h").exists()
            && zlib.join("usr/lib/x86_64-linux-gnu/libz.a").exists()
    );
    assert!(!zlib.join("usr/lib/x86_64-linux-gnu/libc.so.6").exists());
    assert!(!library("libpq").join("usr/bin").exists());
}

//! What is built from source code with pinned toolchains: real packages, in the sandbox, with the same result wherever it is built.

use std::path::Path;
use std::process::Command;

use crate::support::archive::{Tar, gzip};
use crate::support::jail::jail_as_nobody;
use crate::support::{Project, Scratch, contains, fails, in_store, ok, shared_store};

/// The compiler and the tools of every test of this module, so that their trees are made once.
pub const TOOLCHAINS: &str = r#"
platforms = ["x86_64-linux"]

[settings]
check_valid_until = false

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "g++-12"]

[toolchains.tools]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["dash", "coreutils", "make", "sed", "grep", "mawk", "findutils", "diffutils", "tar", "gzip", "patch", "file", "pkg-config"]
"#;

const ZLIB: &str = r#"
[toolchains.zlib]
kind = "library"
source = "build"
version = "1.2.13"
url = "mirror://debian/pool/main/z/zlib/zlib_1.2.13.dfsg.orig.tar.bz2"
sha256 = "71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1"
with = ["gcc", "tools"]
steps = ["./configure --prefix=/usr --libdir=/usr/lib/x86_64-linux-gnu", "make -j$JOBS", "make install DESTDIR=/out"]
"#;

const HELLO: &str = r#"
[toolchains.hello]
kind = "tool"
source = "build"
version = "1.0"
url = "./hello.tar.gz"
patches = ["patches/greeting.patch"]
with = ["gcc", "tools"]
libraries = ["zlib"]
build_env = { GREETING = "built" }
steps = [
    "gcc -DWHERE='\"/usr/share/hello/text\"' -DHOW=\"\\\"$GREETING\\\"\" hello.c -o hello -lz",
    "./hello > now",
    "mkdir -p /out/usr/bin /out/usr/share/hello",
    "cp hello /out/usr/bin",
    "cp now /out/usr/share/hello/text",
    "printf '#!/bin/sh\\nexec hello\\n' > /out/usr/bin/again && chmod +x /out/usr/bin/again",
]
prune = ["usr/bin/again"]
"#;

const SOURCE: &[u8] = br#"#include <stdio.h>
#include <zlib.h>
int main(void) {
    char line[100] = "no text\n";
    FILE *file = fopen(WHERE, "r");
    if (file) fgets(line, sizeof line, file);
    printf("goodbye, %s with zlib %s; %s", HOW, zlibVersion(), line);
    return 0;
}
"#;

const PATCH: &str = "--- a/hello.c\n+++ b/hello.c\n@@ -4,5 +4,5 @@\n     char line[100] = \"no text\\n\";\n     FILE *file = fopen(WHERE, \"r\");\n     if (file) fgets(line, sizeof line, file);\n-    printf(\"goodbye, %s with zlib %s; %s\", HOW, zlibVersion(), line);\n+    printf(\"hello, %s with zlib %s; %s\", HOW, zlibVersion(), line);\n     return 0;\n";

/// Returns a project with a library and a program that is linked to it, both built from source.
fn project() -> Project {
    let project = Project::new(&format!("{TOOLCHAINS}{ZLIB}{HELLO}"));
    let tar = Tar::new().dir("hello-1.0").file("hello-1.0/hello.c", SOURCE).finish();
    project.scratch.write("project/hello.tar.gz", gzip(&tar));
    project.scratch.write("project/patches/greeting.patch", PATCH);
    project
}

fn cotter(project: &Project, args: &[&str]) -> Command {
    in_store(shared_store(), &project.dir(), args)
}

#[test]
fn a_library_and_a_program_are_built_and_are_the_same_everywhere() {
    let project = project();
    ok(&mut cotter(&project, &["lock"]));
    ok(&mut cotter(&project, &["lock", "--check"]));
    ok(&mut cotter(&project, &["audit", "tree", "hello", "zlib"]));

    // It runs where nothing of a host exists, and at another path.
    let tree = ok(&mut cotter(&project, &["path", "hello"]));
    let work = Scratch::new();
    ok(Command::new("chmod").arg("0777").arg(work.path()));
    let says = "hello, built with zlib 1.2.13; hello, built with zlib 1.2.13; no text\n";
    let program = format!("{}/bin/hello", tree.trim());
    assert_eq!(ok(jail_as_nobody(shared_store(), work.path()).arg(program)), says);
    let moved = work.join("a b");
    ok(Command::new("cp").arg("-a").arg(tree.trim()).arg(&moved));
    assert_eq!(ok(jail_as_nobody(shared_store(), work.path()).arg(moved.join("bin/hello"))), says);

    // Another store, to which no result has come, builds the same.
    ok(&mut project.cotter(&["setup", "--locked", "hello", "zlib"]));
    assert!(project.stored("store").iter().any(|name| name.contains("-hello-1.0-")));
    assert_eq!(ok(&mut project.cotter(&["exec", "hello", "--", "hello"])), says);
    ok(&mut project.cotter(&["verify", "--deep"]));

    // Where it comes from.
    let why = ok(&mut cotter(&project, &["why", "hello"]));
    contains(
        &why,
        &[
            "is built from hello.tar.gz",
            "with the patch greeting.patch",
            "with gcc, tools, zlib",
            "zlib_1.2.13.dfsg.orig.tar.bz2, sha256 71feb79",
            "in all: 2 built, 2 composed; 3 sources,",
        ],
    );
    let key = project.scratch.join("key");
    let public = ok(&mut project.cotter(&["cache", "key", "team-1", key.to_str().unwrap()]));
    let signed =
        ok(&mut cotter(&project, &["provenance", "hello", "--key", key.to_str().unwrap()]));
    let file = project.scratch.write("hello.intoto.json", &signed);
    let verify = |public: &str, name: &str| {
        let file = file.to_str().unwrap().to_owned();
        let mut command = cotter(&project, &["provenance", name, "--verify", &file]);
        command.args(["--signer", public.trim()]);
        command
    };
    contains(&ok(&mut verify(&public, "hello")), &["is as team-1 has signed it"]);
    contains(&fails(4, &mut verify(&public, "zlib")), &["its subject is not that of the lock"]);
    let other = project.scratch.join("other");
    let other = ok(&mut project.cotter(&["cache", "key", "team-1", other.to_str().unwrap()]));
    contains(&fails(4, &mut verify(&other, "hello")), &["expected a valid signature of team-1"]);

    // What was asked for is what was built.
    let lock = project.lock_text();
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace("GREETING = \"built\"", "GREETING = \"made\""));
    contains(
        &fails(3, &mut cotter(&project, &["lock", "--check"])),
        &["hello for x86_64-linux", "build_env: added GREETING=made"],
    );
    project.manifest(&manifest);
    project.scratch.write(
        "project/patches/greeting.patch",
        PATCH.replace("+    printf(\"hello", "+    printf(\"good day"),
    );
    contains(&fails(3, &mut cotter(&project, &["lock", "--check"])), &["patches/greeting.patch"]);
    project.scratch.write("project/patches/greeting.patch", PATCH);
    project.scratch.write(
        "project/toolchains.lock",
        lock.replace("make install DESTDIR=/out", "make install DESTDIR=/out;"),
    );
    contains(&fails(4, &mut cotter(&project, &["setup", "--frozen"])), &["was edited"]);

    // What is built with something that has changed is built again.
    project.scratch.write("project/toolchains.lock", &lock);
    project.manifest(&manifest.replace(
        "make install DESTDIR=/out\"]\n",
        "make install DESTDIR=/out\", \"echo > /out/usr/include/more.h\"]\n",
    ));
    ok(&mut cotter(&project, &["lock"]));
    let store_names = |text: &str, name: &str| -> Vec<String> {
        let all = text.lines().filter_map(|line| line.strip_prefix("store_name = "));
        all.filter(|line| line.contains(name)).map(str::to_owned).collect()
    };
    let new = project.lock_text();
    assert_ne!(store_names(&lock, "-zlib-"), store_names(&new, "-zlib-"));
    // The program itself came out the same.
    assert_eq!(store_names(&lock, "-hello-"), store_names(&new, "-hello-"));
    ok(&mut cotter(&project, &["lock", "--check"]));
}

#[test]
#[ignore = "full suite: CPython takes minutes"]
fn an_interpreter_is_built_from_source() {
    let project =
        Project::new(&format!("{TOOLCHAINS}{}", include_str!("../../building/cpython.toml")));
    ok(&mut cotter(&project, &["lock"]));
    ok(&mut cotter(&project, &["audit", "tree", "python"]));
    let tree = ok(&mut cotter(&project, &["path", "python"]));
    let work = Scratch::new();
    ok(Command::new("chmod").arg("0777").arg(work.path()));
    let moved = work.join("a b");
    ok(Command::new("cp").arg("-a").arg(tree.trim()).arg(&moved));
    for place in [Path::new(tree.trim()), &moved] {
        let python = |args: &[&str]| {
            let mut command = jail_as_nobody(shared_store(), work.path());
            ok(command.arg(place.join("bin/python3")).args(args))
        };
        let modules = "import ssl, sqlite3, readline, ctypes, lzma, bz2, zlib, pyexpat, uuid, curses, dbm.gnu, dbm.ndbm; print(ssl.OPENSSL_VERSION)";
        contains(&python(&["-c", modules]), &["OpenSSL 3.0"]);
        // Nothing tells where it was built.
        let variables = python(&["-c", "import sysconfig; print(sysconfig.get_config_vars())"]);
        for path in ["/cotter/", "/build/"] {
            assert!(!variables.contains(path), "{path} in {variables}");
        }
        contains(&python(&["-m", "pip", "--version"]), &["pip "]);
    }
    // Its own tests, where there is no shell, no user, no name of a host and no directory of modules that can be written.
    let modules: Vec<&str> = MODULES.split_whitespace().collect();
    assert!(modules.len() >= 120);
    let mut tests = jail_as_nobody(shared_store(), work.path());
    tests.arg(format!("{}/bin/python3", tree.trim()));
    tests.args(["-m", "test", "-j2", "--timeout", "300"]).args(&modules);
    contains(&ok(&mut tests), &[&format!("All {} tests OK.", modules.len())]);
}

/// The modules of CPython's own tests that pass in the jail. The others need what is not there: `/bin/sh` (`test_pdb`, `test_pipes`), users (`test_grp`, `test_spwd`, `test_pathlib`, `test_posixpath`, `test_urllib`), the name
/// localhost (`test_httplib`, `test_logging`, `test_poll`, `test_ssl`, `test_urllib2`, `test_socketserver`), a tree that can be written (`test_bdb`, `test_import`), a display, or minutes.
const MODULES: &str = include_str!("../../building/cpython-modules.txt");

/// The tools of real packages, which need more than those of the other tests.
const MORE_TOOLS: &str = r#"
platforms = ["x86_64-linux"]

[settings]
check_valid_until = false

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "g++-12"]

[toolchains.tools]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["dash", "bash", "coreutils", "make", "sed", "grep", "gawk", "findutils", "diffutils", "tar", "gzip", "bzip2", "xz-utils", "patch", "file", "pkg-config", "perl", "m4", "autoconf", "automake", "libtool", "gettext", "texinfo", "cmake", "ninja-build", "meson", "bison", "flex", "tcl8.6", "autopoint"]
"#;

const MESON: &[u8] = b"project('pv', 'c', version: '1.1')\nz = dependency('zlib')\nc = dependency('libcjson')\nexecutable('pv', 'pv.c', dependencies: [z, c], install: true)\n";

const PV: &[u8] = br#"#include <stdio.h>
#include <zlib.h>
#include <cjson/cJSON.h>
int main(void) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "zlib", zlibVersion());
    puts(cJSON_PrintUnformatted(o));
    return 0;
}
"#;

#[test]
#[ignore = "full suite: ten real packages take a quarter of an hour"]
fn real_packages_are_built_from_source_and_work() {
    let project =
        Project::new(&format!("{MORE_TOOLS}{}", include_str!("../../building/packages.toml")));
    let tar = Tar::new().dir("pv").file("pv/meson.build", MESON).file("pv/pv.c", PV).finish();
    project.scratch.write("project/pv.tar.gz", gzip(&tar));
    ok(&mut cotter(&project, &["lock"]));
    let work = Scratch::new();
    ok(Command::new("chmod").arg("0777").arg(work.path()));
    work.write("Makefile", "all:\n\t@echo made by $(MAKE_VERSION)\n");
    work.write("text", "some text\n".repeat(1000));
    for (name, args, expected) in [
        ("make", &["make", "--version"][..], "GNU Make 4.3"),
        ("xz", &["xz", "-k", "-f", "text"], ""),
        ("xz", &["xz", "-d", "-c", "text.xz"], "some text"),
        (
            "sqlite",
            &["sqlite3", ":memory:", "select sqlite_version() || ' ' || (6 * 7)"],
            "3.40.1 42",
        ),
        ("bash", &["bash", "-c", "echo ${BASH_VERSION} $((6 * 7))"], "5.2.15(1)-release 42"),
        ("openssl", &["openssl", "dgst", "-sha256", "text"], "SHA2-256(text)= "),
        ("binutils", &["objdump", "--version"], "(GNU Binutils) 2.40"),
        ("pv", &["pv"], "{\"zlib\":\"1.2.13\"}"),
    ] {
        let tree = ok(&mut cotter(&project, &["path", name]));
        let program = format!("{}/bin/{}", tree.trim(), args[0]);
        let mut command = jail_as_nobody(shared_store(), work.path());
        contains(&ok(command.arg(program).args(&args[1..])), &[expected]);
    }
}

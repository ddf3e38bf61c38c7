//! Sysroots, and `cotter export sysroot`, without network access.

use std::os::unix::fs::PermissionsExt;

use cotter::internals::Digest;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, text};

const SCRIPT: &[u8] = b"/* GNU ld script */\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 /usr/lib/x86_64-linux-gnu/libc_nonshared.a AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) /opt/libx.so )\n";

/// Returns a project whose manifest asks for a sysroot out of a local archive.
fn project(server: &Server) -> Project {
    let bytes = Tar::new()
        .dir("usr/bin/")
        .program("usr/bin/helper", b"#!/bin/sh\n")
        .file("usr/include/stdio.h", b"int puts(const char *);\n")
        .file("usr/lib/x86_64-linux-gnu/libc.so.6", b"a libc")
        .file("usr/lib/x86_64-linux-gnu/libc_nonshared.a", b"!<arch>\n")
        .file("usr/lib/x86_64-linux-gnu/libc.so", SCRIPT)
        .file("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", b"a loader")
        .symlink("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        .symlink("usr/lib/x86_64-linux-gnu/libabs.so", "/lib/x86_64-linux-gnu/libc.so.6")
        .symlink("usr/lib/x86_64-linux-gnu/libgone.so", "/usr/lib/nowhere/libgone.so.1")
        .file("usr/lib/x86_64-linux-gnu/pkgconfig/c.pc", b"prefix=/usr\nName: c\n")
        .finish();
    let url = server.put("/s.tar", bytes.clone());
    Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.root]\nkind = \"sysroot\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\nsha256 = \"{}\"\n",
        Digest::of(&bytes)
    ))
}

#[test]
fn scripts_and_links_lead_nowhere_outside() {
    let server = Server::start();
    let project = project(&server);
    project.ok(&["export", "sysroot", "out"]);
    let out = project.dir().join("out");
    let lib = out.join("usr/lib/x86_64-linux-gnu");
    let script = std::fs::read_to_string(lib.join("libc.so")).unwrap();
    contains(&script, &["( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-x86-64.so.2 ) /opt/"]);
    for (link, target) in [
        (lib.join("libabs.so"), "libc.so.6"),
        (out.join("lib"), "usr/lib"),
        (out.join("lib64"), "usr/lib64"),
        (
            out.join("usr/lib64/ld-linux-x86-64.so.2"),
            "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        ),
    ] {
        assert_eq!(std::fs::read_link(&link).unwrap().to_str(), Some(target), "{}", link.display());
    }
    assert!(std::fs::symlink_metadata(lib.join("libgone.so")).is_err());
    assert!(!out.join("usr/bin").exists());
    // pkg-config adds the sysroot to the paths itself.
    assert!(std::fs::read_to_string(lib.join("pkgconfig/c.pc")).unwrap().contains("prefix=/usr\n"));
}

#[test]
fn an_export_is_plain_and_the_user_owns_it() {
    let server = Server::start();
    let project = project(&server);
    let told = |args: &[&str]| text(&project.cotter(args).output().unwrap());
    contains(&told(&["export", "sysroot", "new/dir"]), &["--sysroot=new/dir"]);
    let header = project.dir().join("new/dir/usr/include/stdio.h");
    let mode = std::fs::metadata(&header).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    std::fs::write(&header, "changed").unwrap();
    project.ok(&["verify", "--deep"]);
    project.ok(&["export", "sysroot", "new/dir", "root"]);
    assert!(std::fs::read_to_string(&header).unwrap().starts_with("int puts"));
    // Nothing is left beside it.
    assert_eq!(crate::support::names(&project.dir().join("new")), ["dir"]);
    // What killed processes left is deleted; what belongs to a process that lives, and what only looks similar, stays.
    let beside = |name: &str| project.dir().join("new").join(name);
    for name in [
        ".dir.cotter-new-0123456789abcdef",
        ".dir.cotter-old-0123456789abcdef",
        ".dir.cotter-new-00000000deadbeef",
        ".dir.cotter-new-mine",
        ".dir.new-1",
    ] {
        std::fs::create_dir_all(beside(name).join("below")).unwrap();
    }
    let lives = std::fs::File::open(beside(".dir.cotter-new-00000000deadbeef")).unwrap();
    lives.lock().unwrap();
    project.ok(&["export", "sysroot", "new/dir"]);
    let left = [".dir.cotter-new-00000000deadbeef", ".dir.cotter-new-mine", ".dir.new-1", "dir"];
    assert_eq!(crate::support::names(&project.dir().join("new")), left);
    // The store that a variable names is no argument that is missing.
    let usage = project.fails(2, &["export", "sysroot"]);
    contains(&usage, &["Usage: cotter export sysroot <DIR> [NAME]"]);
    assert!(project.fails(2, &["export", "sysroot", "--store", "s"]).contains("--store <DIR>"));
    let emitted = ["emit", "bazel"];
    project.manifest(&format!(
        "{}\n[emit.bazel]\n",
        std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap()
    ));
    project.ok(&emitted);
    let lock = std::fs::read_to_string(project.dir().join("bazel/cotter/lock.bzl")).unwrap();
    contains(&lock, &["\"kind\": \"sysroot\""]);
}

#[test]
fn what_is_not_a_sysroot_is_refused() {
    let server = Server::start();
    let project = project(&server);
    project.scratch.write("project/mine/file", "mine");
    contains(
        &project.fails(1, &["export", "sysroot", "mine"]),
        &["mine is there, and cotter did not write it", "--force"],
    );
    contains(&project.fails(1, &["export", "sysroot", "."]), &["can't become a sysroot"]);
    contains(&project.fails(1, &["export", "sysroot", "../store"]), &["can't become a sysroot"]);
    let in_store = project.store.join("store/x/y");
    contains(
        &project.fails(1, &["export", "sysroot", in_store.to_str().unwrap(), "--force"]),
        &["can't become a sysroot", "it lies in the store"],
    );
    contains(
        &project.fails(1, &["export", "sysroot", "mine/file", "--force"]),
        &["mine/file is there, and is no directory"],
    );
    contains(
        &project.fails(1, &["export", "sysroot", "out", "rot"]),
        &["there is no toolchain \"rot\"", "root"],
    );
    contains(&project.fails(1, &["export", "pylock"]), &["cotter emit pylock"]);
    contains(&project.fails(1, &["export", "nothing"]), &["cotter export sysroot DIR"]);
    contains(
        &project.fails(1, &["export", "sysroot", "out", "--platform", "aarch64-linux"]),
        &["asks for no sysroot for aarch64-linux"],
    );
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace("\"sysroot\"", "\"library\""));
    contains(
        &project.fails(1, &["export", "sysroot", "out", "root"]),
        &["root is a toolchain of kind \"library\"", "libc6-dev"],
    );
    project.manifest(&format!("{manifest}bin = {{ x = \"usr/bin/helper\" }}\n"));
    contains(&project.fails(1, &["lock"]), &["libraries have no programs"]);
    project.manifest(&format!("{manifest}libraries = [\"root\"]\n"));
    contains(
        &project.fails(1, &["lock"]),
        &["only a compiler or a sysroot of Debian packages takes libraries"],
    );
    let of_table = |more: &str| {
        format!(
            "{manifest}[toolchains.cross]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"gcc-12\"]\nlibraries = [\"root\"]\n{more}"
        )
    };
    project.manifest(&of_table("target = \"aarch64-linux\"\n"));
    contains(
        &project.fails(1, &["lock"]),
        &["a cross compiler takes no libraries", "`cotter path --platform aarch64-linux root`"],
    );
    project.manifest(&of_table("target = \"x86_64-linux\"\n"));
    assert!(!project.fails(1, &["lock"]).contains("cross compiler"));
    assert!(project.dir().join("mine/file").exists());
}

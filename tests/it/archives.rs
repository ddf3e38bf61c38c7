//! Archives of every format, and hostile archives. The latter are refused: nothing is written outside the staging directory, and nothing is left in the store.

use cotter::internals::Digest;

use crate::support::archive::{Tar, bzip2, gzip, xz, zip, zstd};
use crate::support::server::{Fault, Server};
use crate::support::{Project, contains, fails, ok};

pub fn manifest(url: &str, bytes: &[u8], more: &str) -> String {
    format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.thing]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1.0\"\nurl = \"{url}\"\nsha256 = \"{}\"\n{more}\n",
        Digest::of(bytes)
    )
}

pub fn honest() -> Tar {
    Tar::new()
        .dir("thing-1.0/")
        .dir("thing-1.0/bin/")
        .program("thing-1.0/bin/thing", b"\x7fnot quite ELF")
        .file("thing-1.0/share/data", b"data")
        .symlink("thing-1.0/bin/alias", "thing")
        .symlink("thing-1.0/bin/absolute", "/bin/thing")
        .symlink("thing-1.0/bin/dangling", "nowhere")
        .hard_link("thing-1.0/share/again", "thing-1.0/share/data")
}

#[test]
fn every_format_gives_the_same_tree() {
    let server = Server::start();
    let tar = honest().finish();
    let mut names = vec![];
    for (name, bytes) in [
        ("a.tar", tar.clone()),
        ("a.tar.gz", gzip(&tar)),
        ("a.tar.xz", xz(&tar)),
        ("a.tar.zst", zstd(&tar)),
        ("a.tar.bz2", bzip2(&tar)),
        ("a.tgz", gzip(&tar)),
    ] {
        let url = server.put(&format!("/{name}"), bytes.clone());
        let project = Project::new(&manifest(&url, &bytes, "strip_prefix = \"thing-1.0\""));
        project.ok(&["setup"]);
        names.push(project.tree().file_name().unwrap().to_owned());
        let tree = project.tree();
        assert_eq!(std::fs::read_link(tree.join("bin/alias")).unwrap().to_str(), Some("thing"));
        assert_eq!(std::fs::read(tree.join("share/again")).unwrap(), b"data");
        assert!(
            !tree.join("bin/dangling").exists()
                && std::fs::symlink_metadata(tree.join("bin/dangling")).is_err()
        );
    }
    names.dedup();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn files_have_the_modes_and_times_of_a_nix_store() {
    use std::os::unix::fs::MetadataExt;
    let server = Server::start();
    let bytes = honest().raw("thing-1.0/bin/setuid", b'0', 0o6755, "", b"x", 1).finish();
    let project = Project::new(&manifest(
        &server.put("/a.tar", bytes.clone()),
        &bytes,
        "strip_prefix = \"thing-1.0\"",
    ));
    project.ok(&["setup"]);
    let tree = project.tree();
    for (path, mode) in [
        ("", 0o40555),
        ("bin", 0o40555),
        ("bin/thing", 0o100_555),
        ("bin/setuid", 0o100_555),
        ("share/data", 0o100_444),
    ] {
        let meta = std::fs::symlink_metadata(tree.join(path)).unwrap();
        assert_eq!((meta.mode(), meta.mtime()), (mode, 1), "{path}");
    }
}

#[test]
fn zips_and_single_files_are_read() {
    let server = Server::start();
    let bytes = zip(&[("z/bin/tool", 0o100_755, b"program", 7), ("z/doc", 0o100_644, b"text", 4)]);
    let project = Project::new(&manifest(
        &server.put("/z.zip", bytes.clone()),
        &bytes,
        "strip_prefix = \"z\"",
    ));
    project.ok(&["setup"]);
    assert_eq!(std::fs::read(project.tree().join("bin/tool")).unwrap(), b"program");
    for (name, packed) in [
        ("tool", b"one file".to_vec()),
        ("tool.gz", gzip(b"one file")),
        ("tool.xz", xz(b"one file")),
    ] {
        let project =
            Project::new(&manifest(&server.put(&format!("/{name}"), packed.clone()), &packed, ""));
        project.ok(&["setup"]);
        assert_eq!(std::fs::read(project.tree().join("bin/tool")).unwrap(), b"one file");
        contains(
            &ok(&mut project.cotter(&["exec", "--host", "--", "sh", "-c", "command -v tool"])),
            &["/bin/tool"],
        );
    }
}

#[test]
fn what_git_archive_makes_is_read() {
    let server = Server::start();
    let header = b"52 comment=0123456789012345678901234567890123456789\n";
    let bytes = Tar::new()
        .raw("pax_global_header", b'g', 0o644, "", header, header.len() as u64)
        .program("x-1/bin/x", b"x")
        .finish();
    let project = Project::new(&manifest(
        &server.put("/a.tar", bytes.clone()),
        &bytes,
        "strip_prefix = \"x-1\"",
    ));
    project.ok(&["setup"]);
    assert_eq!(std::fs::read(project.tree().join("bin/x")).unwrap(), b"x");
}

#[test]
fn a_script_for_the_hosts_interpreter_is_refused() {
    let server = Server::start();
    let bytes = Tar::new().program("bin/x", b"#!/bin/sh\necho\n").finish();
    let project = Project::new(&manifest(&server.put("/a.tar", bytes.clone()), &bytes, ""));
    contains(
        &project.fails(6, &["setup"]),
        &["bin/x is a script for \"#!/bin/sh\", which the tree lacks", "prune"],
    );
    project.assert_store_empty();
}

/// Each archive must be refused with exit code 4 and with these words. Neither a tree nor a staging directory is left, and nothing appears outside.
fn refused(name: &str, bytes: Vec<u8>, words: &[&str]) {
    let server = Server::start();
    let project =
        Project::new(&manifest(&server.put(&format!("/{name}"), bytes.clone()), &bytes, ""));
    let said = project.fails(4, &["setup"]);
    contains(&said, words);
    project.assert_store_empty();
    assert_eq!(
        crate::support::names(project.scratch.path()),
        ["project", "store"],
        "something was written outside"
    );
    assert!(!project.dir().join("toolchains.lock").exists());
}

#[test]
fn names_that_leave_the_tree_are_refused() {
    refused("a.tar", Tar::new().file("../evil", b"x").finish(), &["climbs out with .."]);
    refused("a.tar", Tar::new().file("a/../../evil", b"x").finish(), &["climbs out with .."]);
    refused("a.tar", Tar::new().file("/tmp/cotter-evil", b"x").finish(), &["absolute name"]);
    refused("a.tar", Tar::new().file("a\x1bb", b"x").finish(), &["is not valid"]);
    refused("a.zip", zip(&[("../evil", 0o100_644, b"x", 1)]), &["climbs out with .."]);
    refused("a.zip", zip(&[("/evil", 0o100_644, b"x", 1)]), &["absolute name"]);
}

#[test]
fn links_that_leave_the_tree_are_refused() {
    refused(
        "a.tar",
        Tar::new().symlink("a", "../../etc").finish(),
        &["the symlink a -> ../../etc leads out of it"],
    );
    refused(
        "a.tar",
        Tar::new().symlink("a", "/tmp").file("a/evil", b"x").finish(),
        &["goes through the symlink a -> /tmp"],
    );
    refused(
        "a.tar",
        Tar::new().symlink("a", "b").file("a/evil", b"x").finish(),
        &["goes through the symlink"],
    );
    refused("a.tar", Tar::new().hard_link("a", "../../etc/passwd").finish(), &["climbs out"]);
    refused("a.tar", Tar::new().hard_link("a", "/etc/passwd").finish(), &["absolute name"]);
    refused("a.tar", Tar::new().hard_link("a", "absent").finish(), &["leads to no file of it"]);
    refused("a.zip", zip(&[("a", 0o120_777, b"../../etc", 9)]), &["leads out of it"]);
    // No file system accepts these as the target of a link.
    refused("a.zip", zip(&[("a", 0o120_777, b"b\0c", 3)]), &["no valid target"]);
    refused("a.zip", zip(&[("a", 0o120_777, b"", 0)]), &["no valid target"]);
    refused("a.zip", zip(&[("a", 0o120_777, &[b'x'; 4096], 4096)]), &["no valid target"]);
    refused(
        "a.zip",
        zip(&[("a", 0o120_777, b"/tmp", 4), ("a/evil", 0o100_644, b"x", 1)]),
        &["goes through the symlink"],
    );
}

#[test]
fn devices_duplicates_and_colliding_names_are_refused() {
    for kind in [b'3', b'4', b'6'] {
        refused(
            "a.tar",
            Tar::new().raw("dev", kind, 0o644, "", b"", 0).finish(),
            &["device node or a pipe"],
        );
    }
    refused(
        "a.tar",
        Tar::new().file("a", b"1").file("a", b"2").finish(),
        &["a stands in it twice"],
    );
    refused("a.tar", Tar::new().file("a", b"1").file("a/b", b"2").finish(), &["below the file a"]);
    refused(
        "a.tar",
        Tar::new().file("a/b", b"1").file("a", b"2").finish(),
        &["a directory and something else"],
    );
    refused(
        "a.tar",
        Tar::new().file("README", b"1").file("readme", b"2").finish(),
        &["README and readme differ in case alone"],
    );
    refused(
        "a.tar",
        Tar::new().file("A/x", b"1").file("a/y", b"2").finish(),
        &["differ in case alone"],
    );
    refused("a.zip", zip(&[("a", 0o100_644, b"1", 1), ("a", 0o100_644, b"2", 1)]), &["twice"]);
    refused(
        "a.zip",
        zip(&[("a", 0o100_644, b"1", 1), ("A", 0o100_644, b"2", 1)]),
        &["differ in case alone"],
    );
    refused("a.zip", zip(&[("a", 0o010_644, b"", 0)]), &["device node or a pipe"]);
}

#[test]
fn sizes_that_lie_and_bombs_are_refused() {
    refused(
        "a.tar",
        Tar::new().raw("a", b'0', 0o644, "", b"short", 5000).finish()[..1024].to_vec(),
        &["a has 512 bytes, its header says 5000"],
    );
    refused("a.zip", zip(&[("a", 0o100_644, b"longer than told", 3)]), &["a"]);
    refused("a.tar.gz", gzip(b"this is no tar archive, and is long enough to be read as a header of one................................................................................................................................................................................................................................................................................................................................................................................................................................................................................................................................................................"), &["damaged"]);
    refused("a.tar.xz", xz(&honest().finish())[..200].to_vec(), &["damaged"]);
    // These are 300 MiB of zeros in 300 KiB, which is more than 400 times the size and more than 256 MiB.
    let zeros = vec![0u8; 300 << 20];
    let bomb = Tar::new().raw("zeros", b'0', 0o644, "", &zeros, zeros.len() as u64).finish();
    refused("a.tar.gz", gzip(&bomb), &["refused as a bomb"]);
    refused("zeros.gz", gzip(&zeros), &["refused as a bomb"]);
    refused("a.tar.xz", xz(&bomb), &["refused as a bomb"]);
    refused("a.tar.zst", zstd(&bomb), &["refused as a bomb"]);
    refused("a.tar.bz2", bzip2(&bomb), &["refused as a bomb"]);
    // These are hard links that stand for 300 MiB, and names so deep that their ancestors would fill the memory.
    let mut linked = Tar::new().file("a", &zeros[..1 << 20]);
    for i in 0..300 {
        linked = linked.hard_link(&format!("b{i}"), "a");
    }
    refused("a.tar.gz", gzip(&linked.finish()), &["hard links stand for more than"]);
    refused("a.zip", zip(&[(&"a/".repeat(70), 0o100_644, b"", 0)]), &["too long"]);
    refused(
        "a.tar",
        Tar::new().symlink(&"a".repeat(99), "..").symlink(&"b".repeat(99), "../..").finish(),
        &["leads out of it"],
    );
}

/// Returns pax records.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut out = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits.
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        out += &format!("{length}{rest}");
    }
    out.into_bytes()
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let server = Server::start();
    let (long, longer) = (format!("d/{}", "n".repeat(150)), format!("d/{}", "m".repeat(200)));
    let gnu = format!("{long}\0");
    let records = pax(&[("path", &longer), ("mtime", "1.5"), ("size", "1")]);
    let bytes = Tar::new()
        .program("bin/x", b"x")
        .raw("././@LongLink", b'L', 0o644, "", gnu.as_bytes(), gnu.len() as u64)
        .file("short", b"1")
        .raw("././@PaxHeader", b'x', 0o644, "", &records, records.len() as u64)
        .file("short", b"2")
        .raw("././@LongLink", b'K', 0o644, "", gnu.as_bytes(), gnu.len() as u64)
        .hard_link("again", "short")
        .finish();
    let project = Project::new(&manifest(&server.put("/a.tar", bytes.clone()), &bytes, ""));
    project.ok(&["setup"]);
    for (name, content) in [(long.as_str(), b"1"), (&longer, b"2"), ("again", b"1")] {
        assert_eq!(std::fs::read(project.tree().join(name)).unwrap(), content, "{name}");
    }
}

/// Nothing that describes an entry is held in memory beyond its bound.
#[test]
fn headers_before_an_entry_have_bounds() {
    let zeros = vec![0u8; 300 << 20];
    for kind in [b'L', b'K', b'x'] {
        let bytes = Tar::new()
            .raw("h", kind, 0o644, "", &zeros, zeros.len() as u64)
            .file("a", b"1")
            .finish();
        refused("a.tar.zst", zstd(&bytes), &["a header before an entry has 314572800 bytes"]);
    }
    let name = [b'n'; 1000];
    let twice = Tar::new()
        .raw("h", b'L', 0o644, "", &name, 1000)
        .raw("h", b'L', 0o644, "", &name, 1000)
        .file("a", b"1");
    refused("a.tar", twice.finish(), &["two names stand before one entry"]);
    let lonely = Tar::new().file("a", b"1").raw("h", b'L', 0o644, "", b"b", 1);
    refused("a.tar", lonely.finish(), &["a header that describes a further entry"]);
    for (records, words) in [
        (pax(&[("GNU.sparse.major", "1")]), "it has a sparse file"),
        (pax(&[("size", "7")]), "an entry has two sizes, 1 and 7"),
        (pax(&[("size", "x")]), "has the size \"x\""),
        (b"99 path=a\n".to_vec(), "the archive is damaged"),
    ] {
        let bytes =
            Tar::new().raw("h", b'x', 0o644, "", &records, records.len() as u64).file("a", b"1");
        refused("a.tar", bytes.finish(), &[words]);
    }
    refused("a.tar", Tar::new().raw("a", b'S', 0o644, "", b"1", 1).finish(), &["unknown type"]);
}

/// Returns a sound wheel with these files, by their names in it.
fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = files.to_vec();
    all.push(("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n"));
    all.push(("demo-1.0.dist-info/METADATA", b"Name: demo\nVersion: 1.0\n"));
    let mut record: String = all.iter().map(|(name, _)| format!("{name},,\n")).collect();
    record.push_str("demo-1.0.dist-info/RECORD,,\n");
    all.push(("demo-1.0.dist-info/RECORD", record.as_bytes()));
    let members: Vec<_> =
        all.iter().map(|(name, bytes)| (*name, 0o100_644, *bytes, bytes.len() as u32)).collect();
    zip(&members)
}

/// An installer would overwrite the first one with the second.
#[test]
fn a_wheel_that_has_a_file_twice_is_refused() {
    use cotter::internals::readers::{BlobDir, Limits, install};
    let scratch = crate::support::Scratch::new();
    let blobs = BlobDir::create(scratch.join("blobs")).unwrap();
    let installed = |files: &[(&str, &[u8])]| {
        let bytes = std::io::Cursor::new(wheel(files));
        let limits = Limits::for_archive(0);
        install(bytes, "demo-1.0-py3-none-any.whl", "3.11", limits, &blobs, &|_| true)
    };
    let both = [("a.py", &b"1"[..]), ("demo-1.0.data/purelib/a.py", b"2")];
    let error = format!("{:?}", installed(&both).unwrap_err());
    contains(&error, &["both a.py and demo-1.0.data/purelib/a.py", "site-packages/a.py"]);
    let twice = [("demo-1.0.data/platlib/a.py", &b"1"[..]), ("demo-1.0.data/purelib/a.py", b"1")];
    assert!(installed(&twice).is_err(), "the same content does not make it right");
    assert!(installed(&both[..1]).is_ok());
}

/// A server that says that there is nothing has no file, and nothing is no program.
#[test]
fn nothing_is_no_tree() {
    let server = Server::start();
    let unpinned = |url: &str| {
        let text = manifest(url, b"", "");
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("sha256")).collect();
        Project::new(&lines.join("\n"))
    };
    for status in [204, 202] {
        let url = server.put("/tool", b"#!/bin/sh\n");
        server.fault("/tool", Fault::Status(status, 99));
        let project = unpinned(&url);
        let mut setup = project.cotter(&["setup"]);
        let said = fails(5, setup.env("COTTER_HTTP_RETRIES", "0"));
        contains(&said, &[&format!("the server answered {status}")]);
        project.assert_store_empty();
    }
    for (bytes, words) in [(vec![], "it is empty"), (vec![0; 4096], "it begins with zeros")] {
        let project = unpinned(&server.put("/tool2", bytes));
        contains(&project.fails(4, &["setup"]), &["tool2 is no program", words]);
        project.assert_store_empty();
    }
    refused("a.zip", zip(&[]), &["it has no entries"]);
}

/// What is cut off, empty or followed by something else is no archive, also when no hash is known yet.
#[test]
fn an_archive_ends_where_it_says() {
    let whole = Tar::new().file("a", b"1").finish();
    refused("a.tar", whole[..1024].to_vec(), &["without the mark at the end"]);
    refused("a.tar", vec![], &["without the mark at the end"]);
    refused("a.tar", vec![0; 10240], &["it has no entries"]);
    let mut followed = whole.clone();
    followed.extend(b"more");
    refused("a.tar", followed, &["data behind its end"]);
    let mut padded = whole.clone();
    padded.extend([0; 9000]);
    let mut packed = gzip(&padded);
    let server = Server::start();
    let unpinned = |url: &str, bytes: &[u8]| {
        let text = manifest(url, bytes, "");
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("sha256")).collect();
        Project::new(&lines.join("\n"))
    };
    unpinned(&server.put("/good.tar.gz", packed.clone()), &packed).ok(&["setup"]);
    // The checksum of gzip stands behind everything.
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let project = unpinned(&server.put("/bad.tar.gz", packed.clone()), &packed);
    contains(&project.fails(4, &["setup"]), &["the archive is damaged"]);
    project.assert_store_empty();
}

#[test]
fn a_wrong_prefix_names_what_is_there() {
    let server = Server::start();
    let bytes = honest().finish();
    let project = Project::new(&manifest(
        &server.put("/a.tar", bytes.clone()),
        &bytes,
        "strip_prefix = \"other\"",
    ));
    contains(
        &project.fails(1, &["setup"]),
        &["nothing in a.tar lies below strip_prefix \"other\"", "at its top it has thing-1.0"],
    );
    project.assert_store_empty();
}

#[test]
fn an_archive_may_lie_in_the_project() {
    let bytes = gzip(&honest().finish());
    let text = manifest("./third_party/a {version}.tgz", &bytes, "strip_prefix = \"thing-1.0\"");
    let project = Project::new(&text);
    let file = project.scratch.write("project/third_party/a 1.0.tgz", &bytes);
    // What a cloned repository contains is accepted like what it names.
    let mut lock = project.cotter(&["lock"]);
    let refused = fails(1, lock.env_remove("COTTER_TRUST"));
    contains(&refused, &["files from ./third_party/a 1.0.tgz for the toolchain thing"]);
    project.ok(&["setup", "--offline"]);
    let lock = project.lock_text();
    contains(&lock, &["\"./third_party/a 1.0.tgz\""]);
    assert!(!lock.contains(project.scratch.path().to_str().unwrap()), "{lock}");
    // The lock holds for a checkout at another place, also below its directory.
    let other = Project::new(&text);
    other.scratch.write("project/toolchains.lock", &lock);
    other.scratch.write("project/third_party/a 1.0.tgz", &bytes);
    std::fs::create_dir(other.dir().join("below")).unwrap();
    ok(other.cotter(&["setup", "--locked", "--offline"]).current_dir(other.dir().join("below")));
    assert_eq!(other.tree().file_name(), project.tree().file_name());
    // Other bytes are refused, and so is a file that is missing.
    let cold = |store: &str, args: &[&str]| {
        let mut command = project.cotter(args);
        command.env("COTTER_STORE", project.scratch.join(store));
        command
    };
    std::fs::write(&file, b"changed").unwrap();
    contains(&fails(4, &mut cold("b", &["setup"])), &["third_party/a%201.0.tgz", "expected"]);
    std::fs::remove_file(&file).unwrap();
    contains(&fails(1, &mut cold("c", &["setup"])), &["third_party/a%201.0.tgz", "no such file"]);
}

#[test]
fn no_project_reaches_a_file_outside_of_it() {
    let bytes = gzip(&honest().finish());
    for (url, said) in [
        ("./../a.tgz", "toolchains.toml:6:7: expected a file of the project, got \"./../a.tgz\""),
        ("./", "toolchains.toml:6:7: expected a file of the project"),
        ("third_party/a.tgz", "or a file of the project, ./<path>, got \"third_party/a.tgz\""),
    ] {
        contains(&Project::new(&manifest(url, &bytes, "")).fails(1, &["lock"]), &[said]);
    }
    let project = Project::new(&manifest("./a.tgz", &bytes, ""));
    let secret = project.scratch.write("secret.tgz", &bytes);
    std::os::unix::fs::symlink(&secret, project.dir().join("a.tgz")).unwrap();
    let refused = project.fails(1, &["lock"]);
    contains(
        &refused,
        &["toolchains.toml:6:7", "./a.tgz leads out of the project", "hint: put the file"],
    );
    project.assert_store_empty();
}

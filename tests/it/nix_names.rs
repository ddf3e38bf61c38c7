//! Names and hashes of odd trees are those that the real Nix gives.

use std::ffi::OsStr;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cotter::internals::nar::{self, NarWriter};
use cotter::internals::{Digest, Hasher, hash_tree, store_path};

use crate::support::nix::{Nix, serve, tool};
use crate::support::{Project, Scratch, clean, fails, ok};

/// Writes a file with a mode.
fn write(path: &Path, content: &[u8], mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the hash that Nix computes.
fn hash_by_nix(path: &Path) -> String {
    let mut command = Command::new("nix-hash");
    clean(&mut command, Path::new("/nonexistent"));
    ok(command.args(["--type", "sha256"]).arg(path)).trim().to_owned()
}

/// Reads the archive that Nix writes of a path, and returns its hash and its length when it is written again.
fn read_from_nix(path: &Path) -> (Digest, u64) {
    let mut command = Command::new("nix-store");
    clean(&mut command, Path::new("/nonexistent"));
    let mut dump = command.arg("--dump").arg(path).stdout(Stdio::piped()).spawn().unwrap();
    let mut again = NarWriter::new(Hasher::default()).unwrap();
    let read = nar::read(BufReader::new(dump.stdout.take().unwrap()), &mut again);
    assert!(dump.wait().unwrap().success());
    read.unwrap();
    let hasher = again.into_inner();
    let size = hasher.len();
    (hasher.finish(), size)
}

/// Compares the hash and the name of a path with those of Nix, which gives it the name of the last part.
fn compare(nix: &Nix, path: &Path) {
    let (hash, size) = hash_tree(path).unwrap();
    assert_eq!(hash.hex(), hash_by_nix(path), "{}", path.display());
    assert_eq!(read_from_nix(path), (hash, size));
    let mut add = nix.command("nix-store");
    let added = ok(add.args(["--add-fixed", "--recursive", "sha256"]).arg(path));
    let added = added.trim();
    let name = path.file_name().unwrap().to_str().unwrap();
    let ours = store_path::full(&store_path::of_tree(&hash, name).unwrap());
    assert_eq!(ours, added, "{}", path.display());
    let said = ok(nix.command("nix-store").args(["--query", "--size", added]));
    assert_eq!(size.to_string(), said.trim());
    // The copy in Nix's store has other modes and times, and the same hash.
    assert_eq!(hash_tree(&nix.place(added)).unwrap(), (hash, size));
}

/// Names that are sorted, padded or written in ways of their own.
fn odd_names() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = [
        &b"a"[..],
        b"A",
        b"a-",
        b"a.b",
        b"a0",
        b"ab",
        b"a b",
        b" ",
        b".hidden",
        b"...",
        b"-n",
        b"~",
        b"\\",
        b"\"",
        b"'",
        b"$(x)",
        b"new\nline",
        b"tab\t",
        b"\x01",
        b"\x7f",
        b"\x80",
        b"\xff\xfe",
        b"latin-\xe4",
        "\u{e4}".as_bytes(),
        "a\u{308}".as_bytes(),
        "\u{202e}\u{1f980}".as_bytes(),
        b"%s",
        b"nix-archive-1",
        b"(",
        b"entry",
    ]
    .map(<[u8]>::to_vec)
    .into();
    // Names of 1 to 16 bytes are padded to words of eight.
    out.extend((1..=16).map(|n| vec![b'n'; n]));
    out.push(vec![b'x'; 255]);
    out
}

#[test]
fn odd_trees_have_the_hashes_and_names_of_nix() {
    let nix = Nix::new();
    let top = nix.scratch.join("odd");
    let make = |name: &str| {
        let dir = top.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    };
    let files = make("files");
    for name in odd_names() {
        write(&files.join(OsStr::from_bytes(&name)), &name, 0o644);
    }
    let directories = make("directories");
    for name in odd_names() {
        let below = directories.join(OsStr::from_bytes(&name)).join(OsStr::from_bytes(&name));
        std::fs::create_dir_all(below).unwrap();
    }
    let links = make("links");
    for name in odd_names() {
        let name = OsStr::from_bytes(&name);
        symlink(name, links.join(name)).unwrap();
    }
    for (name, target) in
        [("absolute", "/etc/passwd"), ("up", "../../.."), ("here", "."), ("slash", "a//b/")]
    {
        symlink(target, links.join(name)).unwrap();
    }
    symlink("t".repeat(4000), links.join("long")).unwrap();
    let modes = make("modes");
    for mode in [0o000, 0o400, 0o644, 0o100, 0o010, 0o001, 0o055, 0o744, 0o755, 0o4755, 0o1777] {
        write(&modes.join(format!("{mode:o}")), b"content", mode);
    }
    let sizes = make("sizes");
    for size in (0..=17).chain([4095, 4096, 4097, 262_143, 262_144, 262_145]) {
        write(&sizes.join(size.to_string()), &vec![b's'; size], 0o644);
    }
    std::fs::hard_link(sizes.join("17"), sizes.join("again")).unwrap();
    let mut deep = make("deep");
    for _ in 0..200 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    make("empty");
    write(&top.join("file"), b"alone", 0o644);
    write(&top.join("program"), b"#!/bin/sh\n", 0o755);
    write(&top.join("nothing"), b"", 0o644);
    symlink("nowhere", top.join("link")).unwrap();
    let all = crate::support::names(&top);
    assert_eq!(all.len(), 11);
    for name in all {
        compare(&nix, &top.join(name));
    }
}

#[test]
fn names_of_paths_are_those_that_nix_accepts() {
    let nix = Nix::new();
    let hash = Digest::of(b"x");
    let long = "l".repeat(211);
    for name in
        ["a", "_", "=", "?", "+a", "a.", "a..b", "0", "UPPER", "x.drv", "1-2_3=4?5+6", &long]
    {
        // Nix computes the name of content that is not there.
        let mut print = nix.command("nix-store");
        let args = ["--print-fixed-path", "--recursive", "sha256", &hash.hex(), name];
        let printed = ok(print.args(args));
        let ours = store_path::of_tree(&hash, name).map(|name| store_path::full(&name));
        assert_eq!(ours.as_deref(), Ok(printed.trim()));
    }
    let longer = "l".repeat(212);
    for name in ["", "a b", "a~b", "a:b", "a/b", "\u{e4}", "a\nb", "%", &longer] {
        let args = ["--print-fixed-path", "--recursive", "sha256", &hash.hex(), name];
        fails(1, nix.command("nix-store").args(args));
        assert!(store_path::of_tree(&hash, name).is_err(), "{name:?}");
    }
    // Newer versions of Nix refuse these, too.
    for name in [".", "..", ".-a", "..-a"] {
        assert!(store_path::of_tree(&hash, name).is_err(), "{name:?}");
    }
}

/// Returns a sparse file of 4 GiB and a byte, whose length needs more than 32 bits.
fn large(scratch: &Scratch) -> PathBuf {
    let path = scratch.join("large");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len((4 << 30) + 1).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 4 << 30).unwrap();
    path
}

#[test]
#[ignore = "full suite: hashes 16 GiB"]
fn a_file_of_more_than_4_gib_has_the_hash_and_the_name_of_nix() {
    let nix = Nix::new();
    let path = large(&nix.scratch);
    let (hash, size) = hash_tree(&path).unwrap();
    assert!(size > 4 << 30);
    assert_eq!(hash.hex(), hash_by_nix(&path));
    assert_eq!(read_from_nix(&path), (hash, size));
    let args = ["--print-fixed-path", "--recursive", "sha256", &hash.hex(), "large"];
    let printed = ok(nix.command("nix-store").args(args));
    let ours = store_path::of_tree(&hash, "large").unwrap();
    assert_eq!(store_path::full(&ours), printed.trim());
}

#[test]
fn a_path_whose_name_begins_with_a_dot_is_one_of_a_closure() {
    let nix = Nix::new();
    let hidden = nix.add(&nix.scratch.write(".settings", "hidden\n"));
    let expression = format!(
        "derivation {{ name = \"said-1\"; system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; hidden = builtins.storePath \"{hidden}\"; args = [ \"-c\" \"mkdir -p $out/bin; printf '#!/bin/sh\\\\ncat %s\\\\n' $hidden > $out/bin/greet; chmod +x $out/bin/greet\" ]; }}"
    );
    let path = nix.build(&expression);
    assert_eq!(nix.closure(&path).len(), 2);
    let server = serve(&nix.copy(&[&path], "cache", "zstd", true));
    let project = Project::new(&(nix.manifest(&server.url) + &tool(&path)));
    project.ok(&["lock"]);
    project.ok(&["setup"]);
    assert_eq!(project.ok(&["exec", "--nix-store", "namespace", "--", "greet"]), "hidden\n");
    project.ok(&["verify", "--deep"]);
}

//! Between a store of the real Nix on this machine and ours, both ways. No network.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::nix::{Nix, attributes, noted_as, serve, tool};
use crate::support::users::{NOBODY, give, is_root};
use crate::support::{Project, clean, contains, copy_program, fails, names, ok};

/// Returns the command that takes paths over from the store of `nix`.
fn import(project: &Project, nix: &Nix, args: &[&str]) -> Command {
    let mut command = project.cotter(&["import", "nix", "--from"]);
    command.arg(nix.root()).args(args).env("NIX_CONF_DIR", nix.scratch.join("etc"));
    command
}

/// Returns the command that gives toolchains to the store of `nix`.
fn export(project: &Project, nix: &Nix, args: &[&str]) -> Command {
    let mut command = project.cotter(&["export", "nix", "--to"]);
    command.arg(nix.root()).args(args).env("NIX_CONF_DIR", nix.scratch.join("etc"));
    command
}

fn ours(project: &Project, path: &str) -> PathBuf {
    project.store.join("store").join(path.rsplit('/').next().unwrap())
}

/// Returns what is noted of a path, without what only Nix knows.
fn noted(project: &Project, path: &str) -> String {
    let text =
        std::fs::read_to_string(project.store.join("narinfos").join(noted_as(path))).unwrap();
    text.lines().filter(|line| !line.starts_with("Deriver: ")).collect::<Vec<_>>().join("\n")
}

/// What Nix says of a path that is in its store.
fn registered(nix: &Nix, path: &str) -> String {
    let ask = |what: &str| ok(nix.command("nix-store").args(["--query", what, path]));
    let mut references: Vec<String> = ask("--references")
        .lines()
        .map(|line| line.strip_prefix("/nix/store/").unwrap().to_owned())
        .collect();
    references.sort();
    format!(
        "StorePath: {path}\nNarHash: {}\nNarSize: {}\nReferences: {}",
        ask("--hash").trim(),
        ask("--size").trim(),
        references.join(" ")
    )
}

#[test]
fn a_closure_that_was_taken_over_needs_no_cache() {
    let nix = Nix::new();
    let path = nix.greet();
    let server = serve(&nix.copy(&[&path], "cache", "zstd", true));
    let project = Project::new(&(nix.manifest(&server.url) + &tool(&path)));
    project.ok(&["lock"]);
    let other = Project::new(&(nix.manifest(&server.url) + &tool(&path)));
    other.scratch.write("project/toolchains.lock", project.lock_text());
    // A link, as nix-build leaves it, names a path, and so does a file in it.
    std::os::unix::fs::symlink(&path, other.dir().join("result")).unwrap();
    let said = import(&other, &nix, &["result", &format!("{path}/bin/greet")]).output().unwrap();
    contains(
        &String::from_utf8_lossy(&said.stderr),
        &["took over 3 paths", "0 were there already"],
    );
    server.clear_log();
    other.ok(&["setup", "--locked"]);
    assert_eq!(server.log(), Vec::<String>::new());
    assert_eq!(other.ok(&["exec", "--nix-store", "namespace", "greet", "--", "greet"]).trim(), {
        let data = nix.closure(&path).into_iter().find(|path| path.contains("data")).unwrap();
        format!("hi from {data}")
    });
    for path in nix.closure(&path) {
        assert_eq!(attributes(&ours(&other, &path)), attributes(&nix.place(&path)));
        assert_eq!(noted(&other, &path), registered(&nix, &path));
        ok(nix.command("nix-store").args(["--verify-path", &path]));
    }
    // Both stores are of one user and on one file system, so they share the files.
    let file = "bin/greet";
    let inode = |path: &Path| std::fs::metadata(path.join(file)).unwrap().ino();
    assert_eq!(inode(&ours(&other, &path)), inode(&nix.place(&path)));
    let said = import(&other, &nix, &[&path]).output().unwrap();
    contains(&String::from_utf8_lossy(&said.stderr), &["took over 0 paths", "3 were there"]);
    other.ok(&["verify", "--deep"]);
    // What a project uses, `gc` keeps; deleting it here leaves the store of Nix as it is.
    other.ok(&["gc"]);
    assert!(ours(&other, &path).exists());
    std::fs::remove_file(other.dir().join("toolchains.toml")).unwrap();
    other.ok(&["gc"]);
    assert_eq!(other.stored("store"), Vec::<String>::new());
    ok(nix.command("nix-store").args(["--verify", "--check-contents"]));
}

/// Our own search for references finds what Nix has registered after its builds.
#[test]
fn a_scan_finds_the_references_that_nix_registered() {
    let nix = Nix::new();
    let path = nix.greet();
    // A source that is in the store, too, and that nothing refers to.
    let other = nix.add(&nix.scratch.write("other-1", "alone"));
    let project = Project::new("");
    ok(&mut import(&project, &nix, &["--scan", &path]));
    for path in nix.closure(&path) {
        assert_eq!(noted(&project, &path), registered(&nix, &path));
    }
    assert!(!ours(&project, &other).exists());
    project.ok(&["verify", "--deep"]);
    // A store that no Nix looks after, on a machine that has none.
    let bare = Project::new("");
    let image = bare.scratch.join("image");
    std::fs::create_dir_all(image.join("nix")).unwrap();
    ok(Command::new("cp").arg("-a").arg(nix.place("/nix/store")).arg(image.join("nix")));
    let mut command = bare.cotter(&["import", "nix", "--from"]);
    ok(command.arg(&image).arg(image.join(&path[1..])).env("PATH", "/nonexistent"));
    assert_eq!(bare.stored("store"), project.stored("store"));
    assert!(!image.join("nix/var").exists());
    // Of a path that follows from its content, that is known, so others need no signature for it.
    ok(&mut import(&project, &nix, &["--scan", &other]));
    contains(&noted(&project, &other), &["CA: fixed:r:sha256:"]);
}

#[test]
fn what_somebody_else_may_write_is_copied() {
    let nix = Nix::new();
    let path = nix.greet();
    let project = Project::new("");
    let data = nix.closure(&path).into_iter().find(|path| path.contains("data")).unwrap();
    let text = nix.place(&data).join("share/text");
    let shared = |project: &Project| {
        let there = std::fs::metadata(ours(project, &data).join("share/text")).unwrap();
        assert_eq!((there.mode() & 0o7777, there.mtime()), (0o444, 1));
        assert_eq!(there.uid(), rustix::process::geteuid().as_raw());
        there.ino() == std::fs::metadata(&text).unwrap().ino()
    };
    std::fs::set_permissions(&text, PermissionsExt::from_mode(0o664)).unwrap();
    ok(&mut import(&project, &nix, &[&path]));
    assert!(!shared(&project));
    std::fs::set_permissions(&text, PermissionsExt::from_mode(0o444)).unwrap();
    if is_root() {
        let project = Project::new("");
        give(&text, NOBODY);
        ok(&mut import(&project, &nix, &[&path]));
        assert!(!shared(&project));
        give(&text, 0);
    }
    let project = Project::new("");
    ok(&mut import(&project, &nix, &[&path]));
    assert!(shared(&project));
}

#[test]
fn what_is_not_as_nix_registered_it_is_not_taken_over() {
    let nix = Nix::new();
    let path = nix.greet();
    let project = Project::new("");
    let refused = |code: i32, arg: &str, words: &[&str]| {
        contains(&fails(code, &mut import(&project, &nix, &[arg])), words);
        assert_eq!(project.stored("staging"), Vec::<String>::new());
    };
    refused(1, "/usr/bin/env", &["is no path of a store of Nix", "expected a path in /nix/store"]);
    refused(1, "/nix/store/short", &["is no path of a store of Nix", "expected a store name"]);
    let absent = "/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-absent-1";
    refused(1, absent, &["absent-1", "No such file"]);
    // Nix's own words.
    let unknown = nix.place(absent);
    std::fs::create_dir(&unknown).unwrap();
    refused(1, absent, &["nix-store has failed", "is not valid"]);
    std::fs::remove_dir(&unknown).unwrap();
    let data = nix.closure(&path).into_iter().find(|path| path.contains("data")).unwrap();
    let text = nix.place(&data).join("share/text");
    std::fs::set_permissions(&text, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&text, "HI\n").unwrap();
    refused(4, &path, &["the NAR of", "data-1.0 is another", "--check-contents"]);
    assert_eq!(project.stored("store"), Vec::<String>::new(), "what refers to it is not there");
    std::fs::remove_file(&text).unwrap();
    ok(Command::new("mkfifo").arg(&text));
    refused(4, &path, &["a device, a pipe or a socket"]);
    assert_eq!(names(&project.store.join("store")), Vec::<String>::new());
}

/// A project with a tree of an archive that is called `one`.
fn composed(text: &str) -> Project {
    let project = Project::new("");
    let tar = Tar::new().program("bin/one", b"x").file("share/text", text.as_bytes());
    let tar = project.scratch.write("one.tar", tar.symlink("share/link", "text").finish());
    project.manifest(&format!("platforms = [\"x86_64-linux\"]\n[toolchains.one]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"file://{}\"\n", tar.display()));
    project.ok(&["setup"]);
    project
}

#[test]
fn nix_gets_composed_trees_under_their_names_and_needs_no_key() {
    let nix = Nix::new();
    let project = composed("text");
    let printed = ok(&mut export(&project, &nix, &["one"]));
    let path = printed.trim();
    assert_eq!(path, format!("/nix/store/{}", project.stored("store")[0]));
    ok(nix.command("nix-store").args(["--verify-path", path]));
    assert_eq!(attributes(&nix.place(path)), attributes(&ours(&project, path)));
    contains(&registered(&nix, path), &["References: "]);
    // Two versions differ for Nix as they differ for us.
    let other = composed("another text, which is longer");
    let printed = ok(&mut export(&other, &nix, &[]));
    assert_ne!(printed.trim(), path);
    let mut differ = nix.command("nix");
    ok(differ.args(["store", "diff-closures", path, printed.trim()]));
    // Again, it has nothing to do.
    assert_eq!(ok(&mut export(&other, &nix, &[])), printed);
    assert_eq!(project.stored("staging"), Vec::<String>::new());
    // And back: another store takes the tree over.
    let third = Project::new("");
    ok(&mut import(&third, &nix, &[path]));
    assert_eq!(third.stored("store"), project.stored("store"));
    third.ok(&["verify", "--deep"]);
}

/// On a machine with several users, a daemon writes to `/nix/store`, and takes from most of them only what is signed or named by its content.
#[test]
fn a_user_whom_nix_does_not_trust_gives_trees_through_its_daemon() {
    if !is_root() {
        return;
    }
    let project = composed("text");
    let scratch = &project.scratch;
    scratch.write("etc/nix.conf", "build-users-group =\nsubstituters =\nsandbox = false\n");
    std::fs::create_dir_all(scratch.join("nix/store")).unwrap();
    copy_program(env!("CARGO_BIN_EXE_cotter"), &scratch.join("cotter"));
    for part in ["project", "store"] {
        give(&scratch.join(part), NOBODY);
    }
    std::fs::create_dir(scratch.join("home")).unwrap();
    give(&scratch.join("home"), NOBODY);
    let script = r#"
nix-daemon > daemon.log 2>&1 &
trap "kill $!" EXIT
tries=0
while [ ! -S /nix/var/nix/daemon-socket/socket ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
cd project
as="setpriv --reuid 65534 --regid 65534 --clear-groups env NIX_REMOTE=daemon HOME=$SCRATCH/home COTTER_STORE=$SCRATCH/store"
path=$($as "$SCRATCH/cotter" export nix one)
echo "$path"
$as nix-store --verify-path "$path"
$as "$SCRATCH/cotter" --store "$SCRATCH/home/other" import nix "$path"
"#;
    let mut bwrap = Command::new("bwrap");
    clean(&mut bwrap, scratch.path());
    bwrap.env("NIX_CONF_DIR", scratch.join("etc")).env("SCRATCH", scratch.path());
    bwrap.args(["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"]);
    bwrap.arg("--bind").arg(scratch.join("nix")).args(["/nix", "--unshare-pid"]);
    bwrap.arg("--die-with-parent").arg("--chdir").arg(scratch.path());
    let printed = ok(bwrap.args(["sh", "-ec", script]));
    let path = printed.trim();
    let theirs = std::fs::metadata(scratch.join(&path[1..]).join("bin/one")).unwrap();
    assert_eq!(theirs.uid(), 0);
    let name = path.rsplit('/').next().unwrap();
    let taken = scratch.join("home/other/store").join(name);
    assert_eq!(attributes(&taken), attributes(&ours(&project, path)));
    assert_eq!(std::fs::metadata(taken.join("bin/one")).unwrap().uid(), NOBODY);
}

#[test]
fn nix_gets_closures_with_the_signatures_of_the_lock() {
    let nix = Nix::new();
    let path = nix.greet();
    let cache = nix.copy(&[&path], "cache", "zstd", true);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    project.ok(&["setup"]);
    let other = Nix::new();
    let said = fails(1, &mut export(&project, &other, &["greet"]));
    contains(&said, &["nix has failed", "lacks a valid signature", "trusted-public-keys"]);
    assert_eq!(project.stored("staging"), Vec::<String>::new());
    let config = other.scratch.join("etc/nix.conf");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}trusted-public-keys = {}\n", nix.key)).unwrap();
    assert_eq!(ok(&mut export(&project, &other, &["greet"])), format!("{path}\n"));
    assert_eq!(other.closure(&path).len(), 3);
    for path in nix.closure(&path) {
        ok(other.command("nix-store").args(["--verify-path", &path]));
        assert_eq!(registered(&other, &path), registered(&nix, &path));
    }
    let third = Nix::new();
    ok(&mut export(&project, &third, &["greet", "--no-check-sigs"]));
    ok(third.command("nix-store").args(["--verify-path", &path]));
}

#[test]
fn without_nix_there_is_nobody_to_give_to() {
    let project = composed("text");
    let said = fails(1, project.cotter(&["export", "nix"]).env("PATH", "/nonexistent"));
    contains(&said, &["can't start nix", "Nix 2.8 or newer must be installed"]);
    assert_eq!(project.stored("staging"), Vec::<String>::new());
}

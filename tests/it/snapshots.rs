//! Complete texts that people and other programs read: help, failures with their exit codes and both streams, a lock, and what is emitted from it.
//! After an intended change, `INSTA_UPDATE=always cargo test --test it -- snapshots::` writes `snapshots/` again. Read the difference before you commit it.

use std::process::Command;

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::Server;
use crate::support::{Project, Scratch, clean, names, ok};

/// Compares a text with the text in `snapshots/<name>.snap`.
#[track_caller]
fn same(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Replaces the text between each `key` and the next quote.
fn hide(text: &str, key: &str, by: &str) -> String {
    let mut parts = text.split(key);
    let head = parts.next().unwrap().to_owned();
    parts.fold(head, |out, part| {
        let (_, rest) = part.split_once('"').unwrap();
        format!("{out}{key}{by}\"{rest}")
    })
}

#[test]
fn help() {
    let home = Scratch::new();
    let help = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
        clean(&mut command, home.path());
        ok(command.args(words).arg("--help"))
    };
    let all = help(&[]);
    let verbs: Vec<&str> = all
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .map_while(|l| l.strip_prefix("  ")?.split(' ').next())
        .collect();
    assert!(verbs.len() > 10, "{all}");
    let mut text = all.clone();
    let mut append = |words: &[&str]| {
        // The global options are in the first help, and they are the same in every other one.
        let own = help(words);
        let own = own.split("Global options:").next().unwrap().trim_end();
        text += &format!("\n--- {} ---\n{own}\n", words.join(" "));
    };
    // That of `help` is the help of another verb.
    for verb in verbs.iter().filter(|verb| **verb != "help") {
        append(&[verb]);
    }
    append(&["audit", "bazel"]);
    append(&["audit", "tree"]);
    append(&["export", "nix"]);
    append(&["import", "nix"]);
    same("help", &text);
}

/// A program in an archive and one in a Debian package. Their lock and their emission contain every key that such entries have.
struct Rig {
    server: Server,
    project: Project,
}

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        let signer = Signer::new();
        let mut archive = Archive::default();
        archive.package(
            "thing",
            "1:1.0-1",
            "Depends: libthing (>= 1)\n",
            Tar::new().dir("./usr/").program("./usr/bin/thing", b"program"),
        );
        archive.package(
            "libthing",
            "1.2-3",
            "Source: thing-libraries (1.2)\n",
            Tar::new().file("./usr/lib/libthing.so.1", b"library"),
        );
        archive.publish(&server, &signer);
        let url =
            server.put("/tool-2.5.tar", Tar::new().program("bin/tool", b"a program").finish());
        let project = Project::new(&format!(
            r#"
[mirrors]
debian = ["{}/debian"]
[settings]
keyring = "keys.asc"
[emit.bazel]
[toolchains.tool]
kind = "tool"
source = "archive"
version = "2.5"
url = "{url}"
[toolchains.thing]
kind = "tool"
source = "debian"
suite = "test"
packages = ["thing"]
"#,
            server.url
        ));
        project.scratch.write("project/keys.asc", signer.public());
        Rig { server, project }
    }

    /// Returns a text without the parts that differ from run to run.
    fn redacted(&self, text: &str) -> String {
        text.replace(&self.server.url, "[SERVER]")
            .replace(self.project.scratch.path().to_str().unwrap(), "[SCRATCH]")
    }

    /// Returns what a person sees of a run.
    fn run(&self, args: &[&str]) -> String {
        let output = self.project.cotter(args).output().unwrap();
        let mut out = format!("$ cotter {}\n", args.join(" "));
        for (stream, bytes) in [("1>", &output.stdout), ("2>", &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                out += format!("{stream} {line}").trim_end();
                out.push('\n');
            }
        }
        self.redacted(&format!("{out}exit code {}\n", output.status.code().unwrap()))
    }
}

#[test]
fn failures() {
    let rig = Rig::new();
    let manifest = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
    let mut text = String::new();
    let mut run = |title: &str, args: &[&str]| {
        text += &format!("--- {title}\n{}\n", rig.run(args));
    };
    run("a verb that is none", &["lokc"]);
    run("flags that exclude each other", &["setup", "--locked", "--frozen"]);
    run("nothing is locked yet", &["lock", "--check"]);
    run("a manifest that is not there", &["list", "--manifest", "elsewhere.toml"]);
    rig.project.ok(&["lock"]);
    run("a toolchain that is none", &["path", "think"]);
    run("a command that is none", &["exec", "tool", "--", "no-such-command"]);
    rig.project.manifest(&manifest.replace("2.5\"", "2.6\"").replace("kind", "kin"));
    run("a manifest with problems", &["lock"]);
    rig.project.manifest(&manifest.replace("\"2.5\"", "\"2.6\""));
    run("a lock that does not fit", &["lock", "--check"]);
    run("the same, where it must", &["setup", "--locked"]);
    same("failures", &text);
}

#[test]
fn lock_and_emission() {
    let rig = Rig::new();
    rig.project.ok(&["lock"]);
    // Each run makes a new key. The size and the hash of a package depend on the compressor.
    let mut lock = hide(&rig.redacted(&rig.project.lock_text()), "key = \"", "[KEY]");
    lock = hide(&lock, "keys = [\"keys.asc ", "[DIGEST]");
    // The digest covers the address of the server, too.
    lock = hide(&lock, "digest = \"", "[DIGEST]");
    lock = lock
        .lines()
        .map(|line| match line.find(", size = ").filter(|_| line.contains(".deb\"")) {
            Some(at) => format!("{}{}\n", &line[..at], {
                let rest = hide(&line[at..], "sha256 = \"", "[SHA256]");
                let digits = rest.trim_start_matches(", size = ");
                let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
                format!(", size = [SIZE]{after}")
            }),
            None => format!("{line}\n"),
        })
        .collect();
    same("lock", &lock);
    rig.project.ok(&["emit", "bazel"]);
    let dir = rig.project.dir().join("bazel/cotter");
    // These files depend on the lock. The rules themselves are in templates/bazel.
    let mut emitted = String::new();
    for name in ["lock.bzl", "BUILD.bazel", "cotter.bazelrc", "cotter.MODULE.bazel"] {
        assert!(names(&dir).contains(&name.to_owned()), "{:?}", names(&dir));
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        emitted += &format!("--- {name}\n{}\n", rig.redacted(&text));
    }
    same("emission", &emitted);
}

//! Binary caches that the real Nix writes, out of closures that it builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::Server;
use super::{Scratch, clean, names, ok};

/// The settings of a Nix that asks nobody and builds with the shell of this machine.
const CONFIG: &str = "build-users-group =
substituters =
sandbox = true
sandbox-paths = /bin /lib /lib64 /usr
experimental-features = nix-command
";

/// Three paths: a script, what it reads, and data that both name. One refers to itself.
const GREET: &str = r#"
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  };
  data = make "data-1.0" "mkdir -p $out/share/empty; echo hi > $out/share/text; ln -s text $out/share/link";
  lib = make "greet-lib-2.1" "mkdir -p $out/lib; echo 'greeting=$(cat ${data}/share/text)' > $out/lib/greet.sh; echo $out > $out/lib/self";
in make "greet-3.0" "mkdir -p $out/bin; printf '#!/bin/sh\n. ${lib}/lib/greet.sh\necho $greeting from ${data}\n' > $out/bin/greet; chmod +x $out/bin/greet"
"#;

/// A store of Nix in a directory, and the key with which it signs.
pub struct Nix {
    pub scratch: Scratch,
    /// The public key.
    pub key: String,
    /// The directory of the programs of another Nix than that of the machine.
    pub programs: Option<PathBuf>,
}

impl Nix {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write("etc/nix.conf", CONFIG);
        let mut nix = Nix { scratch, key: String::new(), programs: None };
        let (secret, public) = (nix.scratch.join("secret"), nix.scratch.join("public"));
        let mut make = nix.command("nix-store");
        make.args(["--generate-binary-cache-key", "test-1"]).args([&secret, &public]);
        ok(&mut make);
        nix.key = std::fs::read_to_string(public).unwrap().trim().to_owned();
        nix
    }

    /// Returns a command of Nix that works on the store.
    pub fn command(&self, program: &str) -> Command {
        let dir = self.programs.clone().unwrap_or_default();
        let mut command = Command::new(dir.join(program));
        clean(&mut command, self.scratch.path());
        command.env("NIX_CONF_DIR", self.scratch.join("etc"));
        command.arg("--store").arg(self.root());
        command
    }

    /// Returns the directory below which the store lies.
    pub fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// Returns the place of a store path on the disk.
    pub fn place(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Builds an expression and returns the store path.
    pub fn build(&self, expression: &str) -> String {
        let file = self.scratch.write("expression.nix", expression);
        let printed = ok(self.command("nix-build").arg(file).arg("--no-out-link"));
        printed.trim().to_owned()
    }

    /// Builds the closure of the script that greets.
    pub fn greet(&self) -> String {
        self.build(GREET)
    }

    /// Returns the paths to which a path refers, with itself.
    pub fn closure(&self, path: &str) -> Vec<String> {
        let printed = ok(self.command("nix-store").args(["--query", "--requisites", path]));
        printed.lines().map(str::to_owned).collect()
    }

    /// Adds a file or a directory, whose path follows from its content.
    pub fn add(&self, file: &Path) -> String {
        ok(self.command("nix-store").arg("--add").arg(file)).trim().to_owned()
    }

    /// Writes paths and all to which they refer into a cache, signed or not.
    pub fn copy(&self, paths: &[&str], cache: &str, compression: &str, signed: bool) -> PathBuf {
        let dir = self.scratch.join(cache);
        let mut to = format!("file://{}?compression={compression}", dir.display());
        if signed {
            to += &format!("&secret-key={}", self.scratch.join("secret").display());
        }
        ok(self.command("nix").args(["copy", "--no-check-sigs", "--to", &to]).args(paths));
        dir
    }

    /// Returns the beginning of a manifest that names a cache and the key.
    pub fn manifest(&self, cache: &str) -> String {
        format!(
            "platforms = [\"x86_64-linux\"]\n[nix]\ncaches = [\"{cache}\"]\nkeys = [\"{}\"]\n",
            self.key
        )
    }
}

/// Returns the table of a tool that is a store path.
pub fn tool(path: &str) -> String {
    format!("[toolchains.greet]\nkind = \"tool\"\nsource = \"nix\"\npath = \"{path}\"\n")
}

/// Returns the expression that turns a lock into derivations. `more` are further arguments.
pub fn from_lock(lock: &Path, cotter: &Path, more: &str) -> String {
    format!(
        "import {}/nix/from-lock.nix {{ lock = {}; cotter = {}; {more} }}",
        super::REPO,
        lock.display(),
        cotter.display()
    )
}

/// Returns the name of the description of a path.
pub fn narinfo(path: &str) -> String {
    format!("{}.narinfo", &path["/nix/store/".len()..][..32])
}

/// Returns the name of the description of a path in a store of cotter.
pub fn noted_as(path: &str) -> String {
    format!("{}.narinfo", &path["/nix/store/".len()..])
}

/// Serves the files of a cache.
pub fn serve(cache: &Path) -> Server {
    let server = Server::start();
    put_all(&server, cache, "");
    server
}

fn put_all(server: &Server, dir: &Path, at: &str) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let at = format!("{at}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            put_all(server, &entry.path(), &at);
        } else {
            server.put(&at, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Shows bubblewrap's new root all of this machine but `/nix`, `/proc` and `/dev`.
pub fn bind_the_machine(bwrap: &mut Command) {
    for entry in names(Path::new("/")) {
        let top = Path::new("/").join(&entry);
        if let Ok(target) = std::fs::read_link(&top) {
            bwrap.arg("--symlink").arg(target).arg(top);
        } else if top.is_dir() && !["nix", "proc", "dev"].contains(&entry.as_str()) {
            bwrap.arg("--bind").args([&top, &top]);
        }
    }
}

/// Returns the types, modes, times, sizes and links of a path and all below it.
pub fn attributes(path: &Path) -> String {
    let mut find = Command::new("find");
    find.arg(path).args(["-printf", "%P %y %m %T@ %l %s\n"]);
    let listed = ok(&mut find);
    // The size of a directory belongs to the file system.
    let mut lines: Vec<String> = listed
        .lines()
        .map(|line| {
            if line.contains(" d ") { line.rsplit_once(' ').unwrap().0 } else { line }.to_owned()
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// Returns a command as it runs on a machine without Nix and without `/nix`.
pub fn without_nix(inner: &Command) -> Command {
    let mut bwrap = Command::new("bwrap");
    bwrap.args(["--unshare-user", "--uid", "1000", "--cap-add", "ALL"]);
    bind_the_machine(&mut bwrap);
    // A part of the machine's own /proc would be hidden otherwise, and then no namespace may have its own.
    bwrap.args(["--bind", "/proc", "/proc", "--dev", "/dev"]);
    for program in ["nix", "nix-store", "nix-build", "nix-instantiate"] {
        bwrap.args(["--ro-bind", "/dev/null"]).arg(Path::new("/usr/bin").join(program));
    }
    bwrap.arg("--chdir").arg(inner.get_current_dir().unwrap()).arg("--");
    bwrap.arg(inner.get_program()).args(inner.get_args()).env_clear();
    bwrap.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bwrap
}

//! Real versions of Bazel, each in the root of a machine that has no compiler, no interpreter, no headers and no network.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::{REPO, Scratch, in_store, names, ok, shared_store, text};

/// A version of Bazel, and the way in which it learns of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bazel {
    /// 4.2.3 with WORKSPACE.
    V4,
    /// 7.7.1 with MODULE.bazel.
    V7,
    /// 7.7.1 with WORKSPACE.
    V7Workspace,
}

/// Only one server runs at a time, because servers need memory, and the machines have two cores.
static ONE: Mutex<()> = Mutex::new(());

impl Bazel {
    /// Returns the root, which is made when it is first used and then kept.
    fn root(self) -> &'static Path {
        static ROOTS: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        let (slot, suite) =
            if self == Bazel::V4 { (&ROOTS[0], "bookworm") } else { (&ROOTS[1], "forky") };
        slot.get_or_init(|| {
            let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bazel-{suite}"));
            // The tests of Bazel and the others may run in two processes.
            let lock = std::fs::File::create(dir.with_extension("lock")).unwrap();
            lock.lock().unwrap();
            if !dir.exists() {
                let output = Command::new("sh")
                    .arg(format!("{REPO}/tests/bazel-root.sh"))
                    .arg(suite)
                    .arg(&dir)
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{}", text(&output));
            }
            for name in ["python3", "gcc", "g++", "cc", "ld", "as", "ar", "clang", "perl"] {
                assert!(!dir.join("usr/bin").join(name).exists(), "{name} is in {}", dir.display());
            }
            dir
        })
    }

    /// Returns the flags that replace downloads.
    pub fn flags(self) -> Vec<String> {
        let mut flags = vec![
            "--nosandbox_debug".to_owned(),
            "--color=no".to_owned(),
            "--curses=no".to_owned(),
            "--show_progress_rate_limit=60".to_owned(),
        ];
        match self {
            Bazel::V4 => {
                for name in ["rules_cc", "rules_java"] {
                    flags.push(format!("--override_repository={name}={REPO}/tests/bazel/4/{name}"));
                }
                flags.push(format!(
                    "--override_repository=remote_coverage_tools={REPO}/tests/bazel/coverage"
                ));
            }
            Bazel::V7 => {
                flags.push("--lockfile_mode=off".to_owned());
                for name in ["buildozer", "protobuf", "zlib", "apple_support"] {
                    flags.push(format!("--override_module={name}={REPO}/tests/bazel/7/{name}"));
                }
                flags.push(format!(
                    "--override_repository=bazel_tools~remote_coverage_tools_extension~remote_coverage_tools={REPO}/tests/bazel/coverage"
                ));
            }
            Bazel::V7Workspace => {
                flags.push("--noenable_bzlmod".to_owned());
                for (name, path) in [
                    ("rules_cc", "rules/cc"),
                    ("rules_java", "rules/java"),
                    ("rules_python", "rules/python"),
                    ("rules_proto", "rules/proto"),
                    ("rules_license", "rules/license"),
                    ("bazel_skylib", "tools/skylib"),
                    ("platforms", "tools/platforms"),
                ] {
                    flags.push(format!("--override_repository={name}=/usr/share/bazel/{path}"));
                }
                flags.push(format!(
                    "--override_repository=remote_coverage_tools={REPO}/tests/bazel/coverage"
                ));
            }
        }
        flags
    }
}

/// A workspace, a Bazel and an output root.
pub struct Workspace {
    pub bazel: Bazel,
    scratch: Scratch,
    pub dir: PathBuf,
    pub store: PathBuf,
    /// The variables of the client's environment.
    pub env: Vec<(String, String)>,
    /// Further directories that it sees.
    pub binds: Vec<PathBuf>,
    /// Files of the machine, relative to its root, that are empty.
    pub emptied: Vec<PathBuf>,
    _one: Option<MutexGuard<'static, ()>>,
}

impl Workspace {
    /// Returns a copy of an example at a path of its own, with the shared store and with the files that are emitted from its lock.
    pub fn example(bazel: Bazel, name: &str) -> Self {
        let workspace = Self::copy(bazel, &Path::new(REPO).join("examples").join(name));
        workspace.emit();
        workspace
    }

    /// Returns the files of the machine in a directory whose names begin with a word, relative to its root.
    pub fn files_of_machine(&self, dir: &str, begin: &str) -> Vec<PathBuf> {
        let found: Vec<PathBuf> = names(&self.bazel.root().join(dir))
            .into_iter()
            .filter(|name| name.starts_with(begin))
            .map(|name| Path::new(dir).join(name))
            .collect();
        assert!(!found.is_empty(), "{begin}* is not in {dir}");
        found
    }

    /// Returns the directory below which this Bazel has its output bases.
    pub fn output_root(&self) -> PathBuf {
        self.scratch.join("out")
    }

    /// Writes the folder for Bazel.
    pub fn emit(&self) {
        ok(&mut in_store(shared_store(), &self.dir, &["emit", "bazel"]));
    }

    /// Returns a copy of a directory.
    pub fn copy(bazel: Bazel, from: &Path) -> Self {
        let workspace = Self::empty(bazel);
        copy_dir(from, &workspace.dir);
        workspace
    }

    /// Returns an empty workspace.
    pub fn empty(bazel: Bazel) -> Self {
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let scratch = Scratch::new();
        let dir = scratch.join("work space".replace(' ', "-").as_str());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::create_dir_all(scratch.join("out")).unwrap();
        Workspace {
            bazel,
            scratch,
            dir,
            store: shared_store().to_owned(),
            env: vec![],
            binds: vec![],
            emptied: vec![],
            _one: Some(one),
        }
    }

    /// Returns another workspace next to this one. It uses the lock on Bazel of this one.
    pub fn beside(&self, name: &str, bazel: Bazel) -> Workspace {
        let scratch = Scratch::new();
        let dir = scratch.join(name);
        copy_dir(&self.dir, &dir);
        std::fs::create_dir_all(scratch.join("out")).unwrap();
        Workspace {
            bazel,
            scratch,
            dir,
            store: self.store.clone(),
            env: self.env.clone(),
            binds: self.binds.clone(),
            emptied: self.emptied.clone(),
            _one: None,
        }
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Returns a command in the root of the machine. `script` is for /bin/sh, and `$BAZEL` in it is Bazel with its startup flags.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bwrap");
        let bind = |command: &mut Command, how: &str, path: &Path| {
            command.arg(how).arg(path).arg(path);
        };
        command.args(["--unshare-all", "--die-with-parent", "--clearenv"]);
        for part in ["usr", "etc", "var"] {
            command.arg("--ro-bind").arg(self.bazel.root().join(part)).arg(format!("/{part}"));
        }
        for file in &self.emptied {
            command.args(["--ro-bind", "/dev/null"]).arg(Path::new("/").join(file));
        }
        for link in ["bin", "lib", "lib64", "sbin"] {
            command.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/root"]);
        for part in ["tests/bazel", "target"] {
            let path = Path::new(REPO).join(part);
            if path.exists() {
                bind(&mut command, "--ro-bind", &path);
            }
        }
        bind(&mut command, "--ro-bind", Path::new(env!("CARGO_BIN_EXE_cotter")));
        if self.store.exists() {
            bind(&mut command, "--bind", &self.store);
        }
        bind(&mut command, "--bind", self.scratch.path());
        for path in &self.binds {
            bind(&mut command, "--bind", path);
        }
        // Zig builds its run-time libraries in this directory. It is kept, because that takes minutes.
        let zig = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zig");
        std::fs::create_dir_all(&zig).unwrap();
        command.arg("--bind").arg(zig).arg("/tmp/cotter-zig");
        command
            .arg("--chdir")
            .arg(&self.dir)
            .args([
                "--setenv",
                "PATH",
                "/usr/bin:/bin",
                "--setenv",
                "HOME",
                "/root",
                "--setenv",
                "USER",
                "tester",
                "--setenv",
                "COTTER_STORE",
            ])
            .arg(&self.store);
        command.args(["--setenv", "COTTER_TRUST", "1"]);
        command.args(["--setenv", "BAZEL"]).arg(format!(
            "bazel --output_user_root={} --host_jvm_args=-Xmx1500m",
            self.scratch.join("out").display()
        ));
        for (name, value) in &self.env {
            command.args(["--setenv", name, value]);
        }
        command.args(["/bin/sh", "-ec", script]).env_clear().env("PATH", "/usr/bin:/bin");
        command
    }

    /// Returns a command of Bazel for a shell.
    pub fn line(&self, verb: &str, arguments: &[&str]) -> String {
        let quote = |s: &str| format!("'{}'", s.replace('\'', "'\\''"));
        let words: Vec<String> = self
            .bazel
            .flags()
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .map(quote)
            .collect();
        format!("$BAZEL {verb} {}", words.join(" "))
    }

    /// Runs a command of Bazel.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.shell(&self.line(verb, arguments)).output().unwrap()
    }

    /// Runs several commands of one server. All of them must succeed.
    #[track_caller]
    pub fn all_ok(&self, commands: &[(&str, &[&str])]) -> String {
        let lines: Vec<String> =
            commands.iter().map(|(verb, arguments)| self.line(verb, arguments)).collect();
        let output = self.shell(&lines.join("\n")).output().unwrap();
        assert!(
            output.status.success(),
            "{:?} {commands:?}: {}\n{}",
            self.bazel,
            output.status,
            text(&output)
        );
        text(&output)
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.run(verb, arguments);
        assert!(
            output.status.success(),
            "{:?} {verb} {arguments:?}: {}\n{}",
            self.bazel,
            output.status,
            text(&output)
        );
        text(&output)
    }

    /// Runs a command that must fail, and returns what it printed.
    #[track_caller]
    pub fn fails(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.run(verb, arguments);
        assert!(
            !output.status.success(),
            "{:?} {verb} {arguments:?} succeeded\n{}",
            self.bazel,
            text(&output)
        );
        text(&output)
    }

    /// Returns the directory of the outputs.
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bazel-bin").canonicalize().unwrap()
    }

    /// Returns the contents of the outputs of this workspace's own packages by path, without runfiles and other trees of links.
    pub fn outputs(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        let mut out = std::collections::BTreeMap::new();
        let bin = self.bin();
        collect(&bin, &bin, &mut out);
        out
    }
}

fn collect(dir: &Path, root: &Path, out: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() && !name.ends_with(".runfiles") {
            collect(&path, root, out);
        } else if meta.is_file() {
            out.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("bazel-") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(name));
        } else {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

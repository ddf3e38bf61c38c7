//! Functions that the tests share.

pub mod archive;
pub mod bazel;
pub mod building;
pub mod debian;
pub mod jail;
pub mod nix;
pub mod server;
pub mod users;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The directory of the repository.
pub const REPO: &str = env!("CARGO_MANIFEST_DIR");

/// A directory for one test, which is deleted when the value is dropped.
pub struct Scratch(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    /// Creates the directory below the system's temporary directory. Other users can reach that one, which is not certain for the target directory.
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!(
            "cotter-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and creates its directories.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("chmod").arg("-R").arg("u+w").arg(&self.0).output();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A project with a store of its own.
pub struct Project {
    pub scratch: Scratch,
    pub store: PathBuf,
}

impl Project {
    pub fn new(manifest: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("project/toolchains.toml", manifest);
        let store = scratch.join("store");
        Project { scratch, store }
    }

    pub fn dir(&self) -> PathBuf {
        self.scratch.join("project")
    }

    pub fn manifest(&self, text: &str) {
        self.scratch.write("project/toolchains.toml", text);
    }

    pub fn lock_text(&self) -> String {
        std::fs::read_to_string(self.dir().join("toolchains.lock")).unwrap()
    }

    /// Returns the program in the project's directory, with a clean environment and short pauses.
    pub fn cotter(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
        clean(&mut command, self.scratch.path());
        command.args(args).current_dir(self.dir()).env("COTTER_STORE", &self.store);
        command
    }

    pub fn ok(&self, args: &[&str]) -> String {
        ok(&mut self.cotter(args))
    }

    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        fails(code, &mut self.cotter(args))
    }

    /// Returns the sorted names in a directory of the store.
    pub fn stored(&self, part: &str) -> Vec<String> {
        names(&self.store.join(part))
    }

    /// Checks that the store contains no tree and no work in progress.
    pub fn assert_store_empty(&self) {
        assert_eq!(self.stored("store"), Vec::<String>::new(), "trees");
        assert_eq!(self.stored("staging"), Vec::<String>::new(), "staging");
    }

    /// Returns the only tree in the store.
    pub fn tree(&self) -> PathBuf {
        let names = self.stored("store");
        assert_eq!(names.len(), 1, "{names:?}");
        self.store.join("store").join(&names[0])
    }
}

/// Copies a program by another process. A file that this process has open for writing cannot be executed, and a thread that starts a program at that moment keeps it open.
pub fn copy_program(from: impl AsRef<std::ffi::OsStr>, to: &Path) {
    ok(Command::new("cp").arg(from).arg(to));
}

pub fn names(dir: &Path) -> Vec<String> {
    let mut out: Vec<String> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect(),
        Err(_) => vec![],
    };
    out.sort();
    out
}

/// Clears the environment of a command except for the proxies and certificates that the network of this machine needs.
pub fn clean(command: &mut Command, home: &Path) {
    let keep: Vec<(String, String)> = [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "PIP_CONFIG_FILE",
        "PIP_CERT",
    ]
    .iter()
    .filter_map(|k| Some(((*k).to_owned(), std::env::var(k).ok()?)))
    .collect();
    command
        .env_clear()
        .envs(keep)
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("COTTER_TRUST", "1")
        .env("COTTER_HTTP_BACKOFF", "0.01")
        .env("COTTER_HTTP_TIMEOUT", "60");
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}\n{}\n{}", output.status, text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must fail with an exit code, and returns its standard error. A panic of the program is always an error.
#[track_caller]
pub fn fails(code: i32, command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let all = text(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{all}");
    assert!(!all.contains("panicked"), "{all}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// The directories of this repository that have a manifest and a lock for users to read.
pub const PROJECTS: [&str; 8] = [
    "",
    "examples/libraries",
    "examples/cpp",
    "examples/python",
    "examples/mixed",
    "examples/nix",
    "examples/zig",
    "examples/flask",
];

/// Returns a manifest for x86_64 with one part of those that `cotter init` writes, with the suite bookworm alone, whose trees are in
/// the shared store.
pub fn template(name: &str) -> String {
    let part =
        |name| std::fs::read_to_string(format!("{REPO}/templates/init/{name}.toml")).unwrap();
    let text = (part("head") + &part(name)).replace("@platform@", "x86_64-linux");
    let suites = "suite = [\"bookworm\", \"bookworm-updates\", { archive = \"debian-security\", suite = \"bookworm-security\" }]";
    assert!(text.contains(suites), "{text}");
    text.replace(suites, "suite = \"bookworm\"")
}

/// Returns the store in which the toolchains of the repository and of its examples are set up once for all tests. It is kept
/// between runs. Its content was verified when it was made.
pub fn shared_store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store");
        for dir in PROJECTS.map(|d| PathBuf::from(REPO).join(d)) {
            ok(&mut in_store(&store, &dir, &["setup", "--locked"]));
        }
        store
    })
}

/// Returns the program in a directory, with a store.
pub fn in_store(store: &Path, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
    clean(&mut command, store.parent().unwrap());
    command.args(args).current_dir(dir).env("COTTER_STORE", store);
    command
}

/// Returns the tree of one of the repository's own toolchains in the shared store.
pub fn tree(name: &str) -> PathBuf {
    ok(&mut in_store(shared_store(), Path::new(REPO), &["path", name])).trim().into()
}

/// Returns the tree of a toolchain of the libraries example.
pub fn library(name: &str) -> PathBuf {
    ok(&mut in_store(shared_store(), &Path::new(REPO).join("examples/libraries"), &["path", name]))
        .trim()
        .into()
}

/// What a terminal has shown of a command.
pub struct Shown {
    /// What stands on the screen at the end, without the spaces at the ends of lines.
    pub screen: String,
    /// The rows that were full at any time, so that what was printed then went on in the next one, with that one.
    pub wrapped: std::collections::BTreeSet<(String, String)>,
}

/// Runs a command of a shell on a terminal of this width, by script(1), with the environment and the directory of another command.
pub fn on_terminal(like: &Command, shell: &str, columns: u16) -> Shown {
    let rows = 200;
    let mut command = Command::new("script");
    command
        .args(["-qec", &format!("stty cols {columns} rows {rows}; {shell}"), "/dev/null"])
        .env_clear()
        .envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("TERM", "xterm-256color")
        .current_dir(like.get_current_dir().unwrap());
    let output = command.output().unwrap();
    let size = |n| std::num::NonZero::new(n).unwrap();
    let mut terminal = vt100::Parser::new(size(rows), size(columns), 0);
    let mut wrapped = std::collections::BTreeSet::new();
    for part in output.stdout.chunks(16) {
        terminal.process(part);
        let screen = terminal.screen();
        let lines: Vec<String> = screen.rows(0, columns).collect();
        let over = (0..rows).filter(|row| screen.row_wrapped(*row));
        let at = |row: u16| lines.get(usize::from(row)).cloned().unwrap_or_default();
        wrapped.extend(over.map(|row| (at(row), at(row + 1))));
    }
    let lines: Vec<String> = terminal.screen().rows(0, columns).collect();
    let screen = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    Shown { screen: screen.trim_end().to_owned(), wrapped }
}

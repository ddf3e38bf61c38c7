//! Other users of the machine, and shells in which a user types.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Project, ok, text};

/// A user and a group that are neither root nor, usually, the user who runs the tests.
pub const NOBODY: u32 = 65_534;

/// Whether this user can give files to others. Only root can; what needs it is tested by `.ci/run`, which runs as root.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not root: files of other users are not tested");
    }
    root
}

/// Gives a file, or a directory with all that is in it, to a user.
pub fn give(path: &Path, uid: u32) {
    ok(Command::new("chown").arg("-hR").arg(uid.to_string()).arg(path));
}

/// The directory in which the tested program lies.
pub fn bin() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_cotter")).parent().unwrap().to_owned()
}

/// Runs a script in an interactive shell that finds cotter in `bin`, and returns what it printed.
pub fn interactive(project: &Project, shell: &[&str], bin: &Path, script: &str) -> String {
    let mut command = Command::new(shell[0]);
    super::clean(&mut command, project.scratch.path());
    command
        .args(&shell[1..])
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("COTTER_STORE", &project.store)
        .env("KEPT", "old 'value'")
        .env("P", project.dir())
        .current_dir(project.scratch.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    text(&child.wait_with_output().unwrap())
}

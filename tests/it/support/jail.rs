//! A jail in which nothing of the host exists: bubblewrap with an empty root, /proc, /dev, the trees and a working directory.

use std::path::Path;
use std::process::Command;

/// Returns a command in the jail with the working directory `work`. The store is visible at its own path, read-only.
pub fn jail(store: &Path, work: &Path) -> Command {
    let mut command = Command::new("bwrap");
    arguments(&mut command, store, work);
    command
}

/// Returns the same command for an ordinary user, if the tests run as root.
pub fn jail_as_nobody(store: &Path, work: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return jail(store, work);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "bwrap"]);
    arguments(&mut command, store, work);
    command
}

fn arguments(command: &mut Command, store: &Path, work: &Path) {
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.args([
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--ro-bind",
    ]);
    command.arg(store.join("store")).arg(store.join("store")).arg("--bind").arg(work).arg(work);
    // GCC writes its temporary files to TMPDIR, because there is no /tmp.
    command
        .arg("--chdir")
        .arg(work)
        .args(["--setenv", "PATH", "/nonexistent", "--setenv", "TMPDIR"])
        .arg(work)
        .args(["--setenv", "HOME"])
        .arg(work);
}

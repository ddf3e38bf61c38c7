//! What several benchmarks need.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a command, which must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    // cargo sets this variable for the programs that it starts, and every loader would search there first.
    command.env_remove("LD_LIBRARY_PATH").stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Prints a row of a table: a time in milliseconds, and its ratio to another one.
pub fn row(name: &str, time: Duration, reference: Duration) {
    println!(
        "  {name:<58} {:>9.1} ms   {:>7.3}",
        time.as_secs_f64() * 1e3,
        time.as_secs_f64() / reference.as_secs_f64()
    );
}

/// Removes the directory of a benchmark, with read-only trees in it.
pub fn remove(scratch: &Path) {
    if !scratch.exists() {
        return;
    }
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(scratch).status();
    let _ = std::fs::remove_dir_all(scratch);
}

/// Waits for a child, and returns its peak resident memory in kilobytes, which is sampled from /proc.
#[allow(dead_code, reason = "not every benchmark measures memory")]
pub fn peak_memory(child: &mut std::process::Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Ok(status) = std::fs::read_to_string(&path) {
            let now = status
                .lines()
                .find_map(|l| l.strip_prefix("VmHWM:"))
                .and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(now.unwrap_or(0));
        }
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success());
                return peak;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

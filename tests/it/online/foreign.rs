//! Trees for aarch64, composed on this machine, run under qemu-user.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{REPO, Scratch, in_store, ok, shared_store};

fn aarch64(name: &str) -> PathBuf {
    let mut setup = in_store(
        shared_store(),
        Path::new(REPO),
        &["setup", "--locked", "--platform", "aarch64-linux", name],
    );
    ok(&mut setup);
    ok(&mut in_store(
        shared_store(),
        Path::new(REPO),
        &["path", "--platform", "aarch64-linux", name],
    ))
    .trim()
    .into()
}

/// Runs a program of a tree through its launcher. qemu-user cannot start another foreign program without help from the kernel, so the launcher's `execve` is read from a
/// trace, and the program that it would have started is started under qemu. This also proves that the launcher makes the right call.
pub fn run(program: &Path, args: &[&str]) -> String {
    let traced = Command::new("qemu-aarch64")
        .arg("-strace")
        .arg(program)
        .args(args)
        .env_clear()
        .output()
        .unwrap();
    let trace = String::from_utf8_lossy(&traced.stderr).into_owned();
    let line = trace
        .lines()
        .find(|l| l.contains("execve("))
        .unwrap_or_else(|| panic!("no execve in {trace}"));
    let argv = line.split_once('{').unwrap().1.split_once('}').unwrap().0.trim_end_matches(",NULL");
    let words: Vec<String> =
        argv.split("\",\"").map(|w| w.trim_matches(['"', ',']).to_owned()).collect();
    assert!(words[0].ends_with("/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"), "{line}");
    ok(Command::new("qemu-aarch64").args(&words).env_clear())
}

#[test]
fn gcc_and_python_for_aarch64_run_under_qemu() {
    let (gcc, python) = (aarch64("gcc"), aarch64("python"));
    assert!(run(&gcc.join("bin/gcc"), &["--version"]).contains("12.2.0"));
    let said = run(
        &python.join("bin/python3"),
        &["-c", "import platform,ssl,sqlite3,ctypes;print(platform.machine(),6*7)"],
    );
    assert_eq!(said, "aarch64 42\n");
}

/// The tree's own cc1, as and ld make a program that runs. qemu starts each of them, because the driver cannot start them there.
#[test]
fn the_compiler_for_aarch64_compiles() {
    let gcc = aarch64("gcc");
    let scratch = Scratch::new();
    let source = scratch.write("a.c", "int main(void) { return 42; }\n");
    let (s, o) = (scratch.join("a.s"), scratch.join("a.o"));
    run(
        &gcc.join("usr/lib/gcc/aarch64-linux-gnu/12/cc1"),
        &["-quiet", source.to_str().unwrap(), "-o", s.to_str().unwrap()],
    );
    run(&gcc.join("bin/as"), &[s.to_str().unwrap(), "-o", o.to_str().unwrap()]);
    let header = run(&gcc.join("bin/readelf"), &["-h", o.to_str().unwrap()]);
    assert!(header.contains("AArch64"), "{header}");
}

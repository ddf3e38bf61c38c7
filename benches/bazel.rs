//! Compares Bazel with the emitted toolchains and Bazel with those of a machine, as ratios within one run: `cargo bench --bench bazel`, or only a part
//! (`-- gcc`, which includes Python, or `-- clang`).
//! The machine is a root with Bazel 4.2.3, GCC, Clang and Python of Debian 12, which is made with mmdebstrap and entered with bubblewrap (`tests/install.sh`
//! installs what it needs; run it as root). COTTER_STORE names the store, otherwise the trees go into a new one.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::{remove, row, run};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const COTTER: &str = env!("CARGO_BIN_EXE_cotter");
const ROUNDS: usize = 4;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|w| w == part);
    let scratch = std::env::temp_dir().join(format!("cotter-bench-bazel-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    run(Command::new("sh")
        .arg(format!("{REPO}/tests/bazel-root.sh"))
        .arg("bookworm")
        .arg(scratch.join("root"))
        .arg("clang-19,g++,gcc,libc6-dev,python3"));
    if is_wanted("gcc") {
        gcc_and_python(&scratch);
    }
    if is_wanted("clang") {
        let llvm = &["--extra_toolchains=//bazel/cotter:llvm-x86_64-linux"];
        let pinned = Workspace::new(&scratch, "pinned-clang", Some("cpp"), llvm);
        let host = Workspace::new(&scratch, "host-clang", None, &["--repo_env=CC=clang-19"]);
        compilations("Clang 19", &pinned, &host);
    }
    remove(&scratch);
}

/// Compares the toolchains of `examples/flask` with GCC and Python of the machine.
fn gcc_and_python(scratch: &Path) {
    let pinned = Workspace::new(scratch, "pinned", Some("flask"), &[]);
    let host = Workspace::new(scratch, "host", None, &[]);
    for (what, targets) in [
        ("100 py_tests that do nothing", "//nothing/..."),
        ("100 py_tests that import unittest", "//unit/..."),
    ] {
        let arguments = ["--nocache_test_results", "--noshow_progress", targets];
        pinned.bazel("test", &arguments);
        host.bazel("test", &arguments);
        compare(what, || pinned.bazel("test", &arguments), || host.bazel("test", &arguments));
    }
    let site = pinned.host_packages();
    let environment = format!("--test_env=PYTHONPATH={}", site.display());
    let arguments = ["--nocache_test_results", "--noshow_progress", "//web/..."];
    let with = [arguments[0], arguments[1], &environment, arguments[2]];
    pinned.bazel("test", &arguments);
    host.bazel("test", &with);
    compare(
        "100 py_tests that import flask",
        || pinned.bazel("test", &arguments),
        || host.bazel("test", &with),
    );
    compilations("GCC 12", &pinned, &host);
    let emit = (0..20).map(|_| {
        let start = Instant::now();
        run(&mut pinned.cotter(&["emit", "bazel", "--check", "--frozen"]));
        start.elapsed()
    });
    let best = emit.min().unwrap();
    row("cotter emit bazel --check", best, best);
}

/// Compares how long the same compiler takes for many files, as one of the trees and as one of the machine.
fn compilations(compiler: &str, pinned: &Workspace, host: &Workspace) {
    for (what, targets) in [
        ("200 compilations of <map>, <string>, <vector>", "//cc/..."),
        ("200 compilations of nothing: the sandbox alone", "//empty/..."),
    ] {
        let build = |w: &Workspace| {
            w.bazel("clean", &[]);
            // Bazel's own toolchain compiles for C++11, and ours for C++17, whose headers are longer. Both use C++17 here, because only the way to the compiler is compared.
            w.bazel("build", &["--noshow_progress", "--cxxopt=-std=c++17", targets])
        };
        build(pinned);
        build(host);
        compare(&format!("{compiler}: {what}"), || build(pinned), || build(host));
    }
    for workspace in [pinned, host] {
        workspace.bazel("shutdown", &[]);
    }
}

/// How long a command took: on the clock, and as processor time of the server and of all processes that it started. The latter depends less on what else the machine does.
#[derive(Clone, Copy)]
struct Taken {
    elapsed: Duration,
    processor: Duration,
}

/// Runs both in turn and takes the shortest times of each, because noise only adds time.
fn compare(what: &str, pinned: impl Fn() -> Taken, host: impl Fn() -> Taken) {
    let (mut a, mut b) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        a.push(pinned());
        b.push(host());
    }
    for (kind, time) in [
        ("elapsed", (|t: &Taken| t.elapsed) as fn(&Taken) -> Duration),
        ("processor", |t: &Taken| t.processor),
    ] {
        let best = |of: &[Taken]| of.iter().map(time).min().unwrap().as_secs_f64();
        let (a, b) = (best(&a), best(&b));
        println!(
            "  {what:<58} {kind:<9} {:>9.0} ms against {:>7.0} ms on the host   {:>5.2}",
            a * 1e3,
            b * 1e3,
            a / b
        );
    }
}

struct Workspace {
    dir: PathBuf,
    scratch: PathBuf,
    store: PathBuf,
    /// What selects the compiler.
    flags: &'static [&'static str],
}

impl Workspace {
    /// Writes a workspace with the toolchains of an example, or with those of the machine.
    fn new(
        scratch: &Path,
        name: &str,
        example: Option<&str>,
        flags: &'static [&'static str],
    ) -> Self {
        let store =
            std::env::var_os("COTTER_STORE").map_or_else(|| scratch.join("store"), Into::into);
        let dir = scratch.join(name);
        let workspace = Workspace { dir, scratch: scratch.to_owned(), store, flags };
        workspace.write(example);
        workspace
    }

    fn write(&self, example: Option<&str>) {
        let dir = &self.dir;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("WORKSPACE", "workspace(name = \"bench\")\n");
        write(".bazelrc", "");
        if let Some(example) = example {
            for file in ["WORKSPACE", ".bazelrc", "toolchains.toml", "toolchains.lock"] {
                write(
                    file,
                    &std::fs::read_to_string(format!("{REPO}/examples/{example}/{file}")).unwrap(),
                );
            }
            run(&mut self.cotter(&["setup", "--locked", "--quiet", "--platform", "x86_64-linux"]));
            run(&mut self.cotter(&["emit", "bazel", "--frozen"]));
        }
        let (mut nothing, mut unit, mut cc, mut empty) =
            (String::new(), String::new(), String::new(), String::new());
        let (head, deps) = match example {
            Some("flask") => (
                "load(\"//bazel/cotter:requirements.bzl\", \"requirement\")\n",
                "deps = [requirement(\"flask\", \"app\")]",
            ),
            _ => ("", ""),
        };
        let mut flask = head.to_owned();
        for i in 0..100 {
            nothing +=
                &format!("py_test(name = \"t{i}\", size = \"small\", srcs = [\"t{i}.py\"])\n");
            write(&format!("nothing/t{i}.py"), "");
            flask += &format!(
                "py_test(name = \"t{i}\", size = \"small\", srcs = [\"t{i}.py\"], {deps})\n"
            );
            write(&format!("web/t{i}.py"), "import flask\n\nflask.Flask('app')\n");
            unit += &format!("py_test(name = \"t{i}\", size = \"small\", srcs = [\"t{i}.py\"])\n");
            write(
                &format!("unit/t{i}.py"),
                "import unittest\n\n\nclass T(unittest.TestCase):\n    def test(self):\n        pass\n\n\nunittest.main()\n",
            );
        }
        for i in 0..200 {
            cc +=
                &format!("cc_library(name = \"l{i}\", srcs = [\"l{i}.cc\"], linkstatic = True)\n");
            write(
                &format!("cc/l{i}.cc"),
                &format!(
                    "#include <map>\n#include <string>\n#include <vector>\nstd::map<std::string, std::vector<int>> f{i}() {{ return {{}}; }}\n"
                ),
            );
            empty +=
                &format!("cc_library(name = \"l{i}\", srcs = [\"l{i}.cc\"], linkstatic = True)\n");
            write(&format!("empty/l{i}.cc"), &format!("int f{i};\n"));
        }
        write("nothing/BUILD", &nothing);
        write("unit/BUILD", &unit);
        write("web/BUILD", &flask);
        write("cc/BUILD", &cc);
        write("empty/BUILD", &empty);
    }

    fn cotter(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(COTTER);
        command.args(arguments).current_dir(&self.dir);
        command.env("COTTER_STORE", &self.store).env("COTTER_TRUST", "1");
        command
    }

    /// A command on the machine. Its `/proc` is that of this machine, because Bazel's sandbox would otherwise not be allowed to mount one of its own.
    fn machine(&self) -> Command {
        let mut command = Command::new("bwrap");
        command.arg("--bind").arg(self.scratch.join("root")).arg("/");
        command.args(["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--tmpfs", "/tmp"]);
        for (how, path) in
            [("--ro-bind", Path::new(REPO)), ("--bind", &self.store), ("--bind", &self.scratch)]
        {
            command.arg(how).arg(path).arg(path);
        }
        command.args([
            "--clearenv",
            "--setenv",
            "PATH",
            "/usr/bin:/bin",
            "--setenv",
            "HOME",
            "/root",
        ]);
        command
            .args([
                "--setenv",
                "USER",
                "bench",
                "--setenv",
                "COTTER_TRUST",
                "1",
                "--setenv",
                "COTTER_STORE",
            ])
            .arg(&self.store);
        command.arg("--chdir").arg(&self.dir);
        command
    }

    /// Installs the locked packages for the machine's Python, with the bytecode that an installer would write next to them.
    fn host_packages(&self) -> PathBuf {
        run(&mut self.cotter(&["setup", "--quiet"]));
        let tree = PathBuf::from(run(&mut self.cotter(&["path", "app"])).trim());
        let site = self.scratch.join("site");
        run(Command::new("cp").arg("-r").arg(tree.join("lib/python3.11/site-packages")).arg(&site));
        let prepare = "cd \"$0\" && chmod -R u+w . && find . -name __pycache__ -type f -delete && python3 -m compileall -q .";
        run(self.machine().args(["sh", "-c", prepare]).arg(&site));
        site
    }

    /// The processor time that the server and the children for which it waited have used so far.
    fn processor_time(&self) -> Duration {
        let output_root = std::fs::read_dir(self.output_root()).into_iter().flatten();
        let pid = output_root
            .filter_map(|e| {
                std::fs::read_to_string(e.unwrap().path().join("server/server.pid.txt")).ok()
            })
            .next();
        let Some(pid) = pid else { return Duration::ZERO };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) else {
            return Duration::ZERO;
        };
        // The name of the process may contain blanks. The fields 14 to 17 are utime, stime, cutime and cstime in hundredths of a second (proc(5)).
        let after = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(4);
        Duration::from_millis(10 * after.map(|field| field.parse::<u64>().unwrap()).sum::<u64>())
    }

    fn output_root(&self) -> PathBuf {
        self.scratch.join(format!("{}-out", self.dir.file_name().unwrap().to_string_lossy()))
    }

    /// Runs Bazel. Returns how long it took.
    fn bazel(&self, verb: &str, arguments: &[&str]) -> Taken {
        let mut command = self.machine();
        let root = self.output_root();
        command.arg("bazel").arg(format!("--output_user_root={}", root.display())).arg(verb);
        if !matches!(verb, "shutdown") {
            for name in ["rules_cc", "rules_java"] {
                command.arg(format!("--override_repository={name}={REPO}/tests/bazel/4/{name}"));
            }
            command.arg(format!(
                "--override_repository=remote_coverage_tools={REPO}/tests/bazel/coverage"
            ));
        }
        if matches!(verb, "test" | "build") {
            command.arg("--nosandbox_debug").args(self.flags);
        }
        let (start, before) = (Instant::now(), self.processor_time());
        run(command.args(arguments));
        let elapsed = start.elapsed();
        Taken { elapsed, processor: self.processor_time().saturating_sub(before) }
    }
}

//! Compares Bazel with the emitted toolchains and Bazel with those of the host, as ratios within one run: `cargo bench --bench bazel`.
//! It needs Bazel, GCC and Python on PATH (on Debian 12: bazel-bootstrap) and a store in which `examples/flask` was set up (COTTER_STORE, or the default).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const ROUNDS: usize = 4;

fn main() {
    if Command::new("bazel").arg("--version").output().is_err() {
        println!("there is no bazel on PATH: nothing measured");
        return;
    }
    let scratch = std::env::temp_dir().join(format!("cotter-bench-bazel-{}", std::process::id()));
    let pinned = Workspace::new(&scratch, "pinned", true);
    let host = Workspace::new(&scratch, "host", false);
    for (what, targets) in [
        ("100 py_tests that do nothing", "//nothing/..."),
        ("100 py_tests that import unittest", "//unit/..."),
    ] {
        let arguments = ["--nocache_test_results", "--noshow_progress", targets];
        pinned.bazel("test", &arguments);
        host.bazel("test", &arguments);
        compare(what, || pinned.bazel("test", &arguments), || host.bazel("test", &arguments));
    }
    let site = host_packages(&scratch);
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
    for (what, targets) in [
        ("200 compilations of <map>, <string>, <vector>", "//cc/..."),
        ("200 compilations of nothing: the sandbox alone", "//empty/..."),
    ] {
        let build = |w: &Workspace| {
            w.bazel("clean", &[]);
            // Bazel's own toolchain compiles for C++11, and ours for C++17, whose headers are longer. Both use C++17 here, because only the way to the compiler is compared.
            w.bazel("build", &["--noshow_progress", "--cxxopt=-std=c++17", targets])
        };
        build(&pinned);
        build(&host);
        compare(what, || build(&pinned), || build(&host));
    }
    let emit = (0..20).map(|_| {
        let start = Instant::now();
        assert!(
            Command::new(env!("CARGO_BIN_EXE_cotter"))
                .args(["emit", "bazel", "--check", "--frozen"])
                .current_dir(&pinned.dir)
                .status()
                .unwrap()
                .success()
        );
        start.elapsed()
    });
    println!(
        "  {:<58} {:>9.1} ms",
        "cotter emit bazel --check",
        emit.min().unwrap().as_secs_f64() * 1e3
    );
    for workspace in [&pinned, &host] {
        workspace.bazel("shutdown", &[]);
    }
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&scratch).status();
    let _ = std::fs::remove_dir_all(&scratch);
}

/// Installs the locked packages for the host's Python, with the bytecode that an installer would write next to them.
fn host_packages(scratch: &Path) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_cotter"))
        .args(["path", "app"])
        .current_dir(format!("{REPO}/examples/flask"))
        .output()
        .unwrap();
    let tree = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let site = scratch.join("site");
    assert!(
        Command::new("cp")
            .arg("-r")
            .arg(tree.join("lib/python3.11/site-packages"))
            .arg(&site)
            .status()
            .unwrap()
            .success()
    );
    let prepare =
        "chmod -R u+w . && find . -name __pycache__ -type f -delete && python3 -m compileall -q .";
    assert!(
        Command::new("sh").args(["-c", prepare]).current_dir(&site).status().unwrap().success()
    );
    site
}

/// Runs both in turn and returns the shortest time of each, because noise only adds time.
fn compare(what: &str, pinned: impl Fn() -> Duration, host: impl Fn() -> Duration) {
    let (mut a, mut b) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        a.push(pinned());
        b.push(host());
    }
    let (a, b) = (a.iter().min().unwrap().as_secs_f64(), b.iter().min().unwrap().as_secs_f64());
    println!(
        "  {what:<58} {:>9.0} ms against {:>7.0} ms on the host   {:>5.2}",
        a * 1e3,
        b * 1e3,
        a / b
    );
}

struct Workspace {
    dir: PathBuf,
    root: PathBuf,
}

impl Workspace {
    fn new(scratch: &Path, name: &str, is_pinned: bool) -> Self {
        let dir = scratch.join(name);
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("WORKSPACE", "workspace(name = \"bench\")\n");
        write(".bazelrc", "");
        if is_pinned {
            for file in ["WORKSPACE", ".bazelrc", "toolchains.toml", "toolchains.lock"] {
                write(
                    file,
                    &std::fs::read_to_string(format!("{REPO}/examples/flask/{file}")).unwrap(),
                );
            }
            assert!(
                Command::new(env!("CARGO_BIN_EXE_cotter"))
                    .args(["emit", "bazel", "--frozen"])
                    .current_dir(&dir)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let (mut nothing, mut unit, mut cc, mut empty) =
            (String::new(), String::new(), String::new(), String::new());
        let (head, deps) = match is_pinned {
            true => (
                "load(\"//bazel/cotter:requirements.bzl\", \"requirement\")\n",
                "deps = [requirement(\"flask\", \"app\")]",
            ),
            false => ("", ""),
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
        Workspace { root: scratch.join(format!("{name}-out")), dir }
    }

    fn bazel(&self, verb: &str, arguments: &[&str]) -> Duration {
        let mut command = Command::new("bazel");
        command.arg(format!("--output_user_root={}", self.root.display())).arg(verb);
        if !matches!(verb, "shutdown") {
            for name in ["rules_cc", "rules_java"] {
                command.arg(format!("--override_repository={name}={REPO}/tests/bazel/4/{name}"));
            }
            command.arg(format!(
                "--override_repository=remote_coverage_tools={REPO}/tests/bazel/coverage"
            ));
        }
        if matches!(verb, "test" | "build") {
            command.arg("--nosandbox_debug");
        }
        command
            .args(arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .env_remove("LD_LIBRARY_PATH");
        let start = Instant::now();
        let output = command.output().unwrap();
        let time = start.elapsed();
        assert!(
            output.status.success(),
            "{command:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        time
    }
}

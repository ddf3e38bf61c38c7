//! Compares programs of cotter's trees with the same Debian packages installed at their own `/usr`, as ratios within one run: `cargo bench --bench trees`.
//! It makes a root of the packages with mmdebstrap, starts its programs there with bubblewrap, and gets zlib's source package from the Debian mirror in
//! use (`tests/install.sh` installs what it needs; run it as root). COTTER_STORE names the store, otherwise the trees go into a new one.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{remove, row, run};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const COTTER: &str = env!("CARGO_BIN_EXE_cotter");
const STARTS: usize = 300;
const COMPILATIONS: usize = 40;
const BUILDS: usize = 8;

/// What the build of zlib needs: the compiler is one tree, the rest another one, which is redirected.
const MANIFEST: &str = r#"
[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "libc6-dev"]

[toolchains.tools]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["make", "dash", "coreutils", "sed", "grep", "perl-base"]
"#;

fn main() {
    let scratch = std::env::temp_dir().join(format!("cotter-bench-trees-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let bench = Bench::new(&scratch);
    bench.starts();
    bench.compilations();
    bench.builds();
    remove(&scratch);
}

struct Bench {
    project: PathBuf,
    store: PathBuf,
    root: PathBuf,
    gcc: PathBuf,
    tools: PathBuf,
}

impl Bench {
    fn new(scratch: &Path) -> Bench {
        let project = scratch.join("project");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join("toolchains.toml"), MANIFEST).unwrap();
        let store =
            std::env::var_os("COTTER_STORE").map_or_else(|| scratch.join("store"), Into::into);
        let root = scratch.join("root");
        run(Command::new("mmdebstrap")
            .args([
                "--variant=extract",
                "--include=gcc-12,libc6-dev,make,dash,coreutils,sed,grep,perl-base",
            ])
            .args(["--quiet", "bookworm"])
            .arg(&root));
        std::fs::create_dir_all(root.join("work")).unwrap();
        // What the postinst scripts would do.
        for (link, target) in [("bin/sh", "dash"), ("usr/bin/gcc", "gcc-12")] {
            if !root.join(link).exists() {
                std::os::unix::fs::symlink(target, root.join(link)).unwrap();
            }
        }
        run(Command::new("sh")
            .arg(format!("{REPO}/tests/bazel/source.sh"))
            .arg(scratch)
            .arg("zlib"));
        for copy in ["pinned", "plain"] {
            run(Command::new("cp").arg("-a").arg(scratch.join("zlib")).arg(project.join(copy)));
        }
        let mut bench = Bench { project, store, root, gcc: PathBuf::new(), tools: PathBuf::new() };
        run(bench.cotter(&["setup"]).stderr(Stdio::inherit()));
        let tree = |name| -> PathBuf { run(&mut bench.cotter(&["path", name])).trim().into() };
        (bench.gcc, bench.tools) = (tree("gcc"), tree("tools"));
        bench
    }

    fn cotter(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(COTTER);
        command.current_dir(&self.project).env("COTTER_STORE", &self.store).args(arguments);
        command
    }

    /// A command with the packages at their own `/usr`, in the directory `work` of the project.
    fn plain(&self, command: &[&str]) -> Command {
        let mut out = Command::new("bwrap");
        out.arg("--bind").arg(&self.root).arg("/").args(["--dev", "/dev", "--proc", "/proc"]);
        out.arg("--bind").arg(self.project.join("plain")).args(["/work", "--chdir", "/work"]);
        out.args(command);
        out
    }

    /// The start of a program that does nothing. The same loop runs in both shells, because bubblewrap takes longer than the program.
    fn starts(&self) {
        let repeated = |program: &str| {
            format!("i=0; while [ $i -lt {STARTS} ]; do {program}; i=$((i+1)); done")
        };
        let shell = self.tools.join("bin/sh");
        let own = repeated(&self.tools.join("usr/bin/true").display().to_string());
        let plain = repeated("/bin/true");
        println!("{STARTS} starts of `true`, a redirected program");
        let (with, without) = alternate(
            10,
            || run(Command::new(&shell).args(["-c", &own])),
            || run(&mut self.plain(&["/bin/sh", "-c", &plain])),
        );
        row("out of the tree", with, without);
        row("at its own /usr", without, without);
        let more = (with.as_secs_f64() - without.as_secs_f64()) / STARTS as f64 * 1e3;
        println!(
            "  one start: {more:.2} ms more (goal: under 0.15 for redirection, under 0.2 for the launcher)"
        );
    }

    fn compilations(&self) {
        let text = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f(void) { return puts(\"\") + atoi(\"1\") + (int)strlen(\"x\"); }\n";
        for copy in ["pinned", "plain"] {
            std::fs::write(self.project.join(copy).join("small.c"), text).unwrap();
        }
        let repeated = |program: &str| {
            format!(
                "i=0; while [ $i -lt {COMPILATIONS} ]; do {program} -c small.c -o small.o; i=$((i+1)); done"
            )
        };
        let own = repeated(&self.gcc.join("bin/gcc").display().to_string());
        let shell = self.tools.join("bin/sh");
        let plain = repeated("gcc");
        println!("{COMPILATIONS} times `gcc -c`");
        let (with, without) = alternate(
            BUILDS,
            || {
                run(Command::new(&shell)
                    .current_dir(self.project.join("pinned"))
                    .args(["-c", &own]))
            },
            || run(&mut self.plain(&["/bin/sh", "-c", &plain])),
        );
        row("out of the tree", with, without);
        row("at its own /usr", without, without);
    }

    fn builds(&self) {
        for (copy, cotter) in [("pinned", true), ("plain", false)] {
            let script = "./configure >/dev/null";
            match cotter {
                true => run(self
                    .cotter(&["exec", "gcc", "tools", "--", "sh", "-c", script])
                    .current_dir(self.project.join(copy))),
                false => run(&mut self.plain(&["/bin/sh", "-c", script])),
            };
        }
        println!("`make -j2` of zlib, with its tests' programs");
        let clean = |copy: &str| {
            for entry in std::fs::read_dir(self.project.join(copy)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_string_lossy().into_owned();
                if [".o", ".lo", ".a"].iter().any(|end| name.ends_with(end)) || name.contains(".so")
                {
                    std::fs::remove_file(path).unwrap();
                }
            }
            let _ = std::fs::remove_dir_all(self.project.join(copy).join("objs"));
        };
        let (with, without) = alternate(
            BUILDS,
            || {
                clean("pinned");
                run(self
                    .cotter(&["exec", "gcc", "tools", "--", "make", "-j2"])
                    .current_dir(self.project.join("pinned")))
            },
            || {
                clean("plain");
                run(&mut self.plain(&["make", "-j2"]))
            },
        );
        row("`cotter exec gcc tools -- make -j2`", with, without);
        row("at its own /usr", without, without);
        println!("  goal: within 1.03");
    }
}

/// Runs both in turns and returns the shortest time of each, because noise only adds time.
fn alternate(
    rounds: usize,
    mut first: impl FnMut() -> String,
    mut second: impl FnMut() -> String,
) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let start = Instant::now();
        first();
        best.0 = best.0.min(start.elapsed());
        let start = Instant::now();
        second();
        best.1 = best.1.min(start.elapsed());
    }
    best
}

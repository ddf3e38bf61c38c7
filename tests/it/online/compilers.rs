//! Each GCC that Debian's suites bring compiles in an empty jail. What it compiles runs there with the libc of the tree, on a machine that has a libc and no library of GCC, and on the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::jail::jail;
use crate::support::{Scratch, contains, in_store, ok, text};

const TRIPLE: &str = "x86_64-linux-gnu";

/// A program, how it is compiled, and what it prints.
struct Case {
    name: &'static str,
    compiler: &'static str,
    source: &'static str,
    /// The end of the source's name.
    language: &'static str,
    args: &'static [&'static str],
    prints: &'static [&'static str],
    /// Whether it ends with the status 0.
    succeeds: bool,
}

const fn case(name: &'static str, compiler: &'static str, source: &'static str) -> Case {
    let language = match compiler.as_bytes() {
        b"g++" => "cc",
        b"gfortran" => "f90",
        _ => "c",
    };
    Case { name, compiler, source, language, args: &[], prints: &["42"], succeeds: true }
}

impl Case {
    const fn args(self, args: &'static [&'static str]) -> Self {
        Case { args, ..self }
    }

    const fn prints(self, prints: &'static [&'static str]) -> Self {
        Case { prints, ..self }
    }

    const fn fails(self) -> Self {
        Case { succeeds: false, ..self }
    }
}

const C: &str = r#"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *half(void *x) { *(double *)x = sqrt(*(double *)x) / 2; return 0; }
int main(void) { pthread_t t; double d = 7056; pthread_create(&t, 0, half, &d); pthread_join(t, 0); printf("%d\n", (int)d); }
"#;
const CPP: &str = r#"
#include <algorithm>
#include <charconv>
#include <iostream>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <vector>
template <typename T> concept Number = std::is_arithmetic_v<T>;
static auto sum(const std::vector<int> &v) { int n = 0; for (Number auto i : v | std::views::filter([](int i) { return i % 2; })) n += i; return n; }
int main() {
  std::string seen;
  std::jthread([&] { try { throw std::runtime_error("thrown"); } catch (const std::exception &e) { seen = e.what(); } }).join();
  std::cout << "caught " << seen << " in a thread, " << sum({11, 2, 31}) << std::endl;
}
"#;
/// Prints which libraries a program has.
const LIBRARIES: &str = r#"
#include <fstream>
#include <iostream>
int main() { std::ifstream maps("/proc/self/maps"); for (std::string line; std::getline(maps, line);) std::cout << line << "\n"; }
"#;
const WRONG: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int c, char **v) {
  (void)v;
  int big = 0x7fffffff;
  printf("%d\n", big + c);
  fflush(stdout);
  char *p = malloc(4);
  return p[3 + c];
}
"#;
const OPENMP: &str = r#"
#include <omp.h>
#include <stdio.h>
int main(void) {
  int sum = 0, most = 0;
#pragma omp parallel for reduction(+ : sum) reduction(max : most) num_threads(3)
  for (int i = 0; i < 42; i++) { sum++; most = omp_get_num_threads(); }
  printf("%d by %d\n", sum, most);
}
"#;
const ATOMIC: &str = r#"
#include <stdatomic.h>
#include <stdio.h>
static _Atomic __int128 n;
int main(void) { atomic_fetch_add(&n, ((__int128)42 << 64) + 1); printf("%d\n", (int)(atomic_load(&n) >> 64)); }
"#;
const FORTRAN: &str = r#"
program answer
  use, intrinsic :: iso_fortran_env, only: real128
  implicit none
  real(real128), allocatable :: x(:)
  integer :: i
  x = [(real(i, real128), i = 1, 6)]
  print '(a, i0)', 'sum ', nint(2 * sum(x))
  print '(f9.7)', sqrt(2.0_real128)
end program
"#;

const CASES: &[Case] = &[
    case("c", "gcc", C).args(&["-std=c17", "-O2", "-pthread", "-lm"]),
    case("cpp", "g++", CPP).args(&["-std=c++20", "-O2"]).prints(&["caught thrown in a thread, 42"]),
    case("lto", "g++", CPP).args(&["-std=c++20", "-O2", "-flto"]).prints(&["42"]),
    case("sanitized", "gcc", WRONG)
        .args(&["-g", "-fsanitize=address,undefined"])
        .prints(&["signed integer overflow", "heap-buffer-overflow", "sanitized.c:10"])
        .fails(),
    case("sane", "g++", CPP)
        .args(&["-std=c++20", "-fsanitize=address,undefined"])
        .prints(&["caught thrown in a thread, 42"]),
    case("openmp", "gcc", OPENMP).args(&["-fopenmp"]).prints(&["42 by 3"]),
    case("atomic", "gcc", ATOMIC).args(&["-latomic"]),
    case("fortran", "gfortran", FORTRAN).args(&["-O2"]).prints(&["sum 42", "1.4142136"]),
];

/// These need no library at run time.
const STATIC: &[Case] = &[
    case("static-c", "gcc", C).args(&["-static", "-pthread", "-lm"]),
    case("static-pie", "gcc", C).args(&["-static-pie", "-pthread", "-lm"]),
    case("static-cpp", "g++", CPP).args(&["-static", "-std=c++20"]),
    case("static-fortran", "gfortran", FORTRAN).args(&["-static"]).prints(&["sum 42", "1.4142136"]),
];

/// The compilers of one suite's packages, in a project.
struct Compiler {
    scratch: Scratch,
    store: PathBuf,
    tree: PathBuf,
    /// The version, `14`.
    version: u32,
}

impl Compiler {
    fn new(version: u32, suite: &str) -> Self {
        let scratch = Scratch::new();
        let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store");
        // A mirror may hold the last state of a suite that is still in development.
        let manifest = format!(
            "platforms = [\"x86_64-linux\"]\n\n[settings]\ncheck_valid_until = false\n\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"{suite}\"\npackages = [\"gcc-{version}\", \"g++-{version}\", \"gfortran-{version}\"]\n"
        );
        scratch.write("toolchains.toml", manifest);
        scratch.write("work/none", "");
        ok(&mut in_store(&store, scratch.path(), &["setup", "--quiet"]));
        let tree = ok(&mut in_store(&store, scratch.path(), &["path", "gcc"])).trim().into();
        Compiler { scratch, store, tree, version }
    }

    fn work(&self) -> PathBuf {
        self.scratch.join("work")
    }

    fn jail(&self) -> Command {
        jail(&self.store, &self.work())
    }

    /// A jail like a machine with a glibc, which is that of the tree, but without any library of GCC.
    fn machine(&self) -> Command {
        let mut command = self.jail();
        let loader = "lib64/ld-linux-x86-64.so.2";
        command.arg("--ro-bind").arg(self.tree.join(loader)).arg(Path::new("/").join(loader));
        for name in ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"] {
            let of_tree = self.tree.join("usr/lib").join(TRIPLE).join(name);
            command.arg("--ro-bind").arg(of_tree).arg(Path::new("/machine").join(name));
        }
        command.args(["--setenv", "LD_LIBRARY_PATH", "/machine"]);
        command
    }

    fn host(&self) -> Command {
        let mut command = Command::new("env");
        command.current_dir(self.work()).env_clear();
        command
    }

    /// Compiles a program in the empty jail, with the variable that `cotter exec` sets.
    fn compile(&self, case: &Case, more: &[&str]) {
        let source = format!("{}.{}", case.name, case.language);
        self.scratch.write(&format!("work/{source}"), case.source);
        let program = self.tree.join("bin").join(case.compiler);
        let mut command = self.jail();
        command.args(["--setenv", "COTTER_RUNTIME", "runtime"]).arg(program);
        // Libraries follow what needs them.
        ok(command.arg(&source).args(case.args).args(more).args(["-o", case.name]));
    }

    fn run(&self, case: &Case, mut place: Command, which: &str) {
        let output = place.arg(self.work().join(case.name)).output().unwrap();
        let said = text(&output);
        let about =
            format!("{} of gcc {} {which}: {}\n{said}", case.name, self.version, output.status);
        assert_eq!(output.status.success(), case.succeeds, "{about}");
        for part in case.prints {
            assert!(said.contains(part), "{part:?} is not in the output of {about}");
        }
    }

    /// The version of glibc that a program sees, `2.36`.
    fn glibc(&self, more: &[&str]) -> Vec<u32> {
        const VERSION: &str = "#include <gnu/libc-version.h>\n#include <stdio.h>\nint main(void) { puts(gnu_get_libc_version()); }\n";
        self.compile(&case("version", "gcc", VERSION), more);
        let printed = ok(self.host().arg("./version"));
        printed.trim().split('.').map(|n| n.parse().unwrap()).collect()
    }

    /// gcov reads what a program that was compiled with `--coverage` wrote.
    fn coverage(&self, more: &[&str], place: Command) {
        let gcc = |args: &[&str]| {
            ok(self
                .jail()
                .args(["--setenv", "COTTER_RUNTIME", "runtime"])
                .arg(self.tree.join("bin/gcc"))
                .args(args)
                .args(more));
        };
        let source = "#include <stdio.h>\nint main(int c, char **v) {\n  (void)v;\n  if (c > 1)\n    puts(\"never\");\n  puts(\"42\");\n}\n";
        self.scratch.write("work/covered.c", source);
        gcc(&["--coverage", "-c", "covered.c", "-o", "covered.o"]);
        gcc(&["--coverage", "covered.o", "-o", "covered"]);
        self.run(&case("covered", "gcc", source), place, "with --coverage");
        let told = ok(self.jail().arg(self.tree.join("bin/gcov")).arg("covered.o"));
        contains(&told, &["Lines executed:75.00% of 4"]);
        std::fs::remove_file(self.scratch.join("work/covered.gcda")).unwrap();
    }
}

/// Compiles and runs everything everywhere.
fn prove(version: u32, suite: &str) {
    let gcc = Compiler::new(version, suite);
    let pinned = "-specs=pinned-libc.specs";
    // A program that needs the libc of the machine needs one that is as new as that of its compiler.
    let on_host = gcc.glibc(&[]) >= gcc.glibc(&[pinned]);
    for case in CASES {
        gcc.compile(case, &[pinned]);
        gcc.run(case, gcc.jail(), "with the pinned libc, in the jail");
        gcc.run(case, gcc.host(), "with the pinned libc, on the host");
        gcc.compile(case, &[]);
        gcc.run(case, gcc.machine(), "on a machine without libraries of GCC");
        if on_host {
            gcc.run(case, gcc.host(), "on the host");
        }
    }
    for case in STATIC {
        for more in [&[][..], &[pinned]] {
            gcc.compile(case, more);
            gcc.run(case, gcc.jail(), "in the jail");
            gcc.run(case, gcc.host(), "on the host");
        }
    }
    gcc.coverage(&[pinned], gcc.jail());
    gcc.coverage(&[], gcc.machine());
    take_only_the_libraries_of_gcc(&gcc);
    open_no_file_of_the_host(&gcc);
}

/// Neither does the driver ask for a file among those of a GCC of the host.
fn open_no_file_of_the_host(gcc: &Compiler) {
    let allowed = [gcc.store.clone(), gcc.work(), "/proc".into(), "/dev".into(), "/.no".into()];
    for case in CASES.iter().filter(|case| ["c", "lto", "fortran"].contains(&case.name)) {
        let log = gcc.scratch.join("trace");
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-e",
            "trace=open,openat,execve,access,faccessat,faccessat2",
            "-o",
        ]);
        strace.arg(&log).arg(gcc.tree.join("bin").join(case.compiler));
        strace
            .arg(format!("{}.{}", case.name, case.language))
            .args(case.args)
            .args(["-o", "traced"]);
        strace.current_dir(gcc.work()).env_clear().env("TMPDIR", gcc.work());
        ok(strace.env("PATH", "/usr/bin:/bin").env("COTTER_RUNTIME", "runtime"));
        let trace = std::fs::read_to_string(&log).unwrap();
        let mut seen = 0;
        for line in trace.lines() {
            let Some(path) = line.split('"').nth(1).filter(|p| p.starts_with('/')) else {
                continue;
            };
            seen += 1;
            // Whether a file is there may be asked in the directories of PATH.
            let asked = line.contains(" access(") && !path.starts_with("/usr/lib");
            let inside = allowed.iter().any(|dir| Path::new(path).starts_with(dir));
            assert!(asked || inside, "{} of gcc {}: {line}", case.name, gcc.version);
        }
        assert!(seen > 10, "{trace}");
    }
}

/// Without the pinned libc, a program has the libraries of GCC from the tree, and the libc of the machine.
fn take_only_the_libraries_of_gcc(gcc: &Compiler) {
    let case = case("libraries", "g++", LIBRARIES);
    gcc.compile(&case, &[]);
    let maps = ok(gcc.machine().arg("./libraries"));
    let has = |dir: &Path, name: &str| maps.contains(&format!("{}/{name}", dir.display()));
    let of_tree = gcc.tree.join("usr/lib").join(TRIPLE);
    for name in ["libc.so.6", "libm.so.6"] {
        assert!(has(Path::new("/machine"), name) && !has(&of_tree, name), "{name}\n{maps}");
    }
    assert!(has(&of_tree, "libstdc++.so.6") && has(&of_tree, "libgcc_s.so.1"), "{maps}");
    // Nothing of it is in a program that was compiled without the variable, and `cotter exec` sets it.
    let path = |of: &str| {
        let dynamic = ok(gcc.jail().arg(gcc.tree.join("bin/readelf")).args(["-d", of]));
        dynamic.lines().find(|l| l.contains("PATH")).map(str::to_owned)
    };
    let compiler = gcc.tree.join("bin/g++");
    ok(gcc.jail().arg(&compiler).args(["libraries.cc", "-o", "plain"]));
    assert_eq!(path("plain"), None);
    let mut exec = in_store(&gcc.store, gcc.scratch.path(), &["exec", "gcc", "--", "g++"]);
    ok(exec.args(["work/libraries.cc", "-o", "work/by-exec"]));
    let expected = format!("{}/usr/lib/gcc/{TRIPLE}/{}/runtime]", gcc.tree.display(), gcc.version);
    contains(&path("by-exec").unwrap(), &["(RPATH)", &expected]);
}

#[test]
fn gcc_14_of_trixie() {
    prove(14, "trixie");
}

#[test]
fn gcc_11_of_bookworm() {
    prove(11, "bookworm");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_12_of_bookworm() {
    prove(12, "bookworm");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_13_of_trixie() {
    prove(13, "trixie");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_14_of_forky() {
    prove(14, "forky");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_15_of_forky() {
    prove(15, "forky");
}

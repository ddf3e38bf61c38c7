//! Each compiler that Debian's suites bring compiles in an empty jail. What it compiles runs there with the libc of the tree, on a machine that has a libc and no library of a compiler, and on the host.

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
        b"g++" | b"clang++" => "cc",
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

    const fn language(self, language: &'static str) -> Self {
        Case { language, ..self }
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

const OBJECTIVE: &str = r#"
#import <objc/objc.h>
#import <objc/runtime.h>
#include <iostream>
#include <string>
__attribute__((objc_root_class)) @interface Answer { Class isa; }
+ (int)value;
@end
@implementation Answer
+ (int)value { return (int)std::string(42, 'x').size(); }
@end
int main() { std::cout << class_getName(objc_getClass("Answer")) << " " << [Answer value] << std::endl; }
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
    case("objective", "g++", OBJECTIVE)
        .language("mm")
        .args(&["-Wno-attributes", "-lobjc"])
        .prints(&["Answer 42"]),
];

const CPP_OF_CLANG: &str = r#"
#include <concepts>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>
template <typename T> concept Number = std::is_arithmetic_v<T>;
struct Odd { int first = 1; bool of(int i) const { return i % 2 == first; } };
static auto sum(std::span<const int> v) { int n = 0; for (Number auto i : v) if (Odd{.first = 1}.of(i)) n += i; return n; }
int main() {
  std::string seen;
  std::thread t([&] { try { throw std::runtime_error("thrown"); } catch (const std::exception &e) { seen = e.what(); } });
  t.join();
  std::vector<int> numbers{11, 2, 31};
  std::cout << "caught " << seen << " in a thread, " << sum(numbers) << std::endl;
}
"#;
const RACE: &str = r#"
#include <pthread.h>
static int n;
static void *add(void *x) { for (int i = 0; i < 1000; i++) n++; return x; }
int main(void) { pthread_t t; pthread_create(&t, 0, add, 0); add(0); pthread_join(t, 0); return n == 0; }
"#;
const UNINITIALIZED: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int c, char **v) { (void)v; int *p = malloc(8); p[0] = c; if (p[c]) puts("set"); return 0; }
"#;
const LEAK: &str = r#"
#include <stdlib.h>
static void *kept;
int main(void) { kept = malloc(77); kept = 0; return 0; }
"#;

const CLANG_CASES: &[Case] = &[
    case("c", "clang", C).args(&["-std=c17", "-O2", "-pthread", "-lm"]),
    case("cpp", "clang++", CPP_OF_CLANG)
        .args(&["-std=c++20", "-O2"])
        .prints(&["thrown in a thread, 42"]),
    case("libc++", "clang++", CPP_OF_CLANG)
        .args(&["-std=c++20", "-stdlib=libc++", "-pthread"])
        .prints(&["caught thrown in a thread, 42"]),
    case("all-llvm", "clang++", CPP_OF_CLANG)
        .args(&[
            "-std=c++20",
            "-stdlib=libc++",
            "--rtlib=compiler-rt",
            "--unwindlib=libunwind",
            "-fuse-ld=lld",
        ])
        .prints(&["caught thrown in a thread, 42"]),
    case("lto", "clang++", CPP_OF_CLANG).args(&["-std=c++20", "-O2", "-flto"]),
    case("lto-lld", "clang++", CPP_OF_CLANG).args(&["-std=c++20", "-O2", "-flto", "-fuse-ld=lld"]),
    case("lto-thin", "clang++", CPP_OF_CLANG).args(&[
        "-std=c++20",
        "-O2",
        "-flto=thin",
        "-fuse-ld=lld",
    ]),
    case("sanitized", "clang", WRONG)
        .args(&["-g", "-fsanitize=address,undefined"])
        .prints(&["signed integer overflow", "heap-buffer-overflow", "sanitized.c:10"])
        .fails(),
    case("sane", "clang++", CPP_OF_CLANG)
        .args(&["-std=c++20", "-fsanitize=address,undefined", "-fuse-ld=lld"])
        .prints(&["caught thrown in a thread, 42"]),
    case("race", "clang", RACE).args(&["-g", "-fsanitize=thread"]).prints(&["data race"]).fails(),
    case("uninitialized", "clang", UNINITIALIZED)
        .args(&["-g", "-fsanitize=memory"])
        .prints(&["use-of-uninitialized-value"])
        .fails(),
    case("leak", "clang", LEAK)
        .args(&["-g", "-fsanitize=leak"])
        .prints(&["detected memory leaks", "77 byte(s)"])
        .fails(),
    case("openmp", "clang", OPENMP).args(&["-fopenmp"]).prints(&["42 by 3"]),
    case("atomic", "clang", ATOMIC).args(&["-latomic"]),
];

const CLANG_STATIC: &[Case] = &[
    case("static-c", "clang", C).args(&["-static", "-pthread", "-lm"]),
    case("static-pie", "clang", C).args(&["-static-pie", "-pthread", "-lm"]),
    case("static-lld", "clang", C).args(&["-static", "-pthread", "-lm", "-fuse-ld=lld"]),
    case("static-cpp", "clang++", CPP_OF_CLANG).args(&["-static", "-std=c++20"]),
    case("static-libc++", "clang++", CPP_OF_CLANG).args(&[
        "-static",
        "-std=c++20",
        "-stdlib=libc++",
        "-pthread",
    ]),
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
    /// The name of the toolchain, `gcc` or `clang`.
    name: &'static str,
    /// The version, `14`.
    version: u32,
    /// The arguments by which programs get the libc of the tree.
    pinned: &'static [&'static str],
    /// The directory, in the tree, of the libraries of the compiler.
    runtime: String,
}

impl Compiler {
    fn gcc(version: u32, suite: &str) -> Self {
        let packages = ["gcc", "g++", "gfortran", "gobjc++"].map(|p| format!("{p}-{version}"));
        let pinned = &["-specs=pinned-libc.specs"];
        let runtime = format!("usr/lib/gcc/{TRIPLE}/{version}/runtime");
        Self::new("gcc", version, suite, &packages, pinned, runtime)
    }

    fn clang(version: u32, suite: &str) -> Self {
        // That of version 15 has no package of its own.
        let rt = if version == 15 { "libclang-common-N-dev" } else { "libclang-rt-N-dev" };
        let packages = ["clang-N", "lld-N", "llvm-N", rt, "libomp-N-dev"]
            .into_iter()
            .chain(["libc++-N-dev", "libc++abi-N-dev", "libunwind-N-dev"])
            .map(|name| name.replace('N', &version.to_string()));
        let pinned = &["--config", "pinned-libc.cfg"];
        let runtime = format!("usr/lib/llvm-{version}/runtime");
        Self::new("clang", version, suite, &packages.collect::<Vec<_>>(), pinned, runtime)
    }

    fn new(
        name: &'static str,
        version: u32,
        suite: &str,
        packages: &[String],
        pinned: &'static [&'static str],
        runtime: String,
    ) -> Self {
        let scratch = Scratch::new();
        let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store");
        // A mirror may hold the last state of a suite that is still in development.
        let manifest = format!(
            "platforms = [\"x86_64-linux\"]\n\n[settings]\ncheck_valid_until = false\n\n[toolchains.{name}]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"{suite}\"\npackages = {packages:?}\n"
        );
        scratch.write("toolchains.toml", manifest);
        scratch.write("work/none", "");
        ok(&mut in_store(&store, scratch.path(), &["setup", "--quiet"]));
        let tree = ok(&mut in_store(&store, scratch.path(), &["path", name])).trim().into();
        Compiler { scratch, store, tree, name, version, pinned, runtime }
    }

    fn work(&self) -> PathBuf {
        self.scratch.join("work")
    }

    fn jail(&self) -> Command {
        let mut command = jail(&self.store, &self.work());
        for (name, path) in self.symbolizers() {
            command.arg("--setenv").args([name, &path]);
        }
        command
    }

    /// The variables by which the sanitizers of Clang find their symbolizer.
    fn symbolizers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let path = self.tree.join("bin/llvm-symbolizer");
        let names = if self.name == "clang" {
            &["ASAN_SYMBOLIZER_PATH", "UBSAN_SYMBOLIZER_PATH", "MSAN_SYMBOLIZER_PATH"][..]
        } else {
            &[]
        };
        names.iter().map(move |name| (*name, path.display().to_string()))
    }

    /// A jail like a machine with a glibc, which is that of the tree, but without any library of GCC.
    fn machine(&self) -> Command {
        let mut command = self.jail();
        let loader = "lib64/ld-linux-x86-64.so.2";
        command.arg("--ro-bind").arg(self.tree.join(loader)).arg(Path::new("/").join(loader));
        for name in [
            "libc.so.6",
            "libm.so.6",
            "libdl.so.2",
            "libpthread.so.0",
            "libresolv.so.2",
            "librt.so.1",
        ] {
            let of_tree = self.tree.join("usr/lib").join(TRIPLE).join(name);
            command.arg("--ro-bind").arg(of_tree).arg(Path::new("/machine").join(name));
        }
        command.args(["--setenv", "LD_LIBRARY_PATH", "/machine"]);
        command
    }

    fn host(&self) -> Command {
        let mut command = Command::new("env");
        command.current_dir(self.work()).env_clear().envs(self.symbolizers());
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
        let Compiler { name, version, .. } = self;
        let about = format!("{} of {name} {version} {which}: {}\n{said}", case.name, output.status);
        assert_eq!(output.status.success(), case.succeeds, "{about}");
        for part in case.prints {
            assert!(said.contains(part), "{part:?} is not in the output of {about}");
        }
    }

    /// The version of glibc that a program sees, `2.36`.
    fn glibc(&self, more: &[&str]) -> Vec<u32> {
        const VERSION: &str = "#include <gnu/libc-version.h>\n#include <stdio.h>\nint main(void) { puts(gnu_get_libc_version()); }\n";
        self.compile(&case("version", self.name, VERSION), more);
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
fn prove(compiler: &Compiler, cases: &[Case], statics: &[Case]) {
    let pinned = compiler.pinned;
    // A program that needs the libc of the machine needs one that is as new as that of its compiler.
    let on_host = compiler.glibc(&[]) >= compiler.glibc(pinned);
    for case in cases {
        compiler.compile(case, pinned);
        compiler.run(case, compiler.jail(), "with the pinned libc, in the jail");
        compiler.run(case, compiler.host(), "with the pinned libc, on the host");
        compiler.compile(case, &[]);
        compiler.run(case, compiler.machine(), "on a machine without libraries of compilers");
        if on_host {
            compiler.run(case, compiler.host(), "on the host");
        }
    }
    for case in statics {
        for more in [&[][..], pinned] {
            compiler.compile(case, more);
            compiler.run(case, compiler.jail(), "in the jail");
            compiler.run(case, compiler.host(), "on the host");
        }
    }
    take_only_the_libraries_of_the_compiler(compiler);
    let traced = ["c", "lto", "fortran", "libc++", "lto-lld", "openmp"];
    let traced = cases.iter().filter(|case| traced.contains(&case.name));
    open_no_file_of_the_host(compiler, &traced.collect::<Vec<_>>());
}

fn prove_gcc(version: u32, suite: &str) {
    let gcc = Compiler::gcc(version, suite);
    prove(&gcc, CASES, STATIC);
    gcc.coverage(gcc.pinned, gcc.jail());
    gcc.coverage(&[], gcc.machine());
}

fn prove_clang(version: u32, suite: &str) {
    let clang = Compiler::clang(version, suite);
    prove(&clang, CLANG_CASES, CLANG_STATIC);
    measure_with_llvm_cov(&clang);
    work_at_another_path(&clang);
}

/// llvm-cov reads what a program that was compiled with clang's own instrumentation wrote, and what one with that
/// of gcov wrote.
fn measure_with_llvm_cov(clang: &Compiler) {
    let tool = |name: &str, args: &[&str]| {
        let mut jail = clang.jail();
        ok(jail.arg(clang.tree.join("bin").join(name)).args(args))
    };
    let source = "#include <stdio.h>\nint main(int c, char **v) {\n  (void)v;\n  if (c > 1)\n    puts(\"never\");\n  puts(\"42\");\n}\n";
    let case = case("covered", "clang", source);
    let instrument = ["-fprofile-instr-generate", "-fcoverage-mapping"];
    clang.compile(&case, &[&instrument[..], clang.pinned].concat());
    let mut jail = clang.jail();
    jail.args(["--setenv", "LLVM_PROFILE_FILE", "covered.profraw"]);
    clang.run(&case, jail, "with coverage");
    tool("llvm-profdata", &["merge", "covered.profraw", "-o", "covered.profdata"]);
    let told = tool("llvm-cov", &["report", "covered", "-instr-profile=covered.profdata"]);
    contains(&told, &["covered.c"]);
    let shown = tool("llvm-cov", &["show", "covered", "-instr-profile=covered.profdata"]);
    let count = |line: &str| {
        let line = shown.lines().find(|l| l.contains(line)).unwrap_or_else(|| panic!("{shown}"));
        line.split('|').nth(1).unwrap().trim().to_owned()
    };
    assert_eq!((count("puts(\"never\")"), count("puts(\"42\")")), ("0".into(), "1".into()));

    tool("clang", &["--coverage", "-c", "covered.c", "-o", "counted.o"]);
    let pinned = [clang.pinned, &["--coverage", "counted.o", "-o", "counted"]].concat();
    tool("clang", &pinned);
    assert_eq!(ok(clang.jail().arg(clang.work().join("counted"))), "42\n");
    contains(&tool("llvm-cov", &["gcov", "counted.o"]), &["Lines executed:83.33% of 6"]);
}

/// A copy of the tree elsewhere compiles with its own files only: nothing else is there.
fn work_at_another_path(clang: &Compiler) {
    let moved = clang.scratch.join("elsewhere/moved store");
    std::fs::create_dir_all(moved.join("store")).unwrap();
    let tree = moved.join("store/tree");
    ok(Command::new("cp").arg("-a").arg(&clang.tree).arg(&tree));
    for args in [&["-stdlib=libc++", "-fuse-ld=lld"][..], &["-flto"], &["-fsanitize=address"]] {
        let mut compile = jail(&moved, &clang.work());
        compile.arg(tree.join("bin/clang++")).args(["-std=c++20", "cpp.cc", "-o", "moved"]);
        ok(compile.args(clang.pinned).args(args));
        contains(
            &ok(jail(&moved, &clang.work()).arg(clang.work().join("moved"))),
            &["thrown in a thread, 42"],
        );
    }
}

/// Neither does the driver ask for a file among those of a GCC of the host.
fn open_no_file_of_the_host(gcc: &Compiler, cases: &[&Case]) {
    let allowed = [gcc.store.clone(), gcc.work(), "/proc".into(), "/dev".into(), "/.no".into()];
    for case in cases {
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
            assert!(asked || inside, "{} of {} {}: {line}", case.name, gcc.name, gcc.version);
        }
        assert!(seen > 10, "{trace}");
    }
}

/// Without the pinned libc, a program has the libraries of its compiler from the tree, and the libc of the machine.
fn take_only_the_libraries_of_the_compiler(gcc: &Compiler) {
    let cpp = if gcc.name == "gcc" { "g++" } else { "clang++" };
    let case = case("libraries", cpp, LIBRARIES);
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
    let compiler = gcc.tree.join("bin").join(cpp);
    ok(gcc.jail().arg(&compiler).args(["libraries.cc", "-o", "plain"]));
    assert_eq!(path("plain"), None);
    let mut exec = in_store(&gcc.store, gcc.scratch.path(), &["exec", gcc.name, "--", cpp]);
    ok(exec.args(["work/libraries.cc", "-o", "work/by-exec"]));
    let expected = format!("{}/{}]", gcc.tree.display(), gcc.runtime);
    contains(&path("by-exec").unwrap(), &["(RPATH)", &expected]);
}

#[test]
fn gcc_14_of_trixie() {
    prove_gcc(14, "trixie");
}

#[test]
fn gcc_11_of_bookworm() {
    prove_gcc(11, "bookworm");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_12_of_bookworm() {
    prove_gcc(12, "bookworm");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_13_of_trixie() {
    prove_gcc(13, "trixie");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_14_of_forky() {
    prove_gcc(14, "forky");
}

#[test]
#[ignore = "full suite: one of six compilers"]
fn gcc_15_of_forky() {
    prove_gcc(15, "forky");
}

#[test]
fn clang_19_of_trixie() {
    prove_clang(19, "trixie");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_14_of_bookworm() {
    prove_clang(14, "bookworm");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_15_of_bookworm() {
    prove_clang(15, "bookworm");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_16_of_bookworm() {
    prove_clang(16, "bookworm");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_19_of_bookworm() {
    prove_clang(19, "bookworm");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_17_of_trixie() {
    prove_clang(17, "trixie");
}

#[test]
#[ignore = "full suite: one of seven compilers"]
fn clang_18_of_trixie() {
    prove_clang(18, "trixie");
}

/// Build systems find the compiler for Fortran by its variables, and none where the tree has none.
#[test]
fn a_compiler_for_fortran_is_named() {
    let gcc = Compiler::gcc(11, "bookworm");
    let of = |dir: &Path| {
        let args = ["env", "--json", "gcc"];
        let json: serde_json::Value =
            serde_json::from_str(&ok(&mut in_store(&gcc.store, dir, &args))).unwrap();
        ["FC", "F77"].map(|name| json["set"][name].as_str().map(str::to_owned))
    };
    let program = gcc.tree.join("bin/gfortran").display().to_string();
    assert_eq!(of(gcc.scratch.path()), [Some(program.clone()), Some(program)]);
    crate::support::shared_store();
    assert_eq!(of(Path::new(crate::support::REPO)), [None, None]);
}

/// A compiler that links for a newer glibc than that of the machine is told when it is new.
#[test]
#[ignore = "full suite: a compiler in a store of its own"]
fn a_compiler_for_a_newer_glibc_than_that_of_the_machine_is_told() {
    let project = crate::support::Project::new(
        "[settings]\ncheck_valid_until = false\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"trixie\"\npackages = [\"gcc-14\", \"libc6-dev\"]\n",
    );
    let machine = ok(Command::new("ldd").arg("--version"));
    let machine = machine.lines().next().unwrap().rsplit(' ').next().unwrap();
    let is_older = machine.strip_prefix("2.").unwrap().parse::<u32>().unwrap() < 41;
    let setup = || text(&project.cotter(&["setup"]).output().unwrap());
    let warning =
        format!("gcc: its programs are linked for glibc 2.41, and this machine has {machine}");
    assert_eq!(setup().contains(&warning), is_older);
    assert!(!setup().contains("glibc"), "it is told once");
}

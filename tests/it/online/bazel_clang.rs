//! Clang and a newer GCC in Bazel, beside the default compiler of the example: what the features of the toolchain of Clang do.

use crate::support::bazel::{Bazel, Workspace};
use crate::support::{contains, names, text};

const LLVM: &str = "--extra_toolchains=//bazel/cotter:llvm-x86_64-linux";
const BOTH: [Bazel; 2] = [Bazel::V4, Bazel::V7];

/// The arguments of a command, with those that select Clang.
fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(LLVM).chain(arguments.iter().copied()).collect()
}

/// Returns the example with a package of targets on which the features have an effect.
fn workspace(bazel: Bazel) -> Workspace {
    let workspace = Workspace::example(bazel, "cpp");
    for (name, text) in FILES {
        workspace.write(&format!("more/{name}"), text);
    }
    workspace
}

const FILES: &[(&str, &str)] = &[
    (
        "BUILD.bazel",
        r#"
cc_test(name = "standard", srcs = ["standard.cc"], features = ["c++20"])
cc_test(name = "faulty", srcs = ["faulty.cc"], linkstatic = True)
cc_test(name = "of_libcxx", srcs = ["of_libcxx.cc"], features = ["libc++"])
config_setting(name = "is_static", values = {"features": "fully_static_link"})
cc_test(name = "either", srcs = ["either.c"], deps = select({":is_static": ["@cotter//:zlib_static"], "//conditions:default": ["@cotter//:zlib"]}))
cc_library(name = "warns", srcs = ["warns.cc"], tags = ["manual"])
cc_binary(name = "plugin.so", srcs = ["plugin.cc"], linkshared = True)
cc_library(name = "low", srcs = ["low.cc"], hdrs = ["low.h"])
cc_library(name = "middle", srcs = ["middle.cc"], hdrs = ["middle.h"], deps = [":low"])
cc_binary(name = "direct", srcs = ["direct.cc"], deps = [":middle"])
cc_binary(name = "skips", srcs = ["skips.cc"], deps = [":middle"])
cc_library(name = "broken", hdrs = ["broken.h"])
cc_test(name = "hot_test", srcs = ["hot.cc"])
exports_files(glob(["*.afdo", "*.profdata"]))
cc_binary(name = "throws", srcs = ["throws.cc"])
cc_test(name = "throws_test", srcs = ["throws.cc"])
cc_test(name = "has_library", srcs = ["has_library.cc"], deps = [":low"])
cc_library(name = "covered", srcs = ["covered.cc"], hdrs = ["covered.h"])
cc_test(name = "covers", srcs = ["covers.cc"], deps = [":covered"])
[cc_binary(name = "with_" + name, srcs = [source], copts = options, linkopts = options) for name, source, options in [
    ("address", "throws.cc", ["-fsanitize=address"]),
    ("cfi", "throws.cc", ["-fsanitize=cfi", "-flto", "-fvisibility=hidden"]),
    ("dataflow", "plain.c", ["-fsanitize=dataflow"]),
    ("fuzzer", "fuzzed.cc", ["-fsanitize=fuzzer,address"]),
    ("memory", "plain.c", ["-fsanitize=memory"]),
    ("undefined", "throws.cc", ["-fsanitize=undefined"]),
]]
"#,
    ),
    (
        "standard.cc",
        "#include <cstdio>\nstatic_assert(__cplusplus == 202002L);\n#ifndef __clang__\n#error not Clang\n#endif\nint main() { std::puts(__VERSION__); }\n",
    ),
    (
        "of_libcxx.cc",
        "#include <iostream>\n#ifndef _LIBCPP_VERSION\n#error not libc++\n#endif\nint main() { try { throw 42; } catch (int n) { std::cout << n << std::endl; } }\n",
    ),
    ("warns.cc", "int f() { int unused; return 0; }\n"),
    ("either.c", "#include <zlib.h>\nint main(void) { return zlibVersion()[0] != '1'; }\n"),
    ("plain.c", "#include <stdio.h>\nint main(void) { puts(\"plain\"); }\n"),
    (
        "fuzzed.cc",
        "#include <cstddef>\n#include <cstdint>\n#include <string>\nextern \"C\" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return std::string(reinterpret_cast<const char *>(data), n == 3 ? 4 : n) == \"never\"; }\n",
    ),
    ("plugin.cc", "extern \"C\" int plug() { return 7; }\n"),
    ("low.h", "#pragma once\n#include <vector>\nstd::vector<int> low();\n"),
    ("low.cc", "#include \"more/low.h\"\nstd::vector<int> low() { return {6, 7}; }\n"),
    ("middle.h", "#pragma once\nint middle();\n"),
    (
        "middle.cc",
        "#include \"more/middle.h\"\n#include <cstring>\n#include <pthread.h>\n#include \"more/low.h\"\nint middle() { return low()[0] * low()[1]; }\n",
    ),
    (
        "direct.cc",
        "#include <stdio.h>\n#include <immintrin.h>\n#include \"more/middle.h\"\nint main() { printf(\"%d\\n\", middle()); }\n",
    ),
    ("skips.cc", "#include \"more/low.h\"\nint main() { return low().empty(); }\n"),
    (
        "throws.cc",
        "#include <iostream>\n#include <string>\nint main() { try { throw std::string(\"caught 42\"); } catch (const std::string &s) { std::cout << s << std::endl; } }\n",
    ),
    (
        "has_library.cc",
        "#include <iostream>\n#include \"more/low.h\"\nint main() { std::cout << low()[0] << std::endl; }\n",
    ),
    ("covered.h", "int covered(int n);\n"),
    (
        "covered.cc",
        "#include \"more/covered.h\"\nint covered(int n) {\n  if (n > 2)\n    return 1;\n  return 2;\n}\n",
    ),
    (
        "covers.cc",
        "#include \"more/covered.h\"\nint main() { return covered(1) + covered(2) + covered(0) != 6; }\n",
    ),
    ("broken.h", "#pragma once\nstd::string broken();\n"),
    (
        "faulty.cc",
        r#"#include <cstdlib>
#include <cstring>
#include <thread>
static int shared;
static void *volatile kept;
int main(int argc, char **) {
  const char *fault = std::getenv("FAULT");
  if (!fault) return 0;
  volatile int *p = static_cast<int *>(std::malloc(16));
  if (!std::strcmp(fault, "asan")) p[argc + 3] = 1;
  if (!std::strcmp(fault, "ubsan")) p[0] = 0x7fffffff, p[0] += argc;
  if (!std::strcmp(fault, "msan") && p[argc]) return 0;
  if (!std::strcmp(fault, "lsan")) { kept = std::malloc(77); kept = nullptr; }
  if (!std::strcmp(fault, "tsan")) {
    std::thread other([] { for (int i = 0; i < 1000; i++) shared++; });
    for (int i = 0; i < 1000; i++) shared++;
    other.join();
  }
  std::free(const_cast<int *>(p));
}
"#,
    ),
    (
        "hot.cc",
        "#include <cstdio>\n#include <cstdlib>\n__attribute__((noinline)) int rare(int i) { return i * 3 + std::abs(i); }\n__attribute__((noinline)) int often(int i) { return i * 7 + 1; }\nint main(int argc, char **) {\n  unsigned n = 0;\n  for (int i = 0; i < 100000; i++) n += i % 1000 == argc ? rare(i) : often(i);\n  std::printf(\"%u\\n\", n);\n}\n",
    ),
];

/// Runs commands of one server with Clang: those that must succeed, and those that must fail. Returns what they said.
fn run<'a>(workspace: &Workspace, commands: &[(bool, &str, impl AsRef<[&'a str]>)]) -> String {
    let mut script = "{\n".to_owned();
    for (succeeds, verb, arguments) in commands {
        let arguments = arguments.as_ref();
        let line = workspace.line(verb, &with(arguments));
        script.push_str(&if *succeeds {
            format!("{line}\n")
        } else {
            format!("if {line}; then echo \"succeeded: {}\"; exit 9; fi\n", arguments.join(" "))
        });
    }
    let output = workspace.shell(&(script + "} 2>&1")).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{:?}: {}\n{said}", workspace.bazel, output.status);
    said
}

/// The example's test, and those of the package `more`, in each mode and with each way to link.
#[test]
fn clang_builds_in_each_mode_and_with_each_way_to_link() {
    for bazel in BOTH {
        let workspace = workspace(bazel);
        let test = ["//:squeeze_test", "//more:standard"];
        let errors = "--features=treat_warnings_as_errors";
        let of_warns = [errors, "//more:warns"];
        let of_cotter = [errors, "--copt=-Weverything", "@cotter//:llvm_pinned_libc"];
        let sets: Vec<Vec<&str>> = [
            &["-c", "opt"][..],
            &["-c", "dbg", "--fission=yes"],
            &["-c", "opt", "--features=lto"],
            &["-c", "opt", "--features=thin_lto"],
            &["--force_pic", "--dynamic_mode=off"],
            &["--features=static_libgcc_libstdcxx", "--dynamic_mode=off"],
            &["--custom_malloc=@cotter//:llvm_pinned_libc"],
            &["--features=treat_warnings_as_errors"],
        ]
        .into_iter()
        .map(|flags| [flags, &test].concat())
        .collect();
        let mut commands: Vec<(bool, &str, &[&str])> =
            sets.iter().map(|s| (true, "test", &s[..])).collect();
        commands.extend([
            (true, "test", &["--config=fully_static", "//more:standard", "//more:of_libcxx"][..]),
            (true, "test", &["//more:of_libcxx"]),
            (true, "build", &["-c", "dbg", "--fission=yes", "//:squeezed.dwp", "//more:plugin.so"]),
            (true, "build", &["//more:warns"]),
            (true, "build", &["//:all"]),
            // Code of cotter has no warnings, whichever a project wants.
            (true, "build", &of_cotter),
            (false, "build", &of_warns),
        ]);
        contains(&run(&workspace, &commands), &["unused"]);
    }
}

/// Each sanitizer finds the fault that it is for, names the function, and finds none in the same program without it. Programs without shared libraries can have none of those that replace functions of libc.
#[test]
fn sanitizers_of_clang_find_their_faults() {
    for bazel in BOTH {
        let workspace = workspace(bazel);
        let faults = [
            ("asan", "heap-buffer-overflow"),
            ("lsan", "detected memory leaks"),
            ("msan", "use-of-uninitialized-value"),
            ("tsan", "data race"),
            ("ubsan", "signed integer overflow"),
        ];
        let llvm = names(&workspace.store.join("store"))
            .into_iter()
            .find(|name| name.contains("-llvm-19"))
            .unwrap();
        let llvm = workspace.store.join("store").join(llvm).display().to_string();
        let flags = faults.map(|(name, _)| {
            let variable = format!("{}_SYMBOLIZER_PATH", name.to_uppercase());
            [
                format!("--features={name}"),
                format!("--test_env=FAULT={name}"),
                format!("--test_env={variable}={llvm}/bin/llvm-symbolizer"),
            ]
        });
        let both = flags.each_ref().map(|[feature, fault, symbolizer]| {
            let faulty =
                [feature.as_str(), "//more:faulty", fault, symbolizer, "--test_output=all"];
            (faulty[..2].to_vec(), faulty.to_vec())
        });
        let mut commands: Vec<(bool, &str, &[&str])> = vec![];
        for (sane, faulty) in &both {
            commands.extend([(true, "test", &sane[..]), (false, "test", &faulty[..])]);
        }
        let (asan, rest) = ("--features=asan", ["--", "//:all", "-//:squeezed_static"]);
        let rest = [&[asan][..], &rest].concat();
        let of_static = [asan, "//:squeezed_static"];
        commands.extend([
            (false, "build", &of_static[..]),
            (true, "build", &rest),
            (true, "test", &["//more:either"]),
            (true, "test", &["--config=fully_static", "//more:either"]),
        ]);
        let said = run(&workspace, &commands);
        contains(&said, &faults.map(|(_, prints)| prints));
        contains(&said, &["provided by all of the following features: asan fully_static_link"]);
        // The report of `ubsan` names a line and no function.
        assert!(said.matches(" in main").count() >= 4, "{bazel:?}: {said}");
    }
}

/// A target may ask for sanitizers by the options of the compiler, as rules for fuzzing do. The lists of what they leave out come from the tree.
#[test]
fn sanitizers_of_clang_are_had_by_options() {
    for bazel in BOTH {
        let workspace = workspace(bazel);
        let names = ["address", "cfi", "dataflow", "fuzzer", "memory", "undefined"];
        let targets = names.map(|name| format!("//more:with_{name}"));
        let targets = with(&targets.each_ref().map(String::as_str));
        let depends =
            "cat bazel-bin/more/_objs/with_address/*.d bazel-bin/more/_objs/with_dataflow/*.d";
        let script = format!(
            "{{\n{}\nfor name in {}; do case $name in\nfuzzer) ;;\n*) bazel-bin/more/with_$name ;;\nesac; done\n{depends}\n! bazel-bin/more/with_fuzzer -runs=100000\n}} 2>&1",
            workspace.line("build", &targets),
            names.join(" "),
        );
        let output = workspace.shell(&script).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{bazel:?}: {}\n{said}", output.status);
        assert!(!said.contains("warning:"), "{bazel:?}: {said}");
        assert_eq!(said.matches("caught 42\n").count(), 3, "{bazel:?}: {said}");
        assert_eq!(said.matches("plain\n").count(), 2, "{bazel:?}: {said}");
        contains(&said, &["asan_ignorelist.txt", "dfsan_abilist.txt", "heap-buffer-overflow"]);
        let store = workspace.store.display().to_string();
        assert!(!said.contains(&store), "{bazel:?}: a dependency is named by its place: {said}");
    }
}

/// Layers are checked, headers are parsed, ThinLTO has actions of its own, the linker gets objects instead of archives, and profiles reach the compiler.
#[test]
fn clang_checks_layers_and_reads_profiles() {
    for bazel in BOTH {
        let workspace = workspace(bazel);
        workspace.write("more/hot.afdo", "main:100000:0\n 3: 100000\n");
        workspace.write("more/bad.afdo", "no profile\n");
        let layers = "--features=layering_check";
        let headers = ["--features=parse_headers", "--process_headers_in_dependencies"];
        let covers = [
            "--collect_code_coverage",
            "--instrumentation_filter=.*",
            "--experimental_use_llvm_covmap",
        ];
        let fdo = "--fdo_optimize=//more:hot.afdo";
        let thin = ["-c", "opt", "--features=thin_lto", "//more:direct"];
        let mut commands: Vec<(bool, &str, Vec<&str>)> = vec![
            (true, "build", vec![layers, "//more:direct", "//more:of_libcxx"]),
            (true, "build", vec!["//more:skips"]),
            (false, "build", vec![layers, "//more:skips"]),
            (true, "build", vec![headers[0], headers[1], "//more:direct"]),
            (false, "build", vec![headers[0], headers[1], "//more:broken"]),
            (true, "build", thin.to_vec()),
            (true, "aquery", thin.to_vec()),
            (true, "aquery", vec!["mnemonic(CppLink, //more:direct)"]),
            (true, "build", vec![covers[0], covers[1], "//:squeeze", "//more:hot_test"]),
            (true, "build", vec![covers[0], covers[1], covers[2], "//more:hot_test"]),
            (true, "aquery", vec![covers[0], covers[1], covers[2], "//more:hot_test"]),
        ];
        let mut expected = vec![
            "//more:skips does not depend on a module exporting 'more/low.h'",
            "broken.h",
            "CppLTOIndexing",
            "-fthinlto-index=",
            "--start-lib",
            "-fcoverage-mapping",
        ];
        // Debian's Bazel 4.2.3 lacks its own tool for profiles.
        if bazel == Bazel::V7 {
            commands.extend([
                (
                    true,
                    "build",
                    vec!["-c", "opt", "--fdo_instrument=/tmp/profile", "//more:hot_test"],
                ),
                (true, "test", vec!["-c", "opt", "--features=autofdo", fdo, "//more:hot_test"]),
                (
                    false,
                    "build",
                    vec!["-c", "opt", "--fdo_optimize=//more:bad.afdo", "//more:hot_test"],
                ),
            ]);
            expected.push("bad.afdo");
        }
        contains(&run(&workspace, &commands), &expected);
    }
}

/// GCC 14 of another suite builds and tests all of the example, with its own libc: the one that fits the compiler, also for a program that serves as a tool.
#[test]
fn a_newer_gcc_stands_beside_the_default() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "cpp");
        // The libc of trixie is newer than that of the machine and than that of the first compiler.
        let gcc = "--extra_toolchains=//bazel/cotter:gcc-14-x86_64-linux";
        workspace.ok("test", &[gcc, "--config=pinned_libc", "//..."]);
        let other = "--custom_malloc=@cotter//:gcc_pinned_libc";
        let said =
            workspace.fails("test", &[gcc, other, "--test_output=errors", "//:squeeze_test"]);
        contains(&said, &["version `GLIBCXX_3.4.32' not found"]);
        workspace.ok("build", &[gcc, "--config=pinned_libc", "//:squeezed"]);
        let program = std::fs::read(workspace.bin().join("squeezed")).unwrap();
        let mark = b"GCC: (Debian 14";
        assert!(program.windows(mark.len()).any(|w| w == mark), "{bazel:?}");
    }
}

/// Programs do not take the library of C++ from the system, by either compiler: it is a part of those that are linked statically, and in the runfiles of the others. With Bazel 4, the others
/// do not find it there.
#[test]
fn the_library_of_cpp_comes_along() {
    for bazel in BOTH {
        let mut workspace = workspace(bazel);
        let library = workspace.files_of_machine("usr/lib/x86_64-linux-gnu", "libstdc++.so.6.");
        for compiler in [None, Some(LLVM)] {
            let line = |verb, more: &[&str]| {
                let flags: Vec<&str> = compiler.into_iter().chain(more.iter().copied()).collect();
                workspace.line(verb, &flags)
            };
            let feature = "--features=static_link_cpp_runtimes";
            let tests = ["//more:throws_test", "//more:has_library"];
            let all_static = [feature, "--dynamic_mode=off", tests[0], tests[1]];
            let script = format!(
                "{}\ncp bazel-bin/more/throws_test of-system\n{}\n{}\n{}\nfind bazel-bin/more/throws_test.runfiles/ -name 'libstdc++*' -exec readlink -f {{}} +",
                line("build", &["//more:throws_test"]),
                line("build", &[feature, "//more:throws"]),
                line("test", &[feature, tests[0], tests[1]]),
                line("run", &[feature, "//more:throws"]),
            );
            let output = workspace.shell(&script).output().unwrap();
            let said = text(&output);
            assert!(output.status.success(), "{bazel:?} {compiler:?}: {said}");
            contains(&said, &["caught 42", "x86_64-linux/usr/lib/x86_64-linux-gnu/libstdc++.so.6"]);
            let program = std::fs::read(workspace.bin().join("more/throws")).unwrap();
            for library in ["libstdc++.so.6\0", "libgcc_s.so.1\0"] {
                let needs = program.windows(library.len()).any(|w| w == library.as_bytes());
                assert!(!needs, "{bazel:?} {compiler:?}: {library}");
            }
            if bazel == Bazel::V4 {
                workspace.all_ok(&[("test", &[compiler.as_slice(), &all_static].concat())]);
            }
            // The machine has no such library any more.
            workspace.emptied.clone_from(&library);
            for (program, is_found) in [
                ("./of-system", false),
                ("bazel-bin/more/throws", true),
                ("bazel-bin/more/throws_test", true),
                ("bazel-bin/more/throws_test.runfiles/*/more/throws_test", true),
                ("bazel-bin/more/has_library", true),
            ] {
                let output = workspace.shell(program).output().unwrap();
                let said = text(&output);
                assert_eq!(output.status.success(), is_found, "{bazel:?} {program}: {said}");
                assert!(
                    is_found || said.contains("loading shared libraries: libstdc++.so.6: "),
                    "{said}"
                );
            }
            workspace.emptied.clear();
        }
    }
}

/// `bazel coverage` counts how often each line was executed: by the gcov of GCC, by that of LLVM, and by LLVM's own maps.
#[test]
fn coverage_counts_the_lines() {
    for bazel in BOTH {
        let workspace = workspace(bazel);
        let covers = |arguments: &[&str]| {
            let all =
                ["--combined_report=none", "--instrumentation_filter=//more", "//more:covers"];
            workspace.ok("coverage", &[arguments, &all].concat());
            let logs = workspace.dir.join("bazel-testlogs").canonicalize().unwrap();
            std::fs::read_to_string(logs.join("more/covers/coverage.dat")).unwrap()
        };
        // GCC's gcov writes a document for each file.
        let of_gcc = covers(&[]);
        let counts = serde_json::Deserializer::from_str(&of_gcc)
            .into_iter::<serde_json::Value>()
            .map(Result::unwrap)
            .flat_map(|document| document["files"].as_array().unwrap().clone())
            .find(|file| file["file"] == "more/covered.cc")
            .unwrap_or_else(|| panic!("{bazel:?}: {of_gcc}"));
        let count = |number: u64| {
            let lines = counts["lines"].as_array().unwrap();
            lines.iter().find(|l| l["line_number"] == number).unwrap()["count"].as_u64().unwrap()
        };
        assert_eq!([count(3), count(4), count(5)], [3, 0, 3], "{bazel:?}: {counts}");
        // Bazel 4 takes every gcov since version 9 for that of GCC, and looks for its documents. It does not know either which tool merges profiles.
        if bazel == Bazel::V4 {
            continue;
        }
        let of_llvm = covers(&[LLVM]);
        contains(&of_llvm, &["covered.cc", "lcount:3,3", "lcount:4,0", "lcount:5,3"]);
        let maps = ["--experimental_use_llvm_covmap", "--experimental_generate_llvm_lcov"];
        let of_maps = covers(&[LLVM, maps[0], maps[1]]);
        contains(&of_maps, &["SF:more/covered.cc", "DA:3,3", "DA:4,0", "DA:5,3"]);
    }
}

/// A program that was built for it writes a profile, with which Clang then separates what is hot from what is not. GCC writes profiles of its own form.
#[test]
fn a_profile_of_a_run_guides_clang() {
    let workspace = workspace(Bazel::V7);
    let build = |flags: &[&str]| {
        workspace.line("build", &[flags, &["-c", "opt", "//more:hot_test"]].concat())
    };
    let script = format!(
        "llvm=$(echo $COTTER_STORE/store/*-llvm-19*/bin)\n\
         {plain}\ncp -L bazel-bin/more/_objs/hot_test/hot.*o plain.o\n\
         {instrumented}\nbazel-bin/more/hot_test\n$llvm/llvm-profdata merge -o more/hot.profdata /tmp/profile/*.profraw\n\
         {optimized}\ncp -L bazel-bin/more/_objs/hot_test/hot.*o guided.o\nbazel-bin/more/hot_test\n\
         {again}\nbazel-bin/more/hot_test\nls /tmp/cs/*.profraw\n\
         {gcc}\nbazel-bin/more/hot_test\nfind /tmp/gcc -name '*.gcda' | grep .",
        plain = build(&[LLVM]),
        instrumented = build(&[LLVM, "--fdo_instrument=/tmp/profile"]),
        optimized = build(&[LLVM, "--fdo_optimize=//more:hot.profdata"]),
        again = build(&[LLVM, "--fdo_optimize=//more:hot.profdata", "--cs_fdo_instrument=/tmp/cs"]),
        gcc = build(&["--fdo_instrument=/tmp/gcc"]),
    );
    let output = workspace.shell(&format!("{{\n{script}\n}} 2>&1")).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let has_hot = |name: &str| {
        let object = std::fs::read(workspace.dir.join(name)).unwrap();
        object.windows(10).any(|w| w == b".text.hot.")
    };
    assert_eq!([has_hot("plain.o"), has_hot("guided.o")], [false, true], "{said}");
}

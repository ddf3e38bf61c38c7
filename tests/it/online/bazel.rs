//! The files that are emitted for Bazel, with two real versions of Bazel on a machine that has no compiler, no interpreter and no network.

use std::process::Command;

use crate::support::bazel::{Bazel, Workspace};
use crate::support::{Scratch, contains, in_store, names, ok, shared_store, text};

/// Builds and tests an example at two paths with two output roots, and compares all outputs: those of two versions of Bazel with each other, too.
fn builds_alike(example: &str, with: &[Bazel]) {
    let mut all = vec![];
    for bazel in with.iter().copied() {
        let first = Workspace::example(bazel, example);
        let said = first.ok("test", &["//..."]);
        contains(&said, &["PASSED"]);
        let second = first.beside("elsewhere/with/a/longer/path", bazel);
        second.ok("test", &["//..."]);
        let (a, b) = (first.outputs(), second.outputs());
        assert!(a.len() > 3, "{:?}", a.keys());
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{bazel:?}");
        for (name, bytes) in &a {
            let dir = first.dir.parent().unwrap().to_string_lossy().into_owned();
            // By design, manifests of runfiles are lists of absolute paths.
            if name.ends_with("MANIFEST") || name.ends_with("runfiles_manifest") {
                continue;
            }
            assert!(
                !bytes.windows(dir.len()).any(|w| w == dir.as_bytes()),
                "{bazel:?}: {name} names {dir}"
            );
            assert!(bytes == &b[name], "{bazel:?}: {name} differs from path to path");
        }
        drop(second);
        all.push(a);
    }
    let [first, second] = &all[..] else { return };
    // The same command lines of compilers and genrules give the same bytes with each version of Bazel. The results of linkers differ in their rpaths.
    let mut compared = 0;
    for (name, bytes) in first {
        if let Some(other) = second.get(name).filter(|_| {
            [".o", ".a", ".json", ".txt", ".z"].iter().any(|e| name.ends_with(e))
                || name.contains("/bytecode/")
        }) {
            assert!(bytes == other, "{name} differs from Bazel to Bazel");
            compared += 1;
        }
    }
    assert!(compared > 0, "nothing to compare in {:?} and {:?}", first.keys(), second.keys());
}

/// Both versions of Bazel, each as it reads a WORKSPACE.
const WORKSPACES: [Bazel; 2] = [Bazel::V4, Bazel::V7Workspace];

/// Both versions of Bazel, each as it is used today.
const BOTH: [Bazel; 2] = [Bazel::V4, Bazel::V7];

#[test]
#[ignore = "full suite: takes minutes"]
fn the_examples_build_alike_with_modules() {
    for example in ["cpp", "python", "mixed", "flask"] {
        builds_alike(example, &[Bazel::V7]);
    }
}

#[test]
fn the_example_of_cpp() {
    builds_alike("cpp", &WORKSPACES);
}

#[test]
fn the_example_of_python() {
    builds_alike("python", &WORKSPACES);
}

#[test]
fn the_example_of_both() {
    builds_alike("mixed", &WORKSPACES);
}

#[test]
fn the_example_of_flask() {
    builds_alike("flask", &WORKSPACES);
}

/// The last step of the article: two builds that share nothing give the same bytes.
#[test]
fn a_build_after_expunge_gives_the_same_bytes() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "flask");
        workspace.ok("build", &["//..."]);
        let first = workspace.outputs();
        contains(&workspace.ok("run", &["//test:flask", "--", "--version"]), &["Flask 3."]);
        workspace.ok("clean", &["--expunge"]);
        workspace.ok("build", &["//..."]);
        assert!(first == workspace.outputs(), "{bazel:?}");
        assert!(first.keys().any(|name| name.contains("/bytecode/flask.")), "{:?}", first.keys());
    }
}

/// The app of the article is started and asked for its page over loopback. The page names the interpreter that serves it.
#[test]
fn the_flask_app_serves_its_page() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "flask");
        for (target, port) in [("flask_app", "5311"), ("flask_app_2020", "5312")] {
            workspace.ok("build", &[&format!("//src:{target}")]);
            // The app and the request run in the same jail, as Bazel would run them, because the jail has a loopback of its own.
            let script = format!(
                "$BAZEL run {} //src:{target} -- --port {port} >app.log 2>&1 & app=$!; n=0; \
                 until page=$(bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3' 2>/dev/null); do n=$((n+1)); \
                 test $n -lt 150 || {{ cat app.log; exit 1; }}; kill -0 $app || {{ cat app.log; exit 1; }}; sleep 0.2; done; echo \"$page\"; kill $app",
                bazel.flags().iter().map(|f| format!("'{f}'")).collect::<Vec<_>>().join(" ")
            );
            let output = workspace.shell(&script).output().unwrap();
            let said = text(&output);
            contains(
                &said,
                &[
                    "200 OK",
                    "\"version\":\"3.11.2\"",
                    "cotter_python_x86_64_linux/usr/bin/python3.11",
                ],
            );
        }
    }
}

/// On the same machine, a workspace without our toolchains cannot be built.
#[test]
fn a_workspace_without_toolchains_fails() {
    for bazel in BOTH {
        let control = Workspace::empty(bazel);
        control.write("WORKSPACE", "");
        control.write("WORKSPACE.bzlmod", "");
        control.write("MODULE.bazel", "");
        control.write("BUILD", "cc_binary(name = \"a\", srcs = [\"a.cc\"])\npy_test(name = \"b\", srcs = [\"b.py\"])\n");
        control.write("a.cc", "int main() {}\n");
        control.write("b.py", "");
        contains(&control.fails("build", &["//:a"]), &["gcc"]);
        control.write(".bazelrc", "build --repo_env=BAZEL_DO_NOT_DETECT_CPP_TOOLCHAIN=1\nbuild --extra_toolchains=//:none\n");
        contains(&control.fails("test", &["//:b"]), &["oolchain"]);
    }
}

/// Returns a store with the trees of the shared store whose names contain one of the given words, and with its small inputs. They are copies, because hard links would share their modes.
fn part_of_the_store(scratch: &Scratch, with: &[&str]) -> std::path::PathBuf {
    let store = scratch.join("another-store");
    std::fs::create_dir_all(store.join("store")).unwrap();
    std::fs::create_dir_all(store.join("inputs")).unwrap();
    for name in names(&shared_store().join("store")) {
        if with.iter().any(|w| name.contains(w)) {
            ok(Command::new("cp")
                .arg("-a")
                .arg(shared_store().join("store").join(&name))
                .arg(store.join("store")));
            ok(Command::new("cp")
                .args(["-a", "--parents"])
                .args([format!("listings/{name}"), format!("facts/{name}.json")])
                .arg(&store)
                .current_dir(shared_store()));
        }
    }
    for name in names(&shared_store().join("inputs")) {
        let input = shared_store().join("inputs").join(&name);
        if input.metadata().unwrap().len() < 2_000_000 {
            std::fs::copy(&input, store.join("inputs").join(&name)).unwrap();
        }
    }
    store
}

#[test]
fn a_disk_cache_serves_other_output_roots_and_stores() {
    for bazel in BOTH {
        let cache = Scratch::new();
        let flag = format!("--disk_cache={}", cache.path().display());
        let mut first = Workspace::example(bazel, "mixed");
        first.binds.push(cache.path().to_owned());
        first.ok("test", &[&flag, "//..."]);
        let elsewhere = Scratch::new();
        let mut second = first.beside("another-place", bazel);
        second.store = part_of_the_store(&elsewhere, &["-gcc-12", "-openssl-", "-python-3"]);
        let said = second.ok("test", &[&flag, "//..."]);
        let line = said
            .lines()
            .find(|l| l.contains(" processes: ") || l.contains(" process: "))
            .unwrap_or_else(|| panic!("{said}"));
        contains(line, &["cache hit"]);
        assert!(!line.contains("sandbox") && !line.contains("local"), "{bazel:?}: {line}");
    }
}

/// Each mode, standard, linker and sanitizer builds the example's test and runs it.
#[test]
fn the_features_of_the_cc_toolchain() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "cpp");
        workspace.write(
            "more/BUILD.bazel",
            "cc_test(name = \"standard\", srcs = [\"standard.cc\"], features = [\"c++20\"])\n\
             cc_test(name = \"sanitized\", srcs = [\"sanitized.cc\"], linkstatic = True)\n\
             cc_library(name = \"warns\", srcs = [\"warns.cc\"], tags = [\"manual\"])\n\
             cc_binary(name = \"plugin.so\", srcs = [\"plugin.cc\"], linkshared = True)\n\
             cc_test(name = \"parallel\", srcs = [\"parallel.c\"], copts = [\"-fopenmp\"], linkopts = [\"-l:libgomp.a\"])\n\
             cc_test(name = \"pinned_parallel\", srcs = [\"parallel.c\"], copts = [\"-fopenmp\"], linkopts = [\"-fopenmp\"], malloc = \"@cotter//:pinned_libc\")\n\
             cc_binary(name = \"static\", srcs = [\"standard.cc\"], features = [\"c++20\", \"fully_static_link\", \"-asan\"])\n",
        );
        workspace.write("more/parallel.c", "#include <omp.h>\nint main(void) {\n  int sum = 0;\n#pragma omp parallel for reduction(+ : sum)\n  for (int i = 0; i < 100; i++) sum += i;\n  return sum != 4950 || omp_get_max_threads() < 1;\n}\n");
        workspace
            .write("more/standard.cc", "static_assert(__cplusplus == 202002L);\nint main() {}\n");
        workspace.write("more/warns.cc", "int f() { int unused; return 0; }\n");
        workspace.write("more/plugin.cc", "extern \"C\" int plug() { return 7; }\n");
        // The test fails without a sanitizer, so it receives the expected result.
        workspace.write(
            "more/sanitized.cc",
            "#include <cstdlib>\nint main(int argc, char **) {\n  volatile int *p = new int[4];\n  if (std::getenv(\"OVERFLOW\")) p[argc + 3] = 1;\n  delete[] p;\n}\n",
        );
        let test: &[&str] = &["//:squeeze_test", "//more:standard", "//more:sanitized"];
        let with = |flags: &[&'static str]| {
            flags.iter().copied().chain(test.iter().copied()).collect::<Vec<&str>>()
        };
        let sets: Vec<Vec<&str>> = vec![
            with(&["-c", "opt"]),
            with(&["-c", "dbg", "--fission=yes"]),
            with(&["-c", "opt", "--features=lto"]),
            with(&["--force_pic", "--dynamic_mode=off"]),
            with(&["--features=static_libgcc_libstdcxx", "--dynamic_mode=off"]),
            with(&["--features=asan"]),
            with(&["--features=ubsan"]),
            with(&["--features=tsan"]),
            with(&["--features=treat_warnings_as_errors"]),
        ];
        let mut commands: Vec<(&str, &[&str])> =
            sets.iter().map(|s| ("test", s.as_slice())).collect();
        commands.push((
            "build",
            &["-c", "dbg", "--fission=yes", "//:squeezed.dwp", "//more:plugin.so"],
        ));
        commands.push((
            "build",
            &["--collect_code_coverage", "--instrumentation_filter=.*", "//:squeeze"],
        ));
        commands.push(("build", &["//more:warns"]));
        commands.push(("build", &["--features=asan", "//more:static"]));
        // OpenMP is a part of the program, or comes along with the libc.
        commands.push(("test", &["//more:parallel", "//more:pinned_parallel"]));
        workspace.all_ok(&commands);
        ok(Command::new("sh")
            .args(["-c", "test -n \"$(find -L . -name '*.gcno' | head -n 1)\""])
            .current_dir(workspace.bin().parent().unwrap()));
        contains(
            &workspace.fails("build", &["--features=treat_warnings_as_errors", "//more:warns"]),
            &["unused"],
        );
        contains(
            &workspace.fails("build", &["--features=asan", "//:squeezed_static"]),
            &["provided by all of the following features: asan fully_static_link"],
        );
        let program = std::fs::read(workspace.bin().join("more/parallel")).unwrap();
        assert!(!program.windows(10).any(|w| w == b"libgomp.so"), "{bazel:?}");
        let said = workspace.fails(
            "test",
            &["--features=asan", "--test_env=OVERFLOW=1", "--test_output=all", "//more:sanitized"],
        );
        contains(&said, &["heap-buffer-overflow"]);
    }
}

/// Debian's cross compiler builds for another platform, and the result runs.
#[test]
fn builds_for_aarch64() {
    ok(&mut crate::support::in_store(
        shared_store(),
        &std::path::Path::new(crate::support::REPO).join("examples/cpp"),
        &["setup", "--locked", "--platform", "aarch64-linux"],
    ));
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "cpp");
        workspace.ok("build", &["--platforms=//bazel/cotter:aarch64-linux", "//:all"]);
        let bin = workspace.bin();
        for name in ["squeezed_static", "squeezed_pinned"] {
            let output = Command::new("qemu-aarch64")
                .arg(bin.join(name))
                .stdin(std::fs::File::open(workspace.dir.join("main.cc")).unwrap())
                .output()
                .unwrap();
            assert!(
                output.status.success() && output.stdout.starts_with(b"x\xda"),
                "{bazel:?} {name}: {output:?}"
            );
        }
    }
}

/// A remote worker receives the inputs of an action as files without links at a path of its own. The compiler and the interpreter work there, too.
#[test]
fn trees_serve_where_links_became_files() {
    let worker = Scratch::new();
    let (gcc, python) = (crate::support::tree("gcc"), crate::support::tree("python"));
    std::fs::create_dir_all(worker.join("external/gcc")).unwrap();
    std::fs::create_dir_all(worker.join("external/python/usr/bin")).unwrap();
    for input in ["lib", "lib64", "usr"] {
        ok(Command::new("cp").arg("-rL").arg(gcc.join(input)).arg(worker.join("external/gcc")));
    }
    for input in ["usr/lib", "usr/share"] {
        ok(Command::new("cp")
            .arg("-rL")
            .arg(python.join(input))
            .arg(worker.join("external/python/usr")));
    }
    for input in ["usr/bin/python3.11", "usr/bin/.python3.11.real"] {
        std::fs::copy(python.join(input), worker.join("external/python").join(input)).unwrap();
    }
    worker.write("a.cc", "#include <cmath>\n#include <cstdio>\nint main(int argc, char **) { std::printf(\"%.0f\\n\", std::sqrt(argc * 49.0)); }\n");
    let mut jail = Command::new("bwrap");
    jail.args([
        "--unshare-all",
        "--clearenv",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--bind",
    ])
    .arg(worker.path())
    .args(["/w", "--chdir", "/w"]);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(jail.get_program());
        command.args(jail.get_args()).args(arguments);
        ok(&mut command)
    };
    let tree = "external/gcc/usr";
    let includes = [
        "include/c++/12",
        "include/x86_64-linux-gnu/c++/12",
        "lib/gcc/x86_64-linux-gnu/12/include",
        "include/x86_64-linux-gnu",
        "include",
    ]
    .map(|d| format!("-isystem{tree}/{d}"));
    let (gcc, tools) = (format!("{tree}/bin/gcc"), format!("-B{tree}/bin/"));
    let mut compile = vec![gcc.as_str(), &tools, "-nostdinc", "-nostdinc++"];
    compile.extend(includes.iter().map(String::as_str));
    compile.extend(["-c", "a.cc", "-o", "a.o"]);
    run(&compile);
    run(&[&gcc, &tools, "-static", "a.o", "-o", "a", "-lstdc++", "-lm"]);
    assert_eq!(run(&["/w/a"]), "7\n");
    run(&[&gcc, &tools, "a.o", "-o", "a", "-lstdc++", "-lm"]);
    assert_eq!(
        run(&["external/python/usr/bin/python3.11", "-c", "import ssl, sqlite3; print(6 * 7)"]),
        "42\n"
    );
}

/// Programs that include their libc run with only their runfiles where no libc is installed.
#[test]
fn pinned_programs_run_in_an_empty_jail() {
    let workspace = Workspace::example(Bazel::V7, "mixed");
    workspace.ok("build", &["//:sha256sum", "//:sum"]);
    let out = Scratch::new();
    let bin = workspace.bin();
    // The links are replaced by files, as in a deployment.
    ok(Command::new("cp")
        .args(["-rL"])
        .arg(bin.join("sha256sum"))
        .arg(bin.join("sha256sum.runfiles"))
        .arg(out.path()));
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-all", "--clearenv", "--proc", "/proc", "--dev", "/dev", "--ro-bind"])
        .arg(out.path())
        .args(["/app", "/app/sha256sum"]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .starts_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        "{output:?}"
    );
}

#[test]
fn a_missing_or_damaged_tree_is_told_with_the_command_to_type() {
    for bazel in BOTH {
        let elsewhere = Scratch::new();
        let mut workspace = Workspace::example(bazel, "cpp");
        workspace.store = part_of_the_store(&elsewhere, &["-gcc-12", "-gcc-aarch64-", "-shell-"]);
        let said = workspace.fails("build", &["//:squeeze"]);
        contains(
            &said,
            &["is not in the store", "Type: cotter setup zlib --platform x86_64-linux"],
        );
        // If there is a cotter, the rule asks it for that tree. The inputs are in the store, so no network is needed.
        workspace.env.push(("COTTER".to_owned(), env!("CARGO_BIN_EXE_cotter").to_owned()));
        workspace.ok("build", &["//:squeeze"]);
        let zlib: Vec<String> = names(&workspace.store.join("store"))
            .into_iter()
            .filter(|n| n.contains("-zlib-"))
            .collect();
        assert_eq!(zlib.len(), 1, "{zlib:?}");
        // The tree has lost a file.
        let header = workspace.store.join("store").join(&zlib[0]).join("usr/include/zlib.h");
        ok(Command::new("chmod").arg("u+w").arg(header.parent().unwrap()));
        std::fs::remove_file(&header).unwrap();
        let fresh = workspace.beside("fresh", bazel);
        contains(
            &fresh.fails("build", &["//:squeeze"]),
            &["is damaged", "Type: cotter verify --repair zlib"],
        );
        // The emission is older than the lock.
        let lock = fresh.dir.join("bazel/cotter/lock.bzl");
        let text = std::fs::read_to_string(&lock).unwrap();
        std::fs::write(
            &lock,
            text.replace(&zlib[0], &format!("{}{}", "0".repeat(32), &zlib[0][32..])),
        )
        .unwrap();
        let said = fresh.fails("build", &["//:squeeze"]);
        assert!(said.contains("Type: cotter emit bazel") || said.contains("failed:"), "{said}");
    }
}

#[test]
fn a_platform_without_a_library_is_told() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "cpp");
        let path = workspace.dir.join("bazel/cotter/lock.bzl");
        let kept: Vec<String> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|l| !l.contains("\"zlib-aarch64-linux\""))
            .map(str::to_owned)
            .collect();
        std::fs::write(&path, kept.join("\n") + "\n").unwrap();
        if bazel == Bazel::V7 {
            let segment = workspace.dir.join("bazel/cotter/cotter.MODULE.bazel");
            std::fs::write(
                &segment,
                std::fs::read_to_string(&segment)
                    .unwrap()
                    .replace("    \"cotter_zlib_aarch64_linux\",\n", ""),
            )
            .unwrap();
        }
        let said =
            workspace.fails("build", &["--platforms=//bazel/cotter:aarch64-linux", "//:squeeze"]);
        contains(
            &said,
            &[
                "toolchains.toml asks for no zlib for this platform",
                "cotter lock",
                "cotter emit bazel",
            ],
        );
    }
}

#[test]
fn several_interpreters_stand_side_by_side() {
    // The same interpreter has two names, because the test is about the choice.
    let workspace = Workspace::example(Bazel::V7, "python");
    let manifest = std::fs::read_to_string(workspace.dir.join("toolchains.toml")).unwrap();
    let start = manifest.find("[toolchains.python]").unwrap();
    let end = manifest[start..].find("\n[emit").map_or(manifest.len(), |n| start + n);
    workspace.write(
        "toolchains.toml",
        &format!(
            "{manifest}\n{}",
            manifest[start..end].replace("[toolchains.python]", "[toolchains.python-other]")
        ),
    );
    ok(crate::support::in_store(shared_store(), &workspace.dir, &["setup"])
        .env("COTTER_HTTP_TIMEOUT", "60"));
    let said = workspace.ok("build", &["//:words_test"]);
    drop(said);
    let bin = workspace.bin();
    assert!(
        bin.join("words_test.runfiles").read_dir().unwrap().any(|e| e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with("cotter_python_x86_64_linux"))
    );
    workspace
        .ok("build", &["--platforms=//bazel/cotter:x86_64-linux-python-other", "//:words_test"]);
    assert!(workspace.bin().join("words_test.runfiles").read_dir().unwrap().any(|e| {
        e.unwrap().file_name().to_string_lossy().ends_with("cotter_python_other_x86_64_linux")
    }));
}

/// The packages are those for the interpreter that the platform selects.
#[test]
fn packages_for_several_interpreters_stand_side_by_side() {
    let workspace = Workspace::example(Bazel::V7, "flask");
    let manifest = std::fs::read_to_string(workspace.dir.join("toolchains.toml")).unwrap();
    let start = manifest.find("[toolchains.python]").unwrap();
    let end = manifest.find("[toolchains.uv]").unwrap();
    let other = manifest[start..end].replace("[toolchains.python]", "[toolchains.python-other]");
    let manifest = manifest.replace(
        "[requirements.app]\n",
        "[requirements.app]\npython = [\"python\", \"python-other\"]\n",
    );
    workspace.write("toolchains.toml", &format!("{manifest}\n{other}"));
    ok(crate::support::in_store(shared_store(), &workspace.dir, &["setup"])
        .env("COTTER_HTTP_TIMEOUT", "60"));
    assert!(workspace.dir.join("requirements-app-python-other.txt").exists());
    let runfiles = || names(&workspace.bin().join("src/flask_app.runfiles"));
    workspace.ok("build", &["//src:flask_app"]);
    assert!(
        runfiles().iter().any(|n| n.ends_with("cotter_app_python_x86_64_linux")),
        "{:?}",
        runfiles()
    );
    workspace
        .ok("build", &["--platforms=//bazel/cotter:x86_64-linux-python-other", "//src:flask_app"]);
    assert!(
        runfiles().iter().any(|n| n.ends_with("cotter_app_python_other_x86_64_linux")),
        "{:?}",
        runfiles()
    );
    let path = workspace.dir.join("src/BUILD.bazel");
    let build = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        build.replace("requirement(\"flask\", \"app\")", "requirement(\"django\", \"app\")"),
    )
    .unwrap();
    contains(
        &workspace.fails("build", &["//src:flask_app"]),
        &["django is not locked in [requirements.app]", "cotter lock", "cotter emit bazel"],
    );
}

/// Foreign code from Debian's source packages builds and passes its own tests.
#[test]
#[ignore = "full suite: takes minutes"]
fn foreign_code_builds_and_passes_its_own_tests() {
    let sources = Scratch::new();
    let script = format!("{}/tests/bazel/source.sh", crate::support::REPO);
    ok(Command::new("sh").arg(script).arg(sources.path()).args(["zlib", "libzstd"]));
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "mixed");
        for (package, build) in [("zlib", "zlib.BUILD"), ("libzstd", "zstd.BUILD")] {
            crate::support::bazel::copy_dir(&sources.join(package), &workspace.dir.join(package));
            let rules =
                std::path::Path::new(crate::support::REPO).join("tests/bazel/foreign").join(build);
            let _ = std::fs::remove_file(workspace.dir.join(package).join("BUILD"));
            std::fs::copy(rules, workspace.dir.join(package).join("BUILD.bazel")).unwrap();
        }
        let said = workspace.ok("test", &["--test_output=errors", "//zlib/...", "//libzstd/..."]);
        assert_eq!(said.matches(" PASSED in ").count(), 6, "{said}");
    }
}

/// Returns a workspace with the toolchains of `examples/libraries`, whose manifest may be changed.
fn with_libraries(bazel: Bazel, change: impl Fn(String) -> String) -> Workspace {
    let workspace = Workspace::empty(bazel);
    let libraries = std::path::Path::new(crate::support::REPO).join("examples/libraries");
    let manifest = change(std::fs::read_to_string(libraries.join("toolchains.toml")).unwrap());
    workspace.write("toolchains.toml", &format!("{manifest}\n[emit.bazel]\nregister = true\n"));
    std::fs::copy(libraries.join("toolchains.lock"), workspace.dir.join("toolchains.lock"))
        .unwrap();
    ok(&mut crate::support::in_store(shared_store(), &workspace.dir, &["setup"]));
    for name in ["WORKSPACE", "WORKSPACE.bzlmod", "MODULE.bazel", ".bazelrc"] {
        std::fs::copy(
            std::path::Path::new(crate::support::REPO).join("examples/cpp").join(name),
            workspace.dir.join(name),
        )
        .unwrap();
    }
    workspace
}

/// Programs find the certificates and the plugins of the trees of their libraries in the runfiles: in a test, as a tool, linked in each way, and where nothing of a host exists. What a test sets itself counts more.
#[test]
fn programs_find_what_their_libraries_need_in_the_runfiles() {
    for bazel in BOTH {
        let workspace = with_libraries(bazel, |manifest| {
            manifest.replace("[\"libssl-dev\"]", "[\"libssl-dev\", \"ca-certificates\"]")
        });
        workspace.write(
            "tls.c",
            r#"
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_default_verify_paths(context);
  int known = sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context)));
  int plugin = argc > 1 || OSSL_PROVIDER_load(NULL, "legacy");
  const char *file = getenv("SSL_CERT_FILE");
  printf("more than 100 certificates: %d, legacy algorithms: %d, file: %s\n", known > 100, plugin, file ? file : "none");
  return known <= 100 || !plugin;
}
"#,
        );
        // A provider would bring a second libcrypto into a program that has its own.
        workspace.write(
            "BUILD.bazel",
            r#"
cc_test(name = "shared", srcs = ["tls.c"], deps = ["@cotter//:openssl"])
cc_test(name = "archives", srcs = ["tls.c"], args = ["static"], linkstatic = True, deps = ["@cotter//:openssl_static"])
cc_test(name = "pinned", srcs = ["tls.c"], malloc = "@cotter//:pinned_libc", deps = ["@cotter//:openssl"])
cc_binary(name = "tls", srcs = ["tls.c"], malloc = "@cotter//:pinned_libc", deps = ["@cotter//:openssl"])
genrule(name = "told", outs = ["told.txt"], cmd = "cd /; $$OLDPWD/$(location :tls) > $$OLDPWD/$@", tools = [":tls"])
"#,
        );
        let said = workspace.ok("test", &["--test_output=all", "//..."]);
        let line = "more than 100 certificates: 1, legacy algorithms: 1, file: /";
        assert_eq!(said.matches(line).count(), 3, "{bazel:?}: {said}");
        let told = std::fs::read_to_string(workspace.bin().join("told.txt")).unwrap();
        contains(&told, &[line, "/etc/ssl/certs/ca-certificates.crt"]);
        let own = ["--test_env=SSL_CERT_FILE=/nowhere", "--test_output=all", "//:shared"];
        contains(&workspace.fails("test", &own), &["certificates: 0", "file: /nowhere"]);
        // The links are replaced by files, as in a deployment.
        let out = Scratch::new();
        let runfiles = workspace.bin().join("tls.runfiles");
        ok(Command::new("cp").arg("-rL").arg(&runfiles).arg(out.path()));
        // The libraries are found from the place of the program within the runfiles.
        let own = names(&runfiles).into_iter().find(|n| runfiles.join(n).join("tls").exists());
        let program = format!("tls.runfiles/{}/tls", own.unwrap());
        let jail = ["--unshare-all", "--clearenv", "--proc", "/proc", "--dev", "/dev", "--ro-bind"];
        let in_jail = |program: &str| {
            let mut command = Command::new("bwrap");
            command.args(jail).arg(out.path()).args(["/app", "--chdir", "/app", program]);
            ok(&mut command)
        };
        for program in [format!("/app/{program}"), program] {
            contains(&in_jail(&program), &[line, "file: /app/"]);
        }
    }
}

/// The client of a database is linked with everything that it needs: shared and static, with the libc of the system and with that of the compiler.
#[test]
#[ignore = "full suite: takes minutes"]
fn libpq_links_and_runs() {
    for bazel in BOTH {
        let workspace = with_libraries(bazel, |manifest| manifest);
        workspace.write(
            "a.c",
            "#include <libpq-fe.h>\n#include <stdio.h>\nint main(void) { return PQlibVersion() / 10000 != 15 || !PQconninfoParse(\"host=x\", NULL); }\n",
        );
        let test = |name: &str, library: &str, more: &str| {
            format!(
                "cc_test(name = {name:?}, srcs = [\"a.c\"], deps = [\"@cotter//:{library}\"], {more})\n"
            )
        };
        workspace.write(
            "BUILD.bazel",
            &[
                test("shared", "libpq", ""),
                test("static", "libpq_static", "linkstatic = True"),
                test("pinned", "libpq", "malloc = \"@cotter//:pinned_libc\""),
            ]
            .concat(),
        );
        let said = workspace.ok("test", &["--test_output=errors", "//..."]);
        assert_eq!(said.matches(" PASSED in ").count(), 3, "{said}");
    }
}

/// Zig compiles for this machine, for ARM, and for the requested oldest libc.
#[test]
#[ignore = "full suite: takes minutes"]
fn the_example_of_zig() {
    let mut all = vec![];
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "zig");
        workspace.ok("test", &["//..."]);
        contains(&workspace.ok("run", &["//:count"]), &["25 primes up to 100"]);
        let second = workspace.beside("elsewhere/with/a/longer/path", bazel);
        second.ok("build", &["//..."]);
        let (a, b) = (workspace.outputs(), second.outputs());
        for (name, bytes) in a
            .iter()
            .filter(|(name, _)| !name.ends_with("MANIFEST") && !name.ends_with("runfiles_manifest"))
        {
            assert!(bytes == &b[name], "{bazel:?}: {name} differs from path to path");
        }
        workspace.ok("test", &["-c", "opt", "--features=c++20", "//:primes_test"]);
        workspace.ok("build", &["--platforms=//bazel/cotter:aarch64-linux", "//:hello"]);
        // The field e_machine of its header says that the program is for ARM.
        assert_eq!(std::fs::read(workspace.bin().join("hello")).unwrap()[18], 183, "{bazel:?}");
        let said = workspace.fails("build", &["--custom_malloc=@cotter//:pinned_libc", "//:hello"]);
        contains(&said, &["has no libc that a program could bring along"]);
        all.push(a);
    }
    assert!(
        all[0]["count"] == all[1]["count"]
            || all[0].keys().any(|name| name.ends_with(".o") && all[0][name] == all[1][name])
    );
}

/// The rules of rules_python use the interpreter of the same toolchain.
#[test]
fn rules_python_uses_the_pinned_interpreter() {
    let workspace = Workspace::example(Bazel::V7, "python");
    let read = |name: &str| std::fs::read_to_string(workspace.dir.join(name)).unwrap();
    workspace.write(
        "MODULE.bazel",
        &format!(
            "{}\nbazel_dep(name = \"rules_python\", version = \"0.22.1\")\n",
            read("MODULE.bazel")
        ),
    );
    workspace.write("BUILD.bazel", &format!("load(\"@rules_python//python:defs.bzl\", \"py_binary\", \"py_library\", \"py_test\")\n\n{}", read("BUILD.bazel")));
    contains(&workspace.ok("test", &["//..."]), &["//:words_test", "PASSED"]);
}

/// Returns the workspace of an example as later versions of Bazel demand it: the rules come from modules, which the main module names.
fn with_modules(example: &str) -> Workspace {
    let workspace = Workspace::example(Bazel::V7, example);
    let read = |name: &str| std::fs::read_to_string(workspace.dir.join(name)).unwrap();
    let module = read("MODULE.bazel");
    workspace.write(
        "MODULE.bazel",
        &format!(
            "{module}\nbazel_dep(name = \"platforms\", version = \"0.0.9\")\nbazel_dep(name = \"rules_cc\", version = \"0.0.11\")\nbazel_dep(name = \"rules_python\", version = \"0.22.1\")\n"
        ),
    );
    for name in ["BUILD.bazel", "src/BUILD.bazel", "test/BUILD.bazel"] {
        if !workspace.dir.join(name).exists() {
            continue;
        }
        let text = read(name);
        let mut loads = String::new();
        for (file, rules) in [
            ("@rules_cc//cc:defs.bzl", ["cc_binary", "cc_library", "cc_test"]),
            ("@rules_python//python:defs.bzl", ["py_binary", "py_library", "py_test"]),
        ] {
            for rule in rules {
                if text.contains(&format!("{rule}(")) {
                    loads += &format!("load({file:?}, {rule:?})\n");
                }
            }
        }
        workspace.write(name, &(loads + &text));
    }
    workspace
}

/// Flags of 7.7.1 that do not lead to Bazel 8 or that cannot be used, each with the reason and the message.
const NOT_HELD: [(&str, &str); 3] = [
    // Bazel's own rules for C++ and Java declare their outputs in that way. The message names the rule that Bazel loads first.
    ("--incompatible_no_rule_outputs_param", "Internal error while loading Starlark builtins"),
    // Bazel's own py_binary returns a struct.
    ("--incompatible_disallow_struct_provider_syntax", "virtual_builtins_bzl/common/python"),
    // The rules of Java, whose toolchains Bazel registers by itself, name CcInfo.
    ("--incompatible_stop_exporting_language_modules", "tools/jdk/launcher_flag_alias.bzl"),
];

/// All `--incompatible_*` flags of 7.7.1 that are off and that can be used are set at once, among them those for repositories with `+` in their names, for execution groups, and against native
/// rules for Python. The main module names `platforms`, `rules_cc` and `rules_python`, as the modules of other projects do.
#[test]
fn the_examples_build_with_what_later_versions_demand() {
    for example in ["cpp", "python", "mixed", "flask"] {
        let workspace = with_modules(example);
        let help = text(&workspace.shell("$BAZEL help build --long").output().unwrap());
        let flags: Vec<String> = help
            .lines()
            .filter_map(|l| l.trim().strip_prefix("--[no]"))
            .filter(|l| l.contains("default: \"false\"") && l.starts_with("incompatible_"))
            .map(|l| format!("--{}", l.split(' ').next().unwrap()))
            // This flag restores an old behaviour.
            .filter(|l| l != "--incompatible_legacy_local_fallback")
            .collect();
        assert!(flags.len() > 25, "{flags:?}");
        for (flag, why) in NOT_HELD {
            assert!(flags.iter().any(|f| f == flag), "{flag} is not in {flags:?}");
            if example == "mixed" {
                contains(&workspace.fails("build", &["--nobuild", flag, "//..."]), &[why]);
            }
        }
        let mut arguments: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .filter(|f| !NOT_HELD.iter().any(|(flag, _)| f == flag))
            .collect();
        arguments.push("//...");
        contains(&workspace.ok("test", &arguments), &["PASSED"]);
    }
}

/// A module may name `platforms` before or after the segment, or not at all.
#[test]
fn the_segment_leaves_the_names_of_others_alone() {
    let workspace = Workspace::example(Bazel::V7, "cpp");
    let include = "include(\"//bazel/cotter:cotter.MODULE.bazel\")\n";
    let dep = "bazel_dep(name = \"platforms\", version = \"0.0.9\")\n";
    for module in [format!("{dep}{include}"), format!("{include}{dep}"), include.to_owned()] {
        workspace.write("MODULE.bazel", &format!("module(name = \"cpp\")\n\n{module}"));
        workspace.ok("build", &["//:squeeze"]);
    }
}

/// The features for separate debug information, static linking, link maps, parsed headers and external headers work.
#[test]
#[ignore = "full suite: takes minutes"]
fn features_that_bazel_asks_for_by_name() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "cpp");
        workspace.write(
            "more/BUILD.bazel",
            "cc_library(name = \"greet\", srcs = [\"greet.cc\"], hdrs = [\"greet.h\"])\n\
             cc_library(name = \"broken\", hdrs = [\"broken.h\"])\n\
             cc_binary(name = \"hello\", srcs = [\"hello.cc\"], deps = [\":greet\"])\n\
             cc_test(name = \"hello_test\", srcs = [\"hello.cc\"], deps = [\":greet\"])\n\
             cc_test(name = \"pinned_test\", srcs = [\"hello.cc\"], deps = [\":greet\"], malloc = \"@cotter//:pinned_libc\")\n\
             cc_library(name = \"uses_zlib\", srcs = [\"uses_zlib.cc\"], deps = [\"@cotter//:zlib\"])\n",
        );
        workspace.write(
            "more/greet.h",
            "#pragma once\n#include <string>\nstd::string greet(const std::string &name);\n",
        );
        workspace.write(
            "more/greet.cc",
            "#include \"more/greet.h\"\nstd::string greet(const std::string &name) { return \"hello \" + name; }\n",
        );
        workspace.write(
            "more/hello.cc",
            "#include \"more/greet.h\"\nint main() { return greet(\"you\") != \"hello you\"; }\n",
        );
        workspace.write("more/broken.h", "#pragma once\nstd::string broken();\n");
        workspace.write(
            "more/uses_zlib.cc",
            "#include <zlib.h>\nconst char *version() { return zlibVersion(); }\n",
        );
        // An earlier version made an empty .dwp file.
        workspace.ok("build", &["-c", "dbg", "--fission=yes", "//more:hello.dwp", "//more:hello"]);
        let dwp = std::fs::read(workspace.bin().join("more/hello.dwp")).unwrap();
        for section in [".debug_info.dwo", ".debug_str.dwo"] {
            assert!(dwp.windows(section.len()).any(|w| w == section.as_bytes()), "{bazel:?}");
        }
        // The program names the files that contain its debug information.
        let program = std::fs::read(workspace.bin().join("more/hello")).unwrap();
        assert!(program.windows(5).any(|w| w == b".dwo\0"), "{bazel:?}: not split");
        // The same is true if the feature is named.
        workspace.ok(
            "build",
            &["-c", "dbg", "--fission=yes", "--features=per_object_debug_info", "//more:hello.dwp"],
        );
        // Programs are static even if the libc is pinned, and programs with a pinned libc work as before.
        let said = workspace.all_ok(&[
            ("test", &["--config=fully_static", "//more:hello_test", "//more:pinned_test"]),
            ("test", &["--config=fully_static", "--config=pinned_libc", "//more:hello_test"]),
        ]);
        assert_eq!(said.matches(" PASSED in ").count(), 3, "{said}");
        for name in ["more/hello_test", "more/pinned_test"] {
            let program = std::fs::read(workspace.bin().join(name)).unwrap();
            assert_eq!(program[16], 2, "{name}: e_type is not that of a program at a fixed place");
        }
        workspace.ok("test", &["//more:pinned_test"]);
        // Headers are parsed by themselves.
        let headers = ["--features=parse_headers", "--process_headers_in_dependencies"];
        workspace.ok("build", &[headers[0], headers[1], "//more:hello"]);
        contains(
            &workspace.fails("build", &[headers[0], headers[1], "//more:broken"]),
            &["broken.h", "string"],
        );
        workspace.ok("build", &["//more:broken"]);
        if bazel == Bazel::V7 {
            workspace.ok(
                "build",
                &["--features=generate_linkmap", "--output_groups=+linkmap", "//more:hello"],
            );
            let map = std::fs::read_to_string(workspace.bin().join("more/hello.map")).unwrap();
            contains(&map, &["Memory Configuration", "greet"]);
            let said = workspace.ok(
                "aquery",
                &["--features=external_include_paths", "mnemonic(CppCompile, //more:uses_zlib)"],
            );
            let lines: Vec<&str> = said.lines().map(str::trim).collect();
            let is_zlib = |l: &&str| l.contains("cotter_zlib_") && l.contains("usr/include");
            assert!(
                lines.windows(2).any(|w| w[0].starts_with("-isystem") && is_zlib(&w[1])),
                "{said}"
            );
            assert!(
                !lines.windows(2).any(|w| w[0].starts_with("-iquote") && is_zlib(&w[1])),
                "{said}"
            );
        }
    }
}

/// Python does not find modules that no target declares, even next to the main file. It finds declared modules, also in processes that it starts. Shards and coverage work.
#[test]
fn python_finds_what_is_declared() {
    for bazel in BOTH {
        let workspace = Workspace::example(bazel, "flask");
        // This set contains the package that measures coverage.
        let requirements = std::fs::read_to_string(workspace.dir.join("requirements.in")).unwrap();
        workspace.write("requirements.in", &format!("{requirements}\ncoverage\n"));
        ok(crate::support::in_store(shared_store(), &workspace.dir, &["setup"])
            .env("COTTER_HTTP_TIMEOUT", "60"));
        workspace.write(
            "more/BUILD.bazel",
            "load(\"//bazel/cotter:requirements.bzl\", \"pytest_test\", \"unittest_test\")\n\n\
             py_library(name = \"parity\", srcs = [\"parity.py\"])\n\
             py_test(name = \"reaches\", srcs = [\"reaches.py\"])\n\
             py_test(name = \"declares\", srcs = [\"declares.py\", \"beside.py\"], main = \"declares.py\", deps = [\":parity\"])\n\
             py_test(name = \"covers\", srcs = [\"covers.py\"], deps = [\":parity\"])\n\
             pytest_test(name = \"shards_pytest\", srcs = [\"shards_pytest_test.py\"], set = \"app\", shard_count = 3, deps = [\":parity\"])\n\
             pytest_test(name = \"many_pytest\", srcs = [\"one_test.py\"], set = \"app\", shard_count = 3)\n\
             pytest_test(name = \"reaches_pytest\", srcs = [\"reaches_test.py\"], set = \"app\")\n\
             unittest_test(name = \"shards_unittest\", srcs = [\"shards_unittest_test.py\"], shard_count = 3)\n\
             unittest_test(name = \"many_unittest\", srcs = [\"one_test.py\"], shard_count = 3)\n\
             unittest_test(name = \"reaches_unittest\", srcs = [\"reaches_test.py\"])\n",
        );
        workspace.write("more/neighbour.py", "x = 1\n");
        workspace.write("more/beside.py", "y = 2\n");
        workspace.write(
            "more/parity.py",
            "def even(n):\n    if n % 2 == 0:\n        return True\n    return False\n\n\ndef never():\n    return 1\n",
        );
        workspace.write("more/reaches.py", "import neighbour\n");
        let test = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        pass\n";
        workspace.write("more/reaches_test.py", &format!("import neighbour\n{test}"));
        workspace.write("more/one_test.py", test);
        workspace.write(
            "more/declares.py",
            "import multiprocessing\n\nimport beside\nfrom more import parity\n\n\ndef work(n):\n    return parity.even(n)\n\n\n\
             if __name__ == \"__main__\":\n    assert beside.y == 2\n    with multiprocessing.get_context(\"spawn\").Pool(1) as pool:\n        assert pool.map(work, [1, 2]) == [False, True]\n",
        );
        workspace.write("more/covers.py", "from more import parity\n\nassert parity.even(4)\n");
        workspace.write(
            "more/shards_pytest_test.py",
            "import pytest\n\nfrom more import parity\n\n\n@pytest.mark.parametrize(\"n\", range(7))\ndef test_number(n):\n    print(f\"runs pytest {n}\")\n    parity.even(n)\n",
        );
        workspace.write(
            "more/shards_unittest_test.py",
            "import unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n        print(\"runs unittest a\")\n\n    def test_b(self):\n        print(\"runs unittest b\")\n\n\n\
             class B(unittest.TestCase):\n    def test_c(self):\n        print(\"runs unittest c\")\n\n    def test_d(self):\n        print(\"runs unittest d\")\n",
        );
        let said = workspace.fails(
            "test",
            &[
                "--keep_going",
                "--test_output=errors",
                "//more:reaches",
                "//more:reaches_pytest",
                "//more:reaches_unittest",
                "//more:declares",
            ],
        );
        assert!(said.matches("No module named 'neighbour'").count() >= 3, "{bazel:?}: {said}");
        for (name, passes) in [
            ("reaches", false),
            ("reaches_pytest", false),
            ("reaches_unittest", false),
            ("declares", true),
        ] {
            let line = said.lines().find(|l| l.starts_with(&format!("//more:{name} "))).unwrap();
            contains(line, &[if passes { "PASSED" } else { "FAILED" }]);
        }
        let said = workspace.ok(
            "test",
            &["--test_output=all", "--test_arg=-s", "//more:shards_pytest", "//more:many_pytest"],
        );
        for n in 0..7 {
            assert_eq!(said.matches(&format!("runs pytest {n}\n")).count(), 1, "{bazel:?}: {said}");
        }
        let said = workspace
            .ok("test", &["--test_output=all", "//more:shards_unittest", "//more:many_unittest"]);
        for name in ["a", "b", "c", "d"] {
            assert_eq!(said.matches(&format!("runs unittest {name}\n")).count(), 1, "{said}");
        }
        // The coverage names the lines that ran and those that did not.
        let said = workspace
            .ok("coverage", &["--combined_report=none", "//more:covers", "//more:shards_pytest"]);
        assert!(!said.contains("is not measured"), "{said}");
        let logs = workspace.dir.join("bazel-testlogs").canonicalize().unwrap();
        let data = std::fs::read_to_string(logs.join("more/covers/coverage.dat")).unwrap();
        contains(
            &data,
            &[
                "SF:more/parity.py\n",
                "DA:2,1\n",
                "DA:4,0\n",
                "DA:8,0\n",
                "FN:1,even\n",
                "BRDA:2,0,0,1\n",
            ],
        );
        let data =
            std::fs::read_to_string(logs.join("more/shards_pytest/shard_1_of_3/coverage.dat"))
                .unwrap();
        contains(&data, &["SF:more/parity.py\n", "DA:2,1\n"]);
        // If no package measures coverage, there is a message instead of an empty result.
        workspace.write("requirements.in", &requirements);
        ok(crate::support::in_store(shared_store(), &workspace.dir, &["setup"])
            .env("COTTER_HTTP_TIMEOUT", "60"));
        let said = workspace
            .ok("coverage", &["--combined_report=none", "--test_output=all", "//more:covers"]);
        contains(&said, &["coverage is not measured: add coverage to a set of [requirements]"]);
        if bazel != Bazel::V4 {
            contains(&said, &["the coverage of Python is not measured"]);
        }
    }
}

/// A tree that is deleted while Bazel runs is made again, and Bazel says what to do. `cotter gc` keeps trees that only Bazel uses.
#[test]
fn a_tree_that_vanishes_under_bazel_comes_back() {
    for bazel in BOTH {
        let elsewhere = Scratch::new();
        let mut workspace = Workspace::example(bazel, "cpp");
        workspace.store =
            part_of_the_store(&elsewhere, &["-gcc-12", "-gcc-aarch64-", "-shell-", "-zlib-"]);
        workspace.env.push(("COTTER".to_owned(), env!("CARGO_BIN_EXE_cotter").to_owned()));
        let build = workspace.line("build", &["//:squeeze"]);
        // Bazel 4 checks the tree when it starts, and Bazel 7 at every command.
        let next = if bazel == Bazel::V4 { "$BAZEL shutdown" } else { ":" };
        // The store may have trees of other versions and platforms.
        let zlib = ok(&mut in_store(shared_store(), &workspace.dir, &["path", "zlib"]));
        let zlib = std::path::Path::new(zlib.trim()).file_name().unwrap().to_str().unwrap();
        let script = format!(
            "{build}\necho one\nzlib=$COTTER_STORE/store/{zlib}\nchmod -R u+w \"$zlib\"; rm -rf \"$zlib\"\n{next}\n\
             if {build}; then echo it did not see; exit 1; fi\necho two\ntest -d \"$zlib\"\necho // >> squeeze.cc\n{build}\necho three\n\
             \"$COTTER\" gc\ntest -d \"$zlib\"\n{build}\necho four"
        );
        let output = workspace.shell(&script).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{bazel:?}: {said}");
        contains(
            &said,
            &[
                "one",
                "was deleted from the store while Bazel was using it. It was made anew just now.",
                "Type the same command again",
                "three",
                "four",
            ],
        );
        // Only the project that Bazel builds uses the store, so the trees that it does not use are deleted.
        let left = names(&workspace.store.join("store"));
        assert!(
            left.iter().any(|n| n.contains("-zlib-")) && left.iter().any(|n| n.contains("-gcc-12")),
            "{left:?}"
        );
        assert!(!left.iter().any(|n| n.contains("-shell-")), "{left:?}");
        let roots = names(&workspace.store.join("roots"));
        assert_eq!(roots.len(), 1, "{roots:?}");
        let root = std::fs::read_to_string(workspace.store.join("roots").join(&roots[0])).unwrap();
        contains(&root, &[&format!("{}/toolchains.toml", workspace.dir.display())]);
    }
}

/// `bazel run` of the emitted target, with the Bazel that runs it, and clangd, which reads the result.
#[test]
fn compile_commands_name_the_pinned_headers_and_clangd_reads_them() {
    for bazel in BOTH {
        let mut workspace = Workspace::example(bazel, "mixed");
        workspace.env.push(("COTTER".to_owned(), env!("CARGO_BIN_EXE_cotter").to_owned()));
        let startup = format!("--startup=--output_user_root={}", workspace.output_root().display());
        let flags: Vec<String> =
            bazel.flags().iter().map(|flag| format!("--flag={flag}")).collect();
        let mut arguments = vec![
            "//bazel/cotter:compile_commands",
            "--",
            "--startup=--host_jvm_args=-Xmx1500m",
            &startup,
        ];
        arguments.extend(flags.iter().map(String::as_str));
        let said = workspace.ok("run", &arguments);
        contains(&said, &["wrote compile_commands.json with "]);
        let file = workspace.dir.join("compile_commands.json");
        let json = std::fs::read_to_string(&file).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let sources: Vec<&str> =
            value.as_array().unwrap().iter().filter_map(|entry| entry["file"].as_str()).collect();
        let dir = workspace.dir.display().to_string();
        for source in ["main.cc", "sha256.cc", "sha256_test.cc"] {
            assert!(
                sources.contains(&format!("{dir}/{source}").as_str()),
                "{bazel:?}: {sources:?}"
            );
        }
        // The second run finds the same, and what something else wrote stays.
        contains(&workspace.ok("run", &arguments), &["up to date: compile_commands.json"]);
        let manifest = Scratch::new();
        manifest.write("toolchains.toml", CLANGD);
        ok(&mut in_store(shared_store(), manifest.path(), &["setup"]));
        let clangd = ok(&mut in_store(shared_store(), manifest.path(), &["which", "clangd"]));
        for source in ["main.cc", "sha256.cc"] {
            let check = format!("--check={dir}/{source}");
            let mut command = Command::new(clangd.trim());
            command.env_clear().env("HOME", manifest.path()).current_dir(&workspace.dir);
            let output = command.arg(check).output().unwrap();
            contains(
                &text(&output),
                &["Compile command from CDB", "All checks completed, 0 errors"],
            );
        }
        std::fs::write(&file, "[{\"file\": \"a.c\", \"output\": \"a.o\"}]").unwrap();
        let said = workspace.fails("run", &arguments);
        contains(&said, &["does not say what Bazel compiles", "move the file away"]);
    }
}

const CLANGD: &str = "platforms = [\"x86_64-linux\"]\n[toolchains.clangd]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"clangd-16\"]\nbin = { clangd = \"usr/bin/clangd-16\" }\n";

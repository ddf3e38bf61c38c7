//! Libraries, locales and in-place stubs of the trees of real packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::jail::jail;
use crate::support::{Project, Scratch, contains, ok, text, tree};

fn path(project: &Project, name: &str) -> PathBuf {
    project.ok(&["path", name]).trim().into()
}

fn debian(name: &str, suite: &str, packages: &str, more: &str) -> String {
    format!(
        "[toolchains.{name}]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"{suite}\"\npackages = [{packages}]\n{more}\n"
    )
}

/// A command in the empty jail, with these variables.
fn jailed(
    project: &Project,
    work: &Scratch,
    variables: &[(&str, &str)],
    program: &Path,
    args: &[&str],
) -> Command {
    let mut command = jail(&project.store, work.path());
    for (name, value) in variables {
        command.args(["--setenv", name, value]);
    }
    command.arg(program).args(args);
    command
}

const UTF8: &[(&str, &str)] = &[("LC_ALL", "C.UTF-8")];

/// The locale C.UTF-8 and the conversion modules are found in the tree, whatever version its libc has, and what the host's programs see is the user's.
#[test]
fn locales_and_conversions_come_from_the_tree() {
    let work = Scratch::new();
    for suite in ["bookworm", "trixie"] {
        let project =
            Project::new(&debian("tools", suite, "\"bash\", \"perl-base\", \"libc-bin\"", ""));
        project.ok(&["setup"]);
        let bin = path(&project, "tools").join("bin");
        let count = |variables| {
            ok(&mut jailed(
                &project,
                &work,
                variables,
                &bin.join("bash"),
                &["-c", "x=é; echo ${#x}"],
            ))
        };
        assert_eq!(count(UTF8), "1\n", "{suite}");
        assert_eq!(count(&[("LC_ALL", "C")]), "2\n", "{suite}");
        // Perl warns if a locale is missing.
        let perl =
            jailed(&project, &work, UTF8, &bin.join("perl"), &["-e", "print 42"]).output().unwrap();
        assert_eq!((perl.stdout, perl.stderr), (b"42".to_vec(), vec![]), "{suite}");
        work.write("text", "é");
        let args = ["-f", "UTF-8", "-t", "ISO-8859-1", "text"];
        let converted = jailed(&project, &work, &[], &bin.join("iconv"), &args).output().unwrap();
        assert_eq!(converted.stdout, b"\xe9", "{suite}: {converted:?}");
        let kept = ok(Command::new(bin.join("bash")).args(["-c", "/usr/bin/env"]).env_clear());
        assert!(!kept.contains("LOCPATH=") && !kept.contains("GCONV_PATH="), "{kept}");
        contains(&kept, &["CTLPATH="]);
        // bash converts between no character sets, so libc need not read the list of the modules.
        assert!(!kept.contains("CTGCV_PATH="), "{kept}");
    }
}

#[test]
fn python_has_a_utf8_locale() {
    let project = Project::new(
        "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n",
    );
    project.ok(&["setup"]);
    let python = path(&project, "python").join("bin/python3");
    let script = "import locale; print(locale.setlocale(locale.LC_ALL, ''), len('é'))";
    let said = ok(&mut jailed(&project, &Scratch::new(), UTF8, &python, &["-c", script]));
    assert_eq!(said, "C.UTF-8 1\n");
}

/// The loader of bullseye cannot pass on a name, so that launchers are no way there, but the in-place stub is.
#[test]
fn an_old_loader_is_refused_unless_it_is_not_needed() {
    let of = |more: &str| Project::new(&debian("tools", "bullseye", "\"bash\"", more));
    contains(&of("").fails(6, &["lock"]), &["--argv0", "self_exe"]);
    let project = of("self_exe = [\"**\"]");
    project.ok(&["setup"]);
    let bash = path(&project, "tools").join("bin/bash");
    let script = ["-c", "x=é; echo ${#x} $BASH_VERSION"];
    let said = ok(&mut jailed(&project, &Scratch::new(), UTF8, &bash, &script));
    contains(&said, &["1 5.1"]);
}

/// Only the locale is taken of a package that nobody asked for, and it can be left out.
#[test]
fn of_libc_bin_only_the_locale_is_taken() {
    let manifest = debian("bc", "bookworm", "\"bc\"", "")
        + &debian("without", "bookworm", "\"bc\"", "exclude = [\"libc-bin\"]");
    let project = Project::new(&manifest);
    let said = crate::support::text(&project.cotter(&["setup"]).output().unwrap());
    assert!(!said.contains("leaves nothing out"), "{said}");
    contains(&project.lock_text(), &["only = [\"usr/lib/locale\", \"usr/share/doc/libc-bin\"]"]);
    let (with, without) = (path(&project, "bc"), path(&project, "without"));
    assert!(with.join("usr/lib/locale/C.utf8/LC_CTYPE").is_file());
    assert!(with.join("usr/share/doc/libc-bin/copyright").is_file());
    assert!(!with.join("usr/bin/iconv").exists());
    assert!(!without.join("usr/lib/locale").exists());
}

/// Libraries in private directories are found: through an absolute RUNPATH, and without any.
#[test]
fn private_library_directories_are_searched() {
    let manifest = debian("pulse", "bookworm", "\"pulseaudio-utils\"", "")
        + &debian("r", "bookworm", "\"r-base-core\"", "");
    let project = Project::new(&manifest);
    project.ok(&["setup"]);
    let work = Scratch::new();
    let pactl = path(&project, "pulse").join("bin/pactl");
    contains(&ok(&mut jailed(&project, &work, &[], &pactl, &["--version"])), &["libpulse 16.1"]);
    let library = path(&project, "pulse").join("usr/lib/x86_64-linux-gnu/libpulse.so.0");
    let dynamic = ok(Command::new("readelf").arg("-dW").arg(library));
    contains(&dynamic, &["[$ORIGIN/pulseaudio]"]);
    let home = path(&project, "r").join("usr/lib/R");
    let variables = [("R_HOME", home.to_str().unwrap())];
    let version = jailed(&project, &work, &variables, &home.join("bin/exec/R"), &["--version"]);
    contains(&ok(&mut { version }), &["R version 4.2.2"]);
}

/// A library that no package of the tree brings is told when the tree is locked.
#[test]
fn a_library_that_is_missing_is_told() {
    let project = Project::new(&debian("bc", "bookworm", "\"bc\"", "exclude = [\"libreadline8\"]"));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(output.status.success());
    contains(
        &String::from_utf8_lossy(&output.stderr),
        &[
            "warning: bc for x86_64-linux: usr/bin/bc needs libreadline.so.8, which no package of the tree brings",
        ],
    );
}

/// Programs with the in-place stub find the libraries that their own search path leads to, start themselves again, and are started by scripts.
#[test]
fn programs_with_the_stub_start_themselves() {
    let manifest = debian(
        "jdk",
        "bookworm",
        "\"openjdk-17-jdk-headless\"",
        "self_exe = [\"usr/lib/jvm/*/bin/*\"]",
    ) + &debian(
        "node",
        "bookworm",
        "\"nodejs\", \"node-semver\"",
        "self_exe = [\"usr/bin/node\"]",
    );
    let project = Project::new(&manifest);
    project.ok(&["setup"]);
    let work = Scratch::new();
    work.write(
        "Hello.java",
        "public class Hello { public static void main(String[] a) { System.out.println(\"héllo \" + ProcessHandle.current().info().command().get()); } }",
    );
    let jvm = path(&project, "jdk").join("usr/lib/jvm/java-17-openjdk-amd64/bin");
    ok(&mut jailed(&project, &work, UTF8, &jvm.join("javac"), &["Hello.java"]));
    let said = ok(&mut jailed(&project, &work, UTF8, &jvm.join("java"), &["Hello"]));
    assert_eq!(said, format!("héllo {}\n", jvm.join("java").display()));
    let node = path(&project, "node");
    let script = "const {execFileSync} = require('child_process'); console.log(process.execPath, execFileSync(process.execPath, ['-p', '6*7']).toString().trim())";
    let said = ok(&mut jailed(&project, &work, &[], &node.join("bin/node"), &["-e", script]));
    assert_eq!(said, format!("{} 42\n", node.join("usr/bin/node").display()));
    let said = ok(&mut jailed(
        &project,
        &work,
        &[],
        &node.join("bin/semver"),
        &["-r", "^1", "1.2.3", "2.0.0"],
    ));
    assert_eq!(said, "1.2.3\n");
}

/// A program of Go has its note before its segments, and a full dynamic section.
#[test]
fn a_program_of_go_takes_the_stub() {
    let project = Project::new(&debian(
        "go",
        "bookworm",
        "\"golang-1.19-go\"",
        "self_exe = [\"usr/lib/go-1.19/bin/go\"]",
    ));
    project.ok(&["setup"]);
    let go = path(&project, "go").join("usr/lib/go-1.19");
    let work = Scratch::new();
    work.write("hello.go", "package main\nfunc main() { println(6 * 7) }\n");
    let root = ok(&mut jailed(&project, &work, &[], &go.join("bin/go"), &["env", "GOROOT"]));
    assert_eq!(root.trim(), go.to_str().unwrap());
    let plain = [("GO111MODULE", "off"), ("GOCACHE", work.path().to_str().unwrap())];
    ok(&mut jailed(
        &project,
        &work,
        &plain,
        &go.join("bin/go"),
        &["build", "-o", "hello", "hello.go"],
    ));
    let output = Command::new(work.join("hello")).env_clear().output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "42\n");
}

/// A library with a RUNPATH of its own (libLLVM) finds its own libraries.
#[test]
fn clang_with_the_stub_finds_the_libraries_of_its_libraries() {
    let project = Project::new(&debian(
        "clang",
        "bookworm",
        "\"clang-14\"",
        "self_exe = [\"usr/lib/llvm-14/bin/clang\"]",
    ));
    project.ok(&["setup"]);
    let work = Scratch::new();
    work.write("a.c", "int answer(void) { return 42; }\n");
    let clang = path(&project, "clang").join("usr/lib/llvm-14/bin/clang");
    ok(&mut jailed(&project, &work, &[], &clang, &["-c", "a.c", "-o", "a.o"]));
    contains(&ok(Command::new("nm").arg(work.join("a.o"))), &["T answer"]);
}

/// ccache compares the size and the modification time of a compiler unless it is told otherwise.
#[test]
fn a_cache_of_objects_tells_two_compilers_apart() {
    let gcc = |n: u32| {
        format!(
            "[toolchains.gcc{n}]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"gcc-{n}\"]\n"
        )
    };
    let project =
        Project::new(&(gcc(11) + &gcc(12) + &debian("ccache", "bookworm", "\"ccache\"", "")));
    project.ok(&["setup"]);
    let compilers = [11, 12].map(|n| path(&project, &format!("gcc{n}")).join("bin/gcc"));
    let read = |path: &PathBuf| std::fs::read(path).unwrap();
    let launchers = compilers.each_ref().map(read);
    assert_ne!(launchers[0].len(), launchers[1].len());
    let work = Scratch::new();
    work.write("a.c", "int answer(void) { return 42; }\n");
    let ccache = path(&project, "ccache").join("bin/ccache");
    let cache = work.path().display().to_string();
    let run = |args: &[&str]| {
        let variables = [("CCACHE_DIR", cache.as_str()), ("CCACHE_COMPILERCHECK", "mtime")];
        ok(&mut jailed(&project, &work, &variables, &ccache, args))
    };
    for (compiler, version) in compilers.iter().zip(["11.", "12."]) {
        run(&[compiler.to_str().unwrap(), "-c", "a.c", "-o", "a.o"]);
        let comment = ok(Command::new("readelf").args(["-p", ".comment"]).arg(work.join("a.o")));
        contains(&comment, &[&format!(") {version}")]);
    }
    // The same compiler again is a hit, so the cache does work here.
    run(&[compilers[1].to_str().unwrap(), "-c", "a.c", "-o", "a.o"]);
    let statistics = run(&["--print-stats"]);
    let hits: u32 = statistics
        .lines()
        .filter(|l| l.contains("cache_hit"))
        .filter_map(|l| l.split_whitespace().last()?.parse::<u32>().ok())
        .sum();
    assert_eq!(hits, 1, "{statistics}");
}

/// A program that embeds Python, and says nothing of where its modules are, finds none. Before, it took those of the host.
#[test]
fn a_program_that_embeds_python_takes_no_module_of_the_host() {
    let (gcc, python) = (tree("gcc"), tree("python"));
    let work = Scratch::new();
    work.write(
        "e.c",
        "#include <Python.h>\nint main(void) { Py_Initialize(); return PyRun_SimpleString(\"import encodings; print(encodings.__file__, flush=True)\"); }\n",
    );
    let libraries = python.join("usr/lib/x86_64-linux-gnu");
    ok(Command::new(gcc.join("bin/gcc"))
        .current_dir(work.path())
        .args(["e.c", "-o", "e", "-lpython3.11", "-specs=pinned-libc.specs"])
        .arg(format!("-I{}", python.join("usr/include/python3.11").display()))
        .arg(format!("-L{0}", libraries.display()))
        .arg(format!("-Wl,-rpath={0},-rpath-link={0}", libraries.display())));
    let output = Command::new(work.join("e")).env_clear().output().unwrap();
    assert!(!output.status.success());
    contains(&text(&output), &["No module named 'encodings'"]);
    let home = python.join("usr");
    let found = ok(Command::new(work.join("e")).env_clear().env("PYTHONHOME", &home));
    contains(&found, &[home.to_str().unwrap()]);
}

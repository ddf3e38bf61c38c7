//! Closures of Nix as trees: what the real Nix builds runs in the empty jail at any path, and opens nothing of a `/nix/store` of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::bazel::{Bazel, Workspace};
use crate::support::jail::jail;
use crate::support::nix::{Nix, bind_the_machine};
use crate::support::{Project, REPO, Scratch, contains, in_store, names, ok, shared_store, tree};

/// The files of Debian packages that the builders use, with their bytes: libraries as they are, and programs behind launchers.
const SOURCES: &str = r#"platforms = ["x86_64-linux"]
[toolchains.sysroot]
kind = "sysroot"
source = "debian"
suite = "bookworm"
packages = ["libc6-dev", "libc6", "libgcc-s1", "libstdc++6", "libtinfo6", "zlib1g", "libexpat1", "libssl3", "libacl1", "libselinux1", "libpcre2-8-0", "libcrypt1"]
[toolchains.base]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["bash", "coreutils", "sed", "grep", "findutils", "perl", "patchelf"]
"#;

/// What Nix built, and the trees that are made of it.
struct Rig {
    nix: Nix,
    project: Project,
}

fn rig() -> Rig {
    let mut sources = Project::new(SOURCES);
    sources.store = shared_store().to_owned();
    sources.ok(&["setup"]);
    let nix = Nix::new();
    let build = |attribute: &str| -> String {
        let mut command = nix.command("nix-build");
        command.args(["--no-out-link", "-A", attribute]);
        command.arg(format!("{REPO}/tests/nix/closures.nix"));
        let text = format!("{REPO}/tests/nix");
        let path = |name: &str| sources.ok(&["path", name]).trim().to_owned();
        let shared = |name: &str| tree(name).display().to_string();
        for (name, value) in [
            ("tools", path("base")),
            ("sysroot", path("sysroot")),
            ("gcc", shared("gcc")),
            ("python", shared("python")),
            ("sources", text),
        ] {
            command.args(["--argstr", name, &value]);
        }
        ok(&mut command).trim().to_owned()
    };
    let (profile, environment) = (build("profile"), build("pythonEnv"));
    let greet = build("greet");
    let compiler = build("gccWrapped");
    let paths = [&profile, &environment, &greet, &compiler].map(String::as_str);
    let cache = nix.copy(&paths, "cache", "none", true);
    let table = |name: &str, kind: &str, path: &str| {
        format!("[toolchains.{name}]\nkind = \"{kind}\"\nsource = \"nix\"\npath = \"{path}\"\n")
    };
    let manifest = nix.manifest(&format!("file://{}", cache.display()))
        + &table("profile", "tool", &profile)
        + &table("environment", "python", &environment)
        + &table("greet", "library", &greet)
        + &table("compiler", "cc", &compiler);
    let project = Project::new(&manifest);
    project.ok(&["setup"]);
    Rig { nix, project }
}

impl Rig {
    fn tree(&self, name: &str) -> PathBuf {
        self.project.ok(&["path", name]).trim().into()
    }
}

const HELLO: &[&str] = &[
    "words: hello from a library\n",
    "plugin: hello from a library\n",
    "locale: C.UTF-8 UTF-8\n",
    "data of hello\nhelper one two: data of hello\n",
];
const GREETING: &[&str] = &[
    "greeting: hello from a library\nmodule: True\nhash: e3b0c442 OpenSSL\nchild: 42\n",
    "command: hello from a library\nshell: from a shell\nreal: True\n",
];

/// The programs of the profile with their arguments, and what they print.
const PROGRAMS: &[(&str, &[&str], &[&str])] = &[
    ("hello", &["x"], HELLO),
    ("hello", &["x"], &["argument: x\n", "self: /hello\n"]),
    // A link to a program, and one whose library has an absolute name.
    ("hello-link", &[], HELLO),
    ("hello-needed", &[], HELLO),
    // Wrappers: in C, in shell, and one that sets LD_LIBRARY_PATH for a program without a search path.
    ("hello-binary", &[], HELLO),
    ("hello-shell", &["y"], HELLO),
    ("hello-shell", &["y"], &["argument: --extra\nargument: y\n"]),
    ("hello-bare", &[], HELLO),
    ("greeting", &[], GREETING),
    ("words", &[], &["words: 4 2\nreal: words\ncommand: hello from a library\n"]),
    ("by-env", &["a", "b"], &["by env: a b\n"]),
    ("by-usr-env", &["c"], &["by the env of the machine: c\n"]),
    ("ls", &["/nix"], &["store\n"]),
];

fn check(profile: &Path, environment: &Path, enter: &dyn Fn() -> Command) {
    for (program, args, expected) in PROGRAMS {
        let said = ok(enter().arg(profile.join("bin").join(program)).args(*args));
        contains(&said, expected);
    }
    let python = |args: &[&str]| ok(enter().arg(environment.join("bin/python3")).args(args));
    contains(&ok(enter().arg(environment.join("bin/greeting"))), GREETING);
    let said =
        python(&["-c", "import greeting, sys; print(greeting.greet(), sys.version_info[:2])"]);
    assert_eq!(said, "hello from a library (3, 11)\n");
}

fn programs_of_a_closure_run_in_the_empty_jail_at_any_path(rig: &Rig) {
    let (profile, environment) = (rig.tree("profile"), rig.tree("environment"));
    let work = Scratch::new();
    check(&profile, &environment, &|| jail(&rig.project.store, work.path()));
    let moved = Scratch::new();
    let store = moved.join("moved [to] a * store");
    std::fs::create_dir_all(store.join("store")).unwrap();
    let copy = |tree: &Path| {
        ok(Command::new("cp").arg("-a").arg(tree).arg(store.join("store")));
        store.join("store").join(tree.file_name().unwrap())
    };
    let (profile, environment) = (copy(&profile), copy(&environment));
    check(&profile, &environment, &|| jail(&store, work.path()));
}

/// A machine that has the same store paths with other content.
fn programs_of_a_closure_open_nothing_of_the_nix_store_of_the_machine(rig: &Rig) {
    let (profile, environment) = (rig.tree("profile"), rig.tree("environment"));
    let work = Scratch::new();
    let tempting = Scratch::new();
    ok(Command::new("cp").arg("-a").arg(rig.nix.place("/nix/store")).arg(tempting.join("store")));
    let share = tempting.join("store");
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(&share));
    let mut changed = 0;
    for path in names(&share) {
        let words = share.join(&path).join("share/greet/words");
        if words.exists() {
            std::fs::write(words, "tempted\n").unwrap();
            changed += 1;
        }
    }
    assert_eq!(changed, 1);
    let view = |program: &Path, args: &[&str]| {
        // A file for each process, so that no line is cut in two.
        let logs = Scratch::new();
        let log = logs.join("trace");
        let mut bwrap = Command::new("bwrap");
        bwrap.env_clear().env("PATH", "/usr/bin:/bin").args(["--tmpfs", "/"]);
        bind_the_machine(&mut bwrap);
        bwrap.args(["--proc", "/proc", "--dev", "/dev", "--ro-bind"]).arg(tempting.path());
        bwrap.args(["/nix", "--chdir"]).arg(work.path());
        // The name of an interpreter of the host that is first on PATH must not matter.
        bwrap.args(["strace", "-ff", "-qq", "-e", "trace=%file", "-o"]).arg(&log);
        let said = ok(bwrap.arg(program).args(args));
        let traces = names(logs.path()).into_iter();
        let traces = traces.map(|name| std::fs::read_to_string(logs.join(&name)).unwrap());
        (said, traces.collect::<String>())
    };
    // The temptation works: the host's own program finds it.
    let words = names(&share).into_iter().find(|name| name.ends_with("greet-1.0")).unwrap();
    let words = format!("/nix/store/{words}/share/greet/words");
    let (said, trace) = view(Path::new("/usr/bin/cat"), &[&words]);
    assert_eq!(said, "tempted\n");
    assert!(trace.contains(&format!("\"{words}\"")), "{trace}");
    let programs =
        PROGRAMS.iter().map(|(name, args, expected)| (&profile, *name, *args, *expected));
    let greeting: (&PathBuf, _, &[&str], _) = (&environment, "greeting", &[], GREETING);
    let machine = ["/etc/passwd", "/etc/nsswitch.conf", "/etc/localtime", "/etc/locale.alias"];
    for (tree, name, args, expected) in programs.chain([greeting]) {
        let program = tree.join("bin").join(name);
        let (said, trace) = view(&program, args);
        contains(&said, expected);
        assert!(trace.contains("/lib/.cotter/redirect.so"), "{name} is not redirected");
        for line in trace.lines() {
            let named = line.split('"').nth(1).filter(|path| path.starts_with('/'));
            let Some(path) = named else { continue };
            assert!(!path.starts_with("/nix"), "{name}: {line}");
            if line.contains(" = -1 ") {
                continue;
            }
            let own = Path::new(path).starts_with(tree) || tree.starts_with(path);
            let work = Path::new(path).starts_with(work.path()) || work.path().starts_with(path);
            let known = machine.contains(&path)
                || ["/proc/", "/dev/"].iter().any(|dir| path.starts_with(dir));
            assert!(own || work || known, "{name}: {line}");
        }
    }
}

/// The compiler of the repository builds with a library of a closure, by the words of its `.pc` file.
fn a_library_of_a_closure_is_linked_by_another_compiler(rig: &Rig) {
    let greet = rig.tree("greet");
    let pc = greet.join("usr/lib/x86_64-linux-gnu/pkgconfig/greet.pc");
    let text = std::fs::read_to_string(pc).unwrap();
    contains(&text, &["prefix=${pcfiledir}/", "Libs: -L${prefix}/lib/x86_64-linux-gnu -lgreet"]);
    assert!(!text.contains("/nix/"), "{text}");
    assert!(
        !greet.join("nix").exists() && !greet.join("usr/lib/x86_64-linux-gnu/libc.so.6").exists()
    );
    let work = Scratch::new();
    let source = "#include <greet.h>\n#include <stdio.h>\nint main(void) { puts(greet()); }\n";
    work.write("main.c", source);
    let library = greet.join("usr/lib/x86_64-linux-gnu");
    let mut gcc = Command::new(tree("gcc").join("bin/gcc"));
    gcc.env_clear().args(["main.c", "-o", "main", "-lgreet", "-specs=pinned-libc.specs"]);
    gcc.arg("-I").arg(greet.join("usr/include")).arg("-L").arg(&library);
    gcc.arg(format!("-Wl,-rpath,{}", library.display())).current_dir(work.path());
    ok(&mut gcc);
    let said = ok(Command::new(work.join("main")).env_clear());
    // The library names its data by the path in the store, which only a machine with that path has.
    let of_nix = names(&rig.nix.place("/nix/store"));
    let own = of_nix.iter().find(|name| name.ends_with("-greet-1.0")).unwrap();
    let is_there = Path::new("/nix/store").join(own).join("share/greet/words").exists();
    assert_eq!(said, if is_there { "hello from a library\n" } else { "no words\n" });
}

/// Wrappers in the way of Nixpkgs: what they link is for the loader of the platform, and has no path of the store.
fn a_wrapped_compiler_of_a_closure_builds_in_the_empty_jail(rig: &Rig) {
    let compiler = rig.tree("compiler");
    let work = Scratch::new();
    work.write("a.c", "#include <math.h>\n#include <stdio.h>\nint main(int c, char **v) { (void)v; printf(\"%g\\n\", sqrt(1764 * c)); }\n");
    work.write("b.cc", "#include <iostream>\n#include <vector>\nint main() { std::vector<int> v(42); std::cout << v.size() << std::endl; }\n");
    let run = |program: &str, args: &[&str]| {
        let mut command = jail(&rig.project.store, work.path());
        ok(command.arg(compiler.join("bin").join(program)).args(args))
    };
    run("gcc", &["-O2", "a.c", "-o", "a", "-lm"]);
    run("g++", &["-O2", "b.cc", "-o", "b"]);
    run("gcc", &["-c", "a.c", "-o", "a.o"]);
    run("ar", &["rcs", "liba.a", "a.o"]);
    for name in ["a", "b"] {
        let program = work.join(name);
        let bytes = std::fs::read(&program).unwrap();
        let elf = goblin::elf::Elf::parse(&bytes).unwrap();
        assert_eq!(elf.interpreter, Some("/lib64/ld-linux-x86-64.so.2"));
        assert!(elf.runpaths.is_empty() && elf.rpaths.is_empty(), "{:?}", elf.runpaths);
        assert_eq!(ok(&mut Command::new(program)), "42\n");
    }
    // What Bazel needs to know.
    let facts = rig.project.store.join("facts");
    let facts = names(&facts).into_iter().find(|name| name.contains("compiler")).unwrap();
    let facts = std::fs::read_to_string(rig.project.store.join("facts").join(facts)).unwrap();
    contains(&facts, &["gcc-12.2.0/lib/gcc/x86_64-linux-gnu/12/include", "glibc-2.36-dev/include"]);
    contains(&facts, &["gcc-12.2.0/include/c++/12", "\"form\": \"gcc\""]);
    assert!(compiler.join("usr/bin/gcc").exists() && compiler.join("usr/bin/ld").exists());
}

/// The trees serve as toolchains of Bazel on a machine without `/nix`, compilers and interpreters.
fn bazel_builds_with_a_compiler_and_an_interpreter_of_closures(rig: &Rig, bazel: Bazel) {
    let mut workspace = Workspace::copy(bazel, &Path::new(REPO).join("examples/cpp"));
    workspace.store = rig.project.store.clone();
    workspace.binds.push(rig.nix.scratch.path().to_owned());
    let manifest = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
    let names = [("profile", "profile"), ("environment", "python"), ("compiler", "gcc")];
    let renamed = names.iter().fold(manifest, |text, (from, to)| {
        text.replace(&format!("[toolchains.{from}]"), &format!("[toolchains.{to}]"))
    });
    let emit = "[emit.bazel]\ndir = \"bazel/cotter\"\nregister = true\n";
    workspace.write("toolchains.toml", &(renamed + emit));
    for old in ["toolchains.lock", "main.cc", "squeeze.cc", "squeeze_test.cc"] {
        std::fs::remove_file(workspace.dir.join(old)).unwrap();
    }
    workspace.write("BUILD.bazel", "cc_binary(name = \"answer\", srcs = [\"answer.cc\"])\n\npy_binary(name = \"words\", srcs = [\"words.py\"])\n\ngenrule(name = \"said\", outs = [\"said.txt\"], cmd = \"$(location :words) $$($(location :answer)) > $@\", tools = [\":answer\", \":words\"])\n");
    workspace.write("answer.cc", "#include <iostream>\n#include <vector>\nint main() { std::vector<int> v(42); std::cout << v.size() << std::endl; }\n");
    workspace.write("words.py", "import hashlib\nimport sys\n\nprint(sys.argv[1], sys.version_info[:2], \"/nix/store/\" in hashlib.__file__)\n");
    ok(&mut in_store(&workspace.store, &workspace.dir, &["setup"]));
    ok(&mut in_store(&workspace.store, &workspace.dir, &["emit", "bazel"]));
    workspace.ok("build", &["//:said"]);
    let said = std::fs::read_to_string(workspace.bin().join("said.txt")).unwrap();
    assert_eq!(said, "42 (3, 11) True\n");
}

fn what_remains_is_told(rig: &Rig) {
    // The static program, which holds a path of the store.
    let output = rig.project.cotter(&["audit", "tree", "profile"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    contains(&report, &["/bin/hello-static holds ", "/share/data", "it is linked statically"]);
    assert!(!report.contains("/bin/hello holds"), "{report}");
    assert!(!report.contains("greet-1.0/lib/libgreet.so.1 holds"), "{report}");
}

/// Nix builds the closures once for all of these, and the test leaves none of their gigabytes behind.
#[test]
fn closures_that_nix_builds_are_trees() {
    let rig = rig();
    programs_of_a_closure_run_in_the_empty_jail_at_any_path(&rig);
    programs_of_a_closure_open_nothing_of_the_nix_store_of_the_machine(&rig);
    a_library_of_a_closure_is_linked_by_another_compiler(&rig);
    a_wrapped_compiler_of_a_closure_builds_in_the_empty_jail(&rig);
    what_remains_is_told(&rig);
    for bazel in [Bazel::V4, Bazel::V7] {
        bazel_builds_with_a_compiler_and_an_interpreter_of_closures(&rig, bazel);
    }
}

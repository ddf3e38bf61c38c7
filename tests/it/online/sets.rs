//! Sets of packages and their interpreter as programs use them: scripts, locales, shared libraries.

use std::process::Command;

use super::requirements::{Packages, publish_app};
use crate::support::archive::{Tar, gzip, zip};
use crate::support::{contains, ok, text, tree};

/// A container need not have a shell.
#[test]
fn a_console_script_starts_where_there_is_no_shell() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("app\n");
    let project = &packages.project;
    project.ok(&["setup"]);
    let jail = |args: &[&str]| {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--clearenv", "--proc", "/proc"]);
        command.args(["--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind"]);
        command.arg(project.scratch.path()).arg(project.scratch.path());
        command.arg("--ro-bind").arg(env!("CARGO_BIN_EXE_cotter")).arg("/cotter");
        command.arg("--chdir").arg(project.dir()).args(["--setenv", "COTTER_STORE"]);
        command
            .arg(&project.store)
            .args(["/cotter", "exec", "--pure", "--frozen", "--trust", "--"]);
        ok(command.args(args))
    };
    assert_eq!(jail(&["answer", "one", "two"]), "answer 42 one two\n");
    assert_eq!(jail(&["tell"]), "told 42\n");
    // A virtual environment has an interpreter of its own beside the script.
    project.ok(&["venv"]);
    assert_eq!(jail(&["./.venv/bin/answer"]), "answer 42\n");
    // A file that is no such script is started as it is.
    contains(&jail(&["python3", "-c", "print('ä')"]), &["ä"]);
}

/// The tree has the locale C.UTF-8, and users have others.
#[test]
fn python_takes_the_locale_of_the_user_as_far_as_it_is_utf8() {
    let python = tree("python").join("bin/python3");
    let set = |name: &str, value: &str, asked: &str| {
        let script = format!(
            "import locale\ntry:\n    print(locale.setlocale(locale.LC_ALL, {asked:?}))\nexcept locale.Error as e:\n    print(e)\n"
        );
        ok(Command::new(&python).env_clear().env(name, value).args(["-c", &script]))
    };
    for (name, value) in [
        ("LANG", "en_US.UTF-8"),
        ("LC_ALL", "de_DE.utf8"),
        ("LANG", "sr_RS.UTF-8@latin"),
        ("LANG", "C.UTF-8"),
    ] {
        assert_eq!(set(name, value, ""), "C.UTF-8\n", "{name}={value}");
    }
    // Where LC_ALL names another character set, Python itself does not turn to UTF-8 either.
    for (name, value, asked) in
        [("LC_ALL", "de_DE.ISO-8859-1", ""), ("LANG", "en_US.UTF-8", "de_DE.UTF-8")]
    {
        contains(&set(name, value, asked), &["unsupported locale setting"]);
    }
    assert_eq!(set("LC_ALL", "C", ""), "C\n");
}

/// The machine's ldconfig, compiler and linker would name libraries that the loader of the tree does not find.
#[test]
fn python_looks_for_shared_libraries_in_its_tree() {
    let python = tree("python").join("bin/python3");
    let script = "import ctypes.util as u\nnames = ['c', 'm', 'z', 'ssl', 'stdc++', 'nothing', '../z']\nprint([u.find_library(n) for n in names])\n";
    let trace = crate::support::Scratch::new();
    let file = trace.join("trace");
    let said = ok(Command::new("strace")
        .args(["-f", "-e", "trace=execve", "-o"])
        .arg(&file)
        .arg(&python)
        .args(["-c", script]));
    assert_eq!(
        said,
        "['libc.so.6', 'libm.so.6', 'libz.so.1', 'libssl.so.3', 'libstdc++.so.6', None, None]\n"
    );
    let started = std::fs::read_to_string(&file).unwrap();
    let tree = tree("python").display().to_string();
    for line in started.lines().filter(|line| line.contains("execve(")) {
        assert!(line.contains(&format!("execve(\"{tree}")), "{line}");
    }
}

/// Wheels for accelerators put shared libraries into packages of their own, which others find by their search path, or load before.
#[test]
fn shared_libraries_of_one_wheel_serve_another() {
    let [part, user] = libraries("libx.so.1", &["-Wl,-rpath,$ORIGIN/../parts/x/lib"]);
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let parts = wheel(&[("parts/x/lib/libx.so.1", part)], "parts");
    let user = wheel(
        &[
            ("user/__init__.py", b"import ctypes, os\ntwice = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'user.so')).twice()\n".to_vec()),
            ("user/user.so", user),
        ],
        "user",
    );
    packages.publish("parts", &[("parts-1.0-py3-none-any.whl", parts, "")]);
    packages.publish("user", &[("user-1.0-py3-none-any.whl", user, "")]);
    packages.inputs("user\n");
    let said = |packages: &Packages| text(&packages.project.cotter(&["lock"]).output().unwrap());
    // Alone, it lacks a library, and this is said while it is locked.
    contains(
        &said(&packages),
        &[
            "app for x86_64-linux: neither the set nor python brings libx.so.1 (for user.so)",
            "to `packages` of [toolchains.python]",
            "cotter audit tree app",
        ],
    );
    packages.inputs("user\nparts\n");
    assert!(!said(&packages).contains("libx.so.1"));
    packages.project.ok(&["setup"]);
    packages.project.ok(&["venv"]);
    let print = ["-c", "import user; print(user.twice)"];
    let exec = [&["exec", "--", "python3"][..], &print].concat();
    assert_eq!(packages.project.ok(&exec), "84\n");
    let venv = packages.project.dir().join(".venv/bin/python3");
    assert_eq!(ok(Command::new(venv).args(print)), "84\n");
}

/// Returns a library of this name with a function `answer`, and one with a function `twice` that needs it, linked with `flags`.
fn libraries(name: &str, flags: &[&str]) -> [Vec<u8>; 2] {
    let gcc = tree("gcc").join("bin/gcc");
    let scratch = crate::support::Scratch::new();
    scratch.write("part.c", "int answer(void) { return 42; }\n");
    scratch.write("user.c", "int answer(void);\nint twice(void) { return 2 * answer(); }\n");
    let compile = |args: &[&str]| {
        let mut command = Command::new(&gcc);
        ok(command.current_dir(scratch.path()).args(["-shared", "-fPIC"]).args(args));
    };
    compile(&["part.c", &format!("-Wl,-soname,{name}"), "-o", name]);
    compile(&[&["user.c", "-L.", &format!("-l:{name}"), "-o", "user.so"][..], flags].concat());
    [name, "user.so"].map(|file| std::fs::read(scratch.join(file)).unwrap())
}

/// Returns a wheel of a project, version 1.0, with these files.
fn wheel(members: &[(&str, Vec<u8>)], project: &str) -> Vec<u8> {
    let info = format!("{project}-1.0.dist-info");
    let meta = format!("Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n").into_bytes();
    let tags = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n".to_vec();
    let mut all = members.to_vec();
    let (m, w) = (format!("{info}/METADATA"), format!("{info}/WHEEL"));
    all.push((&m, meta));
    all.push((&w, tags));
    let mut record = String::new();
    for (name, bytes) in &all {
        use base64::Engine as _;
        let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(cotter::internals::Digest::of(bytes).as_bytes());
        record += &format!("{name},sha256={hash},{}\n", bytes.len());
    }
    record += &format!("{info}/RECORD,,\n");
    let r = format!("{info}/RECORD");
    all.push((&r, record.into_bytes()));
    let all: Vec<(&str, u32, &[u8], u32)> = all
        .iter()
        .map(|(name, bytes)| (*name, 0o100_644, bytes.as_slice(), bytes.len() as u32))
        .collect();
    zip(&all)
}

/// What a package finds on other machines in the system comes from a tree that the set names.
#[test]
fn a_set_finds_the_libraries_of_the_trees_that_it_names() {
    let [part, user] = libraries("liby.so.1", &[]);
    let packages = Packages::new("inputs = [\"requirements.in\"]\nlibraries = [\"own\"]");
    let tar = Tar::new()
        .program("usr/lib/x86_64-linux-gnu/liby.so.1", &part)
        .file("usr/share/doc/y/copyright", b"-");
    let project = &packages.project;
    std::fs::write(project.dir().join("y.tar.gz"), gzip(&tar.finish())).unwrap();
    let path = project.dir().join("toolchains.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let own = "\n[toolchains.own]\nkind = \"library\"\nsource = \"archive\"\nversion = \"1.0\"\nurl = \"./y.tar.gz\"\n";
    std::fs::write(&path, manifest.clone() + own).unwrap();
    let module = b"import ctypes, ctypes.util, os\ntwice = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'user.so')).twice()\nname = ctypes.util.find_library('y')\nanswer = ctypes.CDLL(name).answer()\n";
    let user = wheel(&[("user/__init__.py", module.to_vec()), ("user/user.so", user)], "user");
    packages.publish("user", &[("user-1.0-py3-none-any.whl", user, "")]);
    packages.inputs("user\n");
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    assert!(said.contains("added own") && !said.contains("liby.so.1"), "{said}");
    let lock = std::fs::read_to_string(project.dir().join("toolchains.lock")).unwrap();
    contains(&lock, &["libraries = [\"own\"]", "run = [\"own\", \"python\"]"]);
    let print = ["-c", "import user; print(user.twice, user.name, user.answer)"];
    for names in [&[][..], &["app"]] {
        let exec = [&["exec"][..], names, &["--", "python3"], &print].concat();
        assert_eq!(project.ok(&exec), "84 liby.so.1 42\n", "{names:?}");
    }
    project.ok(&["venv"]);
    let python = project.dir().join(".venv/bin/python3");
    assert_eq!(ok(Command::new(&python).env_clear().args(print)), "84 liby.so.1 42\n");
    project.ok(&["audit", "tree", "app"]);
    // What is emitted for Bazel does not lead to them, and this is said.
    contains(&text(&project.cotter(&["emit", "bazel"]).output().unwrap()), &["libraries"]);
    // Without the key, the set lacks the library, and each place says so.
    let without = manifest.replace("libraries = [\"own\"]\n", "");
    std::fs::write(&path, without + own).unwrap();
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    contains(&said, &["neither the set nor python brings liby.so.1 (for user.so)", "`libraries`"]);
    let output = project.cotter(&["audit", "tree", "app"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("liby.so.1"), "{}", text(&output));
}

//! The trees work where nothing of the host exists, at any path, for any user, and open no file of the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::jail::{jail, jail_as_nobody};
use crate::support::{REPO, Scratch, clean, contains, ok, shared_store, tree};

const C: &str = r#"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *half(void *x) { *(double *)x = sqrt(*(double *)x) / 2; return 0; }
int answer(void) { pthread_t t; double d = 7056; pthread_create(&t, 0, half, &d); pthread_join(t, 0); return (int)d; }
#ifndef LIBRARY
int main(void) { printf("C says %d\n", answer()); return 0; }
#endif
"#;
const CPP: &str = r#"
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>
int main() {
  std::thread t([] { std::cout << "thread\n"; });
  t.join();
  try { throw std::runtime_error("thrown"); } catch (const std::exception &e) { std::cout << "caught " << e.what() << "\n"; }
  std::cout << std::vector<int>{1, 2, 3}.size() << std::endl;
}
"#;
const OVERFLOW: &str = "#include <stdlib.h>\nint main(int c, char **v) { (void)v; char *p = malloc(4); return p[3 + c]; }\n";
const EXTENSION: &str = r#"
#include <Python.h>
static PyObject *hi(PyObject *s, PyObject *a) { (void)s; (void)a; return PyUnicode_FromString("hi from C"); }
static PyMethodDef methods[] = {{"hi", hi, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "ext", 0, -1, methods};
PyMODINIT_FUNC PyInit_ext(void) { return PyModule_Create(&module); }
"#;
/// Imports the whole standard library except for the parts that Debian or the recipe leaves out, and uses the parts that need other files.
const SMOKE: &str = r#"
import importlib, sys, warnings
warnings.simplefilter("ignore")
absent = {"nis", "tkinter", "turtle", "turtledemo", "idlelib", "antigravity", "this", "msilib", "winreg", "winsound", "nt", "msvcrt"}
for name in sorted(sys.stdlib_module_names - absent):
    if not name.startswith("_"):
        importlib.import_module(name)
import ctypes, curses, hashlib, json, locale, lzma, mimetypes, os, readline, sqlite3, ssl, subprocess, sysconfig, zoneinfo
root = os.path.realpath(sys.executable).rpartition("/usr/bin/")[0]
assert sys.executable == root + "/bin/python3", sys.executable
assert sys.prefix == root + "/usr", sys.prefix
assert all(p.startswith((root, os.getcwd())) for p in sys.path), sys.path
assert all(p.startswith(root) for p in sysconfig.get_paths().values()), sysconfig.get_paths()
assert not any(str(v).startswith("/usr") for v in sysconfig.get_config_vars().values())
assert ssl.get_default_verify_paths().cafile.startswith(root)
assert len(ssl.create_default_context().get_ca_certs()) > 100
assert sqlite3.connect(":memory:").execute("select 6*7").fetchone() == (42,)
assert zoneinfo.ZoneInfo("Europe/Berlin").key and len(zoneinfo.available_timezones()) > 300
assert ctypes.CDLL(None).getpid() == os.getpid()
assert lzma.decompress(lzma.compress(b"x")) == b"x" and hashlib.sha3_256(b"").hexdigest().startswith("a7ffc6f8")
assert mimetypes.guess_type("a.ods")[0] == "application/vnd.oasis.opendocument.spreadsheet"
curses.setupterm("xterm")
assert subprocess.check_output([sys.executable, "-c", "print('é')"]).decode().strip() == "é"
print("python is whole")
"#;

/// Writes the sources into a work directory that anybody may use.
fn work(scratch: &Scratch) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    for (name, text) in
        [("a.c", C), ("b.cc", CPP), ("bad.c", OVERFLOW), ("ext.c", EXTENSION), ("smoke.py", SMOKE)]
    {
        scratch.write(&format!("work/{name}"), text);
    }
    let work = scratch.join("work");
    std::fs::set_permissions(&work, std::fs::Permissions::from_mode(0o777)).unwrap();
    work
}

/// Checks all promises of the trees in the jail that `enter` makes.
fn prove(gcc: &Path, python: &Path, work: &Path, enter: &dyn Fn() -> Command) {
    let run = |program: PathBuf, args: &[&str]| ok(enter().arg(program).args(args));
    let cc = |args: &[&str]| run(gcc.join("bin/gcc"), args);
    let cxx = |args: &[&str]| run(gcc.join("bin/g++"), args);
    let own = |name: &str| run(work.join(name), &[]);
    const PINNED: &str = "-specs=pinned-libc.specs";

    for flags in [
        &[PINNED][..],
        &[PINNED, "-g"],
        &[PINNED, "-O2", "-flto"],
        &[PINNED, "-fsanitize=address"],
        &[PINNED, "-fsanitize=undefined"],
        &[PINNED, "-fuse-ld=gold"],
        &["-static"],
        &["-static-pie"],
        &["-static", "-O2", "-flto", "-g"],
    ] {
        cc(&[flags, &["a.c", "-o", "a", "-lm"]].concat());
        contains(&own("a"), &["C says 42"]);
        cxx(&[flags, &["b.cc", "-o", "b"]].concat());
        contains(&own("b"), &["thread\ncaught thrown\n3\n"]);
    }
    // With the default libc, the program can be linked, too, but there is no loader here to start it.
    cc(&["a.c", "-o", "a", "-lm"]);
    // Make a shared library and a program that links it.
    cc(&["-shared", "-fPIC", "-DLIBRARY", "a.c", "-o", "libanswer.so", "-lm"]);
    std::fs::write(
        work.join("c.c"),
        "#include <stdio.h>\nint answer(void);\nint main(void) { printf(\"%d\\n\", answer()); }\n",
    )
    .unwrap();
    cc(&[PINNED, "c.c", "-o", "c", "-L.", "-lanswer", &format!("-Wl,-rpath,{}", work.display())]);
    assert_eq!(own("c"), "42\n");
    // AddressSanitizer finds a real fault.
    cc(&[PINNED, "-g", "-fsanitize=address", "bad.c", "-o", "bad"]);
    let found = enter().arg(work.join("bad")).output().unwrap();
    assert!(!found.status.success());
    contains(&String::from_utf8_lossy(&found.stderr), &["heap-buffer-overflow"]);
    // Make static libraries with the tools for them.
    cc(&["-c", "-DLIBRARY", "a.c"]);
    run(gcc.join("bin/ar"), &["rcs", "libanswer.a", "a.o"]);
    run(gcc.join("bin/gcc-ar"), &["rcs", "libanswer2.a", "a.o"]);
    run(gcc.join("bin/ranlib"), &["libanswer.a"]);
    contains(&run(gcc.join("bin/nm"), &["libanswer.a"]), &["T answer"]);
    cc(&["-static", "c.c", "libanswer.a", "-lm", "-o", "c"]);
    run(gcc.join("bin/strip"), &["c"]);
    assert_eq!(own("c"), "42\n");
    for name in
        ["cc", "c++", "cpp", "ld", "as", "objdump", "readelf", "gcov", "x86_64-linux-gnu-gcc"]
    {
        run(gcc.join("bin").join(name), &["--version"]);
    }

    assert_eq!(run(python.join("bin/python3"), &["smoke.py"]), "python is whole\n");
    for name in ["python3.11", "python"] {
        assert_eq!(run(python.join("bin").join(name), &["--version"]), "Python 3.11.2\n");
    }
    contains(&run(python.join("bin/pip3"), &["--version"]), &["pip 23"]);
    // Build a C extension with the pinned compiler and the pinned headers.
    let include = run(
        python.join("bin/python3"),
        &["-c", "import sysconfig; print(sysconfig.get_path('include'))"],
    );
    cc(&["-shared", "-fPIC", "ext.c", "-o", "ext.so", &format!("-I{}", include.trim())]);
    assert_eq!(
        run(python.join("bin/python3"), &["-c", "import ext; print(ext.hi())"]),
        "hi from C\n"
    );
    // Create a virtual environment with pip, and build an extension in it.
    let _ = std::fs::remove_dir_all(work.join("venv"));
    run(python.join("bin/python3"), &["-m", "venv", "venv"]);
    contains(&run(work.join("venv/bin/pip"), &["--version"]), &["pip 23", "venv/lib/python3.11"]);
    let seen = run(
        work.join("venv/bin/python"),
        &[
            "-c",
            "import sys, ssl, sysconfig, os; print(sys.prefix, len(ssl.create_default_context().get_ca_certs()) > 100, os.path.exists(sysconfig.get_path('include') + '/Python.h'))",
        ],
    );
    assert_eq!(seen, format!("{}/venv True True\n", work.display()));
}

#[test]
fn the_trees_work_in_an_empty_jail() {
    let scratch = Scratch::new();
    let work = work(&scratch);
    prove(&tree("gcc"), &tree("python"), &work, &|| jail(shared_store(), &work));
}

#[test]
fn the_trees_work_after_a_move_and_for_an_ordinary_user() {
    let scratch = Scratch::new();
    let work = work(&scratch);
    let moved = scratch.join("elsewhere/moved store");
    std::fs::create_dir_all(moved.join("store")).unwrap();
    let place = |from: PathBuf| {
        ok(Command::new("cp").arg("-a").arg(&from).arg(moved.join("store")));
        moved.join("store").join(from.file_name().unwrap())
    };
    let (gcc, python) = (place(tree("gcc")), place(tree("python")));
    prove(&gcc, &python, &work, &|| jail_as_nobody(&moved, &work));
}

/// On the host, where much could leak, every file that is opened or started is in the store, in the working directory, in /proc or in /dev. The time zone is set, because a
/// program that asks for that of the machine rightly reads /etc/localtime.
#[test]
fn no_file_of_the_host_is_opened() {
    let scratch = Scratch::new();
    let work = work(&scratch);
    let (gcc, python) = (tree("gcc"), tree("python"));
    let gcc_arg = |s: &str| gcc.join("bin").join(s).display().to_string();
    let python_arg = python.join("bin/python3").display().to_string();
    let include = format!("-I{}/include/python3.11", python.display());
    let commands: Vec<Vec<String>> = [
        vec![
            gcc_arg("gcc"),
            "-specs=pinned-libc.specs".into(),
            "-g".into(),
            "a.c".into(),
            "-lm".into(),
            "-o".into(),
            "a".into(),
        ],
        vec![
            gcc_arg("g++"),
            "-specs=pinned-libc.specs".into(),
            "-O2".into(),
            "-flto".into(),
            "b.cc".into(),
            "-o".into(),
            "b".into(),
        ],
        vec![
            gcc_arg("gcc"),
            "-fsanitize=address".into(),
            "bad.c".into(),
            "-o".into(),
            "bad".into(),
        ],
        vec![
            gcc_arg("gcc"),
            "-static".into(),
            "a.c".into(),
            "-lm".into(),
            "-o".into(),
            "static".into(),
        ],
        vec![
            gcc_arg("gcc"),
            "-shared".into(),
            "-fPIC".into(),
            "ext.c".into(),
            "-o".into(),
            "ext.so".into(),
            include,
        ],
        vec![work.join("a").display().to_string()],
        vec![work.join("b").display().to_string()],
        vec![python_arg.clone(), "smoke.py".into()],
        vec![python_arg, "-c".into(), "import ext; assert ext.hi()".into()],
    ]
    .into();
    let allowed = |path: &str| {
        let store = shared_store().display().to_string();
        // `..` is resolved first, because the compiler's own paths contain it often.
        let mut parts: Vec<&str> = vec![];
        for part in path.split('/').filter(|p| !p.is_empty()) {
            match part {
                ".." => _ = parts.pop(),
                _ => parts.push(part),
            }
        }
        let path = format!("/{}", parts.join("/"));
        [format!("{store}/"), format!("{}/", work.display()), "/proc/".into(), "/dev/".into()]
            .iter()
            .any(|p| format!("{path}/").starts_with(p.as_str()))
    };
    // A file that is requested and does not exist must be at a place where no system has files.
    let asked_in_vain = |path: &str| path.starts_with("/.no/");
    for (i, command) in commands.iter().enumerate() {
        let log = scratch.join(&format!("trace{i}"));
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=open,openat,execve", "-o"]).arg(&log).args(command);
        // The locale, the library path and the compiler variables of a user must not cause a leak either.
        strace
            .current_dir(&work)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &work)
            .env("TMPDIR", &work)
            .env("TZ", "UTC");
        strace
            .env("LANG", "de_DE.UTF-8")
            .env("LC_ALL", "en_US.UTF-8")
            .env("CPATH", "/usr/include")
            .env("LIBRARY_PATH", "/usr/lib")
            .env("LD_LIBRARY_PATH", "/usr/lib/x86_64-linux-gnu")
            .env("PYTHONHOME", "/usr");
        ok(&mut strace);
        let trace = std::fs::read_to_string(&log).unwrap();
        let mut opened = 0;
        for line in trace
            .lines()
            .filter(|l| !l.contains("+++") && !l.contains("resumed") && !l.contains("readlink"))
        {
            let Some(path) = line.split('"').nth(1) else { continue };
            // The path is relative to the working directory or to a directory that was opened before.
            if path.starts_with('/') {
                opened += 1;
                assert!(
                    allowed(path) || (line.contains(" = -1 ENOENT") && asked_in_vain(path)),
                    "{command:?} asked for {path}\n{line}"
                );
            }
        }
        assert!(opened > 0, "the trace of {command:?} is empty");
    }
}

#[test]
fn exec_gives_both_programs_and_passes_everything_through() {
    let repo = Path::new(REPO);
    let exec = |args: &[&str]| {
        let mut command = crate::support::in_store(shared_store(), repo, &["exec"]);
        command.args(args);
        command
    };
    contains(
        &ok(&mut exec(&["--", "sh", "-c", "command -v gcc; command -v python3; echo $CC $CXX"])),
        &["-gcc-12", "-python-3.11", "/bin/gcc ", "/bin/g++"],
    );
    let output =
        exec(&["python", "--", "python3", "-c", "import sys; sys.exit(7)"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    use std::os::unix::process::ExitStatusExt;
    let output = exec(&["python", "--", "python3", "-c", "import os; os.kill(os.getpid(), 15)"])
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(15));
    let text = crate::support::fails(127, &mut exec(&["gcc", "--pure", "--", "sh"]));
    contains(&text, &["there is no command \"sh\"", "--pure"]);
    crate::support::fails(126, &mut exec(&["--", "/etc"]));
    // `env` prints the same variables that a shell has.
    let script = ok(&mut crate::support::in_store(shared_store(), repo, &["env", "gcc"]));
    let mut sh = Command::new("sh");
    clean(&mut sh, repo);
    contains(
        &ok(sh.args(["-c", &format!("{script}\ncommand -v gcc; echo $CC")])),
        &["-gcc-12.2.0"],
    );
    let json: serde_json::Value = serde_json::from_str(&ok(&mut crate::support::in_store(
        shared_store(),
        repo,
        &["env", "--json"],
    )))
    .unwrap();
    assert_eq!(json["path"].as_array().unwrap().len(), 2);
}

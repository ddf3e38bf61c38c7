//! The committed launchers and stubs. They have the bytes that the pinned compiler makes from their sources, and they do what they promise.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::foreign;
use crate::support::{Project, REPO, Scratch, contains, in_store, ok, shared_store, tree};

const FLAGS: &[&str] = &[
    "-quiet",
    "-Os",
    "-std=gnu11",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-tree-loop-distribute-patterns",
];

/// Compiles, assembles and links with the tree's own cc1, as, ld and objcopy. `run` starts each of them.
fn build(gcc: &Path, triplet: &str, extra: &str, run: &dyn Fn(&Path, &[&str])) -> [Vec<u8>; 8] {
    let scratch = Scratch::new();
    let at = |name: &str| scratch.join(name).display().to_string();
    let file = |name: &str| format!("{REPO}/launcher/{name}");
    let cc1 = gcc.join(format!("usr/lib/gcc/{triplet}/12/cc1"));
    let sysroot = format!("--sysroot={}", gcc.display());
    // Of the library that redirects paths, only the functions that it wraps are visible; the option changes nothing in the others.
    // The launchers of linkers and of interpreters have the text of the others.
    for (name, source, flag) in [
        ("launcher", "launcher", "-fno-pic"),
        ("linker", "launcher", "-DLINKER"),
        ("interpreter", "launcher", "-DINTERPRETER"),
        ("closure", "launcher", "-DCLOSURE"),
        ("stub", "stub", "-fpie"),
        ("guard", "guard", "-fno-pic"),
        ("redirect", "redirect", "-fpic"),
        ("redirect-closure", "redirect", "-DCLOSURE"),
    ] {
        let pic = match source {
            "redirect" => "-fpic",
            _ if flag.starts_with("-D") => "-fno-pic",
            _ => flag,
        };
        // The include path is the one in the source. No path of this directory may reach the bytes, and without -g none does.
        run(
            &cc1,
            &[
                FLAGS,
                &[
                    extra,
                    pic,
                    flag,
                    "-fvisibility=hidden",
                    &file(&format!("{source}.c")),
                    "-o",
                    &at(&format!("{name}.s")),
                ],
            ]
            .concat(),
        );
        run(&gcc.join("bin/as"), &[&at(&format!("{name}.s")), "-o", &at(&format!("{name}.o"))]);
    }
    let ld = gcc.join("bin/ld");
    for name in ["launcher", "linker", "interpreter", "closure", "guard"] {
        let (object, program) = (at(&format!("{name}.o")), at(name));
        let flags = ["-static", "-s", "-z", "noseparate-code", "--build-id=none", "-o"];
        run(&ld, &[&[sysroot.as_str()][..], &flags, &[&program, &object]].concat());
    }
    run(&ld, &[&sysroot, "-T", &file("stub.ld"), "-o", &at("stub.elf"), &at("stub.o")]);
    run(&gcc.join("bin/objcopy"), &["-O", "binary", &at("stub.elf"), &at("stub")]);
    let flags =
        "-shared -s -z noseparate-code -z now -z initfirst --build-id=none --hash-style=gnu -o";
    let flags: Vec<&str> = flags.split(' ').collect();
    for name in ["redirect", "redirect-closure"] {
        let (object, library) = (at(&format!("{name}.o")), at(name));
        run(&ld, &[&[sysroot.as_str()][..], &flags, &[&library, &object]].concat());
    }
    BINARIES.map(|(name, _)| std::fs::read(scratch.join(name)).unwrap())
}

/// The committed files, with the ends of their names.
const BINARIES: [(&str, &str); 8] = [
    ("launcher", ""),
    ("linker", ""),
    ("interpreter", ""),
    ("closure", ""),
    ("stub", ""),
    ("guard", ""),
    ("redirect", ".so"),
    ("redirect-closure", ".so"),
];

fn assert_committed(built: [Vec<u8>; 8], cpu: &str) {
    for ((name, end), built) in BINARIES.iter().zip(built) {
        let path = format!("{REPO}/launcher/{name}-{cpu}{end}");
        if std::env::var_os("COTTER_BLESS").is_some() {
            std::fs::write(&path, &built).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == built,
            "launcher/{name}-{cpu}{end} is not what the pinned compiler makes of its source"
        );
    }
}

#[test]
fn the_pinned_compiler_makes_the_committed_bytes_for_x86_64() {
    let gcc = tree("gcc");
    let built = build(&gcc, "x86_64-linux-gnu", "-fcf-protection=none", &|program, args| {
        ok(Command::new(program).args(args).env_clear());
    });
    assert_committed(built, "x86_64");
}

#[test]
fn the_pinned_compiler_makes_the_committed_bytes_for_aarch64() {
    ok(&mut in_store(
        shared_store(),
        Path::new(REPO),
        &["setup", "--locked", "--platform", "aarch64-linux", "gcc"],
    ));
    let gcc: PathBuf = ok(&mut in_store(
        shared_store(),
        Path::new(REPO),
        &["path", "--platform", "aarch64-linux", "gcc"],
    ))
    .trim()
    .into();
    let built = build(&gcc, "aarch64-linux-gnu", "-mno-outline-atomics", &|program, args| {
        foreign::run(program, args);
    });
    assert_committed(built, "aarch64");
}

#[test]
fn host_variables_are_dropped_and_argv0_is_kept() {
    let python = tree("python").join("bin/python3");
    let run = |command: &mut Command| {
        ok(command
            .env_clear()
            .env("LD_PRELOAD", "/nonexistent.so")
            .env("LD_LIBRARY_PATH", "/usr/lib")
            .env("PYTHONHOME", "/usr")
            .env("KEPT", "yes"))
    };
    let script = "import os, sys; print(sorted(k for k in os.environ if k not in ('LC_CTYPE', 'CTLPATH', 'CTGCV_PATH'))); print(sys.executable)";
    let said = run(Command::new(&python).args(["-c", script]));
    contains(
        &said,
        &["['KEPT', 'LD_LIBRARY_PATH', 'TERMINFO_DIRS', 'TZDIR']", python.to_str().unwrap()],
    );
    // The program is started through a symlink of the user, on which virtual environments depend.
    let scratch = Scratch::new();
    std::os::unix::fs::symlink(&python, scratch.join("python")).unwrap();
    let said =
        ok(Command::new("python").args(["-c", script]).env_clear().env("PATH", scratch.path()));
    contains(&said, &[scratch.join("python").to_str().unwrap()]);
    // The program gets a false name. The tree is found nevertheless.
    use std::os::unix::process::CommandExt;
    let said = ok(Command::new(&python).arg0("nobody").args(["-c", script]).env_clear());
    contains(&said, &["usr/bin/python3.11"]);
    let gcc = tree("gcc").join("bin/gcc");
    let said = ok(Command::new(&gcc).arg0("nobody").args(["-print-prog-name=cc1"]).env_clear());
    contains(&said, &["/store/", "/cc1"]);
}

/// Returns the environment that a program passes on.
fn jailed_env(bash: &str) -> String {
    ok(Command::new(bash)
        .args(["-c", "export -p"])
        .env_clear()
        .env("GCONV_PATH", "/usr/lib")
        .env("LD_LIBRARY_PATH", "/usr/lib")
        .env("KEPT", "yes"))
}

/// Programs of the list `self_exe` see themselves in /proc/self/exe on both platforms. The other programs of a tool see their launcher.
#[test]
fn the_stub_keeps_proc_self_exe() {
    let manifest = "platforms = [\"x86_64-linux\", \"aarch64-linux\"]\n[toolchains.tools]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"coreutils\", \"bash\"]\nself_exe = [\"usr/bin/readlink\", \"usr/bin/bash\"]\n";
    let mut project = Project::new(manifest);
    project.store = shared_store().to_owned();
    project.ok(&["setup"]);
    project.ok(&["setup", "--platform", "aarch64-linux"]);
    let tree: PathBuf = project.ok(&["path", "tools"]).trim().into();
    let foreign: PathBuf =
        project.ok(&["path", "tools", "--platform", "aarch64-linux"]).trim().into();
    let work = Scratch::new();
    let jailed =
        |args: &[&str]| ok(crate::support::jail::jail(shared_store(), work.path()).args(args));
    let at = |name: &str| tree.join("usr/bin").join(name).display().to_string();
    assert_eq!(jailed(&[&at("readlink"), "/proc/self/exe"]).trim(), at("readlink"));
    assert_eq!(
        jailed(&[
            &at("bash"),
            "-c",
            &format!("{} /proc/self/exe; echo $BASH_VERSION", at("readlink"))
        ])
        .lines()
        .next(),
        Some(at("readlink").as_str())
    );
    // A redirected program is told its launcher.
    contains(
        &jailed(&[&at("ls"), "-l", "/proc/self/exe"]),
        &["lrwxrwxrwx ", &format!("/proc/self/exe -> {}\n", at("ls"))],
    );
    // LD_PRELOAD does not reach the program, or the loader would print an error.
    let output = Command::new(at("readlink"))
        .arg("/proc/self/exe")
        .env("LD_PRELOAD", "/nonexistent.so")
        .output()
        .unwrap();
    let kept = jailed_env(&at("bash"));
    assert!(
        !kept.contains("GCONV_PATH") && !kept.contains("LD_LIBRARY_PATH") && kept.contains("KEPT"),
        "{kept}"
    );
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let at = foreign.join("usr/bin/readlink").display().to_string();
    assert_eq!(ok(Command::new("qemu-aarch64").args([&at, "/proc/self/exe"])).trim(), at);
    let bash = foreign.join("usr/bin/bash").display().to_string();
    contains(
        &ok(Command::new("qemu-aarch64").args([&bash, "-c", "echo $BASH_VERSION $(( 6 * 7 ))"])),
        &["5.2", "42"],
    );
}

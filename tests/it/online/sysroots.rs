//! Sysroots of real packages, with compilers that cotter does not configure for them: clang as a plain tool, and the machine's rustc and gcc.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::bazel::{Bazel, Workspace};
use crate::support::jail::jail;
use crate::support::{Project, contains, in_store, ok, shared_store};

const MANIFEST: &str = r#"
platforms = ["aarch64-linux", "x86_64-linux"]

[toolchains.sysroot]
kind = "sysroot"
source = "debian"
suite = "bookworm"
packages = ["libc6-dev", "libstdc++-12-dev"]
libraries = ["net"]

[toolchains.net]
kind = "library"
source = "debian"
suite = "bookworm"
packages = ["libssl-dev", "libpq-dev", "zlib1g-dev", "libncurses-dev"]

[toolchains.clang]
kind = "tool"
source = "debian"
suite = "bookworm"
platforms = ["x86_64-linux"]
packages = ["clang-14", "lld-14"]
self_exe = ["usr/lib/llvm-14/bin/*"]
"#;

const PROGRAM: &str = r#"
#include <cmath>
#include <iostream>
#include <libpq-fe.h>
#include <ncurses.h>
#include <openssl/ssl.h>
#include <zlib.h>
int main(int argc, char **) {
  std::cout << "openssl " << (OpenSSL_version_num() >> 28) << " pq " << PQlibVersion() / 10000 << " zlib "
            << zlibVersion() << " " << curses_version() << " " << std::cos(argc - 1.0) << "\n";
}
"#;

const PRINTED: &str = "openssl 3 pq 15 zlib 1.2.13 ncurses 6.4.20221231 1";

const LIBRARIES: [&str; 4] = ["-lpq", "-lcrypto", "-lz", "-lncurses"];

/// Returns a project with the trees, its exported sysroots in `work/x86_64` and `work/aarch64`, and a program in `work`.
fn exported() -> (Project, PathBuf, PathBuf) {
    let mut project = Project::new(MANIFEST);
    project.store = shared_store().to_owned();
    project.ok(&["setup", "clang"]);
    let clang = PathBuf::from(project.ok(&["path", "clang"]).trim());
    let work = project.scratch.join("work");
    for platform in ["x86_64-linux", "aarch64-linux"] {
        let dir = work.join(platform);
        project.ok(&["export", "sysroot", dir.to_str().unwrap(), "--platform", platform]);
    }
    project.scratch.write("work/a.cc", PROGRAM);
    (project, clang, work)
}

/// Checks the paths that a linker or a compiler printed: each lies in one of the directories.
fn all_inside(paths: &str, dirs: &[&str]) {
    let absolute: Vec<&str> = paths.split_whitespace().filter(|w| w.starts_with('/')).collect();
    assert!(absolute.len() > 10, "{paths}");
    for path in absolute {
        assert!(dirs.iter().any(|dir| path.starts_with(dir)), "{path} is not in {dirs:?}");
    }
}

/// Where nothing of a host exists, clang finds everything in the sysroot. The program runs in a root that is the sysroot.
#[test]
fn clang_compiles_and_links_with_nothing_else() {
    let (_project, clang, work) = exported();
    let dir = |platform: &str| work.join(platform).display().to_string();
    let compile = |platform: &str, out: &str, more: &[&str]| {
        let root = dir(platform);
        let mut command = jail(shared_store(), &work);
        command.arg(clang.join("bin/clang++-14")).arg(format!("--sysroot={root}")).args([
            "-fuse-ld=lld",
            "-Wl,--trace",
            "-MD",
            "-MF",
            "a.d",
            "a.cc",
            "-o",
            out,
        ]);
        let include = format!("-I{root}/usr/include/postgresql");
        let said = ok(command.arg(include).args(more).args(LIBRARIES));
        let own = clang.display().to_string();
        let temporary = format!("{}/a-", work.display());
        all_inside(&said, &[&root, &temporary]);
        all_inside(&std::fs::read_to_string(work.join("a.d")).unwrap(), &[&root, &own]);
    };
    compile("x86_64-linux", "a", &[]);
    let mut run = Command::new("bwrap");
    run.args(["--unshare-all", "--die-with-parent", "--clearenv", "--ro-bind"])
        .args([&dir("x86_64-linux"), "/", "--ro-bind"])
        .arg(work.join("a"))
        .arg("/usr/share/a")
        .arg("/usr/share/a");
    std::fs::create_dir_all(work.join("x86_64-linux/usr/share")).unwrap();
    std::fs::write(work.join("x86_64-linux/usr/share/a"), "").unwrap();
    contains(&ok(&mut run), &[PRINTED]);
    // A whole program, with the archives of the sysroot.
    std::fs::write(
        work.join("a.cc"),
        "#include <iostream>\n#include <zlib.h>\nint main() { std::cout << zlibVersion() << \"\\n\"; }\n",
    )
    .unwrap();
    let mut link = jail(shared_store(), &work);
    link.arg(clang.join("bin/clang++-14"))
        .arg(format!("--sysroot={}", dir("x86_64-linux")))
        .args(["-fuse-ld=lld", "-static", "a.cc", "-lz", "-lm", "-o", "b"]);
    ok(&mut link);
    contains(&ok(jail(shared_store(), &work).arg("./b")), &["1.2.13"]);
    // The other platform.
    std::fs::write(work.join("a.cc"), PROGRAM).unwrap();
    compile("aarch64-linux", "c", &["--target=aarch64-linux-gnu"]);
    let mut emulated = Command::new("qemu-aarch64");
    emulated.env_clear().arg("-L").arg(work.join("aarch64-linux")).arg(work.join("c"));
    contains(&ok(&mut emulated), &[PRINTED]);
}

/// rustc links with a sysroot through clang, and the machine's own gcc finds the libraries in it.
#[test]
fn rustc_and_gcc_of_the_machine_link_with_it() {
    let (project, clang, work) = exported();
    let root = work.join("x86_64-linux").display().to_string();
    project.scratch.write(
        "work/a.rs",
        "#[link(name = \"pq\")]\nunsafe extern \"C\" { fn PQlibVersion() -> i32; }\nfn main() { println!(\"pq {}\", unsafe { PQlibVersion() } / 10000); }\n",
    );
    let mut rustc = Command::new("rustc");
    rustc.current_dir(&work).args(["a.rs", "-o", "r"]).env("TMPDIR", &work);
    rustc.arg("-C").arg(format!("linker={}", clang.join("bin/clang-14").display()));
    for argument in [&format!("--sysroot={root}"), "-fuse-ld=lld", "-Wl,--dependency-file=r.d"] {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    ok(&mut rustc);
    // What rustc brings itself comes from its own directory and from its temporary one.
    let own = ok(Command::new("rustc").args(["--print", "sysroot"]));
    let linked = std::fs::read_to_string(work.join("r.d")).unwrap().replace(':', "");
    all_inside(&linked, &[&root, own.trim(), work.to_str().unwrap()]);
    contains(&linked, &[&format!("{root}/")]);
    let needed = ok(Command::new("readelf").arg("-d").arg(work.join("r")));
    contains(&needed, &["[libpq.so.5]", "[libc.so.6]"]);
    let mut run = Command::new("bwrap");
    run.args(["--unshare-all", "--die-with-parent", "--clearenv", "--ro-bind", &root, "/"]);
    std::fs::write(work.join("x86_64-linux/usr/r"), "").unwrap();
    contains(&ok(run.arg("--ro-bind").arg(work.join("r")).args(["/usr/r", "/usr/r"])), &["pq 15"]);

    let pkg_config = format!(
        "PKG_CONFIG_SYSROOT_DIR={root} PKG_CONFIG_LIBDIR={root}/usr/lib/x86_64-linux-gnu/pkgconfig:{root}/usr/share/pkgconfig"
    );
    let script = format!(
        "flags=$({pkg_config} pkg-config --cflags --libs libpq libcrypto zlib ncurses) && g++ --sysroot={root} a.cc -o g $flags -Wl,--trace"
    );
    let said = ok(Command::new("sh").arg("-ec").arg(script).current_dir(&work));
    for library in ["libpq.so", "libcrypto.so", "libz.so", "libncurses.so", "libc.so.6"] {
        let line = said.lines().find(|l| l.contains(library)).unwrap_or_else(|| panic!("{said}"));
        assert!(line.starts_with(&root), "{line}");
    }
}

/// In Bazel, the package of the tree's repository is the sysroot, as toolchains_llvm and others take it.
#[test]
fn bazel_has_it_as_a_package() {
    for bazel in [Bazel::V4, Bazel::V7] {
        let workspace = Workspace::empty(bazel);
        workspace.write("toolchains.toml", &format!("{MANIFEST}\n[emit.bazel]\n"));
        ok(&mut in_store(shared_store(), &workspace.dir, &["setup"]));
        workspace.write(".bazelrc", "import %workspace%/bazel/cotter/cotter.bazelrc\n");
        let example = Path::new(crate::support::REPO).join("examples/cpp");
        for file in ["WORKSPACE", "MODULE.bazel"] {
            let text = std::fs::read_to_string(example.join(file)).unwrap();
            workspace.write(file, &text.replace("cotter_register()", ""));
        }
        workspace.write(
            "a.c",
            "#include <stdio.h>\n#include <zlib.h>\nint main(void) { puts(zlibVersion()); }\n",
        );
        workspace.write(
            "BUILD.bazel",
            r#"
SYSROOT = "@cotter_sysroot_x86_64_linux//:sysroot"

genrule(
    name = "a",
    srcs = ["a.c", SYSROOT],
    outs = ["a"],
    cmd = "set -- $(locations {}); $(CLANG_BIN)/clang-14 --sysroot=$$(dirname $$1) -fuse-ld=lld -static $(location a.c) -lz -o $@".format(SYSROOT),
    toolchains = ["@cotter//:clang"],
    tools = ["@cotter//:clang"],
)

genrule(
    name = "ran",
    outs = ["ran.txt"],
    cmd = "$(location :a) > $@",
    tools = [":a"],
)
"#,
        );
        workspace.ok("build", &["//:ran"]);
        let ran = std::fs::read_to_string(workspace.bin().join("ran.txt")).unwrap();
        assert_eq!(ran, "1.2.13\n", "{bazel:?}");
    }
}

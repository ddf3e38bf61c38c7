//! What compilers and linkers of several trees make together: whose libraries a program gets, and what it gets if it is made for another machine.

use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Scratch, contains, copy_program, in_store, ok, text};

/// The tables of the compilers are those of `compilers.rs`, so that their trees are made once.
const MANIFEST: &str = r#"
platforms = ["x86_64-linux"]
host = ["sh"]

[settings]
check_valid_until = false

[toolchains.clang]
kind = "cc"
source = "debian"
suite = "trixie"
packages = ["clang-19", "lld-19", "llvm-19", "libclang-rt-19-dev", "libomp-19-dev", "libc++-19-dev", "libc++abi-19-dev", "libunwind-19-dev"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "trixie"
packages = ["gcc-14", "g++-14", "gfortran-14", "gobjc++-14"]

[toolchains.bare]
kind = "cc"
source = "debian"
suite = "trixie"
packages = ["clang-19", "libclang-rt-19-dev"]
libraries = ["zlib"]

[toolchains.bare-gcc]
kind = "cc"
source = "debian"
suite = "trixie"
packages = ["gcc-14", "libc6-dev"]
libraries = ["zlib"]

[toolchains.zlib]
kind = "library"
source = "debian"
suite = "trixie"
packages = ["zlib1g-dev"]

[toolchains.mold]
kind = "tool"
source = "debian"
suite = "trixie"
packages = ["mold"]

[toolchains.cmake]
kind = "tool"
source = "debian"
suite = "trixie"
packages = ["cmake", "ninja-build", "dash"]
"#;

const C: &str =
    "#include <stdio.h>\n#include <zlib.h>\nint main(void) { puts(zlibVersion()); return 0; }\n";
const CPP: &str = "#include <iostream>\n#include <zlib.h>\nint main() { std::cout << zlibVersion() << std::endl; }\n";

struct Place {
    scratch: Scratch,
}

fn store() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store")
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let scratch = Scratch::new();
        scratch.write("toolchains.toml", MANIFEST);
        for (name, source) in [("z.c", C), ("z.cc", CPP), ("f.s", ".globl f\nf: ret\n")] {
            scratch.write(name, source);
        }
        ok(&mut in_store(&store(), scratch.path(), &["setup", "--quiet"]));
        Place { scratch }
    })
}

impl Place {
    /// A command with the named trees.
    fn command(&self, trees: &[&str], command: &[&str]) -> Command {
        let args = [&["exec"], trees, &["--"], command].concat();
        in_store(&store(), self.scratch.path(), &args)
    }

    fn exec(&self, trees: &[&str], command: &[&str]) -> String {
        let output = self.command(trees, command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output));
        text(&output)
    }

    fn tree(&self, name: &str) -> String {
        ok(&mut in_store(&store(), self.scratch.path(), &["path", name])).trim().to_owned()
    }

    /// The search path of a program, without the trees' directory.
    fn search(&self, program: &str) -> Vec<String> {
        let readelf = format!("{}/bin/readelf", self.tree("gcc"));
        let said = ok(Command::new(readelf).arg("-d").arg(self.scratch.join(program)));
        let line = said.lines().find(|line| line.contains("PATH)"));
        let path =
            line.and_then(|l| l.split_once('[')).map_or("", |(_, p)| p.trim_end_matches(']'));
        path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
    }

    fn library(&self) -> String {
        format!("{}/usr/lib/x86_64-linux-gnu", self.tree("zlib"))
    }
}

/// Build systems ask a compiler for flags with `-Werror`, and compile and preprocess with the flags of linking.
#[test]
fn clang_says_nothing_about_libraries_that_it_has_no_use_for() {
    let place = place();
    for how in [&["-c", "z.c"][..], &["-E", "z.c"], &["-S", "z.c"], &["-c", "f.s"]] {
        let command = [&["clang", "-Werror", "-o", "out"], how].concat();
        assert_eq!(place.exec(&["clang", "zlib"], &command), "", "{how:?}");
    }
    assert_eq!(place.exec(&["clang", "zlib"], &["clang", "-Werror", "z.c", "-lz", "-o", "z"]), "");
}

/// Ninja shortens `x/../y` to `y` without a look at what `x` is.
#[test]
fn headers_have_the_same_name_after_their_path_is_shortened() {
    let place = place();
    place.exec(
        &["clang"],
        &[
            "clang++",
            "-std=c++20",
            "-MD",
            "-MF",
            "dep",
            "-c",
            "z.cc",
            "-I",
            &format!("{}/usr/include", place.tree("zlib")),
            "-o",
            "dep.o",
        ],
    );
    let listed = std::fs::read_to_string(place.scratch.join("dep")).unwrap();
    let headers = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut seen = 0;
    for header in headers {
        let mut short = PathBuf::new();
        for part in Path::new(header).components() {
            match part {
                Component::ParentDir => assert!(short.pop()),
                part => short.push(part),
            }
        }
        assert!(short.exists(), "{header} becomes {}", short.display());
        seen += usize::from(header.contains(".."));
    }
    assert!(seen > 10, "{listed}");
}

#[test]
fn a_program_gets_the_libraries_of_its_compiler_whatever_links_it() {
    let place = place();
    let runtime = |compiler: &str| match compiler {
        "g++" => format!("{}/usr/lib/gcc/x86_64-linux-gnu/14/runtime", place.tree("gcc")),
        _ => format!("{}/usr/lib/llvm-19/runtime", place.tree("clang")),
    };
    for (compiler, linker, tree) in [
        ("g++", "lld", "clang"),
        ("g++", "mold", "mold"),
        ("clang++", "lld", "mold"),
        ("clang++", "bfd", "mold"),
        ("clang++", "mold", "mold"),
    ] {
        let fuse = format!("-fuse-ld={linker}");
        let own = if compiler == "g++" { "gcc" } else { "clang" };
        let command = [compiler, &fuse, "z.cc", "-lz", "-Wl,-rpath,/of/user", "-o", "linked"];
        place.exec(&[own, tree, "zlib"], &command);
        let expected = [runtime(compiler), "/of/user".to_owned(), place.library()];
        assert_eq!(place.search("linked"), expected, "{compiler} with {linker}");
    }
    // Without a link, there is nothing that the linker of another tree could get.
    let command = ["clang", "-fuse-ld=mold", "-Wno-unused-command-line-argument", "-Werror", "-c"];
    place.exec(&["clang", "mold", "zlib"], &[&command[..], &["z.c", "-o", "out"]].concat());
    place.exec(&["clang", "mold"], &["mold", "--version"]);
}

#[test]
fn what_is_made_for_another_system_gets_no_library_of_this_one() {
    let place = place();
    place.scratch.write("n.c", "void _start(void) {}\n");
    std::fs::create_dir_all(place.scratch.join("other/usr/lib")).unwrap();
    let other = format!("--sysroot={}", place.scratch.join("other").display());
    for how in ["--target=aarch64-linux-gnu", &other, "--sysroot=/"] {
        let command = ["clang", how, "-nostdlib", "-fuse-ld=lld", "n.c", "-o", "n"];
        place.exec(&["clang", "zlib"], &command);
        assert_eq!(place.search("n"), Vec::<String>::new(), "{how}");
    }
    let command = ["clang", "--target=x86_64-pc-linux-gnu", "-nostdlib", "n.c", "-o", "n"];
    place.exec(&["clang", "zlib"], &command);
    assert_eq!(place.search("n").len(), 2);
}

/// What a project wants to come first, its `-rpath`, comes before the libraries in the sysroot of the compiler.
#[test]
fn the_users_search_path_comes_before_the_libraries_of_the_sysroot() {
    let place = place();
    for (name, compiler, pinned) in [
        ("bare", "clang", &["--config", "pinned-libc.cfg"][..]),
        ("bare-gcc", "gcc", &["-specs=pinned-libc.specs"]),
    ] {
        let link = [&[compiler], pinned, &["z.c", "-lz", "-Wl,-rpath,$ORIGIN/lib"]].concat();
        place.exec(&[name], &[&link[..], &["-o", "pinned"]].concat());
        let of_tree = format!("{}/usr/lib/x86_64-linux-gnu", place.tree(name));
        let path = place.search("pinned");
        assert_eq!(path[path.len() - 2..], ["$ORIGIN/lib".to_owned(), of_tree.clone()], "{name}");
        contains(&ok(&mut Command::new(place.scratch.join("pinned"))), &["1.3"]);
        // What is linked without the standard libraries finds those of the tree, too.
        let alone = [&link[..], &["-nodefaultlibs", "-lc", "-o", "alone"]].concat();
        place.exec(&[name], &alone);
        assert!(place.search("alone").contains(&of_tree), "{name}");
        contains(&ok(&mut Command::new(place.scratch.join("alone"))), &["1.3"]);
        // A static program has no search path, for which its start code is not made.
        for how in ["-static", "-static-pie"] {
            place.exec(&[name, "zlib"], &[compiler, how, "z.c", "-lz", "-o", "static"]);
            assert_eq!(place.search("static"), Vec::<String>::new(), "{name} {how}");
            contains(&ok(&mut Command::new(place.scratch.join("static"))), &["1.3"]);
        }
    }
}

/// For a linker, `-static` says of which kind the libraries behind it are.
#[test]
fn a_program_with_some_static_libraries_finds_the_others() {
    let place = place();
    for (name, compiler) in [("gcc", "gcc"), ("clang", "clang"), ("clang", "clang -fuse-ld=lld")] {
        let compiler: Vec<&str> = compiler.split(' ').collect();
        let link = ["z.c", "-Wl,-static", "-Wl,-Bdynamic", "-lz", "-o", "some"];
        place.exec(&[name, "zlib"], &[&compiler[..], &link].concat());
        assert!(place.search("some").contains(&place.library()), "{compiler:?}");
        contains(&ok(&mut Command::new(place.scratch.join("some"))), &["1.3"]);
    }
}

/// A machine may have LLVM's tools, which a guard keeps away. CMake would take the guards.
#[test]
fn cmake_makes_a_library_with_a_clang_without_the_tools_of_llvm() {
    let place = place();
    place.scratch.write(
        "lib/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.16)\nproject(a C)\nadd_library(a STATIC a.c)\n",
    );
    place.scratch.write("lib/a.c", "int a;\n");
    // A directory in the project would belong to the project.
    let machine = Scratch::new();
    for name in ["llvm-ar", "llvm-ar-19", "llvm-ranlib", "llvm-ranlib-19"] {
        copy_program("/bin/false", &machine.join(name));
    }
    let path = format!("{}:/usr/bin:/bin", machine.path().display());
    for command in
        [&["cmake", "-G", "Ninja", "-S", "lib", "-B", "built"][..], &["cmake", "--build", "built"]]
    {
        ok(place.command(&["bare", "cmake"], command).env("PATH", &path));
    }
    let cache = std::fs::read_to_string(place.scratch.join("built/CMakeCache.txt")).unwrap();
    contains(&cache, &[&format!("CMAKE_AR:FILEPATH={}/bin/llvm-ar", place.tree("bare"))]);
}

#[test]
fn sanitizers_find_their_symbolizer_and_their_shared_library() {
    let place = place();
    place.scratch.write("w.c", "#include <stdlib.h>\nint main(int c, char **v) { char *p = malloc(4); (void)v; return p[3 + c]; }\n");
    for more in [&[][..], &["-shared-libasan"]] {
        let compile =
            ["clang", "-g", "-fsanitize=address", "--config", "pinned-libc.cfg", "w.c", "-o", "w"];
        place.exec(&["clang"], &[&compile[..], more].concat());
        let said = text(&place.command(&["clang"], &["./w"]).output().unwrap());
        contains(&said, &["heap-buffer-overflow", "in main", "w.c:2"]);
    }
    let mut own = place.command(&["clang"], &["/usr/bin/env"]);
    contains(
        &ok(own.env("ASAN_SYMBOLIZER_PATH", "/of/user")),
        &["ASAN_SYMBOLIZER_PATH=/of/user\n"],
    );
}

/// The file that describes the modules of libc++ names sources that are there.
#[test]
fn the_modules_of_the_standard_library_have_their_sources() {
    let tree = place().tree("clang");
    let lib = format!("{tree}/usr/lib/llvm-19/lib");
    let file = std::fs::read_to_string(format!("{lib}/libc++.modules.json")).unwrap();
    let modules: serde_json::Value = serde_json::from_str(&file).unwrap();
    let modules = modules["modules"].as_array().unwrap();
    assert!(modules.iter().any(|module| module["logical-name"] == "std"), "{file}");
    for module in modules {
        let source = format!("{lib}/{}", module["source-path"].as_str().unwrap());
        assert!(Path::new(&source).exists(), "{source}");
    }
}

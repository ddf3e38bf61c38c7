//! Trees out of closures of Nix: what a program may open is there, and what a tree cannot be is refused and told.

use std::path::Path;

use crate::support::nix::{Nix, tool};
use crate::support::{Project, contains, names};

/// The beginning of an expression: a function that makes a path with the shell of the machine.
const MAKE: &str = r#"
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" script ];
    PATH = "/usr/bin:/bin";
  };
"#;

/// Returns a project that asks for the path of an expression, with the lines of its table after `source`.
fn project(nix: &Nix, expression: &str, platform: &str, kind: &str) -> (String, Project) {
    let path = nix.build(&format!("{MAKE}{expression}"));
    let cache = nix.copy(&[&path], "cache", "none", true);
    let manifest = nix.manifest(&format!("file://{}", cache.display()));
    let manifest = manifest.replace("x86_64-linux", platform)
        + &tool(&path).replace("\"tool\"", &format!("\"{kind}\""));
    (path, Project::new(&manifest))
}

fn tree(project: &Project) -> std::path::PathBuf {
    project.ok(&["path", "greet"]).trim().into()
}

#[test]
fn empty_directories_of_a_closure_are_in_its_tree() {
    let nix = Nix::new();
    let (path, project) = project(
        &nix,
        r#"var = make "var-1" "mkdir -p $out"; docs = make "docs-1" "mkdir -p $out/share; echo 1 > $out/share/1";
in make "uses-1" "mkdir -p $out/bin $out/share/tmpl/inner $out/share/doc; echo text > $out/share/doc/text; echo ${var} ${docs} > $out/share/refs; cp /bin/true $out/bin/true""#,
        "x86_64-linux",
        "tool",
    );
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&format!(
        "{manifest}prune = [\"nix/store/*/share/doc/**\", \"nix/store/*-docs-1/**\"]\n"
    ));
    project.ok(&["setup"]);
    let tree = tree(&project);
    for path in nix.closure(&path) {
        assert!(tree.join(&path[1..]).is_dir(), "{path}");
    }
    let own = tree.join(&path[1..]).join("share");
    assert_eq!(names(&own), ["refs", "tmpl"], "what `prune` has made empty is left out");
    assert_eq!(names(&own.join("tmpl")), ["inner"]);
    project.ok(&["verify", "--deep"]);
}

#[test]
fn scripts_whose_interpreter_the_closure_lacks_are_told() {
    let nix = Nix::new();
    let path = nix.greet();
    let cache = nix.copy(&[&path], "cache", "none", true);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(output.status.success());
    let script = format!("{}/bin/greet", &path[1..]);
    contains(
        &String::from_utf8_lossy(&output.stderr),
        &[
            "1 script has no name in bin",
            "the closure has no /bin/sh",
            &script,
            "--nix-store namespace",
        ],
    );
    let said = project.fails(127, &["exec", "--", "greet"]);
    contains(
        &said,
        &[
            &format!("greet has the script {script}"),
            "no /bin/sh",
            "exec --nix-store namespace -- greet",
        ],
    );
    assert!(!said.contains("cotter search"), "{said}");
    // The command of the hint works, and another name has no such hint.
    contains(&project.ok(&["exec", "--nix-store", "namespace", "--", "greet"]), &["hi from"]);
    contains(&project.fails(127, &["exec", "--", "greets"]), &["cotter search greets"]);
}

const LIBRARY: &str = r#"
in make "foo-1" "
  mkdir -p $out/include $out/lib/cmake/Foo $out/lib/pkgconfig
  echo 'int foo(void);' > $out/include/foo.h
  echo library > $out/lib/libfoo.so.1
  echo library > $out/lib/libfoo.la
  echo Name: foo > $out/lib/pkgconfig/foo.pc
  echo \"set(_IMPORT_PREFIX \\\"$out\\\")\" > $out/lib/cmake/Foo/FooTargets.cmake
  echo \"set(all \\\"$out/include;$out/lib/libfoo.so.1;$out/lib/libm.so;$out/lib64\\\")\" >> $out/lib/cmake/Foo/FooTargets.cmake
"
"#;

#[test]
fn files_of_cmake_in_a_library_of_a_closure_lead_to_its_tree() {
    let nix = Nix::new();
    let (_, project) = project(&nix, LIBRARY, "x86_64-linux", "library");
    project.ok(&["setup"]);
    let tree = tree(&project);
    let lib = tree.join("usr/lib/x86_64-linux-gnu");
    let text = std::fs::read_to_string(lib.join("cmake/Foo/FooTargets.cmake")).unwrap();
    let here = "${CMAKE_CURRENT_LIST_DIR}/../../../..";
    assert_eq!(
        text,
        format!(
            "set(_IMPORT_PREFIX \"{here}\")\nset(all \"{here}/include;{here}/lib/x86_64-linux-gnu/libfoo.so.1;-lm;{here}/lib64\")\n"
        )
    );
    assert_eq!(names(&lib), ["cmake", "libfoo.so.1", "pkgconfig"]);
}

#[test]
fn libraries_keep_their_tree_whatever_store_programs_run_in() {
    let nix = Nix::new();
    let (_, project) = project(&nix, LIBRARY, "x86_64-linux", "library");
    project.ok(&["setup"]);
    let greet = nix.greet();
    nix.copy(&[&greet], "cache", "none", true);
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let both = manifest + &tool(&greet).replace("toolchains.greet", "toolchains.program");
    let check = |how: &str| {
        let run =
            ["exec", "--host", "--nix-store", how, "--", "sh", "-c", "echo $PKG_CONFIG_LIBDIR"];
        let said = project.ok(&run);
        let dir = said.trim().split(':').next().unwrap();
        assert!(Path::new(dir).join("foo.pc").is_file(), "{how}: {said}");
    };
    for how in ["namespace", "auto", "relocated"] {
        check(how);
    }
    project.manifest(&both);
    project.ok(&["setup"]);
    for how in ["namespace", "auto"] {
        check(how);
    }
    contains(&project.ok(&["exec", "--nix-store", "namespace", "--", "greet"]), &["hi from"]);
}

#[test]
fn a_closure_for_another_platform_is_refused() {
    let nix = Nix::new();
    let foreign = |name: &str, script: &str, kind: &str| {
        let expression = format!("in make \"{name}\" \"{script}\"");
        let (_, project) = project(&nix, &expression, "aarch64-linux", kind);
        contains(
            &project.fails(1, &["lock"]),
            &[
                "greet is for aarch64-linux, and its closure for another platform",
                "is for x86_64-linux",
                "[toolchains.greet.platform.aarch64-linux]",
            ],
        );
    };
    foreign("mini-1", "mkdir -p $out/bin; cp /bin/true $out/bin/mini", "tool");
    foreign("mini-2", "mkdir -p $out/lib; cp /bin/true $out/lib/libmini.so.1", "library");
}

#[test]
fn closures_are_no_sysroots_and_data_is_no_library() {
    let nix = Nix::new();
    let data = r#"in make "data-1" "mkdir -p $out/share/data; echo 1 > $out/share/data/x""#;
    let (path, project) = project(&nix, data, "x86_64-linux", "library");
    contains(&project.fails(1, &["lock"]), &["holds no library and no header"]);
    let manifest = nix.manifest("https://cache.example") + &tool(&path);
    project.manifest(&manifest.replace("\"tool\"", "\"sysroot\""));
    contains(
        &project.fails(1, &["lock"]),
        &["toolchains.toml:", "a closure of Nix can be a toolchain of kind"],
    );
}

#[test]
fn a_file_in_the_place_of_a_program_behind_its_launcher_is_not_overwritten() {
    let nix = Nix::new();
    // A program of nothing but the name of its loader, which lies behind two headers.
    let name = "/nix/store/".len() + 32 + "-libc-1/lib/ld-linux-x86-64.so.2".len() + 1;
    let mut elf = [0; 120];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value) in [(16, 2), (18, 62), (32, 64), (54, 56), (56, 1), (64, 3), (72, 120)] {
        elf[at] = value;
    }
    elf[96] = u8::try_from(name).unwrap();
    let elf: String = elf.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let (_, project) = project(
        &nix,
        &format!(
            r#"libc = make "libc-1" "mkdir -p $out/lib; cp -L /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 $out/lib";
in make "taken-1" ''mkdir -p $out/bin
printf '{elf}' > $out/bin/tool
printf '%s\000' ${{libc}}/lib/ld-linux-x86-64.so.2 >> $out/bin/tool
chmod +x $out/bin/tool; echo mine > $out/bin/.tool.real''"#
        ),
        "x86_64-linux",
        "tool",
    );
    contains(
        &project.fails(1, &["lock"]),
        &["can't be put behind a launcher", "/bin/.tool.real is its place", "prune = ["],
    );
}

#[test]
fn a_path_whose_description_is_lost_is_not_called_changed() {
    let nix = Nix::new();
    let path = nix.greet();
    let cache = nix.copy(&[&path], "cache", "none", true);
    let url = format!("file://{}", cache.display());
    let project = Project::new(&(nix.manifest(&url) + &tool(&path)));
    project.ok(&["setup"]);
    std::fs::remove_dir_all(project.store.join("narinfos")).unwrap();
    contains(
        &project.fails(4, &["verify", "--deep"]),
        &["whose description in `narinfos` is lost"],
    );
    project.ok(&["verify", "--deep", "--repair"]);
    project.ok(&["verify", "--deep"]);
}

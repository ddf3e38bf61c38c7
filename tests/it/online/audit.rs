//! The audit reports nothing if nothing leaks, and otherwise reports each leak by name.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::bazel::{Bazel, Workspace};
use crate::support::{Project, REPO, contains, in_store, ok, shared_store, text, tree};

/// Returns `cotter audit bazel` on the machine that has no compilers.
fn audit(workspace: &Workspace, flags: &[&str]) -> (Option<i32>, String, String) {
    let mut words =
        vec![env!("CARGO_BIN_EXE_cotter").to_owned(), "audit".to_owned(), "bazel".to_owned()];
    words.extend(workspace.bazel.flags().iter().map(|f| format!("--flag={f}")));
    words.extend(flags.iter().map(|f| (*f).to_owned()));
    let startup = "$(for f in ${BAZEL#bazel }; do printf -- '--startup=%s ' $f; done)";
    let output = workspace.shell(&format!("{} {startup}", words.join(" "))).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), text(&output))
}

#[test]
#[ignore = "full suite: takes minutes"]
fn the_examples_have_no_findings() {
    for (bazel, example) in [
        (Bazel::V4, "cpp"),
        (Bazel::V7, "cpp"),
        (Bazel::V4, "mixed"),
        (Bazel::V7, "mixed"),
        (Bazel::V7Workspace, "python"),
        (Bazel::V7, "zig"),
        (Bazel::V4, "flask"),
        (Bazel::V7, "flask"),
    ] {
        let workspace = Workspace::example(bazel, example);
        let (code, out, all) = audit(&workspace, &["--json"]);
        assert_eq!(code, Some(0), "{bazel:?} {example}: {all}");
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(found["findings"].as_array().unwrap().len(), 0, "{all}");
    }
}

/// Returns the workspace of leaks, with the toolchains of an example.
fn leaks(bazel: Bazel) -> Workspace {
    let mut workspace = Workspace::copy(bazel, &Path::new(REPO).join("tests/bazel/leaks"));
    let example = Path::new(REPO).join("examples/python");
    std::fs::copy(example.join("toolchains.lock"), workspace.dir.join("toolchains.lock")).unwrap();
    let manifest = std::fs::read_to_string(example.join("toolchains.toml")).unwrap();
    workspace.write("toolchains.toml", &format!("{manifest}\n[audit]\nglibc_floor = \"2.30\"\n"));
    workspace.emit();
    let gcc = tree("gcc").join("bin/gcc");
    ok(Command::new(gcc)
        .args(["-x", "c", "-", "-Wl,-rpath,/usr/local/lib", "-o"])
        .arg(workspace.dir.join("tool"))
        .stdin(std::fs::File::open(workspace.dir.join("main.c")).unwrap_or_else(|_| {
            workspace.write("main.c", "int main(void) { return 0; }\n");
            std::fs::File::open(workspace.dir.join("main.c")).unwrap()
        })));
    std::fs::set_permissions(
        workspace.dir.join("script.py"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    workspace.env.push(("LEAKED".to_owned(), "of the caller".to_owned()));
    workspace
}

/// Each leak has its place and its name.
const PLANTED: [(&str, &str); 16] = [
    ("action-env", ".bazelrc"),
    ("elf-interpreter", "asks_for_a_loader"),
    ("genrule-program", "//:calls_python"),
    ("glibc-floor", "has_an_rpath"),
    ("host-archiver", "//:uses_the_hosts_ar"),
    ("host-include", "//:includes_the_host"),
    ("host-linker", "//:wants_another_linker"),
    ("host-path", "//:reads_the_host"),
    ("output-path", "tells_where_it_is.txt"),
    ("output-rpath", "has_an_rpath"),
    ("path-lookup", "//:searches_path"),
    ("python-zip", "zipped"),
    ("repository-probe", "leaks.bzl"),
    ("shebang", "script.py"),
    ("tool-interpreter", "tool"),
    ("tool-rpath", "tool"),
];

#[test]
fn planted_leaks_are_all_found() {
    for bazel in [Bazel::V4, Bazel::V7] {
        let workspace = leaks(bazel);
        let (code, out, all) = audit(&workspace, &["--json"]);
        assert_eq!(code, Some(7), "{bazel:?}: {all}");
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        let mut by_id: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for finding in found["findings"].as_array().unwrap() {
            by_id
                .entry(finding["id"].as_str().unwrap().to_owned())
                .or_default()
                .push(finding["place"].as_str().unwrap().to_owned());
            assert!(
                !finding["fix"].as_str().unwrap().is_empty()
                    && !finding["reason"].as_str().unwrap().is_empty()
            );
        }
        for (id, place) in PLANTED {
            let places = by_id.get(id).unwrap_or_else(|| panic!("{bazel:?}: no {id} in {all}"));
            assert!(
                places.iter().any(|p| p.contains(place)),
                "{bazel:?}: {id} is not told of {place}, but of {places:?}"
            );
        }
        // Nothing else is reported about the targets without a leak of this kind.
        assert!(
            !by_id["genrule-program"].contains(&"//:tells_where_it_is".to_owned()),
            "{by_id:?}"
        );
        assert!(!by_id.contains_key("action-program"), "{by_id:?}");
    }
}

/// The allow list with its reasons appears in the text and in SARIF.
#[test]
fn findings_can_be_accepted() {
    let workspace = Workspace::example(Bazel::V7, "python");
    workspace.write(
        "more/BUILD.bazel",
        "genrule(name = \"date\", outs = [\"date.txt\"], cmd = \"date > $@\")\n",
    );
    let (code, out, all) = audit(&workspace, &[]);
    assert_eq!(code, Some(7), "{all}");
    contains(
        &out,
        &["error[genrule-program]", "//more:date", "calls date, which PATH finds", "fix:"],
    );
    contains(&all, &["[[audit.allow]]"]);
    let manifest = std::fs::read_to_string(workspace.dir.join("toolchains.toml")).unwrap();
    let allow = |id: &str| {
        workspace.write("toolchains.toml", &format!("{manifest}\n[[audit.allow]]\nid = \"{id}\"\nplace = \"//more:*\"\nreason = \"a stamp\"\n"))
    };
    allow("genrule-program");
    let (code, out, all) = audit(&workspace, &["--sarif"]);
    assert_eq!(code, Some(0), "{all}");
    let log: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "genrule-program");
    assert_eq!(log["runs"][0]["results"][0]["suppressions"][0]["justification"], "a stamp");
    allow("genrule-programs");
    let (code, _, all) = audit(&workspace, &[]);
    assert_eq!(code, Some(1), "{all}");
    contains(&all, &["did you mean \"genrule-program\"?"]);
}

/// With `--jail`, the build runs again under a trace, and the programs and files that it used are reported.
#[test]
fn the_jail_sees_what_the_command_lines_hide() {
    look_into_the_jail(Bazel::V4);
}

#[test]
#[ignore = "full suite: takes minutes"]
fn the_jail_of_bazel_7_sees_what_the_command_lines_hide() {
    look_into_the_jail(Bazel::V7);
}

fn look_into_the_jail(bazel: Bazel) {
    let workspace = Workspace::example(bazel, "cpp");
    let (code, _, all) = audit(&workspace, &["--jail", "//:all"]);
    assert_eq!(code, Some(0), "{bazel:?}: {all}");
    workspace.write(
        "more/BUILD.bazel",
        "cc_binary(name = \"reader\", srcs = [\"reader.cc\"], features = [\"fully_static_link\"])\n\
         genrule(name = \"read\", outs = [\"read.txt\"], cmd = \"$(location :reader) > $@\", tools = [\":reader\"])\n",
    );
    workspace.write(
        "more/reader.cc",
        "#include <cstdio>\n#include <cstdlib>\n#include <string>\nint main() {\n  std::string part = \"os-rel\";\n  if (FILE *f = std::fopen((\"/etc/\" + part + \"ease\").c_str(), \"r\")) std::fclose(f);\n  return std::system(\"sort /dev/null\");\n}\n",
    );
    let (code, out, all) = audit(&workspace, &["--jail", "--json", "//more:all"]);
    assert_eq!(code, Some(7), "{bazel:?}: {all}");
    contains(&out, &["\"host-file\"", "/etc/os-release", "\"host-run\"", "bin/sort"]);
}

/// A program that follows the links of its sandbox finds files that no target declares.
#[test]
fn the_jail_sees_files_that_no_target_declares() {
    let workspace = Workspace::example(Bazel::V7, "python");
    workspace.write("more/declared.txt", "one\n");
    workspace.write("more/undeclared.txt", "two\n");
    workspace.write(
        "more/reader.py",
        "import os\nimport sys\n\nhere = os.path.dirname(os.path.realpath(__file__))\nfor name in sys.argv[1:]:\n    print(open(os.path.join(here, name)).read())\n",
    );
    workspace.write(
        "more/BUILD.bazel",
        "py_binary(name = \"reader\", srcs = [\"reader.py\"], data = [\"declared.txt\"])\n\
         genrule(name = \"read\", outs = [\"read.txt\"], cmd = \"$(location :reader) declared.txt undeclared.txt > $@\", tools = [\":reader\"])\n",
    );
    let (code, out, all) = audit(&workspace, &["--jail", "--json", "//more:all"]);
    assert_eq!(code, Some(7), "{all}");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    // The audit also reports that the tool begins with a script of /bin/sh, which does not matter here.
    let findings: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["id"] == "undeclared-file")
        .collect();
    assert_eq!(findings.len(), 1, "{all}");
    assert!(findings[0]["place"].as_str().unwrap().ends_with("/more/undeclared.txt"), "{all}");
}

#[test]
fn trees_have_no_findings() {
    for (dir, names) in [
        ("", "gcc python"),
        ("examples/libraries", "libpq openssl pkg-config zlib"),
        ("examples/cpp", "gcc-aarch64 shell"),
    ] {
        let mut arguments = vec!["audit", "tree", "--json"];
        arguments.extend(names.split(' '));
        let output =
            in_store(shared_store(), &Path::new(REPO).join(dir), &arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

/// A manifest of tools of Debian packages.
fn tools(list: &[(&str, &str)]) -> String {
    let mut out = "platforms = [\"x86_64-linux\"]\n".to_owned();
    for (name, more) in list {
        out += &format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\n{more}\n"
        );
    }
    out
}

/// A file that every Debian host has and no tree.
const OF_THE_HOST: &str = "/usr/share/common-licenses/GPL-3";

/// The reaches of real programs: a static one, one of Go, one with a stub, and one that is redirected.
#[test]
fn open_constants_of_real_programs_are_found() {
    let project = Project::new(&tools(&[
        ("busybox", "packages = [\"busybox-static\"]"),
        ("fzf", "packages = [\"fzf\"]"),
        ("file", "packages = [\"file\"]"),
    ]));
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: busybox: 1 program can reach files of the host (first: usr/bin/busybox names /",
            "warning: fzf: 1 program can reach files of the host (first: usr/bin/fzf names /",
        ],
    );
    assert!(!said.contains("warning: file:"), "{said}");
    // Nothing is told again where nothing was made.
    let again = text(&project.cotter(&["setup"]).output().unwrap());
    assert!(!again.contains("warning"), "{again}");
    let json = |name: &str, code: i32| -> serde_json::Value {
        let output = project.cotter(&["audit", "tree", name, "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let fate = |found: &serde_json::Value, file: &str, path: &str| {
        let list = found["trees"][0]["constants"].as_array().unwrap().clone();
        let constant = list.into_iter().find(|c| c["file"] == file && c["path"] == path);
        let constant = constant.unwrap_or_else(|| panic!("{file} holds no {path}: {found}"));
        let reason = constant["reason"].as_str().unwrap_or_default();
        format!("{} {reason}", constant["fate"].as_str().unwrap())
    };
    let busybox = json("busybox", 7);
    assert_eq!(fate(&busybox, "usr/bin/busybox", "/etc/inittab"), "open static");
    assert_eq!(fate(&busybox, "usr/bin/busybox", "/etc/resolv.conf"), "machine ");
    let fzf = json("fzf", 7);
    assert_eq!(fate(&fzf, "usr/bin/.fzf.real", "/usr/share/zoneinfo"), "open system-calls");
    let file = json("file", 0);
    let magic = "usr/lib/x86_64-linux-gnu/libmagic.so.1.0.0";
    // The tree has this name with an ending only.
    assert_eq!(fate(&file, magic, "/usr/share/misc/magic"), "sealed ");
    assert_eq!(fate(&file, magic, "/etc/magic"), "redirected ");
}

/// `--run` names what one run opened: nothing for programs that work with their tree, and each file otherwise.
#[test]
fn a_run_tells_which_files_of_the_host_were_opened() {
    let project = Project::new(&tools(&[
        ("perl", "packages = [\"perl\", \"perl-base\"]"),
        ("busybox", "packages = [\"busybox-static\"]"),
    ]));
    project.ok(&["setup"]);
    let accept = "[[audit.allow]]\nid = \"tree-constant\"\nreason = \"this test looks at runs\"\n";
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&format!("{manifest}{accept}"));
    let run = |words: &[&str]| {
        let output =
            project.cotter(&[&["audit", "tree", "--run"], words].concat()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), text(&output))
    };
    let modules =
        "print POSIX::floor(6.5) * 7, Encode::encode('UTF-8', 'x'), File::Temp->new->filename";
    let (code, out, all) = run(&["perl", "-MPOSIX", "-MEncode", "-MFile::Temp", "-e", modules]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{all}");
    contains(&all, &["42x/tmp/", "no reach to the host found"]);
    let open = format!("open my $f, '<', '{OF_THE_HOST}' or die $!");
    let (code, out, all) = run(&["perl", "-e", &open]);
    assert_eq!(code, Some(7), "{all}");
    contains(
        &out,
        &["error[tree-file]", &format!("{OF_THE_HOST} was opened by perl/usr/bin/perl")],
    );
    let (code, out, all) = run(&["busybox", "cat", OF_THE_HOST]);
    assert_eq!(code, Some(7), "{all}");
    contains(&out, &[&format!("{OF_THE_HOST} was opened by busybox/bin/busybox")]);
    let (code, out, all) = run(&["perl", "-e", "exec '/usr/bin/setpriv', '--version'"]);
    assert_eq!(code, Some(7), "{all}");
    contains(&out, &["error[tree-run]", "/usr/bin/setpriv was started by perl/usr/bin/perl"]);
    // What a program found to exist, and what it looked for in vain, is listed on demand.
    let look = format!("-e '{OF_THE_HOST}' or die; open my $f, '<', '/opt/nowhere'");
    let output = project
        .cotter(&["--verbose", "audit", "tree", "--", "perl", "-e", &look])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    contains(
        &text(&output),
        &[
            &format!("{OF_THE_HOST} was found by perl/usr/bin/perl"),
            "/opt/nowhere was looked for by perl/usr/bin/perl",
        ],
    );
    // A command that fails proves nothing.
    let (code, _, all) = run(&["perl", "-e", "exit 3"]);
    assert_eq!(code, Some(6), "{all}");
    contains(&all, &["the command failed: exit status: 3"]);
}

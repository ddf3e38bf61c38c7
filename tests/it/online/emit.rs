//! `cotter emit` with trees that are in the store, and with a pinned interpreter that reads the result.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use cotter::internals::starlark::{File, Value};
use rand::Rng;

use crate::emit::{EXAMPLES, project};
use crate::support::bazel::copy_dir;
use crate::support::{REPO, Scratch, contains, in_store, names, ok, shared_store, text};

/// The folders are generated and not committed. The only copy of the rules is `templates/bazel`.
#[test]
fn the_examples_folders_are_what_their_locks_give() {
    for example in EXAMPLES {
        let workspace = Scratch::new();
        copy_dir(&Path::new(REPO).join("examples").join(example), workspace.path());
        let emit = |arguments: &[&str]| in_store(shared_store(), workspace.path(), arguments);
        ok(&mut emit(&["emit", "bazel"]));
        ok(&mut emit(&["emit", "bazel", "--check"]));
        let committed = Command::new("git")
            .args(["ls-files", "--", &format!("examples/{example}/bazel")])
            .current_dir(REPO)
            .output()
            .unwrap();
        assert!(committed.status.success() && committed.stdout.is_empty(), "{committed:?}");
        // Only these files differ from lock to lock.
        for (name, text) in templates() {
            let emitted = workspace.path().join("bazel/cotter").join(&name);
            assert!(
                std::fs::read_to_string(&emitted).unwrap().ends_with(&text),
                "{example}: {name} is not the template"
            );
        }
    }
}

/// Returns the names of the fixed rules.
fn templates() -> Vec<(String, String)> {
    let dir = Path::new(REPO).join("templates/bazel");
    let read = |name: String| {
        let text = std::fs::read_to_string(dir.join(&name)).unwrap();
        (name, text)
    };
    names(&dir).into_iter().map(read).collect()
}

#[test]
fn setup_emits_too() {
    let project = project("python");
    let setup = |arguments: &[&str]| {
        text(&in_store(shared_store(), &project.dir(), arguments).output().unwrap())
    };
    contains(
        &setup(&["setup", "--locked"]),
        &["is not what toolchains.lock gives: run `cotter emit bazel`"],
    );
    assert!(!project.dir().join("bazel").exists());
    std::fs::write(
        project.dir().join("toolchains.toml"),
        std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap() + "\n",
    )
    .unwrap();
    contains(&setup(&["setup"]), &["wrote bazel/cotter"]);
    ok(&mut in_store(shared_store(), &project.dir(), &["emit", "bazel", "--check"]));
}

/// A set of packages cannot be used without its interpreter.
#[test]
fn what_an_emitted_set_uses_is_emitted_too() {
    let flask = Path::new(REPO).join("examples/flask");
    let workspace = Scratch::new();
    copy_dir(&flask, workspace.path());
    let manifest = std::fs::read_to_string(flask.join("toolchains.toml")).unwrap();
    let only = manifest.replace("[emit.bazel]\n", "[emit.bazel]\ntoolchains = [\"app\"]\n");
    assert_ne!(manifest, only);
    workspace.write("toolchains.toml", &only);
    ok(&mut in_store(shared_store(), workspace.path(), &["emit", "bazel"]));
    let lock = std::fs::read_to_string(workspace.join("bazel/cotter/lock.bzl")).unwrap();
    contains(&lock, &["\"app-x86_64-linux\": {", "\"python-x86_64-linux\": {"]);
    assert!(!lock.contains("\"gcc-x86_64-linux\"") && !lock.contains("app-2020"), "{lock}");
}

#[test]
fn pylock_is_an_emitter() {
    let flask = Path::new(REPO).join("examples/flask");
    let run = |arguments: &[&str]| in_store(shared_store(), &flask, arguments).output().unwrap();
    let new = run(&["emit", "pylock", "app"]);
    assert!(new.status.success(), "{}", text(&new));
    contains(&text(&new), &["lock-version = \"1.0\"", "name = \"flask\""]);
    contains(&text(&run(&["emit", "pylock"])), &["which set of Python packages?", "app-2020"]);
    contains(&text(&run(&["emit", "pylock", "ap"])), &["there is no set", "did you mean app?"]);
    contains(&text(&run(&["emit", "bazel", "app"])), &["out of the whole lock"]);
}

/// The names that Bazel 9 defines in all .bzl files, as far as they are used here. Since Bazel 7, it has removed the rules and providers of languages.
const GLOBALS: &str = "False True None Label DefaultInfo all any attr bool config config_common depset dict dir enumerate fail getattr hasattr int json len \
     list load max min module_extension native platform_common print provider range repository_rule repr reversed rule select sorted str struct tuple type zip";
/// The names that it defines in BUILD files and in MODULE.bazel.
const GLOBALS_OF_BUILD: &str = "exports_files glob load package";
const GLOBALS_OF_MODULE: &str =
    "bazel_dep include module register_toolchains use_extension use_repo";
/// The content of the module `native` of Bazel 9, as far as it is used here.
const NATIVE: &str = "alias bazel_version config_setting constraint_setting constraint_value filegroup glob platform register_toolchains repo_name repository_name \
     toolchain";

/// Prints the names of each file that the file does not define, and `native.x` for each name of the module `native` that it uses. The grammar and the scopes of Starlark are a part of
/// Python's.
const FREE_NAMES: &str = r#"
import ast, json, symtable, sys

def free(table, out):
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module") and not top[symbol.get_name()]:
            out.add(symbol.get_name())
    for child in table.get_children():
        free(child, out)

found = {}
for file in sys.argv[1:]:
    text = open(file, encoding="utf-8").read()
    tree = ast.parse(text, file)
    # What a load brings is defined, too.
    loads = [node for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "load"]
    loaded = {word.value for node in loads for word in node.value.args[1:]} | {word.arg for node in loads for word in node.value.keywords}
    table = symtable.symtable(text, file, "exec")
    class Top(dict):
        def __missing__(self, name):
            return name in loaded
    top = Top({symbol.get_name(): True for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_namespace()})
    names = set()
    free(table, names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "native":
            names.add("native." + node.attr)
    found[file] = {"names": sorted(names), "loads": sorted(node.value.args[0].value for node in loads)}
print(json.dumps(found))
"#;

/// Runs a program with the pinned interpreter.
fn python(program: &str, arguments: &[&Path]) -> serde_json::Value {
    let python = crate::support::tree("python").join("bin/python3");
    let said = ok(Command::new(python).args(["-I", "-c", program]).args(arguments));
    serde_json::from_str(&said).unwrap()
}

/// Starlark reads any string as it was meant.
#[test]
fn any_string_comes_back() {
    let mut random = rand::thread_rng();
    let hard = [
        '"',
        '\'',
        '\\',
        '\n',
        '\r',
        '\t',
        '\0',
        '\u{7f}',
        '{',
        '}',
        '$',
        '%',
        '#',
        'é',
        '\u{1f600}',
        '0',
        '7',
    ];
    let strings: Vec<String> = (0..3000)
        .map(|_| {
            let length = random.gen_range(0..12);
            let any = |_| match random.gen_range(0..3) {
                0 => hard[random.gen_range(0..hard.len())],
                1 => char::from(random.gen_range(0..128u8)),
                _ => random.r#gen::<char>(),
            };
            (0..length).map(any).collect()
        })
        .collect();
    let list: Value = strings.iter().map(String::as_str).collect();
    let scratch = Scratch::new();
    let file = scratch.write("strings.bzl", File::new().assign("X", list).render());
    let read = python(
        "import ast, json, sys\nprint(json.dumps(ast.literal_eval(ast.parse(open(sys.argv[1], encoding='utf-8', newline='').read()).body[0].value)))",
        &[file.as_path()],
    );
    assert_eq!(read, serde_json::json!(strings));
}

/// No emitted file needs a name that Bazel 9 has removed, except for the files that pass on the rules of older versions.
#[test]
fn the_emitted_files_are_ready_for_bazel_9() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let native = words(NATIVE);
    let mut removed = BTreeSet::new();
    for example in EXAMPLES {
        let project = project(example);
        project.ok(&["emit", "bazel", "--frozen"]);
        let dir = project.dir().join("bazel/cotter");
        let files: Vec<_> = names(&dir)
            .into_iter()
            .filter(|name| [".bzl", ".bazel"].iter().any(|ending| name.ends_with(ending)))
            .map(|name| dir.join(name))
            .collect();
        assert!(files.len() > 15, "{example}: {files:?}");
        let found =
            python(FREE_NAMES, &files.iter().map(std::path::PathBuf::as_path).collect::<Vec<_>>());
        let strings = |value: &serde_json::Value| -> Vec<String> {
            serde_json::from_value(value.clone()).unwrap()
        };
        for file in &files {
            let (name, found) =
                (file.file_name().unwrap().to_str().unwrap(), &found[file.to_str().unwrap()]);
            let globals = match name {
                "BUILD.bazel" => words(GLOBALS_OF_BUILD),
                "cotter.MODULE.bazel" => words(GLOBALS_OF_MODULE),
                _ => words(GLOBALS),
            };
            let unknown: Vec<String> = strings(&found["names"])
                .into_iter()
                .filter(|word| match word.strip_prefix("native.") {
                    Some(of) => !native.contains(of),
                    None => !globals.contains(word),
                })
                .collect();
            // This is the only repository of rules that is empty in Bazel 9.
            let loads: Vec<String> = strings(&found["loads"])
                .into_iter()
                .filter(|label| label.starts_with("@bazel_tools//"))
                .collect();
            if name.ends_with("_native.bzl") {
                removed.extend(unknown);
                assert!(!loads.is_empty(), "{name}");
            } else {
                assert!(unknown.is_empty(), "{name} uses {unknown:?}");
                assert!(loads.is_empty(), "{name} loads from {loads:?}");
            }
        }
    }
    // The check finds what it must find.
    for name in ["CcInfo", "cc_common", "native.cc_library", "native.py_binary"] {
        assert!(removed.contains(name), "{removed:?}");
    }
}

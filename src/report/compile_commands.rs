//! `compile_commands.json`: how each source of a Bazel workspace is compiled, for clangd and other
//! tools. Pure. Source: the JSON compilation database of Clang.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::audit::actions::Action;

/// The directories of a Bazel workspace.
#[derive(Debug)]
pub struct BazelPlaces<'a> {
    /// The workspace.
    pub workspace: &'a str,
    /// The execution root, below which the outputs are.
    pub execution_root: &'a str,
    /// The output base, below which the repositories are.
    pub output_base: &'a str,
}

/// The kinds of actions that compile a source.
pub const MNEMONICS: &str = "CppCompile|ObjcCompile";

/// The flags that may be followed by a path without a space.
const PATH_FLAGS: &[&str] = &[
    "-I",
    "-iquote",
    "-isystem",
    "-idirafter",
    "-include",
    "-imacros",
    "-B",
    "-F",
    "-L",
    "--sysroot=",
    "-fmodule-map-file=",
    "-resource-dir=",
];

/// Flags of GCC that clangd would refuse. None changes the meaning of a source.
const OF_GCC: &[&str] = &[
    "-fno-canonical-system-headers",
    "-fno-fat-lto-objects",
    "-Wno-free-nonheap-object",
    "-Wunused-but-set-parameter",
];

/// Directories of headers that belong to a compiler itself. clangd has its own, and those of another
/// compiler use functions that it does not have.
const OF_COMPILERS: &[&str] = &["/usr/lib/gcc/", "/usr/lib/gcc-cross/", "/lib/clang/"];

/// Returns the file with an entry for each source in the workspace and each generated one. A source
/// that is compiled several times has the command for the target platform.
pub fn render(actions: &[Action], places: &BazelPlaces) -> String {
    let mut entries: BTreeMap<String, (bool, Value)> = BTreeMap::new();
    for action in actions {
        let Some((source, entry)) = entry(action, places) else { continue };
        let is_for_tools = action.outputs.iter().any(|output| output.contains("-exec"));
        let known = entries.get(&source).is_some_and(|(of_tools, _)| !of_tools || is_for_tools);
        if !known {
            entries.insert(source, (is_for_tools, entry));
        }
    }
    let list: Vec<Value> = entries.into_values().map(|(_, entry)| entry).collect();
    format!("{:#}\n", Value::from(list))
}

/// Whether a text is such a file, so that it may be replaced.
pub fn is_of_bazel(text: &str) -> bool {
    let of_bazel = |entry: &Value| {
        let output = entry["output"].as_str().unwrap_or_default();
        entry["file"].is_string() && output.contains("/bazel-out/")
    };
    let value = serde_json::from_str::<Value>(text).ok();
    value.as_ref().and_then(Value::as_array).is_some_and(|list| list.iter().all(of_bazel))
}

/// Returns the source of an action and its entry. Sources of other repositories are left out.
fn entry(action: &Action, places: &BazelPlaces) -> Option<(String, Value)> {
    let after = |flag: &str| {
        let at = action.arguments.iter().position(|argument| argument == flag)?;
        action.arguments.get(at + 1)
    };
    let source = after("-c").filter(|source| !source.starts_with("external/"))?;
    let file = match absolute(source, places) {
        Some(path) => path,
        None => format!("{}/{source}", places.workspace),
    };
    let output = after("-o").map(|output| places_of(output, places)).unwrap_or_default();
    let mut arguments: Vec<String> = vec![];
    let mut words = action.arguments.iter().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().map_or("", |next| next.as_str());
        if word == "-isystem" && OF_COMPILERS.iter().any(|dir| next.contains(dir)) {
            words.next();
        } else if word == "-nostdinc" {
            // The compiler's own headers become those of clangd.
            arguments.push("-nostdlibinc".to_owned());
        } else if word == source {
            arguments.push(file.clone());
        } else if !OF_GCC.contains(&word.as_str()) && !word.starts_with("-flto") {
            arguments.push(places_of(word, places));
        }
    }
    let entry = json!({
        "directory": places.workspace,
        "file": file,
        "output": output,
        "arguments": arguments,
    });
    Some((file, entry))
}

/// Returns the absolute path of an output or of a file of another repository.
fn absolute(path: &str, places: &BazelPlaces) -> Option<String> {
    if path.starts_with("external/") {
        Some(format!("{}/{path}", places.output_base))
    } else if path.starts_with("bazel-out/") {
        Some(format!("{}/{path}", places.execution_root))
    } else {
        None
    }
}

/// Returns a word of a command with an absolute path in it. Paths of the workspace stay relative to
/// the directory of the command.
fn places_of(word: &str, places: &BazelPlaces) -> String {
    let flags = std::iter::once("").chain(PATH_FLAGS.iter().copied());
    let with_path = |flag: &str| {
        let path = absolute(word.strip_prefix(flag)?, places)?;
        Some(format!("{flag}{path}"))
    };
    flags.into_iter().find_map(with_path).unwrap_or_else(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(arguments: &str, output: &str) -> Action {
        Action {
            arguments: arguments.split(' ').map(str::to_owned).collect(),
            outputs: vec![output.to_owned()],
            ..Action::default()
        }
    }

    #[test]
    fn paths_become_those_of_this_machine() {
        let places =
            BazelPlaces { workspace: "/w", execution_root: "/b/execroot/_main", output_base: "/b" };
        let actions = [
            action("external/gcc/bin/gcc -c external/zlib/a.c -o x", "bazel-out/k8-fastbuild/a.o"),
            action(
                "external/gcc/bin/gcc -DTOOL -c a.c -o bazel-out/k8-opt-exec/a.o",
                "bazel-out/k8-opt-exec/a.o",
            ),
            action(
                "external/gcc/bin/gcc -iquote . -iquote bazel-out/k8-fastbuild/bin -isystemexternal/z/include -nostdinc -isystem external/gcc/usr/lib/gcc/x86_64-linux-gnu/12/include -isystem external/gcc/usr/include -flto=auto -fno-canonical-system-headers -c a.c -o bazel-out/k8-fastbuild/a.o",
                "bazel-out/k8-fastbuild/a.o",
            ),
            action(
                "external/gcc/bin/gcc -c bazel-out/k8-fastbuild/g.c -o o",
                "bazel-out/k8-fastbuild/g.o",
            ),
            action(
                "external/gcc/bin/gcc -S -include a.h empty.cc",
                "bazel-out/k8-fastbuild/a.h.processed",
            ),
        ];
        let text = render(&actions, &places);
        let value: Value = serde_json::from_str(&text).unwrap();
        let list = value.as_array().unwrap();
        assert_eq!(list.len(), 2, "{text}");
        let at = |file: &str| list.iter().find(|entry| entry["file"] == file).unwrap();
        let words = at("/w/a.c")["arguments"].as_array().unwrap();
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        assert_eq!(
            words.join(" "),
            "/b/external/gcc/bin/gcc -iquote . -iquote /b/execroot/_main/bazel-out/k8-fastbuild/bin -isystem/b/external/z/include -nostdlibinc -isystem /b/external/gcc/usr/include -c /w/a.c -o /b/execroot/_main/bazel-out/k8-fastbuild/a.o"
        );
        assert!(at("/b/execroot/_main/bazel-out/k8-fastbuild/g.c")["directory"] == "/w");
        assert!(is_of_bazel("[]") && is_of_bazel(&render(&actions[2..3], &places)));
        assert!(!is_of_bazel(r#"[{"file": "a.c", "output": "CMakeFiles/a.o"}]"#));
        assert!(!is_of_bazel("{}") && !is_of_bazel("x"));
    }
}

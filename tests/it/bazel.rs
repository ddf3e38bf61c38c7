//! What is emitted for Bazel, with two real Bazels, where the machine has no compiler, no interpreter and no network.

use crate::support::bazel::{ALL, Bazel, Workspace};
use crate::support::contains;

/// Builds and tests an example at two paths with two output roots, and compares all that came out.
fn builds_alike(example: &str) {
    let mut all = vec![];
    for bazel in ALL {
        let first = Workspace::example(bazel, example);
        let said = first.ok("test", &["//..."]);
        contains(&said, &["PASSED"]);
        let second = first.beside("elsewhere/with/a/longer/path", bazel);
        second.ok("test", &["//..."]);
        let (a, b) = (first.outputs(), second.outputs());
        assert!(a.len() > 3, "{:?}", a.keys());
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{bazel:?}");
        for (name, bytes) in &a {
            let dir = first.dir.parent().unwrap().to_string_lossy().into_owned();
            // Manifests of runfiles are lists of absolute paths by design.
            if name.ends_with("MANIFEST") || name.ends_with("runfiles_manifest") {
                continue;
            }
            assert!(!bytes.windows(dir.len()).any(|w| w == dir.as_bytes()), "{bazel:?}: {name} names {dir}");
            assert!(bytes == &b[name], "{bazel:?}: {name} differs from path to path");
        }
        drop(second);
        all.push(a);
    }
    // The same command lines give the same bytes, whichever Bazel runs them: compilers and genrules; those of linkers differ in rpaths.
    let mut compared = 0;
    for (name, bytes) in &all[0] {
        if let Some(other) = all[2].get(name).filter(|_| [".o", ".a", ".json", ".txt", ".z"].iter().any(|e| name.ends_with(e))) {
            assert!(bytes == other, "{name} differs from Bazel to Bazel");
            compared += 1;
        }
    }
    assert!(compared > 0, "nothing to compare in {:?} and {:?}", all[0].keys(), all[2].keys());
}

#[test]
fn the_example_of_cpp() {
    builds_alike("cpp");
}

#[test]
fn the_example_of_python() {
    builds_alike("python");
}

#[test]
fn the_example_of_both() {
    builds_alike("mixed");
}

/// On the same machine a workspace without our toolchains gets nowhere.
#[test]
fn a_workspace_without_toolchains_fails() {
    for bazel in [Bazel::V4, Bazel::V7] {
        let control = Workspace::empty(bazel);
        control.write("WORKSPACE", "");
        control.write("WORKSPACE.bzlmod", "");
        control.write("MODULE.bazel", "");
        control.write("BUILD", "cc_binary(name = \"a\", srcs = [\"a.cc\"])\npy_test(name = \"b\", srcs = [\"b.py\"])\n");
        control.write("a.cc", "int main() {}\n");
        control.write("b.py", "");
        contains(&control.fails("build", &["//:a"]), &["gcc"]);
        control.write(".bazelrc", "build --repo_env=BAZEL_DO_NOT_DETECT_CPP_TOOLCHAIN=1\nbuild --extra_toolchains=//:none\n");
        contains(&control.fails("test", &["//:b"]), &["oolchain"]);
    }
}

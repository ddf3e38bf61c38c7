//! `cotter emit bazel` where the trees are in the store.

use std::path::Path;

use crate::emit::{EXAMPLES, project};
use crate::support::{REPO, contains, in_store, ok, shared_store, text};

#[test]
fn the_examples_folders_are_what_their_locks_give() {
    for example in EXAMPLES {
        ok(&mut in_store(
            shared_store(),
            &Path::new(REPO).join("examples").join(example),
            &["emit", "bazel", "--check"],
        ));
    }
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

//! Properties that every tree has.

use std::path::Path;
use std::process::Command;

use crate::support::{REPO, in_store, ok, shared_store};

/// The links, modes and times of real trees are as promised.
#[test]
fn the_real_trees_are_sealed() {
    use std::os::unix::fs::MetadataExt;
    fn walk(dir: &Path, root: &Path, count: &mut u32) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            *count += 1;
            assert_eq!(meta.mtime(), 1, "{}", path.display());
            if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                assert!(target.is_relative(), "{} -> {}", path.display(), target.display());
                assert!(
                    path.canonicalize()
                        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
                        .starts_with(root),
                    "{}",
                    path.display()
                );
            } else {
                assert!(
                    [0o444, 0o555].contains(&(meta.mode() & 0o7777)),
                    "{} {:o}",
                    path.display(),
                    meta.mode()
                );
            }
            if meta.is_dir() {
                walk(&path, root, count);
            }
        }
    }
    for tree in [
        crate::support::tree("gcc"),
        crate::support::tree("python"),
        crate::support::library("libpq"),
    ] {
        let (root, mut count) = (tree.canonicalize().unwrap(), 0);
        walk(&tree, &root, &mut count);
        assert!(count > 100, "{} holds {count} entries", tree.display());
    }
}

/// Facts follow from the tree alone. Those that were recorded when a tree was made, and those that are derived from the store, have the same bytes.
#[test]
fn facts_can_be_derived_again() {
    let store = shared_store();
    let mut count = 0;
    for example in ["", "examples/libraries", "examples/cpp", "examples/zig", "examples/flask"] {
        let dir = Path::new(REPO).join(example);
        let list = ok(&mut in_store(store, &dir, &["list", "--json"]));
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let present = || list["trees"].as_array().unwrap().iter().filter(|t| t["present"] == true);
        // Run the setup with a store of its own that contains only the trees, because a set of packages brings its interpreter. A symlink in the place of a tree is not followed.
        let scratch = crate::support::Scratch::new();
        std::fs::create_dir_all(scratch.join("store")).unwrap();
        for tree in present() {
            let name = tree["store_name"].as_str().unwrap();
            ok(Command::new("cp")
                .arg("-a")
                .arg(store.join("store").join(name))
                .arg(scratch.join("store")));
        }
        for tree in present() {
            let name = tree["store_name"].as_str().unwrap();
            let before =
                std::fs::read_to_string(store.join("facts").join(format!("{name}.json"))).unwrap();
            let _ = std::fs::remove_dir_all(scratch.join("facts"));
            let toolchain = tree["name"].as_str().unwrap();
            let platform = tree["platform"].as_str().unwrap();
            let setup = ["--frozen", "--offline", "setup", toolchain, "--platform", platform];
            ok(&mut in_store(scratch.path(), &dir, &setup));
            let after = std::fs::read_to_string(scratch.join("facts").join(format!("{name}.json")));
            assert_eq!(before, after.unwrap(), "{name}");
            count += 1;
        }
    }
    assert!(count > 10, "{count} trees");
}

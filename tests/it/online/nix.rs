//! The names in the store are those that the real Nix gives.

use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, clean, library, ok, tree};

fn nix_store(scratch: &Scratch) -> Command {
    scratch.write("etc/nix.conf", "build-users-group =\nsubstituters =\n");
    let mut command = Command::new("nix-store");
    clean(&mut command, scratch.path());
    command.env("NIX_CONF_DIR", scratch.join("etc")).arg("--store").arg(scratch.join("root"));
    command
}

/// Returns what `nix-store --add-fixed --recursive sha256` prints for a tree, without `/nix/store/`.
fn name_by_nix(tree: &Path) -> String {
    let scratch = Scratch::new();
    let base = tree.file_name().unwrap().to_str().unwrap();
    // Nix takes the name from the directory, so the directory has the name that follows our hash.
    let named = scratch.join(&base[33..]);
    ok(Command::new("cp").arg("-a").arg(tree).arg(&named));
    let printed =
        ok(nix_store(&scratch).args(["--add-fixed", "--recursive", "sha256"]).arg(&named));
    printed.trim().strip_prefix("/nix/store/").unwrap().to_owned()
}

#[test]
fn both_trees_have_the_name_that_nix_gives_them() {
    for tree in [tree("gcc"), tree("python"), library("zlib")] {
        assert_eq!(name_by_nix(&tree), tree.file_name().unwrap().to_str().unwrap());
    }
}

#[test]
fn the_nar_hash_is_the_one_that_nix_computes() {
    let tree = library("zlib");
    let (hash, _) = cotter::internals::hash_tree(&tree).unwrap();
    let mut command = Command::new("nix-hash");
    clean(&mut command, Path::new("/nonexistent"));
    assert_eq!(ok(command.args(["--type", "sha256"]).arg(&tree)).trim(), hash.hex());
}

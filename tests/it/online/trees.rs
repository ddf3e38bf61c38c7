//! What every tree promises.

use std::path::Path;

/// What the trees promise of links, modes and times, on the real ones.
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

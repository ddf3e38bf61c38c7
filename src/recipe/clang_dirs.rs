//! The directories of a Clang in a tree of Debian packages.

use std::collections::BTreeMap;

use crate::model::{MemberPath, Platform};
use crate::tree::{Node, Tree};

/// Whether a Clang is among the names of Debian packages: `clang-19`.
pub fn names_clang(packages: &[String]) -> bool {
    packages.iter().any(|name| is_clang(name))
}

/// Whether a Debian package is a Clang, such as `clang-19`.
pub fn is_clang(package: &str) -> bool {
    version_of(package, "clang-").is_some()
}

/// The directories in which one version of Clang keeps its files, and those of GCC's libraries that
/// it uses.
#[derive(Debug, PartialEq, Eq)]
pub struct ClangDirs {
    /// The directory of LLVM, such as `usr/lib/llvm-19`.
    pub home: MemberPath,
    /// The version, such as 19.
    pub version: u32,
    /// The directory of the compiler's own headers and of compiler-rt, such as
    /// `usr/lib/llvm-19/lib/clang/19`.
    pub resources: MemberPath,
    /// The version of GCC whose start files and libraries Clang uses, if the tree has one.
    pub gcc: Option<u32>,
}

impl ClangDirs {
    /// Finds the directories of the newest Clang in a tree. After the recipe has prepared the tree,
    /// the program is elsewhere, but its name is still there.
    pub fn of(tree: &Tree, target: Platform) -> Option<ClangDirs> {
        let home = |version: u32| MemberPath::literal(&format!("usr/lib/llvm-{version}"));
        let has_clang = |version: &u32| {
            let program = MemberPath::literal(&format!("{}/bin/clang", home(*version)));
            matches!(tree.get(&program), Some(Node::File { .. }))
        };
        let entries = tree.entries("usr/lib");
        let versions = entries.iter().filter_map(|name| version_of(name, "llvm-"));
        let version = versions.filter(has_clang).max()?;
        let home = home(version);
        // Debian has had `19`, `14.0.6`, and links from one to the other.
        let parent = format!("{home}/lib/clang");
        let has_headers = |name: &String| {
            tree.exists(&MemberPath::literal(&format!("{parent}/{name}/include/stddef.h")))
        };
        let resources = tree.entries(&parent).into_iter().find(has_headers)?;
        let start = |version: &u32| {
            let dir = format!("usr/lib/gcc/{}/{version}", target.multiarch());
            tree.exists(&MemberPath::literal(&format!("{dir}/crtbegin.o")))
        };
        let entries = tree.entries(&format!("usr/lib/gcc/{}", target.multiarch()));
        let gcc = entries.iter().filter_map(|name| name.parse().ok()).filter(start).max();
        let resources = MemberPath::literal(&format!("{parent}/{resources}"));
        Some(ClangDirs { home, version, resources, gcc })
    }

    /// Returns a path below the directory of LLVM.
    pub fn below(&self, path: &str) -> MemberPath {
        MemberPath::literal(&format!("{}/{path}", self.home))
    }
}

/// The libraries, by stem, that programs may need at run time and that the libc does not bring:
/// those of GCC and those of LLVM.
pub const OF_COMPILERS: &[&str] =
    &["atomic", "c++", "c++abi", "gcc_s", "gomp", "objc", "omp", "stdc++", "unwind"];

/// Returns the shared libraries of the tree that programs ask for, by name, each with its stem and its
/// path. Debian has links to some libraries of LLVM beside the other libraries.
pub fn libraries(
    tree: &Tree,
    dirs: &ClangDirs,
    multiarch: &str,
) -> BTreeMap<String, (String, MemberPath)> {
    let mut out = BTreeMap::new();
    for dir in [format!("usr/lib/{multiarch}"), format!("{}/lib", dirs.home)] {
        for name in tree.entries(&dir) {
            // Programs ask for the name with one number.
            let Some((stem, version)) = name.strip_prefix("lib").and_then(|n| n.split_once(".so."))
            else {
                continue;
            };
            if version.bytes().all(|b| b.is_ascii_digit()) {
                let path = MemberPath::literal(&format!("{dir}/{name}"));
                out.insert(name.clone(), (stem.to_owned(), path));
            }
        }
    }
    out
}

/// Returns the number that follows a prefix and ends a name.
fn version_of(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_clang_are_recognised() {
        let named = |names: &[&str]| {
            names_clang(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert!(named(&["lld-19", "clang-19"]));
        for other in
            ["clang", "clang-tidy-19", "libclang-19-dev", "clang-19-doc", "clang-", "gcc-12"]
        {
            assert!(!named(&[other]), "{other}");
        }
    }
}

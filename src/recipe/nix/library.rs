//! Headers and libraries out of a closure. What is built with them runs without the closure, and other
//! programs than those of the tree read the files. So the files get the places of a Debian system, where
//! compilers, pkg-config, CMake and Bazel find them, and nothing remains below `nix/store`.

use std::collections::BTreeMap;

use super::{paths::ClosurePaths, platform};
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{MemberPath, Platform};
use crate::recipe::{cmake, linker_scripts, pkg_config, prune};
use crate::relocate::closure::{self, STORE};
use crate::relocate::launcher::is_library_name;
use crate::relocate::{libraries, symlinks};
use crate::tree::{Blob, BlobDir, Node, Tree};

/// The directories of a store path that are taken, besides `lib`, with their places.
const PLACES: [(&str, &str); 2] = [("include", "usr/include"), ("share", "usr/share")];

/// The directories that are left out, because only programs and people read them.
const LEFT_OUT: &[&str] =
    &["share/bash-completion", "share/doc", "share/info", "share/locale", "share/man"];

/// The largest text that is rewritten, in bytes.
const LONGEST: u64 = 4 << 20;

/// Lays out the libraries of a closure. The libc and the libraries of the compiler stay behind, because
/// what is linked with a library brings its own.
///
/// # Errors
/// If the closure holds no library and no header, or if a staged file cannot be read or written.
pub fn lay_out(plan: &Plan, tree: &mut Tree, blobs: &BlobDir, paths: &ClosurePaths) -> Result<()> {
    let lib = format!("usr/lib/{}", plan.platform.multiarch());
    let others = paths.all.iter().filter(|path| !paths.wanted.contains(path));
    let mut homes: BTreeMap<MemberPath, MemberPath> = BTreeMap::new();
    let mut taken = Tree::default();
    for owner in paths.wanted.iter().chain(others) {
        if of_compiler(plan.platform, tree, owner) {
            continue;
        }
        let below = format!("{owner}/");
        for (path, node) in tree.iter().filter(|(path, _)| path.as_str().starts_with(&below)) {
            let rest = &path.as_str()[below.len()..];
            let Some(to) = place(rest, &lib).and_then(|to| MemberPath::composed(&to)) else {
                continue;
            };
            homes.insert(path.clone(), to.clone());
            if taken.get(&to).is_none() {
                taken.put(to, node.clone());
            }
        }
    }
    if taken.paths(is_of_library).is_empty() {
        return Err(Error::user(format!(
            "the closure of {} holds no library and no header",
            plan.name
        ))
        .about(plan.name.as_str())
        .hint("name the output of the package that has them, often <package>.dev"));
    }
    let libraries = taken.paths(|path, _| is_library_name(path.file_name()));
    platform::check(plan, &taken, libraries.iter())?;
    settle_links(&mut taken, tree, &homes);
    settle_texts(&mut taken, blobs, &lib)?;
    cmake::relocate(&mut taken, blobs, plan.platform)?;
    settle_search_paths(&mut taken, blobs, plan.platform)?;
    linker_scripts::relocate(&mut taken, blobs)?;
    symlinks::settle(&mut taken);
    pkg_config::relocate(&mut taken, blobs)?;
    prune::remove_empty(&mut taken, |_| false);
    *tree = taken;
    Ok(())
}

/// Whether a file makes a tree one of libraries: a header, a library, or what describes one.
fn is_of_library(path: &MemberPath, node: &Node) -> bool {
    let describes = [".pc", ".cmake"].iter().any(|end| path.file_name().ends_with(end));
    let is_in_place = path.is_under("usr/include") || path.is_under("usr/lib");
    !matches!(node, Node::Directory) && (is_in_place || describes)
}

/// Whether a store path is the libc, or the libraries that belong to a compiler.
fn of_compiler(platform: Platform, tree: &Tree, owner: &MemberPath) -> bool {
    let has = |name: &str| tree.at(&format!("{owner}/lib/{name}")).is_some();
    has(platform.loader()) || has("libc.so.6") || (has("libgcc_s.so.1") && !has("pkgconfig"))
}

/// Returns the place of a file of a store path.
fn place(rest: &str, lib: &str) -> Option<String> {
    if LEFT_OUT
        .iter()
        .any(|dir| rest.strip_prefix(dir).is_some_and(|r| r.is_empty() || r.starts_with('/')))
    {
        return None;
    }
    // Files of libtool name all directories by absolute paths, and it needs none of them.
    if rest.ends_with(".la") {
        return None;
    }
    if let Some(rest) = rest.strip_prefix("lib/") {
        return Some(format!("{lib}/{rest}"));
    }
    PLACES.iter().find_map(|(from, to)| {
        let rest = rest.strip_prefix(from)?.strip_prefix('/')?;
        Some(format!("{to}/{rest}"))
    })
}

/// Makes links lead to the new places. A link to what stayed behind becomes the file itself.
fn settle_links(taken: &mut Tree, tree: &Tree, homes: &BTreeMap<MemberPath, MemberPath>) {
    let links: Vec<(MemberPath, MemberPath)> = homes
        .iter()
        .filter(|(from, to)| {
            matches!(tree.get(from), Some(Node::Symlink(_)))
                && matches!(taken.get(to), Some(Node::Symlink(_)))
        })
        .map(|(from, to)| (from.clone(), to.clone()))
        .collect();
    for (from, to) in links {
        let target = match tree.get(&from) {
            Some(Node::Symlink(text)) => from.resolve_link(text),
            _ => None,
        };
        let home = target.as_ref().and_then(|target| homes.get(target));
        match (home, tree.file(&from)) {
            (Some(home), _) if *home != to => taken.link(to, home),
            (None, Some((real, _))) => {
                if let Some(node) = tree.get(&real) {
                    taken.put(to, node.clone());
                }
            }
            _ => drop(taken.remove(&to)),
        }
    }
}

/// Replaces the paths of the closure in the texts that build tools read.
fn settle_texts(taken: &mut Tree, blobs: &BlobDir, lib: &str) -> Result<()> {
    let is_text = |path: &MemberPath, node: &Node| {
        let ends = [".pc", ".cmake", ".so", ".a"];
        let is_small = matches!(node, Node::File { blob, .. } if blob.size() <= LONGEST);
        is_small && ends.iter().any(|end| path.file_name().ends_with(end))
    };
    for path in taken.paths(is_text) {
        let Some(Node::File { blob, executable }) = taken.get(&path) else { continue };
        let executable = *executable;
        if is_binary(blob)? {
            continue;
        }
        let Ok(text) = String::from_utf8(blob.read()?) else { continue };
        let new = match path.file_name().ends_with(".cmake") {
            true => cmake_paths(&text, &path, lib, &|path| taken.exists(path)),
            false => system_paths(&text, "/usr", lib),
        };
        if new != text {
            taken.put(path, Node::File { blob: blobs.put(new.as_bytes())?, executable });
        }
    }
    Ok(())
}

fn is_binary(blob: &Blob) -> Result<bool> {
    let head = blob.head(8)?;
    Ok(head.starts_with(b"\x7fELF") || head.starts_with(b"!<arch>") || head.starts_with(b"!<thin>"))
}

/// Returns the text of a file of CMake, in which paths of the closure begin at the place of the file: `/usr` would be that of
/// the machine.
fn cmake_paths(
    text: &str,
    path: &MemberPath,
    lib: &str,
    has: &dyn Fn(&MemberPath) -> bool,
) -> String {
    let up = vec![".."; path.depth() - 2].join("/");
    let here = format!("${{CMAKE_CURRENT_LIST_DIR}}/{up}");
    let new: String = text
        .split_inclusive('\n')
        // The file compares its own place with that for which it was made: the two must differ.
        .map(|line| match line.contains("_realOrig") {
            true => line.to_owned(),
            false => system_paths(line, &here, lib),
        })
        .collect();
    // What the libc and the compiler have stays behind, and the linker finds it by its name.
    let libraries = format!("{here}/{}/lib", lib.trim_start_matches("usr/"));
    let mut out = String::new();
    let mut rest = new.as_str();
    while let Some(at) = rest.find(&libraries) {
        let (before, after) = (&rest[..at], &rest[at + libraries.len()..]);
        let end = after.find(|c: char| !is_of_name(c)).unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        let stem = name.strip_suffix(".so").or_else(|| name.strip_suffix(".a"));
        let stem = stem.filter(|_| !behind.starts_with('/'));
        let absent = |_: &&str| {
            MemberPath::composed(&format!("{lib}/lib{name}")).is_some_and(|path| !has(&path))
        };
        out.push_str(before);
        match stem.filter(absent) {
            Some(stem) => out.push_str(&format!("-l{stem}")),
            None => out.push_str(&format!("{libraries}{name}")),
        }
        rest = behind;
    }
    out + rest
}

/// Whether the name of a store path or of a library may contain a character.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-._?=".contains(c)
}

/// Replaces `/nix/store/<name>` with a prefix, and its directory `lib` with that of the platform.
fn system_paths(text: &str, prefix: &str, lib: &str) -> String {
    let store = format!("/{STORE}/");
    let below = lib.strip_prefix("usr").unwrap_or(lib);
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&store) {
        let (before, path) = rest.split_at(at);
        let after = &path[store.len()..];
        let name = after.find(|c| !is_of_name(c)).unwrap_or(after.len());
        out.push_str(before);
        out.push_str(prefix);
        rest = &after[name..];
        if let Some(end) = rest.strip_prefix("/lib").filter(|end| !end.starts_with(is_of_name)) {
            out.push_str(below);
            rest = end;
        }
    }
    out + rest
}

/// All libraries lie in one directory now.
fn settle_search_paths(taken: &mut Tree, blobs: &BlobDir, platform: Platform) -> Result<()> {
    let home = format!("usr/lib/{}", platform.multiarch());
    for path in taken
        .paths(|path, node| matches!(node, Node::File { .. }) && is_library_name(path.file_name()))
    {
        let Some(Node::File { blob, executable }) = taken.get(&path) else { continue };
        let (mut bytes, executable) = (blob.read()?, *executable);
        let directory = |text: &str| {
            closure::in_tree(text)?;
            text.ends_with("/lib").then(|| MemberPath::literal(&home))
        };
        if !bytes.starts_with(b"\x7fELF") {
            continue;
        }
        libraries::relativize(&mut bytes, &path, &directory);
        closure::rename_needed(&mut bytes, &|_| true);
        taken.put(path, Node::File { blob: blobs.put(&bytes)?, executable });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_the_paths_of_a_system() {
        let text = "prefix=/nix/store/a-zlib-1\nlibdir=/nix/store/b-zlib/lib\nLibs: -L/nix/store/b-zlib/lib -lz\nx=/nix/store/c/lib64 /nix/store/c/libexec/x\n";
        assert_eq!(
            system_paths(text, "/usr", "usr/lib/t"),
            "prefix=/usr\nlibdir=/usr/lib/t\nLibs: -L/usr/lib/t -lz\nx=/usr/lib64 /usr/libexec/x\n"
        );
    }

    #[test]
    fn files_of_cmake_refer_to_their_own_place() {
        let text = "set(_IMPORT_PREFIX \"/nix/store/a-foo-1\")\nset(d \"/nix/store/a-foo-1/include;/nix/store/a-foo-1/lib/libfoo.so.1;/nix/store/b-c/lib/libm.so;/nix/store/a-foo-1/lib/libfoo.so;/nix/store/a-foo-1/lib64/x\")\n";
        let path = MemberPath::literal("usr/lib/t/cmake/Foo/FooTargets.cmake");
        let has = |path: &MemberPath| path.as_str() == "usr/lib/t/libfoo.so";
        let here = "${CMAKE_CURRENT_LIST_DIR}/../../../..";
        assert_eq!(
            cmake_paths(text, &path, "usr/lib/t", &has),
            format!(
                "set(_IMPORT_PREFIX \"{here}\")\nset(d \"{here}/include;{here}/lib/t/libfoo.so.1;-lm;{here}/lib/t/libfoo.so;{here}/lib64/x\")\n"
            )
        );
    }

    #[test]
    fn files_have_places() {
        let place = |rest| place(rest, "usr/lib/t");
        assert_eq!(place("lib/libz.so.1").as_deref(), Some("usr/lib/t/libz.so.1"));
        assert_eq!(place("include/z.h").as_deref(), Some("usr/include/z.h"));
        assert_eq!(place("share/man/man3/z.3"), None);
        assert_eq!(place("share/manual").as_deref(), Some("usr/share/manual"));
        assert_eq!(place("bin/x"), None);
        assert_eq!(place("lib/libz.la"), None);
    }
}

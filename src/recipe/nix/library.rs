//! Headers and libraries out of a closure. What is built with them runs without the closure, and other
//! programs than those of the tree read the files. So the files get the places of a Debian system, where
//! compilers, pkg-config, CMake and Bazel find them, and nothing remains below `nix/store`.

use std::collections::BTreeMap;

use super::paths::ClosurePaths;
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{MemberPath, Platform};
use crate::recipe::{linker_scripts, pkg_config};
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
    if taken.is_empty() {
        return Err(Error::user(format!(
            "the closure of {} holds no library and no header",
            plan.name
        ))
        .about(plan.name.as_str())
        .hint("name the output of the package that has them, often <package>.dev"));
    }
    settle_links(&mut taken, tree, &homes);
    settle_texts(&mut taken, blobs, &lib)?;
    settle_search_paths(&mut taken, blobs, plan.platform)?;
    linker_scripts::relocate(&mut taken, blobs)?;
    symlinks::settle(&mut taken);
    pkg_config::relocate(&mut taken, blobs)?;
    *tree = taken;
    Ok(())
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
        let ends = [".pc", ".cmake", ".la", ".so", ".a"];
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
        let new = system_paths(&text, lib);
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

/// Replaces `/nix/store/<name>` with `/usr`, and its directory `lib` with that of the platform.
fn system_paths(text: &str, lib: &str) -> String {
    let store = format!("/{STORE}/");
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&store) {
        let (before, path) = rest.split_at(at);
        let after = &path[store.len()..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
        let name = after.find(|c| !is_name(c)).unwrap_or(after.len());
        out.push_str(before);
        rest = &after[name..];
        match rest.strip_prefix("/lib") {
            Some(end) if !end.starts_with(is_name) => {
                out.push_str(&format!("/{lib}"));
                rest = end;
            }
            _ => out.push_str("/usr"),
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
            system_paths(text, "usr/lib/t"),
            "prefix=/usr\nlibdir=/usr/lib/t\nLibs: -L/usr/lib/t -lz\nx=/usr/lib64 /usr/libexec/x\n"
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
    }
}

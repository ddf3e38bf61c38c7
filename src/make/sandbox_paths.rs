//! Paths of the sandbox in what was built there. They lead nowhere outside of it.

use crate::error::Result;
use crate::model::MemberPath;
use crate::relocate::libraries::forget;
use crate::tree::{BlobDir, Node, Tree};

/// The options of compilers and linkers that name a directory behind them.
const OPTIONS: &[&str] = &["-Wl,-rpath-link,", "-Wl,-rpath,", "-isystem", "-I", "-L", "-R"];

/// The greatest length of a file that is changed.
const LONGEST: u64 = 256 << 20;

/// The directory of the trees that a build uses.
const TREES: &str = "/cotter/";

/// What is changed in the files of a build.
pub struct Sandbox<'a> {
    /// The name of the directory of the root in which the build works.
    pub place: &'a str,
    /// The name of what is built. Its source seems to have been in `/usr/src/<name>`.
    pub name: &'a str,
}

impl Sandbox<'_> {
    /// Removes options that name directories of the sandbox from texts, and the directories of programs
    /// from their names. Other paths lead to where their files would be on a system. The search paths
    /// of programs and libraries lose the directories of the sandbox. Libtool's files, which are of use
    /// only where a library was built, are left out, and so is the bytecode of what is changed. Returns
    /// the files that name the sandbox all the same.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn remove(&self, tree: &mut Tree, blobs: &BlobDir) -> Result<Vec<MemberPath>> {
        for path in tree.paths(|path, _| path.file_name().ends_with(".la")) {
            tree.remove(&path);
        }
        let mut left = vec![];
        for path in tree.paths(|_, node| matches!(node, Node::File { .. })) {
            let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
            let executable = *executable;
            if blob.size() > LONGEST {
                continue;
            }
            let bytes = blob.read()?;
            let source = format!("/{}/source", self.place);
            let finds =
                |bytes: &[u8], what: &str| memchr::memmem::find(bytes, what.as_bytes()).is_some();
            if !finds(&bytes, TREES) && !finds(&bytes, &source) {
                continue;
            }
            let cleaned = match String::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => self.clean(&text).into_bytes(),
                Ok(text) => forgotten(text.into_bytes()),
                Err(e) => forgotten(e.into_bytes()),
            };
            if finds(&cleaned, TREES) && !path.file_name().ends_with(".pyc") {
                left.push(path.clone());
            }
            if path.file_name().ends_with(".py") {
                forget_bytecode(tree, &path);
            }
            let blob = blobs.put(&cleaned)?;
            tree.put(path, Node::File { blob, executable });
        }
        Ok(left)
    }

    fn clean(&self, text: &str) -> String {
        let mut out = text.to_owned();
        let source = format!("/{}/source", self.place);
        for prefix in [TREES, source.as_str()] {
            for option in OPTIONS {
                for gap in ["", " "] {
                    out = without(&out, &format!("{option}{gap}{prefix}"));
                }
            }
        }
        let mut parts = out.split(TREES);
        let mut done = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |name: &str| {
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            match part.split_once('/').filter(|(name, _)| is_name(name)) {
                // The programs of toolchains are found by their names.
                Some((_, rest)) if rest.starts_with("bin/") => done.push_str(&rest[4..]),
                Some((_, rest)) => {
                    done.push('/');
                    done.push_str(rest);
                }
                None => {
                    done.push_str(TREES);
                    done.push_str(part);
                }
            }
        }
        done.replace(&source, &format!("/usr/src/{}", self.name))
    }
}

/// Removes the search paths of the sandbox from a program or a library.
fn forgotten(mut bytes: Vec<u8>) -> Vec<u8> {
    forget(&mut bytes, &|directory| directory.starts_with(TREES));
    bytes
}

/// Removes the bytecode of a module.
fn forget_bytecode(tree: &mut Tree, module: &MemberPath) {
    let Some(directory) = module.parent() else { return };
    let stem = module.file_name().trim_end_matches(".py");
    let cache = format!("{directory}/__pycache__");
    let of_module = |path: &MemberPath, _: &Node| {
        path.is_under(&cache)
            && path.file_name().strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
    };
    for path in tree.paths(of_module) {
        tree.remove(&path);
    }
}

/// Returns a text without the words that begin in this way, and without one space before each.
fn without(text: &str, begin: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(begin) {
        let before = &rest[..at];
        out.push_str(before.strip_suffix(' ').unwrap_or(before));
        let after = &rest[at + begin.len()..];
        let end = after.find(|c: char| c.is_whitespace() || "'\",;:)".contains(c));
        rest = &after[end.unwrap_or(after.len())..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_with_directories_of_the_sandbox_are_removed() {
        let sandbox = Sandbox { place: "build", name: "x" };
        for (text, expected) in [
            ("'CFLAGS': '-O2 -I/cotter/z/usr/include -g',", "'CFLAGS': '-O2 -g',"),
            ("LDFLAGS=-L/cotter/z/usr/lib/x -lz", "LDFLAGS= -lz"),
            ("CC=/cotter/gcc/bin/gcc -pthread", "CC=gcc -pthread"),
            ("a -Wl,-rpath,/cotter/z/usr/lib:b -I /build/source/x", "a:b"),
            ("prefix=/cotter/z/usr", "prefix=/usr"),
            ("dir = /build/source/obj", "dir = /usr/src/x/obj"),
            ("-I/usr/include", "-I/usr/include"),
        ] {
            assert_eq!(sandbox.clean(text), expected);
        }
    }
}

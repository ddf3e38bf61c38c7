//! Host paths that are compiled into libraries. Because of them, glibc's loader would fall back to
//! the host's library directories, and OpenSSL would read the host's configuration. Each such path
//! is replaced with a path of the same length that exists on no system.

use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// Path prefixes and their replacements. `/.no` is a name that only root could create, and nobody
/// does.
const PREFIXES: &[(&[u8], &[u8])] = &[
    (b"/usr/local/", b"/.no/.none/"),
    (b"/usr/lib/", b"/.no/.no/"),
    (b"/usr/share/", b"/.no/share/"),
    (b"/usr/lib\0", b"/.no/.no\0"),
    (b"/lib/", b"/.no/"),
    (b"/etc/ld.so.", b"/.no/ld.so."),
    (b"/etc/terminfo", b"/.no/terminfo"),
    (b"/etc/ssl", b"/.no/ssl"),
    (b"/etc/inputrc", b"/.no/inputrc"),
];

/// Libraries that contain locations of host files, by the beginning of their names.
const LIBRARIES: &[&str] = &[
    "ld-linux-",
    "libc.so.6",
    "libcrypto.so.",
    "libssl.so.",
    "libtinfo.so.",
    "libncurses",
    "libreadline.so.",
];

/// Seals the libraries of a tree. If its programs are redirected, only the loader and the libc need
/// it.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_libraries(tree: &mut Tree, blobs: &BlobDir, redirected: bool) -> Result<()> {
    let known = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. })
            && if redirected {
                is_libc(path)
            } else {
                LIBRARIES.iter().any(|l| path.file_name().starts_with(l))
            }
    };
    for path in tree.paths(known) {
        let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
        let (mut bytes, executable) = (blob.read()?, *executable);
        if bytes.starts_with(b"\x7fELF") && seal(&mut bytes) > 0 {
            let blob = blobs.put(&bytes)?;
            tree.put(path, Node::File { blob, executable });
        }
    }
    Ok(())
}

/// Whether the loader or the libc: their constants are sealed in place, because they do not call
/// the functions that [`super::redirect`] wraps.
pub fn is_libc(path: &MemberPath) -> bool {
    path.file_name().starts_with("ld-linux-") || path.file_name() == "libc.so.6"
}

/// Seals the search path of a program: the fixed directories in it that the loader would search
/// after those of the tree. Returns whether there was one.
pub fn seal_search_path(bytes: &mut [u8]) -> bool {
    use goblin::elf::dynamic::{DT_RPATH, DT_RUNPATH};
    let strings: Vec<usize> = match goblin::elf::Elf::parse(bytes) {
        Ok(goblin::elf::Elf { dynamic: Some(dynamic), program_headers, .. }) => {
            let offset = |address: u64| {
                program_headers
                    .iter()
                    .find(|h| h.vm_range().contains(&(address as usize)))
                    .map(|h| address - h.p_vaddr + h.p_offset)
            };
            let paths =
                dynamic.dyns.iter().filter(|d| d.d_tag == DT_RPATH || d.d_tag == DT_RUNPATH);
            paths
                .filter_map(|d| usize::try_from(offset(dynamic.info.strtab as u64)? + d.d_val).ok())
                .collect()
        }
        _ => return false,
    };
    let mut changed = false;
    for mut at in strings {
        // The directories are separated by colons and end at a NUL.
        while let Some(length) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, 0 | b':')))
        {
            if length >= 5 && bytes[at] == b'/' {
                bytes[at..at + 5].copy_from_slice(b"/.no/");
                changed = true;
            }
            if bytes[at + length] == 0 {
                break;
            }
            at += length + 1;
        }
    }
    changed
}

/// Replaces every string that begins with one of the prefixes. A string begins at the start of the
/// text, after a NUL, or after a colon (as in the default of `TERMINFO_DIRS`). Returns the number
/// of replacements.
pub fn seal(bytes: &mut [u8]) -> usize {
    let mut count = 0;
    let mut i = 0;
    while let Some(step) = bytes[i..].iter().position(|b| *b == b'/') {
        i += step;
        if i == 0 || matches!(bytes[i - 1], 0 | b':') {
            for (from, to) in PREFIXES {
                debug_assert_eq!(from.len(), to.len());
                if bytes[i..].starts_with(from) {
                    bytes[i..i + to.len()].copy_from_slice(to);
                    count += 1;
                    break;
                }
            }
        }
        i += 1;
    }
    count
}

/// Replaces `from` with `to` in every string that is exactly `from` or begins with it. Returns the
/// number of replacements.
///
/// # Panics
/// If the two differ in length.
pub fn replace_constant(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len(), "a constant keeps its length");
    let mut count = 0;
    for i in 1..bytes.len().saturating_sub(from.len()) {
        if bytes[i] == from[0] && bytes[i - 1] == 0 && bytes[i..].starts_with(from) {
            bytes[i..i + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_whole_beginnings_change() {
        let mut bytes = b"x\0/lib/x86_64-linux-gnu/\0/usr/lib/\0=/usr/lib/y\0/library\0a:/lib/terminfo\0/usr/lib\0".to_vec();
        assert_eq!(super::seal(&mut bytes), 4);
        assert_eq!(bytes, b"x\0/.no/x86_64-linux-gnu/\0/.no/.no/\0=/usr/lib/y\0/library\0a:/.no/terminfo\0/.no/.no\0");
    }
}

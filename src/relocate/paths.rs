//! Host paths that are compiled into libraries. Because of them, glibc's loader would fall back to
//! the host's library directories, and OpenSSL would read the host's configuration. Each such path
//! is replaced with a path of the same length that exists on no system.

use crate::error::{Error, Result};
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
    "ld-2.",
    "libc.so.6",
    "libc-2.",
    "libcrypto.so.",
    "libssl.so.",
    "libtinfo.so.",
    "libncurses",
    "libreadline.so.",
];

/// The directory of translated messages, and its replacement. A program asks for its messages there
/// as soon as its locale is another than `C`; no tree contains any.
const MESSAGES: (&[u8], &[u8]) = (b"/usr/share/locale\0", b"/.no/share/locale\0");

/// Seals the libraries of a tree, and the directory of messages in everything else. If its programs
/// are redirected, only the loader and the libc need it.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_libraries(tree: &mut Tree, blobs: &BlobDir, redirected: bool) -> Result<()> {
    let known = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. }) && (!redirected || is_libc(path))
    };
    for path in tree.paths(known) {
        let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
        if blob.head(4)? != b"\x7fELF" {
            continue;
        }
        let (mut bytes, executable) = (blob.read()?, *executable);
        let sealed = if LIBRARIES.iter().any(|l| path.file_name().starts_with(l)) {
            seal(&mut bytes)
        } else {
            replace_constant(&mut bytes, MESSAGES.0, MESSAGES.1)
        };
        if sealed > 0 {
            let blob = blobs.put(&bytes)?;
            tree.put(path, Node::File { blob, executable });
        }
    }
    Ok(())
}

/// Whether the loader or the libc: their constants are sealed in place, because they do not call
/// the functions that [`super::redirect`] wraps.
pub fn is_libc(path: &MemberPath) -> bool {
    // Before version 2.34, the files had the version in their names: `ld-2.31.so`.
    let begins = ["ld-linux-", "ld-2.", "libc-2."];
    path.file_name() == "libc.so.6" || begins.iter().any(|b| path.file_name().starts_with(b))
}

/// The variable in which the libc of a tree expects the directory of its locales: glibc's
/// `LOCPATH`, renamed.
pub const LOCALES_VARIABLE: &str = "CTLPATH";

/// The variable in which the libc of a tree expects the directory of its conversion modules:
/// glibc's `GCONV_PATH`, renamed.
pub const GCONV_VARIABLE: &str = "CTGCV_PATH";

/// The variables of glibc that are renamed. The ends of the names stay: the linker stores `PATH`,
/// which the exec functions look up, as the end of `LOCPATH`.
const RENAMED: [(&str, &str); 2] = [("LOCPATH", LOCALES_VARIABLE), ("GCONV_PATH", GCONV_VARIABLE)];

/// Renames the variables by which glibc finds its locales and conversion modules, in the libc of
/// the tree. A launcher can then set them for the programs of its tree, and the programs of the host
/// that these start see nothing of it.
///
/// # Errors
/// If the libc does not have the variables, or if a staged file cannot be read or written.
pub fn rename_variables(
    tree: &mut Tree,
    blobs: &BlobDir,
    library_dirs: &[MemberPath],
) -> Result<()> {
    let libc = |dir: &MemberPath| tree.file(&MemberPath::literal(&format!("{dir}/libc.so.6")));
    let Some((path, blob)) = library_dirs.iter().find_map(libc) else { return Ok(()) };
    let mut bytes = blob.read()?;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(());
    }
    for (from, to) in RENAMED {
        if replace_constant(&mut bytes, &terminated(from), &terminated(to)) == 0 {
            return Err(Error::build(format!(
                "{path} does not read the variable {from}: this version of glibc is unknown to cotter"
            ))
            .hint("take libc6 from another suite, and report the version"));
        }
    }
    let executable = matches!(tree.get(&path), Some(Node::File { executable: true, .. }));
    let blob = blobs.put(&bytes)?;
    tree.put(path, Node::File { blob, executable });
    Ok(())
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
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
    let mut at = 0;
    while let Some(step) = memchr::memmem::find(&bytes[at..], from) {
        at += step;
        if at > 0 && bytes[at - 1] == 0 {
            bytes[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
        at += from.len();
    }
    count
}

/// Replaces `from` with `to` wherever it is. Returns the number of replacements.
///
/// # Panics
/// If the two differ in length, or are equal.
pub fn replace_all(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    assert!(from.len() == to.len() && from != to, "a replacement keeps the length");
    let mut count = 0;
    while let Some(at) = memchr::memmem::find(bytes, from) {
        bytes[at..at + to.len()].copy_from_slice(to);
        count += 1;
    }
    count
}

/// The code of x86-64 that loads the next eight bytes into the register rax.
const LOAD: &[u8] = b"\x48\xb8";

/// Replaces `from` with `to` in the code of x86-64 that builds a string from pieces of eight bytes,
/// as compilers do for short constants. Returns the number of replacements.
///
/// # Panics
/// If the two are equal.
pub fn replace_immediate(bytes: &mut [u8], from: &[u8; 8], to: &[u8; 8]) -> usize {
    assert_ne!(from, to, "a replacement differs");
    let (from, to) = ([LOAD, from].concat(), [LOAD, to].concat());
    replace_all(bytes, &from, &to)
}

#[cfg(test)]
mod tests {
    #[test]
    fn strings_in_code_change() {
        let mut bytes = b"/usr/lib\x48\xb8/usr/lib\x48\xb8lib/gcc/".to_vec();
        assert_eq!(super::replace_immediate(&mut bytes, b"/usr/lib", b"/.no/lib"), 1);
        assert_eq!(bytes, b"/usr/lib\x48\xb8/.no/lib\x48\xb8lib/gcc/");
    }

    #[test]
    fn renamed_variables_keep_their_length_and_the_name_in_their_end() {
        for (from, to) in super::RENAMED {
            assert_eq!(from.len(), to.len());
            assert!(from.ends_with("PATH") && to.ends_with("PATH") && from != to);
        }
    }

    #[test]
    fn only_whole_beginnings_change() {
        let mut bytes = b"x\0/lib/x86_64-linux-gnu/\0/usr/lib/\0=/usr/lib/y\0/library\0a:/lib/terminfo\0/usr/lib\0".to_vec();
        assert_eq!(super::seal(&mut bytes), 4);
        assert_eq!(bytes, b"x\0/.no/x86_64-linux-gnu/\0/.no/.no/\0=/usr/lib/y\0/library\0a:/.no/terminfo\0/.no/.no\0");
    }
}

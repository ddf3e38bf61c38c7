//! The library of GCC that unwinds stacks. Nixpkgs puts one beside libc, where the loader looks after the
//! search paths of a program. A launcher names the directory of libc to the loader, which looks there
//! first, so a program of a newer GCC would get the older library. A newer one serves all programs.

use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};

const NAME: &str = "libgcc_s.so.1";

/// Makes the libraries beside each libc links to the newest one of the closure.
///
/// # Errors
/// If a staged file cannot be read.
pub fn settle(tree: &mut Tree, libc_dirs: &[MemberPath]) -> Result<()> {
    let mut newest: Option<([u32; 3], MemberPath)> = None;
    for path in
        tree.paths(|path, node| matches!(node, Node::File { .. }) && path.file_name() == NAME)
    {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let version = version(&blob.read()?);
        if newest.as_ref().is_none_or(|(most, _)| version > *most) {
            newest = Some((version, path));
        }
    }
    let Some((version_of_newest, newest)) = newest else { return Ok(()) };
    for dir in libc_dirs {
        let beside = MemberPath::literal(&format!("{dir}/{NAME}"));
        let Some((_, blob)) = tree.file(&beside) else { continue };
        if version(&blob.read()?) < version_of_newest {
            tree.link(beside, &newest);
        }
    }
    Ok(())
}

/// Returns the newest version of its interface, `GCC_4.2.0` and the like, that a library names.
fn version(bytes: &[u8]) -> [u32; 3] {
    let prefix = b"\0GCC_";
    let found = memchr::memmem::find_iter(bytes, prefix).filter_map(|at| {
        let rest = bytes.get(at + prefix.len()..)?;
        let text = std::str::from_utf8(rest.get(..rest.iter().position(|b| *b == 0)?)?).ok()?;
        let mut numbers = text.split('.').map(str::parse);
        let mut next = || numbers.next().unwrap_or(Ok(0)).ok();
        Some([next()?, next()?, next()?])
    });
    found.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_numbers() {
        let bytes = b"\0GCC_3.0\0GCC_4.2.0\0GCC_14.0.0\0GCC_7.0.0\0GCC_private\0";
        assert_eq!(super::version(bytes), [14, 0, 0]);
        assert_eq!(super::version(b"\0GCC_"), [0, 0, 0]);
    }
}

//! Changes that recipes make to single files of a tree.

use crate::error::{Error, Result};
use crate::model::MemberPath;
use crate::relocate::paths;
use crate::tree::{BlobDir, Node, Tree};

/// Replaces `from` with `to` in a text file of the tree.
///
/// # Errors
/// If the file exists but does not contain `from`. The recipe then does not fit this version of the
/// file and must be reviewed.
pub fn replace(tree: &mut Tree, blobs: &BlobDir, path: &str, from: &str, to: &str) -> Result<()> {
    let path = MemberPath::literal(path);
    let Some((real, blob)) = tree.file(&path) else { return Ok(()) };
    let text = String::from_utf8(blob.read()?)
        .map_err(|_| Error::build(format!("{real} is no UTF-8 text")))?;
    if !text.contains(from) {
        return Err(Error::build(format!(
            "{real} does not hold {from:?}: this version is unknown to the recipe"
        )));
    }
    let executable = matches!(tree.get(&real), Some(Node::File { executable: true, .. }));
    let blob = blobs.put(text.replacen(from, to, 1).as_bytes())?;
    tree.put(real, Node::File { blob, executable });
    Ok(())
}

/// Replaces a path in the constants of a program with a path of the same length that exists on no
/// system. Returns the number of replacements.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_constant(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &MemberPath,
    from: &[u8],
    to: &[u8],
) -> Result<usize> {
    change(tree, blobs, path, |bytes| paths::replace_constant(bytes, from, to))
}

/// Replaces a path wherever it is in a file, such as an archive of objects. Returns the number of
/// replacements.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_everywhere(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &MemberPath,
    from: &[u8],
    to: &[u8],
) -> Result<usize> {
    change(tree, blobs, path, |bytes| paths::replace_all(bytes, from, to))
}

/// Replaces eight bytes of a path in the code of a program that builds the path from pieces. Returns
/// the number of replacements.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn seal_immediate(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &MemberPath,
    from: &[u8; 8],
    to: &[u8; 8],
) -> Result<usize> {
    change(tree, blobs, path, |bytes| paths::replace_immediate(bytes, from, to))
}

/// Changes the bytes of a file by a function that returns the number of its changes.
fn change(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &MemberPath,
    edit: impl FnOnce(&mut [u8]) -> usize,
) -> Result<usize> {
    let Some(Node::File { blob, executable }) = tree.get(path) else { return Ok(0) };
    let (mut bytes, executable) = (blob.read()?, *executable);
    let count = edit(&mut bytes);
    if count > 0 {
        tree.put(path.clone(), Node::File { blob: blobs.put(&bytes)?, executable });
    }
    Ok(count)
}

/// Puts a text file into the tree.
///
/// # Errors
/// If the staging directory cannot be written.
pub fn write(tree: &mut Tree, blobs: &BlobDir, path: &str, text: &str) -> Result<()> {
    let blob = blobs.put(text.as_bytes())?;
    tree.put(MemberPath::literal(path), Node::File { blob, executable: false });
    Ok(())
}

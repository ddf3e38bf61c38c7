//! Lays a tree out for a build, which may change its copy of the files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

use crate::error::{Error, Result};
use crate::tree::{Node, Tree};

/// Writes the files of a tree below `to`: all of them, or those below `prefix`.
///
/// # Errors
/// If a file cannot be written, or if nothing lies below `prefix`.
pub fn lay_out(tree: &Tree, prefix: Option<&str>, to: &Path) -> Result<()> {
    let mut any = false;
    for (path, node) in tree.iter() {
        let below = match prefix {
            Some(prefix) => path.as_str().strip_prefix(prefix).and_then(|r| r.strip_prefix('/')),
            None => Some(path.as_str()),
        };
        let Some(below) = below else { continue };
        any = true;
        let at = to.join(below);
        let write = |e| Error::at("write", &at, e);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent).map_err(write)?;
        }
        match node {
            Node::Directory => fs::create_dir_all(&at).map_err(write)?,
            Node::Symlink(target) => std::os::unix::fs::symlink(target, &at).map_err(write)?,
            Node::File { blob, executable } => {
                fs::copy(blob.path(), &at).map_err(write)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                let mode = std::fs::Permissions::from_mode(mode);
                fs::set_permissions(&at, mode).map_err(write)?;
            }
        }
    }
    if any {
        return Ok(());
    }
    let prefix = prefix.unwrap_or_default();
    Err(Error::user(format!("nothing in the source lies below strip_prefix {prefix:?}")))
}

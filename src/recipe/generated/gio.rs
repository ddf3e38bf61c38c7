//! `giomodule.cache`, in which GIO finds what each of its modules is for, so that it loads only those
//! that a program needs. Debian lets `gio-querymodules` load the modules and ask them. What the
//! modules answer is in their code, so it is a table here.

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The modules, and what each is for.
const MODULES: &[(&str, &str)] = &[
    ("libdconfsettings.so", "gsettings-backend"),
    ("libgiognomeproxy.so", "gio-proxy-resolver"),
    ("libgiognutls.so", "gio-tls-backend"),
    ("libgiolibproxy.so", "gio-proxy-resolver"),
    ("libgioremote-volume-monitor.so", "gio-native-volume-monitor,gio-volume-monitor"),
    ("libgvfsdbus.so", "gio-vfs,gio-volume-monitor"),
];

/// The generator. GIO loads a module that the cache does not name, and asks it.
///
/// # Errors
/// If the staging directory cannot be written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let directories = tree.paths(|path, node| matches!(node, Node::Directory) && is_place(path));
    for directory in directories {
        let here = names(tree, directory.as_str(), ".so");
        let known = MODULES.iter().filter(|(module, _)| here.iter().any(|name| name == module));
        let lines: String = known.map(|(module, for_)| format!("{module}: {for_}\n")).collect();
        if !lines.is_empty() {
            out.file(blobs, &format!("{directory}/giomodule.cache"), lines.as_bytes())?;
        }
    }
    Ok(out)
}

fn is_place(path: &MemberPath) -> bool {
    path.is_under("usr/lib") && path.as_str().ends_with("/gio/modules")
}

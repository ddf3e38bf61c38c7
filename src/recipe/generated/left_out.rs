//! What Debian generates when it installs packages, and cotter does not. It is named, with a way to
//! make it.

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Tree};

/// The generator, which adds no file.
///
/// # Errors
/// None.
pub fn generate(tree: &Tree, _: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let schemas = "usr/share/glib-2.0/schemas";
    if !names(tree, schemas, ".gschema.xml").is_empty()
        && tree.at(&format!("{schemas}/gschemas.compiled")).is_none()
    {
        out.lacks(
            "the settings of GLib are not compiled (gschemas.compiled): programs that use GSettings end with an error",
            format!("run `cotter exec -- glib-compile-schemas --targetdir=DIR TREE/{schemas}`, and set GSETTINGS_SCHEMA_DIR=DIR"),
        );
    }
    for version in ["2.0", "3.0"] {
        let modules = tree.paths(|path, _| {
            path.as_str().contains(&format!("/gtk-{version}/"))
                && path.parent().is_some_and(|d| d.file_name() == "immodules")
        });
        if let Some(directory) = modules.first().and_then(MemberPath::parent) {
            let cache = format!("{}.cache", directory);
            if tree.at(&cache).is_none() {
                out.lacks(
                    format!("the input methods of GTK {version} are not listed ({cache}): programs use the simple method only"),
                    "write a list with the tree's gtk-query-immodules and name it in GTK_IM_MODULE_FILE",
                );
            }
        }
    }
    Ok(out)
}

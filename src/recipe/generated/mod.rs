//! The files that Debian's maintainer scripts and triggers generate when packages are installed.
//! None of these scripts is run: a generator derives the same files from the packages' own.
//!
//! A new generator is one file in this directory and one line in [`GENERATORS`].

mod api;
mod cache;
mod certificates;
mod defaults;
mod gdk_pixbuf;
mod gio;
mod graphviz;
mod gtk;
mod gvariant;
mod gvdb;
mod hyphenation;
mod java;
mod mime;
mod php;
mod schemas;
mod tex;
mod xml;

use crate::error::Result;
use crate::tree::{BlobDir, Tree};

pub use api::Ungenerated;
pub use certificates::{BUNDLE, NO_CERTIFICATES, bundle, single as certificates};

use api::Generator;

/// All generators, in their order. Each sees what those before it have added.
const GENERATORS: &[Generator] = &[
    certificates::generate,
    java::generate,
    graphviz::generate,
    gdk_pixbuf::generate,
    mime::generate,
    schemas::generate,
    gtk::generate,
    gio::generate,
    php::generate,
    defaults::generate,
    tex::configuration,
    tex::lists,
];

/// The files that only generators read. They stay in the tree although their directory is left out.
pub const SOURCES: &[&str] = &["var/lib/tex-common/**"];

/// Adds to a tree what its packages' scripts would generate. Returns what is missing.
///
/// # Errors
/// If a file of the tree is damaged, or if a staged file cannot be read or written.
pub fn add(tree: &mut Tree, blobs: &BlobDir) -> Result<Vec<Ungenerated>> {
    let mut missing = vec![];
    for generate in GENERATORS {
        missing.extend(generate(tree, blobs)?.apply(tree));
    }
    Ok(missing)
}

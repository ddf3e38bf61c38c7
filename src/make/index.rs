//! Finds the package index if none is configured: the pip of the pinned Python names its own
//! default.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use crate::fetch::{Fetcher, index_of_pip};

/// The file in the interpreter's tree in which the pip of Debian's Python names its index.
const FILE: &str = "usr/lib/python3/dist-packages/pip/_internal/models/index.py";

/// Lets the fetcher ask the pip of an interpreter for the index. The interpreter's tree must be in
/// the store.
pub fn offer(fetcher: &Fetcher, tree: PathBuf) {
    fetcher.set_default_python_index(Arc::new(move || default_index_of(&tree)));
}

fn default_index_of(tree: &std::path::Path) -> Result<String> {
    let text = fs_err::read_to_string(tree.join(FILE)).ok();
    text.and_then(|text| index_of_pip(&text)).ok_or_else(|| {
        crate::fetch::no_python_index()
            .because(format!("the pip in {} does not tell its default", tree.display()))
    })
}

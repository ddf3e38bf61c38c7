//! Finds the package index if none is configured: the pip of the pinned Python names its own
//! default.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use crate::fetch::Fetcher;

/// The file in the interpreter's tree in which the pip of Debian's Python names its index.
const FILE: &str = "usr/lib/python3/dist-packages/pip/_internal/models/index.py";

/// Lets the fetcher ask the pip of an interpreter for the index. The interpreter's tree must be in
/// the store.
pub fn offer(fetcher: &Fetcher, tree: PathBuf) {
    fetcher.set_default_python_index(Arc::new(move || default_index_of(&tree)));
}

fn default_index_of(tree: &std::path::Path) -> Result<String> {
    let text = fs_err::read_to_string(tree.join(FILE)).ok();
    text.and_then(|text| default_index(&text)).ok_or_else(|| {
        crate::fetch::no_python_index()
            .because(format!("the pip in {} does not tell its default", tree.display()))
    })
}

/// Returns the index that pip's own source names in the line `PyPI = PackageIndex("<site>/", ...)`.
/// The simple API (PEP 503) is a path below it. The file is read and not executed, because starting
/// pip takes a fifth of a second.
fn default_index(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("PyPI = PackageIndex(")?;
    let site = rest.split('"').nth(1)?;
    site.contains("://").then(|| format!("{}/simple", site.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_index_is_found_in_the_text() {
        let text = "class PackageIndex: ...\n\nPyPI = PackageIndex(\n    \"https://index.example/\", file_storage_domain=\"files.example\")\n";
        assert_eq!(super::default_index(text).as_deref(), Some("https://index.example/simple"));
        assert_eq!(super::default_index("nothing"), None);
    }
}

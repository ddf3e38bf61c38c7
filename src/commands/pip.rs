//! The package index where none is configured: the pinned Python's pip knows its own default.

use std::sync::Arc;

use crate::compose::Composer;
use crate::context::Context;
use crate::error::Result;
use crate::fetch::Fetcher;
use crate::lockfile::Lockfile;
use crate::manifest::Kind;
use crate::model::Platform;

/// Lets the fetcher ask the pip of a Python of the lock for this machine, which is made first if it is not in the store.
///
/// # Errors
/// If that Python cannot be made.
pub fn offer(cx: &Context, fetcher: &Fetcher, lock: &Lockfile, hard_links: bool) -> Result<()> {
    if fetcher.has_python_index() || cx.global.offline {
        return Ok(());
    }
    let Some(python) = lock
        .trees
        .values()
        .find(|t| t.plan.kind == Kind::Python && Some(t.plan.platform) == Platform::native())
    else {
        return Ok(());
    };
    let composer = Composer {
        store: &cx.store,
        fetcher,
        reporter: cx.reporter.clone(),
        jobs: cx.jobs(),
        hard_links,
    };
    let tree = super::requirements::native_tree(&python.plan.name, lock, cx, &composer)?;
    fetcher.set_default_python_index(Arc::new(move || {
        let file = tree.join("usr/lib/python3/dist-packages/pip/_internal/models/index.py");
        let found = std::fs::read_to_string(&file).ok().and_then(|text| default_index(&text));
        found.ok_or_else(|| {
            crate::fetch::no_python_index()
                .because(format!("the pip in {} does not tell its default", tree.display()))
        })
    }));
    Ok(())
}

/// The index that pip's own source names: `PyPI = PackageIndex("<site>/", ...)`, of which the simple API (PEP 503) is a part. Read, not run: that is a fifth of a second.
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

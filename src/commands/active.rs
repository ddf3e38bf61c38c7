//! The trees that `exec`, `shell`, `env` and `path` work with: ready, or made so.

use crate::cli::Setup;
use crate::commands::setup;
use crate::context::Context;
use crate::environment::Active;
use crate::error::Result;
use crate::manifest::Kind;
use crate::model::{Platform, ToolchainName};
use crate::store::RootTree;

/// The named trees of this machine's platform, or all. Sets up what is missing.
///
/// # Errors
/// See [`setup::ensure`].
pub fn root_trees(
    names: &[ToolchainName],
    platform: Platform,
    cx: &Context,
) -> Result<Vec<RootTree>> {
    if let Some(trees) = setup::fresh(names, platform, cx) {
        return Ok(trees);
    }
    let args = Setup {
        names: names.to_vec(),
        platform: Some(platform),
        allow_expired: false,
        json: false,
    };
    let ready = setup::ensure(&args, platform, cx)?;
    let mut trees: Vec<RootTree> = ready.into_iter().map(|r| r.tree).collect();
    if !names.is_empty() {
        trees.sort_by_key(|t| names.iter().position(|n| *n == t.name));
    }
    Ok(trees)
}

/// The same, as what an environment is made of. The trees are marked as used.
///
/// # Errors
/// See [`setup::ensure`].
pub fn trees(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let platform = setup::native_or(None)?;
    let mut trees = root_trees(names, platform, cx)?;
    for tree in &trees {
        cx.store.mark_used(&tree.store_name);
    }
    // Marked now; what a `gc` took just before that is made again.
    if !trees.iter().all(|t| cx.store.has(&t.store_name)) {
        trees = root_trees(names, platform, cx)?;
    }
    let active = |tree: RootTree| {
        let path = cx.store.path(&tree.store_name);
        let zig = tree.kind == Kind::Cc && path.join("bin/zig").exists();
        let python = (tree.kind == Kind::Packages).then_some(tree.version);
        Active { kind: tree.kind, platform: tree.platform, path, zig, python }
    };
    // Two sets at once would hide each other's packages: where there are several, they are asked for by name.
    let several = trees.iter().filter(|t| t.kind == Kind::Packages).count() > 1;
    if names.is_empty() && several {
        cx.reporter.detail("there are several sets of Python packages: name the one to use");
        trees.retain(|t| t.kind != Kind::Packages);
    }
    Ok(trees.into_iter().map(active).collect())
}

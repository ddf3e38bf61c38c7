//! The trees that commands use: they are made ready, and the files for other tools are brought up
//! to date.

use super::emit;
use crate::context::Context;
use crate::error::Result;
use crate::lockfile;
use crate::model::{Kind, Platform, ToolchainName};
use crate::project::read_lock;
use crate::ready::{self, Ready, Wanted};
use crate::recipe::{self, Active};
use crate::store::RootTree;

/// Makes trees ready, and writes the files that are emitted from them.
///
/// # Errors
/// See [`ready::ready`]. Also if the emitted files cannot be written.
pub fn ready(request: &Wanted, cx: &Context) -> Result<Vec<Ready>> {
    ready::ready(request, cx, &emit::after_setup)
}

/// Returns the named trees of a platform in the order of their names, or all trees.
///
/// # Errors
/// See [`ready`].
pub fn roots(names: &[ToolchainName], platform: Platform, cx: &Context) -> Result<Vec<RootTree>> {
    let ready = ready(&Wanted { names, platform, allow_expired: false, with_facts: false }, cx)?;
    let mut trees: Vec<RootTree> = ready.into_iter().map(|r| r.tree).collect();
    if !names.is_empty() {
        trees.sort_by_key(|t| names.iter().position(|n| *n == t.name));
    }
    Ok(trees)
}

/// Returns the named trees of this machine's platform, or all of them, as the input of an
/// environment. The trees are marked as used.
///
/// # Errors
/// See [`ready`].
pub fn active(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let platform = ready::native_or(None)?;
    let mut trees = roots(names, platform, cx)?;
    let interpreters = missing_interpreters(names, &trees, platform, cx)?;
    let names = &[names, &interpreters].concat()[..];
    if !interpreters.is_empty() {
        trees = roots(names, platform, cx)?;
    }
    for tree in &trees {
        cx.store.mark_used(&tree.store_name);
    }
    // The trees are marked now. A tree that `gc` deleted just before that is made again.
    if !trees.iter().all(|t| cx.store.has(&t.store_name)) {
        trees = roots(names, platform, cx)?;
    }
    let mut active = ready::active(trees, cx)?;
    // Two sets at once would hide each other's packages. If there are several sets, one must be
    // requested by name.
    let several = active.iter().filter(|t| t.recipe.excludes_its_like()).count() > 1;
    if names.is_empty() && several {
        cx.reporter.detail("there are several sets of Python packages: name the one to use");
        active.retain(|t| !t.recipe.excludes_its_like());
    }
    Ok(active)
}

/// Returns the interpreters of the named sets of Python packages, unless an interpreter was named,
/// too. Without them, the programs of a set would start with a Python of the host.
fn missing_interpreters(
    names: &[ToolchainName],
    trees: &[RootTree],
    platform: Platform,
    cx: &Context,
) -> Result<Vec<ToolchainName>> {
    let has = |kind: Kind| trees.iter().any(|tree| self::kind(tree) == kind.as_str());
    if names.is_empty() || !has(Kind::Packages) || has(Kind::Python) {
        return Ok(vec![]);
    }
    let lock = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&lock, cx)?.unwrap_or_default();
    let mut interpreters: Vec<ToolchainName> = vec![];
    for tree in trees {
        if let Some(locked) = lock.trees.get(&(tree.name.clone(), platform)) {
            let used = locked.plan.uses.run.iter().filter(|name| !names.contains(name));
            interpreters.extend(used.cloned());
        }
    }
    interpreters.sort();
    interpreters.dedup();
    Ok(interpreters)
}

/// Returns the kind of a tree, for people and scripts.
pub fn kind(tree: &RootTree) -> &str {
    recipe::named(&tree.recipe).map_or(&tree.recipe, |recipe| recipe.kind().as_str())
}

//! The trees that commands use: they are made ready, and the files for other tools are brought up
//! to date.

use super::emit;
use crate::context::Context;
use crate::error::Result;
use crate::model::{Kind, Platform, ToolchainName};
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

/// Returns the named trees of a platform and those that their programs need, in the order in which
/// they were named, or all trees.
///
/// # Errors
/// See [`ready`].
pub fn roots(names: &[ToolchainName], platform: Platform, cx: &Context) -> Result<Vec<RootTree>> {
    let ready = ready(&Wanted { names, platform, allow_expired: false, with_facts: false }, cx)?;
    Ok(as_named(ready.into_iter().map(|r| r.tree).collect(), names))
}

/// Like [`roots`], but nothing is locked, fetched or made.
///
/// # Errors
/// See [`ready::present`].
pub fn present(names: &[ToolchainName], platform: Platform, cx: &Context) -> Result<Vec<RootTree>> {
    Ok(as_named(ready::present(names, platform, cx)?, names))
}

/// Orders trees as they were named. Trees that come along stand behind those that were named.
fn as_named(mut trees: Vec<RootTree>, names: &[ToolchainName]) -> Vec<RootTree> {
    if !names.is_empty() {
        trees.sort_by_key(|t| names.iter().position(|n| *n == t.name).unwrap_or(names.len()));
    }
    trees
}

/// Returns the named trees of this machine's platform, or all of them, as the input of an
/// environment. The trees are marked as used.
///
/// # Errors
/// See [`ready`].
pub fn active(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let platform = ready::native_or(None)?;
    let mut trees = roots(names, platform, cx)?;
    for tree in &trees {
        cx.store.mark_used(&tree.store_name, &|text| cx.reporter.warn(text));
    }
    // The trees are marked now. A tree that `gc` deleted just before that is made again.
    if !trees.iter().all(|t| cx.store.has(&t.store_name)) {
        trees = roots(names, platform, cx)?;
    }
    environment(trees, names, cx)
}

/// Like [`active`], but nothing is locked, fetched or made.
///
/// # Errors
/// See [`ready::present_environment`].
pub fn present_active(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let platform = ready::native_or(None)?;
    let trees = as_named(ready::present_environment(names, platform, cx)?, names);
    for tree in &trees {
        cx.store.mark_used(&tree.store_name, &|text| cx.reporter.warn(text));
    }
    environment(trees, names, cx)
}

/// Converts trees to the input of an environment.
fn environment(
    mut trees: Vec<RootTree>,
    names: &[ToolchainName],
    cx: &Context,
) -> Result<Vec<Active>> {
    if names.is_empty() {
        trees = in_order(trees, cx);
    }
    let mut active = ready::active(trees, cx)?;
    if names.is_empty() {
        // The plain names are those of the compilers for this platform.
        active.sort_by_key(|tree| tree.target != tree.platform);
    }
    // Two sets at once would hide each other's packages. If there are several sets, one must be
    // requested by name.
    let sets: Vec<&str> =
        active.iter().filter(|t| t.recipe.excludes_its_like()).map(|t| t.name.as_str()).collect();
    if let (true, [first, _, ..]) = (names.is_empty(), sets.as_slice()) {
        cx.reporter.warn(&format!(
            "none of the sets of Python packages {} is used, because they would hide each other's packages: name one, as in `cotter exec {first} -- COMMAND`",
            sets.join(", "),
        ));
        active.retain(|t| !t.recipe.excludes_its_like());
    }
    Ok(active)
}

/// Orders trees of which none was named by what their programs are for, because the first one on
/// PATH that brings a name has it: compilers, interpreters and sets of packages come before tools,
/// which may bring others of them as dependencies. A tool that the manifest gives a package comes
/// before the tools that bring a program of that package's name as a dependency.
fn in_order(trees: Vec<RootTree>, cx: &Context) -> Vec<RootTree> {
    let is_tool = |tree: &RootTree| {
        recipe::named(&tree.recipe).is_none_or(|recipe| recipe.kind() == Kind::Tool)
    };
    let (mut tools, mut out): (Vec<RootTree>, Vec<RootTree>) = trees.into_iter().partition(is_tool);
    let precedes = |first: &RootTree, second: &RootTree| {
        let bin = cx.store.path(&second.store_name).join("bin");
        let mut own = first.named.iter().filter(|package| !second.named.contains(package));
        own.any(|package| bin.join(package).exists())
    };
    while !tools.is_empty() {
        let is_first = |tree: &RootTree| {
            let mut others = tools.iter().filter(|other| other.name != tree.name);
            !others.any(|other| precedes(other, tree))
        };
        // Of trees that come before each other, the first one stays the first.
        let next = tools.iter().position(is_first).unwrap_or(0);
        out.push(tools.remove(next));
    }
    out
}

/// Returns the kind of a tree, for people and scripts.
pub fn kind(tree: &RootTree) -> &str {
    recipe::named(&tree.recipe).map_or(&tree.recipe, |recipe| recipe.kind().as_str())
}

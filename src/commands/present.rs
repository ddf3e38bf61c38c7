//! The trees that are there: what can be told of them without making any.

use std::path::Path;

use fs_err as fs;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Kind, Platform, ToolchainName};
use crate::ready;
use crate::recipe::{self, Active};
use crate::store::RootTree;

/// Returns the named trees of a platform and those that their programs need, in the order in which
/// they were named, or all trees. Nothing is locked, fetched or made.
///
/// # Errors
/// See [`ready::present`].
pub fn present(names: &[ToolchainName], platform: Platform, cx: &Context) -> Result<Vec<RootTree>> {
    Ok(as_named(ready::present(names, platform, cx)?, names))
}

/// Returns the named trees of this machine's platform, or all of them, as the input of an
/// environment. Nothing is locked, fetched or made.
///
/// # Errors
/// See [`ready::present_environment`].
pub fn present_active(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let trees = all_present(names, cx)?;
    Ok(without_rivals(trees, names, cx))
}

/// Like [`present_active`], with all sets of Python packages.
///
/// # Errors
/// See [`ready::present_environment`].
pub fn all_present(names: &[ToolchainName], cx: &Context) -> Result<Vec<Active>> {
    let platform = ready::native_or(None)?;
    let trees = as_named(ready::present_environment(names, platform, cx)?, names);
    for tree in &trees {
        cx.store.mark_used(&tree.store_name, &|text| cx.reporter.warn(text));
    }
    environment(trees, names, cx)
}

/// Orders trees as they were named. Trees that come along stand behind those that were named.
pub fn as_named(mut trees: Vec<RootTree>, names: &[ToolchainName]) -> Vec<RootTree> {
    if !names.is_empty() {
        trees.sort_by_key(|t| names.iter().position(|n| *n == t.name).unwrap_or(names.len()));
    }
    trees
}

/// Converts trees to the input of an environment.
///
/// # Errors
/// If a tree was made by a recipe that this version of cotter does not have.
pub fn environment(
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
    Ok(active)
}

/// Leaves all sets of Python packages out if there are several and none was named: two at once would
/// hide each other's packages.
pub fn without_rivals(
    mut active: Vec<Active>,
    names: &[ToolchainName],
    cx: &Context,
) -> Vec<Active> {
    let sets: Vec<&str> =
        active.iter().filter(|t| t.recipe.excludes_its_like()).map(|t| t.name.as_str()).collect();
    if let (true, [first, _, ..]) = (names.is_empty(), sets.as_slice()) {
        cx.reporter.warn(&format!(
            "none of the sets of Python packages {} is used, because they would hide each other's packages: name one, as in `cotter exec {first} -- COMMAND`",
            sets.join(", "),
        ));
        active.retain(|t| !t.recipe.excludes_its_like());
    } else if let [first, others @ ..] = sets.as_slice()
        && !others.is_empty()
    {
        cx.reporter.warn(&format!(
            "imports see the packages of {first}, which is named first, and not those of {}",
            others.join(", "),
        ));
    }
    active
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

/// Returns the names in a directory.
pub fn programs(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return vec![] };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Whether there is a file that this user may execute.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

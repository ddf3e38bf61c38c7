//! The trees that commands use: they are made ready, and the files for other tools are brought up
//! to date.

use super::emit;
use super::present::{as_named, environment, without_rivals};
use crate::context::Context;
use crate::error::Result;
use crate::model::{Platform, ToolchainName};
use crate::ready::{self, Ready, Wanted};
use crate::recipe::Active;
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
    Ok(without_rivals(environment(trees, names, cx)?, names, cx))
}

//! Recipes. A recipe turns the unpacked inputs of a toolchain into a tree that needs no file of the
//! host and runs at any path. It also defines the environment variables for users of the tree, and
//! the facts of the tree.
//!
//! The result of a recipe depends only on the lock entry and the bytes of the inputs. Whenever a
//! change here changes a single byte of a tree, the version of the recipe is raised: the lock then
//! reports that the entry is stale, instead of a mismatch of its hash.
//!
//! A new recipe is one file in this directory and one line in [`RECIPES`].

mod alternatives;
mod api;
mod bin;
mod bundled_pip;
mod clang;
mod clang_dirs;
mod clang_facts;
mod clang_left_out;
mod cmake;
mod edit;
mod essential;
mod families;
mod gcc;
mod gcc_dirs;
mod gcc_specs;
mod generated;
mod helpers;
mod layers;
mod library;
mod linker_scripts;
mod living;
mod nix;
mod notes;
mod packages;
mod pkg_config;
mod prune;
mod python;
mod reaches;
mod seal;
mod survey;
mod sysroot;
mod tool;
mod zig;

use crate::environment::{Changes, Variables};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::lockfile::{Plan, RecipeId};
use crate::model::Kind;
use crate::tree::{BlobDir, Node, Tree};

pub use api::{Active, Asked, Recipe};
pub use clang_dirs::names_clang;
pub use essential::{is_essential, package_of as package_of_command};
pub use families::relatives;
pub use layers::{Layers, Stage};
pub use notes::{Dropped, NamelessPackage, Notes};
pub use packages::library_directories;
pub use prune::{Idle, Pruning, apply_to_closure};
pub use reaches::survey_constants;

/// All recipes.
pub static RECIPES: &[&dyn Recipe] = &[
    &gcc::Gcc,
    &zig::Zig,
    &clang::Clang,
    &python::Python,
    &tool::Tool,
    &library::Library,
    &sysroot::Sysroot,
    &packages::Packages,
    &nix::NixRecipe(Kind::Tool),
    &nix::NixRecipe(Kind::Python),
    &nix::NixRecipe(Kind::Library),
    &nix::NixRecipe(Kind::Cc),
    #[cfg(test)]
    &tests::Dummy,
];

/// Returns the recipe with a name.
pub fn named(name: &str) -> Option<&'static dyn Recipe> {
    RECIPES.iter().copied().find(|r| r.name() == name)
}

/// Returns the default recipe of a kind, for manifests that name no recipe.
pub fn of_kind(kind: Kind) -> &'static dyn Recipe {
    RECIPES.iter().copied().find(|r| r.kind() == kind).expect("every kind has a recipe")
}

/// Returns the identifier of a recipe's current version in the lock.
pub fn id(recipe: &dyn Recipe) -> RecipeId {
    RecipeId { name: recipe.name().to_owned(), version: recipe.version() }
}

/// Returns the recipe of a plan.
///
/// # Errors
/// If the plan was made for another version of its recipe, or for a recipe that this version of
/// cotter does not have.
pub fn of_plan(plan: &Plan) -> Result<&'static dyn Recipe> {
    let wrong = |has: String| {
        let message =
            format!("the lock's entry for {} was made with the recipe {}", plan.name, plan.recipe);
        Error::user(message).about(plan.name.as_str()).because(has).hint(format!(
            "run `cotter lock --upgrade {}`, or use the cotter that your colleagues use",
            plan.name
        ))
    };
    match named(&plan.recipe.name) {
        Some(recipe) if recipe.kind() != plan.spec.kind() => {
            Err(wrong(format!("that recipe makes trees of kind {}", recipe.kind())))
        }
        Some(recipe) if recipe.version() == plan.recipe.version => Ok(recipe),
        Some(recipe) => Err(wrong(format!("this cotter has {}", id(recipe)))),
        None => Err(wrong("this cotter has no recipe of that name".to_owned())),
    }
}

/// Finishes the tree of `plan` from its unpacked inputs, without the paths that `pruning` leaves
/// out. What there is to tell about it is added to `notes`.
///
/// # Errors
/// Those of [`of_plan`] and [`Recipe::finish`].
pub fn finish(
    plan: &Plan,
    layers: Layers,
    blobs: &BlobDir,
    pruning: &Pruning,
    notes: &mut Notes,
) -> Result<Tree> {
    let tree = of_plan(plan)?.finish(plan, layers, blobs, pruning, notes)?;
    let is_file = |node: &Node| !matches!(node, Node::Directory);
    if !plan.spec.selection().prune.is_empty() && !tree.iter().any(|(_, node)| is_file(node)) {
        return Err(Error::user(format!("`prune` leaves no file of {}", plan.name))
            .about(plan.name.as_str())
            .hint("use patterns that match only what you do not need, or name what must stay with `keep`"));
    }
    Ok(tree)
}

/// Returns which paths of a plan's inputs stay.
///
/// # Errors
/// Those of [`of_plan`], or if a pattern of the manifest is invalid.
pub fn pruning(plan: &Plan) -> Result<Pruning> {
    Pruning::of(&of_plan(plan)?.left_out_paths(), plan)
}

/// Returns the facts of a finished tree.
///
/// # Errors
/// Those of [`of_plan`] and [`Recipe::facts`].
pub fn facts(plan: &Plan, tree: &Tree) -> Result<Facts> {
    of_plan(plan)?.facts(plan, tree)
}

/// Returns the changes of the environment that `trees` need. The first tree comes first on PATH.
pub fn environment(trees: &[Active]) -> Changes {
    let mut out = Variables::default();
    // Libraries come first, so that pkg-config prefers their files to those of a compiler's
    // sysroot.
    let is_library = |tree: &&Active| tree.recipe.kind() == Kind::Library;
    let others = trees.iter().filter(|t| !is_library(t));
    for tree in trees.iter().filter(is_library).chain(others) {
        tree.recipe.environment(tree, &mut out);
    }
    for tree in trees {
        for (name, value) in &tree.env {
            out.set_last(name, value.replace("%R", &tree.path.display().to_string()));
        }
    }
    out.finish()
}

/// Returns the names of the libraries that no compiler among `trees` can link, because all compile for
/// another platform, with the name of such a compiler.
pub fn unlinkable(trees: &[Active]) -> Option<(Vec<&str>, &Active)> {
    let compilers = trees.iter().filter(|tree| tree.recipe.kind() == Kind::Cc);
    let fits = |compiler: &&Active, library: &Active| compiler.target == library.platform;
    let libraries = trees.iter().filter(|tree| tree.recipe.kind() == Kind::Library);
    let strange = libraries.filter(|library| !compilers.clone().any(|c| fits(&c, library)));
    let names: Vec<&str> = strange.map(|library| library.name.as_str()).collect();
    Some((names, compilers.clone().next()?)).filter(|(names, _)| !names.is_empty())
}

#[cfg(test)]
mod tests;

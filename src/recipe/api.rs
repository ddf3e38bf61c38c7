//! The interface of a recipe.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::layers::Layers;
use super::notes::Notes;
use super::prune::{ALWAYS, Pruning};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::Facts;
use crate::lockfile::{Plan, Programs, Selection, Spec, ToolSpec};
use crate::model::{Kind, MemberPath, Platform, ToolchainName};
use crate::relocate::launcher::Instructions;
use crate::tree::{BlobDir, Tree};

/// What the manifest and the source declare about a toolchain that is being locked.
pub struct Asked {
    /// The platform for which its programs produce code.
    pub target: Platform,
    /// The library toolchains in its sysroot.
    pub libraries: Vec<ToolchainName>,
    /// The files that stay.
    pub selection: Selection,
    /// The declared programs.
    pub programs: Programs,
    /// The version of the toolchain.
    pub version: String,
    /// The Debian package that determines the version, if a package does.
    pub principal: Option<String>,
}

/// The way in which trees of one sort are made.
pub trait Recipe: Sync {
    /// The name of the recipe in the lock. For a compiler, it is the family.
    fn name(&self) -> &'static str;

    /// The version of the recipe, as explained in the documentation of the module.
    fn version(&self) -> u32;

    /// The kind of the toolchains whose trees it makes. The first recipe of a kind in the list is
    /// the default for toolchains whose manifest names no recipe.
    fn kind(&self) -> Kind;

    /// The patterns of the paths that it leaves out. `prune` and `keep` in the manifest change the
    /// list.
    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![ALWAYS]
    }

    /// The Debian packages that it leaves out, even if other packages depend on them.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &[]
    }

    /// Selects, among the Debian packages that a manifest names, the one whose version is the
    /// version of the toolchain.
    fn principal<'p>(&self, packages: &[&'p str]) -> Option<&'p str> {
        packages.first().copied()
    }

    /// Returns the specification of a toolchain's tree for the lock. The default is that of a tool.
    fn spec(&self, asked: Asked) -> Spec {
        Spec::Tool(ToolSpec { selection: asked.selection, programs: asked.programs })
    }

    /// Returns advice on a plan that can be made into a tree, but into one that lacks what most users
    /// of such a tree need. It is told when the plan is locked.
    fn advice(&self, _plan: &Plan) -> Option<String> {
        None
    }

    /// Makes the tree from the merged layers of its inputs, without the paths that `pruning` leaves
    /// out. What there is to tell about the tree is added to `notes`.
    ///
    /// # Errors
    /// If the inputs do not make a sealed tree.
    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree>;

    /// Adds the environment variables that a user of the tree needs.
    fn environment(&self, tree: &Active, environment: &mut Variables) {
        environment.path(format!("{}/bin", tree.path.display()));
    }

    /// Whether a program can use only one tree of this recipe, so that one must be named if there
    /// are several.
    fn excludes_its_like(&self) -> bool {
        false
    }

    /// Returns the facts of a finished tree. They follow from the tree alone, so the same facts
    /// result when they are derived again from the store.
    ///
    /// # Errors
    /// If a file of the tree cannot be read.
    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts>;
}

/// A tree that is about to be used.
#[derive(Clone)]
pub struct Active {
    /// The name of the toolchain.
    pub name: ToolchainName,
    /// The recipe that made the tree.
    pub recipe: &'static dyn Recipe,
    /// The platform of the tree.
    pub platform: Platform,
    /// The platform for which its programs produce code, if it is a compiler. Otherwise its own.
    pub target: Platform,
    /// The variables that the manifest sets for it. `%R` stands for its path.
    pub env: BTreeMap<String, String>,
    /// The directories of the project whose modules its programs import.
    pub imports: Vec<String>,
    /// The trees of libraries that its programs search, if they are among those that are used.
    pub libraries: Vec<PathBuf>,
    /// The path of the tree.
    pub path: PathBuf,
    /// The version of the tree. For Python packages, it is the version of their interpreter, such
    /// as `3.11`.
    pub version: String,
}

/// Returns, for the path of a program, the instructions by which its launcher starts it.
pub type Launchers<'a> = Box<dyn Fn(&MemberPath) -> Instructions + 'a>;

//! What a recipe is.

use std::path::PathBuf;

use super::prune::{ALWAYS, Pruning};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::Facts;
use crate::lockfile::{Plan, Programs, Selection, Spec, ToolSpec};
use crate::model::{Kind, MemberPath, Platform, ToolchainName};
use crate::relocate::launcher::Instructions;
use crate::tree::{BlobDir, Tree};

/// What the manifest and the source say of a toolchain that is being locked.
pub struct Asked {
    /// The platform that its programs make programs for.
    pub target: Platform,
    /// The library toolchains in its sysroot.
    pub libraries: Vec<ToolchainName>,
    /// Which files stay.
    pub selection: Selection,
    /// Its programs.
    pub programs: Programs,
    /// Its version.
    pub version: String,
    /// The Debian package whose version that is, if it is one's.
    pub principal: Option<String>,
}

/// How trees of one sort are made.
pub trait Recipe: Sync {
    /// Its name, which stands in the lock. Of a compiler, it is the family.
    fn name(&self) -> &'static str;

    /// Its version: see the module.
    fn version(&self) -> u32;

    /// The kind of toolchains whose trees it makes. The first recipe of a kind in the list is
    /// the one that a toolchain gets if its manifest says no other.
    fn kind(&self) -> Kind;

    /// Patterns of paths that it leaves out; `prune` and `keep` of the manifest change the list.
    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![ALWAYS]
    }

    /// Debian packages that it leaves out, whatever depends on them.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &[]
    }

    /// Of the Debian packages that a manifest names, the one whose version is the toolchain's.
    fn principal<'p>(&self, packages: &[&'p str]) -> Option<&'p str> {
        packages.first().copied()
    }

    /// What the lock says of a toolchain's tree that it is to be: without more, that of a tool.
    fn spec(&self, asked: Asked) -> Spec {
        Spec::Tool(ToolSpec { selection: asked.selection, programs: asked.programs })
    }

    /// Makes the tree out of the merged layers of its inputs, without what `pruning` leaves out.
    ///
    /// # Errors
    /// If the inputs do not make a sealed tree.
    fn finish(&self, plan: &Plan, tree: Tree, blobs: &BlobDir, pruning: &Pruning) -> Result<Tree>;

    /// Adds what a user of the tree needs in the environment.
    fn environment(&self, tree: &Active, environment: &mut Variables) {
        environment.path(format!("{}/bin", tree.path.display()));
    }

    /// Whether a program can work with one tree of this recipe only, so that where there are
    /// several, one must be named.
    fn excludes_its_like(&self) -> bool {
        false
    }

    /// Writes down what is known of a finished tree. Asks the tree alone: the same facts come out
    /// when they are derived again from the store.
    ///
    /// # Errors
    /// If a file of the tree cannot be read.
    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts>;
}

/// A tree that is to be used.
#[derive(Clone)]
pub struct Active {
    /// The recipe that made it.
    pub recipe: &'static dyn Recipe,
    /// Its platform.
    pub platform: Platform,
    /// Where it lies.
    pub path: PathBuf,
    /// Its version: of Python packages, that of their interpreter, such as `3.11`.
    pub version: String,
}

/// How the launcher of a program starts it, by the program's path.
pub type Launchers<'a> = Box<dyn Fn(&MemberPath) -> Instructions + 'a>;

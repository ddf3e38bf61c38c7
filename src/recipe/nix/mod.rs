//! The recipes for closures of Nix: a store path and everything that it refers to, each at
//! `nix/store/<hash>-<name>` of the tree, as the inputs bring them.
//!
//! The files keep their places and, except for what the loader, libc and the kernel read, their bytes.
//! Programs get launchers in their places, which start them with the loader of their own libc, and a
//! preloaded library sends the paths of the closure to the tree. `bin/` has the programs of the wanted
//! path. Source: the Nix manual, "Store Path"; the manual of Nixpkgs, "makeWrapper" and "patchelf".

mod cc;
mod libgcc;
mod library;
mod paths;
mod platform;
mod programs;
mod python;

use super::api::{Active, Asked, Recipe};
use super::layers::{Layers, Stage};
use super::notes::Notes;
use super::prune::{self, Pruning};
use super::{gcc, reaches, seal};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::{Facts, ToolFacts};
use crate::lockfile::{CcSpec, LibrarySpec, Plan, PythonSpec, Spec, ToolSpec};
use crate::model::{Kind, abi_tag, minor_version};
use crate::relocate::{closure, libraries, paths as constants, redirect, symlinks};
use crate::tree::{BlobDir, Tree};
use paths::ClosurePaths as Paths;
use programs::ProgramStarter;

/// The recipes that this module describes, one for each kind of toolchain.
pub struct NixRecipe(pub Kind);

impl Recipe for NixRecipe {
    fn name(&self) -> &'static str {
        match self.0 {
            Kind::Python => "nix-python",
            Kind::Library => "nix-library",
            Kind::Cc => "nix-cc",
            _ => "nix",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn kind(&self) -> Kind {
        self.0
    }

    /// A closure contains what its packages need, and no more.
    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![]
    }

    fn spec(&self, asked: Asked) -> Spec {
        match self.0 {
            Kind::Python => {
                let version = minor_version(&asked.version);
                Spec::Python(PythonSpec {
                    abi: abi_tag(&version),
                    version,
                    selection: asked.selection,
                    programs: asked.programs,
                })
            }
            Kind::Cc => Spec::Cc(CcSpec {
                target: asked.target,
                libraries: asked.libraries,
                selection: asked.selection,
                programs: asked.programs,
            }),
            Kind::Library => Spec::Library(LibrarySpec { selection: asked.selection }),
            _ => Spec::Tool(ToolSpec { selection: asked.selection, programs: asked.programs }),
        }
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let Layers { mut tree, stage, .. } = layers;
        let paths = Paths::of(plan, &tree)?;
        prune::apply_to_closure(pruning, &mut tree);
        symlinks::settle(&mut tree);
        if self.0 == Kind::Library {
            library::lay_out(plan, &mut tree, blobs, &paths)?;
            return Ok(tree);
        }
        match self.0 {
            Kind::Python => python::check(plan, &tree, &paths)?,
            Kind::Cc => cc::prepare(plan, &mut tree, blobs, &paths)?,
            _ => {}
        }
        constants::seal_libraries(&mut tree, blobs, true)?;
        closure::seal_libc(&mut tree, blobs)?;
        let unnamed = closure::settle_search_paths(&mut tree, blobs, plan.platform)?;
        let mut starter = ProgramStarter::new(plan, &tree, unnamed)?;
        let linkage = {
            // Nothing is added to the directories: each file names its own.
            let mut dirs = starter.library_dirs();
            libraries::settle(&mut tree, blobs, plan.platform, &mut dirs, false)?
        };
        starter.converting = linkage.converting;
        match self.0 {
            Kind::Python => starter.finds_python = true,
            Kind::Cc => starter.default = cc::variables(plan.platform),
            _ => {}
        }
        libgcc::settle(&mut tree, &starter.library_dirs())?;
        for dirs in starter.libc_dirs() {
            constants::rename_variables(&mut tree, blobs, &dirs)?;
        }
        let mut names = programs::names(plan, &tree, &paths)?;
        if self.0 == Kind::Cc {
            cc::add_names(&mut names);
        }
        names.extend(programs::commands(&tree, &paths));
        if self.0 == Kind::Python {
            python::link_library(&mut tree, &paths);
        }
        redirect::settle_closure(&mut tree, blobs, plan.platform)?;
        platform::check(plan, &tree, names.values())?;
        let dropped = starter.wrap(&mut tree, blobs, plan, &paths, &names)?;
        symlinks::settle(&mut tree);
        if stage != Stage::Locked {
            notes.unresolved = linkage.unresolved;
            notes.dropped = dropped;
        }
        Ok(tree)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        match self.0 {
            Kind::Library => super::library::Library.environment(tree, environment),
            Kind::Cc => gcc::compiler_environment(tree, cc::VARIABLES, "", environment),
            _ => environment.path(format!("{}/bin", tree.path.display())),
        }
        if self.0 == Kind::Python {
            environment.unset(&["PYTHONHOME"]);
            environment.hide_site();
        }
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        match self.0 {
            Kind::Python => python::facts(plan, tree),
            Kind::Library => super::library::Library.facts(plan, tree),
            Kind::Cc => cc::facts(plan, tree),
            _ => Ok(Facts::Tool(ToolFacts {
                bin: "bin".to_owned(),
                programs: tree.entries("bin"),
                inputs: tree.entries(""),
                open: reaches::survey_constants(self.name(), tree)?.open(),
            })),
        }
    }
}

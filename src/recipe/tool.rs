//! The recipe for any program that is neither a compiler nor an interpreter with its own recipe.

use std::cell::RefCell;

use super::api::Recipe;
use super::layers::{Layers, Stage};
use super::notes::Notes;
use super::prune::Pruning;
use super::python::occupy_caches;
use super::reaches;
use super::seal::{ProgramUse, Steps, seal};
use super::{cmake, generated};
use crate::error::Result;
use crate::facts::{Facts, ToolFacts};
use crate::lockfile::Plan;
use crate::model::{Kind, MemberPath};
use crate::relocate::launcher::{Instructions, Linking};
use crate::tree::{BlobDir, Tree};

/// The variables by which programs find a directory of their tree where redirection does not reach,
/// with the directory: libc reads time zones itself, the tools of valgrind are static programs, Go
/// makes system calls itself, OCaml tells a compiler of another tree where its libraries are, and
/// git puts its directory on the PATH of hooks, whose shell may be the host's.
const VARIABLES: &[(&str, &str)] = &[
    ("TZDIR=%R/", "usr/share/zoneinfo"),
    ("VALGRIND_LIB=%R/", "usr/libexec/valgrind"),
    ("GOROOT=%R/", "usr/lib/go"),
    ("OCAMLLIB=%R/", "usr/lib/ocaml"),
    ("GIT_EXEC_PATH=%R/", "usr/lib/git-core"),
];

/// The recipe that this module describes.
pub struct Tool;

impl Recipe for Tool {
    fn name(&self) -> &'static str {
        "tool"
    }

    fn version(&self) -> u32 {
        6
    }

    fn kind(&self) -> Kind {
        Kind::Tool
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let (stage, missing) = (layers.stage, RefCell::default());
        let steps = Steps {
            prepare: &|tree| {
                missing.replace(generated::add(tree, blobs)?);
                cmake::settle_program(tree, blobs)?;
                if tree.exists(&MemberPath::literal("usr/bin/python3")) {
                    occupy_caches(tree, blobs, "usr")?;
                }
                Ok(())
            },
            launchers: &|tree| {
                let has = |dir: &str| tree.exists(&MemberPath::literal(dir));
                let there = VARIABLES.iter().filter(|(_, dir)| has(dir));
                let default: Vec<String> =
                    there.map(|(variable, dir)| format!("{variable}{dir}")).collect();
                Box::new(move |path| Instructions {
                    keep_library_path: true,
                    default: default.clone(),
                    ..linker(path, plan)
                })
            },
            programs: ProgramUse::Started,
            redirect: true,
        };
        let tree = seal(plan, layers, blobs, pruning, &steps, notes)?;
        if stage != Stage::Locked {
            notes.ungenerated = missing.take();
        }
        Ok(tree)
    }

    fn facts(&self, _plan: &Plan, tree: &Tree) -> Result<Facts> {
        let has_usr = tree.exists(&MemberPath::literal("usr"));
        Ok(Facts::Tool(ToolFacts {
            bin: if has_usr { "usr/bin" } else { "bin" }.to_owned(),
            programs: tree.entries("bin"),
            // If there is a directory `usr`, the entries besides these are links into it.
            inputs: if has_usr {
                let parts = ["etc", "usr", "var"];
                let parts = parts.iter().filter(|p| tree.exists(&MemberPath::literal(p)));
                parts.map(|p| (*p).to_owned()).collect()
            } else {
                tree.entries("")
            },
            open: reaches::survey_constants(self.name(), tree)?.open(),
        }))
    }
}

/// The programs that compilers of other trees may start as linkers, with the names under which these
/// start them.
const LINKERS: &[(&str, &[&str])] = &[("lld", &["ld.lld"]), ("mold", &["ld.mold", "mold"])];

/// Returns the instructions by which a linker gets the directories of libraries of other trees, as
/// those of a compiler's tree do.
fn linker(path: &MemberPath, plan: &Plan) -> Instructions {
    let linker = LINKERS.iter().find(|(name, _)| *name == path.file_name());
    let Some((_, names)) = linker.filter(|_| path.is_under("usr")) else {
        return Instructions::default();
    };
    let multiarch = plan.platform.multiarch();
    Instructions {
        library_args: vec![
            "--disable-new-dtags".to_owned(),
            format!("-rpath=%L/usr/lib/{multiarch}"),
        ],
        linking: Some(Linking {
            cpu: plan.platform.cpu().to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Linking::default()
        }),
        ..Instructions::default()
    }
}

//! The recipe for a tool out of a closure of Nix: the paths of the closure as they are, below
//! `nix/store`, and links in `bin/` to the programs of the path that the manifest names.

use super::api::Recipe;
use super::layers::Layers;
use super::notes::Notes;
use super::prune::Pruning;
use crate::error::Result;
use crate::facts::{Facts, ToolFacts};
use crate::lockfile::Plan;
use crate::model::{Kind, MemberPath};
use crate::tree::{BlobDir, Tree};

/// The recipe `nix`.
pub struct Nix;

impl Recipe for Nix {
    fn name(&self) -> &'static str {
        "nix"
    }

    fn version(&self) -> u32 {
        1
    }

    fn kind(&self) -> Kind {
        Kind::Tool
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![]
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        _blobs: &BlobDir,
        _pruning: &Pruning,
        _notes: &mut Notes,
    ) -> Result<Tree> {
        let mut tree = layers.tree;
        let Some(top) = plan.closure() else { return Ok(tree) };
        let bin = format!("nix/store/{top}/bin");
        for name in tree.entries(&bin) {
            let program = MemberPath::literal(&format!("{bin}/{name}"));
            tree.link(MemberPath::literal(&format!("bin/{name}")), &program);
        }
        Ok(tree)
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let inputs = plan.inputs.iter().map(|input| input.file_name().to_owned()).collect();
        let _ = tree;
        Ok(Facts::Tool(ToolFacts { inputs, ..ToolFacts::default() }))
    }
}

//! The merged inputs of a tree, and which input each of their files came from.

use std::collections::{BTreeMap, HashMap};

use crate::error::Result;
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};
use crate::unpack::Layer;

/// The inputs of a tree, merged.
#[derive(Debug, Default)]
pub struct Layers {
    /// All files.
    pub tree: Tree,
    /// The input that each file came from.
    pub owners: Owners,
    /// The maintainer scripts `postinst` of the Debian packages, by the position of the input.
    pub postinst: BTreeMap<usize, String>,
    /// How far the tree is known.
    pub stage: Stage,
}

/// How far a tree is known when it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// It is locked. There is nothing left to find out about it.
    #[default]
    Locked,
    /// It is being locked, and will be made again if its notes ask for more inputs.
    Draft,
    /// It is being locked, and its inputs do not change any more.
    Final,
}

impl Layers {
    /// Merges the layer of the input at position `input`. Messages call the input `name`.
    ///
    /// # Errors
    /// If two inputs contain the same path with different content.
    pub fn merge(&mut self, input: usize, layer: Layer, name: &str) -> Result<()> {
        for (path, node) in layer.tree.iter() {
            if !matches!(node, Node::Directory) {
                self.owners.0.entry(path.clone()).or_insert(input);
            }
        }
        self.postinst.extend(layer.postinst.map(|text| (input, text)));
        self.tree.merge(layer.tree, name)
    }
}

impl From<Tree> for Layers {
    fn from(tree: Tree) -> Self {
        Layers { tree, ..Layers::default() }
    }
}

/// The input that each file of a tree came from, as a position in the plan. Paths that the recipe
/// later removed are included.
#[derive(Debug, Default)]
pub struct Owners(HashMap<MemberPath, usize>);

impl Owners {
    /// Returns the input that brought a path. Directories and files that a recipe made have none.
    pub fn input(&self, path: &MemberPath) -> Option<usize> {
        self.0.get(path).copied()
    }

    /// Returns the name of the component that brought a path: of a Debian package, for example.
    pub fn component<'p>(&self, plan: &'p Plan, path: &MemberPath) -> Option<&'p str> {
        let input = self.input(path)?;
        Some(plan.inputs.get(input)?.component.name.as_str())
    }

    /// Records that a recipe made `path` on behalf of an input.
    pub fn record(&mut self, path: MemberPath, input: usize) {
        self.0.insert(path, input);
    }

    /// Returns every path with the input that brought it, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&MemberPath, usize)> {
        self.0.iter().map(|(path, input)| (path, *input))
    }
}

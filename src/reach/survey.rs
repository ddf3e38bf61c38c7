//! The constants of a tree.

use super::fate::{Fate, OpenReach, OpenReaches, Why};

/// The number of files that the facts of a tree name.
const NAMED: usize = 5;

/// A constant in a file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constant {
    /// The path of the file in the tree.
    pub file: String,
    /// The absolute path that the file holds.
    pub path: String,
    /// What becomes of it.
    pub fate: Fate,
}

/// The constants of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The constants, sorted by file and path.
    pub constants: Vec<Constant>,
    /// The number of constants that relocation replaced with a path that exists on no system.
    pub replaced: usize,
}

impl Survey {
    /// Returns what the facts of the tree record.
    pub fn open(&self) -> OpenReaches {
        let mut out = OpenReaches::default();
        let mut last = "";
        for constant in &self.constants {
            let Fate::Open(why) = constant.fate else { continue };
            if why == Why::Data || constant.file == last {
                continue;
            }
            last = &constant.file;
            out.programs += 1;
            if out.first.len() < NAMED {
                let (file, path) = (constant.file.clone(), constant.path.clone());
                out.first.push(OpenReach { file, path, why });
            }
        }
        out
    }
}

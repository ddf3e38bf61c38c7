//! The traits of emitters.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::environment::Changes;
use crate::error::Result;
use crate::facts::Facts;
use crate::lockfile::Lockfile;
use crate::manifest::{Fields, Manifest, Problems};
use crate::model::{Kind, Platform, ToolchainName};

/// Files, by their paths below the folder that is emitted.
pub type Files = BTreeMap<String, String>;

/// Makes the files that one tool reads.
pub trait Emitter: Sync {
    /// The name of the emitter, as in `cotter emit <name>` and `[emit.<name>]`.
    fn name(&self) -> &'static str;

    /// A description of a few words, for the help.
    fn about(&self) -> &'static str;

    /// Reads the emitter's table of the manifest. `fields` is `None` if the manifest has no such
    /// table. Every problem of the table is added to `problems`.
    fn bind(
        &self,
        fields: Option<Fields>,
        manifest: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission>;
}

/// The destination of an emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// A folder, whose path is relative to the manifest. If the manifest contains the emitter's
    /// table, `setup` writes the folder as well.
    Folder(&'a str),
    /// The directory of the manifest, in which tools look for files by fixed names. The files name
    /// paths of this machine. If the manifest contains the emitter's table, `setup` writes them once
    /// all toolchains are ready.
    Project,
    /// Standard output, or a file that the user names. The emission is a single text.
    Output,
}

/// An emitter with its settings.
pub trait Emission: Debug {
    /// Returns the destination of the files.
    fn destination(&self) -> Destination<'_>;

    /// Returns the words by which a file shows that this emitter wrote it, so that it may be
    /// replaced. `None` stands for a file that users write, too, and whose other content is kept.
    fn mark(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// Returns the files. For [`Destination::Output`], there is exactly one.
    ///
    /// # Errors
    /// If the lock cannot be expressed in the terms of the tool, or if a URL that is needed cannot
    /// be found.
    fn files(&self, request: &mut Request) -> Result<Files>;
}

/// The data from which an emission is made.
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a Lockfile,
    /// The toolchains that the user named on the command line.
    pub names: &'a [ToolchainName],
    /// Returns the URL of a file of a Python project, from the names of the project and of the
    /// file. Neither the lock nor the manifest contains it.
    pub url: &'a mut dyn FnMut(&str, &str) -> Result<String>,
    /// Returns the trees on this machine that `exec` uses for these names, or for none.
    pub trees: &'a mut dyn FnMut(&[ToolchainName]) -> Result<MachineTrees>,
    /// Returns the text of a file of the project, if there is one.
    pub present: &'a dyn Fn(&str) -> Result<Option<String>>,
    /// Returns where a symbolic link of the project leads, if there is one.
    pub link: &'a dyn Fn(&str) -> Option<String>,
    /// What the user is told besides the names of the files.
    pub notes: &'a mut Vec<String>,
}

/// The trees that are in use on this machine, with their paths.
#[derive(Debug, Clone, Default)]
pub struct MachineTrees {
    /// The trees, in the order of PATH.
    pub trees: Vec<MachineTree>,
    /// The environment that `exec` gives to programs, without what it takes from that of the user.
    pub changes: Changes,
    /// The programs that can be started by name, each with its path.
    pub programs: BTreeMap<String, String>,
}

/// A tree with its path.
#[derive(Debug, Clone)]
pub struct MachineTree {
    /// The name of the toolchain.
    pub name: ToolchainName,
    /// The kind of the toolchain.
    pub kind: Kind,
    /// The path of the tree.
    pub path: String,
    /// Whether a compiler generates code for another platform.
    pub is_cross: bool,
    /// The platform for which a compiler generates code.
    pub target: Platform,
    /// What the recipe knows of the tree.
    pub facts: Facts,
}

/// An emission that a manifest may request.
#[derive(Debug)]
pub struct Bound {
    /// The emitter's name.
    pub name: &'static str,
    /// Whether the manifest contains the emitter's table.
    pub is_asked_for: bool,
    /// The emitter with its settings.
    pub emission: Box<dyn Emission>,
}

//! What an emitter is.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::error::Result;
use crate::lockfile::Lockfile;
use crate::manifest::{Fields, Manifest, Problems};
use crate::model::ToolchainName;

/// Files by their path below the folder that is emitted.
pub type Files = BTreeMap<String, String>;

/// Makes the files of one tool.
pub trait Emitter: Sync {
    /// What the user calls it, in `cotter emit <name>` and `[emit.<name>]`.
    fn name(&self) -> &'static str;

    /// What it is, in a few words, for the help.
    fn about(&self) -> &'static str;

    /// Reads its table of the manifest; `None` if the manifest has none. Everything wrong with it goes into `problems`.
    fn bind(
        &self,
        fields: Option<Fields>,
        manifest: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission>;
}

/// Where the result of an emission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Into a folder, named relative to the manifest: written by `setup` too, if the manifest has the emitter's table.
    Folder(&'a str),
    /// To standard output, or into a file that the user names: one text.
    Output,
}

/// An emitter with its settings.
pub trait Emission: Debug {
    /// Where the files go.
    fn destination(&self) -> Destination<'_>;

    /// The files; of [`Destination::Output`] only one.
    ///
    /// # Errors
    /// If the lock cannot be said in the tool's terms, or a question has no answer.
    fn files(&self, request: &mut Request) -> Result<Files>;
}

/// What an emission is made of.
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a Lockfile,
    /// What the user named on the command line.
    pub names: &'a [ToolchainName],
    /// Where a file of a Python project lies, by the names of both: what neither lock nor manifest say.
    pub url: &'a mut dyn FnMut(&str, &str) -> Result<String>,
}

/// An emission that a manifest may ask for.
#[derive(Debug)]
pub struct Bound {
    /// The emitter's name.
    pub name: &'static str,
    /// Whether the manifest has its table.
    pub is_asked_for: bool,
    /// The emitter with its settings.
    pub emission: Box<dyn Emission>,
}

//! The traits of emitters.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::error::Result;
use crate::lockfile::Lockfile;
use crate::manifest::{Fields, Manifest, Problems};
use crate::model::ToolchainName;

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
    /// Standard output, or a file that the user names. The emission is a single text.
    Output,
}

/// An emitter with its settings.
pub trait Emission: Debug {
    /// Returns the destination of the files.
    fn destination(&self) -> Destination<'_>;

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

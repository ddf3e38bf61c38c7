//! Files for other tools, out of the lock. Pure: the same lock and settings give the same bytes.

mod bazel;

pub use bazel::MARK;

use std::collections::BTreeMap;

use crate::lockfile::Lockfile;
use crate::manifest::BazelSettings;

/// Files by their path below the folder that is emitted.
pub type Files = BTreeMap<String, String>;

/// What an emitter is given.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a Lockfile,
    /// The `[emit.bazel]` table, or its defaults.
    pub bazel: &'a BazelSettings,
}

/// Makes the files of one tool.
pub trait Emitter: Sync {
    /// What the user calls it.
    fn name(&self) -> &'static str;
    /// The folder, relative to the manifest.
    fn dir<'a>(&self, request: &Request<'a>) -> &'a str;
    /// The files.
    ///
    /// # Errors
    /// A sentence if the lock cannot be said in the tool's terms.
    fn files(&self, request: &Request) -> Result<Files, String>;
}

/// The emitter for Bazel.
pub static BAZEL: &dyn Emitter = &bazel::Bazel;

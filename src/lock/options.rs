//! Options for bringing a lock up to date.

use std::cell::RefCell;

use crate::lockfile::{Lockfile, Plan};
use crate::model::{Platform, ToolchainName};

/// Options for bringing a lock up to date.
pub struct Options {
    /// The entries to lock again in addition to the stale ones.
    pub upgrade: Upgrade,
    /// Whether to ignore the existing lock, which is then not even read.
    pub fresh: bool,
    /// Whether an index whose `Valid-Until` has passed is accepted.
    pub allow_expired: bool,
    /// Where to stop.
    pub until: Option<Until>,
}

/// Stops before a toolchain is built: its plan is wanted, and the lock with what it is built with.
pub struct Until {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// What was found.
    pub found: RefCell<Option<(Plan, Lockfile)>>,
}

/// The entries to lock again in addition to the stale ones.
pub enum Upgrade {
    /// No entries.
    Nothing,
    /// All entries.
    All,
    /// The entries of the given toolchains and sets.
    Some(Vec<ToolchainName>),
}

impl Upgrade {
    /// Whether the entries of a toolchain or a set are locked again.
    pub fn wants(&self, name: &ToolchainName) -> bool {
        match self {
            Upgrade::Nothing => false,
            Upgrade::All => true,
            Upgrade::Some(names) => names.contains(name),
        }
    }
}

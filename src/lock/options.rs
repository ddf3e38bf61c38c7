//! How a lock is brought up to date.

use crate::model::ToolchainName;

/// How to bring a lock up to date.
pub struct Options {
    /// Which entries to lock anew, besides those that are stale.
    pub upgrade: Upgrade,
    /// Whether the lock that is there is not even read.
    pub fresh: bool,
    /// Whether an index past its `Valid-Until` is accepted.
    pub allow_expired: bool,
}

/// Which entries to lock anew, besides those that are stale.
pub enum Upgrade {
    /// None.
    Nothing,
    /// All.
    All,
    /// Those of some toolchains and sets.
    Some(Vec<ToolchainName>),
}

impl Upgrade {
    /// Whether the entries of a toolchain or a set are locked anew.
    pub fn wants(&self, name: &ToolchainName) -> bool {
        match self {
            Upgrade::Nothing => false,
            Upgrade::All => true,
            Upgrade::Some(names) => names.contains(name),
        }
    }
}

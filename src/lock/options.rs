//! Options for bringing a lock up to date.

use crate::model::ToolchainName;

/// Options for bringing a lock up to date.
pub struct Options {
    /// The entries to lock again in addition to the stale ones.
    pub upgrade: Upgrade,
    /// Whether to ignore the existing lock, which is then not even read.
    pub fresh: bool,
    /// Whether an index whose `Valid-Until` has passed is accepted.
    pub allow_expired: bool,
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

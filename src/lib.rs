//! cotter: a hermetic toolchain manager. `docs/architecture.md` describes the flow of the data.
//!
//! The modules are private, so that the compiler detects code that nothing uses any more.

pub mod app;
mod audit;
mod cli;
mod commands;
mod context;
#[cfg(test)]
mod documented;
mod emit;
mod environment;
mod error;
mod facts;
mod fetch;
mod interrupt;
mod lock;
mod lockfile;
mod make;
mod manifest;
mod model;
mod nix;
mod project;
mod python;
mod reach;
mod ready;
mod recipe;
mod relocate;
mod report;
mod reporter;
mod resolve;
mod sandbox;
mod source;
mod store;
mod text;
mod tree;
mod unpack;

/// The parts of the library that the tests and benchmarks of this repository use. This is not a
/// public interface, and it may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::emit::starlark;
    pub use crate::error::ErrorKind;
    pub use crate::fetch::{Candidate, Fetcher, Http, Mirrors, Patience, Proxies, machine_mirrors};
    pub use crate::lockfile::{Lockfile, Spec};
    pub use crate::manifest::{Manifest, Problems};
    pub use crate::model::{Digest, Hasher, Kind, Platform, ToolchainName};
    pub use crate::recipe::of_kind as recipe_of_kind;
    pub use crate::relocate::elf::Elf;
    pub use crate::reporter::{Reporter, Verbosity};
    pub use crate::resolve::debian_closure::NEVER;
    pub use crate::resolve::debian_release::{Keyring, Release};
    pub use crate::resolve::openpgp::{Signed, keys};
    pub use crate::source::{Additions, ResolveContext, bind as bind_sources};
    pub use crate::store::hash_tree;
}

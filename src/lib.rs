//! cotter: a hermetic toolchain manager. `docs/architecture.md` describes the flow of the data.
//!
//! The modules are private, so that the compiler detects code that nothing uses any more.

mod accepted;
pub mod app;
mod audit;
mod cli;
mod commands;
mod compare;
mod context;
#[cfg(test)]
mod documented;
mod emit;
mod environment;
mod error;
mod evaluator;
mod facts;
mod fault;
mod fetch;
mod interrupt;
mod lock;
mod lockfile;
mod make;
mod manifest;
mod model;
mod nix;
mod parallel;
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
mod serve;
mod source;
mod store;
mod text;
mod tree;
mod trust;
mod unpack;
mod write;

/// The parts of the library that the tests and benchmarks of this repository use. This is not a
/// public interface, and it may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::emit::starlark;
    pub use crate::error::ErrorKind;
    pub use crate::evaluator::Evaluator;
    pub use crate::fetch::{Candidate, Fetcher, Http, Mirrors, Patience, Proxies, machine_mirrors};
    pub use crate::lockfile::{Lockfile, Spec};
    pub use crate::manifest::{Manifest, Problems};
    pub use crate::model::{Digest, Hasher, Kind, Platform, ToolchainName, base32};
    pub use crate::nix::{cache_info, keys, nar, narinfo, store_path};
    pub use crate::recipe::of_kind as recipe_of_kind;
    pub use crate::relocate::elf::Elf;
    pub use crate::reporter::{Reporter, Verbosity};
    pub use crate::resolve::debian_closure::NEVER;
    pub use crate::resolve::debian_release::{Keyring, Release};
    pub use crate::resolve::openpgp::{MOST_TEXT, Signed};
    pub use crate::resolve::openpgp_keyring::keys;
    pub use crate::resolve::openpgp_signature::Flaw;
    pub use crate::source::{Additions, ResolveContext, bind as bind_sources};
    pub use crate::store::hash_tree;

    /// The readers of bytes that others wrote, for `tests/fuzz`.
    pub mod readers {
        pub use crate::audit::actions::{Graph, look as look_at_action, look_at_options};
        pub use crate::audit::artifact::{Role, Subject, look as look_at_artifact};
        pub use crate::audit::repositories::{look_at_code, look_at_result};
        pub use crate::audit::shell::read as shell_calls;
        pub use crate::audit::trace::{OwnPlaces, TracedMachine, look as look_at_trace, observe};
        pub use crate::emit::bind as bind_emitters;
        pub use crate::facts::RecordedFacts;
        pub use crate::fetch::Netrc;
        pub use crate::fetch::index_settings::configured;
        pub use crate::fetch::python_index::{html_files, json_files};
        pub use crate::lockfile::Plan;
        pub use crate::manifest::edit;
        pub use crate::model::MemberPath;
        pub use crate::nix::cache_info::CacheInfo;
        pub use crate::nix::keys::{CacheKey, SigningKey};
        pub use crate::nix::narinfo::{NarInfo, PathInfo};
        pub use crate::nix::registration::parse as registration;
        pub use crate::python::metadata::{WheelMetadata, close as close_set};
        pub use crate::python::requirement_files::{pins, pylock};
        pub use crate::python::requirement_lines::{
            lines as requirement_lines, parse as parse_requirement,
        };
        pub use crate::python::target::WheelTarget;
        pub use crate::python::wheel::install;
        pub use crate::recipe::{Layers, Notes, Stage, facts, finish, pruning};
        pub use crate::relocate::launched::read as read_launcher;
        pub use crate::relocate::launcher::{Instructions, Runtime};
        pub use crate::relocate::libraries::settle as settle_libraries;
        pub use crate::relocate::paths::seal_libraries;
        pub use crate::relocate::redirect::settle as settle_redirection;
        pub use crate::relocate::scripts::{Bits, interpreter, settle as settle_scripts};
        pub use crate::relocate::stub::embed;
        pub use crate::resolve::debian_closure::{PackageRoot, resolve};
        pub use crate::resolve::debian_index::{Index, read as read_packages};
        pub use crate::serve::hear as hear_request;
        pub use crate::tree::{BlobDir, Node, Tree};
        pub use crate::unpack::{
            ArReader, CaseCollisions, Layer, Limits, TarOptions, sniffed, sniffed_nar, unpack_deb,
            unpack_tar, unpack_zip,
        };
    }
}

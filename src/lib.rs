//! cotter: a hermetic toolchain manager. See `docs/architecture.md` for the way of the data.

pub mod app;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod compose;
pub mod context;
pub mod emit;
pub mod environment;
pub mod error;
pub mod fetch;
pub mod interrupt;
pub mod lockfile;
pub mod manifest;
pub mod model;
pub mod nix;
pub mod project;
pub mod python;
pub mod recipe;
pub mod relocate;
pub mod reporter;
pub mod resolve;
pub mod source;
pub mod store;
pub mod tree;
pub mod unpack;

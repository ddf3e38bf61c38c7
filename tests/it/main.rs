//! The integration tests: the real program, real packages, real tools, and servers and archives that misbehave on purpose.
//!
//! What takes long is ignored by default and belongs to the full suite: `cargo test --release -- --include-ignored`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "the rules are the program's"
)]

mod support;

mod alone;
mod archives;
mod audit;
mod bazel;
mod commands;
mod debian;
mod emit;
mod faults;
mod foreign;
mod house;
mod jail;
mod launcher;
mod libraries;
mod locking;
mod messages;
mod nix;
mod openpgp;
mod requirements;
mod snapshots;
mod store;

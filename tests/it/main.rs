//! The integration tests: the real program, real packages, real tools, and servers and archives that misbehave on purpose.
//!
//! What needs a mirror stands in `online`; `cargo test -- --skip online::` runs without a network. What takes long is ignored by default and belongs to the full suite:
//! `cargo test --release -- --include-ignored`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    reason = "the rules are the program's"
)]

mod support;

mod alone;
mod archives;
mod commands;
mod debian;
mod emit;
mod exec;
mod faults;
mod hints;
mod house;
mod locking;
mod messages;
mod online;
mod openpgp;
mod snapshots;
mod store;

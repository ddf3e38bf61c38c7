//! The integration tests. They use the real program, real packages and real tools, and servers and archives that misbehave on purpose.
//!
//! The tests that need a mirror are in `online`; `cargo test -- --skip online::` runs without network access. The tests that take long are ignored by default and belong to the full suite:
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
mod attacks;
mod audit;
mod build_logs;
mod building;
mod cache_verbs;
mod caches;
mod closure_trees;
mod closures;
mod commands;
mod debian;
mod derivations;
mod emit;
mod evaluations;
mod exec;
mod faults;
mod flakes;
mod from_lock;
mod generated;
mod hints;
mod hook;
mod house;
mod injected;
mod leftovers;
mod local_nix;
mod locking;
mod messages;
mod nix_names;
mod online;
mod openpgp;
mod openpgp_policy;
mod owners;
mod people;
mod read_only;
mod snapshots;
mod store;
mod suites;
mod sysroots;
mod trust;
mod verbs;
mod vouched;

//! What needs a mirror: the repository's own toolchains and those of the examples, real packages, a real Bazel. Everything else runs where there is no network.

mod archives;
mod audit;
mod bazel;
mod commands;
mod emit;
mod foreign;
mod jail;
mod kill;
mod launcher;
mod libraries;
mod locking;
mod nix;
mod programs;
mod redirect;
mod requirements;
mod trees;

//! Tests that need a mirror: they use the repository's own toolchains and those of the examples, real packages and a real Bazel. All other tests run without network access.

mod apt;
mod archives;
mod audit;
mod bazel;
mod bazel_clang;
mod commands;
mod compilers;
mod elf;
mod emit;
mod foreign;
mod generated;
mod jail;
mod kill;
mod launcher;
mod libraries;
mod living;
mod local_projects;
mod locking;
mod names;
mod nix;
mod programs;
mod redirect;
mod requirements;
mod sandbox;
mod sysroots;
mod trees;

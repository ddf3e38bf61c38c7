//! Nix's formats: the hash alphabet, store paths, and the archive format (NAR). Pure.

pub mod base32;
pub mod nar;
pub mod store_path;

//! Nix's formats: store paths and the archive format (NAR). Pure.

pub mod nar;
pub mod store_path;

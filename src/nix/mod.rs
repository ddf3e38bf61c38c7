//! Nix's formats: store paths, the archive format (NAR), and the files of a binary cache. Pure.

pub mod cache_info;
pub mod expression;
pub mod keys;
pub mod listing;
pub mod locked;
pub mod nar;
pub mod narinfo;
pub mod references;
pub mod registration;
pub mod store_path;

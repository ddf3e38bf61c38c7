//! Relocation: the changes that make a tree need no file of the host and run at any path.

pub mod closure;
pub mod dynamic;
pub mod elf;
pub mod gather;
pub mod guard;
pub mod launched;
pub mod launcher;
pub mod libraries;
pub mod loaded;
pub mod paths;
pub mod redirect;
pub mod scripts;
pub mod stub;
pub mod symlinks;

//! What makes a tree need no host file and run at any path.

pub mod elf;
pub mod launcher;
pub mod paths;
pub mod scripts;
pub mod stub;
pub mod symlinks;

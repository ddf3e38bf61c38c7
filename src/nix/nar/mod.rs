//! The Nix archive (NAR): a canonical serialisation of a tree, without times, owners or modes
//! except the executable bit. Source: Eelco Dolstra's thesis, section 5.2.1, figure 5.2, and the
//! Nix manual, "Nix Archive (NAR) format". Names and the targets of symlinks are bytes.

mod reader;
mod visitor;
mod writer;

pub use reader::{NarError, read};
pub use visitor::NarVisitor;
pub use writer::NarWriter;

#[cfg(test)]
mod tests;

//! Archives into trees: one policy for names, links, modes and sizes, whatever the format.

mod ar;
mod budget;
mod compression;
mod debian;
mod layer;
mod tarball;
mod zipfile;

pub use budget::{Budget, Limits};
pub use compression::{decoder_for, sniffed};
pub use debian::unpack_deb;
pub use layer::CaseCollisions;
pub use tarball::{TarOptions, unpack_tar};
pub use zipfile::unpack_zip;

/// How many bytes are moved at a time.
pub(crate) const BUFFER: usize = 128 * 1024;

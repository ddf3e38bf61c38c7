//! Unpacks archives into trees: one policy for names, links, modes and sizes applies to every
//! format.

mod ahead;
mod ar;
mod budget;
mod compression;
mod debian;
mod layer;
mod nar;
mod tarball;
mod zipfile;

pub use ahead::{decoded_beside, read_beside};
pub use ar::ArReader;
pub use budget::{Budget, Limits};
pub use compression::{decoder_for, sniffed, sniffed_nar};
pub use debian::{Layer, unpack_deb};
pub use layer::CaseCollisions;
pub use nar::unpack_nar;
pub use tarball::{TarOptions, unpack_tar};
pub use zipfile::unpack_zip;

/// The number of bytes that are copied at a time.
pub(crate) const BUFFER: usize = 128 * 1024;

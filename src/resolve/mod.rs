//! Resolves requests: Debian's indexes, their signatures, and the closure of a list of packages.

pub mod debian_closure;
pub mod debian_index;
pub mod debian_release;
mod debian_search;
pub mod debian_version;
pub mod openpgp;
mod openpgp_key;
pub mod openpgp_keyring;
mod openpgp_packet;
pub mod openpgp_signature;

#[cfg(test)]
mod tests;

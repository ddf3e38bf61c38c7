//! The descriptions of store paths in the form in which a lock has them.

use super::keys::CacheSignature;
use super::narinfo::PathInfo;
use super::store_path;
use crate::model::{Input, NixPath};

/// Returns what a lock says of a path, or `None` for an input that is no path of a Nix store.
pub fn info(input: &Input) -> Option<PathInfo> {
    let nix = input.nix.as_ref()?;
    let info = PathInfo {
        path: nix.path.clone(),
        nar_hash: input.sha256,
        nar_size: input.size,
        references: nix.references.clone(),
        deriver: nix.deriver.clone(),
        signatures: nix.signature.iter().filter_map(|text| text.parse().ok()).collect(),
        ca: nix.ca.clone(),
    };
    Some(if nix.built { info } else { vouched(info) })
}

/// Returns what somebody vouches for of what a cache says: what its signature covers, and how the name
/// follows from the content, if it does. What remains is text that anybody may have written.
pub fn vouched(info: PathInfo) -> PathInfo {
    let ca = info.ca.clone().filter(|_| is_named_by_content(&info));
    PathInfo { deriver: None, ca, ..info }
}

/// Returns what a lock is to say of a path that was accepted for `signature`, or without one because
/// it follows from its content.
pub fn entry(info: &PathInfo, signature: Option<&CacheSignature>) -> NixPath {
    NixPath {
        path: info.path.clone(),
        references: info.references.clone(),
        deriver: info.deriver.clone(),
        signature: signature.map(CacheSignature::to_string),
        ca: info.ca.clone(),
        built: false,
    }
}

/// Whether the name of a path follows from the hash of its NAR and from its references, as its
/// description claims, so that nobody need vouch for it. That is so of what was added to a store, and
/// of sources that are directories, unless they refer to themselves. Source: `isContentAddressed` in
/// Nix's `libstore/path-info.cc`.
pub fn is_named_by_content(info: &PathInfo) -> bool {
    info.ca.as_deref() == Some(&PathInfo::ca_of_tree(&info.nar_hash))
        && store_path::of_content(&info.nar_hash, &info.references, info.path.name()).as_ref()
            == Ok(&info.path)
}

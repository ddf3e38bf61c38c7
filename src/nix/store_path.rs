//! The name that Nix gives to content. Source: the Nix manual, "Complete Store Path Calculation",
//! and `makeStorePath` in `libstore`.

use crate::model::{Digest, StoreName, base32};

/// The directory of every Nix store whose paths this program handles.
pub const STORE_DIR: &str = "/nix/store";

/// Parses a full store path, `/nix/store/<hash>-<name>`.
///
/// # Errors
/// A sentence that states what was expected.
pub fn parse(path: &str) -> Result<StoreName, String> {
    match path.strip_prefix(STORE_DIR).and_then(|rest| rest.strip_prefix('/')) {
        Some(name) => name.parse(),
        None => Err(format!("expected a path in {STORE_DIR}, got {path:?}")),
    }
}

/// Returns the full store path of a name.
pub fn full(name: &StoreName) -> String {
    format!("{STORE_DIR}/{name}")
}

/// Returns the store name of a tree without references that is added by the recursive SHA-256 hash
/// of its content: the output of `nix-store --add-fixed --recursive sha256` without the leading
/// `/nix/store/`.
///
/// # Errors
/// A sentence, if `name` contains characters that a store path must not contain.
pub fn of_tree(nar_hash: &Digest, name: &str) -> Result<StoreName, String> {
    of_content(nar_hash, &[], name)
}

/// Returns the store name of content with references to other paths that is added by the recursive
/// SHA-256 hash. `references` is sorted and does not hold the path itself.
///
/// # Errors
/// A sentence, if `name` contains characters that a store path must not contain.
pub fn of_content(
    nar_hash: &Digest,
    references: &[StoreName],
    name: &str,
) -> Result<StoreName, String> {
    let references: String = references.iter().map(|name| format!(":{}", full(name))).collect();
    let fingerprint = format!("source{references}:sha256:{nar_hash}:{STORE_DIR}:{name}");
    let folded = fold(Digest::of(fingerprint.as_bytes()).as_bytes());
    format!("{}-{name}", base32::encode(&folded)).parse()
}

/// Folds a digest to 20 bytes with exclusive or (`compressHash`).
fn fold(digest: &[u8; 32]) -> [u8; 20] {
    let mut out = [0; 20];
    for (i, byte) in digest.iter().enumerate() {
        out[i % 20] ^= byte;
    }
    out
}

//! The work of `update-ca-certificates`: one file of all certificates, and the names under which
//! OpenSSL, GnuTLS and curl look for it.

use super::api::Generated;
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The file of all certificates.
pub const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// What is told of a tool that has no certificates.
pub const NO_CERTIFICATES: &str = "it holds a library for TLS and no certificates: programs that verify servers refuse all of them";

/// The directory of the package ca-certificates.
const SINGLE: &str = "usr/share/ca-certificates";

/// The libraries that verify certificates, by the beginning of their names.
const VERIFIERS: &[&str] = &["libssl.so.", "libgnutls.so.", "libcurl.so.", "libcurl-gnutls.so."];

/// Returns the paths of the single certificates, in the order of their names.
pub fn single(tree: &Tree) -> Vec<MemberPath> {
    let mut paths = tree.paths(|path, node| {
        matches!(node, Node::File { .. })
            && path.is_under(SINGLE)
            && path.file_name().ends_with(".crt")
    });
    // The order of Debian is that of whole paths, bytewise.
    paths.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    paths
}

/// Returns the bytes of the bundle, or nothing if the tree has no certificates.
///
/// # Errors
/// If a staged file cannot be read.
pub fn bundle(tree: &Tree) -> Result<Vec<u8>> {
    let mut bundle = vec![];
    for path in single(tree) {
        if let Some(Node::File { blob, .. }) = tree.get(&path) {
            bundle.extend(blob.read()?);
            if !bundle.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
    }
    Ok(bundle)
}

/// Returns the name that `update-ca-certificates` gives to a single certificate in `etc/ssl/certs`.
pub fn pem_name(path: &MemberPath) -> String {
    let name = path.file_name();
    let plain = name.strip_suffix(".crt").unwrap_or(name);
    plain.replace([' ', ','], "_").replace(['(', ')'], "=") + ".pem"
}

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let bundle = bundle(tree)?;
    if bundle.is_empty() {
        let verifies = tree.iter().any(|(path, node)| {
            matches!(node, Node::File { .. })
                && VERIFIERS.iter().any(|v| path.file_name().starts_with(v))
        });
        if verifies && tree.at(BUNDLE).is_none() {
            out.lacks(
                NO_CERTIFICATES,
                "add \"ca-certificates\" to `packages` if the programs connect to servers",
            );
        }
        return Ok(out);
    }
    out.file(blobs, BUNDLE, &bundle)?;
    for path in single(tree) {
        out.link(&format!("etc/ssl/certs/{}", pem_name(&path)), path.as_str());
    }
    // OpenSSL's default directory.
    out.link("usr/lib/ssl/cert.pem", BUNDLE);
    out.link("usr/lib/ssl/certs", "etc/ssl/certs");
    Ok(out)
}

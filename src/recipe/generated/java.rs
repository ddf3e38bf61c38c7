//! The trust store of Java, `etc/ssl/certs/java/cacerts`, which the package ca-certificates-java
//! makes by running Java.
//!
//! The format JKS: the magic number, the version 2 and the number of entries as 32-bit big-endian
//! numbers; for each certificate the tag 2, an alias, the time in milliseconds, the type "X.509"
//! and the length and bytes of the certificate (texts have a 16-bit length); in the end a SHA-1
//! digest of the password (two bytes a character), a fixed salt, and everything before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::api::Generated;
use super::certificates;
use crate::error::{Error, Result};
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The trust store.
const STORE: &str = "etc/ssl/certs/java/cacerts";

/// Java's own default password. The certificates are public, and the password protects nothing.
const PASSWORD: &str = "changeit";

/// The salt that Java's `JavaKeyStore` defines.
const SALT: &[u8] = b"Mighty Aphrodite";

/// The generator.
///
/// # Errors
/// If a certificate is not PEM, or if a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    if !tree.exists(&MemberPath::literal("usr/lib/jvm")) {
        return Ok(out);
    }
    let paths = certificates::single(tree);
    let mut entries = vec![];
    for path in &paths {
        let Some(Node::File { blob, .. }) = tree.get(path) else { continue };
        let alias = format!("debian:{}", certificates::pem_name(path)).to_lowercase();
        let der = der(&blob.read()?)
            .ok_or_else(|| Error::build(format!("{path} is no certificate in the PEM format")))?;
        entries.push((alias, der));
    }
    if !entries.is_empty() {
        out.file(blobs, STORE, &key_store(&entries))?;
    }
    Ok(out)
}

/// Returns the bytes of the first certificate of a PEM file.
fn der(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// Returns a key store of trusted certificates, each with its alias.
fn key_store(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    // The modification time of every file in a tree, in milliseconds.
    let time = 1000u64;
    let number = |n: usize| u32::try_from(n).expect("far below 4 GB").to_be_bytes();
    let mut out = vec![0xfe, 0xed, 0xfe, 0xed];
    out.extend(number(2));
    out.extend(number(entries.len()));
    let text = |out: &mut Vec<u8>, text: &str| {
        // Names of files have at most 255 bytes.
        out.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
        out.extend(text.as_bytes());
    };
    for (alias, der) in entries {
        out.extend(number(2));
        text(&mut out, alias);
        out.extend(time.to_be_bytes());
        text(&mut out, "X.509");
        out.extend(number(der.len()));
        out.extend(der);
    }
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(&PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    digest.update(SALT);
    digest.update(&out);
    out.extend(digest.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is the one that Python's hashlib computes from the same parts.
    #[test]
    fn a_store_ends_in_its_digest() {
        let store = key_store(&[("debian:a.pem".to_owned(), b"\x30\x03abc".to_vec())]);
        let digest: String = store[54..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, "16c1a0b815a5be6b0f368edc2183f638761cf256");
        assert_eq!(&store[12..30], b"\0\0\0\x02\0\x0cdebian:a.pem");
    }

    #[test]
    fn only_pem_is_a_certificate() {
        let pem =
            b"# a name\n-----BEGIN CERTIFICATE-----\nAAEC\r\nAwQ=\n-----END CERTIFICATE-----\n";
        assert_eq!(der(pem), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(der(b"AAEC"), None);
        assert_eq!(der(b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"), None);
    }
}

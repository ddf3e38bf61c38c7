//! The Ed25519 keys (RFC 8032) with which the descriptions of a binary cache are signed, and signatures. Each has a name and a base64 text, separated by a colon, as
//! `nix-store --generate-binary-cache-key` writes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The key with which the public cache signs.
pub const PUBLIC_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// The length of a public key in bytes.
const PUBLIC: usize = 32;

/// The length of a secret key in bytes: the seed and the public key.
const SECRET: usize = 64;

/// The length of a signature in bytes.
const SIGNATURE: usize = 64;

/// The public key of somebody who signs what a cache has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey {
    name: String,
    bytes: [u8; PUBLIC],
}

/// The secret key with which a cache is signed.
pub struct SigningKey {
    name: String,
    pair: Ed25519KeyPair,
    public: [u8; PUBLIC],
}

/// A signature with the name of its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheSignature {
    name: String,
    bytes: [u8; SIGNATURE],
}

/// Splits `name:base64`. The name says in a message whom to trust, so it is printable.
fn named<const N: usize>(text: &str) -> Option<(String, [u8; N])> {
    let (name, encoded) = text.split_once(':')?;
    let is_name =
        !name.is_empty() && name.len() <= 256 && name.bytes().all(|b| b.is_ascii_graphic());
    let bytes = STANDARD.decode(encoded).ok()?.try_into().ok()?;
    is_name.then(|| (name.to_owned(), bytes))
}

/// Whether a text is a secret key. Messages must not show one that stands in a wrong place.
pub fn is_secret(text: &str) -> bool {
    named::<SECRET>(text.trim()).is_some()
}

impl CacheKey {
    /// Returns the name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `signature` is one of this key over `text`.
    pub fn verifies(&self, text: &[u8], signature: &CacheSignature) -> bool {
        self.name == signature.name
            && UnparsedPublicKey::new(&ED25519, &self.bytes).verify(text, &signature.bytes).is_ok()
    }
}

impl FromStr for CacheKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Even a part of what may be a secret key is not repeated.
        let (name, bytes) = named(text).ok_or_else(|| {
            let got = match is_secret(text) {
                true => "a secret key, which nobody else may see".to_owned(),
                false => format!("another text of {} bytes", text.len()),
            };
            format!(
                "expected a public key such as cache.example-1:<44 base64 characters>, got {got}"
            )
        })?;
        Ok(CacheKey { name, bytes })
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.bytes))
    }
}

impl SigningKey {
    /// Makes a key out of 32 random bytes. The result comes with the text of its file.
    ///
    /// # Errors
    /// A sentence, if the name is none.
    pub fn of_seed(name: &str, seed: &[u8; PUBLIC]) -> Result<(Self, String), String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|e| e.to_string())?;
        let both = [seed.as_slice(), pair.public_key().as_ref()].concat();
        let text = format!("{name}:{}", STANDARD.encode(both));
        let key = text.parse().map_err(|_| {
            format!("expected a name without spaces and colons, such as cache.example.com-1, got {name:?}")
        })?;
        Ok((key, text))
    }

    /// Returns the public key.
    pub fn public(&self) -> CacheKey {
        CacheKey { name: self.name.clone(), bytes: self.public }
    }

    /// Signs `text`.
    pub fn sign(&self, text: &[u8]) -> CacheSignature {
        let signature = self.pair.sign(text);
        let bytes = signature.as_ref().try_into().expect("a signature of Ed25519 has 64 bytes");
        CacheSignature { name: self.name.clone(), bytes }
    }
}

impl FromStr for SigningKey {
    type Err = &'static str;

    /// Parses the text of a file with a secret key. No part of it is ever in a message.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (name, bytes): (String, [u8; SECRET]) = named(text.trim_end())
            .ok_or("expected a secret key, which is a name, a colon and 88 base64 characters")?;
        let (seed, public) = bytes.split_at(PUBLIC);
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public)
            .map_err(|_| "the two halves of the secret key do not fit together")?;
        let public = public.try_into().expect("it is the second half");
        Ok(SigningKey { name, pair, public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

impl CacheSignature {
    /// Returns the name of the key that made it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for CacheSignature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, bytes) = named(text).ok_or_else(|| {
            format!(
                "expected a signature such as cache.example-1:<88 base64 characters>, got {text:?}"
            )
        })?;
        Ok(CacheSignature { name, bytes })
    }
}

impl fmt::Display for CacheSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `nix-store --generate-binary-cache-key` of Nix 2.8.
    const NIX_SECRET: &str = "test-1:RVQKcY8IDXSZScvJgVMG0qy7hZ1cKO/DcdwbDabTcLHcPl0h3599RbLta3ZSUzrE49IP44TivVNmaXmDM/64IQ==";
    const NIX_PUBLIC: &str = "test-1:3D5dId+ffUWy7Wt2UlM6xOPSD+OE4r1TZml5gzP+uCE=";

    #[test]
    fn keys_of_nix_are_read() {
        let secret: SigningKey = NIX_SECRET.parse().unwrap();
        assert_eq!(secret.public().to_string(), NIX_PUBLIC);
        assert_eq!(NIX_PUBLIC.parse::<CacheKey>().unwrap(), secret.public());
        let signature = secret.sign(b"text");
        let again: CacheSignature = signature.to_string().parse().unwrap();
        assert!(secret.public().verifies(b"text", &again));
        assert!(!secret.public().verifies(b"other text", &again));
        let renamed: CacheKey = NIX_PUBLIC.replace("test-1", "test-2").parse().unwrap();
        assert!(!renamed.verifies(b"text", &again), "the name belongs to the key");
        assert!(!format!("{secret:?}").contains("RVQK"));
        let (made, text) = SigningKey::of_seed("mine-1", &[7; 32]).unwrap();
        assert_eq!(text.parse::<SigningKey>().unwrap().public(), made.public());
        assert!(SigningKey::of_seed("a:b", &[7; 32]).unwrap_err().contains("a:b"));
    }

    #[test]
    fn others_are_refused() {
        let halves = NIX_SECRET.replacen("RVQK", "RVQL", 1);
        assert!(halves.parse::<SigningKey>().unwrap_err().contains("do not fit"));
        for bad in ["", "test-1", "test-1:", ":AAAA", NIX_PUBLIC, "a b:AAAA"] {
            assert!(bad.parse::<SigningKey>().is_err(), "{bad}");
        }
        for bad in [NIX_SECRET, "x:AAAA", "", "a b:3D5dId+ffUWy7Wt2UlM6xOPSD+OE4r1TZml5gzP+uCE="] {
            let error = bad.parse::<CacheKey>().unwrap_err();
            assert!(!error.contains("AAAA") && !error.contains("RVQK"), "{error}");
        }
        assert!(NIX_SECRET.parse::<CacheKey>().unwrap_err().contains("a secret key"));
        for (text, is) in [(NIX_SECRET, true), (NIX_PUBLIC, false), ("http://x", false)] {
            assert_eq!(is_secret(text), is, "{text}");
        }
    }
}

//! SHA-256 digests in two notations: hexadecimal and Subresource Integrity (SRI).

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

/// A SHA-256 digest: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 52 digits of Nix's base 32.
    pub fn nix32(&self) -> String {
        super::base32::encode(&self.0)
    }

    /// Returns 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Returns `sha256-<base64>`, as in W3C Subresource Integrity, section 3.5, and in Nix's SRI
    /// hashes.
    pub fn sri(&self) -> String {
        format!("sha256-{}", STANDARD.encode(self.0))
    }

    /// Parses the SRI form.
    ///
    /// # Errors
    /// A sentence that states what was expected.
    pub fn from_sri(text: &str) -> Result<Self, String> {
        text.strip_prefix("sha256-")
            .and_then(|b64| STANDARD.decode(b64).ok())
            .and_then(|raw| raw.try_into().ok())
            .map(Digest)
            .ok_or_else(|| {
                format!("expected an SRI hash such as sha256-<44 base64 characters>, got {text:?}")
            })
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }
}

impl FromStr for Digest {
    type Err = String;

    /// Parses 64 hexadecimal digits, or the SRI form.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sha256-") {
            return Self::from_sri(text);
        }
        let bad = || format!("expected a sha256 as 64 hexadecimal digits, got {text:?}");
        // This is checked here because the number parser would also accept a sign.
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut out = [0; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Digest(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Hashes bytes as they are written to it and counts them.
#[derive(Clone, Default)]
pub struct Hasher {
    sha: sha2::Sha256,
    len: u64,
}

impl Hasher {
    /// Adds more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Returns the number of bytes hashed so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes were hashed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the digest of all bytes.
    pub fn finish(self) -> Digest {
        Digest(self.sha.finalize().into())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that hashes the bytes that are read through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, hasher: Hasher::default() }
    }

    /// Reads the remaining bytes, and returns the length and the digest of all bytes.
    ///
    /// # Errors
    /// Those of the inner reader.
    pub fn finish(mut self) -> io::Result<(u64, Digest)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.hasher.len(), self.hasher.finish()))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_round_trip() {
        let d = Digest::of(b"abc");
        assert_eq!(d.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(d.sri(), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(d.hex().parse(), Ok(d));
        assert_eq!(d.sri().parse(), Ok(d));
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "",
            "abc",
            "sha256-abc",
            "sha512-ungWv48Bz",
            &"g".repeat(64),
            &"é".repeat(32),
            &"+1".repeat(32),
            &"-0".repeat(32),
            &" 1".repeat(32),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}

//! Signatures of OpenPGP, and what makes one of them worthless whatever its key is. Source: RFC 9580, section 5.2. Versions 4 and 6
//! are supported.

use std::collections::HashMap;
use std::fmt;

use ring::digest;

use super::openpgp_key::PublicKey;
use super::openpgp_packet::{hex, number, seconds};

/// No end, in seconds since 1970.
pub const FOREVER: u64 = u64::MAX;

/// The greatest number of signers that a signature may name. It usually names one key, twice.
const MOST_ISSUERS: usize = 4;

/// A reason for which a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// No key of the keyring made it.
    UnknownKey,
    /// It is of another kind than those of texts or files.
    Kind,
    /// Its hash is weak, or not supported.
    Hash,
    /// The algorithm of its key is not supported.
    Algorithm,
    /// The length of its key is outside of the limits.
    Length,
    /// A part of it must be understood, and is not.
    Critical,
    /// It does not state when it was made.
    Undated,
    /// It was made later than now.
    Future,
    /// It was made before its key.
    TooEarly,
    /// The keyring has no valid statement about the key from before it was made.
    Unbound,
    /// The key may not sign data.
    Purpose,
    /// The key had expired when it was made.
    KeyExpired,
    /// The key is revoked.
    Revoked,
    /// The key did not make it for these bytes.
    Bytes,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::UnknownKey => "the keyring does not have its key",
            Flaw::Kind => "it is of another kind than the signature of a release",
            Flaw::Hash => "its hash is none of SHA-256, SHA-384 and SHA-512",
            Flaw::Algorithm => {
                "its algorithm is none of RSA, Ed25519 and ECDSA (P-256 with SHA-256, P-384 with SHA-384)"
            }
            Flaw::Length => "its RSA key does not have between 2048 and 8192 bits",
            Flaw::Critical => "it contains a critical subpacket that cotter does not know",
            Flaw::Undated => "it does not state when it was made",
            Flaw::Future => "it was made in the future: compare the clock of this machine",
            Flaw::TooEarly => "it is older than its key",
            Flaw::Unbound => {
                "the keyring has no statement about its key that is from before it, and valid with SHA-256, SHA-384 or SHA-512"
            }
            Flaw::Purpose => "its key may not sign data",
            Flaw::KeyExpired => "its key had expired before",
            Flaw::Revoked => "its key is revoked",
            Flaw::Bytes => "the text or the signature was changed",
        })
    }
}

/// A signature: the signed data in addition to the text, and the algorithms.
#[derive(Debug)]
pub struct Signature {
    /// Its type (section 5.2.1).
    pub kind: u8,
    public: u8,
    /// The number of its hash (section 9.5).
    pub hash: u8,
    salt: Vec<u8>,
    /// The bytes that are hashed after the text.
    trailer: Vec<u8>,
    /// The first two bytes of the digest.
    check: [u8; 2],
    values: Vec<u8>,
    /// The fingerprints or key IDs of the signer, in upper-case hexadecimal. A version 4
    /// fingerprint ends in its key ID, and a version 6 fingerprint begins with it.
    pub issuers: Vec<String>,
    /// When it was made, in seconds since 1970; 0 if it does not say.
    pub created: u64,
    /// After how many seconds it ends.
    lasts: Option<u64>,
    /// How many seconds after it was made the key ends that a statement is about.
    key_lasts: Option<u64>,
    /// What the key may be used for that a statement is about.
    flags: Option<u8>,
    /// Why a key was revoked (section 5.2.3.31).
    reason: Option<u8>,
    /// Signatures by the subkey that are embedded in a binding: the proof that the subkey agrees to
    /// it.
    pub back: Vec<Vec<u8>>,
    /// The signature contains a critical subpacket that is not understood, so it must not count.
    critical: bool,
}

/// The digests of one text. It is hashed once for each hash and salt of its signatures.
pub struct Hashes<'a> {
    content: &'a [u8],
    begun: HashMap<(u8, Vec<u8>), digest::Context>,
    /// The number of bytes that were hashed so far.
    pub hashed: u64,
}

impl<'a> Hashes<'a> {
    /// Nothing is hashed yet.
    pub fn of(content: &'a [u8]) -> Self {
        Hashes { content, begun: HashMap::new(), hashed: 0 }
    }

    fn digest(&mut self, signature: &Signature) -> Option<digest::Digest> {
        let algorithm = match signature.hash {
            2 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            8 => &digest::SHA256,
            9 => &digest::SHA384,
            10 => &digest::SHA512,
            _ => return None,
        };
        let (content, hashed) = (self.content, &mut self.hashed);
        let key = (signature.hash, signature.salt.clone());
        let begun = self.begun.entry(key).or_insert_with(|| {
            let mut context = digest::Context::new(algorithm);
            context.update(&signature.salt);
            context.update(content);
            *hashed += content.len() as u64;
            context
        });
        let mut context = begun.clone();
        context.update(&signature.trailer);
        Some(context.finish())
    }
}

impl Signature {
    /// Parses the body of a signature packet. Returns `None` if it is damaged or of another
    /// version.
    pub fn parse(body: &[u8]) -> Option<Signature> {
        let &[version @ (4 | 6), kind, public, hash, ..] = body else { return None };
        let wide = if version == 6 { 4 } else { 2 };
        let (hashed_len, rest) = number(&body[4..], wide)?;
        let (hashed, rest) = rest.split_at_checked(hashed_len)?;
        let (loose_len, rest) = number(rest, wide)?;
        let (loose, rest) = rest.split_at_checked(loose_len)?;
        let (check, mut rest) = rest.split_at_checked(2)?;
        let mut salt = vec![];
        if version == 6 {
            let (len, with_salt) = number(rest, 1)?;
            let (bytes, values) = with_salt.split_at_checked(len)?;
            // Section 5.2.3: the length depends on the hash algorithm.
            if len
                != match hash {
                    8 => 16,
                    9 => 24,
                    _ => 32,
                }
            {
                return None;
            }
            salt = bytes.to_owned();
            rest = values;
        }
        let signed = &body[..4 + wide + hashed_len];
        let mut trailer = signed.to_owned();
        trailer.extend([version, 0xff]);
        trailer.extend(u32::try_from(signed.len()).ok()?.to_be_bytes());
        let mut out = Signature {
            kind,
            public,
            hash,
            salt,
            trailer,
            check: check.try_into().ok()?,
            values: rest.to_owned(),
            issuers: vec![],
            created: 0,
            lasts: None,
            key_lasts: None,
            flags: None,
            reason: None,
            back: vec![],
            critical: false,
        };
        for (area, trusted) in [(hashed, true), (loose, false)] {
            out.subpackets(area, trusted)?;
        }
        Some(out)
    }

    /// Records the relevant subpackets of an area (section 5.2.3.7). Only the hashed area is
    /// signed.
    fn subpackets(&mut self, mut area: &[u8], hashed: bool) -> Option<()> {
        while let Some((&first, rest)) = area.split_first() {
            let (len, rest) = match first {
                0..=191 => (usize::from(first), rest),
                192..=254 => {
                    let (second, rest) = number(rest, 1)?;
                    (((usize::from(first) - 192) << 8) + second + 192, rest)
                }
                255 => number(rest, 4)?,
            };
            let (subpacket, rest) = rest.split_at_checked(len)?;
            let (&head, content) = subpacket.split_first()?;
            match head & 0x7f {
                // The issuer's key ID or fingerprint is only a hint where to look for the key.
                16 => self.issuer(content)?,
                33 => self.issuer(content.get(1..)?)?,
                2 if hashed => self.created = seconds(content)?.0,
                // Zero means that there is no end.
                3 if hashed => self.lasts = Some(seconds(content)?.0).filter(|s| *s != 0),
                9 if hashed => self.key_lasts = Some(seconds(content)?.0).filter(|s| *s != 0),
                27 if hashed => self.flags = Some(content.first().copied().unwrap_or(0)),
                29 if hashed => self.reason = Some(content.first().copied().unwrap_or(0)),
                32 => self.back.push(content.to_owned()),
                // Preferences, policies, features, revokers and restrictions of the export do not
                // limit what a signature is worth. Of the other subpackets here, only the signed
                // ones are believed.
                2..=5 | 7 | 9 | 11 | 12 | 21..=30 | 34 | 39 => {}
                _ => self.critical |= head & 0x80 != 0,
            }
            area = rest;
        }
        Some(())
    }

    fn issuer(&mut self, bytes: &[u8]) -> Option<()> {
        if self.issuers.len() == MOST_ISSUERS || !matches!(bytes.len(), 8 | 20 | 32) {
            return None;
        }
        self.issuers.push(hex(bytes));
        Some(())
    }

    /// Whether the signature may have been made by this key, as it states itself.
    pub fn may_be_by(&self, key: &PublicKey) -> bool {
        let of = |issuer: &String| match (issuer.len(), key.version) {
            (16, 4) => key.fingerprint.ends_with(issuer),
            (16, _) => key.fingerprint.starts_with(issuer),
            _ => key.fingerprint == *issuer,
        };
        self.issuers.iter().any(of)
    }

    /// Returns the end of its validity in seconds since 1970, or [`FOREVER`].
    pub fn until(&self) -> u64 {
        self.lasts.map_or(FOREVER, |s| self.created + s)
    }

    /// Returns the end of the validity of `key` that follows from this statement.
    pub fn key_until(&self, key: &PublicKey) -> u64 {
        self.key_lasts.map_or(FOREVER, |s| key.created + s)
    }

    /// Whether this statement allows a key to sign data. `None` if it does not say.
    pub fn may_sign(&self) -> Option<bool> {
        self.flags.map(|flags| flags & 2 != 0)
    }

    /// Whether the key that it revokes never counts again, as it does not after a theft. After a
    /// retreat, what the key signed before still counts (section 5.2.3.31).
    pub fn is_hard(&self) -> bool {
        !matches!(self.reason, Some(1 | 3 | 32))
    }

    /// Whether a revocation that names `key` as its signer cannot be judged with the methods that
    /// are known here.
    pub fn is_beyond(&self, key: &PublicKey) -> bool {
        let judged = key.material.as_ref().is_some_and(|m| m.judges(self.public, self.hash));
        !judged || self.critical || !matches!(self.hash, 2 | 8..=10)
    }

    /// Whether the first bytes of the message tell that nobody may rely on it, whoever made it.
    ///
    /// # Errors
    /// The flaw.
    pub fn check_form(&self) -> Result<(), Flaw> {
        match self {
            Signature { hash, .. } if !matches!(hash, 8..=10) => Err(Flaw::Hash),
            Signature { critical: true, .. } => Err(Flaw::Critical),
            Signature { created: 0, .. } => Err(Flaw::Undated),
            _ => Ok(()),
        }
    }

    /// Checks that the method is one by which `key` can have made it, and that it is supported.
    ///
    /// # Errors
    /// The flaw.
    pub fn check_method(&self, key: &PublicKey) -> Result<(), Flaw> {
        let material = key.material.as_ref().ok_or(Flaw::Algorithm)?;
        if self.trailer[0] != key.version || self.public != key.algorithm {
            return Err(Flaw::Bytes);
        }
        if !material.is_strong() {
            return Err(Flaw::Length);
        }
        if !material.judges(self.public, self.hash) {
            return Err(Flaw::Algorithm);
        }
        Ok(())
    }

    /// Checks that `key` made it over the text of `hashes`. Nothing else is checked.
    ///
    /// # Errors
    /// The flaw.
    pub fn check_bytes(&self, key: &PublicKey, hashes: &mut Hashes) -> Result<(), Flaw> {
        self.check_method(key)?;
        let material = key.material.as_ref().ok_or(Flaw::Algorithm)?;
        let digest = hashes.digest(self).ok_or(Flaw::Hash)?;
        if digest.as_ref()[..2] != self.check {
            return Err(Flaw::Bytes);
        }
        // EdDSA signs the digest. The other algorithms of ring hash the message once more.
        let mut message = vec![];
        if !matches!(self.public, 22 | 27) {
            message = [&self.salt, hashes.content, &self.trailer].concat();
            hashes.hashed += message.len() as u64;
        }
        material
            .verify(self.public, self.hash, &message, digest.as_ref(), &self.values)
            .ok_or(Flaw::Bytes)
    }
}

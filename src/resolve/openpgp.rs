//! The part of OpenPGP that is needed to verify a cleartext signature, and a signature of a text in a
//! file of its own: packets, public keys and signatures. All primitives (RSA, Ed25519, ECDSA and the hashes) come from ring, which the
//! program contains for TLS anyway. No data in this module is secret, so nothing must run in
//! constant time. Source: RFC 9580, sections 4 (packets), 5.2 (signatures), 5.5 (keys), 6 (armour)
//! and 7 (cleartext signatures). Versions 4 and 6 of keys and signatures are supported.

use std::collections::BTreeSet;

use ring::{digest, signature as ring_signature};

use super::openpgp_packet::{dearmoured, hashed_key, hex, mpi, number, packets, padded, seconds};

/// A public key that may have signed something.
#[derive(Debug)]
pub struct PublicKey {
    /// The fingerprint of the key in upper-case hexadecimal.
    pub fingerprint: String,
    /// The body of the packet, in the form that is hashed for the fingerprint and for binding
    /// signatures.
    body: Vec<u8>,
    version: u8,
    algorithm: u8,
    material: Option<Material>,
    /// When it was made, in seconds since 1970.
    created: u64,
    /// The end of its validity, in seconds since 1970, or [`FOREVER`]. It is 0 for a primary key of
    /// which no statement about itself can be verified.
    until: u64,
}

/// No end, in seconds since 1970.
const FOREVER: u64 = u64::MAX;

/// The greatest number of signatures that a text may have. No release has more, and the text is
/// hashed once for each of them.
const MOST_SIGNATURES: usize = 16;

/// Who signed a text.
#[derive(Debug)]
pub struct Signer {
    /// The key's fingerprint in upper-case hexadecimal.
    pub fingerprint: String,
    /// The end of the validity of the signature, in seconds since 1970: its own end or the end of
    /// its key, whichever is earlier. `None` if it has no end.
    pub until: Option<u64>,
}

/// The parameters with which a signature is verified.
#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519([u8; 32]),
    EcdsaP256(Vec<u8>),
    EcdsaP384(Vec<u8>),
}

/// A signature: the signed data in addition to the text, and the algorithms.
#[derive(Debug)]
struct Signature {
    kind: u8,
    public: u8,
    hash: u8,
    salt: Vec<u8>,
    /// The bytes that are hashed after the text.
    trailer: Vec<u8>,
    /// The first two bytes of the digest.
    check: [u8; 2],
    values: Vec<u8>,
    /// The fingerprints or key IDs of the signer, in upper-case hexadecimal. A version 4
    /// fingerprint ends in its key ID, and a version 6 fingerprint begins with it.
    issuers: Vec<String>,
    /// When it was made, in seconds since 1970; 0 if it does not say.
    created: u64,
    /// After how many seconds it ends.
    lasts: Option<u64>,
    /// How many seconds after it was made the key ends that a statement is about.
    key_lasts: Option<u64>,
    /// What the key may be used for that a statement is about.
    flags: Option<u8>,
    /// Signatures by the subkey that are embedded in a binding: the proof that the subkey agrees to
    /// it.
    back: Vec<Vec<u8>>,
    /// The signature contains a critical subpacket that is not understood, so it must not count.
    critical: bool,
}

/// A text with its signatures.
#[derive(Debug)]
pub struct Signed {
    /// The text in its signed form. With cleartext signatures, each line except the last ends in
    /// CR LF, and white space at the end of lines is removed.
    content: String,
    /// The type of the signatures that count: 0 for those of the bytes of a file, 1 for those of a
    /// text.
    kind: u8,
    signatures: Vec<Signature>,
}

/// The object identifiers of the curves, without tag and length (section 9.2).
const ED25519_LEGACY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const NIST_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

impl PublicKey {
    /// Parses the body of a key packet. Returns `None` if it is damaged or of another version. A
    /// key with an unknown algorithm is accepted but verifies nothing.
    fn parse(body: &[u8]) -> Option<PublicKey> {
        let (&version, rest) = body.split_first()?;
        let (created, rest) = seconds(rest)?;
        let (&algorithm, mut rest) = rest.split_first()?;
        if version == 6 {
            let (len, material) = number(rest, 4)?;
            if len != material.len() {
                return None;
            }
            rest = material;
        }
        let fingerprint = match version {
            4 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed_key(version, body)?),
            6 => digest::digest(&digest::SHA256, &hashed_key(version, body)?),
            _ => return None,
        };
        Some(PublicKey {
            fingerprint: hex(fingerprint.as_ref()),
            body: body.to_owned(),
            version,
            algorithm,
            material: Material::parse(algorithm, rest),
            created,
            until: 0,
        })
    }

    /// Whether this key made `signature` over `content`.
    fn made(&self, signature: &Signature, content: &[u8]) -> bool {
        self.check(signature, content).is_some()
    }

    fn check(&self, signature: &Signature, content: &[u8]) -> Option<()> {
        if signature.critical
            || signature.version() != self.version
            || signature.public != self.algorithm
        {
            return None;
        }
        let mut message = signature.salt.clone();
        message.extend(content);
        message.extend(&signature.trailer);
        let hash = match signature.hash {
            // Good enough only for what a primary key says of itself, which limits it.
            2 if signature.is_of_itself() => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            8 => &digest::SHA256,
            9 => &digest::SHA384,
            10 => &digest::SHA512,
            _ => return None,
        };
        let digest = digest::digest(hash, &message);
        if digest.as_ref()[..2] != signature.check {
            return None;
        }
        match (self.material.as_ref()?, signature.public, signature.hash) {
            (Material::Rsa { n, e }, 1 | 3, hash) => {
                let (s, []) = mpi(&signature.values)? else { return None };
                let parameters = match hash {
                    2 => &ring_signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    8 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
                    9 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
                    _ => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
                };
                ring_signature::RsaPublicKeyComponents { n, e }
                    .verify(parameters, &message, &padded(s, n.len())?)
                    .ok()
            }
            (Material::Ed25519(key), 22, _) => verify(
                &ring_signature::ED25519,
                key,
                digest.as_ref(),
                &pair(&signature.values, 32)?,
            ),
            (Material::Ed25519(key), 27, _) => {
                verify(&ring_signature::ED25519, key, digest.as_ref(), &signature.values)
            }
            (Material::EcdsaP256(key), 19, 8) => {
                let parameters = &ring_signature::ECDSA_P256_SHA256_FIXED;
                verify(parameters, key, &message, &pair(&signature.values, 32)?)
            }
            (Material::EcdsaP384(key), 19, 9) => {
                let parameters = &ring_signature::ECDSA_P384_SHA384_FIXED;
                verify(parameters, key, &message, &pair(&signature.values, 48)?)
            }
            _ => None,
        }
    }
}

impl Material {
    fn parse(algorithm: u8, bytes: &[u8]) -> Option<Material> {
        let curve = |bytes: &'_ [u8]| -> Option<(Vec<u8>, Vec<u8>)> {
            let (len, rest) = number(bytes, 1)?;
            let (oid, rest) = rest.split_at_checked(len)?;
            let (point, []) = mpi(rest)? else { return None };
            Some((oid.to_owned(), point.to_owned()))
        };
        match algorithm {
            1 | 3 => {
                let (n, rest) = mpi(bytes)?;
                let (e, []) = mpi(rest)? else { return None };
                Some(Material::Rsa { n: n.to_owned(), e: e.to_owned() })
            }
            19 => match curve(bytes)? {
                (oid, point) if oid == NIST_P256 => Some(Material::EcdsaP256(point)),
                (oid, point) if oid == NIST_P384 => Some(Material::EcdsaP384(point)),
                _ => None,
            },
            22 => {
                let (oid, point) = curve(bytes)?;
                let key = point.strip_prefix(&[0x40])?;
                (oid == ED25519_LEGACY).then_some(Material::Ed25519(key.try_into().ok()?))
            }
            27 => Some(Material::Ed25519(bytes.try_into().ok()?)),
            _ => None,
        }
    }
}

fn verify(
    parameters: &'static dyn ring_signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    ring_signature::UnparsedPublicKey::new(parameters, key).verify(message, signature).ok()
}

/// Concatenates two integers of `len` bytes each.
fn pair(values: &[u8], len: usize) -> Option<Vec<u8>> {
    let (r, rest) = mpi(values)?;
    let (s, []) = mpi(rest)? else { return None };
    Some([padded(r, len)?, padded(s, len)?].concat())
}

impl Signature {
    fn version(&self) -> u8 {
        self.trailer[0]
    }

    /// Whether it is of a kind by which a primary key makes a statement about itself, with or
    /// without one of its names.
    fn is_of_itself(&self) -> bool {
        matches!(self.kind, 0x10..=0x13 | 0x1f)
    }

    /// Returns the end of the validity of `key` that follows from this statement.
    fn limit(&self, key: &PublicKey) -> u64 {
        let end = |from: u64, seconds: Option<u64>| seconds.map_or(FOREVER, |s| from + s);
        end(self.created, self.lasts).min(end(key.created, self.key_lasts))
    }

    fn may_sign(&self) -> bool {
        self.flags.is_some_and(|flags| flags & 2 != 0)
    }

    /// Parses the body of a signature packet. Returns `None` if it is damaged or of another
    /// version.
    fn parse(body: &[u8]) -> Option<Signature> {
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
                16 => self.issuers.push(hex(content)),
                33 => self.issuers.push(hex(content.get(1..)?)),
                2 if hashed => self.created = seconds(content)?.0,
                // Zero means that there is no end.
                3 if hashed => self.lasts = Some(seconds(content)?.0).filter(|s| *s != 0),
                9 if hashed => self.key_lasts = Some(seconds(content)?.0).filter(|s| *s != 0),
                27 if hashed => self.flags = Some(content.first().copied().unwrap_or(0)),
                32 => self.back.push(content.to_owned()),
                // Preferences, policies and features do not limit what a signature is worth. Of the
                // other subpackets here, only the signed ones are believed.
                2 | 3 | 9 | 11 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 30 | 34 | 39 => {}
                _ => self.critical |= head & 0x80 != 0,
            }
            area = rest;
        }
        Some(())
    }

    /// Whether the signature may have been made by a key with this fingerprint.
    fn may_be_by(&self, key: &PublicKey) -> bool {
        let of = |issuer: &String| match (issuer.len(), key.version) {
            (16, 4) => key.fingerprint.ends_with(issuer),
            (16, _) => key.fingerprint.starts_with(issuer),
            _ => key.fingerprint == *issuer,
        };
        self.issuers.iter().any(of)
    }
}

/// A key in a keyring.
struct Part {
    /// The key. `None` if its version is unknown.
    key: Option<PublicKey>,
    /// The signatures that follow it, each with the name that they certify, in the form in which it
    /// is hashed. The name is empty for signatures of the key alone.
    statements: Vec<(Signature, Vec<u8>)>,
    /// Whether a revocation follows it. The revocation is not verified, because it may be by a key
    /// that is not at hand, or use methods that are unknown here.
    revoked: bool,
}

/// Whether a file has a private key (packets of the types 5 and 7, section 5.5.1).
pub fn holds_private_key(bytes: &[u8]) -> bool {
    let armoured = std::str::from_utf8(bytes).ok().and_then(dearmoured);
    let found = packets(armoured.as_deref().unwrap_or(bytes));
    found.is_some_and(|packets| packets.iter().any(|(tag, _)| matches!(tag, 5 | 7)))
}

/// Returns the keys of a keyring that may sign: each primary key, followed by those of its subkeys
/// that it declares as signing keys. A key that is revoked in any of its copies is left out, as are
/// keys with unknown algorithms or versions. Returns `None` if the bytes are not OpenPGP public
/// keys.
pub fn keys(bytes: &[u8]) -> Option<Vec<PublicKey>> {
    let armoured = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let decoded = if armoured { dearmoured(std::str::from_utf8(bytes).ok()?)? } else { vec![] };
    // The first part of a certificate is the primary key, and the other parts are its subkeys.
    let mut certificates: Vec<Vec<Part>> = vec![];
    let mut name = vec![];
    for (tag, body) in packets(if armoured { &decoded } else { bytes })? {
        let part = || Part { key: PublicKey::parse(body), statements: vec![], revoked: false };
        match tag {
            6 => {
                certificates.push(vec![part()]);
                name.clear();
            }
            14 => {
                certificates.last_mut()?.push(part());
                name.clear();
            }
            // A user ID or a user attribute, which is a picture (section 5.2.4).
            13 | 17 => {
                name = vec![if tag == 13 { 0xb4 } else { 0xd1 }];
                name.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
                name.extend(body);
            }
            2 => {
                let part = certificates.last_mut()?.last_mut()?;
                match Signature::parse(body) {
                    Some(s) if matches!(s.kind, 0x20 | 0x28) => part.revoked = true,
                    Some(s) => part.statements.push((s, name.clone())),
                    // A signature that cannot be parsed may be a revocation.
                    None => part.revoked |= name.is_empty(),
                }
            }
            // Marker, trust and padding packets.
            10 | 12 | 21 => {}
            _ => return None,
        }
    }
    let revoked: Vec<String> = certificates
        .iter()
        .flatten()
        .filter(|part| part.revoked)
        .filter_map(|part| Some(part.key.as_ref()?.fingerprint.clone()))
        .collect();
    let mut out = vec![];
    for mut parts in certificates {
        let Part { key: Some(mut primary), statements, .. } = parts.remove(0) else { continue };
        if revoked.contains(&primary.fingerprint) {
            continue;
        }
        let signs = describe(&mut primary, &statements);
        let subkeys: Vec<PublicKey> = parts
            .into_iter()
            .filter_map(|part| bound(&primary, part.key?, &part.statements))
            .collect();
        out.extend(signs.then_some(primary));
        out.extend(subkeys);
    }
    out.retain(|key| key.material.is_some() && !revoked.contains(&key.fingerprint));
    Some(out)
}

/// Sets the end of the validity of a primary key from its own statements, and returns whether it
/// may sign. The newest statement with a name and the newest one without a name hold; where they
/// differ, the narrower one does.
fn describe(primary: &mut PublicKey, statements: &[(Signature, Vec<u8>)]) -> bool {
    let Some(own) = hashed_key(primary.version, &primary.body) else { return false };
    let newest = |named: bool| {
        statements
            .iter()
            .filter(|(s, name)| s.is_of_itself() && name.is_empty() != named)
            .filter(|(s, _)| (s.kind != 0x1f) == named && s.may_be_by(primary))
            .filter(|(s, name)| primary.made(s, &[&own[..], name].concat()))
            .map(|(s, _)| s)
            .max_by_key(|s| s.created)
    };
    let held: Vec<&Signature> = [newest(true), newest(false)].into_iter().flatten().collect();
    let until = held.iter().map(|s| s.limit(primary)).min();
    let signs = held.iter().all(|s| s.flags.is_none() || s.may_sign());
    primary.until = until.unwrap_or(0);
    signs
}

/// Returns `key` if the newest statement of a primary key makes it a signing key, and `key` agreed.
fn bound(
    primary: &PublicKey,
    mut key: PublicKey,
    statements: &[(Signature, Vec<u8>)],
) -> Option<PublicKey> {
    let mut content = hashed_key(primary.version, &primary.body)?;
    content.extend(hashed_key(key.version, &key.body)?);
    let binding = statements
        .iter()
        .map(|(s, _)| s)
        .filter(|s| s.kind == 0x18 && primary.made(s, &content))
        .max_by_key(|s| s.created)?;
    let agreed = binding
        .back
        .iter()
        .filter_map(|body| Signature::parse(body))
        .any(|back| back.kind == 0x19 && key.made(&back, &content));
    key.until = primary.until.min(binding.limit(&key));
    (binding.may_sign() && agreed).then_some(key)
}

/// Returns the signatures of an armoured text. There must be only one block: the text of a second
/// message after it would not be signed by the first.
fn signatures(armour: &str) -> Option<Vec<Signature>> {
    if armour.matches("-----BEGIN").count() != 1 {
        return None;
    }
    let mut out = vec![];
    for (tag, body) in packets(&dearmoured(armour)?)? {
        match tag {
            2 => out.extend(Signature::parse(body)),
            // Marker and padding packets.
            10 | 21 => {}
            _ => return None,
        }
    }
    (out.len() <= MOST_SIGNATURES).then_some(out)
}

/// Whether a line is a list of the names of hashes. It is not signed and tells nothing that the
/// signatures do not tell, but it must not contain any other text.
fn is_hash_header(line: &str) -> bool {
    const NAMES: &str = "MD5 RIPEMD160 SHA1 SHA224 SHA256 SHA384 SHA512 SHA3-256 SHA3-512";
    let known = |name: &str| NAMES.split(' ').any(|n| n == name);
    line.strip_prefix("Hash: ")
        .is_some_and(|list| list.split(',').all(|n| known(n.trim_matches(' '))))
}

impl Signed {
    /// Parses a text with cleartext signatures. Nothing may precede it and only white space may
    /// follow it, so that unsigned text cannot be mistaken for signed text. Returns `None` if the
    /// text does not have that form.
    pub fn parse(text: &str) -> Option<Signed> {
        let body = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----")?;
        let at = body.find("\n-----BEGIN PGP SIGNATURE-----")?;
        let (message, armour) = body.split_at(at);
        let trimmed = |line: &'_ str| line.trim_end_matches([' ', '\t', '\r']).to_owned();
        let mut lines = message.split('\n');
        if !trimmed(lines.next()?).is_empty() {
            return None;
        }
        loop {
            match trimmed(lines.next()?) {
                end if end.is_empty() => break,
                header if is_hash_header(&header) => {}
                _ => return None,
            }
        }
        let mut canonical = vec![];
        for line in lines {
            canonical.push(trimmed(match line.strip_prefix("- ") {
                Some(escaped) => escaped,
                None if line.starts_with('-') => return None,
                None => line,
            }));
        }
        let armour = armour.trim();
        Some(Signed { content: canonical.join("\r\n"), kind: 1, signatures: signatures(armour)? })
    }

    /// Returns a text whose armoured signatures are in a file of their own. Returns `None` if that
    /// file has another form.
    pub fn detached(text: &str, armour: &str) -> Option<Signed> {
        let signatures = signatures(armour.trim())?;
        Some(Signed { content: text.to_owned(), kind: 0, signatures })
    }

    /// Returns the signed text.
    pub fn text(&self) -> String {
        self.content.replace("\r\n", "\n")
    }

    /// Returns the fingerprints or key IDs of the keys that made the signatures, as these tell.
    pub fn issuers(&self) -> BTreeSet<String> {
        let of = |s: &'_ Signature| s.issuers.iter().max_by_key(|issuer| issuer.len()).cloned();
        self.signatures.iter().filter_map(of).collect::<BTreeSet<String>>()
    }

    /// Whether any of the signatures is of a kind that this module can verify.
    pub fn is_verifiable(&self) -> bool {
        self.signatures
            .iter()
            .any(|s| matches!(s.public, 1 | 3 | 19 | 22 | 27) && matches!(s.hash, 8..=10))
    }

    /// Returns the first of the keys that made a valid signature of the text. A signature counts if
    /// it was made while its key was valid. The end of validity is that of the valid signature that
    /// lasts longest.
    pub fn signer(&self, keys: &[PublicKey]) -> Option<Signer> {
        let good = |key: &PublicKey, s: &Signature| {
            s.kind == self.kind
                && s.may_be_by(key)
                && (key.created..key.until).contains(&s.created)
                && key.made(s, self.content.as_bytes())
        };
        let found: Vec<(&PublicKey, u64)> = keys
            .iter()
            .flat_map(|key| self.signatures.iter().map(move |s| (key, s)))
            .filter(|(key, s)| good(key, s))
            .map(|(key, s)| (key, key.until.min(s.lasts.map_or(FOREVER, |n| s.created + n))))
            .collect();
        let until = found.iter().map(|(_, until)| *until).max()?;
        Some(Signer {
            fingerprint: found.first()?.0.fingerprint.clone(),
            until: Some(until).filter(|until| *until != FOREVER),
        })
    }
}

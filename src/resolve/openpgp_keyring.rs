//! Keyrings of OpenPGP, and what each of their keys is worth at each moment: the statements by which a primary key describes itself and
//! its subkeys, and revocations. Source: RFC 9580, section 10.1 (keyrings) and 5.2.1 (kinds of
//! signatures).
//!
//! A statement counts if the primary key made it with a strong hash. A signature is judged by the newest statement from
//! before it, as `sqv` does. Its end, and whether the key may sign at all, is also judged by
//! the newest statement of all, as `gpgv` does.

use super::openpgp_key::PublicKey;
use super::openpgp_packet::{dearmoured, packets};
use super::openpgp_signature::{FOREVER, Flaw, Hashes, Signature};

/// A key of a keyring that may sign, or that might have signed.
#[derive(Debug)]
pub struct TrustedKey {
    /// The fingerprint of the key in upper-case hexadecimal.
    pub fingerprint: String,
    /// The key.
    pub(super) key: PublicKey,
    own: Standing,
    /// The standing of the primary key, if this is a subkey.
    primary: Option<Standing>,
}

/// What a key is worth, by what its primary key says.
#[derive(Debug, Clone)]
struct Standing {
    statements: Vec<Statement>,
    /// Revocations of names: the name and the time.
    names_revoked: Vec<(Vec<u8>, u64)>,
    /// The time from which the key is revoked: 0 if it never counts, and [`FOREVER`] if it is not
    /// revoked.
    revoked: u64,
}

/// What a primary key says of itself or of a subkey. All times are in seconds since 1970.
#[derive(Debug, Clone)]
struct Statement {
    /// The name that it certifies, in the form in which it is hashed. Empty without a name.
    name: Vec<u8>,
    /// When it was made.
    from: u64,
    /// When it ends itself, or when the agreement of the subkey ends.
    until: u64,
    /// When the key ends.
    key_until: u64,
    /// Whether the key may sign data. `None` if it does not say.
    signs: Option<bool>,
}

impl Standing {
    /// Returns the statements that hold at the time `at`: the newest one with a name, and the newest
    /// one without a name.
    fn held(&self, at: u64) -> impl Iterator<Item = &Statement> {
        let holds = move |s: &&Statement| {
            let gone =
                |(name, time): &(Vec<u8>, u64)| *name == s.name && (s.from..=at).contains(time);
            (s.from..s.until).contains(&at) && !self.names_revoked.iter().any(gone)
        };
        let newest = move |named: bool| {
            let of = self.statements.iter().filter(move |s| s.name.is_empty() != named);
            of.filter(holds).max_by_key(|s| s.from)
        };
        newest(true).into_iter().chain(newest(false))
    }

    /// Checks that the key existed at the time `at`.
    fn check(&self, at: u64) -> Result<(), Flaw> {
        if self.revoked <= at {
            return Err(Flaw::Revoked);
        }
        match self.held(at).map(|s| s.key_until).min() {
            None => Err(Flaw::Unbound),
            Some(until) if until <= at => Err(Flaw::KeyExpired),
            Some(_) => Ok(()),
        }
    }

    fn signs(&self, at: u64) -> bool {
        self.held(at).all(|s| s.signs != Some(false)) && self.held(at).any(|s| s.signs.is_some())
    }

    /// Returns the time of the newest statement of all.
    fn newest(&self) -> u64 {
        self.statements.iter().map(|s| s.from).max().unwrap_or(0)
    }

    fn until(&self) -> u64 {
        let held = self.held(self.newest()).map(|s| s.key_until.min(s.until)).min();
        held.unwrap_or(0).min(self.revoked)
    }
}

impl TrustedKey {
    /// Checks that a signature of data that was made at the time `at` counts.
    ///
    /// # Errors
    /// The flaw.
    pub fn check(&self, at: u64) -> Result<(), Flaw> {
        if at < self.key.created {
            return Err(Flaw::TooEarly);
        }
        self.primary.as_ref().map_or(Ok(()), |primary| primary.check(at))?;
        self.own.check(at)?;
        let signs = self.own.signs(at) && self.own.signs(self.own.newest());
        if signs { Ok(()) } else { Err(Flaw::Purpose) }
    }

    /// Returns the end of its validity in seconds since 1970, or [`FOREVER`].
    pub fn until(&self) -> u64 {
        let primary = self.primary.as_ref().map_or(FOREVER, Standing::until);
        self.own.until().min(primary)
    }

    /// Whether some signature by the key may count.
    pub fn may_sign(&self) -> bool {
        let known = self.key.material.as_ref().is_some_and(|m| m.is_strong());
        let revoked = self.primary.iter().chain([&self.own]).any(|s| s.revoked == 0);
        known && !revoked && self.own.signs(self.own.newest())
    }
}

/// A key in a keyring.
struct Part {
    key: PublicKey,
    /// The signatures that follow it, each with the name that they certify, in the form in which it
    /// is hashed. The name is empty for signatures of the key alone.
    signatures: Vec<(Signature, Vec<u8>)>,
    /// Whether something follows that may be a revocation, and cannot be parsed.
    doubtful: bool,
}

/// A primary key and its subkeys.
struct Certificate {
    primary: Part,
    subkeys: Vec<Part>,
}

/// Whether a file has a private key (packets of the types 5 and 7, section 5.5.1).
pub fn holds_private_key(bytes: &[u8]) -> bool {
    let armoured = std::str::from_utf8(bytes).ok().and_then(dearmoured);
    let found = packets(armoured.as_deref().unwrap_or(bytes));
    found.is_some_and(|packets| packets.iter().any(|(tag, _)| matches!(tag, 5 | 7)))
}

/// Returns the keys of a keyring: each primary key, followed by its subkeys. Several copies of a key
/// count as one, with the statements and the revocations of all of them. Keys with unknown versions
/// are left out. Returns `None` if the bytes are not OpenPGP public keys.
pub fn keys(bytes: &[u8]) -> Option<Vec<TrustedKey>> {
    let armoured = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let decoded = if armoured { dearmoured(std::str::from_utf8(bytes).ok()?)? } else { vec![] };
    let certificates = certificates(if armoured { &decoded } else { bytes })?;
    Some(certificates.into_iter().flat_map(Certificate::judged).collect())
}

fn certificates(bytes: &[u8]) -> Option<Vec<Certificate>> {
    let mut out: Vec<Certificate> = vec![];
    // The certificate that is being read, and its subkey if one was read. `None` inside if the key
    // has an unknown version.
    let mut at: Option<(Option<usize>, Option<Option<usize>>)> = None;
    let mut name = vec![];
    for (tag, body) in packets(bytes)? {
        let part = || {
            let key = PublicKey::parse(body)?;
            Some(Part { key, signatures: vec![], doubtful: false })
        };
        match tag {
            6 => {
                name.clear();
                let found = part().map(|part| {
                    let same = |c: &Certificate| c.primary.key.fingerprint == part.key.fingerprint;
                    out.iter().position(same).unwrap_or_else(|| {
                        out.push(Certificate { primary: part, subkeys: vec![] });
                        out.len() - 1
                    })
                });
                at = Some((found, None));
            }
            14 => {
                name.clear();
                let (certificate, subkey) = at.as_mut()?;
                *subkey = Some(None);
                let (Some(certificate), Some(part)) = (*certificate, part()) else { continue };
                let subkeys = &mut out[certificate].subkeys;
                let same = |p: &Part| p.key.fingerprint == part.key.fingerprint;
                *subkey = Some(Some(subkeys.iter().position(same).unwrap_or_else(|| {
                    subkeys.push(part);
                    subkeys.len() - 1
                })));
            }
            // A user ID or a user attribute, which is a picture (section 5.2.4).
            13 | 17 => {
                name = vec![if tag == 13 { 0xb4 } else { 0xd1 }];
                name.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
                name.extend(body);
            }
            2 => {
                let part = match at? {
                    (None, _) | (_, Some(None)) => continue,
                    (Some(certificate), None) => &mut out[certificate].primary,
                    (Some(certificate), Some(Some(subkey))) => {
                        &mut out[certificate].subkeys[subkey]
                    }
                };
                match Signature::parse(body) {
                    Some(signature) => part.signatures.push((signature, name.clone())),
                    None => part.doubtful |= may_revoke(body, &name),
                }
            }
            // Marker, trust and padding packets.
            10 | 12 | 21 => {}
            _ => return None,
        }
    }
    Some(out)
}

/// Whether a signature that cannot be parsed may revoke the key that it follows. Version 3 has its
/// kind at another place (RFC 4880, section 5.2.2).
fn may_revoke(body: &[u8], name: &[u8]) -> bool {
    let kind = match body {
        [3, _, kind, ..] | [4 | 6, kind, ..] => Some(*kind),
        _ => None,
    };
    kind.map_or(name.is_empty(), |kind| matches!(kind, 0x20 | 0x28))
}

impl Certificate {
    fn judged(self) -> Vec<TrustedKey> {
        let Certificate { primary, subkeys } = self;
        let mut standing = Standing {
            statements: statements(&primary),
            names_revoked: vec![],
            revoked: if primary.doubtful { 0 } else { FOREVER },
        };
        let own = &primary.key.hashed;
        let mut revoked: Vec<u64> =
            subkeys.iter().map(|part| if part.doubtful { 0 } else { FOREVER }).collect();
        let contents: Vec<Vec<u8>> =
            subkeys.iter().map(|part| [&own[..], &part.key.hashed].concat()).collect();
        // Where a revocation of a key stands in the keyring is not signed, so it is tried on each
        // key that it may mean.
        let places = std::iter::once((&primary, None))
            .chain(subkeys.iter().enumerate().map(|(i, part)| (part, Some(i))));
        for (part, place) in places {
            for (signature, name) in &part.signatures {
                let time = if signature.is_hard() { 0 } else { signature.created };
                match signature.kind {
                    0x20 if revokes(signature, &primary.key, own) != Some(false) => {
                        standing.revoked = standing.revoked.min(time);
                    }
                    0x28 => {
                        let means = |i: usize| revokes(signature, &primary.key, &contents[i]);
                        for i in (0..subkeys.len()).filter(|i| means(*i) == Some(true)) {
                            revoked[i] = revoked[i].min(time);
                        }
                        // One that cannot be judged counts where it stands.
                        if let Some(i) = place.filter(|i| means(*i).is_none()) {
                            revoked[i] = 0;
                        }
                    }
                    0x30 if signature.may_be_by(&primary.key) => {
                        let content = [&own[..], name].concat();
                        if revokes(signature, &primary.key, &content) != Some(false) {
                            standing.names_revoked.push((name.clone(), signature.created));
                        }
                    }
                    _ => {}
                }
            }
        }
        let bound: Vec<Standing> = subkeys
            .iter()
            .zip(revoked)
            .zip(&contents)
            .map(|((part, revoked), content)| Standing {
                statements: bindings(&primary.key, part, content),
                names_revoked: vec![],
                revoked,
            })
            .collect();
        let trusted = |key: PublicKey, own: Standing, primary: Option<Standing>| TrustedKey {
            fingerprint: key.fingerprint.clone(),
            key,
            own,
            primary,
        };
        let mut out = vec![trusted(primary.key, standing.clone(), None)];
        for (part, own) in subkeys.into_iter().zip(bound) {
            out.push(trusted(part.key, own, Some(standing.clone())));
        }
        out
    }
}

/// Whether `signature` is a revocation that `primary` made over `content`. `None` if that cannot be
/// judged: it is by a key that is not at hand, such as a designated revoker's, or uses methods that
/// are unknown here. A revocation may use SHA-1: whoever forges one only does harm that he can do by
/// leaving files out.
fn revokes(signature: &Signature, primary: &PublicKey, content: &[u8]) -> Option<bool> {
    if !signature.may_be_by(primary) || signature.is_beyond(primary) {
        return None;
    }
    match signature.check_bytes(primary, &mut Hashes::of(content)) {
        Ok(()) => Some(true),
        Err(Flaw::Bytes) => Some(false),
        Err(_) => None,
    }
}

/// Returns what a primary key says of itself, with or without one of its names.
fn statements(part: &Part) -> Vec<Statement> {
    let own = |(signature, name): &&(Signature, Vec<u8>)| {
        let kind = if name.is_empty() {
            signature.kind == 0x1f
        } else {
            matches!(signature.kind, 0x10..=0x13)
        };
        kind && signature.may_be_by(&part.key)
            && is_made(signature, &part.key, &[&part.key.hashed[..], name].concat())
    };
    let statement = |(signature, name): &(Signature, Vec<u8>)| Statement {
        name: name.clone(),
        from: signature.created,
        until: signature.until(),
        key_until: signature.key_until(&part.key),
        signs: signature.may_sign(),
    };
    part.signatures.iter().filter(own).map(statement).collect()
}

/// Returns what a primary key says of a subkey. A subkey may sign only if it agreed: otherwise
/// anybody could claim the subkey of somebody else, and with it what that subkey signed.
fn bindings(primary: &PublicKey, part: &Part, content: &[u8]) -> Vec<Statement> {
    let statement = |signature: &Signature| {
        let agreed = signature
            .back
            .iter()
            .filter_map(|body| Signature::parse(body))
            .filter(|back| back.kind == 0x19 && is_made(back, &part.key, content));
        let agreed = agreed.map(|back| back.until()).max();
        let signs = signature.may_sign() == Some(true) && agreed.is_some();
        Statement {
            name: vec![],
            from: signature.created,
            until: signature.until().min(agreed.filter(|_| signs).unwrap_or(FOREVER)),
            key_until: signature.key_until(&part.key),
            signs: Some(signs),
        }
    };
    let bound = part.signatures.iter().map(|(signature, _)| signature);
    bound.filter(|s| s.kind == 0x18 && is_made(s, primary, content)).map(statement).collect()
}

/// Whether `key` made a statement over `content` in a way that can be relied on.
fn is_made(signature: &Signature, key: &PublicKey, content: &[u8]) -> bool {
    signature.check_form().is_ok() && signature.check_bytes(key, &mut Hashes::of(content)).is_ok()
}

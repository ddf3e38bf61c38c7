//! The part of OpenPGP that is needed to verify a cleartext signature, and a signature of a text in a
//! file of its own. Source: RFC 9580, sections 6 (armour) and 7 (cleartext signatures). No data in
//! this module is secret, so nothing must run in constant time. Which signatures count is stated in
//! `docs/lockfile.md`.
//!
//! All of it reads bytes that nobody has verified yet. It therefore takes time and memory in
//! proportion to their number, which is limited.

use std::collections::BTreeSet;

use super::openpgp_keyring::TrustedKey;
use super::openpgp_packet::{dearmoured, packets};
use super::openpgp_signature::{FOREVER, Flaw, Hashes, Signature};

/// The greatest size of a signed text in bytes, with its signatures. Debian's have 0.2 MB.
pub const MOST_TEXT: u64 = 2 << 20;

/// The greatest number of signatures that a text may have. Debian's releases have three.
const MOST_SIGNATURES: usize = 16;

/// The seconds by which a clock may be slow: a signature that was made later than now by no more
/// than this counts. `sqv` allows the same.
pub const CLOCK_SKEW: u64 = 30 * 60;

/// Who signed a text.
#[derive(Debug)]
pub struct Signer {
    /// The key's fingerprint in upper-case hexadecimal.
    pub fingerprint: String,
    /// The end of the validity of the signature, in seconds since 1970: its own end or the end of
    /// its key, whichever is earlier. `None` if it has no end.
    pub until: Option<u64>,
}

/// What became of the signatures of a text.
#[derive(Debug)]
pub struct Judgement {
    /// Who signed it, if a signature counts.
    pub signer: Option<Signer>,
    /// The signatures that do not count: the fingerprint or key ID that each of them names, and the
    /// reason.
    pub flaws: Vec<(String, Flaw)>,
    /// The number of bytes that were hashed.
    pub hashed: u64,
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

/// Returns the signatures of an armoured text. There must be only one block: the text of a second
/// message after it would not be signed by the first.
fn signatures(armour: &str) -> Option<Vec<Signature>> {
    if armour.matches("-----BEGIN").count() != 1 {
        return None;
    }
    let bytes = dearmoured(armour)?;
    let packets = packets(&bytes)?;
    if packets.iter().filter(|(tag, _)| *tag == 2).count() > MOST_SIGNATURES {
        return None;
    }
    let mut out = vec![];
    for (tag, body) in packets {
        match tag {
            2 => out.extend(Signature::parse(body)),
            // Marker and padding packets.
            10 | 21 => {}
            _ => return None,
        }
    }
    Some(out)
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
    /// text does not have that form, or is larger than [`MOST_TEXT`].
    pub fn parse(text: &str) -> Option<Signed> {
        if text.len() as u64 > MOST_TEXT {
            return None;
        }
        let body = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----")?;
        let at = body.find("\n-----BEGIN PGP SIGNATURE-----")?;
        let (message, armour) = body.split_at(at);
        let trimmed = |line: &'_ str| line.trim_end_matches([' ', '\t', '\r']).len();
        let mut lines = message.split('\n');
        if trimmed(lines.next()?) > 0 {
            return None;
        }
        loop {
            let line = lines.next()?;
            match &line[..trimmed(line)] {
                "" => break,
                header if is_hash_header(header) => {}
                _ => return None,
            }
        }
        let mut content = String::with_capacity(message.len() + message.len() / 16);
        for (i, line) in lines.enumerate() {
            if i > 0 {
                content.push_str("\r\n");
            }
            let line = match line.strip_prefix("- ") {
                Some(escaped) => escaped,
                None if line.starts_with('-') => return None,
                None => line,
            };
            content.push_str(&line[..trimmed(line)]);
        }
        Some(Signed { content, kind: 1, signatures: signatures(armour.trim())? })
    }

    /// Returns a text whose armoured signatures are in a file of their own. Returns `None` if that
    /// file has another form, or one of them is larger than [`MOST_TEXT`].
    pub fn detached(text: &str, armour: &str) -> Option<Signed> {
        if text.len().max(armour.len()) as u64 > MOST_TEXT {
            return None;
        }
        let signatures = signatures(armour.trim())?;
        Some(Signed { content: text.to_owned(), kind: 0, signatures })
    }

    /// Returns the signed text.
    pub fn text(&self) -> String {
        self.content.replace("\r\n", "\n")
    }

    /// Returns the fingerprints or key IDs of the keys that made the signatures, as these tell.
    pub fn issuers(&self) -> BTreeSet<String> {
        self.signatures.iter().filter_map(issuer).collect()
    }

    /// Judges the signatures at the time `now`, in seconds since 1970. One that counts is enough. A
    /// signature counts if it was made while its key was valid. The signer is the first of
    /// the keys with one, and the end of validity is that of the signature that lasts longest.
    pub fn judge(&self, keys: &[TrustedKey], now: u64) -> Judgement {
        let mut hashes = Hashes::of(self.content.as_bytes());
        let mut found: Vec<(usize, u64)> = vec![];
        let mut flaws = vec![];
        for signature in &self.signatures {
            let mut flaw = Some(Flaw::UnknownKey);
            let by = keys.iter().enumerate().filter(|(_, key)| signature.may_be_by(&key.key));
            for (place, key) in by {
                flaw = self.check(signature, key, now, &mut hashes).err();
                if flaw.is_none() {
                    found.push((place, key.until().min(signature.until())));
                    break;
                }
            }
            let named = || issuer(signature).unwrap_or_else(|| "no key that it names".to_owned());
            flaws.extend(flaw.map(|flaw| (named(), flaw)));
        }
        let signer = found.iter().map(|(place, _)| *place).min().map(|place| Signer {
            fingerprint: keys[place].fingerprint.clone(),
            until: found.iter().map(|(_, until)| *until).max().filter(|until| *until != FOREVER),
        });
        Judgement { signer, flaws, hashed: hashes.hashed }
    }

    fn check(
        &self,
        signature: &Signature,
        key: &TrustedKey,
        now: u64,
        hashes: &mut Hashes,
    ) -> Result<(), Flaw> {
        if signature.kind != self.kind {
            return Err(Flaw::Kind);
        }
        signature.check_form()?;
        signature.check_method(&key.key)?;
        if signature.created > now.saturating_add(CLOCK_SKEW) {
            return Err(Flaw::Future);
        }
        key.check(signature.created)?;
        // This is the only step that reads the text.
        signature.check_bytes(&key.key, hashes)
    }
}

/// Returns the most exact name of the key that made a signature, as the signature tells.
fn issuer(signature: &Signature) -> Option<String> {
    signature.issuers.iter().max_by_key(|issuer| issuer.len()).cloned()
}

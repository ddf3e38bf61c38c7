//! A signed `InRelease` file, or a `Release` file with its `Release.gpg`: its signer, its date, the end of its validity, and the indexes that
//! it names. Source: the Debian wiki, "RepositoryFormat"; RFC 9580, section 7 (cleartext
//! signatures).

use jiff::Timestamp;

use super::openpgp::{CLOCK_SKEW, Signed};
use super::openpgp_keyring::{self, TrustedKey};
use super::openpgp_signature::Flaw;
use crate::error::{Error, Result};
use crate::model::Digest;

/// The keys that cotter includes: Debian's archive keys from the package debian-archive-keyring.
const SHIPPED_KEYS: &[u8] = include_bytes!("../../data/debian-archive-keyring.gpg");

/// A verified `InRelease` or `Release` file.
#[derive(Debug)]
pub struct Release {
    /// The date on which it was made.
    pub date: Timestamp,
    /// The end of its validity, if it states one.
    pub valid_until: Option<Timestamp>,
    /// The end of its signature or of the key that made it, whichever is earlier, if one of them has
    /// an end.
    pub signed_until: Option<Timestamp>,
    /// The fingerprint, in upper-case hexadecimal, of the key that signed it.
    pub key: String,
    /// The names of the suite to which it belongs: `Suite` and `Codename`.
    pub suites: Vec<String>,
    /// The name of the release to which the suite belongs at present, if it states one.
    pub codename: Option<String>,
    /// The files of its `SHA256` field: name, length in bytes, digest.
    pub files: Vec<(String, u64, Digest)>,
    /// Whether indexes are also available under their digest (`by-hash/SHA256/`).
    pub by_hash: bool,
    /// The architectures that it names.
    pub architectures: Vec<String>,
    /// Whether the packages for all architectures have an index of their own, and are not in those
    /// of the other architectures.
    pub all_apart: bool,
    /// The priority that its packages have if nothing else is asked for. Source:
    /// apt_preferences(5): 1 with `NotAutomatic`, 100 with `ButAutomaticUpgrades` in addition, and
    /// 500 otherwise.
    pub priority: u32,
}

/// The OpenPGP keys that are trusted.
pub struct Keyring {
    keys: Vec<TrustedKey>,
    /// Where they come from, for messages.
    name: String,
    /// Whether they are those that cotter includes.
    is_shipped: bool,
}

impl Keyring {
    /// Returns the keys that cotter includes.
    pub fn shipped() -> Result<Self> {
        let keyring = Self::parse(SHIPPED_KEYS, "the keyring of Debian that cotter includes")?;
        Ok(Keyring { is_shipped: true, ..keyring })
    }

    /// Parses a keyring in binary or armoured form.
    ///
    /// # Errors
    /// If it contains no key.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let keys = openpgp_keyring::keys(bytes).ok_or_else(|| {
            if openpgp_keyring::holds_private_key(bytes) {
                Error::user(format!("{name} holds a private key"))
                    .because("expected public keys")
                    .hint("write the public key in its place: gpg --armor --export KEY. If the file was ever committed or sent, the private key is no secret any more")
            } else {
                Error::user(format!("{name} is no OpenPGP keyring"))
                    .because("expected public keys in binary or ASCII-armoured form")
            }
        })?;
        if !keys.iter().any(TrustedKey::may_sign) {
            return Err(Error::user(format!("{name} holds no OpenPGP key that may sign")).because(
                "expected keys of RSA (2048 bits or more), Ed25519 or ECDSA (P-256, P-384) that may sign data, that say so with SHA-256, SHA-384 or SHA-512, and that are not revoked",
            ));
        }
        Ok(Keyring { keys, name: name.to_owned(), is_shipped: false })
    }
}

impl Release {
    /// Verifies and parses an `InRelease` file at the time `now`. Messages call it `url`.
    ///
    /// # Errors
    /// If no key of the keyring signed it, if it is damaged, or if it or its signature was made
    /// after `now`. The caller must check the expiry: see [`Release::check_date`].
    pub fn verify(text: &str, keyring: &Keyring, now: Timestamp, url: &str) -> Result<Release> {
        let message = Signed::parse(text)
            .ok_or_else(|| Error::verification(format!("{url} is not a signed Release file")))?;
        Self::read(&message, keyring, now, url)
    }

    /// Verifies and parses a `Release` file whose signature, `armour`, is in the file
    /// `Release.gpg`. Messages call it `url`.
    ///
    /// # Errors
    /// The same as those of [`Release::verify`].
    pub fn verify_detached(
        text: &str,
        armour: &str,
        keyring: &Keyring,
        now: Timestamp,
        url: &str,
    ) -> Result<Release> {
        let message = Signed::detached(text, armour).ok_or_else(|| {
            Error::verification(format!("{url}.gpg holds no armoured signatures"))
        })?;
        Self::read(&message, keyring, now, url)
    }

    fn read(message: &Signed, keyring: &Keyring, now: Timestamp, url: &str) -> Result<Release> {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let judgement = message.judge(&keyring.keys, seconds);
        let signer = judgement.signer.ok_or_else(|| {
            let by: Vec<String> = message.issuers().into_iter().collect();
            let by = if by.is_empty() { "no key that it tells".to_owned() } else { by.join(", ") };
            let error =
                Error::verification(format!("{url} is not signed by a key that is trusted"))
                    .because(format!("expected a key of {}, got {by}", keyring.name));
            let told = judgement.flaws.iter().filter(|(_, flaw)| *flaw != Flaw::UnknownKey);
            let error = told.fold(error, |error, (key, flaw)| {
                error.because(format!("the signature by {key} does not count: {flaw}"))
            });
            error.hint(if keyring.is_shipped {
                        "for another archive than Debian's own, name its key: suite = [{ ..., key = \"file\" }], or [settings] keyring = \"file\"".to_owned()
                    } else {
                        format!("if the archive has a new key, check its fingerprint where the owner of the archive publishes it, and replace {}, which `key` of the suite or [settings] keyring names", keyring.name)
                    })
        })?;
        let text = message.text();
        let damaged = |what: &str| Error::verification(format!("{url} has no valid {what}"));
        let field = |name: &str| {
            text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let date = field("Date").and_then(parse_date).ok_or_else(|| damaged("Date"))?;
        if date.as_second() - now.as_second() > CLOCK_SKEW.cast_signed() {
            return Err(Error::verification(format!("{url} is of the future"))
                .because(format!("expected a date before {now}, got {date}"))
                .hint("check the clock of this machine"));
        }
        let valid_until = match field("Valid-Until") {
            Some(v) => Some(parse_date(v).ok_or_else(|| damaged("Valid-Until"))?),
            None => None,
        };
        let signed_until =
            signer.until.and_then(|s| Timestamp::from_second(s.try_into().ok()?).ok());
        let mut files = vec![];
        let list = text
            .lines()
            .skip_while(|l| l.trim_end() != "SHA256:")
            .skip(1)
            .take_while(|l| l.starts_with(' '));
        for line in list {
            let mut words = line.split_whitespace();
            let (Some(hash), Some(size), Some(name)) = (words.next(), words.next(), words.next())
            else {
                return Err(damaged("SHA256 list"));
            };
            files.push((
                name.strip_prefix("./").unwrap_or(name).to_owned(),
                crate::model::decimal(size).ok_or_else(|| damaged("SHA256 list"))?,
                hash.parse().map_err(|_| damaged("SHA256 list"))?,
            ));
        }
        if files.is_empty() {
            return Err(damaged("SHA256 list"));
        }
        let suites =
            ["Suite", "Codename"].into_iter().filter_map(field).map(str::to_owned).collect();
        let is = |name: &str| field(name) == Some("yes");
        let architectures: Vec<String> = field("Architectures")
            .map(|list| list.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default();
        Ok(Release {
            date,
            valid_until,
            signed_until,
            key: signer.fingerprint,
            suites,
            codename: field("Codename").map(str::to_owned),
            files,
            by_hash: is("Acquire-By-Hash"),
            all_apart: architectures.iter().any(|a| a == "all")
                && field("No-Support-for-Architecture-all") != Some("Packages"),
            architectures,
            priority: match (is("NotAutomatic"), is("ButAutomaticUpgrades")) {
                (false, _) => 500,
                (true, true) => 100,
                (true, false) => 1,
            },
        })
    }

    /// Refuses the release of another suite. Its signature is valid, but its packages are not the
    /// requested ones.
    ///
    /// # Errors
    /// If neither `Suite` nor `Codename` is `suite`.
    pub fn check_suite(&self, suite: &str, url: &str) -> Result<()> {
        if self.suites.iter().any(|s| s == suite) {
            return Ok(());
        }
        Err(Error::verification(format!("{url} is the release of another suite"))
            .because(format!("expected {suite}, got {}", self.suites.join(", "))))
    }

    /// Refuses a release whose `Valid-Until` has passed, and a signature that has ended or whose key
    /// has.
    ///
    /// # Errors
    /// If one of them has passed at the time `now`.
    pub fn check_date(&self, now: Timestamp, url: &str) -> Result<()> {
        if let Some(until) = self.signed_until.filter(|until| *until < now) {
            return Err(Error::verification(format!("the signature of {url}, or the key that made it, has expired: it was valid until {until}"))
                .because(format!("the key is {}", self.key))
                .hint("if the owner of the archive has extended the key or has a new one, take that: `key` of the suite or [settings] keyring names the file; for an archive of Debian without `key`, a newer cotter includes it")
                .hint("or accept it with --allow-expired or [settings] check_valid_until = false"));
        }
        match self.valid_until {
            Some(until) if until < now => Err(Error::verification(format!("{url} has expired: it was valid until {until}"))
                .because("an attacker who holds back updates would show you an old one")
                .hint("ask another mirror, or accept it with --allow-expired or [settings] check_valid_until = false")),
            _ => Ok(()),
        }
    }

    /// Refuses a release that is newer than the date for which the manifest asks.
    ///
    /// # Errors
    /// If it was made after `snapshot`.
    pub fn check_snapshot(&self, snapshot: Timestamp, url: &str) -> Result<()> {
        if self.date <= snapshot {
            return Ok(());
        }
        Err(Error::verification(format!("{url} is newer than the snapshot that is asked for"))
            .because(format!("expected a release of {snapshot} or before, got {}", self.date)))
    }
}

/// Parses a date such as `Sat, 11 Jul 2026 10:16:37 UTC`.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text
        .strip_suffix(" UTC")
        .or_else(|| text.strip_suffix(" GMT"))
        .or_else(|| text.strip_suffix(" +0000"))?;
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", text).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(time).ok()
}

//! Signatures, compared with two other implementations: rPGP, which makes keys and messages of every kind and checks the same bytes, and GnuPG.

use std::process::{Command, Stdio};

use cotter::internals::{Keyring, MOST_TEXT, Release, Signed, keys};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    Notation, PacketTrait, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, KeyVersion, Password, Timestamp};

use crate::support::{REPO, Scratch, ok};

/// A text that a Release file might contain, with lines that the signature framework must escape.
const TEXT: &str = "Origin: Test\nSHA256:\n 00 0 x\n- dashed\n-----BEGIN PGP SIGNED MESSAGE-----\n-\n\nümläut\nend";

fn key(kind: KeyType, version: KeyVersion, subkey: Option<KeyType>) -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params
        .version(version)
        .key_type(kind)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("Test <test@example.invalid>".into());
    if let Some(kind) = subkey {
        params.subkey(
            SubkeyParamsBuilder::default()
                .version(version)
                .key_type(kind)
                .can_sign(true)
                .build()
                .unwrap(),
        );
    }
    params.build().unwrap().generate(rand::thread_rng()).unwrap()
}

fn public(key: &SignedSecretKey) -> Vec<u8> {
    key.to_public_key().to_bytes().unwrap()
}

fn sign(key: &SignedSecretKey, text: &str) -> String {
    let rng = rand::thread_rng();
    let none = Password::empty();
    let message = match key.secret_subkeys.first() {
        Some(subkey) => CleartextSignedMessage::sign(rng, text, &subkey.key, &none),
        None => CleartextSignedMessage::sign(rng, text, &key.primary_key, &none),
    };
    message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
}

/// The way in which the signature of a message is made.
fn config(key: &SignedSecretKey) -> SignatureConfig {
    let mut config =
        SignatureConfig::from_key(rand::thread_rng(), &key.primary_key, SignatureType::Text)
            .unwrap();
    config.hashed_subpackets = vec![
        hashed(SubpacketData::SignatureCreationTime(Timestamp::now())),
        hashed(SubpacketData::IssuerFingerprint(key.fingerprint())),
    ];
    config
}

fn hashed(data: SubpacketData) -> Subpacket {
    Subpacket::regular(data).unwrap()
}

/// Returns a message that a primary key signed in a given way.
fn sign_as(key: &SignedSecretKey, config: SignatureConfig) -> String {
    CleartextSignedMessage::new(TEXT, config, &key.primary_key, &Password::empty())
        .unwrap()
        .to_armored_string(ArmorOptions::default())
        .unwrap()
}

/// Returns the time until which the signature of a message is valid, in seconds since 1970, if the signature is good.
fn until(message: &str, ring: &[u8]) -> Option<Option<u64>> {
    let judgement = Signed::parse(message)?.judge(&keys(ring)?, u64::from(seconds_now()));
    Some(judgement.signer?.until)
}

fn seconds_now() -> u32 {
    Timestamp::now().as_secs()
}

/// Returns the result of rPGP: the text of the message, if the key or one of its subkeys signed it.
fn judged(message: &str, key: &SignedPublicKey) -> Option<String> {
    let (message, _) = CleartextSignedMessage::from_string(message).ok()?;
    let good = message.verify(key).is_ok()
        || key.public_subkeys.iter().any(|subkey| message.verify(subkey).is_ok());
    good.then(|| message.signed_text().replace("\r\n", "\n"))
}

/// Returns the result of cotter.
fn ours(message: &str, ring: &[u8]) -> Option<(String, String)> {
    let message = Signed::parse(message)?;
    let keys = keys(ring)?;
    let key = message.judge(&keys, u64::from(seconds_now())).signer?;
    Some((message.text(), key.fingerprint.clone()))
}

fn kinds() -> Vec<(KeyType, KeyVersion)> {
    vec![
        (KeyType::Rsa(2048), KeyVersion::V4),
        (KeyType::Ed25519Legacy, KeyVersion::V4),
        (KeyType::Ed25519, KeyVersion::V4),
        (KeyType::Ed25519, KeyVersion::V6),
        (KeyType::ECDSA(ECCCurve::P256), KeyVersion::V4),
        (KeyType::ECDSA(ECCCurve::P384), KeyVersion::V4),
        (KeyType::ECDSA(ECCCurve::P256), KeyVersion::V6),
    ]
}

#[test]
fn every_kind_of_key_signs_and_only_for_itself() {
    let all: Vec<SignedSecretKey> = kinds().into_iter().map(|(k, v)| key(k, v, None)).collect();
    let ring: Vec<u8> = all.iter().flat_map(public).collect();
    for key in &all {
        let message = sign(key, TEXT);
        let fingerprint = key.fingerprint().to_string().to_uppercase();
        assert_eq!(ours(&message, &ring), Some((TEXT.to_owned(), fingerprint)));
        let others: Vec<u8> =
            all.iter().filter(|k| k.fingerprint() != key.fingerprint()).flat_map(public).collect();
        assert_eq!(ours(&message, &others), None);
        // This includes a signature of a text file, and the line ends of another system.
        let armoured = key.to_public_key().to_armored_string(ArmorOptions::default()).unwrap();
        for message in [message.clone(), message.replace('\n', "\r\n")] {
            assert_eq!(ours(&message, armoured.as_bytes()).unwrap().0, TEXT);
        }
    }
}

/// Each byte of a message is changed in several ways. If cotter accepts the result, rPGP accepts it, too, with the same text.
#[test]
fn an_altered_message_is_refused() {
    for (kind, version) in kinds() {
        let key = key(kind, version, None);
        let (ring, public) = (public(&key), SignedPublicKey::from(key.clone()));
        let message = sign(&key, "Origin: Test\n- dash\nend").into_bytes();
        let mut taken = 0;
        for at in 0..message.len() {
            for change in [1, 2, 32, 128] {
                let mut altered = message.clone();
                altered[at] ^= change;
                let Ok(altered) = String::from_utf8(altered) else { continue };
                if let Some((text, _)) = ours(&altered, &ring) {
                    taken += 1;
                    // The checksum of the armour and the white space at the ends of lines are not signed. rPGP keeps the white space.
                    let trimmed = |text: &str| {
                        text.split('\n').map(|l| l.trim_end().to_owned()).collect::<Vec<_>>()
                    };
                    assert_eq!(trimmed(&text), ["Origin: Test", "- dash", "end"], "{altered}");
                    if let Some(judged) = judged(&altered, &public) {
                        assert_eq!(trimmed(&judged), trimmed(&text));
                    }
                }
            }
        }
        // These are, for example, the letters of the checksum and of the header. There are not many.
        assert!(taken < 200, "{taken} of {} changes were taken", message.len() * 4);
    }
}

#[test]
fn what_is_not_signed_does_not_pass_for_what_is() {
    let key = key(KeyType::Ed25519Legacy, KeyVersion::V4, None);
    let ring = public(&key);
    let message = sign(&key, TEXT);
    let fake = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nfake\n";
    for bad in [
        format!("Origin: before\n{message}"),
        format!("{message}\nOrigin: behind\n"),
        format!("{message}{message}"),
        format!("{fake}{message}"),
        message.replacen("\nOrigin", "\nHash: SHA256\nOrigin", 1),
        message.replacen("\n\nOrigin", "\nOrigin: unsigned\n\nOrigin", 1),
        message.replacen("Hash: ", "Hash: Date: now, ", 1),
        message.replacen("SHA", "\u{b}SHA", 1),
        format!(" {message}"),
        message.replacen("- - dashed", "- dashed", 1),
        message.replacen("-----END PGP SIGNATURE-----", "", 1),
        message.split("-----BEGIN PGP SIGNATURE-----").next().unwrap().to_owned(),
        message.replacen("ümläut", "ümlaut", 1),
    ] {
        assert_ne!(bad, message);
        assert_eq!(ours(&bad, &ring), None, "{bad}");
    }
}

#[test]
fn a_subkey_signs_if_its_key_says_so() {
    for (kind, version) in kinds() {
        let with = key(kind.clone(), version, Some(kind.clone()));
        let message = sign(&with, TEXT);
        let subkey = with.secret_subkeys[0].key.fingerprint().to_string().to_uppercase();
        assert_eq!(ours(&message, &public(&with)), Some((TEXT.to_owned(), subkey)));
        // The same subkey is below another primary key. Anybody can put it there.
        let other = key(kind, version, None);
        let mut stolen = other.to_public_key();
        stolen.public_subkeys = with.to_public_key().public_subkeys;
        assert_eq!(ours(&message, &stolen.to_bytes().unwrap()), None);
        // The subkey has no signatures here.
        let mut bare = with.to_public_key();
        bare.public_subkeys[0].signatures.clear();
        assert_eq!(ours(&message, &bare.to_bytes().unwrap()), None);
    }
}

#[test]
fn a_signature_counts_only_as_far_as_it_says() {
    let key = key(KeyType::Ed25519Legacy, KeyVersion::V4, None);
    let ring = public(&key);
    assert_eq!(until(&sign_as(&key, config(&key)), &ring), Some(None));
    // This signature has an expiry time. The caller decides whether the time has passed, as for the expiry time in the text.
    let now = seconds_now();
    let mut ends = config(&key);
    ends.hashed_subpackets
        .push(hashed(SubpacketData::SignatureExpirationTime(Duration::from_secs(5))));
    let end = until(&sign_as(&key, ends), &ring).unwrap().unwrap();
    assert!((now + 5..now + 60).contains(&u32::try_from(end).unwrap()), "{end} against {now}");
    type Change = fn(&mut SignatureConfig);
    let changes: [(&str, Change); 7] = [
        ("no creation time", |c| drop(c.hashed_subpackets.remove(0))),
        ("no issuer", |c| drop(c.hashed_subpackets.remove(1))),
        ("older than its key", |c| {
            let old = Timestamp::from_secs(seconds_now() - 1_000_000);
            c.hashed_subpackets[0] = hashed(SubpacketData::SignatureCreationTime(old));
        }),
        ("creation time that is not signed", |c| {
            c.unhashed_subpackets = vec![c.hashed_subpackets.remove(0)];
        }),
        ("unknown critical subpacket", |c| {
            let data = SubpacketData::Experimental(101, vec![1].into());
            c.hashed_subpackets.push(Subpacket::critical(data).unwrap());
        }),
        ("unknown critical notation", |c| {
            let (name, value) = ("x@example.invalid".into(), "x".into());
            let data = SubpacketData::Notation(Notation { readable: true, name, value });
            c.hashed_subpackets.push(Subpacket::critical(data).unwrap());
        }),
        ("of bytes, not of a text", |c| c.typ = SignatureType::Binary),
    ];
    for (what, change) in changes {
        let mut config = config(&key);
        change(&mut config);
        let message = sign_as(&key, config);
        assert_eq!(ours(&message, &ring), None, "{what}");
    }
}

#[test]
fn a_key_signs_only_within_its_time_and_for_what_it_may() {
    let day = 86_400;
    let made = Timestamp::from_secs(seconds_now() - 10 * day);
    let primary = |sign: bool| {
        let mut params = SecretKeyParamsBuilder::default();
        params
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(sign)
            .created_at(made)
            .primary_user_id("Test <test@example.invalid>".into());
        params.build().unwrap().generate(rand::thread_rng()).unwrap()
    };
    // This key may certify other keys, but it may not sign data.
    let certifies = primary(false);
    assert_eq!(ours(&sign(&certifies, TEXT), &public(&certifies)), None);
    // The statement is by the key itself, or by somebody in its name.
    let signs = primary(true);
    let statement = |by: &SignedSecretKey, at: u32, lasts: u32, hash: HashAlgorithm| {
        let mut config =
            SignatureConfig::v4(SignatureType::CertPositive, by.primary_key.algorithm(), hash);
        config.hashed_subpackets = vec![
            hashed(SubpacketData::SignatureCreationTime(Timestamp::from_secs(at))),
            hashed(SubpacketData::IssuerFingerprint(signs.fingerprint())),
            hashed(SubpacketData::KeyExpirationTime(Duration::from_secs(lasts))),
            hashed(SubpacketData::KeyFlags(signs.details.users[0].signatures[0].key_flags())),
        ];
        let id = &signs.details.users[0].id;
        let none = Password::empty();
        let public = signs.primary_key.public_key();
        config.sign_certification(&by.primary_key, public, &none, id.tag(), id).unwrap()
    };
    let ring = |statements: &[pgp::packet::Signature]| {
        let mut public = signs.to_public_key();
        public.details.users[0].signatures = statements.to_vec();
        public.to_bytes().unwrap()
    };
    let message = sign(&signs, TEXT);
    let (start, now) = (made.as_secs(), seconds_now());
    let sha256 = HashAlgorithm::Sha256;
    let end = |seconds: u32| Some(Some(u64::from(start + seconds)));
    let (short, long) =
        (statement(&signs, start + 1, day, sha256), statement(&signs, start + 2, 30 * day, sha256));
    assert_eq!(until(&message, &ring(std::slice::from_ref(&long))), end(30 * day));
    // The message was signed after the key had expired.
    assert_eq!(until(&message, &ring(std::slice::from_ref(&short))), None);
    // The newest statement counts, in any order.
    assert_eq!(until(&message, &ring(&[short.clone(), long.clone()])), end(30 * day));
    assert_eq!(until(&message, &ring(&[long.clone(), short.clone()])), end(30 * day));
    let newest = statement(&signs, now, day, sha256);
    assert_eq!(until(&message, &ring(&[newest, long.clone()])), None);
    // The statement was forged by another key.
    let forged = statement(&primary(true), now, 300 * day, sha256);
    assert_eq!(until(&message, &ring(&[forged.clone(), long])), end(30 * day));
    assert_eq!(until(&message, &ring(&[forged, short])), None);
    // This key has no statement about itself.
    assert_eq!(until(&message, &ring(&[])), None);
}

/// The newest statement of the primary key determines what a subkey may do.
#[test]
fn a_subkey_that_may_no_longer_sign_does_not() {
    let with = key(KeyType::Ed25519Legacy, KeyVersion::V4, Some(KeyType::Ed25519Legacy));
    let message = sign(&with, TEXT);
    let mut public = with.to_public_key();
    let bind = |at: u32, sign: bool, lasts: u32| {
        let mut config = with.secret_subkeys[0].signatures[0].config().unwrap().clone();
        for subpacket in &mut config.hashed_subpackets {
            match &mut subpacket.data {
                SubpacketData::SignatureCreationTime(time) => *time = Timestamp::from_secs(at),
                SubpacketData::KeyFlags(flags) => flags.set_sign(sign),
                _ => {}
            }
        }
        let lasts = SubpacketData::KeyExpirationTime(Duration::from_secs(lasts));
        config.hashed_subpackets.push(hashed(lasts));
        let (key, subkey) = (&with.primary_key, &with.secret_subkeys[0].key);
        config
            .sign_subkey_binding(key, key.public_key(), &Password::empty(), subkey.public_key())
            .unwrap()
    };
    let at = seconds_now();
    let made = with.secret_subkeys[0].key.created_at().as_secs();
    let mut add = |binding| {
        public.public_subkeys[0].signatures.insert(0, binding);
        until(&message, &public.to_bytes().unwrap())
    };
    assert_eq!(add(bind(at - 1000, false, 1000)), Some(None));
    assert_eq!(add(bind(at + 5, true, 1000)), Some(Some(u64::from(made) + 1000)));
    assert_eq!(add(bind(at + 6, false, 1000)), None);
}

/// The expiry time of a signature or of its key limits the release, in addition to the time that the release names.
#[test]
fn a_release_holds_no_longer_than_its_signature() {
    let key = key(KeyType::Ed25519Legacy, KeyVersion::V4, None);
    let keyring = Keyring::parse(&public(&key), "ring").unwrap();
    let digest = "0".repeat(64);
    let text = |field: &str| {
        format!("Suite: s\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n{field}SHA256:\n {digest} 0 x\n")
    };
    let at = |seconds: u32| jiff::Timestamp::from_second(seconds.into()).unwrap();
    let release = |text: &str, lasts: u32| {
        let mut config = config(&key);
        let lasts = SubpacketData::SignatureExpirationTime(Duration::from_secs(lasts));
        config.hashed_subpackets.push(hashed(lasts));
        let none = Password::empty();
        let message = CleartextSignedMessage::new(text, config, &key.primary_key, &none).unwrap();
        let message = message.to_armored_string(ArmorOptions::default()).unwrap();
        Release::verify(&message, &keyring, at(seconds_now()), "url").unwrap()
    };
    let early = "Valid-Until: Thu, 01 Jan 1970 00:00:09 UTC\n";
    let late = "Valid-Until: Sun, 01 Jan 2090 00:00:00 UTC\n";
    // Zero means that there is no expiry time.
    assert_eq!(release(&text(""), 0).valid_until, None);
    assert_eq!(release(&text(early), 500).valid_until, Some(at(9)));
    // The reason for which a signature does not count is told.
    let early_clock = at(seconds_now() - 86_400);
    let message = sign(&key, &text(""));
    let error = Release::verify(&message, &keyring, early_clock, "url").unwrap_err();
    let by = key.fingerprint().to_string().to_uppercase();
    assert_eq!(error.message(), "url is not signed by a key that is trusted");
    let told = "does not count: it was made in the future: compare the clock of this machine";
    assert_eq!(error.causes()[1], format!("the signature by {by} {told}"));
    for field in ["", late] {
        let release = release(&text(field), 500);
        release.check_date(at(seconds_now()), "url").unwrap();
        let error = release.check_date(at(seconds_now() + 600), "url").unwrap_err();
        // The index itself is not too old.
        assert!(
            error.message().contains("the signature of url, or the key that made it, has expired")
        );
        assert!(error.hints().iter().any(|hint| hint.contains("`key` of the suite")));
    }
}

/// A mirror that sends very many signatures does not keep cotter busy.
#[test]
fn a_heap_of_signatures_is_refused() {
    let key = key(KeyType::Ed25519Legacy, KeyVersion::V4, None);
    let heap = |count: usize| {
        CleartextSignedMessage::new_many(TEXT, |text| {
            let one = config(&key).sign(&key.primary_key, &Password::empty(), text.as_bytes())?;
            Ok(vec![one; count])
        })
        .unwrap()
        .to_armored_string(ArmorOptions::default())
        .unwrap()
    };
    assert!(ours(&heap(16), &public(&key)).is_some());
    assert_eq!(ours(&heap(17), &public(&key)), None);
}

/// A hostile text of the greatest size is hashed once for each hash of its signatures, and once more for each signature of RSA or
/// ECDSA that names a key of the keyring and has the right digest. Four times the text is four times the work.
#[test]
fn the_work_for_a_text_is_in_proportion_to_its_size() {
    let message = |key: &SignedSecretKey, lines: usize| {
        let text = "x\n".repeat(lines);
        let message = CleartextSignedMessage::new_many(&text, |text| {
            let one = config(key).sign(&key.primary_key, &Password::empty(), text.as_bytes())?;
            Ok(vec![one; 16])
        });
        message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
    };
    for (kind, most) in [(KeyType::Ed25519Legacy, 1), (KeyType::Rsa(2048), 17)] {
        let key = key(kind, KeyVersion::V4, None);
        let ring = keys(&public(&key)).unwrap();
        let work = |lines: usize| {
            let signed = Signed::parse(&message(&key, lines)).unwrap();
            let judgement = signed.judge(&ring, seconds_now().into());
            assert!(judgement.signer.is_some());
            // Each line ends in two bytes in the form that is hashed. A trailer has less than 1000 bytes.
            let canonical = 3 * lines as u64;
            assert!((canonical * most..=(canonical + 1000) * most).contains(&judgement.hashed));
            judgement.hashed
        };
        let (once, four_times) = (work(100_000), work(400_000));
        assert!((once * 39 / 10..once * 41 / 10).contains(&four_times), "{once} {four_times}");
        // Without a signature by a key of the keyring nothing is hashed.
        let signed = Signed::parse(&message(&key, 1000)).unwrap();
        assert_eq!(signed.judge(&keys(b"").unwrap(), seconds_now().into()).hashed, 0);
    }
}

/// Texts of the greatest size that keep a careless parser busy: each of them ends in a moment.
#[test]
fn texts_that_are_hard_to_parse_are_refused() {
    let most = usize::try_from(MOST_TEXT).unwrap();
    let head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n";
    let begin = "\n-----BEGIN PGP SIGNATURE-----\n";
    let fill = |text: &str| text.repeat((most - 1000) / text.len());
    for bad in [
        fill("-----BEGIN PGP SIGNED MESSAGE-----\n"),
        format!("{head}{}", fill("\n")),
        format!("{head}{}", fill(begin)),
        format!("{head}{}{begin}\n-----END PGP SIGNATURE-----", fill("- ")),
        format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256{}", fill(",SHA256")),
        format!("{head}x{begin}{}", fill("x: y\n")),
        // Signatures without content, and one with very many subpackets: issuers, and the rest.
        format!("{head}x{begin}\n{}\n-----END PGP SIGNATURE-----", fill("wgDC")),
        format!("{head}x{begin}\n{}\n-----END PGP SIGNATURE-----", fill("AAAA")),
    ] {
        assert!(bad.len() <= most);
        let judged = Signed::parse(&bad).map(|signed| signed.judge(&[], 0));
        assert!(judged.is_none_or(|judged| judged.signer.is_none() && judged.hashed == 0));
    }
    let key = key(KeyType::Ed25519Legacy, KeyVersion::V4, None);
    let fits = sign(&key, &"x".repeat(most - 1000));
    assert!(ours(&fits, &public(&key)).is_some());
    assert!(Signed::parse(&sign(&key, &"x".repeat(most))).is_none());
    assert!(Signed::detached(&"x".repeat(most + 1), "").is_none());
}

#[test]
fn weak_and_strange_keys_do_not_count() {
    let none = keys(b"").unwrap();
    assert!(none.is_empty());
    assert!(keys(b"no packets at all").is_none());
    assert!(keys(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n").is_none());
    // This is a secret key in the place of a public key.
    let secret = key(KeyType::Ed25519Legacy, KeyVersion::V4, None).to_bytes().unwrap();
    assert!(keys(&secret).is_none());
}

#[test]
fn the_shipped_keyring_is_read_as_gnupg_reads_it() {
    let path = format!("{REPO}/data/debian-archive-keyring.gpg");
    let listed = ok(Command::new("gpg").args(["--show-keys", "--with-colons", &path]));
    // These are the fingerprints of the keys and subkeys that sign, in order.
    let mut expected = vec![];
    let mut signs = false;
    for line in listed.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[0] {
            "pub" | "sub" => signs = fields[11].contains('s'),
            "fpr" if signs => expected.push(fields[9].to_owned()),
            _ => {}
        }
    }
    let found: Vec<String> = keys(&std::fs::read(path).unwrap())
        .unwrap()
        .into_iter()
        .map(|key| key.fingerprint)
        .collect();
    assert!(expected.len() > 10, "{listed}");
    assert_eq!(found, expected);
}

/// GnuPG's own cleartext signatures are accepted: with dashes, with white space that is not signed, by several keys, by subkeys, and by revoked keys, which do not count.
#[test]
fn what_gnupg_signs_is_good() {
    let scratch = Scratch::new();
    let home = scratch.join("gnupg");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |args: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .args([
                "--batch",
                "--quiet",
                "--yes",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .arg("--homedir")
            .arg(&home)
            .args(args);
        command
    };
    let agent_off = || {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(&home)
            .args(["--kill", "all"])
            .stderr(Stdio::null())
            .status();
    };
    let text = "Origin: Test  \n- dash\n\n\ttab\t\n-----BEGIN X-----\nFrom me\nend";
    let trimmed = "Origin: Test\n- dash\n\n\ttab\n-----BEGIN X-----\nFrom me\nend";
    let file = scratch.write("text", text);
    let file = file.to_str().unwrap();
    for (i, kind) in ["rsa2048", "ed25519", "nistp256/ecdsa"].into_iter().enumerate() {
        let user = format!("user{i}@example.invalid");
        ok(&mut gpg(&["--quick-generate-key", &user, kind, "sign", "never"]));
        let fingerprint = ok(&mut gpg(&["--with-colons", "--list-keys", &user]))
            .lines()
            .find_map(|l| l.strip_prefix("fpr:::::::::")?.strip_suffix(':').map(str::to_owned))
            .unwrap();
        let primary_alone = ok(&mut gpg(&["--armor", "--export", &user]));
        let clear = |extra: &[&str]| {
            let args = [&["-u", &user, "--clearsign", "-o", "-"], extra, &[file]].concat();
            ok(&mut gpg(&args))
        };
        let message = clear(&["--digest-algo", "SHA256"]);
        assert_eq!(
            ours(&message, primary_alone.as_bytes()),
            Some((trimmed.to_owned(), fingerprint.clone()))
        );
        if kind == "rsa2048" {
            let weak = clear(&["--digest-algo", "SHA1"]);
            assert_eq!(ours(&weak, primary_alone.as_bytes()), None);
        }
        // From now on GnuPG signs with a subkey.
        ok(&mut gpg(&["--quick-add-key", &fingerprint, kind, "sign", "never"]));
        let message = clear(&["--digest-algo", "SHA256"]);
        assert_eq!(ours(&message, primary_alone.as_bytes()), None);
        let both = ok(&mut gpg(&["--armor", "--export", &user]));
        let (found, signer) = ours(&message, both.as_bytes()).unwrap();
        assert_eq!(found, trimmed);
        assert_ne!(signer, fingerprint);
        // GnuPG keeps a revocation for each key that it makes.
        let revocation =
            std::fs::read_to_string(home.join(format!("openpgp-revocs.d/{fingerprint}.rev")))
                .unwrap()
                .replace(":-----BEGIN", "-----BEGIN");
        let revocation = scratch.write("revocation", revocation);
        ok(&mut gpg(&["--import", revocation.to_str().unwrap()]));
        let revoked = ok(&mut gpg(&["--armor", "--export", &user]));
        assert_eq!(ours(&message, revoked.as_bytes()), None);
        // An older copy of the key in the same keyring does not help.
        for ring in [format!("{revoked}\n{both}"), format!("{both}\n{revoked}")] {
            assert_eq!(ours(&message, ring.as_bytes()), None);
        }
    }
    // This key is too short to be trusted.
    ok(&mut gpg(&["--quick-generate-key", "short@example.invalid", "rsa1024", "sign", "never"]));
    let message = ok(&mut gpg(&["-u", "short@example.invalid", "--clearsign", "-o", "-", file]));
    let short = ok(&mut gpg(&["--armor", "--export", "short@example.invalid"]));
    assert_eq!(keys(short.as_bytes()).unwrap().len(), 1);
    assert_eq!(ours(&message, short.as_bytes()), None);
    agent_off();
}

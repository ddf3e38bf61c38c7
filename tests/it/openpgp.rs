//! Signatures, against two other implementations: rPGP, which makes keys and messages of every kind and judges the same bytes, and GnuPG.

use std::process::{Command, Stdio};

use cotter::internals::{Signed, keys};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, Password};

use crate::support::{REPO, Scratch, ok};

/// What a Release file might hold, and what the framework must escape.
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

/// What rPGP says of a message: the text, if the key or a subkey of it signed that.
fn judged(message: &str, key: &SignedPublicKey) -> Option<String> {
    let (message, _) = CleartextSignedMessage::from_string(message).ok()?;
    let good = message.verify(key).is_ok()
        || key.public_subkeys.iter().any(|subkey| message.verify(subkey).is_ok());
    good.then(|| message.signed_text().replace("\r\n", "\n"))
}

/// What cotter says of it.
fn ours(message: &str, ring: &[u8]) -> Option<(String, String)> {
    let message = Signed::parse(message)?;
    let keys = keys(ring)?;
    let key = message.signer(&keys)?;
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
        // Also as a text file, and with the line ends of another system.
        let armoured = key.to_public_key().to_armored_string(ArmorOptions::default()).unwrap();
        for message in [message.clone(), message.replace('\n', "\r\n")] {
            assert_eq!(ours(&message, armoured.as_bytes()).unwrap().0, TEXT);
        }
    }
}

/// Each byte of a message changed, each in several ways: what cotter takes for signed, rPGP does, with the same text.
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
                    // The checksum of the armour and the white space at the ends of lines are not signed; rPGP keeps the latter.
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
        // Such as the checksum's letters and the header's; not many.
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
        // The same subkey below another primary key: anybody can put it there.
        let other = key(kind, version, None);
        let mut stolen = other.to_public_key();
        stolen.public_subkeys = with.to_public_key().public_subkeys;
        assert_eq!(ours(&message, &stolen.to_bytes().unwrap()), None);
        // And without its signatures.
        let mut bare = with.to_public_key();
        bare.public_subkeys[0].signatures.clear();
        assert_eq!(ours(&message, &bare.to_bytes().unwrap()), None);
    }
}

#[test]
fn weak_and_strange_keys_do_not_count() {
    let none = keys(b"").unwrap();
    assert!(none.is_empty());
    assert!(keys(b"no packets at all").is_none());
    assert!(keys(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n").is_none());
    // A secret key in the place of a public one.
    let secret = key(KeyType::Ed25519Legacy, KeyVersion::V4, None).to_bytes().unwrap();
    assert!(keys(&secret).is_none());
}

#[test]
fn the_shipped_keyring_is_read_as_gnupg_reads_it() {
    let path = format!("{REPO}/data/debian-archive-keyring.gpg");
    let listed = ok(Command::new("gpg").args(["--show-keys", "--with-colons", &path]));
    // Fingerprints of the keys and subkeys that sign, in order.
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

/// GnuPG's own clear signatures: dashes, white space that is not signed, several keys, subkeys, and keys that were revoked.
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
        // The revocation that GnuPG keeps for a key it made.
        let revocation =
            std::fs::read_to_string(home.join(format!("openpgp-revocs.d/{fingerprint}.rev")))
                .unwrap()
                .replace(":-----BEGIN", "-----BEGIN");
        let revocation = scratch.write("revocation", revocation);
        ok(&mut gpg(&["--import", revocation.to_str().unwrap()]));
        let revoked = ok(&mut gpg(&["--armor", "--export", &user]));
        assert_eq!(ours(&message, revoked.as_bytes()), None);
    }
    // A key that is too short for anybody to trust.
    ok(&mut gpg(&["--quick-generate-key", "short@example.invalid", "rsa1024", "sign", "never"]));
    let message = ok(&mut gpg(&["-u", "short@example.invalid", "--clearsign", "-o", "-", file]));
    let short = ok(&mut gpg(&["--armor", "--export", "short@example.invalid"]));
    assert_eq!(keys(short.as_bytes()).unwrap().len(), 1);
    assert_eq!(ours(&message, short.as_bytes()), None);
    agent_off();
}

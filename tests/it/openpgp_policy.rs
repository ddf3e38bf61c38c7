//! The policy for signatures, compared with `sqv` and `gpgv`: some 80 situations with keys of several kinds. Each keyring and each
//! signature is given to all three, and every difference is one of [`DIFFERENCES`], which states its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cotter::internals::{Flaw, Signed, keys};
use pgp::composed::{
    ArmorOptions, DetachedSignature, DsaKeySize, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
    SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    KeyFlags, Notation, PacketTrait, RevocationCode, Signature, SignatureConfig, SignatureType,
    Subpacket, SubpacketData,
};
use pgp::types::{Duration, KeyDetails, Password, SigningKey, Timestamp};

use crate::support::Scratch;

const DAY: i64 = 86_400;

/// When the keys were made, in seconds from now.
const MADE: i64 = -100 * DAY;

/// The other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Sqv,
    /// As apt reads it: a good signature by a key that is neither expired nor revoked, without a weak hash.
    Gpgv,
}
use Peer::{Gpgv, Sqv};

/// Where cotter refuses what another program accepts: the situation or the kind of the key, the program, and the reason. cotter
/// accepts nothing that one of them refuses.
const DIFFERENCES: &[(&str, Peer, &str)] = &[
    ("text signature of a file", Sqv, FILE),
    ("text signature of a file", Gpgv, FILE),
    (
        "format of version 3",
        Gpgv,
        "sqv has refused the format since 2021: it does not sign its own metadata",
    ),
    ("sha384", Sqv, CURVE),
    ("sha384", Gpgv, CURVE),
    ("sha512", Sqv, CURVE),
    ("sha512", Gpgv, CURVE),
    ("data sha224", Sqv, SHA224),
    ("data sha224", Gpgv, SHA224),
    ("statement sha224", Sqv, SHA224),
    ("statement sha224", Gpgv, SHA224),
    ("statement sha1", Gpgv, SHA1),
    ("binding sha1", Gpgv, SHA1),
    ("back signature sha1", Gpgv, SHA1),
    ("revocation md5", Sqv, "a revocation counts if it cannot be judged"),
    ("revocation md5", Gpgv, "a revocation counts if it cannot be judged"),
    ("made in a day", Gpgv, "gpgv takes signatures of the future"),
    ("made in an hour", Gpgv, "gpgv takes signatures of the future"),
    ("made before any statement", Gpgv, NEWEST),
    ("binding from after the signature", Gpgv, NEWEST),
    ("key was prolonged after it had ended", Gpgv, NEWEST),
    ("statement that has ended", Gpgv, "gpgv does not read the end of a statement"),
    ("key ended after the signature", Sqv, ENDED),
    ("key was cut short after the signature", Sqv, ENDED),
    ("subkey ended after the signature", Sqv, ENDED),
    ("key, retired after the signature", Sqv, ENDED),
    ("subkey, retired after the signature", Sqv, ENDED),
    (
        "may no longer sign since after the signature",
        Sqv,
        "gpgv judges by the newest statement, and it says no",
    ),
    (
        "without flags",
        Gpgv,
        "a key may do only what it says; gpgv lets a key without flags do everything",
    ),
    (
        "key, superseded and then used again",
        Sqv,
        "a key does not come back after a revocation, as for gpgv",
    ),
    ("name, before the signature", Sqv, NAME),
    ("name, before the signature", Gpgv, NAME),
    (
        "unknown subpacket that is not signed",
        Sqv,
        "sqv does not look at critical subpackets that are not signed",
    ),
    ("dsa2048", Sqv, DSA),
    ("dsa2048", Gpgv, DSA),
    ("back signature that has ended", Gpgv, "gpgv does not read the end of a statement"),
    ("damaged keyring", Sqv, UNSIGNED),
    ("damaged keyring", Gpgv, UNSIGNED),
    ("damaged signature", Sqv, UNSIGNED),
    ("damaged signature", Gpgv, UNSIGNED),
    ("p521", Sqv, RING),
    ("p521", Gpgv, RING),
];

const FILE: &str = "a signature of a file is one of its bytes; no archive makes another one";
const CURVE: &str =
    "ring verifies P-256 with SHA-256 and P-384 with SHA-384 in the form of OpenPGP";
const SHA224: &str =
    "apt's policy has refused SHA-224 since February 2026, and ring does not have it";
const SHA1: &str =
    "apt's policy has refused SHA-1 in statements since February 2026, and sqv's own since 2023";
const NEWEST: &str = "as for sqv, what was said later does not make a signature good; gpgv reads only the newest statement";
const ENDED: &str = "the time of the signature is a claim of its maker, so cotter and gpgv refuse it after the key's end; --allow-expired accepts it";
const NAME: &str = "a key that has revoked its only name does not state any more what it is for";
const DSA: &str = "apt's policy has refused DSA since February 2024, and ring does not have it";
const UNSIGNED: &str = "two bytes of the digest, lengths and the names of the signer are not signed; cotter is the strictest about them";
const RING: &str = "ring does not have the algorithm";

/// A signature of any type.
#[derive(Clone)]
struct Spec {
    kind: SignatureType,
    /// When it is made, in seconds from now.
    at: i64,
    hash: Option<HashAlgorithm>,
    flags: Option<(bool, bool)>,
    more: Vec<Subpacket>,
    loose: Vec<Subpacket>,
    /// Whether it states when it was made, and by whom.
    dated: bool,
    named: bool,
    /// Whether another key makes it, in the name of the right one.
    forged: bool,
    /// Whether it has the format of version 3.
    old: bool,
}

impl Spec {
    fn new(kind: SignatureType, at: i64) -> Self {
        Spec {
            kind,
            at,
            hash: None,
            flags: None,
            more: vec![],
            loose: vec![],
            dated: true,
            named: true,
            forged: false,
            old: false,
        }
    }

    fn with(mut self, data: SubpacketData) -> Self {
        self.more.push(Subpacket::regular(data).unwrap());
        self
    }

    fn critical(mut self, data: SubpacketData) -> Self {
        self.more.push(Subpacket::critical(data).unwrap());
        self
    }

    fn hash(mut self, hash: HashAlgorithm) -> Self {
        self.hash = Some(hash);
        self
    }

    fn forged(mut self) -> Self {
        self.forged = true;
        self
    }
}

fn uid(at: i64) -> Spec {
    Spec { flags: Some((true, true)), ..Spec::new(SignatureType::CertPositive, at) }
}

fn direct(at: i64) -> Spec {
    Spec { flags: Some((true, true)), ..Spec::new(SignatureType::Key, at) }
}

/// The binding of a subkey, and the signature by the subkey in it.
#[derive(Clone)]
struct Binding(Spec, Option<Spec>);

fn binding(at: i64) -> Binding {
    let back = Spec::new(SignatureType::KeyBinding, at);
    Binding(
        Spec { flags: Some((false, true)), ..Spec::new(SignatureType::SubkeyBinding, at) },
        Some(back),
    )
}

fn revocation(kind: SignatureType, at: i64, reason: Option<RevocationCode>) -> Spec {
    let spec = Spec::new(kind, at);
    match reason {
        Some(reason) => spec.with(SubpacketData::RevocationReason(reason, "".into())),
        None => spec,
    }
}

/// A keyring with one key, and a signature of a file.
#[derive(Clone)]
struct Scene {
    data: Spec,
    by_subkey: bool,
    direct: Vec<Spec>,
    uid: Vec<Spec>,
    subkey: Vec<Binding>,
    /// Revocations of the subkey.
    subkey_revoked: Vec<Spec>,
    /// What happens to the signature and to the file afterwards.
    damaged: bool,
    altered: bool,
    /// Whether the keyring holds another key instead.
    stranger: bool,
}

struct Rig {
    key: SignedSecretKey,
    other: SignedSecretKey,
    hash: HashAlgorithm,
    now: u32,
}

const TEXT: &str = "Origin: Test\nSuite: test\n";

fn generate(kind: &KeyType, made: Timestamp) -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params
        .key_type(kind.clone())
        .created_at(made)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("Test <test@example.invalid>".into())
        .subkey(
            SubkeyParamsBuilder::default()
                .key_type(kind.clone())
                .created_at(made)
                .can_sign(true)
                .build()
                .unwrap(),
        );
    params.build().unwrap().generate(rand::thread_rng()).unwrap()
}

/// Signs the file in any way, also in those that rPGP refuses.
fn signed(config: SignatureConfig, key: &impl SigningKey) -> Signature {
    let hash = config.hash_alg;
    let mut hasher = hash.new_hasher().unwrap();
    let is_text = config.typ() == SignatureType::Text;
    let text = if is_text { TEXT.replace('\n', "\r\n") } else { TEXT.to_owned() };
    hasher.update(text.as_bytes());
    let len = config.hash_signature_data(&mut hasher).unwrap();
    hasher.update(&config.trailer(len).unwrap());
    let digest = hasher.finalize();
    let values = key.sign(&Password::empty(), hash, &digest).unwrap();
    Signature::from_config(config, [digest[0], digest[1]], values).unwrap()
}

impl Rig {
    fn new(kind: &KeyType, hash: HashAlgorithm) -> Self {
        let now = Timestamp::now().as_secs();
        let made = Timestamp::from_secs((i64::from(now) + MADE).try_into().unwrap());
        Rig { key: generate(kind, made), other: generate(kind, made), hash, now }
    }

    fn time(&self, at: i64) -> Timestamp {
        Timestamp::from_secs((i64::from(self.now) + at).try_into().unwrap())
    }

    fn config(&self, spec: &Spec, issuer: &impl KeyDetails) -> SignatureConfig {
        let hash = spec.hash.unwrap_or(self.hash);
        let algorithm = issuer.algorithm();
        if spec.old {
            let id = issuer.legacy_key_id();
            return SignatureConfig::v3(spec.kind, algorithm, hash, self.time(spec.at), id);
        }
        let mut config = SignatureConfig::v4(spec.kind, algorithm, hash);
        let regular = |data| Subpacket::regular(data).unwrap();
        let mut hashed = vec![];
        if spec.dated {
            hashed.push(regular(SubpacketData::SignatureCreationTime(self.time(spec.at))));
        }
        if spec.named {
            hashed.push(regular(SubpacketData::IssuerFingerprint(issuer.fingerprint())));
            config.unhashed_subpackets =
                vec![regular(SubpacketData::IssuerKeyId(issuer.legacy_key_id()))];
        }
        if let Some((certify, sign)) = spec.flags {
            let mut flags = KeyFlags::default();
            flags.set_certify(certify);
            flags.set_sign(sign);
            hashed.push(regular(SubpacketData::KeyFlags(flags)));
        }
        hashed.extend(spec.more.clone());
        config.hashed_subpackets = hashed;
        config.unhashed_subpackets.extend(spec.loose.clone());
        config
    }

    /// Makes a signature of the primary key about itself, or about its name.
    fn about_itself(&self, spec: &Spec) -> Signature {
        let none = Password::empty();
        let public = self.key.primary_key.public_key();
        let signer = if spec.forged { &self.other } else { &self.key };
        let config = self.config(spec, public);
        let id = &self.key.details.users[0].id;
        match spec.kind {
            SignatureType::Key | SignatureType::KeyRevocation => {
                config.sign_key(&signer.primary_key, &none, public).unwrap()
            }
            _ => {
                config.sign_certification(&signer.primary_key, public, &none, id.tag(), id).unwrap()
            }
        }
    }

    fn about_subkey(&self, Binding(spec, back): &Binding) -> Signature {
        let none = Password::empty();
        let (public, subkey) = (self.key.primary_key.public_key(), &self.key.secret_subkeys[0].key);
        let mut spec = spec.clone();
        if let Some(back) = back {
            let signer = if back.forged { &self.other } else { &self.key };
            let config = self.config(back, subkey.public_key());
            let signature = config
                .sign_primary_key_binding(
                    &signer.secret_subkeys[0].key,
                    subkey.public_key(),
                    &none,
                    public,
                )
                .unwrap();
            let embedded = SubpacketData::EmbeddedSignature(Box::new(signature));
            spec.loose.push(Subpacket::regular(embedded).unwrap());
        }
        let signer = if spec.forged { &self.other } else { &self.key };
        let config = self.config(&spec, public);
        config.sign_subkey_binding(&signer.primary_key, public, &none, subkey.public_key()).unwrap()
    }

    /// Returns the keyring, the armoured signature and the file of a scene.
    fn files(&self, scene: &Scene) -> (Vec<u8>, String, String) {
        let key = &self.key;
        let mut ring = vec![];
        let mut add = |packet: &dyn Fn(&mut Vec<u8>)| packet(&mut ring);
        if scene.stranger {
            use pgp::ser::Serialize as _;
            add(&|out| out.extend(self.other.to_public_key().to_bytes().unwrap()));
        } else {
            add(&|out| key.primary_key.public_key().to_writer_with_header(out).unwrap());
            let (names, alone): (Vec<&Spec>, Vec<&Spec>) =
                scene.uid.iter().chain(&scene.direct).partition(|spec| {
                    !matches!(spec.kind, SignatureType::Key | SignatureType::KeyRevocation)
                });
            for spec in alone {
                add(&|out| self.about_itself(spec).to_writer_with_header(out).unwrap());
            }
            add(&|out| key.details.users[0].id.to_writer_with_header(out).unwrap());
            for spec in names {
                add(&|out| self.about_itself(spec).to_writer_with_header(out).unwrap());
            }
            let subkey = key.secret_subkeys[0].key.public_key();
            add(&|out| subkey.to_writer_with_header(out).unwrap());
            for spec in scene.subkey_revoked.iter().map(|spec| Binding(spec.clone(), None)) {
                add(&|out| self.about_subkey(&spec).to_writer_with_header(out).unwrap());
            }
            for spec in &scene.subkey {
                add(&|out| self.about_subkey(spec).to_writer_with_header(out).unwrap());
            }
        }
        let signature = if scene.by_subkey {
            let subkey = &key.secret_subkeys[0].key;
            signed(self.config(&scene.data, subkey.public_key()), subkey)
        } else {
            signed(self.config(&scene.data, key.primary_key.public_key()), &key.primary_key)
        };
        let mut armour = DetachedSignature::new(signature)
            .to_armored_string(ArmorOptions { include_checksum: false, ..Default::default() })
            .unwrap();
        if scene.damaged {
            // A letter near the end of the values of the signature.
            let at = armour.rfind("\n-----END").unwrap() - 12;
            let letter = if armour.as_bytes()[at] == b'A' { "B" } else { "A" };
            armour.replace_range(at..=at, letter);
        }
        let text = if scene.altered { TEXT.replace("test", "tesu") } else { TEXT.to_owned() };
        (ring, armour, text)
    }
}

type Change = fn(&mut Scene);

/// The situations: a class, a name, and what is changed in a good scene.
const SITUATIONS: &[(&str, &str, Change)] = &[
    ("good", "by the primary key", |_| {}),
    ("good", "by a subkey", |s| s.by_subkey = true),
    ("good", "sha384", |s| s.data.hash = Some(HashAlgorithm::Sha384)),
    ("good", "sha512", |s| s.data.hash = Some(HashAlgorithm::Sha512)),
    ("bytes", "altered text", |s| s.altered = true),
    ("bytes", "damaged signature", |s| s.damaged = true),
    ("bytes", "key not in the keyring", |s| s.stranger = true),
    ("bytes", "text signature of a file", |s| s.data.kind = SignatureType::Text),
    ("bytes", "signature of another kind", |s| s.data.kind = SignatureType::Standalone),
    ("bytes", "format of version 3", |s| s.data.old = true),
    ("bytes", "no issuer", |s| s.data.named = false),
    ("weak hash", "data md5", |s| s.data.hash = Some(HashAlgorithm::Md5)),
    ("weak hash", "data sha1", |s| s.data.hash = Some(HashAlgorithm::Sha1)),
    ("weak hash", "data ripemd160", |s| s.data.hash = Some(HashAlgorithm::Ripemd160)),
    ("weak hash", "data sha224", |s| s.data.hash = Some(HashAlgorithm::Sha224)),
    ("weak hash", "data sha3-256", |s| s.data.hash = Some(HashAlgorithm::Sha3_256)),
    ("weak hash", "statement md5", |s| s.uid[0].hash = Some(HashAlgorithm::Md5)),
    ("weak hash", "statement sha1", |s| s.uid[0].hash = Some(HashAlgorithm::Sha1)),
    ("weak hash", "statement sha224", |s| s.uid[0].hash = Some(HashAlgorithm::Sha224)),
    ("weak hash", "statement sha1 beside sha2", |s| {
        s.uid.push(uid(MADE + DAY).hash(HashAlgorithm::Sha1));
    }),
    ("weak hash", "binding sha1", |s| {
        s.by_subkey = true;
        s.subkey[0].0.hash = Some(HashAlgorithm::Sha1);
    }),
    ("weak hash", "back signature sha1", |s| {
        s.by_subkey = true;
        s.subkey[0].1.as_mut().unwrap().hash = Some(HashAlgorithm::Sha1);
    }),
    ("time", "not dated", |s| s.data.dated = false),
    ("time", "made in a day", |s| s.data.at = DAY),
    ("time", "made in an hour", |s| s.data.at = 3600),
    ("time", "made before the key", |s| s.data.at = MADE - DAY),
    ("time", "made before any statement", |s| {
        s.uid[0].at = MADE + 50 * DAY;
        s.data.at = MADE + 10 * DAY;
    }),
    ("time", "signature ends later", |s| {
        s.data = s.data.clone().with(SubpacketData::SignatureExpirationTime(days(20)));
    }),
    ("time", "signature has ended", |s| {
        s.data = s.data.clone().with(SubpacketData::SignatureExpirationTime(days(5)));
    }),
    ("time", "critical end of the signature has come", |s| {
        s.data = s.data.clone().critical(SubpacketData::SignatureExpirationTime(days(5)));
    }),
    ("time", "signature that ends after no time", |s| {
        s.data = s.data.clone().with(SubpacketData::SignatureExpirationTime(days(0)));
    }),
    ("key's time", "key ends later", |s| s.uid[0] = key_lasts(uid(MADE), 200)),
    ("key's time", "key ended before the signature", |s| s.uid[0] = key_lasts(uid(MADE), 50)),
    ("key's time", "key ended after the signature", |s| s.uid[0] = key_lasts(uid(MADE), 95)),
    ("key's time", "key was prolonged before it ended", |s| {
        s.uid = vec![key_lasts(uid(MADE), 95), key_lasts(uid(MADE + 50 * DAY), 200)];
    }),
    ("key's time", "key was prolonged after the signature", |s| {
        s.uid = vec![key_lasts(uid(MADE), 95), key_lasts(uid(-5 * DAY), 200)];
    }),
    ("key's time", "key was prolonged after it had ended", |s| {
        s.uid = vec![key_lasts(uid(MADE), 80), key_lasts(uid(-5 * DAY), 200)];
    }),
    ("key's time", "key was cut short after the signature", |s| {
        s.uid = vec![uid(MADE), key_lasts(uid(-5 * DAY), 92)];
    }),
    ("key's time", "end in a direct statement", |s| {
        s.direct = vec![key_lasts(direct(MADE), 50)];
    }),
    ("key's time", "statement that has ended", |s| {
        s.uid[0] = uid(MADE).with(SubpacketData::SignatureExpirationTime(days(50)));
    }),
    ("key's time", "subkey ends later", |s| subkey_lasts(s, 200)),
    ("key's time", "subkey ended before the signature", |s| subkey_lasts(s, 50)),
    ("key's time", "subkey ended after the signature", |s| subkey_lasts(s, 95)),
    ("key's time", "primary key of the subkey ended before the signature", |s| {
        s.by_subkey = true;
        s.uid[0] = key_lasts(uid(MADE), 50);
    }),
    ("key's time", "binding from after the signature", |s| {
        s.by_subkey = true;
        s.subkey = vec![binding(-5 * DAY)];
    }),
    ("key's time", "binding that has ended", |s| {
        s.by_subkey = true;
        s.subkey[0].0 =
            s.subkey[0].0.clone().with(SubpacketData::SignatureExpirationTime(days(50)));
    }),
    ("statements", "none", |s| s.uid.clear()),
    ("statements", "a direct one alone", |s| {
        s.uid.clear();
        s.direct = vec![direct(MADE)];
    }),
    ("statements", "by another key", |s| s.uid = vec![uid(MADE).forged()]),
    ("statements", "good, and then by another key", |s| {
        s.uid.push(key_lasts(uid(MADE + DAY), 5).forged());
    }),
    ("statements", "without flags", |s| s.uid[0].flags = None),
    ("statements", "may only certify", |s| s.uid[0].flags = Some((true, false))),
    ("statements", "may only certify, and its subkey signs", |s| {
        s.by_subkey = true;
        s.uid[0].flags = Some((true, false));
    }),
    ("statements", "may no longer sign since before the signature", |s| {
        s.uid.push(Spec { flags: Some((true, false)), ..uid(MADE + DAY) });
    }),
    ("statements", "may no longer sign since after the signature", |s| {
        s.uid.push(Spec { flags: Some((true, false)), ..uid(-5 * DAY) });
    }),
    ("statements", "generic certification", |s| s.uid[0].kind = SignatureType::CertGeneric),
    ("subkeys", "no binding", |s| {
        s.by_subkey = true;
        s.subkey.clear();
    }),
    ("subkeys", "binding by another key", |s| {
        s.by_subkey = true;
        s.subkey[0].0.forged = true;
    }),
    ("subkeys", "no back signature", |s| {
        s.by_subkey = true;
        s.subkey[0].1 = None;
    }),
    ("subkeys", "back signature by another key", |s| {
        s.by_subkey = true;
        s.subkey[0].1.as_mut().unwrap().forged = true;
    }),
    ("subkeys", "back signature that has ended", |s| {
        s.by_subkey = true;
        let back = s.subkey[0].1.take().unwrap();
        s.subkey[0].1 = Some(back.with(SubpacketData::SignatureExpirationTime(days(50))));
    }),
    ("subkeys", "without flags", |s| {
        s.by_subkey = true;
        s.subkey[0].0.flags = None;
    }),
    ("subkeys", "may not sign", |s| {
        s.by_subkey = true;
        s.subkey[0].0.flags = Some((false, false));
    }),
    ("subkeys", "may no longer sign", |s| {
        s.by_subkey = true;
        let mut later = binding(MADE + DAY);
        later.0.flags = Some((false, false));
        s.subkey.push(later);
    }),
    ("revocations", "key, no reason", |s| s.direct = vec![key_revoked(-5 * DAY, None)]),
    ("revocations", "key, stolen", |s| {
        s.direct = vec![key_revoked(-5 * DAY, Some(RevocationCode::KeyCompromised))];
    }),
    ("revocations", "key, retired after the signature", |s| {
        s.direct = vec![key_revoked(-5 * DAY, Some(RevocationCode::KeyRetired))];
    }),
    ("revocations", "key, superseded before the signature", |s| {
        s.direct = vec![key_revoked(-50 * DAY, Some(RevocationCode::KeySuperseded))];
    }),
    ("revocations", "key, superseded and then used again", |s| {
        s.direct = vec![key_revoked(-50 * DAY, Some(RevocationCode::KeySuperseded))];
        s.uid.push(uid(-30 * DAY));
    }),
    ("weak hash", "revocation sha1", |s| {
        s.direct = vec![key_revoked(-5 * DAY, None).hash(HashAlgorithm::Sha1)];
    }),
    ("weak hash", "revocation md5", |s| {
        s.direct = vec![key_revoked(-5 * DAY, None).hash(HashAlgorithm::Md5)];
    }),
    ("revocations", "key, by another key in its name", |s| {
        s.direct = vec![key_revoked(-5 * DAY, None).forged()];
    }),
    ("revocations", "primary key of the subkey", |s| {
        s.by_subkey = true;
        s.direct = vec![key_revoked(-5 * DAY, None)];
    }),
    ("revocations", "subkey, no reason", |s| revoke_subkey(s, -5 * DAY, None)),
    ("revocations", "subkey, retired after the signature", |s| {
        revoke_subkey(s, -5 * DAY, Some(RevocationCode::KeyRetired));
    }),
    ("revocations", "subkey, retired before the signature", |s| {
        revoke_subkey(s, -50 * DAY, Some(RevocationCode::KeyRetired));
    }),
    ("revocations", "subkey, and the primary key signs", |s| {
        revoke_subkey(s, -50 * DAY, None);
        s.by_subkey = false;
    }),
    ("revocations", "subkey, by another key in its name", |s| {
        revoke_subkey(s, -5 * DAY, None);
        s.subkey_revoked[0].forged = true;
    }),
    ("revocations", "name, before the signature", |s| {
        s.uid.push(revocation(SignatureType::CertRevocation, -50 * DAY, None));
    }),
    ("revocations", "name, after the signature", |s| {
        s.uid.push(revocation(SignatureType::CertRevocation, -5 * DAY, None));
    }),
    ("revocations", "name, and certified again", |s| {
        s.uid.push(revocation(SignatureType::CertRevocation, -50 * DAY, None));
        s.uid.push(uid(-30 * DAY));
    }),
    ("critical", "unknown subpacket", |s| {
        s.data = s.data.clone().critical(SubpacketData::Experimental(101, vec![1].into()));
    }),
    ("critical", "unknown subpacket that need not be understood", |s| {
        s.data = s.data.clone().with(SubpacketData::Experimental(101, vec![1].into()));
    }),
    ("critical", "notation", |s| s.data = s.data.clone().critical(notation())),
    ("critical", "notation that need not be understood", |s| {
        s.data = s.data.clone().with(notation());
    }),
    ("critical", "unknown subpacket of the statement", |s| {
        s.uid[0] = uid(MADE).critical(SubpacketData::Experimental(101, vec![1].into()));
    }),
    ("critical", "notation of the statement", |s| s.uid[0] = uid(MADE).critical(notation())),
    ("critical", "notation of a newer statement", |s| {
        s.uid.push(key_lasts(uid(MADE + DAY), 5).critical(notation()));
    }),
    ("critical", "policy", |s| {
        s.data =
            s.data.clone().critical(SubpacketData::PolicyURI("https://example.invalid".into()));
    }),
    ("critical", "unknown subpacket that is not signed", |s| {
        let data = SubpacketData::Experimental(101, vec![1].into());
        s.data.loose.push(Subpacket::critical(data).unwrap());
    }),
];

fn days(n: u32) -> Duration {
    Duration::from_secs(n * DAY as u32)
}

fn notation() -> SubpacketData {
    let (name, value) = ("x@example.invalid".into(), "x".into());
    SubpacketData::Notation(Notation { readable: true, name, value })
}

fn key_lasts(spec: Spec, n: u32) -> Spec {
    spec.with(SubpacketData::KeyExpirationTime(days(n)))
}

fn subkey_lasts(scene: &mut Scene, n: u32) {
    scene.by_subkey = true;
    scene.subkey[0].0 = key_lasts(scene.subkey[0].0.clone(), n);
}

fn key_revoked(at: i64, reason: Option<RevocationCode>) -> Spec {
    revocation(SignatureType::KeyRevocation, at, reason)
}

fn revoke_subkey(scene: &mut Scene, at: i64, reason: Option<RevocationCode>) {
    scene.by_subkey = true;
    scene.subkey_revoked = vec![revocation(SignatureType::SubkeyRevocation, at, reason)];
}

/// Returns what cotter says: the reason, or that the signature was good and has ended.
fn ours(ring: &[u8], armour: &str, text: &str, now: u64) -> Result<(), String> {
    let keys = keys(ring).ok_or("no keyring")?;
    let message = Signed::detached(text, armour).ok_or("no signature")?;
    let judgement = message.judge(&keys, now);
    match judgement.signer {
        Some(signer) if signer.until.is_some_and(|until| until <= now) => Err("has ended".into()),
        Some(_) => Ok(()),
        None => Err(judgement.flaws.first().map_or(Flaw::UnknownKey, |f| f.1).to_string()),
    }
}

fn theirs(peer: Peer, scratch: &Scratch) -> bool {
    let (ring, signature, file) =
        (scratch.join("ring.gpg"), scratch.join("file.sig"), scratch.join("file"));
    match peer {
        Sqv => {
            let mut command = Command::new("sqv");
            command.arg("--keyring").arg(&ring).arg(&signature).arg(&file);
            command.output().expect("sqv is installed").status.success()
        }
        Gpgv => {
            let mut command = Command::new("gpgv");
            command.arg("--homedir").arg(scratch.path()).args(["--status-fd", "1", "--keyring"]);
            command.arg(&ring).arg(&signature).arg(&file);
            let output = command.output().expect("gpgv is installed");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let has =
                |word: &str| text.lines().any(|l| l.starts_with(&format!("[GNUPG:] {word} ")));
            let strong = text.lines().any(|l| {
                let words: Vec<&str> = l.split(' ').collect();
                words.get(1) == Some(&"VALIDSIG")
                    && words.get(9).is_some_and(|hash| ["8", "9", "10", "11"].contains(hash))
            });
            has("GOODSIG") && strong
        }
    }
}

/// What the three programs made of the cases.
#[derive(Default)]
struct Tally {
    /// For each class: the number of its cases, how many of them each program accepts, and how many cotter and another
    /// program judge alike.
    classes: BTreeMap<&'static str, [usize; 6]>,
    count: usize,
    wrong: Vec<String>,
    listed: BTreeSet<(&'static str, Peer)>,
}

impl Tally {
    /// Gives a case to the three programs. The entries of [`DIFFERENCES`] that are about it have one of these names.
    fn judge(&mut self, rig: &Rig, scene: &Scene, class: &'static str, names: [&str; 2]) {
        self.judge_files(rig, rig.files(scene), class, names);
    }

    fn judge_files(
        &mut self,
        rig: &Rig,
        (ring, armour, text): (Vec<u8>, String, String),
        class: &'static str,
        names: [&str; 2],
    ) {
        let scratch = Scratch::new();
        scratch.write("ring.gpg", &ring);
        scratch.write("file.sig", &armour);
        scratch.write("file", &text);
        let ours = ours(&ring, &armour, &text, rig.now.into());
        self.count += 1;
        let row = self.classes.entry(class).or_default();
        row[0] += 1;
        row[1] += usize::from(ours.is_ok());
        for (i, peer) in [Sqv, Gpgv].into_iter().enumerate() {
            let theirs = theirs(peer, &scratch);
            row[2 + i] += usize::from(theirs);
            row[4 + i] += usize::from(theirs == ours.is_ok());
            if theirs == ours.is_ok() {
                continue;
            }
            let listed = DIFFERENCES.iter().find(|(s, p, _)| names.contains(s) && *p == peer);
            match listed.filter(|_| ours.is_err()) {
                Some((listed, ..)) => drop(self.listed.insert((listed, peer))),
                None => {
                    let names = names.join(", ");
                    self.wrong
                        .push(format!("{class}: {names}: cotter {ours:?}, {peer:?} {theirs}"));
                }
            }
        }
    }

    fn print(&self) {
        eprintln!("{:<14}cases  cotter  sqv  gpgv (accepted)  as sqv  as gpgv", "");
        for (class, [cases, ours, sqv, gpgv, as_sqv, as_gpgv]) in &self.classes {
            eprintln!("{class:<14}{cases:>5}{ours:>8}{sqv:>5}{gpgv:>6}{as_sqv:>19}{as_gpgv:>9}");
        }
        for (situation, peer, why) in DIFFERENCES {
            eprintln!("{situation}: cotter refuses it, {peer:?} does not: {why}");
        }
    }
}

#[test]
fn the_policy_is_that_of_sqv_and_gpgv_but_for_listed_differences() {
    let kinds = [
        ("rsa2048", KeyType::Rsa(2048), HashAlgorithm::Sha512),
        ("ed25519", KeyType::Ed25519Legacy, HashAlgorithm::Sha256),
        ("p256", KeyType::ECDSA(ECCCurve::P256), HashAlgorithm::Sha256),
    ];
    let good = Scene {
        data: Spec::new(SignatureType::Binary, -10 * DAY),
        by_subkey: false,
        direct: vec![],
        uid: vec![uid(MADE)],
        subkey: vec![binding(MADE)],
        subkey_revoked: vec![],
        damaged: false,
        altered: false,
        stranger: false,
    };
    let mut tally = Tally::default();
    for (name, kind, hash) in &kinds {
        let rig = Rig::new(kind, *hash);
        for (class, situation, change) in SITUATIONS {
            // rPGP makes weak hashes only with RSA.
            if *class == "weak hash" && *name != "rsa2048" {
                continue;
            }
            let mut scene = good.clone();
            change(&mut scene);
            tally.judge(&rig, &scene, class, [situation, name]);
        }
    }
    let others = [
        ("p384", KeyType::ECDSA(ECCCurve::P384), HashAlgorithm::Sha384),
        ("rsa3072", KeyType::Rsa(3072), HashAlgorithm::Sha256),
        ("dsa2048", KeyType::Dsa(DsaKeySize::B2048), HashAlgorithm::Sha256),
        ("p521", KeyType::ECDSA(ECCCurve::P521), HashAlgorithm::Sha512),
        ("ed448", KeyType::Ed448, HashAlgorithm::Sha512),
    ];
    for (name, kind, hash) in &others {
        let rig = Rig::new(kind, *hash);
        for by_subkey in [false, true] {
            tally.judge(&rig, &Scene { by_subkey, ..good.clone() }, "other keys", [name, ""]);
        }
    }
    // One byte of the keyring is changed, at a place in each tenth of it, or a letter of the signature.
    let rig = Rig::new(&KeyType::Ed25519Legacy, HashAlgorithm::Sha256);
    let files = rig.files(&Scene { by_subkey: true, ..good });
    for (n, change) in (0..40).zip([1, 16, 128].into_iter().cycle()) {
        let (mut ring, armour, text) = files.clone();
        let at = n * ring.len() / 40;
        ring[at] ^= change;
        tally.judge_files(&rig, (ring, armour, text), "mutations", ["damaged keyring", ""]);
        let (ring, mut armour, text) = files.clone();
        let (start, end) = (armour.find("\n\n").unwrap() + 2, armour.rfind("\n-----END").unwrap());
        let at = start + n * (end - start) / 40;
        let letter = if armour.as_bytes()[at] == b'k' { "j" } else { "k" };
        armour.replace_range(at..=at, letter);
        tally.judge_files(&rig, (ring, armour, text), "mutations", ["damaged signature", ""]);
    }
    tally.print();
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    assert!(tally.count >= 200, "{}", tally.count);
    // It depends on the keys whether a mutation hits one of the few bytes that are not signed.
    for (situation, peer, _) in DIFFERENCES.iter().filter(|d| d.2 != UNSIGNED) {
        assert!(tally.listed.contains(&(situation, *peer)), "{situation}: {peer:?} agrees");
    }
}

//! A small Debian archive that a key of the test signs.

use std::collections::BTreeMap;

use cotter::internals::Digest;
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder,
    SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize as _;
use pgp::types::Password;

use super::archive::{Tar, xz};
use super::server::Server;

/// A signing key.
pub struct Signer(SignedSecretKey);

impl Signer {
    pub fn new() -> Self {
        let mut rng = rand::thread_rng();
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("Test archive <test@example.invalid>".into())
            .build()
            .unwrap();
        Signer(params.generate(&mut rng).unwrap())
    }

    pub fn public(&self) -> String {
        self.0.to_public_key().to_armored_string(ArmorOptions::default()).unwrap()
    }

    pub fn sign(&self, text: &str) -> String {
        let message = CleartextSignedMessage::sign(
            rand::thread_rng(),
            text,
            &self.0.primary_key,
            &Password::empty(),
        )
        .unwrap();
        message.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// Returns an armoured signature of a file.
    pub fn sign_apart(&self, text: &str) -> String {
        let signature = DetachedSignature::sign_binary_data(
            rand::thread_rng(),
            &self.0.primary_key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            text.as_bytes(),
        )
        .unwrap();
        signature.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// Returns the private key, armoured.
    pub fn private(&self) -> String {
        self.0.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// Returns the public key in binary form.
    pub fn public_bytes(&self) -> Vec<u8> {
        self.0.to_public_key().to_bytes().unwrap()
    }
}

/// The content of an archive.
#[derive(Default)]
pub struct Archive {
    stanzas: BTreeMap<String, String>,
    debs: Vec<(String, Vec<u8>)>,
    pub valid_until: Option<String>,
}

impl Archive {
    /// Adds a package with the given files. `fields` are further lines of its stanza.
    pub fn package(&mut self, name: &str, version: &str, fields: &str, data: Tar) {
        let deb = deb(&xz(&data.finish()));
        self.raw_package(name, version, fields, deb);
    }

    /// Adds a package with these files and this maintainer script `postinst`.
    pub fn scripted(&mut self, name: &str, version: &str, fields: &str, postinst: &str, data: Tar) {
        let control = Tar::new()
            .file("./control", format!("Package: {name}\n").as_bytes())
            .program("./postinst", postinst.as_bytes());
        let deb = deb_with(&xz(&control.finish()), &xz(&data.finish()));
        self.raw_package(name, version, fields, deb);
    }

    /// Adds a package with the given bytes.
    pub fn raw_package(&mut self, name: &str, version: &str, fields: &str, deb: Vec<u8>) {
        let path = format!("pool/main/{name}_{version}_amd64.deb");
        let stanza = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}Filename: {path}\nSize: {}\nSHA256: {}\n",
            deb.len(),
            Digest::of(&deb)
        );
        self.stanzas.insert(format!("{name} {version}"), stanza);
        self.debs.push((path, deb));
    }

    /// Puts the archive on a server, below `/debian`.
    pub fn publish(&self, server: &Server, signer: &Signer) {
        self.publish_as(server, signer, &Published::default());
    }

    /// Puts the archive on a server.
    pub fn publish_as(&self, server: &Server, signer: &Signer, how: &Published) {
        let Published { root, suite, date, fields, form } = how;
        let dir = match form {
            Form::Flat => format!("{root}/{suite}").trim_end_matches(['/', '.']).to_owned(),
            _ => format!("{root}/dists/{suite}"),
        };
        let of = |all: bool| -> Vec<u8> {
            let wanted = |s: &&String| *form != Form::AllApart || s.contains(": all\n") == all;
            let stanzas = self.stanzas.values().filter(wanted);
            xz(stanzas.map(|s| format!("{s}\n")).collect::<String>().as_bytes())
        };
        let indexes = match form {
            Form::Flat => vec![("Packages.xz", of(false))],
            Form::AllApart => vec![
                ("main/binary-amd64/Packages.xz", of(false)),
                ("main/binary-all/Packages.xz", of(true)),
            ],
            _ => vec![("main/binary-amd64/Packages.xz", of(false))],
        };
        let valid =
            self.valid_until.as_ref().map(|v| format!("Valid-Until: {v}\n")).unwrap_or_default();
        let mut release =
            format!("Origin: Test\nSuite: {suite}\nDate: {date}\n{valid}{fields}SHA256:\n");
        for (name, bytes) in indexes {
            release += &format!(" {} {} {name}\n", Digest::of(&bytes), bytes.len());
            server.put(&format!("{dir}/{name}"), bytes);
        }
        if *form == Form::Detached {
            server.put(&format!("{dir}/Release.gpg"), signer.sign_apart(&release));
            server.put(&format!("{dir}/Release"), release);
        } else {
            server.put(&format!("{dir}/InRelease"), signer.sign(&release));
        }
        for (path, deb) in &self.debs {
            server.put(&format!("{root}/{path}"), deb.clone());
        }
    }
}

/// Where and how an archive is published.
pub struct Published<'a> {
    pub root: &'a str,
    pub suite: &'a str,
    pub date: &'a str,
    /// Further lines of the release.
    pub fields: &'a str,
    pub form: Form,
}

/// The forms of an archive.
#[derive(PartialEq)]
pub enum Form {
    /// `dists/<suite>/InRelease`.
    Usual,
    /// `Release` and `Release.gpg`.
    Detached,
    /// Without `dists` and components.
    Flat,
    /// The packages for all architectures have an index of their own.
    AllApart,
}

impl Default for Published<'_> {
    fn default() -> Self {
        let date = "Sat, 11 Jul 2026 10:16:37 UTC";
        Published { root: "/debian", suite: "test", date, fields: "", form: Form::Usual }
    }
}

/// Returns a Debian package with a compressed data member.
pub fn deb(data: &[u8]) -> Vec<u8> {
    deb_with(&xz(&Tar::new().finish()), data)
}

/// A Debian package around a control member, compressed with xz, and a compressed data member.
pub fn deb_with(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar.xz", control), ("data.tar.xz", data)]
    {
        out.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len())
                .as_bytes(),
        );
        out.extend(content);
        if content.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

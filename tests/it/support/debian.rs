//! A small Debian archive that a key of the test signs.

use std::collections::BTreeMap;

use cotter::internals::Digest;
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
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
        let packages =
            xz(self.stanzas.values().map(|s| format!("{s}\n")).collect::<String>().as_bytes());
        let valid =
            self.valid_until.as_ref().map(|v| format!("Valid-Until: {v}\n")).unwrap_or_default();
        let release = format!(
            "Origin: Test\nSuite: test\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n{valid}SHA256:\n {} {} main/binary-amd64/Packages.xz\n",
            Digest::of(&packages),
            packages.len()
        );
        server.put("/debian/dists/test/InRelease", signer.sign(&release));
        server.put("/debian/dists/test/main/binary-amd64/Packages.xz", packages);
        for (path, deb) in &self.debs {
            server.put(&format!("/debian/{path}"), deb.clone());
        }
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

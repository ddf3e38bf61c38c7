//! What maintainer scripts would generate, from small packages that the test makes.

use crate::archives::manifest;
use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains};

/// Makes the tree of an archive. Returns the project, and what locking it told.
fn tree_of(tar: Tar) -> (Project, String) {
    let server = Server::start();
    let bytes = tar.finish();
    let project = Project::new(&manifest(&server.put("/a.tar", bytes.clone()), &bytes, ""));
    let output = project.cotter(&["setup"]).output().unwrap();
    let told = crate::support::text(&output);
    assert!(output.status.success(), "{told}");
    (project, told)
}

fn certificate(content: &str) -> Vec<u8> {
    format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----").into_bytes()
}

#[test]
fn certificates_are_gathered_and_java_gets_its_own_store() {
    let tar = Tar::new()
        .program("bin/tool", b"#no program")
        .file("usr/share/ca-certificates/b/Zwei, (2).crt", &certificate("AAEC"))
        .file("usr/share/ca-certificates/a/Eins.crt", &certificate("AwQF"))
        .file("usr/lib/jvm/x/release", b"")
        .symlink("usr/lib/jvm/x/lib/security/cacerts", "/etc/ssl/certs/java/cacerts");
    let (project, told) = tree_of(tar);
    assert!(!told.contains("certificates"), "{told}");
    let tree = project.tree();
    let read = |path: &str| std::fs::read(tree.join(path)).unwrap();
    let expected = [certificate("AwQF"), b"\n".to_vec(), certificate("AAEC"), b"\n".to_vec()];
    assert_eq!(read("etc/ssl/certs/ca-certificates.crt"), expected.concat());
    assert_eq!(read("usr/lib/ssl/cert.pem"), expected.concat());
    assert_eq!(read("usr/lib/ssl/certs/Zwei__=2=.pem"), certificate("AAEC"));
    let store = read("usr/lib/jvm/x/lib/security/cacerts");
    assert_eq!(&store[..12], b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x02");
    for part in ["debian:eins.pem", "debian:zwei__=2=.pem", "X.509", "\x03\x04\x05"] {
        assert!(store.windows(part.len()).any(|w| w == part.as_bytes()), "{part:?}");
    }
}

#[test]
fn a_tree_that_verifies_and_has_no_certificates_is_named() {
    let tar = Tar::new().program("bin/tool", b"#").file("usr/lib/libssl.so.3", b"no library");
    let (_project, told) = tree_of(tar);
    contains(&told, &["warning: thing", "no certificates", "add \"ca-certificates\""]);
}

#[test]
fn extensions_of_php_are_enabled_in_their_order() {
    let tar = Tar::new()
        .program("bin/tool", b"#")
        .file("usr/lib/php/8.2/sapi/cli", b"")
        .file("usr/lib/php/8.2/php.ini-production.cli", b"; cli\n")
        .file("usr/share/php8.2-xml/xml/xml.ini", b"; priority=15\nextension=xml.so\n")
        .file("usr/share/php8.2-curl/curl/curl.ini", b"extension=curl.so\n")
        .file("etc/php/8.2/mods-available/own.ini", b"; priority = 30\n")
        .file("usr/share/php8.4-curl/curl/curl.ini", b"extension=other.so\n");
    let (project, _) = tree_of(tar);
    let etc = project.tree().join("etc/php/8.2");
    let enabled = crate::support::names(&etc.join("cli/conf.d"));
    assert_eq!(enabled, ["15-xml.ini", "20-curl.ini", "30-own.ini"]);
    let read = |path: &str| std::fs::read_to_string(etc.join(path)).unwrap();
    assert_eq!(read("cli/conf.d/20-curl.ini"), "extension=curl.so\n");
    assert_eq!(read("cli/php.ini"), "; cli\n");
}

/// A file that a package brings is never replaced, and a file that is no XML is told.
#[test]
fn what_a_package_brings_stays_and_damage_is_told() {
    let tar = Tar::new()
        .program("bin/tool", b"#")
        .file("usr/share/ca-certificates/a.crt", &certificate("AwQF"))
        .file("etc/ssl/certs/ca-certificates.crt", b"own\n")
        .file("usr/share/mime/packages/bad.xml", b"<mime-info>")
        .file(
            "usr/share/mime/packages/good.xml",
            b"<mime-info><mime-type type='a/b'><glob pattern='*.ab'/></mime-type></mime-info>",
        );
    let (project, told) = tree_of(tar);
    let tree = project.tree();
    assert_eq!(std::fs::read(tree.join("etc/ssl/certs/ca-certificates.crt")).unwrap(), b"own\n");
    contains(&told, &["usr/share/mime/packages/bad.xml is no XML"]);
    let cache = std::fs::read(tree.join("usr/share/mime/mime.cache")).unwrap();
    assert_eq!(&cache[..4], b"\0\x01\0\x02");
    assert!(cache.windows(4).any(|w| w == b"a/b\0"));
}

/// A script with several names finds each of them in its own path, as if the kernel had started it.
#[test]
fn a_script_that_is_called_through_a_link_has_the_name_of_the_link() {
    let tar = Tar::new()
        .program("usr/bin/sh", b"#the interpreter")
        .program("usr/share/x/tool.sh", b"#!/bin/sh\n")
        .symlink("usr/bin/one", "../share/x/tool.sh")
        .symlink("usr/bin/two", "one")
        .program("usr/bin/own", b"#!/bin/sh\n# own\n")
        .symlink("usr/bin/other", "own");
    let (project, _) = tree_of(tar);
    let tree = project.tree();
    for (name, script) in [
        ("one", "usr/share/x/tool.sh"),
        ("two", "usr/share/x/tool.sh"),
        ("own", "usr/bin/.scripts/own"),
        ("other", "usr/bin/.scripts/own"),
    ] {
        let launcher = std::fs::read(tree.join("usr/bin").join(name)).unwrap();
        assert!(launcher.starts_with(b"\x7fELF"), "{name}");
        let path = format!("usr/bin/.scripts/{name}");
        assert!(launcher.windows(path.len()).any(|w| w == path.as_bytes()), "{name}");
        let real = tree.join(&path).canonicalize().unwrap();
        assert_eq!(real, tree.canonicalize().unwrap().join(script), "{name}");
    }
}

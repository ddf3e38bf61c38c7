//! Canonical archives are read and written again; all others are refused.

use std::io::{self, Read};

use super::{NarError, NarVisitor, NarWriter, read};

/// Returns the bytes of a string of the format.
fn string(text: &[u8]) -> Vec<u8> {
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// Returns an archive of words.
fn archive(words: &[&[u8]]) -> Vec<u8> {
    words.iter().flat_map(|word| string(word)).collect()
}

/// Reads an archive and writes it again.
fn again(bytes: &[u8]) -> Result<Vec<u8>, NarError> {
    let mut writer = NarWriter::new(vec![]).unwrap();
    read(bytes, &mut writer)?;
    Ok(writer.into_inner())
}

fn refusal(bytes: &[u8]) -> String {
    match again(bytes) {
        Err(e @ NarError::Refused { .. }) => e.to_string(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn entry(name: &[u8], node: &[&[u8]]) -> Vec<u8> {
    let mut out = archive(&[b"entry", b"(", b"name", name, b"node"]);
    out.extend(archive(node));
    out.extend(string(b")"));
    out
}

const LINK: [&[u8]; 6] = [b"(", b"type", b"symlink", b"target", b"x", b")"];

fn directory(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = archive(&[b"nix-archive-1", b"(", b"type", b"directory"]);
    out.extend(entries.concat());
    out.extend(string(b")"));
    out
}

#[test]
fn what_was_read_is_written_the_same() {
    let mut writer = NarWriter::new(vec![]).unwrap();
    writer.begin_directory().unwrap();
    writer.begin_entry(b"\xff\n").unwrap();
    writer.file(true, 300_001, &mut io::repeat(7).take(300_001), &mut [0; 999]).unwrap();
    writer.end_entry().unwrap();
    let bytes = {
        writer.end_directory().unwrap();
        writer.into_inner()
    };
    assert_eq!(again(&bytes).unwrap(), bytes);
    let nested = directory(&[
        entry(b"a", &[b"(", b"type", b"directory", b")"]),
        entry(b"a-", &[b"(", b"type", b"regular", b"contents", b"12345678", b")"]),
        entry(b"b", &[b"(", b"type", b"regular", b"executable", b"", b"contents", b"", b")"]),
        entry(b"c", &LINK),
    ]);
    assert_eq!(again(&nested).unwrap(), nested);
    for root in [&LINK[..], &[b"(", b"type", b"regular", b"contents", b"", b")"]] {
        let bytes = [string(b"nix-archive-1"), archive(root)].concat();
        assert_eq!(again(&bytes).unwrap(), bytes);
    }
}

#[test]
fn hostile_archives_are_refused_where_they_are_wrong() {
    let link = |name: &[u8]| entry(name, &LINK);
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", b"/"] {
        let told = refusal(&directory(&[link(name)]));
        assert!(told.starts_with("expected a file name"), "{told}");
    }
    let told = refusal(&directory(&[link(&[b'a'; 256])]));
    assert!(told.contains("at most 255 bytes, got 256"), "{told}");
    for (first, second) in [("b", "a"), ("a", "a"), ("\u{ff}", "z")] {
        let told = refusal(&directory(&[link(first.as_bytes()), link(second.as_bytes())]));
        assert!(told.starts_with("expected a name behind"), "{told}");
    }
    let told =
        refusal(&directory(&[entry(b"a", &[b"(", b"type", b"symlink", b"target", b"", b")"])]));
    assert!(told.starts_with("expected a target"), "{told}");
    let mut padded = directory(&[link(b"a")]);
    padded[23] = 1;
    let told = refusal(&padded);
    assert_eq!(told, "expected zeros as padding, got other bytes, at byte 24");
    let told = refusal(&[directory(&[]), vec![0]].concat());
    assert!(told.starts_with("expected the end of the archive"), "{told}");
    let whole = directory(&[link(b"a"), link(b"b")]);
    for end in 0..whole.len() {
        assert!(refusal(&whole[..end]).contains("got the end of the archive"), "{end}");
    }
    let mut absurd = directory(&[]);
    absurd[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&absurd).contains("got 18446744073709551615"));
    let mut endless = archive(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
    endless.extend(u64::MAX.to_le_bytes());
    assert!(refusal(&endless).contains("more bytes of a file"), "nothing is allocated for it");
}

#[test]
fn depth_and_paths_are_bounded() {
    let nested = |depth: usize, name: &[u8]| {
        let mut out = archive(&[b"nix-archive-1", b"(", b"type", b"directory"]);
        for _ in 1..depth {
            out.extend(archive(&[b"entry", b"(", b"name", name, b"node"]));
            out.extend(archive(&[b"(", b"type", b"directory"]));
        }
        out.extend((1..depth).flat_map(|_| archive(&[b")", b")"])));
        out.extend(string(b")"));
        out
    };
    let deepest = nested(512, b"a");
    assert_eq!(again(&deepest).unwrap(), deepest);
    assert!(refusal(&nested(513, b"a")).contains("at most 512 directories"));
    assert!(refusal(&nested(100_000, b"a")).contains("at most 512 directories"));
    let told = refusal(&nested(14, &[b'a'; 250]));
    assert!(told.contains("at most 3000 bytes"), "{told}");
}

/// A receiver that fails is not the archive's fault.
#[test]
fn failures_are_told_apart() {
    struct Full;
    impl NarVisitor for Full {
        fn begin_directory(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn end_directory(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn begin_entry(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn end_entry(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn symlink(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn begin_file(&mut self, _: bool, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn content(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn end_file(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(read(&directory(&[])[..], &mut Full), Err(NarError::Visitor(_))));
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(read(Torn, &mut Full), Err(NarError::Read(_))));
}

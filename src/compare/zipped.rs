//! Compares zip archives, such as wheels: the entries, and their fields.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _};

use super::cause::Influence;
use super::spot::{CompareInner, MOST_UNPACKED, Spots, inside, lists};

/// What an archive begins with.
pub const MAGIC: &[u8] = b"PK\x03\x04";

/// An entry.
struct Entry {
    name: String,
    time: String,
    mode: String,
    method: String,
    extra: Vec<u8>,
    content: Vec<u8>,
}

/// Adds the differences of two archives. Returns `false` if one cannot be read.
pub fn archives(both: [&[u8]; 2], within: &[String], inner: CompareInner, out: &mut Spots) -> bool {
    let [Some(old), Some(new)] = both.map(entries) else { return false };
    let names = [&old, &new].map(|list| -> Vec<String> {
        list.iter().map(|entry| format!("entry {}", entry.name)).collect()
    });
    let paired = lists([&names[0], &names[1]], "entries", within, out);
    for (a, b) in paired.both {
        let (old, new) = (&old[a], &new[b]);
        let here = inside(within, names[0][a].clone());
        out.field(&here, "time", [&old.time, &new.time], Some(Influence::Time));
        out.field(&here, "mode", [&old.mode, &new.mode], Some(Influence::Umask));
        out.field(&here, "compression", [&old.method, &new.method], None);
        let (was, is) = (fields(&old.extra), fields(&new.extra));
        for id in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
            let hex = |fields: &BTreeMap<u16, &[u8]>| -> String {
                let bytes = fields.get(id).copied().unwrap_or_default();
                bytes.iter().map(|b| format!("{b:02x}")).collect()
            };
            let (name, cause) = match id {
                0x5455 | 0x5855 | 0x000a => ("times in the extra field", Some(Influence::Time)),
                0x7875 | 0x7855 => ("user in the extra field", Some(Influence::User)),
                _ => ("extra field", None),
            };
            out.field(&here, name, [hex(&was), hex(&is)], cause);
        }
        let begin = out.list.len();
        inner([&old.content, &new.content], &old.name, &here, out);
        // The list of a wheel has the hashes of its files.
        if old.name.ends_with(".dist-info/RECORD") && begin > 0 {
            out.list[begin..].iter_mut().for_each(|spot| spot.follows = true);
        }
    }
    true
}

/// Returns the parts of an extra field by their numbers. Source: Info-ZIP's `extrafld.txt`.
fn fields(mut bytes: &[u8]) -> BTreeMap<u16, &[u8]> {
    let mut out = BTreeMap::new();
    while let Some((head, rest)) = bytes.split_at_checked(4) {
        let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let Some((data, rest)) = rest.split_at_checked(number(2).into()) else { break };
        out.insert(number(0), data);
        bytes = rest;
    }
    out
}

fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let (mut out, mut left) = (vec![], MOST_UNPACKED);
    for place in 0..archive.len() {
        let mut file = archive.by_index(place).ok()?;
        let mut entry = Entry {
            name: file.name().ok()?.into_owned(),
            time: file.last_modified().map(|time| time.to_string()).unwrap_or_default(),
            mode: file.unix_mode().map(|mode| format!("{mode:o}")).unwrap_or_default(),
            method: file.compression().to_string(),
            extra: file.extra_data().unwrap_or_default().to_owned(),
            content: vec![],
        };
        file.by_ref().take(left + 1).read_to_end(&mut entry.content).ok()?;
        left = left.checked_sub(entry.content.len() as u64)?;
        out.push(entry);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::super::spot::What;
    use super::super::text;
    use super::*;

    fn as_text(both: [&[u8]; 2], _: &str, within: &[String], out: &mut Spots) {
        if both[0] != both[1] {
            text::lines(both, within, out);
        }
    }

    fn archive(minute: u8, content: &str) -> Vec<u8> {
        let mut out = zip::ZipWriter::new(Cursor::new(vec![]));
        let time = zip::DateTime::from_date_and_time(2026, 11, 28, 12, minute, 0).unwrap();
        out.start_file("x/a.txt", SimpleFileOptions::default().last_modified_time(time)).unwrap();
        out.write_all(content.as_bytes()).unwrap();
        out.finish().unwrap().into_inner()
    }

    #[test]
    fn times_and_contents_of_entries_are_told() {
        let mut out = Spots::default();
        assert!(archives([&archive(1, "a\n"), &archive(2, "b\n")], &[], &as_text, &mut out));
        let [time, content] = &out.list[..] else { panic!("{out:?}") };
        assert_eq!(time.within, ["entry x/a.txt"]);
        assert!(matches!(
            &time.what,
            What::Field { name: "time", cause: Some(Influence::Time), .. }
        ));
        assert!(matches!(&content.what, What::Bytes(hunk) if hunk.is_line && hunk.at == 1));
        assert!(!archives([b"PK\x03\x04", b"PK\x03\x04"], &[], &as_text, &mut out));
    }
}

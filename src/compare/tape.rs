//! Compares tar archives: the entries, and the fields of their headers. Source: tar(5).

use std::io::Read as _;

use super::cause::Influence;
use super::spot::{CompareInner, Spots, inside, lists};

/// An entry.
struct Entry {
    name: String,
    time: u64,
    user: [String; 2],
    group: [String; 2],
    mode: u32,
    link: String,
    content: Vec<u8>,
}

/// Whether bytes are a tar archive.
pub fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
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
        out.field(&here, "time", [old.time, new.time], Some(Influence::Time));
        for n in 0..2 {
            out.field(&here, "user", [&old.user[n], &new.user[n]], Some(Influence::User));
            out.field(&here, "group", [&old.group[n], &new.group[n]], Some(Influence::User));
        }
        let mode = |mode: u32| format!("{mode:o}");
        out.field(&here, "mode", [old.mode, new.mode].map(mode), Some(Influence::Umask));
        out.field(&here, "link", [&old.link, &new.link], None);
        inner([&old.content, &new.content], &old.name, &here, out);
    }
    true
}

fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut out = vec![];
    for entry in tar::Archive::new(bytes).entries().ok()? {
        let mut entry = entry.ok()?;
        let header = entry.header();
        let name = |name: Result<Option<&str>, std::str::Utf8Error>| -> String {
            name.ok().flatten().unwrap_or_default().to_owned()
        };
        let number = |number: std::io::Result<u64>| number.unwrap_or_default().to_string();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let mut found = Entry {
            name: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            time: header.mtime().ok()?,
            user: [number(header.uid()), name(header.username())],
            group: [number(header.gid()), name(header.groupname())],
            mode: header.mode().ok()?,
            link: String::from_utf8_lossy(&link).into_owned(),
            content: vec![],
        };
        entry.read_to_end(&mut found.content).ok()?;
        out.push(found);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::spot::What;
    use super::super::text;
    use super::*;

    fn as_text(both: [&[u8]; 2], _: &str, within: &[String], out: &mut Spots) {
        if both[0] != both[1] {
            text::lines(both, within, out);
        }
    }

    fn archive(entries: &[(&str, u64, u64, u32)]) -> Vec<u8> {
        let mut out = tar::Builder::new(vec![]);
        for (name, time, user, mode) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(*time);
            header.set_uid(*user);
            header.set_mode(*mode);
            header.set_size(1);
            out.append_data(&mut header, name, &b"x"[..]).unwrap();
        }
        out.into_inner().unwrap()
    }

    #[test]
    fn fields_and_the_order_are_told() {
        let old = archive(&[("a", 1, 1000, 0o644), ("b", 1, 1000, 0o644)]);
        let new = archive(&[("b", 1, 1234, 0o644), ("a", 2, 1000, 0o600)]);
        assert!(is_tar(&old));
        let mut out = Spots::default();
        assert!(archives([&old, &new], &[], &as_text, &mut out));
        let told: Vec<String> = out
            .list
            .iter()
            .map(|spot| match &spot.what {
                What::Order { of, .. } => format!("order of {of}"),
                What::Field { name, values, .. } => {
                    format!("{} {name} {} {}", spot.within[0], values[0], values[1])
                }
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            told,
            [
                "order of entries",
                "entry a time 1 2",
                "entry a mode 644 600",
                "entry b user 1000 1234"
            ]
        );
    }
}

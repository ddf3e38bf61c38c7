//! Compares `ar` archives: the members, and the fields of their headers. Source: ar(5).

use super::cause::Influence;
use super::spot::{CompareInner, Spots, inside, lists};

/// What every archive begins with.
pub const MAGIC: &[u8] = b"!<arch>\n";

/// The length of the header of a member.
const HEADER: usize = 60;

/// A member.
struct Member<'a> {
    name: String,
    time: &'a [u8],
    user: &'a [u8],
    group: &'a [u8],
    mode: &'a [u8],
    content: &'a [u8],
}

/// Adds the differences of two archives. Returns `false` if one cannot be read.
pub fn archives(both: [&[u8]; 2], within: &[String], inner: CompareInner, out: &mut Spots) -> bool {
    let [Some(old), Some(new)] = both.map(members) else { return false };
    let names = [&old, &new].map(|list| -> Vec<String> {
        list.iter().map(|member| format!("member {}", member.name)).collect()
    });
    let paired = lists([&names[0], &names[1]], "members", within, out);
    for (a, b) in paired.both {
        let (old, new) = (&old[a], &new[b]);
        let here = inside(within, names[0][a].clone());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        for (name, values, cause) in [
            ("time", [old.time, new.time], Influence::Time),
            ("user", [old.user, new.user], Influence::User),
            ("group", [old.group, new.group], Influence::User),
            ("mode", [old.mode, new.mode], Influence::Umask),
        ] {
            out.field(&here, name, values.map(text), Some(cause));
        }
        let begin = out.list.len();
        inner([old.content, new.content], &old.name, &here, out);
        // The table of the symbols says where the members are.
        if old.name == "/" {
            out.list[begin..].iter_mut().for_each(|spot| spot.follows = true);
        }
    }
    true
}

/// Returns the members of an archive.
fn members(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let (mut out, mut long_names): (Vec<Member>, &[u8]) = (vec![], b"");
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(HEADER)?;
        let field = |from: usize, length: usize| &header[from..from + length];
        let size = std::str::from_utf8(field(48, 10)).ok()?.trim().parse().ok()?;
        let (content, after) = after.split_at_checked(size)?;
        rest = if size % 2 == 1 { after.get(1..).unwrap_or_default() } else { after };
        let name = String::from_utf8_lossy(field(0, 16)).trim_end().to_owned();
        if name == "//" {
            long_names = content;
            continue;
        }
        let long = name.strip_prefix('/').and_then(|at| at.parse::<usize>().ok());
        let name = match long.and_then(|at| long_names.get(at..)) {
            Some(from) => {
                let end = memchr::memmem::find(from, b"/\n").unwrap_or(from.len());
                String::from_utf8_lossy(&from[..end]).into_owned()
            }
            None if name.len() > 1 => name.trim_end_matches('/').to_owned(),
            None => name,
        };
        let (time, user) = (field(16, 12), field(28, 6));
        out.push(Member { name, time, user, group: field(34, 6), mode: field(40, 8), content });
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

    fn archive(members: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (name, time, content) in members {
            let name = format!("{name}/");
            let size = content.len();
            out.extend(
                format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n{content}", 0, 0, 100_644)
                    .bytes(),
            );
            if size % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    fn compared(old: &[u8], new: &[u8]) -> Vec<(String, What)> {
        let mut out = Spots::default();
        assert!(archives([old, new], &[], &as_text, &mut out));
        out.list.into_iter().map(|spot| (spot.within.join(", "), spot.what)).collect()
    }

    #[test]
    fn times_orders_and_contents_are_told() {
        let old = archive(&[("a.o", 1, "x\n"), ("b.o", 1, "same")]);
        let found = compared(&old, &archive(&[("a.o", 2, "y\n"), ("b.o", 1, "same")]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].0, "member a.o");
        let What::Field { name: "time", cause: Some(Influence::Time), .. } = &found[0].1 else {
            panic!("{found:?}")
        };
        let found = compared(&old, &archive(&[("b.o", 1, "same"), ("a.o", 1, "x\n")]));
        assert!(matches!(&found[..], [(_, What::Order { of: "members", .. })]), "{found:?}");
        let found = compared(&old, &archive(&[("a.o", 1, "x\n")]));
        assert!(matches!(&found[..], [(_, What::Gone(name))] if name == "member b.o"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(members(b"!<arch>\nshort").is_none());
        assert!(members(b"?").is_none());
    }
}

//! Compares compressed files: the header of gzip, and what is compressed. Source: RFC 1952.

use std::io::Read as _;

use super::cause::Influence;
use super::spot::{CompareInner, MOST_UNPACKED, Spots, inside};
use crate::unpack::sniffed;

const GZIP: &[u8] = b"\x1f\x8b\x08";
const OTHERS: [&[u8]; 3] = [b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd"];

/// Whether both are compressed in the same way.
pub fn are_packed([old, new]: [&[u8]; 2]) -> bool {
    std::iter::once(GZIP)
        .chain(OTHERS)
        .any(|magic| old.starts_with(magic) && new.starts_with(magic))
}

/// Adds the differences of two files. Returns `false` if one cannot be read.
pub fn files(
    both: [&[u8]; 2],
    name: &str,
    within: &[String],
    inner: CompareInner,
    out: &mut Spots,
) -> bool {
    let [Some(old), Some(new)] = both.map(plain) else { return false };
    let before = out.list.len();
    if both[0].starts_with(GZIP) {
        let time = |bytes: &[u8]| {
            bytes.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        out.field(within, "time of gzip", both.map(time), Some(Influence::Time));
        let how = |bytes: &[u8]| bytes.get(8..10).map(<[u8]>::to_owned).unwrap_or_default();
        let how = both.map(|bytes| format!("{:?}", how(bytes)));
        out.field(within, "level and system of gzip", how, None);
        out.field(within, "name in gzip", both.map(name_in), None);
    }
    let plain_name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    inner([&old, &new], plain_name, &inside(within, "unpacked"), out);
    out.list.len() > before
}

fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![];
    sniffed(bytes).ok()?.take(MOST_UNPACKED + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= MOST_UNPACKED).then_some(out)
}

/// Returns the name of the file that was compressed, which gzip keeps behind its header.
fn name_in(bytes: &[u8]) -> String {
    let has = |flag: u8| bytes.get(3).is_some_and(|flags| flags & flag != 0);
    if !has(8) || has(4) {
        return String::new();
    }
    let name = bytes.get(10..).and_then(|rest| rest.split(|b| *b == 0).next());
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::spot::What;
    use super::super::text;
    use super::*;

    fn as_text(both: [&[u8]; 2], _: &str, within: &[String], out: &mut Spots) {
        if both[0] != both[1] {
            text::lines(both, within, out);
        }
    }

    fn gzip(time: u32, text: &str) -> Vec<u8> {
        let out = flate2::GzBuilder::new().mtime(time).write(vec![], Default::default());
        let mut out = out;
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn the_time_of_gzip_and_its_content_are_told() {
        let both = [gzip(1, "a\nb\n"), gzip(2, "a\nc\n")];
        let both = [&both[0][..], &both[1][..]];
        assert!(are_packed(both));
        let mut out = Spots::default();
        assert!(files(both, "x.gz", &[], &as_text, &mut out));
        let [time, line] = &out.list[..] else { panic!("{out:?}") };
        assert!(matches!(&time.what, What::Field { name: "time of gzip", .. }));
        assert_eq!(line.within, ["unpacked"]);
        assert!(matches!(&line.what, What::Bytes(hunk) if hunk.at == 2));
    }
}

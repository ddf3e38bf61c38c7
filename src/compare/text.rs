//! Compares texts line by line.

use super::spot::{Hunk, LONGEST, Spots, What, pair};

/// Whether bytes are a text.
pub fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// Adds the lines that differ.
pub fn lines([old, new]: [&[u8]; 2], within: &[String], out: &mut Spots) {
    let split = |text| -> Vec<&[u8]> { <[u8]>::split(text, |b: &u8| *b == b'\n').collect() };
    let (old, new) = (split(old), split(new));
    let begin = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = old[begin..].iter().rev().zip(new[begin..].iter().rev());
    let end = end.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[begin..old.len() - end], &new[begin..new.len() - end]);
    let line = |n: usize| (begin + n + 1) as u64;
    let paired = pair(old, new);
    if paired.gone.is_empty() && paired.new.is_empty() {
        order(old, new, "lines", within, out);
        return;
    }
    // As many lines as before are most likely the same lines, changed.
    let changed: Vec<(Option<usize>, Option<usize>)> = if old.len() == new.len() {
        let places = (0..old.len()).filter(|n| old[*n] != new[*n]);
        let in_both = |n: &usize| paired.gone.contains(n) || paired.new.contains(n);
        places.filter(in_both).map(|n| (Some(n), Some(n))).collect()
    } else {
        let longest = paired.gone.len().max(paired.new.len());
        let place = |places: &[usize], n: usize| places.get(n).copied();
        (0..longest).map(|n| (place(&paired.gone, n), place(&paired.new, n))).collect()
    };
    for (was, is) in changed {
        let part =
            |lines: &[&[u8]], place: Option<usize>| place.map_or(&b""[..], |n| lines[n]).to_owned();
        let (old, new) = (part(old, was), part(new, is));
        if words(&old, &new, within, out) {
            continue;
        }
        let (old, new) = narrowed(&old, &new);
        let at = line(was.or(is).unwrap_or_default());
        out.add(within, What::Bytes(Hunk { at, is_line: true, old, new }));
    }
}

/// Adds an order of lines or words that differs.
fn order<T: AsRef<[u8]>>(
    old: &[T],
    new: &[T],
    of: &'static str,
    within: &[String],
    out: &mut Spots,
) {
    let Some(at) = old.iter().zip(new).position(|(a, b)| a.as_ref() != b.as_ref()) else { return };
    let text = |line: &T| String::from_utf8_lossy(line.as_ref()).into_owned();
    let first = [text(&old[at]), text(&new[at])];
    let is_reversed = old.iter().rev().map(AsRef::as_ref).eq(new.iter().map(AsRef::as_ref));
    let of_locale = !is_reversed
        && matches!(
            (by_locale(old), by_locale(new)),
            (Some(false), Some(true)) | (Some(true), Some(false))
        );
    out.add(within, What::Order { of, first, of_locale });
}

/// Says of lines in the order of a locale that they are, and of those in the order of their bytes that
/// they are not. Other lines have no order.
fn by_locale<T: AsRef<[u8]>>(lines: &[T]) -> Option<bool> {
    let key = |line: &T| -> Vec<u8> {
        let letters = line.as_ref().iter().filter(|b| b.is_ascii_alphanumeric());
        letters.map(u8::to_ascii_lowercase).collect()
    };
    if lines.is_sorted_by_key(AsRef::as_ref) {
        return Some(false);
    }
    lines.is_sorted_by_key(key).then_some(true)
}

/// Adds the order of the words of a line, if only that differs.
fn words(old: &[u8], new: &[u8], within: &[String], out: &mut Spots) -> bool {
    let split = |line| -> Vec<&[u8]> {
        <[u8]>::split(line, |b: &u8| matches!(b, b' ' | b',' | b';' | b'\t'))
            .filter(|word: &&[u8]| !word.is_empty())
            .collect()
    };
    let (old, new) = (split(old), split(new));
    let paired = pair(&old, &new);
    let same = paired.gone.is_empty() && paired.new.is_empty() && old != new && old.len() > 1;
    if same {
        order(&old, &new, "words", within, out);
    }
    same
}

/// Returns the parts of two long lines that differ, with the words around them.
fn narrowed(old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let cut = |bytes: &[u8]| bytes[..bytes.len().min(LONGEST)].to_owned();
    if old.len() <= LONGEST && new.len() <= LONGEST {
        return (cut(old), cut(new));
    }
    let begin = old.iter().zip(new).take_while(|(a, b)| a == b).count().saturating_sub(64);
    let end = old[begin..].iter().rev().zip(new[begin..].iter().rev());
    let end = end.take_while(|(a, b)| a == b).count().saturating_sub(64);
    (cut(&old[begin..old.len() - end]), cut(&new[begin..new.len() - end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(old: &str, new: &str) -> Vec<What> {
        let mut out = Spots::default();
        lines([old.as_bytes(), new.as_bytes()], &[], &mut out);
        out.list.into_iter().map(|spot| spot.what).collect()
    }

    #[test]
    fn lines_that_differ_are_told_with_their_numbers() {
        let spots = found("a\nb\nc\nd\n", "a\nB\nc\nD\n");
        let [What::Bytes(first), What::Bytes(second)] = &spots[..] else { panic!("{spots:?}") };
        assert_eq!((first.at, &first.old[..], &first.new[..]), (2, &b"b"[..], &b"B"[..]));
        assert_eq!(second.at, 4);
        let spots = found("a\nc\n", "a\nb\nc\n");
        let [What::Bytes(added)] = &spots[..] else { panic!("{spots:?}") };
        assert_eq!((&added.old[..], &added.new[..]), (&b""[..], &b"b"[..]));
    }

    #[test]
    fn another_order_is_no_other_text() {
        let spots = found("x\na\nb\nc\n", "x\nc\nb\na\n");
        let [What::Order { of: "lines", first, of_locale: false }] = &spots[..] else {
            panic!("{spots:?}")
        };
        assert_eq!(first, &["a", "c"]);
        let spots = found("files: a b c\n", "files: c b a\n");
        assert!(matches!(&spots[..], [What::Order { of: "words", .. }]), "{spots:?}");
    }

    #[test]
    fn the_order_of_a_locale_is_told_from_that_of_a_directory() {
        let spots = found("B\nD\na\nc\n", "a\nB\nc\nD\n");
        assert!(matches!(&spots[..], [What::Order { of_locale: true, .. }]), "{spots:?}");
    }
}

//! Compares bytes of no known form.

use super::spot::{Hunk, LONGEST, Spots, What, pair};

/// Differing bytes that are no further apart than this are one difference.
const GAP: usize = 16;

/// The number of equal bytes that are told beside bytes that differ.
const BESIDE: usize = 8;

/// The greatest number of bytes of a text around bytes that differ.
const TEXT_BESIDE: usize = 160;

/// The greatest length of a difference that is told as a whole.
const WHOLE: usize = 4096;

/// The least length of a text in a binary file.
const LEAST_TEXT: usize = 4;

/// Adds the differences of bytes that begin at `base`.
pub fn bytes([old, new]: [&[u8]; 2], base: u64, within: &[String], out: &mut Spots) {
    for (at, old, new) in hunks(old, new) {
        let at = base + at as u64;
        out.add(within, What::Bytes(Hunk { at, is_line: false, old, new }));
    }
}

type Found = (usize, Vec<u8>, Vec<u8>);

/// Returns the differences: offset, old bytes, new bytes.
fn hunks(old: &[u8], new: &[u8]) -> Vec<Found> {
    if old.len() == new.len() {
        return ranges(old, new)
            .into_iter()
            .map(|(from, to)| {
                let (from, to) = widened(old, new, from, to);
                (from, cut(&old[from..to]), cut(&new[from..to]))
            })
            .collect();
    }
    let begin = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let end = old[begin..].iter().rev().zip(new[begin..].iter().rev());
    let end = end.take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    if old_end - begin <= WHOLE && new_end - begin <= WHOLE {
        let from = begin - text_before(old, begin);
        let (old_to, new_to) =
            (old_end + text_after(old, old_end), new_end + text_after(new, new_end));
        return vec![(from, cut(&old[from..old_to]), cut(&new[from..new_to]))];
    }
    // What was moved differs everywhere, but texts are the same at another place.
    let (old_texts, new_texts) = (texts(&old[begin..old_end]), texts(&new[begin..new_end]));
    let paired = pair(&old_texts, &new_texts);
    let longest = paired.gone.len().max(paired.new.len());
    let mut found: Vec<Found> = (0..longest)
        .map(|n| {
            let text = |texts: &[&[u8]], places: &[usize]| {
                places.get(n).map(|place| cut(texts[*place])).unwrap_or_default()
            };
            (begin, text(&old_texts, &paired.gone), text(&new_texts, &paired.new))
        })
        .collect();
    if found.is_empty() {
        let part = |bytes: &[u8]| bytes[begin..(begin + 64).min(bytes.len())].to_owned();
        found.push((begin, part(old), part(new)));
    }
    found
}

/// Returns the ranges that differ.
fn ranges(old: &[u8], new: &[u8]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = vec![];
    for (at, (a, b)) in old.iter().zip(new).enumerate() {
        if a == b {
            continue;
        }
        match out.last_mut() {
            Some((_, to)) if at - *to <= GAP => *to = at + 1,
            _ => out.push((at, at + 1)),
        }
    }
    out
}

/// Returns the range with the text around it, or with a few bytes.
fn widened(old: &[u8], new: &[u8], from: usize, to: usize) -> (usize, usize) {
    let before = text_before(old, from).max(text_before(new, from)).max(BESIDE);
    let after = text_after(old, to).max(text_after(new, to)).max(BESIDE);
    (from.saturating_sub(before), (to + after).min(old.len()))
}

fn is_text(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

fn text_before(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rev().take(TEXT_BESIDE).take_while(|b| is_text(b)).count()
}

fn text_after(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take(TEXT_BESIDE).take_while(|b| is_text(b)).count()
}

fn texts(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|b| !is_text(b)).filter(|text| text.len() >= LEAST_TEXT).collect()
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(LONGEST)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_the_text_around_it() {
        let (old, new) = (b"\0\0\0/build/source/a.c\0\0", b"\0\0\0/other/source/a.c\0\0");
        let found = hunks(old, new);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.windows(17).any(|part| part == b"/build/source/a.c"));
        assert!(found[0].2.windows(6).any(|part| part == b"/other"));
    }

    #[test]
    fn far_apart_differences_are_two_and_an_insertion_is_one() {
        let mut new = vec![0; 100];
        (new[3], new[90]) = (1, 1);
        assert_eq!(hunks(&[0; 100], &new).len(), 2);
        let found = hunks(b"host=cotter;x\0", b"host=cotter-check;x\0");
        assert_eq!(found, [(0, b"host=cotter;x".to_vec(), b"host=cotter-check;x".to_vec())]);
    }

    #[test]
    fn in_what_was_moved_only_the_texts_are_compared() {
        let part = |text: &str, shift: u8| -> Vec<u8> {
            let moved = (0..4000).flat_map(|n: u32| [1, (n as u8 % 7) + shift, 2]);
            text.bytes().chain([0]).chain(moved).chain(*b"same text").chain([shift]).collect()
        };
        let found = hunks(&part("/build/x", 10), &part("/rebuild/x", 30));
        let texts: Vec<_> = found.iter().map(|(_, old, new)| (&old[..], &new[..])).collect();
        assert_eq!(texts.len(), 1);
        assert_eq!(texts[0], (&b"build/x"[..], &b"rebuild/x"[..]));
    }
}

//! Finds what a difference comes from: the values that differed between two builds are searched in the
//! bytes that differ.

use std::collections::BTreeSet;

use super::cause::{Influence, KnownBuilds, Pair};
use super::moment::{before, is_binary, marked};
use super::spot::{Hunk, Spot, What};

/// What a difference comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// What is known of it.
    pub causes: BTreeSet<Influence>,
    /// Whether that explains the whole difference.
    pub is_whole: bool,
}

/// The least length of a value that is no coincidence.
const DISTINCT: usize = 3;

impl KnownBuilds {
    /// Says what a difference comes from.
    pub fn explain(&self, spot: &Spot) -> Explained {
        let whole = |cause: Influence| Explained { causes: [cause].into(), is_whole: true };
        match &spot.what {
            What::Field { cause: Some(cause), .. } => whole(*cause),
            What::Field { values: [old, new], cause: None, .. } => {
                self.bytes(old.as_bytes(), new.as_bytes(), true)
            }
            What::Order { of_locale: true, .. } => whole(Influence::Locale),
            What::Order { .. } if self.reversed => whole(Influence::DirectoryOrder),
            What::Order { .. } => whole(Influence::RandomOrder),
            What::Gone(name) => self.name(name, |pair| &pair.old, self.old_time),
            What::New(name) => self.name(name, |pair| &pair.new, Some(self.new_time)),
            What::Bytes(Hunk { old, new, is_line, .. }) => self.bytes(old, new, *is_line),
        }
    }

    /// Says what a name comes from that only one of two results has.
    fn name(
        &self,
        name: &str,
        value: impl Fn(&Pair) -> &str,
        time: Option<super::moment::Window>,
    ) -> Explained {
        let holds = |pair: &&Pair| {
            let value = value(pair);
            value.len() >= DISTINCT && replaced(name.as_bytes(), value.as_bytes(), b"").is_some()
        };
        let mut causes: BTreeSet<Influence> =
            self.pairs.iter().filter(holds).map(|pair| pair.cause).collect();
        let time = time.unwrap_or_else(|| before(self.new_time));
        if marked(name.as_bytes(), time).1 {
            causes.insert(Influence::Time);
        }
        Explained { is_whole: !causes.is_empty(), causes }
    }

    fn bytes(&self, old: &[u8], new: &[u8], is_text: bool) -> Explained {
        let mut causes = BTreeSet::new();
        let mut changed = new.to_owned();
        let distinct = |pair: &&Pair| pair.new.len() >= DISTINCT && pair.old.len() >= DISTINCT;
        for Pair { cause, old: was, new: is } in self.pairs.iter().filter(distinct) {
            if memchr::memmem::find(old, was.as_bytes()).is_some()
                && let Some(other) = replaced(&changed, is.as_bytes(), was.as_bytes())
            {
                causes.insert(*cause);
                changed = other;
            }
        }
        if changed == old {
            return Explained { causes, is_whole: true };
        }
        let old_time = self.old_time.unwrap_or_else(|| before(self.new_time));
        let ((a, in_old), (b, in_new)) = (marked(old, old_time), marked(&changed, self.new_time));
        let (mut left, mut right) = (old.to_owned(), changed);
        if in_old && in_new && differing(&a, &b) < differing(&left, &right) {
            causes.insert(Influence::Time);
            (left, right) = (a, b);
        }
        if left == right || self.words(&left, &right, &mut causes) {
            return Explained { causes, is_whole: true };
        }
        let is_whole = !is_text && self.numbers(old, new, &mut causes);
        Explained { causes, is_whole }
    }

    /// Explains words that differ by short values and by addresses. Returns whether nothing is left.
    fn words(&self, old: &[u8], new: &[u8], causes: &mut BTreeSet<Influence>) -> bool {
        if between(old) != between(new) {
            return false;
        }
        let (old, new) = (words(old), words(new));
        let mut all = true;
        for (was, is) in old.iter().zip(&new).filter(|(a, b)| a != b) {
            let fits = |pair: &&Pair| pair.old.as_bytes() == *was && pair.new.as_bytes() == *is;
            match self.pairs.iter().find(fits) {
                Some(pair) => {
                    causes.insert(pair.cause);
                }
                None if is_address(was) && is_address(is) => {
                    causes.insert(Influence::Memory);
                }
                None => all = false,
            }
        }
        all
    }

    /// Explains binary numbers that differ. Returns whether nothing is left.
    fn numbers(&self, old: &[u8], new: &[u8], causes: &mut BTreeSet<Influence>) -> bool {
        if old.len() != new.len() {
            return false;
        }
        let old_time = self.old_time.unwrap_or_else(|| before(self.new_time));
        let mut open: Vec<bool> = old.iter().zip(new).map(|(a, b)| a != b).collect();
        let number =
            |bytes: &[u8], at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        for at in 0..old.len() {
            if let (Some(was), Some(is)) = (pointer(old, at), pointer(new, at))
                && was != is
                && open[at..at + 8].iter().any(|open| *open)
            {
                causes.insert(Influence::Memory);
                open[at..at + 8].fill(false);
            }
            let (Some(was), Some(is)) = (number(old, at), number(new, at)) else { continue };
            if was == is || !open[at..at + 4].iter().any(|open| *open) {
                continue;
            }
            let cause = if is_binary(was, old_time) && is_binary(is, self.new_time) {
                Some(Influence::Time)
            } else {
                let holds = |pair: &&Pair| {
                    let parse = |text: &str| text.parse::<u32>().ok();
                    parse(&pair.old).is_some_and(|n| is_number(was, n))
                        && parse(&pair.new).is_some_and(|n| is_number(is, n))
                };
                self.pairs.iter().find(holds).map(|pair| pair.cause)
            };
            if let Some(cause) = cause {
                causes.insert(cause);
                open[at..at + 4].fill(false);
            }
        }
        !open.contains(&true)
    }
}

fn is_number(bytes: [u8; 4], number: u32) -> bool {
    bytes == number.to_le_bytes() || bytes == number.to_be_bytes()
}

/// Returns the address that begins here, if eight bytes look like one: the memory of programs is
/// below 0x8000_0000_0000, and that of libraries, stacks and position-independent programs is near
/// 0x7f00_0000_0000 and 0x5500_0000_0000.
fn pointer(bytes: &[u8], at: usize) -> Option<u64> {
    let value = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
    matches!(value >> 40, 0x55 | 0x56 | 0x7e | 0x7f).then_some(value)
}

/// Whether a word is an address in hexadecimal digits.
fn is_address(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"0x").unwrap_or(word);
    word.len() == 12
        && word.iter().all(u8::is_ascii_hexdigit)
        && matches!(word[..2].to_ascii_lowercase()[..], [b'5', b'5' | b'6'] | [b'7', b'e' | b'f'])
}

fn words(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|b| !b.is_ascii_alphanumeric()).collect()
}

/// Returns what stands between the words, with a mark for each word.
fn between(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> =
        bytes.iter().map(|b| if b.is_ascii_alphanumeric() { b'w' } else { *b }).collect();
    out.dedup_by(|a, b| *a == b'w' && *b == b'w');
    out
}

/// Returns the number of words that differ.
fn differing(old: &[u8], new: &[u8]) -> usize {
    let (old, new) = (words(old), words(new));
    let different = old.iter().zip(&new).filter(|(a, b)| a != b).count();
    different + old.len().abs_diff(new.len())
}

/// Returns bytes with another value in the place of one that is there as a word, or `None` if it is not
/// there.
fn replaced(bytes: &[u8], value: &[u8], by: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest, mut found) = (vec![], bytes, false);
    while let Some(at) = memchr::memmem::find(rest, value) {
        let is_part = |inner: Option<&u8>, outer: Option<&u8>| {
            let is_word = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
            is_word(inner) && is_word(outer)
        };
        let before = if at > 0 { rest.get(at - 1) } else { out.last() };
        let end = at + value.len();
        let inside = is_part(value.first(), before) || is_part(value.last(), rest.get(end));
        out.extend(&rest[..at]);
        out.extend(if inside { value } else { by });
        found |= !inside;
        rest = &rest[end..];
    }
    out.extend(rest);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::moment::Window;
    use super::*;

    fn known() -> KnownBuilds {
        let pair = |cause, old: &str, new: &str| Pair { cause, old: old.into(), new: new.into() };
        KnownBuilds {
            pairs: vec![
                pair(Influence::Path, "/build", "/rebuild"),
                pair(Influence::Host, "cotter", "cotter-check"),
                pair(Influence::User, "1000", "1234"),
                pair(Influence::Jobs, "2", "7"),
                pair(Influence::Kernel, "6.1.0-1", "2.6.61-1"),
            ],
            old_time: Some(Window { from: 1_795_869_000, to: 1_795_869_010 }),
            new_time: Window { from: 1_795_869_040, to: 1_795_869_059 },
            reversed: true,
        }
    }

    fn of(old: &[u8], new: &[u8], is_line: bool) -> (Vec<Influence>, bool) {
        let what = What::Bytes(Hunk { at: 1, is_line, old: old.into(), new: new.into() });
        let found = known().explain(&Spot { within: vec![], what, follows: false });
        (found.causes.into_iter().collect(), found.is_whole)
    }

    #[test]
    fn values_are_found_in_texts() {
        for (old, new, causes) in [
            ("in /build/source", "in /rebuild/source", vec![Influence::Path]),
            ("built on cotter", "built on cotter-check", vec![Influence::Host]),
            ("uid=1000(build)", "uid=1234(build)", vec![Influence::User]),
            ("with 2 jobs", "with 7 jobs", vec![Influence::Jobs]),
            ("Linux 6.1.0-1", "Linux 2.6.61-1", vec![Influence::Kernel]),
            ("at 1795869005", "at 1795869044", vec![Influence::Time]),
            ("Nov 28 2026 12:30:05", "Nov 28 2026 12:30:45", vec![Influence::Time]),
            ("at 0x7ffd12345678", "at 0x7ffd8765abcd", vec![Influence::Memory]),
            (
                "cotter:/build 2",
                "cotter-check:/rebuild 7",
                vec![Influence::Path, Influence::Host, Influence::Jobs],
            ),
        ] {
            assert_eq!(of(old.as_bytes(), new.as_bytes(), true), (causes, true), "{new}");
        }
    }

    #[test]
    fn what_no_value_explains_stays_open() {
        assert_eq!(of(b"id 5f3a", b"id 77c0", true), (vec![], false));
        let (causes, is_whole) = of(b"/build 5f3a", b"/rebuild 77c0", true);
        assert_eq!((causes, is_whole), (vec![Influence::Path], false));
        // 12 is no 2.
        assert_eq!(of(b"12", b"17", true), (vec![], false));
        // The same date does not explain another difference.
        assert_eq!(of(b"2026-11-28 a", b"2026-11-28 b", true), (vec![], false));
    }

    #[test]
    fn values_are_found_in_binary_numbers() {
        let number = |n: u32| [&[9, 9][..], &n.to_le_bytes(), &[9, 9]].concat();
        for (old, new, causes) in [
            (number(1_795_869_005), number(1_795_869_044), vec![Influence::Time]),
            (number(1000), number(1234), vec![Influence::User]),
        ] {
            assert_eq!(of(&old, &new, false), (causes, true));
        }
        let address = |n: u64| n.to_le_bytes();
        let (old, new) = (address(0x7ffd_1234_5678), address(0x7ffc_0034_5670));
        assert_eq!(of(&old, &new, false), (vec![Influence::Memory], true));
        assert_eq!(of(&number(5), &number(6), false), (vec![], false));
    }

    #[test]
    fn names_orders_and_fields_have_causes_too() {
        let of = |what| {
            let found = known().explain(&Spot { within: vec![], what, follows: false });
            found.causes.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(What::New("log-cotter-check".into())), [Influence::Host]);
        assert_eq!(of(What::Gone("log-1795869003".into())), [Influence::Time]);
        let order = |of_locale| What::Order { of: "lines", first: Default::default(), of_locale };
        assert_eq!(of(order(false)), [Influence::DirectoryOrder]);
        assert_eq!(of(order(true)), [Influence::Locale]);
        let values = ["1".to_owned(), "2".to_owned()];
        let field = What::Field { name: "time", values, cause: Some(Influence::Time) };
        assert_eq!(of(field), [Influence::Time]);
    }
}

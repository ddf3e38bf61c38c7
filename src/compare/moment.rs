//! Finds times in bytes: seconds since 1970 as text or in binary form, and dates.

/// The time of a build, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it began.
    pub from: i64,
    /// When it ended.
    pub to: i64,
}

/// The marks that stand for a time in a text.
const MARK: &[u8] = b"\x01time\x01";

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// 2001-09-09, when the seconds since 1970 got ten digits.
const OLDEST: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Finds the times of one build.
struct Finder {
    window: Window,
    /// The days of the window: year, month, day.
    days: Vec<[i64; 3]>,
}

impl Finder {
    fn new(window: Window) -> Self {
        // One more day at either side, for other time zones.
        let days = (window.from / DAY - 1)..=(window.to / DAY + 1).min(window.from / DAY + 400);
        let date = |day: i64| {
            let time = jiff::Timestamp::from_second(day * DAY).unwrap_or_default();
            let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            [date.year().into(), date.month().into(), date.day().into()]
        };
        Finder { window, days: days.map(date).collect() }
    }

    fn is_second(&self, value: i64) -> bool {
        (self.window.from - 1..=self.window.to + 1).contains(&value)
    }

    fn is_day(&self, year: i64, month: i64, day: i64) -> bool {
        self.days.contains(&[year, month, day])
    }

    /// Whether a time of a day is in the window. The hour may be that of another time zone.
    fn is_clock(&self, minute: i64, second: Option<i64>) -> bool {
        if self.window.to - self.window.from >= 3600 {
            return true;
        }
        (self.window.from - 1..=self.window.to + 1).any(|time| {
            time % 3600 / 60 == minute && second.is_none_or(|second| time % 60 == second)
        })
    }

    /// Returns the length of the time that begins here, if one does.
    fn at(&self, rest: &[u8]) -> Option<usize> {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return self.named_month(rest, 0).or_else(|| self.weekday(rest));
        }
        let number = |from: usize, to: usize| number(&rest[from..to]);
        match digits {
            10 if self.is_second(number(0, 10)) => Some(digits + fraction(&rest[digits..])),
            13 | 16 | 19 if self.is_second(number(0, 10)) => Some(digits),
            // 20261128, 202611281230, 20261128123059
            8 | 12 | 14 if self.is_day(number(0, 4), number(4, 6), number(6, 8)) => Some(digits),
            4 | 2 | 1 => {
                self.split_date(rest).or_else(|| self.clock(rest)).or_else(|| self.day_first(rest))
            }
            _ => None,
        }
    }

    /// 2026-11-28, 28.11.2026, 11/28/26
    fn split_date(&self, rest: &[u8]) -> Option<usize> {
        let (parts, length) = numbers(rest, b"-/.:")?;
        let [a, b, c] = parts;
        let full = |year: i64| if year < 100 { year + 2000 } else { year };
        let fits =
            self.is_day(full(a), b, c) || self.is_day(full(c), b, a) || self.is_day(full(c), a, b);
        fits.then_some(length)
    }

    /// 12:30:59, 12:30
    fn clock(&self, rest: &[u8]) -> Option<usize> {
        if let Some(([hour, minute, second], length)) = numbers(rest, b":") {
            let length = length + fraction(&rest[length..]);
            return (hour < 24 && self.is_clock(minute, Some(second))).then_some(length);
        }
        let is_digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
        let short = rest.get(2) == Some(&b':') && is_digit(3) && is_digit(4) && !is_digit(5);
        (short && number(&rest[..2]) < 24 && self.is_clock(number(&rest[3..5]), None)).then_some(5)
    }

    /// 28 Nov 2026
    fn day_first(&self, rest: &[u8]) -> Option<usize> {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let gap = rest[digits..].iter().take_while(|b| matches!(b, b' ' | b'-')).count();
        if gap == 0 {
            return None;
        }
        let begin = digits + gap;
        let month = month(rest.get(begin..)?)?;
        let name = letters(&rest[begin..]);
        let year_at = begin + name + 1;
        let year = rest.get(year_at..year_at + 4).map_or(0, number);
        self.is_day(year, month, number(&rest[..digits])).then_some(year_at + 4)
    }

    /// Nov 28 2026, Nov 28 12:30:59 2026, November 28, 2026
    fn named_month(&self, rest: &[u8], from: usize) -> Option<usize> {
        let rest = rest.get(from..)?;
        let month = month(rest)?;
        let mut at = letters(rest);
        at += rest[at..].iter().take_while(|b| **b == b' ').count();
        let digits = rest[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 2 {
            return None;
        }
        let day = number(&rest[at..at + digits]);
        at += digits;
        let known = |year: Option<i64>| {
            self.days.iter().any(|d| d[1] == month && d[2] == day && year.is_none_or(|y| d[0] == y))
        };
        let after_day = at;
        // Up to the year, if there is one: times and names of time zones stand before it.
        for word in rest[at..].split_inclusive(|b| *b == b' ').take(5) {
            let plain: Vec<u8> =
                word.iter().copied().filter(|b| !matches!(b, b' ' | b',' | b'\n')).collect();
            let digits = plain.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 4 {
                let end = at + word.iter().take_while(|b| **b == b',').count() + 4;
                return known(Some(number(&plain[..4]))).then_some(from + end.min(rest.len()));
            }
            at += word.len();
        }
        known(None).then_some(from + after_day)
    }

    /// Sat Nov 28 ..., Sat, 28 Nov 2026
    fn weekday(&self, rest: &[u8]) -> Option<usize> {
        if !DAYS.iter().any(|day| rest.starts_with(day)) {
            return None;
        }
        let mut at = letters(rest);
        at += rest[at..].iter().take_while(|b| matches!(b, b' ' | b',')).count();
        self.named_month(rest, at).or_else(|| self.day_first(&rest[at..]).map(|end| at + end))
    }
}

/// Returns the length of the fraction of a second that begins here.
fn fraction(rest: &[u8]) -> usize {
    let digits = rest.iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
    if digits > 0 && matches!(rest[0], b'.' | b',') { digits + 1 } else { 0 }
}

fn letters(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_alphabetic()).count()
}

fn month(bytes: &[u8]) -> Option<i64> {
    let place = MONTHS.iter().position(|month| bytes.starts_with(month))?;
    i64::try_from(place + 1).ok()
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0_i64, |n, digit| {
        n.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')))
    })
}

/// Reads three numbers of at most four digits with the same separator between them.
fn numbers(bytes: &[u8], separators: &[u8]) -> Option<([i64; 3], usize)> {
    let (mut out, mut at, mut between) = ([0; 3], 0, None);
    for (place, value) in out.iter_mut().enumerate() {
        if place > 0 {
            let separator = *bytes.get(at)?;
            if !separators.contains(&separator) || between.is_some_and(|b| b != separator) {
                return None;
            }
            between = Some(separator);
            at += 1;
        }
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 4 {
            return None;
        }
        *value = number(&bytes[at..at + digits]);
        at += digits;
    }
    Some((out, at))
}

/// Returns bytes with a mark in the place of each time of a window, and whether there was one. Without
/// a window, everything from 2001 on that has the form of seconds is a time.
pub fn marked(bytes: &[u8], window: Window) -> (Vec<u8>, bool) {
    let finder = Finder::new(window);
    let (mut out, mut found, mut at) = (vec![], false, 0);
    while at < bytes.len() {
        let is_begin = at == 0
            || !bytes[at - 1].is_ascii_alphanumeric()
            || (bytes[at - 1].is_ascii_alphabetic() && bytes[at].is_ascii_digit())
            || bytes[at - 1] == b'T';
        match is_begin.then(|| finder.at(&bytes[at..])).flatten() {
            Some(length) if length > 0 => {
                out.extend(MARK);
                found = true;
                at += length;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    (out, found)
}

/// Whether four bytes are a time of the window, in one of the two orders of bytes.
pub fn is_binary(bytes: [u8; 4], window: Window) -> bool {
    [u32::from_le_bytes(bytes), u32::from_be_bytes(bytes)]
        .into_iter()
        .any(|value| (window.from - 1..=window.to + 1).contains(&i64::from(value)))
}

/// The time of a build of which nothing is known: the year before another one.
pub fn before(window: Window) -> Window {
    Window { from: (window.from - 366 * DAY).max(OLDEST), to: window.to }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28 12:30:40 to 12:30:59.
    const WINDOW: Window = Window { from: 1_795_869_040, to: 1_795_869_059 };

    #[test]
    fn times_of_a_build_are_found_in_many_forms() {
        for text in [
            "1795869050",
            "1795869050.28128",
            "1795869050123",
            "2026-11-28",
            "2026-11-28T12:30:45Z",
            "28.11.2026",
            "11/28/26",
            "20261128",
            "20261128123050",
            "Nov 28 2026",
            "Sat Nov 28 12:30:59 UTC 2026",
            "Sat, 28 Nov 2026 12:30:50 +0000",
            "November 28, 2026",
            "28-Nov-2026",
            "12:30:59",
            "12:30:59.28",
            "14:30",
        ] {
            let (out, found) = marked(format!("a {text} b").as_bytes(), WINDOW);
            assert!(found, "{text}");
            assert!(!String::from_utf8(out).unwrap().contains("28"), "{text}");
        }
    }

    #[test]
    fn other_numbers_and_times_stay() {
        for text in [
            "1600000000",
            "17958690501",
            "2025-11-28",
            "12:31:45",
            "1.2.3",
            "Mayor 1",
            "315532800",
            "v20261128x1795",
        ] {
            let (out, found) = marked(text.as_bytes(), WINDOW);
            assert_eq!(found, text == "v20261128x1795", "{text}");
            assert!(found || out == text.as_bytes());
        }
        assert!(is_binary(1_795_869_050_u32.to_le_bytes(), WINDOW));
        assert!(is_binary(1_795_869_050_u32.to_be_bytes(), WINDOW));
        assert!(!is_binary(1_795_860_000_u32.to_le_bytes(), WINDOW));
    }
}

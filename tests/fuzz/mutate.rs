//! Changes inputs at random, but so that the changes reach the inside of a parser: fields of numbers get values at the borders of their types, and the sums of
//! archives are mended afterwards.

/// Random numbers that are the same in each run. Source: Marsaglia, "Xorshift RNGs" (2003).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What an input is, which decides how it is changed and which sums are mended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Text,
    Binary,
    Tar,
    /// A container `ar`, with tar archives as members.
    Deb,
    Zip,
}

/// No input is longer, in bytes.
pub const LONGEST: usize = 64 << 10;

/// Numbers at the borders of their types.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    16,
    0x7f,
    0xff,
    0x1000,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 8,
    u64::MAX,
];

/// Words that mean something to many parsers.
pub const WORDS: [&str; 44] = [
    "\0",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    " ",
    "/",
    "//",
    "..",
    "../",
    "./",
    "\"",
    "'",
    "\\",
    "\\\n",
    "#",
    "#!",
    "=",
    "==",
    ":",
    "::",
    ";",
    ",",
    "|",
    "&&",
    "$(",
    "`",
    "${",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "(",
    ")",
    "<",
    ">",
    "-",
    "--",
    "\u{feff}",
    "\u{7f}",
    "é",
    "%R",
    "/usr/lib/x",
];

/// Returns a changed copy of an input. `others` are further inputs of the same target, and `words` its own.
pub fn mutated(
    input: &[u8],
    others: &[Vec<u8>],
    words: &[&str],
    shape: Shape,
    random: &mut Random,
) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..1 + random.below(4) {
        change(&mut out, others, words, shape, random);
    }
    out.truncate(LONGEST);
    // Without the sums, some damage would never be seen.
    if random.below(8) != 0 {
        mend(&mut out, shape);
    }
    out
}

fn change(
    out: &mut Vec<u8>,
    others: &[Vec<u8>],
    words: &[&str],
    shape: Shape,
    random: &mut Random,
) {
    // Headers stand at the beginning.
    let reach = if random.below(2) == 0 { out.len() } else { out.len().min(1024) };
    let at = random.below(reach + 1);
    let kinds = if shape == Shape::Text { 8 } else { 11 };
    match random.below(kinds) {
        0 => {
            let word = if words.is_empty() || random.below(3) == 0 {
                *random.pick(&WORDS)
            } else {
                *random.pick(words)
            };
            out.splice(at..at, word.bytes());
        }
        1 => {
            let end = (at + 1 + random.below(16)).min(out.len());
            drop(out.drain(at..end));
        }
        // A long repetition of a short piece shows what is quadratic or recursive.
        2 => {
            let end = (at + 1 + random.below(8)).min(out.len());
            let piece = out[at..end].to_vec();
            let times = 1usize << random.below(11);
            out.splice(at..at, piece.repeat(times));
        }
        3 => {
            let other = random.pick(others);
            let from = random.below(other.len() + 1);
            let to = (from + random.below(256)).min(other.len());
            let end = (at + random.below(64)).min(out.len());
            out.splice(at..end, other[from..to].iter().copied());
        }
        4 => {
            let number = random.pick(&NUMBERS).to_string();
            let is_digit = |b: &u8| b.is_ascii_digit();
            let start = out[at..].iter().position(is_digit).map_or(at, |n| at + n);
            let end =
                out[start..].iter().position(|b| !is_digit(b)).map_or(out.len(), |n| start + n);
            out.splice(start..end, number.bytes());
        }
        5 if !out.is_empty() => {
            let at = at.min(out.len() - 1);
            out[at] = random.next() as u8;
        }
        6 => {
            // A line, or a block of a tar archive, moves.
            let size = if shape == Shape::Text { 1 + random.below(80) } else { 512 };
            let from = if shape == Shape::Text { at } else { at / 512 * 512 };
            let end = (from + size).min(out.len());
            let piece: Vec<u8> = out.drain(from.min(end)..end).collect();
            let to = random.below(out.len() + 1);
            let to = if shape == Shape::Text { to } else { to / 512 * 512 };
            out.splice(to..to, piece);
        }
        7 => {
            let flip = 1u8 << random.below(8);
            if let Some(byte) = out.get_mut(at) {
                *byte ^= flip;
            }
        }
        // A field of a fixed size, which keeps all that follows in its place.
        8 | 9 => {
            let size = *random.pick(&[1usize, 2, 4, 8]);
            let at = at / size * size;
            if at + size <= out.len() {
                let mut old = [0; 8];
                old[..size].copy_from_slice(&out[at..at + size]);
                let old = u64::from_le_bytes(old);
                let new = match random.below(5) {
                    0 => old.wrapping_add(1),
                    1 => old.wrapping_sub(1),
                    2 => out.len() as u64,
                    3 => random.below(out.len()) as u64,
                    _ => *random.pick(&NUMBERS),
                };
                out[at..at + size].copy_from_slice(&new.to_le_bytes()[..size]);
            }
        }
        _ => {
            let word = if words.is_empty() { "\u{ff}" } else { *random.pick(words) };
            let end = (at + word.len()).min(out.len());
            out[at..end].copy_from_slice(&word.as_bytes()[..end - at]);
        }
    }
}

/// Mends the sums and the lengths that a reader would stumble over first.
pub fn mend(bytes: &mut [u8], shape: Shape) {
    match shape {
        Shape::Text | Shape::Binary => {}
        Shape::Tar => mend_tar(bytes),
        Shape::Deb => mend_deb(bytes),
        Shape::Zip => mend_zip(bytes),
    }
}

/// Sets the sum of each header.
fn mend_tar(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = bytes.get_mut(at..at + 512) {
        if header.iter().all(|b| *b == 0) {
            at += 512;
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[124..135]).ok();
        let size =
            size.and_then(|s| usize::from_str_radix(s.trim_end_matches('\0'), 8).ok()).unwrap_or(0);
        at += 512 + size.min(bytes.len()).next_multiple_of(512);
    }
}

/// Sets the length of each member to the distance to the next header, and mends the archives in it.
fn mend_deb(bytes: &mut [u8]) {
    let heads: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, w)| *w == b"`\n")
        .filter_map(|(at, _)| at.checked_sub(58))
        .collect();
    for (i, head) in heads.iter().enumerate() {
        let start = head + 60;
        let end = heads.get(i + 1).copied().unwrap_or(bytes.len());
        let Some(length) = end.checked_sub(start) else { continue };
        bytes[head + 48..head + 58].copy_from_slice(format!("{length:<10}").as_bytes());
        mend_tar(&mut bytes[start..end]);
    }
}

/// Sets the CRC of each stored member, in both of its headers. Source: PKWARE's APPNOTE 6.3, sections 4.3.7 and 4.3.12.
fn mend_zip(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize, size: usize| -> Option<usize> {
        let mut all = [0; 8];
        all[..size].copy_from_slice(bytes.get(at..at + size)?);
        usize::try_from(u64::from_le_bytes(all)).ok()
    };
    let heads: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, w)| *w == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    for head in heads {
        let sum = (|| {
            let (method, packed, local) = (
                number(bytes, head + 10, 2)?,
                number(bytes, head + 20, 4)?,
                number(bytes, head + 42, 4)?,
            );
            let start = local + 30 + number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
            let mut sum = flate2::Crc::new();
            sum.update(bytes.get(start..start + packed)?);
            (method == 0).then_some((local, sum.sum()))
        })();
        if let Some((local, sum)) = sum {
            bytes[local + 14..local + 18].copy_from_slice(&sum.to_le_bytes());
            bytes[head + 16..head + 20].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

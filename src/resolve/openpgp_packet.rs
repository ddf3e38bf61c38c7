//! The encoding of OpenPGP: packets, numbers and armour. Source: RFC 9580, sections 3, 4, 5.2.4 and
//! 6. Their meaning is in `openpgp.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Returns the type and the body of each packet.
pub fn packets(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut out = vec![];
    while let Some((&head, rest)) = bytes.split_first() {
        if head & 0x80 == 0 {
            return None;
        }
        let (tag, len, rest) = if head & 0x40 != 0 {
            let (&first, rest) = rest.split_first()?;
            let (len, rest) = match first {
                0..=191 => (usize::from(first), rest),
                192..=223 => {
                    let (&second, rest) = rest.split_first()?;
                    (((usize::from(first) - 192) << 8) + usize::from(second) + 192, rest)
                }
                // Partial lengths are only for data, and neither keys nor signatures are data.
                224..=254 => return None,
                255 => number(rest, 4)?,
            };
            (head & 0x3f, len, rest)
        } else {
            let (len, rest) = match head & 3 {
                0 => number(rest, 1)?,
                1 => number(rest, 2)?,
                2 => number(rest, 4)?,
                _ => return None,
            };
            ((head >> 2) & 0x0f, len, rest)
        };
        let (body, rest) = rest.split_at_checked(len)?;
        out.push((tag, body));
        bytes = rest;
    }
    Some(out)
}

/// Reads a big-endian number of `size` bytes. Returns it with the bytes that follow it.
pub fn number(bytes: &[u8], size: usize) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size)?;
    Some((head.iter().fold(0, |n, b| (n << 8) | usize::from(*b)), rest))
}

/// Reads a multiprecision integer. Returns it without leading zeros, with the bytes that follow it
/// (section 3.2).
pub fn mpi(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = number(bytes, 2)?;
    let (value, rest) = rest.split_at_checked(bits.div_ceil(8))?;
    let zeros = value.iter().take_while(|b| **b == 0).count();
    Some((&value[zeros..], rest))
}

/// Splits a time or a duration in seconds from the bytes that follow it (section 3.5).
pub fn seconds(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*head).into(), rest))
}

/// Returns `value` with leading zeros, `len` bytes long.
pub fn padded(value: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; len.checked_sub(value.len())?];
    out.extend(value);
    Some(out)
}

/// Returns the bytes in upper-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// Returns a key in the form in which it is hashed (section 5.2.4).
pub fn hashed_key(version: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![];
    if version == 6 {
        out.push(0x9b);
        out.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
    } else {
        out.push(0x99);
        out.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
    }
    out.extend(body);
    Some(out)
}

/// Returns the concatenated bytes of all blocks of an armoured text. The checksum is ignored,
/// because the signatures make it superfluous.
pub fn dearmoured(text: &str) -> Option<Vec<u8>> {
    let mut out = vec![];
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let kind = line.strip_prefix("-----BEGIN ")?;
        for header in lines.by_ref() {
            match header.contains(": ") {
                true => {}
                false if header.is_empty() => break,
                false => return None,
            }
        }
        let (mut base64, mut ended) = (String::new(), false);
        for line in lines.by_ref() {
            if line.strip_prefix("-----END ") == Some(kind) {
                ended = true;
                break;
            }
            if !line.starts_with('=') {
                base64.push_str(line);
            }
        }
        if !ended {
            return None;
        }
        out.extend(STANDARD.decode(base64).ok()?);
    }
    Some(out)
}

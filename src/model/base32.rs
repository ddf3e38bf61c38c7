//! The base-32 encoding of Nix: it has its own alphabet, the least significant digit comes last,
//! and the bits are taken from the end of the input. Source: `printHash32` in Nix's
//! `libutil/hash.cc`.

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Whether `byte` is a digit of the alphabet (which leaves out e, o, t and u).
pub fn is_digit(byte: u8) -> bool {
    ALPHABET.contains(&byte)
}

/// Encodes `bytes`: 32 characters for 20 bytes, 52 for 32.
pub fn encode(bytes: &[u8]) -> String {
    let len = (bytes.len() * 8).div_ceil(5);
    (0..len)
        .rev()
        .map(|n| {
            let bit = n * 5;
            let (i, j) = (bit / 8, bit % 8);
            let low = u16::from(bytes[i]) >> j;
            let high = bytes.get(i + 1).map_or(0, |b| u16::from(*b) << (8 - j));
            ALPHABET[usize::from((low | high) & 0x1f)] as char
        })
        .collect()
}

/// Decodes the digits of exactly `N` bytes, or returns `None`: one digit too many or too few, another character, or bits that
/// belong to no byte.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut out = [0; N];
    for (n, digit) in text.bytes().rev().enumerate() {
        let value = u16::try_from(ALPHABET.iter().position(|a| *a == digit)?).ok()?;
        let (i, j) = (n * 5 / 8, n * 5 % 8);
        let [low, high] = (value << j).to_le_bytes();
        out[i] |= low;
        match out.get_mut(i + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::Digest;

    #[test]
    fn encodes_as_nix_does() {
        // nix-hash --to-base32 --type sha256 ba7816bf...15ad
        assert_eq!(
            super::encode(Digest::of(b"abc").as_bytes()),
            "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
        );
    }

    #[test]
    fn decodes_what_it_encodes_and_nothing_else() {
        for text in ["", "a", "abc", "the text of a test"] {
            let digest = Digest::of(text.as_bytes());
            let said = super::encode(digest.as_bytes());
            assert_eq!(super::decode(&said), Some(*digest.as_bytes()), "{said}");
            assert_eq!(super::decode::<20>(&said), None);
        }
        let said = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
        // The first digit holds one bit of a digest.
        for bad in [said.replacen('1', "2", 1), said.replacen('b', "e", 1), said[1..].to_owned()] {
            assert_eq!(super::decode::<32>(&bad), None, "{bad}");
        }
        assert_eq!(super::decode::<0>(""), Some([]));
    }
}

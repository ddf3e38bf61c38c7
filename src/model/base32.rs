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
}

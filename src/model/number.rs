//! Numbers in file formats.

/// Parses a number that consists only of decimal digits, as sizes and versions do. The parser of
/// the standard library would also accept a sign. The result is `None` if the text is not such a
/// number, or if the number is larger than 64 bits.
pub fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_alone_are_a_number() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("0018"), Some(18));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", " 1", "1 ", "1.0", "0x1", "18446744073709551616", "\u{661}"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}

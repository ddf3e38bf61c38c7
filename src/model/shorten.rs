//! Keeps messages readable when a file contains a very long value.

/// The greatest length of a word in characters. No URL or store name of a real lock is longer.
const LONGEST_WORD: usize = 500;

/// The number of characters that remain of a longer word.
const KEPT: usize = 60;

/// The greatest length of a whole text in characters.
const LONGEST: usize = 20_000;

/// Returns the text with every word of more than 500 characters cut short, and the text itself if
/// it has more than 20,000 characters. The lengths are told in their place.
pub fn shortened(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for word in text.split_inclusive(char::is_whitespace) {
        if word.len() > LONGEST_WORD {
            let count = word.trim_end().chars().count();
            if count > LONGEST_WORD {
                let space = &word[word.trim_end().len()..];
                out.extend(word.chars().take(KEPT));
                out.push_str(&format!("... ({count} characters){space}"));
                continue;
            }
        }
        out.push_str(word);
    }
    let end = out.char_indices().nth(LONGEST).map(|(at, _)| at);
    match end {
        Some(end) => {
            let count = text.chars().count();
            out.truncate(end);
            out + &format!("... ({count} characters)")
        }
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_very_long_is_cut() {
        for text in ["", "a b\n c ", &"x".repeat(500), &"\u{e9} ".repeat(5000)] {
            assert_eq!(shortened(text), text);
        }
        let long = format!("the key {:?} is unknown", "\u{e9}".repeat(1000));
        let expected = format!("the key \"{}... (1002 characters) is unknown", "\u{e9}".repeat(59));
        assert_eq!(shortened(&long), expected);
        let many = "word ".repeat(100_000);
        assert!(shortened(&many).len() < 20_100);
        assert!(shortened(&many).ends_with("... (500000 characters)"));
    }
}

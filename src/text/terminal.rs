//! Text for terminals that others wrote: a package, a server, a repository.

/// Whether a character can change how the text around it is shown: a control character, or one that
/// changes the direction of writing. Source: the Unicode Standard, annex 9, section 2.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text with the escapes of its hidden characters in their place.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_how_the_text_is_shown() {
        let text = "a\u{1b}[2J\n\u{202e}b\u{2066}c\u{200f}d";
        assert_eq!(escaped(text), "a\\u{1b}[2J\\u{a}\\u{202e}b\\u{2066}c\\u{200f}d");
        assert_eq!(escaped("größe \u{5d0} 👩\u{200d}💻"), "größe \u{5d0} 👩\u{200d}💻");
    }
}

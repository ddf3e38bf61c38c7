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

/// Returns a text like [`escaped`], but with its tabs, and with its lines below each other: those
/// after the first are indented, so that none looks like a message of its own.
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\n    "),
            c if is_hidden(c) && c != '\t' => out.extend(c.escape_unicode()),
            c => out.push(c),
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
        assert_eq!(block("a\u{9b}2J\nerror:\tb"), "a\\u{9b}2J\n    error:\tb");
        assert_eq!(escaped("größe \u{5d0} 👩\u{200d}💻"), "größe \u{5d0} 👩\u{200d}💻");
    }
}

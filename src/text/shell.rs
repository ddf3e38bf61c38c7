//! A writer of shell commands: assignments for POSIX shells and for fish. Sources: POSIX.1-2017,
//! "Shell Command Language", section 2.2.2; fish's documentation, "Quotes".

/// Returns a word of a POSIX shell that stands for `text`.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Returns a word of a POSIX shell that stands for `text`, in quotation marks only if it needs them.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// Returns a word of fish that stands for `text`.
pub fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Returns commands that set and unset variables in a POSIX shell.
pub fn assignments<'a>(
    set: impl IntoIterator<Item = (&'a String, &'a String)>,
    unset: &[String],
) -> String {
    let set = set.into_iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    set.chain(unset.iter().map(|name| format!("unset {name}\n"))).collect()
}

/// Returns commands that set and unset variables in fish.
pub fn fish_assignments<'a>(
    set: impl IntoIterator<Item = (&'a String, &'a String)>,
    unset: &[String],
) -> String {
    let set =
        set.into_iter().map(|(name, value)| format!("set -gx {name} {}\n", fish_quoted(value)));
    set.chain(unset.iter().map(|name| format!("set -e {name}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_stay() {
        assert_eq!(
            (word("./a-b/c"), word("a b"), word("")),
            ("./a-b/c".to_owned(), "'a b'".to_owned(), "''".to_owned())
        );
        assert_eq!(quoted("a'b\\$"), "'a'\\''b\\$'");
        assert_eq!(fish_quoted("a'b\\$"), "'a\\'b\\\\$'");
        let set = std::collections::BTreeMap::from([("A".to_owned(), "x y".to_owned())]);
        assert_eq!(assignments(&set, &["B".to_owned()]), "export A='x y'\nunset B\n");
        assert_eq!(fish_assignments(&set, &["B".to_owned()]), "set -gx A 'x y'\nset -e B\n");
    }
}

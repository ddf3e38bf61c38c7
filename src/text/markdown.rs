//! A writer of Markdown. Source: GitHub Flavored Markdown 0.29, "Backslash escapes", "Code spans",
//! "Tables".

use super::terminal::is_hidden;

/// Returns text in which no character has a meaning for Markdown.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hidden(c) => out.push('\u{fffd}'),
            c if "\\`*_[]<>#!|~&@:".contains(c) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Returns a code span that may stand in a table. Names in it mention nobody and link nowhere.
pub fn code(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    let longest = clean.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad =
        if clean.starts_with('`') || clean.ends_with('`') || clean.is_empty() { " " } else { "" };
    // In a table, a bar ends the cell, even in a code span.
    format!("{fence}{pad}{}{pad}{fence}", clean.replace('|', "\\|"))
}

/// Returns a table. The cells are Markdown already.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(header.to_vec());
    out.push_str(&line(header.iter().map(|_| "---").collect()));
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        assert_eq!(text("a|b\n<i>*x*@me"), "a\\|b \\<i\\>\\*x\\*\\@me");
        assert_eq!(code("1.0|2`"), "`` 1.0\\|2` ``");
        assert_eq!(code("x"), "`x`");
        assert_eq!(
            table(&["a", "b"], &[vec!["1".into(), "2".into()]]),
            "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
        );
    }
}

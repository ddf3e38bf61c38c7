//! Turns the syntax errors of the TOML parser into messages that name the key. The parser reports a
//! place and a sentence. The key at that place, and the first place of a duplicate key, are looked
//! up in the text.

use std::ops::Range;

/// The parser's message for a duplicate key in a table. Only the printed text depends on it.
const DUPLICATE: &str = "duplicate key";

/// Returns the message. If the character at the place of the error is an invisible control
/// character, its number is added.
fn visible(text: &str, span: &Range<usize>, message: String) -> String {
    match text.get(span.start..).and_then(|rest| rest.chars().next()) {
        Some(c) if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => {
            format!("{message}, got the control character U+{:04X}", u32::from(c))
        }
        _ => message,
    }
}

/// A syntax error in the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The byte range of the error.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The first place of a duplicate key.
    pub first: Option<usize>,
}

/// A line that begins a table or gives a key a value.
struct Statement<'a> {
    /// The offset at which its line begins.
    line: usize,
    /// The offset at which its name begins.
    start: usize,
    /// The name of the table or key, as it is written.
    name: &'a str,
    is_table: bool,
}

/// Explains the parser's errors. For a duplicate table, only the table is reported and not each of
/// its keys.
pub fn explain(text: &str, faults: Vec<(Range<usize>, String)>) -> Vec<Fault> {
    let faults: Vec<_> = faults
        .into_iter()
        .map(|(span, message)| (span.clone(), visible(text, &span, message)))
        .collect();
    if !faults.iter().any(|(_, message)| message == DUPLICATE) {
        let plain = |(span, message)| Fault { span, message, first: None };
        return faults.into_iter().map(plain).collect();
    }
    let statements = statements(text);
    let at = |offset: usize| statements.partition_point(|s| s.line <= offset).checked_sub(1);
    let mut out = vec![];
    // The byte range of the keys of a duplicate table.
    let mut inside = 0..0;
    for (span, message) in faults {
        if message != DUPLICATE {
            out.push(Fault { span, message, first: None });
            continue;
        }
        if inside.contains(&span.start) {
            continue;
        }
        let found = at(span.start).map(|i| (i, &statements[i]));
        out.push(match found {
            Some((i, table)) if table.is_table => {
                let end = statements[i + 1..].iter().find(|s| s.is_table);
                inside = span.end..end.map_or(text.len(), |s| s.line);
                let earlier = statements[..i].iter().find(|s| s.is_table && s.name == table.name);
                Fault {
                    span,
                    message: format!("{DUPLICATE}: the table [{}] stands here again", table.name),
                    first: earlier.map(|s| s.start),
                }
            }
            Some((i, key)) if span.start == key.start => {
                let same_table = statements[..i].iter().rev().take_while(|s| !s.is_table);
                Fault {
                    first: same_table.filter(|s| s.name == key.name).last().map(|s| s.start),
                    message: format!("{DUPLICATE}: {:?} stands here again", key.name),
                    span,
                }
            }
            _ => {
                let name = text.get(span.clone()).unwrap_or_default();
                Fault {
                    message: format!("{DUPLICATE}: {name:?} stands here again"),
                    span,
                    first: None,
                }
            }
        });
    }
    out
}

fn statements(text: &str) -> Vec<Statement<'_>> {
    let mut out = vec![];
    let mut line = 0;
    for whole in text.split_inclusive('\n') {
        let trimmed = whole.trim_start();
        let indent = whole.len() - trimmed.len();
        if let Some(rest) = trimmed.strip_prefix('[') {
            let brackets = 1 + usize::from(rest.starts_with('['));
            let name = trimmed[brackets..].split([']', '\n']).next().unwrap_or_default();
            let start = line + indent + brackets;
            out.push(Statement { line, start, name: name.trim(), is_table: true });
        } else if let Some((name, _)) = trimmed.split_once('=')
            && !name.starts_with('#')
        {
            let start = line + indent;
            out.push(Statement { line, start, name: name.trim(), is_table: false });
        }
        line += whole.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(usize, String, Option<usize>)> {
        let (_, errors) = toml::de::DeTable::parse_recoverable(text);
        let faults = errors
            .into_iter()
            .map(|e| (e.span().unwrap_or(0..0), e.message().to_owned()))
            .collect();
        let line = |offset: usize| text[..offset].matches('\n').count() + 1;
        explain(text, faults)
            .into_iter()
            .map(|f| (line(f.span.start), f.message, f.first.map(line)))
            .collect()
    }

    #[test]
    fn what_cannot_be_seen_is_told_by_its_number() {
        let told = told("a = \"\0\"\n");
        assert!(told[0].1.ends_with(", got the control character U+0000"), "{told:?}");
    }

    #[test]
    fn what_stands_there_twice_is_told_once_with_its_name() {
        let table = "[toolchains.a]\nkind = \"cc\"\nsource = \"debian\"\n";
        assert_eq!(
            told(&format!("{table}[x]\ny = 1\n{table}[z]\n")),
            [(6, "duplicate key: the table [toolchains.a] stands here again".to_owned(), Some(1))]
        );
        assert_eq!(
            told("[a]\nkind = 1\nother = 2\nkind = 3\n"),
            [(4, "duplicate key: \"kind\" stands here again".to_owned(), Some(2))]
        );
        assert_eq!(
            told("x = { a = 1, a = 2 }\n"),
            [(1, "duplicate key: \"a\" stands here again".to_owned(), None)]
        );
    }
}

//! A reader of shell text. This is not a complete shell: it finds the positions where a command can
//! occur, and respects quotes, comments and here-documents.

/// The commands of a text that have been read so far.
#[derive(Default)]
struct Reader {
    done: Vec<Vec<String>>,
    command: Vec<String>,
    word: Option<String>,
    /// The next word is the file of a redirection.
    redirected: bool,
}

impl Reader {
    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.redirected)
        {
            self.command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.redirected = false;
        if !self.command.is_empty() {
            self.done.push(std::mem::take(&mut self.command));
        }
    }
}

/// Returns the simple commands of a text as words without their quotes. The content of `$(...)` and
/// of backquotes is returned as separate commands.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    commands_within(text, 0)
}

/// The greatest depth of substitutions within each other that is read.
const DEEPEST: usize = 16;

/// Reads a text that `depth` substitutions surround.
fn commands_within(text: &str, depth: usize) -> Vec<Vec<String>> {
    if depth > DEEPEST {
        return vec![];
    }
    let mut reader = Reader::default();
    let mut heredocs: Vec<String> = vec![];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(next) => reader.word().push(next),
            },
            '\'' => reader.word().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let inner = until_quote(&mut chars);
                reader.done.extend(substitutions(&inner, depth + 1));
                reader.word().push_str(&inner);
            }
            '$' if chars.peek() == Some(&'(') => {
                chars.next();
                let inner = until_closed(&mut chars);
                // An arithmetic expansion starts no programs.
                if !inner.starts_with('(') {
                    reader.done.extend(commands_within(&inner, depth + 1));
                }
                reader.word().push_str("$()");
            }
            '`' => {
                let inner: String = chars.by_ref().take_while(|c| *c != '`').collect();
                reader.done.extend(commands_within(&inner, depth + 1));
                reader.word().push_str("$()");
            }
            '#' if reader.word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            // Inside [[ ]] these characters join conditions.
            '&' | '|'
                if reader.command.first().is_some_and(|w| w == "[[")
                    && !reader.command.iter().any(|w| w == "]]") =>
            {
                reader.end_word()
            }
            '\n' if !heredocs.is_empty() => {
                reader.end_command();
                for end in heredocs.drain(..) {
                    skip_heredoc(&mut chars, &end);
                }
            }
            ';' if chars.peek() == Some(&';') => {
                // The next pattern of a case.
                chars.next();
                reader.end_command();
                skip_pattern(&mut chars);
            }
            ';' | '\n' | '&' | '|' => reader.end_command(),
            // An array.
            '(' if reader.word.as_ref().is_some_and(|w| w.ends_with('=')) => {
                drop(until_closed(&mut chars))
            }
            // Arithmetic.
            '(' if reader.word.is_none() && chars.peek() == Some(&'(') => {
                drop(until_closed(&mut chars))
            }
            '(' if reader.word.is_some() && chars.peek() == Some(&')') => {
                chars.next();
                reader.word().push_str("()");
                reader.end_word();
            }
            '(' | ')' => reader.end_command(),
            '<' | '>' => {
                // A number before the redirection is a file descriptor.
                if reader.word.as_ref().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) {
                    reader.word = None;
                }
                reader.end_word();
                if c == '<' && chars.peek() == Some(&'<') {
                    chars.next();
                    // <<< precedes a text, << and <<- begin a here-document.
                    if chars.next_if_eq(&'<').is_none() {
                        chars.next_if_eq(&'-');
                        while chars.next_if(|c| *c == ' ').is_some() {}
                        let mut end = String::new();
                        while let Some(c) =
                            chars.next_if(|c| !c.is_whitespace() && !";&|<>()".contains(*c))
                        {
                            end.extend(Some(c).filter(|c| !"'\"\\".contains(*c)));
                        }
                        heredocs.push(end);
                        continue;
                    }
                }
                while chars.next_if(|c| matches!(c, '>' | '&' | '|')).is_some() {}
                reader.redirected = true;
            }
            c if c.is_whitespace() => reader.end_word(),
            c => reader.word().push(c),
        }
    }
    reader.end_command();
    reader.done
}

/// Skips the lines of a here-document up to its end mark.
fn skip_heredoc(chars: &mut std::iter::Peekable<std::str::Chars>, end: &str) {
    loop {
        let line: String = chars.by_ref().take_while(|c| *c != '\n').collect();
        if line.trim_start_matches('\t') == end || chars.peek().is_none() {
            return;
        }
    }
}

/// Skips a pattern of a `case`, unless `esac` follows.
fn skip_pattern(chars: &mut std::iter::Peekable<std::str::Chars>) {
    let mut ahead = chars.clone();
    let mut pattern = String::new();
    for c in ahead.by_ref() {
        if c == ')' {
            *chars = ahead;
            return;
        }
        pattern.push(c);
        if pattern.trim_start().starts_with("esac") {
            return;
        }
    }
}

fn until_quote(chars: &mut std::iter::Peekable<std::str::Chars>) -> String {
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

fn until_closed(chars: &mut std::iter::Peekable<std::str::Chars>) -> String {
    let mut depth = 1;
    let mut out = String::new();
    for c in chars.by_ref() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        out.push(c);
    }
    out
}

/// Returns the commands in the substitutions of a quoted text, `$(...)` and backquotes.
fn substitutions(text: &str, depth: usize) -> Vec<Vec<String>> {
    let mut out = vec![];
    let quoted = text.split('`').skip(1).step_by(2);
    out.extend(quoted.flat_map(|inner| commands_within(inner, depth)));
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        let mut chars = rest[at + 2..].chars().peekable();
        let inner = until_closed(&mut chars);
        out.extend(commands_within(&inner, depth));
        rest = &rest[(at + 2 + inner.len()).min(rest.len())..];
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_are_words_without_their_quotes() {
        let text = "a 'b c' \"d $(e f)\" \\\n g # h\nfor i in x y; do k <<END\nno\nEND\ndone";
        let words: Vec<String> =
            super::commands(text).into_iter().map(|words| words.join("|")).collect();
        let deep = "$(".repeat(100_000);
        assert_eq!(super::commands(&deep).len(), super::DEEPEST + 1);
        assert_eq!(words, ["e|f", "a|b c|d $(e f)|g", "for|i|in|x|y", "do|k", "done"]);
    }
}

//! Credentials from a netrc file. Source: the GNU inetutils manual, "The .netrc file", and for what it
//! leaves open (quotes, comments, macros) the manual of curl's option `--netrc`.

/// Logins by host.
#[derive(Default)]
pub struct Netrc {
    entries: Vec<(Option<String>, String, String)>,
}

impl Netrc {
    /// Parses the text of a netrc file. Unknown words are skipped, as curl does. A macro (`macdef`)
    /// ends with an empty line.
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<(Option<String>, String, String)> = vec![];
        let mut in_macro = false;
        // The word whose value comes next, possibly on another line.
        let mut open: Option<String> = None;
        for line in text.lines() {
            if in_macro {
                in_macro = !line.is_empty();
                continue;
            }
            for word in words(line) {
                match open.take().as_deref() {
                    Some("machine") => entries.push((Some(word), String::new(), String::new())),
                    Some("login") => {
                        entries.last_mut().into_iter().for_each(|last| last.1.clone_from(&word));
                    }
                    Some("password") => {
                        entries.last_mut().into_iter().for_each(|last| last.2.clone_from(&word));
                    }
                    Some(_) => {}
                    None => {
                        let word = word.to_ascii_lowercase();
                        match word.as_str() {
                            "default" => entries.push((None, String::new(), String::new())),
                            "machine" | "login" | "password" | "account" => open = Some(word),
                            "macdef" => {
                                // Its name follows on this line.
                                in_macro = true;
                                break;
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        Netrc { entries }
    }

    /// Returns the user name and the password for a host.
    pub fn login(&self, host: &str) -> Option<(&str, &str)> {
        let named = |entry: &&(Option<String>, String, String)| {
            entry.0.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(host))
        };
        let exact = self.entries.iter().find(named);
        exact
            .or_else(|| self.entries.iter().find(|(m, ..)| m.is_none()))
            .map(|(_, user, password)| (user.as_str(), password.as_str()))
    }
}

/// Splits a line into words. A word may stand in double quotes, in which `\\` escapes the next
/// character, and `\n`, `\r` and `\t` are what they are in C. A word that begins with `#` begins a
/// comment. What follows a quote that nothing closes is left out.
fn words(line: &str) -> Vec<String> {
    let mut out = vec![];
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let Some((word, after)) = unquoted(quoted) else { break };
                out.push(word);
                after
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                out.push(rest[..end].to_owned());
                &rest[end..]
            }
        };
        rest = after.trim_start();
    }
    out
}

/// Returns the text up to the closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c => c,
            }),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_host() {
        let netrc = Netrc::parse(
            "# note\nmachine a.example login u password p\nmachine b.example\n  login v\n  password q\n",
        );
        assert_eq!(netrc.login("a.example"), Some(("u", "p")));
        assert_eq!(netrc.login("B.example"), Some(("v", "q")));
        assert_eq!(netrc.login("c.example"), None);
    }

    #[test]
    fn a_macro_is_skipped_up_to_an_empty_line() {
        let netrc = Netrc::parse(
            "machine a.example login u password p macdef init\ncd /x\nmachine evil.example login e password e\n\nmachine b.example login v password q\n",
        );
        assert_eq!(netrc.login("a.example"), Some(("u", "p")));
        assert_eq!(netrc.login("evil.example"), None);
        assert_eq!(netrc.login("b.example"), Some(("v", "q")));
    }

    #[test]
    fn quoted_words_and_comments() {
        let netrc = Netrc::parse(
            "machine a.example login \"a user\" password \"p \\\" \\\\ #\\t\" # password no\ndefault login x#y password \"machine b.example\n",
        );
        assert_eq!(netrc.login("a.example"), Some(("a user", "p \" \\ #\t")));
        // A quote that nothing closes has no value.
        assert_eq!(netrc.login("b.example"), Some(("x#y", "")));
        // The value of a word may be that of another word.
        let netrc = Netrc::parse("machine machine login password password login");
        assert_eq!(netrc.login("machine"), Some(("password", "login")));
    }
}

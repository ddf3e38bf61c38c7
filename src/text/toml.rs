//! A writer of TOML. Source: TOML 1.0, "String", "Keys", "Inline Table".

use std::fmt::Write as _;

/// Returns a basic string.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                write!(out, "\\u{:04X}", c as u32).expect("writing to a string does not fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns a key: bare if TOML allows it, otherwise quoted.
pub fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { text.to_owned() } else { string(text) }
}

/// Returns an array of strings on one line.
pub fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| string(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// The keys of a table in order, for an inline table or a table on several lines.
#[derive(Debug, Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    /// Adds a string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name, string(value))
    }

    /// Adds a string, if there is one.
    pub fn maybe_string(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.string(name, value),
            None => self,
        }
    }

    /// Adds an integer.
    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(name, value.to_string())
    }

    /// Adds the value `true`, if it is meant. A key that is missing means `false`.
    pub fn flag(&mut self, name: &str, is_set: bool) -> &mut Self {
        if is_set { self.raw(name, "true".to_owned()) } else { self }
    }

    /// Adds the value `false`, if it is meant. A key that is missing means `true`.
    pub fn unset(&mut self, name: &str, is_unset: bool) -> &mut Self {
        if is_unset { self.raw(name, "false".to_owned()) } else { self }
    }

    /// Adds an array of strings.
    pub fn strings<S: AsRef<str>>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.raw(name, strings(items))
    }

    /// Adds an array of strings, unless it is empty.
    pub fn some_strings<S: AsRef<str>>(&mut self, name: &str, items: &[S]) -> &mut Self {
        if items.is_empty() { self } else { self.strings(name, items) }
    }

    /// Adds an inline table, unless it is empty.
    pub fn some_table(&mut self, name: &str, table: &Table) -> &mut Self {
        if table.0.is_empty() { self } else { self.raw(name, table.inline()) }
    }

    fn raw(&mut self, name: &str, value: String) -> &mut Self {
        self.0.push((key(name), value));
        self
    }

    /// Returns the text as an inline table.
    pub fn inline(&self) -> String {
        let items: Vec<String> = self.0.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        if items.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", items.join(", ")) }
    }

    /// Returns the text as lines, without a header.
    pub fn lines(&self) -> String {
        self.0.iter().map(|(k, v)| format!("{k} = {v}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let odd = "a \"b\" \\ c\n\t\u{7f}\u{1} ü";
        let mut table = Table::default();
        table.string("plain", odd).strings("odd key", [odd, ""]).number("n", 7);
        let text = format!("{}inline = {}\n", table.lines(), table.inline());
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["plain"].as_str(), Some(odd));
        assert_eq!(read["odd key"].as_array().unwrap()[0].as_str(), Some(odd));
        assert_eq!(read["inline"]["plain"].as_str(), Some(odd));
        assert_eq!(read["n"].as_integer(), Some(7));
    }
}

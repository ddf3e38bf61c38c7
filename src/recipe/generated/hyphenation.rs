//! The lists of the languages whose hyphenation TeX knows, in the three forms that its formats read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::api::{Generated, names, text};
use crate::error::Result;
use crate::tree::{BlobDir, Tree};

/// The pieces of configuration that packages of TeX bring.
pub const PIECES: &str = "var/lib/tex-common";

/// The heads of the lists.
const HEADS: &str = "usr/share/texlive/texmf-dist/tex/generic/config";

/// The place of the lists.
const LISTS: &str = "var/lib/texmf/tex/generic/config";

/// A language, as a line `name=german file=loadhyph-de-1901.tex ...` of a package describes it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Language {
    file: String,
    left: String,
    right: String,
    synonyms: Vec<String>,
    patterns: Option<String>,
    exceptions: Option<String>,
    special: Option<String>,
    databases: Option<Vec<String>>,
}

impl Language {
    /// Whether it belongs into the list `dat`, `def` or `lua`.
    fn is_in(&self, list: &str) -> bool {
        match &self.databases {
            Some(named) => named.iter().any(|n| n == list),
            // Lua needs to know where the patterns are.
            None if list == "lua" => {
                self.patterns.is_some() || self.exceptions.is_some() || self.special.is_some()
            }
            None => true,
        }
    }
}

/// Adds the lists.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir, out: &mut Generated) -> Result<()> {
    let mut languages = BTreeMap::new();
    for directory in [format!("{PIECES}/hyphen-cnf/texlive"), format!("{PIECES}/hyphen-cnf")] {
        for name in names(tree, &directory, ".cnf") {
            let content = text(tree, &format!("{directory}/{name}"))?.unwrap_or_default();
            languages.extend(content.lines().filter_map(language));
        }
    }
    let mut dat = text(tree, &format!("{HEADS}/language.us"))?.unwrap_or_default();
    let mut def = text(tree, &format!("{HEADS}/language.us.def"))?.unwrap_or_default();
    let mut lua = text(tree, &format!("{HEADS}/language.us.lua"))?.unwrap_or_default();
    for (name, l) in &languages {
        if l.is_in("dat") {
            let _ = writeln!(dat, "{name} {}", l.file);
            for synonym in &l.synonyms {
                let _ = writeln!(dat, "={synonym}");
            }
        }
        if l.is_in("def") {
            let _ = writeln!(
                def,
                "\\addlanguage{{{name}}}{{{}}}{{}}{{{}}}{{{}}}",
                l.file, l.left, l.right
            );
        }
        if l.is_in("lua") {
            let synonyms: Vec<String> = l.synonyms.iter().map(|s| format!("'{s}'")).collect();
            let _ = writeln!(
                lua,
                "  ['{name}'] = {{ loader = '{}', lefthyphenmin = {}, righthyphenmin = {}, synonyms = {{ {} }},",
                l.file,
                l.left,
                l.right,
                synonyms.join(", ")
            );
            let more = [
                ("patterns", &l.patterns),
                ("hyphenation", &l.exceptions),
                ("special", &l.special),
            ];
            for (key, value) in more {
                if let Some(value) = value {
                    let _ = writeln!(lua, "    {key} = '{value}',");
                }
            }
            lua.push_str("  },\n");
        }
    }
    // The last line of each list must be this one.
    def.push_str("\n\\uselanguage {USenglish}\n");
    lua.push_str("}\n");
    for (name, content) in [("dat", dat), ("def", def), ("dat.lua", lua)] {
        out.file(blobs, &format!("{LISTS}/language.{name}"), content.as_bytes())?;
    }
    Ok(())
}

/// Parses a line. A comment and a line without a name are no language.
fn language(line: &str) -> Option<(String, Language)> {
    if line.trim_start().starts_with(['%', '#']) {
        return None;
    }
    let mut name = None;
    let mut out = Language { left: "2".to_owned(), right: "3".to_owned(), ..Language::default() };
    let list = |value: &str| -> Vec<String> {
        value.split(',').filter(|v| !v.is_empty()).map(str::to_owned).collect()
    };
    for word in words(line) {
        let Some((key, value)) = word.split_once('=') else { continue };
        let value = value.to_owned();
        match key {
            "name" => name = Some(value),
            "file" => out.file = value,
            "lefthyphenmin" if !value.is_empty() => out.left = value,
            "righthyphenmin" if !value.is_empty() => out.right = value,
            "synonyms" => out.synonyms = list(&value),
            "databases" => out.databases = Some(list(&value)),
            "file_patterns" => out.patterns = Some(value),
            "file_exceptions" => out.exceptions = Some(value),
            "luaspecial" => out.special = Some(value),
            _ => {}
        }
    }
    Some((name?, out))
}

/// Splits a line at white space that is not in double quotes, and drops the quotes.
fn words(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => out.push(String::new()),
            c => out.last_mut().expect("there is always one").push(c),
        }
    }
    out.retain(|w| !w.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_describes_a_language() {
        let (name, german) = language(
            "name=german synonyms=g,h lefthyphenmin=2 righthyphenmin= file=de.tex file_patterns=de.txt luaspecial=\"a b\"",
        )
        .unwrap();
        assert_eq!((name.as_str(), german.file.as_str()), ("german", "de.tex"));
        assert_eq!((german.left.as_str(), german.right.as_str()), ("2", "3"));
        assert_eq!(german.special.as_deref(), Some("a b"));
        assert!(german.is_in("lua") && german.is_in("dat"));
        let (_, plain) = language("name=x file=x.tex").unwrap();
        assert!(!plain.is_in("lua") && plain.is_in("def"));
        assert_eq!(language("% name=x"), None);
    }
}

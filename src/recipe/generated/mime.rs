//! `mime.cache`, the database of MIME types that `update-mime-database` compiles. Without it, GLib
//! and gdk-pixbuf recognise no file.
//!
//! The format is version 1.2 of the one in the specification of shared-mime-info. All numbers are
//! big-endian, and have 32 bits unless noted.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Generated, names, text};
use super::cache::Cache;
use super::xml::Element;
use crate::error::Result;
use crate::tree::{BlobDir, Tree};

/// The directory of the database.
const MIME: &str = "usr/share/mime";

/// The flag of a pattern that heeds upper and lower case.
const CASE_SENSITIVE: u32 = 0x100;

/// What is known of all types.
#[derive(Debug, Default)]
struct Database {
    aliases: BTreeMap<String, String>,
    parents: BTreeMap<String, Vec<String>>,
    globs: BTreeMap<String, Vec<Glob>>,
    magic: BTreeMap<String, Vec<Magic>>,
    namespaces: BTreeMap<(String, String), String>,
    icons: BTreeMap<String, String>,
    generic_icons: BTreeMap<String, String>,
}

/// A pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Glob {
    pattern: String,
    /// The weight and flags, as they are written.
    weight: u32,
}

/// A test of a file's content.
#[derive(Debug)]
struct Magic {
    priority: u32,
    matches: Vec<Match>,
}

#[derive(Debug)]
struct Match {
    start: u32,
    length: u32,
    word: u32,
    value: Vec<u8>,
    mask: Option<Vec<u8>>,
    children: Vec<Match>,
}

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let packages = format!("{MIME}/packages");
    let mut files = names(tree, &packages, ".xml");
    if files.is_empty() {
        return Ok(out);
    }
    // What an administrator overrides comes last.
    files.sort_by_key(|f| (f == "Override.xml", f.clone()));
    let mut database = Database::default();
    for file in files {
        let content = text(tree, &format!("{packages}/{file}"))?.unwrap_or_default();
        match Element::parse(&content) {
            Some(root) => root.named("mime-type").for_each(|t| database.add(t)),
            None => out.lacks(
                format!("{packages}/{file} is no XML: its MIME types are unknown"),
                "leave its package out",
            ),
        }
    }
    out.file(blobs, &format!("{MIME}/mime.cache"), &database.write())?;
    Ok(out)
}

impl Database {
    /// Adds what an element says of a type.
    fn add(&mut self, element: &Element) {
        let Some(kind) = element.attribute("type").map(str::to_owned) else { return };
        for child in &element.children {
            let attribute = |name: &str| child.attribute(name).map(str::to_owned);
            match child.name.as_str() {
                "alias" => {
                    self.aliases.extend(attribute("type").map(|a| (a, kind.clone())));
                }
                "sub-class-of" => {
                    let parents = self.parents.entry(kind.clone()).or_default();
                    parents.extend(attribute("type").filter(|p| !parents.contains(p)));
                }
                "glob-deleteall" => drop(self.globs.remove(&kind)),
                "magic-deleteall" => drop(self.magic.remove(&kind)),
                "glob" => {
                    let globs = self.globs.entry(kind.clone()).or_default();
                    globs.extend(Glob::parse(child).filter(|g| !globs.contains(g)));
                }
                "magic" => {
                    let matches = child.named("match").filter_map(Match::parse).collect();
                    let priority = number(child.attribute("priority"), 50);
                    self.magic.entry(kind.clone()).or_default().push(Magic { priority, matches });
                }
                "root-XML" => {
                    let key = (
                        attribute("namespaceURI").unwrap_or_default(),
                        attribute("localName").unwrap_or_default(),
                    );
                    self.namespaces.insert(key, kind.clone());
                }
                "icon" => self.icons.extend(attribute("name").map(|n| (kind.clone(), n))),
                "generic-icon" => {
                    self.generic_icons.extend(attribute("name").map(|n| (kind.clone(), n)));
                }
                _ => {}
            }
        }
    }

    /// Returns the cache.
    fn write(&self) -> Vec<u8> {
        let mut cache = Cache::default();
        cache.short(1);
        cache.short(2);
        let header = cache.reserve(9);
        let sections = [
            self.write_pairs(&mut cache, &self.aliases),
            self.write_parents(&mut cache),
            self.write_globs(&mut cache, Glob::is_literal),
            self.write_suffixes(&mut cache),
            self.write_globs(&mut cache, |g| !g.is_literal() && g.suffix().is_none()),
            self.write_magic(&mut cache),
            self.write_namespaces(&mut cache),
            self.write_pairs(&mut cache, &self.icons),
            self.write_pairs(&mut cache, &self.generic_icons),
        ];
        for (i, offset) in sections.into_iter().enumerate() {
            cache.set(header + 4 * i, offset);
        }
        cache.finish()
    }

    fn write_pairs(&self, cache: &mut Cache, pairs: &BTreeMap<String, String>) -> u32 {
        let at = cache.position();
        cache.count(pairs.len());
        for (a, b) in pairs {
            cache.text(a);
            cache.text(b);
        }
        at
    }

    fn write_parents(&self, cache: &mut Cache) -> u32 {
        let at = cache.position();
        cache.count(self.parents.len());
        let mut lists = vec![];
        for (kind, parents) in &self.parents {
            cache.text(kind);
            lists.push((cache.reserve(1), parents));
        }
        for (place, parents) in lists {
            let list = cache.position();
            cache.set(place, list);
            cache.count(parents.len());
            parents.iter().for_each(|p| cache.text(p));
        }
        at
    }

    /// Returns all patterns with their types, sorted.
    fn globs(&self, want: impl Fn(&Glob) -> bool) -> BTreeSet<(&Glob, &str)> {
        self.globs
            .iter()
            .flat_map(|(kind, globs)| globs.iter().map(move |g| (g, kind.as_str())))
            .filter(|(g, _)| want(g))
            .collect()
    }

    fn write_globs(&self, cache: &mut Cache, want: impl Fn(&Glob) -> bool) -> u32 {
        let at = cache.position();
        let globs = self.globs(want);
        cache.count(globs.len());
        for (glob, kind) in globs {
            cache.text(&glob.pattern);
            cache.text(kind);
            cache.number(glob.weight);
        }
        at
    }

    /// The endings of names, as a tree whose root is the last character.
    fn write_suffixes(&self, cache: &mut Cache) -> u32 {
        let mut root = Suffixes::default();
        for (glob, kind) in self.globs(|g| g.suffix().is_some()) {
            let mut node = &mut root;
            for c in glob.suffix().unwrap_or_default().chars().rev() {
                node = node.children.entry(c).or_default();
            }
            node.ends.push((kind.to_owned(), glob.weight));
        }
        let at = cache.position();
        cache.count(root.len());
        let place = cache.reserve(1);
        let first = root.write(cache);
        cache.set(place, first);
        at
    }

    fn write_magic(&self, cache: &mut Cache) -> u32 {
        let mut all: Vec<(&str, &Magic)> = self
            .magic
            .iter()
            .flat_map(|(kind, magic)| magic.iter().map(move |m| (kind.as_str(), m)))
            .collect();
        all.sort_by_key(|(kind, m)| (std::cmp::Reverse(m.priority), *kind));
        let at = cache.position();
        cache.count(all.len());
        cache
            .number(all.iter().flat_map(|(_, m)| &m.matches).map(Match::extent).max().unwrap_or(0));
        let place = cache.reserve(1);
        let first = cache.position();
        cache.set(place, first);
        let mut lists = vec![];
        for (kind, magic) in all {
            cache.number(magic.priority);
            cache.text(kind);
            cache.count(magic.matches.len());
            lists.push((cache.reserve(1), &magic.matches));
        }
        for (place, matches) in lists {
            let list = Match::write(matches, cache);
            cache.set(place, list);
        }
        at
    }

    fn write_namespaces(&self, cache: &mut Cache) -> u32 {
        let at = cache.position();
        cache.count(self.namespaces.len());
        for ((uri, name), kind) in &self.namespaces {
            cache.text(uri);
            cache.text(name);
            cache.text(kind);
        }
        at
    }
}

impl Glob {
    fn parse(element: &Element) -> Option<Glob> {
        let pattern = element.attribute("pattern").filter(|p| (1..256).contains(&p.len()))?;
        let weight = number(element.attribute("weight"), 50).min(100);
        Some(match element.attribute("case-sensitive") {
            Some("true") => Glob { pattern: pattern.to_owned(), weight: weight | CASE_SENSITIVE },
            _ => Glob { pattern: pattern.to_lowercase(), weight },
        })
    }

    fn is_literal(&self) -> bool {
        !self.pattern.contains(['*', '?', '['])
    }

    /// Returns the ending of names for which the pattern stands, if it stands for one.
    fn suffix(&self) -> Option<&str> {
        self.pattern.strip_prefix('*').filter(|s| !s.is_empty() && !s.contains(['*', '?', '[']))
    }
}

/// A node of the tree of endings.
#[derive(Debug, Default)]
struct Suffixes {
    /// The types whose ending is complete here, with their weights.
    ends: Vec<(String, u32)>,
    children: BTreeMap<char, Suffixes>,
}

impl Suffixes {
    fn len(&self) -> usize {
        self.ends.len() + self.children.len()
    }

    /// Writes what is below the node, and returns its position.
    fn write(&self, cache: &mut Cache) -> u32 {
        let at = cache.position();
        for (kind, weight) in &self.ends {
            cache.number(0);
            cache.text(kind);
            cache.number(*weight);
        }
        let mut places = vec![];
        for (c, child) in &self.children {
            cache.number(u32::from(*c));
            cache.count(child.len());
            places.push((cache.reserve(1), child));
        }
        for (place, child) in places {
            let below = child.write(cache);
            cache.set(place, below);
        }
        at
    }
}

impl Match {
    fn parse(element: &Element) -> Option<Match> {
        let (start, end) = match element.attribute("offset")?.split_once(':') {
            Some((start, end)) => (start.parse().ok()?, end.parse().ok()?),
            None => {
                let start: u32 = element.attribute("offset")?.parse().ok()?;
                (start, start)
            }
        };
        let kind = element.attribute("type")?;
        let (value, mask) = (element.attribute("value")?, element.attribute("mask"));
        let (value, mask, word) = match kind {
            "string" => {
                let value = unescape(value);
                let mask = match mask {
                    Some(mask) => Some(hexadecimal(mask).filter(|m| m.len() == value.len())?),
                    None => None,
                };
                (value, mask, 1)
            }
            _ => {
                let width = match kind.trim_start_matches(|c: char| c.is_ascii_alphabetic()) {
                    "16" => 2,
                    "32" => 4,
                    _ => 1,
                };
                let bytes = |text: &str| {
                    let all = c_number(text)?.to_be_bytes();
                    let mut bytes = all[all.len() - width..].to_vec();
                    if kind.starts_with("little") {
                        bytes.reverse();
                    }
                    Some(bytes)
                };
                let mask = match mask {
                    Some(mask) => Some(bytes(mask)?),
                    None => None,
                };
                // Who reads a number in the order of the host's bytes needs its width.
                let word = if kind.starts_with("host") { u32::try_from(width).ok()? } else { 1 };
                (bytes(value)?, mask, word)
            }
        };
        let children = element.named("match").filter_map(Match::parse).collect();
        let length = end.checked_sub(start)?.checked_add(1)?;
        Some(Match { start, length, word, value, mask, children })
    }

    /// Returns how many bytes of a file the test needs.
    fn extent(&self) -> u32 {
        let length = u32::try_from(self.value.len()).unwrap_or(0);
        let own = self.start.saturating_add(self.length).saturating_add(length);
        self.children.iter().map(Match::extent).fold(own, u32::max)
    }

    /// Writes tests side by side, and then what is below each. Returns their position.
    fn write(matches: &[Match], cache: &mut Cache) -> u32 {
        let at = cache.position();
        let mut places = vec![];
        for m in matches {
            cache.number(m.start);
            cache.number(m.length);
            cache.number(m.word);
            cache.count(m.value.len());
            cache.bytes(&m.value);
            match &m.mask {
                Some(mask) => cache.bytes(mask),
                None => cache.number(0),
            }
            cache.count(m.children.len());
            places.push((cache.reserve(1), &m.children));
        }
        for (place, children) in places.into_iter().filter(|(_, c)| !c.is_empty()) {
            let below = Match::write(children, cache);
            cache.set(place, below);
        }
        at
    }
}

fn number(text: Option<&str>, otherwise: u32) -> u32 {
    text.and_then(|t| t.parse().ok()).unwrap_or(otherwise)
}

/// Parses a number as C writes it: decimal, octal after `0`, hexadecimal after `0x`.
fn c_number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// Parses the bytes of a mask, `0xffff00`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").filter(|d| d.is_ascii() && d.len() % 2 == 0)?;
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}

/// Replaces the escapes of C in a text.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = vec![];
    let mut i = 0;
    // The digits of a number from `from` on, at most `most`, as the byte that they are.
    let digits = |from: usize, most: usize, radix: u32| -> (usize, u8) {
        let count =
            bytes[from..].iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
        let value = bytes[from..from + count]
            .iter()
            .fold(0u32, |value, b| value * radix + char::from(*b).to_digit(radix).unwrap_or(0));
        (count, value.to_le_bytes()[0])
    };
    while i < bytes.len() {
        if bytes[i] != b'\\' || i + 1 == bytes.len() {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let (length, byte) = match bytes[i + 1] {
            b'n' => (2, b'\n'),
            b'r' => (2, b'\r'),
            b't' => (2, b'\t'),
            b'b' => (2, 0x08),
            b'f' => (2, 0x0c),
            b'v' => (2, 0x0b),
            b'a' => (2, 0x07),
            b'x' => {
                let (count, byte) = digits(i + 2, 2, 16);
                (2 + count, byte)
            }
            b'0'..=b'7' => {
                let (count, byte) = digits(i + 1, 3, 8);
                (1 + count, byte)
            }
            other => (2, other),
        };
        out.push(byte);
        i += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_in_c() {
        assert_eq!(unescape(r"a\x89PNG\r\n\032\0\\q\101b"), b"a\x89PNG\r\n\x1a\0\\qAb");
        assert_eq!(unescape(r"\x4g\"), b"\x04g\\");
        assert_eq!(c_number("070707"), Some(0o70707));
        assert_eq!(c_number("0xcafebabe"), Some(0xcafe_babe));
        assert_eq!(c_number("0"), Some(0));
        assert_eq!(hexadecimal("0xff00"), Some(vec![255, 0]));
        assert_eq!(hexadecimal("0xf"), None);
    }

    #[test]
    fn a_pattern_is_a_name_an_ending_or_more() {
        let glob = |pattern: &str| Glob { pattern: pattern.to_owned(), weight: 50 };
        assert!(glob("makefile").is_literal());
        assert_eq!(glob("*.tar.gz").suffix(), Some(".tar.gz"));
        assert_eq!(glob("*.[1-9]").suffix(), None);
        assert!(!glob("readme*").is_literal());
    }
}

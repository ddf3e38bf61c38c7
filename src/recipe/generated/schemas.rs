//! `gschemas.compiled`, the database of settings that `glib-compile-schemas` makes of XML files.
//! Without it, a program that uses GSettings ends with an error.
//!
//! The content of the database: each schema is a table with its keys in a list. Beside the list are
//! `.path`, `.gettext-domain`, `.extends` and `.list-of`. The value of a key is a tuple of the default
//! and of options, each of which begins with a letter: a translation, the names of an enumeration, of
//! flags or of choices, a range, and defaults for single desktops. Source: the database that the
//! tool makes, and `gschema.dtd` of GLib for the XML.

use std::collections::BTreeMap;

use super::api::{Generated, names, text};
use super::gvariant::{Literal, VariantType, structure, variant};
use super::gvdb::{self, GvdbItem, GvdbTable};
use super::xml::Element;
use crate::error::Result;
use crate::tree::{BlobDir, Tree};

/// The directory of the schemas.
const SCHEMAS: &str = "usr/share/glib-2.0/schemas";

/// The longest name of a key in bytes, as GLib defines it.
const LONGEST_NAME: usize = 1024;

/// The least and the greatest number of each type that may have a range.
const LIMITS: &[(u8, &str, &str)] = &[
    (b'y', "0", "255"),
    (b'n', "-32768", "32767"),
    (b'q', "0", "65535"),
    (b'i', "-2147483648", "2147483647"),
    (b'u', "0", "4294967295"),
    (b'x', "-9223372036854775808", "9223372036854775807"),
    (b't', "0", "18446744073709551615"),
    (b'd', "-inf", "inf"),
];

/// The names of an enumeration or of flags, with their numbers.
#[derive(Debug, Clone, Default)]
struct NickNames {
    is_flags: bool,
    values: Vec<(String, u32)>,
}

/// A key of a schema.
#[derive(Debug, Clone)]
struct SettingsKey {
    of: VariantType,
    default: Vec<u8>,
    /// A letter for the category, and the text to translate.
    translation: Option<(u8, String)>,
    /// The letter of the list of names, the list, and the names that are values themselves.
    names: Option<(u8, Vec<u8>, Vec<String>)>,
    range: Option<(Vec<u8>, Vec<u8>)>,
    /// The defaults of single desktops, as variants.
    of_desktops: BTreeMap<String, Vec<u8>>,
}

/// A schema.
#[derive(Debug, Clone, Default)]
struct SettingsSchema {
    /// `.path`, `.gettext-domain`, `.extends` and `.list-of`.
    texts: BTreeMap<&'static str, String>,
    keys: BTreeMap<String, SettingsKey>,
    /// Other schemas, by their names with a slash at the end.
    children: BTreeMap<String, String>,
}

/// What the files define.
#[derive(Debug, Clone, Default)]
struct Settings {
    names: BTreeMap<String, NickNames>,
    schemas: BTreeMap<String, SettingsSchema>,
}

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let files: Vec<String> = [".enums.xml", ".gschema.xml"]
        .iter()
        .flat_map(|ending| names(tree, SCHEMAS, ending))
        .collect();
    if !files.iter().any(|name| name.ends_with(".gschema.xml")) {
        return Ok(out);
    }
    let mut settings = Settings::default();
    for file in files {
        let content = text(tree, &format!("{SCHEMAS}/{file}"))?.unwrap_or_default();
        let before = settings.clone();
        let done = match Element::parse(&content) {
            Some(root) => settings.add(&root),
            None => Err("it is no XML".to_owned()),
        };
        if let Err(problem) = done {
            settings = before;
            out.lacks(
                format!("the settings of {SCHEMAS}/{file} are left out: {problem}"),
                "programs that use them end with an error: leave the file's package out, or take another version of it",
            );
        }
    }
    for file in names(tree, SCHEMAS, ".gschema.override") {
        settings.replace(&text(tree, &format!("{SCHEMAS}/{file}"))?.unwrap_or_default());
    }
    out.file(blobs, &format!("{SCHEMAS}/gschemas.compiled"), &settings.write())?;
    Ok(out)
}

impl Settings {
    /// Adds what a file defines, or tells why it is no list of schemas.
    fn add(&mut self, root: &Element) -> std::result::Result<(), String> {
        if root.name != "schemalist" {
            return Err(format!("it begins with <{}> in place of <schemalist>", root.name));
        }
        for (kind, is_flags) in [("enum", false), ("flags", true)] {
            for element in root.named(kind) {
                let id = attribute(element, "id")?;
                let value = |value: &Element| {
                    let nick = attribute(value, "nick")?.to_owned();
                    let number = attribute(value, "value")?;
                    let bytes = Literal::parse(number).and_then(|literal| {
                        let as_integer = literal.bytes(&VariantType::Basic(b'i'));
                        as_integer.or_else(|| literal.bytes(&VariantType::Basic(b'u')))
                    });
                    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                    let bytes = bytes.ok_or_else(|| format!("{number:?} of {id} is no number"))?;
                    Ok::<_, String>((nick, u32::from_le_bytes(bytes)))
                };
                let values =
                    element.named("value").map(value).collect::<std::result::Result<_, _>>()?;
                self.names.insert(id.to_owned(), NickNames { is_flags, values });
            }
        }
        for element in root.named("schema") {
            let id = attribute(element, "id")?;
            let schema = self
                .schema(element, root.attribute("gettext-domain"))
                .map_err(|problem| format!("in the schema {id}, {problem}"))?;
            if id.len() > LONGEST_NAME || self.schemas.insert(id.to_owned(), schema).is_some() {
                return Err(format!("the schema {id} is defined twice"));
            }
        }
        Ok(())
    }

    fn schema(
        &self,
        element: &Element,
        domain: Option<&str>,
    ) -> std::result::Result<SettingsSchema, String> {
        let mut schema = SettingsSchema::default();
        for (name, value) in [
            (".path", element.attribute("path")),
            (".extends", element.attribute("extends")),
            (".list-of", element.attribute("list-of")),
        ] {
            schema.texts.extend(value.map(|value| (name, value.to_owned())));
        }
        for child in &element.children {
            let name = child.attribute("name").unwrap_or_default();
            let is_key = matches!(child.name.as_str(), "key" | "override" | "child");
            if is_key && (name.is_empty() || name.len() > LONGEST_NAME) {
                return Err(format!("<{}> has no name that GLib accepts", child.name));
            }
            let at_key = |problem| format!("the key {name}: {problem}");
            match child.name.as_str() {
                "key" => {
                    schema.keys.insert(name.to_owned(), self.key(child).map_err(at_key)?);
                }
                "override" => {
                    let mut key = self
                        .inherited(schema.texts.get(".extends"), name)
                        .ok_or_else(|| at_key("it overrides nothing".to_owned()))?
                        .clone();
                    (key.default, key.translation) = key.default(child).map_err(at_key)?;
                    schema.keys.insert(name.to_owned(), key);
                }
                "child" => {
                    let of = attribute(child, "schema").map_err(at_key)?;
                    schema.children.insert(format!("{name}/"), of.to_owned());
                }
                _ => {}
            }
        }
        // Only what has something to translate has a domain.
        if schema.keys.values().any(|key| key.translation.is_some()) {
            let domain = element.attribute("gettext-domain").or(domain);
            schema.texts.extend(domain.map(|domain| (".gettext-domain", domain.to_owned())));
        }
        Ok(schema)
    }

    /// Returns a key of a schema, or of those that it extends.
    fn inherited(&self, schema: Option<&String>, key: &str) -> Option<&SettingsKey> {
        let mut schema = self.schemas.get(schema?)?;
        // A file names only schemas before it, so this ends.
        loop {
            match schema.keys.get(key) {
                Some(key) => return Some(key),
                None => schema = self.schemas.get(schema.texts.get(".extends")?)?,
            }
        }
    }

    fn key(&self, element: &Element) -> std::result::Result<SettingsKey, String> {
        let mut names = None;
        let mut of = element.attribute("type").map(str::to_owned);
        for (kind, is_flags, letter, type_text) in
            [("enum", false, b'e', "s"), ("flags", true, b'f', "as")]
        {
            if let Some(id) = element.attribute(kind) {
                let known = self.names.get(id).filter(|n| n.is_flags == is_flags);
                let values = &known.ok_or_else(|| format!("no {kind} is called {id}"))?.values;
                of = Some(type_text.to_owned());
                names = Some((letter, values.clone()));
            }
        }
        for choices in element.named("choices") {
            let values = choices.named("choice");
            let values = values.filter_map(|c| Some((c.attribute("value")?.to_owned(), 0)));
            names = Some((b'c', values.collect()));
        }
        let of = of.ok_or("it has no type")?;
        let of = VariantType::parse(&of).ok_or_else(|| format!("{of:?} is no type"))?;
        let mut key = SettingsKey {
            of,
            default: vec![],
            translation: None,
            names: None,
            range: None,
            of_desktops: BTreeMap::new(),
        };
        if let Some((letter, values)) = names {
            let mut list = vec![];
            for (name, value) in &values {
                append_name(&mut list, 0xff, name, *value);
            }
            for alias in element.named("aliases").flat_map(|aliases| aliases.named("alias")) {
                let (name, target) = (attribute(alias, "value")?, attribute(alias, "target")?);
                let at = values.iter().position(|(name, _)| name == target);
                let at = at.ok_or_else(|| format!("{target:?} is none of its values"))?;
                let words = values[..at].iter().map(|(name, _)| words(name) + 1).sum();
                append_name(&mut list, 0xfe, name, words);
            }
            let values = values.into_iter().map(|(name, _)| name).collect();
            key.names = Some((letter, list, values));
        }
        if let Some(range) = element.named("range").next() {
            let limits = LIMITS.iter().find(|(letter, ..)| key.of == VariantType::Basic(*letter));
            let (_, least, greatest) = limits.ok_or("a value of its type has no range")?;
            let limit = |name: &str, otherwise: &str| {
                let text = range.attribute(name).unwrap_or(otherwise);
                let bytes = Literal::parse(text).and_then(|literal| literal.bytes(&key.of));
                bytes.ok_or_else(|| format!("{text:?} is not of its type"))
            };
            key.range = Some((limit("min", least)?, limit("max", greatest)?));
        }
        let default = element.named("default").next().ok_or("it has no default")?;
        (key.default, key.translation) = key.default(default)?;
        Ok(key)
    }

    /// Replaces defaults, as a file with the ending `.gschema.override` says. What is not there or does
    /// not fit is passed over, as by the tool.
    fn replace(&mut self, text: &str) {
        let mut group: Option<(&str, Option<&str>)> = None;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                group = Some(match name.split_once(':') {
                    Some((schema, desktop)) => (schema, Some(desktop)),
                    None => (name, None),
                });
                continue;
            }
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let Some((schema, desktop)) = group else { continue };
            let key = self.schemas.get_mut(schema).and_then(|s| s.keys.get_mut(name.trim_end()));
            let Some(key) = key else { continue };
            let Ok(value) = key.value(value) else { continue };
            match desktop {
                // A text that is translated has one default.
                Some(_) if key.translation.is_some() => {}
                Some(desktop) => {
                    let value = variant(&value, &key.of);
                    key.of_desktops.insert(desktop.to_owned(), value);
                }
                None => key.default = value,
            }
        }
    }

    /// Returns the database.
    fn write(&self) -> Vec<u8> {
        let text = |text: &String| {
            let bytes = [text.as_bytes(), &[0]].concat();
            GvdbItem::Value(variant(&bytes, &VariantType::Basic(b's')))
        };
        let table = |schema: &SettingsSchema| {
            let keys = schema.keys.iter().map(|(name, key)| {
                let (bytes, of) = key.serialised();
                (name.clone(), GvdbItem::Value(variant(&bytes, &of)))
            });
            let children = schema.children.iter().map(|(name, of)| (name.clone(), text(of)));
            let texts = schema.texts.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
            GvdbTable { listed: keys.chain(children).collect(), others: texts.collect() }
        };
        let schemas = self.schemas.iter();
        let listed = schemas.map(|(id, schema)| (id.clone(), GvdbItem::Table(table(schema))));
        gvdb::write(&GvdbTable { listed: listed.collect(), others: BTreeMap::new() })
    }
}

impl SettingsKey {
    /// Returns a value of the key in the binary form.
    fn value(&self, text: &str) -> std::result::Result<Vec<u8>, String> {
        let literal = Literal::parse(text);
        let bytes = literal.as_ref().and_then(|literal| literal.bytes(&self.of));
        let bytes = bytes
            .ok_or_else(|| format!("{:?} is not of the type {}", text.trim(), self.of.text()))?;
        let used = match literal {
            Some(Literal::Text(name)) => vec![Literal::Text(name)],
            Some(Literal::Array(names)) => names,
            _ => vec![],
        };
        let Some((_, _, values)) = &self.names else { return Ok(bytes) };
        for name in used {
            if let Literal::Text(name) = name
                && !values.contains(&name)
            {
                return Err(format!("{name:?} is none of its values"));
            }
        }
        Ok(bytes)
    }

    /// Reads a default, and what is to be translated of it.
    #[expect(clippy::type_complexity, reason = "the two parts of a default")]
    fn default(
        &self,
        element: &Element,
    ) -> std::result::Result<(Vec<u8>, Option<(u8, String)>), String> {
        let value = self.value(&element.text)?;
        let category = match element.attribute("l10n") {
            None => return Ok((value, None)),
            Some("messages") => b'm',
            Some("time") => b't',
            Some(other) => return Err(format!("{other:?} is no category of translations")),
        };
        let text = element.text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        let text = match element.attribute("context") {
            Some(context) => format!("{context}\u{4}{text}"),
            None => text.to_owned(),
        };
        Ok((value, Some((category, text))))
    }

    /// Returns the tuple that the database has for the key, and its type.
    fn serialised(&self) -> (Vec<u8>, VariantType) {
        let letter = VariantType::Basic(b'y');
        let mut members = vec![(self.default.clone(), self.of.clone())];
        let mut option = |of_option: u8, value: Vec<u8>, of: VariantType| {
            let bytes = structure(&[(vec![of_option], &letter), (value, &of)]);
            members.push((bytes, VariantType::Tuple(vec![letter.clone(), of])));
        };
        let parsed = |text: &str| VariantType::parse(text).expect("it is a type");
        if let Some((category, text)) = &self.translation {
            let of = VariantType::Basic(b's');
            let text = [text.as_bytes(), &[0]].concat();
            let value = structure(&[(vec![*category], &letter), (text, &of)]);
            option(b'l', value, parsed("(ys)"));
        }
        if let Some((of_names, list, _)) = &self.names {
            option(*of_names, list.clone(), parsed("au"));
        }
        if let Some((least, greatest)) = &self.range {
            let value = structure(&[(least.clone(), &self.of), (greatest.clone(), &self.of)]);
            option(b'r', value, VariantType::Tuple(vec![self.of.clone(), self.of.clone()]));
        }
        if !self.of_desktops.is_empty() {
            let of = parsed("a{sv}");
            let value = super::gvariant::dictionary(&self.of_desktops);
            option(b'd', value, of);
        }
        let borrowed: Vec<(Vec<u8>, &VariantType)> =
            members.iter().map(|(bytes, of)| (bytes.clone(), of)).collect();
        let bytes = structure(&borrowed);
        (bytes, VariantType::Tuple(members.into_iter().map(|(_, of)| of).collect()))
    }
}

fn attribute<'e>(element: &'e Element, name: &str) -> std::result::Result<&'e str, String> {
    element.attribute(name).ok_or_else(|| format!("<{}> has no {name:?}", element.name))
}

/// Returns the number of words of 32 bits that a name takes.
fn words(name: &str) -> u32 {
    let words = ((name.len() + 6) / 4).max(2);
    u32::try_from(words).expect("a file is far below 4 GB")
}

/// Appends a number and a name: a mark, the name, and zeros, of which the last is 0xff.
fn append_name(list: &mut Vec<u8>, mark: u8, name: &str, number: u32) {
    list.extend(number.to_le_bytes());
    let end = list.len() + 4 * words(name) as usize;
    list.push(mark);
    list.extend(name.as_bytes());
    list.resize(end, 0);
    list[end - 1] = 0xff;
}

//! A TOML table that is read key by key. Wrong types and unknown keys are reported with their
//! place.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Problems;
use crate::model::Platform;

/// A value and the byte range of the file from which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The byte range of the value.
    pub span: Range<usize>,
}

/// A TOML value, without the types that no key of a manifest accepts.
#[derive(Debug, Clone)]
pub enum TomlValue {
    /// A string.
    String(String),
    /// A boolean.
    Bool(bool),
    /// A non-negative integer.
    Number(u64),
    /// An array.
    Array(Vec<Spanned<TomlValue>>),
    /// A table.
    Table(BTreeMap<String, (Range<usize>, Spanned<TomlValue>)>),
    /// A value of any other type, with the name of the type.
    Other(&'static str),
}

impl TomlValue {
    fn of(value: &DeValue<'_>) -> TomlValue {
        match value {
            DeValue::String(s) => TomlValue::String(s.to_string()),
            DeValue::Boolean(b) => TomlValue::Bool(*b),
            DeValue::Array(a) => TomlValue::Array(
                a.iter()
                    .map(|v| Spanned { value: TomlValue::of(v.get_ref()), span: v.span() })
                    .collect(),
            ),
            DeValue::Table(t) => TomlValue::Table(entries(t)),
            DeValue::Integer(i) => u64::from_str_radix(i.as_str(), i.radix()).map_or(
                TomlValue::Other("a number below zero or above 64 bits"),
                TomlValue::Number,
            ),
            DeValue::Float(_) => TomlValue::Other("a float"),
            DeValue::Datetime(_) => TomlValue::Other("a date"),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            TomlValue::String(_) => "a string",
            TomlValue::Bool(_) => "a boolean",
            TomlValue::Number(_) => "an integer",
            TomlValue::Array(_) => "an array",
            TomlValue::Table(_) => "a table",
            TomlValue::Other(name) => name,
        }
    }
}

fn entries(table: &DeTable<'_>) -> BTreeMap<String, (Range<usize>, Spanned<TomlValue>)> {
    table
        .iter()
        .map(|(k, v)| {
            (
                k.get_ref().to_string(),
                (k.span(), Spanned { value: TomlValue::of(v.get_ref()), span: v.span() }),
            )
        })
        .collect()
}

/// An entry of a list in which names and tables may be mixed.
#[derive(Debug, Clone)]
pub enum NameOrTable {
    /// A name alone.
    Name(Spanned<String>),
    /// A table that tells more.
    Table(Fields),
}

/// The keys of a table that have not been read yet, and the names of the keys that were asked for.
#[derive(Debug, Clone)]
pub struct Fields {
    what: String,
    span: Range<usize>,
    left: BTreeMap<String, (Range<usize>, Spanned<TomlValue>)>,
    known: Vec<String>,
}

impl Fields {
    /// Returns the keys of `table`. Messages call the table `what`.
    pub fn new(what: &str, table: &DeTable<'_>, span: Range<usize>) -> Self {
        Fields { what: what.to_owned(), span, left: entries(table), known: vec![] }
    }

    /// Returns the place of the table.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns the keys that have not been read yet.
    pub fn keys(&self) -> Vec<String> {
        self.left.keys().cloned().collect()
    }

    /// Whether a key exists and has not been read yet.
    pub fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Returns the place of a key's name, or of the table if the key does not exist.
    pub fn key_span(&self, key: &str) -> Range<usize> {
        self.left.get(key).map_or(self.span.clone(), |(span, _)| span.clone())
    }

    /// Whether the value of a key is a table.
    pub fn is_table(&self, key: &str) -> bool {
        matches!(self.left.get(key), Some((_, item)) if matches!(item.value, TomlValue::Table(_)))
    }

    /// Whether the value of a key is a string.
    pub fn is_string(&self, key: &str) -> bool {
        matches!(self.left.get(key), Some((_, item)) if matches!(item.value, TomlValue::String(_)))
    }

    /// Takes a string.
    pub fn string(&mut self, key: &str, problems: &mut Problems) -> Option<Spanned<String>> {
        let item = self.take(key)?;
        match item.value {
            TomlValue::String(value) => Some(Spanned { value, span: item.span }),
            other => wrong(problems, item.span, "a string", key, &other),
        }
    }

    /// Takes a string, which is required.
    pub fn required_string(
        &mut self,
        key: &str,
        problems: &mut Problems,
    ) -> Option<Spanned<String>> {
        if !self.left.contains_key(key) {
            self.known.push(key.to_owned());
        }
        self.require(key, problems);
        self.string(key, problems)
    }

    /// Takes an array of strings. A single string counts as an array of one.
    pub fn string_list(
        &mut self,
        key: &str,
        problems: &mut Problems,
    ) -> Option<Vec<Spanned<String>>> {
        let item = self.take(key)?;
        match item.value {
            TomlValue::String(value) => Some(vec![Spanned { value, span: item.span }]),
            TomlValue::Array(items) => {
                let mut out = vec![];
                for item in items {
                    match item.value {
                        TomlValue::String(value) => out.push(Spanned { value, span: item.span }),
                        other => {
                            wrong::<()>(problems, item.span, "strings", key, &other);
                        }
                    }
                }
                Some(out)
            }
            other => wrong(problems, item.span, "an array of strings", key, &other),
        }
    }

    /// Takes an array of names and tables. A single name or table counts as an array of one.
    pub fn names_or_tables(
        &mut self,
        key: &str,
        problems: &mut Problems,
    ) -> Option<Vec<NameOrTable>> {
        let item = self.take(key)?;
        let items = match item.value {
            TomlValue::Array(items) => items,
            _ => vec![item],
        };
        let mut out = vec![];
        for Spanned { value, span } in items {
            match value {
                TomlValue::String(value) => out.push(NameOrTable::Name(Spanned { value, span })),
                TomlValue::Table(left) => out.push(NameOrTable::Table(Fields {
                    what: format!("[[{key}]]"),
                    span,
                    left,
                    known: vec![],
                })),
                other => drop(wrong::<()>(
                    problems,
                    span,
                    "a name, a table or an array of them",
                    key,
                    &other,
                )),
            }
        }
        Some(out)
    }

    /// Takes a boolean.
    pub fn bool(&mut self, key: &str, problems: &mut Problems) -> Option<bool> {
        let item = self.take(key)?;
        match item.value {
            TomlValue::Bool(value) => Some(value),
            other => wrong(problems, item.span, "a boolean", key, &other),
        }
    }

    /// Takes a non-negative integer.
    pub fn number(&mut self, key: &str, problems: &mut Problems) -> Option<Spanned<u64>> {
        let item = self.take(key)?;
        match item.value {
            TomlValue::Number(value) => Some(Spanned { value, span: item.span }),
            other => wrong(problems, item.span, "a whole number", key, &other),
        }
    }

    /// Takes a non-negative integer, which is required.
    pub fn required_number(&mut self, key: &str, problems: &mut Problems) -> Option<Spanned<u64>> {
        self.require(key, problems);
        self.number(key, problems)
    }

    /// Takes a table in which each key has an array of strings. The result is empty if the table
    /// does not exist.
    pub fn string_lists(
        &mut self,
        key: &str,
        problems: &mut Problems,
    ) -> BTreeMap<String, Vec<String>> {
        let mut out = BTreeMap::new();
        if let Some(mut table) = self.table(key, problems) {
            for key in table.keys() {
                if let Some(list) = table.string_list(&key, problems) {
                    out.insert(key, list.into_iter().map(|s| s.value).collect());
                }
            }
        }
        out
    }

    /// Returns an empty table at the place of this one, to stand in for a table that may be
    /// omitted.
    pub fn nothing(&self, what: &str) -> Fields {
        Fields { what: what.to_owned(), span: self.span(), left: BTreeMap::new(), known: vec![] }
    }

    /// Reports a required key that does not exist.
    pub fn require(&mut self, key: &str, problems: &mut Problems) {
        if !self.left.contains_key(key) {
            problems.add(self.span(), format!("{} needs the key {key:?}", self.what));
        }
    }

    /// Returns the place of a key's value, or of the table if the key does not exist.
    pub fn value_span(&self, key: &str) -> Range<usize> {
        self.left.get(key).map_or(self.span(), |(_, value)| value.span.clone())
    }

    /// Takes a table.
    pub fn table(&mut self, key: &str, problems: &mut Problems) -> Option<Fields> {
        let key_span = self.key_span(key);
        let item = self.take(key)?;
        match item.value {
            TomlValue::Table(left) => {
                Some(Fields { what: format!("[{key}]"), span: key_span, left, known: vec![] })
            }
            other => wrong(problems, item.span, "a table", key, &other),
        }
    }

    /// Takes the table `platform`, which has a table for each of some platforms, and reads each of them.
    /// Keys that `read` leaves there are problems.
    pub fn platform_tables(
        &mut self,
        problems: &mut Problems,
        read: &mut dyn FnMut(Platform, &mut Fields, &mut Problems),
    ) {
        let Some(mut table) = self.table("platform", problems) else { return };
        for key in table.keys() {
            let span = table.key_span(&key);
            let inner = table.table(&key, problems);
            match (key.parse::<Platform>(), inner) {
                (Ok(platform), Some(mut inner)) => {
                    read(platform, &mut inner, problems);
                    inner.finish(problems);
                }
                (Err(why), _) => problems.add(span, why),
                _ => {}
            }
        }
    }

    /// Takes an array of tables. The result is empty if the array does not exist.
    pub fn table_list(&mut self, key: &str, problems: &mut Problems) -> Vec<Fields> {
        let Some(item) = self.take(key) else { return vec![] };
        let TomlValue::Array(list) = item.value else {
            let _: Option<()> = wrong(problems, item.span, "an array of tables", key, &item.value);
            return vec![];
        };
        let mut out = vec![];
        for entry in list {
            match entry.value {
                TomlValue::Table(left) => out.push(Fields {
                    what: format!("[[{key}]]"),
                    span: entry.span,
                    left,
                    known: vec![],
                }),
                other => drop(wrong::<()>(problems, entry.span, "a table", key, &other)),
            }
        }
        out
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, problems: &mut Problems) {
        self.finish_knowing(problems, |_| None);
    }

    /// Reports every key that was not asked for. `elsewhere` explains what a key means where it
    /// belongs.
    pub fn finish_knowing(
        self,
        problems: &mut Problems,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) {
        for (key, (span, _)) in &self.left {
            let mut hint = problems.did_you_mean(key, self.known.iter().map(String::as_str));
            if hint.is_empty()
                && let Some(meaning) = elsewhere(key)
            {
                hint = format!("; {meaning}");
            }
            problems.add(span.clone(), format!("unknown key {key:?} in {}{hint}", self.what));
        }
    }

    fn take(&mut self, key: &str) -> Option<Spanned<TomlValue>> {
        #[cfg(test)]
        super::asked::note(&self.what, key);
        self.known.push(key.to_owned());
        self.left.remove(key).map(|(_, value)| value)
    }
}

/// Takes a string and parses it. A problem with the string names the key.
pub fn parsed<T: std::str::FromStr<Err = String>>(
    fields: &mut Fields,
    key: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = fields.string(key, problems)?;
    text.value.parse().map_err(|why| problems.add(text.span, format!("{key}: {why}"))).ok()
}

/// Returns the table of a whole file. Syntax errors are added to `problems`.
pub fn root_table(what: &str, text: &str, problems: &mut Problems) -> Fields {
    let (parsed, errors) = DeTable::parse_recoverable(text);
    // If the text is not valid TOML, the parts that could be read would only cause false problems.
    let empty = DeTable::new();
    let table = if errors.is_empty() { parsed.get_ref() } else { &empty };
    problems.add_syntax(errors);
    Fields::new(what, table, parsed.span())
}

fn wrong<T>(
    problems: &mut Problems,
    span: Range<usize>,
    expected: &str,
    key: &str,
    got: &TomlValue,
) -> Option<T> {
    problems.add(span, format!("expected {expected} for {key:?}, got {}", got.type_name()));
    None
}

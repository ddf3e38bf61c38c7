//! Writes Starlark in the format of buildifier. Only this module decides what is quoted, and how.
//!
//! Source: the language specification,
//! <https://github.com/bazelbuild/starlark/blob/master/spec.md>.

use std::fmt::{self, Write};

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(String),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A name that is defined elsewhere.
    Name(&'static str),
    /// A list on one line.
    List(Vec<Value>),
    /// A list with one line for each element.
    TallList(Vec<Value>),
    /// A dictionary on one line.
    Dict(Vec<(String, Value)>),
    /// A dictionary with one line for each entry.
    TallDict(Vec<(String, Value)>),
    /// A call.
    Call(Call),
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    function: &'static str,
    positional: Vec<Value>,
    named: Vec<(&'static str, Value)>,
    is_tall: bool,
}

impl Call {
    /// Makes a call on one line.
    pub fn new(function: &'static str) -> Self {
        Call { function, positional: vec![], named: vec![], is_tall: false }
    }

    /// Makes a call with one line for each argument.
    pub fn tall(function: &'static str) -> Self {
        Call { is_tall: true, ..Call::new(function) }
    }

    /// Adds an argument.
    pub fn arg(mut self, value: impl Into<Value>) -> Self {
        self.positional.push(value.into());
        self
    }

    /// Adds arguments.
    pub fn args<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.positional.extend(values.into_iter().map(Into::into));
        self
    }

    /// Adds a named argument.
    pub fn named(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.named.push((name, value.into()));
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<Call> for Value {
    fn from(call: Call) -> Self {
        Value::Call(call)
    }
}

impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(items: I) -> Self {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

/// Returns a string in double quotes. Characters that an editor does not show are escaped in octal,
/// which every implementation of Starlark supports.
fn quote(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if c.is_ascii_control() => write!(out, "\\{:03o}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

impl Value {
    fn write(&self, indent: usize, out: &mut String) -> fmt::Result {
        match self {
            Value::Str(text) => quote(text, out),
            Value::Bool(value) => out.write_str(if *value { "True" } else { "False" }),
            Value::Int(value) => write!(out, "{value}"),
            Value::Name(name) => out.write_str(name),
            Value::List(items) => {
                sequence('[', ']', false, indent, out, items, |item, at, out| item.write(at, out))
            }
            Value::TallList(items) => {
                sequence('[', ']', true, indent, out, items, |item, at, out| item.write(at, out))
            }
            Value::Dict(entries) => sequence('{', '}', false, indent, out, entries, entry),
            Value::TallDict(entries) => sequence('{', '}', true, indent, out, entries, entry),
            Value::Call(call) => {
                out.write_str(call.function)?;
                let arguments: Vec<(Option<&str>, &Value)> = call
                    .positional
                    .iter()
                    .map(|v| (None, v))
                    .chain(call.named.iter().map(|(name, v)| (Some(*name), v)))
                    .collect();
                sequence('(', ')', call.is_tall, indent, out, &arguments, |(name, v), at, out| {
                    if let Some(name) = name {
                        write!(out, "{name} = ")?;
                    }
                    v.write(at, out)
                })
            }
        }
    }
}

fn entry((key, value): &(String, Value), indent: usize, out: &mut String) -> fmt::Result {
    quote(key, out)?;
    out.write_str(": ")?;
    value.write(indent, out)
}

fn sequence<T>(
    open: char,
    close: char,
    is_tall: bool,
    indent: usize,
    out: &mut String,
    items: &[T],
    write: impl Fn(&T, usize, &mut String) -> fmt::Result,
) -> fmt::Result {
    out.write_char(open)?;
    let is_tall = is_tall && !items.is_empty();
    for (number, item) in items.iter().enumerate() {
        match (is_tall, number) {
            (true, _) => write!(out, "\n{:1$}", "", indent + 4)?,
            (false, 0) => {}
            (false, _) => out.write_str(", ")?,
        }
        write(item, if is_tall { indent + 4 } else { indent }, out)?;
        if is_tall {
            out.write_char(',')?;
        }
    }
    if is_tall {
        write!(out, "\n{:1$}", "", indent)?;
    }
    out.write_char(close)
}

/// A file of statements, separated by empty lines.
#[derive(Debug, Default)]
pub struct File {
    blocks: Vec<String>,
    /// The comment lines of the next statement.
    pending: String,
}

impl File {
    /// Makes an empty file.
    pub fn new() -> Self {
        File::default()
    }

    /// Adds the documentation of the file. The text must not contain quotes or backslashes.
    pub fn doc(mut self, text: &str) -> Self {
        debug_assert!(!text.contains(['"', '\\']));
        self.blocks.push(format!("\"\"\"{text}\n\"\"\"\n"));
        self
    }

    /// Adds a comment to the next statement. Each line of `text` becomes a line of the comment.
    pub fn comment(mut self, text: &str) -> Self {
        for line in text.lines() {
            self.pending.push_str(if line.is_empty() { "#" } else { "# " });
            self.pending.push_str(line);
            self.pending.push('\n');
        }
        self
    }

    /// Ends a comment that does not belong to a statement.
    pub fn paragraph(mut self) -> Self {
        let comment = std::mem::take(&mut self.pending);
        self.blocks.push(comment);
        self
    }

    /// Adds `load(file, symbols...)`.
    pub fn load(self, file: &str, symbols: &[(&'static str, &str)]) -> Self {
        let call = symbols
            .iter()
            .fold(Call::new("load").arg(file), |call, (name, symbol)| call.named(name, *symbol));
        self.call(call)
    }

    /// Adds `name = value`.
    pub fn assign(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut text = std::mem::take(&mut self.pending);
        text.push_str(name);
        text.push_str(" = ");
        value.into().write(0, &mut text).expect("writing to a string");
        text.push('\n');
        self.blocks.push(text);
        self
    }

    /// Adds a call.
    pub fn call(mut self, call: Call) -> Self {
        let mut text = std::mem::take(&mut self.pending);
        Value::Call(call).write(0, &mut text).expect("writing to a string");
        text.push('\n');
        self.blocks.push(text);
        self
    }

    /// Returns the text of the file.
    pub fn render(self) -> String {
        self.blocks.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_formatted_as_buildifier_would() {
        let text = File::new()
            .doc("What it is.")
            .load(":a.bzl", &[("_x", "x")])
            .comment("Why.")
            .assign(
                "A",
                Value::TallDict(vec![(
                    "k".to_owned(),
                    Value::Dict(vec![("list".to_owned(), ["a", "b"].into_iter().collect())]),
                )]),
            )
            .assign("B", Value::TallList(vec![]))
            .call(Call::tall("f").arg(Value::Name("A")).named("ok", true).named("n", 7))
            .render();
        assert_eq!(
            text,
            "\"\"\"What it is.\n\"\"\"\n\nload(\":a.bzl\", _x = \"x\")\n\n# Why.\nA = {\n    \"k\": {\"list\": [\"a\", \"b\"]},\n}\n\nB = []\n\nf(\n    A,\n    ok = True,\n    n = 7,\n)\n"
        );
    }
}

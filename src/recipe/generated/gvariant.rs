//! Values of GLib's GVariant: they are read from the text in which schemas give them, and written in
//! the binary form. Sources: "GVariant Text Format" of the documentation of GLib, and "GVariant
//! Specification" (serialised form, section 2).

use std::collections::BTreeMap;
use std::str::FromStr;

/// How deep types and values may be in each other.
const DEEPEST: usize = 32;

/// A type of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantType {
    /// A type of one letter: numbers, `b`, and texts (`s`, `o`, `g`).
    Basic(u8),
    /// `v`.
    Variant,
    /// `m`.
    Maybe(Box<VariantType>),
    /// `a`.
    Array(Box<VariantType>),
    /// `(...)`.
    Tuple(Vec<VariantType>),
    /// `{..}`: a key and its value.
    Entry(Box<VariantType>, Box<VariantType>),
}

impl VariantType {
    /// Parses a type. Returns `None` if the text is not exactly one type.
    pub fn parse(text: &str) -> Option<VariantType> {
        let mut rest = text.as_bytes();
        let parsed = VariantType::take(&mut rest, 0)?;
        rest.is_empty().then_some(parsed)
    }

    fn take(rest: &mut &[u8], depth: usize) -> Option<VariantType> {
        let (&first, after) = rest.split_first().filter(|_| depth < DEEPEST)?;
        *rest = after;
        Some(match first {
            b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'h' | b'x' | b't' | b'd' | b's' | b'o'
            | b'g' => VariantType::Basic(first),
            b'v' => VariantType::Variant,
            b'm' => VariantType::Maybe(Box::new(VariantType::take(rest, depth + 1)?)),
            b'a' => VariantType::Array(Box::new(VariantType::take(rest, depth + 1)?)),
            b'(' => {
                let mut members = vec![];
                while *rest.first()? != b')' {
                    members.push(VariantType::take(rest, depth + 1)?);
                }
                *rest = &rest[1..];
                VariantType::Tuple(members)
            }
            b'{' => {
                let key = VariantType::take(rest, depth + 1)
                    .filter(|t| matches!(t, VariantType::Basic(_)))?;
                let value = VariantType::take(rest, depth + 1)?;
                *rest = rest.strip_prefix(b"}")?;
                VariantType::Entry(Box::new(key), Box::new(value))
            }
            _ => return None,
        })
    }

    /// Returns the text of the type.
    pub fn text(&self) -> String {
        match self {
            VariantType::Basic(letter) => char::from(*letter).to_string(),
            VariantType::Variant => "v".to_owned(),
            VariantType::Maybe(of) => format!("m{}", of.text()),
            VariantType::Array(of) => format!("a{}", of.text()),
            VariantType::Tuple(members) => {
                format!("({})", members.iter().map(VariantType::text).collect::<String>())
            }
            VariantType::Entry(key, value) => format!("{{{}{}}}", key.text(), value.text()),
        }
    }

    /// Returns the alignment in bytes.
    fn alignment(&self) -> usize {
        match self {
            VariantType::Basic(b'n' | b'q') => 2,
            VariantType::Basic(b'i' | b'u' | b'h') => 4,
            VariantType::Basic(b'x' | b't' | b'd') | VariantType::Variant => 8,
            VariantType::Basic(_) => 1,
            VariantType::Maybe(of) | VariantType::Array(of) => of.alignment(),
            VariantType::Tuple(members) => {
                members.iter().map(VariantType::alignment).max().unwrap_or(1)
            }
            VariantType::Entry(key, value) => key.alignment().max(value.alignment()),
        }
    }

    /// Returns the size in bytes, if all values of the type have the same.
    fn size(&self) -> Option<usize> {
        let of_members = |members: &mut dyn Iterator<Item = &VariantType>| {
            let mut end = 0usize;
            for member in members {
                end = end.next_multiple_of(member.alignment()) + member.size()?;
            }
            Some(end.next_multiple_of(self.alignment()).max(1))
        };
        match self {
            VariantType::Basic(b's' | b'o' | b'g')
            | VariantType::Variant
            | VariantType::Maybe(_)
            | VariantType::Array(_) => None,
            VariantType::Basic(_) => Some(self.alignment()),
            VariantType::Tuple(members) => of_members(&mut members.iter()),
            VariantType::Entry(key, value) => of_members(&mut [&**key, &**value].into_iter()),
        }
    }
}

/// A value as its text gives it. Its type is not yet certain.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A number, `true`, `false` or `nothing`.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// A text of bytes, which a NUL ends.
    Bytes(Vec<u8>),
    /// `[..]`.
    Array(Vec<Literal>),
    /// `{..}` with colons.
    Dictionary(Vec<(Literal, Literal)>),
    /// `{key, value}`.
    Entry(Box<(Literal, Literal)>),
    /// `(..)`.
    Tuple(Vec<Literal>),
    /// `<..>`.
    Variant(Box<Literal>),
    /// `just`.
    Just(Box<Literal>),
    /// A value whose text names its type.
    Typed(VariantType, Box<Literal>),
}

impl Literal {
    /// Parses a value. Returns `None` if the text is not exactly one value.
    pub fn parse(text: &str) -> Option<Literal> {
        let mut reader = LiteralReader { rest: text };
        let value = reader.value(0)?;
        reader.next();
        reader.rest.is_empty().then_some(value)
    }

    /// Returns the value in the binary form of a type, with little-endian numbers. Returns `None` if
    /// the value is not of this type.
    pub fn bytes(&self, of: &VariantType) -> Option<Vec<u8>> {
        match (self, of) {
            (Literal::Typed(named, value), _) => (named == of).then(|| value.bytes(of)).flatten(),
            (Literal::Just(value), VariantType::Maybe(inner)) => just(value.bytes(inner)?, inner),
            (Literal::Word(word), VariantType::Maybe(_)) if word == "nothing" => Some(vec![]),
            (value, VariantType::Maybe(inner)) => just(value.bytes(inner)?, inner),
            (Literal::Word(word), VariantType::Basic(letter)) => number(word, *letter),
            (Literal::Text(text), VariantType::Basic(b's' | b'o' | b'g')) => {
                let mut out = text.clone().into_bytes();
                out.push(0);
                (!text.contains('\0')).then_some(out)
            }
            (Literal::Bytes(bytes), VariantType::Array(inner))
                if **inner == VariantType::Basic(b'y') =>
            {
                Some([bytes, &[0][..]].concat())
            }
            (Literal::Array(values), VariantType::Array(inner)) => {
                let values = values.iter().map(|v| v.bytes(inner));
                Some(array(values.collect::<Option<Vec<_>>>()?, inner))
            }
            (Literal::Dictionary(entries), VariantType::Array(inner)) => {
                let VariantType::Entry(key, value) = &**inner else { return None };
                let entries = entries.iter().map(|(k, v)| {
                    Some(structure(&[(k.bytes(key)?, key), (v.bytes(value)?, value)]))
                });
                Some(array(entries.collect::<Option<Vec<_>>>()?, inner))
            }
            (Literal::Entry(entry), VariantType::Entry(key, value)) => {
                Some(structure(&[(entry.0.bytes(key)?, key), (entry.1.bytes(value)?, value)]))
            }
            (Literal::Tuple(values), VariantType::Tuple(types)) if values.len() == types.len() => {
                let members = values.iter().zip(types).map(|(v, t)| Some((v.bytes(t)?, t)));
                Some(structure(&members.collect::<Option<Vec<_>>>()?))
            }
            (Literal::Variant(value), VariantType::Variant) => {
                let of = value.own_type()?;
                Some(variant(&value.bytes(&of)?, &of))
            }
            _ => None,
        }
    }

    /// Returns the type of a value whose place does not tell it.
    fn own_type(&self) -> Option<VariantType> {
        let common = |types: &mut dyn Iterator<Item = Option<VariantType>>| {
            let types: Vec<VariantType> = types.flatten().collect();
            let double = VariantType::Basic(b'd');
            let is_number = |t: &VariantType| *t == VariantType::Basic(b'i') || *t == double;
            if types.contains(&double) && types.iter().all(is_number) {
                return Some(double);
            }
            types.iter().find(|t| types.iter().all(|u| u == *t)).cloned()
        };
        Some(match self {
            Literal::Word(word) => match word.as_str() {
                "true" | "false" => VariantType::Basic(b'b'),
                "nothing" => return None,
                word if number(word, b'i').is_some() => VariantType::Basic(b'i'),
                _ => VariantType::Basic(b'd'),
            },
            Literal::Text(_) => VariantType::Basic(b's'),
            Literal::Bytes(_) => VariantType::Array(Box::new(VariantType::Basic(b'y'))),
            Literal::Array(values) => {
                VariantType::Array(Box::new(common(&mut values.iter().map(Literal::own_type))?))
            }
            Literal::Dictionary(entries) => {
                let key = common(&mut entries.iter().map(|(k, _)| k.own_type()))?;
                let value = common(&mut entries.iter().map(|(_, v)| v.own_type()))?;
                VariantType::Array(Box::new(VariantType::Entry(Box::new(key), Box::new(value))))
            }
            Literal::Entry(entry) => {
                VariantType::Entry(Box::new(entry.0.own_type()?), Box::new(entry.1.own_type()?))
            }
            Literal::Tuple(values) => {
                VariantType::Tuple(values.iter().map(Literal::own_type).collect::<Option<_>>()?)
            }
            Literal::Variant(_) => VariantType::Variant,
            Literal::Just(value) => VariantType::Maybe(Box::new(value.own_type()?)),
            Literal::Typed(of, _) => of.clone(),
        })
    }
}

/// Returns a variant: the value, a NUL, and the text of its type.
pub fn variant(value: &[u8], of: &VariantType) -> Vec<u8> {
    [value, &[0], of.text().as_bytes()].concat()
}

/// Returns a tuple or an entry of its members, each with its type.
pub fn structure(members: &[(Vec<u8>, &VariantType)]) -> Vec<u8> {
    let mut out = vec![];
    let mut ends = vec![];
    let last = members.len().wrapping_sub(1);
    for (i, (bytes, of)) in members.iter().enumerate() {
        out.resize(out.len().next_multiple_of(of.alignment()), 0);
        out.extend(bytes);
        if of.size().is_none() && i != last {
            ends.push(out.len());
        }
    }
    if members.iter().all(|(_, of)| of.size().is_some()) {
        let alignment = members.iter().map(|(_, of)| of.alignment()).max().unwrap_or(1);
        out.resize(out.len().next_multiple_of(alignment).max(1), 0);
        return out;
    }
    ends.reverse();
    framed(out, &ends)
}

/// Returns a dictionary of the type `a{sv}`, whose values are variants.
pub fn dictionary(entries: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let (key, value) = (VariantType::Basic(b's'), VariantType::Variant);
    let entry = |(name, variant): (&String, &Vec<u8>)| {
        structure(&[([name.as_bytes(), &[0]].concat(), &key), (variant.clone(), &value)])
    };
    let of = VariantType::Entry(Box::new(key.clone()), Box::new(value.clone()));
    array(entries.iter().map(entry).collect(), &of)
}

fn array(values: Vec<Vec<u8>>, of: &VariantType) -> Vec<u8> {
    let mut out = vec![];
    let mut ends = vec![];
    for bytes in values {
        out.resize(out.len().next_multiple_of(of.alignment()), 0);
        out.extend(bytes);
        ends.push(out.len());
    }
    if of.size().is_some() { out } else { framed(out, &ends) }
}

#[expect(clippy::unnecessary_wraps, reason = "its callers return options")]
fn just(mut bytes: Vec<u8>, of: &VariantType) -> Option<Vec<u8>> {
    if of.size().is_none() {
        bytes.push(0);
    }
    Some(bytes)
}

/// Appends the ends of members, each in as many bytes as the size of the whole needs.
fn framed(mut out: Vec<u8>, ends: &[usize]) -> Vec<u8> {
    let width = [1usize, 2, 4]
        .into_iter()
        .find(|width| out.len() + ends.len() * width < 1 << (8 * width))
        .unwrap_or(8);
    for end in ends {
        out.extend(&(*end as u64).to_le_bytes()[..width]);
    }
    out
}

/// Returns a number or a truth value in its binary form.
fn number(word: &str, letter: u8) -> Option<Vec<u8>> {
    fn integer<T: TryFrom<i128>>(word: &str) -> Option<T> {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let value = if let Some(hex) = digits.strip_prefix("0x") {
            i128::from_str_radix(hex, 16)
        } else if digits.len() > 1 && digits.starts_with('0') {
            i128::from_str_radix(digits, 8)
        } else {
            i128::from_str(digits)
        };
        // A sign after the sign is no number.
        let plain = digits.starts_with(|c: char| c.is_ascii_digit());
        T::try_from(sign * value.ok().filter(|_| plain)?).ok()
    }
    Some(match letter {
        b'b' => vec![u8::from(word.parse::<bool>().ok()?)],
        b'y' => vec![integer::<u8>(word)?],
        b'n' => integer::<i16>(word)?.to_le_bytes().to_vec(),
        b'q' => integer::<u16>(word)?.to_le_bytes().to_vec(),
        b'i' | b'h' => integer::<i32>(word)?.to_le_bytes().to_vec(),
        b'u' => integer::<u32>(word)?.to_le_bytes().to_vec(),
        b'x' => integer::<i64>(word)?.to_le_bytes().to_vec(),
        b't' => integer::<u64>(word)?.to_le_bytes().to_vec(),
        b'd' => match integer::<i64>(word) {
            #[expect(clippy::cast_precision_loss, reason = "the number is written as an integer")]
            Some(integer) if !word.contains('.') => (integer as f64).to_le_bytes().to_vec(),
            _ => word.parse::<f64>().ok()?.to_le_bytes().to_vec(),
        },
        _ => return None,
    })
}

/// The words that name the type of the number or text that follows.
const KEYWORDS: &[(&str, u8)] = &[
    ("boolean", b'b'),
    ("byte", b'y'),
    ("int16", b'n'),
    ("uint16", b'q'),
    ("int32", b'i'),
    ("handle", b'h'),
    ("uint32", b'u'),
    ("int64", b'x'),
    ("uint64", b't'),
    ("double", b'd'),
    ("string", b's'),
    ("objectpath", b'o'),
    ("signature", b'g'),
];

struct LiteralReader<'a> {
    rest: &'a str,
}

impl<'a> LiteralReader<'a> {
    /// Skips white space and returns the next character.
    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        self.rest.chars().next()
    }

    fn eat(&mut self, expected: char) -> Option<()> {
        self.next();
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Literal> {
        let depth = Some(depth + 1).filter(|depth| *depth < DEEPEST)?;
        Some(match self.next()? {
            '[' => Literal::Array(self.list('[', ']', depth)?),
            '(' => Literal::Tuple(self.list('(', ')', depth)?),
            '<' => {
                self.eat('<')?;
                let value = self.value(depth)?;
                self.eat('>')?;
                Literal::Variant(Box::new(value))
            }
            '{' => self.dictionary(depth)?,
            '\'' | '"' => Literal::Text(String::from_utf8(self.quoted(false)?).ok()?),
            '@' => {
                let end = self.rest.find(|c: char| c.is_ascii_whitespace())?;
                let of = VariantType::parse(&self.rest[1..end])?;
                self.rest = &self.rest[end..];
                Literal::Typed(of, Box::new(self.value(depth)?))
            }
            'b' if self.rest.starts_with("b'") || self.rest.starts_with("b\"") => {
                self.rest = &self.rest[1..];
                Literal::Bytes(self.quoted(true)?)
            }
            _ => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
                let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                match KEYWORDS.iter().find(|(keyword, _)| *keyword == word) {
                    Some((_, letter)) => {
                        Literal::Typed(VariantType::Basic(*letter), Box::new(self.value(depth)?))
                    }
                    None if word == "just" => Literal::Just(Box::new(self.value(depth)?)),
                    None if word.is_empty() => return None,
                    None => Literal::Word(word.to_owned()),
                }
            }
        })
    }

    /// Reads values with commas between them. A comma may follow the last.
    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Vec<Literal>> {
        self.eat(open)?;
        let mut out = vec![];
        while self.next()? != close {
            out.push(self.value(depth)?);
            if self.next()? != close {
                self.eat(',')?;
            }
        }
        self.eat(close)?;
        Some(out)
    }

    fn dictionary(&mut self, depth: usize) -> Option<Literal> {
        self.eat('{')?;
        let mut out = vec![];
        while self.next()? != '}' {
            let key = self.value(depth)?;
            if out.is_empty() && self.next()? == ',' {
                self.eat(',')?;
                let value = self.value(depth)?;
                self.eat('}')?;
                return Some(Literal::Entry(Box::new((key, value))));
            }
            self.eat(':')?;
            out.push((key, self.value(depth)?));
            if self.next()? != '}' {
                self.eat(',')?;
            }
        }
        self.eat('}')?;
        Some(Literal::Dictionary(out))
    }

    /// Reads a text in quotes. In a text of bytes, `\` also stands before octal numbers.
    fn quoted(&mut self, bytes: bool) -> Option<Vec<u8>> {
        let quote = self.rest.chars().next()?;
        self.rest = &self.rest[quote.len_utf8()..];
        let mut out = vec![];
        loop {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            if c == quote {
                return Some(out);
            }
            if c != '\\' {
                out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let c = self.rest.chars().next()?;
            let digits = match c {
                'u' if !bytes => 4,
                'U' if !bytes => 8,
                _ => 0,
            };
            if bytes && c.is_digit(8) {
                let end = self.rest.bytes().take(3).take_while(|b| (b'0'..b'8').contains(b));
                let (octal, rest) = self.rest.split_at(end.count());
                out.push(u8::try_from(u32::from_str_radix(octal, 8).ok()?).ok()?);
                self.rest = rest;
                continue;
            }
            self.rest = &self.rest[c.len_utf8()..];
            let meant = match c {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\n' => continue,
                _ if digits > 0 => {
                    let code = self.rest.get(..digits)?;
                    self.rest = &self.rest[digits..];
                    char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                }
                c => c,
            };
            out.extend(meant.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(of: &str, text: &str) -> Option<Vec<u8>> {
        Literal::parse(text)?.bytes(&VariantType::parse(of).unwrap())
    }

    /// The examples of the specification, section 2.6 ("Examples").
    #[test]
    fn the_examples_of_the_specification() {
        for (of, text, expected) in [
            ("s", "'hello world'", &b"hello world\0"[..]),
            ("ms", "just 'hello world'", b"hello world\0\0"),
            ("ab", "[true, false, false, true, true]", b"\x01\0\0\x01\x01"),
            ("(si)", "('foo', -1)", b"foo\0\xff\xff\xff\xff\x04"),
            (
                "a(si)",
                "[('hi', -2), ('bye', -1)]",
                b"hi\0\0\xfe\xff\xff\xff\x03\0\0\0bye\0\xff\xff\xff\xff\x04\x09\x15",
            ),
            ("as", "['i', 'can', 'has', 'strings?']", b"i\0can\0has\0strings?\0\x02\x06\x0a\x13"),
            (
                "((ys)as)",
                "((byte 0x69, 'can'), ['has', 'strings?'])",
                b"ican\0has\0strings?\0\x04\x0d\x05",
            ),
            ("(yy)", "(0x70, 0x80)", b"\x70\x80"),
            ("(iy)", "(96, 0x70)", b"\x60\0\0\0\x70\0\0\0"),
            ("ai", "[4, 0x102]", b"\x04\0\0\0\x02\x01\0\0"),
            ("{si}", "{'a key', 514}", b"a key\0\0\0\x02\x02\0\0\x06"),
        ] {
            assert_eq!(bytes(of, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn values_in_variants_have_their_own_type() {
        assert_eq!(bytes("v", "<'a'>").unwrap(), b"a\0\0s");
        assert_eq!(bytes("v", "<uint32 7>").unwrap(), b"\x07\0\0\0\0u");
        assert_eq!(bytes("v", "<@as []>").unwrap(), b"\0as");
        assert_eq!(bytes("v", "<[1, 2.5]>").unwrap().len(), 19);
        assert_eq!(bytes("a{sv}", "{'k': <true>}").unwrap(), b"k\0\0\0\0\0\0\0\x01\0b\x02\x0c");
        assert_eq!(bytes("a{sv}", "{}").unwrap(), b"");
    }

    #[test]
    fn texts_have_escapes() {
        assert_eq!(
            bytes("s", r#""it's\t\u00e9\x""#).unwrap(),
            "it's\té".bytes().chain(*b"x\0").collect::<Vec<_>>()
        );
        assert_eq!(bytes("ay", r"b'a\1012'").unwrap(), b"aA2\0");
        assert_eq!(bytes("d", "1e3"), Some(1000f64.to_le_bytes().to_vec()));
        assert_eq!(bytes("t", "18446744073709551615"), Some(vec![0xff; 8]));
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        for (of, text) in [
            ("i", "'a'"),
            ("i", "1.5"),
            ("y", "256"),
            ("s", "a"),
            ("as", "['a'"),
            ("s", "'a' 'b'"),
            ("(ii)", "(1,)"),
            ("i", "--1"),
            ("i", "uint32 1"),
            ("v", "<[]>"),
        ] {
            assert_eq!(bytes(of, text), None, "{of} {text}");
        }
        let deep = format!("{}{}", "[".repeat(9999), "]".repeat(9999));
        assert_eq!(Literal::parse(&deep), None);
        assert_eq!(VariantType::parse(&"a".repeat(9999)), None);
    }
}

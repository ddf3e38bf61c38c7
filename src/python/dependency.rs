//! Requirements on other packages, and the markers that state when they count. Source: PEP 508, and
//! `packaging.markers` for what the specification leaves open.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};

use crate::model::normalize_project;

/// The longest requirement, in bytes, and the deepest parentheses in it. Those of real packages have
/// a few hundred bytes.
const LONGEST: usize = 8 << 10;
const DEEPEST: usize = 32;

/// The variables of markers. Source: PEP 508, "Environment Markers".
const VARIABLES: &[&str] = &[
    "extra",
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
];

/// Names of variables from before PEP 508, which old packages use.
const OLD_NAMES: &[(&str, &str)] = &[
    ("os.name", "os_name"),
    ("platform.machine", "platform_machine"),
    ("platform.python_implementation", "platform_python_implementation"),
    ("platform.version", "platform_version"),
    ("python_implementation", "platform_python_implementation"),
    ("sys.platform", "sys_platform"),
];

/// A requirement on another package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiresDist {
    /// The normalised project.
    pub name: String,
    /// The normalised extras that are asked for.
    pub extras: BTreeSet<String>,
    /// The versions that meet it. An address in their place allows every version.
    pub versions: VersionSpecifiers,
    /// When it counts.
    marker: Option<Marker>,
    text: String,
}

/// The condition of a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Marker {
    Any(Vec<Marker>),
    All(Vec<Marker>),
    Compare { left: Term, operator: String, right: Term },
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Variable(&'static str),
    Text(String),
}

impl FromStr for RequiresDist {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST || text.contains(['\n', '\r', '\0']) {
            return Err(format!("expected one line of at most {LONGEST} bytes"));
        }
        let mut reader = Reader { rest: text.trim_start() };
        let name = reader.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !is_end(name.chars().next()) || !is_end(name.chars().last()) {
            return Err(format!("expected the name of a project, got {text:?}"));
        }
        let mut extras = BTreeSet::new();
        if reader.takes("[") {
            while !reader.takes("]") {
                let extra =
                    reader.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
                if extra.is_empty() {
                    return Err(format!("expected an extra, got {:?}", reader.rest));
                }
                extras.insert(normalize_project(extra));
                reader.takes(",");
            }
        }
        let mut versions = VersionSpecifiers::empty();
        if reader.takes("@") {
            // A semicolon may be part of an address, so that a space is in front of the marker.
            let end = reader.rest.find(" ;").unwrap_or(reader.rest.len());
            reader.rest = &reader.rest[end..];
        } else {
            let stated = reader.rest.split(';').next().unwrap_or_default();
            reader.rest = &reader.rest[stated.len()..];
            let stated = stated.trim();
            let inner = stated.strip_prefix('(').and_then(|s| s.strip_suffix(')'));
            versions = VersionSpecifiers::from_str(inner.unwrap_or(stated).trim())
                .map_err(|_| format!("expected versions such as >=1.0,<2, got {stated:?}"))?;
        }
        let marker = if reader.takes(";") { Some(reader.any(0)?) } else { None };
        reader.skip();
        if !reader.rest.is_empty() {
            return Err(format!("expected the end, got {:?}", reader.rest));
        }
        let text = text.trim().to_owned();
        Ok(RequiresDist { name: normalize_project(name), extras, versions, marker, text })
    }
}

impl fmt::Display for RequiresDist {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RequiresDist {
    /// Whether it counts for an interpreter, whose variables of markers `value` returns, with
    /// extras of the package that states it.
    pub fn counts(&self, value: &dyn Fn(&str) -> String, extras: &BTreeSet<String>) -> bool {
        self.marker.as_ref().is_none_or(|marker| marker.holds(value, extras))
    }

    /// Whether a version meets it.
    pub fn is_met_by(&self, version: &str) -> bool {
        self.versions.is_empty()
            || Version::from_str(version).is_ok_and(|version| self.versions.contains(&version))
    }
}

/// Returns the project that a text which is no requirement in the form of PEP 508 seems to name.
pub fn leading_name(text: &str) -> String {
    let end = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-');
    normalize_project(text.split(end).next().unwrap_or_default())
}

impl Marker {
    fn holds(&self, value: &dyn Fn(&str) -> String, extras: &BTreeSet<String>) -> bool {
        match self {
            Marker::Any(parts) => parts.iter().any(|part| part.holds(value, extras)),
            Marker::All(parts) => parts.iter().all(|part| part.holds(value, extras)),
            Marker::Compare {
                left: Term::Variable("extra"),
                operator,
                right: Term::Text(name),
            }
            | Marker::Compare {
                left: Term::Text(name),
                operator,
                right: Term::Variable("extra"),
            } => {
                let is_asked = extras.contains(&normalize_project(name));
                match operator.as_str() {
                    "!=" | "not in" => !is_asked,
                    _ => is_asked,
                }
            }
            Marker::Compare { left, operator, right } => {
                let of = |term: &Term| match term {
                    Term::Variable(name) => value(name),
                    Term::Text(text) => text.clone(),
                };
                let is_version = [left, right].iter().any(|term| {
                    matches!(term, Term::Variable(name) if name.ends_with("_version") && *name != "platform_version")
                });
                compare(&of(left), operator, &of(right), is_version)
            }
        }
    }
}

/// Compares versions if both sides are such, and otherwise the texts.
fn compare(left: &str, operator: &str, right: &str, is_version: bool) -> bool {
    if is_version
        && let (Ok(version), Ok(specifier)) =
            (Version::from_str(left), VersionSpecifier::from_str(&format!("{operator}{right}")))
    {
        return specifier.contains(&version);
    }
    match operator {
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "!=" => left != right,
        _ => left == right,
    }
}

/// Reads a requirement from its beginning.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, token: &str) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a word that stands alone.
    fn takes_word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let took = self.takes(word) && self.rest.chars().next().is_none_or(ends);
        if !took {
            self.rest = before;
        }
        took
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn any(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Marker::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Marker::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Marker, String> {
        if self.takes("(") {
            if depth == DEEPEST {
                return Err(format!("its parentheses are deeper than {DEEPEST}"));
            }
            let inner = self.any(depth + 1)?;
            return match self.takes(")") {
                true => Ok(inner),
                false => Err(format!("expected `)`, got {:?}", self.rest)),
            };
        }
        let left = self.term()?;
        let operators = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];
        let operator = match operators.iter().find(|operator| self.takes(operator)) {
            Some(operator) => (*operator).to_owned(),
            None if self.takes_word("in") => "in".to_owned(),
            None if self.takes_word("not") && self.takes_word("in") => "not in".to_owned(),
            None => return Err(format!("expected a comparison, got {:?}", self.rest)),
        };
        Ok(Marker::Compare { left, operator, right: self.term()? })
    }

    fn term(&mut self) -> Result<Term, String> {
        self.skip();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote {
            let (text, rest) = self.rest[1..]
                .split_once(quote)
                .ok_or_else(|| format!("a text does not end: {}", self.rest))?;
            self.rest = rest;
            return Ok(Term::Text(text.to_owned()));
        }
        let word = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        let name = OLD_NAMES.iter().find(|(old, _)| *old == word).map_or(word, |(_, new)| new);
        let known = VARIABLES.iter().find(|variable| **variable == name);
        known.map(|name| Term::Variable(name)).ok_or_else(|| {
            format!("expected a variable such as python_version, got {word:?}{:.20}", self.rest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> String {
        let known = [
            ("python_version", "3.11"),
            ("python_full_version", "3.11.2"),
            ("implementation_version", "3.11.2"),
            ("implementation_name", "cpython"),
            ("sys_platform", "linux"),
            ("platform_system", "Linux"),
            ("platform_machine", "x86_64"),
            ("platform_python_implementation", "CPython"),
            ("os_name", "posix"),
        ];
        known.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v).to_owned()
    }

    fn counts(marker: &str) -> bool {
        let dependency: RequiresDist = format!("a ; {marker}").parse().unwrap();
        dependency.counts(&value, &BTreeSet::from(["fast-one".to_owned()]))
    }

    #[test]
    fn markers_are_those_of_packaging() {
        for marker in [
            "python_version >= '3.8'",
            "python_version < \"3.12\" and python_version>'3.9'",
            "'3.8' <= python_version",
            "python_full_version ~= '3.11.1'",
            "python_version == '3.*'",
            "sys_platform == 'win32' or (os_name == 'posix' and not_in == 'x')",
            "sys_platform != \"win32\"",
            "platform_machine in 'x86_64 aarch64'",
            "platform_system not in 'Windows, Darwin'",
            "extra == 'Fast_One'",
            "'fast-one' == extra",
            "extra != 'slow'",
            "python_implementation == 'CPython' and os.name=='posix'",
            "python_version in '3.10, 3.11'",
            "platform_release >= ''",
        ] {
            let marker = marker.replace(" and not_in == 'x'", "");
            assert!(counts(&marker), "{marker}");
        }
        for marker in [
            "python_version >= '3.12'",
            "python_version < '3.9'",
            "extra == 'slow'",
            "sys_platform == 'win32' and (os_name == 'posix' or extra == 'fast-one')",
            "platform_release >= '20.0'",
        ] {
            assert!(!counts(marker), "{marker}");
        }
    }

    #[test]
    fn requirements_have_versions_and_extras() {
        let of = |text: &str| text.parse::<RequiresDist>().unwrap();
        let found = of("Foo.Bar [a, B_c] (>=1.0,<2) ; extra == 'x'");
        assert_eq!(found.name, "foo-bar");
        assert_eq!(found.extras.iter().collect::<Vec<_>>(), ["a", "b-c"]);
        assert!(found.is_met_by("1.5") && found.is_met_by("2.0a1") == of("a<2").is_met_by("2.0a1"));
        assert!(!found.is_met_by("2.0") && !found.is_met_by("none"));
        assert!(of("torch==2.1").is_met_by("2.1.0+cpu"));
        assert!(of("a @ https://x.example/a;b.whl").is_met_by("9"));
        assert!(of("a").is_met_by("of-any-kind"));
        for bad in [
            "",
            "-r x",
            "a b",
            "a>=1.x.y",
            "a; python_version",
            "a; colour == 'red'",
            "a; os_name == 'x",
            "a[",
            "a\n-i x",
        ] {
            assert!(bad.parse::<RequiresDist>().is_err(), "{bad:?}");
        }
        assert!(format!("a; {}", "(".repeat(1000)).parse::<RequiresDist>().is_err());
        assert_eq!(leading_name("Foo_bar (>=1.x)"), "foo-bar");
    }
}

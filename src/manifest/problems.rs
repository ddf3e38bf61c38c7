//! Everything that is wrong with a file, gathered, then told at once.

use std::ops::Range;

use super::syntax::{self, Fault};
use crate::error::{Cause, Error, Place, Result, nearest};

/// How many problems are printed: more are no help.
const MOST_SHOWN: usize = 50;

/// For how many problems near names are looked for.
const MOST_SUGGESTIONS: usize = 100;

/// The problems of one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    list: Vec<(Range<usize>, String)>,
}

impl Problems {
    /// No problem yet with `text`, read from `file`.
    pub fn new(file: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Problems {
            file: file.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(ends).collect(),
            list: vec![],
        }
    }

    /// Adds a problem with the bytes at `span`.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.list.push((span, message.into()));
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Adds what the TOML parser has to say of the text. A key or table that stands there twice is told once, with its name and its first place.
    pub fn add_syntax(&mut self, errors: impl IntoIterator<Item = toml::de::Error>) {
        let faults: Vec<(Range<usize>, String)> = errors
            .into_iter()
            .map(|e| (e.span().unwrap_or(0..0), e.message().to_owned()))
            .collect();
        for Fault { span, message, first } in syntax::explain(&self.text, faults) {
            let first = first.map(|at| format!("; the first is at {}", self.place(at)));
            self.add(span, message + &first.unwrap_or_default());
        }
    }

    /// The place of a byte offset.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let before = &self.text.as_bytes()[start..offset];
        Place {
            file: self.file.clone(),
            line,
            column: String::from_utf8_lossy(before).chars().count() + 1,
        }
    }

    /// `; did you mean "x"?`, or nothing. Of many problems only the first get one: it takes time.
    pub fn did_you_mean<'a>(&self, name: &str, known: impl Iterator<Item = &'a str>) -> String {
        if self.list.len() >= MOST_SUGGESTIONS {
            return String::new();
        }
        match nearest(name, known, 3).as_slice() {
            [] => String::new(),
            names => format!(
                "; did you mean {}?",
                names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or ")
            ),
        }
    }

    /// `file:line:column: message` for each problem, in the order of the file; of very many the first, and how many more there are.
    pub fn lines(&self) -> Vec<String> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|(span, _)| span.start);
        let more = sorted.len().saturating_sub(MOST_SHOWN);
        sorted
            .iter()
            .take(MOST_SHOWN)
            .map(|(span, message)| format!("{}: {message}", self.place(span.start)))
            .chain((more > 0).then(|| format!("and {more} more")))
            .collect()
    }

    /// Fails if there is any problem.
    ///
    /// # Errors
    /// One error that tells them all.
    pub fn check(&self) -> Result<()> {
        let message = match self.list.len() {
            0 => return Ok(()),
            1 => format!("{} has a problem", self.file),
            n => format!("{} has {n} problems", self.file),
        };
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|(span, _)| span.start);
        let typed = sorted
            .into_iter()
            .take(MOST_SHOWN)
            .map(|(span, message)| (self.place(span.start), message.clone()))
            .collect();
        let error = Error::user(message).with_cause(Cause::Problems(typed));
        Err(self.lines().into_iter().fold(error, Error::because))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_of_many_problems_some_are_told() {
        let mut problems = Problems::new("f", "a\n\u{e9}\u{e9}b\n");
        let at = |problems: &Problems, offset| problems.place(offset).to_string();
        assert_eq!(at(&problems, 0), "f:1:1");
        assert_eq!(at(&problems, 1), "f:1:2");
        assert_eq!(at(&problems, 2), "f:2:1");
        assert_eq!(at(&problems, 6), "f:2:3");
        // In the middle of a character, at the end, and past it.
        assert_eq!(at(&problems, 3), "f:2:2");
        assert_eq!(at(&problems, 8), "f:3:1");
        assert_eq!(at(&problems, 800), "f:3:1");
        for i in 0..5000 {
            problems.add(i..i, "wrong");
        }
        let lines = problems.lines();
        assert_eq!((lines.len(), lines[50].as_str()), (51, "and 4950 more"));
    }
}

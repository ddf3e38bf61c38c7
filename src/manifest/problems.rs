//! Collects all problems of a file, so that they are reported together.

use std::cell::Cell;
use std::ops::Range;

use super::syntax::{self, Fault};
use crate::error::{Cause, Error, Place, Result, nearest};
use crate::model::shortened;

/// The maximum number of problems that are printed. More would not help.
const MOST_SHOWN: usize = 50;

/// The maximum number of problems for which similar names are looked up.
const MOST_SUGGESTIONS: usize = 100;

/// The problems of one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    text: String,
    /// The byte offset at which each line begins.
    lines: Vec<usize>,
    list: Vec<(Range<usize>, String)>,
    /// A line, an offset in it, and the number of characters of the line before the offset: the
    /// result of the last count.
    counted: Cell<(usize, usize, usize)>,
}

impl Problems {
    /// Creates an empty list of problems for `text`, which was read from `file`.
    pub fn new(file: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Problems {
            file: file.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(ends).collect(),
            list: vec![],
            counted: Cell::default(),
        }
    }

    /// Adds a problem that concerns the bytes at `span`.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.list.push((span, shortened(&message.into())));
    }

    /// Returns the number of problems found so far.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Adds the syntax errors of the TOML parser. A duplicate key or table is reported once, with
    /// its name and its first place.
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

    /// Returns the place of a byte offset.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        // Counting goes on where it ended the last time, because a line can hold very many values.
        let (from, counted) = match self.counted.get() {
            (at, from, counted) if at == line && from <= offset => (from, counted),
            _ => (self.lines[line - 1], 0),
        };
        let begins_character = |b: &&u8| (**b & 0xC0) != 0x80;
        let counted =
            counted + self.text.as_bytes()[from..offset].iter().filter(begins_character).count();
        self.counted.set((line, offset, counted));
        Place { file: self.file.clone(), line, column: counted + 1 }
    }

    /// Returns `; did you mean "x"?`, or an empty text. If there are many problems, only the first
    /// ones get a suggestion, because finding it takes time.
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

    /// Returns `file:line:column: message` for each problem, in the order of the file. If there are
    /// very many, the result contains the first ones and the number of the others.
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
    /// One error that contains all of them.
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
        // In the middle of a character, at the end, and beyond the end.
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

//! Everything that is wrong with a file, gathered, then told at once.

use std::ops::Range;

use crate::error::{Error, Result};

/// The problems of one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    text: String,
    list: Vec<(Range<usize>, String)>,
}

impl Problems {
    /// No problem yet with `text`, read from `file`.
    pub fn new(file: &str, text: &str) -> Self {
        Problems { file: file.to_owned(), text: text.to_owned(), list: vec![] }
    }

    /// Adds a problem with the bytes at `span`.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.list.push((span, message.into()));
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// `file:line:column: message` for each problem, in the order of the file.
    pub fn lines(&self) -> Vec<String> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|(span, _)| span.start);
        sorted
            .iter()
            .map(|(span, message)| {
                let (line, column) = position(&self.text, span.start);
                format!("{}:{line}:{column}: {message}", self.file)
            })
            .collect()
    }

    /// Fails if there is any problem.
    ///
    /// # Errors
    /// One error that tells them all.
    pub fn check(&self) -> Result<()> {
        let lines = self.lines();
        let message = match lines.len() {
            0 => return Ok(()),
            1 => format!("{} has a problem", self.file),
            n => format!("{} has {n} problems", self.file),
        };
        Err(lines.into_iter().fold(Error::user(message), Error::because))
    }
}

/// The line and column of a byte offset, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

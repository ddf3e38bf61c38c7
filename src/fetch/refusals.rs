//! Collects the failures of the mirrors that were asked for a file. If no mirror has the file, the
//! most serious failure becomes the error, and the others become its causes.

use crate::error::{Error, ErrorKind};
use crate::reporter::Task;

/// The mirrors that did not deliver a file, with the reasons, in the order in which they were
/// asked.
#[derive(Debug, Default)]
pub struct Refusals {
    list: Vec<(String, Error)>,
}

impl Refusals {
    /// Records that `url` did not deliver the file.
    pub fn add(&mut self, url: &str, error: Error) {
        self.list.push((url.to_owned(), error));
    }

    /// Whether `url` was asked without success.
    pub fn has(&self, url: &str) -> bool {
        self.list.iter().any(|(known, _)| known == url)
    }

    /// Returns the mirrors that delivered what is wrong, each with the reason.
    pub fn wrong(&self) -> impl Iterator<Item = (&str, &Error)> {
        let wrong = self.list.iter().filter(|(_, e)| e.kind() == ErrorKind::Verification);
        wrong.map(|(url, error)| (url.as_str(), error))
    }

    /// Warns about every mirror that delivered wrong bytes, after another mirror has delivered the
    /// right ones.
    pub fn warn(&self, task: &Task) {
        for (_, error) in self.wrong() {
            task.warn(&format!("{error}; another mirror had the right one"));
        }
    }

    /// Combines all failures into one error. Wrong bytes are more serious than an unreachable
    /// server, which is more serious than a missing file. The result is `None` if no mirror was
    /// asked.
    pub fn into_error(self) -> Option<Error> {
        let weight = |e: &Error| match e.kind() {
            ErrorKind::Verification => 0,
            ErrorKind::Network => 1,
            _ => 2,
        };
        let mut rest: Vec<Error> = self.list.into_iter().map(|(_, e)| e).collect();
        let at = (0..rest.len()).min_by_key(|i| weight(&rest[*i]))?;
        let gravest = rest.remove(at);
        let mut told: Vec<String> = vec![];
        Some(rest.into_iter().fold(gravest, |error, other| {
            let text = other.to_string();
            if told.contains(&text) {
                return error;
            }
            told.push(text.clone());
            error.because(text)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_is_told_first() {
        let mut refusals = Refusals::default();
        refusals.add("file:///a", Error::user("can't read file:///a"));
        refusals.add("http://b", Error::network("can't reach http://b"));
        refusals.add("http://c", Error::verification("c is another file"));
        refusals.add("http://d", Error::network("can't reach http://d"));
        assert!(refusals.has("http://c") && !refusals.has("http://e"));
        let error = refusals.into_error().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Verification, "c is another file"));
        assert_eq!(
            error.causes(),
            ["can't read file:///a", "can't reach http://b", "can't reach http://d"]
        );
        assert!(Refusals::default().into_error().is_none());
    }
}

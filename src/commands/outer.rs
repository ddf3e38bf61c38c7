//! The session in which a command is started that begins another one: `cotter exec` within `cotter exec`, within a shell that has read `cotter env`, or
//! below the hook. What the outer session set is not the user's: without that, the libraries of one project would be found in another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::environment::Changes;
use crate::model::Digest;

/// The variable with what a session has set.
pub const SESSION: &str = "COTTER_SESSION";

/// What a session has set, for those that are started in it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outer {
    /// The directories that it put on PATH.
    path: Vec<String>,
    /// The variables that it set, each with the beginning of the hash of its value. One that has another value was set by the user since.
    set: BTreeMap<String, String>,
    /// The values that these had before, if there were any.
    before: BTreeMap<String, String>,
}

/// Returns what is enough of the hash of a value to recognise it.
fn mark(value: &str) -> String {
    Digest::of(value.as_bytes()).hex()[..8].to_owned()
}

impl Outer {
    /// Reads the value of [`SESSION`]. One that is not understood says nothing.
    pub fn read(text: Option<String>) -> Outer {
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Whether the outer session put a directory on PATH.
    pub fn has_on_path(&self, dir: &str) -> bool {
        self.path.iter().any(|known| known == dir)
    }

    /// Returns the value of a variable as it was before the outer session. `now` is the present one.
    pub fn before(&self, name: &str, now: Option<String>) -> Option<String> {
        let value = now?;
        match self.set.get(name) {
            Some(known) if *known == mark(&value) => self.before.get(name).cloned(),
            _ => Some(value),
        }
    }

    /// Makes a session undo what the outer one set and it does not set itself. `now` returns the present value of a variable.
    pub fn undo(&self, changes: &mut Changes, now: &dyn Fn(&str) -> Option<String>) {
        for name in self.set.keys() {
            if changes.set.contains_key(name) || changes.unset.contains(name) {
                continue;
            }
            let value = now(name);
            match self.before(name, value.clone()) {
                before if before == value => {}
                Some(before) => drop(changes.set.insert(name.clone(), before)),
                None => changes.unset.push(name.clone()),
            }
        }
    }

    /// Returns the value of [`SESSION`] for a session within this one. `path` is what it puts on PATH, and `before` returns the value of a variable without
    /// both.
    pub fn then(
        &self,
        mut path: Vec<String>,
        changes: &Changes,
        before: &dyn Fn(&str) -> Option<String>,
    ) -> String {
        // A shell that has read `cotter env` twice has both on its PATH.
        let more = self.path.iter().filter(|dir| !path.contains(dir)).cloned();
        path.extend(more.collect::<Vec<_>>());
        let set = changes.set.iter().filter(|(name, value)| before(name).as_ref() != Some(value));
        let set: BTreeMap<String, String> =
            set.map(|(name, value)| (name.clone(), mark(value))).collect();
        let before = set.keys().filter_map(|name| Some((name.clone(), before(name)?))).collect();
        serde_json::to_string(&Outer { path, set, before }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(set: &[(&str, &str)]) -> Changes {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Changes { set: set.collect(), ..Changes::default() }
    }

    #[test]
    fn what_the_user_set_since_stays_and_the_rest_is_undone() {
        let users = |name: &str| (name == "CC").then(|| "mine".to_owned());
        let outer = changes(&[("CC", "gcc"), ("AR", "ar"), ("LD", "ld"), ("CXX", "g++")]);
        let text = Outer::default().then(vec!["/store/a/bin".to_owned()], &outer, &users);
        let read = Outer::read(Some(text));
        assert!(read.has_on_path("/store/a/bin") && !read.has_on_path("/usr/bin"));
        // LD was changed since, and CXX is gone.
        let now = |name: &str| match name {
            "CC" => Some("gcc".to_owned()),
            "AR" => Some("ar".to_owned()),
            "LD" => Some("other".to_owned()),
            "X" => Some("x".to_owned()),
            _ => None,
        };
        let known = ["CC", "AR", "LD", "CXX", "X"].map(|name| read.before(name, now(name)));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(known, [some("mine"), None, some("other"), None, some("x")]);
        let mut inner = changes(&[("X", "y")]);
        read.undo(&mut inner, &now);
        assert_eq!(inner.set, changes(&[("X", "y"), ("CC", "mine")]).set);
        assert_eq!(inner.unset, ["AR"]);
        for damaged in [None, Some(String::new()), Some("{".to_owned()), Some("[1]".to_owned())] {
            assert_eq!(Outer::read(damaged).before("CC", now("CC")), some("gcc"));
        }
    }
}

//! The environment variables through which programs find the toolchains. Pure: the recipe of a tree
//! decides which variables the tree needs.

use std::collections::BTreeMap;

/// The changes of an environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The directories to prepend to PATH.
    pub path: Vec<String>,
    /// The variables to set.
    pub set: BTreeMap<String, String>,
    /// The variables to unset, because they would lead tools to files of the host.
    pub unset: Vec<String>,
}

/// Collects the changes that several trees need, one tree after the other.
#[derive(Debug, Default)]
pub struct Variables {
    changes: Changes,
    /// The variables that are lists of paths.
    lists: BTreeMap<&'static str, Vec<String>>,
}

impl Variables {
    /// Appends a directory to those that will be prepended to PATH.
    pub fn path(&mut self, directory: String) {
        self.changes.path.push(directory);
    }

    /// Adds a path to a variable that is a list of paths.
    pub fn list(&mut self, variable: &'static str, path: String) {
        self.lists.entry(variable).or_default().push(path);
    }

    /// Sets a variable, unless an earlier tree set it.
    pub fn set_default(&mut self, variable: &str, value: String) {
        self.changes.set.entry(variable.to_owned()).or_insert(value);
    }

    /// Whether an earlier tree set a variable.
    pub fn is_set(&self, variable: &str) -> bool {
        self.changes.set.contains_key(variable)
    }

    /// Unsets variables.
    pub fn unset(&mut self, variables: &[&str]) {
        for name in variables {
            if !self.changes.unset.iter().any(|n| n == name) {
                self.changes.unset.push((*name).to_owned());
            }
        }
    }

    /// Returns the collected changes.
    pub fn finish(mut self) -> Changes {
        for (variable, paths) in self.lists {
            self.changes.set.insert(variable.to_owned(), paths.join(":"));
        }
        self.changes
    }
}

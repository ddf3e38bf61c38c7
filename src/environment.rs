//! The variables by which programs find the toolchains. Pure: which of them a tree needs, its
//! recipe says.

use std::collections::BTreeMap;

/// What to change in an environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories to put in front of PATH.
    pub path: Vec<String>,
    /// Variables to set.
    pub set: BTreeMap<String, String>,
    /// Variables to take out: they would lead tools to the host.
    pub unset: Vec<String>,
}

/// Changes under way: what the trees need, one after the other.
#[derive(Debug, Default)]
pub struct Variables {
    changes: Changes,
    /// Variables that are lists of paths.
    lists: BTreeMap<&'static str, Vec<String>>,
}

impl Variables {
    /// Puts a directory behind those that are in front of PATH already.
    pub fn path(&mut self, directory: String) {
        self.changes.path.push(directory);
    }

    /// Adds a path to a variable that is a list of paths.
    pub fn list(&mut self, variable: &'static str, path: String) {
        self.lists.entry(variable).or_default().push(path);
    }

    /// Sets a variable, unless a tree before this one did.
    pub fn set_default(&mut self, variable: &str, value: String) {
        self.changes.set.entry(variable.to_owned()).or_insert(value);
    }

    /// Whether a tree before this one set a variable.
    pub fn is_set(&self, variable: &str) -> bool {
        self.changes.set.contains_key(variable)
    }

    /// Takes variables out.
    pub fn unset(&mut self, variables: &[&str]) {
        for name in variables {
            if !self.changes.unset.iter().any(|n| n == name) {
                self.changes.unset.push((*name).to_owned());
            }
        }
    }

    /// The changes.
    pub fn finish(mut self) -> Changes {
        for (variable, paths) in self.lists {
            self.changes.set.insert(variable.to_owned(), paths.join(":"));
        }
        self.changes
    }
}

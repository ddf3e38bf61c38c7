//! The facts of trees that recipes recorded. They are stored next to the trees.

use std::path::PathBuf;

use fs_err as fs;

use super::{Staging, Store, owner};
use crate::error::{Error, Result};
use crate::facts::RecordedFacts;
use crate::model::StoreName;

impl Store {
    /// Returns the path of the file with the facts of a tree, whether it exists or not.
    pub fn facts_path(&self, name: &StoreName) -> PathBuf {
        self.dir.join("facts").join(format!("{name}.json"))
    }

    /// Returns the facts of a tree, or `None` if they were not recorded, were recorded by another
    /// version of cotter, or by a user who does not own the store.
    pub fn facts(&self, name: &StoreName) -> Option<RecordedFacts> {
        let text = owner::read_own(&self.facts_path(name), self.owners()).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether facts of a tree are recorded. They are not read, so this is quick.
    pub fn has_facts(&self, name: &StoreName) -> bool {
        fs::metadata(self.facts_path(name)).is_ok_and(|m| m.is_file() && m.len() > 0)
    }

    /// Records the facts of a tree.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn write_facts(&self, name: &StoreName, facts: &RecordedFacts) -> Result<()> {
        self.part("facts")?;
        let to = self.facts_path(name);
        // The next process deletes the new file if this one is killed.
        let staging = Staging::new(self)?;
        let new = staging.dir().join("facts");
        let text = serde_json::to_string_pretty(facts).expect("facts are plain data") + "\n";
        owner::write_new(&new, text)
            .and_then(|()| fs::rename(&new, &to))
            .map_err(|e| Error::at("write", &to, e))
    }
}

//! What recipes wrote down of trees, beside the trees.

use std::path::PathBuf;

use fs_err as fs;

use super::Store;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::model::StoreName;

impl Store {
    /// The file of the facts of a tree, whether it is there or not.
    pub fn facts_path(&self, name: &StoreName) -> PathBuf {
        self.dir.join("facts").join(format!("{name}.json"))
    }

    /// The facts of a tree; `None` if they were not written down, or by another version of cotter.
    pub fn facts(&self, name: &StoreName) -> Option<Facts> {
        let text = fs::read(self.facts_path(name)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the facts of a tree down.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn write_facts(&self, name: &StoreName, facts: &Facts) -> Result<()> {
        let dir = self.part("facts")?;
        let to = self.facts_path(name);
        let new = dir.join(format!(".{}-{name}", std::process::id()));
        let text = serde_json::to_string_pretty(facts).expect("facts are plain data") + "\n";
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &to))
            .map_err(|e| Error::at("write", &to, e))
    }
}

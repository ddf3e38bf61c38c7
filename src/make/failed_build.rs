//! What is kept of builds: what they have printed, and what those that failed have left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::place::lay_out;
use crate::error::{Error, Result};
use crate::reporter::Reporter;
use crate::sandbox::Ended;
use crate::store::Store;
use crate::tree::Tree;

/// The number of lines of a failed build in its message.
const LAST_LINES: usize = 15;

/// The script with which the steps ran, beside what they left.
const SCRIPT: &str = "script";

/// The variables with which they ran, for `.` of a shell.
const ENVIRONMENT: &str = "environment";

/// A build that failed.
pub struct FailedBuild<'a> {
    /// How its log and its directory are called.
    pub name: &'a str,
    /// The file with what it has printed.
    pub printed: &'a Path,
    /// How it ended.
    pub ended: &'a Ended,
    /// The last lines that it printed.
    pub said: &'a [String],
    /// What it left, if that is kept.
    pub left: Option<Result<Tree>>,
    /// The variables with which it ran.
    pub env: &'a BTreeMap<String, String>,
    /// The text of what ran.
    pub script: &'a str,
}

impl FailedBuild<'_> {
    /// Adds to an error what the build said, and where what it printed and what it left are kept.
    pub fn explain(self, error: Error, store: &Store, reporter: &Reporter) -> Error {
        let last = &self.said[self.said.len().saturating_sub(LAST_LINES)..];
        let mut error = error;
        if !last.is_empty() {
            error = error.because(format!("it says:\n{}", last.join("\n")));
        }
        error = self.ended.explain(error);
        if let Some(path) = keep_log(self.name, self.printed, store, reporter) {
            error = error.hint(format!("all that it printed: {}", path.display()));
        }
        match self.left.as_ref().map(|left| self.keep_left(left, store)) {
            None => error,
            Some(Ok(dir)) => error.hint(format!("what it left: {}", dir.display())),
            Some(Err(why)) => error.hint(format!("what it left can't be kept: {why}")),
        }
    }

    fn keep_left(
        &self,
        left: &Result<Tree>,
        store: &Store,
    ) -> std::result::Result<PathBuf, String> {
        let left = left.as_ref().map_err(Error::to_string)?;
        self.write_left(left, store).map_err(|e| e.to_string())
    }

    fn write_left(&self, left: &Tree, store: &Store) -> Result<PathBuf> {
        let dir = store.directory_of_failed(self.name)?;
        if !left.is_empty() {
            lay_out(left, None, &dir.join("build"))?;
        }
        let mut variables = String::new();
        for (name, value) in self.env {
            // No variable has a byte that the shell cannot quote.
            let value = shlex::try_quote(value).unwrap_or_default();
            variables += &format!("export {name}={value}\n");
        }
        for (file, text) in [(ENVIRONMENT, variables.as_str()), (SCRIPT, self.script)] {
            let at = dir.join(file);
            fs::write(&at, text).map_err(|e| Error::at("write", &at, e))?;
        }
        Ok(dir)
    }
}

/// Keeps what a build has printed. A store that does not take it costs no more than that.
pub fn keep_log(name: &str, printed: &Path, store: &Store, reporter: &Reporter) -> Option<PathBuf> {
    match store.keep_log(name, printed) {
        Ok(path) => Some(path),
        Err(e) => {
            reporter.detail(&format!("what {name} printed can't be kept: {e}"));
            None
        }
    }
}

/// Returns what a user may try, by the last lines of the build of a source. Nothing but this hint hangs
/// on them.
pub fn advice(said: &[String]) -> Option<&'static str> {
    let any = |parts: &[&str]| said.iter().any(|line| parts.iter().any(|part| line.contains(part)));
    if any(&["[cotter] there is no program", ": not found", ": command not found"]) {
        Some(
            "a program that the build starts goes into a toolchain of `with`: its Debian package beside the others",
        )
    } else if any(&[
        "Temporary failure in name resolution",
        "Could not resolve",
        "Network is unreachable",
        "unable to resolve",
    ]) {
        Some(
            "a build has no network: what it fetches has to be in its source, in a patch or in a toolchain of `with`",
        )
    } else if any(&["Cannot fork", "Resource temporarily unavailable"]) {
        Some(
            "it may have started too many processes: set COTTER_BUILD_PROCESSES to the number that it may have",
        )
    } else if any(&["No space left on device"]) {
        Some(
            "its files are in memory: set COTTER_BUILD_MEMORY to the number of MiB that it may use, of which they may take two thirds",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_follows_from_what_a_build_said() {
        let of = |text: &str| advice(&[text.to_owned(), "make: *** [x] Error 1".to_owned()]);
        assert!(of("sh: 1: cmake: not found").is_some_and(|hint| hint.contains("`with`")));
        let network = of("curl: (6) Could not resolve host: example.com");
        assert!(network.is_some_and(|hint| hint.contains("no network")));
        assert_eq!(of("x.c:1: error: expected ';'"), None);
    }
}

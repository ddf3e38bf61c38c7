//! `toolchains.lock`: a record of every byte that a tree is made from, and of the tree's own
//! identity. Pure.
//!
//! The file is sorted by toolchain and platform, has one block for each entry, and has no global
//! section. Therefore the additions of two people merge line by line. Each version of the format
//! has a module of its own, and only the newest can write.

mod conflict;
mod entry;
mod fingerprint;
mod names;
mod spec;
mod v1;
mod v2;

use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Problems;

pub use conflict::{has_conflict_markers, sides};
pub use entry::{FILE_NAME, LockedTree, Lockfile, Output, Plan, RecipeId, TrustedRelease, Uses};
pub use fingerprint::Fingerprint;
pub use names::format_of_distribution;
pub use spec::{
    CcSpec, LibrarySpec, PackagesRole, PackagesSpec, Programs, PythonSpec, Selection, Spec,
    ToolSpec,
};

/// The version of the format that this program writes, and the newest that it reads.
pub use v2::VERSION;

/// How to replace a damaged lock.
pub const ANEW: &str =
    "restore the file from version control, or run `cotter lock --fresh` to lock everything anew";

impl Lockfile {
    /// Reads a lock of any version that was ever written. Messages call it `file`.
    ///
    /// # Errors
    /// If the text is not a lock, contains conflict markers, or was written by a newer version of
    /// cotter.
    pub fn parse(text: &str, file: &str) -> Result<Lockfile> {
        if has_conflict_markers(text) {
            return Err(Error::new(ErrorKind::LockStale, format!("{file} holds merge conflict markers"))
                .hint("run `cotter lock`: it keeps what both sides agree with the manifest on, and locks the rest anew"));
        }
        let mut problems = Problems::new(file, text);
        let lock = match version(text, file, &mut problems)? {
            Some(1) => v1::read(text, &mut problems),
            Some(_) => v2::read(text, &mut problems),
            None => Lockfile::default(),
        };
        problems.check().map_err(|e| e.with_kind(ErrorKind::LockDamaged).hint(ANEW))?;
        Ok(lock)
    }

    /// Returns the text of the file. The same lock always yields the same bytes.
    pub fn render(&self) -> String {
        v2::render(self)
    }
}

/// Returns the version that a text declares. If the declaration is a problem, the problem is
/// recorded and the result is `None`.
fn version(text: &str, file: &str, problems: &mut Problems) -> Result<Option<i64>> {
    #[derive(serde::Deserialize)]
    struct VersionOnly {
        version: Option<toml::Spanned<toml::Value>>,
    }
    if text.trim().is_empty() {
        problems
            .add(0..0, "the file is empty: expected `version` and the entries of the toolchains");
        return Ok(None);
    }
    match toml::from_str::<VersionOnly>(text) {
        Err(e) => problems.add_syntax([e]),
        Ok(VersionOnly { version: None }) => {
            problems.add(0..0, format!("expected `version = {VERSION}`, got no version"));
        }
        Ok(VersionOnly { version: Some(value) }) => match value.get_ref().as_integer() {
            Some(v) if v > VERSION => {
                return Err(Error::user(format!(
                    "{file} has version {v}, this cotter reads up to version {VERSION}"
                ))
                .hint("update cotter to the version that your colleagues use"));
            }
            Some(v) if v >= 1 => return Ok(Some(v)),
            _ => problems.add(
                value.span(),
                format!("expected a version from 1 to {VERSION}, got {}", value.get_ref()),
            ),
        },
    }
    Ok(None)
}

//! `toolchains.lock`: a record of every byte that a tree is made from, and of the tree's own
//! identity. Pure.
//!
//! The file is sorted by toolchain and platform, has one block for each entry, and has no global
//! section. Therefore the additions of two people merge line by line. Each version of the format
//! has a module of its own, and only the newest can write.

mod building;
mod conflict;
mod entry;
mod evaluation;
mod fingerprint;
mod names;
mod paths;
mod spec;
mod uses;
mod v1;
mod v2;

use toml::de::DeTable;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::manifest::Problems;
use crate::model::shortened;

pub use building::Building;
pub use conflict::{first_marker, has_conflict_markers, sides};
pub use entry::{
    FILE_NAME, LIBC_PACKAGE, LockedTree, Lockfile, Output, Plan, RecipeId, TrustedRelease,
};
pub use evaluation::Evaluation;
pub use fingerprint::Fingerprint;
pub use names::{component_of_deb, format_of_distribution, version_in_file_name};
pub use spec::{
    CcSpec, LibrarySpec, PackagesRole, PackagesSpec, Programs, PythonSpec, Selection, Spec,
    SysrootSpec, ToolSpec,
};

pub use uses::Uses;

/// The version of the format that this program writes, and the newest that it reads.
pub use v2::VERSION;

use v2::Twice;

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
        Self::read(text, file, Twice::Refused)
    }

    /// Reads a lock like [`Lockfile::parse`], but accepts an entry that stands there twice if both
    /// have the same content. The merge driver `union` of git leaves such entries behind.
    ///
    /// # Errors
    /// The same as those of [`Lockfile::parse`].
    pub fn parse_union(text: &str, file: &str) -> Result<Lockfile> {
        Self::read(text, file, Twice::Merged)
    }

    fn read(text: &str, file: &str, twice: Twice) -> Result<Lockfile> {
        if let Some(line) = first_marker(text) {
            let place = Place { file: file.to_owned(), line, column: 1 };
            return Err(if has_conflict_markers(text) {
                Error::new(ErrorKind::LockStale, format!("{file} holds merge conflict markers"))
                    .hint("run `cotter lock`: it keeps what both sides agree with the manifest on, and locks the rest anew")
            } else {
                Error::new(ErrorKind::LockDamaged, format!("{file} holds a marker that was left over from a merge conflict"))
                    .hint("check the entries around the line, delete the line, and run `cotter lock`")
                    .hint(ANEW)
            }
            .located(place));
        }
        let mut problems = Problems::new(file, text);
        let lock = match version(text, file, &mut problems)? {
            Some(1) => v1::read(text, &mut problems),
            Some(_) => v2::read(text, twice, &mut problems),
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
    if text.trim().is_empty() {
        problems
            .add(0..0, "the file is empty: expected `version` and the entries of the toolchains");
        return Ok(None);
    }
    // The syntax tree holds an integer as text, so that one of any size gets a message of our own.
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(e) => {
            problems.add_syntax([e]);
            return Ok(None);
        }
    };
    let Some(value) = table.get("version") else {
        problems.add(0..0, format!("expected `version = {VERSION}`, got no version"));
        return Ok(None);
    };
    let got = text.get(value.span()).unwrap_or_default();
    let number = value.get_ref().as_integer();
    match number.and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok()) {
        Some(v) if (1..=VERSION).contains(&v) => Ok(Some(v)),
        // The integer is positive and has more than 64 bits, or it is a greater version.
        None if number.is_some_and(|i| !i.as_str().starts_with('-')) => Err(newer(file, got)),
        Some(v) if v > VERSION => Err(newer(file, got)),
        _ => {
            problems.add(
                value.span(),
                format!("expected a version from 1 to {VERSION}, got {}", shortened(got)),
            );
            Ok(None)
        }
    }
}

fn newer(file: &str, version: &str) -> Error {
    Error::user(format!(
        "{file} has version {}, this cotter reads up to version {VERSION}",
        shortened(version)
    ))
    .hint("update cotter to the version that your colleagues use")
}

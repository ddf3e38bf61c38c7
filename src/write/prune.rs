//! Deletes from a binary cache what no lock names. A description goes before its NAR, so that the cache never names what it does not have.

use std::collections::{BTreeMap, BTreeSet};

use super::blob_store::{BlobStore, StoredBlob};
use crate::error::Result;
use crate::model::StoreName;
use crate::nix::narinfo::NarInfo;

/// How long a NAR without a description is kept: somebody may be pushing it.
const A_DAY: i64 = 24 * 60 * 60;

/// What is kept.
pub struct PruneRules<'a> {
    /// The paths that are kept, with all to which they refer.
    pub keep: &'a BTreeSet<StoreName>,
    /// What was written at this time or later is kept.
    pub before: jiff::Timestamp,
    /// The current time.
    pub now: jiff::Timestamp,
    /// Delete nothing and only report.
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The paths, each with the length of its file in bytes.
    pub paths: Vec<(StoreName, u64)>,
    /// The number of paths that are left.
    pub left: usize,
    /// The number of files to which no path belongs, and their length in bytes.
    pub orphans: (usize, u64),
    /// The descriptions that cannot be read, or that have the name of another one. They stay.
    pub unreadable: Vec<String>,
}

/// Deletes what the rules do not keep.
///
/// # Errors
/// If the cache cannot be listed, read or changed.
pub fn prune(cache: &dyn BlobStore, rules: &PruneRules) -> Result<Pruned> {
    let files = cache.list()?;
    let mut out = Pruned::default();
    let mut paths: BTreeMap<StoreName, (&StoredBlob, NarInfo)> = BTreeMap::new();
    for file in files.iter().filter(|file| is_description(&file.path)) {
        crate::interrupt::check()?;
        // It may have been deleted in the meantime.
        let Some(text) = cache.text(&file.path)? else { continue };
        match NarInfo::parse(&text) {
            // Nobody finds a description by another name, and its path may have another one.
            Ok(info) if file.path == description_of(&info.info.path) => {
                drop(paths.insert(info.info.path.clone(), (file, info)));
            }
            _ => out.unreadable.push(file.path.clone()),
        }
    }
    let kept =
        closure(&paths, |name, file| rules.keep.contains(name) || file.modified >= rules.before);
    let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
        paths.into_iter().partition(|(name, _)| kept.contains(name));
    out.left = kept.len();
    let delete = |path: &str| if rules.dry_run { Ok(()) } else { cache.delete(path) };
    for (name, (file, info)) in &gone {
        crate::interrupt::check()?;
        delete(&file.path)?;
        delete(&format!("{}.ls", name.hash()))?;
        out.paths.push((name.clone(), info.file.size.unwrap_or(0)));
    }
    // What a description names that nobody can read is not known.
    if !out.unreadable.is_empty() {
        return Ok(out);
    }
    let named = |paths: &BTreeMap<StoreName, (&StoredBlob, NarInfo)>| -> BTreeSet<String> {
        paths.values().map(|(_, info)| info.file.url.clone()).collect()
    };
    let (used, left_behind) = (named(&kept), named(&gone));
    for file in
        files.iter().filter(|file| file.path.starts_with("nar/") && !used.contains(&file.path))
    {
        crate::interrupt::check()?;
        let age = rules.now.as_second() - file.modified.as_second();
        if left_behind.contains(&file.path) {
            delete(&file.path)?;
        } else if age > A_DAY && file.modified < rules.before {
            delete(&file.path)?;
            out.orphans.0 += 1;
            out.orphans.1 += file.size;
        }
    }
    Ok(out)
}

fn description_of(path: &StoreName) -> String {
    format!("{}.narinfo", path.hash())
}

fn is_description(path: &str) -> bool {
    path.ends_with(".narinfo") && !path.contains('/')
}

/// Returns the paths for which `keeps` holds, with all to which they refer.
fn closure(
    paths: &BTreeMap<StoreName, (&StoredBlob, NarInfo)>,
    keeps: impl Fn(&StoreName, &StoredBlob) -> bool,
) -> BTreeSet<StoreName> {
    let mut out = BTreeSet::new();
    let mut todo: Vec<&StoreName> =
        paths.iter().filter(|(name, (file, _))| keeps(name, file)).map(|(name, _)| name).collect();
    while let Some(name) = todo.pop() {
        if let Some((_, info)) = paths.get(name)
            && out.insert(name.clone())
        {
            todo.extend(&info.info.references);
        }
    }
    out
}

//! Garbage collection: deletes what no project uses.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use super::{Listing, Store};
use crate::error::{Error, Result};
use crate::model::StoreName;

/// The options of a collection.
#[derive(Debug, Clone, Copy)]
pub struct GcOptions {
    /// Delete nothing and only report.
    pub dry_run: bool,
    /// Keep whatever was used or made within this period.
    pub keep: Duration,
}

/// What was deleted, or would be deleted.
#[derive(Debug, Default)]
pub struct GcReport {
    /// Trees, with the sum of their file sizes in bytes.
    pub trees: Vec<(StoreName, u64)>,
    /// Trees that no root uses but a running process does.
    pub in_use: Vec<StoreName>,
    /// Projects that no longer exist.
    pub roots: Vec<PathBuf>,
    /// The number of downloads and their size in bytes.
    pub inputs: (usize, u64),
    /// The number of files of packed trees and their size in bytes.
    pub packed: (usize, u64),
    /// The number of projects whose evaluations are forgotten, and the size of what is deleted of
    /// evaluations in bytes.
    pub evaluations: (usize, u64),
    /// The size in bytes of what builds that failed have printed.
    pub log_bytes: u64,
    /// The size in bytes of linked files that no tree contains any more.
    pub link_bytes: u64,
}

impl Store {
    /// Deletes the trees that no root names and no process uses, the downloads, and the linked
    /// files that no tree contains.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub fn gc(&self, options: GcOptions) -> Result<GcReport> {
        let mut report = GcReport::default();
        let live = self.live(options, &mut report)?;
        let running = self.in_processes();
        let writable = self.is_writable();
        let referred = self.referred(&live, &running, options.keep)?;
        let putting_together = self.holds_closures();
        for name in self.trees()? {
            let path = self.path(&name);
            if live.contains(name.as_str())
                || referred.contains(&name)
                || young(&path, options.keep)
                || young(&self.dir.join("locks").join(name.as_str()), options.keep)
            {
                continue;
            }
            let held = |file: &fs::File| {
                flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err()
            };
            let busy = if writable {
                let (used, composed) = (
                    self.lock_file(name.as_str())?,
                    self.private_lock_file(&format!("{name}.compose"))?,
                );
                held(&used) || held(&composed)
            } else {
                // A dry run on a store that belongs to somebody else: nobody holds a lock whose file
                // does not exist.
                let locks = self.dir.join("locks");
                let files = [locks.join(name.as_str()), locks.join(format!("{name}.compose"))];
                files.iter().filter_map(|path| fs::File::open(path).ok()).any(|file| held(&file))
            };
            if busy
                || running.contains(name.as_str())
                || (putting_together && self.info(&name).is_some())
            {
                report.in_use.push(name);
                continue;
            }
            // Another process may have registered the tree after the roots were read, and may have
            // stopped using it since then.
            if self
                .live(GcOptions { dry_run: true, ..options }, &mut GcReport::default())?
                .contains(name.as_str())
            {
                continue;
            }
            let size = Listing::read(self, &name).map_or(0, |l| l.file_bytes());
            if !options.dry_run {
                self.remove(&name)?;
            }
            report.trees.push((name, size));
        }
        report.inputs = self.delete_inputs(options.keep, options.dry_run)?;
        let links = self.dir.join("links");
        for name in super::names(&links)? {
            let path = links.join(name);
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.nlink() == 1 {
                report.link_bytes += meta.len();
                if !options.dry_run {
                    fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
                }
            }
        }
        let gone: BTreeSet<&str> = report.trees.iter().map(|(name, _)| name.as_str()).collect();
        let stays = |name: &StoreName| self.has(name) && !gone.contains(name.as_str());
        report.packed = self.delete_packed(&stays, options.dry_run)?;
        let evaluating = self.evaluating()?;
        let GcOptions { dry_run, keep } = options;
        let is_used = |name: &str| evaluating.contains(name);
        report.evaluations =
            self.delete_evaluations(&is_used, &|name| live.contains(name), keep, dry_run)?;
        report.log_bytes = self.delete_logs(keep, dry_run)?;
        if !options.dry_run {
            self.clear_sessions()?;
            self.forget_uploads()?;
            super::Staging::sweep(self)?;
        }
        Ok(report)
    }

    /// Returns the paths of a Nix store to which those refer that roots or processes use, or that are
    /// young: each is kept together with its closure.
    fn referred(
        &self,
        live: &BTreeSet<String>,
        running: &BTreeSet<String>,
        keep: Duration,
    ) -> Result<BTreeSet<StoreName>> {
        let locks = self.dir.join("locks");
        let is_used = |name: &StoreName| {
            let lock = locks.join(name.as_str());
            let held = fs::File::open(&lock).is_ok_and(|file| {
                flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err()
            });
            live.contains(name.as_str())
                || running.contains(name.as_str())
                || held
                || young(&self.path(name), keep)
                || young(&lock, keep)
        };
        let mut out = BTreeSet::new();
        for name in self.trees()?.iter().filter(|name| is_used(name)) {
            if !out.contains(name) && self.info(name).is_some() {
                out.extend(self.closure(name).0);
            }
        }
        Ok(out)
    }

    /// Returns the trees that the roots name. Roots whose manifest no longer exists are reported,
    /// and are removed unless this is a dry run.
    fn live(&self, options: GcOptions, report: &mut GcReport) -> Result<BTreeSet<String>> {
        let mut live = BTreeSet::new();
        for (file, root) in self.roots()? {
            // Remove a root only if its manifest certainly does not exist: a share that is not
            // mounted, or a directory that cannot be read, proves nothing.
            let gone = fs::symlink_metadata(&root.project).is_err_and(|e| {
                matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
            });
            if !gone {
                let closures = root.trees.iter().filter_map(|tree| tree.closure.as_ref());
                live.extend(closures.map(|name| name.as_str().to_owned()));
                live.extend(root.trees.into_iter().map(|t| t.store_name.as_str().to_owned()));
                continue;
            }
            if !options.dry_run {
                fs::remove_file(&file).map_err(|e| Error::at("remove", &file, e))?;
            }
            report.roots.push(root.project);
        }
        Ok(live)
    }

    /// Returns the names of the directories in which Nix evaluates for projects that are still there and
    /// have set up a closure.
    fn evaluating(&self) -> Result<BTreeSet<String>> {
        let has_closure = |root: &super::Root| root.trees.iter().any(|tree| tree.closure.is_some());
        let dirs =
            self.roots()?.into_iter().filter(|(_, root)| has_closure(root)).map(|(_, root)| {
                let dir = self.evaluations_of(&root.project);
                dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
            });
        Ok(dirs.collect())
    }

    /// Returns the trees from which running processes were started or which they have mapped, as
    /// far as this user can see them.
    fn in_processes(&self) -> BTreeSet<String> {
        let prefix =
            fs::canonicalize(self.dir.join("store")).unwrap_or_else(|_| self.dir.join("store"));
        let prefix = format!("{}/", prefix.display());
        let mut out = BTreeSet::new();
        let mut note = |text: &str| {
            for at in text.match_indices(&prefix) {
                let rest = &text[at.0 + prefix.len()..];
                out.insert(rest.split(['/', '\n']).next().unwrap_or("").to_owned());
            }
        };
        let Ok(processes) = fs::read_dir("/proc") else { return out };
        for process in processes.filter_map(Result::ok) {
            let dir = process.path();
            if !process.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            for link in ["exe", "cwd"] {
                if let Ok(target) = std::fs::read_link(dir.join(link)) {
                    note(&target.to_string_lossy());
                }
            }
            if let Ok(maps) = std::fs::read_to_string(dir.join("maps")) {
                note(&maps);
            }
        }
        out
    }
}

/// Whether a path was created or changed less than `keep` ago. The change time of its inode counts,
/// because trees have a fixed modification time.
pub(super) fn young(path: &Path, keep: Duration) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return false };
    let changed =
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
    SystemTime::now().duration_since(changed).map_or(keep > Duration::ZERO, |age| age < keep)
}

/// Returns the time since the content of a file was changed. It is zero if that is unknown.
pub(super) fn age(path: &Path) -> Duration {
    let changed = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    changed.ok().and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default()
}

//! What builds have printed, and what those that failed have left. Both are for people: nothing reads
//! them, and they may be deleted at any time.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::gc::{age, young};
use super::{Staging, Store, owner};
use crate::error::{Error, Result};

/// The ending of the names of logs.
const ENDING: &str = ".log.zst";

/// The greatest number of logs. Each is of another build, and as long as the sandbox lets it be.
const MOST: usize = 500;

/// The time for which `gc` keeps logs at least.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The greatest number of bytes of a log that are read: more than the sandbox writes.
const LONGEST: u64 = 32 << 20;

impl Store {
    /// Keeps what a build has printed, in place of what was kept of the last one, and deletes the
    /// oldest logs if there are too many.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn keep_log(&self, name: &str, printed: &Path) -> Result<PathBuf> {
        let to = self.part("logs")?.join(format!("{name}{ENDING}"));
        let staging = Staging::new(self)?;
        let new = staging.dir().join("log");
        let write = |e| Error::at("write", &to, e);
        let bytes = fs::read(printed).map_err(|e| Error::at("read", printed, e))?;
        let packed = zstd::bulk::compress(&bytes, zstd::DEFAULT_COMPRESSION_LEVEL);
        packed.and_then(|packed| owner::write_new(&new, packed)).map_err(write)?;
        fs::rename(&new, &to).map_err(write)?;
        let mut logs = self.logs()?;
        logs.sort_by_key(|(_, age)| *age);
        for (name, _) in logs.iter().skip(MOST) {
            let _ = fs::remove_file(self.log(name));
        }
        Ok(to)
    }

    /// Returns the path of the log of a build.
    fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}{ENDING}"))
    }

    /// Returns the names of the builds of which there is a log, and how old it is.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn logs(&self) -> Result<Vec<(String, Duration)>> {
        let mut out = vec![];
        for file in super::names(&self.dir.join("logs"))? {
            let Some(name) = file.strip_suffix(ENDING) else { continue };
            out.push((name.to_owned(), age(&self.log(name))));
        }
        Ok(out)
    }

    /// Returns what a build has printed, if there is a log of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_log(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.log(name);
        let read = |e| Error::at("read", &path, e);
        let file = match owner::open_plain(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(read(e)),
        };
        let mut out = vec![];
        let decoder = zstd::Decoder::new(file.into_file()).map_err(read)?;
        decoder.take(LONGEST).read_to_end(&mut out).map_err(read)?;
        Ok(Some(out))
    }

    /// Returns an empty directory for what a build that failed has left, in place of what was kept of
    /// the last one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn directory_of_failed(&self, name: &str) -> Result<PathBuf> {
        let dir = self.part("failed")?.join(name);
        super::delete_tree(&dir).map_err(|e| Error::at("clear", &dir, e))?;
        owner::make_dir(&dir).map_err(|e| Error::at("make", &dir, e))?;
        Ok(dir)
    }

    /// Deletes what failed builds have left and what was made before `keep`, and logs if they are
    /// also older than a week. Returns the bytes of the logs; with `dry_run`, nothing is deleted.
    ///
    /// # Errors
    /// If something cannot be read or deleted.
    pub(super) fn delete_logs(&self, keep: Duration, dry_run: bool) -> Result<u64> {
        let mut bytes = 0;
        let (failed, logs) = (self.dir.join("failed"), self.dir.join("logs"));
        for name in super::names(&failed)? {
            let path = failed.join(name);
            if !young(&path, keep) && !dry_run {
                super::delete_tree(&path).map_err(|e| Error::at("remove", &path, e))?;
            }
        }
        for name in super::names(&logs)? {
            let path = logs.join(name);
            if age(&path) > keep.max(A_WEEK) {
                bytes += fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
                if !dry_run {
                    fs::remove_file(&path).map_err(|e| Error::at("remove", &path, e))?;
                }
            }
        }
        Ok(bytes)
    }
}

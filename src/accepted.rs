//! What a user accepted for a project on this machine, and whose projects nobody uses without that.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lockfile;
use crate::model::Digest;

/// The version of the format of the record.
const VERSION: u32 = 1;

/// What a user accepted for a project.
#[derive(Serialize, Deserialize, Default)]
struct Accepted {
    version: u32,
    project: PathBuf,
    items: BTreeSet<String>,
}

/// The record of a project on this machine.
pub struct Record {
    /// Its file, unless the directories of the user are unknown.
    path: Option<PathBuf>,
    accepted: Accepted,
}

impl Record {
    /// Reads the record of the project to which a manifest belongs. `state` is the directory for
    /// what programs remember. A record that cannot be read, or that others may write, counts as
    /// empty.
    ///
    /// # Errors
    /// If the directory of the project cannot be found.
    pub fn of(manifest: &Path, state: Option<PathBuf>) -> Result<Record> {
        let dir = manifest.parent().unwrap_or(Path::new("/"));
        let project = fs::canonicalize(dir).map_err(|e| Error::unreadable(dir, e))?;
        let name = Digest::of(project.as_os_str().as_encoded_bytes()).hex();
        let path = state.map(|state| state.join("cotter/trust").join(&name[..32]));
        let accepted = path
            .as_deref()
            .and_then(read_own)
            .and_then(|text| serde_json::from_str::<Accepted>(&text).ok())
            .filter(|found| found.version == VERSION && found.project == project);
        let empty = || Accepted { version: VERSION, project, items: BTreeSet::new() };
        Ok(Record { path, accepted: accepted.unwrap_or_else(empty) })
    }

    /// Returns the directory of the project.
    pub fn project(&self) -> &Path {
        &self.accepted.project
    }

    /// Whether the user accepted what these words say.
    pub fn accepts(&self, words: &str) -> bool {
        self.accepted.items.contains(words)
    }

    /// Adds what the user accepts, in words. The file is replaced as a whole, and only the user may read it.
    ///
    /// # Errors
    /// If it cannot be written, or if the directories of the user are unknown.
    pub fn accept(&mut self, words: impl IntoIterator<Item = String>) -> Result<()> {
        self.accepted.items.extend(words);
        let text = serde_json::to_string_pretty(&self.accepted)
            .map_err(|e| Error::user("can't write the record of what is trusted").cause(&e))?;
        let path = self.path.as_ref().ok_or_else(|| {
            Error::user("HOME is not set, so nothing can be recorded as trusted")
                .hint("set HOME or XDG_STATE_HOME, or say --trust")
        })?;
        let at = |e| Error::output("write", path, e);
        let dir = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir).map_err(at)?;
        let new = path.with_extension(format!("new-{}", std::process::id()));
        // What a killed process of the same number left is of no use.
        let _ = fs::remove_file(&new);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&new);
        let written = file
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.map_err(at)
    }

    /// Forgets everything that the user accepted. Returns whether there was anything.
    ///
    /// # Errors
    /// If the file cannot be deleted.
    pub fn revoke(&self) -> Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::output("delete", path, e)),
        }
    }
}

/// Reads a file that belongs to the user and that nobody else may write.
fn read_own(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    let own = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0;
    (meta.is_file() && own).then(|| fs::read_to_string(path).ok()).flatten()
}

/// A user to whom a part of a project belongs: neither this user nor root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    uid: u32,
    /// What belongs to the user.
    path: PathBuf,
}

impl Stranger {
    /// Returns what the user chooses, in words, which are also the identity of what is accepted.
    pub fn words(&self) -> String {
        format!("whatever the user {} writes into this project, which is that user's", self.uid)
    }

    /// Returns the error for a manifest of that user, whom nobody accepted. `me` are the users
    /// whose manifests are used.
    pub fn refusal(&self, me: &[u32]) -> Error {
        let (path, uid) = (self.path.display(), self.uid);
        let me: Vec<String> = me.iter().filter(|uid| **uid != 0).map(u32::to_string).collect();
        let me = if me.is_empty() { String::new() } else { format!("{} or ", me.join(" or ")) };
        Error::user(format!("{path} belongs to the user {uid}"))
            .because(format!(
                "expected the user {me}0: whoever owns a manifest, its lock or their directory chooses the programs of all who work below it"
            ))
            .hint("if you trust that user, run `cotter trust`; a manifest that you name with --manifest needs no trust in its owner")
            .hint("where nobody can be asked, as in CI, set COTTER_TRUST=1 or say --trust")
    }
}

/// Returns the users besides `me` and root to whom a manifest, its lock or their directory belongs. Of
/// a symlink, its own owner counts and that of the file to which it leads. A directory of root that
/// everybody may write, such as `/tmp`, is no other user's, but what others put there is.
pub fn strangers(manifest: &Path, me: &[u32]) -> Vec<Stranger> {
    let lock = manifest.with_file_name(lockfile::FILE_NAME);
    let dir = manifest.parent().unwrap_or(Path::new("/"));
    let mut found = BTreeMap::new();
    for path in [manifest, &lock, dir] {
        for meta in [std::fs::symlink_metadata(path), std::fs::metadata(path)] {
            let Ok(uid) = meta.map(|meta| meta.uid()) else { continue };
            if uid != 0 && !me.contains(&uid) {
                found.entry(uid).or_insert_with(|| path.to_owned());
            }
        }
    }
    found.into_iter().map(|(uid, path)| Stranger { uid, path }).collect()
}

//! Who may change the store. Whoever can write to it decides what programs of the trees do, so its directories must belong to this
//! user or to root, and must not be writable for others. What lies in it and belongs to somebody
//! else is not believed.

use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use super::Store;
use crate::error::{Error, ErrorKind, Result};

/// The directories of guards, which stand on PATH in the place of programs of the host.
pub const GUARDS: &str = "guards";
/// The directories of files that are handed to programs, such as the start-up files of shells.
pub const SESSIONS: &str = "sessions";

/// The directories of the layout whose content is believed.
const PARTS: [&str; 11] = [
    "store", "roots", "links", "listings", "facts", GUARDS, SESSIONS, "staging", "inputs",
    "packed", "uploads",
];

/// The directories that are looked at whenever the store is used. The others are looked at whenever
/// something is made or registered.
const ALWAYS: [&str; 2] = ["store", "roots"];

/// The permission of a group to write, and that of everybody.
const GROUP: u32 = 0o020;
const EVERYBODY: u32 = 0o002;

/// The users whose files in the store are believed: this user, root, and the owner of the store.
#[derive(Debug, Clone, Copy)]
pub struct StoreOwners {
    me: u32,
    store: u32,
}

impl StoreOwners {
    /// Whether files of the user `uid` are believed.
    pub fn trust(self, uid: u32) -> bool {
        uid == self.me || uid == 0 || uid == self.store
    }

    /// Whether files of the user `uid` are this user's own.
    pub fn is_me(self, uid: u32) -> bool {
        uid == self.me
    }
}

/// A directory of the store that somebody else may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// The directory.
    pub dir: PathBuf,
    /// Who may change it.
    pub who: Who,
}

/// Those who may change a directory of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Every user of the machine.
    Everybody,
    /// The members of the group with this number.
    Group(u32),
    /// The user with this number, to whom it belongs.
    User(u32),
}

impl Weakness {
    /// Whether the store must not be used. Those who are named in the other cases may be meant to
    /// maintain the store.
    pub fn is_grave(&self) -> bool {
        self.who == Who::Everybody
    }

    /// Returns what the user can do about it.
    pub fn way_out(&self) -> String {
        let dir = self.dir.display();
        match self.who {
            Who::Everybody => format!(
                "run `chmod o-w {dir}` and `cotter verify --deep`, or name a directory of your own, such as one below it, with --store DIR or COTTER_STORE"
            ),
            Who::Group(_) => {
                format!("if its members are not to choose your programs, run `chmod g-w {dir}`")
            }
            Who::User(_) => {
                "if that user is not to choose your programs, name another store with --store DIR or COTTER_STORE".to_owned()
            }
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        match self.who {
            Who::Everybody => write!(f, "every user of this machine may change {dir}"),
            Who::Group(gid) => write!(f, "the members of group {gid} may change {dir}"),
            Who::User(uid) => write!(f, "{dir} belongs to user {uid}, who may change it"),
        }
    }
}

impl Store {
    /// Returns the users whose files are believed.
    pub fn owners(&self) -> StoreOwners {
        let me = rustix::process::geteuid().as_raw();
        let store = std::fs::metadata(&self.dir).map_or(me, |meta| meta.uid());
        StoreOwners { me, store }
    }

    /// Refuses a store that every user of the machine may change. This takes some microseconds.
    ///
    /// # Errors
    /// If it is such a store.
    pub fn refuse_if_open(&self) -> Result<()> {
        let parts = ALWAYS.map(|part| self.dir.join(part));
        let open = std::iter::once(&self.dir).chain(&parts).find_map(|dir| {
            let mode = std::fs::metadata(dir).ok()?.permissions().mode();
            (mode & EVERYBODY != 0).then(|| Weakness { dir: dir.clone(), who: Who::Everybody })
        });
        match open {
            Some(weakness) => Err(weakness.into_error()),
            None => Ok(()),
        }
    }

    /// Returns the directories of the store that somebody else may change, the gravest first.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let owners = self.owners();
        let mut out = vec![];
        let dirs = std::iter::once(self.dir.clone()).chain(PARTS.map(|part| self.dir.join(part)));
        for dir in dirs {
            let Ok(meta) = fs::metadata(&dir) else { continue };
            // The owner of a symlink may let it lead elsewhere.
            let link = fs::symlink_metadata(&dir).map_or(meta.uid(), |link| link.uid());
            let foreign = |uid: &u32| !owners.is_me(*uid) && *uid != 0;
            let mode = meta.permissions().mode();
            // Many systems give each user a group of the same number, of which nobody else is.
            let own_group = meta.gid() == meta.uid() && !foreign(&meta.uid());
            let who = if mode & EVERYBODY != 0 {
                Some(Who::Everybody)
            } else if let Some(uid) = [meta.uid(), link].into_iter().find(foreign) {
                Some(Who::User(uid))
            } else if mode & GROUP != 0 && !own_group && meta.gid() != 0 {
                Some(Who::Group(meta.gid()))
            } else {
                None
            };
            out.extend(who.map(|who| Weakness { dir, who }));
        }
        out.sort_by_key(|weakness| !weakness.is_grave());
        out
    }
}

impl Weakness {
    /// Returns the error for a store that must not be used.
    pub fn into_error(self) -> Error {
        let way_out = self.way_out();
        Error::new(ErrorKind::Store, "the store is not safe to use")
            .because(format!("{self}, and with it the programs that you start"))
            .hint(way_out)
    }
}

/// Opens a file of the store for reading. A symlink in its place is refused, and nothing waits for a
/// pipe.
///
/// # Errors
/// If it is no regular file, or cannot be opened.
pub fn open_plain(path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file =
        fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file"));
    }
    Ok(file)
}

/// Reads a file of the store that one of its owners wrote.
///
/// # Errors
/// If it is no regular file, belongs to somebody else, or cannot be read.
pub fn read_own(path: &Path, owners: StoreOwners) -> io::Result<String> {
    let mut file = open_plain(path)?;
    let meta = file.metadata()?;
    let uid = meta.uid();
    if !owners.trust(uid) {
        let what = format!("it belongs to user {uid}, who does not own the store");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    let mut text = String::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    io::Read::read_to_string(&mut file, &mut text)?;
    Ok(text)
}

/// Writes a new file of the store. What is in its place, such as the rest of a killed process or a
/// symlink, is removed before.
///
/// # Errors
/// If it cannot be written.
pub fn write_new(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    io::Write::write_all(&mut file, bytes.as_ref())
}

/// Makes a directory of the store, in which only this user may write, whatever the umask is.
///
/// # Errors
/// If it exists, or cannot be made.
pub fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o755).create(path)
}

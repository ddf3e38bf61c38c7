//! A store of Nix on this machine: what lies there is taken over, and paths of ours are given to it. Only Nix itself writes there. Its commands are those that are
//! the same from version 2.8 to the newest.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use super::nar;
use crate::error::{Error, ErrorKind, Result, from_io};
use crate::evaluator::NixCommand;
use crate::fetch::encode;
use crate::model::{Hasher, StoreName};
use crate::nix::nar::NarWriter;
use crate::nix::narinfo::PathInfo;
use crate::nix::references::ReferenceScanner;
use crate::nix::{registration, store_path};
use crate::store::{Store, dump};

/// The longest chain of symlinks that is followed to a path.
const MOST_LINKS: usize = 40;

/// The number of paths for which Nix is asked at once, so that the command line is not too long.
const AT_ONCE: usize = 1000;

/// A store of Nix.
pub struct LocalNix {
    /// The directory below which `nix/store` lies, unless it is `/`.
    root: Option<PathBuf>,
    /// The time in seconds for which Nix may work.
    seconds: u64,
}

impl LocalNix {
    /// Returns the store of this machine, or the one below a directory. Nix may work for some seconds.
    pub fn below(root: Option<PathBuf>, seconds: u64) -> Self {
        LocalNix { root: root.filter(|root| root != Path::new("/")), seconds }
    }

    /// Returns the place on the disk of what is at an absolute path for programs of the store.
    fn place(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => path.into(),
        }
    }

    /// Returns the place of a path.
    pub fn path(&self, name: &StoreName) -> PathBuf {
        self.place(&store_path::full(name))
    }

    /// Returns the path that is named: by itself, by a file in it, or by a link to it, as `nix-build` leaves one.
    ///
    /// # Errors
    /// If it names none.
    pub fn named(&self, path: &Path) -> Result<StoreName> {
        let stores = [Path::new(store_path::STORE_DIR), &self.place(store_path::STORE_DIR)];
        let mut at = path.to_owned();
        // A directory of the path may be the link, and `..` may lead into the store.
        if let Ok(real) = path.canonicalize()
            && stores.iter().any(|store| real.starts_with(store))
            && fs::read_link(path).is_err()
        {
            at = real;
        }
        for _ in 0..MOST_LINKS {
            if let Some(below) = stores.iter().find_map(|store| at.strip_prefix(store).ok()) {
                let first = below.iter().next().unwrap_or_default().to_string_lossy();
                return first.parse().map_err(|why: String| {
                    Error::user(format!("{} is no path of a store of Nix", at.display()))
                        .because(why)
                });
            }
            let Ok(target) = fs::read_link(&at) else { break };
            at = at.parent().unwrap_or(Path::new("/")).join(target);
        }
        Err(Error::user(format!("{} is no path of a store of Nix", path.display()))
            .because(format!("expected a path in {}, or a link to one", store_path::STORE_DIR)))
    }

    /// Whether Nix knows what is in the store.
    ///
    /// # Errors
    /// If it does, and cannot be asked.
    fn is_registered(&self) -> Result<bool> {
        let known = ["/nix/var/nix/db", "/nix/var/nix/daemon-socket"];
        if !known.iter().any(|dir| self.place(dir).exists()) {
            return Ok(false);
        }
        let mut command = Command::new("nix-store");
        command.arg("--version");
        self.run(command).map(|_| true).map_err(|e| {
            e.context("Nix has registered what is in this store, and can't be asked").hint(
                "put nix-store on PATH, or say --scan: then nobody vouches for the bytes but the lock that names them",
            )
        })
    }

    /// Returns what is known of paths and of all to which they refer: those to which others refer come first. Nix says it; with `scan`, or where no Nix can be
    /// asked, every byte is read, and references are found as Nix finds them after a build.
    ///
    /// # Errors
    /// If a path is not there, or not registered.
    pub fn closure(&self, tops: &[StoreName], scan: bool) -> Result<Vec<PathInfo>> {
        for name in tops {
            let path = self.path(name);
            fs::symlink_metadata(&path).map_err(|e| Error::unreadable(&path, e))?;
        }
        if scan || !self.is_registered()? {
            return self.scanned(tops);
        }
        let listed = self.ask(&["--query", "--requisites"], tops)?;
        let strange = |why: String| Error::user("nix-store answers strangely").because(why);
        let all = listed.lines().map(store_path::parse).collect::<Result<Vec<_>, _>>();
        let mut out = vec![];
        for part in all.map_err(strange)?.chunks(AT_ONCE) {
            let told = registration::parse(&self.ask(&["--dump-db"], part)?).map_err(strange)?;
            if told.iter().map(|info| &info.path).ne(part) {
                return Err(strange("it tells of other paths than it was asked for".to_owned()));
            }
            out.extend(told);
        }
        Ok(out)
    }

    /// Asks `nix-store` about paths.
    fn ask(&self, what: &[&str], paths: &[StoreName]) -> Result<String> {
        let mut asked = Command::new("nix-store");
        if let Some(root) = &self.root {
            asked.arg("--store").arg(root);
        }
        asked.args(what).args(paths.iter().map(store_path::full));
        self.run(asked)
    }

    /// Finds the references of paths by reading them.
    fn scanned(&self, tops: &[StoreName]) -> Result<Vec<PathInfo>> {
        let dir = self.place(store_path::STORE_DIR);
        let entries = fs::read_dir(&dir).map_err(|e| Error::unreadable(&dir, e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let known: Vec<StoreName> = names.filter_map(|name| name.parse().ok()).collect();
        let mut seen = BTreeSet::new();
        let mut out: Vec<PathInfo> = vec![];
        // A path is told when all to which it refers are: then it is met again.
        let mut todo: Vec<Result<StoreName, PathInfo>> = tops.iter().cloned().map(Ok).collect();
        while let Some(next) = todo.pop() {
            match next {
                Ok(name) if seen.insert(name.clone()) => {
                    let info = scan(self.path(&name), name, &known)?;
                    let references = info.references.clone();
                    todo.push(Err(info));
                    todo.extend(references.into_iter().map(Ok));
                }
                Ok(_) => {}
                Err(info) => out.push(info),
            }
        }
        Ok(out)
    }

    /// Takes a path over into `store`, in which all to which it refers are. Returns whether it was missing.
    ///
    /// # Errors
    /// If it is not what `info` says, or if the store has another of the name.
    pub fn take(&self, info: &PathInfo, store: &Store, tell: &dyn Fn(&str)) -> Result<bool> {
        if nar::is_there(store, info)? {
            return Ok(false);
        }
        let _held = store.lock_to_compose(&info.path, tell)?;
        if nar::is_there(store, info)? {
            return Ok(false);
        }
        store.take(info, &self.path(&info.path)).map_err(|e| match e.kind() {
            ErrorKind::Verification => e.hint("it has changed since it was put into the store of Nix: run `nix-store --verify --check-contents --repair`"),
            _ => e,
        })?;
        Ok(true)
    }

    /// Lets Nix copy paths out of a binary cache in a directory, with all to which they refer.
    ///
    /// # Errors
    /// If there is no Nix, or if it refuses them.
    pub fn give(&self, cache: &Path, names: &[StoreName], check_signatures: bool) -> Result<()> {
        let mut copy = Command::new("nix");
        copy.args(["--extra-experimental-features", "nix-command"]);
        if let Some(root) = &self.root {
            copy.arg("--store").arg(root);
        }
        copy.args(["copy", "--from", &format!("file://{}", encode(&cache.display().to_string()))]);
        if !check_signatures {
            copy.arg("--no-check-sigs");
        }
        copy.args(names.iter().map(store_path::full));
        self.run(copy).map(drop)
    }

    /// Runs a program of Nix, and returns what it prints.
    fn run(&self, command: Command) -> Result<String> {
        let program = command.get_program().to_string_lossy().into_owned();
        NixCommand::new(command, self.seconds)
            .text(&|said| Error::user(format!("{program} has failed")).because(said))
    }
}

/// Reads a path, and finds out what there is to know of it.
fn scan(path: PathBuf, name: StoreName, known: &[StoreName]) -> Result<PathInfo> {
    let read = Scanned { hasher: Hasher::default(), scanner: ReferenceScanner::new(known) };
    let work = || -> io::Result<Scanned> {
        let mut nar = NarWriter::new(read)?;
        dump(&path, &mut nar, &mut vec![0; 256 << 10])?;
        Ok(nar.into_inner())
    };
    let read = work().map_err(|e| from_io(format!("can't read {}", path.display()), e))?;
    let size = read.hasher.len();
    Ok(registration::of_path(name, read.hasher.finish(), size, read.scanner.finish(), None))
}

/// Hashes bytes, and finds references in them.
struct Scanned<'n> {
    hasher: Hasher,
    scanner: ReferenceScanner<'n>,
}

impl Write for Scanned<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        crate::interrupt::check()?;
        self.hasher.update(bytes);
        self.scanner.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

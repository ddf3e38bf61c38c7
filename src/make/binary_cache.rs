//! A binary cache as a substituter: a tree comes as one stream and is hashed, decompressed and unpacked as its bytes arrive. The lock says what the tree must be, and
//! the configured keys whose word is taken. A cache that is down, slow or lies is warned about once and then left out.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::substitute::{Landing, Substituter};
use crate::error::{Cause, Error, ErrorKind, Measure, Result, from_io};
use crate::facts::RecordedFacts;
use crate::fetch::{Http, Paced, below, encode, redact, says_absent, transfer_error};
use crate::lockfile::LockedTree;
use crate::manifest::CacheEntry;
use crate::model::{Digest, HashingReader, MemberPath, StoreName};
use crate::nix::keys::CacheKey;
use crate::nix::nar::{self, NarError, NarVisitor};
use crate::nix::narinfo::{self, NarInfo};
use crate::recipe;
use crate::reporter::{Phase, Task};
use crate::store::{Commit, Staging};
use crate::tree::{BlobDir, Node, Staged, Tree};
use crate::unpack::{Budget, read_beside, sniffed_nar};

/// The least rate in bytes per second at which a cache must deliver: below it, the sources of a tree are most likely faster.
const LEAST_RATE: u64 = 32 << 10;

/// A binary cache.
pub struct BinaryCache {
    name: String,
    url: String,
    keys: Vec<CacheKey>,
    http: Http,
    is_out: AtomicBool,
    /// The trees that it does not have.
    lacks: Mutex<BTreeSet<StoreName>>,
}

impl BinaryCache {
    /// Creates the cache of an entry of the configuration. The client must not be patient.
    pub fn new(entry: &CacheEntry, http: Http) -> Self {
        let url = entry.url.trim_end_matches('/').to_owned();
        let name = match url.starts_with("s3://") {
            true => redact(url.split('?').next().unwrap_or_default()),
            false => redact(&url),
        };
        let (is_out, lacks, keys) = (AtomicBool::new(false), Mutex::default(), entry.keys.clone());
        BinaryCache { name, url, keys, http, is_out, lacks }
    }

    /// Returns the name of the cache for messages: its address without secrets.
    pub fn shown_name(&self) -> &str {
        &self.name
    }

    /// Opens a file of the cache, or returns `None` if it does not have it.
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>> {
        match self.http.get(&below(&self.url, &encode(path)), 0) {
            Ok(body) => Ok(Some(body.reader)),
            Err(e) if says_absent(&e) || e.reason() == Some(&Cause::Offline) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.name.trim_end_matches('/'))
    }

    fn paced<R: Read>(&self, inner: R) -> Paced<R> {
        let period = self.http.patience().stall.max(Duration::from_secs(1));
        Paced::with_least(inner, period, LEAST_RATE)
    }

    /// Returns what the cache says of a tree, whoever has signed it, or `None` if it does not have it.
    ///
    /// # Errors
    /// If the cache cannot be asked, or if what it says is no description of that path.
    pub fn claim(&self, name: &StoreName) -> Result<Option<NarInfo>> {
        let path = format!("{}.narinfo", name.hash());
        let Some(reader) = self.open(&path)? else { return Ok(None) };
        let shown = self.shown(&path);
        let mut bytes = vec![];
        // One that is short is there before its rate is judged.
        let read = self.paced(reader).take(narinfo::MOST + 1).read_to_end(&mut bytes);
        read.map_err(|e| transfer_error(&shown, e))?;
        let refused = |why: String| refusal(&shown, why);
        let info = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
        let info = info.and_then(|text| NarInfo::parse(&text)).map_err(refused)?;
        if info.info.path != *name {
            return Err(refused(format!("expected {name}, got {}", info.info.path)));
        }
        Ok(Some(info))
    }

    /// Returns the hash and the length of the NAR that a cache really has.
    ///
    /// # Errors
    /// If it cannot be fetched, or if it is damaged.
    pub fn weigh(&self, info: &NarInfo) -> Result<(Digest, u64)> {
        let shown = self.shown(&info.file.url);
        self.check_address(info)?;
        let Some(reader) = self.open(&info.file.url)? else {
            return Err(Error::verification(format!("{shown} is not there"))
                .because("a description of the cache names it"));
        };
        let plain = || -> io::Result<(u64, Digest)> {
            let plain = Budget::new(sniffed_nar(self.paced(reader))?, info.info.nar_size);
            HashingReader::new(plain).finish()
        };
        let (size, hash) = plain().map_err(|e| transfer_error(&shown, e))?;
        Ok((hash, size))
    }

    /// Refuses an address that leads elsewhere: it would let a cache choose whom this machine asks.
    fn check_address(&self, info: &NarInfo) -> Result<()> {
        let url = &info.file.url;
        let is_below = MemberPath::parse(url.as_bytes()).ok().flatten();
        if is_below.is_some_and(|path| path.as_str() == url) && !url.contains("://") {
            return Ok(());
        }
        let shown = self.shown(&format!("{}.narinfo", info.info.path.hash()));
        Err(refusal(&shown, format!("expected the path of a file of the cache, got {url:?}")))
    }

    /// Returns the description of a tree that is the locked one and signed, or `None` if the cache does not have it.
    fn describe(&self, tree: &LockedTree) -> Result<Option<NarInfo>> {
        let output = &tree.output;
        let Some(info) = self.claim(&output.store_name)? else { return Ok(None) };
        let shown = self.shown(&format!("{}.narinfo", output.store_name.hash()));
        let refused = |why: String| refusal(&shown, why);
        let found = &info.info;
        if (found.nar_hash, found.nar_size) != (output.nar_hash, output.nar_size) {
            return Err(refused(format!(
                "expected the NAR hash {} and {} bytes, got {} and {} bytes",
                output.nar_hash.sri(),
                output.nar_size,
                found.nar_hash.sri(),
                found.nar_size
            )));
        }
        if found.signer(&self.keys).is_none() {
            let names = |names: Vec<&str>| match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            let signed = names(found.signatures.iter().map(|s| s.name()).collect());
            let known = names(self.keys.iter().map(CacheKey::name).collect());
            return Err(refused(format!("expected a signature of {known}, got {signed}")));
        }
        self.check_address(&info)?;
        Ok(Some(info))
    }

    /// Puts a tree into the store. Returns whether the cache has it.
    fn take(&self, tree: &LockedTree, landing: &Landing) -> Result<bool> {
        let Some(info) = self.describe(tree)? else { return Ok(false) };
        let output = &tree.output;
        let shown = self.shown(&info.file.url);
        let Some(reader) = self.open(&info.file.url)? else {
            return Err(Error::verification(format!("{shown} is not there"))
                .because("a description of the cache names it"));
        };
        let label = tree.plan.label();
        let size = info.file.size.unwrap_or(output.nar_size);
        let task = landing.reporter.task(tree.plan.name.as_str(), size);
        let staging = Staging::new(landing.store)?;
        let blobs = BlobDir::create(staging.dir().join("blobs"))?;
        let unpacked = landing.reporter.timed(&label, Phase::Fetch, || {
            let counted = Counted { inner: self.paced(reader), task: &task };
            unpack(counted, &info, &blobs, &shown)
        })?;
        let stage = || {
            let expected = Some(&output.nar_hash);
            Commit::stage(landing.store, &staging, &unpacked, landing.hard_links, expected)
        };
        let commit = landing.reporter.timed(&label, Phase::Link, stage)?;
        if (commit.nar_hash, commit.nar_size) != (output.nar_hash, output.nar_size) {
            return Err(other_bytes(&shown, &output.nar_hash.sri(), &commit.nar_hash.sri()));
        }
        let facts = recipe::facts(&tree.plan, &unpacked)?;
        let recipe = tree.plan.recipe.name.clone();
        landing.store.write_facts(&output.store_name, &RecordedFacts { recipe, facts })?;
        commit.publish(&output.store_name)?;
        Ok(true)
    }
}

impl Substituter for BinaryCache {
    fn name(&self) -> &str {
        &self.name
    }

    fn substitute(&self, tree: &LockedTree, landing: &Landing) -> Result<bool> {
        let name = &tree.output.store_name;
        let lacks = || self.lacks.lock().expect("no panic holds it");
        if self.is_out.load(Ordering::Relaxed) || lacks().contains(name) {
            return Ok(false);
        }
        match self.take(tree, landing) {
            Ok(true) => {
                landing.reporter.detail(&format!("{name} is from {}", self.name));
                Ok(true)
            }
            Ok(false) => {
                lacks().insert(name.clone());
                Ok(false)
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::Store) => Err(e),
            Err(e) => {
                if !self.is_out.swap(true, Ordering::Relaxed) {
                    landing.reporter.warn(&format!(
                        "the cache {} is left out, and trees are made without it: {e}",
                        self.name
                    ));
                }
                Ok(false)
            }
        }
    }
}

fn refusal(shown: &str, why: String) -> Error {
    Error::verification(format!("{shown} is refused")).because(why)
}

fn other_bytes(shown: &str, expected: &str, got: &str) -> Error {
    Error::verification(format!("{shown} is another tree")).because_of(Cause::Mismatch {
        what: Measure::Sha256,
        expected: expected.to_owned(),
        got: got.to_owned(),
    })
}

/// Unpacks the NAR of a description. No more bytes are unfolded than it has. Whether they are the right
/// ones is known when the files are on the disk: their NAR is the stream, if both are canonical.
/// One thread decompresses the bytes, the other writes the files.
fn unpack(file: impl Read + Send, info: &NarInfo, blobs: &BlobDir, shown: &str) -> Result<Tree> {
    let damaged = |e: io::Error| match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset => transfer_error(shown, e),
        _ if e.get_ref().is_some_and(|inner| inner.is::<reqwest::Error>()) => {
            transfer_error(shown, e)
        }
        _ if e.get_ref().is_some_and(|inner| inner.is::<Error>()) => from_io("", e),
        _ => Error::verification(format!("{shown} is damaged"))
            .cause(&e)
            .with_cause(Cause::DamagedArchive),
    };
    // No signature covers what a description says of the compression, so the bytes decide.
    let plain = || -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Budget::new(sniffed_nar(file)?, info.info.nar_size)))
    };
    let mut unpacker = NarUnpacker { blobs, tree: Tree::default(), path: vec![], staged: None };
    read_beside(plain, |plain| {
        nar::read(plain, &mut unpacker).map_err(|e| match e {
            NarError::Refused { .. } => Error::verification(format!("{shown} is no tree"))
                .because(e.to_string())
                .with_cause(Cause::HostileArchive),
            NarError::Read(e) => damaged(e),
            NarError::Visitor(e) => from_io("can't unpack a tree", e),
        })
    })?;
    Ok(unpacker.tree)
}

/// Tells a task how many bytes arrive.
struct Counted<'t, R> {
    inner: R,
    task: &'t Task,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        crate::interrupt::check()?;
        let n = self.task.waiting(|| self.inner.read(buffer))?;
        self.task.advance(n as u64);
        Ok(n)
    }
}

/// Makes a tree of the parts of a NAR.
struct NarUnpacker<'b> {
    blobs: &'b BlobDir,
    tree: Tree,
    path: Vec<String>,
    /// The file that is being written, and whether it is executable.
    staged: Option<(Staged, bool)>,
}

impl NarUnpacker<'_> {
    /// Returns the path of the node that is told, or `None` for the root.
    fn here(&self) -> io::Result<Option<MemberPath>> {
        if self.path.is_empty() {
            return Ok(None);
        }
        let path = self.path.join("/");
        let parsed = MemberPath::parse(path.as_bytes()).ok().flatten();
        parsed
            .filter(|parsed| parsed.as_str() == path)
            .map(Some)
            .ok_or_else(|| hostile(format!("it holds a name that no tree has: {path:?}")))
    }

    fn put(&mut self, node: Node) -> io::Result<()> {
        match self.here()? {
            Some(path) => self.tree.put(path, node),
            None => return Err(hostile("it is no directory".to_owned())),
        }
        Ok(())
    }
}

fn hostile(why: String) -> io::Error {
    Error::verification("the tree of a cache is refused")
        .because(why)
        .with_cause(Cause::HostileArchive)
        .into()
}

fn utf8(bytes: &[u8]) -> io::Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| hostile(format!("expected UTF-8, got \"{}\"", bytes.escape_ascii())))
}

impl NarVisitor for NarUnpacker<'_> {
    fn begin_directory(&mut self) -> io::Result<()> {
        if let Some(path) = self.here()? {
            self.tree.put(path, Node::Directory);
        }
        Ok(())
    }

    fn end_directory(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.path.push(utf8(name)?);
        Ok(())
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.path.pop();
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.put(Node::Symlink(utf8(target)?))
    }

    fn begin_file(&mut self, executable: bool, _: u64) -> io::Result<()> {
        self.staged = Some((self.blobs.begin()?, executable));
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((staged, _)) = &mut self.staged {
            staged.add(bytes)?;
        }
        Ok(())
    }

    fn end_file(&mut self, _: u64) -> io::Result<()> {
        if let Some((staged, executable)) = self.staged.take() {
            let blob = staged.finish()?;
            self.put(Node::File { blob, executable })?;
        }
        Ok(())
    }
}

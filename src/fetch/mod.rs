//! Fetches bytes from mirrors and verifies their hash while they arrive.

mod addresses;
mod apt;
mod bounds;
mod copies;
mod exchange;
mod http;
pub mod index_settings;
mod mirrors;
mod names;
mod nars;
mod netrc;
mod pace;
mod proxy;
pub mod python_index;
mod refusals;
mod regular;
mod resumed;
mod s3;
mod stream;
mod tools;
mod vicinity;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fs_err as fs;

pub use apt::machine_mirrors;
pub use bounds::IndexBounds;
pub use exchange::{Answer, Upload, Verb};
pub use http::{
    Http, MOST_CONNECTIONS, local_path, origin, redact, says_absent, transfer_error, without_login,
};
pub use mirrors::{Candidate, Mirrors, NIX, SNAPSHOT, decode, encode, snapshot_path};
pub use nars::{below, cache_of, endpoint, is_in_directory, nar_url};
pub use netrc::Netrc;
pub use pace::Paced;
pub use proxy::Proxies;
pub use refusals::Refusals;
pub use regular::{
    LONGEST_KEYRING, LONGEST_LIST, LONGEST_TEXT, open_regular, read_list, read_regular,
};
pub use resumed::Resumed;
pub use s3::{S3Defaults, S3Login, S3Place, S3Request};
pub use tools::index_of_pip;

use crate::error::{Cause, Error, Result};
use crate::model::{Digest, HashingReader, Input, Location};
use crate::reporter::Task;

/// The maximum size in bytes of a file whose hash is not known yet.
const MOST_DISCOVERED: u64 = 16 << 30;

/// The client's limits for timeouts and retries.
#[derive(Debug, Clone)]
pub struct Patience {
    /// The maximum time for which a server may send nothing.
    pub stall: Duration,
    /// The number of retries of a failed transfer, for each mirror.
    pub retries: u32,
    /// The pause before the first retry. It doubles each time, up to one minute.
    pub backoff: Duration,
}

impl Patience {
    /// Returns the pause before the retry that follows `earlier` retries.
    pub fn pause(&self, earlier: u32) -> Duration {
        self.backoff.saturating_mul(2u32.pow(earlier.min(10))).min(Duration::from_secs(60))
    }
}

/// Creates a file and locks it, which shows other processes that this one writes to it.
fn create_held(path: &Path) -> io::Result<fs::File> {
    loop {
        // A killed process with the same number may have left one. A symlink is not followed.
        let _ = fs::remove_file(path);
        let file = fs::File::create_new(path)?;
        // A file system without locks has nobody who sweeps, either.
        let held = rustix::fs::flock(file.file(), rustix::fs::FlockOperation::LockShared);
        // Another process may have swept the file before it was locked.
        if held.is_err() || rustix::fs::fstat(file.file())?.st_nlink > 0 {
            return Ok(file);
        }
    }
}

/// Returns a Python package index if none is configured.
pub type DefaultIndex = Arc<dyn Fn() -> Result<String> + Send + Sync>;

/// Returns the error for a machine on which no Python package index is known.
pub fn no_python_index() -> Error {
    Error::user("no Python package index is configured on this machine")
        .hint("set one with [mirrors] python = [\"https://.../simple\"], UV_DEFAULT_INDEX, PIP_INDEX_URL or pip.conf")
        .hint("or install pip or uv on this machine, or pin a Python with pip in this manifest: they know their own default")
}

/// Fetches inputs into a cache of files that are named by their SHA-256 hash.
pub struct Fetcher {
    /// The HTTP client.
    pub http: Http,
    /// The mirrors.
    pub mirrors: Mirrors,
    inputs: PathBuf,
    default_index: Mutex<Option<DefaultIndex>>,
    /// The directories of the user's `PATH`.
    path: Vec<PathBuf>,
    of_tools: OnceLock<Option<String>>,
    indexes: OnceLock<Vec<String>>,
    pages: Mutex<HashMap<String, Arc<python_index::IndexProject>>>,
    /// The inputs that this run has written into the cache, with the hash that was expected.
    written: Mutex<HashSet<Digest>>,
    /// The binary caches of Nix.
    nix_caches: Vec<String>,
}

impl Fetcher {
    /// Creates a fetcher that keeps inputs in the directory `inputs`.
    pub fn new(http: Http, mirrors: Mirrors, inputs: PathBuf) -> Self {
        Fetcher {
            http,
            mirrors,
            inputs,
            default_index: Mutex::new(None),
            path: vec![],
            of_tools: OnceLock::new(),
            indexes: OnceLock::new(),
            pages: Mutex::default(),
            written: Mutex::default(),
            nix_caches: vec![],
        }
    }

    /// Sets the binary caches of Nix that are asked for paths that a lock names, if the place that it
    /// names has them no more.
    #[must_use]
    pub fn with_nix_caches(self, named: &[String]) -> Self {
        let nix_caches = self.mirrors.nix_caches(named);
        Fetcher { nix_caches, ..self }
    }

    /// Returns the binary caches of Nix to ask for a path that a lock names.
    pub fn nix_caches(&self) -> &[String] {
        &self.nix_caches
    }

    /// Lets the fetcher read in the user's own pip or uv which Python package index they ask, if none
    /// is configured. `path` has the directories of `PATH`.
    #[must_use]
    pub fn with_tools_on(self, path: Vec<PathBuf>) -> Self {
        Fetcher { path, ..self }
    }

    /// Whether the Python package index to ask by default is known, by configuration or by the user's
    /// own tools.
    pub fn has_python_index(&self) -> bool {
        self.mirrors.has_default_python_index() || self.index_of_tools().is_some()
    }

    fn index_of_tools(&self) -> Option<&String> {
        self.of_tools.get_or_init(|| tools::default_index(&self.path)).as_ref()
    }

    /// Sets the function that finds a Python package index if none is configured.
    pub fn set_default_python_index(&self, ask: DefaultIndex) {
        *self.default_index.lock().expect("no panic holds it") = Some(ask);
    }

    /// Returns the Python package indexes in use, in the order in which they are asked.
    ///
    /// # Errors
    /// If none is configured and no default is known.
    pub fn python_indexes(&self) -> Result<Vec<String>> {
        if let Some(known) = self.indexes.get() {
            return Ok(known.clone());
        }
        let default = if self.mirrors.has_default_python_index() {
            None
        } else if let Some(index) = self.index_of_tools() {
            Some(index.clone())
        } else {
            let ask = self.default_index.lock().expect("no panic holds it").clone();
            let configured = self.mirrors.python_indexes(None);
            match ask {
                Some(ask) => Some(ask()?),
                // The default may become known later, with the pip of an interpreter.
                None if !configured.is_empty() => return Ok(configured),
                None => return Err(no_python_index()),
            }
        };
        let indexes = self.mirrors.python_indexes(default);
        Ok(self.indexes.get_or_init(|| indexes).clone())
    }

    /// Makes the directory of the cache, in which only this user may write, whatever the umask is.
    fn make_directory(&self) -> Result<()> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.inputs);
        made.map_err(|e| Error::at("make", &self.inputs, e))
    }

    /// Whether an input is already in the cache.
    pub fn has(&self, input: &Input) -> bool {
        fs::metadata(self.cached(&input.sha256)).is_ok_and(|m| m.len() == input.size)
    }

    /// Passes the bytes of `input` to `consume` while they arrive. If they turn out not to be the
    /// locked bytes, the result of `consume` is dropped and the next mirror is asked. The bytes
    /// stay in the cache. `snapshot` is the point in time for which an archive of old Debian files
    /// is asked.
    ///
    /// # Errors
    /// If no mirror has the locked bytes, or if `consume` fails on them.
    pub fn read<T>(
        &self,
        input: &Input,
        snapshot: Option<&str>,
        task: &Task,
        consume: &mut dyn FnMut(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        self.make_directory()?;
        let mut refusals = Refusals::default();
        loop {
            let cached = self.cached(&input.sha256);
            if self.has(input) {
                let file = fs::File::open(&cached).map_err(|e| Error::at("read", &cached, e))?;
                let mut reader = HashingReader::new(file);
                let out = consume(&mut reader);
                let (_, got) = reader.finish().map_err(|e| Error::at("read", &cached, e))?;
                if got == input.sha256 {
                    task.advance(input.size);
                    return out;
                }
                // The cached file is damaged: fetch it again.
                fs::remove_file(&cached).map_err(|e| Error::at("remove", &cached, e))?;
            }
            let part = stream::Part::lock(&self.inputs, &input.sha256)?;
            if self.has(input) {
                continue; // another process was faster
            }
            if self.http.offline()
                && !input.locations.iter().any(|l| l.path().starts_with("file://"))
                && !self.has_file_mirror(input, snapshot)
            {
                return Err(Error::network(format!(
                    "{} is not in the cache, and --offline forbids to fetch it",
                    input.file_name()
                ))
                .with_cause(Cause::Offline)
                .hint("run the same command once without --offline"));
            }
            let candidates: Vec<String> = self
                .candidates(input, snapshot)?
                .into_iter()
                .filter(|c| !refusals.has(c))
                .collect();
            if candidates.is_empty() {
                return Err(refusals.into_error().unwrap_or_else(|| nowhere(&input.locations)));
            }
            let mut stream =
                stream::InputStream::open(self, input, candidates, &mut refusals, part, task)?;
            let out = consume(&mut stream);
            match stream.finish() {
                Ok(()) => {
                    refusals.warn(task);
                    self.written.lock().expect("no panic holds it").insert(input.sha256);
                    return out;
                }
                Err(stream::Failure::Final(e)) => return Err(e),
                Err(stream::Failure::WrongBytes { by, resumed, error }) => {
                    task.restart();
                    // The bytes of an earlier run may be wrong, so the mirror gets another chance.
                    if !resumed {
                        refusals.add(&by, error);
                    }
                }
            }
        }
    }

    /// Returns the path of an input's bytes in the cache, and fetches them if necessary.
    ///
    /// # Errors
    /// The same as those of [`Fetcher::read`].
    pub fn file(&self, input: &Input, snapshot: Option<&str>, task: &Task) -> Result<PathBuf> {
        let is_written = self.written.lock().expect("no panic holds it").contains(&input.sha256);
        if is_written && self.has(input) {
            task.advance(input.size);
            return Ok(self.cached(&input.sha256));
        }
        self.read(input, snapshot, task, &mut |r| {
            io::copy(r, &mut io::sink())
                .map(drop)
                .map_err(|e| crate::error::from_io("can't read", e))
        })?;
        Ok(self.cached(&input.sha256))
    }

    /// Returns the path of a file that was built on this machine, if the cache has it unchanged. A
    /// damaged file is deleted.
    pub fn built(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.cached(digest);
        let (_, found) = HashingReader::new(fs::File::open(&path).ok()?).finish().ok()?;
        if found != *digest {
            let _ = fs::remove_file(&path);
            return None;
        }
        Some(path)
    }

    /// Returns the length in bytes of a file that is in the cache.
    pub fn cached_size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.cached(digest)).ok().map(|m| m.len())
    }

    /// Fetches a file whose hash is not known yet into the cache, and returns its size and hash.
    /// Temporary failures are retried.
    ///
    /// # Errors
    /// If the file cannot be fetched or written.
    pub fn discover(&self, url: &str, task: &Task) -> Result<(u64, Digest)> {
        let patience = self.http.patience();
        let mut attempt = 0;
        loop {
            match self.discover_once(url, task) {
                Err(e) if http::is_passing(&e) && attempt < patience.retries => {
                    task.note(&format!("{e}; trying again"));
                    task.restart();
                    crate::interrupt::sleep(patience.pause(attempt))?;
                    attempt += 1;
                }
                out => return out,
            }
        }
    }

    /// Fetches the file at a location, whose hash is not known yet, like [`Fetcher::discover`].
    ///
    /// # Errors
    /// If no candidate of the location is there, or if it cannot be fetched or written.
    pub fn discover_at(&self, location: &Location, task: &Task) -> Result<(u64, Digest)> {
        for candidate in self.mirrors.expand(location, None) {
            if let Candidate::Url(url) = candidate {
                return self.discover(&url, task);
            }
        }
        Err(nowhere(std::slice::from_ref(location)))
    }

    fn discover_once(&self, url: &str, task: &Task) -> Result<(u64, Digest)> {
        self.make_directory()?;
        let new = self.new_file(&Digest::of(url.as_bytes()).hex());
        let out = (|| {
            let mut body = self.http.get(url, 0)?;
            let file = create_held(&new).map_err(|e| Error::at("write", &new, e))?;
            let mut left = MOST_DISCOVERED;
            let mut writer = io::BufWriter::new(file);
            let mut reader = HashingReader::new(&mut body.reader);
            let mut buffer = vec![0; 128 * 1024];
            loop {
                crate::interrupt::check()?;
                let n = reader.read(&mut buffer).map_err(|e| http::transfer_error(url, e))?;
                if n == 0 {
                    break;
                }
                task.advance(n as u64);
                left = left.checked_sub(n as u64).ok_or_else(|| {
                    Error::verification(format!(
                        "{} is larger than {} GiB",
                        redact(url),
                        MOST_DISCOVERED >> 30
                    ))
                    .hint("name its hash, which no length limits: sha256 = \"...\" in the table of a toolchain, #sha256=... in a list")
                })?;
                io::Write::write_all(&mut writer, &buffer[..n])
                    .map_err(|e| Error::at("write", &new, e))?;
            }
            io::Write::flush(&mut writer).map_err(|e| Error::at("write", &new, e))?;
            let (size, digest) = reader.finish().map_err(|e| http::transfer_error(url, e))?;
            if body.length.is_some_and(|l| l != size) {
                return Err(Error::network(format!(
                    "{} ended after {size} of {} bytes",
                    redact(url),
                    body.length.unwrap_or(0)
                ))
                .with_cause(Cause::BrokenOff { stalled: false }));
            }
            self.adopt(&new, &digest)?;
            Ok((size, digest))
        })();
        if out.is_err() {
            let _ = fs::remove_file(&new);
        }
        out
    }

    /// Moves a file whose digest was computed into the cache.
    ///
    /// # Errors
    /// If the file cannot be moved.
    pub fn adopt(&self, file: &Path, digest: &Digest) -> Result<()> {
        let to = self.cached(digest);
        self.make_directory()?;
        fs::rename(file, &to).map_err(|e| Error::at("move a download to", &to, e))
    }

    /// Returns the files of a Python project in the indexes in use. Each project is requested once
    /// for each run.
    ///
    /// # Errors
    /// If no index has the project.
    pub fn python_project(&self, project: &str) -> Result<Arc<python_index::IndexProject>> {
        if let Some(known) = self.pages.lock().expect("no panic holds it").get(project) {
            return Ok(known.clone());
        }
        let found = Arc::new(python_index::query(&self.http, &self.python_indexes()?, project)?);
        self.pages.lock().expect("no panic holds it").insert(project.to_owned(), found.clone());
        Ok(found)
    }

    fn has_file_mirror(&self, input: &Input, snapshot: Option<&str>) -> bool {
        input.locations.iter().flat_map(|l| self.mirrors.expand(l, snapshot)).any(|c| c.is_file())
    }

    fn cached(&self, digest: &Digest) -> PathBuf {
        self.inputs.join(digest.hex())
    }

    fn candidates(&self, input: &Input, snapshot: Option<&str>) -> Result<Vec<String>> {
        let mut out = vec![];
        for location in &input.locations {
            for candidate in self.mirrors.expand(location, snapshot) {
                match candidate {
                    Candidate::PythonFile { .. } if self.http.offline() => {}
                    Candidate::PythonFile { project, file } => {
                        out.push(self.python_project(&project)?.url_of(&file)?)
                    }
                    Candidate::Url(url) => out.push(url),
                }
            }
        }
        out.dedup();
        Ok(out)
    }
}

/// Returns the error for a file that lies nowhere: no mirror of its family is known, or the project's
/// file is one that no project may name.
pub fn nowhere(locations: &[Location]) -> Error {
    let all = locations.iter().map(|l| redact(&l.to_string())).collect::<Vec<_>>().join(", ");
    if locations.iter().any(|l| matches!(l, Location::Project(_))) {
        return Error::user(format!("{all} leads out of the project"))
            .hint("put the file itself into the directory of toolchains.toml, or below it");
    }
    Error::network(format!("no mirror is known for {all}"))
        .hint("name one under [mirrors] in toolchains.toml")
}

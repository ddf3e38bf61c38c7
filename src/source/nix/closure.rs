//! Walks over the descriptions of a closure in binary caches, many at once. Every description is
//! checked as Nix checks it: it must be of the path that was asked for, and signed by a trusted key,
//! unless the name of the path follows from its content.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{Fetcher, MOST_CONNECTIONS, Refusals, below, nar_url, redact, says_absent};
use crate::model::StoreName;
use crate::nix::keys::{CacheKey, CacheSignature};
use crate::nix::locked::{is_named_by_content, vouched};
use crate::nix::narinfo::{self, NarInfo, PathInfo};
use crate::nix::store_path;
use crate::reporter::Reporter;

/// The greatest number of paths of a closure. That of a whole desktop has 5,000.
const MOST_PATHS: usize = 100_000;

/// A path that a cache has.
pub struct Found {
    /// What is known of it.
    pub info: PathInfo,
    /// The signature for which it was accepted, if it needs one.
    pub signature: Option<CacheSignature>,
    /// The cache.
    pub cache: String,
    /// The address of its NAR.
    pub url: String,
    /// The path of its NAR below the cache, if it lies there.
    pub below: Option<String>,
}

/// Whether no cache has a path, or answers, so that it may be built. A cache that lies is told.
pub fn may_be_built(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Verification | ErrorKind::Interrupted)
}

/// The caches to ask, in order.
pub struct Caches<'a> {
    fetcher: &'a Fetcher,
    reporter: &'a Reporter,
    keys: &'a [CacheKey],
    urls: Vec<String>,
    /// The caches that failed, which are not asked again.
    down: Mutex<BTreeMap<String, String>>,
    /// The caches of which a warning told that they lie.
    liars: Mutex<BTreeSet<String>>,
}

/// The state of a walk.
#[derive(Default)]
struct Walk {
    /// The paths to ask for, each with the path that refers to it.
    todo: VecDeque<(StoreName, Option<StoreName>)>,
    known: BTreeSet<StoreName>,
    found: Vec<Found>,
    busy: usize,
    failed: Option<Error>,
}

impl<'a> Caches<'a> {
    /// Creates the list of caches. `keys` are those that are trusted.
    pub fn new(
        fetcher: &'a Fetcher,
        reporter: &'a Reporter,
        urls: Vec<String>,
        keys: &'a [CacheKey],
    ) -> Self {
        let (down, liars) = (Mutex::default(), Mutex::default());
        Caches { fetcher, reporter, keys, urls, down, liars }
    }

    /// Returns a path and all to which it refers, directly or not, in no order.
    ///
    /// # Errors
    /// If no cache has one of them, or if what the caches say of it is not trusted.
    pub fn closure(&self, top: &StoreName) -> Result<Vec<Found>> {
        let mut walk = Walk::default();
        walk.todo.push_back((top.clone(), None));
        walk.known.insert(top.clone());
        let (walk, changed) = (Mutex::new(walk), Condvar::new());
        std::thread::scope(|scope| {
            for _ in 0..MOST_CONNECTIONS {
                scope.spawn(|| self.work(&walk, &changed));
            }
        });
        let walk = walk.into_inner().expect("no panic holds it");
        match walk.failed {
            Some(e) => Err(e),
            None => Ok(walk.found),
        }
    }

    /// Divides the paths of a closure that Nix has into those that the caches have, too, and the others.
    /// A path of which a cache has other bytes is one of the others.
    ///
    /// # Errors
    /// If what a cache says of a path is not trusted.
    pub fn known(&self, all: Vec<PathInfo>) -> Result<(Vec<Found>, Vec<PathInfo>)> {
        let ask = |info: &PathInfo| match self.ask(&info.path, None) {
            Ok(found) => Ok(Some(found).filter(|found| {
                found.info.nar_hash == info.nar_hash && found.info.references == info.references
            })),
            Err(e) if may_be_built(&e) => Ok(None),
            Err(e) => Err(e),
        };
        let found = crate::parallel::each(&all, MOST_CONNECTIONS, &ask)?;
        let (mut known, mut others) = (vec![], vec![]);
        for (info, found) in all.into_iter().zip(found) {
            match found {
                Some(found) => known.push(found),
                None => others.push(info),
            }
        }
        Ok((known, others))
    }

    /// Asks for paths until none is left.
    fn work(&self, walk: &Mutex<Walk>, changed: &Condvar) {
        let lock = || walk.lock().expect("no panic holds it");
        loop {
            let mut state = lock();
            let (path, by) = loop {
                if state.failed.is_some() {
                    return;
                }
                if let Some(next) = state.todo.pop_front() {
                    break next;
                }
                if state.busy == 0 {
                    return;
                }
                state = changed.wait(state).expect("no panic holds it");
            };
            state.busy += 1;
            drop(state);
            // A panic must not leave the other threads waiting.
            let asked = crate::fault::caught(|| {
                crate::interrupt::check()?;
                self.ask(&path, by.as_ref())
            });
            let mut state = lock();
            state.busy -= 1;
            match asked {
                Ok(found) => {
                    for name in &found.info.references {
                        if state.known.insert(name.clone()) {
                            state.todo.push_back((name.clone(), Some(path.clone())));
                        }
                    }
                    state.found.push(found);
                    if state.known.len() > MOST_PATHS {
                        let error = Error::verification("the closure is refused")
                            .because(format!("expected at most {MOST_PATHS} paths, got more"));
                        state.failed.get_or_insert(error);
                    }
                }
                Err(e) => drop(state.failed.get_or_insert(e)),
            }
            changed.notify_all();
        }
    }

    /// Asks the caches for a path, to which `by` refers.
    fn ask(&self, path: &StoreName, by: Option<&StoreName>) -> Result<Found> {
        let mut refusals = Refusals::default();
        for cache in &self.urls {
            if let Some(why) = self.down.lock().expect("no panic holds it").get(cache) {
                let error = Error::network(format!("{} was not asked again", redact(cache)));
                refusals.add(cache, error.because(why.clone()));
                continue;
            }
            match self.ask_one(cache, path) {
                Ok(found) => {
                    refusals.wrong().for_each(|(cache, e)| self.tell(cache, e));
                    return Ok(found);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
                Err(e) => {
                    if e.kind() == ErrorKind::Network && !says_absent(&e) {
                        self.give_up(cache, &e);
                    }
                    refusals.add(cache, e);
                }
            }
        }
        let full = store_path::full(path);
        let error = match refusals.into_error() {
            Some(e) if says_absent(&e) => e.context(format!("no cache has {full}")),
            Some(e) => e.context(format!("can't lock {full}")),
            None => Error::network(format!("no cache is known that may have {full}")),
        };
        let error = match by {
            Some(by) => error.because(format!("{} refers to it", store_path::full(by))),
            None => error,
        };
        Err(match error.kind() {
            ErrorKind::Verification => error,
            _ => error.hint("check the path, and name the cache that has it: `caches` of the toolchain or of [nix]"),
        })
    }

    /// Asks no more for anything from a cache that has failed: each path would wait for it.
    fn give_up(&self, cache: &str, error: &Error) {
        let mut down = self.down.lock().expect("no panic holds it");
        if down.insert(cache.to_owned(), error.to_string()).is_none() && self.urls.len() > 1 {
            self.reporter.warn(&format!("{} is not asked any more: {error}", redact(cache)));
        }
    }

    /// Warns of a cache whose word on a path is not trusted, where another one has the path: once, because
    /// it may be so of each path.
    fn tell(&self, cache: &str, error: &Error) {
        if self.liars.lock().expect("no panic holds it").insert(cache.to_owned()) {
            self.reporter.warn(&format!(
                "what {} says is not trusted, and another cache is taken: {error}",
                redact(cache)
            ));
        }
    }

    fn ask_one(&self, cache: &str, path: &StoreName) -> Result<Found> {
        let address = below(cache, &format!("{}.narinfo", path.hash()));
        let (text, _) = self.fetcher.http.text(&address, narinfo::MOST, None)?;
        let wrong = |why: String| {
            let shown = redact(&address);
            Error::verification(format!("{shown} is no description of a store path")).because(why)
        };
        let NarInfo { info, file } = NarInfo::parse(&text).map_err(wrong)?;
        if info.path != *path {
            let error = Error::verification(format!("{} describes another path", redact(&address)));
            return Err(error.because(format!("expected {path}, got {}", info.path)));
        }
        let signature = self
            .signature(&info)
            .map_err(|e| e.because(format!("it came from {}", redact(&address))))?;
        let url = nar_url(cache, &file.url).map_err(wrong)?;
        let below = match file.url.contains("://") {
            true => url.strip_prefix(cache).and_then(|path| path.strip_prefix('/')),
            false => Some(file.url.as_str()),
        };
        let (cache, below, info) = (cache.to_owned(), below.map(str::to_owned), vouched(info));
        Ok(Found { info, signature, cache, url, below })
    }

    /// Returns the signature for which a path is trusted, or none if it needs none.
    fn signature(&self, info: &PathInfo) -> Result<Option<CacheSignature>> {
        if let Some((_, signature)) = info.signer(self.keys) {
            return Ok(Some(signature.clone()));
        }
        if is_named_by_content(info) {
            return Ok(None);
        }
        let full = store_path::full(&info.path);
        let keys: Vec<&str> = self.keys.iter().map(CacheKey::name).collect();
        let said: Vec<&str> = info.signatures.iter().map(CacheSignature::name).collect();
        let is_named = said.iter().any(|name| keys.contains(name));
        let error = Error::verification(format!("nobody who is trusted has signed {full}"));
        let expected = format!("expected a signature of {}", keys.join(" or "));
        Err(if is_named {
            error.because(format!("{expected}, got one of that name which does not fit what is said of the path"))
                .hint("somebody has altered the description, or the key of the cache was replaced: ask whoever runs it")
        } else {
            let got = if said.is_empty() { "none".to_owned() } else { said.join(", ") };
            error.because(format!("{expected}, got {got}"))
                .hint("if you trust whoever signs there, add the key: keys = [\"name:...\"] in the table of the toolchain or in [nix]")
        })
    }
}

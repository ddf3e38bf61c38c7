//! Puts the paths of a closure of Nix into the store, and makes layers of them. The lock names every
//! path with the hash of its NAR, so any cache may deliver the bytes.

use std::io::Read;

use fs_err as fs;

use crate::error::{Cause, Error, ErrorKind, Result};
use crate::evaluator::Evaluator;
use crate::fetch::{
    Candidate, Fetcher, Refusals, Resumed, below, cache_of, nar_url, nowhere, redact,
};
use crate::lockfile::Plan;
use crate::model::{Input, MemberPath, StoreName};
use crate::nix::keys::CacheKey;
use crate::nix::locked;
use crate::nix::narinfo::{self, NarInfo, PathInfo};
use crate::nix::store_path;
use crate::recipe::{Pruning, apply_to_closure};
use crate::reporter::Task;
use crate::store::Store;
use crate::tree::{Blob, Node, Tree, link_on_disk};
use crate::unpack::{Layer, sniffed_nar};

/// Makes sure that the path of an input is in the store.
///
/// # Errors
/// If no cache has it, or if the store has another path of its name.
pub fn ensure(
    store: &Store,
    fetcher: &Fetcher,
    input: &Input,
    build: NixBuild,
    task: &Task,
) -> Result<()> {
    let Some(info) = locked::info(input) else {
        return Err(Error::build(format!("{} is no path of a Nix store", input.file_name())));
    };
    check_vouched(input, &info, build.plan)?;
    if is_there(store, &info)? {
        task.advance(input.size);
        return Ok(());
    }
    let _held = store.lock_to_compose(&info.path, &|text| task.note(text))?;
    if is_there(store, &info)? {
        task.advance(input.size);
        return Ok(());
    }
    if !input.nix.as_ref().is_some_and(|nix| nix.built) {
        return fetch(store, fetcher, input, &info, build.plan, task);
    }
    // Where it was built, no cache need be asked.
    if build.evaluator.hash(&info.path).is_ok_and(|hash| hash == Some(info.nar_hash)) {
        return build.take(store, &info, task);
    }
    match fetch(store, fetcher, input, &info, build.plan, task) {
        Err(e) if !matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::Store) => {
            task.restart();
            build.run(store, &info, task).map_err(|unbuilt| unbuilt.because(e.to_string()))
        }
        done => done,
    }
}

/// Makes sure that somebody vouches for what a lock says of a path, as when it was locked: a repository
/// writes its own lock. A path that was built is one of an expression that the user lets Nix build.
///
/// # Errors
/// If nobody does.
fn check_vouched(input: &Input, info: &PathInfo, plan: &Plan) -> Result<()> {
    let full = store_path::full(&info.path);
    let anew = format!("lock it anew with `cotter lock --upgrade {}`", plan.manifest_name());
    let altered = "somebody has altered the lock";
    if input.nix.as_ref().is_some_and(|nix| nix.built) {
        if plan.evaluation.as_ref().is_some_and(|evaluation| evaluation.expression.build) {
            return Ok(());
        }
        return Err(Error::verification(format!("nothing builds {full}"))
            .because("the lock says `built = true`, and names no expression that is built")
            .hint(format!("{altered}: {anew}")));
    }
    let keys = plan.nix_keys();
    if info.signer(&keys).is_some() || locked::is_named_by_content(info) {
        return Ok(());
    }
    let keys: Vec<&str> = keys.iter().map(CacheKey::name).collect();
    let got = info.signatures.first().map_or_else(
        || "none".to_owned(),
        |signature| format!("one of {} that does not fit", signature.name()),
    );
    Err(Error::verification(format!(
        "nobody who is trusted has signed what the lock says of {full}"
    ))
    .because(format!("expected a signature of {}, got {got}", keys.join(" or ")))
    .hint(format!("{altered}: {anew}")))
}

/// How a path is built that no cache had when it was locked.
#[derive(Clone, Copy)]
pub struct NixBuild<'a> {
    /// The evaluator of Nix.
    pub evaluator: &'a Evaluator,
    /// The plan of the tree, which says what to evaluate.
    pub plan: &'a Plan,
}

impl NixBuild<'_> {
    /// Takes a path from the store of Nix, in which it is built if it is not there.
    fn run(&self, store: &Store, info: &PathInfo, task: &Task) -> Result<()> {
        let full = store_path::full(&info.path);
        let unfit = |e: Error| e.context(format!("no cache has {full}, and it can't be built"));
        let mut got = self.evaluator.hash(&info.path).map_err(unfit)?;
        if got.is_none() {
            task.note(&format!("building {full}"));
            self.realise().map_err(unfit)?;
            got = self.evaluator.hash(&info.path)?;
        }
        let got = got.ok_or_else(|| {
            Error::verification(format!("{full} is no part of what Nix has built"))
                .hint(self.way_out())
        })?;
        if got != info.nar_hash {
            return Err(Error::verification(format!("the build of {full} is not reproducible"))
                .because(format!(
                    "expected the NAR hash {}, got {}",
                    info.nar_hash.sri(),
                    got.sri()
                ))
                .hint("push what was locked to a cache, and name it: `caches` of the toolchain or of [nix]")
                .hint(self.way_out()));
        }
        self.take(store, info, task)
    }

    /// Takes a path that the store of Nix has.
    fn take(&self, store: &Store, info: &PathInfo, task: &Task) -> Result<()> {
        self.evaluator
            .dump(&info.path, |nar| store.substitute(info, &mut Counted { inner: nar, task }))
    }

    /// Evaluates what was locked once more and builds it.
    fn realise(&self) -> Result<()> {
        let (plan, evaluator) = (self.plan, self.evaluator);
        let Some(evaluation) = &plan.evaluation else {
            return Err(Error::verification(format!("{} names nothing to build", plan.label()))
                .hint(self.way_out()));
        };
        let locked = evaluation.locked.as_deref();
        let found = evaluator.evaluate(&evaluation.expression, locked, plan.platform)?;
        let is_same = plan.closure() == Some(&found.path);
        let Some(derivation) = found.derivation.filter(|_| is_same) else {
            let expected = plan.closure().map(store_path::full).unwrap_or_default();
            return Err(Error::verification(format!(
                "{} is another package than the locked one",
                evaluation.expression
            ))
            .because(format!("expected {expected}, got {}", store_path::full(&found.path)))
            .hint(self.way_out()));
        };
        evaluator.realise(&derivation, &found.path).map(drop)
    }

    fn way_out(&self) -> String {
        format!("lock it anew with `cotter lock --upgrade {}`", self.plan.manifest_name())
    }
}

/// Whether the store has the path that is described.
///
/// # Errors
/// If it has another of this name.
pub fn is_there(store: &Store, info: &PathInfo) -> Result<bool> {
    if !store.has(&info.path) {
        return Ok(false);
    }
    let full = store_path::full(&info.path);
    match store.info(&info.path) {
        Some(there) if there.nar_hash == info.nar_hash => Ok(true),
        // Nix names a path by how it was built, and a build may give other bytes each time.
        Some(there) => Err(Error::verification(format!("the store has another {full}"))
            .because(format!(
                "expected the NAR hash {}, got {}",
                info.nar_hash.sri(),
                there.nar_hash.sri()
            ))
            .hint("another project uses the path as another cache has built it: lock both from one cache, or use another store with --store")),
        None => Err(Error::verification(format!("the store has {full} without a description"))
            .hint("somebody has deleted it from `narinfos`: run `cotter verify --deep --repair`, or `cotter gc`")),
    }
}

/// Fetches a path from the place that the lock names, or from any cache that has it. Of a path that was
/// built, the lock has no signature, and a cache must bring one.
fn fetch(
    store: &Store,
    fetcher: &Fetcher,
    input: &Input,
    info: &PathInfo,
    plan: &Plan,
    task: &Task,
) -> Result<()> {
    let mut refusals = Refusals::default();
    let try_at = |url: &str, info: &PathInfo, refusals: &mut Refusals| match from(
        store, fetcher, url, info, task,
    ) {
        Ok(()) => Ok(true),
        Err(e)
            if matches!(e.reason(), Some(Cause::Io { .. }))
                || e.kind() == ErrorKind::Interrupted =>
        {
            Err(e)
        }
        Err(e) => {
            task.restart();
            refusals.add(url, e);
            Ok(false)
        }
    };
    let is_built = input.nix.as_ref().is_some_and(|nix| nix.built);
    let mut caches = fetcher.mirrors.nix_caches(plan.nix_caches());
    for location in input.locations.iter().filter(|_| !is_built) {
        for candidate in fetcher.mirrors.expand(location, None) {
            let Candidate::Url(url) = candidate else { continue };
            if refusals.has(&url) {
                continue;
            }
            if try_at(&url, info, &mut refusals)? {
                refusals.warn(task);
                return Ok(());
            }
            // The cache may have it under another name by now.
            if let Some(cache) = cache_of(&url).filter(|cache| !caches.contains(cache)) {
                caches.push(cache);
            }
        }
    }
    for cache in &caches {
        let description = below(cache, &format!("{}.narinfo", info.path.hash()));
        let found = fetcher.http.text(&description, narinfo::MOST, None);
        let url = found.and_then(|(text, _)| {
            let wrong = |why: String| {
                Error::verification(format!("{} is no description", redact(&description)))
                    .because(why)
            };
            let found = NarInfo::parse(&text).map_err(wrong)?;
            if found.info.path != info.path {
                return Err(wrong(format!("it describes {}", found.info.path)));
            }
            let url = nar_url(cache, &found.file.url).map_err(wrong)?;
            if !is_built {
                return Ok((url, info.clone()));
            }
            let signed = PathInfo { signatures: found.info.signatures, ..info.clone() };
            let signature = signed.signer(&plan.nix_keys()).map(|(_, signature)| signature.clone());
            let signatures = vec![signature.ok_or_else(|| {
                wrong("nobody who is trusted has signed there what the lock says".to_owned())
            })?];
            Ok((url, PathInfo { signatures, ..signed }))
        });
        match url {
            Ok((url, _)) if refusals.has(&url) => {}
            Ok((url, info)) => {
                if try_at(&url, &info, &mut refusals)? {
                    refusals.warn(task);
                    return Ok(());
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
            Err(e) => refusals.add(&description, e),
        }
    }
    let error = refusals.into_error().unwrap_or_else(|| nowhere(&input.locations));
    Err(error.context(format!("no cache delivers {}", store_path::full(&info.path))).hint(
        "name a cache that has it: `caches` of the toolchain or of [nix], or a mirror: [mirrors] nix = [\"https://...\"]",
    ))
}

/// Fetches a path from an address.
fn from(store: &Store, fetcher: &Fetcher, url: &str, info: &PathInfo, task: &Task) -> Result<()> {
    let mut stream = Resumed::open(&fetcher.http, url, task)?;
    let done = sniffed_nar(&mut stream)
        .map_err(crate::tree::archive_error)
        .and_then(|nar| store.substitute(info, &mut Counted { inner: nar, task }));
    match (done, stream.into_failure()) {
        (Ok(()), _) => Ok(()),
        (Err(e), _) if matches!(e.reason(), Some(Cause::Io { .. })) => Err(e),
        (Err(_), Some(failure)) => Err(failure),
        (Err(e), None) => Err(e.because(format!("it came from {}", redact(url)))),
    }
}

/// Reports the progress of a NAR.
struct Counted<'a, R> {
    inner: R,
    task: &'a Task,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.task.advance(n as u64);
        Ok(n)
    }
}

/// Returns the files of a path in the store, below `nix/store/<path>`, except those that are left
/// out.
///
/// # Errors
/// If they cannot be read, or if a tree cannot hold one of their names.
pub fn layer(store: &Store, name: &StoreName, pruning: &Pruning) -> Result<Layer> {
    let root = store.path(name);
    let top = format!("nix/store/{name}");
    let read = |e| Error::at("read", &root, e);
    let unfit =
        |e: Error| e.context(format!("{} can't be a part of a tree", store_path::full(name)));
    let meta = fs::symlink_metadata(&root).map_err(read)?;
    let mut tree = Tree::default();
    if meta.is_dir() {
        tree.put(MemberPath::literal(&top), Node::Directory);
        let inside = Tree::on_disk(&root).map_err(unfit)?;
        for (path, node) in inside.iter() {
            tree.put(MemberPath::literal(&format!("{top}/{path}")), node.clone());
        }
    } else if meta.is_symlink() {
        let target = link_on_disk(&root).map_err(unfit)?;
        tree.put(MemberPath::literal(&top), Node::Symlink(target));
    } else {
        use std::os::unix::fs::PermissionsExt as _;
        let executable = meta.permissions().mode() & 0o111 != 0;
        let blob = Blob::of_file(root.clone()).map_err(read)?;
        tree.put(MemberPath::literal(&top), Node::File { blob, executable });
    }
    apply_to_closure(pruning, &mut tree);
    Ok(Layer::from(tree))
}

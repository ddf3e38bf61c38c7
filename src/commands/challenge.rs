//! `cotter challenge`

use std::process::ExitCode;

use serde_json::json;

use super::lock_of_project::AskedTrees;
use super::rebuild::{Rebuilding, is_built};
use super::{must_be_writable, print, print_json, sweep, table};
use crate::cli::Challenge;
use crate::context::{Context, patience};
use crate::error::{Error, ErrorKind, Result};
use crate::lockfile::LockedTree;
use crate::make::BinaryCache;
use crate::manifest::CacheEntry;
use crate::model::Digest;
use crate::trust;

/// What a cache has.
enum Answer {
    /// It does not have the tree.
    Absent,
    /// It has this tree, with the names of those who have signed it.
    Has { hash: Digest, size: u64, signers: Vec<String> },
    /// It could not be asked, or its answer is refused.
    Failed(Error),
}

/// Runs the command.
///
/// # Errors
/// If a cache has another tree than the lock, or cannot be asked, or if a build of this machine is another
/// one.
pub fn run(args: &Challenge, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    let asked = AskedTrees::read(std::slice::from_ref(&args.name), None, cx)?;
    let trees: Vec<&LockedTree> =
        asked.trees().filter(|tree| tree.plan.name == args.name).collect();
    let Some(tree) = trees.first() else {
        return Err(Error::user(format!("{} is no toolchain of the lock", args.name)));
    };
    let output = &tree.output;
    let (mut rows, mut list, mut others) = (vec![], vec![], vec![]);
    let mut failed = None;
    for url in &args.cache {
        let cache = open(url, cx)?;
        let name = cache.shown_name().to_owned();
        let (word, hash, signers) = match ask(&cache, tree, args.deep) {
            Answer::Absent => ("not there", None, vec![]),
            Answer::Has { hash, size, signers } => {
                let is_same = (hash, size) == (output.nar_hash, output.nar_size);
                if !is_same {
                    others.push(format!("{name} has {} with {size} bytes", hash.sri()));
                }
                (if is_same { "same" } else { "other hash" }, Some(hash.sri()), signers)
            }
            Answer::Failed(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
            Answer::Failed(e) if e.kind() == ErrorKind::Verification => {
                others.push(e.to_string());
                ("refused", None, vec![])
            }
            Answer::Failed(e) => {
                failed.get_or_insert(e);
                ("no answer", None, vec![])
            }
        };
        list.push(json!({ "cache": name, "answer": word, "nar_hash": hash, "signers": signers }));
        rows.push(vec![name, word.to_owned(), hash.unwrap_or_default(), signers.join(", ")]);
    }
    let mut ours = None;
    if args.rebuild {
        let same = rebuild(tree, &asked, cx)?;
        let word = if same { "same" } else { "other hash" };
        if !same {
            others.push("a build of this machine has another result".to_owned());
        }
        ours = Some(word);
        rows.push(vec![
            "a build of this machine".to_owned(),
            word.to_owned(),
            String::new(),
            String::new(),
        ]);
    }
    if args.json {
        print_json(&json!({
            "name": args.name.as_str(), "store_name": output.store_name.as_str(),
            "nar_hash": output.nar_hash.sri(), "caches": list, "rebuilt": ours,
        }))?;
    } else {
        let locked =
            vec!["the lock".to_owned(), String::new(), output.nar_hash.sri(), String::new()];
        rows.insert(0, locked);
        print(&table::render(&["", "", "NAR hash", "signed by"], &rows, &[]))?;
    }
    if !others.is_empty() {
        let error = Error::verification(format!("not everybody has the {} of the lock", args.name))
            .because(format!("expected {} with {} bytes", output.nar_hash.sri(), output.nar_size));
        let error = others.into_iter().fold(error, Error::because);
        return Err(error.hint(match args.rebuild {
            true => {
                format!("`cotter rebuild --check {}` says what the build depends on", args.name)
            }
            false => {
                "a cache whose answer differs must not be used: `cotter cache remove`".to_owned()
            }
        }));
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn open(url: &str, cx: &Context) -> Result<BinaryCache> {
    let entry = CacheEntry { url: url.to_owned(), keys: vec![] };
    Ok(BinaryCache::new(&entry, cx.http(patience()?)))
}

fn ask(cache: &BinaryCache, tree: &LockedTree, deep: bool) -> Answer {
    let asked = || -> Result<Answer> {
        let Some(info) = cache.claim(&tree.output.store_name)? else { return Ok(Answer::Absent) };
        let (hash, size) = match deep {
            true => cache.weigh(&info)?,
            false => (info.info.nar_hash, info.info.nar_size),
        };
        let signers = info.info.signatures.iter().map(|s| s.name().to_owned()).collect();
        Ok(Answer::Has { hash, size, signers })
    };
    asked().unwrap_or_else(Answer::Failed)
}

/// Builds a tree here, and says whether every result is the one of the lock. The rest of the tree follows
/// from them and from the lock.
fn rebuild(tree: &LockedTree, asked: &AskedTrees, cx: &Context) -> Result<bool> {
    if !is_built(&tree.plan) {
        return Err(Error::user(format!("nothing of {} is built from source", tree.plan.name))
            .hint("leave `--rebuild` out"));
    }
    must_be_writable(cx, "cotter challenge --rebuild")?;
    trust::demand(Some(&asked.project), Some(asked.lock()), cx)?;
    sweep(cx)?;
    let (fetcher, lock) = (cx.fetcher(Some(&asked.project.manifest))?, asked.lock());
    let rebuilding = Rebuilding { project: &asked.project, fetcher: &fetcher, lock, cx };
    let mut same = true;
    rebuilding.again(&tree.plan, false, None, &mut |_, rebuilt| {
        same &= rebuilt.is_same();
        Ok(())
    })?;
    Ok(same)
}

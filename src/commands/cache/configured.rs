//! `cotter cache add`, `cotter cache remove` and `cotter cache list`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use super::{print, print_json, table};
use crate::cli::{CacheAdd, CacheList, CacheRemove};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::redact;
use crate::manifest::{check_cache_url, with_cache};
use crate::model::has_login;
use crate::nix::keys::CacheKey;
use crate::project::{read_text, replace, replace_private};
use crate::reporter::Verbosity;

/// Adds a cache to the configuration of the user.
///
/// # Errors
/// If the address is none, or if the configuration cannot be written.
pub fn add(args: &CacheAdd, cx: &Context) -> Result<ExitCode> {
    check_cache_url(&args.url).map_err(|why| {
        let error = Error::user("no cache is added").because(why);
        match cx.here.join(&args.url).is_dir() {
            true => error.hint(format!(
                "a directory is named by its address: file://{}",
                cx.here.join(&args.url).display()
            )),
            false => error,
        }
    })?;
    let path = change(&args.url, &args.key, cx)?;
    tell(&format!("added {} to {}", redact(&args.url), path.display()), cx)
}

/// Removes a cache from the configuration of the user.
///
/// # Errors
/// If there is no such cache, or if the configuration cannot be written.
pub fn remove(args: &CacheRemove, cx: &Context) -> Result<ExitCode> {
    // A list shows addresses without their passwords, and either form names one.
    let caches = cx.configured_caches();
    let is_it = |url: &&str| **url == *args.url || redact(url) == args.url;
    let Some(url) = caches.iter().map(|c| c.url.as_str()).find(is_it) else {
        let error = Error::user(format!("{} is not among the caches", redact(&args.url)));
        if caches.iter().any(|c| redact(&c.url) == redact(&args.url)) {
            return Err(error.hint(format!(
                "it is configured with another login: name it without one, {}",
                redact(&args.url)
            )));
        }
        let known: Vec<String> = caches.iter().map(|c| redact(&c.url)).collect();
        return Err(match known.is_empty() {
            true => error.hint("none is configured"),
            false => error.hint(format!("there are {}", known.join(", "))),
        });
    };
    let path = change(url, &[], cx)?;
    tell(&format!("removed {} from {}", redact(url), path.display()), cx)
}

/// Prints the caches.
///
/// # Errors
/// If standard output is closed.
pub fn list(args: &CacheList, cx: &Context) -> Result<ExitCode> {
    let caches = cx.configured_caches();
    let keys = |keys: &[CacheKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    if args.json {
        let row = |c: &crate::manifest::CacheEntry| json!({ "url": redact(&c.url), "keys": keys(&c.keys) });
        print_json(&json!({ "caches": caches.iter().map(row).collect::<Vec<_>>() }))?;
    } else if !caches.is_empty() {
        let rows: Vec<Vec<String>> =
            caches.iter().map(|c| vec![redact(&c.url), keys(&c.keys).join(" ")]).collect();
        print(&table::render(&["cache", "keys"], &rows, &[]))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(text: &str, cx: &Context) -> Result<ExitCode> {
    if cx.reporter.verbosity() > Verbosity::Quiet {
        print(&format!("{text}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the configuration with a cache, or without it if there are no keys. Returns its path.
fn change(url: &str, keys: &[CacheKey], cx: &Context) -> Result<PathBuf> {
    let Some((path, _)) = &cx.config_file else {
        return Err(Error::user("there is no place for a configuration file")
            .hint("set HOME or XDG_CONFIG_HOME"));
    };
    let shown = path.display().to_string();
    let unchanged = |why: String| Error::user(format!("{shown} can't be changed")).because(why);
    // A link, as the tools for such files make them, stays.
    let path = match fs::read_link(path) {
        Ok(to) if !path.exists() => {
            return Err(unchanged(format!("it is a link to {}, which is not there", to.display()))
                .hint("make that file, or remove the link"));
        }
        _ => path.canonicalize().unwrap_or_else(|_| path.clone()),
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| Error::output("make", dir, e))?;
    // Of two that change it at once, the second must see what the first wrote.
    let held = fs::File::open(dir).map_err(|e| Error::output("open", dir, e))?;
    flock(held.file(), FlockOperation::LockExclusive)
        .map_err(|e| Error::output("lock", dir, e.into()))?;
    let text = if path.exists() { read_text(&path, &shown)? } else { String::new() };
    let text = with_cache(&text, url, keys).map_err(unchanged)?;
    match has_login(url) && !keys.is_empty() {
        true => replace_private(&path, &text)?,
        false => replace(&path, &text)?,
    }
    Ok(path)
}

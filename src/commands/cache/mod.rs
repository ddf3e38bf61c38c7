//! `cotter cache`

mod configured;
pub mod key;
mod prune;
mod push;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::{count, human, must_be_writable, print, print_json, table};
use crate::cli::{CacheArgs, CacheWhat};
use crate::context::Context;
use crate::error::Result;
use crate::reporter::Verbosity;

/// Runs the command.
///
/// # Errors
/// If something cannot be deleted.
pub fn run(args: &CacheArgs, cx: &Context) -> Result<ExitCode> {
    let dirs = cx.store.download_sizes();
    match &args.what {
        CacheWhat::Add(args) => return configured::add(args, cx),
        CacheWhat::Remove(args) => return configured::remove(args, cx),
        CacheWhat::List(args) => return configured::list(args, cx),
        CacheWhat::Key(args) => return key::make(args, cx),
        CacheWhat::Push(args) => return push::run(args, cx),
        CacheWhat::Serve(args) => return serve::run(args, cx),
        CacheWhat::Gc(args) => return prune::run(args, cx),
        CacheWhat::Dir => {
            let lines = dirs.iter().map(|(dir, _)| format!("{}\n", dir.display()));
            print(&lines.collect::<String>())?;
        }
        CacheWhat::Size(args) if args.json => {
            let row = |(path, size): &(PathBuf, u64)| json!({ "path": path, "size": size });
            print_json(&json!({ "directories": dirs.iter().map(row).collect::<Vec<_>>() }))?;
        }
        CacheWhat::Size(_) => {
            let line =
                |(dir, size): &(PathBuf, u64)| format!("{} {}\n", human(*size), dir.display());
            print(&dirs.iter().map(line).collect::<String>())?;
        }
        CacheWhat::Clean => {
            must_be_writable(cx, "cotter cache clean")?;
            let (number, size) = cx.store.delete_inputs(Duration::ZERO, false)?;
            let packed = cx.store.delete_packed(&|_| false, false)?;
            let of_uv = cx.store.delete_uv_cache()?;
            if cx.reporter.verbosity() > Verbosity::Quiet {
                let of_uv = match of_uv {
                    Some(size) => format!("deleted {} of what uv keeps", human(size)),
                    None => "kept what uv keeps: a process uses it".to_owned(),
                };
                let number = count(number, "download");
                let packed = match packed {
                    (0, _) => String::new(),
                    (n, size) => {
                        format!("deleted {} of packed trees ({})\n", count(n, "file"), human(size))
                    }
                };
                print(&format!("deleted {number} ({})\n{packed}{of_uv}\n", human(size)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

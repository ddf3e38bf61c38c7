//! `cotter export nix`

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::{count, human, print, trees};
use crate::cli::ExportNix;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lockfile;
use crate::make::LocalNix;
use crate::model::StoreName;
use crate::nix::narinfo::PathInfo;
use crate::nix::{locked, registration, store_path};
use crate::project::{Project, read_lock};
use crate::ready;
use crate::store::Staging;
use crate::write::write_cache;

/// Runs the command.
///
/// # Errors
/// If the trees cannot be made ready, or if Nix refuses them.
pub fn run(args: &ExportNix, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    let platform = ready::native_or(args.platform)?;
    let trees = trees::roots(&args.names, platform, cx)?;
    let lock_path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&lock_path, cx)?.unwrap_or_default();
    let (mut tops, mut paths) = (vec![], BTreeMap::<StoreName, PathInfo>::new());
    for tree in &trees {
        let found = lock.get(&tree.name, platform);
        let tree = found.filter(|locked| locked.output.store_name == tree.store_name);
        let tree = tree.ok_or_else(|| {
            Error::user("the lock has changed just now").hint("run the command again")
        })?;
        let infos = match tree.plan.closure() {
            // Of a closure, Nix gets the paths of which the tree was made.
            Some(top) => {
                let project = Project::load(cx)?;
                let fetcher = cx.fetcher(Some(&project.manifest))?;
                project.maker(cx, &fetcher).ensure_closure(tree)?;
                tops.push(top.clone());
                tree.plan.inputs.iter().filter_map(locked::info).collect()
            }
            None => {
                let output = &tree.output;
                let name = output.store_name.clone();
                cx.store.mark_used(&name, &|text| cx.reporter.warn(text));
                tops.push(name.clone());
                vec![registration::of_path(name, output.nar_hash, output.nar_size, vec![], None)]
            }
        };
        paths.extend(infos.into_iter().map(|info| (info.path.clone(), info)));
    }
    let paths: Vec<PathInfo> = paths.into_values().collect();
    let staging = Staging::new(&cx.store)?;
    let cache = staging.dir().join("cache");
    write_cache(&cx.store, &paths, &cache)?;
    let nix = LocalNix::below(args.to.as_ref().map(|dir| cx.here.join(dir)), cx.build_seconds());
    nix.give(&cache, &tops, !args.no_check_sigs).map_err(|e| match args.no_check_sigs {
        false if paths.iter().any(|info| info.ca.is_none()) => e.hint("if Nix trusts no key that signed the closure, add the key to trusted-public-keys of nix.conf, or say --no-check-sigs as a user whom Nix trusts"),
        _ => e,
    })?;
    let size = paths.iter().map(|info| info.nar_size).sum();
    cx.reporter.line(&format!("Nix has {} ({})", count(paths.len(), "path"), human(size)));
    print(&tops.iter().map(|name| store_path::full(name) + "\n").collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

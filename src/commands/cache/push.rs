//! `cotter cache push`

use std::process::ExitCode;

use serde_json::json;

use super::{human, key, print, print_json, table};
use crate::cli::CachePush;
use crate::commands::trees;
use crate::context::{Context, patience, s3_defaults};
use crate::error::Result;
use crate::model::StoreName;
use crate::ready;
use crate::reporter::Verbosity;
use crate::write::{Means, Push, open};

/// Runs the command.
///
/// # Errors
/// If the trees cannot be made ready, or the cache cannot be written.
pub fn run(args: &CachePush, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    let key = key::read(&args.key, cx)?;
    let (http, s3) = (cx.http(patience()?), s3_defaults());
    let means = Means { here: &cx.here, http: &http, s3: &s3, store: &cx.store };
    let to = open(&args.to, &means)?;
    let platform = ready::native_or(args.platform)?;
    let trees = trees::roots(&args.names, platform, cx)?;
    let mut names: Vec<StoreName> = trees.into_iter().map(|tree| tree.store_name).collect();
    names.sort();
    names.dedup();
    let push = Push {
        store: &cx.store,
        to: &*to,
        key: &key,
        compression: args.compression,
        jobs: cx.jobs(),
        reporter: &cx.reporter,
    };
    let pushed = push.run(&names)?;
    if args.json {
        let row = |p: &crate::write::Pushed| {
            json!({
                "store_name": p.name.as_str(), "nar_size": p.nar_size, "file_size": p.file_size, "pushed": !p.was_there,
            })
        };
        print_json(&json!({
            "cache": to.name(), "key": key.public().to_string(), "trees": pushed.iter().map(row).collect::<Vec<_>>(),
        }))?;
    } else if cx.reporter.verbosity() > Verbosity::Quiet {
        let rows: Vec<Vec<String>> = pushed
            .iter()
            .map(|p| {
                let what = if p.was_there { "already there" } else { "pushed" };
                vec![p.name.to_string(), human(p.nar_size), human(p.file_size), what.to_owned()]
            })
            .collect();
        print(&table::render(&["tree", "size", "file", ""], &rows, &[1, 2]))?;
    }
    Ok(ExitCode::SUCCESS)
}

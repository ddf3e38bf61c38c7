//! `cotter cache`

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::{count, human, must_be_writable, print, print_json};
use crate::cli::{CacheArgs, CacheWhat};
use crate::context::Context;
use crate::error::Result;
use crate::reporter::Verbosity;

/// Runs the command.
///
/// # Errors
/// If something cannot be deleted.
pub fn run(args: &CacheArgs, cx: &Context) -> Result<ExitCode> {
    let (inputs, uv) = (cx.store.inputs(), cx.store.uv_cache());
    match &args.what {
        CacheWhat::Dir => print(&format!("{}\n{}\n", inputs.display(), uv.display()))?,
        CacheWhat::Size(args) => {
            let (of_inputs, of_uv) = cx.store.download_sizes();
            if args.json {
                print_json(&json!({ "directories": [
                    { "path": inputs, "size": of_inputs }, { "path": uv, "size": of_uv },
                ] }))?;
            } else {
                print(&format!(
                    "{} {}\n{} {}\n",
                    human(of_inputs),
                    inputs.display(),
                    human(of_uv),
                    uv.display()
                ))?;
            }
        }
        CacheWhat::Clean => {
            must_be_writable(cx, "cotter cache clean")?;
            let (number, size) = cx.store.delete_inputs(Duration::ZERO, false)?;
            let of_uv = cx.store.delete_uv_cache()?;
            if cx.reporter.verbosity() > Verbosity::Quiet {
                let of_uv = match of_uv {
                    Some(size) => format!("deleted {} of what uv keeps", human(size)),
                    None => "kept what uv keeps: a process uses it".to_owned(),
                };
                let number = count(number, "download");
                print(&format!("deleted {number} ({})\n{of_uv}\n", human(size)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

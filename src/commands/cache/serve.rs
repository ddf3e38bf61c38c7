//! `cotter cache serve`

use std::process::ExitCode;

use super::{key, print};
use crate::cli::CacheServe;
use crate::context::{Context, cache_store};
use crate::error::Result;
use crate::serve::{CacheServer, Shelf};

/// Runs the command until it is interrupted.
///
/// # Errors
/// If the key cannot be read, or the server cannot listen.
pub fn run(args: &CacheServe, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    cx.store.refuse_if_open()?;
    let key = args.key.as_deref().map(|path| key::read(path, cx)).transpose()?;
    let keeper = match cx.store.is_writable() {
        true => cx.store.clone(),
        false => cache_store().unwrap_or_else(|| cx.store.clone()),
    };
    let most = std::thread::available_parallelism().map_or(2, usize::from);
    let server = CacheServer::bind(args.listen)?;
    let address = server.address();
    if !address.ip().is_loopback() {
        cx.reporter
            .warn(&format!("everybody who reaches {address} can read every tree of the store"));
    }
    match &key {
        Some(key) => cx.reporter.line(&format!("signed by {}", key.public())),
        None => {
            cx.reporter.warn("without --key, nothing is signed, and cotter takes no tree from here")
        }
    }
    let shelf = Shelf::new(cx.store.clone(), keeper, key, args.compression, most);
    print(&format!("http://{address}\n"))?;
    server.run(shelf, cx.reporter.clone());
    Ok(ExitCode::SUCCESS)
}

//! The commands. Each verb has its own file.

pub mod add;
pub mod audit;
pub mod build;
pub mod cache;
pub mod challenge;
pub mod compile_commands;
pub mod completions;
pub mod compose;
pub mod diff;
pub mod doctor;
pub mod emit;
pub mod env;
pub mod exec;
pub mod export;
pub mod gc;
pub mod hook;
pub mod import;
pub mod init;
pub mod list;
pub mod lock;
pub mod log;
pub mod man;
pub mod outdated;
pub mod own;
pub mod path;
pub mod provenance;
pub mod rebuild;
pub mod remove;
pub mod run;
pub mod schema;
pub mod search;
pub mod setup;
pub mod shell;
pub mod tree;
pub mod trust;
pub mod venv;
pub mod verify;
pub mod which;
pub mod why;

mod amend;
mod export_nix;
mod lock_of_project;
mod machine;
mod nix_store;
mod outer;
mod present;
mod reaches;
mod rebuilt;
mod session;
mod table;
mod timings;
mod trees;
mod workspace;

use std::io::Write;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Medium, Result};
use crate::text::quantity::{bytes as human, count};

/// Writes data to standard output.
///
/// # Errors
/// If standard output is closed.
fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::io_of(Medium::StandardOutput, "can't write to standard output", e))
}

/// Writes a value as JSON to standard output.
///
/// # Errors
/// If standard output is closed.
fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// Fails if the user may not write to the store. `command` changes what is in the store, so that
/// another store would be of no use.
///
/// # Errors
/// If the store cannot be written.
fn must_be_writable(cx: &Context, command: &str) -> Result<()> {
    if cx.store.is_writable() {
        return Ok(());
    }
    let dir = cx.store.dir().display();
    Err(Error::new(ErrorKind::Store, format!("this user may not write to the store {dir}"))
        .hint(format!("let its owner run `{command}`"))
        .hint("if the store is part of an image or a read-only mount, make the image anew"))
}

/// Deletes what killed processes left behind in the store, if this user may.
///
/// # Errors
/// If the store can be written but not read.
fn sweep(cx: &Context) -> Result<()> {
    if cx.store.is_writable() { crate::store::Staging::sweep(&cx.store) } else { Ok(()) }
}

//! Composes one tree of a lock out of files that are there, for `nix/from-lock.nix`: a builder of Nix
//! has no network, no project and no store of cotter.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use fs_err as fs;

use crate::cli::Global;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::make::locked_for;
use crate::model::{HashingReader, Platform, ToolchainName};
use crate::project::{maker, read_lock};
use crate::store::copies;

/// The first argument with which a builder asks for [`run`]. No user types it.
pub const COMMAND: &str = "__compose";

/// The directory in the working directory, which a builder of Nix has for itself, in which the tree is made.
const STORE: &str = "cotter-store";

/// Returns the flags with which a tree is composed: nothing is asked of a network.
pub fn global() -> Global {
    Global {
        store: Some(STORE.into()),
        offline: true,
        no_progress: true,
        jobs: None,
        ..Global::default()
    }
}

/// Composes a tree. The arguments are the lock, the toolchain, its platform, the directory that the
/// tree becomes, and then the files out of which it is made, in any order. Which is which follows from
/// their hashes.
///
/// # Errors
/// If the lock has no such tree, if a file is missing, or if the tree cannot be composed or written.
pub fn run(args: &[OsString], cx: &Context) -> Result<ExitCode> {
    let [lock, name, platform, output, inputs @ ..] = args else {
        return Err(Error::user(
            "expected a lock, a toolchain, a platform, a directory and files, got less",
        ));
    };
    let name: ToolchainName = name.to_string_lossy().parse().map_err(Error::user)?;
    let platform: Platform = platform.to_string_lossy().parse().map_err(Error::user)?;
    let path = cx.here.join(lock);
    let lock = read_lock(&path, cx)?
        .ok_or_else(|| Error::user(format!("there is no lock {}", path.display())))?;
    let tree = locked_for(&lock, &name, platform)?;
    for input in inputs {
        offer(&cx.here.join(input), cx)?;
    }
    let fetcher = cx.fetcher(None)?;
    // The files of the tree are copied out of the store, which is deleted, so links save nothing.
    maker(cx, &fetcher, false).ensure(&lock, &[tree])?;
    let output = cx.here.join(output);
    let at = |e| Error::output("write", &output, e);
    fs::create_dir(&output).map_err(at)?;
    copies::copy_files(&cx.store.path(&tree.output.store_name), &output, &|_| true).map_err(at)?;
    Ok(ExitCode::SUCCESS)
}

/// Puts a file among the downloads of the store, under the name that follows from its content.
fn offer(input: &PathBuf, cx: &Context) -> Result<()> {
    let read = |e| Error::at("read", input, e);
    let file = fs::File::open(input).map_err(read)?;
    let (_, digest) = HashingReader::new(file).finish().map_err(read)?;
    let inputs = cx.store.inputs();
    fs::create_dir_all(&inputs).map_err(|e| Error::at("make", &inputs, e))?;
    let place = inputs.join(digest.hex());
    match std::os::unix::fs::symlink(input, &place) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::at("write", &place, e))
        }
        _ => Ok(()),
    }
}

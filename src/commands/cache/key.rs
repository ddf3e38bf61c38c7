//! `cotter cache key`, and reading keys.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::rand::{GetRandomFlags, getrandom};

use super::print;
use crate::cli::CacheKeyArgs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::read_regular;
use crate::nix::keys::{SigningKey, is_secret};

/// The longest file with a key that is read.
const LONGEST_KEY: u64 = 4096;

/// Makes a key.
///
/// # Errors
/// If the name is none, or if the file exists or cannot be written.
pub fn make(args: &CacheKeyArgs, cx: &Context) -> Result<ExitCode> {
    let mut seed = [0; 32];
    let filled = getrandom(&mut seed, GetRandomFlags::empty());
    if filled != Ok(seed.len()) {
        return Err(Error::user("the system has no random numbers"));
    }
    let (key, text) = SigningKey::of_seed(&args.name, &seed)
        .map_err(|why| Error::user("this is no name of a key").because(why))?;
    let path = cx.here.join(&args.file);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::user(format!("{} exists already", path.display()))
                .hint("name another file: a key that is lost can't be made again")
        }
        _ => Error::output("write", &path, e),
    })?;
    print(&format!("{}\n", key.public()))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the key in a file.
///
/// # Errors
/// If there is none.
pub fn read(path: &Path, cx: &Context) -> Result<SigningKey> {
    // A shell that was to read the file may have put the key itself there.
    if path.to_str().is_some_and(is_secret) {
        return Err(Error::user("expected the file of a secret key, got the key itself")
            .hint("name the file that `cotter cache key` wrote"));
    }
    let path = cx.here.join(path);
    let bytes = read_regular(&path, LONGEST_KEY).map_err(|e| Error::unreadable(&path, e))?;
    let bad = |why: &str| {
        Error::user(format!("{} holds no secret key", path.display())).because(why).hint(
            "make one with `cotter cache key NAME FILE`, or with `nix-store --generate-binary-cache-key`",
        )
    };
    let text = String::from_utf8(bytes).map_err(|_| bad("expected a text"))?;
    let key = text.parse().map_err(bad)?;
    if fs::metadata(&path).is_ok_and(|meta| meta.mode() & 0o004 != 0) {
        cx.reporter.warn(&format!(
            "every user of this machine may read the key in {0}: run `chmod go-r {0}`",
            path.display()
        ));
    }
    Ok(key)
}

//! `cotter provenance`

use std::process::ExitCode;

use serde_json::Value;

use super::cache::key;
use super::lock_of_project::AskedTrees;
use super::{print, print_json};
use crate::cli::ProvenanceArgs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::read_regular;
use crate::nix::keys::CacheKey;
use crate::report::provenance;

/// The longest file with a statement that is read. That of a compiler has 20 KB.
const LONGEST: u64 = 64 << 20;

/// Runs the command.
///
/// # Errors
/// If the toolchain is not locked, if a file or a key cannot be read, or if a statement is not what was
/// expected.
pub fn run(args: &ProvenanceArgs, cx: &Context) -> Result<ExitCode> {
    let asked = AskedTrees::read(std::slice::from_ref(&args.name), args.platform, cx)?;
    let Some(tree) = asked.trees().next() else {
        return Err(Error::user(format!("{} is not locked", args.name)));
    };
    let statement = provenance::statement(asked.lock(), tree);
    let Some(file) = &args.verify else {
        let value = match &args.key {
            Some(file) => provenance::envelope(&statement, &key::read(file, cx)?),
            None => statement,
        };
        print_json(&value)?;
        return Ok(ExitCode::SUCCESS);
    };
    let path = cx.here.join(file);
    let bytes = read_regular(&path, LONGEST).map_err(|e| Error::unreadable(&path, e))?;
    let keys: Vec<CacheKey> = args
        .signer
        .iter()
        .map(|key| key.parse().map_err(|why: String| Error::user("--signer: ".to_owned() + &why)))
        .collect::<Result<_>>()?;
    let refused = |why: String| {
        Error::verification(format!("{} does not vouch for {}", path.display(), args.name))
            .because(why)
    };
    let text = String::from_utf8_lossy(&bytes);
    let (signed, signer) = provenance::opened(&text, &keys).map_err(refused)?;
    for part in ["subject", "predicate"] {
        let (expected, got) = (plain(&statement[part]), plain(&signed[part]));
        if expected != got {
            return Err(refused(format!("its {part} is not that of the lock"))
                .because(format!("expected {}", short(&expected)))
                .because(format!("got {}", short(&got)))
                .hint("it is of another version of the toolchain: look at the lock with which it was signed"));
        }
    }
    if !cx.global.quiet {
        print(&format!(
            "{} is as {signer} has signed it: {}\n",
            tree.plan.label(),
            tree.output.store_name
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a part of a statement without what tells of the program that wrote it.
fn plain(value: &Value) -> Value {
    let mut out = value.clone();
    if let Some(object) = out.as_object_mut() {
        object.remove("runDetails");
    }
    out
}

/// Returns the beginning of a text that is too long for a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(200).collect();
    if short.len() < text.len() { short + "..." } else { text }
}

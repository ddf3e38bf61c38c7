//! Hints for inputs that a lock names and that no server has any more.

use crate::error::{Cause, Error};
use crate::fetch::says_absent;
use crate::lockfile::{LockedTree, Lockfile};

/// Names the toolchain of an input that could not be fetched, and adds the command by which the
/// lock gets an input that the servers have.
pub fn of_lock(error: Error, lock: &Lockfile) -> Error {
    let is_other = matches!(error.reason(), Some(Cause::Mismatch { .. }));
    if !is_other && !says_absent(&error) {
        return error;
    }
    let subject = |tree: &&LockedTree| error.is_about(tree.plan.name.as_str());
    let Some(tree) = lock.trees.values().find(subject) else { return error };
    let name = tree.plan.manifest_name();
    if is_other {
        return error.hint(format!(
            "if the file was published anew, `cotter lock --upgrade {name}` pins what is published now"
        ));
    }
    let message = format!("can't fetch an input of {}", tree.plan.name);
    error.context(message).hint(format!(
        "if the servers no longer have this version, `cotter lock --upgrade {name}` pins the one that they have; a mirror that keeps old files can be named under [mirrors]"
    ))
}

//! Emits files for other tools from the lock. The functions are pure: the same lock and the same
//! settings give the same bytes.
//!
//! Each emitter is a file in this directory and a line in [`EMITTERS`].

mod api;
mod bazel;
mod editor;
mod named;
mod pylock;
pub mod starlark;

use api::Emitter;
pub use api::{Bound, Destination, Files, MachineTree, MachineTrees, Request};
pub use bazel::MARK;

use crate::manifest::{Manifest, Problems, did_you_mean};

/// All emitters.
pub static EMITTERS: &[&dyn Emitter] = &[
    &bazel::Bazel,
    &editor::Editor,
    &pylock::Pylock,
    #[cfg(test)]
    &tests::DUMMY,
];

/// Reads the `[emit]` table of a manifest.
pub fn bind(manifest: &Manifest, problems: &mut Problems) -> Vec<Bound> {
    let names = || EMITTERS.iter().map(|e| e.name());
    for (name, table) in &manifest.emit {
        if !names().any(|n| n == name) {
            problems.add(
                table.span(),
                format!("unknown key {name:?} in [emit]{}", did_you_mean(name, names())),
            );
        }
    }
    EMITTERS
        .iter()
        .map(|emitter| {
            let fields = manifest.emit.get(emitter.name()).cloned();
            Bound {
                name: emitter.name(),
                is_asked_for: fields.is_some(),
                emission: emitter.bind(fields, manifest, problems),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;

//! Where toolchains come from. Adding a source is one file here and one line in [`KINDS`].

mod archive;
mod debian;
mod kind;
mod pypi;

use std::collections::BTreeMap;

use crate::manifest::{Manifest, Problems, did_you_mean};
use crate::model::ToolchainName;

use kind::SourceKind;
pub use kind::{ResolveContext, Source};
pub use pypi::NAME as PYPI;

/// Every kind of source.
const KINDS: &[&SourceKind] = &[
    &archive::KIND,
    &debian::KIND,
    &pypi::KIND,
    #[cfg(test)]
    &tests::DUMMY,
];

/// The sources of a manifest, by toolchain.
pub type Sources = BTreeMap<ToolchainName, Box<dyn Source>>;

/// The names of the sources, as the manifest spells them.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.iter().map(|k| k.name)
}

/// Reads the keys that belong to the sources. What is wrong goes into `problems`.
pub fn bind(manifest: &Manifest, problems: &mut Problems) -> Sources {
    let mut out = Sources::new();
    for (name, toolchain) in &manifest.toolchains {
        match KINDS.iter().find(|k| k.name == toolchain.source.value) {
            Some(kind) => out.extend(
                (kind.bind)(toolchain, manifest, problems).map(|source| (name.clone(), source)),
            ),
            None => {
                let known = names().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
                let got = &toolchain.source.value;
                problems.add(
                    toolchain.source.span.clone(),
                    format!("expected one of {known}, got {got:?}{}", did_you_mean(got, names())),
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;

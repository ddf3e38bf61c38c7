//! The sources of toolchains. A new source is one file in this directory and one line in [`KINDS`].

mod archive;
mod build;
mod debian;
mod kind;
mod nix;
mod pypi;

use std::collections::BTreeMap;

use crate::manifest::{Fields, Manifest, Problems};
use crate::model::ToolchainName;

pub use build::NAME as BUILD;
use kind::SourceKind;
pub use kind::{Additions, Foreign, FoundPackage, ResolveContext, Source};
pub use pypi::NAME as PYPI;
pub use pypi::releases;

/// Every kind of source.
const KINDS: &[&SourceKind] = &[
    &archive::KIND,
    &build::KIND,
    &debian::KIND,
    &nix::KIND,
    &pypi::KIND,
    #[cfg(test)]
    &tests::DUMMY,
];

/// The requests of a manifest to the sources, by toolchain.
pub type Sources = BTreeMap<ToolchainName, Box<dyn Source>>;

/// Returns the names of the sources, as the manifest spells them.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.iter().map(|k| k.name)
}

/// Reads the keys that belong to the sources. Problems are added to `problems`.
pub fn bind(manifest: &Manifest, problems: &mut Problems) -> Sources {
    let mut out = Sources::new();
    for (name, toolchain) in &manifest.toolchains {
        match KINDS.iter().find(|k| k.name == toolchain.source.value) {
            Some(kind) => {
                let mut fields = toolchain.fields.clone();
                let source = (kind.bind)(&mut fields, toolchain, manifest, problems);
                finish(fields, kind, problems);
                out.extend(source.map(|source| (name.clone(), source)));
            }
            None => {
                let known = names().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
                let got = &toolchain.source.value;
                let near = problems.did_you_mean(got, names());
                problems.add(
                    toolchain.source.span.clone(),
                    format!("expected one of {known}, got {got:?}{near}"),
                );
            }
        }
    }
    out
}

/// Reports the keys that `own` does not know, and names the other source to which each belongs.
fn finish(fields: Fields, own: &SourceKind, problems: &mut Problems) {
    fields.finish_knowing(problems, |key| {
        let others: Vec<String> = KINDS
            .iter()
            .filter(|k| k.keys.contains(&key))
            .map(|k| format!("source = {:?}", k.name))
            .collect();
        (!others.is_empty()).then(|| {
            format!("it belongs to {}, and this is source = {:?}", others.join(" and "), own.name)
        })
    });
}

#[cfg(test)]
mod tests;

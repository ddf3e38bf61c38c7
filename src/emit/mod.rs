//! Files for other tools, out of the lock. Pure: the same lock and settings give the same bytes.
//!
//! An emitter is a file here and a line in [`EMITTERS`].

mod bazel;
#[cfg(test)]
mod dummy;
mod pylock;
pub mod starlark;

pub use bazel::MARK;

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::error::Result;
use crate::lockfile::Lockfile;
use crate::manifest::{Fields, Manifest, Problems, did_you_mean};
use crate::model::ToolchainName;

/// Every emitter.
pub static EMITTERS: &[&dyn Emitter] = &[
    &bazel::Bazel,
    &pylock::Pylock,
    #[cfg(test)]
    &dummy::Dummy,
];

/// Files by their path below the folder that is emitted.
pub type Files = BTreeMap<String, String>;

/// Makes the files of one tool.
pub trait Emitter: Sync {
    /// What the user calls it, in `cotter emit <name>` and `[emit.<name>]`.
    fn name(&self) -> &'static str;

    /// What it is, in a few words, for the help.
    fn about(&self) -> &'static str;

    /// Reads its table of the manifest; `None` if the manifest has none. Everything wrong with it goes into `problems`.
    fn bind(
        &self,
        fields: Option<Fields>,
        manifest: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission>;
}

/// Where the result of an emission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Into a folder, named relative to the manifest: written by `setup` too, if the manifest has the emitter's table.
    Folder(&'a str),
    /// To standard output, or into a file that the user names: one text.
    Output,
}

/// An emitter with its settings.
pub trait Emission: Debug {
    /// Where the files go.
    fn place(&self) -> Place<'_>;

    /// The files; of [`Place::Output`] only one.
    ///
    /// # Errors
    /// If the lock cannot be said in the tool's terms, or a question has no answer.
    fn files(&self, request: &mut Request) -> Result<Files>;
}

/// What an emission is made of.
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a Lockfile,
    /// What the user named on the command line.
    pub names: &'a [ToolchainName],
    /// Where a file of a Python project lies, by the names of both: what neither lock nor manifest say.
    pub url: &'a mut dyn FnMut(&str, &str) -> Result<String>,
}

/// An emission that a manifest may ask for.
#[derive(Debug)]
pub struct Bound {
    /// The emitter's name.
    pub name: &'static str,
    /// Whether the manifest has its table.
    pub is_asked_for: bool,
    /// The emitter with its settings.
    pub emission: Box<dyn Emission>,
}

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
mod tests {
    use super::*;

    fn bound(text: &str) -> (Vec<Bound>, Vec<String>) {
        let mut problems = Problems::new("toolchains.toml", text);
        let manifest = Manifest::parse(text, &mut problems);
        let bound = bind(&manifest, &mut problems);
        (bound, problems.lines())
    }

    /// The worked example of docs/adding-an-emitter.md.
    #[test]
    fn an_emitter_is_one_file_and_one_line() {
        let (bound, problems) = bound("[emit.dummy]\ndir = \"here\"\n");
        assert_eq!(problems, Vec::<String>::new());
        let dummy = bound.iter().find(|b| b.name == "dummy").unwrap();
        assert!(dummy.is_asked_for && bound.iter().filter(|b| b.is_asked_for).count() == 1);
        assert_eq!(dummy.emission.place(), Place::Folder("here"));
        let mut request = Request {
            lock: &Lockfile::default(),
            names: &[],
            url: &mut |_, _| unreachable!("it asks for no address"),
        };
        let files = dummy.emission.files(&mut request).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["trees.txt"]);
    }

    #[test]
    fn what_no_emitter_knows_is_told_with_its_line() {
        let (_, problems) = bound("[emit.dumy]\n\n[emit.dummy]\ndirr = \"x\"\n");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("toolchains.toml:1:"), "{problems:?}");
        assert!(problems[0].contains("did you mean \"dummy\"?"), "{problems:?}");
        assert!(problems[1].contains("unknown key \"dirr\""), "{problems:?}");
    }
}

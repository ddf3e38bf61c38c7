//! The emitter of docs/adding-an-emitter.md: a list of the trees, to show that an emitter is one file and one line.

use super::{Emission, Emitter, Files, Place, Request};
use crate::error::Result;
use crate::manifest::{Fields, Manifest, Problems};

/// See the module.
#[derive(Debug)]
pub struct Dummy;

/// The `[emit.dummy]` table.
#[derive(Debug)]
struct Settings {
    dir: String,
}

impl Emitter for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn about(&self) -> &'static str {
        "A list of the trees"
    }

    fn bind(
        &self,
        fields: Option<Fields>,
        _: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission> {
        let mut dir = "trees".to_owned();
        if let Some(mut fields) = fields {
            dir = fields.string("dir", problems).map_or(dir, |s| s.value);
            fields.finish(problems);
        }
        Box::new(Settings { dir })
    }
}

impl Emission for Settings {
    fn place(&self) -> Place<'_> {
        Place::Folder(&self.dir)
    }

    fn files(&self, request: &mut Request) -> Result<Files> {
        let list: String = request
            .lock
            .trees
            .keys()
            .map(|(name, platform)| format!("{name} {platform}\n"))
            .collect();
        Ok([("trees.txt".to_owned(), list)].into())
    }
}

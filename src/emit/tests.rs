//! A dummy emitter, which consists of one file and one line in the list.

use super::api::Emission;
use super::*;
use crate::error::Result;
use crate::lockfile::Lockfile;
use crate::manifest::Fields;

/// Everything that a new emitter needs, except its line in [`EMITTERS`].
#[derive(Debug)]
pub struct Dummy {
    greeting: String,
}

impl Emitter for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn about(&self) -> &'static str {
        "a text for this test"
    }

    fn bind(
        &self,
        fields: Option<Fields>,
        _: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission> {
        let mut greeting = "hello".to_owned();
        if let Some(mut fields) = fields {
            if let Some(text) = fields.string("greeting", problems) {
                greeting = text.value;
            }
            fields.finish(problems);
        }
        Box::new(Dummy { greeting })
    }
}

impl Emission for Dummy {
    fn destination(&self) -> Destination<'_> {
        Destination::Output
    }

    fn files(&self, request: &mut Request) -> Result<Files> {
        let text = format!("{}, {} trees\n", self.greeting, request.lock.trees.len());
        Ok([("dummy.txt".to_owned(), text)].into())
    }
}

/// The line in the list.
pub static DUMMY: Dummy = Dummy { greeting: String::new() };

#[test]
fn an_emitter_is_one_file_and_one_line() {
    use clap::Parser;
    let text = "[emit.dummy]\ngreeting = \"hi\"\n";
    let mut problems = Problems::new("toolchains.toml", text);
    let manifest = Manifest::parse(text, &mut problems);
    let bound = bind(&manifest, &mut problems);
    assert!(problems.lines().is_empty(), "{:?}", problems.lines());
    let dummy = bound.iter().find(|b| b.name == "dummy").unwrap();
    assert!(dummy.is_asked_for);
    let mut url = |_: &str, _: &str| unreachable!("nothing asks for an address");
    let lock = Lockfile::default();
    let mut trees = |_: &[crate::model::ToolchainName]| unreachable!("nothing asks for trees");
    let mut request = Request {
        lock: &lock,
        names: &[],
        url: &mut url,
        trees: &mut trees,
        present: &|_| unreachable!("nothing asks for a file"),
        link: &|_| unreachable!("nothing asks for a link"),
        notes: &mut vec![],
    };
    assert_eq!(dummy.emission.files(&mut request).unwrap()["dummy.txt"], "hi, 0 trees\n");
    assert!(crate::cli::Cli::try_parse_from(["cotter", "emit", "dummy"]).is_ok());
}

#[test]
fn what_no_emitter_knows_has_its_line() {
    let text = "[emit.dumy]\n\n[emit.dummy]\ngreting = \"x\"\n";
    let mut problems = Problems::new("toolchains.toml", text);
    let manifest = Manifest::parse(text, &mut problems);
    bind(&manifest, &mut problems);
    let problems = problems.lines();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("toolchains.toml:1:"), "{problems:?}");
    assert!(problems[0].contains("did you mean \"dummy\"?"), "{problems:?}");
    assert!(problems[1].contains("unknown key \"greting\""), "{problems:?}");
}

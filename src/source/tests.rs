//! A source that needs only one file and one line in the list.

use super::kind::{Additions, Resolution};
use super::*;
use crate::error::Result;
use crate::lockfile::Fingerprint;
use crate::manifest::Toolchain;
use crate::model::Platform;
use crate::recipe::Recipe;

/// An added source consists of this and its line in [`KINDS`].
pub const DUMMY: SourceKind = SourceKind { name: "dummy", keys: &["word"], bind };

struct Dummy(String);

fn bind(
    fields: &mut Fields,
    _toolchain: &Toolchain,
    _manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let word = fields.required_string("word", problems);
    Some(Box::new(Dummy(word?.value)))
}

impl Source for Dummy {
    fn fingerprint(&self, _platform: Platform) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("word", [self.0.clone()]);
        out
    }

    fn resolve(
        &self,
        _: Platform,
        _: &dyn Recipe,
        _: &Additions,
        _: &ResolveContext,
    ) -> Result<Resolution> {
        let (named, essential) = (vec![], vec![]);
        let version = self.0.clone();
        Ok(Resolution {
            version,
            releases: vec![],
            principal: None,
            evaluation: None,
            building: None,
            inputs: vec![],
            named,
            essential,
        })
    }
}

fn bound(text: &str) -> (Sources, Vec<String>) {
    let mut problems = Problems::new("toolchains.toml", text);
    let manifest = Manifest::parse(text, &mut problems);
    let sources = super::bind(&manifest, &mut problems);
    (sources, problems.lines())
}

#[test]
fn a_source_is_one_file_and_one_line() {
    let (sources, problems) =
        bound("[toolchains.x]\nkind = \"tool\"\nsource = \"dummy\"\nword = \"hello\"\n");
    assert!(problems.is_empty(), "{problems:?}");
    let source = sources.values().next().unwrap();
    let mut other = Fingerprint::default();
    other.note("word", ["bye"]);
    let now = source.fingerprint(Platform::X86_64Linux);
    assert_eq!(other.differences(&now), ["word: added hello; removed bye"]);
}

#[test]
fn an_unknown_source_is_a_problem_of_its_line() {
    let (_, problems) = bound("[toolchains.x]\nkind = \"tool\"\nsource = \"debain\"\n");
    assert!(problems[0].starts_with("toolchains.toml:3:10: expected one of"), "{problems:?}");
    assert!(problems[0].contains("did you mean \"debian\"?"), "{problems:?}");
}

/// A library's own components are searched for the compiler's sysroot, too.
#[test]
fn a_sysroot_has_the_components_of_its_libraries() {
    let (sources, problems) = bound(
        "[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\n\
         packages = [\"gcc-12\"]\nlibraries = [\"pico\"]\n\
         [toolchains.pico]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\n\
         components = [\"main\", \"non-free\"]\npackages = [\"libttspico-dev\"]\n",
    );
    assert!(problems.is_empty(), "{problems:?}");
    let gcc = sources.iter().find(|(name, _)| name.as_str() == "gcc").unwrap().1;
    let differences = Fingerprint::default().differences(&gcc.fingerprint(Platform::X86_64Linux));
    assert!(
        differences.contains(&"components: added main, non-free".to_owned()),
        "{differences:?}"
    );
    assert!(
        differences.contains(&"packages: added gcc-12, libttspico-dev".to_owned()),
        "{differences:?}"
    );
}

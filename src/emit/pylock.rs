//! Emits a `pylock.toml` from the lock, for tools that need URLs. Source: PEP 751.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::api::{Destination, Emission, Emitter, Files, Request};
use crate::error::{Error, Result};
use crate::lockfile::{LockedTree, PackagesRole};
use crate::manifest::{Fields, Manifest, Problems, no_such_set};
use crate::model::{Digest, Location, Platform};
use crate::text::toml::string as quoted;

/// The emitter of `pylock.toml`.
#[derive(Debug)]
pub struct Pylock;

impl Emitter for Pylock {
    fn name(&self) -> &'static str {
        "pylock"
    }

    fn about(&self) -> &'static str {
        "pylock.toml (PEP 751) of a set of Python packages, with the URLs of the index in use"
    }

    fn bind(
        &self,
        fields: Option<Fields>,
        _: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission> {
        if let Some(fields) = fields {
            fields.finish(problems);
        }
        Box::new(Pylock)
    }
}

impl Emission for Pylock {
    fn destination(&self) -> Destination<'_> {
        Destination::Output
    }

    fn files(&self, request: &mut Request) -> Result<Files> {
        let sets = || {
            let all = request.lock.trees.values();
            all.filter(|t| t.plan.spec.packages().is_some_and(|p| p.role == PackagesRole::Set))
        };
        let [name] = request.names else {
            let known: Vec<&str> = sets().map(|t| t.plan.name.as_str()).collect();
            return Err(Error::user("which set of Python packages?").hint(format!(
                "name one, as in `cotter emit pylock NAME`; the lock has: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        let trees: Vec<&LockedTree> = sets().filter(|t| t.plan.name == *name).collect();
        if trees.is_empty() {
            let known: std::collections::BTreeSet<&str> =
                sets().map(|t| t.plan.name.as_str()).collect();
            return Err(no_such_set(name.as_str(), known.into_iter()));
        }
        Ok([("pylock.toml".to_owned(), render(&trees, request.url)?)].into())
    }
}

/// A file and its location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Located {
    /// The name of the file.
    file: String,
    /// The URL of the file on the index in use, or where a list says that it is.
    url: String,
    /// Whether a list names it in place of a release, and the key of its place then.
    named_by: Option<&'static str>,
    /// The length of the file in bytes.
    size: u64,
    /// The digest of the file.
    sha256: Digest,
}

/// Renders the text for the trees of one set and one interpreter, with one tree for each platform.
/// `url` returns the URL of a file of a project.
fn render(
    trees: &[&LockedTree],
    url: &mut dyn FnMut(&str, &str) -> Result<String>,
) -> Result<String> {
    // The files of each project and version, and the platforms that need them.
    let mut packages: BTreeMap<(String, String), (Vec<Located>, Vec<Platform>)> = BTreeMap::new();
    for tree in trees {
        for input in &tree.plan.inputs {
            let project = input.component.name.clone();
            let version = input.component.version.clone();
            let entry = packages.entry((project.clone(), version)).or_default();
            let (at, named_by) = match input.locations.first() {
                Some(Location::Url(url)) => (url.clone(), Some("url")),
                Some(Location::Project(path)) => (path.to_string(), Some("path")),
                _ => (url(&project, input.file_name())?, None),
            };
            let located = Located {
                file: input.file_name().to_owned(),
                url: at,
                named_by,
                size: input.size,
                sha256: input.sha256,
            };
            if !entry.0.contains(&located) {
                entry.0.push(located);
            }
            entry.1.push(tree.plan.platform);
        }
    }
    let python = trees.first().map_or("3", |t| t.plan.version.as_str());
    let mut out = String::from("lock-version = \"1.0\"\ncreated-by = \"cotter\"\n");
    writeln!(out, "requires-python = \"=={python}.*\"").expect("writing to a string");
    for ((name, version), (mut files, platforms)) in packages {
        files.sort();
        write!(out, "\n[[packages]]\nname = {}\nversion = {}\n", quoted(&name), quoted(&version))
            .expect("writing to a string");
        if platforms.len() < trees.len() {
            let machines: Vec<String> =
                platforms.iter().map(|p| format!("platform_machine == '{}'", p.cpu())).collect();
            writeln!(out, "marker = {}", quoted(&machines.join(" or ")))
                .expect("writing to a string");
        }
        let file = |f: &Located| {
            format!(
                "{{ name = {}, url = {}, size = {}, hashes = {{ sha256 = \"{}\" }} }}",
                quoted(&f.file),
                quoted(&f.url),
                f.size,
                f.sha256
            )
        };
        if let Some((file, key)) = files.iter().find_map(|file| Some((file, file.named_by?))) {
            writeln!(
                out,
                "archive = {{ {key} = {}, size = {}, hashes = {{ sha256 = \"{}\" }} }}",
                quoted(&file.url),
                file.size,
                file.sha256
            )
            .expect("writing to a string");
            continue;
        }
        let (wheels, sdists): (Vec<&Located>, Vec<&Located>) =
            files.iter().partition(|f| f.file.ends_with(".whl"));
        if let Some(sdist) = sdists.first() {
            writeln!(out, "sdist = {}", file(sdist)).expect("writing to a string");
        }
        if !wheels.is_empty() {
            out.push_str("wheels = [\n");
            for wheel in wheels {
                writeln!(out, "    {},", file(wheel)).expect("writing to a string");
            }
            out.push_str("]\n");
        }
    }
    Ok(out)
}

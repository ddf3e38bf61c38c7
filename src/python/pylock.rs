//! `pylock.toml` out of the lock, for those who want URLs. Source: PEP 751.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::lockfile::LockedTree;
use crate::model::{Digest, Platform};

/// A file and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Located {
    /// Its name.
    pub file: String,
    /// Where the index in force has it.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// The text of a `pylock.toml` of the trees of one set and one interpreter, one for each platform. `url` tells where a file of a project lies.
///
/// # Errors
/// Those of `url`.
pub fn render<E>(
    trees: &[&LockedTree],
    url: &mut dyn FnMut(&str, &str) -> Result<String, E>,
) -> Result<String, E> {
    // By project and version: the files, and the platforms that want them.
    let mut packages: BTreeMap<(String, String), (Vec<Located>, Vec<Platform>)> = BTreeMap::new();
    for tree in trees {
        for input in &tree.plan.inputs {
            let project = input.component.name.clone();
            let version = input.component.version.clone();
            let entry = packages.entry((project.clone(), version)).or_default();
            let located = Located {
                file: input.file_name().to_owned(),
                url: url(&project, input.file_name())?,
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
        write!(out, "\n[[packages]]\nname = {name:?}\nversion = {version:?}\n")
            .expect("writing to a string");
        if platforms.len() < trees.len() {
            let machines: Vec<String> =
                platforms.iter().map(|p| format!("platform_machine == '{}'", p.cpu())).collect();
            writeln!(out, "marker = {:?}", machines.join(" or ")).expect("writing to a string");
        }
        let file = |f: &Located| {
            format!(
                "{{ name = {:?}, url = {:?}, size = {}, hashes = {{ sha256 = \"{}\" }} }}",
                f.file, f.url, f.size, f.sha256
            )
        };
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

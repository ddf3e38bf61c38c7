//! What the wheels of a set state about themselves, and whether the set is closed under it: each
//! requirement of each wheel is met by a wheel of the set. Sources: the core metadata
//! specification, PEP 440, PEP 508.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use fs_err as fs;

use super::dependency::{RequiresDist, leading_name};
use super::target::WheelTarget;
use super::wheel::header;
use crate::error::{Error, Result};
use crate::model::normalize_project;

/// The largest METADATA, in bytes.
const LARGEST: u64 = 16 << 20;
/// The METADATA of a wheel, as far as it concerns other packages and the interpreter.
#[derive(Debug, Clone, Default)]
pub struct WheelMetadata {
    /// The file name of the wheel, for messages.
    pub file: String,
    /// The normalised project.
    pub project: String,
    /// The version.
    pub version: String,
    /// The versions of Python for which it is made.
    pub requires_python: Option<String>,
    /// What it requires.
    pub requires: Vec<String>,
}

impl WheelMetadata {
    /// Reads the METADATA of a wheel at `path`, which is called `file`.
    ///
    /// # Errors
    /// If the archive cannot be read or has no METADATA.
    pub fn read(path: &Path, file: &str) -> Result<Self> {
        let refused = |why: &str| Error::verification(format!("{file} is refused")).because(why);
        let archive = fs::File::open(path).map_err(|e| Error::at("read", path, e))?;
        let mut archive = zip::ZipArchive::new(archive)
            .map_err(|e| refused("it is no readable wheel").cause(&e))?;
        let is_metadata = |name: &str| {
            name.strip_suffix("/METADATA")
                .is_some_and(|dir| dir.ends_with(".dist-info") && !dir.contains('/'))
        };
        let member = archive
            .file_names()
            .filter_map(Result::ok)
            .find(|name| is_metadata(name))
            .map(|name| name.to_string());
        let member = member.ok_or_else(|| refused("it holds no METADATA"))?;
        let entry = archive
            .by_name(&member)
            .map_err(|e| refused(&format!("{member} can't be read")).cause(&e))?;
        let mut bytes = vec![];
        entry
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| refused(&format!("{member} can't be read")).cause(&e))?;
        if bytes.len() as u64 > LARGEST {
            return Err(refused(&format!("{member} is larger than {} MiB", LARGEST >> 20)));
        }
        Ok(Self::parse(&String::from_utf8_lossy(&bytes), file))
    }

    /// Reads the text of a METADATA.
    pub fn parse(text: &str, file: &str) -> Self {
        let requires = text
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case("Requires-Dist"))
            .map(|(_, value)| value.trim().to_owned())
            .collect();
        WheelMetadata {
            file: file.to_owned(),
            project: normalize_project(header(text, "Name").unwrap_or_default()),
            version: header(text, "Version").unwrap_or_default().to_owned(),
            requires_python: header(text, "Requires-Python")
                .filter(|value| !value.is_empty())
                .map(str::to_owned),
            requires,
        }
    }
}

/// What follows from the metadata of a set.
#[derive(Debug, Default)]
pub struct Closure {
    /// For each project, the projects of the set that it requires.
    pub edges: BTreeMap<String, BTreeSet<String>>,
    /// What could not be judged, in words.
    pub warnings: Vec<String>,
}

/// Checks that the wheels of a set fit an interpreter and each other. `extras` are the extras that
/// are asked for by project, and `overrides` the requirements that take the place of all others of
/// their project.
///
/// # Errors
/// If a wheel is not for the interpreter, or if a requirement of a wheel is not met by the set. The
/// message names both sides.
pub fn close(
    target: &WheelTarget,
    wheels: &[WheelMetadata],
    extras: &BTreeMap<String, BTreeSet<String>>,
    overrides: &[RequiresDist],
) -> Result<Closure> {
    let mut out = Closure::default();
    let by_project: BTreeMap<&str, &WheelMetadata> =
        wheels.iter().map(|wheel| (wheel.project.as_str(), wheel)).collect();
    for wheel in wheels {
        let Some(stated) = &wheel.requires_python else { continue };
        match target.is_covered_by(stated) {
            Some(true) => {}
            Some(false) => {
                return Err(Error::user(format!("{} is not made for this Python", wheel.file))
                    .because(format!("expected {}, got Requires-Python: {stated}", target.shown()))
                    .hint(format!("require a version of {} for this Python", wheel.project)));
            }
            None => out
                .warnings
                .push(format!("{} states Requires-Python: {stated}, which is none", wheel.file)),
        }
    }
    let mut active: BTreeMap<String, BTreeSet<String>> = extras.clone();
    let mut todo: Vec<&WheelMetadata> = wheels.iter().collect();
    let mut unread = BTreeSet::new();
    let value = |name: &str| target.marker(name);
    let none = BTreeSet::new();
    while let Some(wheel) = todo.pop() {
        let own = active.get(&wheel.project).cloned().unwrap_or_default();
        for text in &wheel.requires {
            let stated = match text.parse::<RequiresDist>() {
                Ok(stated) => stated,
                Err(why) => {
                    let name = leading_name(text);
                    if by_project.contains_key(name.as_str()) && name != wheel.project {
                        out.edges.entry(wheel.project.clone()).or_default().insert(name);
                    }
                    if unread.insert((wheel.project.clone(), text.clone())) {
                        out.warnings.push(format!(
                            "whether the set has what {} requires can't be judged: {text:?}: {why}",
                            wheel.file
                        ));
                    }
                    continue;
                }
            };
            if !stated.counts(&value, &own) {
                continue;
            }
            let name = stated.name.clone();
            let replaced: Vec<&RequiresDist> =
                overrides.iter().filter(|r| r.name == stated.name).collect();
            let in_force: Vec<&RequiresDist> = match replaced.as_slice() {
                [] => vec![&stated],
                _ => replaced.into_iter().filter(|r| r.counts(&value, &none)).collect(),
            };
            for required in in_force {
                let Some(found) = by_project.get(name.as_str()) else {
                    return Err(Error::user(format!("{name} is not in the set"))
                        .because(format!("{} requires {text:?}", wheel.file))
                        .because(format!("the set is for {}", target.shown()))
                        .hint(format!(
                            "require {name} itself, or lock with another version of uv"
                        )));
                };
                if name != wheel.project {
                    out.edges.entry(wheel.project.clone()).or_default().insert(name.clone());
                }
                if !required.is_met_by(&found.version) {
                    return Err(Error::user(format!(
                        "{} does not meet what {} requires",
                        found.file, wheel.file
                    ))
                    .because(format!("expected {required}, got {name} {}", found.version))
                    .because(format!("the set is for {}", target.shown()))
                    .hint(format!(
                        "require a fitting version of {name} itself, or lock with another version of uv"
                    )));
                }
                // Extras that come into force may require more.
                let asked = active.entry(name.clone()).or_default();
                let before = asked.len();
                asked.extend(stated.extras.iter().chain(&required.extras).cloned());
                if asked.len() > before {
                    todo.push(found);
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Platform;

    fn target() -> WheelTarget {
        WheelTarget::new("3.11.2", Some("2.36"), Platform::X86_64Linux).unwrap()
    }

    fn wheel(project: &str, version: &str, lines: &[&str]) -> WheelMetadata {
        let text = format!(
            "Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{}\n\nRequires-Dist: of the description\n",
            lines.join("\n")
        );
        WheelMetadata::parse(&text, &format!("{project}-{version}-py3-none-any.whl"))
    }

    fn closed(wheels: &[WheelMetadata], overrides: &[&str]) -> Result<Closure> {
        let extras = BTreeMap::from([("app".to_owned(), BTreeSet::from(["fast".to_owned()]))]);
        let overrides: Vec<RequiresDist> = overrides.iter().map(|r| r.parse().unwrap()).collect();
        close(&target(), wheels, &extras, &overrides)
    }

    #[test]
    fn edges_follow_from_markers_and_extras() {
        let app = wheel(
            "App",
            "1",
            &[
                "Requires-Dist: viable (>=1)",
                "Requires-Dist: never; python_version >= '3.12'",
                "Requires-Dist: lib[more]>=2; extra == 'fast'",
                "Requires-Dist: slow; extra == 'slow'",
            ],
        );
        let lib = wheel("lib", "2.0", &["Requires-Dist: deep; extra == 'more'"]);
        let rest = [wheel("viable", "1.0", &["Requires-Dist: lib"]), wheel("deep", "1", &[])];
        let found = closed(&[&[app, lib], rest.as_slice()].concat(), &[]).unwrap();
        let of = |name: &str| found.edges[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("app"), ["lib", "viable"]);
        assert_eq!((of("lib"), of("viable")), (vec!["deep"], vec!["lib"]));
        assert!(found.warnings.is_empty());
    }

    #[test]
    fn a_set_that_is_not_closed_is_refused() {
        let app = wheel("app", "1", &["Requires-Dist: lib>=2"]);
        let said = closed(std::slice::from_ref(&app), &[]).unwrap_err().to_string();
        assert!(said.contains("lib is not in the set"), "{said}");
        let old = [app, wheel("lib", "1.9", &[])];
        let said = closed(&old, &[]).unwrap_err().to_string();
        assert!(said.contains("lib-1.9-py3-none-any.whl does not meet"), "{said}");
        assert!(closed(&old, &["lib>=1"]).is_ok());
        let new = wheel("new", "1", &["Requires-Python: >=3.13"]);
        let said = closed(&[new], &[]).unwrap_err().to_string();
        assert!(said.contains("not made for this Python"), "{said}");
    }

    #[test]
    fn what_is_no_requirement_is_told() {
        let odd = wheel("app", "1", &["Requires-Dist: lib (>=1.x.y", "Requires-Python: three"]);
        let found = closed(&[odd, wheel("lib", "1", &[])], &[]).unwrap();
        assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
        assert!(found.edges["app"].contains("lib"));
    }
}

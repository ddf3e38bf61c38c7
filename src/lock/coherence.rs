//! Whether an entry of a lock agrees with itself: a repository writes its lock, so the name and the
//! version that verbs show for a file must be those of the file that is fetched, and a package is
//! built only if the manifest says so.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::Version;

use crate::fetch::NIX;
use crate::lockfile::{LockedTree, Plan, component_of_deb, version_in_file_name};
use crate::manifest::Requirements;
use crate::model::{
    Component, Ecosystem, Format, Input, Location, NixPath, StoreName, WheelName, normalize_project,
};
use crate::python::requirement_files::Pin;

/// The archives whose files have the names of Debian's pool (Debian policy manual, section 5.6.7, and
/// the names that `dpkg-name` gives).
const POOLS: &[&str] = &["debian", "debian-security"];

/// The mirror family of the Python package index.
const PYTHON: &str = "python";

/// Returns how the inputs of a toolchain contradict its source in the manifest.
pub fn of_toolchain(source: &str, locked: &LockedTree) -> Vec<String> {
    let expected = match source {
        "debian" => &[Ecosystem::Debian][..],
        "pypi" => &[Ecosystem::Pypi, Ecosystem::Debian],
        "nix" => &[Ecosystem::Nix],
        _ => &[Ecosystem::Generic, Ecosystem::Debian],
    };
    let mut out = of_inputs(&locked.plan.inputs, expected);
    if source == "build" {
        out.extend(of_build(&locked.plan));
    } else {
        let sources = locked.plan.inputs.iter().filter(|input| is_built(input));
        out.extend(sources.map(|input| format!("{} is source code", input.file_name())));
    }
    out.extend(outside(&locked.plan.inputs));
    if !locked.plan.builds_with_nix() {
        let built =
            locked.plan.inputs.iter().filter(|i| i.nix.as_ref().is_some_and(|nix| nix.built));
        out.extend(
            built.map(|input| format!("{} is built, and `build` is not set", input.file_name())),
        );
    }
    out
}

/// Returns the references of paths of a Nix store to paths that are no inputs.
fn outside(inputs: &[Input]) -> Vec<String> {
    let paths = || inputs.iter().filter_map(|input| input.nix.as_ref());
    let known: BTreeSet<&StoreName> = paths().map(|nix| &nix.path).collect();
    let missing = |nix: &NixPath| {
        let mut others = nix.others().filter(|name| !known.contains(name));
        others.next().map(|name| format!("{} refers to {name}, which is no input", nix.path))
    };
    paths().filter_map(missing).collect()
}

/// Returns how the inputs of a set contradict the manifest and the file of requirements. `pins` is
/// what that file pins; for the packages that builds import, there is none.
pub fn of_set(
    set: &Requirements,
    pins: Option<&BTreeMap<String, Pin>>,
    locked: &LockedTree,
) -> Vec<String> {
    let inputs = &locked.plan.inputs;
    let mut out = of_inputs(inputs, &[Ecosystem::Pypi]);
    for input in inputs {
        let (name, file) = (&input.component.name, input.file_name());
        let may_build = pins.is_some() && set.build.iter().any(|b| b == "*" || b == name);
        if is_built(input) && !may_build {
            out.push(format!("{file} is source code, and `build` does not name {name}"));
        }
        let pin = pins.and_then(|pins| pins.get(name)).filter(|pin| !pin.hashes.is_empty());
        if pin.is_some_and(|pin| !pin.hashes.contains(&input.sha256)) {
            out.push(format!("{file} has another hash than the file of requirements demands"));
        }
    }
    out
}

/// Whether the input is code that is built.
fn is_built(input: &Input) -> bool {
    matches!(input.format, Format::Sdist | Format::Source | Format::Patch) || input.built.is_some()
}

/// Returns how the inputs of a toolchain that is built contradict that.
fn of_build(plan: &Plan) -> Vec<String> {
    // Libraries that were built themselves follow the source.
    let is_source = |input: &Input| input.format == Format::Source;
    let fits = |input: &Input| is_source(input) == input.built.is_some();
    let is_whole = plan.inputs.first().is_some_and(is_source)
        && plan.inputs.iter().all(fits)
        && plan.building.is_some();
    (!is_whole)
        .then(|| "it does not name one source and its result".to_owned())
        .into_iter()
        .collect()
}

fn of_inputs(inputs: &[Input], expected: &[Ecosystem]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let twice = inputs.iter().filter(|input| {
        let Component { ecosystem, name, .. } = &input.component;
        // A closure may have several paths of one package.
        let path = input.nix.as_ref().map(|nix| &nix.path);
        !known.insert((ecosystem.as_str(), name, path))
    });
    let mut out: Vec<String> =
        twice.map(|input| format!("{} stands in it twice", input.component.name)).collect();
    for input in inputs {
        let component = &input.component;
        if !expected.contains(&component.ecosystem) {
            let kind = component.ecosystem.as_str();
            out.push(format!("{} is of the ecosystem {kind:?}", component.name));
        } else if !agrees(input) {
            out.push(format!(
                "{} is named {} {}",
                input.file_name(),
                component.name,
                component.version
            ));
        }
    }
    out
}

/// Whether the format, the locations and the name of the file are those of the component.
fn agrees(input: &Input) -> bool {
    let component = &input.component;
    let of_format = match component.ecosystem {
        Ecosystem::Debian => input.format == Format::Deb,
        Ecosystem::Pypi => matches!(input.format, Format::Wheel | Format::Sdist),
        Ecosystem::Generic => !matches!(input.format, Format::Sdist | Format::Nar),
        Ecosystem::Nix => input.nix.as_ref().is_some_and(|nix| {
            nix.path.package() == (component.name.as_str(), component.version.as_str())
        }),
    };
    of_format && input.locations.iter().all(|location| fits(location, input))
}

fn fits(location: &Location, input: &Input) -> bool {
    let component = &input.component;
    let Location::Mirror { mirror, path } = location else {
        // An address is asked for by itself. The names of its files are those of its owner.
        return component.ecosystem != Ecosystem::Pypi || is_file_of(file_name(location), input);
    };
    match component.ecosystem {
        Ecosystem::Debian if mirror == PYTHON => false,
        Ecosystem::Debian if POOLS.contains(&mirror.as_str()) => component_of_deb(path)
            .is_some_and(|found| {
                // The pool leaves the epoch out, and other archives write its colon in their way.
                let whole = &component.version;
                let version = whole.split_once(':').map_or(whole.as_str(), |(_, rest)| rest);
                found.name == component.name
                    && (found.version == version
                        || found.version.replace("%3a", ":").replace("%3A", ":") == *whole)
            }),
        Ecosystem::Debian => true,
        Ecosystem::Pypi => {
            let project = path.split_once('/').map(|(project, _)| project);
            mirror == PYTHON
                && project.map(normalize_project).as_ref() == Some(&component.name)
                && is_file_of(file_name(location), input)
        }
        // The source of a Debian package lies beside its files.
        Ecosystem::Generic => input.format == Format::Source && mirror != PYTHON,
        Ecosystem::Nix => mirror == NIX,
    }
}

/// Returns the name of the file at a location.
fn file_name(location: &Location) -> &str {
    let path = location.path();
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a file of a Python project has the name of its component (PEP 427, PEP 625).
fn is_file_of(file: &str, input: &Input) -> bool {
    let Component { name, version, .. } = &input.component;
    let project = match WheelName::parse(file) {
        Some(wheel) => Some(wheel.project),
        None if input.format == Format::Sdist => file.get(..name.len()),
        None => None,
    };
    let parsed = |text: &str| Version::from_str(text);
    // Older tools write an underscore for what a file name may not hold.
    let plain = |text: &str| text.replace(['_', '-', '+', '!'], ".").to_lowercase();
    let same = |found: &str| {
        plain(found) == plain(version) || parsed(found).is_ok_and(|v| Ok(v) == parsed(version))
    };
    project.map(normalize_project).as_ref() == Some(name) && same(&version_in_file_name(file, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn input(url: &str, format: Format, ecosystem: Ecosystem, name: &str, version: &str) -> Input {
        let component =
            Component { ecosystem, name: name.into(), version: version.into(), source: None };
        let location = url.parse().expect("a location");
        Input::new(vec![location], 1, Digest::of(b""), format, component)
    }

    #[test]
    fn files_have_the_names_of_their_components() {
        use Ecosystem::{Debian, Pypi};
        use Format::{Deb, Sdist, Wheel};
        for (url, format, ecosystem, name, version) in [
            (
                "mirror://python/flask/Flask-1.1.2-py2.py3-none-any.whl",
                Wheel,
                Pypi,
                "flask",
                "1.1.2",
            ),
            ("mirror://python/a-b/a_b-1.0_local-py3-none-any.whl", Wheel, Pypi, "a-b", "1.0+local"),
            ("mirror://python/x/x-1.0-py3-none-any.whl", Wheel, Pypi, "x", "1.0.0"),
            (
                "mirror://python/backports-zoneinfo/backports.zoneinfo-0.2.1.tar.gz",
                Sdist,
                Pypi,
                "backports-zoneinfo",
                "0.2.1",
            ),
            (
                "mirror://debian/pool/main/l/l/libc6_2.36-9+deb12u1_amd64.deb",
                Deb,
                Debian,
                "libc6",
                "2.36-9+deb12u1",
            ),
            (
                "mirror://debian/pool/main/z/z/zlib1g_1.2.13_amd64.deb",
                Deb,
                Debian,
                "zlib1g",
                "1:1.2.13",
            ),
            ("mirror://debian/thing_1:1.0-1_amd64.deb", Deb, Debian, "thing", "1:1.0-1"),
            ("mirror://debian/thing_1%3a1.0-1_amd64.deb", Deb, Debian, "thing", "1:1.0-1"),
            ("mirror://vendor/whatever.deb", Deb, Debian, "cuda", "12"),
        ] {
            assert!(agrees(&input(url, format, ecosystem, name, version)), "{url}");
        }
        for (url, format, ecosystem, name, version) in [
            ("mirror://python/evil/evil-9-py3-none-any.whl", Wheel, Pypi, "idna", "3.7"),
            ("mirror://python/idna/evil-3.7-py3-none-any.whl", Wheel, Pypi, "idna", "3.7"),
            ("mirror://python/evil/idna-3.7-py3-none-any.whl", Wheel, Pypi, "idna", "3.7"),
            ("mirror://python/idna/idna-3.6-py3-none-any.whl", Wheel, Pypi, "idna", "3.7"),
            ("mirror://python/idna/idna-3.6.tar.gz", Sdist, Pypi, "idna", "3.7"),
            ("mirror://python/idna/idna", Sdist, Pypi, "idna", "3.7"),
            ("mirror://python/evil/evil-9-py3-none-any.whl", Deb, Debian, "hello", "9"),
            ("mirror://debian/pool/main/h/h/hello_1_amd64.deb", Wheel, Debian, "hello", "1"),
            ("mirror://debian/pool/main/h/h/evil_1_amd64.deb", Deb, Debian, "hello", "1"),
            ("mirror://debian/pool/main/h/h/hello_2_amd64.deb", Deb, Debian, "hello", "1"),
            ("mirror://debian/pool/main/h/h/hello", Deb, Debian, "hello", "1"),
        ] {
            assert!(!agrees(&input(url, format, ecosystem, name, version)), "{url}");
        }
    }

    #[test]
    fn a_package_stands_in_an_entry_once() {
        let one = input(
            "mirror://python/x/x-1-py3-none-any.whl",
            Format::Wheel,
            Ecosystem::Pypi,
            "x",
            "1",
        );
        let said = of_inputs(&[one.clone(), one], &[Ecosystem::Pypi]);
        assert_eq!(said, ["x stands in it twice"]);
    }
}

//! The source for Debian packages: the closure of a list of packages from a signed suite.

mod mirrors;
mod request;

use std::collections::BTreeSet;

pub use request::DebianRequest;
use request::{Named, plain_name};

use super::kind::{Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Error, Result, nearest};
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{Component, Ecosystem, Format, Input, Kind, Location, Platform, SourcePackage};
use crate::recipe::Recipe;
use crate::resolve::debian_closure::{self, Resolved};
use crate::resolve::debian_index::{Index, Package};
use crate::resolve::debian_version::without_epoch;

/// The source `debian`.
pub const KIND: SourceKind = SourceKind {
    name: "debian",
    keys: &["archive", "suite", "components", "packages", "exclude", "include"],
    bind,
};

/// The package of the libc.
const LIBC: &str = "libc6";

/// The package that contains the locale C.UTF-8.
const LOCALE_PACKAGE: &str = "libc-bin";

/// The directories that are taken of it if the manifest does not ask for it: the locale, and the
/// licence. The rest are programs with which an administrator maintains a libc.
const LOCALE_DIRECTORIES: [&str; 2] = ["usr/lib/locale", "usr/share/doc/libc-bin"];

impl DebianRequest {
    /// Combines the result of another source, `principal`, with the run-time packages that are
    /// placed next to it, if any are asked for.
    ///
    /// # Errors
    /// The same as those of [`DebianRequest::resolve`].
    pub fn beside(
        runtime: &Option<DebianRequest>,
        principal: Input,
        version: &str,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let (mut inputs, mut releases) = (vec![principal], vec![]);
        if let Some(runtime) = runtime {
            let found = runtime.resolve(platform, recipe, cx)?;
            inputs.extend(found.inputs);
            releases = found.releases;
        }
        Ok(Resolution { version: version.to_owned(), releases, principal: None, inputs })
    }

    /// Resolves the closure.
    ///
    /// # Errors
    /// If the index cannot be obtained or trusted, or if a package cannot be resolved.
    pub fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let loaded = mirrors::load_index(self, platform, cx)?;
        let (index, releases) = (&loaded.0, &loaded.1);
        let left_out = debian_closure::NEVER.iter().chain(recipe.left_out_packages());
        let mut exclude: BTreeSet<String> = left_out.map(|s| (*s).to_owned()).collect();
        exclude.extend(self.exclude.iter().cloned());
        for name in self.include.iter().chain(&self.packages) {
            exclude.remove(plain_name(name));
        }
        let resolve = |packages: &[String]| {
            debian_closure::resolve(index, platform.debian_arch(), packages, &exclude)
                .map_err(|e| self.locate(e))
        };
        let mut chosen = resolve(&self.packages)?;
        let has = |chosen: &Resolved, name: &str| chosen.packages.iter().any(|p| p.name == name);
        // The programs of a tree with a libc need a UTF-8 locale, and no package depends on it.
        let adds_locale = recipe.kind() != Kind::Library
            && has(&chosen, LIBC)
            && !has(&chosen, LOCALE_PACKAGE)
            && index.newest(LOCALE_PACKAGE, |_| true).is_some();
        let leaves_locale_out = adds_locale && exclude.contains(LOCALE_PACKAGE);
        if leaves_locale_out {
            chosen.left_out.insert(LOCALE_PACKAGE.to_owned());
        } else if adds_locale {
            let packages = [self.packages.as_slice(), &[LOCALE_PACKAGE.to_owned()]].concat();
            let left_out = std::mem::take(&mut chosen.left_out);
            chosen = resolve(&packages)?;
            chosen.left_out.extend(left_out);
        }
        self.warn_of_idle_exclusions(index, chosen.left_out, cx);
        let chosen = chosen.packages;
        let names: Vec<&str> = self.packages.iter().map(|p| plain_name(p)).collect();
        let principal = recipe.principal(&names).unwrap_or_default();
        let version = chosen
            .iter()
            .find(|p| p.name == principal)
            .map(|p| without_epoch(&p.version).to_owned())
            .unwrap_or_default();
        let input = |p: &&Package| {
            let path = p.filename.clone();
            let location = Location::Mirror { mirror: self.archive.clone(), path };
            let source = p.source.as_ref().map(|(name, version)| SourcePackage {
                name: name.clone(),
                version: Some(version.clone()),
            });
            let component = Component {
                ecosystem: Ecosystem::Debian,
                name: p.name.clone(),
                version: p.version.clone(),
                source,
            };
            let mut input = Input::new(vec![location], p.size, p.sha256, Format::Deb, component);
            if adds_locale && p.name == LOCALE_PACKAGE {
                input.layout.only = LOCALE_DIRECTORIES.map(str::to_owned).into();
            }
            input
        };
        let mut inputs: Vec<Input> = chosen.iter().map(input).collect();
        inputs.sort();
        let principal = Some(principal.to_owned());
        Ok(Resolution { version, releases: releases.clone(), principal, inputs })
    }
}

impl DebianRequest {
    /// Adds to an error the line of the manifest that asks for the package that the error concerns.
    fn locate(&self, error: Error) -> Error {
        let place = error
            .subjects()
            .find_map(|package| self.places.get(&Named::Package(package.to_owned())))
            .cloned();
        match place {
            Some(place) => error.located(place),
            None => error,
        }
    }

    /// Warns about exclusions that leave nothing out on any platform. They are usually misspelt
    /// names.
    fn warn_of_idle_exclusions(
        &self,
        index: &Index,
        left_out: BTreeSet<String>,
        cx: &ResolveContext,
    ) {
        let mut so_far = self.left_out.borrow_mut();
        so_far.0 += 1;
        so_far.1.extend(left_out);
        if so_far.0 != self.platforms {
            return;
        }
        for (named, place) in &self.places {
            let Named::Exclude(name) = named else { continue };
            if so_far.1.contains(name) {
                continue;
            }
            let why = if index.names().any(|known| known == name) {
                "nothing that is taken depends on it".to_owned()
            } else {
                match nearest(name, index.names(), 3).as_slice() {
                    [] => "the suite has no such package".to_owned(),
                    near => format!(
                        "the suite has no such package; did you mean {}?",
                        near.join(" or ")
                    ),
                }
            };
            cx.reporter.warn(&format!("{place}: `exclude` of {name:?} leaves nothing out: {why}"));
        }
    }
}

struct Debian(DebianRequest);

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let spec = DebianRequest::read(fields, true, problems);
    let mut spec = spec?.on(&toolchain.platforms);
    // The packages of the libraries that the sysroot must contain.
    for library in &toolchain.libraries {
        if let Some(other) = manifest.toolchains.get(&library.value) {
            // Problems in that table are reported when the table itself is read.
            let mut ignored = Problems::new("", "");
            let mut fields = other.fields.clone();
            let Some(found) = DebianRequest::read(&mut fields, true, &mut ignored) else {
                continue;
            };
            if (&found.archive, &found.suite) != (&spec.archive, &spec.suite) {
                problems.add(
                    library.span.clone(),
                    format!(
                        "expected a library of the suite {:?}, {:?} is of {:?}",
                        spec.suite,
                        library.value.as_str(),
                        found.suite
                    ),
                );
            }
            spec.packages.extend(found.packages);
            spec.exclude.extend(found.exclude);
            for component in found.components {
                if !spec.components.contains(&component) {
                    spec.components.push(component);
                }
            }
        }
    }
    Some(Box::new(Debian(spec)))
}

impl Source for Debian {
    fn fingerprint(&self, _platform: Platform) -> Fingerprint {
        self.0.fingerprint()
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        vec![self.0.suite()]
    }

    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        self.0.resolve(platform, recipe, cx)
    }
}

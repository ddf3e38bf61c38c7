//! The source for Debian packages: the closure of a list of packages from a signed suite.

mod mirrors;
mod request;
mod suites;

use std::collections::{BTreeMap, BTreeSet};

pub use request::DebianRequest;
use request::{Named, plain_name};

use super::kind::{
    Additions, Foreign, FoundPackage, Resolution, ResolveContext, Source, SourceKind,
};
use crate::error::{Error, Place, Result, nearest};
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{Component, Ecosystem, Format, Input, Kind, Platform, SourcePackage};
use crate::recipe::{Recipe, is_essential, names_clang};
use crate::resolve::debian_closure::{self, PackageRoot};
use crate::resolve::debian_index::{Dependency, Index, Package, Relation};
use crate::resolve::debian_version::without_epoch;

/// The source `debian`.
pub const KIND: SourceKind = SourceKind {
    name: "debian",
    keys: &[
        "archive",
        "suite",
        "components",
        "snapshot",
        "packages",
        "exclude",
        "include",
        "include_essential",
    ],
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
        additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let named = vec![principal.component.name.clone()];
        let (mut inputs, mut releases, mut essential) = (vec![principal], vec![], vec![]);
        if let Some(runtime) = runtime {
            let found = runtime.resolve(platform, recipe, additions, cx)?;
            inputs.extend(found.inputs);
            releases = found.releases;
            essential = found.essential;
        }
        let version = version.to_owned();
        Ok(Resolution {
            version,
            releases,
            principal: None,
            evaluation: None,
            building: None,
            inputs,
            named,
            essential,
        })
    }

    /// Resolves the closure.
    ///
    /// # Errors
    /// If the index cannot be obtained or trusted, or if a package cannot be resolved.
    pub fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        additions: &Additions,
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
        let architecture = platform.debian_arch();
        let resolve = |packages: &[String], exclude: &BTreeSet<String>| {
            let roots: Vec<PackageRoot> =
                packages.iter().map(|package| self.root(package)).collect();
            debian_closure::resolve(index, architecture, &roots, exclude)
                .map_err(|e| self.locate(self.explain(e)))
        };
        let mut chosen = resolve(&self.packages, &exclude)?;
        let mut roots = self.packages.clone();
        let essential = self.essential(index, recipe, additions, &chosen.packages);
        exclude.retain(|name| !essential.contains(name));
        roots.extend(essential.iter().cloned());
        let has = |chosen: &debian_closure::Resolved, name: &str| {
            chosen.packages.iter().any(|p| p.name == name)
        };
        // The programs of a tree with a libc need a UTF-8 locale, and no package depends on it.
        let adds_locale = recipe.kind().has_programs()
            && has(&chosen, LIBC)
            && !has(&chosen, LOCALE_PACKAGE)
            && index.best(LOCALE_PACKAGE, |_| true).is_some();
        if adds_locale && !exclude.contains(LOCALE_PACKAGE) {
            roots.push(LOCALE_PACKAGE.to_owned());
        }
        let mut left_out = std::mem::take(&mut chosen.left_out);
        if adds_locale && exclude.contains(LOCALE_PACKAGE) {
            left_out.insert(LOCALE_PACKAGE.to_owned());
        }
        if roots.len() > self.packages.len() {
            chosen = resolve(&roots, &exclude)?;
        }
        chosen.left_out.extend(left_out);
        let never = |name: &&String| {
            let left_out = debian_closure::NEVER.iter().chain(recipe.left_out_packages());
            left_out.into_iter().any(|other| other == name) && has(&chosen, name)
        };
        let included = self.include.iter().filter(never).cloned().collect();
        self.warn_of_idle_names(index, chosen.left_out, included, cx);
        let chosen = chosen.packages;
        self.warn_of_missed_libraries(&chosen, &exclude, cx);
        let names: Vec<&str> = self.packages.iter().map(|p| plain_name(p)).collect();
        let named = named(&names, additions, &chosen);
        let principal = recipe.principal(&names).unwrap_or_default();
        let version = chosen
            .iter()
            .find(|p| p.name == principal)
            .map(|p| without_epoch(&p.version).to_owned())
            .unwrap_or_default();
        let met = Met::by(&chosen);
        let input = |p: &&Package| {
            let locations = self.suites[p.suite].locations(&p.filename);
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
            let mut input = Input::new(locations, p.size, p.sha256, Format::Deb, component);
            input.requires = met.required(p, architecture);
            if adds_locale && p.name == LOCALE_PACKAGE {
                input.layout.only = LOCALE_DIRECTORIES.map(str::to_owned).into();
            }
            input
        };
        let mut inputs: Vec<Input> = chosen.iter().map(input).collect();
        inputs.sort();
        let principal = Some(principal.to_owned());
        let releases = releases.clone();
        Ok(Resolution {
            version,
            releases,
            principal,
            evaluation: None,
            building: None,
            inputs,
            named,
            essential,
        })
    }

    /// Whether additions can change the result: Essential packages are added, or metapackages hand
    /// over to the packages on which they depend.
    pub fn may_grow(&self, recipe: &dyn Recipe) -> bool {
        self.includes_essential(recipe) || recipe.kind() == Kind::Tool
    }

    fn includes_essential(&self, recipe: &dyn Recipe) -> bool {
        // A tree of libraries asks for a libc if it keeps programs.
        let by_default = matches!(recipe.kind(), Kind::Tool | Kind::Library);
        self.include_essential.unwrap_or(by_default)
    }

    /// Returns the Essential packages to add: those that are not in the closure anyway, that the
    /// suite has, and that the manifest does not exclude.
    fn essential(
        &self,
        index: &Index,
        recipe: &dyn Recipe,
        additions: &Additions,
        closure: &[&Package],
    ) -> Vec<String> {
        if !self.includes_essential(recipe) {
            return vec![];
        }
        let wanted = |name: &&String| {
            !self.exclude.contains(name)
                && !closure.iter().any(|p| p.name == **name)
                && index.best(name, |_| true).is_some()
        };
        additions.essential.iter().filter(wanted).cloned().collect()
    }
}

/// The packages of a closure by the names under which they satisfy dependencies.
struct Met<'a>(BTreeMap<&'a str, Vec<&'a Package>>);

impl<'a> Met<'a> {
    fn by(closure: &[&'a Package]) -> Self {
        let mut out: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in closure {
            let provided = package.provides.iter().map(|(name, _)| name.as_str());
            for name in std::iter::once(package.name.as_str()).chain(provided) {
                out.entry(name).or_default().push(package);
            }
        }
        Met(out)
    }

    /// Returns the names of the packages on which one of them depends, sorted. Of several that
    /// satisfy the same dependency, each is among them.
    fn required(&self, package: &Package, architecture: &str) -> Vec<String> {
        let mut out = BTreeSet::new();
        for dependency in package.depends().iter().flatten() {
            let candidates = self.0.get(dependency.name.as_str()).into_iter().flatten();
            let met = candidates
                .filter(|p| p.name != package.name && dependency.is_met_by(p, architecture));
            out.extend(met.map(|other| other.name.clone()));
        }
        out.into_iter().collect()
    }
}

/// Returns the packages that count as named, each once: those of the manifest in its order, and
/// then those on which one of them depends that hands it over.
fn named(manifest: &[&str], additions: &Additions, closure: &[&Package]) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let mut add = |name: &str| {
        if !out.iter().any(|known| known == name) {
            out.push(name.to_owned());
        }
    };
    manifest.iter().for_each(|name| add(name));
    for package in closure.iter().filter(|p| additions.handed_over.contains(&p.name)) {
        let depends = package.depends();
        for dependency in depends.iter().flatten() {
            let meets = |p: &&&Package| {
                p.name == dependency.name || p.provides.iter().any(|(n, _)| *n == dependency.name)
            };
            closure.iter().filter(meets).for_each(|p| add(&p.name));
        }
    }
    out
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

    /// Adds to an error that something is missing that only a base suite has, if the request names
    /// none.
    fn explain(&self, error: Error) -> Error {
        let first = self.suites.iter().find(|suite| suite.only_adds());
        let Some(first) = first.filter(|_| self.suites.iter().all(|suite| suite.only_adds()))
        else {
            return error;
        };
        let base = first.suite.split('-').next().unwrap_or_default();
        let own = self.suites.iter().map(|suite| match suite.archive() {
            "debian" => format!("{:?}", suite.suite),
            archive => format!("{{ archive = {archive:?}, suite = {:?} }}", suite.suite),
        });
        let list: Vec<String> = std::iter::once(format!("{base:?}")).chain(own).collect();
        error.hint(format!(
            "{} holds only what was changed in {base}: name that suite, too: suite = [{}]",
            first.suite,
            list.join(", ")
        ))
    }

    /// Warns about exclusions that leave nothing out on any platform, and about inclusions without
    /// which the same packages would be taken. They are usually misspelt names.
    fn warn_of_idle_names(
        &self,
        index: &Index,
        left_out: BTreeSet<String>,
        included: BTreeSet<String>,
        cx: &ResolveContext,
    ) {
        let mut so_far = self.effects.borrow_mut();
        so_far.0 += 1;
        so_far.1.extend(left_out);
        so_far.2.extend(included);
        if so_far.0 != self.platforms {
            return;
        }
        for (named, place) in &self.places {
            let (name, what) = match named {
                // Composing shows only later whether an Essential package would be added.
                Named::Exclude(name) if !so_far.1.contains(name) && !is_essential(name) => {
                    (name, "`exclude` of {} leaves nothing out")
                }
                // A name that others provide has an effect on the choice among them.
                Named::Include(name)
                    if !so_far.2.contains(name) && index.providers(name).is_empty() =>
                {
                    (name, "`include` of {} changes nothing")
                }
                _ => continue,
            };
            let why = if index.names().any(|known| known == name) {
                match named {
                    Named::Include(_) => "the recipe does not leave it out, or nothing that is taken depends on it: a package that must be there belongs into `packages`".to_owned(),
                    _ => "nothing that is taken depends on it".to_owned(),
                }
            } else {
                match nearest(name, index.names(), 3).as_slice() {
                    [] => "the suite has no such package".to_owned(),
                    near => format!(
                        "the suite has no such package; did you mean {}?",
                        near.join(" or ")
                    ),
                }
            };
            let what = what.replace("{}", &format!("{name:?}"));
            cx.reporter.warn(&format!("{place}: {what}: {why}"));
        }
    }
}

impl DebianRequest {
    /// Warns about exclusions of a library to which a package of headers that is taken has a link:
    /// nothing can be linked with it then.
    fn warn_of_missed_libraries(
        &self,
        chosen: &[&Package],
        exclude: &BTreeSet<String>,
        cx: &ResolveContext,
    ) {
        if self.effects.borrow().0 != self.platforms {
            return;
        }
        for package in chosen.iter().filter(|p| p.name.ends_with("-dev")) {
            for clause in package.depends() {
                let [Dependency { name, version: Some((Relation::Exactly, _)), .. }] = &clause[..]
                else {
                    continue;
                };
                let Some(place) = self.places.get(&Named::Exclude(name.clone())) else { continue };
                if exclude.contains(name) && !name.ends_with("-dev") {
                    cx.reporter.warn(&format!(
                        "{place}: `exclude` leaves out {name:?}, the libraries to which {} links: nothing can be linked with them; exclude {0:?}, too, or keep both",
                        package.name
                    ));
                }
            }
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
            let names = |request: &DebianRequest| {
                let names: Vec<String> = request.suites().map(|(_, s)| format!("{s:?}")).collect();
                names.join(", ")
            };
            let (expected, got) = (names(&spec), names(&found));
            if !spec.add(found) {
                problems.add(
                    library.span.clone(),
                    format!(
                        "expected a library of the suites of the compiler, {expected}, {:?} is of {got}: give both tables the same `suite`, or take it out of `libraries` (`cotter exec` finds each library of the manifest)",
                        library.value.as_str(),
                    ),
                );
            }
        }
    }
    Some(Box::new(Debian(spec)))
}

impl Source for Debian {
    fn fingerprint(&self, _platform: Platform) -> Fingerprint {
        self.0.fingerprint()
    }

    fn recipe(&self, kind: Kind) -> Option<&'static str> {
        (kind == Kind::Cc && names_clang(&self.named())).then_some("clang")
    }

    fn foreign(&self, _platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        self.0.foreign().collect()
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        self.0.suites().collect()
    }

    fn keys(&self) -> Vec<Option<&str>> {
        self.0.keys().collect()
    }

    fn named(&self) -> Vec<String> {
        self.0.packages.iter().map(|package| plain_name(package).to_owned()).collect()
    }

    fn places(&self) -> Vec<(String, Place)> {
        self.0.places()
    }

    fn search(
        &self,
        wanted: &dyn Fn(&str) -> bool,
        platform: Platform,
        cx: &ResolveContext,
    ) -> Result<Vec<FoundPackage>> {
        let loaded = mirrors::load_index(&self.0, platform, cx)?;
        let index = &loaded.0;
        let mut out = vec![];
        for name in index.names().filter(|name| wanted(name)) {
            let candidate = index.best(name, |_| true);
            let found = |package: &Package| FoundPackage {
                name: name.to_owned(),
                version: package.version.clone(),
                archive: self.0.suites[package.suite].archive().to_owned(),
                suite: self.0.suites[package.suite].suite.clone(),
                is_candidate: candidate
                    .is_some_and(|c| (&c.version, c.suite) == (&package.version, package.suite)),
            };
            out.extend(index.versions(name).iter().map(found));
        }
        Ok(out)
    }

    fn may_grow(&self, recipe: &dyn Recipe) -> bool {
        self.0.may_grow(recipe)
    }

    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        self.0.resolve(platform, recipe, additions, cx)
    }
}

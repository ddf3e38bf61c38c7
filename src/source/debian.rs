//! Debian packages: the closure of a list of packages of a signed suite.

mod mirrors;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Resolution, ResolveContext, Source, SourceKind, Unpack};
use crate::error::{Error, Place, Result, nearest};
use crate::lockfile::Request;
use crate::manifest::{Fields, Kind, Manifest, Problems, Spanned, Toolchain};
use crate::model::{Input, Location, Platform};
use crate::recipe;
use crate::resolve::debian_closure;
use crate::resolve::debian_index::Index;
use crate::resolve::debian_version::without_epoch;
use crate::tree::Tree;
use crate::unpack::unpack_deb;

/// The source `debian`.
pub const KIND: SourceKind = SourceKind {
    name: "debian",
    keys: &["archive", "suite", "components", "packages", "exclude", "include"],
    bind,
    unpack,
};

/// What to take from a Debian archive.
#[derive(Debug, Clone)]
pub struct DebianSpec {
    /// The mirror family: `debian`, `debian-security`.
    pub archive: String,
    /// The suite: `bookworm`, `trixie`.
    pub suite: String,
    /// The components: `main` as a rule.
    pub components: Vec<String>,
    /// The packages, each perhaps as `name=version`.
    pub packages: Vec<String>,
    /// Packages to leave out, besides those that the recipe leaves out.
    pub exclude: Vec<String>,
    /// Packages that the recipe would leave out, but are wanted.
    pub include: Vec<String>,
    /// What `exclude` left out on the platforms that were resolved so far, and how many there are in all.
    left_out: RefCell<(usize, BTreeSet<String>)>,
    platforms: usize,
    /// Where the manifest names the suite, and each of the components, packages and exclusions.
    places: BTreeMap<Named, Place>,
    kind: Kind,
}

/// A name that a spec takes from the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Suite,
    Component(String),
    Package(String),
    Exclude(String),
}

/// The name of a package without its version.
fn plain_name(package: &str) -> &str {
    package.split_once('=').map_or(package, |(name, _)| name)
}

impl DebianSpec {
    /// Reads the keys of a spec; `None` if no packages are named.
    pub fn read(
        fields: &mut Fields,
        kind: Kind,
        required: bool,
        problems: &mut Problems,
    ) -> Option<DebianSpec> {
        let suite = if required {
            fields.required_string("suite", problems)
        } else {
            fields.string("suite", problems)
        };
        let archive =
            fields.string("archive", problems).map_or_else(|| "debian".to_owned(), |s| s.value);
        let mut list =
            |key: &str| -> Option<Vec<Spanned<String>>> { fields.string_list(key, problems) };
        let (components, packages, exclude, include) =
            (list("components"), list("packages"), list("exclude"), list("include"));
        let mut places = BTreeMap::new();
        let mut note = |named: Named, span: &std::ops::Range<usize>| {
            places.entry(named).or_insert_with(|| problems.place(span.start));
        };
        for component in components.iter().flatten() {
            note(Named::Component(component.value.clone()), &component.span);
        }
        for package in packages.iter().flatten() {
            note(Named::Package(package.value.clone()), &package.span);
        }
        for package in exclude.iter().flatten() {
            note(Named::Exclude(package.value.clone()), &package.span);
        }
        if let Some(suite) = &suite {
            note(Named::Suite, &suite.span);
        }
        for excluded in exclude.iter().flatten() {
            if packages.iter().flatten().any(|p| plain_name(&p.value) == excluded.value) {
                problems.add(
                    excluded.span.clone(),
                    format!(
                        "`exclude` names {:?}, which `packages` asks for: leave one of the two out",
                        excluded.value
                    ),
                );
            }
        }
        for package in packages.iter().chain(&exclude).chain(&include).flatten() {
            let name = plain_name(&package.value);
            let valid = name.len() > 1
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
            if !valid {
                problems.add(
                    package.span.clone(),
                    format!(
                        "expected the name of a Debian package, perhaps with =version, got {:?}",
                        package.value
                    ),
                );
            }
        }
        if let Some(suite) = &suite
            && (suite.value.is_empty()
                || suite.value.contains([' ', ':'])
                || suite.value.split('/').any(|p| p == ".." || p.is_empty()))
        {
            problems.add(
                suite.span.clone(),
                format!("expected the name of a suite such as \"bookworm\", got {:?}", suite.value),
            );
        }
        let plain = |list: Option<Vec<Spanned<String>>>| -> Vec<String> {
            list.unwrap_or_default().into_iter().map(|s| s.value).collect()
        };
        let packages = plain(packages);
        if packages.is_empty() && required {
            problems.add(
                fields.span(),
                "a Debian toolchain needs the key \"packages\" with at least one package",
            );
        }
        let components =
            if components.is_none() { vec!["main".to_owned()] } else { plain(components) };
        Some(DebianSpec {
            archive,
            suite: suite?.value,
            components,
            packages,
            exclude: plain(exclude),
            include: plain(include),
            left_out: RefCell::default(),
            platforms: 1,
            places,
            kind,
        })
    }

    /// The request in the words of the lock.
    pub fn request(&self) -> Request {
        let mut out = Request::new();
        let mut put = |key: &str, values: &[String]| {
            if !values.is_empty() {
                out.insert(key.to_owned(), values.to_vec());
            }
        };
        put("archive", std::slice::from_ref(&self.archive));
        put("suite", std::slice::from_ref(&self.suite));
        put("components", &self.components);
        put("packages", &self.packages);
        put("exclude", &self.exclude);
        put("include", &self.include);
        out
    }

    /// What another source decided, `principal`, with the packages of a run-time laid beside it, if one is asked for.
    ///
    /// # Errors
    /// As [`DebianSpec::resolve`].
    pub fn beside(
        runtime: &Option<DebianSpec>,
        principal: Input,
        version: &str,
        platform: Platform,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let mut out = match runtime {
            Some(runtime) => runtime.resolve(platform, cx)?,
            None => Resolution { version: String::new(), releases: vec![], inputs: vec![] },
        };
        out.inputs.insert(0, principal);
        version.clone_into(&mut out.version);
        Ok(out)
    }

    /// Resolves the closure.
    ///
    /// # Errors
    /// If the index cannot be had or trusted, or a package cannot be resolved.
    pub fn resolve(&self, platform: Platform, cx: &ResolveContext) -> Result<Resolution> {
        let loaded = mirrors::load_index(self, platform, cx)?;
        let (index, releases) = (&loaded.0, &loaded.1);
        let mut exclude: BTreeSet<String> = debian_closure::NEVER
            .iter()
            .chain(recipe::left_out_packages(self.kind))
            .map(|s| (*s).to_owned())
            .collect();
        exclude.extend(self.exclude.iter().cloned());
        for name in self.include.iter().chain(&self.packages) {
            exclude.remove(plain_name(name));
        }
        let chosen =
            debian_closure::resolve(index, platform.debian_arch(), &self.packages, &exclude)
                .map_err(|e| self.locate(e))?;
        self.warn_of_idle_exclusions(index, chosen.left_out, cx);
        let chosen = chosen.packages;
        let principal = plain_name(&self.packages[0]);
        let version = chosen
            .iter()
            .find(|p| p.name == principal)
            .map(|p| without_epoch(&p.version).to_owned())
            .unwrap_or_default();
        let mut inputs: Vec<Input> = chosen
            .iter()
            .map(|p| {
                Input::new(
                    vec![Location::Mirror {
                        mirror: self.archive.clone(),
                        path: p.filename.clone(),
                    }],
                    p.size,
                    p.sha256,
                )
            })
            .collect();
        inputs.sort();
        Ok(Resolution { version, releases: releases.clone(), inputs })
    }
}

impl DebianSpec {
    /// The error with the line of the manifest that asks for the package that it is about.
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

    /// For a toolchain of so many platforms.
    #[must_use]
    pub fn on(mut self, platforms: &[Platform]) -> Self {
        self.platforms = platforms.len();
        self
    }

    /// An exclusion that leaves nothing out, on no platform, is a wrong name as a rule.
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

struct Debian(DebianSpec);

fn bind(
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let mut fields = toolchain.fields.clone();
    let spec = DebianSpec::read(&mut fields, toolchain.kind, true, problems);
    super::finish(fields, &KIND, problems);
    let mut spec = spec?.on(&toolchain.platforms);
    // The packages of the libraries that the sysroot is to hold.
    for library in &toolchain.libraries {
        if let Some(other) = manifest.toolchains.get(&library.value) {
            // Problems with that table are told when it is read itself.
            let mut ignored = Problems::new("", "");
            let Some(found) =
                DebianSpec::read(&mut other.fields.clone(), Kind::Library, true, &mut ignored)
            else {
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
        }
    }
    Some(Box::new(Debian(spec)))
}

impl Source for Debian {
    fn request(&self, _platform: Platform) -> Request {
        self.0.request()
    }

    fn resolve(&self, platform: Platform, cx: &ResolveContext) -> Result<Resolution> {
        self.0.resolve(platform, cx)
    }
}

fn unpack(job: &Unpack) -> Result<Tree> {
    let input = job.input;
    job.fetcher
        .read(input, job.plan.snapshot().as_deref(), job.task, &mut |bytes| {
            unpack_deb(bytes, input.size, job.blobs, &|path| job.pruning.keeps(path))
        })
        .map_err(|e| {
            if e.blames_archive() {
                e.context(format!("can't unpack {}", input.file_name()))
            } else {
                e
            }
        })
}

//! Debian packages: the closure of a list of packages of a signed suite.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::rc::Rc;

use super::kind::{Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Cause, Error, Kind as ErrorKind, Place, Result, known_names, nearest};
use crate::fetch::{Http, redact, says_absent};
use crate::lockfile::{Fingerprint, TrustedRelease};
use crate::manifest::{Fields, Manifest, Problems, Spanned, Toolchain};
use crate::model::{Component, Ecosystem, Format, Input, Location, Platform, SourcePackage};
use crate::recipe::Recipe;
use crate::resolve::debian_closure;
use crate::resolve::debian_index::{Index, Package};
use crate::resolve::debian_release::Release;
use crate::resolve::debian_version::without_epoch;
use crate::unpack::decoder_for;

/// The source `debian`.
pub const KIND: SourceKind = SourceKind {
    name: "debian",
    keys: &["archive", "suite", "components", "packages", "exclude", "include"],
    bind,
};

/// What to take from a Debian archive.
#[derive(Debug, Clone)]
pub struct DebianRequest {
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

impl DebianRequest {
    /// Reads the keys of a spec; `None` if no packages are named.
    pub fn read(
        fields: &mut Fields,
        required: bool,
        problems: &mut Problems,
    ) -> Option<DebianRequest> {
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
        Some(DebianRequest {
            archive,
            suite: suite?.value,
            components,
            packages,
            exclude: plain(exclude),
            include: plain(include),
            left_out: RefCell::default(),
            platforms: 1,
            places,
        })
    }

    /// What the manifest asks for.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("archive", [&self.archive]);
        out.note("suite", [&self.suite]);
        out.note("components", &self.components);
        out.note("packages", &self.packages);
        out.note("exclude", &self.exclude);
        out.note("include", &self.include);
        out
    }

    /// The archive and the suite.
    pub fn suite(&self) -> (&str, &str) {
        (&self.archive, &self.suite)
    }

    /// What another source decided, `principal`, with the packages of a run-time laid beside it, if
    /// one is asked for.
    ///
    /// # Errors
    /// As [`DebianRequest::resolve`].
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
    /// If the index cannot be had or trusted, or a package cannot be resolved.
    pub fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let loaded = load_index(self, platform, cx)?;
        let (index, releases) = (&loaded.0, &loaded.1);
        let left_out = debian_closure::NEVER.iter().chain(recipe.left_out_packages());
        let mut exclude: BTreeSet<String> = left_out.map(|s| (*s).to_owned()).collect();
        exclude.extend(self.exclude.iter().cloned());
        for name in self.include.iter().chain(&self.packages) {
            exclude.remove(plain_name(name));
        }
        let chosen =
            debian_closure::resolve(index, platform.debian_arch(), &self.packages, &exclude)
                .map_err(|e| self.locate(e))?;
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
            Input::new(vec![location], p.size, p.sha256, Format::Deb, component)
        };
        let mut inputs: Vec<Input> = chosen.iter().map(input).collect();
        inputs.sort();
        let principal = Some(principal.to_owned());
        Ok(Resolution { version, releases: releases.clone(), principal, inputs })
    }
}

impl DebianRequest {
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

struct Debian(DebianRequest);

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let spec = DebianRequest::read(fields, true, problems);
    let mut spec = spec?.on(&toolchain.platforms);
    // The packages of the libraries that the sysroot is to hold.
    for library in &toolchain.libraries {
        if let Some(other) = manifest.toolchains.get(&library.value) {
            // Problems with that table are told when it is read itself.
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

fn load_index(
    spec: &DebianRequest,
    platform: Platform,
    cx: &ResolveContext,
) -> Result<Rc<(Index, Vec<TrustedRelease>)>> {
    let key = format!("{} {} {:?} {platform}", spec.archive, spec.suite, spec.components);
    if let Some((known, index)) = &*cx.index.borrow()
        && *known == key
    {
        return Ok(index.clone());
    }
    cx.index.replace(None);
    let now = cx.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let bases = cx.fetcher.mirrors.bases(&spec.archive, Some(&now));
    let mut refused: Vec<(&String, Error)> = vec![];
    for base in &bases {
        match read_index(spec, platform, base, cx) {
            Ok(read) => {
                for (_, e) in refused.iter().filter(|(_, e)| e.kind() == ErrorKind::Verification) {
                    cx.reporter.warn(&format!("{e}; another mirror had the right one"));
                }
                let read = Rc::new(read);
                cx.index.replace(Some((key, read.clone())));
                return Ok(read);
            }
            Err(e)
                if matches!(e.reason(), Some(Cause::NoSuchSuite | Cause::Unreachable))
                    || matches!(e.kind(), ErrorKind::Network | ErrorKind::Verification) =>
            {
                cx.reporter.detail(&format!("{}: {e}", redact(base)));
                refused.push((base, e));
            }
            Err(e) => return Err(e),
        }
    }
    let place = spec.places.get(&Named::Suite).cloned();
    let located = |error: Error| match place {
        Some(place) => error.located(place),
        None => error,
    };
    let weight = |e: &Error| match (e.kind(), e.reason()) {
        // What one mirror has wrong weighs more than that the next is out of reach.
        (ErrorKind::Verification, _) => 0,
        (_, Some(Cause::NoSuchSuite)) => 1,
        _ => 2,
    };
    let Some(gravest) = refused.iter().map(|(_, e)| weight(e)).min() else {
        return Err(located(Error::network(format!(
            "no mirror is known for the archive {:?}",
            spec.archive
        )))
        .hint(mirror_hint(spec)));
    };
    if gravest == 1 {
        return Err(located(no_such_suite(spec, &refused, &cx.fetcher.http)));
    }
    let at = refused.iter().position(|(_, e)| weight(e) == gravest).expect("one has that weight");
    let (_, first) = refused.remove(at);
    let error = refused.iter().fold(first, |error, (_, other)| error.because(other.to_string()));
    Err(error.hint(mirror_hint(spec)))
}

fn mirror_hint(spec: &DebianRequest) -> String {
    format!(
        "name a mirror that has {}: [mirrors] {} = [\"https://...\"] in toolchains.toml",
        spec.suite, spec.archive
    )
}

/// Suites that Debian's own archives have had for years, for hints where a mirror does not list its own.
const SUITES: &[&str] = &[
    "bookworm",
    "bookworm-backports",
    "bookworm-updates",
    "bullseye",
    "bullseye-updates",
    "sid",
    "stable",
    "testing",
    "trixie",
    "trixie-backports",
    "trixie-updates",
    "unstable",
];

/// The error for a suite that the mirrors which answer do not have.
fn no_such_suite(spec: &DebianRequest, refused: &[(&String, Error)], http: &Http) -> Error {
    let error = refused.iter().fold(
        Error::user(format!("no mirror has the suite {:?} of {}", spec.suite, spec.archive))
            .with_cause(Cause::NoSuchSuite),
        |error, (_, e)| error.because(e.to_string()),
    );
    let absent = refused.iter().filter(|(_, e)| e.reason() == Some(&Cause::NoSuchSuite));
    let listed: Vec<String> = absent.flat_map(|(base, _)| suites_of(http, base)).collect();
    let (known, whose): (Vec<&str>, _) = if listed.is_empty() {
        (SUITES.to_vec(), "Debian's suites")
    } else {
        (listed.iter().map(String::as_str).collect(), "the mirror's suites")
    };
    match known_names(&spec.suite, &known) {
        Some(hint) => error.hint(format!("of {whose}, {hint}")),
        None => error,
    }
    .hint(mirror_hint(spec))
}

/// The suites that a mirror shows below `dists/`, if it shows any.
fn suites_of(http: &Http, base: &str) -> Vec<String> {
    let page = format!("{base}/dists/");
    if let Some(dir) = page.strip_prefix("file://") {
        let entries = fs_err::read_dir(dir).into_iter().flatten();
        return entries
            .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
    }
    let Ok((text, _)) = http.text(&page, 1 << 20, None) else { return vec![] };
    let mut out: Vec<String> = text
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next()?.strip_suffix('/'))
        .filter(|name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        })
        .map(str::to_owned)
        .collect();
    out.sort();
    out.dedup();
    out
}

fn read_index(
    spec: &DebianRequest,
    platform: Platform,
    base: &str,
    cx: &ResolveContext,
) -> Result<(Index, Vec<TrustedRelease>)> {
    let dist = format!("{base}/dists/{}", spec.suite);
    let url = format!("{dist}/InRelease");
    let shown = redact(&url);
    let (text, _) = cx
        .fetcher
        .http
        .text(&url, 16 << 20, None)
        .map_err(|e| if says_absent(&e) { e.with_cause(Cause::NoSuchSuite) } else { e })?;
    let release = Release::verify(&text, cx.keyring, &shown)?;
    release.check_suite(&spec.suite, &shown)?;
    if let Some(known) = cx.newest_known(&spec.archive, &spec.suite)
        && release.date < known
        && cx.check_valid_until
    {
        return Err(Error::verification(format!(
            "{shown} is older than what the lock knows: {} against {known}",
            release.date
        ))
        .because("an attacker who holds back updates would show you an old one")
        .hint("ask another mirror, or accept it with --allow-expired"));
    }
    if cx.check_valid_until {
        release.check_date(cx.now, &shown)?;
    }
    let mut index = Index::default();
    for component in &spec.components {
        let wanted = |ending: &str| {
            format!("{component}/binary-{}/Packages{ending}", platform.debian_arch())
        };
        let found =
            [".xz", ".gz", ""].iter().find_map(|e| release.files.iter().find(|f| f.0 == wanted(e)));
        let Some((name, size, sha256)) = found else {
            let error = Error::user(format!(
                "{shown} lists no index of {component} for {}",
                platform.debian_arch()
            ));
            let error = match spec.places.get(&Named::Component(component.clone())) {
                Some(place) => error.located(place.clone()),
                None => error,
            };
            let known = components_of(&release, platform);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(match known_names(component, &known) {
                Some(hint) => error.hint(format!("of its components, {hint}")),
                None => error.hint(format!("it has no packages for {}", platform.debian_arch())),
            });
        };
        let by_hash =
            name.rsplit_once('/').map(|(dir, _)| format!("{dist}/{dir}/by-hash/SHA256/{sha256}"));
        let urls =
            by_hash.filter(|_| release.by_hash).into_iter().chain([format!("{dist}/{name}")]);
        let component = Component {
            ecosystem: Ecosystem::Debian,
            name: name.clone(),
            version: release.date.to_string(),
            source: None,
        };
        let locations = urls.map(Location::Url).collect();
        let input = Input::new(locations, *size, *sha256, Format::File, component);
        let task = cx.reporter.task(&format!("{} {name}", spec.suite), *size);
        // Nothing of the index is believed before its hash was right: from the cache, where only such files are.
        let path = cx.fetcher.file(&input, None, &task)?;
        let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        let decoder = decoder_for(name, file)?;
        index.read(BufReader::with_capacity(256 * 1024, decoder))?;
    }
    let locked = TrustedRelease {
        archive: spec.archive.clone(),
        suite: spec.suite.clone(),
        date: release.date.to_string(),
        key: release.key.clone(),
    };
    Ok((index, vec![locked]))
}

/// The components that a release has indexes of, for a platform.
fn components_of(release: &Release, platform: Platform) -> Vec<String> {
    let part = format!("/binary-{}/Packages", platform.debian_arch());
    let mut out: Vec<String> = release
        .files
        .iter()
        .filter_map(|(name, ..)| name.split_once(&part))
        .filter(|(component, _)| !component.contains("debian-installer"))
        .map(|(component, _)| component.to_owned())
        .collect();
    out.sort();
    out.dedup();
    out
}

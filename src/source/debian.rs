//! Debian packages: the closure of a list of packages of a signed suite.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::rc::Rc;

use super::{Resolution, ResolveContext, Source, SourceKind, Unpack};
use crate::error::{Cause, Error, Kind as ErrorKind, Place, Result, known_names, nearest};
use crate::fetch::{Http, redact, says_absent};
use crate::lockfile::{Release as LockedRelease, Request};
use crate::manifest::{Fields, Kind, Manifest, Problems, Spanned, Toolchain};
use crate::model::{Input, Location, Platform};
use crate::recipe;
use crate::resolve::debian_closure;
use crate::resolve::debian_index::Index;
use crate::resolve::debian_release::Release;
use crate::resolve::debian_version::without_epoch;
use crate::tree::Tree;
use crate::unpack::{decoder_for, unpack_deb};

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
        let loaded = load_index(self, platform, cx)?;
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

fn load_index(
    spec: &DebianSpec,
    platform: Platform,
    cx: &ResolveContext,
) -> Result<Rc<(Index, Vec<LockedRelease>)>> {
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

fn mirror_hint(spec: &DebianSpec) -> String {
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
fn no_such_suite(spec: &DebianSpec, refused: &[(&String, Error)], http: &Http) -> Error {
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
    spec: &DebianSpec,
    platform: Platform,
    base: &str,
    cx: &ResolveContext,
) -> Result<(Index, Vec<LockedRelease>)> {
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
        let input = Input::new(urls.map(Location::Url).collect(), *size, *sha256);
        let task = cx.reporter.task(&format!("{} {name}", spec.suite), *size);
        // Nothing of the index is believed before its hash was right: from the cache, where only such files are.
        let path = cx.fetcher.file(&input, None, &task)?;
        let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        let decoder = decoder_for(name, file)?;
        index.read(BufReader::with_capacity(256 * 1024, decoder))?;
    }
    let locked = LockedRelease {
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

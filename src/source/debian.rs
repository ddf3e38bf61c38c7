//! Debian packages: the closure of a list of packages of a signed suite.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::rc::Rc;

use super::kind::{Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::fetch::redact;
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
pub const KIND: SourceKind = SourceKind { name: "debian", bind };

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
        for package in packages.iter().chain(&exclude).chain(&include).flatten() {
            let name = package.value.split('=').next().unwrap_or("");
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
            debian_closure::resolve(index, platform.debian_arch(), &self.packages, &exclude)?;
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

/// The name in `name=version`.
fn plain_name(package: &str) -> &str {
    package.split('=').next().expect("a split has a first part")
}

struct Debian(DebianRequest);

fn bind(
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let mut fields = toolchain.fields.clone();
    let spec = DebianRequest::read(&mut fields, true, problems);
    fields.finish(problems);
    let mut spec = spec?;
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
    let mut refused = None;
    for base in &bases {
        match read_index(spec, platform, base, cx) {
            Ok(read) => {
                let read = Rc::new(read);
                cx.index.replace(Some((key, read.clone())));
                return Ok(read);
            }
            Err(e) if matches!(e.kind(), ErrorKind::Network | ErrorKind::Verification) => {
                cx.reporter.detail(&format!("{}: {e}", redact(base)));
                // What one mirror has wrong weighs more than that the next is out of reach.
                if refused.as_ref().is_none_or(|old: &Error| old.kind() == ErrorKind::Network) {
                    refused = Some(e);
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(refused
        .unwrap_or_else(|| {
            Error::network(format!("no mirror is known for the archive {:?}", spec.archive))
        })
        .hint(format!(
            "name a mirror that has {}: [mirrors] {} = [\"https://...\"] in toolchains.toml",
            spec.suite, spec.archive
        )))
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
    let (text, _) = cx.fetcher.http.text(&url, 16 << 20, None)?;
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
            return Err(Error::user(format!(
                "{shown} lists no index of {component} for {}",
                platform.debian_arch()
            )));
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

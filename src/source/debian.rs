//! Debian packages: the closure of a list of packages of a signed suite.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::rc::Rc;

use super::{Resolution, ResolveContext, Source, SourceKind, Unpack};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::fetch::redact;
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
pub const KIND: SourceKind = SourceKind { name: "debian", bind, unpack };

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
    kind: Kind,
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
        Some(DebianSpec {
            archive,
            suite: suite?.value,
            components,
            packages,
            exclude: plain(exclude),
            include: plain(include),
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
            exclude.remove(name.split('=').next().expect("a split has a first part"));
        }
        let chosen =
            debian_closure::resolve(index, platform.debian_arch(), &self.packages, &exclude)?;
        let principal = self.packages[0].split('=').next().expect("a split has a first part");
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

struct Debian(DebianSpec);

fn bind(
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let mut fields = toolchain.fields.clone();
    let spec = DebianSpec::read(&mut fields, toolchain.kind, true, problems);
    fields.finish(problems);
    let mut spec = spec?;
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
    let pruning = recipe::Pruning::of(job.plan)?;
    job.fetcher
        .read(input, job.plan.snapshot().as_deref(), job.task, &mut |bytes| {
            unpack_deb(bytes, input.size, job.blobs, &|path| pruning.keeps(path))
        })
        .map_err(|e| {
            if e.kind() == ErrorKind::Verification && e.message().starts_with("the archive") {
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
    spec: &DebianSpec,
    platform: Platform,
    base: &str,
    cx: &ResolveContext,
) -> Result<(Index, Vec<LockedRelease>)> {
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

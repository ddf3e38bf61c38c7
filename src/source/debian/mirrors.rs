//! Loads the index of a suite from the mirrors, and builds the error if no mirror has it.

use std::io::BufReader;
use std::rc::Rc;

use super::super::kind::ResolveContext;
use super::request::{DebianRequest, Named};
use crate::error::{Cause, Error, ErrorKind, Result, known_names};
use crate::fetch::{Http, redact, says_absent};
use crate::lockfile::TrustedRelease;
use crate::model::{Component, Ecosystem, Format, Input, Location, Platform};
use crate::resolve::debian_index::Index;
use crate::resolve::debian_release::Release;
use crate::unpack::decoder_for;

/// Returns the index of a suite from the first mirror that has it and can be trusted. The index
/// read last is kept in memory.
///
/// # Errors
/// If no mirror has the suite, or if none can be reached or trusted.
pub(super) fn load_index(
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
        // A mirror that delivers something wrong matters more than a later mirror that cannot be
        // reached.
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

/// Suites that Debian's own archives have offered for years. They are used in hints if a mirror
/// does not list its suites.
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

/// Returns the error for a suite that none of the responding mirrors has.
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

/// Returns the suites that a mirror lists below `dists/`, if it lists any.
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
        // Read the index from the cache, because only verified files are there: no part of the
        // index is used before its hash has been verified.
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

/// Returns the components for which a release has indexes for a platform.
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

//! Loads the indexes of suites from the mirrors, and builds the error if no mirror has one.

use std::rc::Rc;

use super::super::kind::ResolveContext;
use super::request::DebianRequest;
use super::suites::SuiteRequest;
use crate::error::{Cause, Error, ErrorKind, Result, known_names};
use crate::fetch::{Http, SNAPSHOT, local_path, redact, says_absent};
use crate::lockfile::TrustedRelease;
use crate::model::{Component, Ecosystem, Format, Input, Location, Platform};
use crate::resolve::debian_index::{self, Index, Package};
use crate::resolve::debian_release::Release;
use crate::resolve::openpgp::MOST_TEXT;

/// A suite as a mirror had it.
struct LoadedSuite {
    packages: Vec<Package>,
    priority: u32,
    release: TrustedRelease,
}

/// Returns the index of all suites of a request. Each suite comes from the first mirror that has it
/// and can be trusted. The index read last is kept in memory.
///
/// # Errors
/// If no mirror has one of the suites, or if none can be reached or trusted.
pub(super) fn load_index(
    spec: &DebianRequest,
    platform: Platform,
    cx: &ResolveContext,
) -> Result<Rc<(Index, Vec<TrustedRelease>)>> {
    let suites: Vec<String> = spec.suites.iter().map(identity).collect();
    let key = format!("{platform} {}", suites.join("\n"));
    if let Some((known, index)) = &*cx.index.borrow()
        && *known == key
    {
        return Ok(index.clone());
    }
    cx.index.replace(None);
    let (mut index, mut releases) = (Index::default(), vec![]);
    for suite in &spec.suites {
        suite.check_snapshot(cx.now)?;
        let loaded = load_suite(suite, platform, cx)?;
        index.add_suite(suite.priority.unwrap_or(loaded.priority), loaded.packages);
        releases.push(loaded.release);
    }
    let read = Rc::new((index, releases));
    cx.index.replace(Some((key, read.clone())));
    Ok(read)
}

/// Returns a text that two suites share only if they have the same packages with the same
/// precedence.
fn identity(suite: &SuiteRequest) -> String {
    format!(
        "{:?}",
        (
            &suite.family,
            &suite.urls,
            &suite.suite,
            &suite.components,
            &suite.key,
            suite.priority,
            &suite.snapshot
        )
    )
}

fn load_suite(
    suite: &SuiteRequest,
    platform: Platform,
    cx: &ResolveContext,
) -> Result<LoadedSuite> {
    let bases = suite.bases(cx);
    let mut refused: Vec<(&String, Error)> = vec![];
    for base in &bases {
        match read_suite(suite, platform, base, cx) {
            Ok(read) => {
                for (_, e) in refused.iter().filter(|(_, e)| e.kind() == ErrorKind::Verification) {
                    cx.reporter.warn(&format!("{e}; another mirror had the right one"));
                }
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
    let located = |error: Error| error.located(suite.place.clone());
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
            suite.archive()
        )))
        .hint(mirror_hint(suite)));
    };
    if gravest == 1 {
        return Err(located(no_such_suite(suite, &refused, &cx.fetcher.http)));
    }
    let at = refused.iter().position(|(_, e)| weight(e) == gravest).expect("one has that weight");
    let (_, first) = refused.remove(at);
    let error = refused.iter().fold(first, |error, (_, other)| error.because(other.to_string()));
    Err(located(error.hint(mirror_hint(suite))))
}

fn mirror_hint(suite: &SuiteRequest) -> String {
    let name = &suite.suite;
    match (&suite.snapshot, &suite.family) {
        (Some(snapshot), _) => format!(
            "name an archive of old files that has {name} at {}: [mirrors] {SNAPSHOT} = [\"https://...\"] in toolchains.toml, or COTTER_MIRROR_SNAPSHOT",
            snapshot.text
        ),
        (None, Some(family)) => format!(
            "name a mirror that has {name}: [mirrors] {family} = [\"https://...\"] in toolchains.toml"
        ),
        (None, None) => format!("check that `urls` of the suite {name} leads to its archive"),
    }
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
fn no_such_suite(spec: &SuiteRequest, refused: &[(&String, Error)], http: &Http) -> Error {
    let error = refused.iter().fold(
        Error::user(format!(
            "no mirror has the suite {:?} of {}",
            spec.suite,
            spec.shown_archive()
        ))
        .with_cause(Cause::NoSuchSuite),
        |error, (_, e)| error.because(e.to_string()),
    );
    let absent = refused.iter().filter(|(_, e)| e.reason() == Some(&Cause::NoSuchSuite));
    let listed: Vec<String> = absent.flat_map(|(base, _)| suites_of(http, base)).collect();
    let (known, whose): (Vec<&str>, _) = if listed.is_empty() && !spec.urls.is_empty() {
        return error.hint(mirror_hint(spec));
    } else if listed.is_empty() {
        (SUITES.to_vec(), "Debian's suites")
    } else {
        (listed.iter().map(String::as_str).collect(), "the mirror's suites")
    };
    if spec.suite.ends_with("-security") && spec.shown_archive() == "debian" {
        return error.hint(format!(
            "security updates are in an archive of their own: {{ archive = \"debian-security\", suite = {:?} }}",
            spec.suite
        ));
    }
    match known_names(&spec.suite, &known) {
        Some(hint) => error.hint(format!("of {whose}, {hint}")),
        None => error,
    }
    .hint(mirror_hint(spec))
}

/// Returns the suites that a mirror lists below `dists/`, if it lists any.
fn suites_of(http: &Http, base: &str) -> Vec<String> {
    let page = format!("{base}/dists/");
    if let Some(dir) = local_path(&page) {
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

/// Returns the verified release of a suite: `InRelease`, or `Release` with `Release.gpg` if the
/// mirror has no such file. `dir` is the directory of the suite.
fn read_release(suite: &SuiteRequest, dir: &str, cx: &ResolveContext) -> Result<(Release, String)> {
    let text = |name: &str| {
        let got = cx.fetcher.http.text(&format!("{dir}/{name}"), MOST_TEXT, None);
        got.map(|(text, _)| text)
    };
    let absent = |e: Error| if says_absent(&e) { e.with_cause(Cause::NoSuchSuite) } else { e };
    let own = suite.keyring(cx)?;
    let keyring = own.as_ref().unwrap_or(cx.keyring);
    let shown = |name: &str| redact(&format!("{dir}/{name}"));
    match text("InRelease") {
        Ok(text) => {
            let shown = shown("InRelease");
            Ok((Release::verify(&text, keyring, cx.now, &shown)?, shown))
        }
        Err(first) if says_absent(&first) => {
            // The message is about the file that archives usually have.
            let Ok(plain) = text("Release") else { return Err(absent(first)) };
            let armour = text("Release.gpg").map_err(absent)?;
            let shown = shown("Release");
            Ok((Release::verify_detached(&plain, &armour, keyring, cx.now, &shown)?, shown))
        }
        Err(e) => Err(e),
    }
}

fn read_suite(
    suite: &SuiteRequest,
    platform: Platform,
    base: &str,
    cx: &ResolveContext,
) -> Result<LoadedSuite> {
    let dir = match suite.suite.strip_suffix('/') {
        Some("." | "") => base.to_owned(),
        Some(path) => format!("{base}/{}", path.trim_start_matches("./")),
        None => format!("{base}/dists/{}", suite.suite),
    };
    let (release, shown) = read_release(suite, &dir, cx)?;
    // A flat archive has no suites.
    if !suite.is_flat() {
        release.check_suite(&suite.suite, &shown)?;
    }
    if let Some(snapshot) = &suite.snapshot {
        release.check_snapshot(snapshot.time, &shown)?;
    } else if let Some(known) = cx.newest_known(suite.archive(), &suite.suite)
        && release.date < known
    {
        return Err(Error::verification(format!(
            "{shown} is older than what the lock knows: {} against {known}",
            release.date
        ))
        .because("an attacker who holds back updates would show you an old one")
        .hint("ask another mirror; to go back on purpose, run `cotter lock --fresh`, which forgets what the lock knows"));
    }
    if cx.check_valid_until {
        release.check_date(suite.judged_at(cx), &shown)?;
    }
    if let Some(text) = suite.moves(&release) {
        cx.reporter.warn(&text);
    }
    let mut packages = vec![];
    for (name, size, sha256) in indexes(suite, platform, &release, &shown)? {
        let by_hash = match name.rsplit_once('/') {
            Some((part, _)) => format!("{dir}/{part}/by-hash/SHA256/{sha256}"),
            None => format!("{dir}/by-hash/SHA256/{sha256}"),
        };
        let by_hash = Some(by_hash).filter(|_| release.by_hash);
        let urls = by_hash.into_iter().chain([format!("{dir}/{name}")]);
        let component = Component {
            ecosystem: Ecosystem::Debian,
            name: name.clone(),
            version: release.date.to_string(),
            source: None,
        };
        let locations = urls.map(Location::Url).collect();
        let input = Input::new(locations, *size, *sha256, Format::File, component);
        // Read the index from the cache, because only verified files are there: no part of the
        // index is used before its hash has been verified.
        let fetch = || {
            let task = cx.reporter.task(&format!("{} {name}", suite.suite), *size);
            cx.fetcher.file(&input, None, &task)
        };
        let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        let text = release.files.iter().find(|file| stem == Some(&file.0));
        let text = text.map(|(_, size, sha256)| (*sha256, *size));
        packages.extend(cx.fetcher.index(name, text, fetch, &debian_index::read)?);
    }
    // The index of a flat archive may have the packages of several architectures.
    let own = platform.debian_arch();
    packages.retain(|p| p.architecture == own || p.architecture == "all");
    let trusted = TrustedRelease {
        archive: suite.archive().to_owned(),
        suite: suite.suite.clone(),
        date: release.date.to_string(),
        key: release.key.clone(),
    };
    Ok(LoadedSuite { packages, priority: release.priority, release: trusted })
}

/// The endings of compressed indexes, those that are preferred first.
const ENDINGS: [&str; 3] = [".xz", ".gz", ".zst"];

/// A file that a release lists: its name, its length in bytes and its digest.
type Listed = (String, u64, crate::model::Digest);

/// Returns the indexes that a release lists for the components of a suite and a platform.
fn indexes<'a>(
    suite: &SuiteRequest,
    platform: Platform,
    release: &'a Release,
    shown: &str,
) -> Result<Vec<&'a Listed>> {
    let find = |stem: &str| {
        let endings = ENDINGS.iter().chain(&[""]);
        endings
            .into_iter()
            .find_map(|ending| release.files.iter().find(|f| f.0 == format!("{stem}{ending}")))
    };
    let located = |error: Error, place| error.located(place);
    if suite.is_flat() {
        return match find("Packages") {
            Some(found) => Ok(vec![found]),
            None => Err(located(
                Error::user(format!("{shown} lists no file Packages")).hint(
                    "an archive with components is no flat one: name its suite without a slash at the end",
                ),
                suite.place.clone(),
            )),
        };
    }
    let architecture = platform.debian_arch();
    let mut out = vec![];
    for component in &suite.components {
        let own = find(&format!("{component}/binary-{architecture}/Packages"));
        let all = find(&format!("{component}/binary-all/Packages")).filter(|_| release.all_apart);
        if own.is_none() && all.is_none() {
            let error =
                Error::user(format!("{shown} lists no index of {component} for {architecture}"));
            let place = suite.component_places.get(component).unwrap_or(&suite.place);
            let known = components_of(release, platform);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = match known_names(component, &known) {
                Some(hint) => format!("of its components, {hint}"),
                None if release.architectures.is_empty() => {
                    format!("it has no packages for {architecture}")
                }
                None => format!(
                    "it has no packages for {architecture}, only for {}: name the platforms that it has with `platforms`",
                    release.architectures.join(", ")
                ),
            };
            return Err(located(error.hint(hint), place.clone()));
        }
        out.extend(own);
        out.extend(all);
    }
    Ok(out)
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

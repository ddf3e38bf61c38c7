//! The suites of a request: where each one is, who signs it, and which of its packages count.

use std::cell::Cell;
use std::collections::BTreeMap;

use fs_err as fs;
use jiff::Timestamp;

use super::super::kind::ResolveContext;
use crate::error::{Error, Place, Result};
use crate::fetch::{SNAPSHOT, encode, snapshot_path};
use crate::manifest::{Fields, NameOrTable, Problems, Spanned};
use crate::model::{Location, has_login};
use crate::resolve::debian_release::{Keyring, Release};

/// The greatest size in bytes of a file of keys. Debian's own keyring has less than 100 KB.
const MOST_KEYS: u64 = 1 << 20;

/// The mirror family of a suite for which the manifest names none.
const DEBIAN: &str = "debian";

/// The beginning of the names of the families of Debian's own archives.
const DEBIAN_FAMILIES: &str = "debian";

/// The beginnings of the names that mean another release of Debian after each publication.
const MOVING: &[&str] = &["oldoldstable", "oldstable", "stable", "testing"];

/// The greatest priority, as in apt.
const MOST_PRIORITY: u64 = 32767;

/// One suite of an archive.
#[derive(Debug, Clone)]
pub struct SuiteRequest {
    /// The mirror family of the archive. An archive with URLs of its own may have none.
    pub family: Option<String>,
    /// The URLs of an archive that is no archive of Debian, in the order in which they are tried.
    pub urls: Vec<String>,
    /// The suite. The suite of a flat archive ends in `/`: it is a path below the archive.
    pub suite: String,
    /// The components. A flat archive has none.
    pub components: Vec<String>,
    /// The file with the keys that may sign the suite, relative to the manifest.
    pub key: Option<String>,
    /// The priority of its packages. Without a value, the release determines it.
    pub priority: Option<u32>,
    /// The date for which the suite is asked.
    pub snapshot: Option<Snapshot>,
    /// The place of the suite in the manifest.
    pub place: Place,
    /// The places of its components.
    pub component_places: BTreeMap<String, Place>,
    /// Whether it was told that its name will mean another release.
    pub told: Cell<bool>,
}

/// A point in time for which an archive of old Debian files is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The point in time.
    pub time: Timestamp,
    /// Its form in paths: `YYYYMMDDTHHMMSSZ`.
    pub text: String,
}

impl std::str::FromStr for Snapshot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let compact = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok();
        let date = || text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10);
        let civil = compact.or_else(|| Some(date()?.at(0, 0, 0, 0)));
        let time = civil
            .and_then(|civil| jiff::tz::Offset::UTC.to_timestamp(civil).ok())
            .or_else(|| text.parse::<Timestamp>().ok())
            .ok_or_else(|| {
                format!(
                    "expected a date such as \"2026-08-18\" or a time such as \"20260818T093000Z\", got {text:?}"
                )
            })?;
        Ok(Snapshot { time, text: time.strftime("%Y%m%dT%H%M%SZ").to_string() })
    }
}

/// What the table of a toolchain says for those of its suites that say nothing themselves.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The mirror family.
    pub archive: String,
    /// The components.
    pub components: Vec<String>,
    /// The places of the components.
    pub component_places: BTreeMap<String, Place>,
    /// The date.
    pub snapshot: Option<Snapshot>,
}

impl Defaults {
    /// Reads the keys of a toolchain's table.
    pub fn read(fields: &mut Fields, problems: &mut Problems) -> Defaults {
        let archive = read_family(fields, problems).map_or_else(|| DEBIAN.to_owned(), |s| s.value);
        let (components, component_places) = match read_components(fields, problems) {
            Some((components, places)) => (components, places),
            None => (vec!["main".to_owned()], BTreeMap::new()),
        };
        let snapshot = read_snapshot(fields, problems);
        Defaults { archive, components, component_places, snapshot }
    }
}

fn read_family(fields: &mut Fields, problems: &mut Problems) -> Option<Spanned<String>> {
    let family = fields.string("archive", problems)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if family.value.is_empty()
        || !family.value.bytes().all(plain)
        || ["python", SNAPSHOT].contains(&family.value.as_str())
    {
        problems.add(
            family.span.clone(),
            format!(
                "archive: expected the name of a mirror family of lower-case letters, digits, dots and dashes, such as \"debian-security\", got {:?}",
                family.value
            ),
        );
    }
    Some(family)
}

fn read_components(
    fields: &mut Fields,
    problems: &mut Problems,
) -> Option<(Vec<String>, BTreeMap<String, Place>)> {
    let list = fields.string_list("components", problems)?;
    let mut places = BTreeMap::new();
    for component in &list {
        places
            .entry(component.value.clone())
            .or_insert_with(|| problems.place(component.span.start));
    }
    Some((list.into_iter().map(|c| c.value).collect(), places))
}

fn read_snapshot(fields: &mut Fields, problems: &mut Problems) -> Option<Snapshot> {
    crate::manifest::parsed(fields, "snapshot", problems)
}

/// Reads the suites of a toolchain's table.
pub fn read(
    fields: &mut Fields,
    required: bool,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Vec<SuiteRequest> {
    if required {
        fields.require("suite", problems);
    }
    let (span, before) = (fields.value_span("suite"), problems.count());
    let Some(entries) = fields.names_or_tables("suite", problems) else { return vec![] };
    if entries.is_empty() && problems.count() == before {
        problems.add(span, "expected at least one suite, such as \"bookworm\", got none");
    }
    let mut out: Vec<SuiteRequest> = vec![];
    for entry in entries {
        let (span, suite) = match entry {
            NameOrTable::Name(name) => (name.span.clone(), of_name(name, defaults, problems)),
            NameOrTable::Table(table) => (table.span(), of_table(table, defaults, problems)),
        };
        let Some(suite) = suite else { continue };
        match out.iter().find(|other| other.is_same(&suite)) {
            Some(first) => problems.add(
                span,
                format!(
                    "the suite {:?} of {} stands here twice; the first is at {}: leave one of them out",
                    suite.suite,
                    suite.shown_archive(),
                    first.place
                ),
            ),
            None => out.push(suite),
        }
    }
    out
}

fn check_name(suite: &Spanned<String>, problems: &mut Problems) {
    let path = suite.value.strip_suffix('/').unwrap_or(&suite.value);
    if (path.is_empty() && suite.value != "/")
        || path.contains([' ', ':', '=', '?', '#', '%'])
        || path.split('/').any(|p| p == ".." || (p.is_empty() && !path.is_empty()))
    {
        problems.add(
            suite.span.clone(),
            format!(
                "expected the name of a suite such as \"bookworm\", or \"./\" for a flat archive, got {:?}",
                suite.value
            ),
        );
    }
}

fn of_name(
    name: Spanned<String>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<SuiteRequest> {
    check_name(&name, problems);
    let is_flat = name.value.ends_with('/');
    Some(SuiteRequest {
        family: Some(defaults.archive.clone()),
        urls: vec![],
        components: if is_flat { vec![] } else { defaults.components.clone() },
        suite: name.value,
        key: None,
        priority: None,
        snapshot: defaults.snapshot.clone(),
        place: problems.place(name.span.start),
        component_places: defaults.component_places.clone(),
        told: Cell::default(),
    })
}

fn of_table(
    mut table: Fields,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<SuiteRequest> {
    let before = problems.count();
    let place = problems.place(table.span().start);
    let suite = table.required_string("suite", problems);
    if let Some(suite) = &suite {
        check_name(suite, problems);
    }
    let family = read_family(&mut table, problems);
    let urls_span = table.value_span("urls");
    let urls = table.string_list("urls", problems);
    for url in urls.iter().flatten() {
        if url.value.starts_with("mirror:")
            || url.value.starts_with("s3:")
            || url.value.parse::<Location>().is_err()
        {
            problems.add(
                url.span.clone(),
                format!(
                    "urls: expected an https://, http:// or file:/// URL, got {:?}",
                    crate::model::redact(&url.value)
                ),
            );
        } else if has_login(&url.value) {
            problems.add(
                url.span.clone(),
                "urls: the lock would contain the credentials of this URL: put them into ~/.netrc (or the file that NETRC names)",
            );
        }
    }
    let has_urls = urls.is_some();
    if urls.as_ref().is_some_and(Vec::is_empty) {
        problems.add(urls_span, "urls: expected at least one URL, got none");
    }
    if let Some(family) = &family
        && has_urls
        && family.value.starts_with(DEBIAN_FAMILIES)
    {
        problems.add(
            family.span.clone(),
            format!(
                "the mirrors of {:?} are Debian's: put them under [mirrors], or give the archive of `urls` another name",
                family.value
            ),
        );
    }
    let flat = suite.as_ref().is_some_and(|suite| suite.value.ends_with('/'));
    let components_span = table.key_span("components");
    let (components, component_places) = match read_components(&mut table, problems) {
        Some((components, _)) if flat && !components.is_empty() => {
            problems.add(
                components_span,
                "a flat archive, whose suite ends in a slash, has no components: leave them out",
            );
            (vec![], BTreeMap::new())
        }
        Some((components, _)) if components.is_empty() && !flat => {
            problems.add(components_span, "components: expected at least one, got none");
            (vec![], BTreeMap::new())
        }
        Some(found) => found,
        None if flat => (vec![], BTreeMap::new()),
        // The components of a vendor's archive are its own.
        None if has_urls => (vec!["main".to_owned()], BTreeMap::new()),
        None => (defaults.components.clone(), defaults.component_places.clone()),
    };
    let key = table.string("key", problems).map(|key| key.value);
    let priority = table.number("priority", problems).and_then(|priority| {
        let valid = (1..=MOST_PRIORITY).contains(&priority.value);
        if !valid {
            problems.add(
                priority.span,
                format!("priority: expected a number from 1 to {MOST_PRIORITY}, got {}: to use no package of a suite, leave the suite out", priority.value),
            );
        }
        u32::try_from(priority.value).ok().filter(|_| valid)
    });
    let snapshot_span = table.key_span("snapshot");
    let own_snapshot = read_snapshot(&mut table, problems);
    if own_snapshot.is_some() && has_urls {
        problems.add(
            snapshot_span,
            "only Debian's archives are kept at dates, and this one has `urls` of its own: name the URL of its state at that date, if it has one",
        );
    }
    let snapshot = own_snapshot.or_else(|| defaults.snapshot.clone()).filter(|_| !has_urls);
    table.finish(problems);
    (problems.count() == before).then_some(())?;
    let family = match family {
        Some(family) => Some(family.value),
        None if has_urls => None,
        None => Some(defaults.archive.clone()),
    };
    let trimmed = |url: Spanned<String>| url.value.trim_end_matches('/').to_owned();
    Some(SuiteRequest {
        family,
        urls: urls.unwrap_or_default().into_iter().map(trimmed).collect(),
        suite: suite?.value,
        components,
        key,
        priority,
        snapshot,
        place,
        component_places,
        told: Cell::default(),
    })
}

impl SuiteRequest {
    /// Whether the suite is a directory of a flat archive, without components.
    pub fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// Returns the name of the archive in the lock: its family, or its first URL.
    pub fn archive(&self) -> &str {
        self.family.as_deref().or(self.urls.first().map(String::as_str)).unwrap_or_default()
    }

    /// Returns the name of the archive for messages.
    pub fn shown_archive(&self) -> String {
        crate::model::redact(self.archive())
    }

    /// Whether two requests concern the same suite of the same archive at the same time.
    pub fn is_same(&self, other: &SuiteRequest) -> bool {
        (self.archive(), &self.urls, &self.suite, &self.snapshot)
            == (other.archive(), &other.urls, &other.suite, &other.snapshot)
    }

    /// Refuses a date that has not come yet.
    ///
    /// # Errors
    /// If the suite is asked for at a time after `now`.
    pub fn check_snapshot(&self, now: Timestamp) -> Result<()> {
        match &self.snapshot {
            Some(snapshot) if snapshot.time > now => {
                Err(Error::user(format!("no suite is known as it will be at {}", snapshot.text))
                    .because(format!("expected a date before now, {now}"))
                    .hint("name a date that has passed, or leave `snapshot` out for the suites as they are now")
                    .located(self.place.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Returns what there is to tell about a name such as `stable`, which means another release after
    /// some time, if `release` is the one that it means now. It is told once.
    pub fn moves(&self, release: &Release) -> Option<String> {
        let codename = release.codename.as_deref()?;
        let name = self.suite.as_str();
        let moves = self.urls.is_empty()
            && codename != name
            && MOVING.contains(&name.split('-').next().unwrap_or_default());
        (moves && !self.told.replace(true)).then(|| {
            format!(
                "{}: {name:?} is {codename} today and another release after the next one is published, so that a later `cotter lock` may take everything from there: write {codename:?}",
                self.place
            )
        })
    }

    /// Whether it is an archive of Debian that only adds to another suite.
    pub fn only_adds(&self) -> bool {
        ["-security", "-updates", "-backports"].iter().any(|end| self.suite.ends_with(end))
    }

    /// Returns the suite as the fingerprint shows it: its name, followed by what differs from the
    /// `defaults` of the toolchain.
    pub fn described(&self, defaults: &Defaults) -> String {
        let mut words = vec![];
        if self.family.as_deref() != Some(&defaults.archive) {
            words.extend(self.family.as_ref().map(|family| format!("archive {family}")));
        }
        if !self.urls.is_empty() {
            words.push(format!("urls {}", self.urls.join(" ")));
        }
        if self.components != defaults.components && !self.is_flat() {
            words.push(format!("components {}", self.components.join(" ")));
        }
        words.extend(self.key.as_ref().map(|key| format!("key {key}")));
        words.extend(self.priority.map(|priority| format!("priority {priority}")));
        if self.snapshot != defaults.snapshot {
            words.extend(self.snapshot.as_ref().map(|s| format!("snapshot {}", s.text)));
        }
        if words.is_empty() {
            return self.suite.clone();
        }
        format!("{} ({})", self.suite, words.join("; "))
    }

    /// Returns the URLs of the archive, in the order in which they are asked for the index.
    pub fn bases(&self, cx: &ResolveContext) -> Vec<String> {
        let mirrors = &cx.fetcher.mirrors;
        if let (Some(snapshot), Some(family)) = (&self.snapshot, &self.family) {
            let path = snapshot_path(family, &snapshot.text);
            let bases = mirrors.bases(SNAPSHOT, None);
            return bases.iter().map(|base| format!("{base}/{path}")).collect();
        }
        let now = cx.now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut out =
            self.family.as_ref().map_or_else(Vec::new, |family| mirrors.bases(family, Some(&now)));
        out.extend(self.urls.iter().cloned());
        out
    }

    /// Returns the possible locations of a file of the archive.
    pub fn locations(&self, path: &str) -> Vec<Location> {
        let mut out = vec![];
        if let Some(family) = &self.family {
            out.push(Location::Mirror { mirror: family.clone(), path: path.to_owned() });
            out.extend(self.snapshot.as_ref().map(|snapshot| Location::Mirror {
                mirror: SNAPSHOT.to_owned(),
                path: format!("{}/{path}", snapshot_path(family, &snapshot.text)),
            }));
        }
        let url = |base: &String| Location::Url(format!("{base}/{}", encode(path)));
        out.extend(self.urls.iter().map(url));
        out
    }

    /// Returns the time at which the validity of the release is judged.
    pub fn judged_at(&self, cx: &ResolveContext) -> Timestamp {
        self.snapshot.as_ref().map_or(cx.now, |snapshot| snapshot.time)
    }

    /// Returns the keys that may sign the suite, if it names some.
    ///
    /// # Errors
    /// If their file cannot be read, or contains no key.
    pub fn keyring(&self, cx: &ResolveContext) -> Result<Option<Keyring>> {
        let Some(file) = &self.key else { return Ok(None) };
        let path = cx.dir.join(file);
        let is_wrong = |meta: &std::fs::Metadata| !meta.is_file() || meta.len() > MOST_KEYS;
        if fs::metadata(&path).is_ok_and(|meta| is_wrong(&meta)) {
            // Reading a pipe or a device might never end.
            return Err(Error::user(format!("{file} is no keyring"))
                .because(format!("expected a file of at most {MOST_KEYS} bytes"))
                .located(self.place.clone()));
        }
        let keyring = fs::read(&path)
            .map_err(|e| {
                Error::unreadable(&path, e)
                    .hint("`key` of the suite names it, relative to toolchains.toml")
            })
            .and_then(|bytes| Keyring::parse(&bytes, file));
        keyring.map(Some).map_err(|e| e.located(self.place.clone()))
    }
}

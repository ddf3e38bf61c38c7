//! The source for plain archives and single files by URL: tar (gz, xz, zst, bz2 or uncompressed),
//! zip, or one program.

use super::debian::DebianRequest;
use super::kind::{Additions, Foreign, Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Cause, Error, ErrorKind, Measure, Place, Result};
use crate::fetch::{Candidate, Refusals, nowhere, redact, says_absent};
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, Problems, Spanned, Toolchain};
use crate::model::{
    Component, Digest, Ecosystem, Format, Input, Kind, Layout, Location, MemberPath, Platform,
    ToolchainName, has_login,
};
use crate::recipe::Recipe;

/// The source `archive`.
pub const KIND: SourceKind = SourceKind {
    name: "archive",
    keys: &["version", "url", "urls", "sha256", "strip_prefix", "file_name", "platform"],
    bind,
};

/// The placeholders that a URL may contain.
const PLACEHOLDERS: [&str; 3] = ["version", "platform", "cpu"];

#[derive(Debug, Clone, Default)]
struct Download {
    urls: Vec<String>,
    sha256: Option<Digest>,
    strip_prefix: Option<String>,
    file_name: Option<String>,
    /// Whether the manifest names URLs, valid or not.
    given: bool,
    /// The place in the manifest where the URLs are named.
    place: Option<Place>,
}

/// A request for an archive.
pub(super) struct Archive {
    toolchain: ToolchainName,
    version: String,
    common: Download,
    platforms: Vec<(Platform, Download)>,
    runtime: Option<DebianRequest>,
}

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    _manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let version = fields.string("version", problems);
    Some(Box::new(read(fields, version.as_ref(), toolchain, problems)?))
}

/// Reads the keys of an archive, besides its version. `None`: problems were added.
pub(super) fn read(
    fields: &mut Fields,
    version: Option<&Spanned<String>>,
    toolchain: &Toolchain,
    problems: &mut Problems,
) -> Option<Archive> {
    match version {
        Some(version) => check_version(&version.value, version.span.clone(), problems),
        None => fields.require("version", problems),
    }
    let common = read_download(fields, problems);
    let mut platforms = vec![];
    fields.platform_tables(problems, &mut |platform, inner, problems| {
        let mut download = read_download(inner, problems);
        download.strip_prefix = download.strip_prefix.or(common.strip_prefix.clone());
        download.file_name = download.file_name.or(common.file_name.clone());
        if !download.given {
            download.urls = common.urls.clone();
            download.given = common.given;
            download.place = common.place.clone();
        }
        platforms.push((platform, download));
    });
    let of = |platform: &Platform| {
        platforms.iter().find(|(p, _)| p == platform).map_or(&common, |(_, d)| d)
    };
    let (with, without): (Vec<Platform>, Vec<Platform>) =
        toolchain.platforms.iter().partition(|p| of(p).given);
    for platform in without {
        let key = format!("[toolchains.{}.platform.{platform}]", toolchain.name);
        problems.add(
            fields.span(),
            match with.as_slice() {
                [] => format!("an archive needs the key \"url\", here or in {key}"),
                others => format!(
                    "[toolchains.{}] has no URL for {platform}: add `url` to {key}, or leave the platform out: platforms = [{}]",
                    toolchain.name,
                    others.iter().map(|p| format!("{:?}", p.as_str())).collect::<Vec<_>>().join(", ")
                ),
            },
        );
    }
    let runtime = DebianRequest::read(fields, false, problems)
        .filter(|s| !s.packages.is_empty())
        .map(|s| s.on(&toolchain.platforms));
    let toolchain = toolchain.name.clone();
    Some(Archive { toolchain, version: version?.value.clone(), common, platforms, runtime })
}

/// Reports an invalid version. The version becomes part of names.
pub(super) fn check_version(text: &str, span: std::ops::Range<usize>, problems: &mut Problems) {
    let ok = !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._~:!".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !ok {
        problems.add(span, format!("expected a version such as \"1.2.3\", got {text:?}"));
    }
}

/// Returns what is wrong with a URL with a login: it would go into the lock.
pub(super) fn login_in(url: &str) -> String {
    format!(
        "expected a URL without a user name and a password, which the lock would hold, got {:?}: put them into ~/.netrc (or the file that NETRC names)",
        redact(url)
    )
}

fn read_download(fields: &mut Fields, problems: &mut Problems) -> Download {
    let mut out = Download::default();
    for key in ["url", "urls"] {
        out.given |= fields.has(key);
        for url in fields.string_list(key, problems).unwrap_or_default() {
            out.place.get_or_insert_with(|| problems.place(url.span.start));
            if let Some(why) = wrong_placeholder(&url.value) {
                problems.add(url.span, why);
                continue;
            }
            if has_login(&url.value) {
                problems.add(url.span, login_in(&url.value));
                continue;
            }
            match url.value.parse::<Location>() {
                Ok(Location::Bucket(_)) => problems.add(
                    url.span,
                    "expected an https://, http:// or file:/// URL, got one of a bucket: name the object by its https:// address",
                ),
                Ok(_) => out.urls.push(url.value),
                Err(why) => problems.add(url.span, why),
            }
        }
    }
    if let Some(hash) = fields.string("sha256", problems) {
        match hash.value.parse() {
            Ok(digest) => out.sha256 = Some(digest),
            Err(why) => problems.add(hash.span, why),
        }
    }
    if let Some(prefix) = fields.string("strip_prefix", problems) {
        match MemberPath::parse(prefix.value.as_bytes()) {
            Ok(clean) => out.strip_prefix = clean.map(|p| p.to_string()),
            Err(why) => problems.add(prefix.span, why.to_string()),
        }
    }
    out.file_name = fields.string("file_name", problems).map(|s| s.value);
    out
}

/// Returns what is wrong with the placeholders of a URL. A URL contains no braces otherwise (RFC
/// 3986, section 2).
fn wrong_placeholder(url: &str) -> Option<String> {
    let known = "there are {version}, {platform} (such as x86_64-linux) and {cpu} (such as x86_64)";
    let mut rest = url;
    while let Some(at) = rest.find(['{', '}']) {
        let Some((name, after)) = rest[at..].strip_prefix('{').and_then(|r| r.split_once('}'))
        else {
            return Some(format!("expected a placeholder's name between braces: {known}"));
        };
        if !PLACEHOLDERS.contains(&name) {
            return Some(format!("unknown placeholder {{{name}}}: {known}"));
        }
        rest = after;
    }
    None
}

impl Archive {
    fn download(&self, platform: Platform) -> &Download {
        self.platforms.iter().find(|(p, _)| *p == platform).map_or(&self.common, |(_, d)| d)
    }

    /// Returns the URLs with `{version}`, `{platform}` and `{cpu}` expanded.
    fn urls(&self, platform: Platform) -> Vec<String> {
        let fill = |u: &String| {
            u.replace("{version}", &self.version)
                .replace("{platform}", platform.as_str())
                .replace("{cpu}", platform.cpu())
        };
        self.download(platform).urls.iter().map(fill).collect()
    }
}

impl Source for Archive {
    fn foreign(&self, platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        let runtime = self.runtime.iter().flat_map(DebianRequest::foreign);
        let of = |platform: &Platform| {
            let place = self.download(*platform).place.clone();
            self.urls(*platform).into_iter().map(move |url| (url, place.clone()))
        };
        // A mirror is named elsewhere: in the manifest, or by the machine.
        let is_named = |url: &String| !matches!(url.parse(), Ok(Location::Mirror { .. }) | Err(_));
        let urls = platforms.iter().flat_map(of).filter(|(url, _)| is_named(url));
        urls.map(|(url, place)| (Foreign::Url(url), place)).chain(runtime).collect()
    }

    fn fingerprint(&self, platform: Platform) -> Fingerprint {
        let download = self.download(platform);
        let mut out = self.runtime.as_ref().map(DebianRequest::fingerprint).unwrap_or_default();
        out.note("version", [&self.version]);
        out.note("urls", self.urls(platform));
        out.note("sha256", download.sha256.map(|d| d.hex()));
        out.note("strip_prefix", download.strip_prefix.clone());
        out.note("file_name", download.file_name.clone());
        out
    }

    /// An archive that contains a C compiler is GCC, unless its name says that it is Zig.
    fn recipe(&self, kind: Kind) -> Option<&'static str> {
        let urls = self.common.urls.iter().chain(self.platforms.iter().flat_map(|p| &p.1.urls));
        let is_zig = |url: &String| url.rsplit('/').next().is_some_and(|n| n.starts_with("zig-"));
        (kind == Kind::Cc && urls.into_iter().any(is_zig)).then_some("zig")
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        self.runtime.iter().flat_map(DebianRequest::suites).collect()
    }

    fn keys(&self) -> Vec<Option<&str>> {
        self.runtime.iter().flat_map(DebianRequest::keys).collect()
    }

    fn named(&self) -> Vec<String> {
        vec![self.toolchain.to_string()]
    }

    fn places(&self) -> Vec<(String, Place)> {
        self.runtime.iter().flat_map(DebianRequest::places).collect()
    }

    fn may_grow(&self, recipe: &dyn Recipe) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.may_grow(recipe))
    }

    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let urls = self.urls(platform);
        let (size, sha256) = self.find(&urls, platform, cx).map_err(|e| {
            let e = match &self.download(platform).place {
                Some(place) => e.located(place.clone()),
                None => e,
            };
            if says_absent(&e) {
                e.hint("check the address, and what is filled into it")
            } else {
                e
            }
        })?;
        let locations = parsed(&urls)?;
        let download = self.download(platform);
        let layout = Layout {
            only: vec![],
            strip_prefix: download.strip_prefix.clone(),
            file_name: download.file_name.clone(),
        };
        let component = Component {
            ecosystem: Ecosystem::Generic,
            name: self.toolchain.to_string(),
            version: self.version.clone(),
            source: None,
        };
        let mut input = Input::new(locations, size, sha256, Format::File, component);
        let name = layout.file_name.as_deref().unwrap_or(input.file_name());
        input.format = Format::of_archive(name);
        input.layout = layout;
        DebianRequest::beside(&self.runtime, input, &self.version, platform, recipe, additions, cx)
    }
}

impl Archive {
    /// Returns the length and the hash of the file: the known ones, or those of the file at the
    /// first URL that has the right one.
    fn find(
        &self,
        urls: &[String],
        platform: Platform,
        cx: &ResolveContext,
    ) -> Result<(u64, Digest)> {
        let expected = self.download(platform).sha256;
        let locations = parsed(urls)?;
        if let Some(sha256) = expected
            && let Some(size) = cx.fetcher.cached_size(&sha256)
        {
            return Ok((size, sha256));
        }
        let mut refusals = Refusals::default();
        for location in &locations {
            for candidate in cx.fetcher.mirrors.expand(location, None) {
                let Candidate::Url(real) = candidate else { continue };
                let task = cx.reporter.task(&redact(&real), 0);
                match cx.fetcher.discover(&real, &task) {
                    Ok((size, got)) if expected.is_none_or(|e| e == got) => {
                        refusals.warn(&task);
                        return Ok((size, got));
                    }
                    Ok((_, got)) => refusals.add(&real, other_file(&real, expected, got)),
                    Err(e) if matches!(e.reason(), Some(Cause::Io { .. })) => return Err(e),
                    Err(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
                    Err(e) => refusals.add(&real, e),
                }
            }
        }
        Err(refusals.into_error().unwrap_or_else(|| nowhere(&locations)))
    }
}

/// Returns the locations in which URLs are filled in.
fn parsed(urls: &[String]) -> Result<Vec<Location>> {
    urls.iter().map(|url| url.parse().map_err(Error::user)).collect()
}

/// Returns the error for a file whose hash differs from the one in the manifest.
fn other_file(url: &str, expected: Option<Digest>, got: Digest) -> Error {
    Error::verification(format!("{} is not the file that toolchains.toml asks for", redact(url)))
        .because_of(Cause::Mismatch {
            what: Measure::Sha256,
            expected: expected.map_or_else(String::new, |e| e.hex()),
            got: got.hex(),
        })
        .hint("if the new file is the right one, put its hash into toolchains.toml")
}

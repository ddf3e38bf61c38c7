//! Plain archives and single files by URL: tar (gz, xz, zst, bz2 or plain), zip, or one program.

use super::debian::DebianRequest;
use super::kind::{Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::fetch::{Candidate, redact};
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::{
    Component, Digest, Ecosystem, Format, Input, Kind, Layout, Location, MemberPath, Platform,
    ToolchainName,
};
use crate::recipe::Recipe;

/// The source `archive`.
pub const KIND: SourceKind = SourceKind { name: "archive", bind };

#[derive(Debug, Clone, Default)]
struct Download {
    urls: Vec<String>,
    sha256: Option<Digest>,
    strip_prefix: Option<String>,
    file_name: Option<String>,
}

struct Archive {
    toolchain: ToolchainName,
    version: String,
    common: Download,
    platforms: Vec<(Platform, Download)>,
    runtime: Option<DebianRequest>,
}

fn bind(
    toolchain: &Toolchain,
    _manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let mut fields = toolchain.fields.clone();
    let version = fields.required_string("version", problems);
    if let Some(version) = &version {
        check_version(&version.value, version.span.clone(), problems);
    }
    let mut given = fields.has("url") || fields.has("urls");
    let common = read_download(&mut fields, problems);
    let mut platforms = vec![];
    if let Some(mut table) = fields.table("platform", problems) {
        for key in table.keys() {
            let span = table.key_span(&key);
            let inner = table.table(&key, problems);
            match (key.parse::<Platform>(), inner) {
                (Ok(platform), Some(mut inner)) => {
                    given |= inner.has("url") || inner.has("urls");
                    let mut download = read_download(&mut inner, problems);
                    inner.finish(problems);
                    download.strip_prefix = download.strip_prefix.or(common.strip_prefix.clone());
                    download.file_name = download.file_name.or(common.file_name.clone());
                    if download.urls.is_empty() {
                        download.urls = common.urls.clone();
                    }
                    platforms.push((platform, download));
                }
                (Err(why), _) => problems.add(span, why),
                _ => {}
            }
        }
    }
    for platform in &toolchain.platforms {
        let urls =
            platforms.iter().find(|(p, _)| p == platform).map_or(&common.urls, |(_, d)| &d.urls);
        if urls.is_empty() && !given {
            problems.add(fields.span(), format!("an archive needs the key \"url\", here or in [toolchains.{}.platform.{platform}]", toolchain.name));
        }
    }
    let runtime =
        DebianRequest::read(&mut fields, false, problems).filter(|s| !s.packages.is_empty());
    fields.finish(problems);
    let toolchain = toolchain.name.clone();
    Some(Box::new(Archive { toolchain, version: version?.value, common, platforms, runtime }))
}

/// Reports a version that cannot be one: it becomes part of names.
pub(super) fn check_version(text: &str, span: std::ops::Range<usize>, problems: &mut Problems) {
    let ok = !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._~:!".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !ok {
        problems.add(span, format!("expected a version such as \"1.2.3\", got {text:?}"));
    }
}

fn read_download(fields: &mut Fields, problems: &mut Problems) -> Download {
    let mut out = Download::default();
    for key in ["url", "urls"] {
        for url in fields.string_list(key, problems).unwrap_or_default() {
            match url.value.parse::<Location>() {
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

impl Archive {
    fn download(&self, platform: Platform) -> &Download {
        self.platforms.iter().find(|(p, _)| *p == platform).map_or(&self.common, |(_, d)| d)
    }

    /// The URLs with `{version}`, `{platform}` and `{cpu}` filled in.
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

    /// An archive that brings a compiler of C is GCC, unless its name says that it is Zig.
    fn recipe(&self, kind: Kind) -> Option<&'static str> {
        let urls = self.common.urls.iter().chain(self.platforms.iter().flat_map(|p| &p.1.urls));
        let is_zig = |url: &String| url.rsplit('/').next().is_some_and(|n| n.starts_with("zig-"));
        (kind == Kind::Cc && urls.into_iter().any(is_zig)).then_some("zig")
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        self.runtime.iter().map(DebianRequest::suite).collect()
    }

    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let urls = self.urls(platform);
        let (size, sha256) = self.find(&urls, platform, cx)?;
        let locations: Vec<Location> =
            urls.iter().map(|u| u.parse()).collect::<Result<_, _>>().map_err(Error::user)?;
        let download = self.download(platform);
        let layout = Layout {
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
        DebianRequest::beside(&self.runtime, input, &self.version, platform, recipe, cx)
    }
}

impl Archive {
    /// Length and hash of the file: known, or what the first URL that has the right one says.
    fn find(
        &self,
        urls: &[String],
        platform: Platform,
        cx: &ResolveContext,
    ) -> Result<(u64, Digest)> {
        let expected = self.download(platform).sha256;
        if let Some(sha256) = expected
            && let Some(size) = cx.fetcher.cached_size(&sha256)
        {
            return Ok((size, sha256));
        }
        let mut last = Error::user("no URL to fetch from");
        for url in urls {
            let location: Location = url.parse().map_err(Error::user)?;
            for candidate in cx.fetcher.mirrors.expand(&location, None) {
                let Candidate::Url(real) = candidate else { continue };
                let task = cx.reporter.task(&redact(&real), 0);
                match cx.fetcher.discover(&real, &task) {
                    Ok((size, got)) if expected.is_none_or(|e| e == got) => return Ok((size, got)),
                    Ok((_, got)) => {
                        last = Error::verification(format!(
                            "{} is not the file that toolchains.toml asks for",
                            redact(&real)
                        ))
                        .because(format!(
                            "expected sha256 {}, got {got}",
                            expected.expect("compared above")
                        ))
                        .hint(
                            "if the new file is the right one, put its hash into toolchains.toml",
                        );
                    }
                    Err(e) if e.kind() == ErrorKind::Network => last = e,
                    Err(e) => return Err(e),
                }
            }
        }
        Err(last)
    }
}

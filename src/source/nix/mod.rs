//! The source for packages of Nix: a store path and all to which it refers, out of binary caches.
//! Neither Nix nor an evaluator is needed.

mod closure;

use crate::error::{Error, Place, Result};
use crate::fetch::NIX;
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, NixCaches, Placed, Problems, Toolchain};
use crate::model::{
    Component, Ecosystem, Format, Input, Kind, Location, Platform, StoreName, ToolchainName,
};
use crate::nix::keys::CacheKey;
use crate::nix::{locked, store_path};
use crate::recipe::Recipe;

use super::kind::{Additions, Foreign, Resolution, ResolveContext, Source, SourceKind};
use closure::{Caches, Found};

/// The source `nix`.
pub const KIND: SourceKind =
    SourceKind { name: "nix", keys: &["path", "caches", "keys", "platform"], bind };

/// The key with which the public cache signs.
const PUBLIC_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// A store path for which the manifest asks.
type Wanted = Placed<StoreName>;

struct NixSource {
    toolchain: ToolchainName,
    common: Option<Wanted>,
    platforms: Vec<(Platform, Wanted)>,
    caches: NixCaches,
}

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let before = problems.count();
    let common = read_path(fields, problems);
    let mut platforms = vec![];
    fields.platform_tables(problems, &mut |platform, inner, problems| {
        inner.require("path", problems);
        platforms.extend(read_path(inner, problems).map(|path| (platform, path)));
    });
    let mut caches = NixCaches::read(fields, problems);
    if caches.caches.is_empty() {
        caches.caches.clone_from(&manifest.nix.caches);
    }
    caches.keys.extend(manifest.nix.keys.iter().cloned());
    let has = |platform: &Platform| platforms.iter().any(|(p, _)| p == platform);
    for platform in toolchain.platforms.iter().filter(|p| !has(p)) {
        // A store path is one of one platform.
        let is_sole = toolchain.platforms.len() == 1;
        if (common.is_none() || !is_sole) && problems.count() == before {
            let key = format!("[toolchains.{}.platform.{platform}]", toolchain.name);
            problems.add(
                fields.span(),
                format!("expected `path = \"/nix/store/...\"` for {platform}: add it to {key}, or leave the platform out with `platforms`"),
            );
        }
    }
    let toolchain = toolchain.name.clone();
    (problems.count() == before)
        .then(|| Box::new(NixSource { toolchain, common, platforms, caches }) as Box<dyn Source>)
}

fn read_path(fields: &mut Fields, problems: &mut Problems) -> Option<Wanted> {
    let path = fields.string("path", problems)?;
    match store_path::parse(path.value.trim_end_matches('/')) {
        Ok(value) => Some(Wanted { value, place: problems.place(path.span.start) }),
        Err(why) => {
            problems.add(
                path.span,
                format!("path: {why}: write it as Nix prints it, without a file below it"),
            );
            None
        }
    }
}

impl NixSource {
    fn wanted(&self, platform: Platform) -> Option<&Wanted> {
        let own = self.platforms.iter().find(|(p, _)| *p == platform).map(|(_, path)| path);
        own.or(self.common.as_ref())
    }

    /// Returns the keys that may sign, beginning with that of the public cache.
    fn trusted(&self) -> Vec<CacheKey> {
        let public = PUBLIC_KEY.parse::<CacheKey>().ok();
        public.into_iter().chain(self.caches.keys.iter().map(|key| key.value.clone())).collect()
    }

    fn cache_urls(&self) -> Vec<String> {
        self.caches.caches.iter().map(|cache| cache.value.clone()).collect()
    }
}

impl Source for NixSource {
    fn foreign(&self, _platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        let urls = self.caches.caches.iter();
        let urls = urls.map(|url| (Foreign::Url(url.value.clone()), Some(url.place.clone())));
        let keys = self.caches.keys.iter().filter(|key| key.value.to_string() != PUBLIC_KEY);
        let keys =
            keys.map(|key| (Foreign::Signer(key.value.to_string()), Some(key.place.clone())));
        urls.chain(keys).collect()
    }

    fn fingerprint(&self, platform: Platform) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("path", self.wanted(platform).map(|path| store_path::full(&path.value)));
        out.note("caches", self.cache_urls());
        out.note("keys", self.caches.keys.iter().map(|key| key.value.to_string()));
        out
    }

    fn recipe(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::Tool => Some("nix"),
            Kind::Python => Some("nix-python"),
            Kind::Cc => Some("nix-cc"),
            Kind::Library => Some("nix-library"),
            Kind::Sysroot | Kind::Packages => None,
        }
    }

    fn named(&self) -> Vec<String> {
        let all = self.common.iter().chain(self.platforms.iter().map(|(_, path)| path));
        all.map(|path| store_path::full(&path.value)).collect()
    }

    fn resolve(
        &self,
        platform: Platform,
        _recipe: &dyn Recipe,
        _additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let Some(wanted) = self.wanted(platform) else {
            return Err(Error::user(format!("{} names no path for {platform}", self.toolchain)));
        };
        let urls = cx.fetcher.mirrors.nix_caches(&self.cache_urls());
        let keys = self.trusted();
        let caches = Caches::new(cx.fetcher, cx.reporter, urls, &keys);
        let found = caches.closure(&wanted.value).map_err(|e| e.located(wanted.place.clone()))?;
        let family = cx.fetcher.mirrors.bases(NIX, None);
        let mut inputs: Vec<Input> =
            found.iter().map(|found| input(found, &family)).collect::<Result<_>>()?;
        // The path that was asked for comes first, and the others in the order of their names.
        inputs.sort_by_key(|input| {
            let path = input.nix.as_ref().map(|nix| nix.path.clone());
            (path.as_ref() != Some(&wanted.value), path)
        });
        let version = wanted.value.package().1.to_owned();
        Ok(Resolution {
            version,
            releases: vec![],
            principal: None,
            inputs,
            named: vec![wanted.value.package().0.to_owned()],
            essential: vec![],
        })
    }
}

/// Returns the input of a path. A file of a cache that is a mirror of the public one has the location
/// of that family.
fn input(found: &Found, family: &[String]) -> Result<Input> {
    let info = &found.info;
    let (name, version) = info.path.package();
    let component = Component {
        ecosystem: Ecosystem::Nix,
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
    };
    let below = found.below.as_deref().filter(|_| family.contains(&found.cache));
    let location: Location = match below {
        Some(path) if !path.contains(['?', '#', '%']) => {
            Location::Mirror { mirror: NIX.to_owned(), path: path.to_owned() }
        }
        _ => found.url.parse().map_err(Error::verification)?,
    };
    let nix = locked::entry(info, found.signature.as_ref());
    let mut input =
        Input::new(vec![location], info.nar_size, info.nar_hash, Format::Nar, component);
    input.requires = nix.others().map(|name| name.package().0.to_owned()).collect();
    input.requires.sort();
    input.requires.dedup();
    input.nix = Some(nix);
    Ok(input)
}

//! The source for packages of Nix: a store path and all to which it refers, out of binary caches.
//! A path is named by itself, and then neither Nix nor an evaluator is needed, or it is the package of
//! a flake or of an expression, which an evaluator finds while locking.

mod closure;

use crate::error::{Error, Place, Result};
use crate::evaluator::FoundByNix;
use crate::fetch::{NIX, without_login};
use crate::lockfile::{Evaluation, Fingerprint};
use crate::manifest::{Fields, Manifest, NixCaches, Placed, Problems, Toolchain};
use crate::model::{
    Component, Ecosystem, Format, Input, Kind, Location, NixPath, Platform, StoreName,
    ToolchainName,
};
use crate::nix::expression::{self, NixExpression, NixOrigin};
use crate::nix::keys::{CacheKey, PUBLIC_KEY};
use crate::nix::narinfo::PathInfo;
use crate::nix::{locked, store_path};
use crate::recipe::Recipe;

use super::kind::{Additions, Foreign, Resolution, ResolveContext, Source, SourceKind};
use closure::{Caches, Found, may_be_built};

/// The source `nix`.
pub const KIND: SourceKind = SourceKind {
    name: "nix",
    keys: &["path", "flake", "file", "attribute", "output", "build", "caches", "keys", "platform"],
    bind,
};

/// A store path for which the manifest asks.
type Wanted = Placed<StoreName>;

struct NixSource {
    toolchain: ToolchainName,
    common: Option<Wanted>,
    expression: Option<Placed<NixExpression>>,
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
    if matches!(toolchain.kind, Kind::Sysroot | Kind::Packages) {
        problems.add(
            fields.span(),
            "a closure of Nix can be a toolchain of kind \"tool\", \"python\", \"cc\" or \"library\"",
        );
    }
    let expression = read_expression(fields, problems);
    let common = read_path(fields, problems);
    if let (Some(_), Some(_)) = (&common, &expression) {
        problems.add(fields.span(), "expected one of path, flake and file, got two");
    }
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
        if expression.is_none() && (common.is_none() || !is_sole) && problems.count() == before {
            let key = format!("[toolchains.{}.platform.{platform}]", toolchain.name);
            problems.add(
                fields.span(),
                format!("expected `path = \"/nix/store/...\"` for {platform}: add it to {key}, name a `flake` or a `file` for all platforms, or leave the platform out with `platforms`"),
            );
        }
    }
    let toolchain = toolchain.name.clone();
    (problems.count() == before).then(|| {
        Box::new(NixSource { toolchain, common, expression, platforms, caches }) as Box<dyn Source>
    })
}

/// Takes the keys of a flake or of a file with an expression.
fn read_expression(fields: &mut Fields, problems: &mut Problems) -> Option<Placed<NixExpression>> {
    let flake = fields.string("flake", problems);
    let file = fields.string("file", problems);
    let mut checked = |key: &str, check: &dyn Fn(&str) -> Result<(), String>| {
        let text = fields.string(key, problems)?;
        if let Err(why) = check(&text.value) {
            problems.add(text.span.clone(), format!("{key}: {why}"));
        }
        Some(text)
    };
    let attribute = checked("attribute", &expression::check_attribute);
    let output = checked("output", &expression::check_output);
    let build_span = fields.has("build").then(|| fields.key_span("build"));
    let build = fields.bool("build", problems).unwrap_or(false);
    let (key, text) = match (flake, file) {
        (Some(_), Some(file)) => {
            problems.add(file.span, "expected one of path, flake and file, got two");
            return None;
        }
        (Some(flake), None) => ("flake", flake),
        (None, Some(file)) => ("file", file),
        (None, None) => {
            let spans = [attribute.map(|a| a.span), output.map(|o| o.span), build_span];
            for span in spans.into_iter().flatten() {
                problems.add(span, "it belongs to a `flake` or a `file`, and there is none");
            }
            return None;
        }
    };
    let parsed = match key {
        "flake" => NixExpression::of_flake(&text.value),
        _ => NixExpression::of_file(&text.value),
    };
    if let (Some(attribute), "flake") = (&attribute, key) {
        problems.add(
            attribute.span.clone(),
            "the attribute of a flake stands behind its reference: flake = \"./nix#hello\"",
        );
    }
    match parsed {
        Ok(mut value) => {
            value.attribute = value.attribute.or(attribute.map(|attribute| attribute.value));
            value.output = output.map(|output| output.value);
            value.build = build;
            Some(Placed { value, place: problems.place(text.span.start) })
        }
        Err(why) => {
            problems.add(text.span, format!("{key}: {why}"));
            None
        }
    }
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
    fn expression(&self, platform: Platform) -> Option<&NixExpression> {
        let is_named = self.wanted(platform).is_some();
        self.expression.as_ref().filter(|_| !is_named).map(|expression| &expression.value)
    }

    fn foreign(&self, _platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        let urls = self.caches.caches.iter();
        let urls = urls.map(|url| (Foreign::Url(url.value.clone()), Some(url.place.clone())));
        let keys = self.caches.keys.iter().filter(|key| key.value.to_string() != PUBLIC_KEY);
        let keys =
            keys.map(|key| (Foreign::Signer(key.value.to_string()), Some(key.place.clone())));
        let code = self.expression.iter();
        let code = code.map(|one| (Foreign::Code(one.value.clone()), Some(one.place.clone())));
        urls.chain(keys).chain(code).collect()
    }

    fn fingerprint(&self, platform: Platform) -> Fingerprint {
        let mut out = Fingerprint::default();
        out.note("path", self.wanted(platform).map(|path| store_path::full(&path.value)));
        if let Some(expression) = self.expression(platform) {
            let key = match &expression.origin {
                NixOrigin::Flake(_) => "flake",
                NixOrigin::File(_) => "file",
            };
            out.note(key, [expression.to_string()]);
            out.note("output", expression.output.clone());
            out.note("build", expression.build.then_some("true"));
        }
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
        let paths = all.map(|path| store_path::full(&path.value));
        let expression = self.expression.iter().map(|expression| expression.value.to_string());
        paths.chain(expression).collect()
    }

    fn resolve(
        &self,
        platform: Platform,
        _recipe: &dyn Recipe,
        _additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let urls = cx.fetcher.mirrors.nix_caches(&self.cache_urls());
        let keys = self.trusted();
        let caches = Caches::new(cx.fetcher, cx.reporter, urls, &keys);
        let (top, place, evaluation) = match (self.wanted(platform), &self.expression) {
            (Some(wanted), _) => (wanted.value.clone(), &wanted.place, None),
            (None, Some(Placed { value, place })) => {
                let found = cx
                    .evaluator
                    .evaluate(value, None, platform)
                    .map_err(|e| e.located(place.clone()))?;
                let FoundByNix { path, derivation, locked } = found;
                let expression = value.clone();
                (path, place, Some(Evaluation { expression, locked, derivation }))
            }
            (None, None) => {
                return Err(Error::user(format!(
                    "{} names no path for {platform}",
                    self.toolchain
                )));
            }
        };
        let derivation = evaluation.as_ref().filter(|evaluation| evaluation.expression.build);
        let derivation = derivation.and_then(|evaluation| evaluation.derivation.as_ref());
        let (found, built) = match caches.closure(&top) {
            Ok(found) => (found, vec![]),
            Err(e) => match derivation {
                Some(derivation) if may_be_built(&e) => {
                    let _spinner = cx.reporter.spinner("building", top.as_str());
                    let all = cx
                        .evaluator
                        .realise(derivation, &top)
                        .map_err(|e| e.located(place.clone()))?;
                    caches.known(all)?
                }
                _ => return Err(e.located(place.clone())),
            },
        };
        let family = cx.fetcher.mirrors.bases(NIX, None);
        let mut inputs: Vec<Input> =
            found.iter().map(|found| input(found, &family)).collect::<Result<_>>()?;
        inputs.extend(built.iter().map(built_input));
        // The path that was asked for comes first, and the others in the order of their names.
        inputs.sort_by_key(|input| {
            let path = input.nix.as_ref().map(|nix| nix.path.clone());
            (path.as_ref() != Some(&top), path)
        });
        let (name, version) = top.package();
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Resolution {
            version,
            releases: vec![],
            principal: None,
            evaluation,
            building: None,
            inputs,
            named: vec![name],
            essential: vec![],
        })
    }
}

/// Returns the input of a path that no cache has. It has no location.
fn built_input(info: &PathInfo) -> Input {
    let nix = NixPath { built: true, ..locked::entry(info, None) };
    input_at(vec![], info, nix)
}

/// Returns the input of a path. A file of a cache that is a mirror of the public one has the location
/// of that family.
fn input(found: &Found, family: &[String]) -> Result<Input> {
    let info = &found.info;
    let below = found.below.as_deref().filter(|_| family.contains(&found.cache));
    let location: Location = match below {
        Some(path) if !path.contains(['?', '#', '%']) => {
            Location::Mirror { mirror: NIX.to_owned(), path: path.to_owned() }
        }
        // A mirror of this machine may have a password in its address, which finds it again by itself.
        _ => without_login(&found.url).parse().map_err(Error::verification)?,
    };
    Ok(input_at(vec![location], info, locked::entry(info, found.signature.as_ref())))
}

fn input_at(locations: Vec<Location>, info: &PathInfo, nix: NixPath) -> Input {
    let (name, version) = info.path.package();
    let component = Component {
        ecosystem: Ecosystem::Nix,
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
    };
    let mut input = Input::new(locations, info.nar_size, info.nar_hash, Format::Nar, component);
    input.requires = nix.others().map(|name| name.package().0.to_owned()).collect();
    input.requires.sort();
    input.requires.dedup();
    input.nix = Some(nix);
    input
}

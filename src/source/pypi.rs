//! The source for tools that are distributed as Python wheels: the wheel is an archive that
//! contains a program. Source: the binary distribution format (PEP 427) and platform tags (PEP 600,
//! PEP 656).

use std::collections::BTreeSet;
use std::str::FromStr;

use pep440_rs::Version;

use super::debian::DebianRequest;
use super::kind::{
    Additions, Foreign, NewestVersion, Resolution, ResolveContext, Source, SourceKind,
};
use crate::error::{Cause, Error, Measure, Place, Result};
use crate::fetch::python_index::{IndexProject, ProjectFile};
use crate::lockfile::Fingerprint;
use crate::manifest::{Fields, Manifest, Problems, Toolchain};
use crate::model::normalize_project as normalize;
use crate::model::{Component, Digest, Ecosystem, Format, Input, Kind, Location, Platform};
use crate::recipe::Recipe;

/// The name of the source.
pub const NAME: &str = "pypi";

/// The source `pypi`.
pub const KIND: SourceKind =
    SourceKind { name: NAME, keys: &["package", "version", "sha256"], bind };

struct Pypi {
    package: String,
    version: String,
    sha256: Option<Digest>,
    runtime: Option<DebianRequest>,
    /// The place where the project is named, or otherwise the place of the toolchain.
    package_place: Place,
    /// The place where the version is named.
    version_place: Place,
}

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    _manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let package = fields.string("package", problems);
    let package_place =
        package.as_ref().map_or_else(|| toolchain.place.clone(), |p| problems.place(p.span.start));
    let package = package.map_or_else(|| toolchain.name.as_str().to_owned(), |s| s.value);
    let version = fields.required_string("version", problems);
    if let Some(version) = &version {
        super::archive::check_version(&version.value, version.span.clone(), problems);
    }
    let sha256 = fields.string("sha256", problems).and_then(|hash| {
        hash.value.parse().map_err(|why: String| problems.add(hash.span, why)).ok()
    });
    let runtime = DebianRequest::read(fields, false, problems)
        .filter(|s| !s.packages.is_empty())
        .map(|s| s.on(&toolchain.platforms));
    let version = version?;
    Some(Box::new(Pypi {
        package: normalize(&package),
        version_place: problems.place(version.span.start),
        version: version.value,
        sha256,
        runtime,
        package_place,
    }))
}

impl Source for Pypi {
    fn foreign(&self, _platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        self.runtime.iter().flat_map(DebianRequest::foreign).collect()
    }

    fn fingerprint(&self, _platform: Platform) -> Fingerprint {
        let mut out = self.runtime.as_ref().map(DebianRequest::fingerprint).unwrap_or_default();
        out.note("package", [&self.package]);
        out.note("version", [&self.version]);
        out.note("sha256", self.sha256.map(|d| d.hex()));
        out
    }

    /// Zig is the only C compiler that is distributed as a wheel.
    fn recipe(&self, kind: Kind) -> Option<&'static str> {
        (kind == Kind::Cc && self.package == "ziglang").then_some("zig")
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        self.runtime.iter().flat_map(DebianRequest::suites).collect()
    }

    fn keys(&self) -> Vec<Option<&str>> {
        self.runtime.iter().flat_map(DebianRequest::keys).collect()
    }

    fn named(&self) -> Vec<String> {
        vec![self.package.clone()]
    }

    fn places(&self) -> Vec<(String, Place)> {
        self.runtime.iter().flat_map(DebianRequest::places).collect()
    }

    fn newest(&self, cx: &ResolveContext) -> Result<Option<NewestVersion>> {
        let project = cx
            .fetcher
            .python_project(&self.package)
            .map_err(|e| e.located(self.package_place.clone()))?;
        let newest = releases(&project, &|_| true).into_iter().next();
        let is_newer = |newest: &Version| {
            Version::from_str(&self.version).map_or(true, |named| *newest > named)
        };
        Ok(newest.filter(is_newer).map(|newest| NewestVersion {
            package: self.package.clone(),
            named: self.version.clone(),
            newest: newest.to_string(),
        }))
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
        let input = self.through_index(platform, cx)?;
        if let Some(expected) = self.sha256
            && expected != input.sha256
        {
            return Err(Error::verification(format!(
                "{} is not the file that toolchains.toml asks for",
                input.file_name()
            ))
            .because_of(Cause::Mismatch {
                what: Measure::Sha256,
                expected: expected.hex(),
                got: input.sha256.hex(),
            })
            .hint("if the new file is the right one, put its hash into toolchains.toml"));
        }
        DebianRequest::beside(&self.runtime, input, &self.version, platform, recipe, additions, cx)
    }
}

impl Pypi {
    fn input(&self, file: &str, size: u64, sha256: Digest) -> Input {
        let component = Component {
            ecosystem: Ecosystem::Pypi,
            name: self.package.clone(),
            version: self.version.clone(),
            source: None,
        };
        Input::new(self.location(file), size, sha256, Format::Wheel, component)
    }

    fn location(&self, file: &str) -> Vec<Location> {
        vec![Location::Mirror {
            mirror: "python".to_owned(),
            path: format!("{}/{file}", self.package),
        }]
    }

    fn through_index(&self, platform: Platform, cx: &ResolveContext) -> Result<Input> {
        let project = cx
            .fetcher
            .python_project(&self.package)
            .map_err(|e| e.located(self.package_place.clone()))?;
        let of_version: Vec<_> = project
            .files
            .iter()
            .filter(|f| wheel_parts(&f.name).is_some_and(|(v, _)| v == self.version))
            .collect();
        if of_version.is_empty() {
            let mut versions: Vec<&str> =
                project.files.iter().filter_map(|f| wheel_parts(&f.name)).map(|(v, _)| v).collect();
            // Versions that are none come first.
            versions.sort_by_cached_key(|v| Version::from_str(v).ok());
            versions.dedup();
            let near = crate::error::nearest(&self.version, versions.iter().copied(), 3);
            let shown = if near.is_empty() {
                versions.iter().rev().take(3).copied().collect()
            } else {
                near
            };
            let error = Error::user(format!(
                "the package index has no wheel of {} {}",
                self.package, self.version
            ))
            .located(self.version_place.clone());
            return Err(if shown.is_empty() {
                error.hint(
                    "it has no wheel of any version: a tool must come as a wheel, or as an archive",
                )
            } else {
                error.hint(format!("it has {}", shown.join(", ")))
            });
        }
        let best = of_version
            .iter()
            .filter_map(|f| {
                Some((rank(wheel_parts(&f.name)?.1, platform, self.runtime.is_some())?, *f))
            })
            .min_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        let Some((_, file)) = best else {
            let names: Vec<&str> = of_version.iter().map(|f| f.name.as_str()).collect();
            return Err(Error::user(format!(
                "{} {} has no wheel for {platform}",
                self.package, self.version
            ))
            .located(self.version_place.clone())
            .because(format!("it has {}", names.join(", ")))
            .hint("name a version that has one, or leave the platform out: platforms = [...]"));
        };
        if file.yanked {
            cx.reporter.warn(&format!("{} was withdrawn by its authors", file.name));
        }
        if let (Some(sha256), Some(size)) = (file.sha256, file.size) {
            return Ok(self.input(&file.name, size, sha256));
        }
        let task = cx.reporter.task(&file.name, file.size.unwrap_or(0));
        let (size, sha256) = cx.fetcher.discover(&file.url, &task)?;
        if file.sha256.is_some_and(|s| s != sha256) {
            return Err(Error::verification(format!(
                "{} is not the file that its index lists",
                file.name
            ))
            .because(format!(
                "expected sha256 {}, got {sha256}",
                file.sha256.map_or_else(String::new, |s| s.hex())
            )));
        }
        Ok(self.input(&file.name, size, sha256))
    }
}

/// Returns the releases of a project that were not withdrawn and of which at least one file `counts`,
/// the newest first. Pre-releases do not count; post-releases do (PEP 440).
pub fn releases(project: &IndexProject, counts: &dyn Fn(&ProjectFile) -> bool) -> Vec<Version> {
    let files = project.files.iter().filter(|file| !file.yanked && counts(file));
    let versions = files.filter_map(|file| {
        let version = match wheel_parts(&file.name) {
            Some((version, _)) => version,
            None => sdist_version(&file.name)?,
        };
        Version::from_str(version).ok().filter(|version| !version.any_prerelease())
    });
    let sorted: BTreeSet<Version> = versions.collect();
    sorted.into_iter().rev().collect()
}

/// Returns the version from the name of a source distribution. PEP 625: the name has one dash.
fn sdist_version(name: &str) -> Option<&str> {
    let stem = [".tar.gz", ".zip"].iter().find_map(|end| name.strip_suffix(end))?;
    Some(stem.rsplit_once('-')?.1)
}

/// Returns the version and the platform tags from a wheel's file name (PEP 427, "File name
/// convention").
fn wheel_parts(name: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = name.strip_suffix(".whl")?.split('-').collect();
    (parts.len() >= 5).then(|| (parts[1], parts[parts.len() - 1]))
}

/// Returns how well a wheel's platform tags fit: a lower number is better. A musl wheel of a
/// program is usually static and therefore runs anywhere; a tree that includes glibc needs a wheel
/// that was built for glibc.
fn rank(tags: &str, platform: Platform, glibc: bool) -> Option<u32> {
    tags.split('.')
        .filter_map(|tag| match tag {
            "any" => Some(2),
            t if t.ends_with(platform.cpu()) && t.starts_with("musllinux") => {
                Some(if glibc { 3 } else { 0 })
            }
            t if t.ends_with(platform.cpu())
                && (t.starts_with("manylinux") || t.starts_with("linux")) =>
            {
                Some(1)
            }
            _ => None,
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_in_their_order_and_post_releases_are_among_them() {
        let names = [
            "a-1.10-py3-none-any.whl",
            "a-1.9.post1-py3-none-any.whl",
            "a-1.9-py3-none-any.whl",
            "a-1.10.post0.tar.gz",
            "a-2.0rc1-py3-none-any.whl",
            "a-2.0.dev3.tar.gz",
            "a-1!0.1.zip",
            "a-none.tar.gz",
            "a-3.tar.gz",
        ];
        let file = |name: &&str| ProjectFile {
            name: (*name).to_owned(),
            url: String::new(),
            sha256: None,
            size: None,
            yanked: name.starts_with("a-3"),
            requires_python: None,
            uploaded: None,
        };
        let project =
            IndexProject { name: "a".to_owned(), files: names.iter().map(file).collect() };
        let of = |counts: &dyn Fn(&ProjectFile) -> bool| -> Vec<String> {
            releases(&project, counts).iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(&|_| true), ["1!0.1", "1.10.post0", "1.10", "1.9.post1", "1.9"]);
        assert_eq!(of(&|file| file.name.ends_with(".whl")), ["1.10", "1.9.post1", "1.9"]);
    }
}

//! Text into a lock.

use serde::Deserialize;
use toml::Spanned;

use super::{LockedTree, Lockfile, Output, Plan, Release, Request, VERSION};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::manifest::Problems;
use crate::model::{Built, Digest, Input, Location, Package};

#[derive(Deserialize)]
struct VersionOnly {
    version: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    #[serde(rename = "version")]
    _version: i64,
    #[serde(default)]
    tree: Vec<Spanned<RawTree>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTree {
    name: String,
    platform: String,
    kind: String,
    source: String,
    version: String,
    recipe: String,
    store_name: String,
    nar_hash: String,
    nar_size: u64,
    #[serde(default)]
    releases: Vec<RawRelease>,
    inputs: Vec<RawInput>,
    request: Request,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    archive: String,
    suite: String,
    date: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    url: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
    size: u64,
    sha256: String,
    requires: Option<Vec<String>>,
    built: Option<RawBuilt>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuilt {
    file: String,
    size: u64,
    sha256: String,
}

impl Lockfile {
    /// Reads a lock; `file` names it in messages.
    ///
    /// # Errors
    /// If the text is no lock, holds conflict markers, or was written by a newer cotter.
    pub fn parse(text: &str, file: &str) -> Result<Lockfile> {
        if super::has_conflict_markers(text) {
            return Err(Error::new(ErrorKind::LockStale, format!("{file} holds merge conflict markers"))
                .hint("run `cotter lock`: it keeps what both sides agree with the manifest on, and locks the rest anew"));
        }
        let mut problems = Problems::new(file, text);
        let syntax = |e: toml::de::Error, mut problems: Problems| {
            problems.add_syntax([e]);
            problems
                .check()
                .expect_err("one was added")
                .hint("run `cotter lock` to write the file anew")
        };
        match toml::from_str::<VersionOnly>(text) {
            Err(e) => return Err(syntax(e, problems)),
            Ok(VersionOnly { version: Some(v) }) if v > VERSION => {
                return Err(Error::user(format!(
                    "{file} has version {v}, this cotter reads up to version {VERSION}"
                ))
                .hint("update cotter to the version that your colleagues use"));
            }
            Ok(_) => {}
        }
        let raw: RawLock = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(e) => return Err(syntax(e, problems)),
        };
        let mut lock = Lockfile::default();
        for tree in raw.tree {
            let span = tree.span();
            match tree.into_inner().check() {
                Ok(tree) if lock.get(&tree.plan.name, tree.plan.platform).is_some() => {
                    problems.add(
                        span,
                        format!("{} for {} stands here twice", tree.plan.name, tree.plan.platform),
                    );
                }
                Ok(tree) => lock.put(tree),
                Err(why) => problems.add(span, why),
            }
        }
        problems.check().map_err(|e| e.hint("run `cotter lock` to write the file anew"))?;
        Ok(lock)
    }
}

impl RawTree {
    fn check(self) -> Result<LockedTree, String> {
        if self.inputs.is_empty() {
            return Err(format!("{} for {} has no inputs", self.name, self.platform));
        }
        let plan = Plan {
            name: self.name.parse()?,
            platform: self.platform.parse()?,
            kind: self.kind.parse()?,
            source: self.source,
            version: self.version,
            recipe: self.recipe,
            request: self.request,
            releases: self
                .releases
                .into_iter()
                .map(|r| Release { archive: r.archive, suite: r.suite, date: r.date, key: r.key })
                .collect(),
            inputs: self.inputs.into_iter().map(RawInput::check).collect::<Result<_, _>>()?,
        };
        let output = Output {
            store_name: self.store_name.parse()?,
            nar_hash: Digest::from_sri(&self.nar_hash)?,
            nar_size: self.nar_size,
        };
        Ok(LockedTree { plan, output })
    }
}

impl RawInput {
    fn check(self) -> Result<Input, String> {
        let locations: Vec<Location> =
            self.url.iter().chain(&self.urls).map(|u| u.parse()).collect::<Result<_, _>>()?;
        if locations.is_empty() {
            return Err("an input has neither url nor urls".to_owned());
        }
        let built = match self.built {
            Some(b) => Some(Built { file: b.file, size: b.size, sha256: b.sha256.parse()? }),
            None => None,
        };
        let package = (self.requires.is_some() || built.is_some())
            .then(|| Package { requires: self.requires.unwrap_or_default(), built });
        Ok(Input { locations, size: self.size, sha256: self.sha256.parse()?, package })
    }
}

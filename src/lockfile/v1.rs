//! Version 1 of the lock, which cotter wrote up to release 0.1. One map of strings recorded what
//! the manifest had asked for, and recipes and emission read it by key. This version is read but
//! never written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::entry::{LockedTree, Lockfile, Output, Plan, RecipeId, TrustedRelease};
use super::fingerprint::Fingerprint;
use super::names::{component_of_deb, format_of_distribution, version_in_file_name};
use super::spec::{
    CcSpec, LibrarySpec, PackagesRole, PackagesSpec, Programs, PythonSpec, Selection, Spec,
    ToolSpec,
};
use super::uses::Uses;
use crate::manifest::{Problems, Requirements};
use crate::model::{
    Built, Component, Digest, Ecosystem, Format, Input, Kind, Layout, Location, Platform,
    ToolchainName, abi_tag, minor_version,
};

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
    request: BTreeMap<String, Vec<String>>,
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

/// Reads the text. Problems are added to `problems`.
pub fn read(text: &str, problems: &mut Problems) -> Lockfile {
    let mut lock = Lockfile::default();
    let raw: RawLock = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(e) => {
            problems.add_syntax([e]);
            return lock;
        }
    };
    for tree in raw.tree {
        let span = tree.span();
        match tree.into_inner().check() {
            Ok(tree) if lock.get(&tree.plan.name, tree.plan.platform).is_some() => {
                let (name, platform) = (&tree.plan.name, tree.plan.platform);
                problems.add(span, format!("{name} for {platform} stands here twice"));
            }
            Ok(tree) => lock.put(tree),
            Err(why) => problems.add(span, why),
        }
    }
    // A set whose builds import nothing has no tree for their imports.
    let known: BTreeSet<ToolchainName> = lock.trees.keys().map(|(name, _)| name.clone()).collect();
    for tree in lock.trees.values_mut() {
        tree.plan.uses.make.retain(|name| known.contains(name));
        tree.plan.uses.run.retain(|name| known.contains(name));
    }
    lock
}

impl RawTree {
    /// Refuses what the present format refuses, too: a control character could forge lines on a
    /// terminal, and the version of a Python is a part of paths.
    fn check_texts(&self) -> Result<(), String> {
        let releases = self.releases.iter();
        let releases = releases.flat_map(|r| [&r.archive, &r.suite, &r.date, &r.key]);
        let built = self.inputs.iter().filter_map(|i| Some(&i.built.as_ref()?.file));
        let urls = self.inputs.iter().flat_map(|i| i.url.iter().chain(&i.urls));
        let requests = self.request.iter().flat_map(|(key, values)| values.iter().chain([key]));
        let own = [&self.source, &self.version];
        let mut texts = own.into_iter().chain(releases).chain(built).chain(urls).chain(requests);
        if let Some(text) = texts.find(|text| text.contains(char::is_control)) {
            return Err(format!("expected texts without control characters, got {text:?}"));
        }
        if matches!(self.kind.as_str(), "python" | "packages") {
            let version = minor_version(&self.version);
            if !version.split('.').all(|part| crate::model::decimal(part).is_some()) {
                return Err(format!(
                    "version: expected one such as \"3.11\", got {:?}",
                    self.version
                ));
            }
        }
        Ok(())
    }

    fn check(self) -> Result<LockedTree, String> {
        if self.inputs.is_empty() {
            return Err(format!("{} for {} has no inputs", self.name, self.platform));
        }
        self.check_texts()?;
        let request = Request(self.request);
        let name: ToolchainName = self.name.parse()?;
        let platform: Platform = self.platform.parse()?;
        let kind: Kind = self.kind.parse()?;
        let spec = request.spec(kind, platform, &self.version)?;
        let packages = spec.packages().is_some();
        let mut inputs = vec![];
        for input in self.inputs {
            inputs.push(input.check(&request, &name, &self.version, packages)?);
        }
        let uses = match &spec {
            Spec::Packages(set) => uses_of_set(&name, set, &inputs),
            _ => Uses::default(),
        };
        // Up to release 0.1, both compiler families used one recipe.
        let mut recipe: RecipeId = self.recipe.parse()?;
        if recipe.name == "cc" {
            let zig = inputs.iter().any(|i| i.file_name().contains("zig"));
            recipe.name = if zig { "zig" } else { "gcc" }.to_owned();
        }
        let release = |r: RawRelease| TrustedRelease {
            archive: r.archive,
            suite: r.suite,
            date: r.date,
            key: r.key,
        };
        let plan = Plan {
            name,
            platform,
            spec,
            source: self.source,
            version: self.version,
            recipe,
            uses,
            fingerprint: Fingerprint::of_entries(request.0),
            releases: self.releases.into_iter().map(release).collect(),
            evaluation: None,
            building: None,
            inputs,
        };
        let output = Output {
            store_name: self.store_name.parse()?,
            nar_hash: Digest::from_sri(&self.nar_hash)?,
            nar_size: self.nar_size,
        };
        if output.store_name.name() != plan.tree_name() {
            return Err(format!(
                "store_name: expected it to end in {:?}, as name, version and platform say, got {:?}",
                plan.tree_name(),
                output.store_name.as_str()
            ));
        }
        Ok(LockedTree::new(plan, output))
    }
}

/// Returns the trees that a set of Python packages uses.
fn uses_of_set(name: &ToolchainName, set: &PackagesSpec, inputs: &[Input]) -> Uses {
    let builds = inputs.iter().any(|i| i.built.is_some());
    Uses::of_set(set, builds, builds.then(|| Requirements::builds_name(name)))
}

struct Request(BTreeMap<String, Vec<String>>);

impl Request {
    fn list(&self, key: &str) -> Vec<String> {
        self.0.get(key).cloned().unwrap_or_default()
    }

    fn first(&self, key: &str) -> Option<String> {
        self.0.get(key).and_then(|values| values.first()).cloned()
    }

    fn names(&self, key: &str) -> Result<Vec<ToolchainName>, String> {
        self.list(key).iter().map(|n| n.parse()).collect()
    }

    fn spec(&self, kind: Kind, platform: Platform, version: &str) -> Result<Spec, String> {
        let selection = Selection { prune: self.list("prune"), keep: self.list("keep") };
        let bin = self.list("bin");
        let split = |entry: &String| {
            let (name, path) = entry.split_once('=').unwrap_or((entry, entry));
            (name.to_owned(), path.to_owned())
        };
        let programs = Programs {
            self_exe: self.list("self_exe"),
            bin: bin.iter().map(split).collect(),
            ..Programs::default()
        };
        Ok(match kind {
            Kind::Cc => Spec::Cc(CcSpec {
                target: self.first("target").map_or(Ok(platform), |t| t.parse())?,
                libraries: self.names("libraries")?,
                selection,
                programs,
            }),
            Kind::Python => {
                let version = minor_version(version);
                Spec::Python(PythonSpec { abi: abi_tag(&version), version, selection, programs })
            }
            Kind::Tool => Spec::Tool(ToolSpec { selection, programs }),
            Kind::Library => Spec::Library(LibrarySpec { selection }),
            Kind::Sysroot => return Err("that version had no sysroots".to_owned()),
            Kind::Packages => {
                let missing =
                    |key| format!("the request of a set of packages needs the key {key:?}");
                Spec::Packages(PackagesSpec {
                    set: self.first("set").ok_or_else(|| missing("set"))?.parse()?,
                    interpreter: self.first("python").ok_or_else(|| missing("python"))?.parse()?,
                    python: version.to_owned(),
                    abi: abi_tag(version),
                    role: if self.first("role").as_deref() == Some("build") {
                        PackagesRole::Builds
                    } else {
                        PackagesRole::Set
                    },
                    editable: vec![],
                    build_tools: self.names("build_tools")?,
                    libraries: vec![],
                    selection,
                })
            }
        })
    }
}

impl RawInput {
    fn check(
        self,
        request: &Request,
        toolchain: &ToolchainName,
        version: &str,
        packages: bool,
    ) -> Result<Input, String> {
        let locations: Vec<Location> =
            self.url.iter().chain(&self.urls).map(|u| u.parse()).collect::<Result<_, _>>()?;
        let Some(path) = locations.first().map(|l| l.path().to_owned()) else {
            return Err("an input has neither url nor urls".to_owned());
        };
        let file = path.rsplit('/').next().unwrap_or(&path);
        let mut layout = Layout::default();
        let is_index =
            matches!(&locations[0], Location::Mirror { mirror, .. } if mirror == "python");
        let (format, component) = match component_of_deb(&path) {
            Some(component) => (Format::Deb, component),
            None if is_index => {
                let project = path.split('/').next().unwrap_or_default();
                let component = Component {
                    ecosystem: Ecosystem::Pypi,
                    name: project.to_owned(),
                    version: version_in_file_name(file, project),
                    source: None,
                };
                (format_of_distribution(file), component)
            }
            None => {
                layout.strip_prefix = request.first("strip_prefix");
                layout.file_name = request.first("file_name");
                let format = Format::of_archive(layout.file_name.as_deref().unwrap_or(file));
                let component = Component {
                    ecosystem: Ecosystem::Generic,
                    name: toolchain.to_string(),
                    version: version.to_owned(),
                    source: None,
                };
                (format, component)
            }
        };
        let format = if packages { format_of_distribution(file) } else { format };
        let mut input = Input::new(locations, self.size, self.sha256.parse()?, format, component);
        input.layout = layout;
        input.requires = self.requires.unwrap_or_default();
        if let Some(built) = self.built {
            input.built =
                Some(Built { file: built.file, size: built.size, sha256: built.sha256.parse()? });
        }
        Ok(input)
    }
}

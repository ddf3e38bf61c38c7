//! A project: its manifest, its lock, and whether the one fits the other.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::context::{Context, shown};
use crate::emit;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::lockfile::{self, LockedTree, Lockfile, Request};
use crate::manifest::{Manifest, Problems, Requirements, Toolchain};
use crate::model::{Digest, Platform, ToolchainName, redact};
use crate::python::requirement_files;
use crate::recipe;
use crate::source::{self, Sources};

/// A project on disk.
pub struct Project {
    /// The manifest's path.
    pub manifest_path: PathBuf,
    /// The lock's path, beside it.
    pub lock_path: PathBuf,
    /// The manifest.
    pub manifest: Manifest,
    /// What it asks of each source.
    pub sources: Sources,
    /// What it asks of each emitter.
    pub emissions: Vec<emit::Bound>,
}

/// An entry of the lock that does not fit the manifest.
#[derive(Debug)]
pub struct Stale {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// Why, in a few words each.
    pub reasons: Vec<String>,
}

impl Project {
    /// Reads the manifest.
    ///
    /// # Errors
    /// If there is none, or with everything that is wrong with it.
    pub fn load(cx: &Context) -> Result<Self> {
        let manifest_path = cx.manifest_path()?;
        let text = read_text(&manifest_path)?;
        let mut problems = Problems::new(&shown(&manifest_path, &cx.here), &text);
        let manifest = Manifest::parse(&text, &mut problems);
        let sources = source::bind(&manifest, &mut problems);
        let emissions = emit::bind(&manifest, &mut problems);
        problems.check()?;
        let lock_path = manifest_path.with_file_name(lockfile::FILE_NAME);
        Ok(Project { manifest_path, lock_path, manifest, sources, emissions })
    }

    /// The project's directory.
    pub fn dir(&self) -> &Path {
        self.manifest_path.parent().expect("a file has a parent")
    }

    /// Reads the lock, if there is one.
    ///
    /// # Errors
    /// If it is no lock that this program reads.
    pub fn lock(&self, cx: &Context) -> Result<Option<Lockfile>> {
        read_lock(&self.lock_path, cx)
    }

    /// Every toolchain with each of its platforms, in the order of the lock.
    pub fn entries(&self) -> impl Iterator<Item = (&Toolchain, Platform)> {
        self.manifest.toolchains.values().flat_map(|t| t.platforms.iter().map(move |p| (t, *p)))
    }

    /// What the manifest asks for, in the words of the lock.
    pub fn request(&self, toolchain: &Toolchain, platform: Platform) -> Request {
        let mut out = self.sources[&toolchain.name].request(platform);
        let mut put = |key: &str, values: Vec<String>| {
            if !values.is_empty() {
                out.insert(key.to_owned(), values);
            }
        };
        put("prune", toolchain.prune.clone());
        put("keep", toolchain.keep.clone());
        put("self_exe", toolchain.self_exe.clone());
        put("bin", toolchain.bin.iter().map(|(name, path)| format!("{name}={path}")).collect());
        put(
            "target",
            toolchain
                .target
                .filter(|t| *t != platform)
                .map(|t| t.to_string())
                .into_iter()
                .collect(),
        );
        put("libraries", toolchain.libraries.iter().map(|l| l.value.to_string()).collect());
        out
    }

    /// What of the lock does not fit the manifest.
    pub fn stale(&self, lock: &Lockfile) -> Vec<Stale> {
        let mut out = vec![];
        for (toolchain, platform) in self.entries() {
            let reasons = match lock.get(&toolchain.name, platform) {
                Some(locked) => self.differences(toolchain, platform, locked),
                None => vec!["it is not in the lock".to_owned()],
            };
            if !reasons.is_empty() {
                out.push(Stale { name: toolchain.name.clone(), platform, reasons });
            }
        }
        for tree in self.package_trees() {
            let reasons = match lock.get(&tree.name, tree.platform) {
                Some(locked) => self.package_differences(&tree, locked, lock),
                None => vec!["it is not in the lock".to_owned()],
            };
            if !reasons.is_empty() {
                out.push(Stale { name: tree.name, platform: tree.platform, reasons });
            }
        }
        for (name, platform) in lock.trees.keys() {
            let asked = self.entries().any(|(t, p)| t.name == *name && p == *platform)
                || self.package_trees().iter().any(|t| t.name == *name && t.platform == *platform);
            if !asked {
                out.push(Stale {
                    name: name.clone(),
                    platform: *platform,
                    reasons: vec!["the manifest does not ask for it any more".to_owned()],
                });
            }
        }
        out
    }

    fn differences(
        &self,
        toolchain: &Toolchain,
        platform: Platform,
        locked: &LockedTree,
    ) -> Vec<String> {
        let plan = &locked.plan;
        let mut out = vec![];
        let mut compare = |what: &str, was: &str, is: &str| {
            if was != is {
                out.push(format!("{what} was {was:?}, is {is:?}"));
            }
        };
        compare("kind", plan.kind.as_str(), toolchain.kind.as_str());
        compare("source", &plan.source, &toolchain.source.value);
        compare("the recipe", &plan.recipe, recipe::current(toolchain.kind));
        out.extend(different_requests(plan, &self.request(toolchain, platform)));
        out
    }

    /// The trees of the sets of Python packages, in the order in which they are locked: what builds import before what is built.
    pub fn package_trees(&self) -> Vec<PackageTree<'_>> {
        let mut out = vec![];
        for set in self.manifest.requirements.values() {
            for python in &set.python {
                let name = set.tree_name(&python.value);
                for builds in [true, false] {
                    if builds && (set.build.is_empty() || set.build_requires.is_empty()) {
                        continue;
                    }
                    let name = if builds { Requirements::builds_name(&name) } else { name.clone() };
                    out.extend(set.platforms.iter().map(|p| PackageTree {
                        name: name.clone(),
                        set,
                        python: &python.value,
                        platform: *p,
                        builds,
                    }));
                }
            }
        }
        out
    }

    /// The interpreter's version as packages know it, such as `3.11`; empty if it is not locked.
    pub fn python_version(
        &self,
        python: &ToolchainName,
        platform: Platform,
        lock: &Lockfile,
    ) -> String {
        let locked = lock
            .get(python, platform)
            .or_else(|| Platform::ALL.into_iter().find_map(|p| lock.get(python, p)));
        locked.map(|t| minor_version(&t.plan.version)).unwrap_or_default()
    }

    /// What the manifest and the files that it names ask of a set, in the words of the lock. `output` is the text of the file of requirements that is about to be
    /// written; without it, the one that is there counts.
    pub fn package_request(
        &self,
        tree: &PackageTree,
        lock: &Lockfile,
        output: Option<&str>,
    ) -> Request {
        let set = tree.set;
        let mut out = Request::new();
        let mut put = |key: &str, values: Vec<String>| {
            if !values.is_empty() {
                out.insert(key.to_owned(), values);
            }
        };
        put("set", vec![set.name.to_string()]);
        put(
            "python",
            vec![tree.python.to_string(), self.python_version(tree.python, tree.platform, lock)],
        );
        put("exclude_newer", set.exclude_newer.iter().cloned().collect());
        put(
            "build_requires",
            if set.build.is_empty() { vec![] } else { set.build_requires.clone() },
        );
        if tree.builds {
            put("role", vec!["build".to_owned()]);
            return out;
        }
        let files = self.requirement_files(set);
        let shown =
            |path: &Path| path.strip_prefix(self.dir()).unwrap_or(path).display().to_string();
        let digest = |text: &str| Digest::of(text.as_bytes()).hex()[..16].to_owned();
        let state = |path: &Path| match fs::read_to_string(path) {
            Ok(text) => format!("{} {}", shown(path), digest(&text)),
            Err(_) => format!("{} is not there", shown(path)),
        };
        put("inputs", files.iter().map(|f| state(f)).collect());
        put("extras", set.extras.clone());
        put("groups", set.groups.clone());
        put("build", set.build.clone());
        if !set.build.is_empty() {
            let builds = Requirements::builds_name(&tree.name);
            let used =
                [tree.python, &builds].into_iter().chain(set.build_tools.iter().map(|t| &t.value));
            let made = |name: &ToolchainName| {
                lock.get(name, tree.platform)
                    .or_else(|| Platform::ALL.into_iter().find_map(|p| lock.get(name, p)))
            };
            put(
                "built_with",
                used.filter_map(|name| Some(made(name)?.output.store_name.to_string())).collect(),
            );
        }
        put("build_tools", set.build_tools.iter().map(|t| t.value.to_string()).collect());
        put("prune", set.prune.clone());
        let file = set.output(tree.python);
        put(
            "output",
            vec![match output {
                Some(text) => format!("{file} {}", digest(text)),
                None => state(&self.dir().join(&file)),
            }],
        );
        out
    }

    /// The files that say which Python packages are required, and those that are written of it.
    pub fn package_files(&self) -> Vec<PathBuf> {
        let mut out = std::collections::BTreeSet::new();
        for tree in self.package_trees().iter().filter(|t| !t.builds) {
            out.extend(self.requirement_files(tree.set));
            out.insert(self.dir().join(tree.set.output(tree.python)));
        }
        out.into_iter().collect()
    }

    /// The files that a set is asked for in.
    fn requirement_files(&self, set: &Requirements) -> std::collections::BTreeSet<PathBuf> {
        let mut files = std::collections::BTreeSet::new();
        for file in set.inputs.iter().chain(&set.constraints) {
            files.extend(requirement_files::closure(&self.dir().join(&file.value)));
        }
        if !set.groups.is_empty() {
            files.insert(self.dir().join("pyproject.toml"));
        }
        files
    }

    /// Why the entry of a set does not fit.
    pub fn package_differences(
        &self,
        tree: &PackageTree,
        locked: &LockedTree,
        lock: &Lockfile,
    ) -> Vec<String> {
        let plan = &locked.plan;
        let recipe = recipe::current(crate::manifest::Kind::Packages);
        let mut out = vec![];
        if plan.recipe != recipe {
            out.push(format!("the recipe was {:?}, is {recipe:?}", plan.recipe));
        }
        out.extend(different_requests(plan, &self.package_request(tree, lock, None)));
        out
    }
}

/// One tree of a set of Python packages.
#[derive(Debug, Clone)]
pub struct PackageTree<'a> {
    /// Its name.
    pub name: ToolchainName,
    /// The set.
    pub set: &'a Requirements,
    /// The interpreter.
    pub python: &'a ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// Whether it holds what the builds of the set import, instead of the set.
    pub builds: bool,
}

/// `3.11` of `3.11.2-6+deb12u8`.
pub fn minor_version(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// What the manifest asks for now against what it asked for when the lock was made, key by key.
fn different_requests(plan: &crate::lockfile::Plan, request: &Request) -> Vec<String> {
    let mut out = vec![];
    let keys: std::collections::BTreeSet<&String> =
        plan.request.keys().chain(request.keys()).collect();
    for key in keys {
        let empty = vec![];
        let (was, is) =
            (plan.request.get(key).unwrap_or(&empty), request.get(key).unwrap_or(&empty));
        if was == is {
            continue;
        }
        let added: Vec<_> = is.iter().filter(|v| !was.contains(v)).map(|v| redact(v)).collect();
        let removed: Vec<_> = was.iter().filter(|v| !is.contains(v)).map(|v| redact(v)).collect();
        let mut parts = vec![];
        if !added.is_empty() {
            parts.push(format!("added {}", added.join(", ")));
        }
        if !removed.is_empty() {
            parts.push(format!("removed {}", removed.join(", ")));
        }
        if parts.is_empty() {
            parts.push("another order".to_owned());
        }
        out.push(format!("{key}: {}", parts.join("; ")));
    }
    out
}

/// Reads a lock, if there is one.
///
/// # Errors
/// If it is no lock that this program reads.
pub fn read_lock(path: &Path, cx: &Context) -> Result<Option<Lockfile>> {
    if !path.exists() {
        return Ok(None);
    }
    Lockfile::parse(&read_text(path)?, &shown(path, &cx.here)).map(Some)
}

/// Reads a text file of the user's.
///
/// # Errors
/// If it cannot be read or is no UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path)
        .map_err(|e| Error::user(format!("can't read {}", path.display())).cause(&e))?;
    String::from_utf8(bytes).map_err(|e| {
        Error::user(format!(
            "{} is no UTF-8 text, from byte {} on",
            path.display(),
            e.utf8_error().valid_up_to()
        ))
    })
}

/// The error for a lock that does not fit.
pub fn stale_error(stale: &[Stale], lock_path: &Path, cx: &Context) -> Error {
    let lines =
        stale.iter().map(|s| format!("{} for {}: {}", s.name, s.platform, s.reasons.join("; ")));
    lines
        .fold(
            Error::new(
                ErrorKind::LockStale,
                format!(
                    "{} does not fit {}",
                    shown(lock_path, &cx.here),
                    crate::manifest::FILE_NAME
                ),
            ),
            Error::because,
        )
        .hint("run `cotter lock` and commit the result")
}

/// Writes a file whole or not at all: beside it, then over it.
///
/// # Errors
/// If the directory can't be written.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(|e| Error::user(format!("can't write {}", path.display())).cause(&e))
}

//! A project: its manifest, its lock, and the files that they name.

mod files;
mod origins;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::context::{Context, shown};
use crate::emit;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fetch::{Fetcher, LONGEST_TEXT, read_regular};
use crate::lockfile::{self, Lockfile};
use crate::make::Maker;
use crate::manifest::{Manifest, Problems, Requirements, Toolchain};
use crate::model::{Platform, ToolchainName};
use crate::nix::keys::PUBLIC_KEY;
use crate::python::editable::{self, EditableLine};
use crate::python::named_files::{self, FileLine};
use crate::python::requirement_files;
use crate::python::requirement_lines::FileTarget;
use crate::recipe::{self, Idle, Recipe};
use crate::source::{self, Sources};

pub use files::{ProjectFiles, replace, replace_private};
pub use origins::origins;

/// The maximum number of patterns that match nothing and that are named.
const MOST_IDLE: usize = 50;

/// A project on disk.
pub struct Project {
    /// The path of the manifest.
    pub manifest_path: PathBuf,
    /// The path of the lock, which is next to the manifest.
    pub lock_path: PathBuf,
    /// The manifest.
    pub manifest: Manifest,
    /// What the manifest asks of each source.
    pub sources: Sources,
    /// What the manifest asks of each emitter.
    pub emissions: Vec<emit::Bound>,
}

impl Project {
    /// Returns the maker of this project's trees.
    pub fn maker<'a>(&self, cx: &'a Context, fetcher: &'a Fetcher) -> Maker<'a> {
        let evaluated_by = self.manifest.evaluator.as_ref().map(|name| name.value.clone());
        let mut maker = maker(cx, fetcher, self.manifest.settings.hard_links);
        maker.evaluator.caches = fetcher.nix_caches().to_vec();
        let keys = self.manifest.nix.keys.iter().map(|key| key.value.to_string());
        maker.evaluator.keys = std::iter::once(PUBLIC_KEY.to_owned()).chain(keys).collect();
        Maker { evaluated_by, ..maker }
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// If there is no manifest, or with every problem that it has.
    pub fn load(cx: &Context) -> Result<Self> {
        Self::load_from(cx.manifest_path()?, cx)
    }

    /// Reads the manifest at a path, whoever owns it.
    ///
    /// # Errors
    /// Those of [`Project::load`].
    pub fn load_from(manifest_path: PathBuf, cx: &Context) -> Result<Self> {
        let text = read_text(&manifest_path, &shown(&manifest_path, &cx.here))?;
        Self::of_text(manifest_path, &text, cx)
    }

    /// Reads the text of a manifest as if the file at `manifest_path` contained it.
    ///
    /// # Errors
    /// With every problem that it has.
    pub fn of_text(manifest_path: PathBuf, text: &str, cx: &Context) -> Result<Self> {
        let file = shown(&manifest_path, &cx.here);
        let mut problems = Problems::new(&file, text);
        let manifest = Manifest::parse(text, &mut problems);
        let sources = source::bind(&manifest, &mut problems);
        check_recipes(&manifest, &mut problems);
        let emissions = emit::bind(&manifest, &mut problems);
        problems.check().map_err(|e| conflict(text, &file).unwrap_or(e))?;
        let lock_path = manifest_path.with_file_name(lockfile::FILE_NAME);
        Ok(Project { manifest_path, lock_path, manifest, sources, emissions })
    }

    /// Returns the directory of the project.
    pub fn dir(&self) -> &Path {
        self.manifest_path.parent().expect("a file has a parent")
    }

    /// Opens the directory of the project to write files into it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn files(&self) -> Result<ProjectFiles> {
        ProjectFiles::open(self.dir())
    }

    /// Reads the lock, if there is one.
    ///
    /// # Errors
    /// If the file is not a lock that this program can read.
    pub fn lock(&self, cx: &Context) -> Result<Option<Lockfile>> {
        read_lock(&self.lock_path, cx)
    }

    /// Checks that the manifest pins something. `asked` are the toolchains that the user named; the
    /// message uses the first of them as its example.
    ///
    /// # Errors
    /// If the manifest pins nothing, with an explanation of how to begin.
    pub fn pins_something(&self, asked: &[ToolchainName], cx: &Context) -> Result<()> {
        if !self.manifest.toolchains.is_empty() || !self.manifest.requirements.is_empty() {
            return Ok(());
        }
        let file = shown(&self.manifest_path, &cx.here);
        let error = match asked.first() {
            Some(name) => Error::user(format!("there is no toolchain {:?}", name.as_str()))
                .because(format!("{file} pins nothing")),
            None => Error::user(format!("{file} pins nothing"))
                .because("expected at least one table [toolchains.<name>], got none"),
        };
        Err(error.hint("begin with [toolchains.gcc], kind = \"cc\", source = \"debian\", suite = \"bookworm\", packages = [\"gcc\"]; `cotter add gcc-12` writes such a table, and `cotter init` in an empty directory a whole file"))
    }

    /// Adds the line of the toolchain or set that a failure concerns, if the manifest is to blame
    /// for the failure.
    pub fn locate(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::User | ErrorKind::Build) {
            return error;
        }
        let place =
            error.subjects().filter_map(|s| s.parse::<ToolchainName>().ok()).find_map(|name| {
                let toolchain = self.manifest.toolchains.get(&name);
                // A composition names the entry of `bin` that is to blame.
                let entry = toolchain.and_then(|t| {
                    let mut names = error.subjects().filter_map(|s| s.strip_prefix("bin "));
                    names.find_map(|bin| t.pattern_places.get(&("bin", bin.to_owned())))
                });
                entry
                    .or_else(|| toolchain.map(|t| &t.place))
                    .or_else(|| self.manifest.requirements.get(&name).map(|r| &r.place))
                    .cloned()
            });
        match place {
            Some(place) => error.located(place),
            None => error,
        }
    }

    /// Warns about patterns of `prune` and `keep` that matched nothing in any of the trees made for
    /// their toolchain. Such patterns are usually misspelt names.
    pub fn warn_of_idle_patterns(&self, made: &[(&ToolchainName, &[Idle])], cx: &Context) {
        let mut told = std::collections::BTreeSet::new();
        // How many trees of a toolchain there are, and in how many of them a pattern is idle.
        let mut trees: BTreeMap<&ToolchainName, usize> = BTreeMap::new();
        let mut idle_in: BTreeMap<(&ToolchainName, &str, &str), usize> = BTreeMap::new();
        for (name, idle) in made {
            *trees.entry(name).or_default() += 1;
            for pattern in *idle {
                *idle_in.entry((name, pattern.key, &pattern.pattern)).or_default() += 1;
            }
        }
        for (name, idle) in made {
            let places =
                match (self.manifest.toolchains.get(name), self.manifest.requirements.get(name)) {
                    (Some(toolchain), _) => &toolchain.pattern_places,
                    (None, Some(set)) => &set.pattern_places,
                    (None, None) => continue,
                };
            for Idle { key, pattern, near } in *idle {
                let everywhere = idle_in[&(*name, *key, pattern.as_str())] == trees[*name];
                let Some(place) = places.get(&(*key, pattern.clone())).filter(|_| everywhere)
                else {
                    continue;
                };
                if !told.insert(place.to_string()) {
                    continue;
                }
                if told.len() > MOST_IDLE {
                    continue;
                }
                let hint = match near.as_slice() {
                    [] => String::new(),
                    near => format!("; there is {}", near.join(", ")),
                };
                cx.reporter.warn(&format!(
                    "{place}: `{key}` of {pattern:?} matches nothing in {name}{hint}"
                ));
            }
        }
        if told.len() > MOST_IDLE {
            let more = told.len() - MOST_IDLE;
            cx.reporter.warn(&format!("{more} more patterns match nothing"));
        }
    }

    /// Returns every toolchain with each of its platforms, in the order of the lock.
    pub fn entries(&self) -> impl Iterator<Item = (&Toolchain, Platform)> {
        self.manifest.toolchains.values().flat_map(|t| t.platforms.iter().map(move |p| (t, *p)))
    }

    /// Returns the recipe that finishes the tree of a toolchain.
    pub fn recipe(&self, toolchain: &Toolchain) -> &'static dyn Recipe {
        // The recipe of a build is that of its steps.
        let is_built = toolchain.source.value == source::BUILD;
        let named = toolchain.recipe.as_ref().filter(|_| !is_built).map(|r| r.value.as_str());
        let of_source = || self.sources[&toolchain.name].recipe(toolchain.kind);
        named
            .or_else(of_source)
            .and_then(recipe::named)
            .unwrap_or_else(|| recipe::of_kind(toolchain.kind))
    }

    /// Returns the trees of the sets of Python packages in the order in which they are locked: the
    /// packages that builds import come before the packages that are built.
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

    /// Returns the files that state which Python packages are required, and the files that are
    /// generated from them.
    pub fn package_files(&self) -> Vec<PathBuf> {
        let mut out = std::collections::BTreeSet::new();
        for tree in self.package_trees().iter().filter(|t| !t.builds) {
            out.extend(self.requirement_files(tree.set));
            out.extend(self.named_files(tree.set).into_iter().filter_map(|line| {
                match line.file.target {
                    FileTarget::Path(path) => Some(self.dir().join(path)),
                    FileTarget::Url(_) => None,
                }
            }));
            out.insert(self.dir().join(tree.set.output(tree.python).as_str()));
        }
        out.into_iter().collect()
    }

    /// Returns the files that a set names in place of releases, with the places.
    pub fn named_files(&self, set: &Requirements) -> Vec<FileLine> {
        named_files::of_set(set, self.dir())
    }

    /// Returns the directories that a set imports from, with the places.
    pub fn editables(&self, set: &Requirements) -> Vec<EditableLine> {
        editable::of_set(set, self.dir())
    }

    /// Returns the files that state the requirements of a set.
    pub fn requirement_files(&self, set: &Requirements) -> std::collections::BTreeSet<PathBuf> {
        let mut files = std::collections::BTreeSet::new();
        for file in set.inputs.iter().chain(&set.constraints) {
            files.extend(requirement_files::closure(self.dir(), &self.dir().join(&file.value)));
        }
        if !set.groups.is_empty() {
            files.insert(self.dir().join("pyproject.toml"));
        }
        files
    }
}

/// Reports recipes that do not exist or that are not for the kind of their toolchain.
fn check_recipes(manifest: &Manifest, problems: &mut Problems) {
    for toolchain in manifest.toolchains.values() {
        let Some(recipe) = &toolchain.recipe else { continue };
        if toolchain.source.value == source::BUILD {
            continue;
        }
        let fits = recipe::RECIPES.iter().filter(|r| r.kind() == toolchain.kind).map(|r| r.name());
        if !fits.clone().any(|name| name == recipe.value) {
            let known = fits.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
            problems.add(
                recipe.span.clone(),
                format!(
                    "expected one of {known} for a toolchain of kind {:?}, got {:?}",
                    toolchain.kind.as_str(),
                    recipe.value
                ),
            );
        }
    }
}

/// One tree of a set of Python packages.
#[derive(Debug, Clone)]
pub struct PackageTree<'a> {
    /// The name of the tree.
    pub name: ToolchainName,
    /// The set.
    pub set: &'a Requirements,
    /// The interpreter.
    pub python: &'a ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// Whether the tree contains the packages that the builds of the set import, instead of the set
    /// itself.
    pub builds: bool,
}

/// Returns a maker of trees for a context.
pub fn maker<'a>(cx: &'a Context, fetcher: &'a Fetcher, hard_links: bool) -> Maker<'a> {
    Maker {
        store: &cx.store,
        fetcher,
        evaluator: cx.evaluator(),
        evaluated_by: None,
        caches: cx.caches().to_vec(),
        reporter: cx.reporter.clone(),
        jobs: cx.jobs(),
        hard_links,
        limits: cx.limits(),
    }
}

/// Reads a lock, if there is one.
///
/// # Errors
/// If the file is not a lock that this program can read.
pub fn read_lock(path: &Path, cx: &Context) -> Result<Option<Lockfile>> {
    if !path.exists() {
        return Ok(None);
    }
    let file = shown(path, &cx.here);
    Lockfile::parse(&read_lock_text(path, &file)?, &file).map(Some)
}

/// Reads the text of a lock, like [`read_text`]. A file that can be read but is no text is a
/// damaged lock.
///
/// # Errors
/// If the file cannot be read or is not valid UTF-8.
pub fn read_lock_text(path: &Path, file: &str) -> Result<String> {
    text_of(read_file(path, file, "move it away")?, file)
        .map_err(|e| e.with_kind(ErrorKind::LockDamaged).hint(lockfile::ANEW))
}

/// Returns the error of a manifest with conflict markers. They would otherwise be reported as many
/// mistakes of syntax.
fn conflict(text: &str, file: &str) -> Option<Error> {
    let line = text.lines().position(|line| line.starts_with("<<<<<<< "))?;
    lockfile::has_conflict_markers(text).then(|| {
        Error::user(format!("{file} holds merge conflict markers"))
            .located(Place { file: file.to_owned(), line: line + 1, column: 1 })
            .hint("resolve them, then run `cotter lock`")
    })
}

/// Reads a text file of the user. Messages call it `file`.
///
/// # Errors
/// If the file cannot be read or is not valid UTF-8.
pub fn read_text(path: &Path, file: &str) -> Result<String> {
    let hint = "move it away, or name the file: --manifest FILE";
    text_of(read_file(path, file, hint)?, file).map_err(|e| e.hint("save the file as UTF-8"))
}

/// Reads a regular file. A repository can contain a symlink to a device, and reading a device might
/// never end; nor does that of some files of `/proc`, which are regular and say that they are empty.
fn read_file(path: &Path, file: &str, hint: &str) -> Result<Vec<u8>> {
    let kind = fs::metadata(path).map_err(|e| Error::unreadable(Path::new(file), e))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a directory" } else { "a device or a pipe" };
        return Err(Error::user(format!("{file} is {what}, and was to be a file")).hint(hint));
    }
    read_regular(path, LONGEST_TEXT).map_err(|e| Error::unreadable(Path::new(file), e))
}

fn text_of(bytes: Vec<u8>, file: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let (good, bad) = e.as_bytes().split_at(e.utf8_error().valid_up_to());
        let line_start = good.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let before = String::from_utf8_lossy(&good[line_start..]);
        Error::user(format!("{file} is no UTF-8 text"))
            .located(Place {
                file: file.to_owned(),
                line: good.iter().filter(|b| **b == b'\n').count() + 1,
                column: before.chars().count() + 1,
            })
            .because(format!("expected UTF-8, got the byte {:#04x}", bad.first().unwrap_or(&0)))
    })
}

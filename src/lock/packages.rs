//! Locks sets of Python packages: a pinned uv resolves them, and packages that exist only as source
//! are built.

mod building;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::listing;
use super::notes;
use super::options::Upgrade;
use super::package_files::{environment_of_uv, input_of, known_files};
use super::stale::{python_version, set_differences, set_fingerprint, target};
use crate::context::{Context, shown};
use crate::error::{Error, Place, Result, nearest};
use crate::fetch::{Fetcher, LONGEST_LIST, MOST_CONNECTIONS, decode, read_list, read_regular};
use crate::lockfile::{
    LockedTree, Lockfile, PackagesRole, PackagesSpec, Plan, Selection, Spec, Uses, first_marker,
    has_conflict_markers, sides,
};
use crate::make::{Made, Maker, Proposal};
use crate::manifest::Requirements;
use crate::model::{Digest, Input, Kind, MemberPath, Platform, ToolchainName, abi_tag};
use crate::parallel;
use crate::project::{PackageTree, Project};
use crate::python::dependency::RequiresDist;
use crate::python::editable::Editable;
use crate::python::inputs::{self, Interpreters, check_uv_version};
use crate::python::metadata::{self, WheelMetadata};
use crate::python::requirement_files::{self, Pin, is_generated, pins};
use crate::python::requirement_lines::{is_list, lines};
use crate::python::target::WheelTarget;
use crate::python::uv::{self, Chosen, SetResolution};
use crate::recipe;
use crate::reporter::Phase;
use crate::store::Staging;

/// The name of the source of sets in the lock.
const SOURCE: &str = "wheels";

/// The files of requirements to write, with their texts.
pub type RequirementTexts = Vec<(MemberPath, String)>;

/// Locks the sets that are stale or to be upgraded into `lock`, and copies the others from `old`.
/// Returns the trees that were made, and the files of requirements, which are not written yet.
///
/// # Errors
/// If a set cannot be resolved, fetched or built.
pub fn update(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    old: &Lockfile,
    lock: &mut Lockfile,
    upgrade: &Upgrade,
) -> Result<(Vec<Made>, RequirementTexts)> {
    let mut made = vec![];
    let mut written = vec![];
    for group in groups(project) {
        let is_stale = |tree: &PackageTree| {
            old.get(&tree.name, tree.platform)
                .is_none_or(|locked| !set_differences(project, tree, locked, lock).is_empty())
        };
        let wanted = upgrade.wants(&group[0].set.name) || upgrade.wants(&group[0].name);
        if !wanted && !group.iter().any(is_stale) {
            for tree in &group {
                if let Some(locked) = old.get(&tree.name, tree.platform) {
                    locked.check()?;
                    lock.put(locked.clone());
                }
            }
            continue;
        }
        crate::interrupt::check()?;
        let _spinner = cx.reporter.spinner("resolving", group[0].name.as_str());
        let locking = Locking { project, cx, fetcher, lock: &*lock };
        let done = locking.group(&group, wanted).map_err(|e| {
            let error = e.context(format!("can't lock {}", group[0].name));
            project.locate(error.about(group[0].set.name.as_str()))
        })?;
        made.extend(done.made);
        written.extend(done.file);
        for tree in done.trees {
            lock.put(tree);
        }
    }
    Ok((made, written))
}

/// Writes the files of requirements whose texts have changed.
///
/// # Errors
/// If a file cannot be written.
pub fn write(project: &Project, texts: &RequirementTexts) -> Result<()> {
    let files = project.files()?;
    for (name, text) in texts {
        let there = read_list(&project.dir().join(name.as_str()));
        if there.ok().as_ref() != Some(text) {
            files.replace(name, text)?;
        }
    }
    Ok(())
}

/// Groups the trees by set and interpreter. Each group has one tree for each platform.
fn groups(project: &Project) -> Vec<Vec<PackageTree<'_>>> {
    let mut out: Vec<Vec<PackageTree>> = vec![];
    for tree in project.package_trees() {
        match out.last_mut() {
            Some(group) if group[0].name == tree.name => group.push(tree),
            _ => out.push(vec![tree]),
        }
    }
    out
}

struct Locking<'a> {
    project: &'a Project,
    cx: &'a Context,
    fetcher: &'a Fetcher,
    lock: &'a Lockfile,
}

struct Done {
    trees: Vec<LockedTree>,
    made: Vec<Made>,
    /// The file of requirements to write, with its text.
    file: Option<(MemberPath, String)>,
}

impl Locking<'_> {
    fn group(&self, group: &[PackageTree], upgrade: bool) -> Result<Done> {
        let (set, python) = (group[0].set, group[0].python);
        let scratch = Staging::new(&self.cx.store)?;
        self.check_uv(set)?;
        self.check_interpreter(python)?;
        let (program, interpreter) = (self.native(&set.uv.value)?, self.native(python)?);
        self.maker().offer_index(self.lock)?;
        let indexes = match self.fetcher.python_indexes() {
            // uv knows a default, under which its cache may have what is needed.
            Err(_) if self.cx.global.offline => self.fetcher.mirrors.python_indexes(None),
            indexes => indexes?,
        };
        // The build requirements form a set of their own, whose requirement file is generated here.
        let build_set;
        let mut effective = set;
        if group[0].builds {
            let file = scratch.dir().join("build-requires.in");
            fs::write(&file, set.build_requires.join("\n"))
                .map_err(|e| Error::at("write", &file, e))?;
            build_set = Requirements::of_builds(set, &file.display().to_string());
            effective = &build_set;
        }
        let output = set.output(python);
        let before = if group[0].builds { None } else { self.written_before(set, &output)? };
        let preferred = before.filter(|_| !upgrade);
        let env = environment_of_uv(self.fetcher.http.patience());
        let cache = self.cx.store.uv_cache();
        let targets: Vec<WheelTarget> =
            group.iter().map(|t| self.target(python, t.platform)).collect::<Result<_>>()?;
        let platforms: Vec<(Platform, String)> =
            targets.iter().map(|t| (t.platform, t.glibc())).collect();
        let asked = self.project.manifest.toolchains.get(python);
        let asked =
            asked.map(|t| format!("[toolchains.{python}] ({})", t.place)).unwrap_or_default();
        let interpreters = Interpreters { targets: &targets, asked: &asked };
        let dir = self.project.dir();
        inputs::check(effective, dir, &interpreters, &indexes)?;
        let files = known_files(self.fetcher, &self.cx.reporter, effective, dir)?;
        let editable = self.editable(set)?;
        let job = SetResolution {
            set: effective,
            uv: &program.join("bin/uv"),
            python: &interpreter.join("bin/python3"),
            dir,
            scratch: scratch.dir(),
            cache: &cache,
            indexes: &indexes,
            preferred: preferred.as_deref(),
            offline: self.cx.global.offline,
            refresh: upgrade,
            http: &self.fetcher.http,
            env: &env,
            platforms: &platforms,
            limits: self.cx.limits(),
            files: &files,
            confined: OnceCell::new(),
        };
        let resolving = |of: &PackageTree| Plan::label_of(&of.name, of.platform);
        let (text, warnings) =
            self.cx.reporter.timed(&resolving(&group[0]), Phase::Resolve, || job.universal())?;
        for warning in warnings {
            self.cx.reporter.warn(&warning);
        }
        if job.confined.get().is_some() {
            let named: Vec<(String, Digest)> =
                files.iter().map(|file| (file.line.target(), file.sha256)).collect();
            // The fetcher remembers the pages. The check meets a page that could not be had again.
            let ask = |name: &String| self.fetcher.python_project(name).map(drop);
            let _ = parallel::each(&listing::projects(&text), MOST_CONNECTIONS, &ask);
            listing::check(&text, &named, &|name| self.fetcher.python_project(name))?;
        }
        if !group[0].builds {
            let named: Vec<String> = files.iter().filter_map(|f| f.line.project().ok()).collect();
            self.warn_of_idle_builds(set, &text, &named);
        }
        let mut demanded = self.demanded_hashes(effective, scratch.dir());
        for file in files.iter().filter(|file| file.line.file.sha256.is_some()) {
            demanded.entry(file.line.project()?).or_default().hashes.insert(file.sha256);
        }
        let mut plans = vec![];
        let mut extras = vec![];
        for (tree, target) in group.iter().zip(&targets) {
            let choose = || job.for_platform(target, &target.glibc(), &text);
            let chosen = self.cx.reporter.timed(&resolving(tree), Phase::Resolve, choose)?;
            self.check_hashes(effective, &chosen, &demanded)?;
            extras.push(chosen.iter().map(|c| (c.project.clone(), c.extras.clone())).collect());
            let inputs = self.inputs(chosen, &demanded)?;
            let version = python_version(python, tree.platform, self.lock);
            let spec = PackagesSpec {
                set: set.name.clone(),
                interpreter: python.clone(),
                python: version.clone(),
                abi: abi_tag(&version),
                role: if tree.builds { PackagesRole::Builds } else { PackagesRole::Set },
                editable: if tree.builds { vec![] } else { editable.clone() },
                build_tools: set.build_tools.iter().map(|t| t.value.clone()).collect(),
                libraries: if tree.builds {
                    vec![]
                } else {
                    set.libraries.iter().map(|l| l.value.clone()).collect()
                },
                selection: Selection { prune: set.prune.clone(), keep: vec![] },
            };
            plans.push(Plan {
                name: tree.name.clone(),
                platform: tree.platform,
                uses: Uses::of_set(&spec, false, None),
                spec: Spec::Packages(spec),
                source: SOURCE.to_owned(),
                version,
                recipe: recipe::id(recipe::of_kind(Kind::Packages)),
                fingerprint: set_fingerprint(self.project, tree, self.lock, Some(&text)),
                releases: vec![],
                evaluation: None,
                building: None,
                inputs,
            });
        }
        let label = resolving(&group[0]);
        self.cx.reporter.timed(&label, Phase::Build, || self.build(&mut plans, set))?;
        let overrides = job.overrides()?;
        for ((plan, target), extras) in plans.iter_mut().zip(&targets).zip(&extras) {
            self.close(plan, target, extras, &overrides)
                .map_err(|e| e.located(set.inputs_place().clone()))?;
        }
        let proposals: Vec<Proposal> =
            plans.iter().map(|plan| Proposal { plan: plan.clone(), may_grow: false }).collect();
        let made = self.maker().identify(self.lock, &proposals)?;
        let idle: Vec<_> = made.iter().map(|m| (&set.name, m.notes.idle.as_slice())).collect();
        self.project.warn_of_idle_patterns(&idle, self.cx);
        for (plan, made) in plans.iter().zip(&made) {
            let libraries =
                set.libraries.iter().filter_map(|l| self.lock.get(&l.value, plan.platform));
            let mut searched = vec![interpreter.clone()];
            searched.extend(libraries.map(|tree| self.cx.store.path(&tree.output.store_name)));
            notes::tell_lacking(plan, &made.notes, &searched, python, &self.cx.reporter);
        }
        let trees = plans
            .into_iter()
            .zip(&made)
            .map(|(plan, made)| LockedTree::new(plan, made.output.clone()))
            .collect();
        Ok(Done { trees, made, file: (!group[0].builds).then_some((output, text)) })
    }

    /// Returns the directories that a set imports from, for the lock.
    ///
    /// # Errors
    /// If one is not in the checkout of the project, or has a name that no search path can hold.
    fn editable(&self, set: &Requirements) -> Result<Vec<String>> {
        let dir = self.project.dir();
        let mut out = vec![];
        for line in self.project.editables(set) {
            let relative = line.relative(dir);
            let at = |e: Error| e.located(line.place.clone());
            Editable::read(dir, &relative).map_err(at)?;
            if relative.starts_with('/') || relative.contains(['\n', ':']) {
                return Err(at(Error::user(format!("{relative:?} can't be imported from"))
                    .because("expected a path relative to the manifest, without colons")));
            }
            out.push(relative);
        }
        Ok(out)
    }

    /// Returns the text of the file of requirements that is about to be replaced, if there is one. Of a
    /// file that git could not merge, it is the first side that cotter wrote.
    ///
    /// # Errors
    /// If cotter did not write the file: a repository names it.
    fn written_before(&self, set: &Requirements, output: &MemberPath) -> Result<Option<String>> {
        let path = self.project.dir().join(output.as_str());
        let shown = shown(&path, &self.cx.here);
        let text = match read_regular(&path, LONGEST_LIST) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::unreadable(&path, e)),
        };
        let sides = if has_conflict_markers(&text) {
            let line = first_marker(&text).unwrap_or(1);
            self.cx.reporter.line(&format!(
                "{shown}:{line} holds merge conflict markers: the file is made anew"
            ));
            sides(&text).into()
        } else {
            vec![text]
        };
        match sides.iter().find(|side| is_generated(side)) {
            Some(side) => Ok(Some(side.clone())),
            None if sides.iter().all(|side| side.trim().is_empty()) => Ok(None),
            None => Err(Error::user(format!("{shown} is there, and cotter did not write it"))
                .located(set.place_of("output"))
                .because(format!(
                    "the requirements of [requirements.{}] are to be written there, and the file does not begin with the head of such a file",
                    set.name
                ))
                .hint(format!(
                    "move the file away, or name another one: output = \"...\" in [requirements.{}]",
                    set.name
                ))),
        }
    }

    /// Warns about packages in `build` that the set does not hold. Such names are usually misspelt.
    /// `named` are the projects that are named by their files.
    fn warn_of_idle_builds(&self, set: &Requirements, text: &str, named: &[String]) {
        let held = pins(text);
        let is_held = |name: &String| held.contains_key(name) || named.contains(name);
        for name in set.build.iter().filter(|name| *name != "*" && !is_held(name)) {
            let place = set.pattern_places.get(&("build", name.clone())).unwrap_or(&set.place);
            let near = nearest(name, held.keys().map(String::as_str), 3);
            let hint = match near.as_slice() {
                [] => String::new(),
                near => format!("; there is {}", near.join(", ")),
            };
            self.cx.reporter.warn(&format!(
                "{place}: `build` names {name:?}, which [requirements.{}] does not hold{hint}",
                set.name
            ));
        }
    }

    fn maker(&self) -> Maker<'_> {
        self.project.maker(self.cx, self.fetcher)
    }

    /// Returns the path of a toolchain's tree for this machine, and makes the tree if it is
    /// missing.
    fn native(&self, name: &ToolchainName) -> Result<PathBuf> {
        self.maker().native(self.lock, name)
    }

    /// Checks that uv is recent enough to be understood.
    fn check_uv(&self, set: &Requirements) -> Result<()> {
        let name = &set.uv.value;
        let trees = self.lock.trees.values().filter(|t| t.plan.name == *name);
        let mut versions = trees.map(|tree| &tree.plan.version);
        let Some(version) = versions.clone().find(|v| !uv::is_recent(v)) else {
            return versions
                .try_for_each(|version| check_uv_version(set, self.project.dir(), version));
        };
        let error = Error::user(format!("uv {version} is too old to lock Python packages"))
            .because(format!("expected at least {}, got {version}", uv::OLDEST))
            .hint(format!("pin a newer version in [toolchains.{name}]"));
        Err(match self.project.manifest.toolchains.get(name) {
            Some(toolchain) => error.located(toolchain.place.clone()),
            None => error,
        })
    }

    /// Checks that the interpreter will see the packages.
    fn check_interpreter(&self, python: &ToolchainName) -> Result<()> {
        let toolchain = self.project.manifest.toolchains.get(python);
        let Some(toolchain) = toolchain.filter(|t| t.env.contains_key("PYTHONNOUSERSITE")) else {
            return Ok(());
        };
        Err(Error::user(format!("[toolchains.{python}.env] hides Python packages from the interpreter"))
            .located(toolchain.place.clone())
            .because("expected no PYTHONNOUSERSITE, got one: a set of packages takes the place of the packages of a user")
            .hint("leave it out: with a set, no packages of a user are seen"))
    }

    /// Returns what the interpreter on a platform accepts. The newest glibc whose wheels it can load
    /// is that of its own tree.
    fn target(&self, python: &ToolchainName, platform: Platform) -> Result<WheelTarget> {
        target(python, platform, self.lock).ok_or_else(|| {
            Error::user(format!("[toolchains.{python}] brings no CPython 3 for {platform}"))
        })
    }

    /// Checks the files of a tree against each other and the interpreter, and records which package
    /// requires which.
    fn close(
        &self,
        plan: &mut Plan,
        target: &WheelTarget,
        extras: &BTreeMap<String, BTreeSet<String>>,
        overrides: &[RequiresDist],
    ) -> Result<()> {
        let reporter = &self.cx.reporter;
        let wheels = parallel::each(&plan.inputs, MOST_CONNECTIONS, &|input: &Input| {
            let (path, name) = match &input.built {
                Some(built) => {
                    let path = self.fetcher.built(&built.sha256).ok_or_else(|| {
                        Error::build(format!("{} is gone from the cache", built.file))
                            .hint("run the same command again")
                    })?;
                    (path, built.file.clone())
                }
                None => {
                    let task = reporter.task(input.file_name(), input.size);
                    (self.fetcher.file(input, None, &task)?, decode(input.file_name()))
                }
            };
            if target.rank(&name).is_none() {
                return Err(Error::user(format!("{name} is not made for this Python"))
                    .because(format!("expected a wheel for {}", target.shown())));
            }
            let wheel = WheelMetadata::read(&path, &name)?;
            let component = &input.component;
            if wheel.project != component.name {
                return Err(Error::verification(format!("{name} is refused")).because(format!(
                    "expected METADATA of {}, got of {}",
                    component.name, wheel.project
                )));
            }
            Ok(wheel)
        })?;
        let mut closure = metadata::close(target, &wheels, extras, overrides)?;
        for warning in &closure.warnings {
            reporter.warn(warning);
        }
        for input in &mut plan.inputs {
            let edges = closure.edges.remove(&input.component.name);
            input.requires = edges.unwrap_or_default().into_iter().collect();
        }
        Ok(())
    }

    /// Returns the hashes that the input files themselves demand.
    fn demanded_hashes(&self, set: &Requirements, scratch: &Path) -> BTreeMap<String, Pin> {
        let dir = self.project.dir();
        let named = set
            .inputs
            .iter()
            .chain(&set.constraints)
            .flat_map(|f| requirement_files::closure(dir, &dir.join(&f.value)));
        // Lock files of other formats were converted to requirement lists in the scratch directory.
        let turned = fs::read_dir(scratch)
            .into_iter()
            .flatten()
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| {
                p.to_string_lossy().ends_with("lock.txt")
                    || p.to_string_lossy().ends_with(".toml.txt")
            });
        let mut out: BTreeMap<String, Pin> = BTreeMap::new();
        for path in named.chain(turned) {
            for (name, pin) in read_list(&path).map(|text| pins(&text)).unwrap_or_default() {
                out.entry(name).or_default().hashes.extend(pin.hashes);
            }
        }
        out.retain(|_, pin| !pin.hashes.is_empty());
        out
    }

    /// Checks that each chosen package has a hash if a list of the set demands that.
    fn check_hashes(
        &self,
        set: &Requirements,
        chosen: &[Chosen],
        demanded: &BTreeMap<String, Pin>,
    ) -> Result<()> {
        let without: Vec<&str> = chosen
            .iter()
            .map(|file| file.project.as_str())
            .filter(|name| !demanded.contains_key(*name))
            .collect();
        let place = self.project.requirement_files(set).into_iter().find_map(|file| {
            let text = read_list(&file).ok().filter(|_| is_list(&file))?;
            let mut lines = lines(&text).into_iter();
            let (line, _) = lines.find(|(_, line)| line.starts_with("--require-hashes"))?;
            Some(Place { file: shown(&file, &self.cx.here), line, column: 1 })
        });
        let (Some(place), [first, ..]) = (place, without.as_slice()) else { return Ok(()) };
        let be = if without.len() == 1 { "has" } else { "have" };
        Err(Error::user(format!("{} {be} no hash", without.join(", ")))
            .located(place)
            .because("expected a version and a hash of each package, as `--require-hashes` demands")
            .hint(format!("write {first}==VERSION --hash=sha256:HASH, or leave the option out: the lock pins each file by its hash in any case")))
    }

    /// Converts the chosen files to inputs of the lock. Sizes and hashes that the index does not
    /// provide are determined by fetching the files, several at once.
    fn inputs(&self, chosen: Vec<Chosen>, demanded: &BTreeMap<String, Pin>) -> Result<Vec<Input>> {
        let (fetcher, reporter) = (self.fetcher, &self.cx.reporter);
        let input = |file: &Chosen| input_of(fetcher, reporter, file, demanded);
        let mut out = parallel::each(&chosen, MOST_CONNECTIONS, &input)?;
        out.sort_by(|a: &Input, b| {
            a.locations
                .iter()
                .map(ToString::to_string)
                .cmp(b.locations.iter().map(ToString::to_string))
        });
        Ok(out)
    }
}

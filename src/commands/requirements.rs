//! Locking of sets of Python packages, and the builds of those that come as source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;

use super::locking::Upgrade;
use super::pip;
use crate::compose::{Composed, Composer, Order};
use crate::context::{Context, var_os};
use crate::environment::{self, Active};
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::manifest::Requirements;
use crate::model::{Built, Input, Location, Package, Platform, ToolchainName, WheelName};
use crate::project::{PackageTree, Project};
use crate::python::requirement_files::{self, Pin, pins};
use crate::python::sdist::Builder;
use crate::python::uv::{Chosen, Job};
use crate::recipe;
use crate::reporter::Reporter;
use crate::source::wheels;
use crate::store::Staging;

/// The glibc of a tree that names none: old enough for any.
const UNKNOWN_GLIBC: &str = "2.28";

/// Locks the sets that are stale or to be upgraded into `lock`; the others come over from `old`.
///
/// # Errors
/// If a set cannot be resolved, fetched or built; then the files of requirements are as they were.
pub fn update(
    project: &Project,
    cx: &Context,
    fetcher: &Fetcher,
    old: &Lockfile,
    lock: &mut Lockfile,
    upgrade: &Upgrade,
) -> Result<Vec<Composed>> {
    let mut made = vec![];
    let mut written = vec![];
    for group in groups(project) {
        let is_stale = |tree: &PackageTree| {
            old.get(&tree.name, tree.platform)
                .is_none_or(|locked| !project.package_differences(tree, locked, lock).is_empty())
        };
        let wanted = upgrade.wants(&group[0].set.name) || upgrade.wants(&group[0].name);
        if !wanted && !group.iter().any(is_stale) {
            for tree in &group {
                lock.trees.extend(
                    old.get(&tree.name, tree.platform)
                        .map(|locked| ((tree.name.clone(), tree.platform), locked.clone())),
                );
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
    for (path, text) in written {
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            crate::project::replace(&path, &text)?;
        }
    }
    Ok(made)
}

/// The trees of each set and interpreter: one for each platform.
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
    made: Vec<Composed>,
    /// The file of requirements to write.
    file: Option<(PathBuf, String)>,
}

impl Locking<'_> {
    fn group(&self, group: &[PackageTree], upgrade: bool) -> Result<Done> {
        let (set, python) = (group[0].set, group[0].python);
        let scratch = Staging::new(&self.cx.store)?;
        let (uv, interpreter) = (self.native(&set.uv.value)?, self.native(python)?);
        pip::offer(self.cx, self.fetcher, self.lock, self.project.manifest.settings.hard_links)?;
        let indexes = if self.cx.global.offline {
            self.fetcher.mirrors.python_indexes()
        } else {
            self.fetcher.python_indexes()?
        };
        // The requirements of builds are a set of their own, out of a file that is made here.
        let build_set;
        let mut effective = set;
        if group[0].builds {
            let file = scratch.dir().join("build-requires.in");
            fs::write(&file, set.build_requires.join("\n"))
                .map_err(|e| Error::at("write", &file, e))?;
            build_set = Requirements::of_builds(set, &file.display().to_string());
            effective = &build_set;
        }
        let output = self.project.dir().join(set.output(python));
        let preferred =
            (!upgrade && !group[0].builds).then(|| fs::read_to_string(&output).ok()).flatten();
        let env = environment_of_uv();
        let cache = self.cx.store.dir().join("cache").join("uv");
        let job = Job {
            set: effective,
            uv: &uv.join("bin/uv"),
            python: &interpreter.join("bin/python3"),
            dir: self.project.dir(),
            scratch: scratch.dir(),
            cache: &cache,
            indexes: &indexes,
            preferred: preferred.as_deref(),
            offline: self.cx.global.offline,
            http: &self.fetcher.http,
            env: &env,
        };
        let (text, warnings) = job.universal()?;
        for warning in warnings {
            self.cx.reporter.warn(&warning);
        }
        let demanded = self.demanded_hashes(effective, scratch.dir());
        let mut plans = vec![];
        for tree in group {
            let glibc = self.glibc(python, tree.platform);
            let chosen = job.for_platform(tree.platform, &glibc, &text)?;
            let inputs = self.inputs(chosen, &demanded)?;
            if inputs.is_empty() {
                return Err(Error::user(format!(
                    "[requirements.{}] gives no package for {}",
                    set.name, tree.platform
                ))
                .hint("leave the platform out: platforms = [...]"));
            }
            plans.push(Plan {
                name: tree.name.clone(),
                platform: tree.platform,
                kind: crate::manifest::Kind::Packages,
                source: wheels::NAME.to_owned(),
                version: self.project.python_version(python, tree.platform, self.lock),
                recipe: recipe::current(crate::manifest::Kind::Packages).to_owned(),
                request: self.project.package_request(tree, self.lock, Some(&text)),
                releases: vec![],
                inputs,
            });
        }
        self.build(&mut plans, set, python, scratch.dir())?;
        let composer = self.composer();
        // What builds import is used at once; the rest is kept where it runs.
        let orders: Vec<Order> = plans
            .iter()
            .map(|plan| Order {
                plan,
                expected: None,
                keep: Platform::native() == Some(plan.platform),
            })
            .collect();
        let made = composer.run(&orders)?;
        let idle: Vec<_> = made.iter().map(|m| (&set.name, m.idle.as_slice())).collect();
        self.project.warn_of_idle_patterns(&idle, self.cx);
        let trees = plans
            .into_iter()
            .zip(&made)
            .map(|(plan, made)| LockedTree { plan, output: made.output.clone() })
            .collect();
        Ok(Done { trees, made, file: (!group[0].builds).then_some((output, text)) })
    }

    fn composer(&self) -> Composer<'_> {
        let hard_links = self.project.manifest.settings.hard_links;
        Composer {
            store: &self.cx.store,
            fetcher: self.fetcher,
            reporter: self.cx.reporter.clone(),
            jobs: self.cx.jobs(),
            hard_links,
        }
    }

    /// The tree of a toolchain for this machine, made if it is not there.
    fn native(&self, name: &ToolchainName) -> Result<PathBuf> {
        native_tree(name, self.lock, self.cx, &self.composer())
    }

    /// The newest glibc whose wheels load on an interpreter: that of its own tree.
    fn glibc(&self, python: &ToolchainName, platform: Platform) -> String {
        let inputs = self.lock.get(python, platform).map_or(&[][..], |t| t.plan.inputs.as_slice());
        let version = inputs.iter().find_map(|i| {
            i.file_name().strip_prefix("libc6_")?.split(['-', '_']).next().map(str::to_owned)
        });
        version
            .map(|v| v.split('.').take(2).collect::<Vec<_>>().join("."))
            .unwrap_or_else(|| UNKNOWN_GLIBC.to_owned())
    }

    /// The hashes that the inputs themselves demand.
    fn demanded_hashes(&self, set: &Requirements, scratch: &Path) -> BTreeMap<String, Pin> {
        let named = set
            .inputs
            .iter()
            .chain(&set.constraints)
            .flat_map(|f| requirement_files::closure(&self.project.dir().join(&f.value)));
        // Locks of other kinds were turned into lists there.
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
            for (name, pin) in fs::read_to_string(path).map(|text| pins(&text)).unwrap_or_default()
            {
                out.entry(name).or_default().hashes.extend(pin.hashes);
            }
        }
        out.retain(|_, pin| !pin.hashes.is_empty());
        out
    }

    /// The chosen files as inputs of the lock: sizes and hashes that the index does not tell are found out by fetching, several at once.
    fn inputs(&self, chosen: Vec<Chosen>, demanded: &BTreeMap<String, Pin>) -> Result<Vec<Input>> {
        let (fetcher, reporter) = (self.fetcher, &self.cx.reporter);
        let jobs = self.cx.jobs();
        let todo = Mutex::new(chosen.into_iter());
        let out = Mutex::new(vec![]);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    loop {
                        let Some(file) = todo.lock().expect("no panic holds it").next() else {
                            break;
                        };
                        if failed.lock().expect("no panic holds it").is_some() {
                            break;
                        }
                        match input_of(fetcher, reporter, file, demanded) {
                            Ok(input) => out.lock().expect("no panic holds it").push(input),
                            Err(e) => {
                                drop(failed.lock().expect("no panic holds it").get_or_insert(e))
                            }
                        }
                    }
                });
            }
        });
        if let Some(e) = failed.into_inner().expect("no panic holds it") {
            return Err(e);
        }
        let mut out = out.into_inner().expect("no panic holds it");
        out.sort_by(|a: &Input, b| {
            a.locations
                .iter()
                .map(ToString::to_string)
                .cmp(b.locations.iter().map(ToString::to_string))
        });
        Ok(out)
    }

    /// Builds what comes as source, and notes what came out.
    fn build(
        &self,
        plans: &mut [Plan],
        set: &Requirements,
        python: &ToolchainName,
        scratch: &Path,
    ) -> Result<()> {
        let mut built: BTreeMap<String, Built> = BTreeMap::new();
        for plan in plans {
            let (platform, name) = (plan.platform, plan.name.clone());
            for input in plan.inputs.iter_mut().filter(|i| !i.file_name().ends_with(".whl")) {
                let file = input.file_name().to_owned();
                let wheel = match built.get(&file) {
                    Some(known) => known.clone(),
                    None => {
                        let workshop = Workshop {
                            cx: self.cx,
                            fetcher: self.fetcher,
                            lock: self.lock,
                            composer: &self.composer(),
                        };
                        let wheel = workshop.build(
                            input,
                            python,
                            &set.build_tools.iter().map(|t| t.value.clone()).collect::<Vec<_>>(),
                            &Requirements::builds_name(&name),
                            scratch,
                        )?;
                        built.insert(file.clone(), wheel.clone());
                        wheel
                    }
                };
                if WheelName::parse(&wheel.file).is_none_or(|w| w.platform != "any")
                    && Platform::native() != Some(platform)
                {
                    return Err(Error::build(format!("{file} holds native code, which can't be built for {platform} here"))
                        .hint(format!("lock [requirements.{}] on such a machine, or leave the platform out: platforms = [...]", set.name)));
                }
                input.package.get_or_insert_default().built = Some(wheel);
            }
        }
        Ok(())
    }
}

/// A chosen file as an input of the lock.
fn input_of(
    fetcher: &Fetcher,
    reporter: &Reporter,
    file: Chosen,
    demanded: &BTreeMap<String, Pin>,
) -> Result<Input> {
    let cached = file.sha256.and_then(|sha256| Some((fetcher.cached_size(&sha256)?, sha256)));
    let told = file.size.zip(file.sha256);
    let (size, sha256) = match cached.or(told) {
        Some(known) => known,
        None => {
            let page = fetcher.python_project(&file.project)?;
            let listed = page.files.iter().find(|f| f.name == file.file);
            match listed.and_then(|f| Some((f.size?, file.sha256.or(f.sha256)?))) {
                Some(known) => known,
                None => {
                    let task = reporter.task(&file.file, 0);
                    fetcher.discover(&page.url_of(&file.file)?, &task)?
                }
            }
        }
    };
    if let Some(expected) = file.sha256.filter(|expected| *expected != sha256) {
        return Err(Error::verification(format!(
            "{} is not the file that its index lists",
            file.file
        ))
        .because(format!("expected sha256 {expected}, got {sha256}"))
        .hint("the index and what it serves disagree: ask another, or whoever runs it"));
    }
    if let Some(pin) = demanded.get(&file.project).filter(|pin| !pin.hashes.contains(&sha256)) {
        return Err(Error::verification(format!(
            "{} has another hash than the requirements demand",
            file.file
        ))
        .because(format!("the index has sha256 {sha256}"))
        .because(format!(
            "the requirements allow {}",
            pin.hashes.iter().map(|h| h.hex()).collect::<Vec<_>>().join(", ")
        ))
        .hint("check where the hashes come from before you change them"));
    }
    let package = Package { requires: file.requires, built: None };
    let path = format!("{}/{}", file.project, file.file);
    Ok(Input {
        locations: vec![Location::Mirror { mirror: "python".to_owned(), path }],
        size,
        sha256,
        package: Some(package),
    })
}

/// The tree of a toolchain for this machine, made if it is not there.
///
/// # Errors
/// If it is not locked for this machine, or can't be made.
pub fn native_tree(
    name: &ToolchainName,
    lock: &Lockfile,
    cx: &Context,
    composer: &Composer,
) -> Result<PathBuf> {
    let platform = super::setup::native_or(None)?;
    let tree = lock.get(name, platform).ok_or_else(|| {
        Error::user(format!("{name} is not locked for this machine, {platform}"))
            .hint(format!("add {:?} to its platforms in toolchains.toml", platform.as_str()))
    })?;
    cx.store.mark_used(&tree.output.store_name);
    if !cx.store.has(&tree.output.store_name) {
        let _held = cx.store.lock_to_compose(&tree.output.store_name)?;
        if !cx.store.has(&tree.output.store_name) {
            composer.run(&[Order {
                plan: &tree.plan,
                expected: Some(&tree.output),
                keep: true,
            }])?;
        }
    }
    Ok(cx.store.path(&tree.output.store_name))
}

/// Where wheels are built.
struct Workshop<'a> {
    cx: &'a Context,
    fetcher: &'a Fetcher,
    lock: &'a Lockfile,
    composer: &'a Composer<'a>,
}

impl Workshop<'_> {
    /// Builds an input's wheel and puts it into the cache.
    fn build(
        &self,
        input: &Input,
        python: &ToolchainName,
        tools: &[ToolchainName],
        requires: &ToolchainName,
        scratch: &Path,
    ) -> Result<Built> {
        let platform = super::setup::native_or(None)?;
        let name = input.file_name();
        let task = self.cx.reporter.task(name, input.size);
        let sdist = self.fetcher.file(input, None, &task)?;
        drop(task);
        let _spinner = self.cx.reporter.spinner("building", name);
        let interpreter = native_tree(python, self.lock, self.cx, self.composer)?;
        let requires = match self.lock.get(requires, platform) {
            Some(_) => Some(native_tree(requires, self.lock, self.cx, self.composer)?),
            None => None,
        };
        let mut trees = vec![];
        let mut active = vec![];
        for tool in tools {
            let path = native_tree(tool, self.lock, self.cx, self.composer)?;
            let kind =
                self.lock.get(tool, platform).map_or(crate::manifest::Kind::Tool, |t| t.plan.kind);
            active.push(Active {
                kind,
                platform,
                path: path.clone(),
                zig: path.join("bin/zig").exists(),
                python: None,
            });
            trees.push((tool.to_string(), path));
        }
        let version = self
            .lock
            .get(python, platform)
            .map(|t| crate::project::minor_version(&t.plan.version))
            .unwrap_or_default();
        let env = environment::changes(&active).set;
        let builder = Builder {
            python: &interpreter,
            requires: requires.as_deref(),
            version: &version,
            tools: &trees,
            env: &env,
            scratch,
        };
        let (path, built) = builder.build(&sdist, name, input.project().unwrap_or_default())?;
        self.fetcher.adopt(&path, &built.sha256)?;
        Ok(built)
    }
}

/// Builds the wheels that trees to be composed need and that are not at hand, and compares each with the lock.
///
/// # Errors
/// If a build fails, or makes another wheel than the one that was locked.
pub fn rebuild(
    trees: &[&LockedTree],
    lock: &Lockfile,
    cx: &Context,
    fetcher: &Fetcher,
    composer: &Composer,
) -> Result<()> {
    for tree in trees {
        for input in &tree.plan.inputs {
            let Some(built) = input.package.as_ref().and_then(|p| p.built.as_ref()) else {
                continue;
            };
            if fetcher.built(&built.sha256).is_some() {
                continue;
            }
            let scratch = Staging::new(&cx.store)?;
            let names = |key: &str| {
                tree.plan
                    .requested(key)
                    .iter()
                    .filter_map(|n| n.parse().ok())
                    .collect::<Vec<ToolchainName>>()
            };
            let python = names("python").into_iter().next().ok_or_else(|| {
                Error::user(format!("the lock does not tell the interpreter of {}", tree.plan.name))
            })?;
            let workshop = Workshop { cx, fetcher, lock, composer };
            let got = workshop.build(
                input,
                &python,
                &names("build_tools"),
                &Requirements::builds_name(&tree.plan.name),
                scratch.dir(),
            )?;
            if got != *built {
                return Err(Error::verification(format!("the wheel built of {} is not the one that was locked", input.file_name()))
                    .because(format!("expected {} with sha256 {}", built.file, built.sha256))
                    .because(format!("got {} with sha256 {}", got.file, got.sha256))
                    .hint("its build is not reproducible: ask its authors for a wheel, or serve the wheel that was locked from an index of yours"));
            }
        }
    }
    Ok(())
}

/// What of this process's environment uv may see: proxies, certificates, credentials.
fn environment_of_uv() -> Vec<(String, OsString)> {
    let names = [
        "HOME",
        "XDG_CONFIG_HOME",
        "NETRC",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "UV_KEYRING_PROVIDER",
        "UV_SYSTEM_CERTS",
        "UV_NATIVE_TLS",
        "UV_HTTP_TIMEOUT",
    ];
    let mut out: Vec<(String, OsString)> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), var_os(name)?))).collect();
    // The keyring is a program of the user's.
    if var_os("UV_KEYRING_PROVIDER").is_some() {
        out.extend(var_os("PATH").map(|path| ("PATH".to_owned(), path)));
    }
    out
}

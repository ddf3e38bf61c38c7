//! The source for what is built from source code, with toolchains of the same manifest.

mod recipes;

use super::archive::{self, Archive};
use super::kind::{Additions, Foreign, Resolution, ResolveContext, Source, SourceKind};
use crate::error::{Error, Place, Result};
use crate::lockfile::{Building, Fingerprint, LIBC_PACKAGE, LockedTree, Plan};
use crate::manifest::{Fields, Manifest, Problems, Spanned, Toolchain, environment_fault};
use crate::model::{Component, Ecosystem, Format, Input, Kind, Location, Platform, ToolchainName};
use crate::recipe::Recipe;

/// The name of the source in the manifest.
pub const NAME: &str = "build";

/// The source `build`.
pub const KIND: SourceKind = SourceKind {
    name: NAME,
    keys: &["patches", "with", "steps", "options", "build_env", "strip"],
    bind,
};

/// The packages, beside libc, of a compiler's run-time libraries, which what it builds may need.
const RUNTIME: &[&str] =
    &["libgcc-s1", "libstdc++6", "libcrypt1", "libgomp1", "libatomic1", "libquadmath0"];

/// The directories of a library's packages that the result needs: not their programs.
const RUNTIME_DIRECTORIES: [&str; 5] = ["etc", "lib", "usr/lib", "usr/share", "var"];

/// A patch of the project.
#[derive(Debug, Clone)]
struct PatchFile {
    location: Location,
    place: Place,
}

struct Build {
    archive: Archive,
    toolchain: ToolchainName,
    version: String,
    patches: Vec<PatchFile>,
    steps: Steps,
    env: Vec<(String, String)>,
    strip: bool,
    with: Vec<ToolchainName>,
    libraries: Vec<ToolchainName>,
}

/// Where the steps of a build come from.
enum Steps {
    /// The manifest has them.
    Own(Vec<String>),
    /// A recipe has them, and the manifest its options.
    Recipe { name: String, options: Vec<String> },
}

fn bind(
    fields: &mut Fields,
    toolchain: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Box<dyn Source>> {
    let version = fields.string("version", problems);
    // What an archive is asked for is what source code is asked for.
    let archive = archive::read(fields, version.as_ref(), toolchain, problems);
    let mut patches = vec![];
    for patch in fields.string_list("patches", problems).unwrap_or_default() {
        match format!("./{}", patch.value.trim_start_matches("./")).parse() {
            Ok(location @ Location::Project(_)) => {
                patches.push(PatchFile { location, place: problems.place(patch.span.start) });
            }
            Ok(_) => problems.add(patch.span, "expected a file of the project"),
            Err(why) => problems.add(patch.span, format!("patches: {why}")),
        }
    }
    let with = used("with", fields, problems);
    let libraries: Vec<Spanned<ToolchainName>> = toolchain.libraries.clone();
    check_used(&with, &libraries, toolchain, manifest, problems);
    let steps = read_steps(fields, toolchain, problems);
    let env = read_env(fields, problems);
    let strip = fields.bool("strip", problems).unwrap_or(true);
    let plain = |list: Vec<Spanned<ToolchainName>>| -> Vec<ToolchainName> {
        list.into_iter().map(|name| name.value).collect()
    };
    Some(Box::new(Build {
        archive: archive?,
        toolchain: toolchain.name.clone(),
        version: version?.value,
        patches,
        steps: steps?,
        env,
        strip,
        with: plain(with),
        libraries: plain(libraries),
    }))
}

fn used(key: &str, fields: &mut Fields, problems: &mut Problems) -> Vec<Spanned<ToolchainName>> {
    let mut out = vec![];
    for item in fields.string_list(key, problems).unwrap_or_default() {
        match item.value.parse() {
            Ok(value) => out.push(Spanned { value, span: item.span }),
            Err(why) => problems.add(item.span, format!("{key}: {why}")),
        }
    }
    out
}

/// Checks that the toolchains which a build uses are there, on every platform of the result.
fn check_used(
    with: &[Spanned<ToolchainName>],
    libraries: &[Spanned<ToolchainName>],
    own: &Toolchain,
    manifest: &Manifest,
    problems: &mut Problems,
) {
    if with.is_empty() {
        problems.add(
            own.fields.span(),
            "a build needs the key \"with\": the toolchains with its compiler, its shell and its tools",
        );
    }
    let as_libraries = libraries.iter().map(|name| (name, true));
    for (Spanned { value: name, span }, is_library) in
        with.iter().map(|name| (name, false)).chain(as_libraries)
    {
        let Some(used) = manifest.toolchains.get(name) else {
            let known = manifest.toolchains.keys().map(ToolchainName::as_str);
            let hint = problems.did_you_mean(name.as_str(), known);
            problems.add(span.clone(), format!("there is no toolchain {:?}{hint}", name.as_str()));
            continue;
        };
        if *name == own.name {
            problems.add(span.clone(), format!("{name} can't be built with itself"));
        }
        match (used.kind, is_library) {
            (Kind::Library, true) | (Kind::Cc | Kind::Python | Kind::Tool, false) => {}
            (Kind::Library, false) => problems.add(
                span.clone(),
                format!("{:?} has libraries: name it in `libraries`", name.as_str()),
            ),
            (kind, true) => problems.add(
                span.clone(),
                format!("expected a toolchain of kind \"library\", {:?} is of kind {:?}: name it in `with`", name.as_str(), kind.as_str()),
            ),
            (kind, false) => problems.add(
                span.clone(),
                format!("expected a compiler, an interpreter or a tool, {:?} is of kind {:?}", name.as_str(), kind.as_str()),
            ),
        }
        if used.target.is_some_and(|target| used.platforms.iter().any(|own| *own != target)) {
            problems.add(
                span.clone(),
                format!(
                    "{:?} compiles for another platform, and what is built runs on this one",
                    name.as_str()
                ),
            );
        }
        if let Some(platform) = own.platforms.iter().find(|p| !used.platforms.contains(p)) {
            problems.add(
                span.clone(),
                format!("{:?} is not for {platform}, and {} is: add it to its `platforms`, or leave it out here", name.as_str(), own.name),
            );
        }
    }
}

fn read_steps(
    fields: &mut Fields,
    toolchain: &Toolchain,
    problems: &mut Problems,
) -> Option<Steps> {
    let steps = fields.string_list("steps", problems);
    let options = fields.string_list("options", problems);
    let recipe = &toolchain.recipe;
    let known = || recipes::names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match (steps, recipe) {
        (Some(steps), None) => {
            if let Some(option) = options.iter().flatten().next() {
                problems.add(
                    option.span.clone(),
                    "`options` are those of a recipe: write them into `steps`",
                );
            }
            if steps.is_empty() {
                problems.add(fields.span(), "`steps` names no command");
            }
            Some(Steps::Own(steps.into_iter().map(|step| step.value).collect()))
        }
        (Some(_), Some(recipe)) => {
            problems.add(
                recipe.span.clone(),
                "expected one of `recipe` and `steps`, got two: a recipe has steps of its own",
            );
            None
        }
        (None, None) => {
            let known = known();
            problems.add(
                fields.span(),
                format!("a build needs the key \"recipe\" (one of {known}) or \"steps\""),
            );
            None
        }
        (None, Some(recipe)) => {
            let Some(found) = recipes::named(&recipe.value) else {
                let near = problems.did_you_mean(&recipe.value, recipes::names());
                let (known, got) = (known(), &recipe.value);
                problems.add(
                    recipe.span.clone(),
                    format!("expected one of {known} for the recipe of a build, got {got:?}{near}"),
                );
                return None;
            };
            if !found.kinds.is_empty() && !found.kinds.contains(&toolchain.kind) {
                let kinds: Vec<String> =
                    found.kinds.iter().map(|kind| format!("{:?}", kind.as_str())).collect();
                problems.add(
                    recipe.span.clone(),
                    format!(
                        "the recipe {:?} makes toolchains of kind {}",
                        recipe.value,
                        kinds.join(" or ")
                    ),
                );
            }
            let options = options.unwrap_or_default();
            let options = options.into_iter().map(|option| option.value).collect();
            Some(Steps::Recipe { name: recipe.value.clone(), options })
        }
    }
}

fn read_env(fields: &mut Fields, problems: &mut Problems) -> Vec<(String, String)> {
    let mut out = vec![];
    let Some(mut table) = fields.table("build_env", problems) else { return out };
    for name in table.keys() {
        let span = table.key_span(&name);
        let Some(value) = table.string(&name, problems) else { continue };
        match environment_fault(&name, &value.value) {
            Some(why) => problems.add(span, why),
            None => out.push((name, value.value)),
        }
    }
    out
}

impl Build {
    fn asked(&self, platform: Platform) -> Building {
        let (recipe, steps, mut env) = match &self.steps {
            Steps::Own(steps) => (None, steps.clone(), Default::default()),
            Steps::Recipe { name, options } => {
                // `bind` has found it.
                let found = recipes::named(name);
                let steps = found.as_ref().map(|r| r.steps(options, platform.multiarch()));
                let env = found.map(|recipe| recipe.env);
                (Some(name.clone()), steps.unwrap_or_default(), env.unwrap_or_default())
            }
        };
        env.extend(self.env.iter().cloned());
        let (with, libraries) = (self.with.clone(), self.libraries.clone());
        Building { recipe, steps, env, with, libraries, strip: self.strip, trees: vec![] }
    }

    /// Returns the entries of the lock for the toolchains that the build uses.
    fn trees<'l>(
        &self,
        platform: Platform,
        cx: &ResolveContext<'l>,
    ) -> Result<Vec<&'l LockedTree>> {
        let locked = |name: &ToolchainName| {
            cx.lock.get(name, platform).ok_or_else(|| {
                Error::user(format!("{} is built with {name}, which is not locked", self.toolchain))
                    .because("toolchains that are built may use each other, but not in a circle")
            })
        };
        self.with.iter().chain(&self.libraries).map(locked).collect()
    }

    /// Returns the patches as inputs.
    fn patches(&self, cx: &ResolveContext) -> Result<Vec<Input>> {
        let mut out = vec![];
        for PatchFile { location, place } in &self.patches {
            let name = location.path().rsplit('/').next().unwrap_or_default().to_owned();
            let task = cx.reporter.task(&name, 0);
            let (size, sha256) =
                cx.fetcher.discover_at(location, &task).map_err(|e| e.located(place.clone()))?;
            let component = Component {
                ecosystem: Ecosystem::Generic,
                name: location.path().to_owned(),
                version: self.version.clone(),
                source: None,
            };
            out.push(Input::new(vec![location.clone()], size, sha256, Format::Patch, component));
        }
        Ok(out)
    }
}

/// Returns the inputs of a tree with which something is built that the result needs when it runs.
fn needed_at_run_time(plan: &Plan, is_library: bool) -> impl Iterator<Item = &Input> {
    let is_cc = plan.spec.cc().is_some();
    plan.inputs.iter().filter(move |input| {
        let name = input.component.name.as_str();
        let is_runtime = name == LIBC_PACKAGE || RUNTIME.contains(&name);
        match input.format {
            Format::Deb => (is_cc && is_runtime) || (is_library && !name.ends_with("-dev")),
            // The shared libraries of what was built itself.
            Format::Source => is_cc || is_library,
            _ => false,
        }
    })
}

impl Source for Build {
    fn building(&self, platform: Platform) -> Option<Building> {
        Some(self.asked(platform))
    }

    fn files(&self, _platform: Platform) -> Vec<String> {
        self.patches.iter().map(|patch| patch.location.path().to_owned()).collect()
    }

    fn foreign(&self, platforms: &[Platform]) -> Vec<(Foreign, Option<Place>)> {
        self.archive.foreign(platforms)
    }

    fn fingerprint(&self, platform: Platform) -> Fingerprint {
        let mut out = self.archive.fingerprint(platform);
        match &self.steps {
            Steps::Own(steps) => out.note("steps", steps),
            Steps::Recipe { name, options } => {
                out.note("build recipe", [name]);
                out.note("options", options);
            }
        }
        out.note("patches", self.patches.iter().map(|patch| patch.location.path()));
        out.note("with", self.with.iter().map(ToolchainName::as_str));
        out.note("strip", (!self.strip).then_some("false"));
        out.note("build_env", self.env.iter().map(|(name, value)| format!("{name}={value}")));
        out
    }

    fn suites(&self) -> Vec<(&str, &str)> {
        self.archive.suites()
    }

    fn keys(&self) -> Vec<Option<&str>> {
        self.archive.keys()
    }

    fn named(&self) -> Vec<String> {
        self.archive.named()
    }

    fn places(&self) -> Vec<(String, Place)> {
        self.archive.places()
    }

    fn may_grow(&self, recipe: &dyn Recipe) -> bool {
        self.archive.may_grow(recipe)
    }

    fn resolve(
        &self,
        platform: Platform,
        recipe: &dyn Recipe,
        additions: &Additions,
        cx: &ResolveContext,
    ) -> Result<Resolution> {
        let trees = self.trees(platform, cx)?;
        let mut found = self.archive.resolve(platform, recipe, additions, cx)?;
        for source in found.inputs.iter_mut().take(1) {
            source.format = Format::Source;
        }
        let rest = found.inputs.split_off(found.inputs.len().min(1));
        found.inputs.extend(self.patches(cx)?);
        found.inputs.extend(rest);
        // What the manifest names by itself counts more than what the compiler and the libraries have.
        for (place, tree) in trees.iter().enumerate() {
            for input in needed_at_run_time(&tree.plan, place >= self.with.len()) {
                let is_same = |known: &Input| {
                    (&known.component.ecosystem, &known.component.name)
                        == (&input.component.ecosystem, &input.component.name)
                };
                let is_left_out =
                    recipe.left_out_packages().contains(&input.component.name.as_str());
                if found.inputs.iter().any(is_same) || is_left_out {
                    continue;
                }
                let mut input = input.clone();
                let is_package = input.format == Format::Deb && place >= self.with.len();
                if is_package && input.layout.only.is_empty() {
                    input.layout.only = RUNTIME_DIRECTORIES.map(str::to_owned).into();
                }
                found.inputs.push(input);
            }
        }
        for tree in &trees {
            for release in &tree.plan.releases {
                if !found.releases.contains(release) {
                    found.releases.push(release.clone());
                }
            }
        }
        let trees = trees.iter().map(|tree| tree.output.store_name.clone()).collect();
        found.building = Some(Building { trees, ..self.asked(platform) });
        Ok(found)
    }
}

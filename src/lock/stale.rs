//! Determines which entries of a lock do not fit the manifest, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::coherence;
use crate::context::{Context, shown};
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{LONGEST_LIST, open_regular, read_list, read_regular};
use crate::lockfile::{
    Building, Fingerprint, LockedTree, Lockfile, PackagesSpec, Spec, first_marker,
    has_conflict_markers,
};
use crate::manifest::{Requirements, Toolchain};
use crate::model::{Digest, HashingReader, Kind, Platform, ToolchainName};
use crate::project::{PackageTree, Project};
use crate::python::inputs::is_in_checkout;
use crate::python::requirement_files::{pins, real};
use crate::python::requirement_lines::FileTarget;
use crate::python::target::WheelTarget;
use crate::recipe;

/// An entry of the lock that does not fit the manifest.
#[derive(Debug)]
pub struct Stale {
    /// The toolchain.
    pub name: ToolchainName,
    /// The platform.
    pub platform: Platform,
    /// The reasons, in a few words each.
    pub reasons: Vec<String>,
}

/// Returns the entries of the lock that do not fit the manifest.
pub fn stale(project: &Project, lock: &Lockfile) -> Vec<Stale> {
    let mut out = vec![];
    let mut add = |name: &ToolchainName, platform, reasons: Vec<String>| {
        if !reasons.is_empty() {
            out.push(Stale { name: name.clone(), platform, reasons });
        }
    };
    let missing = || vec!["it is not in the lock".to_owned()];
    for (toolchain, platform) in project.entries() {
        let locked = lock.get(&toolchain.name, platform);
        let reasons = locked
            .map_or_else(missing, |locked| differences(project, toolchain, platform, locked, lock));
        add(&toolchain.name, platform, reasons);
    }
    let trees = project.package_trees();
    for tree in &trees {
        let locked = lock.get(&tree.name, tree.platform);
        let reasons =
            locked.map_or_else(missing, |locked| set_differences(project, tree, locked, lock));
        add(&tree.name, tree.platform, reasons);
    }
    for (name, platform) in lock.trees.keys() {
        let asked = project.entries().any(|(t, p)| t.name == *name && p == *platform)
            || trees.iter().any(|t| t.name == *name && t.platform == *platform);
        if !asked {
            add(name, *platform, vec!["the manifest does not ask for it any more".to_owned()]);
        }
    }
    out
}

/// Returns the lock of a project, which must exist.
///
/// # Errors
/// If there is none, or if it cannot be read.
pub fn required(project: &Project, cx: &Context) -> Result<Lockfile> {
    project.lock(cx)?.ok_or_else(|| {
        let file = shown(&project.lock_path, &cx.here);
        Error::new(ErrorKind::LockStale, format!("there is no {file}"))
            .hint("run `cotter lock` and commit the result")
    })
}

/// Fails if an entry of the lock does not fit the manifest or was edited.
///
/// # Errors
/// A stale lock, with every reason, or an entry that was edited.
pub fn check(project: &Project, lock: &Lockfile, cx: &Context) -> Result<()> {
    let stale = stale(project, lock);
    if !stale.is_empty() {
        return Err(error(&stale, &project.lock_path, cx));
    }
    lock.trees.values().try_for_each(LockedTree::check)
}

/// Returns the error for a lock that does not fit the manifest.
pub fn error(stale: &[Stale], lock_path: &Path, cx: &Context) -> Error {
    let message =
        format!("{} does not fit {}", shown(lock_path, &cx.here), crate::manifest::FILE_NAME);
    stale
        .iter()
        .map(|s| format!("{} for {}: {}", s.name, s.platform, s.reasons.join("; ")))
        .fold(Error::new(ErrorKind::LockStale, message), Error::because)
        .hint("run `cotter lock` and commit the result")
}

fn differences(
    project: &Project,
    toolchain: &Toolchain,
    platform: Platform,
    locked: &LockedTree,
    lock: &Lockfile,
) -> Vec<String> {
    let plan = &locked.plan;
    let mut out = vec![];
    let mut compare = |what: &str, was: &str, is: &str| {
        if was != is {
            out.push(format!("{what} was {was:?}, is {is:?}"));
        }
    };
    let current = recipe::id(project.recipe(toolchain)).to_string();
    compare("kind", plan.spec.kind().as_str(), toolchain.kind.as_str());
    compare("source", &plan.source, &toolchain.source.value);
    compare("the recipe", &plan.recipe.to_string(), &current);
    out.extend(plan.fingerprint.differences(&fingerprint(project, toolchain, platform)));
    let expression = plan.evaluation.as_ref().map(|evaluation| &evaluation.expression);
    if out.is_empty() && expression != project.sources[&toolchain.name].expression(platform) {
        out.push("what Nix evaluates for it is not what the manifest says".to_owned());
    }
    let asked = project.sources[&toolchain.name].building(platform);
    match (&plan.building, &asked) {
        (None, None) => {}
        (Some(was), Some(now)) if was.asks_like(now) => {
            out.extend(other_trees(was, platform, lock))
        }
        _ if out.is_empty() => {
            out.push("how it is built is not what the manifest and the recipe say".to_owned());
        }
        _ => {}
    }
    out.extend(spec_differences(toolchain, platform, locked));
    out.extend(coherence::of_toolchain(&toolchain.source.value, locked));
    out
}

/// Returns the reasons why something was built with other trees than those that are locked.
pub fn other_trees(building: &Building, platform: Platform, lock: &Lockfile) -> Vec<String> {
    let pairs = building.toolchains().zip(&building.trees);
    let changed = pairs.filter(|(name, tree)| {
        lock.get(name, platform).is_none_or(|locked| locked.output.store_name != **tree)
    });
    changed.map(|(name, _)| format!("it was built with another {name}")).collect()
}

/// Returns the reasons why the specification of a tree is not the one for which the manifest asks.
/// The fingerprint says what was asked for, but the tree is made of its specification, so somebody
/// who edits a lock must not change only the latter.
fn spec_differences(toolchain: &Toolchain, platform: Platform, locked: &LockedTree) -> Vec<String> {
    let (spec, locked_is_built) = (&locked.plan.spec, locked.plan.building.is_some());
    let mut locked = Fingerprint::default();
    let mut asked = Fingerprint::default();
    let mut compare = |key: &str, was: Vec<String>, is: Vec<String>| {
        locked.note(&format!("[tree.spec] {key}"), was);
        asked.note(&format!("[tree.spec] {key}"), is);
    };
    let pairs = |map: &BTreeMap<String, String>| -> Vec<String> {
        map.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    let names = |list: &[ToolchainName]| list.iter().map(ToString::to_string).collect();
    let selection = spec.selection();
    compare("prune", selection.prune.clone(), toolchain.prune.clone());
    compare("keep", selection.keep.clone(), toolchain.keep.clone());
    if let Some(programs) = spec.programs() {
        compare("self_exe", programs.self_exe.clone(), toolchain.self_exe.clone());
        compare("bin", pairs(&programs.bin), pairs(&toolchain.bin));
        compare("env", pairs(&programs.env), pairs(&toolchain.env));
    }
    let wanted: Vec<ToolchainName> = toolchain.libraries.iter().map(|l| l.value.clone()).collect();
    match spec {
        Spec::Cc(_) if locked_is_built => {}
        Spec::Cc(cc) => {
            let target = toolchain.target.unwrap_or(platform);
            compare("target", vec![cc.target.to_string()], vec![target.to_string()]);
            compare("libraries", names(&cc.libraries), names(&wanted));
        }
        Spec::Sysroot(sysroot) => compare("libraries", names(&sysroot.libraries), names(&wanted)),
        _ => {}
    }
    locked.differences(&asked)
}

/// Returns the fingerprint of what the manifest asks for.
pub fn fingerprint(project: &Project, toolchain: &Toolchain, platform: Platform) -> Fingerprint {
    let mut out = project.sources[&toolchain.name].fingerprint(platform);
    out.note("prune", &toolchain.prune);
    out.note("keep", &toolchain.keep);
    out.note("self_exe", &toolchain.self_exe);
    out.note("bin", toolchain.bin.iter().map(|(name, path)| format!("{name}={path}")));
    out.note("env", toolchain.env.iter().map(|(name, value)| format!("{name}={value}")));
    let target = toolchain.target.filter(|t| *t != platform);
    out.note("target", target.map(|t| t.to_string()));
    out.note("libraries", toolchain.libraries.iter().map(|l| l.value.to_string()));
    // The names of the files are part of what the source and the settings say.
    let keyring = project.manifest.settings.keyring.as_deref();
    let keys: BTreeSet<&str> = project.sources[&toolchain.name]
        .keys()
        .into_iter()
        .filter_map(|key| key.or(keyring))
        .collect();
    let files = project.sources[&toolchain.name].files(platform);
    let files = files.into_iter().map(|file| project.dir().join(file)).collect();
    out.note("files", states_of_lists(&files, project.dir()));
    out.note("keys", keys.into_iter().map(|file| state(&project.dir().join(file), project.dir())));
    out
}

/// The words for a file that a symlink of the project leads to.
const OUTSIDE: &str = "does not lie in the checkout of the project";

/// Describes the content of a file by its path relative to `dir` and a part of its digest.
fn state(path: &Path, dir: &Path) -> String {
    let shown = path.strip_prefix(dir).unwrap_or(path).display();
    match read_regular(path, LONGEST_LIST) {
        Ok(bytes) => format!("{shown} {}", part_of_digest(&bytes)),
        Err(_) => format!("{shown} is not there"),
    }
}

/// Describes the content of files of requirements, like [`state`]. Each is read once, by whichever
/// paths it is named. A repository that was only cloned must not learn the digest of a file outside
/// of it.
fn states_of_lists(paths: &BTreeSet<PathBuf>, dir: &Path) -> Vec<String> {
    let mut known: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    let mut of = |path: &Path| {
        let shown = path.strip_prefix(dir).unwrap_or(path).display();
        if !is_in_checkout(path, dir) {
            return format!("{shown} {OUTSIDE}");
        }
        let read = || Some(part_of_digest(&read_regular(path, LONGEST_LIST).ok()?));
        match known.entry(real(path)).or_insert_with(read) {
            Some(digest) => format!("{shown} {digest}"),
            None => format!("{shown} is not there"),
        }
    };
    paths.iter().map(|path| of(path)).collect()
}

/// Returns the digest of a regular file of any length.
fn digest_of(path: &Path) -> Option<Digest> {
    let file = open_regular(path).ok()?;
    let (_, digest) = HashingReader::new(file).finish().ok()?;
    Some(digest)
}

/// Describes the content of a generated file, like [`state`]. That git could not merge it is told.
fn state_of_output(path: &Path, dir: &Path) -> String {
    if !is_in_checkout(path, dir) {
        return format!("{} {OUTSIDE}", path.strip_prefix(dir).unwrap_or(path).display());
    }
    let text = read_list(path).unwrap_or_default();
    let conflict = if has_conflict_markers(&text) { first_marker(&text) } else { None };
    match conflict {
        Some(line) => {
            let shown = path.strip_prefix(dir).unwrap_or(path).display();
            format!("{shown} with merge conflict markers from line {line} on")
        }
        None => state(path, dir),
    }
}

/// Returns enough of the digest of a text to tell it from others. Git may check a text out with the line
/// ends of Windows, which mean the same.
fn part_of_digest(bytes: &[u8]) -> String {
    let is_end = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    let plain: Vec<u8> = (0..bytes.len()).filter(|at| !is_end(*at)).map(|at| bytes[at]).collect();
    Digest::of(&plain).hex()[..16].to_owned()
}

/// Returns the reasons why the entry of a set of Python packages does not fit.
pub fn set_differences(
    project: &Project,
    tree: &PackageTree,
    locked: &LockedTree,
    lock: &Lockfile,
) -> Vec<String> {
    let plan = &locked.plan;
    let current = recipe::id(recipe::of_kind(Kind::Packages));
    let mut out = vec![];
    if plan.recipe != current {
        out.push(format!(
            "the recipe was {:?}, is {:?}",
            plan.recipe.to_string(),
            current.to_string()
        ));
    }
    let now = set_fingerprint(project, tree, lock, None);
    out.extend(plan.fingerprint.differences(&now));
    let editable = project.editables(tree.set);
    let editable = editable.iter().map(|line| line.relative(project.dir())).collect();
    out.extend(packages_differences(tree, locked, editable));
    let file = tree.set.output(tree.python);
    let written = read_list(&project.dir().join(file.as_str())).unwrap_or_default();
    let pins = (!tree.builds).then(|| pins(&written));
    out.extend(coherence::of_set(tree.set, pins.as_ref(), locked));
    // An older version of this program, or somebody's edit, may have locked others.
    if let Some(target) = target(tree.python, tree.platform, lock) {
        let files = plan.inputs.iter().filter(|input| input.built.is_none());
        let unfit = files
            .map(|input| input.file_name())
            .filter(|file| file.ends_with(".whl") && target.rank(file).is_none());
        out.extend(unfit.map(|file| format!("{file} is no wheel for {}", target.shown())));
    }
    out
}

/// Returns what the interpreter of a toolchain accepts on a platform, if it is locked.
pub fn target(python: &ToolchainName, platform: Platform, lock: &Lockfile) -> Option<WheelTarget> {
    let plan = &lock.get_or_any(python, platform)?.plan;
    let glibc = lock.get(python, platform).and_then(|tree| tree.plan.glibc());
    WheelTarget::new(&plan.version, glibc.as_deref(), platform)
}

/// Returns the reasons why the specification of a set is not the one for which the manifest asks.
fn packages_differences(
    tree: &PackageTree,
    locked: &LockedTree,
    editable: Vec<String>,
) -> Vec<String> {
    let Some(spec) = locked.plan.spec.packages() else {
        return vec![format!(
            "the kind was {:?}, is {:?}",
            locked.plan.spec.kind().as_str(),
            Kind::Packages.as_str()
        )];
    };
    let of_spec = |set: &str,
                   interpreter: &str,
                   tools: Vec<String>,
                   libraries: Vec<String>,
                   prune: &[String],
                   editable: Vec<String>| {
        let mut out = Fingerprint::default();
        out.note("[tree.spec] editable", editable);
        out.note("[tree.spec] set", [set]);
        out.note("[tree.spec] interpreter", [interpreter]);
        out.note("[tree.spec] build_tools", tools);
        out.note("[tree.spec] libraries", libraries);
        out.note("[tree.spec] prune", prune);
        out
    };
    let PackagesSpec { set, interpreter, build_tools, libraries, selection, .. } = spec;
    let tools = build_tools.iter().map(ToString::to_string).collect();
    let was = of_spec(
        set.as_str(),
        interpreter.as_str(),
        tools,
        libraries.iter().map(ToString::to_string).collect(),
        &selection.prune,
        spec.editable.clone(),
    );
    let set = tree.set;
    let tools = set.build_tools.iter().map(|tool| tool.value.to_string()).collect();
    let editable = if tree.builds { vec![] } else { editable };
    let libraries = if tree.builds {
        vec![]
    } else {
        set.libraries.iter().map(|l| l.value.to_string()).collect()
    };
    was.differences(&of_spec(
        set.name.as_str(),
        tree.python.as_str(),
        tools,
        libraries,
        &set.prune,
        editable,
    ))
}

/// Returns the interpreter's version in the form that packages use, such as `3.11`. It is empty if
/// the interpreter is not locked.
pub fn python_version(interpreter: &ToolchainName, platform: Platform, lock: &Lockfile) -> String {
    let spec = lock.get_or_any(interpreter, platform).and_then(|t| t.plan.spec.python());
    spec.map(|python| python.version.clone()).unwrap_or_default()
}

/// Returns the fingerprint of what the manifest, and the files that it names, ask of a set.
/// `output` is the text of the requirements file that is about to be written; without it, the
/// existing file counts.
pub fn set_fingerprint(
    project: &Project,
    tree: &PackageTree,
    lock: &Lockfile,
    output: Option<&str>,
) -> Fingerprint {
    let set = tree.set;
    let mut out = Fingerprint::default();
    out.note("set", [set.name.to_string()]);
    let version = python_version(tree.python, tree.platform, lock);
    out.note("python", [tree.python.to_string(), version]);
    let uv = lock.trees.values().find(|t| t.plan.name == set.uv.value);
    out.note("uv", uv.map(|t| t.plan.version.clone()));
    out.note("exclude_newer", set.exclude_newer.clone());
    if !set.build.is_empty() {
        out.note("build_requires", &set.build_requires);
    }
    if tree.builds {
        out.note("role", ["build"]);
        return out;
    }
    out.note("inputs", states_of_lists(&project.requirement_files(set), project.dir()));
    out.note(
        "files",
        project.named_files(set).iter().map(|file| {
            let name = file.place_and_target();
            match &file.file.target {
                FileTarget::Path(path)
                    if !is_in_checkout(&project.dir().join(path), project.dir()) =>
                {
                    format!("{name} {OUTSIDE}")
                }
                FileTarget::Path(path) => match digest_of(&project.dir().join(path)) {
                    Some(digest) => format!("{name} {}", &digest.hex()[..16]),
                    None => format!("{name} is not there"),
                },
                FileTarget::Url(_) => name,
            }
        }),
    );
    out.note("editable", set.editable.iter().map(|directory| directory.value.clone()));
    out.note("extras", &set.extras);
    out.note("groups", &set.groups);
    out.note("build", &set.build);
    if !set.build.is_empty() {
        let builds = Requirements::builds_name(&tree.name);
        let tools = set.build_tools.iter().map(|t| &t.value);
        let made = [tree.python, &builds]
            .into_iter()
            .chain(tools)
            .filter_map(|name| lock.get_or_any(name, tree.platform))
            .map(|t| t.output.store_name.to_string());
        out.note("built_with", made);
    }
    out.note("build_tools", set.build_tools.iter().map(|t| t.value.to_string()));
    out.note("libraries", set.libraries.iter().map(|l| l.value.to_string()));
    out.note("prune", &set.prune);
    let file = set.output(tree.python);
    let written = match output {
        Some(text) => format!("{file} {}", part_of_digest(text.as_bytes())),
        None => state_of_output(&project.dir().join(file.as_str()), project.dir()),
    };
    out.note("output", [written]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository may hold a symlink to a device.
    #[test]
    fn what_has_no_end_has_no_digest() {
        assert_eq!(state(Path::new("/dev/zero"), Path::new("/dev")), "zero is not there");
    }

    /// The digest of a file outside of the checkout would tell a part of what is in it.
    #[test]
    fn a_list_outside_of_the_checkout_has_no_digest() {
        let top = std::env::temp_dir().join(format!("cotter-stale-{}", std::process::id()));
        let dir = top.join("project");
        fs_err::create_dir_all(dir.join("s")).unwrap();
        fs_err::write(top.join("secret"), "secret\n").unwrap();
        fs_err::write(dir.join("own.txt"), "six\n").unwrap();
        std::os::unix::fs::symlink(top.join("secret"), dir.join("out.txt")).unwrap();
        let paths = ["missing.txt", "out.txt", "own.txt", "s/../own.txt"];
        let paths = paths.map(|path| dir.join(path)).into();
        let found = states_of_lists(&paths, &dir);
        let output = state_of_output(&dir.join("out.txt"), &dir);
        crate::store::delete_tree(&top).unwrap();
        let digest = part_of_digest(b"six\n");
        let outside = format!("out.txt {OUTSIDE}");
        assert_eq!(
            found,
            [
                "missing.txt is not there".to_owned(),
                outside.clone(),
                format!("own.txt {digest}"),
                format!("s/../own.txt {digest}"),
            ]
        );
        assert_eq!(output, outside);
    }
}

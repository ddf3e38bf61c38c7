//! What a project brings beyond the sources for which cotter itself vouches (Debian's archives with
//! Debian's keys, and the index for which the machine is configured). A user accepts it once for
//! each project on a machine, before anything of it is fetched or run.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;

use crate::accepted::{Record, strangers};
use crate::context::{Context, own_users, shown, state_home};
use crate::error::{Error, Place, Result};
use crate::fetch::{LONGEST_KEYRING, endpoint, is_in_directory, origin, read_list, read_regular};
use crate::lockfile::{Evaluation, LockedTree, Lockfile};
use crate::manifest::Toolchain;
use crate::model::{Digest, Format, Location, ToolchainName, redact};
use crate::nix::expression::{NixExpression, NixOrigin, is_state_of};
use crate::nix::keys::{CacheKey, PUBLIC_KEY};
use crate::project::Project;
use crate::python::editable::accepted_as;
use crate::python::inputs::is_in_checkout;
use crate::python::pyproject::{self, PyProject};
use crate::python::requirement_files::real;
use crate::python::requirement_lines::{Line, lines, parse};
use crate::reporter::line;
use crate::source::Foreign;
use crate::store::RootTree;
use crate::text::terminal::escaped;

/// The greatest number of characters of a variable's value that are shown.
const LONGEST_VALUE: usize = 200;

/// Something that a user must accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is, in words. They are also its identity: the same words are not asked twice.
    pub what: String,
    /// The place that names it, if it is known.
    pub place: Option<Place>,
}

impl Item {
    fn new(what: String, place: Option<Place>) -> Item {
        Item { what, place }
    }

    /// Returns the item with its place, for a terminal: a repository chooses some of the words.
    pub fn text(&self) -> String {
        let what = escaped(&self.what);
        match &self.place {
            Some(place) => format!("{}:{}: {what}", escaped(&place.file), place.line),
            None => what,
        }
    }
}

/// Returns what a project and its lock bring, each item once.
pub fn items(project: Option<&Project>, lock: Option<&Lockfile>) -> Vec<Item> {
    let mut out = vec![];
    if let Some(project) = project {
        of_manifest(project, &mut out);
    }
    for tree in lock.iter().flat_map(|lock| lock.trees.values()) {
        let programs = tree.plan.spec.programs();
        for (variable, value) in programs.into_iter().flat_map(|programs| &programs.env) {
            out.push(Item::new(variable_of(variable, value, &tree.plan.name), None));
        }
        for (name, path) in programs.into_iter().flat_map(|programs| &programs.bin) {
            out.extend(command_of(name, path, &tree.plan.name).map(|what| Item::new(what, None)));
        }
        if let Some(packages) = tree.plan.spec.packages() {
            let set = project.and_then(|project| project.manifest.requirements.get(&packages.set));
            let named =
                project.zip(set).map(|(project, set)| (project.dir(), project.editables(set)));
            for directory in &packages.editable {
                let place = named.iter().find_map(|(dir, lines)| {
                    Some(lines.iter().find(|line| line.relative(dir) == *directory)?.place.clone())
                });
                let what = accepted_as(directory, tree.plan.name.as_str());
                out.push(Item::new(what, place));
            }
        }
        let foreign = project.map(|project| foreign_files(project, tree)).unwrap_or_default();
        out.extend(foreign.into_iter().map(|what| Item::new(what, None)));
        out.extend(built(project, tree).into_iter().map(|what| Item::new(what, None)));
        if let Some(evaluation) = &tree.plan.evaluation {
            let Evaluation { expression, locked, .. } = evaluation;
            out.push(Item::new(evaluated(expression, &tree.plan.name), None));
            // What is evaluated again may be another flake than the one that is accepted.
            if let (NixOrigin::Flake(flake), Some(locked)) = (&expression.origin, locked)
                && !is_state_of(locked, flake)
            {
                let origin = NixOrigin::Flake(locked.clone());
                let other = NixExpression { origin, ..expression.clone() };
                out.push(Item::new(evaluated(&other, &tree.plan.name), None));
            }
        }
        // With `--frozen`, the lock alone says which caches are asked and whose signatures count.
        let caches = tree.plan.nix_caches();
        for url in caches {
            out.push(Item::new(files_from(url, &tree.plan.name, project), None));
        }
        for key in tree.plan.nix_keys().iter().map(CacheKey::to_string) {
            out.extend(signer(&key, &tree.plan.name).map(|what| Item::new(what, None)));
        }
        // A patch changes code that is accepted, in the sandbox of its build.
        let inputs = tree.plan.inputs.iter().filter(|input| input.format != Format::Patch);
        for location in inputs.flat_map(|input| &input.locations) {
            let is_accepted = match location {
                Location::Mirror { .. } => true,
                // A directory has no server: what lies in a cache is of this cache.
                Location::Url(url) => caches.iter().any(|cache| is_in_directory(cache, url)),
                Location::Bucket(_) | Location::Project(_) => false,
            };
            if !is_accepted {
                let what = files_from(&location.to_string(), &tree.plan.name, project);
                out.push(Item::new(what, None));
            }
        }
    }
    let mut known = BTreeSet::new();
    out.retain(|item: &Item| known.insert(item.what.clone()));
    out
}

fn of_manifest(project: &Project, out: &mut Vec<Item>) {
    let manifest = &project.manifest;
    for (family, urls) in &manifest.mirrors {
        for url in urls {
            let what = format!("files from {}, a mirror of {family}", server(url));
            out.push(Item::new(what, manifest.mirror_places.get(url).cloned()));
        }
    }
    if let Some(file) = &manifest.settings.keyring {
        let what = format!("{} in place of Debian's", signed_with(file, project));
        out.push(Item::new(what, manifest.settings.keyring_place.clone()));
    }
    for (name, source) in &project.sources {
        let toolchain = &manifest.toolchains[name];
        for (foreign, place) in source.foreign(&toolchain.platforms) {
            let place = place.or_else(|| Some(toolchain.place.clone()));
            let what = match foreign {
                Foreign::Url(url) => files_from(&url, name, Some(project)),
                Foreign::Signer(key) => {
                    let Some(what) = signer(&key, name) else { continue };
                    what
                }
                Foreign::Code(expression) => evaluated(&expression, name),
                Foreign::Key(file) => {
                    format!("{} for the toolchain {name}", signed_with(&file, project))
                }
            };
            out.push(Item::new(what, place));
        }
        if toolchain.platforms.iter().any(|platform| source.building(*platform).is_some()) {
            out.push(Item::new(built_from_source(name), Some(toolchain.place.clone())));
        }
    }
    for (name, toolchain) in &manifest.toolchains {
        for (variable, value) in &toolchain.env {
            let place = toolchain.pattern_places.get(&("env", variable.clone())).cloned();
            out.push(Item::new(variable_of(variable, value, name), place));
        }
    }
    for (name, toolchain) in &manifest.toolchains {
        for (command, path) in &toolchain.bin {
            let place = toolchain.pattern_places.get(&("bin", command.clone())).cloned();
            out.extend(command_of(command, path, name).map(|what| Item::new(what, place)));
        }
    }
    let evaluator = manifest.evaluator.as_ref();
    if let Some(toolchain) = evaluator.and_then(|name| manifest.toolchains.get(&name.value))
        && let Some(what) = runs_while_locking(LockingRole::Evaluator, toolchain, project)
    {
        out.push(Item::new(what, Some(toolchain.place.clone())));
    }
    for set in manifest.requirements.values() {
        let interpreters = set.python.iter().map(|python| (LockingRole::Interpreter, python));
        for (role, tool) in interpreters.chain([(LockingRole::Uv, &set.uv)]) {
            let Some(toolchain) = manifest.toolchains.get(&tool.value) else { continue };
            if let Some(what) = runs_while_locking(role, toolchain, project) {
                out.push(Item::new(what, Some(toolchain.place.clone())));
            }
        }
        for package in &set.build {
            let what = match package.as_str() {
                "*" => "code of every package without a wheel".to_owned(),
                name => format!("code of the package {name}"),
            };
            let what = built_for(&what, &set.name);
            let place = set.pattern_places.get(&("build", package.clone()));
            out.push(Item::new(what, Some(place.unwrap_or(&set.place).clone())));
        }
        for line in project.editables(set) {
            for python in &set.python {
                let name = set.tree_name(&python.value);
                let what = accepted_as(&line.relative(project.dir()), name.as_str());
                out.push(Item::new(what, Some(line.place.clone())));
            }
        }
        for line in project.named_files(set) {
            if let Ok(location) = line.location(project.dir()) {
                for python in &set.python {
                    let name = set.tree_name(&python.value);
                    let what = files_from(&location.to_string(), &name, Some(project));
                    out.push(Item::new(what, Some(line.place.clone())));
                }
            }
        }
        let mut known = BTreeSet::new();
        for path in project.requirement_files(set) {
            // A file is read once. One outside of the project is refused by whatever uses it.
            if !known.insert(real(&path)) || !is_in_checkout(&path, project.dir()) {
                continue;
            }
            let file = shown(&path, project.dir());
            for (url, place) in indexes(&path, &file) {
                let what = format!(
                    "answers of {}, a package index, for [requirements.{}]",
                    server(&url),
                    set.name
                );
                out.push(Item::new(what, Some(place)));
            }
        }
    }
}

/// Returns the words for a key that signs paths of Nix, unless it is that of the public cache.
fn signer(key: &str, name: &ToolchainName) -> Option<String> {
    (key != PUBLIC_KEY)
        .then(|| format!("paths of Nix signed with the key {key} for the toolchain {name}"))
}

/// Returns the words for an expression that Nix evaluates.
fn evaluated(expression: &NixExpression, name: &ToolchainName) -> String {
    let builds = if expression.build { ", and which it builds" } else { "" };
    format!("code of {expression}, which Nix evaluates for the toolchain {name}{builds}")
}

/// Returns the words for a toolchain that is built from source code.
fn built_from_source(name: &ToolchainName) -> String {
    format!("code of the toolchain {name}, which is built in a sandbox")
}

/// Returns the words for code of packages that is built for a set.
fn built_for(what: &str, set: &ToolchainName) -> String {
    format!("{what}, which is built for [requirements.{set}] in a sandbox")
}

/// Returns the words for the packages that a locked tree builds, but for those that the manifest lets
/// build. With `--frozen`, the lock alone counts.
fn built(project: Option<&Project>, tree: &LockedTree) -> Vec<String> {
    if tree.plan.building.is_some() {
        return vec![built_from_source(&tree.plan.name)];
    }
    let set = tree.plan.spec.packages().map_or(&tree.plan.name, |packages| &packages.set);
    let asked = project.and_then(|project| project.manifest.requirements.get(set));
    let builds = |name: &String| {
        asked.is_some_and(|set| set.build.iter().any(|asked| asked == "*" || asked == name))
    };
    let sources = tree.plan.inputs.iter().filter(|input| input.built.is_some());
    sources
        .map(|input| &input.component.name)
        .filter(|name| !builds(name))
        .map(|name| built_for(&format!("code of the package {name}"), set))
        .collect()
}

/// Returns the package indexes that a file of requirements names. Messages call it `file`. A file that
/// cannot be read names none, and is reported when it is used.
fn indexes(path: &Path, file: &str) -> Vec<(String, Place)> {
    if path.ends_with(pyproject::FILE) {
        let project = PyProject::read(path, file);
        let indexes = project.iter().flat_map(PyProject::indexes);
        return indexes.map(|(url, place)| (url.to_owned(), place)).collect();
    }
    let text = read_list(path).unwrap_or_default();
    let index = |(line, text): (usize, String)| match parse(&text) {
        Line::Index(url) => Some((url, Place { file: file.to_owned(), line, column: 1 })),
        _ => None,
    };
    lines(&text).into_iter().filter_map(index).collect()
}

/// Returns the words for packages that other keys than Debian's may sign. Other keys in the file make
/// other words.
fn signed_with(file: &str, project: &Project) -> String {
    let keys = match read_regular(&project.dir().join(file), LONGEST_KEYRING) {
        Ok(bytes) => format!("sha256 {}", Digest::of(&bytes).hex()),
        Err(_) => "which can't be read".to_owned(),
    };
    format!("packages signed with the keys in {file} ({keys})")
}

/// Returns the words for a variable that programs get. Any of them is asked for: which variables are
/// code to a program, or name code that it loads, only that program knows.
fn variable_of(variable: &str, value: &str, name: &ToolchainName) -> String {
    let mut shown: String = value.chars().take(LONGEST_VALUE).collect();
    if shown.len() < value.len() {
        // The words are the identity of what is accepted.
        shown.push_str(&format!("... (sha256 {})", Digest::of(value.as_bytes()).hex()));
    }
    format!("the variable {variable}={shown} for what runs with the toolchain {name}")
}

/// As what a program of a toolchain runs while locking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockingRole {
    /// It resolves a set.
    Uv,
    /// uv asks it what it can load.
    Interpreter,
    /// It evaluates flakes and expressions of Nix.
    Evaluator,
}

/// Returns the words for a toolchain whose program runs while locking, unless it is known to be the
/// program for which it is taken: uv of the index, or an interpreter of Debian packages. Of an archive,
/// the words for its address say so already.
fn runs_while_locking(
    role: LockingRole,
    toolchain: &Toolchain,
    project: &Project,
) -> Option<String> {
    let source = &project.sources[&toolchain.name];
    let (called, is_known) = match role {
        LockingRole::Uv => {
            let is_alone = source.suites().is_empty();
            let is_uv = source.named() == ["uv"];
            ("uv", toolchain.source.value == "pypi" && is_uv && is_alone)
        }
        LockingRole::Interpreter => ("an interpreter", toolchain.source.value == "debian"),
        LockingRole::Evaluator => ("the evaluator of Nix", toolchain.source.value == "debian"),
    };
    let is_told = || {
        let foreign = source.foreign(&toolchain.platforms);
        toolchain.source.value == "archive"
            && foreign.iter().any(|(foreign, _)| matches!(foreign, Foreign::Url(_)))
    };
    if toolchain.bin.is_empty() && (is_known || is_told()) {
        return None;
    }
    let mut of = source.named();
    of.extend(source.places().into_iter().map(|(package, _)| package));
    of.extend(toolchain.bin.iter().map(|(name, path)| format!("{name} = {path}")));
    of.sort();
    of.dedup();
    Some(format!(
        "the toolchain {} as {called}, which runs while locking: {} of the source {}",
        toolchain.name,
        of.join(", "),
        toolchain.source.value
    ))
}

/// Returns the words for the files of a locked tree whose program runs while locking, and which are not
/// of the packages that the manifest names: a repository chooses what its lock says.
fn foreign_files(project: &Project, tree: &LockedTree) -> BTreeSet<String> {
    let name = &tree.plan.name;
    let mut sets = project.manifest.requirements.values();
    let runs = sets.any(|set| set.python.iter().chain([&set.uv]).any(|tool| tool.value == *name))
        || project.manifest.evaluator.as_ref().is_some_and(|tool| tool.value == *name);
    let Some(toolchain) = project.manifest.toolchains.get(name).filter(|_| runs) else {
        return BTreeSet::new();
    };
    let source = &project.sources[name];
    let named = source.named();
    let foreign = |location: &Location| {
        let Location::Mirror { mirror, path } = location else { return None };
        let part = path.split('/').next().unwrap_or(path);
        let (is_named, family) = match mirror.as_str() {
            "python" => {
                let is_named = named.iter().any(|named| named == part);
                (toolchain.source.value == "pypi" && is_named, format!("{mirror}/{part}"))
            }
            _ => (!source.suites().is_empty(), mirror.clone()),
        };
        (!is_named).then(|| {
            format!("files of mirror://{family} for the toolchain {name}, which runs while locking")
        })
    };
    tree.plan.inputs.iter().flat_map(|input| &input.locations).filter_map(foreign).collect()
}

/// Returns the words for a command that is another program than its name says. A program may have its
/// version behind its name, such as `python3.11`.
fn command_of(command: &str, path: &str, name: &ToolchainName) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let version = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let is_same = file.strip_prefix(command).is_some_and(|rest| rest.chars().all(version));
    (!is_same).then(|| format!("the command {command}, which is {path} of the toolchain {name}"))
}

/// Returns the words for the files of a toolchain from an address.
fn files_from(url: &str, name: &ToolchainName, project: Option<&Project>) -> String {
    let sets = project.map(|project| project.manifest.requirements.values());
    let runs = sets.into_iter().flatten().any(|set| {
        let tools = set.python.iter().chain(&set.build_tools).chain([&set.uv]);
        tools.map(|tool| &tool.value).any(|tool| tool == name)
    }) || project
        .and_then(|project| project.manifest.evaluator.as_ref())
        .is_some_and(|tool| tool.value == *name);
    let runs = if runs { ", which runs while locking" } else { "" };
    format!("files from {} for the toolchain {name}{runs}", server(url))
}

/// Returns the words for the server of a URL: as the client finds it, so that the one that is shown
/// is the one that is asked. Of what is no URL, and is never asked, they are the same part.
fn server(url: &str) -> String {
    if let Some(server) = endpoint(url) {
        let bucket = url.split(['/', '?']).nth(2).unwrap_or_default();
        return format!("s3://{bucket} at {server}");
    }
    origin(url).unwrap_or_else(|| match url.split_once("://") {
        Some((scheme, rest)) if scheme != "file" => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or(authority))
        }
        _ => redact(url),
    })
}

/// Reads the record of the project of a run, whoever owns the project.
///
/// # Errors
/// See [`Record::of`], and if there is no manifest.
pub fn record(cx: &Context) -> Result<Record> {
    Record::of(&cx.found_manifest()?, state_home())
}

/// Returns the items for the other users to whom a project belongs. What they write was read only
/// because the user named the manifest, or accepted them.
pub fn owners(manifest: &Path) -> Vec<Item> {
    strangers(manifest, &own_users()).iter().map(|one| Item::new(one.words(), None)).collect()
}

/// Returns what the user has not accepted yet of what a project and its lock bring.
///
/// # Errors
/// See [`Record::of`].
pub fn missing(
    project: Option<&Project>,
    lock: Option<&Lockfile>,
    cx: &Context,
) -> Result<Vec<Item>> {
    if cx.global.trust {
        return Ok(vec![]);
    }
    let mut items = items(project, lock);
    if items.is_empty() {
        return Ok(items);
    }
    let record = record(cx)?;
    items.retain(|item| !record.accepts(&item.what));
    Ok(items)
}

/// Makes sure that the user accepted the variables of trees, which a verb that only looks is about to
/// hand on. Nobody is asked.
///
/// # Errors
/// If the user did not accept one of them.
pub fn check_variables(trees: &[RootTree], cx: &Context) -> Result<()> {
    let of_tree = |tree: &RootTree| {
        let (name, env) = (tree.name.clone(), tree.env.clone());
        let editable: Vec<String> =
            tree.editable.iter().map(|directory| accepted_as(directory, name.as_str())).collect();
        let variables =
            env.into_iter().map(move |(variable, value)| variable_of(&variable, &value, &name));
        variables.chain(editable)
    };
    let mut items: Vec<Item> =
        trees.iter().flat_map(of_tree).map(|what| Item::new(what, None)).collect();
    if cx.global.trust || items.is_empty() {
        return Ok(());
    }
    let record = record(cx)?;
    items.retain(|item| !record.accepts(&item.what));
    match items.is_empty() {
        true => Ok(()),
        false => Err(refusal(&record, &items)),
    }
}

/// Makes sure that the user accepts what a project and its lock bring, before anything of it is
/// fetched or run. On a terminal, the user is asked.
///
/// # Errors
/// If the user does not accept it, or cannot be asked.
pub fn demand(project: Option<&Project>, lock: Option<&Lockfile>, cx: &Context) -> Result<()> {
    let missing = missing(project, lock, cx)?;
    if missing.is_empty() {
        return Ok(());
    }
    let mut record = record(cx)?;
    let dir = escaped(&record.project().display().to_string());
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        line(&format!("the project {dir} brings what you have not accepted on this machine:"));
        missing.iter().for_each(|item| line(&format!("  {}", item.text())));
        line("accept it, and remember that for this directory? [y/N]");
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            return record.accept(missing.into_iter().map(|item| item.what));
        }
    }
    Err(refusal(&record, &missing))
}

/// Returns the error for what the user has not accepted.
fn refusal(record: &Record, missing: &[Item]) -> Error {
    let dir = record.project().display();
    let error =
        Error::user(format!("the project {dir} brings what nobody accepted on this machine"));
    let error = match missing.iter().find_map(|item| item.place.as_ref()) {
        Some(place) => error.located(place.clone()),
        None => error,
    };
    missing
        .iter()
        .fold(error, |error, item| error.because(item.text()))
        .hint("read it, and then run `cotter trust`")
        .hint("where nobody can be asked, as in CI, set COTTER_TRUST=1 or say --trust")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_host_and_no_credentials() {
        for (url, expected) in [
            ("https://user:secret@x.example:8443/a/b?c#d", "https://x.example:8443"),
            ("http://x.example", "http://x.example"),
            ("http://x.example\\@y.example/a", "http://x.example"),
            ("file:///srv/a.tar", "file:///srv/a.tar"),
        ] {
            assert_eq!(server(url), expected);
        }
        let item = Item::new("code of \u{1b}[2Jx\n\u{202e}files".to_owned(), None);
        assert_eq!(item.text(), "code of \\u{1b}[2Jx\\u{a}\\u{202e}files");
        // What looks the same is not the same.
        assert_ne!(item.what, item.text());
    }
}

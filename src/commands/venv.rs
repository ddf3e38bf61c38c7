//! `cotter venv`: creates a standard virtual environment of locked packages, for editors and
//! shells.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fs_err as fs;
use serde_json::json;

use super::present::kind;
use super::print_json;
use super::trees;
use crate::cli::Venv;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::facts::{Facts, RuntimeVariable};
use crate::lockfile::{self, Lockfile};
use crate::make;
use crate::manifest::no_such_set;
use crate::model::{Kind, Platform, ToolchainName};
use crate::project::read_lock;
use crate::python::editable::Editable;
use crate::python::venv::{Environment, is_ours};
use crate::ready;
use crate::recipe::library_directories;
use crate::store::copies;
use crate::text::shell::word;

/// Runs the command.
///
/// # Errors
/// If there is no such set, or if cotter did not create the existing directory.
pub fn run(args: &Venv, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(None)?;
    super::sweep(cx)?;
    let ready = trees::roots(&[], platform, cx)?;
    let sets = || ready.iter().filter(|t| kind(t) == Kind::Packages.as_str());
    let set = match &args.name {
        Some(name) => sets().find(|t| t.name == *name).ok_or_else(|| {
            no_such_set(name.as_str(), sets().map(|t| t.name.as_str()))
                .hint("the directory stands behind the set: cotter venv NAME DIR")
        })?,
        None => match sets().collect::<Vec<_>>().as_slice() {
            [one] => one,
            [] => {
                return Err(Error::user("the manifest asks for no Python packages")
                    .hint("add [requirements.<name>] to toolchains.toml"));
            }
            many => {
                let names: Vec<&str> = many.iter().map(|t| t.name.as_str()).collect();
                return Err(Error::user("which set of requirements?")
                    .hint(format!("name one of {}", names.join(", "))));
            }
        },
    };
    let lock_path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&lock_path, cx)?.unwrap_or_default();
    let spec = lock.get(&set.name, platform).and_then(|t| t.plan.spec.packages());
    let python = spec
        .and_then(|spec| lock.get(&spec.interpreter, platform))
        .filter(|t| cx.store.has(&t.output.store_name))
        .ok_or_else(|| {
            Error::user(format!("the interpreter of {} is not set up", set.name))
                .hint("run `cotter setup`")
        })?;
    let Facts::Python(facts) = make::facts(&cx.store, python)? else {
        return Err(
            Error::user(format!("{} is no Python", python.plan.name)).hint("run `cotter lock`")
        );
    };
    let dir = cx.here.join(args.dir.as_deref().unwrap_or(Path::new(".venv")));
    if !copies::may_replace(&dir, cx.store.dir(), &[&cx.here, &lock_path]) {
        return Err(Error::user(format!("{} can't become an environment", dir.display()))
            .because("the project or the store lies in it, or it lies in the store")
            .hint("name a directory of its own"));
    }
    if fs::symlink_metadata(&dir).is_ok() && !args.force {
        let ours = is_ours(&dir);
        let empty = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
        if !ours && !empty {
            return Err(Error::user(format!(
                "{} is there, and cotter did not make it",
                shown(&dir, &cx.here)
            ))
            .hint("name another directory, or say --force to replace it"));
        }
    }
    let variables = match spec {
        Some(spec) => {
            let all: Vec<ToolchainName> =
                spec.libraries.iter().chain(&spec.build_tools).cloned().collect();
            library_variables(&all, &lock, platform, cx)?
        }
        None => vec![],
    };
    let trees: Vec<PathBuf> = spec
        .iter()
        .flat_map(|spec| &spec.libraries)
        .filter_map(|name| lock.get(name, platform))
        .map(|tree| cx.store.path(&tree.output.store_name))
        .collect();
    let project = lock_path.parent().unwrap_or(Path::new("/"));
    let named = spec.map(|spec| spec.editable.as_slice()).unwrap_or_default();
    let editable =
        named.iter().map(|dir| Editable::read(project, dir)).collect::<Result<Vec<_>>>()?;
    let environment = Environment {
        dir: &dir,
        packages: &cx.store.path(&set.store_name),
        interpreter: &cx.store.path(&python.output.store_name),
        python: &facts,
        version: &python.plan.version,
        prompt: set.name.as_str(),
        object: set.store_name.as_str(),
        variables: &variables,
        libraries: &library_directories(platform, &trees).collect::<Vec<_>>(),
        editable: &editable,
    };
    environment.make()?;
    let version = &python.plan.version;
    let place = shown(&dir, &cx.here);
    if args.json {
        print_json(&json!({ "dir": dir, "set": set.name.as_str(), "python": version }))?;
        return Ok(ExitCode::SUCCESS);
    }
    cx.reporter.line(&format!("made {place} with {} on Python {version}", set.name));
    cx.reporter.line(&format!("activate it with: . {}", word(&format!("{place}/bin/activate"))));
    Ok(ExitCode::SUCCESS)
}

/// Returns the variables for what the libraries need among the tools of a build, with absolute
/// paths. Those that are not set up are left out.
fn library_variables(
    tools: &[ToolchainName],
    lock: &Lockfile,
    platform: Platform,
    cx: &Context,
) -> Result<Vec<RuntimeVariable>> {
    let mut out: Vec<RuntimeVariable> = vec![];
    for tree in tools.iter().filter_map(|name| lock.get(name, platform)) {
        let name = &tree.output.store_name;
        if tree.plan.spec.kind() != Kind::Library || !cx.store.has(name) {
            continue;
        }
        if let Facts::Library(facts) = make::facts(&cx.store, tree)? {
            let root = cx.store.path(name);
            out.extend(facts.environment.into_iter().map(|variable| RuntimeVariable {
                path: root.join(&variable.path).display().to_string(),
                ..variable
            }));
        }
    }
    Ok(out)
}

//! A Python interpreter in a closure.

use super::paths::ClosurePaths;
use crate::error::{Error, Result};
use crate::facts::{Facts, PythonFacts};
use crate::lockfile::Plan;
use crate::model::{MemberPath, abi_tag};
use crate::relocate::closure::STORE;
use crate::tree::Tree;

/// Checks that the closure has the locked interpreter.
///
/// # Errors
/// If it has none, or one of another version.
pub fn check(plan: &Plan, tree: &Tree, paths: &ClosurePaths) -> Result<()> {
    let wanted = paths.wanted.iter().find_map(|path| version(tree, &format!("{path}/bin")));
    let Some(version) = wanted else {
        return Err(Error::user(format!("the store path of {} holds no bin/python3", plan.name))
            .about(plan.name.as_str())
            .hint("a toolchain of kind \"python\" needs a Python, or an environment with one"));
    };
    match plan.spec.python() {
        Some(spec) if spec.version != version => Err(Error::user(format!(
            "{} is locked as Python {}, and its closure holds Python {version}",
            plan.name, spec.version
        ))
        .about(plan.name.as_str())
        .hint(format!("give the version of the interpreter: version = \"{version}\""))),
        _ => Ok(()),
    }
}

/// Adds links by which the interpreter in `bin/` finds its library, and programs that are built with it
/// the headers, from the place of the interpreter.
pub fn link_library(tree: &mut Tree, paths: &ClosurePaths) {
    for path in paths.wanted.iter().chain(&paths.all) {
        let Some(version) = version(tree, &format!("{path}/bin")) else { continue };
        let python = format!("python{version}");
        for (place, mark) in [("lib", "os.py"), ("include", "Python.h")] {
            let link = MemberPath::literal(&format!("{place}/{python}"));
            let target = MemberPath::literal(&format!("{path}/{place}/{python}"));
            let whole = tree.file(&MemberPath::literal(&format!("{target}/{mark}"))).is_some();
            if whole && tree.get(&link).is_none() {
                tree.link(link, &target);
            }
        }
    }
}

/// Returns the version, such as `3.11`, of the interpreter in a directory.
fn version(tree: &Tree, directory: &str) -> Option<String> {
    let names = tree.entries(directory);
    let numbers = names.iter().filter_map(|name| name.strip_prefix("python3."));
    let newest = numbers.filter_map(|number| number.parse::<u32>().ok()).max()?;
    Some(format!("3.{newest}"))
}

/// Returns the facts of a finished tree.
///
/// # Errors
/// If the tree has no interpreter.
pub fn facts(plan: &Plan, tree: &Tree) -> Result<Facts> {
    let lacks = || Error::build(format!("the tree of {} holds no Python", plan.name));
    let version = version(tree, "bin").ok_or_else(lacks)?;
    // An environment has links to the modules of several store paths, so the standard library is that
    // of the path with the headers or, without them, the first one.
    let there = |path: &String| tree.exists(&MemberPath::literal(path));
    let homes: Vec<String> = tree
        .entries(STORE)
        .into_iter()
        .map(|name| format!("{STORE}/{name}"))
        .filter(|home| there(&format!("{home}/lib/python{version}/os.py")))
        .collect();
    let real = |home: &&String| {
        let os = MemberPath::literal(&format!("{home}/lib/python{version}/os.py"));
        tree.real_path(&os) == Some(os)
    };
    let home = homes.iter().find(real).or(homes.first()).ok_or_else(lacks)?;
    let stdlib = format!("{home}/lib/python{version}");
    let include = format!("{home}/include/python{version}");
    let scripts = format!("{stdlib}/venv/scripts");
    Ok(Facts::Python(PythonFacts {
        interpreter: format!("bin/python{version}"),
        cache_tag: format!("cpython-{}", version.replace('.', "")),
        abi: abi_tag(&version),
        includes: if there(&include) { vec![include] } else { vec![] },
        venv_scripts: there(&scripts).then_some(scripts),
        dist_packages: None,
        // The interpreter lies in `bin`.
        inputs: tree.entries("").into_iter().filter(|name| name != "bin").collect(),
        stdlib,
        version,
    }))
}

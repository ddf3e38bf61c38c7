//! `cotter add`

use std::process::ExitCode;

use super::amend::{Before, Effect};
use crate::cli::Add;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::edit::{self, NewToolchain};
use crate::project::Project;

/// Runs the command.
///
/// # Errors
/// If there is a toolchain of the name already, or if the new one cannot be locked. The manifest then
/// stays as it was.
pub fn run(args: &Add, cx: &Context) -> Result<ExitCode> {
    if args.packages.len() > 1 && (args.name.is_some() || !args.further.is_empty()) {
        let flag = if args.name.is_some() { "--name" } else { "--package" };
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{flag} is for one toolchain, got {} packages", args.packages.len()),
        )
        .hint("each PACKAGE is a toolchain of its own: run `cotter add` for each of them")
        .hint("or name the further packages of one toolchain with --package"));
    }
    let before = Before::read("add", cx)?;
    let mut new = vec![];
    for package in &args.packages {
        let toolchain = toolchain(package, args)?;
        let (name, project) = (&toolchain.name, &before.project);
        let of_toolchain = project.manifest.toolchains.get(name).map(|there| &there.place);
        let of_set = project.manifest.requirements.get(name).map(|there| &there.place);
        if let Some(place) = of_toolchain
            && is_there(&toolchain, project)
        {
            cx.reporter.line(&format!("{place}: {name} is there already"));
            continue;
        }
        if let Some(place) = of_toolchain.or(of_set) {
            return Err(Error::user(format!("{name} is in toolchains.toml already"))
                .located(place.clone())
                .hint(format!("add {package:?} to its `packages`, or give the new one another name: --name NAME")));
        }
        new.push(toolchain);
    }
    let text = edit::with_toolchains(&before.text, &new)?;
    let (allow_expired, json) = (args.allow_expired, args.json);
    let effect = Effect { setup: !args.no_setup, allow_expired, json };
    before.become_text(&text, effect, cx).map_err(|error| {
        let first = before.project.manifest.requirements.values().next();
        match first.and_then(|set| set.inputs.first()) {
            Some(list) if error.kind() == ErrorKind::User => error.hint(format!(
                "`add` is for packages of Debian; one of Python goes into {}",
                list.value
            )),
            _ => error,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the manifest has a toolchain of this name that asks for the same.
fn is_there(new: &NewToolchain, project: &Project) -> bool {
    let Some(there) = project.manifest.toolchains.get(&new.name) else { return false };
    let source = &project.sources[&new.name];
    let packages: Vec<String> = source.places().into_iter().map(|(package, _)| package).collect();
    let suites: Vec<&str> = source.suites().into_iter().map(|(_, suite)| suite).collect();
    there.kind == new.kind
        && new.packages.iter().all(|package| packages.contains(package))
        && new.suites.iter().all(|suite| suites.contains(&suite.as_str()))
}

/// Returns the toolchain that a package of the command line asks for.
fn toolchain(package: &str, args: &Add) -> Result<NewToolchain> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => edit::guessed_name(package)?,
    };
    let mut packages = vec![package.to_owned()];
    if args.further.is_empty() {
        packages.extend(edit::companions(package));
    }
    packages.extend(args.further.iter().cloned());
    let kind = args.kind.map_or_else(|| edit::guessed_kind(package), |choice| choice.kind());
    Ok(NewToolchain { name, kind, suites: args.suite.clone(), packages })
}

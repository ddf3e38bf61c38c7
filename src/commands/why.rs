//! `cotter why`

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::json;

use super::lock_of_project::{AskedTrees, unrecorded};
use super::{print, print_json};
use crate::cli::WhyArgs;
use crate::context::Context;
use crate::error::{Error, Result, known_names, nearest};
use crate::lockfile::LockedTree;
use crate::project::origins;
use crate::report::dependencies::Dependencies;
use crate::report::provenance;

/// Runs the command.
///
/// # Errors
/// If the lock does not fit the manifest, or if no toolchain contains the package.
pub fn run(args: &WhyArgs, cx: &Context) -> Result<ExitCode> {
    let asked = AskedTrees::read(&args.names, args.platform, cx)?;
    let mut out = String::new();
    let mut list = vec![];
    let (mut names, mut old) = (BTreeSet::new(), vec![]);
    for tree in asked.trees() {
        let plan = &tree.plan;
        let dependencies = Dependencies::of(plan, origins(&asked.project, plan, cx));
        names.extend(dependencies.names());
        let Some(package) = dependencies.locked_name(&args.package) else { continue };
        let Some(version) = dependencies.version(package) else { continue };
        let (name, platform) = (&plan.name, plan.platform);
        out.push_str(&format!("{package} {version} in {name} for {platform}\n"));
        let chains = dependencies.chains(package);
        let shown = chains.iter().map(|chain| {
            let (asked_by, place) = (&chain.origin.asked_by, &chain.origin.place);
            let place = place.as_ref().map(ToString::to_string);
            json!({ "asked_by": asked_by, "place": place, "packages": chain.packages })
        });
        list.push(json!({
            "toolchain": name.as_str(),
            "platform": platform.as_str(),
            "package": package,
            "version": version,
            "chains": shown.collect::<Vec<_>>(),
        }));
        for chain in &chains {
            out.push_str(&format!("  {}: {}\n", chain.origin, chain.packages.join(" -> ")));
        }
        if !dependencies.are_recorded() {
            old.push(&plan.name);
        } else if chains.is_empty() {
            out.push_str("  no dependency: the programs of the tree need it\n");
        }
    }
    // A toolchain that was built has no package of its name: its chain leads to its sources.
    let is_asked = |tree: &&LockedTree| {
        tree.plan.name.as_str() == args.package && tree.plan.building.is_some()
    };
    for tree in asked.trees().filter(is_asked) {
        out.push_str(&provenance::told(asked.lock(), tree));
        list.push(provenance::statement(asked.lock(), tree));
    }
    if out.is_empty() {
        let error = Error::user(format!("no toolchain contains the package {:?}", args.package));
        let names: Vec<&str> = names.into_iter().collect();
        let hint = match nearest(&args.package, names.iter().copied(), 3).as_slice() {
            [] => Some("`cotter tree` prints all packages".to_owned()),
            _ => known_names(&args.package, &names),
        };
        return Err(hint.into_iter().fold(error, Error::hint));
    }
    match args.json {
        true => print_json(&json!({ "found": list }))?,
        false => print(&out)?,
    }
    if !old.is_empty() {
        cx.reporter.warn(&unrecorded(&old));
    }
    Ok(ExitCode::SUCCESS)
}

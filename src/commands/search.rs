//! `cotter search`

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::json;

use super::{print, print_json, table};
use crate::cli::SearchArgs;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::lock::inquiry::Inquiry;
use crate::manifest::FILE_NAME;
use crate::manifest::edit::{self, NewToolchain};
use crate::model::{Kind, ToolchainName, normalize_project};
use crate::project::{Project, read_text};
use crate::ready;
use crate::source::{FoundPackage, Source, releases};
use crate::trust;

/// The greatest number of packages that are printed for people.
const MOST_SHOWN: usize = 50;

/// The greatest number of versions of a Python project that are printed for people.
const MOST_VERSIONS: usize = 10;

/// Runs the command.
///
/// # Errors
/// If nothing is found, or if an index cannot be asked.
pub fn run(args: &SearchArgs, cx: &Context) -> Result<ExitCode> {
    let (path, text) = match cx.manifest_path() {
        Ok(path) => {
            let text = read_text(&path, &shown(&path, &cx.here))?;
            (path, text)
        }
        // One that was named must exist.
        Err(e) if cx.global.manifest.is_some() => return Err(e),
        Err(_) => (cx.here.join(FILE_NAME), String::new()),
    };
    let project = Project::of_text(path.clone(), &text, cx)?;
    trust::demand(Some(&project), None, cx)?;
    crate::interrupt::install();
    if args.python {
        return python(args, &project, cx);
    }
    let platform = ready::native_or(args.platform)?;
    let own: ToolchainName = "cotter-search".parse().expect("it is a name");
    let own_project;
    let mut sources: Vec<&dyn Source> = vec![];
    if args.suite.is_empty() {
        let all = project.sources.values().map(|source| &**source);
        sources.extend(all.filter(|source| !source.suites().is_empty()));
    }
    if sources.is_empty() {
        // A toolchain of these suites, which is written nowhere.
        let new = NewToolchain {
            name: own.clone(),
            kind: Kind::Tool,
            suites: args.suite.clone(),
            packages: vec!["libc6".to_owned()],
        };
        own_project = Project::of_text(path, &edit::with_toolchains(&text, &[new])?, cx)?;
        sources.extend(own_project.sources.get(&own).map(|source| &**source));
    }
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    let inquiry = Inquiry::new(&project, cx, &fetcher, args.allow_expired)?;
    let mut found = inquiry.search(&sources, platform, &|name| name.contains(&args.name))?;
    if found.is_empty() {
        let suites: BTreeSet<&str> =
            sources.iter().flat_map(|source| source.suites()).map(|(_, suite)| suite).collect();
        let suites: Vec<&str> = suites.into_iter().collect();
        return Err(Error::user(format!(
            "no package for {platform} has {:?} in its name",
            args.name
        ))
        .because(format!("looked in {}", suites.join(", ")))
        .hint("name another suite with --suite, or look for a Python project with --python"));
    }
    // The exact name comes first, and then the names that begin with it.
    let rank = |found: &FoundPackage| {
        (found.name != args.name, !found.name.starts_with(&args.name), found.name.clone())
    };
    found.sort_by_key(rank);
    if args.json {
        let list = found.iter().map(|found| {
            json!({
                "name": found.name, "version": found.version, "archive": found.archive,
                "suite": found.suite, "candidate": found.is_candidate,
            })
        });
        print_json(&json!({ "packages": list.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    names.dedup();
    let more = names.len().saturating_sub(MOST_SHOWN);
    names.truncate(MOST_SHOWN);
    let rows: Vec<Vec<String>> = found
        .iter()
        .filter(|found| names.contains(&found.name.as_str()))
        .map(|found| {
            let taken = if found.is_candidate { "taken" } else { "" };
            vec![found.name.clone(), found.version.clone(), found.suite.clone(), taken.to_owned()]
        })
        .collect();
    print(&table::render(&["package", "version", "suite", ""], &rows, &[]))?;
    if more > 0 {
        cx.reporter.line(&format!("and {more} more: name more of the package, or use --json"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Searches the Python package index for one project.
fn python(args: &SearchArgs, project: &Project, cx: &Context) -> Result<ExitCode> {
    let fetcher = cx.fetcher(Some(&project.manifest))?;
    let lock = project.lock(cx).ok().flatten().unwrap_or_default();
    if !fetcher.has_python_index() {
        project.maker(cx, &fetcher).offer_index(&lock)?;
    }
    let name = normalize_project(&args.name);
    let found = fetcher.python_project(&name)?;
    let versions: Vec<String> =
        releases(&found, &|_| true).iter().map(ToString::to_string).collect();
    if args.json {
        print_json(&json!({ "name": name, "versions": versions }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (shown, rest) = versions.split_at(versions.len().min(MOST_VERSIONS));
    let rows: Vec<Vec<String>> =
        shown.iter().map(|version| vec![name.clone(), version.clone()]).collect();
    print(&table::render(&["project", "version"], &rows, &[]))?;
    if !rest.is_empty() {
        cx.reporter.line(&format!("and {} older ones: use --json", rest.len()));
    }
    Ok(ExitCode::SUCCESS)
}

//! Tells what recipes noted about the trees that they made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::lockfile::Plan;
use crate::model::{Ecosystem, Kind, ToolchainName};
use crate::recipe::{Dropped, NamelessPackage, Notes};
use crate::relocate::libraries::Unresolved;
use crate::reporter::Reporter;

/// The number of names in one message.
const SHOWN: usize = 8;

/// Prints what there is to tell about a tree: what concerns the packages that the manifest names as
/// warnings, a bounded number of lines each. `asked` are these packages.
pub fn tell(plan: &Plan, notes: &Notes, asked: &[String], reporter: &Reporter) {
    let place = format!("{} for {}", plan.name, plan.platform);
    if plan.closure().is_some() {
        tell_dropped_of_closure(&place, &notes.dropped, reporter);
    } else {
        tell_dropped(&place, plan, &notes.dropped, asked, reporter);
    }
    for conflict in notes.conflicts.iter().take(SHOWN) {
        reporter.warn(&format!(
            "{place}: `{}` is {} of {}; {} of {} has no name: give it one with `bin`",
            conflict.name, conflict.taken, conflict.by, conflict.other, conflict.of
        ));
    }
    if notes.conflicts.len() > SHOWN {
        let more = notes.conflicts.len() - SHOWN;
        reporter.warn(&format!("{place}: {more} more names have two programs"));
    }
    tell_nameless(&place, plan, notes, asked, reporter);
    tell_unresolved(&place, &notes.unresolved, reporter);
    if !notes.missing.is_empty() && plan.spec.kind() == Kind::Tool {
        let lines: Vec<String> = notes
            .missing
            .iter()
            .map(|missing| format!("{} (for {})", missing.name, missing.needed_by))
            .collect();
        reporter.warn(&format!(
            "{place}: scripts and programs of the tree start commands that it lacks: {}",
            shortened(&lines)
        ));
    }
    for missing in &notes.ungenerated {
        reporter.warn(&format!("{place}: {}; {}", missing.what, missing.hint));
    }
    if !notes.unread.is_empty() {
        reporter.detail(&format!(
            "{place}: {} of update-alternatives could not be read",
            counted(notes.unread.len(), "call", "calls")
        ));
        for unread in &notes.unread {
            reporter.detail(&format!("{place}: of {}: {}", unread.package, unread.call));
        }
    }
}

/// Tells the missing libraries, each with the first files that need it.
fn tell_unresolved(place: &str, unresolved: &[Unresolved], reporter: &Reporter) {
    let mut by_library: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Unresolved { file, library } in unresolved {
        by_library.entry(library).or_default().push(file.to_string());
    }
    for (i, (library, files)) in by_library.iter().enumerate() {
        let text = format!(
            "{place}: {} needs {library}, which no package of the tree brings",
            shortened(files)
        );
        if i < SHOWN {
            reporter.warn(&format!(
                "{text}: add a package that brings it to `packages`, or leave out what needs it with `prune`"
            ));
        } else {
            reporter.detail(&text);
        }
    }
    if by_library.len() > SHOWN {
        let more = by_library.len() - SHOWN;
        reporter.warn(&format!("{place}: {more} more libraries are missing; --verbose names them"));
    }
}

/// Returns the names of all files below a directory. One that cannot be read has none.
fn file_names(dir: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            } else {
                out.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    out
}

/// Tells the libraries that extension modules of a set need and that neither the set nor the trees
/// `searched` bring, those of its interpreter and of its libraries. Many a wheel has plugins that are
/// never loaded, so this is one message.
pub fn tell_lacking(
    plan: &Plan,
    notes: &Notes,
    searched: &[PathBuf],
    python: &ToolchainName,
    reporter: &Reporter,
) {
    if notes.unresolved.is_empty() {
        return;
    }
    let brought: BTreeSet<String> = searched.iter().flat_map(|dir| file_names(dir)).collect();
    let mut by_library: BTreeMap<&str, &str> = BTreeMap::new();
    for Unresolved { file, library } in &notes.unresolved {
        if !brought.contains(library) {
            by_library.entry(library).or_insert(file.file_name());
        }
    }
    if by_library.is_empty() {
        return;
    }
    let lacking: Vec<String> =
        by_library.iter().map(|(library, file)| format!("{library} (for {file})")).collect();
    reporter.warn(&format!(
        "{} for {}: neither the set nor {} brings {}: if an import fails, name a toolchain of kind \"library\" that has them in `libraries` of the set, or add their packages to `packages` of [toolchains.{python}]; `cotter audit tree {}` names every file",
        plan.name,
        plan.platform,
        plan.uses.run.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        shortened(&lacking),
        plan.name
    ));
}

/// Prints a message: as a warning about a tool, which has Essential packages by default, and otherwise
/// as a line.
fn say(plan: &Plan, reporter: &Reporter, text: &str) {
    if plan.spec.kind() == Kind::Tool {
        reporter.warn(text);
    } else {
        reporter.line(text);
    }
}

fn tell_dropped(
    place: &str,
    plan: &Plan,
    dropped: &[Dropped],
    asked: &[String],
    reporter: &Reporter,
) {
    let named = plan.spec.programs().map_or(&[][..], |p| &p.named);
    let matters = |d: &&Dropped| {
        let is_named = |package| named.contains(package) || asked.contains(package);
        d.script.removed && d.package.as_ref().is_some_and(is_named)
    };
    let (named, others): (Vec<&Dropped>, Vec<&Dropped>) = dropped.iter().partition(matters);
    let mut interpreters: Vec<&str> = named.iter().map(|d| d.script.interpreter.as_str()).collect();
    interpreters.sort_unstable();
    interpreters.dedup();
    for interpreter in interpreters {
        let scripts: Vec<String> = named
            .iter()
            .filter(|d| d.script.interpreter == interpreter)
            .map(|d| d.script.path.to_string())
            .collect();
        let hint = match package_of_interpreter(interpreter) {
            Some(package) => format!(": add {package:?} to `packages`"),
            None => String::new(),
        };
        say(
            plan,
            reporter,
            &format!(
                "{place}: {} left out, because the tree has no {interpreter}{hint}: {}",
                counted(scripts.len(), "script is", "scripts are"),
                shortened(&scripts)
            ),
        );
    }
    if !others.is_empty() {
        reporter.detail(&format!(
            "{place}: {} of dependencies cannot be started, because the tree has no interpreter for them",
            counted(others.len(), "script", "scripts")
        ));
    }
    for dropped in others {
        let script = &dropped.script;
        let what = if script.removed { "is left out" } else { "cannot be executed" };
        reporter.detail(&format!(
            "{place}: {} {what}: the tree has no {}",
            script.path, script.interpreter
        ));
    }
}

/// Tells the programs of a closure that are scripts for interpreters that it lacks: Nix starts them
/// with those of the machine.
fn tell_dropped_of_closure(place: &str, dropped: &[Dropped], reporter: &Reporter) {
    let mut by_interpreter: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Dropped { script, .. } in dropped {
        by_interpreter.entry(&script.interpreter).or_default().push(script.path.to_string());
    }
    for (interpreter, scripts) in by_interpreter {
        let (what, them) = match scripts.len() {
            1 => ("script has no name in bin", "it"),
            _ => ("scripts have no names in bin", "them"),
        };
        reporter.warn(&format!(
            "{place}: {} {what}, because the closure has no {interpreter}: {}; `cotter exec --nix-store namespace` starts {them} with that of the machine",
            scripts.len(),
            shortened(&scripts)
        ));
    }
}

fn tell_nameless(place: &str, plan: &Plan, notes: &Notes, asked: &[String], reporter: &Reporter) {
    let named = plan.spec.programs().map_or(&[][..], |p| &p.named);
    // A package handed its place over to others if there are more named packages than those of the
    // manifest. It is enough if one of them brings a program.
    let some_handed_program = named
        .iter()
        .filter(|name| !asked.contains(name))
        .any(|name| !notes.nameless.iter().any(|n| n.package == **name));
    for nameless in &notes.nameless {
        let NamelessPackage { package, is_meta, has_program_place, candidates } = nameless;
        let matters = *has_program_place || asked.len() == 1;
        // An archive or a wheel may bring its programs at any path.
        let is_debian = plan.inputs.iter().any(|input| {
            input.component.name == *package && input.component.ecosystem == Ecosystem::Debian
        });
        if !is_debian || !asked.contains(package) || !matters || (*is_meta && some_handed_program) {
            continue;
        }
        let candidates: Vec<String> = candidates
            .iter()
            .map(|(package, names)| format!("{package} brings {}", names.join(", ")))
            .collect();
        let hint = if candidates.is_empty() {
            ": name programs of its files with `bin`".to_owned()
        } else {
            format!("; among its dependencies, {}", candidates.join("; "))
        };
        reporter.warn(&format!("{place}: the package {package} brings no program{hint}"));
    }
}

/// Returns a number with the word for one or for several things.
fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Joins names, of which only the first are shown.
fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// Returns the Debian package that brings an interpreter, for hints.
fn package_of_interpreter(interpreter: &str) -> Option<&str> {
    let name = interpreter.rsplit('/').next()?;
    Some(match name {
        "python3" => "python3",
        "ruby" => "ruby",
        "tclsh" => "tcl",
        "wish" => "tk",
        "php" => "php-cli",
        "node" | "nodejs" => "nodejs",
        "gawk" => "gawk",
        "zsh" | "expect" | "ksh" | "tcsh" => name,
        "csh" => "csh",
        "guile" => "guile-3.0",
        "Rscript" => "r-base-core",
        "lua" => "lua5.4",
        "escript" => "erlang-base",
        _ => crate::recipe::package_of_command(name)?,
    })
}

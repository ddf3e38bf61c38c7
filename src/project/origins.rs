//! Which lines of a project ask for the packages of a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::Project;
use crate::context::{Context, shown};
use crate::error::Place;
use crate::fetch::read_list;
use crate::lockfile::{PackagesRole, Plan};
use crate::manifest::Requirements;
use crate::model::{Ecosystem, ToolchainName, normalize_project};
use crate::python::named_files;
use crate::python::pyproject::{self, PyProject};
use crate::python::requirement_files::{closure, real};
use crate::python::requirement_lines::{self, Line};
use crate::report::dependencies::Origin;

/// Returns the packages of a tree that something asks for by name, with the places.
pub fn origins(project: &Project, plan: &Plan, cx: &Context) -> Vec<Origin> {
    match plan.spec.packages() {
        Some(packages) => match project.manifest.requirements.get(&packages.set) {
            Some(set) if packages.role == PackagesRole::Builds => of_builds(set),
            Some(set) => of_set(project, set, plan, cx),
            None => vec![],
        },
        None => of_toolchain(project, plan),
    }
}

fn of_toolchain(project: &Project, plan: &Plan) -> Vec<Origin> {
    let Some(toolchain) = project.manifest.toolchains.get(&plan.name) else { return vec![] };
    let mut out = vec![];
    let mut add = |package: &str, asked_by: String, place: Option<Place>| {
        out.push(Origin { package: package.to_owned(), asked_by, place });
    };
    // What is not a package of Debian is the file that the table itself names.
    for input in &plan.inputs {
        let is_named = input.nix.as_ref().is_none_or(|nix| plan.closure() == Some(&nix.path));
        if input.component.ecosystem != Ecosystem::Debian && is_named {
            let asked_by = format!("[toolchains.{}]", plan.name);
            add(&input.component.name, asked_by, Some(toolchain.place.clone()));
        }
    }
    let libraries = toolchain.libraries.iter().map(|library| &library.value);
    for name in std::iter::once(&plan.name).chain(libraries) {
        for (package, place) in places(project, name) {
            let plain = package.split(['=', '/']).next().unwrap_or(&package);
            add(plain, format!("`packages` of [toolchains.{name}]"), Some(place));
        }
    }
    for package in plan.spec.programs().iter().flat_map(|programs| &programs.essential) {
        add(package, "programs of the tree start its commands".to_owned(), None);
    }
    for input in plan.inputs.iter().filter(|input| !input.layout.only.is_empty()) {
        add(&input.component.name, "the locale of the tree".to_owned(), None);
    }
    out
}

fn places(project: &Project, name: &ToolchainName) -> Vec<(String, Place)> {
    project.sources.get(name).map(|source| source.places()).unwrap_or_default()
}

fn of_builds(set: &Requirements) -> Vec<Origin> {
    let name = |requirement: &String| {
        let end = requirement.find(|c| !is_of_name(c)).unwrap_or(requirement.len());
        normalize_project(&requirement[..end])
    };
    let asked_by = format!("`build_requires` of [requirements.{}]", set.name);
    let origin =
        |package| Origin { package, asked_by: asked_by.clone(), place: Some(set.place.clone()) };
    set.build_requires.iter().map(name).map(origin).collect()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Returns the lists among the files, which are the inputs of a set, and those that they name with `-r`, each once, with
/// their lines. What a file of constraints names is not asked for, and a file that cannot be read is
/// reported by what locks the set.
fn lists(inputs: Vec<PathBuf>) -> BTreeMap<PathBuf, Vec<(usize, String)>> {
    let mut out = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut todo = inputs;
    while let Some(file) = todo.pop() {
        // Lists may name each other by longer and longer paths.
        if !requirement_lines::is_list(&file) || !known.insert(real(&file)) {
            continue;
        }
        let Ok(text) = read_list(&file) else { continue };
        let lines = requirement_lines::lines(&text);
        let named = lines.iter().filter_map(|(_, line)| match requirement_lines::parse(line) {
            Line::List(name) if !name.is_empty() => Some(file.with_file_name(name)),
            _ => None,
        });
        todo.extend(named);
        out.insert(file, lines);
    }
    out
}

/// Returns the packages that the lists of a set name, and those that no other package needs.
fn of_set(project: &Project, set: &Requirements, plan: &Plan, cx: &Context) -> Vec<Origin> {
    let mut out = vec![];
    let mut named = BTreeSet::new();
    let mut add = |package: String, what: &str, place: Place| {
        if plan.inputs.iter().any(|input| input.component.name == package) {
            let asked_by = format!("{what} of [requirements.{}]", set.name);
            named.insert(package.clone());
            out.push(Origin { package, asked_by, place: Some(place) });
        }
    };
    let dir = project.dir();
    let inputs: Vec<PathBuf> = set.inputs.iter().map(|file| dir.join(&file.value)).collect();
    let contributing: BTreeSet<PathBuf> =
        inputs.iter().flat_map(|file| closure(dir, file)).collect();
    for (file, lines) in lists(inputs) {
        for (line, text) in lines {
            let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
            let place = Place { file: shown(&file, &cx.here), line, column: 1 };
            add(normalize_project(&text[..end]), "a list", place);
        }
    }
    // A file in place of a release need not have its name in front.
    for line in named_files::of_set(set, dir).iter().filter(|line| line.is_unnamed()) {
        if let Ok(package) = line.project() {
            let file = shown(&dir.join(&line.place.file), &cx.here);
            add(package, "a file", Place { file, ..line.place.clone() });
        }
    }
    for path in contributing.iter().filter(|path| path.ends_with(pyproject::FILE)) {
        let Ok(own) = PyProject::read(path, &shown(path, &cx.here)) else { continue };
        let mut stated = own.stated().unwrap_or_default();
        stated.retain(|(extra, ..)| extra.as_ref().is_none_or(|extra| set.extras.contains(extra)));
        let mut groups = own.stated_of_groups().unwrap_or_default();
        groups.retain(|name, _| set.groups.contains(name));
        let stated = stated.into_iter().map(|(_, required, place)| (required, place));
        for (required, place) in stated.chain(groups.into_values().flatten()) {
            add(required.name, "a project", place);
        }
    }
    let needed: BTreeSet<&str> =
        plan.inputs.iter().flat_map(|input| &input.requires).map(String::as_str).collect();
    for input in &plan.inputs {
        let name = input.component.name.as_str();
        if !needed.contains(name) && !named.contains(name) {
            let asked_by = format!("the inputs of [requirements.{}]", set.name);
            let place = Some(set.place.clone());
            out.push(Origin { package: name.to_owned(), asked_by, place });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository may hold symlinks to devices, pipes, and lists that name each other.
    #[test]
    fn lists_have_an_end() {
        let dir = std::env::temp_dir().join(format!("cotter-origins-{}", std::process::id()));
        for part in ["s1", "s2"] {
            fs_err::create_dir_all(dir.join(part)).unwrap();
        }
        let text = "six\n-r s1/../circle.txt\n-r s2/../circle.txt\n-r zero.txt\n-r pipe.txt\n";
        fs_err::write(dir.join("circle.txt"), text).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join("zero.txt")).unwrap();
        let (pipe, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, dir.join("pipe.txt"), pipe, mode, 0).unwrap();
        let found = lists(vec![dir.join("circle.txt")]);
        let lines: Vec<usize> = found.values().map(Vec::len).collect();
        crate::store::delete_tree(&dir).unwrap();
        assert_eq!(lines, [5], "{found:?}");
    }
}

//! `bin/`: links to the programs under the plain names that users type.

use std::collections::{BTreeMap, BTreeSet};

use super::essential::is_essential;
use super::layers::Owners;
use super::notes::{NameConflict, NamelessPackage, Notes};
use crate::error::{Error, Result, known_names};
use crate::lockfile::{Plan, Programs};
use crate::model::{Format, MemberPath};
use crate::tree::{Node, Tree};

/// The directories of programs, in the order in which their programs get names.
const PLACES: &[&str] = &["usr/bin", "bin", "usr/sbin", "sbin", "usr/games"];

/// Generic names that stand for what the user prefers. They get no names in `bin/`, where they would
/// hide the user's own.
const PREFERENCES: &[&str] = &["editor", "pager"];

/// The number of packages, and of programs of each, that are named as candidates.
const CANDIDATES: usize = 3;

/// Creates `bin/`. If the manifest chooses no names, these are the programs of the packages that it
/// names, and then the other programs of the tree whose names are still free. Programs of Essential
/// packages that only scripts need get no names.
///
/// # Errors
/// If the manifest's `bin` names a path that does not exist in the tree.
pub fn names(plan: &Plan, tree: &mut Tree, owners: &Owners, notes: &mut Notes) -> Result<()> {
    let nothing = Programs::default();
    let programs = plan.spec.programs().unwrap_or(&nothing);
    for (name, target) in &programs.bin {
        let path = MemberPath::parse(target.as_bytes()).ok().flatten().ok_or_else(|| {
            Error::user(format!("{target:?}, which `bin` names, is no path inside a tree"))
        })?;
        let Some((real, blob)) = tree.file(&path).map(|(real, blob)| (real, blob.clone())) else {
            let files = tree.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
            let files: Vec<&str> = files.map(|(path, _)| path.as_str()).collect();
            let error = Error::user(format!("{} has no {target}, which `bin` names", plan.name))
                .about(plan.name.as_str())
                .about(format!("bin {name}"));
            return Err(match known_names(target, &files) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        // A file that is named as a program is executable, regardless of its mode in the archive.
        tree.put(real, Node::File { blob, executable: true });
        let link = MemberPath::parse(format!("bin/{name}").as_bytes()).ok().flatten();
        let link = link.filter(|link| link.depth() == 2).ok_or_else(|| {
            Error::user(format!("{name:?}, which `bin` names, is no plain file name"))
        })?;
        tree.link(link, &path);
    }
    if programs.bin.is_empty() {
        let mut chooser = Chooser { plan, programs, owners, names: BTreeMap::new() };
        let mut found = chooser.named(tree, notes);
        found.extend(chooser.others(tree));
        if found.is_empty() {
            found = tree.paths(|path, node| {
                path.depth() == 1 && matches!(node, Node::File { executable: true, .. })
            });
        }
        if found.is_empty() {
            found = of_entry_points(tree)?;
        }
        if found.is_empty() {
            notes.nameless.extend(chooser.principal_alone(tree));
        }
        for path in found {
            let name = MemberPath::literal(&format!("bin/{}", path.file_name()));
            if name == path || tree.get(&name).is_some() || path.file_name().starts_with('.') {
                continue;
            }
            tree.link(name, &path);
        }
    }
    Ok(())
}

/// Chooses the programs that get names.
struct Chooser<'a> {
    plan: &'a Plan,
    programs: &'a Programs,
    owners: &'a Owners,
    /// The names that programs of named packages have taken, each with the program and its package.
    names: BTreeMap<String, (MemberPath, &'a str)>,
}

impl<'a> Chooser<'a> {
    /// Returns the programs of the named packages, and notes the packages that have none. A package
    /// without a program in the usual places has those in its private directories, such as
    /// `usr/lib/postgresql/15/bin`.
    fn named(&mut self, tree: &Tree, notes: &mut Notes) -> Vec<MemberPath> {
        if self.programs.named.is_empty() {
            return vec![];
        }
        let mut by_package: BTreeMap<&str, Vec<MemberPath>> = BTreeMap::new();
        for path in tree.paths(|path, node| place(path).is_some() && is_program(tree, path, node)) {
            by_package.entry(self.component(&path)).or_default().push(path);
        }
        let mut private: BTreeMap<&str, Vec<MemberPath>> = BTreeMap::new();
        for path in tree.paths(|path, node| is_private(path) && is_program(tree, path, node)) {
            private.entry(self.component(&path)).or_default().push(path);
        }
        let mut out = vec![];
        let mut without = vec![];
        let programs = self.programs;
        for package in &programs.named {
            let mut found = by_package.get(package.as_str()).cloned().unwrap_or_default();
            found.sort_by_key(place);
            if found.is_empty() {
                // Another package may have its programs in the same directory, like the client of a
                // database server.
                let own = private.get(package.as_str()).into_iter().flatten();
                let dirs: BTreeSet<_> = own.filter_map(MemberPath::parent).collect();
                let in_dirs = |path: &&MemberPath| path.parent().is_some_and(|d| dirs.contains(&d));
                found = private.values().flatten().filter(in_dirs).cloned().collect();
                found.sort();
            }
            // The programs of archives and wheels may lie anywhere.
            if found.is_empty() && self.is_debian(package) {
                without.push(package.as_str());
            }
            for path in found {
                match self.names.get(path.file_name()) {
                    Some((_, by)) if *by == package => {}
                    Some((taken, _)) if tree.real_path(taken) == tree.real_path(&path) => {}
                    Some((taken, by)) => notes.conflicts.push(NameConflict {
                        name: path.file_name().to_owned(),
                        taken: taken.clone(),
                        by: (*by).to_owned(),
                        other: path,
                        of: package.clone(),
                    }),
                    None => {
                        self.names.insert(path.file_name().to_owned(), (path.clone(), package));
                        out.push(path);
                    }
                }
            }
        }
        for package in without {
            notes.nameless.push(self.nameless(tree, package, &by_package));
        }
        out
    }

    /// Returns the programs of the other packages in the directories that are on every PATH.
    fn others(&self, tree: &Tree) -> Vec<MemberPath> {
        tree.paths(|path, node| {
            let place = place(path);
            place.is_some_and(|place| place < 2 || place == PLACES.len())
                && is_program(tree, path, node)
                && !self.is_hidden(self.component(path))
        })
    }

    /// Whether the programs of a package get no names, although they are in the tree: every system
    /// has its own programs of Essential packages, and users expect those. perl-base is only the
    /// smaller part of perl, on which packages depend.
    fn is_hidden(&self, package: &str) -> bool {
        let programs = self.programs;
        let is_among = |list: &[String]| list.iter().any(|name| name == package);
        is_among(&programs.essential)
            || (is_essential(package)
                && package != "perl-base"
                && !programs.named.is_empty()
                && !is_among(&programs.named))
    }

    /// Returns the name of the component that brought a program. It is empty for programs that the
    /// recipe made.
    fn component(&self, path: &MemberPath) -> &'a str {
        self.owners.component(self.plan, path).unwrap_or_default()
    }

    fn is_debian(&self, package: &str) -> bool {
        let mut inputs = self.plan.inputs.iter();
        inputs.any(|i| i.component.name == package && i.format == Format::Deb)
    }

    /// Returns the note about an archive or a wheel that brings no program.
    fn principal_alone(&self, tree: &Tree) -> Option<NamelessPackage> {
        let package = self.programs.named.iter().find(|package| !self.is_debian(package))?;
        Some(self.nameless(tree, package, &BTreeMap::new()))
    }

    fn nameless(
        &self,
        tree: &Tree,
        package: &str,
        by_package: &BTreeMap<&str, Vec<MemberPath>>,
    ) -> NamelessPackage {
        let input = self.plan.inputs.iter().position(|i| i.component.name == package);
        let own: Vec<&MemberPath> =
            self.owners.iter().filter(|(_, i)| Some(*i) == input).map(|(path, _)| path).collect();
        let is_content = |path: &&&MemberPath| {
            !path.is_under("usr/share") && matches!(tree.get(path), Some(Node::File { .. }))
        };
        let source = |name: &str| {
            let input = self.plan.inputs.iter().find(|i| i.component.name == name)?;
            Some(input.component.source.as_ref().map_or(name, |s| s.name.as_str()).to_owned())
        };
        let mut candidates: Vec<(&str, &Vec<MemberPath>)> = by_package
            .iter()
            .filter(|(name, _)| !name.is_empty() && !self.is_hidden(name))
            .map(|(name, paths)| (*name, paths))
            .collect();
        candidates.sort_by_key(|(name, paths)| {
            let related = source(name) == source(package) || name.starts_with(package);
            (!related, std::cmp::Reverse(paths.len()))
        });
        let names = |paths: &Vec<MemberPath>| {
            let names: BTreeSet<&str> = paths.iter().map(MemberPath::file_name).collect();
            names.into_iter().take(CANDIDATES).map(str::to_owned).collect()
        };
        let has_program_place = own.iter().any(|path| place(path).is_some());
        NamelessPackage {
            package: package.to_owned(),
            is_meta: !has_program_place && !own.iter().any(|path| is_content(&path)),
            has_program_place,
            candidates: candidates
                .into_iter()
                .take(CANDIDATES)
                .map(|(name, paths)| (name.to_owned(), names(paths)))
                .collect(),
        }
    }
}

/// Returns the position in [`PLACES`] of the directory of a program, if the program may have a name.
/// The scripts of wheels come last.
fn place(path: &MemberPath) -> Option<usize> {
    if path.file_name().starts_with('.') || PREFERENCES.contains(&path.file_name()) {
        return None;
    }
    if is_wheel_script(path) {
        return Some(PLACES.len());
    }
    let dir = path.parent()?;
    PLACES.iter().position(|place| dir.as_str() == *place)
}

/// Whether the path is a program of a wheel: `x-1.data/scripts/x`.
fn is_wheel_script(path: &MemberPath) -> bool {
    path.depth() == 3 && path.parent().is_some_and(|dir| dir.as_str().ends_with(".data/scripts"))
}

/// Whether the path lies in a package's private directory of programs, such as
/// `usr/lib/postgresql/15/bin`.
fn is_private(path: &MemberPath) -> bool {
    path.is_under("usr/lib")
        && !path.file_name().starts_with('.')
        && path.parent().is_some_and(|dir| dir.file_name() == "bin")
}

fn is_program(tree: &Tree, path: &MemberPath, node: &Node) -> bool {
    match node {
        Node::File { executable, .. } => *executable,
        Node::Symlink(_) => tree.real_path(path).is_some_and(|real| {
            matches!(tree.get(&real), Some(Node::File { executable: true, .. }))
        }),
        Node::Directory => false,
    }
}

/// Returns the programs of a wheel that carries them among its modules, such as
/// `cmake/data/bin/cmake`. Its entry points are Python functions that start these programs, and name
/// them.
///
/// # Errors
/// If a staged file cannot be read.
fn of_entry_points(tree: &Tree) -> Result<Vec<MemberPath>> {
    let mut names = BTreeSet::new();
    for (path, node) in tree.iter() {
        if let Node::File { blob, .. } = node
            && path.depth() == 2
            && path.as_str().ends_with(".dist-info/entry_points.txt")
        {
            let text = String::from_utf8_lossy(&blob.read()?).into_owned();
            let section = text.split("[console_scripts]").nth(1).unwrap_or_default();
            let lines = section.lines().take_while(|line| !line.starts_with('['));
            names.extend(lines.filter_map(|l| Some(l.split_once('=')?.0.trim().to_owned())));
        }
    }
    Ok(tree.paths(|path, node| {
        names.contains(path.file_name())
            && path.parent().is_some_and(|dir| dir.file_name() == "bin")
            && is_program(tree, path, node)
    }))
}

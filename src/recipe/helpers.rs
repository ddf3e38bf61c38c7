//! Programs of a tree of libraries: those that `.cmake` and `.pc` files of the tree name, such as
//! `moc`, those of packages of compilers, such as `protoc`, those that list modules and settings, and
//! those that the manifest keeps. Builds start them by the paths that these files give. All others are
//! removed.
//!
//! The programs need a libc, which the tree must not offer to what is linked with its libraries. It
//! lies in a directory that only launchers know.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::Owners;
use super::prune::Pruning;
use crate::error::Result;
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::relocate::launcher::{is_dynamic_program, is_library_name};
use crate::relocate::scripts;
use crate::tree::{Node, Tree};

/// The directory of the libc that only the programs of a tree of libraries use.
pub const HIDDEN: &str = "usr/lib/.cotter/libc";

/// The directories in which programs are looked up by name.
const PLACES: [&str; 3] = ["usr/bin", "usr/sbin", "usr/games"];

/// The ends of what stands before the name of a program: the end of a directory's name, or of a
/// variable that has it.
const BEFORE: &[&str] = &["bin", "libexec", "bindir}", "BINDIR}", "execdir}", "BIN_DIR}"];

/// Programs that make the lists in which GLib, GTK and gdk-pixbuf find modules and settings. Debian has
/// them beside the libraries, and not all of them are named by a file of the tree.
const LISTERS: &[&str] = &[
    "gdk-pixbuf-query-loaders",
    "gio-querymodules",
    "glib-compile-schemas",
    "gtk-query-immodules-2.0",
    "gtk-query-immodules-3.0",
];

/// The longest file in which programs are looked for, in bytes.
const LONGEST: u64 = 4 << 20;

/// The programs that a tree keeps.
#[derive(Debug, Default)]
pub struct Helpers {
    /// The programs, and links to them.
    pub kept: BTreeSet<MemberPath>,
    /// The names of interpreters that the tree lacks, each with a script that needs it.
    pub missing: BTreeMap<String, MemberPath>,
}

/// Returns the programs of packages such as `protobuf-compiler`: CMake's own modules look for them
/// beside the libraries, and no file of the tree names them.
pub fn compilers(plan: &Plan, owners: &Owners) -> BTreeSet<MemberPath> {
    let is_compiler = |path: &MemberPath| {
        PLACES.iter().any(|place| path.is_under(place))
            && owners.component(plan, path).is_some_and(|package| package.contains("-compiler"))
    };
    owners.iter().map(|(path, _)| path).filter(|path| is_compiler(path)).cloned().collect()
}

/// Removes the programs that nothing names, and returns the others. The `compilers` stay, too.
///
/// # Errors
/// If a staged file cannot be read.
pub fn select(
    plan: &Plan,
    tree: &mut Tree,
    pruning: &Pruning,
    compilers: &BTreeSet<MemberPath>,
) -> Result<Helpers> {
    let named = named(tree)?;
    let in_place = |path: &MemberPath| path.parent().is_some_and(|d| PLACES.contains(&d.as_str()));
    let mut programs = BTreeSet::new();
    for (path, node) in tree.iter() {
        let Some((real, blob)) = tree.file(path) else {
            // A link to a directory.
            if in_place(path) && matches!(node, Node::Symlink(_)) {
                programs.insert(path.clone());
            }
            continue;
        };
        let is_program = match node {
            Node::Directory => false,
            _ if in_place(path) => true,
            Node::Symlink(_) => {
                let is_executable =
                    matches!(tree.get(&real), Some(Node::File { executable: true, .. }));
                in_place(&real) || (is_executable && named.contains(path.file_name()))
            }
            Node::File { executable, .. } => {
                *executable
                    && !is_library_name(path.file_name())
                    && (blob.head(2)? == b"#!"
                        || is_dynamic_program(&real, blob, plan.platform, plan.target())?)
            }
        };
        if is_program {
            programs.insert(path.clone());
        }
    }
    let is_named = |path: &MemberPath| {
        let directory = path.parent();
        let directory = directory.as_ref().map_or("", MemberPath::file_name);
        named.contains(path.file_name())
            || named.contains(&format!("{directory}/{}", path.file_name()))
    };
    let is_wanted =
        |path: &&MemberPath| is_named(path) || compilers.contains(*path) || pruning.asks_for(path);
    let mut todo: Vec<MemberPath> = programs.iter().filter(is_wanted).cloned().collect();
    if !todo.is_empty() {
        // The tree is one to build with.
        let lists = |path: &&MemberPath| LISTERS.contains(&path.file_name());
        todo.extend(programs.iter().filter(lists).cloned());
    }
    let (mut kept, mut missing) = (BTreeSet::new(), BTreeMap::new());
    while let Some(path) = todo.pop() {
        let Some((real, blob)) = tree.file(&path) else { continue };
        if !kept.insert(path.clone()) {
            continue;
        }
        if let Some((interpreter, _)) = scripts::interpreter(&blob.head(512)?) {
            if tree.file(&interpreter).is_none() {
                missing.entry(interpreter.file_name().to_owned()).or_insert(path);
            }
            todo.push(interpreter);
        }
        todo.push(real);
    }
    let mut left = vec![];
    for path in programs.difference(&kept) {
        // A script elsewhere is a text that another program may read.
        let is_text = !in_place(path)
            && matches!(tree.get(path), Some(Node::File { blob, .. }) if blob.head(2)? == b"#!");
        if !is_text {
            left.push(path.clone());
        }
    }
    for path in left {
        tree.remove(&path);
    }
    for place in PLACES.map(MemberPath::literal) {
        if !tree.has_members(&place) {
            tree.remove(&place);
        }
    }
    kept.retain(|path| programs.contains(path));
    Ok(Helpers { kept, missing })
}

/// Returns the names of programs in the `.cmake` and `.pc` files of a tree, some with the name of their
/// directory.
fn named(tree: &Tree) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    for (path, node) in tree.iter() {
        let Node::File { blob, .. } = node else { continue };
        let is_text = [".cmake", ".pc"].iter().any(|end| path.file_name().ends_with(end));
        if is_text && blob.size() <= LONGEST {
            let text = String::from_utf8_lossy(&blob.read()?).into_owned();
            names_in(&text, &mut out);
            if path.file_name().ends_with(".pc") {
                variables_in(&text, &mut out);
            }
        }
    }
    Ok(out)
}

fn names_in(text: &str, out: &mut BTreeSet<String>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    for (at, _) in text.match_indices('/') {
        if BEFORE.iter().any(|end| text[..at].ends_with(end)) {
            let rest = &text[at + 1..];
            let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
            if !name.is_empty() && !rest[name.len()..].starts_with('/') {
                out.insert(name.to_owned());
            }
        }
    }
}

/// Adds the ends of the paths that are values of variables in a `.pc` file: the name and the directory
/// before it, such as `glib-2.0/gio-querymodules`.
fn variables_in(text: &str, out: &mut BTreeSet<String>) {
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let is_name = name.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let path = value.trim();
        if is_name && path.starts_with(['/', '$']) && !path.contains(char::is_whitespace) {
            let names: Vec<&str> = path.rsplitn(3, '/').collect();
            if let [name, directory, _] = names[..] {
                out.insert(format!("{directory}/{name}"));
            }
        }
    }
}

/// The packages whose libraries are only for the programs of the tree.
const RUNTIME: &[&str] = &["libc6", "libcrypt1", "libgcc-s1", "libstdc++6"];

/// Moves the libc and the libraries of the compiler to a directory that only launchers know, unless
/// the manifest asks for a libc with its headers. Returns whether the tree then has a loader.
pub fn hide(plan: &Plan, tree: &mut Tree, owners: &Owners) -> bool {
    let loader = plan.platform.loader();
    if plan.inputs.iter().any(|input| input.component.name == "libc6-dev") {
        // The links `lib` and `lib64` at the root are added later.
        let loader = format!("{}/{loader}", main_directory(plan));
        return tree.file(&MemberPath::literal(&loader)).is_some();
    }
    let ours = |path: &MemberPath| {
        owners.component(plan, path).is_some_and(|package| RUNTIME.contains(&package))
    };
    let main = main_directory(plan);
    for path in tree.paths(|path, node| !matches!(node, Node::Directory) && ours(path)) {
        let Some(node) = tree.remove(&path) else { continue };
        let name = path.file_name();
        let is_ours = path.parent().is_some_and(|dir| dir.as_str() == main);
        if is_ours && (is_library_name(name) || name == loader) {
            tree.put(MemberPath::literal(&format!("{HIDDEN}/{name}")), node);
        }
    }
    tree.file(&MemberPath::literal(&format!("{HIDDEN}/{loader}"))).is_some()
}

/// The directory of the libraries.
fn main_directory(plan: &Plan) -> String {
    format!("usr/lib/{}", plan.platform.multiarch())
}

/// Removes the hidden libc.
pub fn drop_hidden(tree: &mut Tree) {
    tree.retain(|path, _| !path.is_under(HIDDEN));
}

/// Removes programs, and the links that lead to them.
pub fn remove(tree: &mut Tree, programs: &BTreeSet<MemberPath>) {
    for path in programs {
        tree.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_texts_that_name_them() {
        let text = "bindir=${prefix}/bin\nmkenums=${bindir}/glib-mkenums\nIncludes: ${includedir}/moc\n\
            set_target_properties(X PROPERTIES IMPORTED_LOCATION_NONE \"${_IMPORT_PREFIX}/lib/qt6/libexec/moc\")\n\
            \"${_IMPORT_PREFIX}/bin/grpc_cpp_plugin\" /usr/bin/x/y ${prefix}/bin/protoc-3.21.12.0;";
        let mut found = BTreeSet::new();
        names_in(text, &mut found);
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["glib-mkenums", "grpc_cpp_plugin", "moc", "protoc-3.21.12.0"]);
        let text = "prefix=/usr\nq=${libdir}/glib-2.0/gio-querymodules\nLibs: -L${libdir} -lx=/a/b\nflags=/a -l/b\n";
        let mut found = BTreeSet::new();
        variables_in(text, &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["glib-2.0/gio-querymodules"]);
    }
}

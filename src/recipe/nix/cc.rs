//! A GCC in a closure, behind wrappers in the way of Nixpkgs: `bin/gcc` is a script that adds the
//! directories of a libc, and `nix-support` names the parts. Source: the manual of Nixpkgs, "cc-wrapper"
//! and "bintools-wrapper".
//!
//! What it links is for every machine, as that of other compilers: it asks for the loader of the
//! platform, and has no search path into the store.

use std::collections::BTreeMap;

use super::paths::ClosurePaths;
use crate::error::{Error, Result};
use crate::facts::{Facts, GccFacts};
use crate::lockfile::Plan;
use crate::model::{MemberPath, Platform};
use crate::relocate::closure::{self, STORE};
use crate::tree::{BlobDir, Node, Tree};

/// The programs that builds start by their places.
const PROGRAMS: &[&str] = &[
    "ar", "as", "c++", "cc", "cpp", "dwp", "g++", "gcc", "gcov", "ld", "nm", "objcopy", "objdump",
    "ranlib", "readelf", "strip",
];

/// The variables of build systems, each with the program that it names.
pub const VARIABLES: &[(&str, &str)] = &[
    ("CC", "gcc"),
    ("CXX", "g++"),
    ("AR", "ar"),
    ("AS", "as"),
    ("LD", "ld"),
    ("NM", "nm"),
    ("OBJCOPY", "objcopy"),
    ("OBJDUMP", "objdump"),
    ("RANLIB", "ranlib"),
    ("STRIP", "strip"),
];

/// The file in which a wrapper of the linker has the loader of what it links.
const LOADER: &str = "nix-support/dynamic-linker";

/// The variables by which the wrappers of the linker add no search path for the directories of the
/// store. The second form is that of Nixpkgs for a compiler of this platform.
pub fn variables(platform: Platform) -> Vec<String> {
    let plain = "NIX_DONT_SET_RPATH";
    let salted = format!("{plain}_{}_unknown_linux_gnu=1", platform.cpu());
    vec![format!("{plain}=1"), salted]
}

/// Makes the wrappers link programs for the loader of the platform.
///
/// # Errors
/// If the closure has no GCC for the platform, or if a staged file cannot be written.
pub fn prepare(plan: &Plan, tree: &mut Tree, blobs: &BlobDir, paths: &ClosurePaths) -> Result<()> {
    if plan.target() != plan.platform {
        return Err(Error::user(format!(
            "{} compiles for {}, and a compiler out of a closure of Nix only for its own platform",
            plan.name,
            plan.target()
        ))
        .about(plan.name.as_str())
        .hint("take a cross compiler of Debian"));
    }
    let has = |path: &&MemberPath| tree.exists(&MemberPath::literal(&format!("{path}/bin/gcc")));
    if !paths.wanted.iter().any(|path| has(&path)) {
        return Err(Error::user(format!("the store path of {} holds no bin/gcc", plan.name))
            .about(plan.name.as_str())
            .hint("name the path of a wrapped GCC, such as that of the attribute `gcc`")
            .hint("a Clang of Nix can be a toolchain of kind \"tool\""));
    }
    let text = format!("/{}\n", plan.platform.abi_loader());
    for path in &paths.all {
        let file = MemberPath::literal(&format!("{path}/{LOADER}"));
        if tree.get(&file).is_some() {
            let blob = blobs.put(text.as_bytes())?;
            tree.put(file, Node::File { blob, executable: false });
        }
    }
    Ok(())
}

/// Adds the places where Bazel and `-B` expect the programs.
pub fn add_names(names: &mut BTreeMap<MemberPath, MemberPath>) {
    for name in PROGRAMS {
        if let Some(program) = names.get(&MemberPath::literal(&format!("bin/{name}"))).cloned() {
            names.insert(MemberPath::literal(&format!("usr/bin/{name}")), program);
        }
    }
}

/// Returns the facts of a finished tree.
///
/// # Errors
/// If the tree has no GCC, or if a staged file cannot be read.
pub fn facts(plan: &Plan, tree: &Tree) -> Result<Facts> {
    let lacks = |what: &str| Error::build(format!("the tree of {} holds no {what}", plan.name));
    let cc = named(tree, "orig-cc")?;
    let gcc = homes(tree, cc.as_ref(), "lib/gcc").find_map(|home| {
        let triple = tree.entries(&format!("{home}/lib/gcc")).pop()?;
        let versions = format!("{home}/lib/gcc/{triple}");
        let version = tree.entries(&versions).pop()?;
        let own = format!("{versions}/{version}");
        tree.exists(&MemberPath::literal(&format!("{own}/include"))).then_some((home, version, own))
    });
    let (home, version, own) = gcc.ok_or_else(|| lacks("GCC"))?;
    let libc = named(tree, "orig-libc-dev")?;
    let libc = homes(tree, libc.as_ref(), "include/stdio.h").next().ok_or_else(|| lacks("libc"))?;
    let there = |path: &String| tree.exists(&MemberPath::literal(path));
    let cpp = format!("{home}/include/c++/{version}");
    let of_triple = tree.entries(&cpp).into_iter().filter(|name| name.contains("-linux"));
    let mut cpp_includes = vec![cpp.clone()];
    cpp_includes.extend(of_triple.map(|name| format!("{cpp}/{name}")));
    cpp_includes.push(format!("{cpp}/backward"));
    let c_includes =
        [format!("{own}/include"), format!("{own}/include-fixed"), format!("{libc}/include")];
    Ok(Facts::Gcc(GccFacts {
        version,
        triple: plan.platform.multiarch().to_owned(),
        tool_prefix: String::new(),
        c_includes: c_includes.into_iter().filter(there).collect(),
        cpp_includes: cpp_includes.into_iter().filter(there).collect(),
        runtime: vec![],
        loader: None,
        inputs: tree.entries(""),
    }))
}

/// Returns the store path that a file of `nix-support` names. The wrapper is the path whose programs
/// have names in `bin/`, so the first one in the order of the paths that has such a file counts.
fn named(tree: &Tree, name: &str) -> Result<Option<MemberPath>> {
    for entry in tree.entries(STORE) {
        let file = MemberPath::literal(&format!("{STORE}/{entry}/nix-support/{name}"));
        if let Some((_, blob)) = tree.file(&file) {
            let text = String::from_utf8_lossy(&blob.read()?).into_owned();
            return Ok(closure::in_tree(text.trim()));
        }
    }
    Ok(None)
}

/// Returns the store paths that have an entry: the first one, if it is given, and then all others.
fn homes<'t>(
    tree: &'t Tree,
    first: Option<&MemberPath>,
    entry: &'t str,
) -> impl Iterator<Item = MemberPath> + use<'t> {
    let all = tree.entries(STORE).into_iter();
    let all = all.map(|name| MemberPath::literal(&format!("{STORE}/{name}")));
    let has =
        move |home: &MemberPath| tree.exists(&MemberPath::literal(&format!("{home}/{entry}")));
    first.cloned().into_iter().chain(all).filter(has)
}

//! The steps that all recipes for programs and libraries share: pruning, links, `.pc` files, and,
//! for each program, a loader and libraries from the tree.

use std::collections::BTreeSet;

use super::api::Launchers;
use super::helpers::HIDDEN;
use super::layers::{Layers, Stage};
use super::notes::{Dropped, Notes};
use super::prune::Pruning;
use super::{alternatives, bin, pkg_config, prune, survey};
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{Kind, MemberPath};
use crate::relocate::dynamic::Dynamic;
use crate::relocate::gather::gather;
use crate::relocate::launcher::{self, Conversion, Instructions, Runtime, Tag, is_library_name};
use crate::relocate::scripts::{self, Bits, DroppedScript};
use crate::relocate::{libraries, paths, redirect, stub, symlinks};
use crate::tree::{BlobDir, Node, Tree};

/// How programs and scripts are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramUse {
    /// Users start them: each gets a loader of the tree and a name in `bin`.
    Started,
    /// Other files of the tree name them, and builds start them by their paths. The recipe has removed
    /// all others. They get a loader of the tree, or are removed if the tree has none.
    Helpers,
}

/// The recipe-specific parts of the shared steps.
pub struct Steps<'a> {
    /// The recipe's own step, which runs after pruning and before anything is relocated.
    pub prepare: &'a dyn Fn(&mut Tree) -> Result<()>,
    /// Returns the instructions for the launchers of the programs, once the tree is prepared.
    pub launchers: &'a dyn Fn(&Tree) -> Launchers<'a>,
    /// How programs are treated.
    pub programs: ProgramUse,
    /// Whether paths of the system that are compiled into programs are redirected to the tree.
    pub redirect: bool,
}

/// Returns launcher instructions that add nothing.
pub fn plain<'a>(_: &Tree) -> Launchers<'a> {
    Box::new(|_| Instructions::default())
}

/// Adds the variables of the manifest's `env` to the instructions for a launcher. They count more
/// than those of the recipe.
pub fn with_variables(plan: &Plan, mut instructions: Instructions) -> Instructions {
    let Some(programs) = plan.spec.programs().filter(|p| !p.env.is_empty()) else {
        return instructions;
    };
    let other = |entry: &String| {
        entry.split_once('=').is_none_or(|(name, _)| !programs.env.contains_key(name))
    };
    instructions.set.retain(other);
    instructions.default.retain(other);
    let ours = programs.env.iter().map(|(name, value)| format!("{name}={value}"));
    instructions.set.extend(ours);
    instructions
}

/// Adds the links `lib` and `lib64` at the root of a tree, as every merged Debian system has them.
pub fn merged_links(tree: &mut Tree) {
    for dir in ["lib", "lib64"] {
        let (link, target) = (MemberPath::literal(dir), MemberPath::literal(&format!("usr/{dir}")));
        if tree.exists(&target) && !tree.exists(&link) {
            tree.link(link, &target);
        }
    }
}

/// Makes a sealed tree.
///
/// # Errors
/// If the tree has no loader or no libc for a program, or if a file cannot be relocated.
pub fn seal(
    plan: &Plan,
    mut layers: Layers,
    blobs: &BlobDir,
    pruning: &Pruning,
    steps: &Steps,
    notes: &mut Notes,
) -> Result<Tree> {
    prune::apply(pruning, &mut layers.tree);
    alternatives::link(plan, &mut layers, pruning, notes);
    let Layers { mut tree, owners, stage, .. } = layers;
    merged_links(&mut tree);
    (steps.prepare)(&mut tree)?;
    symlinks::settle(&mut tree);
    if stage != Stage::Locked && matches!(plan.spec.kind(), Kind::Tool | Kind::Python) {
        notes.missing = survey::missing(plan, &tree, &owners)?;
    }
    pkg_config::relocate(&mut tree, blobs)?;
    paths::seal_libraries(&mut tree, blobs, steps.redirect)?;

    let mut runtime = find_runtime(plan, &tree);
    let mut converting = BTreeSet::new();
    let self_exe = plan.spec.programs().map_or(&[][..], |p| &p.self_exe);
    if let Some(runtime) = &mut runtime {
        paths::rename_variables(&mut tree, blobs, &runtime.library_dirs)?;
    }
    if let Some(runtime) = runtime.as_mut().filter(|_| steps.programs == ProgramUse::Started) {
        let (dirs, inherited) = (&mut runtime.library_dirs, !self_exe.is_empty());
        let linkage = libraries::settle(&mut tree, blobs, plan.platform, dirs, inherited)?;
        notes.unresolved = linkage.unresolved;
        converting = linkage.converting;
    }
    if steps.programs == ProgramUse::Helpers {
        let main = MemberPath::literal(&format!("usr/lib/{}", plan.platform.multiarch()));
        let second = MemberPath::literal("usr/lib");
        let mut dirs = vec![main.clone(), second.clone()];
        dirs.extend(runtime.iter().flat_map(|runtime| runtime.library_dirs.iter().cloned()));
        // The search path of a program counts for libraries that have none of their own, or a
        // DT_RPATH.
        let linkage = libraries::settle(&mut tree, blobs, plan.platform, &mut dirs, true)?;
        notes.unresolved = linkage.unresolved;
        converting = linkage.converting;
        gather(&mut tree, &main, &second, &linkage.needed);
    }
    let of_recipe = (steps.launchers)(&tree);
    let tag = Some(Tag::of(plan));
    let programs = dynamic_programs(plan, &tree)?;
    let redirected = steps.redirect
        && runtime.is_some()
        && !programs.is_empty()
        && redirect::settle(&mut tree, blobs, plan.platform)?;
    let alone = without_libraries(plan, &tree, &programs)?;
    let all_convert = has_other_locales(&tree);
    let instructions = |path: &MemberPath| {
        let of_recipe = with_variables(plan, of_recipe(path));
        Instructions {
            redirect: redirected && !alone.contains(path),
            in_place: pruning.is_in_place(path),
            tag,
            conversion: match of_recipe.conversion {
                _ if all_convert => Conversion::Any,
                Conversion::Any if !converting.contains(path) => Conversion::None,
                conversion => conversion,
            },
            ..of_recipe
        }
    };
    // Without a loader, the scripts of a library were removed with its programs.
    if steps.programs == ProgramUse::Started || runtime.is_some() {
        // Only the programs of a tool start such scripts with the interpreters of their tree.
        let bits = if plan.spec.kind() == Kind::Tool { Bits::Keep } else { Bits::Clear };
        let (platform, runtime) = (plan.platform, runtime.as_ref());
        let dropped = scripts::settle(&mut tree, blobs, platform, runtime, &instructions, bits)?;
        let removed = dropped.iter().find(|script| script.removed);
        // A draft gets the interpreter if there is one.
        let may_come = stage == Stage::Draft && !notes.missing.is_empty();
        if let Some(script) = removed.filter(|_| runtime.is_none() && !may_come) {
            return Err(unsupported(script));
        }
        if stage != Stage::Locked {
            notes.dropped = dropped
                .into_iter()
                .map(|script| {
                    let package = owners.component(plan, &script.path).map(str::to_owned);
                    Dropped { script, package }
                })
                .collect();
        }
    }
    match &runtime {
        Some(runtime) => {
            if programs.iter().any(|path| !pruning.is_in_place(path)) {
                check_loader(plan, &tree, runtime)?;
            }
            for path in &programs {
                if pruning.is_in_place(path) {
                    let Some(Node::File { blob, .. }) = tree.get(path) else { continue };
                    let sealed = stub::embed(&blob.read()?, path, runtime, &instructions(path))?;
                    let blob = blobs.put(&sealed)?;
                    tree.put(path.clone(), Node::File { blob, executable: true });
                } else {
                    launcher::wrap(&mut tree, blobs, runtime, path, &instructions(path))?;
                }
            }
        }
        None if steps.programs == ProgramUse::Helpers => {
            for path in programs {
                tree.remove(&path);
            }
        }
        None => {
            if let Some(path) = programs.first() {
                return Err(Error::build(format!(
                    "{} holds {path}, which needs a dynamic loader and a libc",
                    plan.name
                ))
                .about(plan.name.as_str())
                .hint("give the tree its own: suite = \"bookworm\" and packages = [\"libc6\", ...] beside the source")
                .hint("or choose a statically linked build"));
            }
        }
    }
    if steps.programs == ProgramUse::Started {
        bin::names(plan, &mut tree, &owners, notes)?;
    }
    symlinks::settle(&mut tree);
    Ok(tree)
}

/// Returns the error for a script in a tree without a libc. It would need the interpreter of the
/// host, and nothing in the tree suggests that it is not the program that was asked for.
fn unsupported(script: &DroppedScript) -> Error {
    let DroppedScript { path, line, .. } = script;
    Error::build(format!("{path} is a script for {line:?}, which the tree lacks"))
        .hint("give the tree its interpreter: suite = \"bookworm\" and packages = [\"bash\", ...] beside the source")
        .hint("or leave the script out with `prune`")
}

/// Checks that launchers can use the loader: glibc's knows `--argv0` since version 2.33.
pub fn check_loader(plan: &Plan, tree: &Tree, runtime: &Runtime) -> Result<()> {
    let Some(Node::File { blob, .. }) = tree.get(&runtime.loader) else { return Ok(()) };
    let bytes = blob.read()?;
    let option = b"--argv0";
    if !bytes.starts_with(b"\x7fELF") || bytes.windows(option.len()).any(|w| w == option) {
        return Ok(());
    }
    Err(Error::build(format!(
        "the loader {} of {} does not know the option --argv0: its glibc is older than version 2.33",
        runtime.loader, plan.name
    ))
    .about(plan.name.as_str())
    .hint("take the packages from a newer suite, such as bookworm")
    .hint("or name the programs in `self_exe`: they start without this option"))
}

/// Returns the programs that need no library, not even libc, as some Go programs do. A library that
/// wraps the functions of libc cannot be loaded into them, and would have nothing to wrap.
fn without_libraries(
    plan: &Plan,
    tree: &Tree,
    programs: &[MemberPath],
) -> Result<BTreeSet<MemberPath>> {
    let mut out = BTreeSet::new();
    for path in programs {
        if let Some(Node::File { blob, .. }) = tree.get(path)
            && Dynamic::of(blob, plan.platform)?.is_some_and(|d| d.needed.is_empty())
        {
            out.insert(path.clone());
        }
    }
    Ok(out)
}

/// Returns the dynamically linked executables, in order.
///
/// # Errors
/// If a staged file cannot be read.
pub fn dynamic_programs(plan: &Plan, tree: &Tree) -> Result<Vec<MemberPath>> {
    let mut out = vec![];
    for (path, node) in tree.iter() {
        if let Node::File { blob, executable: true } = node
            && launcher::is_dynamic_program(path, blob, plan.platform, plan.target())?
        {
            out.push(path.clone());
        }
    }
    Ok(out)
}

/// Whether the tree has a locale besides C.UTF-8. Its character set may need a module wherever a
/// program reads or prints text.
fn has_other_locales(tree: &Tree) -> bool {
    tree.entries("usr/lib/locale").iter().any(|name| !name.eq_ignore_ascii_case("c.utf8"))
}

/// Returns the loader and the library directories of the tree, if it has them.
fn find_runtime(plan: &Plan, tree: &Tree) -> Option<Runtime> {
    let platform = plan.platform;
    let hidden = format!("{HIDDEN}/{}", platform.loader());
    let loaders = [platform.abi_loader(), hidden.as_str()];
    let (loader, _) = loaders.iter().find_map(|path| tree.file(&MemberPath::literal(path)))?;
    let multiarch = platform.multiarch();
    let candidates = [
        format!("usr/lib/{multiarch}"),
        "usr/lib64".to_owned(),
        "usr/lib".to_owned(),
        format!("lib/{multiarch}"),
        "lib64".to_owned(),
        "lib".to_owned(),
        HIDDEN.to_owned(),
    ];
    let has_libraries = |dir: &MemberPath| {
        !matches!(tree.get(dir), Some(Node::Symlink(_)))
            && tree.iter().any(|(p, n)| {
                matches!(n, Node::File { .. })
                    && is_library_name(p.file_name())
                    && p.parent().as_ref() == Some(dir)
                    && tree.real_path(dir).as_ref() == Some(dir)
            })
    };
    let library_dirs =
        candidates.iter().map(|d| MemberPath::literal(d)).filter(has_libraries).collect();
    let there = |dir: String| {
        let dir = MemberPath::literal(&dir);
        tree.has_members(&dir).then_some(dir)
    };
    let locales = there("usr/lib/locale".to_owned());
    let gconv = there(format!("usr/lib/{multiarch}/gconv"));
    Some(Runtime { platform, loader, library_dirs, locales, gconv })
}

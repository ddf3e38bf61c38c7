//! Recipes: how the unpacked inputs of a toolchain become a tree that needs no host file and runs at any path.
//!
//! A recipe's result depends on the lock entry and the inputs' bytes alone. Whenever a change here changes a single byte of a tree, the recipe's version goes up:
//! the lock then says that the entry is stale, instead of failing to match its hash.

mod bin;
mod cc;
mod packages;
mod pkg_config;
mod prune;
mod python;
mod zig;

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::manifest::Kind;
use crate::model::MemberPath;
use crate::relocate::launcher::{self, Instructions, Runtime, is_library_name};
use crate::relocate::{paths, scripts, stub, symlinks};
use crate::tree::{BlobDir, Node, Tree};

pub use packages::INDEX as PACKAGES_INDEX;
pub use prune::{Idle, Pruning, left_out_packages};

/// The recipe of a kind, with its version.
pub fn current(kind: Kind) -> &'static str {
    match kind {
        Kind::Cc => "cc/1",
        Kind::Python => "python/1",
        Kind::Tool => "tool/1",
        Kind::Library => "library/1",
        Kind::Packages => "packages/1",
    }
}

/// Finishes the tree of `plan` out of its unpacked inputs, without what `pruning` leaves out.
///
/// # Errors
/// If the plan was made for another version of its recipe, or the inputs do not make a sealed tree.
pub fn finish(plan: &Plan, mut tree: Tree, blobs: &BlobDir, pruning: &Pruning) -> Result<Tree> {
    if plan.recipe != current(plan.kind) {
        return Err(Error::user(format!(
            "the lock's entry for {} was made with the recipe {}, this cotter has {}",
            plan.name,
            plan.recipe,
            current(plan.kind)
        ))
        .about(plan.name.as_str())
        .hint(format!(
            "run `cotter lock --upgrade {}`, or use the cotter that your colleagues use",
            plan.name
        )));
    }
    if plan.kind == Kind::Packages {
        packages::finish(plan, &mut tree, blobs)?;
        return Ok(tree);
    }
    prune::apply(pruning, &mut tree);
    for dir in ["lib", "lib64"] {
        let (link, target) = (MemberPath::literal(dir), MemberPath::literal(&format!("usr/{dir}")));
        if tree.exists(&target) && !tree.exists(&link) {
            tree.link(link, &target);
        }
    }
    match plan.kind {
        Kind::Cc => match zig::home(&tree) {
            Some(home) => zig::prepare(plan, &mut tree, blobs, &home)?,
            None => cc::prepare(plan, &mut tree, blobs)?,
        },
        Kind::Python => python::prepare(plan, &mut tree, blobs)?,
        Kind::Tool | Kind::Library | Kind::Packages => {}
    }
    symlinks::settle(&mut tree);
    pkg_config::relocate(&mut tree, blobs)?;
    paths::seal_libraries(&mut tree, blobs)?;

    let runtime = find_runtime(plan, &tree);
    let python = python::instructions(&tree);
    let instructions = |path: &MemberPath| match plan.kind {
        Kind::Cc => cc::instructions(path, plan),
        Kind::Python => python.clone(),
        Kind::Tool | Kind::Library | Kind::Packages => Instructions::default(),
    };
    let programs = programs(plan, &tree)?;
    if plan.kind == Kind::Tool {
        for path in &programs {
            let Some(Node::File { blob, executable }) = tree.get(path) else { continue };
            let (mut bytes, executable) = (blob.read()?, *executable);
            if paths::seal_search_path(&mut bytes) {
                tree.put(path.clone(), Node::File { blob: blobs.put(&bytes)?, executable });
            }
        }
    }
    // A library's scripts were pruned with its programs.
    if plan.kind != Kind::Library {
        scripts::settle(&mut tree, blobs, plan.platform, runtime.as_ref(), &instructions)?;
    }
    match &runtime {
        Some(runtime) => {
            let in_place = prune::Patterns::new(plan.requested("self_exe"))?;
            for path in &programs {
                if in_place.matches(path) {
                    let Some(Node::File { blob, .. }) = tree.get(path) else { continue };
                    let sealed = stub::embed(&blob.read()?, path, runtime)?;
                    tree.put(
                        path.clone(),
                        Node::File { blob: blobs.put(&sealed)?, executable: true },
                    );
                } else {
                    launcher::wrap(&mut tree, blobs, runtime, path, &instructions(path))?;
                }
            }
        }
        // A library's helpers have no loader of their own, and nobody calls them.
        None if plan.kind == Kind::Library => {
            for path in programs {
                tree.remove(&path);
            }
        }
        None => {
            if let Some(path) = programs.first() {
                return Err(Error::build(format!("{} holds {path}, which needs a dynamic loader and a libc", plan.name))
                    .about(plan.name.as_str())
                    .hint("give the tree its own: suite = \"bookworm\" and packages = [\"libc6\", ...] beside the source")
                    .hint("or choose a statically linked build"));
            }
        }
    }
    bin::names(plan, &mut tree)?;
    symlinks::settle(&mut tree);
    Ok(tree)
}

/// The dynamic executables, in order.
fn programs(plan: &Plan, tree: &Tree) -> Result<Vec<MemberPath>> {
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

/// The tree's own loader and library directories, if it has them.
fn find_runtime(plan: &Plan, tree: &Tree) -> Option<Runtime> {
    let platform = plan.platform;
    let (loader, _) = tree.file(&MemberPath::literal(platform.abi_loader()))?;
    let multiarch = platform.multiarch();
    let candidates = [
        format!("usr/lib/{multiarch}"),
        "usr/lib64".to_owned(),
        "usr/lib".to_owned(),
        format!("lib/{multiarch}"),
        "lib64".to_owned(),
        "lib".to_owned(),
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
    Some(Runtime { platform, loader, library_dirs })
}

/// Replaces `from` by `to` in a text file of the tree.
///
/// # Errors
/// If the file is there but does not hold `from`: then the recipe does not fit this version, and must be looked at.
fn edit(tree: &mut Tree, blobs: &BlobDir, path: &str, from: &str, to: &str) -> Result<()> {
    let path = MemberPath::literal(path);
    let Some((real, blob)) = tree.file(&path) else { return Ok(()) };
    let text = String::from_utf8(blob.read()?)
        .map_err(|_| Error::build(format!("{real} is no UTF-8 text")))?;
    if !text.contains(from) {
        return Err(Error::build(format!(
            "{real} does not hold {from:?}: this version is unknown to the recipe"
        )));
    }
    let executable = matches!(tree.get(&real), Some(Node::File { executable: true, .. }));
    let blob = blobs.put(text.replacen(from, to, 1).as_bytes())?;
    tree.put(real, Node::File { blob, executable });
    Ok(())
}

/// Replaces a path in the constants of a program, by one of the same length that no system has. Returns how often.
///
/// # Errors
/// If a staged file cannot be read or written.
fn seal_constant(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &MemberPath,
    from: &[u8],
    to: &[u8],
) -> Result<usize> {
    let Some(Node::File { blob, executable }) = tree.get(path) else { return Ok(0) };
    let (mut bytes, executable) = (blob.read()?, *executable);
    let count = paths::replace_constant(&mut bytes, from, to);
    if count > 0 {
        tree.put(path.clone(), Node::File { blob: blobs.put(&bytes)?, executable });
    }
    Ok(count)
}

/// Puts a text file into the tree.
fn write(tree: &mut Tree, blobs: &BlobDir, path: &str, text: &str) -> Result<()> {
    let blob = blobs.put(text.as_bytes())?;
    tree.put(MemberPath::literal(path), Node::File { blob, executable: false });
    Ok(())
}

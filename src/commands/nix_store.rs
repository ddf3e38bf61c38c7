//! The ways in which closures of Nix run: at `/nix/store` of the machine, at `/nix/store` of a namespace
//! that shows the store of cotter there, or as a tree at any place.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::trees;
use crate::cli::{Exec, NixStore};
use crate::context::{Context, arguments};
use crate::error::{Error, Result};
use crate::lockfile::{self, LockedTree, Lockfile};
use crate::model::{Kind, StoreName};
use crate::nix::store_path;
use crate::project::{Project, read_lock};
use crate::recipe::Active;
use crate::sandbox::NIX_STORE;

/// How a command starts.
pub enum Start {
    /// In this process, with these trees.
    Here(Vec<Active>),
    /// As this command, in a namespace.
    Inside(Command),
}

/// Makes the toolchains of `exec` ready and determines how their closures of Nix run.
///
/// # Errors
/// If they cannot be made ready, or if they cannot run in the way that was named.
pub fn start(how: NixStore, args: &Exec, cx: &Context) -> Result<Start> {
    let mut active = trees::active(&args.names, cx)?;
    let lock_path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = read_lock(&lock_path, cx)?.unwrap_or_default();
    let mut closures = closures(&active, &lock);
    if closures.is_empty() {
        return Err(Error::user("none of these toolchains is a closure of Nix")
            .because("--nix-store concerns toolchains with source = \"nix\"")
            .hint("leave --nix-store out"));
    }
    // The tree of libraries has other places than the closure, and nothing of it runs at /nix/store.
    closures.retain(|locked| locked.plan.spec.kind() != Kind::Library);
    if closures.is_empty() {
        return Ok(Start::Here(active));
    }
    let missing = missing(&closures);
    let how = match how {
        NixStore::Auto if missing.is_none() => NixStore::Real,
        NixStore::Auto if matches!(fault_of_namespace(cx), Ok(None)) => NixStore::Namespace,
        NixStore::Auto => NixStore::Relocated,
        named => named,
    };
    match (how, missing) {
        (NixStore::Auto | NixStore::Relocated, _) => Ok(Start::Here(active)),
        (NixStore::Real, Some(path)) => {
            Err(Error::user("the /nix/store of this machine lacks a path of the closure")
                .because(format!("there is no {}", store_path::full(&path)))
                .hint("`--nix-store namespace` shows cotter's own there, and `--nix-store relocated` needs none"))
        }
        (NixStore::Real, None) => {
            for tree in &mut active {
                let of = |locked: &&LockedTree| locked.plan.name == tree.name;
                if let Some(top) = closures.iter().copied().find(of).and_then(|t| t.plan.closure()) {
                    tree.path = store_path::full(top).into();
                }
            }
            Ok(Start::Here(active))
        }
        (NixStore::Namespace, _) => {
            let project = Project::load(cx)?;
            let fetcher = cx.fetcher(Some(&project.manifest))?;
            let maker = project.maker(cx, &fetcher);
            closures.iter().try_for_each(|tree| maker.ensure_closure(tree))?;
            if let Some(why) = fault_of_namespace(cx)? {
                return Err(Error::user("no namespace can show a store at /nix/store")
                    .because(why)
                    .hint("user namespaces must be allowed: see `cotter doctor`; `--nix-store relocated` works everywhere"));
            }
            let mut command = inside(cx)?;
            command.arg(cx.program()?).args(with_real(arguments()));
            Ok(Start::Inside(command))
        }
    }
}

/// Returns the locked trees that were made of closures.
fn closures<'l>(active: &[Active], lock: &'l Lockfile) -> Vec<&'l LockedTree> {
    let locked = active.iter().filter_map(|tree| lock.get(&tree.name, tree.platform));
    locked.filter(|tree| tree.plan.closure().is_some()).collect()
}

/// Returns the first path of the closures that is not in the `/nix/store` of the machine.
fn missing(closures: &[&LockedTree]) -> Option<StoreName> {
    let paths = closures.iter().flat_map(|tree| &tree.plan.inputs);
    let mut paths = paths.filter_map(|input| Some(&input.nix.as_ref()?.path));
    paths.find(|path| fs_err::symlink_metadata(store_path::full(path)).is_err()).cloned()
}

/// Returns the arguments of the command in the namespace, where the store is a real one.
fn with_real(arguments: Vec<OsString>) -> Vec<OsString> {
    let (mut out, mut is_value, mut is_done) = (vec![], false, false);
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        is_done |= text == "--";
        if is_value {
            out.push("real".into());
        } else if !is_done && text.starts_with("--nix-store=") {
            out.push("--nix-store=real".into());
        } else {
            out.push(argument.clone());
        }
        is_value = !is_done && !is_value && text == "--nix-store";
    }
    out
}

/// Returns the command that enters the namespace, to which what runs there is added.
fn inside(cx: &Context) -> Result<Command> {
    let mut command = Command::new(cx.program()?);
    command.arg(NIX_STORE).arg(cx.store.dir().join("store"));
    Ok(command)
}

/// Returns why no namespace can show a store at `/nix/store`, by trying it.
///
/// # Errors
/// If this program cannot be started.
pub fn fault_of_namespace(cx: &Context) -> Result<Option<String>> {
    let objects = cx.store.dir().join("store");
    let shown = if objects.is_dir() { objects } else { "/".into() };
    let mut command = Command::new(cx.program()?);
    command.arg(NIX_STORE).arg(shown).stdin(Stdio::null());
    let out = command.output().map_err(|e| Error::user("can't try a namespace").cause(&e))?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok((!out.status.success()).then_some(said))
}

/// Whether this machine has a store of Nix.
pub fn is_real() -> bool {
    Path::new("/nix/store").is_dir()
}

#[cfg(test)]
mod tests {
    use super::with_real;

    #[test]
    fn only_the_flag_of_cotter_changes() {
        let of = |words: &str| {
            let out = with_real(words.split(' ').map(Into::into).collect());
            out.into_iter().map(|w| w.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            of("exec --nix-store namespace a -- b --nix-store auto"),
            "exec --nix-store real a -- b --nix-store auto"
        );
        assert_eq!(of("exec --nix-store=auto a -- b"), "exec --nix-store=real a -- b");
    }
}

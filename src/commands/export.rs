//! `cotter export`: writes a toolchain as a plain directory, for tools that know nothing of the
//! store, or gives it to Nix.

use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;

use super::present::kind;
use super::{export_nix, trees};
use crate::cli::{Export, ExportSysroot, ExportWhat};
use crate::context::{Context, shown};
use crate::emit::EMITTERS;
use crate::error::{Error, Result};
use crate::manifest::no_such_toolchain;
use crate::model::{Kind, ToolchainName};
use crate::project::Project;
use crate::ready;
use crate::store::copies;

/// The file of an exported directory that names the tree of which it is a copy.
const MARK: &str = ".cotter-export";

/// Runs the command.
///
/// # Errors
/// If there is no such toolchain, or if the directory cannot be written.
pub fn run(args: &Export, cx: &Context) -> Result<ExitCode> {
    match &args.what {
        ExportWhat::Sysroot(args) => sysroot(args, cx),
        ExportWhat::Nix(args) => export_nix::run(args, cx),
        ExportWhat::Other(words) => {
            let word = words.first().cloned().unwrap_or_default();
            let error = Error::user(format!("nothing is exported as {word:?}"));
            Err(match EMITTERS.iter().find(|emitter| emitter.name() == word) {
                Some(_) => error.hint(format!("`cotter emit {word}` writes it")),
                None => error.hint("`cotter export sysroot DIR` writes a sysroot"),
            })
        }
    }
}

fn sysroot(args: &ExportSysroot, cx: &Context) -> Result<ExitCode> {
    let platform = ready::native_or(args.platform)?;
    let manifest = Project::load(cx)?.manifest;
    let sysroots: Vec<&ToolchainName> = manifest
        .toolchains
        .values()
        .filter(|t| t.kind == Kind::Sysroot && t.platforms.contains(&platform))
        .map(|t| &t.name)
        .collect();
    let name = match (&args.name, sysroots.as_slice()) {
        (Some(name), _) => match manifest.toolchains.get(name) {
            Some(toolchain) if toolchain.kind == Kind::Sysroot => name,
            Some(toolchain) => {
                return Err(Error::user(format!(
                    "{name} is a toolchain of kind \"{}\", and no sysroot",
                    toolchain.kind
                ))
                .hint(wanted("sysroot")));
            }
            None => {
                let known = sysroots.iter().map(|name| name.as_str());
                return Err(no_such_toolchain(name.as_str(), known));
            }
        },
        (None, [one]) => *one,
        (None, []) => {
            return Err(Error::user(format!("the manifest asks for no sysroot for {platform}"))
                .hint(wanted("sysroot")));
        }
        (None, many) => {
            let names: Vec<&str> = many.iter().map(|name| name.as_str()).collect();
            return Err(
                Error::user("which sysroot?").hint(format!("name one of {}", names.join(", ")))
            );
        }
    };
    let trees = trees::roots(std::slice::from_ref(name), platform, cx)?;
    let tree = trees
        .iter()
        .find(|tree| tree.name == *name && kind(tree) == Kind::Sysroot.as_str())
        .ok_or_else(|| {
            Error::user(format!("the lock has no sysroot {name} for {platform}"))
                .hint("run `cotter lock`")
        })?;
    let dir = cx.here.join(&args.dir);
    if !copies::may_replace(&dir, cx.store.dir(), &[&cx.here, &cx.manifest_path()?]) {
        return Err(Error::user(format!("{} can't become a sysroot", dir.display()))
            .because("this directory, the project or the store lies in it, or it lies in the store")
            .hint("name a directory of its own"));
    }
    let mark = format!("{}\n", tree.store_name);
    let place = shown(&dir, &cx.here);
    if let Ok(there) = fs::symlink_metadata(&dir) {
        if !there.is_dir() {
            return Err(Error::user(format!("{place} is there, and is no directory"))
                .hint("name another directory, or move it away"));
        }
        if !dir.join(MARK).is_file() && !is_empty(&dir) && !args.force {
            return Err(Error::user(format!("{place} is there, and cotter did not write it"))
                .hint("name another directory, or say --force to replace it"));
        }
    }
    let path = cx.store.path(&tree.store_name);
    copies::replace(&dir, &|new| {
        let at = |e| Error::output("write", &dir, e);
        copies::copy_files(&path, new, &|_| true).map_err(at)?;
        fs::write(new.join(MARK), &mark).map_err(at)
    })?;
    cx.reporter.line(&format!("wrote {place}, a copy of {}", tree.store_name));
    cx.reporter.line(&format!("name it to a compiler with --sysroot={place}"));
    Ok(ExitCode::SUCCESS)
}

/// Returns the text that says what a sysroot is in the manifest.
fn wanted(name: &str) -> String {
    format!(
        "a sysroot is a toolchain of its own: [toolchains.{name}] with kind = \"sysroot\", source = \"debian\", suite = \"bookworm\", packages = [\"libc6-dev\", \"libstdc++-12-dev\"], and libraries = [...] with the names of library toolchains"
    )
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

//! `cotter audit tree`

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fs_err as fs;

use super::super::present::kind;
use super::super::trees;
use super::command;
use super::findings::report;
use crate::audit::artifact::{self, Role, Subject};
use crate::audit::tree::Examined;
use crate::audit::{Finding, TREE_LINK, TREE_NEEDED, TREE_SHEBANG};
use crate::cli::AuditTree;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::model::Kind;
use crate::project::Project;
use crate::ready;
use crate::recipe;
use crate::relocate::launcher::REDIRECTION;
use crate::relocate::scripts::interpreter;
use crate::reporter::Verbosity;
use crate::store::RootTree;
use crate::tree::Tree;

/// Audits trees of the store.
pub fn run(args: &AuditTree, cx: &Context) -> Result<ExitCode> {
    let project = Project::load(cx)?;
    let trees = trees::roots(&args.names, ready::native_or(None)?, cx)?;
    let mut findings = vec![];
    let mut examined = vec![];
    let all = cx.reporter.verbosity() == Verbosity::Verbose;
    for tree in &trees {
        let root = cx.store.path(&tree.store_name);
        let inside = Tree::on_disk(&root)?;
        let mut files = vec![];
        walk(&root, &mut files)?;
        let mut libraries = shared_libraries(&files);
        // Packages are loaded by their interpreter, which provides libc and the libraries on which
        // wheels may rely.
        for searched in searched_by(tree, &project, cx)? {
            let mut files = vec![];
            walk(&searched, &mut files)?;
            libraries.extend(shared_libraries(&files));
        }
        for path in files {
            let place =
                format!("{}/{}", tree.name, path.strip_prefix(&root).unwrap_or(&path).display());
            let meta = fs::symlink_metadata(&path).map_err(|e| Error::at("read", &path, e))?;
            if meta.is_symlink() {
                let inside = path
                    .canonicalize()
                    .is_ok_and(|real| root.canonicalize().is_ok_and(|root| real.starts_with(root)));
                if !inside {
                    findings.push(Finding::new(
                        &TREE_LINK,
                        place,
                        "a link that leads out of the tree, or nowhere",
                    ));
                }
                continue;
            }
            let bytes = fs::read(&path).map_err(|e| Error::at("read", &path, e))?;
            let subject = Subject {
                place: &place,
                role: Role::Tree,
                executable: meta.permissions().mode() & 0o111 != 0,
                glibc_floor: None,
                machine_paths: &[],
                libraries: &|name| libraries.contains(name),
            };
            // The tree of a library relies on the libc of the compiler's tree.
            let is_library = kind(tree) == Kind::Library.as_str();
            // A program of a tree starts a script with the interpreter of the tree.
            let is_started = starts_inside(&bytes, &inside)
                || kind(tree) == Kind::Packages.as_str() && is_for_the_interpreter(&bytes);
            findings.extend(artifact::look(&bytes, subject).into_iter().filter(|f| {
                !(is_library && f.id == TREE_NEEDED.id || is_started && f.id == TREE_SHEBANG.id)
            }));
        }
        let survey = recipe::survey_constants(&tree.recipe, &inside)?;
        let tree = Examined { name: tree.name.to_string(), survey };
        findings.extend(tree.findings(all));
        cx.reporter.line(&tree.summary());
        for c in tree.survey.constants.iter().filter(|_| all) {
            let reason = c.fate.reason().map(|r| format!(" ({r})")).unwrap_or_default();
            cx.reporter.detail(&format!(
                "  {}/{} {} {}{reason}",
                tree.name,
                c.file,
                c.path,
                c.fate.as_str()
            ));
        }
        examined.push(tree);
    }
    if let Some((program, arguments)) = args.command() {
        findings.extend(command::run(program, arguments, &args.names, &trees, cx)?);
    }
    report(findings, examined, &project.manifest.audit, &args.output, cx)
}

/// Whether a script of a package asks `PATH` for Python. For those who use a set, its interpreter is
/// the first there.
fn is_for_the_interpreter(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    let line = head.lines().next().unwrap_or_default();
    matches!(line.trim_end(), "#!/usr/bin/env python" | "#!/usr/bin/env python3")
}

/// Whether a file is a script whose interpreter is in the tree, which redirects paths: whatever
/// starts the script from there finds that interpreter.
fn starts_inside(bytes: &[u8], tree: &Tree) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    tree.at(REDIRECTION).is_some()
        && interpreter(head).is_some_and(|(program, _)| tree.file(&program).is_some())
}

fn shared_libraries(files: &[PathBuf]) -> BTreeSet<String> {
    files
        .iter()
        .filter_map(|p| p.file_name())
        .map(|n| n.to_string_lossy().into_owned())
        .filter(|n| n.contains(".so"))
        .collect()
}

/// Returns the trees in which the extension modules of a set of packages find libraries, as far as they
/// are in the store: that of its interpreter, and those that `libraries` names.
fn searched_by(tree: &RootTree, project: &Project, cx: &Context) -> Result<Vec<PathBuf>> {
    let lock = project.lock(cx)?.unwrap_or_default();
    let set = lock.get(&tree.name, tree.platform).and_then(|t| t.plan.spec.packages());
    let names =
        set.into_iter().flat_map(|set| [&set.interpreter].into_iter().chain(&set.libraries));
    let trees = names.filter_map(|name| lock.get(name, tree.platform));
    let paths = trees.map(|tree| cx.store.path(&tree.output.store_name));
    Ok(paths.filter(|path| path.exists()).collect())
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::at("read", dir, e))? {
        let entry = entry.map_err(|e| Error::at("read", dir, e))?;
        if entry.file_type().map_err(|e| Error::at("read", dir, e))?.is_dir() {
            walk(&entry.path(), out)?;
        } else {
            out.push(entry.path());
        }
    }
    Ok(())
}

//! `cotter audit bazel`

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;

use super::findings::report;
use super::jail;
use crate::audit::actions::{self, Graph};
use crate::audit::artifact::{self, Role, Subject};
use crate::audit::{Finding, repositories};
use crate::cli::AuditBazel;
use crate::commands::workspace::Workspace;
use crate::context::{Context, shown, var};
use crate::emit::MARK;
use crate::error::{Error, Result};
use crate::lockfile::Lockfile;
use crate::manifest::AuditSettings;
use crate::project::Project;

/// Larger files are not searched, because no linker writes files of this size (in bytes).
const LARGEST: u64 = 1 << 30;
/// The kinds of actions that, by design, write lists of absolute paths for Bazel's own use.
const LISTS: &[&str] = &[
    "SourceSymlinkManifest",
    "SymlinkTree",
    "RepoMappingManifest",
    "BazelWorkspaceStatusAction",
    "Middleman",
    "TestRunner",
    "TranslateBuildInfo",
];

/// Audits a workspace.
pub fn run(args: &AuditBazel, cx: &Context) -> Result<ExitCode> {
    Workspace::check_owner(cx)?;
    let workspace = Workspace { dir: Workspace::find(&cx.here)?, flags: &args.bazel };
    let project = cx.manifest_path().ok().map(|_| Project::load(cx)).transpose()?;
    let settings = project.as_ref().map(|p| p.manifest.audit.clone()).unwrap_or_default();
    let lock = match &project {
        Some(project) => project.lock(cx)?.unwrap_or_default(),
        None => Lockfile::default(),
    };
    let targets: Vec<&str> = ["--announce_rc", "--"]
        .into_iter()
        .chain(args.targets.iter().map(String::as_str))
        .collect();
    cx.reporter.line(&format!("building {}", args.targets.join(" ")));
    let (_, said) = workspace.bazel("build", &targets, cx)?;
    let (root, base) = workspace.places(cx)?;
    let (without, with): (Vec<&String>, Vec<&String>) =
        args.targets.iter().partition(|t| t.starts_with('-'));
    let set = |list: &[&String]| {
        format!(
            "set({})",
            list.iter().map(|t| t.trim_start_matches('-')).collect::<Vec<_>>().join(" ")
        )
    };
    let query = format!("deps({} except {})", set(&with), set(&without));
    let graph = Graph::parse(
        &workspace.bazel("aquery", &["--output=jsonproto", "--include_param_files", &query], cx)?.0,
    )
    .map_err(Error::build)?;

    let mut findings = actions::look_at_options(
        &format!("{said}\nrc options for 'build' from --flag:\n{}", args.bazel.flag.join(" ")),
        &workspace.dir.display().to_string(),
    );
    let script = |path: &str| fs::read_to_string(root.join(path)).ok();
    let inherited = |name: &str, value: &str| var(name).is_some_and(|v| v == value);
    for action in &graph.actions {
        findings.extend(actions::look(action, &script, &inherited));
    }
    findings.extend(files(&graph, &workspace, &root, &base, floor(&settings, &lock), cx));
    findings.extend(look_at_repositories(&workspace, &base));
    if args.jail {
        let declared = graph.artifacts.iter().map(String::as_str).collect();
        findings.extend(jail::run(&workspace, &args.targets, &base, &declared, cx)?);
    }
    report(findings, vec![], &settings, &args.output, cx)
}

/// Returns the newest glibc that outputs may require: the value in the manifest, or the version in
/// the compiler's tree.
fn floor(settings: &AuditSettings, lock: &Lockfile) -> Option<String> {
    settings.glibc_floor.clone().or_else(|| {
        lock.trees
            .values()
            .filter(|t| t.plan.spec.cc().is_some_and(|cc| cc.target == t.plan.platform))
            .find_map(|t| t.plan.glibc())
    })
}

/// Examines the outputs, and the sources that can be executed.
fn files(
    graph: &Graph,
    workspace: &Workspace,
    root: &Path,
    base: &Path,
    floor: Option<String>,
    cx: &Context,
) -> Vec<Finding> {
    let libraries: BTreeSet<&str> = graph
        .artifacts
        .iter()
        .filter_map(|p| p.rsplit('/').next())
        .filter(|n| n.contains(".so"))
        .collect();
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned()).display().to_string();
    let machine_paths = [real(base), real(&workspace.dir), real(cx.store.dir())];
    let lists: BTreeSet<&str> = graph
        .actions
        .iter()
        .filter(|a| LISTS.contains(&a.mnemonic.as_str()))
        .flat_map(|a| &a.outputs)
        .map(String::as_str)
        .collect();
    let mut out = vec![];
    // For output directories, only the directories are reported; their members are found here.
    let mut inside = vec![];
    let mut next = 0;
    while next < graph.artifacts.len() + inside.len() {
        let artifact = graph
            .artifacts
            .get(next)
            .unwrap_or_else(|| &inside[next - graph.artifacts.len()])
            .clone();
        let artifact = &artifact;
        next += 1;
        let is_output = artifact.starts_with("bazel-out/");
        // The sources of other repositories are pinned by whoever declared them, and trees have an
        // audit of their own.
        if lists.contains(artifact.as_str()) || (!is_output && artifact.starts_with("external/")) {
            continue;
        }
        let path = if is_output { root.join(artifact) } else { workspace.dir.join(artifact) };
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() && is_output {
            members(&path, artifact, &mut inside);
        }
        if !meta.is_file() || meta.len() > LARGEST {
            continue;
        }
        let executable = meta.permissions().mode() & 0o111 != 0;
        let Ok(bytes) = fs::read(&path) else { continue };
        // Bazel makes every output executable, so further evidence is needed that it is a program.
        let subject = Subject {
            place: artifact,
            role: if is_output { Role::Output } else { Role::Source },
            executable,
            glibc_floor: floor.as_deref(),
            machine_paths: &machine_paths,
            libraries: &|name| libraries.contains(name),
        };
        out.extend(artifact::look(&bytes, subject));
    }
    out
}

/// Adds the files of an output directory as artifacts.
fn members(dir: &Path, artifact: &str, out: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        out.push(format!("{artifact}/{}", entry.file_name().to_string_lossy()));
    }
}

fn look_at_repositories(workspace: &Workspace, base: &Path) -> Vec<Finding> {
    let mut out = vec![];
    let mut dirs = vec![workspace.dir.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !name.starts_with('.') {
                dirs.push(path);
            } else if kind.is_file()
                && name.ends_with(".bzl")
                && let Ok(text) = fs::read_to_string(&path)
                && !text.contains(MARK)
            {
                out.extend(repositories::look_at_code(&shown(&path, &workspace.dir), &text));
            }
        }
    }
    for entry in fs::read_dir(base.join("external")).into_iter().flatten().flatten() {
        let repository = entry.file_name().to_string_lossy().into_owned();
        if !repository.contains("local_config_") {
            continue;
        }
        for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let mut text = String::new();
            let readable = fs::File::open(file.path())
                .is_ok_and(|f| f.take(1 << 20).read_to_string(&mut text).is_ok());
            if readable && (name.starts_with("BUILD") || name.ends_with(".bzl")) {
                out.extend(repositories::look_at_result(&repository, &name, &text));
            }
        }
    }
    out
}

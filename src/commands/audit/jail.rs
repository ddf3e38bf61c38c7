//! `cotter audit bazel --jail`: runs the build again from scratch, with the compilers and
//! interpreters of the host masked, and under a trace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::audit::trace::OwnPlaces;
use crate::audit::{Finding, HOST_RUN, trace};
use crate::commands::workspace::Workspace;
use crate::context::{Context, var_os};
use crate::error::{Error, Result};
use crate::sandbox::{Ended, Job, Printed, View};

/// The masked programs, by the beginning of their names.
const MASKED: &[&str] = &[
    "python",
    "pydoc",
    "gcc",
    "g++",
    "c++",
    "cpp",
    "clang",
    "ld.",
    "gold",
    "perl",
    "ruby",
    "node",
    "rustc",
    "x86_64-linux-gnu-",
    "aarch64-linux-gnu-",
];
/// The masked programs, by name.
const MASKED_NAMES: &[&str] = &[
    "cc",
    "c89",
    "c99",
    "ld",
    "as",
    "ar",
    "nm",
    "ranlib",
    "strip",
    "objcopy",
    "objdump",
    "make",
    "cmake",
    "pkg-config",
];

/// Runs the build in the jail.
///
/// `declared` are the inputs and outputs of the build's actions, relative to the execution root.
pub fn run(
    workspace: &Workspace,
    targets: &[String],
    base: &Path,
    declared: &BTreeSet<&str>,
    cx: &Context,
) -> Result<Vec<Finding>> {
    let strace = tool("strace", "strace", "--jail")?;
    let root = base.with_file_name(format!(
        "{}-jail-{}",
        base.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    fs::create_dir_all(&root).map_err(|e| Error::output("make", &root, e))?;
    let result = build(workspace, targets, &root, declared, &strace, cx);
    // Bazel's server ran in the process namespace of the jail and has ended with it.
    let _ = crate::store::delete_tree(&root);
    result
}

fn build(
    workspace: &Workspace,
    targets: &[String],
    root: &Path,
    declared: &BTreeSet<&str>,
    strace: &Path,
    cx: &Context,
) -> Result<Vec<Finding>> {
    let mask = root.join("masked");
    fs::write(&mask, "").map_err(|e| Error::output("write", &mask, e))?;
    let trace = root.join("trace");
    let programs =
        ["/usr/bin", "/usr/local/bin", "/bin"].iter().flat_map(|d| programs(Path::new(d)));
    let own = |path: &Path| path.display().to_string();
    let mut command: Vec<String> = [
        own(strace).as_str(),
        "-f",
        "-qq",
        "-s",
        "4096",
        "-e",
        trace::ACTION_CALLS,
        "-e",
        "signal=none",
        "-o",
        own(&trace).as_str(),
        own(&workspace.flags.program).as_str(),
        format!("--output_base={}", root.join("base").display()).as_str(),
        // Without a server, because the trace would continue for as long as the server idles.
        "--batch",
    ]
    .map(str::to_owned)
    .into();
    let targets: Vec<&str> = ["--"].into_iter().chain(targets.iter().map(String::as_str)).collect();
    command.extend(workspace.arguments("build", &targets));
    cx.reporter.line("building once more in a jail, under a trace");
    let view =
        View::Masked { mask, programs: programs.collect(), directory: workspace.dir.clone() };
    let log = root.join("log");
    let outcome = Job { view, command }.run(&Printed { log: &log, tell: None }, |_| Ok(()))?;
    let text = fs::read(&trace).map_err(|e| Error::at("read", &trace, e))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.is_empty() {
        let error = Error::build("the build in the jail left no trace");
        return Err(outcome.said.iter().fold(error, |e, line| e.because(line.clone())));
    }
    let dirs = [root.to_owned(), cx.store.dir().to_owned()].map(|d| d.display().to_string());
    let dir = workspace.dir.display().to_string();
    let mut findings = trace::look(&text, OwnPlaces { dirs: &dirs, workspace: &dir, declared });
    if outcome.ended != Ended::Code(0) {
        let why = outcome
            .said
            .iter()
            .find(|l| l.contains("ERROR") || l.contains("error:"))
            .or(outcome.said.last())
            .map_or("it said nothing", String::as_str);
        let why: String = why.chars().take(400).collect();
        findings.push(Finding::new(
            &HOST_RUN,
            "the build in the jail",
            format!("fails where the host's compilers and interpreters are masked: {why}"),
        ));
    }
    Ok(findings)
}

/// Returns the files that are masked. Links are followed, because a mount covers a file.
fn programs(dir: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = vec![];
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_masked =
            MASKED.iter().any(|m| name.starts_with(m)) || MASKED_NAMES.contains(&name.as_str());
        if is_masked
            && let Ok(real) = entry.path().canonicalize()
            && real.is_file()
        {
            out.push(real);
        }
    }
    out.sort();
    out.dedup();
    out
}

/// Returns the path of a program of the machine that a flag needs.
pub(super) fn tool(name: &str, package: &str, flag: &str) -> Result<PathBuf> {
    let path = var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.exists()).ok_or_else(|| {
        Error::user(format!("{flag} needs {name}, which is not on PATH"))
            .hint(format!("install it: apt-get install {package}"))
    })
}

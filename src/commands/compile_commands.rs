//! `cotter compile-commands`

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::workspace::Workspace;
use super::{count, print_json};
use crate::audit::actions::Graph;
use crate::cli::CompileCommands;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::model::MemberPath;
use crate::project::ProjectFiles;
use crate::report::compile_commands::{BazelPlaces, MNEMONICS, is_of_bazel, render};

/// The name of the file.
const FILE: &str = "compile_commands.json";

/// Runs the command.
///
/// # Errors
/// If Bazel fails, or if something else wrote the file that is there.
pub fn run(args: &CompileCommands, cx: &Context) -> Result<ExitCode> {
    Workspace::check_owner(cx)?;
    let workspace = Workspace { dir: Workspace::find(&cx.here)?, flags: &args.bazel };
    let (root, base) = workspace.places(cx)?;
    let query = format!("mnemonic(\"{MNEMONICS}\", deps(set({})))", args.targets.join(" "));
    let flags = ["--output=jsonproto", "--include_param_files", &query];
    let graph = Graph::parse(&workspace.bazel("aquery", &flags, cx)?.0).map_err(Error::build)?;
    let text = |path: &Path| path.display().to_string();
    let (dir, root, base) = (text(&workspace.dir), text(&root), text(&base));
    let places = BazelPlaces { workspace: &dir, execution_root: &root, output_base: &base };
    let after = render(&graph.actions, &places);
    let files = ProjectFiles::open(&workspace.dir)?;
    let name = MemberPath::literal(FILE);
    let path = workspace.dir.join(FILE);
    let before = files.read(&name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if before.as_ref().is_some_and(|text| !text.trim().is_empty() && !is_of_bazel(text)) {
        return Err(Error::user(format!(
            "{} is there, and it does not say what Bazel compiles",
            shown(&path, &cx.here)
        ))
        .because("expected entries whose outputs are below bazel-out, or no file")
        .hint("move the file away"));
    }
    let sources = after.matches("\"file\":").count();
    let is_new = before.as_ref() != Some(&after);
    if is_new {
        files.replace(&name, &after)?;
    }
    if args.json {
        print_json(&json!({ "file": path, "sources": sources, "written": is_new }))?;
    } else {
        let what = if is_new { "wrote" } else { "up to date:" };
        cx.reporter.line(&format!(
            "{what} {} with {}",
            shown(&path, &cx.here),
            count(sources, "source")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

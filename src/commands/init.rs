//! `cotter init`

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;

use crate::cli::{Init, Template};
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::manifest;
use crate::manifest::starter::{REQUIREMENTS, Starter, StarterPart, UNREAD};
use crate::model::Platform;

/// Runs the command.
///
/// # Errors
/// If a manifest already exists, or if it cannot be written.
pub fn run(args: &Init, cx: &Context) -> Result<ExitCode> {
    let dir = args.dir.as_ref().map_or_else(|| cx.here.clone(), |d| cx.here.join(d));
    let path = dir.join(manifest::FILE_NAME);
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if is_there(&path) {
        return Err(Error::user(format!("{} is there already", path.display()))
            .hint("edit it, or remove it first"));
    }
    let names: Vec<String> = fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let starter = match args.template {
        Some(template) => Starter::of(parts(template)),
        None => Starter::for_files(&names).unwrap_or_else(|| Starter::of(parts(Template::Full))),
    };
    let platform = Platform::native().unwrap_or(Platform::X86_64Linux);
    let text = starter.text(platform, &names);
    let list = dir.join(REQUIREMENTS);
    let has_list = !starter.needs_list(&names) || list.exists();
    if !has_list && is_there(&list) {
        return Err(Error::user(format!("{} is a symlink that leads nowhere", list.display()))
            .because(
                "expected a list of packages, or nothing: what is written is no symlink's target",
            )
            .hint("remove it"));
    }
    let written = |path: &Path, text: &str| {
        write_new(path, text)
            .map_err(|e| Error::user(format!("can't write {}", path.display())).cause(&e))
    };
    fs::create_dir_all(&dir)
        .map_err(|e| Error::user(format!("can't make {}", dir.display())).cause(&e))?;
    written(&path, &text)?;
    if !has_list {
        written(&list, "# The Python packages of the project, one in each line.\n")?;
    }
    let and = if has_list { String::new() } else { format!(" and {REQUIREMENTS}") };
    let because = match starter.signs.as_slice() {
        [] => String::new(),
        signs => format!(", because there is {}", signs.join(", ")),
    };
    let unread: Vec<&str> =
        UNREAD.iter().copied().filter(|name| starter.signs.iter().any(|s| s == name)).collect();
    if let (false, Some(first)) = (has_list, unread.first()) {
        cx.reporter.line(&format!(
            "cotter does not read {first}: write its packages of Python into {REQUIREMENTS}"
        ));
    }
    let path = shown(&path, &cx.here);
    cx.reporter.line(&format!("wrote {path}{and}{because}; next: cotter setup"));
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that is not there. What came in its place meanwhile stays, and no symlink is followed.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn parts(template: Template) -> &'static [StarterPart] {
    match template {
        Template::Full => &[StarterPart::Gcc, StarterPart::Python],
        Template::Cpp => &[StarterPart::Gcc],
        Template::Python => &[StarterPart::Python],
        Template::Uv => &[StarterPart::Python, StarterPart::Packages],
        Template::Tool => &[StarterPart::Tool],
        Template::Library => &[StarterPart::Gcc, StarterPart::Library],
        Template::Cross => &[StarterPart::Gcc, StarterPart::Cross],
        Template::Bazel => &[StarterPart::Gcc, StarterPart::Python, StarterPart::Bazel],
        Template::Services => &[StarterPart::Services],
    }
}

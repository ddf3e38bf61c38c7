//! Rules of this repository that a program can check.

mod book;
mod code;
mod dependencies;
mod docs;
mod files;
mod layers;
mod names;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::REPO;
use code::Code;

/// Returns the program's sources.
fn code() -> &'static Code {
    static CODE: OnceLock<Code> = OnceLock::new();
    let src = Path::new(REPO).join("src");
    CODE.get_or_init(|| Code::read(&|name| std::fs::read_to_string(src.join(name)).ok()))
}

/// Returns the files below a directory whose names have a given ending.
fn files_below(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            out.push(path);
        }
    }
    out
}

/// Returns the text of a file of the repository.
fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(REPO).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Checks that a rule is kept, which means that there is no problem.
#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

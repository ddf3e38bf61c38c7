//! The pages of the book: none is forgotten, and what they quote is there.

use std::collections::BTreeSet;
use std::path::Path;

use super::{files_below, none};
use crate::support::{Project, REPO, text};

/// Returns the blocks of a page in one language, each with the number of its first line. A block that stands in a list is moved to the left.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut out = vec![];
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim_start().strip_prefix("```") == Some(language) {
            let indent = line.len() - line.trim_start().len();
            let block = lines
                .by_ref()
                .map(|(_, line)| line.get(indent..).unwrap_or_default())
                .take_while(|line| *line != "```")
                .fold(String::new(), |block, line| block + line + "\n");
            out.push((number + 2, block));
        }
    }
    out
}

#[test]
fn every_page_stands_in_the_summary_once() {
    let docs = Path::new(REPO).join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut problems = vec![];
    for page in files_below(&docs, ".md") {
        let name = page.strip_prefix(&docs).unwrap().to_str().unwrap();
        let times = summary.matches(&format!("]({name})")).count();
        if name != "SUMMARY.md" && times != 1 {
            problems.push(format!("docs/SUMMARY.md names {name} {times} times"));
        }
    }
    none(&problems);
}

/// A part of a manifest is completed with the tables that it needs. Then it must have no problem, but lack its lock.
#[test]
fn every_manifest_in_the_docs_is_valid() {
    let python = "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n";
    let uv = "[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.13.8\"\n";
    let (mut problems, mut count) = (vec![], 0);
    let mut pages = files_below(&Path::new(REPO).join("docs"), ".md");
    pages.push(Path::new(REPO).join("README.md"));
    for page in pages {
        let name = page.strip_prefix(REPO).unwrap().display().to_string();
        for (line, block) in blocks(&std::fs::read_to_string(&page).unwrap(), "toml") {
            if name.contains("decisions/") || name == "docs/lockfile.md" || !block.contains('[') {
                continue;
            }
            let has = |table: &str| block.contains(&format!("[{table}]"));
            let mut manifest = block.clone();
            if !has("toolchains.python") {
                manifest += python;
            }
            if !has("toolchains.uv") {
                manifest += uv;
            }
            let suites = block.lines().find(|line| line.starts_with("suite = ["));
            let suites = suites.unwrap_or("suite = \"bookworm\"");
            for library in ["openssl", "zlib"] {
                if block.contains(&format!("\"{library}\""))
                    && !has(&format!("toolchains.{library}"))
                {
                    manifest += &format!(
                        "[toolchains.{library}]\nkind = \"library\"\nsource = \"debian\"\n{suites}\npackages = [\"zlib1g-dev\"]\n"
                    );
                }
            }
            let project = Project::new(&manifest);
            project.scratch.write("project/requirements.in", "");
            let output = project.cotter(&["lock", "--check"]).output().unwrap();
            count += 1;
            if output.status.code() != Some(3) {
                problems.push(format!("{name}:{line}: {}", text(&output)));
            }
        }
    }
    none(&problems);
    assert!(count > 15, "only {count} manifests were found");
}

/// The headings of the page that are in code quotes are parts of messages of the program.
#[test]
fn the_messages_of_the_troubleshooting_page_exist() {
    let page = std::fs::read_to_string(Path::new(REPO).join("docs/troubleshooting.md")).unwrap();
    let sources: String = files_below(&Path::new(REPO).join("src"), ".rs")
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let quoted: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let problems: Vec<String> = quoted
        .iter()
        .filter(|message| message.split(" ... ").any(|part| !sources.contains(part)))
        .map(|message| format!("docs/troubleshooting.md: no message says {message:?}"))
        .collect();
    none(&problems);
    assert!(quoted.len() > 10);
}

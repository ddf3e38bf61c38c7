//! The tutorial, line by line.

use std::path::Path;
use std::process::Command;

use crate::support::{REPO, Scratch, clean, text};

/// What the page asks its reader to do.
enum Step<'a> {
    /// To write a file, or to add to it if it is there.
    Write { file: &'a str, content: String },
    /// To type a command, which prints these lines.
    Type { line: usize, command: &'a str, expected: Vec<&'a str> },
}

/// Reads the page. The file of a block is the last one that the text before it names.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps = vec![];
    let mut file = "";
    let mut lines = page.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        match line.strip_prefix("```") {
            None if line.ends_with(':') && line.matches('`').count() >= 2 => {
                file = line.rsplit('`').nth(1).unwrap();
            }
            None => {}
            Some("console") => {
                for (number, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(command), _) => {
                            steps.push(Step::Type { line: number + 1, command, expected: vec![] });
                        }
                        (None, Some(Step::Type { expected, .. })) => expected.push(line),
                        (None, _) => panic!("line {}: output without a command", number + 1),
                    }
                }
            }
            Some(_) => {
                let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
                let content = block.fold(String::new(), |all, line| all + line + "\n");
                steps.push(Step::Write { file, content });
            }
        }
    }
    steps
}

/// Returns whether a line is the expected one, in which `[..]` stands for any characters.
fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("") || last.is_some_and(|part| rest.ends_with(part))
}

/// Returns whether the lines are the expected ones, among which `...` stands for any number of lines.
fn all_fit(lines: &[&str], expected: &[&str]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, _) => lines.is_empty(),
        (Some((&"...", expected)), _) => {
            (0..=lines.len()).any(|skip| all_fit(&lines[skip..], expected))
        }
        (Some((first, expected)), Some((line, lines))) => {
            fits(line, first) && all_fit(lines, expected)
        }
        (Some(_), None) => false,
    }
}

#[test]
fn the_matching_of_lines_can_fail() {
    assert!(
        fits("gcc 12 fetched", "gcc [..] fetched") && !fits("gcc 12 there", "gcc [..] fetched")
    );
    assert!(!fits("gcc fetched again", "gcc [..]fetched") && fits("a b", "a [..]"));
    assert!(all_fit(&["a", "b", "c"], &["...", "c"]) && !all_fit(&["a", "b"], &["...", "c"]));
    assert!(!all_fit(&["a", "b"], &["a"]) && all_fit(&[], &["..."]) && !all_fit(&[], &["a"]));
}

#[test]
fn the_tutorial_can_be_typed_as_it_stands() {
    let page = std::fs::read_to_string(Path::new(REPO).join("docs/tutorial.md")).unwrap();
    let scratch = Scratch::new();
    let store = scratch.join("store");
    let bin = Path::new(env!("CARGO_BIN_EXE_cotter")).parent().unwrap();
    let mut directory = scratch.path().to_path_buf();
    let mut count = 0;
    for step in steps(&page) {
        let (line, command, expected) = match step {
            Step::Write { file, content } => {
                let file = directory.join(file);
                let before = std::fs::read_to_string(&file).unwrap_or_default();
                std::fs::write(file, before + &content).unwrap();
                continue;
            }
            Step::Type { line, command, expected } => (line, command, expected),
        };
        // A shell for each command: where one ends, the next begins.
        let mut shell = Command::new("sh");
        clean(&mut shell, scratch.path());
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        shell.args([
            "-c",
            &format!("exec 2>&1\n{command}\npwd > '{}'", scratch.join("pwd").display()),
        ]);
        shell.current_dir(&directory).env("PATH", path).env("COTTER_STORE", &store);
        shell.env("COLUMNS", "80");
        let printed = text(&shell.output().unwrap());
        let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
        assert!(
            all_fit(&lines, &expected),
            "docs/tutorial.md:{line}: {command}\nexpected:\n{}\ngot:\n{printed}",
            expected.join("\n")
        );
        directory = std::fs::read_to_string(scratch.join("pwd")).unwrap().trim_end().into();
        count += 1;
    }
    assert!(count > 15, "only {count} commands were found");
}

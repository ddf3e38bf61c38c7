//! Rules of the house that a program can check.

use std::path::{Path, PathBuf};

use crate::support::REPO;

fn files(dir: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, out);
        } else if path.to_string_lossy().ends_with(ending) {
            out.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut all = vec![];
    files(&Path::new(REPO).join("src"), ".rs", &mut all);
    all.into_iter()
        .map(|p| {
            (
                p.strip_prefix(Path::new(REPO).join("src")).unwrap().display().to_string(),
                std::fs::read_to_string(&p).unwrap(),
            )
        })
        .collect()
}

/// The part of a source that ships: without its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

/// `main -> app -> commands -> {resolve, source, fetch, unpack, relocate, recipe, compose, store} -> {manifest, lockfile} -> model`.
#[test]
fn modules_look_in_one_direction_only() {
    let level = |module: &str| match module {
        "error" | "interrupt" => 0,
        "model" | "nix" => 1,
        "manifest" => 2,
        "lockfile" | "environment" => 3,
        "emit" | "audit" => 4,
        "reporter" | "tree" => 4,
        "unpack" | "fetch" | "relocate" | "resolve" | "store" => 5,
        "python" => 6,
        "recipe" => 6,
        "source" => 7,
        "compose" => 8,
        "cli" => 9,
        "context" => 10,
        "project" => 11,
        "commands" => 12,
        "app" | "main" | "lib" => 13,
        other => panic!(
            "the module {other} has no place in the order: give it one in docs/architecture.md and here"
        ),
    };
    for (file, text) in sources() {
        let own = file.split('/').next().unwrap().trim_end_matches(".rs");
        for used in shipped(&text).split("crate::").skip(1) {
            let module: String =
                used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if module.is_empty() || module == "Result" {
                continue;
            }
            // `nix` names the digits of a store name for `model`; both are pure.
            let exempt = own == "model" && module == "nix";
            assert!(level(&module) <= level(own) || exempt, "{file} looks up to crate::{module}");
        }
    }
}

#[test]
fn pure_modules_do_no_io() {
    for (file, text) in sources() {
        let own = file.split('/').next().unwrap().trim_end_matches(".rs");
        if ["model", "nix", "manifest", "lockfile", "environment", "emit", "audit"].contains(&own) {
            for word in [
                "fs_err",
                "std::fs",
                "std::env::",
                "std::net",
                "reqwest",
                "SystemTime",
                "Timestamp::now",
                "Instant",
            ] {
                let allowed = word == "std::env::" && text.contains("std::env::consts");
                assert!(allowed || !shipped(&text).contains(word), "{file} uses {word}");
            }
        }
    }
}

/// What the trees promise of links, modes and times, on the real ones.
#[test]
fn the_real_trees_are_sealed() {
    use std::os::unix::fs::MetadataExt;
    fn walk(dir: &Path, root: &Path, count: &mut u32) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            *count += 1;
            assert_eq!(meta.mtime(), 1, "{}", path.display());
            if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                assert!(target.is_relative(), "{} -> {}", path.display(), target.display());
                assert!(
                    path.canonicalize()
                        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
                        .starts_with(root),
                    "{}",
                    path.display()
                );
            } else {
                assert!(
                    [0o444, 0o555].contains(&(meta.mode() & 0o7777)),
                    "{} {:o}",
                    path.display(),
                    meta.mode()
                );
            }
            if meta.is_dir() {
                walk(&path, root, count);
            }
        }
    }
    for tree in [
        crate::support::tree("gcc"),
        crate::support::tree("python"),
        crate::support::library("libpq"),
    ] {
        let (root, mut count) = (tree.canonicalize().unwrap(), 0);
        walk(&tree, &root, &mut count);
        assert!(count > 100, "{} holds {count} entries", tree.display());
    }
}

#[test]
fn files_are_short() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= 600, "{file} has {} lines", text.lines().count());
    }
}

/// Every variable, exit code and command is documented where users look.
#[test]
fn the_docs_name_everything() {
    let docs = |name: &str| std::fs::read_to_string(format!("{REPO}/docs/{name}")).unwrap();
    let (environment, codes, commands, manifest) =
        (docs("environment.md"), docs("exit-codes.md"), docs("commands.md"), docs("manifest.md"));
    for (file, text) in sources() {
        for word in text
            .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
            .filter(|w| w.starts_with("COTTER_") && w.len() > 8)
        {
            let word = word.trim_end_matches('_');
            assert!(environment.contains(word), "{word} of {file} is not in docs/environment.md");
        }
    }
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "126", "127", "130"] {
        assert!(codes.contains(&format!("| {code} |")), "exit code {code}");
    }
    for verb in [
        "init",
        "lock",
        "setup",
        "exec",
        "shell",
        "env",
        "path",
        "venv",
        "export",
        "list",
        "verify",
        "emit",
        "audit",
        "gc",
        "doctor",
        "completions",
        "schema",
    ] {
        assert!(commands.contains(&format!("## `cotter {verb}`")), "{verb}");
    }
    let schema: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(format!("{REPO}/templates/toolchains.schema.json")).unwrap(),
    )
    .unwrap();
    for key in schema["$defs"]["toolchain"]["properties"].as_object().unwrap().keys() {
        assert!(manifest.contains(&format!("`{key}`")), "the key {key} is not in docs/manifest.md");
    }
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut all =
        vec![PathBuf::from(REPO).join("README.md"), PathBuf::from(REPO).join("CONTRIBUTING.md")];
    files(&Path::new(REPO).join("docs"), ".md", &mut all);
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|l| l.split(')').next())
            .filter(|l| !l.contains("://") && !l.starts_with('#'))
        {
            let target = file.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{} links to {link}", file.display());
        }
    }
}

//! What `deny.toml` says about dependencies, checked without `cargo deny`, which most machines do not have, and without network access. Known vulnerabilities are not checked here: their
//! list is not part of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{none, read};
use crate::support::{REPO, ok};

/// The packages that a build for the platforms of `deny.toml` compiles, or that its tests need.
fn packages() -> Vec<Value> {
    let mut out: BTreeMap<String, Value> = BTreeMap::new();
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let targets: Vec<&str> =
        deny["graph"]["targets"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert!(!targets.is_empty());
    for target in targets {
        let text = ok(Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--locked",
                "--offline",
                "--format-version",
                "1",
                "--filter-platform",
                target,
            ])
            .current_dir(REPO));
        let metadata: Value = serde_json::from_str(&text).unwrap();
        for package in metadata["packages"].as_array().unwrap() {
            out.insert(package["id"].as_str().unwrap().to_owned(), package.clone());
        }
    }
    assert!(out.len() > 100, "there are {} packages", out.len());
    out.into_values().collect()
}

/// Whether an SPDX expression can be met with the allowed licences. Source: SPDX specification 2.3, annex D; `/` is an old way to write OR.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words, allowed: &BTreeSet<&str>) -> bool {
    let mut met = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut Words, allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words, allowed: &BTreeSet<&str>) -> bool {
    let mut name = words.next().unwrap_or_default().to_owned();
    if name == "(" {
        let met = either(words, allowed);
        return words.next() == Some(")") && met;
    }
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(name.as_str())
}

#[test]
fn expressions_of_licences_are_read() {
    let allowed =
        BTreeSet::from(["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-2.0", false),
        ("MIT/Apache-2.0", true),
        ("GPL-2.0 OR MIT", true),
        ("GPL-2.0 AND MIT", false),
        ("(GPL-2.0 OR MIT) AND Unicode-3.0", true),
        ("GPL-2.0 OR MIT AND GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH Classpath-exception-2.0", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn licences_and_sources_of_dependencies_are_allowed() {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let list = |table: &str, key: &str| -> Vec<toml::Value> {
        deny[table][key].as_array().unwrap().clone()
    };
    let allowed = list("licenses", "allow");
    let allowed: BTreeSet<&str> = allowed.iter().map(|l| l.as_str().unwrap()).collect();
    let denied = list("bans", "deny");
    let denied: BTreeSet<&str> = denied.iter().map(|d| d["crate"].as_str().unwrap()).collect();
    let mut problems = vec![];
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let (name, version) = (text("name"), text("version"));
        if !is_met(&text("license"), &allowed) {
            problems.push(format!("{name} {version} has the licence {:?}", text("license")));
        }
        if denied.contains(name.as_str()) {
            problems.push(format!("{name} {version} is denied"));
        }
        // Cargo's own name for its default registry; only this package itself has no source.
        let is_own = package["source"].is_null() && name == "cotter";
        if !is_own && !text("source").starts_with("registry+") {
            problems.push(format!("{name} {version} comes from {:?}", text("source")));
        }
    }
    none(&problems);
}

/// The lock of cargo has the sum of every dependency, and all of them come from one registry.
#[test]
fn each_dependency_has_its_sum_in_the_lock() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let has = |package: &toml::Value, key: &str| {
        package.get(key).and_then(|v| v.as_str()).map(str::to_owned)
    };
    let own: Vec<&str> = packages
        .iter()
        .filter(|p| has(p, "source").is_none())
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(own, ["cotter"]);
    let sources: BTreeSet<String> = packages.iter().filter_map(|p| has(p, "source")).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    let without = packages.iter().filter(|p| {
        has(p, "source").is_some() && has(p, "checksum").is_none_or(|sum| sum.len() != 64)
    });
    none(&without.map(|p| format!("{} has no sum", p["name"])).collect::<Vec<_>>());
}

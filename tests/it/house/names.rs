//! One name for one thing.

use std::collections::BTreeMap;

use super::{code, none};

/// Types that share a name, each with the reason.
const SHARED: &[(&str, &str)] = &[
    ("Builder", "of an environment and of source distributions; to be renamed"),
    ("Chosen", "by uv and by Debian's resolver; to be renamed"),
    ("Job", "of a schedule and of uv; to be renamed"),
    ("Kind", "of a failure and of a toolchain; to be renamed"),
    ("Node", "of a graph and of a tree; to be renamed"),
    ("Outcome", "of locking and of making ready; to be renamed"),
    ("Programs", "of the lock and of a recipe; to be renamed"),
    ("Project", "of the user and of a Python index; to be renamed"),
    ("Request", "of an emitter and of commands; to be renamed"),
    ("Role", "of an audited file and of a set; to be renamed"),
    ("Tool", "of the command line and the recipe; to be renamed"),
];

#[test]
fn no_two_types_have_one_name() {
    let code = code();
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for module in code.modules.values() {
        for item in &module.types {
            places
                .entry(&item.name)
                .or_default()
                .push(format!("src/{}:{}", module.file, item.line));
        }
    }
    let shared: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    for (name, _) in SHARED {
        assert!(
            shared.iter().any(|(other, _)| *other == name),
            "one type is called {name}: take it from SHARED"
        );
    }
    let problems: Vec<String> = shared
        .into_iter()
        .filter(|(name, _)| !SHARED.iter().any(|(other, _)| other == *name))
        .map(|(name, places)| {
            format!("{} types are called {name}: {}", places.len(), places.join(", "))
        })
        .collect();
    none(&problems);
}

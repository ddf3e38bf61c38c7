//! Each name refers to only one thing.

use std::collections::BTreeMap;

use super::{code, none};

/// Names that several types have, each with the reason.
const SHARED: &[(&str, &str)] = &[];

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

//! The path patterns of `prune` and `keep`.

use std::collections::BTreeMap;

use super::{Fields, Problems};
use crate::error::Place;

/// The places of the patterns, and of the names in `bin` and `env`, in the manifest, by key and text.
pub type Places = BTreeMap<(&'static str, String), Place>;

/// Takes a list of patterns. A pattern that cannot match anything is reported as a problem.
pub fn read(
    key: &'static str,
    fields: &mut Fields,
    places: &mut Places,
    problems: &mut Problems,
) -> Vec<String> {
    let mut out = vec![];
    for item in fields.string_list(key, problems).unwrap_or_default() {
        match fault(&item.value) {
            None => {
                places.insert((key, item.value.clone()), problems.place(item.span.start));
                out.push(item.value);
            }
            Some(why) => problems.add(item.span, format!("{why}, got {:?}", item.value)),
        }
    }
    out
}

/// Returns the reason why a pattern cannot match anything.
fn fault(pattern: &str) -> Option<String> {
    let mut parts = pattern.split('/');
    if pattern.is_empty() || parts.any(|p| matches!(p, "" | "." | "..")) {
        return Some(
            "expected a pattern of paths below the root of the tree, such as \"usr/share/doc/**\""
                .to_owned(),
        );
    }
    // `dir/!name` stands for everything below `dir` except that name.
    let dir = pattern.rsplit_once("/!").map_or(pattern, |(dir, _)| dir);
    glob::Pattern::new(dir)
        .err()
        .map(|e| format!("expected a path pattern ({}, at character {})", e.msg, e.pos + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_match_nothing_is_refused() {
        for good in ["usr/share/doc/**", "usr/bin/*gp-*", "usr/share/doc/*/!copyright", "x"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", "../x", "/usr/**", "usr/share/", "a//b", "./a", "a/***", "a/[b"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}

//! The files that no tree needs. The list is documented in `docs/trees.md`. `prune` and `keep` in
//! the manifest change it.

use std::sync::atomic::{AtomicBool, Ordering};

use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::Tree;

/// The paths that are left out of every tree. Licences (`copyright`) stay.
pub const ALWAYS: &[&str] = &[
    "usr/share/doc/*/!copyright",
    "usr/share/bash-completion/**",
    "usr/share/bug/**",
    "usr/share/doc-base/**",
    "usr/share/gdb/auto-load/**",
    "usr/share/info/**",
    "usr/share/lintian/**",
    "usr/share/locale/**",
    "usr/share/man/**",
    "usr/share/menu/**",
    "usr/share/pixmaps/**",
    "usr/share/applications/**",
    "usr/share/apport/**",
    "usr/share/binfmts/**",
    "usr/lib/binfmt.d/**",
    "usr/lib/valgrind/**",
    "usr/lib/systemd/**",
    "etc/cron.*/**",
    "etc/default/**",
    "etc/init.d/**",
    "var/**",
];

/// A list of path patterns: `*` stands for any characters within a name, `**` for any directories,
/// and `!name` at the end for every name except that one.
pub struct Patterns(Vec<(Pattern, Option<String>)>);

impl Patterns {
    /// Parses patterns.
    ///
    /// # Errors
    /// If a pattern is invalid.
    pub fn new<S: AsRef<str>>(list: &[S]) -> Result<Self> {
        let mut out = vec![];
        for text in list {
            let text = text.as_ref();
            let (text, except) = match text.rsplit_once("/!") {
                Some((dir, name)) => (format!("{dir}/**"), Some(name.to_owned())),
                None => (text.to_owned(), None),
            };
            let pattern = Pattern::new(&text)
                .map_err(|e| Error::user(format!("{text:?} is no path pattern")).cause(&e))?;
            out.push((pattern, except));
        }
        Ok(Patterns(out))
    }

    /// Whether any pattern matches a path.
    pub fn matches(&self, path: &MemberPath) -> bool {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        self.0.iter().any(|(p, except)| {
            p.matches_with(path.as_str(), options) && except.as_deref() != Some(path.file_name())
        })
    }
}

/// The pruning rules of a plan. They are created once for a tree and serve all of its inputs, so
/// that they know in the end which patterns of the manifest matched nothing.
pub struct Pruning {
    base: Patterns,
    prune: Noted,
    keep: Noted,
}

/// Patterns of the manifest, each with a flag that records whether it has matched.
struct Noted(Vec<(String, Patterns, AtomicBool)>);

impl Noted {
    fn new(list: &[String]) -> Result<Self> {
        let note =
            |text: &String| Ok((text.clone(), Patterns::new(&[text])?, AtomicBool::new(false)));
        list.iter().map(note).collect::<Result<_>>().map(Noted)
    }

    fn matches(&self, path: &MemberPath) -> bool {
        // Every pattern is tested, because two patterns may match one path.
        self.0.iter().fold(false, |any, (_, pattern, matched)| {
            let this = pattern.matches(path);
            if this {
                matched.store(true, Ordering::Relaxed);
            }
            any || this
        })
    }

    fn idle(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(.., m)| !m.load(Ordering::Relaxed)).map(|(text, ..)| text.as_str())
    }
}

/// A pattern of the manifest that matched nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// `prune` or `keep`.
    pub key: &'static str,
    /// The pattern.
    pub pattern: String,
    /// Paths of the tree that resemble the pattern.
    pub near: Vec<String>,
}

impl Pruning {
    /// Combines the patterns of the plan's manifest with those that its recipe leaves out.
    ///
    /// # Errors
    /// If a pattern of the manifest is invalid.
    pub fn of(left_out: &[&[&str]], plan: &Plan) -> Result<Self> {
        let selection = plan.spec.selection();
        Ok(Pruning {
            base: Patterns::new(&left_out.concat())?,
            prune: Noted::new(&selection.prune)?,
            keep: Noted::new(&selection.keep)?,
        })
    }

    /// Whether a path stays.
    pub fn keeps(&self, path: &MemberPath) -> bool {
        let (kept, pruned) = (self.keep.matches(path), self.prune.matches(path));
        kept || !(pruned || self.base.matches(path))
    }

    /// Returns the patterns of the manifest that have matched nothing so far. Similar paths are
    /// looked up in `tree`.
    pub fn idle(&self, tree: &Tree) -> Vec<Idle> {
        let idle = |key, patterns: &Noted| -> Vec<Idle> {
            let near = |pattern: &str| {
                let plain = pattern.trim_end_matches("/**");
                let mut paths: Vec<String> = vec![];
                for (path, _) in tree.iter() {
                    paths.push(path.to_string());
                    paths.extend(path.parent().map(|p| p.to_string()));
                }
                let near = crate::error::nearest(plain, paths.iter().map(String::as_str), 3);
                near.into_iter().map(str::to_owned).collect()
            };
            patterns.idle().map(|p| Idle { key, pattern: p.to_owned(), near: near(p) }).collect()
        };
        [idle("prune", &self.prune), idle("keep", &self.keep)].concat()
    }
}

/// Removes from the tree the files that its recipe and its manifest leave out.
pub fn apply(pruning: &Pruning, tree: &mut Tree) {
    tree.retain(|path, _| pruning.keeps(path));
    // Directories that became empty.
    let empty = tree.paths(|path, node| {
        matches!(node, crate::tree::Node::Directory) && !tree.has_members(path)
    });
    for path in empty {
        tree.remove(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        let p = Patterns::new(&[
            "usr/bin/*lto-dump*",
            "usr/share/man/**",
            "usr/share/doc/*/!copyright",
        ])
        .unwrap();
        for (path, expected) in [
            ("usr/bin/x86_64-linux-gnu-lto-dump-12", true),
            ("usr/bin/gcc", false),
            ("usr/share/man/man1/gcc.1.gz", true),
            ("usr/share/manual", false),
            ("usr/share/doc/gcc/copyright", false),
            ("usr/share/doc/gcc/changelog.gz", true),
            ("usr/share/doc/gcc/C++/README", true),
        ] {
            assert_eq!(p.matches(&MemberPath::literal(path)), expected, "{path}");
        }
    }
}

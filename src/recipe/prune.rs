//! The files that no tree needs. The list is documented in `docs/trees.md`. `prune` and `keep` in
//! the manifest change it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use glob::{MatchOptions, Pattern};

use super::generated;
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{Kind, MemberPath};
use crate::relocate::closure;
use crate::tree::{Node, Tree};

/// The paths that are left out of every tree. Licences (`copyright`) stay.
pub const ALWAYS: &[&str] = &[
    "usr/share/doc/*/!copyright",
    "usr/share/bash-completion/**",
    "usr/share/bug/**",
    "usr/share/doc-base/**",
    "usr/share/gdb/auto-load/**",
    "usr/share/info/**",
    "usr/share/lintian/overrides/**",
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

/// The maximum number of patterns for which similar paths are looked up.
const MOST_SUGGESTIONS: usize = 20;

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
    sources: Patterns,
    prune: Noted,
    keep: Noted,
    self_exe: Noted,
    /// Whether empty directories of configuration stay: programs read all files of such a directory.
    keeps_empty: bool,
}

/// Patterns of the manifest, each with a flag that records whether it has matched. They are found
/// by the directories that they begin with, so that very many of them take no time.
struct Noted {
    list: Vec<(String, Patterns, AtomicBool)>,
    /// The positions of the patterns by their leading parts that contain no wildcard.
    by_start: HashMap<String, Vec<usize>>,
}

impl Noted {
    fn new(list: &[String]) -> Result<Self> {
        let note =
            |text: &String| Ok((text.clone(), Patterns::new(&[text])?, AtomicBool::new(false)));
        let mut by_start: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, text) in list.iter().enumerate() {
            let plain = |part: &&str| !part.contains(['*', '?', '[', '!']);
            let start: Vec<&str> = text.split('/').take_while(plain).collect();
            by_start.entry(start.join("/")).or_default().push(i);
        }
        Ok(Noted { list: list.iter().map(note).collect::<Result<_>>()?, by_start })
    }

    fn matches(&self, path: &MemberPath) -> bool {
        let text = path.as_str();
        let ends = text.match_indices('/').map(|(end, _)| end);
        let starts = std::iter::once(0).chain(ends).chain(std::iter::once(text.len()));
        let candidates = starts.filter_map(|end| self.by_start.get(&text[..end])).flatten();
        // Every pattern is tested, because two patterns may match one path.
        candidates.fold(false, |any, i| {
            let (_, pattern, matched) = &self.list[*i];
            let this = pattern.matches(path);
            if this {
                matched.store(true, Ordering::Relaxed);
            }
            any || this
        })
    }

    fn idle(&self) -> impl Iterator<Item = &str> {
        let idle = self.list.iter().filter(|(.., matched)| !matched.load(Ordering::Relaxed));
        idle.map(|(text, ..)| text.as_str())
    }
}

/// A pattern of the manifest that matched nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// `prune`, `keep` or `self_exe`.
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
            sources: Patterns::new(generated::SOURCES)?,
            prune: Noted::new(&selection.prune)?,
            keep: Noted::new(&selection.keep)?,
            self_exe: Noted::new(plan.spec.programs().map_or(&[][..], |p| &p.self_exe))?,
            keeps_empty: plan.spec.kind() == Kind::Tool,
        })
    }

    /// Whether a program gets the in-place stub.
    pub fn is_in_place(&self, program: &MemberPath) -> bool {
        self.self_exe.matches(program)
    }

    /// Whether the manifest asks for a path.
    pub fn asks_for(&self, path: &MemberPath) -> bool {
        self.keep.matches(path)
    }

    /// Whether a path stays.
    pub fn keeps(&self, path: &MemberPath) -> bool {
        let (kept, pruned) = (self.keep.matches(path), self.prune.matches(path));
        let left_out = self.base.matches(path) && !self.sources.matches(path);
        kept || !(pruned || left_out)
    }

    /// Returns the patterns of the manifest that have matched nothing so far. Similar paths are
    /// looked up in `tree`.
    pub fn idle(&self, tree: &Tree) -> Vec<Idle> {
        let mut paths: Vec<String> = vec![];
        let mut suggestions = 0;
        let mut near = |pattern: &str| -> Vec<String> {
            // Finding similar paths takes time, and nobody reads very many suggestions.
            suggestions += 1;
            if suggestions > MOST_SUGGESTIONS {
                return vec![];
            }
            if paths.is_empty() {
                for (path, _) in tree.iter() {
                    paths.push(path.to_string());
                    paths.extend(path.parent().map(|p| p.to_string()));
                }
            }
            let plain = pattern.trim_end_matches("/**");
            let near = crate::error::nearest(plain, paths.iter().map(String::as_str), 3);
            near.into_iter().map(str::to_owned).collect()
        };
        let mut idle = |key, patterns: &Noted| -> Vec<Idle> {
            patterns.idle().map(|p| Idle { key, pattern: p.to_owned(), near: near(p) }).collect()
        };
        let all = [("prune", &self.prune), ("keep", &self.keep), ("self_exe", &self.self_exe)];
        all.map(|(key, patterns)| idle(key, patterns)).concat()
    }
}

/// Removes from the tree the files that its recipe and its manifest leave out.
pub fn apply(pruning: &Pruning, tree: &mut Tree) {
    tree.retain(|path, _| pruning.keeps(path));
    // Directories that became empty.
    remove_empty(tree, |path| pruning.keeps_empty && path.is_under("etc"));
}

/// Removes from the tree of a closure the files that its manifest leaves out. A program may open
/// every directory of its closure, so the directories that were empty before stay, and so do those of the
/// store paths: a path that the tree lacks would be that of the machine.
pub fn apply_to_closure(pruning: &Pruning, tree: &mut Tree) {
    let is_empty =
        |path: &MemberPath, node: &Node| matches!(node, Node::Directory) && tree.is_leaf(path);
    let mut empty: BTreeSet<MemberPath> = tree.paths(is_empty).into_iter().collect();
    tree.retain(|path, _| pruning.keeps(path));
    empty.retain(|path| tree.get(path).is_some());
    remove_empty(tree, |path| {
        closure::owner(path).as_ref() == Some(path)
            || empty.range(path.clone()..).next().is_some_and(|dir| dir.is_under(path.as_str()))
    });
}

/// Removes the directories that contain no files, except those for which `keeps` returns true.
pub fn remove_empty(tree: &mut Tree, keeps: impl Fn(&MemberPath) -> bool) {
    let empty = tree.paths(|path, node| {
        matches!(node, Node::Directory) && !tree.has_members(path) && !keeps(path)
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

    #[test]
    fn patterns_are_found_by_the_directories_that_they_begin_with() {
        let list =
            ["usr/bin/x", "usr/bin", "usr/**", "**", "usr/*/y", "usr/share/doc/*/!copyright"];
        let all: Vec<String> = list.map(str::to_owned).to_vec();
        for path in ["usr", "usr/bin", "usr/bin/x", "usr/bin/xx", "usr/b/y", "usr/share/doc/g/c"] {
            let (path, one) = (MemberPath::literal(path), Noted::new(&all).unwrap());
            let expected = list.map(|p| Patterns::new(&[p]).unwrap().matches(&path));
            assert_eq!(one.matches(&path), expected.contains(&true));
            assert_eq!(
                one.list.iter().map(|(.., m)| m.load(Ordering::Relaxed)).collect::<Vec<_>>(),
                expected,
                "{path}"
            );
        }
    }
}

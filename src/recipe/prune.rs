//! What no tree needs. The list is documented in `docs/trees.md`; `prune` and `keep` of the manifest change it.

use glob::{MatchOptions, Pattern};

use super::api::Recipe;
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::Tree;

/// Left out of every tree. Licences (`copyright`) stay.
pub const ALWAYS: &[&str] = &[
    "usr/share/doc/*/!copyright",
    "usr/share/bash-completion/**",
    "usr/share/bug/**",
    "usr/share/doc-base/**",
    "usr/share/gdb/**",
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

/// A list of path patterns: `*` stands for anything within a name, `**` for any directories; `!name` at the end for every name but that.
pub struct Patterns(Vec<(Pattern, Option<String>)>);

impl Patterns {
    /// Reads patterns.
    ///
    /// # Errors
    /// If one is none.
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

/// Which paths of a plan's inputs stay.
pub struct Pruning {
    base: Patterns,
    prune: Patterns,
    keep: Patterns,
}

impl Pruning {
    /// The patterns of the plan's recipe and of its manifest.
    ///
    /// # Errors
    /// If a pattern of the manifest is none.
    pub fn of(recipe: &dyn Recipe, plan: &Plan) -> Result<Self> {
        let selection = plan.spec.selection();
        Ok(Pruning {
            base: Patterns::new(&recipe.left_out_paths().concat())?,
            prune: Patterns::new(&selection.prune)?,
            keep: Patterns::new(&selection.keep)?,
        })
    }

    /// Whether a path stays.
    pub fn keeps(&self, path: &MemberPath) -> bool {
        self.keep.matches(path) || !(self.base.matches(path) || self.prune.matches(path))
    }
}

/// Takes out of the tree what its recipe and its manifest do not want.
///
/// # Errors
/// If a pattern of the manifest is none.
pub fn apply(recipe: &dyn Recipe, plan: &Plan, tree: &mut Tree) -> Result<()> {
    let pruning = Pruning::of(recipe, plan)?;
    tree.retain(|path, _| pruning.keeps(path));
    // Directories that pruning left empty.
    let empty = tree.paths(|path, node| {
        matches!(node, crate::tree::Node::Directory) && !tree.has_members(path)
    });
    for path in empty {
        tree.remove(&path);
    }
    Ok(())
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

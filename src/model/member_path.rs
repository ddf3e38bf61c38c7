//! Paths of members inside a tree: relative and normalised, so that they cannot leave the tree.

use std::cmp::Ordering;
use std::fmt;

/// A relative path of one or more plain components, joined by `/`. It is never empty and never
/// absolute, and contains no `.` or `..`, no empty component and no NUL. Paths are sorted by
/// components, bytewise, which is the order of a NAR.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MemberPath(String);

/// The reason why a name is not a valid [`MemberPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberPathError {
    /// The name begins with `/`.
    #[error("absolute name {0:?}")]
    Absolute(String),
    /// The name leads upwards with `..`.
    #[error("name {0:?} climbs out with ..")]
    Climbs(String),
    /// The name contains bytes that a file name must not contain, or that are not UTF-8.
    #[error("name {0:?} is not valid")]
    Invalid(String),
    /// A component or the whole name is longer than Linux allows, or it has too many components.
    #[error("name {0:?}... is too long, or below more than 63 directories")]
    TooLong(String),
}

impl MemberPath {
    /// Parses a name from an archive: a leading `./`, repeated and trailing slashes, and inner `.`
    /// components are dropped. `None` stands for the root itself.
    ///
    /// # Errors
    /// See [`MemberPathError`].
    pub fn parse(name: &[u8]) -> Result<Option<Self>, MemberPathError> {
        let show = || String::from_utf8_lossy(&name[..name.len().min(120)]).into_owned();
        let text = std::str::from_utf8(name).map_err(|_| MemberPathError::Invalid(show()))?;
        if text.starts_with('/') {
            return Err(MemberPathError::Absolute(show()));
        }
        let mut out = String::with_capacity(text.len());
        for part in text.split('/') {
            match part {
                "" | "." => continue,
                ".." => return Err(MemberPathError::Climbs(show())),
                _ if part.chars().any(char::is_control) => {
                    return Err(MemberPathError::Invalid(show()));
                }
                _ if part.len() > 255 => return Err(MemberPathError::TooLong(show())),
                _ => {}
            }
            if !out.is_empty() {
                out.push('/');
            }
            out.push_str(part);
        }
        // This is well below PATH_MAX (4096), even with the path of a store in front. The limit of
        // the depth bounds the memory for the ancestors of all paths.
        if out.len() > 3000 || out.split('/').count() > 64 {
            return Err(MemberPathError::TooLong(show()));
        }
        Ok((!out.is_empty()).then_some(MemberPath(out)))
    }

    /// Creates a path that the program itself defines, or that is composed of parts of other paths.
    /// For every other text there are [`MemberPath::parse`] and [`MemberPath::composed`].
    /// The length is not checked here; the file system enforces its own limit.
    ///
    /// # Panics
    /// If the text is not a normalised path.
    pub fn literal(text: &str) -> Self {
        let clean =
            text.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
        assert!(clean, "{text:?} is no member path");
        MemberPath(text.to_owned())
    }

    /// Creates a path of parts that others may have chosen: a link, a name in a file, a version in a
    /// lock. Returns `None` if it is no normalised path.
    pub fn composed(text: &str) -> Option<Self> {
        let clean = |part: &str| {
            !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains('\0')
        };
        text.split('/').all(clean).then(|| MemberPath(text.to_owned()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the components.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the number of components.
    pub fn depth(&self) -> usize {
        self.parts().count()
    }

    /// Whether it leads into the data of git, whose hooks and settings are code. File systems may take
    /// capital letters for the same.
    pub fn is_in_git(&self) -> bool {
        self.parts().any(|part| part.eq_ignore_ascii_case(".git"))
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().expect("never empty")
    }

    /// Returns the path without its last component, if any component remains.
    pub fn parent(&self) -> Option<MemberPath> {
        self.0.rsplit_once('/').map(|(parent, _)| MemberPath(parent.to_owned()))
    }

    /// Returns this path with another last component.
    pub fn with_file_name(&self, name: &str) -> MemberPath {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => MemberPath::literal(&format!("{parent}/{name}")),
            None => MemberPath::literal(name),
        }
    }

    /// Whether this path is `dir` itself or below it.
    pub fn is_under(&self, dir: &str) -> bool {
        self.0.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the text of a symlink at this path that points to `target`.
    pub fn link_to(&self, target: &MemberPath) -> String {
        let from: Vec<&str> = self.parts().collect();
        let to: Vec<&str> = target.parts().collect();
        let common = from[..from.len() - 1]
            .iter()
            .zip(&to)
            .take_while(|(a, b)| a == b)
            .count()
            .min(to.len() - 1);
        let mut out = "../".repeat(from.len() - 1 - common);
        out.push_str(&to[common..].join("/"));
        out
    }

    /// Returns the path to which a symlink at this path leads, ignoring other symlinks. An absolute
    /// target is interpreted as a path below the root of the tree. The result is `None` if the
    /// symlink leads out of the tree or to its root.
    pub fn resolve_link(&self, target: &str) -> Option<MemberPath> {
        MemberPath::composed(&self.follow(target)?.join("/"))
    }

    /// Whether a relative symlink at this path stays inside the tree. The root counts as inside.
    pub fn link_stays(&self, target: &str) -> bool {
        self.follow(target).is_some()
    }

    fn follow<'a>(&'a self, target: &'a str) -> Option<Vec<&'a str>> {
        let mut parts: Vec<&str> =
            if target.starts_with('/') { vec![] } else { self.parts().collect() };
        parts.pop();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                _ => parts.push(part),
            }
        }
        Some(parts)
    }
}

impl Ord for MemberPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // '/' sorts before every other byte, so that the members of a directory follow it
        // immediately.
        let key = |b: u8| if b == b'/' { 0 } else { b };
        self.0.bytes().map(key).cmp(other.0.bytes().map(key))
    }
}

impl PartialOrd for MemberPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(s: &str) -> MemberPath {
        MemberPath::literal(s)
    }

    #[test]
    fn hostile_names_are_refused() {
        assert!(matches!(MemberPath::parse(b"/etc/passwd"), Err(MemberPathError::Absolute(_))));
        assert!(matches!(MemberPath::parse(b"a/../../b"), Err(MemberPathError::Climbs(_))));
        assert!(matches!(MemberPath::parse(b"a/\x01"), Err(MemberPathError::Invalid(_))));
        assert!(matches!(MemberPath::parse(b"a\xff"), Err(MemberPathError::Invalid(_))));
        assert!(matches!(MemberPath::parse(&[b'a'; 256]), Err(MemberPathError::TooLong(_))));
        assert_eq!(MemberPath::parse(b"./"), Ok(None));
        assert_eq!(MemberPath::parse(b".//a/./b/").unwrap().unwrap(), path("a/b"));
    }

    #[test]
    fn order_is_by_component() {
        let mut all = [path("a-b"), path("a/c"), path("a"), path("a.b")];
        all.sort();
        assert_eq!(all.map(|p| p.to_string()), ["a", "a/c", "a-b", "a.b"]);
    }

    #[test]
    fn links_are_relative_and_stay_inside() {
        assert_eq!(path("usr/lib/libz.so").link_to(&path("usr/lib/libz.so.1")), "libz.so.1");
        assert_eq!(path("bin/gcc").link_to(&path("usr/bin/gcc-12")), "../usr/bin/gcc-12");
        assert_eq!(path("usr/lib/x").link_to(&path("usr")), "../../usr");
        assert_eq!(path("usr/lib/x").resolve_link("/lib/y"), Some(path("lib/y")));
        assert_eq!(path("usr/lib/x").resolve_link("../../a"), Some(path("a")));
        assert_eq!(path("usr/lib/x").resolve_link("../../../a"), None);
        assert_eq!(path("usr/lib/x").resolve_link("../.."), None, "that is the root");
        assert_eq!(path("usr/lib/x").resolve_link("a\0b"), None);
    }
}

//! Names of toolchains and of objects in the store.

use std::fmt;
use std::str::FromStr;

/// The name of a toolchain in the manifest: at most 64 characters, which are lower-case letters,
/// digits, `-` and `_`, starting with a letter. The alphabet is small because the name becomes part
/// of file names, Bazel repository names and variables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolchainName(String);

impl ToolchainName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns this name with a dash and another one behind it. The manifest leaves room for that;
    /// for a lock that somebody edited, the result may be longer than any name in a file.
    pub fn extended(&self, other: &str) -> ToolchainName {
        ToolchainName(format!("{self}-{other}"))
    }
}

impl FromStr for ToolchainName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: usize = 64;
        if text.len() > MOST {
            let start: String = text.chars().take(20).collect();
            return Err(format!(
                "expected a name of at most {MOST} characters, got one of {}: \"{}...\"",
                text.chars().count(),
                start.escape_debug()
            ));
        }
        let ok = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if ok {
            Ok(ToolchainName(text.to_owned()))
        } else {
            Err(format!(
                "expected a name of lower-case letters, digits, - and _ that starts with a letter, got {text:?}"
            ))
        }
    }
}

impl fmt::Display for ToolchainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of an object in the store: `<32 characters of nix32>-<name>`, which is the base name of
/// a Nix store path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreName(String);

impl StoreName {
    /// Returns the base name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the 32 characters of the hash.
    pub fn hash(&self) -> &str {
        &self.0[..32]
    }

    /// Returns the part after the hash.
    pub fn name(&self) -> &str {
        &self.0[33..]
    }

    /// Returns the name of the package and its version, which begins behind the first dash that no
    /// letter follows. Without one, the version is the beginning of the hash. Source: `DrvName` in
    /// Nix's `libexpr/names.cc`.
    pub fn package(&self) -> (&str, &str) {
        let name = self.name();
        let begins = |at: &usize| {
            let next = name.as_bytes().get(at + 1);
            *at > 0 && next.is_some_and(|byte| !byte.is_ascii_alphabetic())
        };
        match name.match_indices('-').map(|(at, _)| at).find(begins) {
            Some(at) => (&name[..at], &name[at + 1..]),
            None => (name, &self.0[..8]),
        }
    }
}

impl FromStr for StoreName {
    type Err = String;

    /// Checks the length and the alphabet as Nix does (`checkName` in its `path.cc`: letters,
    /// digits and `+-._?=`, at most 211 characters, and no `.` or `..` before the first dash).
    fn from_str(text: &str) -> Result<Self, String> {
        let ok = text.len() > 33
            && text.len() <= 33 + 211
            && text.as_bytes()[32] == b'-'
            && !text.get(33..).is_some_and(|name| {
                [".", ".."].contains(&name.split('-').next().unwrap_or_default())
            })
            && text.bytes().take(32).all(super::base32::is_digit)
            && text.bytes().skip(33).all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b));
        if ok {
            Ok(StoreName(text.to_owned()))
        } else {
            Err(format!("expected a store name such as <32 characters>-gcc-12.2.0, got {text:?}"))
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

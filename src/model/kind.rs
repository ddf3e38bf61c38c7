//! The purpose of a toolchain.

use std::fmt;
use std::str::FromStr;

/// The purpose of a toolchain. The kind limits which recipes may finish the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// C and C++ compilers with binutils, libc and headers.
    Cc,
    /// A Python interpreter with its standard library.
    Python,
    /// Any other program.
    Tool,
    /// Headers, libraries and .pc files.
    Library,
    /// Python packages that are installed together: the result of a `[requirements.<name>]` table.
    Packages,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Cc, Kind::Python, Kind::Tool, Kind::Library, Kind::Packages];

    /// Returns the name of the kind in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Cc => "cc",
            Kind::Python => "python",
            Kind::Tool => "tool",
            Kind::Library => "library",
            Kind::Packages => "packages",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or_else(|| {
            format!("expected one of \"cc\", \"python\", \"tool\", \"library\", got {text:?}")
        })
    }
}

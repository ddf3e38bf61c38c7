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
    /// The libc, headers and libraries of a system, for compilers that cotter does not manage.
    Sysroot,
    /// Python packages that are installed together: the result of a `[requirements.<name>]` table.
    Packages,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Cc, Kind::Python, Kind::Tool, Kind::Library, Kind::Sysroot, Kind::Packages];

    /// Returns the name of the kind in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Cc => "cc",
            Kind::Python => "python",
            Kind::Tool => "tool",
            Kind::Library => "library",
            Kind::Sysroot => "sysroot",
            Kind::Packages => "packages",
        }
    }

    /// Whether its trees have programs that users start.
    pub fn has_programs(self) -> bool {
        !matches!(self, Kind::Library | Kind::Sysroot)
    }

    /// Whether its trees take in the packages of library toolchains.
    pub fn takes_libraries(self) -> bool {
        matches!(self, Kind::Cc | Kind::Sysroot)
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
            format!(
                "expected one of \"cc\", \"python\", \"tool\", \"library\", \"sysroot\", got {text:?}"
            )
        })
    }
}

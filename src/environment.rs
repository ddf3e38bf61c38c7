//! The variables by which programs find the toolchains. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::manifest::Kind;
use crate::model::Platform;

/// A tree that is to be used.
#[derive(Debug, Clone)]
pub struct Active {
    /// What it is for.
    pub kind: Kind,
    /// Its platform.
    pub platform: Platform,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it holds Zig, whose compilers have other names than GCC's.
    pub zig: bool,
    /// For Python packages: the version of their interpreter, such as `3.11`.
    pub python: Option<String>,
}

/// What to change in an environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories to put in front of PATH.
    pub path: Vec<String>,
    /// Variables to set.
    pub set: BTreeMap<String, String>,
    /// Variables to take out: they would lead tools to the host.
    pub unset: Vec<String>,
}

/// The programs of a compiler that build systems ask for by variable.
const CC_VARIABLES: &[(&str, &str)] = &[
    ("CC", "gcc"),
    ("CXX", "g++"),
    ("AR", "gcc-ar"),
    ("AS", "as"),
    ("LD", "ld"),
    ("NM", "gcc-nm"),
    ("OBJCOPY", "objcopy"),
    ("OBJDUMP", "objdump"),
    ("RANLIB", "gcc-ranlib"),
    ("STRIP", "strip"),
];

/// The same for Zig.
const ZIG_VARIABLES: &[(&str, &str)] =
    &[("CC", "cc"), ("CXX", "c++"), ("AR", "ar"), ("OBJCOPY", "objcopy"), ("RANLIB", "ranlib")];

/// What an environment needs for `trees`, of which the first comes first on PATH.
pub fn changes(trees: &[Active]) -> Changes {
    let mut out = Changes::default();
    let mut libraries = vec![];
    let mut packages = vec![];
    let mut pkg_config = vec![];
    let mut prefixes = vec![];
    let ordered = trees
        .iter()
        .filter(|t| t.kind == Kind::Library)
        .chain(trees.iter().filter(|t| t.kind != Kind::Library));
    for tree in ordered {
        let root = tree.path.display().to_string();
        if tree.kind != Kind::Library {
            out.path.push(format!("{root}/bin"));
        }
        if tree.kind == Kind::Library {
            libraries.push(root.clone());
            prefixes.push(format!("{root}/usr"));
        }
        if let Some(version) = &tree.python {
            packages.push(format!("{root}/{}", crate::model::site_packages(version)));
        }
        if matches!(tree.kind, Kind::Library | Kind::Cc) {
            pkg_config.push(format!("{root}/usr/lib/{}/pkgconfig", tree.platform.multiarch()));
            pkg_config.push(format!("{root}/usr/share/pkgconfig"));
        }
        if tree.kind == Kind::Cc && !out.set.contains_key("CC") {
            for (name, program) in if tree.zig { ZIG_VARIABLES } else { CC_VARIABLES } {
                out.set.insert((*name).to_owned(), format!("{root}/bin/{program}"));
            }
        }
    }
    let mut joined = |name: &str, parts: &[String]| {
        if !parts.is_empty() {
            out.set.insert(name.to_owned(), parts.join(":"));
        }
    };
    joined("COTTER_LIBRARIES", &libraries);
    joined("PYTHONPATH", &packages);
    joined("CMAKE_PREFIX_PATH", &prefixes);
    joined("PKG_CONFIG_LIBDIR", &pkg_config);
    if !pkg_config.is_empty() {
        out.unset = ["PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"].map(str::to_owned).into();
    }
    if trees.iter().any(|t| t.kind == Kind::Cc) {
        out.unset.extend(
            ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"].map(str::to_owned),
        );
    }
    if trees.iter().any(|t| t.kind == Kind::Python) {
        out.unset.push("PYTHONHOME".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_reach_the_compiler_and_pkg_config() {
        let tree = |kind, path: &str| Active {
            kind,
            platform: Platform::X86_64Linux,
            path: path.into(),
            zig: false,
            python: None,
        };
        let out = changes(&[tree(Kind::Cc, "/s/gcc"), tree(Kind::Library, "/s/z")]);
        assert_eq!(out.path, ["/s/gcc/bin"]);
        assert_eq!(out.set["CC"], "/s/gcc/bin/gcc");
        assert_eq!(out.set["COTTER_LIBRARIES"], "/s/z");
        assert!(
            out.set["PKG_CONFIG_LIBDIR"].starts_with("/s/z/usr/lib/x86_64-linux-gnu/pkgconfig:")
        );
        assert!(out.unset.contains(&"PKG_CONFIG_PATH".to_owned()));
    }
}

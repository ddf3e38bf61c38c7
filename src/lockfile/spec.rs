//! The specification of a tree, for each kind of toolchain, with everything that its recipe reads.

use std::collections::BTreeMap;

use crate::model::{Kind, Platform, ToolchainName};

/// The specification of a tree. Recipes, emission and the audit read it, and read nothing from the
/// manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A compiler.
    Cc(CcSpec),
    /// An interpreter.
    Python(PythonSpec),
    /// Any other program.
    Tool(ToolSpec),
    /// Headers and libraries.
    Library(LibrarySpec),
    /// Headers and libraries with a libc.
    Sysroot(SysrootSpec),
    /// A set of Python packages.
    Packages(PackagesSpec),
}

/// The selection of the files of the inputs that stay, as path patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The files that are left out in addition to those that the recipe leaves out.
    pub prune: Vec<String>,
    /// The files that stay although the recipe would leave them out.
    pub keep: Vec<String>,
}

/// What the manifest declares about a tree's programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// Patterns of the programs that must see themselves in `/proc/self/exe`.
    pub self_exe: Vec<String>,
    /// The names in `bin/`, each with the path in the tree to which it refers. If the map is empty,
    /// the recipe chooses the names.
    pub bin: BTreeMap<String, String>,
    /// The Debian packages whose programs are in `bin/` first and always: those that the manifest
    /// names, and those to which a named metapackage leads. The list is empty if no package is
    /// distinguished.
    pub named: Vec<String>,
    /// The Debian packages that were added because scripts of the tree need their commands. Their
    /// programs have no names in `bin/`.
    pub essential: Vec<String>,
    /// The environment variables that users and launchers of the programs set. `%R` stands for the
    /// root of the tree.
    pub env: BTreeMap<String, String>,
}

/// A compiler for C and C++. The name of its recipe is its family (GCC, Zig).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcSpec {
    /// The platform for which it produces programs.
    pub target: Platform,
    /// The library toolchains whose packages are in the compiler's sysroot.
    pub libraries: Vec<ToolchainName>,
    /// The files that stay.
    pub selection: Selection,
    /// The declared programs.
    pub programs: Programs,
}

/// A Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonSpec {
    /// The version of the language, such as `3.11`.
    pub version: String,
    /// The ABI tag of its extension modules, such as `cp311`.
    pub abi: String,
    /// The files that stay.
    pub selection: Selection,
    /// The declared programs.
    pub programs: Programs,
}

/// Any other program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolSpec {
    /// The files that stay.
    pub selection: Selection,
    /// The declared programs.
    pub programs: Programs,
}

/// Headers and libraries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibrarySpec {
    /// The files that stay.
    pub selection: Selection,
}

/// Headers and libraries with a libc, for compilers that cotter does not manage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SysrootSpec {
    /// The library toolchains whose packages are in it.
    pub libraries: Vec<ToolchainName>,
    /// The files that stay.
    pub selection: Selection,
}

/// The purpose of the packages of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackagesRole {
    /// They are the set for which the manifest asks.
    Set,
    /// They are imported by the builds of a set.
    Builds,
}

impl PackagesRole {
    /// Returns the word for the role in the lock.
    pub fn as_str(self) -> &'static str {
        match self {
            PackagesRole::Set => "set",
            PackagesRole::Builds => "builds",
        }
    }
}

/// A set of Python packages for one interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagesSpec {
    /// The name of the set in the manifest.
    pub set: ToolchainName,
    /// The toolchain of the interpreter.
    pub interpreter: ToolchainName,
    /// The version of the interpreter, such as `3.11`.
    pub python: String,
    /// The ABI tag of the interpreter's extension modules, such as `cp311`.
    pub abi: String,
    /// The purpose of the packages.
    pub role: PackagesRole,
    /// The directories of the project whose modules are imported from where they are.
    pub editable: Vec<String>,
    /// The toolchains whose programs are on the PATH of builds.
    pub build_tools: Vec<ToolchainName>,
    /// The library toolchains whose libraries its packages find.
    pub libraries: Vec<ToolchainName>,
    /// The files that stay.
    pub selection: Selection,
}

impl Spec {
    /// Returns the kind of the toolchain.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Cc(_) => Kind::Cc,
            Spec::Python(_) => Kind::Python,
            Spec::Tool(_) => Kind::Tool,
            Spec::Library(_) => Kind::Library,
            Spec::Sysroot(_) => Kind::Sysroot,
            Spec::Packages(_) => Kind::Packages,
        }
    }

    /// Returns the selection of the files that stay.
    pub fn selection(&self) -> &Selection {
        match self {
            Spec::Cc(spec) => &spec.selection,
            Spec::Python(spec) => &spec.selection,
            Spec::Tool(spec) => &spec.selection,
            Spec::Library(spec) => &spec.selection,
            Spec::Sysroot(spec) => &spec.selection,
            Spec::Packages(spec) => &spec.selection,
        }
    }

    /// Returns what is declared about the tree's programs. Libraries have no programs, and sets
    /// have only the programs of their packages, so both yield `None`.
    pub fn programs(&self) -> Option<&Programs> {
        match self {
            Spec::Cc(spec) => Some(&spec.programs),
            Spec::Python(spec) => Some(&spec.programs),
            Spec::Tool(spec) => Some(&spec.programs),
            Spec::Library(_) | Spec::Sysroot(_) | Spec::Packages(_) => None,
        }
    }

    /// Returns the set of packages, if the tree is one.
    pub fn packages(&self) -> Option<&PackagesSpec> {
        match self {
            Spec::Packages(spec) => Some(spec),
            _ => None,
        }
    }

    /// Returns the interpreter, if the tree is one.
    pub fn python(&self) -> Option<&PythonSpec> {
        match self {
            Spec::Python(spec) => Some(spec),
            _ => None,
        }
    }

    /// Returns the compiler, if the tree is one.
    pub fn cc(&self) -> Option<&CcSpec> {
        match self {
            Spec::Cc(spec) => Some(spec),
            _ => None,
        }
    }
}

//! What a tree is to be, kind by kind, with everything that its recipe reads.

use std::collections::BTreeMap;

use crate::model::{Kind, Platform, ToolchainName};

/// What a tree is to be. Recipes, emission and the audit read this and nothing of the manifest.
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
    /// A set of Python packages.
    Packages(PackagesSpec),
}

/// Which files of the inputs stay: patterns of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What is left out, besides what the recipe leaves out.
    pub prune: Vec<String>,
    /// What stays though the recipe would leave it out.
    pub keep: Vec<String>,
}

/// What the manifest says of a tree's programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// Patterns of programs that must see themselves in `/proc/self/exe`.
    pub self_exe: Vec<String>,
    /// Names in `bin/`, each with the path in the tree that it stands for. If it is empty, the
    /// recipe chooses.
    pub bin: BTreeMap<String, String>,
}

/// A compiler of C and C++. Its family (GCC, Zig) is its recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcSpec {
    /// The platform that it makes programs for.
    pub target: Platform,
    /// The library toolchains whose packages are in its sysroot.
    pub libraries: Vec<ToolchainName>,
    /// Which files stay.
    pub selection: Selection,
    /// Its programs.
    pub programs: Programs,
}

/// A Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonSpec {
    /// The language's version, such as `3.11`.
    pub version: String,
    /// The ABI tag of its extension modules, such as `cp311`.
    pub abi: String,
    /// Which files stay.
    pub selection: Selection,
    /// Its programs.
    pub programs: Programs,
}

/// Any other program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolSpec {
    /// Which files stay.
    pub selection: Selection,
    /// Its programs.
    pub programs: Programs,
}

/// Headers and libraries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibrarySpec {
    /// Which files stay.
    pub selection: Selection,
}

/// What the packages of a tree are there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackagesRole {
    /// They are the set that the manifest asks for.
    Set,
    /// The builds of a set import them.
    Builds,
}

impl PackagesRole {
    /// The word for it in the lock.
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
    /// The set's name in the manifest.
    pub set: ToolchainName,
    /// The toolchain of the interpreter.
    pub interpreter: ToolchainName,
    /// The interpreter's version, such as `3.11`.
    pub python: String,
    /// The ABI tag of the interpreter's extension modules, such as `cp311`.
    pub abi: String,
    /// What the packages are there for.
    pub role: PackagesRole,
    /// The toolchains whose programs are on the PATH of the builds.
    pub build_tools: Vec<ToolchainName>,
    /// Which files stay.
    pub selection: Selection,
}

impl Spec {
    /// The kind of toolchain.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Cc(_) => Kind::Cc,
            Spec::Python(_) => Kind::Python,
            Spec::Tool(_) => Kind::Tool,
            Spec::Library(_) => Kind::Library,
            Spec::Packages(_) => Kind::Packages,
        }
    }

    /// Which files of the inputs stay.
    pub fn selection(&self) -> &Selection {
        match self {
            Spec::Cc(spec) => &spec.selection,
            Spec::Python(spec) => &spec.selection,
            Spec::Tool(spec) => &spec.selection,
            Spec::Library(spec) => &spec.selection,
            Spec::Packages(spec) => &spec.selection,
        }
    }

    /// What is said of the tree's programs; none of a library's and of a set's are programs of
    /// their own.
    pub fn programs(&self) -> Option<&Programs> {
        match self {
            Spec::Cc(spec) => Some(&spec.programs),
            Spec::Python(spec) => Some(&spec.programs),
            Spec::Tool(spec) => Some(&spec.programs),
            Spec::Library(_) | Spec::Packages(_) => None,
        }
    }

    /// The set of packages, if it is one.
    pub fn packages(&self) -> Option<&PackagesSpec> {
        match self {
            Spec::Packages(spec) => Some(spec),
            _ => None,
        }
    }

    /// The interpreter, if it is one.
    pub fn python(&self) -> Option<&PythonSpec> {
        match self {
            Spec::Python(spec) => Some(spec),
            _ => None,
        }
    }

    /// The compiler, if it is one.
    pub fn cc(&self) -> Option<&CcSpec> {
        match self {
            Spec::Cc(spec) => Some(spec),
            _ => None,
        }
    }
}

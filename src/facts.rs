//! What a recipe knows of a tree that it made, written down once beside the tree: what emission,
//! the audit and virtual environments would otherwise have to find out again. Pure.
//!
//! The facts of a tree follow from its content alone. All paths are relative to the tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The facts of one tree, by the recipe that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recipe", content = "facts", rename_all = "lowercase")]
pub enum Facts {
    /// GCC.
    Gcc(GccFacts),
    /// Zig as a compiler of C and C++.
    Zig(ZigFacts),
    /// A Python interpreter.
    Python(PythonFacts),
    /// Any other program.
    Tool(ToolFacts),
    /// Headers and libraries.
    Library(LibraryFacts),
    /// A set of Python packages.
    Packages(PackagesFacts),
}

/// The facts of a GCC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GccFacts {
    /// The name of the directory of GCC's own programs, such as `12`.
    pub version: String,
    /// The target in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// What stands before the names of the tools in `usr/bin`: empty for a native compiler.
    pub tool_prefix: String,
    /// The directories of C headers, in the order in which they are searched.
    pub c_includes: Vec<String>,
    /// The directories of C++ headers, which are searched before those of C.
    pub cpp_includes: Vec<String>,
    /// The loader and the libraries that programs of this compiler may need when they run, sorted.
    pub runtime: Vec<String>,
    /// The target's dynamic loader.
    pub loader: Option<String>,
    /// The entries at the root of the tree and below `usr` that a compilation reads, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a Zig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZigFacts {
    /// The target in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// The newest glibc that its programs may need, such as `2.28`.
    pub glibc_floor: String,
    /// The directory of its headers and sources.
    pub lib: String,
    /// The entries at the root of the tree, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a Python interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonFacts {
    /// The language's version, such as `3.11`.
    pub version: String,
    /// The program.
    pub interpreter: String,
    /// The directory of the standard library.
    pub stdlib: String,
    /// The tag in the names of bytecode files, such as `cpython-311`.
    pub cache_tag: String,
    /// The ABI tag of extension modules, such as `cp311`.
    pub abi: String,
    /// The directories of headers; none without the development package.
    pub includes: Vec<String>,
    /// The directory of the module `venv`'s scripts, if it is there.
    pub venv_scripts: Option<String>,
    /// The directory of the packages that the tree brings itself, with pip, if it is there.
    pub dist_packages: Option<String>,
    /// What a program needs beside the interpreter, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolFacts {
    /// The directory of its programs.
    pub bin: String,
    /// The names that people type, sorted.
    pub programs: Vec<String>,
    /// The entries at the root of the tree that its programs need, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a tree of libraries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryFacts {
    /// The platform in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// The directories of headers.
    pub includes: Vec<String>,
    /// The shared libraries by stem (`z`): the file under whose name programs ask for it.
    pub shared: BTreeMap<String, String>,
    /// The static libraries by stem.
    #[serde(rename = "static")]
    pub static_: BTreeMap<String, String>,
    /// What the `.pc` files say, by their names without the ending.
    pub packages: BTreeMap<String, PcFacts>,
    /// The directories of `.pc` files.
    pub pkg_config: Vec<String>,
}

/// What a `.pc` file says, with its variables filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcFacts {
    /// The version.
    pub version: String,
    /// The directories of `-I`.
    pub includes: Vec<String>,
    /// What stands behind `-D`.
    pub defines: Vec<String>,
    /// The stems of `-l` in `Libs`, in order.
    pub libs: Vec<String>,
    /// The stems of `-l` in `Libs.private`, in order.
    pub libs_private: Vec<String>,
    /// The packages of `Requires`, without versions.
    pub requires: Vec<String>,
    /// The packages of `Requires.private`, without versions.
    pub requires_private: Vec<String>,
}

/// The facts of a set of Python packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagesFacts {
    /// The interpreter's version, such as `3.11`.
    pub python: String,
    /// The packages by normalised name.
    pub packages: BTreeMap<String, PackageFacts>,
}

/// What belongs to a Python package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFacts {
    /// The files and directories that are its alone.
    pub entries: Vec<String>,
    /// Its scripts, each with what it calls (`module:attribute`).
    pub scripts: BTreeMap<String, String>,
    /// Its version.
    pub version: String,
}

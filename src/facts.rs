//! The facts that a recipe knows about a tree that it made. They are recorded once, next to the
//! tree, so that emission, the audit and virtual environments need not derive them again. Pure.
//!
//! The facts of a tree follow from its content alone. All paths are relative to the tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reach::OpenReaches;

/// The facts of a tree as they are recorded, with the name of the recipe that found them. Several
/// recipes may record facts of the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFacts {
    /// The name of the recipe.
    pub recipe: String,
    /// The facts.
    pub facts: Facts,
}

/// The facts of one tree. The form of the facts is that of the first recipe that recorded such
/// facts, and other recipes may use it, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "lowercase")]
pub enum Facts {
    /// GCC.
    Gcc(GccFacts),
    /// Clang.
    Clang(ClangFacts),
    /// Zig as a compiler for C and C++.
    Zig(ZigFacts),
    /// A Python interpreter.
    Python(PythonFacts),
    /// Any other program.
    Tool(ToolFacts),
    /// Headers and libraries.
    Library(LibraryFacts),
    /// Headers and libraries with a libc.
    Sysroot(SysrootFacts),
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
    /// The prefix of the names of the tools in `usr/bin`, which is empty for a native compiler.
    pub tool_prefix: String,
    /// The directories of C headers, in the order in which they are searched.
    pub c_includes: Vec<String>,
    /// The directories of C++ headers, which are searched before those of C.
    pub cpp_includes: Vec<String>,
    /// The loader and the libraries that programs built with this compiler may need at run time,
    /// sorted.
    pub runtime: Vec<String>,
    /// The target's dynamic loader.
    pub loader: Option<String>,
    /// The entries at the root of the tree and below `usr` that a compilation reads, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a Clang.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClangFacts {
    /// The version in the names of the packages, such as `19`.
    pub version: String,
    /// The target in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// The directory of LLVM, such as `usr/lib/llvm-19`.
    pub home: String,
    /// The directories of C headers, in the order in which they are searched. The first one is that
    /// of the compiler.
    pub c_includes: Vec<String>,
    /// The directories of the C++ headers of libstdc++, which are searched before those of C.
    pub cpp_includes: Vec<String>,
    /// The directories of the C++ headers of libc++. The list is empty without its packages.
    pub libcxx_includes: Vec<String>,
    /// The programs of the tree that builds use besides the compiler, by plain name, each with its
    /// path: `ar`, `ld.lld`, `llvm-cov`, ...
    pub tools: BTreeMap<String, String>,
    /// The loader and the libraries that programs built with this compiler may need at run time,
    /// sorted.
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
    /// The oldest glibc with which the compiled programs run, such as `2.28`.
    pub glibc_floor: String,
    /// The directory of Zig's headers and sources.
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
    /// The path of the interpreter program.
    pub interpreter: String,
    /// The directory of the standard library.
    pub stdlib: String,
    /// The tag in the names of bytecode files, such as `cpython-311`.
    pub cache_tag: String,
    /// The ABI tag of extension modules, such as `cp311`.
    pub abi: String,
    /// The directories of headers. The list is empty without the development package.
    pub includes: Vec<String>,
    /// The directory of the scripts of the module `venv`, if it exists.
    pub venv_scripts: Option<String>,
    /// The directory of the packages that the tree includes, with pip, if it exists.
    pub dist_packages: Option<String>,
    /// The entries that a program needs in addition to the interpreter, sorted.
    pub inputs: Vec<String>,
}

/// The facts of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolFacts {
    /// The directory of its programs.
    pub bin: String,
    /// The names that users type, sorted.
    pub programs: Vec<String>,
    /// The entries at the root of the tree that its programs need, sorted.
    pub inputs: Vec<String>,
    /// The programs that can open files of the host.
    pub open: OpenReaches,
}

/// The facts of a tree of libraries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryFacts {
    /// The platform in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// The directories of headers.
    pub includes: Vec<String>,
    /// The shared libraries by stem (`z`), each with the file name that programs ask for.
    pub shared: BTreeMap<String, String>,
    /// The static libraries by stem.
    #[serde(rename = "static")]
    pub static_: BTreeMap<String, String>,
    /// The content of the `.pc` files, by file name without the extension.
    pub packages: BTreeMap<String, PcFacts>,
    /// The directories of `.pc` files.
    pub pkg_config: Vec<String>,
    /// The variables by which programs find what the libraries need at run time.
    pub environment: Vec<RuntimeVariable>,
    /// The files and directories to which these variables lead, sorted. None lies in another.
    pub runtime: Vec<String>,
}

/// A variable by which libraries find certificates, plugins or data of their tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeVariable {
    /// The name of the variable.
    pub name: String,
    /// The path that it names, which exists.
    pub path: String,
    /// Whether the variable is a list of directories, to which this one is added.
    pub is_list: bool,
    /// The variables that belong together with this one: it is not set if the user set one of them.
    pub unless: Vec<String>,
}

/// The facts of a sysroot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysrootFacts {
    /// The platform in Debian's spelling, such as `x86_64-linux-gnu`.
    pub triple: String,
    /// The entries at the root of the tree, sorted.
    pub inputs: Vec<String>,
}

/// The content of a `.pc` file, with its variables expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcFacts {
    /// The version.
    pub version: String,
    /// The directories of the `-I` options.
    pub includes: Vec<String>,
    /// The values of the `-D` options.
    pub defines: Vec<String>,
    /// The stems of the `-l` options in `Libs`, in order.
    pub libs: Vec<String>,
    /// The stems of the `-l` options in `Libs.private`, in order.
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

/// The files and scripts of a Python package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFacts {
    /// The files and directories that belong to this package alone.
    pub entries: Vec<String>,
    /// Its scripts, each with the function that it calls (`module:attribute`).
    pub scripts: BTreeMap<String, String>,
    /// Its version.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_recipes_may_record_the_same_form() {
        let facts = Facts::Gcc(GccFacts { version: "19".to_owned(), ..GccFacts::default() });
        let recorded = RecordedFacts { recipe: "clang".to_owned(), facts };
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(serde_json::from_str::<RecordedFacts>(&text).unwrap(), recorded);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["recipe"], &value["facts"]["form"]), (&"clang".into(), &"gcc".into()));
        // Facts of an older or a newer cotter are derived again.
        let old = r#"{"recipe":"tool","facts":{"bin":"bin","programs":[],"inputs":[]}}"#;
        let newer = r#"{"recipe":"tool","facts":{"form":"tool","bin":"bin","programs":[],"inputs":[],"x":1}}"#;
        for text in [old, newer] {
            assert!(serde_json::from_str::<RecordedFacts>(text).is_err(), "{text}");
        }
    }
}

//! What the recipe for Clang knows about a finished tree.

use super::clang_dirs::{ClangDirs, OF_COMPILERS, libraries};
use super::gcc_specs::RUNTIME;
use crate::facts::ClangFacts;
use crate::model::{MemberPath, Platform};
use crate::tree::Tree;

/// The programs of LLVM that builds use.
const LLVM_TOOLS: &[&str] = &[
    "clang-cpp",
    "ld.lld",
    "llvm-ar",
    "llvm-cov",
    "llvm-dwp",
    "llvm-ifs",
    "llvm-nm",
    "llvm-objcopy",
    "llvm-objdump",
    "llvm-profdata",
    "llvm-profgen",
    "llvm-ranlib",
    "llvm-strip",
    "llvm-symbolizer",
];

/// Returns the facts of a tree for a platform. `binutils` are the names of the programs of binutils.
pub fn facts(dirs: &ClangDirs, tree: &Tree, platform: Platform, binutils: &[&str]) -> ClangFacts {
    let triple = platform.multiarch();
    let there = |dirs: Vec<String>| -> Vec<String> {
        dirs.into_iter().filter(|d| tree.exists(&MemberPath::literal(d))).collect()
    };
    let cpp = dirs.gcc.map_or(vec![], |gcc| {
        let cpp = format!("usr/include/c++/{gcc}");
        vec![cpp.clone(), format!("usr/include/{triple}/c++/{gcc}"), format!("{cpp}/backward")]
    });
    let runtime = libraries(tree, dirs, triple).into_values().filter(|(stem, _)| {
        OF_COMPILERS.contains(&stem.as_str()) || RUNTIME.contains(&stem.as_str())
    });
    let loader = format!("usr/lib/{triple}/{}", platform.loader());
    let loader = tree.exists(&MemberPath::literal(&loader)).then_some(loader);
    let mut runtime: Vec<String> =
        runtime.map(|(_, path)| path.to_string()).chain(loader.clone()).collect();
    runtime.sort();
    let tool = |name: &str| {
        let paths = [format!("usr/bin/{name}"), format!("{}/bin/{name}", dirs.home)];
        Some((name.to_owned(), there(paths.into()).into_iter().next()?))
    };
    let names = binutils.iter().copied().chain(LLVM_TOOLS.iter().copied());
    ClangFacts {
        version: dirs.version.to_string(),
        triple: triple.to_owned(),
        home: dirs.home.to_string(),
        c_includes: there(vec![
            format!("{}/include", dirs.resources),
            format!("usr/include/{triple}"),
            "usr/include".to_owned(),
        ]),
        cpp_includes: there(cpp),
        libcxx_includes: there(vec![format!("{}/include/c++/v1", dirs.home)]),
        tools: names.filter_map(tool).collect(),
        runtime,
        loader,
        inputs: ["lib", "lib64"]
            .map(str::to_owned)
            .into_iter()
            .filter(|name| tree.exists(&MemberPath::literal(name)))
            .chain(
                tree.entries("usr")
                    .into_iter()
                    .filter(|e| e != "share")
                    .map(|e| format!("usr/{e}")),
            )
            .collect(),
    }
}

//! The specs files that a tree with GCC gets, and the directories of links that they name: how programs
//! find the libraries of the compiler, with the libc of the tree or with that of the machine.

use super::edit::write;
use super::gcc_dirs::GccDirs;
use crate::environment::RUNTIME_VARIABLE;
use crate::error::Result;
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Tree};

/// The libraries of the tree that programs may need at run time, by stem. The other libraries serve
/// only the compiler itself.
pub const RUNTIME: &[&str] = &[
    "BrokenLocale",
    "anl",
    "asan",
    "atomic",
    "c",
    "crypt",
    "dl",
    "gcc_s",
    "gfortran",
    "gomp",
    "hwasan",
    "itm",
    "lsan",
    "m",
    "mvec",
    "nsl",
    "nss_compat",
    "nss_dns",
    "nss_files",
    "nss_hesiod",
    "objc",
    "pthread",
    "quadmath",
    "resolv",
    "rt",
    "stdc++",
    "tsan",
    "ubsan",
    "util",
];

/// The libraries of GCC itself among them: all that a program may need at run time and the libc does
/// not bring.
const RUNTIME_OF_GCC: &[&str] = &[
    "asan", "atomic", "gcc_s", "gfortran", "gomp", "hwasan", "itm", "lsan", "objc", "quadmath",
    "stdc++", "tsan", "ubsan",
];

/// The directory of links to the libraries of GCC itself, below GCC's directory of libraries. It is
/// also the value of the variable with which programs are linked to it.
pub const RUNTIME_DIR: &str = "runtime";

/// The directory of links to the libc, below GCC's directory of libraries. Programs that are started
/// by the loader of the tree search it and [`RUNTIME_DIR`], and not the directory of the libraries
/// themselves: that also has those of the compiler's own programs (zlib, zstd, GMP), which would hide
/// the ones of library trees.
pub const LIBC_DIR: &str = "libc";

/// The value of the variable that names no directory.
pub const NO_RUNTIME: &str = "none";

/// The first version whose specs files know the function `if-exists-then-else`.
const FIRST_WITH_CONDITIONS: u32 = 11;

/// The specs file with which the drivers link programs to the libraries of GCC itself.
pub const RUNTIME_SPECS: &str = "runtime.specs";

/// Adds the directories of links and the specs files to the tree of a compiler for its own platform.
///
/// # Errors
/// If a file cannot be written.
pub fn write_specs(plan: &Plan, tree: &mut Tree, blobs: &BlobDir, gcc: &GccDirs) -> Result<()> {
    let multiarch = plan.platform.multiarch();
    if gcc.major() >= FIRST_WITH_CONDITIONS {
        link_runtime(tree, blobs, &gcc.libraries, multiarch)?;
    }
    let loader = plan.platform.abi_loader();
    let rpaths =
        |dirs: &[String]| dirs.iter().map(|d| format!(" -rpath %R/{d}")).collect::<String>();
    let (first, last) = search_path(plan, tree, &gcc.libraries, multiarch);
    let (first, last) = (rpaths(&first), rpaths(&last));
    // The link specs precede the user's options, and the lib specs follow them. The lib specs have no
    // effect with the options that leave out the standard libraries.
    let lib = if last.is_empty() {
        String::new()
    } else {
        format!(
            "%rename lib cotter_lib\n\n*lib:\n%(cotter_lib) %{{!static:%{{!static-pie:{last}}}}}\n\n"
        )
    };
    let last =
        if last.is_empty() { last } else { format!(" %{{nostdlib|nodefaultlibs|nolibc:{last}}}") };
    write(
        tree,
        blobs,
        &format!("{}/pinned-libc.specs", gcc.libraries),
        &format!(
            "# gcc -specs=pinned-libc.specs: the program is started by this tree's own loader and finds this tree's own libraries.\n\
             %rename link cotter_link\n\n\
             *link:\n\
             %(cotter_link) %{{!static:%{{!static-pie:%{{!shared:--dynamic-linker=%R/{loader}}} --disable-new-dtags{first}{last}}}}}\n\n\
             {lib}"
        ),
    )
}

/// Adds the directory of links to the libc. Returns the directories in which programs with the libc
/// of the tree find their libraries: those that count before the search path of the user, and those
/// that count behind it, which are of the packages of libraries that the tree itself has.
fn search_path(
    plan: &Plan,
    tree: &mut Tree,
    gcc: &MemberPath,
    multiarch: &str,
) -> (Vec<String>, Vec<String>) {
    let lib = format!("usr/lib/{multiarch}");
    let has_runtime = tree.has_members(&MemberPath::literal(&format!("{gcc}/{RUNTIME_DIR}")));
    if !has_runtime {
        return (vec![lib], vec![]);
    }
    for name in tree.entries(&lib).iter().filter(|name| is_of_libc(name)) {
        let link = MemberPath::literal(&format!("{gcc}/{LIBC_DIR}/{name}"));
        tree.link(link, &MemberPath::literal(&format!("{lib}/{name}")));
    }
    let has_libraries = plan.spec.cc().is_some_and(|cc| !cc.libraries.is_empty());
    let of_compiler = vec![format!("{gcc}/{RUNTIME_DIR}"), format!("{gcc}/{LIBC_DIR}")];
    (of_compiler, has_libraries.then_some(lib).into_iter().collect())
}

/// Whether a file is the loader or a library of the libc under the name that programs ask for.
pub fn is_of_libc(name: &str) -> bool {
    let library = name.strip_prefix("lib").and_then(|n| n.split_once(".so."));
    name.starts_with("ld-linux")
        || library.is_some_and(|(stem, version)| {
            RUNTIME.contains(&stem)
                && !RUNTIME_OF_GCC.contains(&stem)
                && version.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Adds a directory with links to the libraries of GCC itself, and the specs file by which programs
/// find them there at run time. The directory has no libc, so the programs keep that of the machine.
///
/// The drivers always read the file. The path is only added to a program if the variable of
/// `cotter exec` names the directory: a build that does not ask for it, such as one of Bazel, gets
/// no path of the store into its outputs.
fn link_runtime(tree: &mut Tree, blobs: &BlobDir, gcc: &MemberPath, multiarch: &str) -> Result<()> {
    let lib = format!("usr/lib/{multiarch}");
    for name in tree.entries(&lib) {
        let Some((stem, version)) = name.strip_prefix("lib").and_then(|n| n.split_once(".so."))
        else {
            continue;
        };
        // Programs ask for the name with one number.
        if RUNTIME_OF_GCC.contains(&stem) && version.bytes().all(|b| b.is_ascii_digit()) {
            let link = MemberPath::literal(&format!("{gcc}/{RUNTIME_DIR}/{name}"));
            tree.link(link, &MemberPath::literal(&format!("{lib}/{name}")));
        }
    }
    write(
        tree,
        blobs,
        &format!("{gcc}/{RUNTIME_SPECS}"),
        &format!(
            "# The programs that cotter's environment links find this compiler's own libraries, but no libc of this tree.\n\
             *link:\n\
             + %{{!static:%{{!static-pie:%{{!r:%{{%:if-exists-then-else(%R/{gcc}/%:getenv({RUNTIME_VARIABLE} /libgcc_s.so.1) --disable-new-dtags):-rpath %R/{gcc}/{RUNTIME_DIR}}}}}}}}}\n\n"
        ),
    )
}

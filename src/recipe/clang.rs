//! The recipe for Clang, LLVM and glibc from Debian packages, with the start files and the C++
//! library of GCC, and with the linker of LLVM or of binutils.
//!
//! The driver starts itself again to compile, so it must know a path that leads to it, and that must
//! add nothing to its arguments: it is `driver/clang` in the directory of LLVM. What users start are
//! launchers of it, which add what tells the driver its place.

use super::api::{Active, Asked, Launchers, Recipe};
use super::clang_dirs::{ClangDirs, OF_COMPILERS, is_clang, libraries};
use super::clang_facts;
use super::clang_left_out::{LEFT_OUT, LEFT_OUT_PACKAGES};
use super::edit::{seal_constant, seal_everywhere, write};
use super::gcc::compiler_environment;
use super::gcc_specs;
use super::layers::Layers;
use super::notes::Notes;
use super::prune::{self, Pruning};
use super::seal::{self, ProgramUse, Steps, seal};
use crate::environment::{RUNTIME_VARIABLE, Variables};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::lockfile::{CcSpec, Plan, Spec};
use crate::model::{Ecosystem, Kind, MemberPath};
use crate::relocate::launcher::{self, Argv0, Instructions, Linking, Tag};
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Clang;

/// The programs that build systems look up in environment variables.
const VARIABLES: &[(&str, &str)] = &[
    ("CC", "clang"),
    ("CXX", "clang++"),
    ("AR", "ar"),
    ("AS", "as"),
    ("LD", "ld"),
    ("NM", "nm"),
    ("OBJCOPY", "objcopy"),
    ("OBJDUMP", "objdump"),
    ("RANLIB", "ranlib"),
    ("STRIP", "strip"),
];

/// The programs of binutils, each with the program of LLVM. Each takes the other's place if the tree
/// lacks the other, except for linkers.
const BINUTILS: &[(&str, &str)] = &[
    ("addr2line", "llvm-addr2line"),
    ("ar", "llvm-ar"),
    ("as", ""),
    ("c++filt", "llvm-cxxfilt"),
    ("dwp", "llvm-dwp"),
    ("ld", "ld.lld"),
    ("ld.bfd", ""),
    ("ld.gold", ""),
    ("nm", "llvm-nm"),
    ("objcopy", "llvm-objcopy"),
    ("objdump", "llvm-objdump"),
    ("ranlib", "llvm-ranlib"),
    ("readelf", "llvm-readelf"),
    ("size", "llvm-size"),
    ("strings", "llvm-strings"),
    ("strip", "llvm-strip"),
];

/// The linkers that Clang may start.
const LINKERS: &[&str] = &["ld", "ld.bfd", "ld.gold", "ld.lld"];

/// The variables by which sanitizers and Clang's own reports find the program that names functions and
/// lines. Source: the initialisation of each sanitizer in compiler-rt, and LLVM's `Signals.cpp`.
const SYMBOLIZERS: &[&str] = &[
    "ASAN_SYMBOLIZER_PATH",
    "HWASAN_SYMBOLIZER_PATH",
    "LLVM_SYMBOLIZER_PATH",
    "LSAN_SYMBOLIZER_PATH",
    "MSAN_SYMBOLIZER_PATH",
    "TSAN_SYMBOLIZER_PATH",
    "UBSAN_SYMBOLIZER_PATH",
];

/// The directory of the driver, below that of LLVM. The driver looks for programs beside itself.
const DRIVER: &str = "driver";

/// The directory of links to the libraries of compilers, below that of LLVM. It is also the value of
/// the variable with which programs are linked to it.
const RUNTIME: &str = "runtime";

/// The files by which the driver recognises the distribution on which it runs. It would link
/// differently on each.
const DISTRIBUTIONS: &[&str] = &[
    "/etc/SuSE-release",
    "/etc/alpine-release",
    "/etc/arch-release",
    "/etc/debian_version",
    "/etc/exherbo-release",
    "/etc/gentoo-release",
    "/etc/lsb-release",
    "/etc/os-release",
    "/etc/redhat-release",
    "/etc/slackware-version",
    "/usr/lib/os-release",
];

/// The variables with which a user or a host could influence the compiler's search.
const STEERING: &[&str] = &[
    "CCC_OVERRIDE_OPTIONS",
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "LIBRARY_PATH",
    "OBJCPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
];

impl Recipe for Clang {
    fn name(&self) -> &'static str {
        "clang"
    }

    fn version(&self) -> u32 {
        3
    }

    fn kind(&self) -> Kind {
        Kind::Cc
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, LEFT_OUT]
    }

    fn left_out_packages(&self) -> &'static [&'static str] {
        LEFT_OUT_PACKAGES
    }

    /// Returns `clang-19` (or another version), at any position among the packages.
    fn principal<'p>(&self, packages: &[&'p str]) -> Option<&'p str> {
        packages.iter().find(|name| is_clang(name)).or(packages.first()).copied()
    }

    fn spec(&self, asked: Asked) -> Spec {
        Spec::Cc(CcSpec {
            target: asked.target,
            libraries: asked.libraries,
            selection: asked.selection,
            programs: asked.programs,
        })
    }

    fn advice(&self, plan: &Plan) -> Option<String> {
        let is_debian = |ecosystem: Ecosystem| ecosystem == Ecosystem::Debian;
        let components = plan.inputs.iter().map(|i| &i.component);
        let names: Vec<&str> = components
            .filter(|c| is_debian(c.ecosystem))
            .map(|component| component.name.as_str())
            .collect();
        let version = names.iter().find_map(|name| name.strip_prefix("clang-"))?;
        let has = |beginning: &str| names.iter().any(|name| name.starts_with(beginning));
        let has_both = |beginning: &str, end: &str| {
            names.iter().any(|name| name.starts_with(beginning) && name.ends_with(end))
        };
        let mut lacks = vec![];
        if !has("libc6-dev") {
            lacks.push(("the headers of the C library", "libc6-dev".to_owned()));
        }
        if !has("libstdc++-") && !has_both("libc++-", "-dev") {
            lacks.push(("a C++ library", format!("libc++-{version}-dev")));
        }
        // In version 15, it has no package of its own.
        if !has("libclang-rt-") && version != "15" {
            lacks.push((
                "compiler-rt, with the sanitizers and the run-time of coverage",
                format!("libclang-rt-{version}-dev"),
            ));
        }
        if lacks.is_empty() {
            return None;
        }
        let what: Vec<&str> = lacks.iter().map(|(what, _)| *what).collect();
        let add: Vec<String> = lacks.iter().map(|(_, package)| format!("{package:?}")).collect();
        Some(format!(
            "no package of {} brings {}: add {} to its packages if you need it",
            plan.name,
            what.join(", nor "),
            add.join(", ")
        ))
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let launchers = |tree: &Tree| -> Launchers<'_> {
            let dirs = ClangDirs::of(tree, plan.target());
            Box::new(move |path| instructions(path, plan, dirs.as_ref()))
        };
        let steps = Steps {
            prepare: &|tree| prepare(plan, tree, blobs),
            launchers: &launchers,
            programs: ProgramUse::Started,
            redirect: false,
        };
        seal(plan, layers, blobs, pruning, &steps, notes)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        compiler_environment(tree, VARIABLES, "", environment);
        environment
            .set_unless_the_user_does(vec![(RUNTIME_VARIABLE.to_owned(), RUNTIME.to_owned())]);
        let symbolizer = tree.path.join("bin/llvm-symbolizer");
        if symbolizer.exists() {
            for name in SYMBOLIZERS {
                let value = symbolizer.display().to_string();
                environment.set_unless_the_user_does(vec![((*name).to_owned(), value)]);
            }
        }
        super::pkg_config::environment(tree, environment);
        super::pkg_config::system_directories(tree, environment);
        super::living::of_compiler(tree, environment);
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let platform = plan.platform;
        let dirs = ClangDirs::of(tree, platform).ok_or_else(|| no_clang(plan))?;
        let binutils: Vec<&str> = BINUTILS.iter().map(|(name, _)| *name).collect();
        Ok(Facts::Clang(clang_facts::facts(&dirs, tree, platform, &binutils)))
    }
}

fn no_clang(plan: &Plan) -> Error {
    Error::user(format!("the packages of {} hold no Clang", plan.name))
        .about(plan.name.as_str())
        .hint("a toolchain with the recipe \"clang\" needs clang-<version> among its packages")
}

/// Moves the driver, makes its launchers, and gives it its linkers. Also adds the unversioned names,
/// and the file by which programs get the libc of this tree.
fn prepare(plan: &Plan, tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    if plan.target() != plan.platform {
        return Err(Error::user(format!(
            "{} has a `target`, and the recipe clang makes no cross compilers",
            plan.name
        ))
        .about(plan.name.as_str())
        .hint("use gcc's cross packages, such as gcc-12-aarch64-linux-gnu, or zig"));
    }
    let dirs = ClangDirs::of(tree, plan.target()).ok_or_else(|| no_clang(plan))?;
    let multiarch = plan.platform.multiarch();
    let suffix = format!("-{}", dirs.version);
    for path in
        tree.paths(|path, _| path.is_under("usr/bin") && path.file_name().ends_with(&suffix))
    {
        let plain = path.with_file_name(path.file_name().trim_end_matches(&suffix));
        if tree.get(&plain).is_none() {
            tree.link(plain, &path);
        }
    }
    let bin = |name: &str| MemberPath::literal(&format!("usr/bin/{name}"));
    for (name, target) in [("cc", "clang"), ("c++", "clang++")] {
        if tree.get(&bin(name)).is_none() && tree.get(&bin(target)).is_some() {
            tree.link(bin(name), &bin(target));
        }
    }
    split_lib(tree);
    move_driver(plan, tree, blobs, &dirs)?;
    for (name, of_llvm) in BINUTILS.iter().filter(|(_, of_llvm)| !of_llvm.is_empty()) {
        let llvm = dirs.below(&format!("bin/{of_llvm}"));
        let has_llvm = tree.exists(&llvm) || tree.get(&bin(of_llvm)).is_some();
        if tree.get(&bin(name)).is_none() && has_llvm {
            tree.link(bin(name), &llvm);
        } else if tree.get(&bin(name)).is_some() && !has_llvm && !LINKERS.contains(name) {
            // CMake first looks for LLVM's names, with the version and without it, also in the
            // directories of the machine.
            for plain in [(*of_llvm).to_owned(), format!("{of_llvm}{suffix}")] {
                tree.link(bin(&plain), &bin(name));
            }
        }
    }
    // The driver looks for these programs beside itself before it takes them from PATH.
    let own = ["as", "ld", "ld.bfd", "ld.gold", "objcopy"].map(bin);
    let of_llvm: Vec<MemberPath> = tree
        .entries(&format!("{}/bin", dirs.home))
        .into_iter()
        .filter(|name| !name.starts_with("clang"))
        .map(|name| dirs.below(&format!("bin/{name}")))
        .collect();
    let cpu = plan.platform.cpu();
    for path in own.into_iter().chain(of_llvm).filter(|path| tree.exists(path)).collect::<Vec<_>>()
    {
        let name = path.file_name();
        let mut links = vec![name.to_owned()];
        // It first looks for a name with the target before it, also in PATH.
        if name == "as" || name == "objcopy" || LINKERS.contains(&name) {
            let triples = ["linux-gnu", "pc-linux-gnu", "unknown-linux-gnu"];
            links.extend(triples.map(|triple| format!("{cpu}-{triple}-{name}")));
        }
        for link in links.iter().map(|link| dirs.below(&format!("{DRIVER}/{link}"))) {
            if tree.get(&link).is_none() {
                tree.link(link, &path);
            }
        }
    }
    // With this link, binutils' programs read LTO objects.
    let plugin = dirs.below("lib/LLVMgold.so");
    if tree.exists(&plugin) {
        tree.link(MemberPath::literal("usr/lib/bfd-plugins/LLVMgold.so"), &plugin);
    }
    seal_distributions(tree, blobs, &dirs)?;
    seal_symbolizer(tree, blobs, &dirs)?;
    for (name, (stem, path)) in libraries(tree, &dirs, multiarch) {
        if OF_COMPILERS.contains(&stem.as_str()) {
            tree.link(dirs.below(&format!("{RUNTIME}/{name}")), &path);
        }
    }
    let of_sanitizers = format!("{}/lib/linux", dirs.resources);
    for name in tree.entries(&of_sanitizers).iter().filter(|name| name.ends_with(".so")) {
        let path = MemberPath::literal(&format!("{of_sanitizers}/{name}"));
        tree.link(dirs.below(&format!("{RUNTIME}/{name}")), &path);
    }
    let lib = format!("usr/lib/{multiarch}");
    for name in tree.entries(&lib).iter().filter(|name| gcc_specs::is_of_libc(name)) {
        let path = MemberPath::literal(&format!("{lib}/{name}"));
        tree.link(dirs.below(&format!("{}/{name}", gcc_specs::LIBC_DIR)), &path);
    }
    write(
        tree,
        blobs,
        dirs.below(&format!("{DRIVER}/pinned-libc.cfg")).as_str(),
        "# clang --config pinned-libc.cfg: the program is started by this tree's own loader and finds this tree's own libraries.\n\
             --dyld-prefix=<CFGDIR>/../../../..\n",
    )
}

/// Puts a directory of links in the place of the link `lib`, without the directories of GCC. The driver
/// would find these through the link, and name C++ headers by paths with `..` that lead out of it. They
/// are wrong for programs that shorten such paths without a look at the links, such as Ninja.
fn split_lib(tree: &mut Tree) {
    let lib = MemberPath::literal("lib");
    if matches!(tree.get(&lib), Some(Node::Symlink(_))) {
        tree.remove(&lib);
        for name in tree.entries("usr/lib").iter().filter(|name| !name.starts_with("gcc")) {
            let path = MemberPath::literal(&format!("usr/lib/{name}"));
            tree.link(MemberPath::literal(&format!("lib/{name}")), &path);
        }
    }
}

/// Moves the driver to a directory of its own, and puts launchers in the places of its names. Each
/// starts it with the mode that its name stands for.
fn move_driver(plan: &Plan, tree: &mut Tree, blobs: &BlobDir, dirs: &ClangDirs) -> Result<()> {
    let driver = dirs.below(&format!("{DRIVER}/clang"));
    let program = dirs.below("bin/clang");
    let node = tree.remove(&program).ok_or_else(|| no_clang(plan))?;
    tree.put(driver.clone(), node);
    let lld = dirs.below("bin/lld");
    let linkers = [
        ("bfd", MemberPath::literal("usr/bin/ld.bfd")),
        ("gold", MemberPath::literal("usr/bin/ld.gold")),
        ("lld", lld.clone()),
    ];
    let own = linkers.iter().filter(|(_, path)| tree.exists(path)).map(|(name, _)| *name);
    let linking = Linking {
        // Another linker has no launcher of this tree, which would add this.
        foreign_args: quiet(&[
            "-Xlinker".to_owned(),
            "--disable-new-dtags".to_owned(),
            "-Xlinker".to_owned(),
            format!("-rpath=%R/{}/{RUNTIME}", dirs.home),
        ]),
        own: own.chain(["ld", ""]).map(str::to_owned).collect(),
        ..linking(plan)
    };
    for (name, mode) in [("clang", None), ("clang++", Some("g++")), ("clang-cpp", Some("cpp"))] {
        // In the order of the driver, a later option counts more.
        let mut args = vec!["-no-canonical-prefixes".to_owned(), "--sysroot=%R".to_owned()];
        args.extend(mode.map(|mode| format!("--driver-mode={mode}")));
        let multiarch = plan.platform.multiarch();
        let instructions = Instructions {
            argv0: Argv0::Path(driver.clone()),
            args,
            library_args: quiet(&[
                format!("-isystem%L/usr/include/{multiarch}"),
                "-isystem%L/usr/include".to_owned(),
                format!("-L%L/usr/lib/{multiarch}"),
            ]),
            linking: Some(linking.clone()),
            ..Instructions::default()
        };
        put_launcher(
            plan,
            tree,
            blobs,
            &dirs.below(&format!("bin/{name}")),
            &driver,
            instructions,
        )?;
    }
    if tree.exists(&lld) {
        let at = dirs.below("bin/ld.lld");
        let instructions =
            Instructions { argv0: Argv0::Path(at.clone()), ..linker(plan, Some(dirs)) };
        put_launcher(plan, tree, blobs, &at, &lld, instructions)?;
    }
    Ok(())
}

/// Puts a launcher into the tree that starts another launcher.
fn put_launcher(
    plan: &Plan,
    tree: &mut Tree,
    blobs: &BlobDir,
    at: &MemberPath,
    target: &MemberPath,
    instructions: Instructions,
) -> Result<()> {
    let instructions = Instructions {
        drop: STEERING.iter().map(|s| (*s).to_owned()).collect(),
        tag: Some(Tag::of(plan)),
        ..seal::with_variables(plan, instructions)
    };
    let launcher = launcher::render(None, plan.platform, at, target, &instructions)?;
    tree.put(at.clone(), Node::File { blob: blobs.put(&launcher)?, executable: true });
    Ok(())
}

/// Hides the distribution of the machine from the driver.
fn seal_distributions(tree: &mut Tree, blobs: &BlobDir, dirs: &ClangDirs) -> Result<()> {
    let driver = dirs.below(&format!("{DRIVER}/clang"));
    let is_library = |path: &MemberPath| path.file_name().starts_with("libclang-cpp.so");
    let mut files = tree.paths(|path, node| is_library(path) && matches!(node, Node::File { .. }));
    files.push(driver);
    for path in files {
        for from in DISTRIBUTIONS {
            let to = if let Some(name) = from.strip_prefix("/etc/") {
                format!("/.no/{name}")
            } else {
                from.replace("/usr/lib/", "/.no/lib/")
            };
            seal_constant(tree, blobs, &path, from.as_bytes(), to.as_bytes())?;
        }
    }
    Ok(())
}

/// Hides a path from the sanitizers: programs would start the symbolizer of the machine on which they
/// run, if it has one of this version. They still take one that a variable names, or that of PATH.
fn seal_symbolizer(tree: &mut Tree, blobs: &BlobDir, dirs: &ClangDirs) -> Result<()> {
    let libraries = format!("{}/lib", dirs.resources);
    let (from, to) = ("/usr/bin/llvm-symbolizer", "/.no/bin/llvm-symbolizer");
    for path in
        tree.paths(|path, node| path.is_under(&libraries) && matches!(node, Node::File { .. }))
    {
        seal_everywhere(tree, blobs, &path, from.as_bytes(), to.as_bytes())?;
    }
    Ok(())
}

/// Returns arguments of the driver of which it says nothing if it has no use for them: with `-c`, it
/// warns of a directory of libraries, and with `-Werror` it fails. Source: the manual of Clang 14,
/// `--start-no-unused-arguments`.
fn quiet(args: &[String]) -> Vec<String> {
    let (start, end) = ("--start-no-unused-arguments", "--end-no-unused-arguments");
    [&[start.to_owned()], args, &[end.to_owned()]].concat()
}

/// Returns how launchers recognise what is made for the platform of the tree.
fn linking(plan: &Plan) -> Linking {
    Linking { cpu: plan.platform.cpu().to_owned(), ..Linking::default() }
}

/// Returns the instructions for the launcher of a linker.
fn linker(plan: &Plan, dirs: Option<&ClangDirs>) -> Instructions {
    let multiarch = plan.platform.multiarch();
    let runtime = dirs.map_or(vec![], |dirs| {
        vec!["--disable-new-dtags".to_owned(), format!("-rpath=%R/{}/{RUNTIME}", dirs.home)]
    });
    let libc: Vec<String> = dirs
        .iter()
        .map(|dirs| format!("-rpath=%R/{}/{}", dirs.home, gcc_specs::LIBC_DIR))
        .collect();
    let has_libraries = plan.spec.cc().is_some_and(|cc| !cc.libraries.is_empty());
    let of_tree =
        (dirs.is_none() || has_libraries).then(|| format!("-rpath=%R/usr/lib/{multiarch}"));
    Instructions {
        args: vec!["--sysroot=%R".to_owned()],
        runtime_args: runtime.clone(),
        libc_args: [runtime, libc].concat(),
        last_libc_args: of_tree.into_iter().collect(),
        linking: Some(linking(plan)),
        library_args: vec![
            "--disable-new-dtags".to_owned(),
            format!("-rpath=%L/usr/lib/{multiarch}"),
            format!("-rpath-link=%L/usr/lib/{multiarch}"),
        ],
        ..Instructions::default()
    }
}

/// Returns the instructions by which the launcher starts a program of the tree.
fn instructions(path: &MemberPath, plan: &Plan, dirs: Option<&ClangDirs>) -> Instructions {
    let prefix = format!("{}-", plan.platform.multiarch());
    let name = path.file_name();
    let out = Instructions {
        drop: STEERING.iter().map(|s| (*s).to_owned()).collect(),
        ..Instructions::default()
    };
    let plain = name.strip_prefix(&prefix).unwrap_or(name);
    if path.is_under("usr/bin") && LINKERS.contains(&plain) {
        return Instructions { argv0: Argv0::Found, drop: out.drop, ..linker(plan, dirs) };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Platform;

    fn plan() -> Plan {
        let cc = CcSpec {
            target: Platform::X86_64Linux,
            libraries: vec![],
            selection: Default::default(),
            programs: Default::default(),
        };
        crate::recipe::tests::plan("clang", Spec::Cc(cc))
    }

    #[test]
    fn the_driver_finds_gcc_only_where_it_is() {
        let mut tree = Tree::default();
        let at = MemberPath::literal;
        for path in ["usr/lib/gcc/x86_64-linux-gnu/14", "usr/lib/x86_64-linux-gnu/libc.so.6"] {
            tree.link(at(path), &at("usr/bin/x"));
        }
        tree.link(at("lib"), &at("usr/lib"));
        split_lib(&mut tree);
        assert_eq!(tree.entries("lib"), ["x86_64-linux-gnu"]);
        assert!(tree.get(&at("usr/lib/gcc/x86_64-linux-gnu/14")).is_some());
    }

    #[test]
    fn the_driver_is_silent_about_arguments_for_which_it_has_no_use() {
        assert_eq!(
            quiet(&["-L/l".to_owned()]),
            ["--start-no-unused-arguments", "-L/l", "--end-no-unused-arguments"]
        );
    }

    #[test]
    fn linkers_get_the_libraries_of_compilers_only_if_they_are_asked_to() {
        let dirs = ClangDirs {
            home: MemberPath::literal("usr/lib/llvm-19"),
            version: 19,
            resources: MemberPath::literal("usr/lib/llvm-19/lib/clang/19"),
            gcc: None,
        };
        let of = |path: &str| instructions(&MemberPath::literal(path), &plan(), Some(&dirs));
        let ld = of("usr/bin/x86_64-linux-gnu-ld.bfd");
        assert_eq!(ld.args, ["--sysroot=%R"]);
        assert_eq!(ld.runtime_args[1], "-rpath=%R/usr/lib/llvm-19/runtime");
        assert_eq!(ld.linking.map(|linking| linking.cpu).as_deref(), Some("x86_64"));
        for other in ["usr/bin/x86_64-linux-gnu-as", "usr/lib/llvm-19/driver/clang"] {
            assert!(of(other).args.is_empty() && of(other).runtime_args.is_empty(), "{other}");
        }
    }
}

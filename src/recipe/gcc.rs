//! The recipe for GCC, binutils and glibc from Debian packages.

use super::api::{Active, Asked, Launchers, Recipe};
use super::edit::{seal_constant, seal_immediate};
use super::gcc_dirs::{GccDirs, gcc_home};
use super::gcc_specs::{self, NO_RUNTIME, RUNTIME, RUNTIME_DIR, RUNTIME_SPECS};
use super::layers::Layers;
use super::notes::Notes;
use super::prune::{self, Pruning};
use super::seal::{ProgramUse, Steps, seal};
use crate::environment::{RUNTIME_VARIABLE, Variables};
use crate::error::{Error, Result};
use crate::facts::{Facts, GccFacts};
use crate::lockfile::{CcSpec, Plan, Spec};
use crate::model::{Ecosystem, Kind, MemberPath, Platform};
use crate::relocate::launcher::{Argv0, Conversion, Instructions, Linking};
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Gcc;

/// The paths that are left out: the LTO dumper (32 MB), the profiler, and the tools of glibc's
/// maintainers.
const LEFT_OUT: &[&str] = &[
    "usr/bin/*lto-dump*",
    "usr/bin/*gp-*",
    "usr/bin/*gprofng*",
    "usr/bin/sotruss",
    "usr/bin/sprof",
    "usr/lib/*/gprofng/**",
    "usr/lib/*/audit/**",
    "usr/sbin/**",
    "usr/share/gcc/**",
    "usr/share/gcc-*/**",
    "etc/**",
];

/// The options by which a compiler converts the text of a program. The driver passes them on to it.
const CHARACTER_SETS: &[&str] = &["-finput-charset", "-fexec-charset", "-fwide-exec-charset"];

/// The programs that build systems look up in environment variables.
const VARIABLES: &[(&str, &str)] = &[
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

/// Those that are set if the tree has a compiler for Fortran.
const FORTRAN_VARIABLES: &[(&str, &str)] = &[("FC", "gfortran"), ("F77", "gfortran")];

impl Recipe for Gcc {
    fn name(&self) -> &'static str {
        "gcc"
    }

    fn version(&self) -> u32 {
        4
    }

    fn kind(&self) -> Kind {
        Kind::Cc
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, LEFT_OUT]
    }

    /// NIS and Sun RPC pull Kerberos and OpenSSL into a C compiler. gprofng is a profiler.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &["libnsl-dev", "libtirpc-dev", "rpcsvc-proto", "libgprofng0"]
    }

    /// Returns `gcc-12` (or another version), at any position among the packages.
    fn principal<'p>(&self, packages: &[&'p str]) -> Option<&'p str> {
        let is_gcc = |name: &&&str| {
            name.strip_prefix("gcc-").is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
        };
        packages.iter().find(is_gcc).or(packages.first()).copied()
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
        let debian = || plan.inputs.iter().filter(|i| i.component.ecosystem == Ecosystem::Debian);
        let has_libc = debian().any(|i| i.component.name.starts_with("libc6-dev"));
        if has_libc || debian().next().is_none() {
            return None;
        }
        let package = match plan.target() {
            target if target == plan.platform => "libc6-dev".to_owned(),
            target => format!("libc6-dev-{}-cross", target.debian_arch()),
        };
        Some(format!(
            "no package of {} brings the headers of the C library, so it compiles nothing that includes <stdio.h>: add {package:?} to its packages",
            plan.name
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
            let specs = GccDirs::of(tree, plan)
                .map(|gcc| MemberPath::literal(&format!("{}/{RUNTIME_SPECS}", gcc.libraries)))
                .filter(|path| tree.exists(path));
            Box::new(move |path| instructions(path, plan, specs.as_ref()))
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
        let prefix = format!("{}-", tree.target.multiarch());
        let fortran = match tree.target == tree.platform {
            true => "bin/gfortran".to_owned(),
            false => format!("bin/{prefix}gfortran"),
        };
        let has_fortran = tree.path.join(fortran).exists();
        let fortran = FORTRAN_VARIABLES.iter().filter(|_| has_fortran);
        let variables: Vec<_> = VARIABLES.iter().chain(fortran).copied().collect();
        compiler_environment(tree, &variables, &prefix, environment);
        if tree.target == tree.platform {
            environment.set_unless_the_user_does(vec![(
                RUNTIME_VARIABLE.to_owned(),
                RUNTIME_DIR.to_owned(),
            )]);
        }
        super::pkg_config::environment(tree, environment);
        if tree.target == tree.platform {
            super::pkg_config::system_directories(tree, environment);
            super::living::of_compiler(tree, environment);
        }
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        Ok(Facts::Gcc(facts(plan, tree)?))
    }
}

/// Sets the variables that every compiler needs: PATH, and the variables of build systems unless an
/// earlier compiler set them. A cross compiler, whose programs have names that begin with
/// `cross_prefix`, leaves these variables to the other compilers and sets variables for its target.
/// Variables that influence the search for headers and libraries are unset.
pub fn compiler_environment(
    tree: &Active,
    variables: &[(&str, &str)],
    cross_prefix: &str,
    environment: &mut Variables,
) {
    let root = tree.path.display();
    environment.path(format!("{root}/bin"));
    if tree.target != tree.platform {
        // Cargo's crate `cc` and the tools that follow it look for variables with the target in
        // their names. Of the two forms that they know, shells can export this one.
        let target = format!("{}_unknown_linux_gnu", tree.target.cpu());
        let program = |program: &str| format!("{root}/bin/{cross_prefix}{program}");
        for (name, plain) in variables {
            environment.set_default(&format!("{name}_{target}"), program(plain));
        }
        // Without a compiler for this platform, the plain names are those of the cross compiler.
        let plain = variables.iter().map(|(name, plain)| ((*name).to_owned(), program(plain)));
        environment.set_otherwise(plain.collect());
    } else if !environment.is_set("CC") {
        for (name, program) in variables {
            environment.set_default(name, format!("{root}/bin/{program}"));
        }
    }
    environment.unset(&["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"]);
}

fn facts(plan: &Plan, tree: &Tree) -> Result<GccFacts> {
    let target = plan.target();
    let triple = target.multiarch();
    let gcc = GccDirs::of(tree, plan)
        .ok_or_else(|| Error::build(format!("the tree of {} holds no GCC", plan.name)))?
        .libraries;
    let version = gcc.file_name().to_owned();
    let cross = target != plan.platform;
    let (c, cpp, libraries) = if cross {
        let root = format!("usr/{triple}");
        let cpp = format!("{root}/include/c++/{version}");
        (
            vec![format!("{gcc}/include"), format!("{root}/include")],
            vec![cpp.clone(), format!("{cpp}/{triple}"), format!("{cpp}/backward")],
            format!("{root}/lib"),
        )
    } else {
        let cpp = format!("usr/include/c++/{version}");
        (
            vec![
                format!("{gcc}/include"),
                format!("usr/include/{triple}"),
                "usr/include".to_owned(),
            ],
            vec![
                cpp.clone(),
                format!("usr/include/{triple}/c++/{version}"),
                format!("{cpp}/backward"),
            ],
            format!("usr/lib/{triple}"),
        )
    };
    let there = |dirs: Vec<String>| -> Vec<String> {
        dirs.into_iter().filter(|d| tree.exists(&MemberPath::literal(d))).collect()
    };
    let is_runtime = |name: &str| {
        name.starts_with("ld-linux")
            || name
                .strip_prefix("lib")
                .and_then(|n| n.split_once(".so."))
                .is_some_and(|(stem, _)| RUNTIME.contains(&stem))
    };
    let in_libraries = |path: &MemberPath| path.parent().is_some_and(|p| p.as_str() == libraries);
    let runtime = tree.paths(|path, _| in_libraries(path) && is_runtime(path.file_name()));
    let loader = format!("{libraries}/{}", target.loader());
    Ok(GccFacts {
        version,
        triple: triple.to_owned(),
        tool_prefix: if cross { format!("{triple}-") } else { String::new() },
        c_includes: there(c),
        cpp_includes: there(cpp),
        runtime: runtime.iter().map(ToString::to_string).collect(),
        loader: tree.exists(&MemberPath::literal(&loader)).then_some(loader),
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
    })
}

/// The programs that GCC's driver looks for among its own files. Without these links it would take
/// them from PATH.
const BINUTILS: &[&str] =
    &["as", "ld", "ld.bfd", "ld.gold", "nm", "strip", "ar", "ranlib", "objcopy"];

/// The variables with which a user or a host could influence the compiler's search.
const STEERING: &[&str] = &[
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "LIBRARY_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "GCC_ROOT",
    "GCC_COMPARE_DEBUG",
];

/// Does the work of Debian's maintainer scripts and plain `gcc` packages by adding the unversioned
/// names, `cc` and `c++`. Also gives the driver links to its binutils, and adds the specs file that
/// makes the compiler's outputs run with the libc of this tree.
fn prepare(plan: &Plan, tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let platform = plan.target();
    let multiarch = platform.multiarch();
    let Some(gcc) = GccDirs::of(tree, plan) else {
        return Err(Error::user(format!("the packages of {} hold no GCC", plan.name))
            .about(plan.name.as_str())
            .hint("a toolchain of kind \"cc\" needs gcc-<version> among its packages"));
    };
    let version = gcc.libraries.file_name().to_owned();
    let suffix = format!("-{version}");
    for path in
        tree.paths(|path, _| path.is_under("usr/bin") && path.file_name().ends_with(&suffix))
    {
        let plain = path.with_file_name(path.file_name().trim_end_matches(&suffix));
        if tree.get(&plain).is_none() {
            tree.link(plain, &path);
        }
    }
    for (name, target) in [("cc", "gcc"), ("c++", "g++")] {
        let (name, target) = (
            MemberPath::literal(&format!("usr/bin/{name}")),
            MemberPath::literal(&format!("usr/bin/{target}")),
        );
        if tree.get(&name).is_none() && tree.get(&target).is_some() {
            tree.link(name, &target);
        }
    }
    let cross = if platform == plan.platform { String::new() } else { format!("{multiarch}-") };
    for name in BINUTILS {
        let target = MemberPath::literal(&format!("usr/bin/{cross}{name}"));
        if tree.get(&target).is_some() {
            tree.link(MemberPath::literal(&format!("{}/{name}", gcc.programs)), &target);
        }
    }
    // With this link, `ar` and `nm` read LTO objects without the help of gcc-ar.
    let plugin = MemberPath::literal(&format!("{}/liblto_plugin.so", gcc.programs));
    if tree.get(&plugin).is_some() {
        tree.link(MemberPath::literal("usr/lib/bfd-plugins/liblto_plugin.so"), &plugin);
    }
    // The drivers look for a `specs` file at the path for which they were configured. They learn
    // their real path from GCC_EXEC_PREFIX.
    for path in tree.paths(|path, node| {
        matches!(node, Node::File { .. })
            && path.is_under("usr/bin")
            && is_driver(plain_name(path, platform))
    }) {
        let home = gcc_home(plan);
        // From one configured path to the other, the drivers count the steps that lead to the
        // directory of programs. The replacements have the same number of parts.
        let replacements: &[(&str, &str)] = if gcc.programs == gcc.libraries {
            &[("/usr/lib", "/.no/.no")]
        } else {
            &[("/usr/lib", "/.no/lib"), ("/usr/libexec", "/.no/libexec")]
        };
        for (from, to) in replacements {
            let (from, to) = (format!("{from}/{home}/"), format!("{to}/{home}/"));
            seal_constant(tree, blobs, &path, from.as_bytes(), to.as_bytes())?;
        }
        let settled = platform != plan.platform && gcc.programs == gcc.libraries;
        if plan.platform == Platform::X86_64Linux && !settled {
            // The path of an unversioned `specs` file is in the code. The trees of bookworm's cross
            // compilers keep their bytes.
            seal_immediate(tree, blobs, &path, b"/usr/lib", b"/.no/lib")?;
        }
    }
    if platform != plan.platform {
        // The compiler's outputs do not run on this platform, so there is no loader to name.
        return Ok(());
    }
    gcc_specs::write_specs(plan, tree, blobs, &gcc)
}

/// Returns a program's name without the triplet and the version: `gcc` for
/// `x86_64-linux-gnu-gcc-12`.
fn plain_name(path: &MemberPath, platform: Platform) -> &str {
    let name = path.file_name();
    let name =
        name.strip_prefix(platform.multiarch()).and_then(|n| n.strip_prefix('-')).unwrap_or(name);
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-')
}

fn is_driver(name: &str) -> bool {
    matches!(name, "gcc" | "g++" | "cpp" | "cc" | "c++" | "gfortran" | "gdc" | "gnat")
}

/// Returns the instructions by which the launcher starts a program of the tree. The drivers read the
/// file `specs`, if there is one.
fn instructions(path: &MemberPath, plan: &Plan, specs: Option<&MemberPath>) -> Instructions {
    let platform = plan.target();
    let multiarch = platform.multiarch();
    // The library trees in use are for the platform of the compiler itself.
    let is_cross = platform != plan.platform;
    let mut out = Instructions {
        argv0: Argv0::Found,
        conversion: Conversion::ByArgument(CHARACTER_SETS),
        ..Instructions::default()
    };
    if !path.is_under("usr/bin") {
        // GCC's internal programs depend on the values that the driver passes them in those
        // variables.
        return out;
    }
    out.drop = STEERING.iter().map(|s| (*s).to_owned()).collect();
    match plain_name(path, platform) {
        name if is_driver(name) => {
            out.set.push(format!("GCC_EXEC_PREFIX=%R/usr/lib/{}/", gcc_home(plan)));
            out.args = vec!["--sysroot=%R".to_owned()];
            if let Some(specs) = specs {
                out.args.push(format!("-specs=%R/{specs}"));
                // In a specs file, a variable that is not set is an error.
                out.default.push(format!("{RUNTIME_VARIABLE}={NO_RUNTIME}"));
            }
            if !is_cross {
                out.library_args = [
                    format!("-isystem%L/usr/include/{multiarch}"),
                    "-isystem%L/usr/include".to_owned(),
                    format!("-L%L/usr/lib/{multiarch}"),
                ]
                .into();
            }
        }
        "ld" | "ld.bfd" | "ld.gold" => {
            out.args = vec!["--sysroot=%R".to_owned()];
            if is_cross {
                return out;
            }
            // A static program gets no search path: with one, the start code of those that can be
            // loaded anywhere fails.
            out.linking = Some(Linking { cpu: platform.cpu().to_owned(), ..Linking::default() });
            // This option is not added to the driver's arguments: there `-Wl,` counts as an input,
            // and `gcc -v` would link. At link time, -rpath is looked up below the sysroot, whereas
            // -rpath-link is taken literally.
            out.library_args = vec![
                "--disable-new-dtags".to_owned(),
                format!("-rpath=%L/usr/lib/{multiarch}"),
                format!("-rpath-link=%L/usr/lib/{multiarch}"),
            ];
        }
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(target: Platform) -> Plan {
        let cc = crate::lockfile::CcSpec {
            target,
            libraries: vec![],
            selection: Default::default(),
            programs: Default::default(),
        };
        crate::recipe::tests::plan("gcc", crate::lockfile::Spec::Cc(cc))
    }

    #[test]
    fn drivers_get_their_sysroot() {
        let of = |path: &str| {
            instructions(&MemberPath::literal(path), &plan(Platform::X86_64Linux), None)
        };
        assert_eq!(of("usr/bin/x86_64-linux-gnu-gcc-12").args, ["--sysroot=%R"]);
        assert_eq!(of("usr/bin/x86_64-linux-gnu-ld.bfd").args, ["--sysroot=%R"]);
        assert!(of("usr/bin/x86_64-linux-gnu-gcc-ar-12").args.is_empty());
        assert!(of("usr/lib/gcc/x86_64-linux-gnu/12/cc1").drop.is_empty());
    }

    #[test]
    fn drivers_read_the_specs_of_the_run_time_libraries() {
        let (plan, specs) = (plan(Platform::X86_64Linux), MemberPath::literal("usr/x/r.specs"));
        let of = |path: &str| instructions(&MemberPath::literal(path), &plan, Some(&specs));
        let driver = of("usr/bin/x86_64-linux-gnu-gfortran-14");
        assert_eq!(driver.args, ["--sysroot=%R", "-specs=%R/usr/x/r.specs"]);
        assert_eq!(driver.default, ["COTTER_RUNTIME=none"]);
        assert_eq!(of("usr/bin/x86_64-linux-gnu-ld.bfd").args, ["--sysroot=%R"]);
    }

    #[test]
    fn cross_compilers_have_a_home_of_their_own() {
        let of = |path: &str| {
            instructions(&MemberPath::literal(path), &plan(Platform::Aarch64Linux), None)
        };
        let driver = of("usr/bin/aarch64-linux-gnu-gcc-12");
        assert!(
            driver.set.contains(&"GCC_EXEC_PREFIX=%R/usr/lib/gcc-cross/".to_owned()),
            "{:?}",
            driver.set
        );
    }
}

//! The recipe for Zig as a compiler for C and C++: one static program that includes clang, lld,
//! headers and the sources of the run-time libraries. Source: Zig's documentation of `zig cc`;
//! <https://ziglang.org/learn/overview/>, "Zig is also a C compiler".

use super::api::{Active, Asked, Recipe};
use super::gcc::compiler_environment;
use super::layers::Layers;
use super::notes::Notes;
use super::pkg_config;
use super::prune::{self, Pruning};
use super::seal::{self, ProgramUse, Steps, seal};
use crate::environment::Variables;
use crate::error::{Error, Result};
use crate::facts::{Facts, ZigFacts};
use crate::lockfile::{CcSpec, Plan, Spec};
use crate::model::{Kind, MemberPath, Platform};
use crate::relocate::launcher::{self, Instructions};
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Zig;

impl Recipe for Zig {
    fn name(&self) -> &'static str {
        "zig"
    }

    fn version(&self) -> u32 {
        2
    }

    fn kind(&self) -> Kind {
        Kind::Cc
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, PRUNED]
    }

    fn spec(&self, asked: Asked) -> Spec {
        Spec::Cc(CcSpec {
            target: asked.target,
            libraries: asked.libraries,
            selection: asked.selection,
            programs: asked.programs,
        })
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let steps = Steps {
            prepare: &|tree| prepare(plan, tree, blobs),
            launchers: &seal::plain,
            programs: ProgramUse::Started,
            redirect: false,
        };
        seal(plan, layers, blobs, pruning, &steps, notes)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        compiler_environment(tree, VARIABLES, "", environment);
        pkg_config::environment(tree, environment);
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let home = home(tree).unwrap_or_default();
        Ok(Facts::Zig(ZigFacts {
            triple: plan.target().multiarch().to_owned(),
            glibc_floor: GLIBC_FLOOR.to_owned(),
            lib: format!("{home}lib"),
            inputs: tree.entries(""),
        }))
    }
}

/// The programs that build systems look up in environment variables.
const VARIABLES: &[(&str, &str)] =
    &[("CC", "cc"), ("CXX", "c++"), ("AR", "ar"), ("OBJCOPY", "objcopy"), ("RANLIB", "ranlib")];

/// The oldest glibc with which the compiled programs run. Zig generates stubs for any version;
/// every distribution that is still supported has this one.
const GLIBC_FLOOR: &str = "2.28";

/// The paths that are left out: the headers and sources of systems for which cotter has no
/// platform.
const PRUNED: &[&str] = &[
    "**/lib/libc/darwin/**",
    "**/lib/libc/freebsd/**",
    "**/lib/libc/mingw/**",
    "**/lib/libc/netbsd/**",
    "**/lib/libc/openbsd/**",
    "**/lib/libc/wasi/**",
    "**/lib/libc/include/*-darwin-*/**",
    "**/lib/libc/include/*-freebsd-*/**",
    "**/lib/libc/include/*-netbsd-*/**",
    "**/lib/libc/include/*-openbsd-*/**",
    "**/lib/libc/include/*-windows-*/**",
    "**/lib/libc/include/generic-*bsd/**",
    "**/lib/libc/include/wasm-*/**",
];

/// Returns Zig's directory in a tree: the one that contains `zig` and `lib/zig.h`.
fn home(tree: &Tree) -> Option<String> {
    ["", "ziglang/"]
        .into_iter()
        .find(|home| {
            tree.at(&format!("{home}zig")).is_some()
                && tree.at(&format!("{home}lib/zig.h")).is_some()
        })
        .map(str::to_owned)
}

/// Creates `bin/`. Each of the usual names of a compiler is a launcher that starts Zig with the
/// command and the target. Without a target, Zig would inspect the machine on which it runs.
///
/// # Errors
/// If a launcher cannot be made.
fn prepare(plan: &Plan, tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let home = home(tree).ok_or_else(|| {
        Error::user(format!("the inputs of {} hold no Zig", plan.name))
            .about(plan.name.as_str())
            .hint("a toolchain with the recipe \"zig\" needs a file `zig` beside `lib/zig.h`")
    })?;
    let program = MemberPath::literal(&format!("{home}zig"));
    let Some(Node::File { blob, .. }) = tree.get(&program) else {
        return Err(Error::build(format!("{program} of {} is no file", plan.name))
            .about(plan.name.as_str()));
    };
    let blob = blob.clone();
    tree.put(program.clone(), Node::File { blob, executable: true });
    let target = triple(plan.target());
    let commands: [(&str, &[&str]); 6] = [
        ("zig", &[]),
        ("cc", &["cc", "-target", &target]),
        ("c++", &["c++", "-target", &target]),
        ("ar", &["ar"]),
        ("ranlib", &["ranlib"]),
        ("objcopy", &["objcopy"]),
    ];
    for (name, args) in commands {
        let at = MemberPath::literal(&format!("bin/{name}"));
        // Bazel names the library directory relative to its working directory, so the variable may
        // be set.
        let instructions = Instructions {
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            drop: STEERING.iter().map(|s| (*s).to_owned()).collect(),
            default: vec![format!("ZIG_LIB_DIR=%R/{home}lib")],
            tag: Some(launcher::Tag::of(plan)),
            ..Instructions::default()
        };
        let instructions = seal::with_variables(plan, instructions);
        let launcher = launcher::render(None, plan.platform, &at, &program, &instructions)?;
        tree.put(at, Node::File { blob: blobs.put(&launcher)?, executable: true });
    }
    Ok(())
}

/// The variables with which a user or a host could influence clang's search.
const STEERING: &[&str] = &[
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "LIBRARY_PATH",
    "CCC_OVERRIDE_OPTIONS",
    "ZIG_LIBC",
];

/// Returns Zig's name of a platform, such as `x86_64-linux-gnu.2.28`.
fn triple(platform: Platform) -> String {
    format!("{}.{GLIBC_FLOOR}", platform.multiarch())
}

//! The recipe for sysroots: the libc, headers and libraries of a system as one directory, for
//! compilers that cotter does not manage. Compilers know such a directory as the value of
//! `--sysroot`. Source: GCC's manual, "Directory Search"; the manual of GNU ld, `--sysroot` and
//! "File Commands".
//!
//! The libraries keep their bytes, because programs that are linked with them run on other
//! machines, where the paths of a Debian system exist.

use super::api::{Active, Asked, Recipe};
use super::layers::Layers;
use super::notes::Notes;
use super::prune::{self, Pruning};
use super::{alternatives, linker_scripts, seal};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::{Facts, SysrootFacts};
use crate::lockfile::{Plan, Spec, SysrootSpec};
use crate::model::{Ecosystem, Kind};
use crate::relocate::symlinks;
use crate::tree::{BlobDir, Tree};

/// The recipe that this module describes.
pub struct Sysroot;

/// The paths that are left out: programs, configuration, and what only programs read.
const LEFT_OUT: &[&str] = &[
    "usr/bin/**",
    "usr/sbin/**",
    "usr/games/**",
    "usr/libexec/**",
    "usr/share/aclocal/**",
    "etc/**",
    "usr/lib/ssl/**",
];

impl Recipe for Sysroot {
    fn name(&self) -> &'static str {
        "sysroot"
    }

    fn version(&self) -> u32 {
        1
    }

    fn kind(&self) -> Kind {
        Kind::Sysroot
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, LEFT_OUT]
    }

    /// NIS and Sun RPC pull Kerberos and OpenSSL into every C library's headers.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &["libnsl-dev", "libtirpc-dev", "rpcsvc-proto"]
    }

    fn spec(&self, asked: Asked) -> Spec {
        Spec::Sysroot(SysrootSpec { libraries: asked.libraries, selection: asked.selection })
    }

    fn advice(&self, plan: &Plan) -> Option<String> {
        let mut debian =
            plan.inputs.iter().filter(|i| i.component.ecosystem == Ecosystem::Debian).peekable();
        debian.peek()?;
        let has_libc = debian.any(|input| input.component.name == "libc6-dev");
        (!has_libc).then(|| {
            format!(
                "no package of {} brings the C library and its headers, so no program can be linked with it alone: add \"libc6-dev\" to its packages, and for C++ one such as \"libstdc++-12-dev\"",
                plan.name
            )
        })
    }

    fn finish(
        &self,
        plan: &Plan,
        mut layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        prune::apply(pruning, &mut layers.tree);
        alternatives::link(plan, &mut layers, pruning, notes);
        let mut tree = layers.tree;
        seal::merged_links(&mut tree);
        symlinks::settle(&mut tree);
        linker_scripts::relocate(&mut tree, blobs)?;
        // Nobody can start the helper programs of libraries in a sysroot.
        for path in seal::dynamic_programs(plan, &tree)? {
            tree.remove(&path);
        }
        symlinks::settle(&mut tree);
        Ok(tree)
    }

    /// A sysroot is named by an option of the compiler that uses it.
    fn environment(&self, _: &Active, _: &mut Variables) {}

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        Ok(Facts::Sysroot(SysrootFacts {
            triple: plan.platform.multiarch().to_owned(),
            inputs: tree.entries(""),
        }))
    }
}

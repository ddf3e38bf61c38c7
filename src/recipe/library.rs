//! The recipe for headers, libraries and `.pc` files that programs are built with.

use std::collections::BTreeMap;

use super::api::{Active, Asked, Recipe};
use super::layers::Layers;
use super::notes::Notes;
use super::pkg_config;
use super::prune::{self, Pruning};
use super::seal::{self, ProgramUse, Steps, seal};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::{Facts, LibraryFacts};
use crate::lockfile::{LibrarySpec, Plan, Spec};
use crate::model::{Kind, MemberPath};
use crate::tree::{BlobDir, Tree};

/// The recipe that this module describes.
pub struct Library;

/// The paths that are left out: everything except headers, libraries and `.pc` files.
const LEFT_OUT: &[&str] =
    &["usr/bin/**", "usr/sbin/**", "usr/share/aclocal/**", "etc/**", "usr/lib/ssl/**"];

impl Recipe for Library {
    fn name(&self) -> &'static str {
        "library"
    }

    fn version(&self) -> u32 {
        1
    }

    fn kind(&self) -> Kind {
        Kind::Library
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, LEFT_OUT]
    }

    /// These packages are already in the compiler's own tree.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &[
            "libc6",
            "libc6-dev",
            "libc-dev",
            "libc-dev-bin",
            "linux-libc-dev",
            "libcrypt1",
            "libcrypt-dev",
            "libgcc-s1",
            "gcc-12-base",
            "libstdc++6",
            "libnsl-dev",
            "libtirpc-dev",
            "rpcsvc-proto",
        ]
    }

    fn spec(&self, asked: Asked) -> Spec {
        Spec::Library(LibrarySpec { selection: asked.selection })
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
            prepare: &|_| Ok(()),
            launchers: &seal::plain,
            programs: ProgramUse::Unused,
            redirect: false,
        };
        seal(plan, layers, blobs, pruning, &steps, notes)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        let root = tree.path.display().to_string();
        environment.list("CMAKE_PREFIX_PATH", format!("{root}/usr"));
        environment.list("COTTER_LIBRARIES", root);
        pkg_config::environment(tree, environment);
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let triple = plan.platform.multiarch();
        let lib = format!("usr/lib/{triple}");
        let there = |dir: &String| tree.exists(&MemberPath::literal(dir));
        let includes = ["usr/include".to_owned(), format!("usr/include/{triple}")];
        let pkg_config = pkg_config::directories(plan.platform);
        Ok(Facts::Library(LibraryFacts {
            triple: triple.to_owned(),
            includes: includes.into_iter().filter(there).collect(),
            shared: shared(tree, &lib),
            static_: archives(tree, &lib),
            packages: pkg_config::packages(tree, &pkg_config)?,
            pkg_config: pkg_config.into_iter().filter(there).collect(),
        }))
    }
}

/// Returns the shared libraries by stem. Programs ask for the shortest name that has a version: of
/// `libz.so.1` and `libz.so.1.2.13`, the first.
fn shared(tree: &Tree, lib: &str) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for name in tree.entries(lib) {
        let Some((stem, _)) = name.strip_prefix("lib").and_then(|n| n.split_once(".so.")) else {
            continue;
        };
        let path = format!("{lib}/{name}");
        let shorter = out.get(stem).is_none_or(|known| (path.len(), &path) < (known.len(), known));
        if shorter {
            out.insert(stem.to_owned(), path);
        }
    }
    out
}

/// Returns the static libraries by stem: first those next to the shared libraries, then those in
/// directories such as `postgresql/15/lib`, where Debian keeps archives that exist once for each
/// version.
fn archives(tree: &Tree, lib: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut add = |directory: &str| {
        for name in tree.entries(directory) {
            if let Some(stem) = name.strip_prefix("lib").and_then(|n| n.strip_suffix(".a")) {
                out.entry(stem.to_owned()).or_insert_with(|| format!("{directory}/{name}"));
            }
        }
    };
    add(lib);
    for package in tree.entries("usr/lib") {
        for version in tree.entries(&format!("usr/lib/{package}")) {
            if version.starts_with(|c: char| c.is_ascii_digit()) {
                add(&format!("usr/lib/{package}/{version}/lib"));
            }
        }
    }
    out
}

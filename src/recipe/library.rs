//! The recipe for headers, libraries and `.pc` files that programs are built with, and for what these
//! programs need at run time.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::api::{Active, Asked, Recipe};
use super::essential::RUNTIME;
use super::generated;
use super::helpers::{self, Helpers};
use super::layers::{Layers, Stage};
use super::notes::{MissingCommand, NeededGlibc, Notes};
use super::prune::{self, Pruning};
use super::seal::{self, ProgramUse, Steps, seal};
use super::{cmake, linker_scripts, living, pkg_config};
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::{Facts, LibraryFacts};
use crate::lockfile::{LibrarySpec, Plan, Spec};
use crate::model::{Kind, MemberPath};
use crate::relocate::launcher::is_library_name;
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Library;

/// The paths that are left out: configuration of services and of the machine, and macros of Autoconf.
const LEFT_OUT: &[&str] = &[
    "usr/share/aclocal/**",
    "etc/apparmor.d/**",
    "etc/apt/**",
    "etc/dbus-1/**",
    "etc/init/**",
    "etc/ld.so.conf.d/**",
    "etc/logrotate.d/**",
    "etc/pam.d/**",
    "etc/profile.d/**",
    "etc/security/**",
    "etc/sysctl.d/**",
    "etc/systemd/**",
    "etc/udev/**",
    "etc/xdg/autostart/**",
];

/// The libraries that the compiler's tree brings, by the beginning of their names.
const OF_COMPILER: &[&str] = &[
    "ld-linux-",
    "libatomic.so.",
    "libc.so.",
    "libcrypt.so.",
    "libdl.so.",
    "libgcc_s.so.",
    "libm.so.",
    "libmvec.so.",
    "libpthread.so.",
    "libresolv.so.",
    "librt.so.",
    "libstdc++.so.",
    "libutil.so.",
];

impl Recipe for Library {
    fn name(&self) -> &'static str {
        "library"
    }

    fn version(&self) -> u32 {
        3
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
        mut layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let stage = layers.stage;
        let compilers = helpers::compilers(plan, &layers.owners);
        let has_loader = helpers::hide(plan, &mut layers.tree, &layers.owners);
        let (missing, helpers) = (RefCell::default(), RefCell::<Helpers>::default());
        let steps = Steps {
            prepare: &|tree| {
                missing.replace(generated::add(tree, blobs)?);
                living::settle(tree, blobs, plan.platform)?;
                cmake::relocate(tree, blobs, plan.platform)?;
                linker_scripts::relocate(tree, blobs)?;
                let found = helpers::select(plan, tree, pruning, &compilers)?;
                if !has_loader {
                    helpers::remove(tree, &found.kept);
                }
                if found.kept.is_empty() {
                    helpers::drop_hidden(tree);
                }
                helpers.replace(found);
                Ok(())
            },
            launchers: &seal::plain,
            programs: ProgramUse::Helpers,
            redirect: true,
        };
        let tree = seal(plan, layers, blobs, pruning, &steps, notes)?;
        notes.unresolved.retain(|u| !OF_COMPILER.iter().any(|name| u.library.starts_with(name)));
        if stage == Stage::Locked {
            return Ok(tree);
        }
        let Helpers { kept, missing: interpreters } = helpers.take();
        let command = |(name, needed_by)| MissingCommand { name, needed_by };
        notes.missing = interpreters.into_iter().map(command).collect();
        let mut missing: Vec<generated::Ungenerated> = missing.take();
        for lack in &mut missing {
            if lack.what == generated::NO_CERTIFICATES {
                lack.what = "it holds a library for TLS and no certificates: programs that are linked with it trust the certificates of the machine on which they run".to_owned();
            }
        }
        missing.extend(living::lacks(&tree, plan.platform));
        if let Some(first) = kept.first().filter(|_| !has_loader) {
            let runtime = RUNTIME.iter().map(|(_, name)| ((*name).to_owned(), first.clone()));
            notes.missing.extend(runtime.map(command));
            missing.push(generated::Ungenerated {
                what: format!(
                    "{} that CMake or pkg-config files name are left out, because the tree has no libc: {first} and others",
                    match kept.len() {
                        1 => "1 program".to_owned(),
                        count => format!("{count} programs"),
                    }
                ),
                hint: "do not set `include_essential = false`, or add \"libc6\" to `packages`".to_owned(),
            });
        }
        notes.ungenerated = missing;
        notes.glibc = needed_glibc(&tree, &format!("usr/lib/{}", plan.platform.multiarch()))?;
        Ok(tree)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        let root = tree.path.display().to_string();
        environment.list("CMAKE_PREFIX_PATH", format!("{root}/usr"));
        environment.list(pkg_config::LIBRARIES, root);
        pkg_config::environment(tree, environment);
        living::environment(tree, environment);
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let triple = plan.platform.multiarch();
        let lib = format!("usr/lib/{triple}");
        let there = |dir: &String| tree.exists(&MemberPath::literal(dir));
        let exists = |path: &str| tree.exists(&MemberPath::literal(path));
        let includes = ["usr/include".to_owned(), format!("usr/include/{triple}")];
        let pkg_config = pkg_config::directories(plan.platform);
        Ok(Facts::Library(LibraryFacts {
            triple: triple.to_owned(),
            includes: includes.into_iter().filter(there).collect(),
            shared: shared(tree, &lib),
            static_: archives(tree, &lib),
            packages: pkg_config::packages(tree, &pkg_config)?,
            pkg_config: pkg_config.into_iter().filter(there).collect(),
            environment: living::variables(plan.platform, &exists),
            runtime: living::files(plan.platform, &exists),
        }))
    }
}

/// Returns the newest version of glibc for which a library in a directory asks. Source: a library names
/// the versions in its dynamic strings, `GLIBC_2.38` and the like (LSB Core, "Symbol Versioning").
fn needed_glibc(tree: &Tree, directory: &str) -> Result<Option<NeededGlibc>> {
    let mut newest: Option<(u32, NeededGlibc)> = None;
    for name in tree.entries(directory).iter().filter(|name| is_library_name(name)) {
        let path = MemberPath::literal(&format!("{directory}/{name}"));
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let bytes = blob.read()?;
        let prefix = b"\0GLIBC_2.";
        for at in memchr::memmem::find_iter(&bytes, prefix) {
            let digits =
                bytes[at + prefix.len()..].iter().take(3).take_while(|b| b.is_ascii_digit());
            let minor = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
            if newest.as_ref().is_none_or(|(most, _)| minor > *most) {
                let needed = NeededGlibc { version: format!("2.{minor}"), file: path.clone() };
                newest = Some((minor, needed));
            }
        }
    }
    Ok(newest.map(|(_, needed)| needed))
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

//! A folder for Bazel: repository rules, toolchains, platforms; for WORKSPACE and for bzlmod.
//!
//! What depends on the lock is written here; the rest are templates, which differ in the folder's name alone. The texts stand as buildifier
//! would format them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Emitter, Files, Request};
use crate::lockfile::LockedTree;
use crate::manifest::{BazelSettings, Kind, Libc};
use crate::model::Platform;

/// What every emitted file says of itself.
pub const MARK: &str = "Written by `cotter emit bazel`; what is changed here is lost.";

const TEMPLATES: [(&str, &str); 18] = [
    ("build_files.bzl", include_str!("../../templates/bazel/build_files.bzl")),
    ("cc.bzl", include_str!("../../templates/bazel/cc.bzl")),
    ("cc_features.bzl", include_str!("../../templates/bazel/cc_features.bzl")),
    ("compile_packages.py", include_str!("../../templates/bazel/compile_packages.py")),
    ("compile_stdlib.py", include_str!("../../templates/bazel/compile_stdlib.py")),
    ("extension.bzl", include_str!("../../templates/bazel/extension.bzl")),
    ("libraries.bzl", include_str!("../../templates/bazel/libraries.bzl")),
    ("packages.bzl", include_str!("../../templates/bazel/packages.bzl")),
    ("python.bzl", include_str!("../../templates/bazel/python.bzl")),
    ("python_packages.bzl", include_str!("../../templates/bazel/python_packages.bzl")),
    ("repositories.bzl", include_str!("../../templates/bazel/repositories.bzl")),
    ("requirements.bzl", include_str!("../../templates/bazel/requirements.bzl")),
    ("run_pytest.py", include_str!("../../templates/bazel/run_pytest.py")),
    ("run_unittest.py", include_str!("../../templates/bazel/run_unittest.py")),
    ("sitecustomize.py", include_str!("../../templates/bazel/sitecustomize.py")),
    ("tools.bzl", include_str!("../../templates/bazel/tools.bzl")),
    ("workspace.bzl", include_str!("../../templates/bazel/workspace.bzl")),
    ("zig.bzl", include_str!("../../templates/bazel/zig.bzl")),
];

/// See the module.
#[derive(Debug)]
pub struct Bazel;

impl Emitter for Bazel {
    fn name(&self) -> &'static str {
        "bazel"
    }

    fn dir<'a>(&self, request: &Request<'a>) -> &'a str {
        &request.bazel.dir
    }

    fn files(&self, request: &Request) -> Result<Files, String> {
        let settings = request.bazel;
        let trees: Vec<&LockedTree> = request
            .lock
            .trees
            .values()
            .filter(|t| {
                !t.plan.serves_builds()
                    && settings.toolchains.as_ref().is_none_or(|names| {
                        names
                            .iter()
                            .any(|n| *n == t.plan.name || n.as_str() == first(&t.plan, "set"))
                    })
            })
            .collect();
        if trees.is_empty() {
            return Err("the lock names no toolchain that is to be emitted".to_owned());
        }
        check_names(&trees, settings)?;
        let mut files = Files::new();
        for (name, text) in TEMPLATES {
            files.insert(
                name.to_owned(),
                format!("# {MARK}\n\n{}", text.replace("@DIR@", &settings.dir)),
            );
        }
        files.insert("start.c".to_owned(), start());
        files.insert("lock.bzl".to_owned(), lock(&trees, settings));
        files.insert("BUILD.bazel".to_owned(), build(&trees, settings));
        files.insert("cotter.bazelrc".to_owned(), bazelrc(&trees, settings));
        files.insert("cotter.MODULE.bazel".to_owned(), module(&trees, settings));
        Ok(files)
    }
}

/// No two trees may have one repository, and no two targets of the hub one name.
fn check_names(trees: &[&LockedTree], settings: &BazelSettings) -> Result<(), String> {
    let mut repositories = BTreeMap::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for platform in Platform::ALL {
        names.insert(platform.as_str().to_owned(), "");
    }
    names.insert("pinned_libc".to_owned(), "");
    for set in sets(trees) {
        repositories.insert(format!("{}_{}", settings.repository, set.replace('-', "_")), set);
    }
    for tree in trees {
        let own = tree.plan.name.as_str();
        if let Some(other) = repositories.insert(repository(tree, settings), own) {
            return Err(format!(
                "{own} and {other} would have one repository, {}: rename one of them",
                repository(tree, settings)
            ));
        }
        // As in build_files.bzl.
        let suffixes: &[&str] = match tree.plan.spec.kind() {
            Kind::Cc => &["", "_toolchain", "_pinned_libc"],
            Kind::Library => &["", "_static"],
            Kind::Python => &["", "_files", "_headers", "_runtime"],
            Kind::Tool => &["", "_for_platform"],
            Kind::Packages => &[],
        };
        for suffix in suffixes {
            let name = format!("{own}{suffix}");
            if let Some(other) = names.insert(name.clone(), own).filter(|other| *other != own) {
                let other = if other.is_empty() { "the repository itself" } else { other };
                return Err(format!(
                    "{own} and {other} both want the name @{}//:{name}: rename the toolchain",
                    settings.repository
                ));
            }
        }
    }
    Ok(())
}

/// `gcc-x86_64-linux`: a tree within the emission.
fn key(tree: &LockedTree) -> String {
    format!("{}-{}", tree.plan.name, tree.plan.platform)
}

fn repository(tree: &LockedTree, settings: &BazelSettings) -> String {
    format!("{}_{}", settings.repository, key(tree).replace('-', "_"))
}

/// The start code as one file: what it includes stands in it.
fn start() -> String {
    let parts = [
        include_str!("../../launcher/sys.h"),
        include_str!("../../launcher/map.h"),
        include_str!("../../launcher/start.c"),
    ];
    let mut out = format!("// {MARK}\n\n");
    for line in parts.join("\n").lines().filter(|l| !l.starts_with("#include \"")) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn lock(trees: &[&LockedTree], settings: &BazelSettings) -> String {
    let up = "../".repeat(settings.dir.split('/').count());
    let mut out = format!(
        "\"\"\"What toolchains.lock pins.\n\n{MARK}\n\"\"\"\n\n# The repository that has a name for each toolchain.\nHUB = {:?}\n\n# The manifest, from this folder.\nMANIFEST = \"{up}{}\"\n\nTREES = {{\n",
        settings.repository,
        crate::manifest::FILE_NAME
    );
    for tree in trees {
        let plan = &tree.plan;
        let of_set = match plan.spec.kind() {
            Kind::Packages => format!(
                "\"python\": {:?}, \"set\": {:?}, ",
                first(plan, "python"),
                first(plan, "set")
            ),
            _ => String::new(),
        };
        writeln!(
            out,
            "    {:?}: {{\"kind\": {:?}, \"name\": {:?}, \"platform\": {:?}, {of_set}\"store\": {:?}, \"target\": {:?}}},",
            key(tree),
            plan.spec.kind().as_str(),
            plan.name.as_str(),
            plan.platform.as_str(),
            tree.output.store_name.as_str(),
            tree.plan.target().as_str()
        )
        .expect("writing to a string");
    }
    let packages: Vec<String> = trees
        .iter()
        .filter(|t| t.plan.spec.kind() == Kind::Packages)
        .map(|t| packages(t))
        .collect();
    out.push_str("}\n\n# The Python packages of each tree, with what they need of each other.\n");
    if packages.is_empty() {
        out.push_str("PACKAGES = {}\n");
    } else {
        write!(out, "PACKAGES = {{\n{}}}\n", packages.concat()).expect("writing to a string");
    }
    out.push_str("\n# The toolchains of this package, in the order in which they are registered.\nTOOLCHAINS = [\n");
    for name in toolchains(trees) {
        writeln!(out, "    {name:?},").expect("writing to a string");
    }
    out.push_str("]\n");
    out
}

/// What a set's name or interpreter is called in the lock; empty of other trees.
fn first<'a>(plan: &'a crate::lockfile::Plan, key: &str) -> &'a str {
    match (plan.spec.packages(), key) {
        (Some(set), "set") => set.set.as_str(),
        (Some(set), _) => set.interpreter.as_str(),
        (None, _) => "",
    }
}

/// The packages of a tree, one a line.
fn packages(tree: &LockedTree) -> String {
    let mut out = format!("    {:?}: {{\n", key(tree));
    for input in &tree.plan.inputs {
        let requires = &input.requires;
        let list = requires.iter().map(|r| format!("{r:?}")).collect::<Vec<_>>().join(", ");
        writeln!(out, "        {:?}: [{list}],", input.project().unwrap_or_default())
            .expect("writing to a string");
    }
    out + "    },\n"
}

/// The sets of Python packages.
fn sets<'a>(trees: &[&'a LockedTree]) -> std::collections::BTreeSet<&'a str> {
    trees
        .iter()
        .filter(|t| t.plan.spec.kind() == Kind::Packages)
        .map(|t| first(&t.plan, "set"))
        .collect()
}

/// The names of the toolchain targets. Of several interpreters or compilers for one platform Bazel takes the first.
fn toolchains(trees: &[&LockedTree]) -> Vec<String> {
    let mut out: Vec<String> = trees
        .iter()
        .filter(|t| matches!(t.plan.spec.kind(), Kind::Cc | Kind::Python))
        .map(|t| key(t))
        .collect();
    out.push("sh".to_owned());
    out
}

fn constraints(platform: Platform) -> String {
    format!("\"@platforms//cpu:{}\",\n        \"@platforms//os:linux\",", platform.cpu())
}

fn build(trees: &[&LockedTree], settings: &BazelSettings) -> String {
    let pythons: Vec<&str> = {
        let mut names: Vec<&str> = trees
            .iter()
            .filter(|t| t.plan.spec.kind() == Kind::Python)
            .map(|t| t.plan.name.as_str())
            .collect();
        names.dedup();
        names
    };
    let mut out = format!(
        "# {MARK}\n\nload(\"@bazel_tools//tools/sh:sh_toolchain.bzl\", \"sh_toolchain\")\n\npackage(default_visibility = [\"//visibility:public\"])\n\n\
         exports_files([\n    \"compile_packages.py\",\n    \"compile_stdlib.py\",\n    \"lock.bzl\",\n    \"run_pytest.py\",\n    \"run_unittest.py\",\n    \"sitecustomize.py\",\n    \"start.c\",\n])\n\n\
         constraint_setting(\n    name = \"libc\",\n    default_constraint_value = \":glibc\",\n)\n\n\
         constraint_value(\n    name = \"glibc\",\n    constraint_setting = \":libc\",\n)\n"
    );
    if pythons.len() > 1 {
        write!(out, "\n# Which interpreter: a platform says so, or else it is the first.\nconstraint_setting(\n    name = \"python_version\",\n    default_constraint_value = \":is_{}\",\n)\n", pythons[0]).expect("writing to a string");
        for python in &pythons {
            write!(out, "\nconstraint_value(\n    name = \"is_{python}\",\n    constraint_setting = \":python_version\",\n)\n").expect("writing to a string");
        }
    }
    let mut platforms: Vec<Platform> =
        trees.iter().flat_map(|t| [t.plan.platform, t.plan.target()]).collect();
    platforms.sort();
    platforms.dedup();
    for platform in platforms {
        let values = format!("\":glibc\",\n        {}", constraints(platform));
        write!(out, "\nplatform(\n    name = \"{platform}\",\n    constraint_values = [\n        {values}\n    ],\n)\n").expect("writing to a string");
        for python in pythons.iter().skip(1) {
            write!(out, "\nplatform(\n    name = \"{platform}-{python}\",\n    constraint_values = [\":is_{python}\"],\n    parents = [\":{platform}\"],\n)\n")
                .expect("writing to a string");
        }
    }
    for tree in trees {
        let repository = repository(tree, settings);
        let runs_on = constraints(tree.plan.platform);
        match tree.plan.spec.kind() {
            Kind::Cc => write!(
                out,
                "\ntoolchain(\n    name = \"{}\",\n    exec_compatible_with = [\n        {runs_on}\n    ],\n    target_compatible_with = [\n        {}\n    ],\n    \
                 toolchain = \"@{repository}//:cc_toolchain\",\n    toolchain_type = \"@bazel_tools//tools/cpp:toolchain_type\",\n)\n",
                key(tree),
                constraints(tree.plan.target())
            ),
            Kind::Python => {
                let which = if pythons.len() > 1 { format!("\":is_{}\",\n        ", tree.plan.name) } else { String::new() };
                write!(
                    out,
                    "\ntoolchain(\n    name = \"{}\",\n    target_compatible_with = [\n        {which}{runs_on}\n    ],\n    \
                     toolchain = \"@{repository}//:runtime_pair\",\n    toolchain_type = \"@bazel_tools//tools/python:toolchain_type\",\n)\n",
                    key(tree)
                )
            }
            Kind::Tool | Kind::Library | Kind::Packages => Ok(()),
        }
        .expect("writing to a string");
    }
    out.push_str(
        "\n# Bazel wants the shell of genrules and tests at an absolute path: the one thing that every machine must have, in one place.\n\
         sh_toolchain(\n    name = \"sh_path\",\n    path = \"/bin/bash\",\n)\n\n\
         toolchain(\n    name = \"sh\",\n    toolchain = \":sh_path\",\n    toolchain_type = \"@bazel_tools//tools/sh:toolchain_type\",\n)\n",
    );
    out
}

fn bazelrc(trees: &[&LockedTree], settings: &BazelSettings) -> String {
    let mut out = format!(
        "# {MARK}\n#\n# In the workspace's .bazelrc:\n#     import %workspace%/{}/cotter.bazelrc\n\n\
         # Trees are inputs as directories; Bazel is to look into them.\n\
         startup --host_jvm_args=-DBAZEL_TRACK_SOURCE_DIRECTORIES=1\n\n\
         # Nothing looks for compilers and shells of this machine.\n\
         build --incompatible_enable_cc_toolchain_resolution\n\
         build --repo_env=BAZEL_DO_NOT_DETECT_CPP_TOOLCHAIN=1\n\
         build --repo_env=BAZEL_SH=/bin/bash\n\n\
         # Nothing of the environment reaches an action.\n\
         build --incompatible_strict_action_env\n\n\
         # A /tmp for each action: for Bazel 6 and newer, where it is not the default: build --config=hermetic_tmp\n\
         build:hermetic_tmp --incompatible_sandbox_hermetic_tmp\n",
        settings.dir
    );
    if trees.iter().any(|t| t.plan.spec.kind() == Kind::Cc) {
        let flag = format!("--custom_malloc=@{}//:pinned_libc", settings.repository);
        let default = match settings.libc {
            Libc::Pinned => format!("build {flag}\n"),
            Libc::System => String::new(),
        };
        write!(out, "\n# Programs start with the loader and the libraries of the compiler's tree.\n{default}build:pinned_libc {flag}\n")
            .expect("writing to a string");
    }
    out
}

fn module(trees: &[&LockedTree], settings: &BazelSettings) -> String {
    let mut out = format!(
        "# {MARK}\n#\n# In MODULE.bazel, for Bazel 7.2 and newer:\n#     include(\"//{0}:cotter.MODULE.bazel\")\n# For 7.1 copy what follows.\n\n\
         bazel_dep(name = \"platforms\", version = \"0.0.9\")\n\n\
         cotter = use_extension(\"//{0}:extension.bzl\", \"cotter\")\nuse_repo(\n    cotter,\n    {1:?},\n",
        settings.dir, settings.repository
    );
    let mut repositories: Vec<String> = trees.iter().map(|t| repository(t, settings)).collect();
    repositories.extend(
        sets(trees).iter().map(|set| format!("{}_{}", settings.repository, set.replace('-', "_"))),
    );
    repositories.sort();
    for repository in repositories {
        writeln!(out, "    {repository:?},").expect("writing to a string");
    }
    out.push_str(")\n");
    if settings.register {
        out.push_str("\nregister_toolchains(\n");
        for name in toolchains(trees) {
            writeln!(out, "    \"//{}:{name}\",", settings.dir).expect("writing to a string");
        }
        out.push_str(")\n");
    }
    out
}

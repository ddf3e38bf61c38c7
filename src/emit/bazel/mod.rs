//! Emits a folder for Bazel: repository rules, toolchains and platforms, for WORKSPACE and for
//! bzlmod.
//!
//! This module writes what depends on the lock and on the settings. All other files are templates,
//! whose text is the same in every workspace.

mod entry;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use self::entry::Entry;
use self::settings::{BazelSettings, Libc};
use super::api::{Destination, Emission, Emitter, Files, Request};
use super::starlark::{Call, File, Value};
use crate::error::{Error, Result};
use crate::manifest::{Fields, Kind, Manifest, Problems};
use crate::model::Platform;

/// What every emitted file says in its first lines.
pub const MARK: &str = "Written by `cotter emit bazel`; what is changed here is lost.";

macro_rules! templates {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../templates/bazel/", $name)))),*]
    };
}

const TEMPLATES: &[(&str, &str)] = templates! {
    "BUILD.bazel"
    "build_files.bzl"
    "cc.bzl"
    "cc_features.bzl"
    "clang.bzl"
    "compile_packages.py"
    "compile_stdlib.py"
    "extension.bzl"
    "environment.c"
    "facts.bzl"
    "labels.bzl"
    "libraries.bzl"
    "package.bzl"
    "pinned_libc.bzl"
    "python.bzl"
    "python_packages.bzl"
    "repositories.bzl"
    "requirements.bzl"
    "rules_cc_loaded.bzl"
    "rules_cc_native.bzl"
    "rules_python_loaded.bzl"
    "rules_python_native.bzl"
    "run_coverage.py"
    "run_pytest.py"
    "run_unittest.py"
    "sitecustomize.py"
    "starlark.bzl"
    "tools.bzl"
    "workspace.bzl"
    "zig.bzl"
};

/// The emitter for Bazel.
#[derive(Debug)]
pub struct Bazel;

impl Emitter for Bazel {
    fn name(&self) -> &'static str {
        "bazel"
    }

    fn about(&self) -> &'static str {
        "A folder with repository rules and toolchains"
    }

    fn bind(
        &self,
        fields: Option<Fields>,
        manifest: &Manifest,
        problems: &mut Problems,
    ) -> Box<dyn Emission> {
        Box::new(match fields {
            Some(fields) => BazelSettings::read(fields, manifest, problems),
            None => BazelSettings::default(),
        })
    }
}

impl Emission for BazelSettings {
    fn destination(&self) -> Destination<'_> {
        Destination::Folder(&self.dir)
    }

    fn mark(&self, _name: &str) -> Option<&'static str> {
        Some(MARK)
    }

    fn files(&self, request: &mut Request) -> Result<Files> {
        let all = Entry::all(request.lock);
        let entries: Vec<&Entry> = match &self.toolchains {
            None => all.iter().collect(),
            Some(names) => {
                let mut wanted: BTreeSet<&str> = names.iter().map(|n| n.as_str()).collect();
                // An emitted toolchain cannot be used without the toolchains that it uses.
                let named = all.iter().filter(|e| wanted.iter().any(|name| e.is_named(name)));
                let used: Vec<&str> = named.flat_map(|e| e.uses.iter().copied()).collect();
                wanted.extend(used);
                all.iter().filter(|e| wanted.iter().any(|name| e.is_named(name))).collect()
            }
        };
        if entries.is_empty() {
            let error = Error::user("the lock names no toolchain that is to be emitted");
            return Err(match &self.toolchains_place {
                Some(place) => error
                    .located(place.clone())
                    .hint("name a toolchain of the lock, or leave `toolchains` out to emit all"),
                None => error,
            });
        }
        check_names(&entries, self)?;
        for set in
            entries.iter().filter_map(|entry| entry.set.as_ref()).filter(|set| set.has_libraries)
        {
            request.notes.push(format!(
                "{}: a py_binary of Bazel does not search its `libraries`: add their packages to `packages` of [toolchains.{}] for it",
                set.name, set.python
            ));
        }
        let mut files = Files::new();
        for (name, text) in TEMPLATES {
            let comment = if name.ends_with(".c") { "//" } else { "#" };
            files.insert((*name).to_owned(), format!("{comment} {MARK}\n\n{text}"));
        }
        files.insert("start.c".to_owned(), start());
        files.insert("lock.bzl".to_owned(), lock(&entries, self));
        files.insert("rules.bzl".to_owned(), rules(self));
        files.insert("cotter.bazelrc".to_owned(), bazelrc(&entries, self));
        files.insert("cotter.MODULE.bazel".to_owned(), module(&entries, self));
        Ok(files)
    }
}

/// Checks that no two trees have the same repository, and that no two targets of the hub have the
/// same name.
fn check_names(entries: &[&Entry], settings: &BazelSettings) -> Result<()> {
    let mut repositories = BTreeMap::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for platform in Platform::ALL {
        names.insert(platform.as_str().to_owned(), "");
    }
    // The names must agree with build_files.bzl.
    for name in ["pinned_libc", "sh_toolchain_type"] {
        names.insert(name.to_owned(), "");
    }
    for set in sets(entries) {
        repositories.insert(repository(set, settings), set);
    }
    for entry in entries {
        let (own, repository) = (entry.name, repository(&entry.key(), settings));
        if let Some(other) = repositories.insert(repository.clone(), own) {
            return Err(Error::user(format!(
                "{own} and {other} would have one repository, {repository}: rename one of them"
            )));
        }
        // The suffixes must agree with build_files.bzl.
        let suffixes: &[&str] = match entry.kind {
            Kind::Cc => &["", "_toolchain", "_pinned_libc"],
            Kind::Library => &["", "_static"],
            Kind::Python => &["", "_files", "_headers", "_runtime"],
            Kind::Tool => &["", "_for_platform"],
            Kind::Sysroot => &[""],
            Kind::Packages => &[],
        };
        for suffix in suffixes {
            let name = format!("{own}{suffix}");
            if let Some(other) = names.insert(name.clone(), own).filter(|other| *other != own) {
                let other = if other.is_empty() { "the repository itself" } else { other };
                return Err(Error::user(format!(
                    "{own} and {other} both want the name @{}//:{name}: rename the toolchain",
                    settings.repository
                )));
            }
        }
    }
    Ok(())
}

/// Returns the name of the repository of a tree, from its key, or of a set of packages, from its
/// name.
fn repository(of: &str, settings: &BazelSettings) -> String {
    format!("{}_{}", settings.repository, of.replace('-', "_"))
}

/// Returns the names of the sets of Python packages.
fn sets<'a>(entries: &[&'a Entry]) -> BTreeSet<&'a str> {
    entries.iter().filter_map(|e| e.set.as_ref()).map(|set| set.name).collect()
}

/// Returns the names of the toolchain targets. If there are several interpreters or compilers for a
/// platform, Bazel takes the first one.
fn toolchains(entries: &[&Entry]) -> Vec<String> {
    let mut out: Vec<String> = entries
        .iter()
        .filter(|e| matches!(e.kind, Kind::Cc | Kind::Python))
        .map(|e| e.key())
        .collect();
    out.push("sh".to_owned());
    out
}

/// Returns the start code as a single file, in which each `#include` is replaced by the text of the
/// file. A rule puts the place of the run-time files in the place of `@COTTER_RUNTIME@`.
fn start() -> String {
    let parts = [
        include_str!("../../../launcher/sys.h"),
        include_str!("../../../launcher/map.h"),
        include_str!("../../../launcher/start.c"),
    ];
    let mut out = format!("// {MARK}\n\n#define COTTER_RUNTIME \"@COTTER_RUNTIME@\"\n\n");
    for line in parts.join("\n").lines().filter(|l| !l.starts_with("#include \"")) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn lock(entries: &[&Entry], settings: &BazelSettings) -> String {
    let up = "../".repeat(settings.dir.split('/').count());
    let tree = |entry: &&Entry| {
        let mut facts = vec![
            ("kind", entry.kind.as_str()),
            ("name", entry.name),
            ("platform", entry.platform.as_str()),
            ("store", entry.store_name),
            ("target", entry.target.as_str()),
        ];
        if let Some(set) = &entry.set {
            facts.extend([("python", set.python), ("set", set.name)]);
        }
        facts.sort_unstable();
        let facts = facts.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
        (entry.key(), Value::Dict(facts.collect()))
    };
    let packages = |entry: &&Entry| {
        let list = entry.set.as_ref()?.packages.iter().map(|(name, requires)| {
            ((*name).to_owned(), requires.iter().map(String::as_str).collect())
        });
        Some((entry.key(), Value::TallDict(list.collect())))
    };
    File::new()
        .doc(&format!("What toolchains.lock pins.\n\n{MARK}"))
        .comment("The package of these files.")
        .assign("FOLDER", format!("//{}", settings.dir))
        .comment("The repository that contains a name for each toolchain.")
        .assign("HUB", settings.repository.as_str())
        .comment("The path of the manifest, relative to this folder.")
        .assign("MANIFEST", format!("{up}{}", crate::manifest::FILE_NAME))
        .assign("TREES", Value::TallDict(entries.iter().map(tree).collect()))
        .comment("The Python packages of each tree, each with the packages that it needs.")
        .assign("PACKAGES", Value::TallDict(entries.iter().filter_map(packages).collect()))
        .comment("The toolchains of this package, in the order in which they are registered.")
        .assign(
            "TOOLCHAINS",
            Value::TallList(toolchains(entries).into_iter().map(Value::from).collect()),
        )
        .render()
}

/// Returns the file of the rules by which the targets of the trees are made. They are loaded from
/// the repository of the toolchain names, which knows their origin.
fn rules(settings: &BazelSettings) -> String {
    let file = |language: &str| format!("@{}//:rules_{language}.bzl", settings.repository);
    File::new()
        .doc(&format!(
            "The rules for C++ and Python: those of the modules rules_cc and rules_python if the main module names them, and Bazel's own otherwise.\n\n{MARK}"
        ))
        .load(&file("cc"), &[("_cc", "cc")])
        .load(&file("python"), &[("_py", "py")])
        .assign("cc", Value::Name("_cc"))
        .assign("py", Value::Name("_py"))
        .render()
}

fn bazelrc(entries: &[&Entry], settings: &BazelSettings) -> String {
    let mut out = format!(
        "# {MARK}\n#\n# In the workspace's .bazelrc:\n#     import %workspace%/{}/cotter.bazelrc\n\n\
         # Trees are inputs as directories. This makes Bazel track their content.\n\
         startup --host_jvm_args=-DBAZEL_TRACK_SOURCE_DIRECTORIES=1\n\n\
         # Bazel does not search for compilers and shells of this machine.\n\
         build --incompatible_enable_cc_toolchain_resolution\n\
         build --repo_env=BAZEL_DO_NOT_DETECT_CPP_TOOLCHAIN=1\n\
         build --repo_env=BAZEL_SH=/bin/bash\n\n\
         # Actions do not see the environment of the user.\n\
         build --incompatible_strict_action_env\n\n\
         # A separate /tmp for each action, for versions of Bazel since 6 in which it is not the default: build --config=hermetic_tmp\n\
         build:hermetic_tmp --incompatible_sandbox_hermetic_tmp\n",
        settings.dir
    );
    if entries.iter().any(|e| e.kind == Kind::Cc) {
        let flag = format!("--custom_malloc=@{}//:pinned_libc", settings.repository);
        out.push_str("\n# Programs use the loader and the libraries of the compiler's tree.\n");
        if settings.libc == Libc::Pinned {
            out.push_str(&format!("build {flag}\n"));
        }
        out.push_str(&format!("build:pinned_libc {flag}\n"));
        out.push_str(
            "\n# All programs are linked statically, including tests, which Bazel would otherwise link with shared libraries.\n\
             build:fully_static --features=fully_static_link --dynamic_mode=off\n",
        );
    }
    out
}

fn module(entries: &[&Entry], settings: &BazelSettings) -> String {
    let mut repositories: Vec<String> =
        entries.iter().map(|e| repository(&e.key(), settings)).collect();
    repositories.extend(sets(entries).iter().map(|set| repository(set, settings)));
    repositories.sort();
    repositories.insert(0, settings.repository.clone());
    let extension =
        Call::new("use_extension").arg(format!("//{}:extension.bzl", settings.dir)).arg("cotter");
    let mut file = File::new()
        .comment(&format!(
            "{MARK}\n\nIn MODULE.bazel, for Bazel 7.2 and newer:\n    include(\"//{0}:cotter.MODULE.bazel\")\nFor Bazel 7.1, copy the lines below.",
            settings.dir
        ))
        .paragraph()
        .assign("cotter", extension)
        .call(Call::tall("use_repo").arg(Value::Name("cotter")).args(repositories));
    if settings.register {
        let labels =
            toolchains(entries).into_iter().map(|name| format!("//{}:{name}", settings.dir));
        file = file.call(Call::tall("register_toolchains").args(labels));
    }
    file.render()
}

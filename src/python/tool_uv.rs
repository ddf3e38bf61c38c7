//! The table `[tool.uv]` of a `pyproject.toml`. Source: uv's reference of settings.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize, Default)]
pub(super) struct Uv {
    #[serde(default)]
    pub(super) sources: BTreeMap<Spanned<String>, toml::Value>,
    pub(super) workspace: Option<toml::Value>,
    #[serde(default, rename = "index")]
    pub(super) indexes: Vec<NamedIndex>,
    #[serde(default, rename = "constraint-dependencies")]
    pub(super) constraints: Vec<Spanned<String>>,
    #[serde(default, rename = "override-dependencies")]
    pub(super) overrides: Vec<Spanned<String>>,
    #[serde(rename = "dev-dependencies")]
    pub(super) old_dev_group: Option<toml::Value>,
    #[serde(rename = "required-version")]
    pub(super) required_version: Option<Spanned<String>>,
    #[serde(default, rename = "dependency-groups")]
    pub(super) groups: BTreeMap<String, GroupSettings>,
    #[serde(rename = "exclude-newer")]
    pub(super) exclude_newer: Option<Spanned<toml::Value>>,
    pub(super) prerelease: Option<Spanned<toml::Value>>,
    pub(super) resolution: Option<Spanned<toml::Value>>,
    #[serde(rename = "exclude-dependencies")]
    pub(super) exclude_dependencies: Option<Spanned<toml::Value>>,
    #[serde(rename = "dependency-metadata")]
    pub(super) dependency_metadata: Option<Spanned<toml::Value>>,
    #[serde(rename = "no-index")]
    pub(super) no_index: Option<Spanned<toml::Value>>,
    #[serde(rename = "find-links")]
    pub(super) find_links: Option<Spanned<toml::Value>>,
    #[serde(rename = "no-binary")]
    pub(super) no_binary: Option<Spanned<toml::Value>>,
    #[serde(rename = "no-binary-package")]
    pub(super) no_binary_package: Option<Spanned<toml::Value>>,
    pub(super) environments: Option<Spanned<toml::Value>>,
    #[serde(rename = "required-environments")]
    pub(super) required_environments: Option<Spanned<toml::Value>>,
    #[serde(rename = "fork-strategy")]
    pub(super) fork_strategy: Option<Spanned<toml::Value>>,
    #[serde(rename = "index-strategy")]
    pub(super) index_strategy: Option<Spanned<toml::Value>>,
    #[serde(rename = "build-constraint-dependencies")]
    pub(super) build_constraints: Option<Spanned<toml::Value>>,
    #[serde(rename = "exclude-newer-package")]
    pub(super) exclude_newer_package: Option<Spanned<toml::Value>>,
    #[serde(rename = "no-sources")]
    pub(super) no_sources: Option<Spanned<toml::Value>>,
    pub(super) pip: Option<Spanned<toml::Value>>,
    #[serde(rename = "index-url")]
    pub(super) index_url: Option<Spanned<toml::Value>>,
    #[serde(rename = "extra-index-url")]
    pub(super) extra_index_url: Option<Spanned<toml::Value>>,
}

impl Uv {
    /// Returns the keys that change a resolution and that this program does not read, each with the
    /// next step. Source: uv's reference of settings.
    pub(super) fn unread(
        &self,
    ) -> [(&'static str, &Option<Spanned<toml::Value>>, &'static str); 17] {
        let build = "name the packages as `build` in the manifest";
        [
            ("exclude-newer", &self.exclude_newer, "state it as `exclude_newer` in the manifest"),
            ("prerelease", &self.prerelease, "name the pre-release: \"lib>=2.0rc1\""),
            ("resolution", &self.resolution, "name the versions in `constraint-dependencies`"),
            ("exclude-dependencies", &self.exclude_dependencies, "leave it out"),
            ("dependency-metadata", &self.dependency_metadata, "leave it out"),
            ("no-index", &self.no_index, "leave it out: a lock names files of an index"),
            (
                "find-links",
                &self.find_links,
                "put the files into an index, and name it by `[mirrors] python` in the manifest",
            ),
            ("no-binary", &self.no_binary, build),
            ("no-binary-package", &self.no_binary_package, build),
            (
                "environments",
                &self.environments,
                "leave it out: the manifest states the platforms, as `platforms`",
            ),
            (
                "required-environments",
                &self.required_environments,
                "leave it out: the manifest states the platforms, as `platforms`, and each must have a wheel of every package",
            ),
            (
                "fork-strategy",
                &self.fork_strategy,
                "leave it out: one interpreter is locked at a time, so that there is no fork for versions of Python",
            ),
            (
                "index-strategy",
                &self.index_strategy,
                "leave it out: the first index that has a project supplies it; `[mirrors] python` in the manifest states their order",
            ),
            (
                "build-constraint-dependencies",
                &self.build_constraints,
                "state the versions in `build_requires` in the manifest",
            ),
            (
                "exclude-newer-package",
                &self.exclude_newer_package,
                "state one time for all packages, as `exclude_newer` in the manifest",
            ),
            ("no-sources", &self.no_sources, "leave it out, and the table `sources` too"),
            (
                "pip",
                &self.pip,
                "leave [tool.uv.pip] out: its keys are for `uv pip` alone, and the manifest states what a set is locked for",
            ),
        ]
    }
}

#[derive(Deserialize)]
pub(super) struct GroupSettings {
    #[serde(rename = "requires-python")]
    pub(super) requires_python: Option<Spanned<String>>,
}

#[derive(Deserialize)]
pub(super) struct NamedIndex {
    pub(super) name: Option<String>,
    pub(super) url: Spanned<String>,
    #[serde(default)]
    pub(super) explicit: bool,
}

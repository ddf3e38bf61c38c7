//! The recipe for Python packages that are installed together: `bin`,
//! `lib/python3.x/site-packages`, and `packages.json`, which records the files of each package.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;

use super::api::{Active, Recipe};
use super::layers::Layers;
use super::notes::Notes;
use super::prune::Pruning;
use crate::environment::{IMPORTS, LIBRARIES_VARIABLE, Variables};
use crate::error::{Error, Result};
use crate::facts::{Facts, PackagesFacts};
use crate::lockfile::Plan;
use crate::model::{Kind, MemberPath, PACKAGES_INDEX as INDEX, Platform};
use crate::python::wheel;
use crate::relocate::libraries;
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Packages;

impl Recipe for Packages {
    fn name(&self) -> &'static str {
        "packages"
    }

    fn version(&self) -> u32 {
        2
    }

    fn kind(&self) -> Kind {
        Kind::Packages
    }

    /// Nothing is left out, because a package must find every file that its RECORD names.
    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![]
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        _: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let mut tree = layers.tree;
        finish(plan, &mut tree, blobs)?;
        notes.unresolved = libraries::lacking(&tree, plan.platform)?;
        Ok(tree)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        let root = tree.path.display();
        environment.path(format!("{root}/bin"));
        // The directory of a user is a site directory: unlike those of `PYTHONPATH`, its `.pth` files
        // are read, it comes behind the standard library, and virtual environments do not see it.
        environment.set_site(root.to_string());
        for directory in &tree.imports {
            environment.list(IMPORTS, directory.clone());
        }
        for directory in library_directories(tree.platform, &tree.libraries) {
            environment.list(LIBRARIES_VARIABLE, directory.display().to_string());
        }
    }

    /// Two sets on one search path would hide each other's packages.
    fn excludes_its_like(&self) -> bool {
        true
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let Some(Node::File { blob, .. }) = tree.at(INDEX) else {
            return Err(Error::build(format!("the tree of {} holds no {INDEX}", plan.name)));
        };
        let facts: PackagesFacts = serde_json::from_slice(&blob.read()?)
            .map_err(|e| Error::build(format!("can't read {INDEX} of {}", plan.name)).cause(&e))?;
        Ok(Facts::Packages(facts))
    }
}

/// Returns the directories of libraries in trees that a set of packages names, as its interpreter searches
/// them.
pub fn library_directories(platform: Platform, trees: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let main = format!("usr/lib/{}", platform.multiarch());
    trees.iter().flat_map(move |tree| [tree.join(&main), tree.join("usr/lib")])
}

/// Adds the index, and puts an empty file in the place of each `__pycache__` (see the recipe of
/// interpreters).
///
/// # Errors
/// If a staged file cannot be read or written.
fn finish(plan: &Plan, tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let site = crate::model::site_packages(&plan.version);
    let mut packages = BTreeMap::new();
    // The packages that own files in each directory.
    let mut owners: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut files: Vec<(String, usize)> = vec![];
    // Only directly below the directory of packages, because some packages contain copies of
    // others.
    let is_info = |dir: &MemberPath| {
        dir.file_name().ends_with(".dist-info") && dir.parent().is_some_and(|d| d.as_str() == site)
    };
    let infos = tree.paths(|path, _| {
        path.file_name() == "RECORD" && path.parent().as_ref().is_some_and(is_info)
    });
    for (number, record) in infos.iter().enumerate() {
        let info = record.parent().expect("it has a name behind it");
        let read = |member: &str| -> Result<String> {
            match tree.at(&format!("{info}/{member}")) {
                Some(Node::File { blob, .. }) => {
                    Ok(String::from_utf8_lossy(&blob.read()?).into_owned())
                }
                _ => Ok(String::new()),
            }
        };
        let metadata = read("METADATA")?;
        let name =
            crate::model::normalize_project(wheel::header(&metadata, "Name").unwrap_or_default());
        let record = read("RECORD")?;
        for row in
            csv::ReaderBuilder::new().has_headers(false).from_reader(record.as_bytes()).records()
        {
            let row = row
                .map_err(|e| Error::build(format!("can't read the RECORD of {name}")).cause(&e))?;
            let relative = row.get(0).unwrap_or("");
            let outside = relative.trim_start_matches("../");
            let path =
                if outside == relative { format!("{site}/{relative}") } else { outside.to_owned() };
            let mut dir = path.as_str();
            while let Some((parent, _)) = dir.rsplit_once('/') {
                owners.entry(parent.to_owned()).or_default().insert(number);
                dir = parent;
            }
            files.push((path, number));
        }
        packages.insert(
            name,
            (
                number,
                wheel::header(&metadata, "Version").unwrap_or_default().to_owned(),
                wheel::scripts(&read("entry_points.txt")?),
            ),
        );
    }
    // For each file, record the highest directory that belongs to its package alone. The top-level
    // directories, which every environment shares, are never recorded.
    let shared = ["bin", "lib", "include", "share", "etc"];
    let mut entries: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (path, number) in files {
        let mut end = 0;
        let mut entry = path.as_str();
        while let Some(slash) = path[end..].find('/') {
            end += slash + 1;
            let dir = &path[..end - 1];
            if owners[dir].len() == 1 && !shared.contains(&dir) && !site.starts_with(dir) {
                entry = dir;
                break;
            }
        }
        entries.entry(number).or_default().insert(entry.to_owned());
    }
    let list: serde_json::Map<String, serde_json::Value> = packages
        .into_iter()
        .map(|(name, (number, version, scripts))| {
            (name, json!({ "entries": entries.remove(&number).unwrap_or_default(), "scripts": scripts, "version": version }))
        })
        .collect();
    let text = format!("{:#}\n", json!({ "packages": list, "python": plan.version }));
    tree.put(
        MemberPath::literal(INDEX),
        Node::File { blob: blobs.put(text.as_bytes())?, executable: false },
    );
    super::python::occupy_caches(tree, blobs, "lib")
}

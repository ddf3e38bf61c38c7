//! Builds source distributions into wheels with the pinned interpreter and the pinned tools, in a
//! sandbox without network access and at a fixed path. Sources: PEP 517 and PEP 518 (the hooks),
//! PEP 625 (file names), namespaces(7).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{Built, Input, WheelName, normalize_project};
use crate::sandbox::{
    EPOCH, Ended, Job, JobOutcome, Printed, Quota, SealedView, Surroundings, SystemView, View,
    unpacked,
};
use crate::tree::{BlobDir, Node, Tree};
use crate::unpack::{CaseCollisions, Limits, TarOptions, decoder_for, unpack_tar, unpack_zip};

/// Calls the build backend, within the sandbox.
const PROGRAM: &str = include_str!("build_wheel.py");

/// How the build of a wheel ended.
pub enum WheelBuild {
    /// The path of the wheel, and its name, size and digest.
    Made(PathBuf, Built),
    /// The build failed.
    Failed {
        /// How it ended.
        ended: Ended,
        /// The last lines that it printed.
        said: Vec<String>,
        /// What it left, if that is kept.
        left: Option<Result<Tree>>,
        /// The variables with which it ran.
        env: BTreeMap<String, String>,
        /// The text of what ran.
        script: &'static str,
    },
}

/// The environment of a build.
pub struct Builder<'a> {
    /// The tree of the interpreter.
    pub python: &'a Path,
    /// The tree of the packages that the build may import.
    pub requires: Option<&'a Path>,
    /// The version of the interpreter, such as `3.11`.
    pub version: &'a str,
    /// The trees of tools by name, including compilers, in the order of PATH.
    pub tools: &'a [(String, PathBuf)],
    /// Variables that tell the build where the compilers are. Values below a tree of `tools` are
    /// rewritten to the location of that tree in the sandbox.
    pub env: &'a BTreeMap<String, String>,
    /// The working directory.
    pub scratch: &'a Path,
    /// Where what a build prints goes.
    pub printed: &'a Printed<'a>,
    /// How much of the machine the build may use.
    pub limits: Quota,
    /// What the build could see of the machine.
    pub surroundings: &'a Surroundings,
}

impl Builder<'_> {
    /// Builds the wheel of a project from the source distribution at `sdist`, which is called
    /// `name`.
    ///
    /// # Errors
    /// If the build cannot begin, or if it succeeds without a wheel.
    pub fn build(&self, sdist: &Path, name: &str, project: &str) -> Result<WheelBuild> {
        let work = self.scratch.join(format!("build-{name}"));
        let made = |e, path: &Path| Error::at("make", path, e);
        let source = work.join("source");
        fs::create_dir_all(&source).map_err(|e| made(e, &source))?;
        self.unpack(sdist, name, &source)?;

        let mut trees = BTreeMap::from([("python".to_owned(), self.python.to_owned())]);
        let mut path = vec![];
        let mut env = BTreeMap::from([
            ("CFLAGS".to_owned(), "-g0".to_owned()),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
            ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
            ("SOURCE_DATE_EPOCH".to_owned(), EPOCH.to_string()),
        ]);
        if let Some(requires) = self.requires {
            trees.insert("requires".to_owned(), requires.to_owned());
            env.insert(
                "PYTHONPATH".to_owned(),
                format!("/cotter/requires/{}", crate::model::site_packages(self.version)),
            );
        }
        for (name, tree) in self.tools {
            trees.insert(format!("tool-{name}"), tree.clone());
            path.push(format!("tool-{name}"));
        }
        for (key, value) in self.env {
            let inside = |value: String, (name, tree): &(String, PathBuf)| {
                value.replace(&tree.display().to_string(), &format!("/cotter/tool-{name}"))
            };
            env.insert(key.clone(), self.tools.iter().fold(value.clone(), inside));
        }
        path.push("python".to_owned());
        env.extend(SealedView::environment(&path));
        let python = "/cotter/python/bin/python3";
        let job = Job {
            view: View::Sealed(Box::new(SealedView {
                trees,
                source,
                directory: String::new(),
                result: "wheel".to_owned(),
                env: env.clone(),
                limits: self.limits,
                gateway: false,
                terminal: false,
                system: SystemView::default(),
                surroundings: self.surroundings.clone(),
            })),
            command: [python, "-c", PROGRAM].map(str::to_owned).into(),
        };
        let blobs = BlobDir::create(work.join("wheel"))?;
        let limits = Limits { entries: 1000, bytes: self.limits.space };
        let outcome = job.run(self.printed, unpacked(&blobs, limits));
        let outcome = outcome.map_err(|e| e.context(format!("can't build a wheel of {name}")))?;
        let JobOutcome { ended, result, left, said } = outcome;
        let Some(made) = result else {
            return Ok(WheelBuild::Failed { ended, said, left, env, script: PROGRAM });
        };
        let files: Vec<_> = made.iter().collect();
        let [(path, Node::File { blob, .. })] = files.as_slice() else {
            return Err(Error::build(format!(
                "the build of {name} was to make one wheel of {project}, and left {} files",
                files.len()
            )));
        };
        let file = path.as_str().to_owned();
        if WheelName::parse(&file).is_none_or(|w| normalize_project(w.project) != project) {
            return Err(Error::build(format!(
                "the build of {name} was to make one wheel of {project}, and left {file}"
            )));
        }
        let built = Built { file, size: blob.size(), sha256: *blob.sha256() };
        Ok(WheelBuild::Made(blob.path().to_owned(), built))
    }

    /// Unpacks the archive below `to`, without its top-level directory.
    fn unpack(&self, sdist: &Path, name: &str, to: &Path) -> Result<()> {
        let blobs = BlobDir::create(to.with_extension("blobs"))?;
        let file = fs::File::open(sdist).map_err(|e| Error::at("read", sdist, e))?;
        let size = file.metadata().map_err(|e| Error::at("read", sdist, e))?.len();
        let limits = Limits::for_archive(size);
        let tree = if name.ends_with(".zip") {
            unpack_zip(file, 1, limits, &blobs)
        } else {
            let mut decoder = decoder_for(name, file)?;
            unpack_tar(
                &mut decoder,
                &blobs,
                &TarOptions {
                    strip: 1,
                    cases: CaseCollisions::Allow,
                    may_be_empty: false,
                    limits,
                    map: &Some,
                },
            )
        };
        let tree = tree.map_err(|e| e.context(format!("can't unpack {name}")))?;
        let write = |e| Error::at("write", to, e);
        for (path, node) in tree.iter() {
            let at = to.join(path.as_str());
            if let Some(dir) = at.parent() {
                fs::create_dir_all(dir).map_err(write)?;
            }
            match node {
                Node::Directory => fs::create_dir_all(&at).map_err(write)?,
                Node::Symlink(target) => std::os::unix::fs::symlink(target, &at).map_err(write)?,
                Node::File { blob, executable } => {
                    use std::os::unix::fs::PermissionsExt;
                    fs::copy(blob.path(), &at).map_err(write)?;
                    fs::set_permissions(
                        &at,
                        std::fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 }),
                    )
                    .map_err(write)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the error for a source distribution whose wheel is not available.
pub fn not_built(plan: &Plan, input: &Input) -> Error {
    Error::build(format!("{} of {} has not been built", input.file_name(), plan.name))
        .hint("run `cotter setup`")
}

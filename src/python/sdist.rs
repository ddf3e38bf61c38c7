//! Builds source distributions into wheels with the pinned interpreter and the pinned tools, in a
//! sandbox without network access and at a fixed path. Sources: PEP 517 and PEP 518 (the hooks),
//! PEP 625 (file names), namespaces(7).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::json;

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{Built, HashingReader, Input, WheelName, normalize_project};

const PROGRAM: &str = include_str!("build_sdist.py");

/// The time that builds see, in seconds since the epoch: 1980-01-01, the earliest time that a zip
/// file can store.
const EPOCH: &str = "315532800";

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
}

impl Builder<'_> {
    /// Builds the wheel of a project from the source distribution at `sdist`, which is called
    /// `name`. Returns the path of the wheel, and its name, size and digest.
    ///
    /// # Errors
    /// If the build fails. The message contains the last lines of its output.
    pub fn build(&self, sdist: &Path, name: &str, project: &str) -> Result<(PathBuf, Built)> {
        let work = self.scratch.join(format!("build-{name}"));
        let made = |e, path: &Path| Error::at("make", path, e);
        let (source, wheel) = (work.join("source"), work.join("wheel"));
        fs::create_dir_all(&wheel).map_err(|e| made(e, &wheel))?;
        fs::create_dir_all(&source).map_err(|e| made(e, &source))?;
        self.unpack(sdist, name, &source)?;

        let mut trees = BTreeMap::from([("python".to_owned(), self.python.to_owned())]);
        let mut path = vec![];
        let mut env = BTreeMap::from([
            ("CFLAGS".to_owned(), "-g0".to_owned()),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
            ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
            ("SOURCE_DATE_EPOCH".to_owned(), EPOCH.to_owned()),
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
        let job = work.join("job.json");
        let program = work.join("build_sdist.py");
        let text = json!({ "trees": trees, "work": work, "env": env, "path": path }).to_string();
        fs::write(&job, text)
            .and_then(|()| fs::write(&program, PROGRAM))
            .map_err(|e| made(e, &job))?;
        let mut command = Command::new(self.python.join("bin/python3"));
        command.arg("-I").arg(&program).arg(&job).env_clear().stdin(Stdio::null());
        let output = command
            .output()
            .map_err(|e| Error::build("can't start the pinned interpreter").cause(&e))?;
        if !output.status.success() {
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
            let error = Error::build(format!("can't build a wheel of {name}"));
            return Err(lines[lines.len().saturating_sub(15)..]
                .iter()
                .fold(error, |e, line| e.because((*line).to_owned()))
                .hint("what its build imports goes into `build_requires` of the set, the compiler and other tools into `build_tools`"));
        }
        // The build result may be as hostile as any download: accept only one regular file with the
        // right name.
        let left: Vec<PathBuf> = fs::read_dir(&wheel)
            .map_err(|e| made(e, &wheel))?
            .filter_map(|e| Some(e.ok()?.path()))
            .collect();
        let is_wheel = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
                && WheelName::parse(&file).is_some_and(|w| normalize_project(w.project) == project)
        };
        let path = match left.as_slice() {
            [one] if is_wheel(one) => one.clone(),
            _ => {
                return Err(Error::build(format!(
                    "the build of {name} was to make one wheel of {project}, and left {} files",
                    left.len()
                )));
            }
        };
        let file = fs::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        let (size, sha256) =
            HashingReader::new(file).finish().map_err(|e| Error::at("read", &path, e))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((path, Built { file, size, sha256 }))
    }

    /// Unpacks the archive below `to`, without its top-level directory.
    fn unpack(&self, sdist: &Path, name: &str, to: &Path) -> Result<()> {
        use crate::tree::{BlobDir, Node};
        use crate::unpack::{
            CaseCollisions, Limits, TarOptions, decoder_for, unpack_tar, unpack_zip,
        };

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

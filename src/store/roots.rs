//! Roots record which project uses which trees. There is one small file for each project, which
//! `setup` writes. A root is also the shortcut that saves `exec`, and a `setup` with nothing to do,
//! from reading the lock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Store, owner};
use crate::error::{Error, Result};
use crate::model::{Digest, Platform, StoreName, ToolchainName};

const HEADER: &str = "cotter root 3";
/// The headers of the roots that older versions of cotter wrote. Those of the first version contain
/// a tree's kind where newer roots contain its recipe, and neither contains the lines below a tree.
const OLD_HEADERS: [&str; 2] = ["cotter root 1", "cotter root 2"];

/// The state of a file, by which a change is noticed without reading the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    /// Returns the stamp of a file, or `None` if the file does not exist.
    pub fn of(path: &Path) -> Option<Stamp> {
        let m = std::fs::metadata(path).ok()?;
        Some(Stamp { modified: (m.mtime(), m.mtime_nsec()), size: m.len(), inode: m.ino() })
    }

    fn parse(text: &str) -> Option<Stamp> {
        let mut words = text.split(' ');
        let mut next = || words.next()?.parse::<i64>().ok();
        Some(Stamp {
            modified: (next()?, next()?),
            size: u64::try_from(next()?).ok()?,
            inode: u64::try_from(next()?).ok()?,
        })
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.modified.0, self.modified.1, self.size, self.inode)
    }
}

/// The root of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The path of the project's manifest. The root is removed when the manifest no longer exists.
    pub project: PathBuf,
    /// The stamp of the manifest.
    pub manifest: Stamp,
    /// The stamp of the lock.
    pub lock: Stamp,
    /// The platforms for which `trees` contains all trees of a lock that was checked against the
    /// manifest: nothing is left to do for them.
    pub complete: Vec<Platform>,
    /// The stamps of the other files against which the lock was checked: the files that state which
    /// Python packages are required.
    pub inputs: Vec<(PathBuf, Stamp)>,
    /// The stamps of the files that were emitted from the lock for other tools. A file that is not
    /// as it should be has the default stamp, which no file has.
    pub emitted: Vec<(PathBuf, Stamp)>,
    /// The trees that were set up.
    pub trees: Vec<RootTree>,
}

/// A tree of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootTree {
    /// The toolchain.
    pub name: ToolchainName,
    /// The name of the recipe that made it.
    pub recipe: String,
    /// The platform.
    pub platform: Platform,
    /// The tree.
    pub store_name: StoreName,
    /// The length of its NAR in bytes.
    pub nar_size: u64,
    /// Its version, for messages.
    pub version: String,
    /// The platform for which its programs produce code, if it is a compiler. Otherwise its own.
    pub target: Platform,
    /// The trees that its programs need to run, such as the interpreter of a set of packages.
    pub run: Vec<ToolchainName>,
    /// The variables that the manifest sets for it.
    pub env: BTreeMap<String, String>,
    /// The directories of the project whose modules it imports, relative to that of the manifest.
    pub editable: Vec<String>,
    /// The packages that the manifest names, and those to which metapackages among them lead.
    pub named: Vec<String>,
    /// The path of a Nix store from whose closure it was made. `gc` keeps that closure, too.
    pub closure: Option<StoreName>,
}

impl Root {
    fn render(&self) -> String {
        let mut out = String::new();
        let complete: String = self.complete.iter().map(|p| format!(" {p}")).collect();
        let _ = writeln!(
            out,
            "{HEADER}
project {}
manifest {}
lock {}
complete{complete}",
            self.project.display(),
            self.manifest,
            self.lock
        );
        for (word, files) in [("input", &self.inputs), ("emitted", &self.emitted)] {
            for (path, stamp) in files {
                let _ = writeln!(out, "{word} {stamp} {}", path.display());
            }
        }
        for t in &self.trees {
            let _ = writeln!(
                out,
                "tree {} {} {} {} {} {}",
                t.name, t.recipe, t.platform, t.store_name, t.nar_size, t.version
            );
            if t.target != t.platform {
                let _ = writeln!(out, "target {}", t.target);
            }
            for name in &t.run {
                let _ = writeln!(out, "run {name}");
            }
            for (name, value) in &t.env {
                let _ = writeln!(out, "set {name}={value}");
            }
            for directory in &t.editable {
                let _ = writeln!(out, "editable {directory}");
            }
            for package in &t.named {
                let _ = writeln!(out, "named {package}");
            }
            if let Some(path) = &t.closure {
                let _ = writeln!(out, "closure {path}");
            }
        }
        out
    }

    fn parse(text: &str) -> Option<Root> {
        let mut lines = text.lines();
        let header = lines.next()?;
        if header != HEADER && !OLD_HEADERS.contains(&header) {
            return None;
        }
        let project = PathBuf::from(lines.next()?.strip_prefix("project ")?);
        let manifest = Stamp::parse(lines.next()?.strip_prefix("manifest ")?)?;
        let lock = Stamp::parse(lines.next()?.strip_prefix("lock ")?)?;
        let complete: Vec<Platform> = lines
            .next()?
            .strip_prefix("complete")?
            .split_whitespace()
            .map(|p| p.parse().ok())
            .collect::<Option<_>>()?;
        let (mut inputs, mut emitted, mut trees): (Vec<_>, Vec<_>, Vec<RootTree>) =
            (vec![], vec![], vec![]);
        let stamped = |text: &str| {
            let end = text.match_indices(' ').nth(3)?.0;
            Some((PathBuf::from(&text[end + 1..]), Stamp::parse(&text[..end])?))
        };
        for line in lines {
            if let Some(input) = line.strip_prefix("input ") {
                inputs.push(stamped(input)?);
                continue;
            }
            if let Some(file) = line.strip_prefix("emitted ") {
                emitted.push(stamped(file)?);
                continue;
            }
            let Some(tree) = line.strip_prefix("tree ") else {
                let (last, (key, value)) = (trees.last_mut()?, line.split_once(' ')?);
                match key {
                    "target" => last.target = value.parse().ok()?,
                    "run" => last.run.push(value.parse().ok()?),
                    "editable" => last.editable.push(value.to_owned()),
                    "named" => last.named.push(value.to_owned()),
                    "closure" => last.closure = Some(value.parse().ok()?),
                    "set" => {
                        let (name, value) = value.split_once('=')?;
                        last.env.insert(name.to_owned(), value.to_owned());
                    }
                    _ => return None,
                }
                continue;
            };
            let mut words = tree.splitn(6, ' ');
            let (name, recipe) = (words.next()?.parse().ok()?, words.next()?.to_owned());
            let platform: Platform = words.next()?.parse().ok()?;
            trees.push(RootTree {
                name,
                recipe,
                platform,
                store_name: words.next()?.parse().ok()?,
                nar_size: words.next()?.parse().ok()?,
                version: words.next()?.to_owned(),
                target: platform,
                run: vec![],
                env: BTreeMap::new(),
                editable: vec![],
                named: vec![],
                closure: None,
            });
        }
        // An old root protects its trees from `gc`, but does not serve as a shortcut.
        if header != HEADER {
            let never = Stamp::default();
            return Some(Root {
                project,
                manifest: never,
                lock: never,
                complete: vec![],
                inputs,
                emitted,
                trees,
            });
        }
        Some(Root { project, manifest, lock, complete, inputs, emitted, trees })
    }
}

impl Store {
    fn root_path(&self, project: &Path) -> PathBuf {
        let key = Digest::of(project.as_os_str().as_encoded_bytes()).hex();
        self.dir.join("roots").join(&key[..32])
    }

    /// Keeps other processes from changing the roots until the result is dropped: the repository rules
    /// of Bazel register trees of one project at once, and none may lose what another has added. Where
    /// the file system has no locks, nothing is kept.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn hold_roots(&self) -> Result<Option<std::fs::File>> {
        let roots = self.private_lock_file("roots")?.into_file();
        Ok(roots.lock().is_ok().then_some(roots))
    }

    /// Registers the trees that a project uses, and replaces its earlier registration.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn add_root(&self, root: &Root) -> Result<()> {
        self.part("roots")?;
        if std::iter::once(&root.project)
            .chain(root.inputs.iter().chain(&root.emitted).map(|file| &file.0))
            .any(|p| p.to_str().is_none_or(|p| p.contains('\n')))
        {
            return Err(Error::user(format!(
                "the path {} can't be noted in the store",
                root.project.display()
            ))
            .because("it is no UTF-8 text of one line"));
        }
        let path = self.root_path(&root.project);
        // The next process deletes the new file if this one is killed.
        let staging = super::Staging::new(self)?;
        let new = staging.dir().join("root");
        owner::write_new(&new, root.render())
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|e| Error::at("write", &path, e))
    }

    /// Returns the root of the project with this manifest, if an owner of the store wrote it.
    pub fn root(&self, project: &Path) -> Option<Root> {
        let text = owner::read_own(&self.root_path(project), self.owners()).ok()?;
        Root::parse(&text).filter(|r| r.project == project)
    }

    /// Returns every root with its file.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn roots(&self) -> Result<Vec<(PathBuf, Root)>> {
        let dir = self.dir.join("roots");
        let mut out = vec![];
        for name in super::names(&dir)? {
            let path = dir.join(&name);
            // An older cotter that was killed left it behind.
            if name.contains(".new-") {
                let _ = fs::remove_file(&path);
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|e| Error::at("read", &path, e))?;
            // A root that cannot be parsed may name trees that somebody needs.
            let root = Root::parse(&text).ok_or_else(|| {
                Error::io(format!("{} is no root that this cotter understands", path.display()), std::io::ErrorKind::InvalidData.into())
                    .hint("a newer cotter wrote it, or it is damaged: run `cotter setup` in your projects, and remove it if it stays as it is")
            })?;
            out.push((path, root));
        }
        out.sort_by(|a, b| a.1.project.cmp(&b.1.project));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_round_trip() {
        let stamp = Stamp { modified: (5, 6), size: 7, inode: 8 };
        let root = Root {
            project: "/p/with space".into(),
            manifest: stamp,
            lock: stamp,
            complete: vec![Platform::X86_64Linux],
            inputs: vec![("/p/with space/requirements.in".into(), stamp)],
            emitted: vec![("/p/with space/bazel/x y.bzl".into(), stamp)],
            trees: vec![RootTree {
                name: "gcc".parse().unwrap(),
                recipe: "gcc".to_owned(),
                platform: Platform::X86_64Linux,
                store_name: format!("{}-gcc-12", "0".repeat(32)).parse().unwrap(),
                nar_size: 9,
                version: "12.2.0 of today".to_owned(),
                target: Platform::Aarch64Linux,
                run: vec!["python".parse().unwrap()],
                env: BTreeMap::from([("GOROOT".to_owned(), "%R/usr/lib/go = x".to_owned())]),
                editable: vec!["lib dir".to_owned()],
                named: vec!["golang-go".to_owned()],
                closure: Some(format!("{}-hello-2.12", "1".repeat(32)).parse().unwrap()),
            }],
        };
        let text = root.render();
        assert_eq!(Root::parse(&text).as_ref(), Some(&root));
        for header in OLD_HEADERS {
            let old = Root::parse(&text.replace(HEADER, header)).unwrap();
            let (trees, never) = (root.trees.clone(), Stamp::default());
            assert_eq!((old.trees, old.complete, old.lock), (trees, vec![], never));
        }
        assert_eq!(Root::parse("something else"), None);
    }
}

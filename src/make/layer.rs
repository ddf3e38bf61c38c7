//! Makes one layer of files from one locked input: the input is fetched, hashed and unpacked while
//! its bytes arrive. The result depends only on the lock and on the bytes of the input.

use super::nar::{self, NixBuild};
use crate::error::{Cause, Error, Result};
use crate::evaluator::Evaluator;
use crate::fetch::{Fetcher, decode};
use crate::lockfile::Plan;
use crate::model::{Format, Input, MemberPath};
use crate::python::{sdist, wheel};
use crate::recipe::Pruning;
use crate::relocate::launcher::is_library_name;
use crate::reporter::Task;
use crate::store::Store;
use crate::tree::{BlobDir, Node, Tree, archive_error};
use crate::unpack::{
    Budget, CaseCollisions, Layer, Limits, TarOptions, sniffed, unpack_deb, unpack_nar, unpack_tar,
    unpack_zip,
};

/// One input to unpack.
pub struct Unpack<'a> {
    /// The plan of the tree.
    pub plan: &'a Plan,
    /// The input.
    pub input: &'a Input,
    /// The paths of the input that are left out.
    pub pruning: &'a Pruning,
    /// The store, which also holds the paths of a Nix store by themselves.
    pub store: &'a Store,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// The evaluator of Nix, which builds what no cache has.
    pub evaluator: &'a Evaluator,
    /// The directory that receives the contents of files.
    pub blobs: &'a BlobDir,
    /// The progress bar.
    pub task: &'a Task,
}

impl Unpack<'_> {
    /// Unpacks the input. If the input is a source distribution, its wheel must already be built.
    ///
    /// # Errors
    /// If the bytes of the input cannot be obtained, or if they are refused.
    pub fn run(&self) -> Result<Layer> {
        let packages = self.plan.spec.packages().is_some();
        let tree = match self.input.format {
            Format::Wheel | Format::Sdist if packages => return self.install().map(Layer::from),
            Format::Deb => return self.deb(),
            Format::Tar | Format::Sdist => self.tar(),
            Format::Zip | Format::Wheel => self.zip(),
            Format::File => self.single(),
            Format::Nar => return self.path(),
            Format::Source | Format::Patch => return self.built(),
        };
        match &self.input.layout.strip_prefix {
            Some(prefix) => strip(tree?, prefix, &self.name()),
            None => tree,
        }
        .map(Layer::from)
    }

    fn name(&self) -> String {
        self.input.layout.file_name.clone().unwrap_or_else(|| self.input.file_name().to_owned())
    }

    /// Adds the archive's name to an error about the archive's content.
    fn named(&self, e: Error) -> Error {
        if e.blames_archive() { e.context(format!("can't unpack {}", self.name())) } else { e }
    }

    /// Takes the files of a path of a Nix store, which is put into the store by itself.
    fn path(&self) -> Result<Layer> {
        let build = NixBuild { evaluator: self.evaluator, plan: self.plan };
        nar::ensure(self.store, self.fetcher, self.input, build, self.task)?;
        match &self.input.nix {
            Some(nix) => nar::layer(self.store, &nix.path, self.pruning),
            None => Ok(Layer::default()),
        }
    }

    /// Takes what was built of the source. The source itself, and its patches, have no file in the tree.
    fn built(&self) -> Result<Layer> {
        let Some(built) = &self.input.built else { return Ok(Layer::default()) };
        let path = self.fetcher.built(&built.sha256).ok_or_else(|| {
            Error::build(format!("{} has not been built", self.plan.name))
                .hint("run `cotter setup`")
        })?;
        self.task.advance(self.input.size);
        let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        let limits = Limits { entries: 1_000_000, bytes: built.size };
        let mut tree = unpack_nar(std::io::BufReader::new(file), self.blobs, limits)?;
        let is_own = self.plan.inputs.first() == Some(self.input);
        tree.retain(|path, _| self.pruning.keeps(path) && (is_own || is_shared_library(path)));
        Ok(tree.into())
    }

    fn deb(&self) -> Result<Layer> {
        let snapshot = self.plan.snapshot();
        self.fetcher.read(self.input, snapshot.as_deref(), self.task, &mut |bytes| {
            let keeps = |path: &_| self.input.layout.takes(path) && self.pruning.keeps(path);
            unpack_deb(bytes, self.input.size, self.blobs, &keeps).map_err(|e| self.named(e))
        })
    }

    fn tar(&self) -> Result<Tree> {
        let limits = Limits::for_archive(self.input.size);
        let options = TarOptions {
            strip: 0,
            cases: CaseCollisions::Refuse,
            may_be_empty: false,
            limits,
            map: &Some,
        };
        self.fetcher.read(self.input, None, self.task, &mut |bytes| {
            let tree = sniffed(bytes)
                .map_err(archive_error)
                .and_then(|mut bytes| unpack_tar(&mut bytes, self.blobs, &options));
            tree.map_err(|e| self.named(e))
        })
    }

    fn zip(&self) -> Result<Tree> {
        let path = self.fetcher.file(self.input, None, self.task)?;
        let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        unpack_zip(file, 0, Limits::for_archive(self.input.size), self.blobs)
            .map_err(|e| self.named(e))
    }

    /// Unpacks a single program, which may be compressed. It becomes an executable with the name of
    /// the input.
    fn single(&self) -> Result<Tree> {
        let name = self.name();
        let limits = Limits::for_archive(self.input.size);
        let endings = [".gz", ".xz", ".zst", ".bz2"];
        let plain = endings.iter().find_map(|e| name.strip_suffix(e)).unwrap_or(&name);
        let path = MemberPath::parse(plain.as_bytes()).ok().flatten().ok_or_else(|| {
            Error::user(format!("{name:?} is no file name")).hint("set `file_name`")
        })?;
        self.fetcher.read(self.input, None, self.task, &mut |bytes| {
            let bytes: Box<dyn std::io::Read> = if plain == name {
                Box::new(bytes)
            } else {
                sniffed(bytes).map_err(|e| self.named(archive_error(e)))?
            };
            let mut reader = Budget::new(bytes, limits.bytes);
            let blob = self.blobs.write(&mut reader, &mut vec![0; 128 * 1024])?;
            let head = blob.head(512)?;
            if head.iter().all(|byte| *byte == 0) {
                let what = if head.is_empty() { "it is empty" } else { "it begins with zeros" };
                return Err(Error::verification(format!("{name} is no program"))
                    .because(what)
                    .with_cause(Cause::DamagedArchive));
            }
            let mut tree = Tree::default();
            tree.put(path.clone(), Node::File { blob, executable: true });
            Ok(tree)
        })
    }

    /// Installs one wheel of a set of Python packages.
    fn install(&self) -> Result<Tree> {
        let input = self.input;
        // The name of a wheel in an address has escapes, such as %2B.
        let plain = decode(input.file_name());
        let (path, name, size) = match &input.built {
            Some(built) => {
                self.task.advance(input.size);
                let path = self
                    .fetcher
                    .built(&built.sha256)
                    .ok_or_else(|| sdist::not_built(self.plan, input))?;
                (path, built.file.as_str(), built.size)
            }
            None => (self.fetcher.file(input, None, self.task)?, plain.as_str(), input.size),
        };
        let file = fs_err::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
        let keeps = |path: &MemberPath| self.pruning.keeps(path);
        let python = &self.plan.version;
        wheel::install(file, name, python, Limits::for_archive(size), self.blobs, &keeps)
    }
}

/// Whether a program finds the file as a library when it starts: of what another toolchain has built,
/// only these files are needed.
fn is_shared_library(path: &MemberPath) -> bool {
    let parts = path.parts().count();
    let in_libraries = path.is_under("usr/lib") || path.is_under("usr/lib64");
    in_libraries && parts <= 4 && is_library_name(path.file_name())
}

fn strip(tree: Tree, prefix: &str, name: &str) -> Result<Tree> {
    let mut out = Tree::default();
    for (path, node) in tree.iter() {
        if let Some(rest) = path.as_str().strip_prefix(prefix).and_then(|r| r.strip_prefix('/')) {
            out.put(MemberPath::literal(rest), node.clone());
        }
    }
    if out.is_empty() {
        let mut tops: Vec<&str> = tree.iter().filter_map(|(p, _)| p.parts().next()).collect();
        tops.dedup();
        tops.truncate(5);
        return Err(Error::user(format!("nothing in {name} lies below strip_prefix {prefix:?}"))
            .hint(format!("at its top it has {}", tops.join(", "))));
    }
    Ok(out)
}

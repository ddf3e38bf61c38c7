//! Builds source code with toolchains of the same lock, in a sandbox in which nothing else exists. The
//! result is what the steps have installed below `/out`, as a NAR: it stands in the lock, and whoever
//! builds the same again must get the same bytes.
//!
//! A build sees
//!
//! | path | what it is |
//! |---|---|
//! | `/usr`, `/etc`, `/bin`, ... | lead to the tree of the first toolchain that has a shell |
//! | `/cotter/<name>` | the trees of all toolchains that the build uses |
//! | `/lib64`, or the place of the loader that the ABI names | the loader of the compiler's libc, so that programs start which were just built |
//! | `/build/source` | the source code, with all patches |
//! | `/out` | what is installed |

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::build::Workshop;
use super::failed_build::{FailedBuild, advice, keep_log};
use super::sandbox_paths::Sandbox;
use crate::environment::RUNTIME_VARIABLE;
use crate::error::{Error, Result};
use crate::lockfile::{Building, Plan};
use crate::model::{Built, Format, Hasher, Kind};
use crate::recipe;
use crate::sandbox::{
    EPOCH, Ended, Job, Printed, SealedView, Surroundings, SystemView, View, unpacked,
};
use crate::store::Staging;
use crate::tree::{BlobDir, Tree, write_nar};
use crate::unpack::{CaseCollisions, Limits, TarOptions, sniffed, unpack_tar, unpack_zip};

/// The name of the directory that holds the result.
const OUT: &str = "out";

/// What the steps can call, and what tells which of them has failed.
pub(super) const PREAMBLE: &str = r#"set -eu
needs() {
    for cotter_program in "$@"; do
        command -v "$cotter_program" > /dev/null || {
            echo "[cotter] there is no program $cotter_program: no toolchain in `with` has it"
            exit 127
        }
    done
}
trap 'cotter_code=$?; test "$cotter_code" = 0 || echo "[cotter] step $cotter_step has failed with exit code $cotter_code"' EXIT
"#;

/// Removes what only debuggers read: it names the sandbox, and is larger than the rest. What is no object
/// is left alone.
const STRIP: &str = r#"if command -v strip > /dev/null && command -v find > /dev/null; then
    find /out -type f \( -name '*.a' -o -name '*.o' \) -exec strip --strip-debug {} \; 2> /dev/null
    find /out -type f \( -perm -u+x -o -name '*.so' -o -name '*.so.*' \) -exec strip --strip-unneeded {} \; 2> /dev/null
fi"#;

/// A writer that hashes what is written through it.
struct Hashing<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A tree that a build uses.
struct Used<'a> {
    plan: &'a Plan,
    path: PathBuf,
    /// Where it is in the sandbox.
    inside: String,
}

/// A build that may begin.
pub struct Prepared {
    /// What it sees.
    pub view: SealedView,
    /// The file that holds what runs.
    pub script: PathBuf,
    /// The text of each step, which tells its number.
    pub steps: Vec<String>,
}

impl Prepared {
    /// Returns the job that runs a script.
    ///
    /// # Errors
    /// If the script cannot be written.
    pub fn job(view: SealedView, script: &Path, text: &str) -> Result<Job> {
        fs::write(script, text).map_err(|e| Error::at("write", script, e))?;
        open_to_all(script)?;
        let command = ["/bin/sh", "/cotter/.build/script"].map(str::to_owned).into();
        Ok(Job { view: View::Sealed(Box::new(view)), command })
    }
}

impl Workshop<'_> {
    /// Builds the source of a plan, and puts the result into the cache.
    ///
    /// # Errors
    /// If an input cannot be fetched, or if the build fails.
    pub fn build_source(&self, plan: &Plan) -> Result<Built> {
        let key = plan.build_key();
        let known = key.and_then(|key| self.store.built(&key));
        if let Some(known) = known.filter(|known| self.fetcher.built(&known.sha256).is_some()) {
            // Another project may call its version otherwise.
            return Ok(Built { file: plan.built_name(), ..known });
        }
        let scratch = Staging::new(self.store)?;
        let tree = self.installed(plan, &Surroundings::default(), scratch.dir())?;
        let built = self.adopt(plan, &tree, scratch.dir())?;
        if let Some(key) = key {
            self.store.write_built(&key, &built)?;
        }
        Ok(built)
    }

    /// Builds the source of a plan unless the cache has the result, and compares it with the lock.
    pub(super) fn rebuild_source(&self, plan: &Plan, built: &Built) -> Result<()> {
        let got = self.build_source(plan)?;
        if got == *built {
            return Ok(());
        }
        Err(Error::verification(format!("what was built of {} is not what was locked", plan.name))
            .because(format!("expected {} bytes with sha256 {}", built.size, built.sha256))
            .because(format!("got {} bytes with sha256 {}", got.size, got.sha256))
            .about(plan.name.as_str())
            .hint(format!(
                "its build is not reproducible: `cotter rebuild --check {}` says what differs",
                plan.name
            )))
    }

    /// Writes a result as a NAR, and moves it into the cache.
    fn adopt(&self, plan: &Plan, tree: &Tree, scratch: &Path) -> Result<Built> {
        let path = scratch.join("result.nar");
        let write = |e| Error::at("write", &path, e);
        let file = fs::File::create(&path).map_err(write)?;
        let built = described(plan, tree, std::io::BufWriter::new(file)).map_err(write)?;
        self.fetcher.adopt(&path, &built.sha256)?;
        Ok(built)
    }

    /// Builds the source of a plan, and returns what it has installed. The contents of files lie below
    /// `scratch`.
    ///
    /// # Errors
    /// If an input cannot be fetched, or if the build fails.
    pub fn installed(
        &self,
        plan: &Plan,
        surroundings: &Surroundings,
        scratch: &Path,
    ) -> Result<Tree> {
        let Prepared { view, script, steps } = self.prepared(plan, surroundings, scratch)?;
        let _spinner = self.reporter.spinner("building", &plan.tree_name());
        let text = PREAMBLE.to_owned() + &steps.concat();
        let env = view.env.clone();
        let job = Prepared::job(view, &script, &text)?;
        let log = scratch.join("log");
        let blobs = BlobDir::create(scratch.join("installed"))?;
        let limits = Limits { entries: 1_000_000, bytes: self.limits.space };
        let failed = |e: Error| e.context(format!("can't build {}", plan.name));
        let tell = |line: &str| self.reporter.detail(&format!("{}: {line}", plan.name));
        let printed = Printed { log: &log, tell: self.is_live().then_some(&tell) };
        let outcome = job.run(&printed, unpacked(&blobs, limits)).map_err(failed)?;
        let Some(mut tree) = outcome.result else {
            let error =
                Error::build(format!("can't build {}", plan.name)).about(plan.name.as_str());
            let (ended, said) = (&outcome.ended, outcome.said.as_slice());
            let advice = matches!(ended, Ended::Code(_)).then(|| advice(said)).flatten();
            let error = advice.into_iter().fold(error, Error::hint);
            let (name, left) = (&plan.tree_name(), outcome.left);
            let (printed, script) = (log.as_path(), text.as_str());
            let failed = FailedBuild { name, printed, ended, said, left, env: &env, script };
            return Err(failed.explain(error, self.store, self.reporter));
        };
        keep_log(&plan.tree_name(), &log, self.store, self.reporter);
        if tree.is_empty() {
            return Err(failed(Error::build("its steps have installed nothing below /out"))
                .about(plan.name.as_str())
                .hint("most projects take the directory as DESTDIR=/out"));
        }
        let sandbox = Sandbox { place: &surroundings.place, name: plan.name.as_str() };
        let left = sandbox.remove(&mut tree, &blobs)?;
        if let Some(first) = left.first() {
            let more = match left.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more files"),
            };
            self.reporter.warn(&format!(
                "{first}{more} of {} name paths of the sandbox, which are nowhere else",
                plan.name
            ));
        }
        Ok(tree)
    }

    /// Unpacks the source, and puts together what the build sees.
    ///
    /// # Errors
    /// If an input cannot be fetched, or if no toolchain has a shell.
    pub(super) fn prepared(
        &self,
        plan: &Plan,
        surroundings: &Surroundings,
        scratch: &Path,
    ) -> Result<Prepared> {
        let Some(building) = &plan.building else {
            return Err(Error::build(format!("{} is not built from source", plan.name)));
        };
        let source = scratch.join("source");
        fs::create_dir_all(&source).map_err(|e| Error::at("make", &source, e))?;
        let extra = self.unpack_source(plan, &source, scratch)?;
        let script = extra.join("script");
        let view = self.view(plan, building, surroundings, scratch, extra)?;
        let view = SealedView { source, ..view };
        Ok(Prepared { view, script, steps: steps_of(building, has_patches(plan)) })
    }

    /// Unpacks the source, and returns the directory with the patches.
    fn unpack_source(&self, plan: &Plan, to: &Path, scratch: &Path) -> Result<PathBuf> {
        let extra = scratch.join("extra");
        fs::create_dir_all(extra.join("patches")).map_err(|e| Error::at("make", &extra, e))?;
        let mut patches = 0;
        let own = plan.inputs.iter().enumerate();
        let own = own.filter(|(n, input)| *n == 0 || input.format == Format::Patch);
        for (_, input) in own {
            let is_patch = match input.format {
                Format::Source => false,
                Format::Patch => true,
                _ => continue,
            };
            let name = input.layout.file_name.as_deref().unwrap_or(input.file_name());
            let task = self.reporter.task(name, input.size);
            let path = self.fetcher.file(input, plan.snapshot().as_deref(), &task)?;
            if is_patch {
                patches += 1;
                let at = extra.join("patches").join(format!("{patches:03}"));
                fs::copy(&path, &at).map_err(|e| Error::at("write", &at, e))?;
                continue;
            }
            let file = fs::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
            let blobs = BlobDir::create(scratch.join("unpacked"))?;
            let limits = Limits::for_archive(input.size);
            let named = |e: Error| e.context(format!("can't unpack {name}"));
            let tree = if name.ends_with(".zip") {
                unpack_zip(file, 0, limits, &blobs)
            } else {
                let cases = CaseCollisions::Allow;
                let options =
                    TarOptions { strip: 0, cases, may_be_empty: false, limits, map: &Some };
                sniffed(file)
                    .map_err(crate::tree::archive_error)
                    .and_then(|mut plain| unpack_tar(&mut plain, &blobs, &options))
            };
            let tree = tree.map_err(named)?;
            let prefix = input.layout.strip_prefix.clone().or_else(|| only_directory(&tree));
            super::place::lay_out(&tree, prefix.as_deref(), to)?;
        }
        Ok(extra)
    }

    /// Returns what the build sees, but for its source.
    fn view(
        &self,
        plan: &Plan,
        building: &Building,
        surroundings: &Surroundings,
        scratch: &Path,
        extra: PathBuf,
    ) -> Result<SealedView> {
        let mut used = vec![];
        for name in building.toolchains() {
            let (plan, path) = self.tree(name)?;
            used.push(Used { plan, path, inside: format!("/cotter/{name}") });
        }
        let has_shell = |tree: &&Used| {
            tree.plan.spec.kind() == Kind::Tool
                && tree.path.join("bin/sh").symlink_metadata().is_ok()
        };
        let Some(system) = used.iter().find(has_shell) else {
            return Err(Error::build(format!("{} is built without a shell", plan.name))
                .about(plan.name.as_str())
                .because("no toolchain in `with` has the program sh")
                .hint("add one with the packages dash, coreutils, make, sed, grep, mawk, ..."));
        };
        let root = system.path.clone();
        let at = system.inside.clone();
        let env = self.variables(building, &used, &at, surroundings)?;
        let etc = scratch.join("etc");
        users(&etc, surroundings)?;
        let mut view = SystemView::default();
        // Links, and not mounts: the programs of a tree find its files from where they are.
        for entry in fs::read_dir(&root).map_err(|e| Error::at("read", &root, e))? {
            let entry = entry.map_err(|e| Error::at("read", &root, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "etc" {
                view.directories.insert(name, vec![entry.path()]);
            } else {
                view.links.insert(name.clone(), format!("{at}/{name}"));
            }
        }
        view.directories.entry("etc".to_owned()).or_default().insert(0, etc);
        view.result = Some(OUT.to_owned());
        self.loader(&used, &mut view)?;
        let mut trees: BTreeMap<String, PathBuf> =
            used.iter().map(|used| (used.plan.name.to_string(), used.path.clone())).collect();
        for directory in [view.directories["etc"][0].as_path(), extra.as_path()] {
            open_to_all(directory)?;
        }
        trees.insert(".build".to_owned(), extra);
        Ok(SealedView {
            trees,
            source: PathBuf::new(),
            directory: String::new(),
            result: OUT.to_owned(),
            env,
            limits: self.limits,
            gateway: false,
            terminal: false,
            system: view,
            surroundings: surroundings.clone(),
        })
    }

    /// Puts the loader and the libc of the compiler where programs look for them that were just built.
    fn loader(&self, used: &[Used], view: &mut SystemView) -> Result<()> {
        let compilers = used.iter().filter(|used| used.plan.spec.cc().is_some());
        for Used { path, inside, .. } in compilers {
            let multiarch = self.platform.multiarch();
            let directory = format!("usr/lib/{multiarch}");
            let loader = format!("{directory}/{}", self.platform.loader());
            if path.join(&loader).symlink_metadata().is_err() {
                continue;
            }
            let at = self.platform.abi_loader();
            // The loader is in a directory of its own, or in `lib` of the tree that stands for the system.
            if let Some((top, _)) = at.split_once('/')
                && top != "lib"
            {
                view.links.remove(top);
                view.links.insert(at.to_owned(), format!("{inside}/{loader}"));
            }
            // The loaders of trees search these directories in place of those of a machine.
            view.links.insert(format!(".no/{multiarch}"), format!("{inside}/{directory}"));
            return Ok(());
        }
        Ok(())
    }

    /// Returns the variables of a build.
    fn variables(
        &self,
        building: &Building,
        used: &[Used],
        system: &str,
        surroundings: &Surroundings,
    ) -> Result<BTreeMap<String, String>> {
        let mut active = vec![];
        for used in used {
            active.push(self.active(used.plan, used.path.clone())?);
        }
        let mut changes = recipe::environment(&active);
        changes.complete(&|_| None);
        let inside = |value: &str| {
            used.iter().fold(value.to_owned(), |value, used| {
                value.replace(&used.path.display().to_string(), &used.inside)
            })
        };
        let mut env: BTreeMap<String, String> =
            changes.set.iter().map(|(name, value)| (name.clone(), inside(value))).collect();
        env.remove(RUNTIME_VARIABLE);
        // What is built must not name the directory of its compiler.
        for value in env.values_mut() {
            let program = value.strip_prefix("/cotter/").and_then(|rest| rest.split_once("/bin/"));
            if let Some((name, program)) = program
                && !name.contains('/')
                && !program.contains(['/', ':', ' '])
            {
                *value = program.to_owned();
            }
        }
        let of_system = format!("{system}/bin");
        let path = changes.path.iter().map(|dir| inside(dir)).filter(|dir| *dir != of_system);
        let path: Vec<String> =
            path.chain(["/usr/bin", "/bin", "/usr/sbin"].map(str::to_owned)).collect();
        let multiarch = self.platform.multiarch();
        let libraries: Vec<&Used> =
            used.iter().filter(|used| used.plan.spec.kind() == Kind::Library).collect();
        let flags = |flag: &str, directories: &[String]| -> String {
            let each = libraries.iter().flat_map(|library| {
                directories.iter().map(move |dir| format!("{flag}{}/{dir}", library.inside))
            });
            each.collect::<Vec<_>>().join(" ")
        };
        let headers = flags("-I", &["usr/include".to_owned(), format!("usr/include/{multiarch}")]);
        let search = flags("-L", &[format!("usr/lib/{multiarch}")]);
        let jobs = surroundings
            .jobs
            .or(surroundings.processors)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        for (name, value) in [
            ("PATH", path.join(":")),
            ("HOME", "/tmp".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("CONFIG_SHELL", "/bin/sh".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("JOBS", jobs.to_string()),
            ("SOURCE_DATE_EPOCH", EPOCH.to_string()),
            ("PYTHONHASHSEED", "0".to_owned()),
            ("LIBRARY_CPPFLAGS", headers.clone()),
            ("LIBRARY_LDFLAGS", search.clone()),
        ] {
            env.insert(name.to_owned(), value);
        }
        for (name, value) in &building.env {
            let value = value.replace("$LIBRARY_CPPFLAGS", &headers);
            env.insert(name.clone(), value.replace("$LIBRARY_LDFLAGS", &search));
        }
        env.retain(|_, value| !value.is_empty());
        Ok(env)
    }
}

/// Writes the NAR of what a plan's source was built into, and returns its name, size and digest.
///
/// # Errors
/// If a file cannot be read, and those of the writer.
pub(super) fn described(plan: &Plan, tree: &Tree, out: impl Write) -> io::Result<Built> {
    let mut out = write_nar(tree, Hashing { out, hasher: Hasher::default() })?;
    out.flush()?;
    let (size, sha256) = (out.hasher.len(), out.hasher.finish());
    Ok(Built { file: plan.built_name(), size, sha256 })
}

fn has_patches(plan: &Plan) -> bool {
    plan.inputs.iter().any(|input| input.format == Format::Patch)
}

/// Returns the text of each step of a build.
fn steps_of(building: &Building, has_patches: bool) -> Vec<String> {
    let apply = "needs patch\nfor cotter_patch in /cotter/.build/patches/*; do patch -p1 -f -i \"$cotter_patch\"; done";
    let steps = has_patches.then_some(apply).into_iter();
    let steps = steps.chain(building.steps.iter().map(String::as_str));
    let steps: Vec<&str> = steps.chain(building.strip.then_some(STRIP)).collect();
    let total = steps.len();
    let text = |(place, step): (usize, &&str)| {
        let number = place + 1;
        format!("cotter_step={number}\necho '[cotter] step {number} of {total}'\n{step}\n")
    };
    steps.iter().enumerate().map(text).collect()
}

/// Returns the directory that holds everything in an archive, if there is one.
fn only_directory(tree: &Tree) -> Option<String> {
    let mut tops = tree.iter().filter_map(|(path, _)| path.parts().next());
    let first = tops.next()?.to_owned();
    let is_directory = tree.has_members(&crate::model::MemberPath::literal(&first));
    (is_directory && tops.all(|top| top == first)).then_some(first)
}

/// Lets the user of a build read a directory: it is another one than the caller, whose umask may forbid
/// that.
fn open_to_all(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |e| Error::at("read", path, e);
    let is_directory = path.is_dir();
    let mode = std::fs::Permissions::from_mode(if is_directory { 0o755 } else { 0o644 });
    fs::set_permissions(path, mode).map_err(failed)?;
    if is_directory {
        for entry in fs::read_dir(path).map_err(failed)? {
            open_to_all(&entry.map_err(failed)?.path())?;
        }
    }
    Ok(())
}

/// Writes the users whom a build knows.
fn users(etc: &Path, surroundings: &Surroundings) -> Result<()> {
    let (user, name) = (surroundings.user, &surroundings.user_name);
    fs::create_dir_all(etc).map_err(|e| Error::at("make", etc, e))?;
    for (name, text) in [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/bin/sh\n{name}:x:{user}:{user}:{name}:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nowhere:/bin/false\n"
            ),
        ),
        ("group", format!("root:x:0:\n{name}:x:{user}:\nnogroup:x:65534:\n")),
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
    ] {
        let at = etc.join(name);
        fs::write(&at, text).map_err(|e| Error::at("write", &at, e))?;
    }
    Ok(())
}

//! How the programs of a closure are started: those that are linked dynamically with the loader of
//! their own libc, and the scripts of the wanted path with the interpreters that they name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::notes::Dropped;
use super::paths::ClosurePaths;
use super::seal;
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::relocate::closure;
use crate::relocate::elf::Elf;
use crate::relocate::launcher::{
    self, Argv0, Conversion, Instructions, Runtime, Tag, is_library_name,
};
use crate::relocate::scripts::{DroppedScript, requested_interpreter};
use crate::tree::{Blob, BlobDir, Node, Tree};

/// The most interpreters that are scripts themselves. The kernel follows as many.
const MOST_INTERPRETERS: usize = 4;

/// Commands that programs name by a path outside of the store: the shells, one of which libc starts, and the
/// program that searches PATH.
const COMMANDS: [&str; 3] = ["sh", "bash", "env"];

/// What starts the programs of a tree.
pub struct ProgramStarter {
    /// The dynamically linked programs, each with its loader.
    programs: BTreeMap<MemberPath, MemberPath>,
    /// The loaders, with the libraries of their libc.
    runtimes: BTreeMap<MemberPath, Runtime>,
    /// The files that do not name all directories of their libraries.
    unnamed: BTreeMap<MemberPath, Vec<MemberPath>>,
    /// The files that may convert between character sets.
    pub converting: BTreeSet<MemberPath>,
    /// Whether interpreters of Python get a path that leads to them as `argv[0]`.
    pub finds_python: bool,
    /// The variables that programs get unless they are set.
    pub default: Vec<String>,
    tag: Option<Tag>,
}

impl ProgramStarter {
    /// Finds the programs of a tree.
    ///
    /// # Errors
    /// If a program needs a loader that the tree lacks or that cannot be used, or if a staged file
    /// cannot be read.
    pub fn new(
        plan: &Plan,
        tree: &Tree,
        unnamed: BTreeMap<MemberPath, Vec<MemberPath>>,
    ) -> Result<ProgramStarter> {
        let (mut programs, mut runtimes) = (BTreeMap::new(), BTreeMap::new());
        for (path, node) in tree.iter() {
            let Node::File { blob, executable: true } = node else { continue };
            let Some(interpreter) = interpreter(plan, path, blob)? else { continue };
            let Some((loader, _)) = closure::in_tree(&interpreter).and_then(|p| tree.file(&p))
            else {
                // No such program starts on a machine with Nix, either.
                if closure::in_tree(&interpreter).is_none() {
                    continue;
                }
                return Err(Error::build(format!(
                    "{path} needs the loader {interpreter}, which the closure of {} lacks",
                    plan.name
                ))
                .about(plan.name.as_str())
                .hint("lock the whole closure of the store path"));
            };
            if !runtimes.contains_key(&loader) {
                let runtime = runtime(plan, tree, &loader)?;
                seal::check_loader(plan, tree, &runtime)?;
                runtimes.insert(loader.clone(), runtime);
            }
            programs.insert(path.clone(), loader);
        }
        let tag = Some(Tag::of(plan));
        let converting = BTreeSet::new();
        Ok(ProgramStarter {
            programs,
            runtimes,
            unnamed,
            converting,
            finds_python: false,
            default: vec![],
            tag,
        })
    }

    /// Returns the directories in which some loader searches by itself.
    pub fn library_dirs(&self) -> Vec<MemberPath> {
        self.runtimes.values().flat_map(|runtime| runtime.library_dirs.iter().cloned()).collect()
    }

    /// Returns, for each libc, the directory that contains it.
    pub fn libc_dirs(&self) -> Vec<Vec<MemberPath>> {
        self.runtimes.values().map(|runtime| runtime.library_dirs.clone()).collect()
    }

    /// Puts launchers in the places of all programs, and at the places where `names` has programs of
    /// the closure. Returns the scripts among these that cannot be started.
    ///
    /// A launcher finds the tree by its own place, so one with a name is no link to one in the closure:
    /// what copies a tree may follow links.
    ///
    /// # Errors
    /// If a launcher cannot be made.
    pub fn wrap(
        &self,
        tree: &mut Tree,
        blobs: &BlobDir,
        plan: &Plan,
        paths: &ClosurePaths,
        names: &BTreeMap<MemberPath, MemberPath>,
    ) -> Result<Vec<Dropped>> {
        let mut dropped = vec![];
        let mut named: Vec<(MemberPath, Node)> = vec![];
        for (at, path) in names {
            let Some((real, blob)) = tree.file(path) else { continue };
            let is_script = blob.head(2)?.starts_with(b"#!");
            let bytes = match is_script {
                true => self.launcher_of_script(tree, plan, paths, at, &real)?,
                false if !self.programs.contains_key(&real) => {
                    named.push((at.clone(), Node::Symlink(at.link_to(path))));
                    continue;
                }
                false => {
                    let (runtime, target) = (self.runtime_of(&real)?, behind(&real));
                    let instructions = self.instructions(plan, &real);
                    launcher::render(Some(&runtime), plan.platform, at, &target, &instructions)
                        .map(Ok)?
                }
            };
            match bytes {
                Ok(bytes) => {
                    let node = Node::File { blob: blobs.put(&bytes)?, executable: true };
                    named.push((at.clone(), node));
                }
                Err(line) => {
                    let interpreter = requested_interpreter(line.as_bytes()).unwrap_or_default();
                    let interpreter = interpreter.to_owned();
                    let script = DroppedScript { path: real, line, interpreter, removed: false };
                    dropped.push(Dropped { script, package: None });
                }
            }
        }
        for path in self.programs.keys() {
            let (runtime, place) = (self.runtime_of(path)?, behind(path));
            if tree.get(&place).is_some() {
                return Err(Error::user(format!("{path} can't be put behind a launcher"))
                    .because(format!(
                        "{place} is its place, and the closure of {} has such a file",
                        plan.name
                    ))
                    .about(plan.name.as_str())
                    .hint(format!("leave one of them out: prune = [\"{place}\"]")));
            }
            launcher::wrap(tree, blobs, &runtime, path, &self.instructions(plan, path))?;
        }
        for (path, node) in named {
            tree.put(path, node);
        }
        Ok(dropped)
    }

    /// Returns the loader and the libraries of a program.
    fn runtime_of(&self, path: &MemberPath) -> Result<Runtime> {
        let loader = self.programs.get(path);
        let runtime = loader.and_then(|loader| self.runtimes.get(loader));
        let mut runtime =
            runtime.cloned().ok_or_else(|| Error::build(format!("{path} has no loader")))?;
        let own = self.unnamed.get(path).into_iter().flatten();
        let libraries = self.unnamed.iter().filter(|(file, _)| !self.programs.contains_key(*file));
        for dir in own.chain(libraries.flat_map(|(_, dirs)| dirs)) {
            if !runtime.library_dirs.contains(dir) {
                runtime.library_dirs.push(dir.clone());
            }
        }
        Ok(runtime)
    }

    fn instructions(&self, plan: &Plan, path: &MemberPath) -> Instructions {
        let conversion = match self.converting.contains(path) {
            true => Conversion::Any,
            false => Conversion::None,
        };
        let argv0 = match self.finds_python && path.file_name().starts_with("python") {
            true => Argv0::Found,
            false => Argv0::Verbatim,
        };
        let instructions = Instructions {
            argv0,
            default: self.default.clone(),
            conversion,
            redirect: true,
            closure: true,
            keep_library_path: true,
            tag: self.tag,
            ..Instructions::default()
        };
        super::super::seal::with_variables(plan, instructions)
    }

    /// Returns the launcher at `at` that runs a script, or the first line of the script if its
    /// interpreter is not in the tree.
    fn launcher_of_script(
        &self,
        tree: &Tree,
        plan: &Plan,
        paths: &ClosurePaths,
        at: &MemberPath,
        script: &MemberPath,
    ) -> Result<Result<Vec<u8>, String>> {
        // What the kernel would start: the interpreter, its argument, and the script.
        let mut words = vec![format!("%R/{script}")];
        let (mut program, mut named) = (script.clone(), script.clone());
        let mut first = None;
        for _ in 0..MOST_INTERPRETERS {
            let Some(Node::File { blob, .. }) = tree.get(&program) else { break };
            let head = blob.head(512)?;
            if !head.starts_with(b"#!") {
                break;
            }
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            let found = interpreter_of_line(tree, paths, &line);
            let found = found.and_then(|(named, arg)| Some((tree.file(&named)?.0, named, arg)));
            first.get_or_insert(line);
            let Some((real, path, argument)) = found else {
                return Ok(Err(first.unwrap_or_default()));
            };
            let interpreter = [Some(format!("%R/{path}")), argument];
            words.splice(0..0, interpreter.into_iter().flatten());
            (program, named) = (real, path);
        }
        words.remove(0);
        let mut instructions = self.instructions(plan, &program);
        instructions.argv0 = Argv0::Path(named);
        instructions.args = words;
        let is_dynamic = self.programs.contains_key(&program);
        let runtime = if is_dynamic { Some(self.runtime_of(&program)?) } else { None };
        instructions.redirect = is_dynamic;
        let target = match is_dynamic {
            true => behind(&program),
            false => program,
        };
        launcher::render(runtime.as_ref(), plan.platform, at, &target, &instructions).map(Ok)
    }
}

/// Returns the interpreter of a line `#!...`, and its argument.
fn interpreter_of_line(
    tree: &Tree,
    paths: &ClosurePaths,
    line: &str,
) -> Option<(MemberPath, Option<String>)> {
    let rest = line.strip_prefix("#!")?.trim();
    let (program, argument) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let argument = Some(argument.trim().to_owned()).filter(|a| !a.is_empty());
    if let Some(path) = closure::in_tree(program) {
        return tree.file(&path).is_some().then_some((path, argument));
    }
    // The line names a program of the machine: one of the closure takes its place.
    let name = requested_interpreter(line.as_bytes())?;
    let path = paths.program(tree, name.rsplit('/').next()?)?;
    Some((path, argument.filter(|_| !program.ends_with("/env"))))
}

/// Returns the loader that a dynamically linked program for the platform asks for.
fn interpreter(plan: &Plan, path: &MemberPath, blob: &Blob) -> Result<Option<String>> {
    if !blob.head(4)?.starts_with(b"\x7fELF") || is_library_name(path.file_name()) {
        return Ok(None);
    }
    let head = blob.head(4096)?;
    let elf = Elf::parse(&head).filter(|elf| elf.machine == plan.platform.elf_machine());
    let Some((_, segment)) = elf.and_then(|elf| elf.segment(crate::relocate::elf::tag::PT_INTERP))
    else {
        return Ok(None);
    };
    // Tools that change the path move it to the end of the file.
    let text = blob.part(segment.offset, segment.filesz.min(4096))?.unwrap_or_default();
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

/// Returns what a loader of the closure starts programs with.
fn runtime(plan: &Plan, tree: &Tree, loader: &MemberPath) -> Result<Runtime> {
    let name = loader.file_name();
    if name != plan.platform.loader() && !name.starts_with("ld-2.") {
        return Err(Error::build(format!(
            "{} holds programs for the loader {loader}, and only that of glibc can start programs anywhere",
            plan.name
        ))
        .about(plan.name.as_str())
        .hint("choose a closure that is built with glibc, or linked statically"));
    }
    let dir = loader.parent().unwrap_or_else(|| loader.clone());
    let there = |name: &str| {
        let dir = MemberPath::literal(&format!("{dir}/{name}"));
        tree.has_members(&dir).then_some(dir)
    };
    let (locales, gconv) = (there("locale"), there("gconv"));
    Ok(Runtime {
        platform: plan.platform,
        loader: loader.clone(),
        library_dirs: vec![dir],
        locales,
        gconv,
    })
}

/// Returns the places in `bin/`, each with the path of its program.
///
/// # Errors
/// If the manifest's `bin` names a path that is no program.
pub fn names(
    plan: &Plan,
    tree: &Tree,
    paths: &ClosurePaths,
) -> Result<BTreeMap<MemberPath, MemberPath>> {
    let mut out = BTreeMap::new();
    let at = |name: &str| MemberPath::literal(&format!("bin/{name}"));
    let is_executable = |path: &MemberPath| {
        let real = tree.file(path).map(|(real, _)| real);
        real.is_some_and(|r| matches!(tree.get(&r), Some(Node::File { executable: true, .. })))
    };
    let chosen = plan.spec.programs().map(|programs| &programs.bin);
    for (name, target) in chosen.into_iter().flatten() {
        let below = |path: &MemberPath| MemberPath::composed(&format!("{path}/{target}"));
        let mut candidates =
            MemberPath::composed(target).into_iter().chain(paths.wanted.iter().filter_map(below));
        let Some(path) = candidates.find(is_executable) else {
            return Err(Error::user(format!(
                "{} has no program {target}, which `bin` names",
                plan.name
            ))
            .about(plan.name.as_str())
            .about(format!("bin {name}"))
            .hint("name a path inside the store path, such as \"bin/hello\", or inside the tree"));
        };
        out.insert(at(name), path);
    }
    if !out.is_empty() {
        return Ok(out);
    }
    for path in &paths.wanted {
        for name in tree.entries(&format!("{path}/bin")) {
            let program = MemberPath::literal(&format!("{path}/bin/{name}"));
            if !name.starts_with('.') && is_executable(&program) {
                out.entry(at(&name)).or_insert(program);
            }
        }
        // The output of a derivation may be one program.
        if is_executable(path) {
            let name = path.file_name().split_once('-').map_or("program", |(_, name)| name);
            out.entry(at(name)).or_insert_with(|| path.clone());
        }
    }
    Ok(out)
}

/// Returns the places of the commands that programs name by paths outside of the store, each with its
/// program.
pub fn commands(tree: &Tree, paths: &ClosurePaths) -> BTreeMap<MemberPath, MemberPath> {
    let place = |name: &&str| {
        let program = paths.program(tree, name)?;
        Some((MemberPath::literal(&format!("usr/bin/{name}")), program))
    };
    COMMANDS.iter().filter_map(place).collect()
}

/// Returns the path of a program behind its launcher.
fn behind(program: &MemberPath) -> MemberPath {
    program.with_file_name(&format!(".{}.real", program.file_name()))
}

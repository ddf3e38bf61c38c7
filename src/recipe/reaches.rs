//! Surveys a finished tree: which constants in its files name files of the host, and what becomes
//! of each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use fs_err as fs;
use memchr::memmem;

use crate::error::{Error, Result};
use crate::model::{MemberPath, base32};
use crate::reach::{
    Boundary, Constant, Fate, Holder, Reason, Survey, Why, constants, explanation, is_below,
    is_skipped, syntax,
};
use crate::relocate::closure;
use crate::relocate::launched::{self, Launched};
use crate::relocate::launcher::{REDIRECTION, is_library_name};
use crate::relocate::loaded::Loaded;
use crate::relocate::redirect::{self, Meaning, Sealed, is_shared};
use crate::relocate::{scripts, symlinks};
use crate::tree::{Blob, Node, Tree};

/// The files of libc, which opens files without calling its public functions, by the beginning of
/// their names.
const LIBC: &[&str] =
    &["ld-linux", "libc.so.", "libnss_", "libresolv.so", "libanl.so", "libnsl.so"];
/// What sealing writes in the place of a path.
const SEAL: &[u8] = b"/.no/";

/// What a file with constants is, before it is known how it is started.
enum Kind {
    Program(Loaded),
    StaticProgram { is_go: bool },
    Library(Vec<String>),
    Libc,
    Script(Option<MemberPath>),
    Data,
}

struct File {
    path: MemberPath,
    kind: Kind,
    constants: BTreeSet<String>,
}

/// Surveys a tree that the recipe with a name finished.
///
/// # Errors
/// If a file of the tree cannot be read.
pub fn survey_constants(recipe: &str, tree: &Tree) -> Result<Survey> {
    let mut buffer = vec![];
    let launchers = launchers(tree, &mut buffer)?;
    let mut out = Survey::default();
    let mut files = vec![];
    for (path, node) in tree.iter() {
        let Node::File { blob, executable } = node else { continue };
        let is_elf = blob.head(4)?.starts_with(b"\x7fELF");
        if launchers.contains_key(path)
            || is_below(path.as_str(), "usr/lib/.cotter")
            || (!is_elf && is_skipped(path.as_str()))
        {
            continue;
        }
        read(blob, &mut buffer)?;
        if let Some(file) = look(path, *executable, &buffer, tree, &mut out.replaced) {
            files.push(file);
        }
    }
    let judge = Judge::new(recipe, tree, &launchers, &files)?;
    for file in &files {
        let holder = judge.holder(file);
        for path in &file.constants {
            let fate = judge.fate(file, path, holder);
            out.constants.push(Constant { file: file.path.to_string(), path: path.clone(), fate });
        }
    }
    Ok(out)
}

fn read(blob: &Blob, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let read = fs::File::open(blob.path()).and_then(|mut file| file.read_to_end(buffer));
    read.map(drop).map_err(|e| Error::at("read", blob.path(), e))
}

/// Returns the launchers of a tree, with what each one starts.
fn launchers(tree: &Tree, buffer: &mut Vec<u8>) -> Result<BTreeMap<MemberPath, Launched>> {
    let mut out = BTreeMap::new();
    for (path, node) in tree.iter() {
        let Node::File { blob, executable: true } = node else { continue };
        if blob.size() > launched::LARGEST || !blob.head(4)?.starts_with(b"\x7fELF") {
            continue;
        }
        read(blob, buffer)?;
        if let Some(what) = launched::read(buffer) {
            out.insert(path.clone(), what);
        }
    }
    Ok(out)
}

/// Finds the constants of a file. Returns `None` if there are none and nothing else about the file
/// matters.
fn look(
    path: &MemberPath,
    executable: bool,
    bytes: &[u8],
    tree: &Tree,
    replaced: &mut usize,
) -> Option<File> {
    let mut found = BTreeSet::new();
    let kind = if bytes.starts_with(b"\x7fELF") {
        let loaded = Loaded::parse(bytes)?;
        if loaded.is_dynamic_program && !executable && !is_library_name(path.file_name()) {
            return None;
        }
        let is_static =
            !loaded.is_dynamic_program && !is_library_name(path.file_name()) && executable;
        let is_rust = memmem::find(bytes, b"/rustc/").is_some();
        let boundary = if loaded.is_go || is_rust { Boundary::Packed } else { Boundary::String };
        let accept = |at| !loaded.reserved.iter().any(|r| r.contains(&at));
        for (range, is_code) in &loaded.ranges {
            *replaced += memmem::find_iter(&bytes[range.clone()], SEAL).count();
            // Instructions contain parts of such strings.
            if *is_code && boundary == Boundary::Packed {
                continue;
            }
            constants(bytes, range.clone(), boundary, &accept, &mut found);
        }
        if boundary == Boundary::Packed {
            found = found.into_iter().map(without_neighbour).collect();
        }
        if LIBC.iter().any(|l| path.file_name().starts_with(l)) {
            Kind::Libc
        } else if loaded.is_dynamic_program && !is_library_name(path.file_name()) {
            // A program matters without constants of its own, because it loads libraries.
            return Some(File {
                path: path.clone(),
                kind: Kind::Program(loaded),
                constants: found,
            });
        } else if is_static {
            Kind::StaticProgram { is_go: loaded.is_go }
        } else {
            return Some(File {
                path: path.clone(),
                kind: Kind::Library(loaded.needed),
                constants: found,
            });
        }
    } else {
        let syntax = syntax(path.as_str(), bytes);
        let accept = |at| syntax.accepts(bytes, at);
        constants(bytes, 0..bytes.len(), syntax.boundary, &accept, &mut found);
        let is_started = executable || path.parts().rev().nth(1) == Some(".scripts");
        if bytes.starts_with(b"#!") && is_started {
            let interpreter = scripts::interpreter(&bytes[..bytes.len().min(512)]);
            Kind::Script(interpreter.and_then(|(program, _)| Some(tree.file(&program)?.0)))
        } else {
            Kind::Data
        }
    };
    (!found.is_empty()).then(|| File { path: path.clone(), kind, constants: found })
}

/// Cuts what another string added to the name of a file of the machine's configuration.
fn without_neighbour(path: String) -> String {
    let known = redirect::MACHINE.iter().filter(|m| path[1..].starts_with(*m));
    known.max_by_key(|m| m.len()).map_or(path.clone(), |m| format!("/{m}"))
}

/// Decides what becomes of constants.
struct Judge<'a> {
    recipe: &'a str,
    tree: &'a Tree,
    launchers: &'a BTreeMap<MemberPath, Launched>,
    /// Whether the tree has the library that redirects paths.
    redirects: bool,
    /// The places that the redirection seals.
    sealed: Sealed,
    /// The programs that start without redirection.
    plain: BTreeMap<&'a MemberPath, Why>,
    /// The file names of the libraries that such programs need.
    loaded: BTreeSet<&'a str>,
}

impl<'a> Judge<'a> {
    fn new(
        recipe: &'a str,
        tree: &'a Tree,
        launchers: &'a BTreeMap<MemberPath, Launched>,
        files: &'a [File],
    ) -> Result<Self> {
        let mut judge = Judge {
            recipe,
            tree,
            launchers,
            redirects: tree.at(REDIRECTION).is_some(),
            sealed: Sealed::read(tree)?,
            plain: BTreeMap::new(),
            loaded: BTreeSet::new(),
        };
        let started: BTreeMap<&MemberPath, bool> =
            launchers.values().fold(BTreeMap::new(), |mut started, l| {
                *started.entry(&l.target).or_default() |= l.is_redirected;
                started
            });
        let mut todo: Vec<&str> = vec![];
        let mut needs: BTreeMap<&str, &[String]> = BTreeMap::new();
        for file in files {
            match &file.kind {
                Kind::Library(needed) => {
                    needs.insert(file.path.file_name(), needed);
                }
                Kind::Program(loaded) => {
                    let why = match started.get(&file.path) {
                        _ if loaded.is_go => Why::SystemCalls,
                        Some(true) => continue,
                        Some(false) => Why::Plain,
                        None if loaded.needed.iter().any(|n| n.ends_with("redirect.so")) => {
                            continue;
                        }
                        None => Why::Stub,
                    };
                    judge.plain.insert(&file.path, why);
                    todo.extend(loaded.needed.iter().map(String::as_str));
                }
                Kind::StaticProgram { is_go } => {
                    let why = if *is_go { Why::SystemCalls } else { Why::Static };
                    judge.plain.insert(&file.path, why);
                }
                _ => {}
            }
        }
        while let Some(name) = todo.pop() {
            // The name of a library is often that of a link to it.
            let real = needs.keys().copied().find(|file| file.starts_with(name));
            if let Some(file) = real
                && judge.loaded.insert(file)
            {
                todo.extend(needs[file].iter().map(String::as_str));
            }
        }
        Ok(judge)
    }

    fn holder(&self, file: &File) -> Holder {
        if matches!(self.recipe, "library" | "nix-library") {
            return Holder::Embedded;
        }
        match &file.kind {
            Kind::Program(_) | Kind::StaticProgram { .. } => {
                self.plain.get(&file.path).map_or(Holder::Redirected, |why| Holder::Open(*why))
            }
            Kind::Libc => Holder::Libc,
            Kind::Library(_) if !self.redirects || self.loaded.contains(file.path.file_name()) => {
                Holder::Open(Why::Loaded)
            }
            Kind::Script(interpreter) if !self.starts_redirected(interpreter.as_ref()) => {
                Holder::Open(Why::Script)
            }
            Kind::Data if !self.redirects => Holder::Open(Why::Data),
            Kind::Library(_) | Kind::Script(_) | Kind::Data => Holder::Redirected,
        }
    }

    /// Whether a path of the Nix store exists nowhere: the redirection of a closure leaves no path of its
    /// directories to the host, and Nixpkgs writes a hash that no path can have into references that it
    /// removes.
    fn is_hidden(&self, path: &MemberPath) -> bool {
        let Some(owner) = closure::owner(path) else { return false };
        let hash = owner.file_name().get(..32).unwrap_or_default();
        !hash.bytes().all(base32::is_digit)
            || (self.recipe.starts_with("nix") && self.tree.exists(&owner))
    }

    fn starts_redirected(&self, interpreter: Option<&MemberPath>) -> bool {
        let Some(program) = interpreter else { return false };
        match self.launchers.get(program) {
            Some(launched) => launched.is_redirected,
            None => self.redirects && !self.plain.contains_key(program),
        }
    }

    fn fate(&self, file: &File, text: &str, holder: Holder) -> Fate {
        let explained = || explanation(self.recipe, file.path.as_str(), text).map(Fate::Explained);
        let path = MemberPath::parse(text.trim_start_matches('/').as_bytes()).ok().flatten();
        let Some(path) = path.map(|path| symlinks::usrmerged(&path)) else {
            return Fate::Open(Why::Uncovered);
        };
        let place = match self.sealed.meaning(self.tree, &path) {
            Meaning::Open if self.is_hidden(&path) => Meaning::Sealed,
            place => place,
        };
        let why = match holder {
            _ if redirect::MACHINE.iter().any(|m| path.is_under(m)) && place != Meaning::Given => {
                return Fate::Machine;
            }
            Holder::Embedded => return Fate::Embedded,
            Holder::Libc => Why::Libc,
            // The recipe redirects every program that holds a path which the tree has or seals.
            Holder::Open(Why::Plain | Why::Loaded) if self.redirects && place == Meaning::Open => {
                return Self::visible(&path)
                    .or_else(explained)
                    .unwrap_or(Fate::Open(Why::Uncovered));
            }
            Holder::Open(why) => why,
            Holder::Redirected => match place {
                Meaning::Given if is_shared(&path) => return Fate::Shared,
                Meaning::Given => return Fate::Redirected,
                Meaning::Sealed => return Fate::Sealed,
                Meaning::Machine | Meaning::Open => {
                    let why =
                        if matches!(file.kind, Kind::Data) { Why::Data } else { Why::Uncovered };
                    return Self::visible(&path).or_else(explained).unwrap_or(Fate::Open(why));
                }
            },
        };
        if redirect::MACHINE.iter().any(|m| path.is_under(m)) {
            return Fate::Machine;
        }
        explained().unwrap_or(Fate::Open(why))
    }

    /// Returns what becomes of a path that the redirection leaves to the host on purpose.
    fn visible(path: &MemberPath) -> Option<Fate> {
        if is_shared(path) {
            return Some(Fate::Shared);
        }
        if redirect::LEFT_TO_THE_MACHINE.contains(&path.as_str()) {
            return Some(Fate::Explained(Reason::Shell));
        }
        path.is_under("var").then_some(Fate::Explained(Reason::State))
    }
}

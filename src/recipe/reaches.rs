//! Surveys a finished tree: which constants in its files name files of the host, and what becomes
//! of each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use fs_err as fs;
use memchr::memmem;

use crate::error::{Error, Result};
use crate::model::MemberPath;
use crate::reach::{
    Boundary, Constant, Fate, Holder, Reason, Survey, Why, constants, explanation, is_below,
    is_machine, is_shared, is_skipped, syntax,
};
use crate::relocate::launched::{self, Launched};
use crate::relocate::launcher::is_library_name;
use crate::relocate::loaded::Loaded;
use crate::relocate::{scripts, symlinks};
use crate::tree::{Blob, Node, Tree};

/// The library that redirects paths.
pub const REDIRECTION: &str = "usr/lib/.cotter/redirect.so";
/// The list of the places that it seals.
const SEALED: &str = "usr/lib/.cotter/sealed";
/// The constants of files of libc, by the beginning of their names.
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
pub fn survey(recipe: &str, tree: &Tree) -> Result<Survey> {
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
            let fate = judge.fate(file.path.as_str(), path, holder);
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
        let is_static =
            !loaded.is_dynamic_program && !is_library_name(path.file_name()) && executable;
        let is_rust = memmem::find(bytes, b"/rustc/").is_some();
        let boundary = if loaded.is_go || is_rust { Boundary::Packed } else { Boundary::String };
        let accept = |at| !loaded.reserved.iter().any(|r| r.contains(&at));
        for range in &loaded.ranges {
            constants(bytes, range.clone(), boundary, &accept, &mut found);
            *replaced += memmem::find_iter(&bytes[range.clone()], SEAL).count();
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

/// Decides what becomes of constants.
struct Judge<'a> {
    recipe: &'a str,
    tree: &'a Tree,
    launchers: &'a BTreeMap<MemberPath, Launched>,
    /// Whether the tree has the library that redirects paths.
    redirects: bool,
    /// The places that the redirection seals, and the machine's configuration that it leaves alone.
    sealed: BTreeSet<String>,
    machine: Vec<String>,
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
            sealed: BTreeSet::new(),
            machine: vec![],
            plain: BTreeMap::new(),
            loaded: BTreeSet::new(),
        };
        if let Some(Node::File { blob, .. }) = tree.at(SEALED) {
            // An empty line separates the two lists.
            let text = String::from_utf8_lossy(&blob.read()?).into_owned();
            let mut lines = text.lines();
            judge.sealed =
                lines.by_ref().take_while(|l| !l.is_empty()).map(str::to_owned).collect();
            judge.machine = lines.map(str::to_owned).collect();
        }
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
        if self.recipe == "library" {
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

    fn starts_redirected(&self, interpreter: Option<&MemberPath>) -> bool {
        let Some(program) = interpreter else { return false };
        match self.launchers.get(program) {
            Some(launched) => launched.is_redirected,
            None => self.redirects && !self.plain.contains_key(program),
        }
    }

    fn fate(&self, file: &str, path: &str, holder: Holder) -> Fate {
        let explained = || explanation(self.recipe, file, path).map(Fate::Explained);
        match holder {
            Holder::Redirected => self.redirected(path).or_else(explained).unwrap_or_else(|| {
                if is_shared(path) { Fate::Shared } else { Fate::Open(Why::Uncovered) }
            }),
            _ if is_machine(path) => Fate::Machine,
            Holder::Embedded => Fate::Embedded,
            Holder::Libc => explained().unwrap_or(Fate::Open(Why::Libc)),
            Holder::Open(why) => explained().unwrap_or(Fate::Open(why)),
        }
    }

    /// Returns what the redirection does with a path, if it does anything.
    fn redirected(&self, path: &str) -> Option<Fate> {
        let inner = MemberPath::parse(path.trim_start_matches('/').as_bytes()).ok().flatten()?;
        let inner = symlinks::usrmerged(&inner);
        let outer = format!("/{inner}");
        let is_sealed = std::iter::successors(Some(outer.as_str()), |p| {
            p.rsplit_once('/').map(|(dir, _)| dir).filter(|dir| !dir.is_empty())
        })
        .any(|place| self.sealed.contains(place));
        if let Some(real) = self.tree.real_path(&inner) {
            let is_file = matches!(self.tree.get(&real), Some(Node::File { .. }));
            return Some(if is_file || is_sealed { Fate::Redirected } else { Fate::Shared });
        }
        if self.machine.iter().any(|place| is_below(&outer, place)) {
            return Some(Fate::Machine);
        }
        if is_sealed {
            return Some(Fate::Sealed);
        }
        is_below(path, "/var").then_some(Fate::Explained(Reason::State))
    }
}

//! What a command sees that cotter starts: the toolchains, and as much of this machine as the user
//! allows.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::outer::{Outer, SESSION};
use super::present::{is_program, programs};
use super::trees;
use crate::context::{Context, cache_store, var, var_os};
use crate::environment::{Changes, WITH_THE_USERS};
use crate::error::{Error, ErrorKind, Result, known_names, nearest};
use crate::fetch::open_regular;
use crate::model::{Digest, Kind, Platform, ToolchainName};
use crate::project::Project;
use crate::python::editable::Editable;
use crate::recipe::{self, Active};
use crate::relocate::closure::STORE;
use crate::relocate::guard;
use crate::relocate::scripts::requested_interpreter;
use crate::store::{GUARDS, SESSIONS, SessionFile, Stamp, Store};

/// Which programs of this machine a command may start by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Those that the manifest lists under `host`. The command's children may start every program
    /// that is no relative of a pinned one.
    Listed,
    /// All programs (`--host`).
    All,
    /// None (`--pure`).
    None,
}

impl Access {
    /// Returns the access for the flags `--host` and `--pure`, of which one is set at most.
    pub fn of_flags(host: bool, pure: bool) -> Access {
        match (host, pure) {
            (true, _) => Access::All,
            (_, true) => Access::None,
            _ => Access::Listed,
        }
    }
}

/// What makes CMake search the trees only. No variable of the environment does it. Source:
/// cmake-variables(7), `CMAKE_SYSTEM_IGNORE_PREFIX_PATH` (since 3.23); cmake-env-variables(7),
/// `CMAKE_TOOLCHAIN_FILE` (since 3.21).
const PURE_CMAKE: &str = "\
# Made by cotter for --pure: CMake searches neither this machine's directories nor its registries.
# Below a sysroot, CMake would ignore them, too.
if(NOT CMAKE_SYSROOT AND NOT CMAKE_FIND_ROOT_PATH)
  list(APPEND CMAKE_SYSTEM_IGNORE_PREFIX_PATH / /usr /usr/local /usr/X11R6 /usr/pkg /opt)
endif()
set(CMAKE_FIND_USE_PACKAGE_REGISTRY FALSE)
set(CMAKE_FIND_USE_SYSTEM_PACKAGE_REGISTRY FALSE)
";

/// The variables by which interpreters find modules and options of the user, which `--pure` unsets.
const PURE_UNSET: &[&str] = &[
    "CLASSPATH",
    "GEM_HOME",
    "GEM_PATH",
    "JAVA_HOME",
    "LUA_CPATH",
    "LUA_PATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "RUBYLIB",
    "RUBYOPT",
    "R_LIBS",
    "R_LIBS_USER",
    "TCLLIBPATH",
];

/// The environment of a command.
pub struct Session<'a> {
    /// The variables, and the directories of the trees for PATH.
    pub changes: Changes,
    /// The directory of the guards, which stands on PATH behind the trees.
    pub guards: Option<PathBuf>,
    /// The rest of PATH.
    pub host: Vec<PathBuf>,
    outer: Outer,
    cx: &'a Context,
    access: Access,
    trees: Vec<Active>,
    project: OnceCell<Option<Project>>,
}

/// The place where a command was found.
enum Found {
    /// It may be started.
    Allowed(PathBuf),
    /// It is a program of this machine that may not be started by name.
    Refused(PathBuf),
    /// It is nowhere.
    Nowhere,
}

impl<'a> Session<'a> {
    /// Makes the named trees ready, or all of them, and determines the environment.
    ///
    /// # Errors
    /// If the toolchains cannot be made ready.
    pub fn open(names: &[ToolchainName], access: Access, cx: &'a Context) -> Result<Self> {
        Self::of(trees::active(names, cx)?, access, cx)
    }

    /// Determines the environment of trees.
    ///
    /// # Errors
    /// If what programs are to read cannot be written.
    pub fn of(trees: Vec<Active>, access: Access, cx: &'a Context) -> Result<Self> {
        let mut changes = recipe::environment(&trees);
        if let Some((libraries, compiler)) = recipe::unlinkable(&trees) {
            cx.reporter.warn(&format!(
                "{} compiles for {target}, and {} {} of {}, so that it links none of them: pass it -isystem and -L with the directories of `cotter path --platform {target} {}`",
                compiler.name,
                libraries.join(", "),
                if libraries.len() == 1 { "is" } else { "are" },
                compiler.platform,
                libraries[0],
                target = compiler.target,
            ));
        }
        let is_pure = access == Access::None;
        let outer = Outer::read(var(SESSION));
        let before = |name: &str| outer.before(name, var(name));
        let may_join = |name: &str| !is_pure || !WITH_THE_USERS.contains(&name);
        changes.complete(&|name| before(name).filter(|_| may_join(name)));
        if is_pure {
            let ours = |name: &&&str| !changes.set.contains_key(**name);
            let unset = PURE_UNSET.iter().filter(ours).map(|name| (*name).to_owned());
            changes.unset.extend(unset.collect::<Vec<_>>());
        }
        let project = OnceCell::new();
        let (host, guards) = (vec![], None);
        let mut out = Session { changes, guards, host, outer, cx, access, trees, project };
        out.host = out.host_path();
        match access {
            Access::None => out.shut_host_out()?,
            Access::All => out.changes.unset.push("COTTER_PURE".to_owned()),
            Access::Listed => {
                out.guards = out.guards();
                out.host.retain(|dir| Some(dir) != out.guards.as_ref());
            }
        }
        out.outer.undo(&mut out.changes, &var);
        let before = |name: &str| out.outer.before(name, var(name));
        let session = out.outer.then(out.front(), &out.changes, &before);
        out.changes.set.insert(SESSION.to_owned(), session);
        Ok(out)
    }

    /// Returns the directories of the trees and of the guards, in the order of PATH.
    pub fn front(&self) -> Vec<String> {
        let guards = self.guards.iter().map(|dir| dir.display().to_string());
        self.changes.path.iter().cloned().chain(guards).collect()
    }

    /// Returns the whole PATH.
    pub fn search_path(&self) -> OsString {
        let front = self.front();
        let front = front.iter().map(|dir| OsStr::new(dir.as_str()));
        let dirs: Vec<&OsStr> = front.chain(self.host.iter().map(|d| d.as_os_str())).collect();
        dirs.join(OsStr::new(":"))
    }

    /// Returns the program that a command names. A path is taken as it is.
    ///
    /// # Errors
    /// If no tree brings the command and nothing allows the one of this machine.
    pub fn find(&self, command: &OsStr) -> Result<PathBuf> {
        match self.look_up(command) {
            Found::Allowed(path) => Ok(path),
            Found::Refused(path) => Err(self.refusal(&command.to_string_lossy(), Some(&path))),
            Found::Nowhere => Err(self.refusal(&command.to_string_lossy(), None)),
        }
    }

    fn look_up(&self, command: &OsStr) -> Found {
        if command.as_bytes().contains(&b'/') {
            return Found::Allowed(self.cx.here.join(command));
        }
        let in_tree = self.changes.path.iter().map(|dir| Path::new(dir).join(command));
        if let Some(path) = in_tree.into_iter().find(|path| is_program(path)) {
            return Found::Allowed(path);
        }
        for dir in self.host.iter().filter(|dir| !is_guards(dir)) {
            let path = self.cx.here.join(dir).join(command);
            if is_program(&path) {
                let allowed = self.access == Access::All
                    || self.is_own(dir)
                    || command.to_str().is_some_and(|name| self.is_listed(name));
                return if allowed { Found::Allowed(path) } else { Found::Refused(path) };
            }
        }
        Found::Nowhere
    }

    /// Returns the error for a command that no tree brings. `on_host` is the program of this
    /// machine.
    fn refusal(&self, command: &str, on_host: Option<&Path>) -> Error {
        let brought = self.brought();
        let names: Vec<&str> = brought.keys().map(String::as_str).collect();
        let error = match on_host {
            Some(path) => Error::new(
                ErrorKind::CommandNotFound,
                format!("no toolchain brings the command {command:?}"),
            )
            .because(format!(
                "{} is this machine's, and exec starts it only if that is allowed",
                path.display()
            )),
            None => Error::new(
                ErrorKind::CommandNotFound,
                format!(
                    "there is no command {command:?} in the toolchains{}",
                    if self.access == Access::None { "" } else { " or on PATH" }
                ),
            ),
        };
        let tree = |name: &&str| format!("{name} ({})", brought[*name].name);
        let near = nearest(command, names.iter().copied(), 3);
        let error = match near.as_slice() {
            [] => {
                let trees: Vec<&str> = self.trees.iter().map(|t| t.name.as_str()).collect();
                match known_names("", &trees) {
                    Some(_) => error.hint(format!("the toolchains in use: {}", trees.join(", "))),
                    None => error,
                }
            }
            near => {
                let near: Vec<String> = near.iter().map(tree).collect();
                error.hint(format!("did you mean {}?", near.join(" or ")))
            }
        };
        let error = match self.editable_with(command) {
            Some(dir) => error.hint(format!(
                "{command} is a script of {dir}, which is imported from where it is: `cotter venv` makes it, as .venv/bin/{command}"
            )),
            None => error,
        };
        let script = self.script_of_closure(command);
        let error = match &script {
            Some((tree, script, interpreter)) => error.hint(format!(
                "{} has the script {script}, and its closure has no {interpreter}: `cotter exec --nix-store namespace -- {command}` starts it with that of this machine",
                tree.name
            )),
            None => error,
        };
        match (on_host, self.access) {
            (Some(_), _) => error.hint(format!(
                "to start this machine's, write host = [{command:?}] at the top of {}, or say `cotter exec --host -- {command}`",
                crate::manifest::FILE_NAME
            )),
            (None, Access::None) => error.hint("leave --pure out to see the host's commands too"),
            (None, _)
                if near.is_empty() && script.is_none() && is_name_of_package(command) =>
            {
                error.hint(format!("`cotter search {command}` looks for a package of that name"))
            }
            (None, _) => error,
        }
    }

    /// Returns the programs that users of the trees can name, each with its tree. The first tree
    /// counts.
    fn brought(&self) -> BTreeMap<String, &Active> {
        let mut out = BTreeMap::new();
        for tree in &self.trees {
            for name in programs(&tree.path.join("bin")) {
                out.entry(name).or_insert(tree);
            }
        }
        out
    }

    /// Returns a script with this name among the programs of a closure of Nix, and its interpreter: it
    /// has no name in the tree if the closure lacks the interpreter.
    fn script_of_closure(&self, name: &str) -> Option<(&Active, String, String)> {
        self.trees.iter().find_map(|tree| {
            let store = tree.path.join(STORE);
            let paths = store.read_dir().ok()?.filter_map(Result::ok);
            let mut scripts = paths.map(|path| path.path().join("bin").join(name));
            scripts.find_map(|script| {
                let mut head = vec![];
                open_regular(&script).ok()?.take(512).read_to_end(&mut head).ok()?;
                let interpreter = requested_interpreter(&head)?.to_owned();
                let shown = script.strip_prefix(&tree.path).ok()?.display().to_string();
                is_program(&script).then_some((tree, shown, interpreter))
            })
        })
    }

    /// Returns the directory among those that the sets in use import from whose project has a script.
    fn editable_with(&self, script: &str) -> Option<String> {
        let project = self.project()?;
        let sets =
            self.trees.iter().filter_map(|tree| project.manifest.requirements.get(&tree.name));
        let lines = sets.flat_map(|set| project.editables(set));
        let mut dirs = lines.map(|line| line.relative(project.dir()));
        dirs.find(|dir| Editable::read(project.dir(), dir).is_ok_and(|e| e.brings(script)))
    }

    /// Returns the manifest's project. It is read only if it is needed: the short way to the trees
    /// does without it.
    fn project(&self) -> Option<&Project> {
        self.project.get_or_init(|| Project::load(self.cx).ok()).as_ref()
    }

    /// Whether the manifest lists a command under `host`.
    fn is_listed(&self, command: &str) -> bool {
        let host = self.project().map_or(&[][..], |project| &project.manifest.host);
        host.iter().any(|name| name == command || name == "*")
    }

    /// Whether the programs in a directory of PATH belong to the project or to other trees, and not
    /// to this machine.
    fn is_own(&self, dir: &Path) -> bool {
        let project = self.cx.manifest_path().ok();
        let project = project.as_deref().and_then(Path::parent);
        !dir.is_absolute()
            || project.is_some_and(|project| dir.starts_with(project))
            || dir.starts_with(self.cx.store.dir().join("store"))
    }

    /// Returns the directories of the user's PATH that are not among those of the trees.
    fn host_path(&self) -> Vec<PathBuf> {
        let path = match self.access {
            Access::None => None,
            _ => var_os("PATH"),
        };
        let Some(path) = path else { return vec![] };
        std::env::split_paths(&path)
            .filter(|dir| !self.changes.path.iter().any(|own| dir.as_os_str() == own.as_str()))
            .filter(|dir| dir.to_str().is_none_or(|dir| !self.outer.has_on_path(dir)))
            .filter(|dir| self.access != Access::All || !is_guards(dir))
            .collect()
    }

    /// Tells the programs of the trees that nothing of the host exists for them, except what lies
    /// in the directories of this work.
    fn shut_host_out(&mut self) -> Result<()> {
        let project = self.cx.manifest_path().ok().and_then(|path| Some(path.parent()?.to_owned()));
        let temporary = var("TMPDIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let mut kept = vec![self.cx.store.dir().to_owned()];
        kept.extend(project.into_iter().chain([self.cx.here.clone()]).chain(temporary));
        let outer = var("COTTER_PURE");
        kept.extend(outer.iter().flat_map(|list| list.split(':')).map(PathBuf::from));
        let mut list: Vec<String> = vec![];
        for dir in kept {
            let Some(text) = dir.to_str().filter(|text| !text.contains(':')) else {
                self.cx.reporter.warn(&format!(
                    "programs may not find {} with --pure, because its name holds a colon or is no UTF-8",
                    dir.display()
                ));
                continue;
            };
            if dir.is_absolute() && !list.iter().any(|known| known == text) {
                list.push(text.to_owned());
            }
        }
        self.changes.set.insert("COTTER_PURE".to_owned(), list.join(":"));
        self.changes.unset.push("PYTHONPATH".to_owned());
        let brings_cmake =
            self.changes.path.iter().any(|dir| Path::new(dir).join("cmake").exists());
        if brings_cmake && var("CMAKE_TOOLCHAIN_FILE").is_none() {
            let dir = files_of_session(vec![("pure.cmake", PURE_CMAKE.to_owned())], self.cx)?;
            let set = self.changes.set.entry("CMAKE_TOOLCHAIN_FILE".to_owned());
            set.or_insert_with(|| dir.join("pure.cmake").display().to_string());
        }
        Ok(())
    }

    /// Returns the directory of the guards. Its name is a hash of everything that it depends on, so
    /// the directories of PATH are read only after one of them changed.
    fn guards(&self) -> Option<PathBuf> {
        let is_searched = |dir: &&PathBuf| dir.is_absolute() && !is_guards(dir);
        let host: Vec<(&PathBuf, Stamp)> = self
            .host
            .iter()
            .filter(is_searched)
            .filter_map(|dir| Some((dir, Stamp::of(dir)?)))
            .collect();
        let (manifest, platform) = (self.cx.manifest_path().ok()?, Platform::native()?);
        let stamp = Stamp::of(&manifest)?;
        let mut text = format!("guards 1 {platform} {} {stamp}\n", manifest.display());
        for tree in &self.trees {
            text += &format!("{} {}\n", tree.name, tree.path.display());
        }
        for (dir, stamp) in &host {
            text += &format!("{stamp} {}\n", dir.display());
        }
        let key = &Digest::of(text.as_bytes()).hex()[..32];
        let stores = [Some(&self.cx.store), cache_store().as_ref()].map(|s| s.cloned());
        let stores: Vec<Store> = stores.into_iter().flatten().collect();
        if let Some(dir) = stores.iter().find_map(|store| store.session(GUARDS, key)) {
            return Some(dir);
        }
        let files = self.guard_files(&host, &manifest, platform);
        let mut failure = None;
        for store in &stores {
            match store.add_session(GUARDS, key, &files) {
                Ok(()) => return store.session(GUARDS, key),
                Err(e) => failure = Some(e),
            }
        }
        if let (Some(e), false) = (failure, files.is_empty()) {
            self.cx.reporter.warn(&format!(
                "no guards keep {} and others of this machine away from the command's children: {e}",
                files[0].name
            ));
        }
        None
    }

    /// Returns the guards for the relatives of pinned programs that this machine has.
    fn guard_files(
        &self,
        host: &[(&PathBuf, Stamp)],
        manifest: &Path,
        platform: Platform,
    ) -> Vec<SessionFile> {
        let mut on_host: BTreeMap<String, &Path> = BTreeMap::new();
        for (dir, _) in host {
            for name in programs(dir) {
                on_host.entry(name).or_insert(dir);
            }
        }
        on_host.retain(|_, dir| !self.is_own(dir));
        let brought = self.brought();
        let brought = brought.iter().map(|(name, tree)| (name.as_str(), *tree)).collect();
        let relatives = recipe::relatives(&brought, on_host.keys().map(String::as_str));
        let guard = |(name, (tree, program)): (&str, (&Active, &str))| {
            let path = on_host[name].join(name);
            let text = format!(
                "cotter: {name} is not in the toolchains; {} pins {program}\ncotter: to start this machine's {}, write host = [\"{name}\"] at the top of {}, or say `cotter exec --host`\n",
                self.table(tree, manifest),
                path.display(),
                manifest.display(),
            );
            let bytes = guard::render(platform, &text);
            SessionFile { name: name.to_owned(), bytes, executable: true }
        };
        let wanted = |(name, _): &(&str, (&Active, &str))| {
            !self.is_listed(name) && is_program(&on_host[*name].join(name))
        };
        relatives.into_iter().filter(wanted).map(guard).collect()
    }

    /// Returns the table of the manifest that asks for a tree, with its place.
    fn table(&self, tree: &Active, manifest: &Path) -> String {
        let project = self.project();
        let set = || project?.package_trees().into_iter().find(|t| t.name == tree.name);
        let (table, place) = match tree.recipe.kind() {
            Kind::Packages => {
                let set = set().map(|t| t.set);
                let name = set.map_or(&tree.name, |set| &set.name);
                (format!("[requirements.{name}]"), set.map(|set| &set.place))
            }
            _ => {
                let toolchain = project.and_then(|p| p.manifest.toolchains.get(&tree.name));
                (format!("[toolchains.{}]", tree.name), toolchain.map(|t| &t.place))
            }
        };
        match place {
            Some(place) => format!("{table} ({}:{})", manifest.display(), place.line),
            None => table,
        }
    }
}

/// Writes files that are handed to a program and returns their directory. Its name is a hash of their
/// content.
///
/// # Errors
/// If neither the store nor the cache directory of the user can be written.
pub fn files_of_session(files: Vec<(&str, String)>, cx: &Context) -> Result<PathBuf> {
    let text: Vec<String> = files.iter().map(|(name, text)| format!("{name}\n{text}")).collect();
    let key = &Digest::of(text.join("\0").as_bytes()).hex()[..32];
    let file = |(name, text): (&str, String)| SessionFile {
        name: name.to_owned(),
        bytes: text.into_bytes(),
        executable: false,
    };
    let files: Vec<SessionFile> = files.into_iter().map(file).collect();
    let write = |store: &Store| match store.session(SESSIONS, key) {
        Some(dir) => Ok(Some(dir)),
        None => store.add_session(SESSIONS, key, &files).map(|()| store.session(SESSIONS, key)),
    };
    let mut failure = None;
    for store in [Some(cx.store.clone()), cache_store()].into_iter().flatten() {
        match write(&store) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) => {}
            Err(e) => failure = Some(e),
        }
    }
    Err(failure
        .unwrap_or_else(|| Error::user("the files of the session are gone again"))
        .context("can't write the files that the program is to read"))
}

/// Whether a package of Debian may have this name. Source: Debian Policy, section 5.6.1.
fn is_name_of_package(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(plain)
}

/// Whether a directory of PATH holds guards. Those of another session stay on PATH, but no program
/// is looked up in them.
fn is_guards(dir: &Path) -> bool {
    let mut parts = dir.components().rev().map(|part| part.as_os_str());
    let is_key =
        |name: &OsStr| name.len() == 32 && name.as_bytes().iter().all(u8::is_ascii_hexdigit);
    parts.next().is_some_and(is_key) && parts.next() == Some(OsStr::new(GUARDS))
}

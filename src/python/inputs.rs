//! Checks and prepares the files that state the requirements of a set before uv reads them. uv
//! would run the build backend of a directory to learn what it requires. Therefore it never sees
//! a directory: what the directory's `pyproject.toml` states takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use super::dependency::RequiresDist;
use super::named_files::FileLine;
use super::pyproject::{self, PyProject};
use super::refusal::Refusal;
use super::requirement_files::{PylockEntry, closure, is_project, real};
use super::requirement_lines::{
    Line, LocalDirectory, NamedFile, is_list, lines, odd_character, parse,
};
use super::target::WheelTarget;
use super::uv_lock;
use crate::error::{Error, Place, Result};
use crate::fetch::read_list;
use crate::manifest::Requirements;
use crate::model::{normalize_project as normalize, redact};

/// The interpreters for which a set is made.
pub struct Interpreters<'a> {
    /// Each platform's.
    pub targets: &'a [WheelTarget],
    /// Where the manifest asks for the interpreter, for messages.
    pub asked: &'a str,
}

/// Checks the files that a set names, which are relative to `dir`. `indexes` are the addresses of the
/// package indexes in use.
///
/// # Errors
/// If one does not exist, or asks for something that no lock can name by its hash, or for a
/// directory whose requirements only a build backend knows, or if it is made for another Python or
/// for another state of the project.
pub fn check(
    set: &Requirements,
    dir: &Path,
    interpreters: &Interpreters,
    indexes: &[String],
) -> Result<()> {
    let constraints = set.constraints.iter().map(|file| (file, true));
    let mut projects = vec![];
    for (file, is_constraint) in set.inputs.iter().map(|file| (file, false)).chain(constraints) {
        let path = dir.join(&file.value);
        let located = |e: Error| match set.places.get(&file.value) {
            Some(place) => e.located(place.clone()),
            None => e,
        };
        refuse_circle(&path, dir, &mut vec![], &mut BTreeSet::new())?;
        for part in closure(dir, &path) {
            let name = shown(&part, dir);
            // What builds import is a list that cotter itself writes, beside the store.
            if !set.is_generated || part != path {
                within_checkout(&part, &name, dir).map_err(&located)?;
            }
            if part.ends_with(pyproject::FILE) && part.exists() {
                let project = PyProject::read(&part, &name)?;
                if let Some((stated, place)) = project.requires_python() {
                    check_python(stated, place, &name, interpreters)?;
                }
            }
            let text = match read_list(&part) {
                Ok(text) => text,
                // A directory without the file is reported with the line that names it.
                Err(_) if part.ends_with(pyproject::FILE) && part != path => continue,
                Err(e) => {
                    let error = Error::unreadable(Path::new(&name), e);
                    return Err(located(if part == path {
                        error
                    } else {
                        error.because(format!("{} names it", file.value))
                    }));
                }
            };
            if part.ends_with(uv_lock::FILE) {
                check_lock_python(&text, &name, interpreters)?;
                uv_lock::check(&part, &name, interpreters.targets)?;
            }
            if name.rsplit('/').next().is_some_and(|name| name.starts_with("pylock.")) {
                check_lock_python(&text, &name, interpreters)?;
            }
            if is_list(&part) {
                check_list(&text, &name, is_constraint, dir)?;
            }
        }
        if is_project(&path) {
            let project = static_project(&path, dir).map_err(|e| e.hint(STATE))?;
            // Several projects may share the extras, and uv refuses those that none has.
            let extras: Vec<String> =
                set.extras.iter().filter(|extra| project.has_extra(extra)).cloned().collect();
            let required = project.requirements(&extras)?;
            let required = project.without_files(&required);
            project.check(&required, pyproject::ELSEWHERE)?;
            projects.push((project, required));
        }
    }
    // uv may take the sources of a workspace among the inputs for its members.
    for (workspace, _) in projects.iter().filter(|(project, _)| project.is_workspace()) {
        projects
            .iter()
            .try_for_each(|(_, required)| workspace.check(required, pyproject::ELSEWHERE))?;
    }
    let of_groups = dir.join(pyproject::FILE);
    if !set.groups.is_empty() && of_groups.exists() {
        within_checkout(&of_groups, pyproject::FILE, dir)?;
        let project = PyProject::read(&of_groups, pyproject::FILE)?;
        let required = project.without_files(&project.group_requirements(&set.groups));
        project.check(&required, pyproject::ELSEWHERE)?;
        if let Some((stated, place)) = project.requires_python() {
            check_python(stated, place, pyproject::FILE, interpreters)?;
        }
        for (group, stated, place) in project.groups_require_python(&set.groups) {
            let what = format!("the group {group:?} of {}", pyproject::FILE);
            check_python(stated, place, &what, interpreters)?;
        }
    }
    for (file, _) in uv_projects(set, dir).iter().filter(|(_, all_count)| **all_count) {
        PyProject::read(file, &shown(file, dir))?.check_uv_keys(indexes)?;
    }
    uv_settings(set, dir).map(drop)
}

/// Checks that a project is made for the interpreters.
fn check_python(stated: &str, place: Place, file: &str, interpreters: &Interpreters) -> Result<()> {
    let refused = |why: String| {
        Error::user(format!("{file} is made for another Python"))
            .located(place.clone())
            .because(why)
            .because(format!("{} asks for the interpreter", interpreters.asked))
    };
    for target in interpreters.targets {
        match target.is_covered_by(stated) {
            Some(true) => {}
            Some(false) => {
                return Err(refused(format!(
                    "expected requires-python to allow {}, got {stated:?}",
                    target.version()
                ))
                .hint("pin another interpreter, or change requires-python"));
            }
            None => {
                return Err(refused(format!(
                    "expected requires-python such as \">=3.11\", got {stated:?}"
                ))
                .hint("change requires-python"));
            }
        }
    }
    Ok(())
}

/// Checks that a lock of another tool is made for the interpreters.
fn check_lock_python(text: &str, file: &str, interpreters: &Interpreters) -> Result<()> {
    let key = "requires-python";
    // The key is one of the first, before any table.
    let head = text.lines().enumerate().take_while(|(_, line)| !line.starts_with('['));
    let stated = head.filter_map(|(at, line)| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.trim() == key).then(|| (at + 1, value.to_owned()))
    });
    for (line, stated) in stated {
        let place = Place { file: file.to_owned(), line, column: 1 };
        check_python(&stated, place, file, interpreters)?;
    }
    Ok(())
}

/// Returns the files of the projects among the inputs of a set whose `[tool.uv]` counts, each with
/// whether all of its keys count: those beside a lock of uv have had their effect in it.
fn uv_projects(set: &Requirements, dir: &Path) -> BTreeMap<PathBuf, bool> {
    let named: Vec<PathBuf> = set.inputs.iter().map(|file| dir.join(&file.value)).collect();
    let groups = (!set.groups.is_empty()).then(|| dir.join(pyproject::FILE));
    let beside = |path: &PathBuf| path.with_file_name(pyproject::FILE);
    let of_locks = named.iter().filter(|path| path.ends_with(uv_lock::FILE));
    let mut out: BTreeMap<PathBuf, bool> = of_locks.map(|path| (beside(path), false)).collect();
    let projects = named.iter().filter(|path| is_project(path)).chain(&groups);
    out.extend(projects.map(|path| (beside(path), true)));
    out.retain(|path, _| path.exists());
    out
}

/// Returns the constraints and the overrides that `[tool.uv]` states in each project among the
/// inputs of a set, in this order. uv itself reads no configuration here.
///
/// # Errors
/// If they cannot be read.
pub fn uv_settings(set: &Requirements, dir: &Path) -> Result<[Vec<RequiresDist>; 2]> {
    let mut out = [vec![], vec![]];
    for file in uv_projects(set, dir).keys() {
        let project = PyProject::read(file, &shown(file, dir))?;
        for (list, more) in out.iter_mut().zip(project.constraints_and_overrides()?) {
            list.extend(more);
        }
    }
    Ok(out)
}

/// Checks that the projects among the inputs of a set are made for this version of uv.
///
/// # Errors
/// If one is not, or if it cannot be read.
pub fn check_uv_version(set: &Requirements, dir: &Path, version: &str) -> Result<()> {
    for file in uv_projects(set, dir).keys() {
        let name = shown(file, dir);
        let project = PyProject::read(file, &name)?;
        let Some((stated, place)) = project.required_uv() else { continue };
        // A version alone stands for itself.
        let bare = stated.trim().starts_with(|c: char| c.is_ascii_digit());
        let text = if bare { format!("=={}", stated.trim()) } else { stated.to_owned() };
        let allows = VersionSpecifiers::from_str(&text).ok().zip(Version::from_str(version).ok());
        if allows.is_some_and(|(specifiers, version)| specifiers.contains(&version)) {
            continue;
        }
        return Err(Error::user(format!("{name} is made for another uv"))
            .located(place)
            .because(format!("expected required-version to allow {version}, got {stated:?}"))
            .hint(format!(
                "pin another version in [toolchains.{}], or change required-version",
                set.uv.value
            )));
    }
    Ok(())
}

/// Checks that a file, or what a symlink in its place leads to, lies in the checkout around the
/// project: otherwise a repository that was only cloned could have other files of the machine read,
/// and its lock would fit on no other machine.
fn within_checkout(path: &Path, name: &str, dir: &Path) -> Result<()> {
    let Ok(real) = path.canonicalize() else { return Ok(()) };
    let top = dir.ancestors().find(|above| above.join(".git").exists()).unwrap_or(dir);
    let top = top.canonicalize().map_err(|e| Error::at("read", top, e))?;
    if real.starts_with(&top) {
        return Ok(());
    }
    Err(Error::user(format!("{name} does not lie in the checkout of the project"))
        .because(format!("expected a file below {}, got {}", top.display(), real.display()))
        .hint("copy it into the project"))
}

/// Whether a file, or what a symlink in its place leads to, lies in the checkout around the project.
pub fn is_in_checkout(path: &Path, dir: &Path) -> bool {
    within_checkout(path, "", dir).is_ok()
}

/// The next step if only a build backend knows what a project requires.
const STATE: &str = "state `name` and `dependencies` in [project] of its pyproject.toml, or name the requirements in a list";

/// Checks that a list does not name itself, neither directly nor through others: uv would leave out
/// what it holds. `above` are the lists that lead to it, `done` those that were checked.
fn refuse_circle(
    file: &Path,
    dir: &Path,
    above: &mut Vec<PathBuf>,
    done: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    // A file that cannot be read is reported by the other checks.
    let (Ok(real), true) = (file.canonicalize(), is_list(file)) else { return Ok(()) };
    if !done.insert(real.clone()) {
        return Ok(());
    }
    above.push(real);
    let text = read_list(file).unwrap_or_default();
    for (line, text) in lines(&text) {
        let (Line::List(name) | Line::Constraints(name)) = parse(&text) else { continue };
        let named = file.with_file_name(name);
        let Ok(real) = named.canonicalize() else { continue };
        let Some(at) = above.iter().position(|path| *path == real) else {
            refuse_circle(&named, dir, above, done)?;
            continue;
        };
        let top = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let circle = above[at..].iter().chain([&real]).map(|path| shown(path, &top));
        let (name, circle) = (shown(file, dir), circle.collect::<Vec<_>>().join(" -> "));
        return Err(Error::user(format!("{name} names a list that leads to it again"))
            .located(Place { file: name, line, column: 1 })
            .because(format!("expected lists without a circle, got {circle}"))
            .because("uv would leave out what they hold")
            .hint("leave this line out"));
    }
    above.pop();
    Ok(())
}

fn check_list(text: &str, name: &str, is_constraint: bool, dir: &Path) -> Result<()> {
    if let Some((line, found)) = odd_character(text) {
        return Err(Error::user(format!(
            "{name} holds a character that can be read in more than one way"
        ))
        .located(Place { file: name.to_owned(), line, column: 1 })
        .because(format!("expected plain lines, got {}", found.escape_unicode()))
        .because(Refusal::Unclear.why())
        .hint("save the file as UTF-8 without a byte order mark, and with lines that end in \\n"));
    }
    for (line, text) in lines(text) {
        let place = || Place { file: name.to_owned(), line, column: 1 };
        match parse(&text) {
            Line::Refused(refusal) => {
                return Err(Error::user(format!("{name} names {}", refusal.what()))
                    .located(place())
                    .because(format!(
                        "expected a release such as \"click==8.1.7\", got {:?}",
                        redact(&text)
                    ))
                    .because(refusal.why())
                    .hint(refusal.hint()));
            }
            Line::Directory(_) if is_constraint => {
                return Err(Error::user(format!(
                    "{name} names a directory, and is a file of constraints"
                ))
                .located(place())
                .because(format!("expected a release such as \"click==8.1.7\", got {text:?}"))
                .hint("name a release"));
            }
            Line::Directory(directory) if !directory.editable => {
                let path = directory.path.display();
                return Err(Error::user(format!("{name} names a directory in place of a release"))
                    .located(place())
                    .because(format!("expected a release such as \"click==8.1.7\", got {text:?}"))
                    .because("a lock names files by hash, and what would be built of a directory has none")
                    .hint(format!("write \"-e {path}\": its modules are imported from where they are, and what its pyproject.toml requires is locked"))
                    .hint("or build a wheel of it, and name that file"));
            }
            Line::Directory(directory) => {
                required_by(&directory, dir).map_err(|e| {
                    e.context(format!("{name} names a directory in place of a release"))
                        .because(format!("{name}:{line}: {text:?}"))
                        .located(place())
                        .hint(STATE)
                })?;
                check_names(&directory, dir, name, place())?;
            }
            Line::File(_) if is_constraint => {
                return Err(Error::user(format!(
                    "{name} names a file in place of a release, and is a file of constraints"
                ))
                .located(place())
                .because(format!("expected a release such as \"click==8.1.7\", got {text:?}"))
                .hint("name a release"));
            }
            Line::File(file) => {
                let line = FileLine { file, place: place() };
                line.location(dir)?;
                line.project()?;
            }
            Line::Plain | Line::Index(_) | Line::List(_) | Line::Constraints(_) => {}
        }
    }
    Ok(())
}

/// Checks that a directory holds the project that a line of the list `name` calls by its name: what
/// another project requires would take its place.
fn check_names(directory: &LocalDirectory, dir: &Path, name: &str, place: Place) -> Result<()> {
    let path = dir.join(&directory.path).join(pyproject::FILE);
    let project = PyProject::read(&path, &shown(&path, dir))?;
    match directory.names.iter().find_map(|called| Some((called, project.other_name(called)?))) {
        None => Ok(()),
        Some((called, (own, at))) => Err(Error::user(format!(
            "{name} calls the project of a directory by another name than the project itself"
        ))
        .because(format!("expected {own:?}, as {}:{} says, got {called:?}", at.file, at.line))
        .located(place)
        .hint(format!("write {own} in the list, or name the directory of {called}"))),
    }
}

/// Returns what the `pyproject.toml` next to a file states, if it needs no build backend for that.
fn static_project(path: &Path, dir: &Path) -> Result<PyProject> {
    let name = shown(path, dir);
    let path = path.with_file_name(pyproject::FILE);
    let file = shown(&path, dir);
    let project = PyProject::read(&path, &file)?;
    match project.is_dynamic() {
        None => Ok(project),
        Some((why, place)) => Err(Error::user(format!("what {name} requires is not stated"))
            .located(place)
            .because(format!("{file}: {why}"))
            .because("a build backend would have to run, and cotter builds no directory")),
    }
}

/// Returns what a directory requires, in the form of PEP 508.
fn required_by(directory: &LocalDirectory, dir: &Path) -> Result<Vec<String>> {
    let file = dir.join(&directory.path).join(pyproject::FILE);
    let project = static_project(&file, dir)?;
    let required = project.requirements(&directory.extras)?;
    project.check(&required, pyproject::ANYWHERE)?;
    let with_marker = |text: &str| match (&directory.marker, text.split_once(';')) {
        (None, _) => text.to_owned(),
        (Some(marker), None) => format!("{text} ; {marker}"),
        (Some(marker), Some((text, own))) => {
            format!("{} ; ({}) and ({marker})", text.trim(), own.trim())
        }
    };
    Ok(required.iter().map(|r| with_marker(&r.text)).collect())
}

/// Returns the text of a list in which what directories require stands in their place, or `None` if
/// the list and those that it names contain neither a directory nor a file. Lists that it names are
/// included; `paths` tells how it names other files.
///
/// # Errors
/// If a file cannot be read. The lists were checked before.
pub fn expanded(file: &Path, dir: &Path, paths: &Paths) -> Result<Option<String>> {
    let is_other = |line: &str| matches!(parse(line), Line::Directory(_) | Line::File(_));
    let has_other = |path: &PathBuf| {
        let text = read_list(path).unwrap_or_default();
        is_list(path) && lines(&text).iter().any(|(_, line)| is_other(line))
    };
    if !closure(dir, file).iter().any(has_other) {
        return Ok(None);
    }
    let mut out = String::new();
    expand(file, dir, paths, &mut BTreeSet::new(), &mut out)?;
    Ok(Some(out))
}

/// How a list for uv names what lies elsewhere than in the original.
pub struct Paths<'a> {
    /// Returns the path of a file of constraints.
    pub constraints: &'a dyn Fn(&Path) -> Result<PathBuf>,
    /// Returns the line for a file in place of a release.
    pub file: &'a dyn Fn(&NamedFile) -> Result<String>,
}

fn expand(
    file: &Path,
    dir: &Path,
    paths: &Paths,
    seen: &mut BTreeSet<PathBuf>,
    out: &mut String,
) -> Result<()> {
    // Lists that name each other would have no end, also by other paths. A second copy adds nothing.
    if !seen.insert(real(file)) {
        return Ok(());
    }
    let text = read_list(file).map_err(|e| Error::unreadable(file, e))?;
    let beside = |name: &str| file.parent().unwrap_or(Path::new("")).join(name);
    for (_, line) in lines(&text) {
        match parse(&line) {
            Line::List(name) => expand(&beside(&name), dir, paths, seen, out)?,
            Line::Constraints(name) => {
                let _ = writeln!(out, "-c {}", (paths.constraints)(&beside(&name))?.display());
            }
            Line::Directory(directory) => {
                for required in required_by(&directory, dir)? {
                    let _ = writeln!(out, "{required}");
                }
            }
            Line::File(file) => {
                let _ = writeln!(out, "{}", (paths.file)(&file)?);
            }
            Line::Plain | Line::Index(_) | Line::Refused(_) => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    Ok(())
}

/// Returns the list that uv exports of a `uv.lock`, without the directories of the workspace and of
/// other projects: what they require stands in the list, too. Messages call the lock `file`.
///
/// # Errors
/// If it names something that no lock can name by its hash.
pub fn exported(
    list: &str,
    lock: &str,
    file: &str,
    line_of: &dyn Fn(&NamedFile) -> Result<String>,
) -> Result<String> {
    let mut out = String::new();
    for (_, line) in lines(list) {
        match parse(&line) {
            Line::Directory(_) => {}
            Line::File(named) => {
                let _ = writeln!(out, "{}", line_of(&named)?);
            }
            Line::Refused(refusal) => {
                let name = line.split(['@', ' ', '[']).next().unwrap_or(&line);
                return Err(refused_entry(refusal, name, lock, file));
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    Ok(out)
}

/// Checks that the entries of a `pylock.toml` are releases or directories. Messages call it `file`.
///
/// # Errors
/// If one of them is not.
pub fn check_entries(entries: &[PylockEntry], text: &str, file: &str) -> Result<()> {
    match entries.iter().find_map(|entry| Some((entry.refusal?, entry))) {
        Some((refusal, entry)) => Err(refused_entry(refusal, &entry.name, text, file)),
        None => Ok(()),
    }
}

/// Returns the error for a package of a lock of another tool.
fn refused_entry(refusal: Refusal, name: &str, text: &str, file: &str) -> Error {
    let is_entry = |line: &str| {
        let name_of = line.trim().strip_prefix("name").map(|l| l.trim_start_matches([' ', '=']));
        name_of.is_some_and(|l| normalize(l.trim_matches('"')) == normalize(name))
    };
    let line = text.lines().position(is_entry).map_or(1, |at| at + 1);
    Error::user(format!("{file} names {}", refusal.what()))
        .located(Place { file: file.to_owned(), line, column: 1 })
        .because(format!("expected releases, got {name:?} from elsewhere than an index"))
        .because(refusal.why())
        .hint(refusal.hint())
}

fn shown(path: &Path, dir: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

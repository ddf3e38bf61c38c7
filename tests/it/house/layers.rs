//! Rules for the dependencies between modules, and for the pure modules.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Code, Mention, ModulePath, Target, circles};
use super::none;

/// The order of the modules below `src`, the lowest first. A module may use modules of its own level and of the levels before it. There must be no cycle of modules or of
/// files. A module that is named here need not exist yet.
const LEVELS: &[&[&str]] = &[
    &["error", "text"],
    &["interrupt", "fault", "parallel", "model"],
    &["nix"],
    &["reach", "tree", "manifest", "lockfile", "facts", "environment", "reporter"],
    &[
        "source",
        "evaluator",
        "recipe",
        "sandbox",
        "store",
        "fetch",
        "unpack",
        "relocate",
        "resolve",
        "python",
    ],
    &["compare"],
    &["make", "emit", "write", "report", "audit", "serve"],
    &["accepted", "cli", "context", "project"],
    &["trust"],
    &["lock"],
    &["ready"],
    &["commands"],
    &["app"],
    // `internals` is what lib.rs exports to the tests.
    &["lib", "internals", "main"],
];

/// The modules whose functions depend only on their arguments. They may use only each other.
const PURE: &[&str] = &[
    "error",
    "model",
    "text",
    "nix",
    "manifest",
    "lockfile",
    "reach",
    "facts",
    "environment",
    "emit",
    "report",
    "audit",
];

/// Accesses to the outside: files, network, environment, clock, processes and streams. An entry is a whole crate, a module or a function.
const OUTSIDE: &[&str] = &[
    "anstream",
    "ctrlc",
    "fs_err",
    "indicatif",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "jiff::tz::TimeZone::system",
    "rand",
    "reqwest",
    "rustix",
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    // These are the methods of `std::path::Path` that access the disk.
    ".canonicalize",
    ".exists",
    ".is_file",
    ".metadata",
    ".read_dir",
    ".read_link",
    ".symlink_metadata",
    ".try_exists",
];

/// Parts of the entries above that are fixed when the program is compiled.
const INSIDE: &[&str] = &["std::env::consts"];

/// The files that may read the environment and the clock. All others receive what they need. An entry that ends in `/` is a directory.
const ENVIRONMENT: &[&str] = &[
    "app.rs",
    "context.rs",
    // These run in a process of their own, whose directory they change.
    "sandbox/enter.rs",
    "sandbox/evaluation.rs",
    "sandbox/mounts.rs",
    "sandbox/nix_store.rs",
];
const CLOCK: &[&str] = &[
    "context.rs",
    "reporter.rs",
    "interrupt.rs",
    "store/gc.rs",
    "make/schedule.rs",
    "make/ask_caches.rs",
    "fetch/pace.rs",
    "serve/connection.rs",
    "sandbox/watch.rs",
    "evaluator/process.rs",
];

/// Edges of cycles that are allowed, each with the reason: (from, to, why). An entry that is no longer needed must be removed.
const CIRCLES_LEFT: &[(&str, &str, &str)] = &[
    ("fetch/http.rs", "fetch/mod.rs", "the settings of a client stand beside the fetcher"),
    ("fetch/stream.rs", "fetch/mod.rs", "a stream takes the whole fetcher"),
    ("manifest/requirements.rs", "manifest/mod.rs", "platforms are read beside the manifest"),
];

/// An edge of the graph of files or of modules, with the places that cause it.
type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// Returns the module below `src` with which a path of modules begins.
fn top(module: &ModulePath) -> String {
    module.first().cloned().unwrap_or_else(|| "lib".to_owned())
}

/// Returns every mention of an item of this crate: the module, the mention, and the item.
fn own(code: &Code) -> impl Iterator<Item = (&ModulePath, &Mention, ModulePath, Vec<String>)> {
    code.modules.iter().flat_map(move |(path, module)| {
        module.mentions.iter().filter_map(move |mention| match code.resolve(path, &mention.path) {
            Target::Own(at, rest) => Some((path, mention, at, rest)),
            _ => None,
        })
    })
}

fn place(code: &Code, module: &ModulePath, mention: &Mention) -> String {
    format!("src/{}:{} names {}", code.modules[module].file, mention.line, mention.path.join("::"))
}

/// Returns which top-level module uses which other one.
fn module_edges(code: &Code) -> Edges {
    let mut edges = Edges::new();
    for (from, mention, to, _) in own(code).filter(|(from, _, to, _)| top(from) != top(to)) {
        edges.entry((top(from), top(&to))).or_default().insert(place(code, from, mention));
    }
    edges
}

/// Returns which file needs what another one defines. A `pub use` of an item below its own module only re-exports a name and needs nothing.
fn file_edges(code: &Code) -> Edges {
    let mut edges = Edges::new();
    for (from, mention, to, _) in own(code) {
        let (file, other) = (&code.modules[from].file, &code.modules[&to].file);
        if file != other && !(mention.handed_on && to.starts_with(from)) {
            let edge = (file.clone(), other.clone());
            edges.entry(edge).or_default().insert(place(code, from, mention));
        }
    }
    edges
}

/// Returns the cycles of a graph as lines that name their places.
fn circles_of(edges: &Edges) -> Vec<String> {
    let pairs = edges.keys().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let mut out = vec![];
    for circle in circles(&pairs) {
        out.push(format!("a circle of {}:", circle.join(", ")));
        for ((from, to), places) in edges {
            if circle.contains(&from.as_str()) && circle.contains(&to.as_str()) {
                let first = places.first().expect("an edge has a place");
                out.push(format!("  {from} -> {to}: {first}"));
            }
        }
    }
    out
}

/// Finds uses of a higher level by a lower one.
fn looks_up(code: &Code) -> Vec<String> {
    let level = |module: &str| {
        LEVELS.iter().position(|names| names.contains(&module)).unwrap_or_else(|| {
            panic!("the module {module} has no place in the order: give it one in docs/architecture.md and in LEVELS")
        })
    };
    module_edges(code)
        .into_iter()
        .filter(|((from, to), _)| level(from) < level(to))
        .flat_map(|((from, to), places)| {
            places.into_iter().map(move |p| format!("{p}: {from} looks up to {to}"))
        })
        .collect()
}

/// Returns the entry of [`OUTSIDE`] that a path names, because the path is inside the entry or imports it by `*`.
fn outside(path: &[String]) -> Option<&'static str> {
    let named = path.join("::");
    let below = |whole: &str, part: &str| {
        whole.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    if INSIDE.iter().any(|inside| below(&named, inside)) {
        return None;
    }
    let all = named.strip_suffix("::*");
    OUTSIDE
        .iter()
        .find(|entry| below(&named, entry) || all.is_some_and(|all| below(entry, all)))
        .copied()
}

/// Returns the mentions of something outside the program: the name of the file, the entry of [`OUTSIDE`], and a line for the reader.
fn reaches(code: &Code) -> Vec<(&ModulePath, &str, &'static str, String)> {
    let mut out = vec![];
    for (path, module) in &code.modules {
        for mention in &module.mentions {
            let foreign = match code.resolve(path, &mention.path) {
                Target::Foreign(foreign) => foreign,
                Target::Unknown if mention.path[0].starts_with('.') => mention.path.clone(),
                _ => continue,
            };
            if let Some(entry) = outside(&foreign) {
                out.push((path, module.file.as_str(), entry, place(code, path, mention)));
            }
        }
    }
    out
}

/// Finds places where the result of a pure module depends on more than its arguments.
fn impure(code: &Code) -> Vec<String> {
    let mut out: Vec<String> = reaches(code)
        .into_iter()
        .filter(|(path, ..)| PURE.contains(&top(path).as_str()))
        .map(|(path, _, entry, place)| format!("{place}: {} is pure, {entry} is not", top(path)))
        .collect();
    for ((from, to), places) in module_edges(code) {
        if PURE.contains(&from.as_str()) && !PURE.contains(&to.as_str()) {
            out.extend(places.into_iter().map(|p| format!("{p}: {from} is pure, {to} is not")));
        }
    }
    out
}

#[test]
fn modules_look_in_one_direction_only() {
    none(&looks_up(super::code()));
}

#[test]
fn modules_and_files_stand_in_no_circle() {
    let code = super::code();
    none(&circles_of(&module_edges(code)));
    let mut edges = file_edges(code);
    let pairs: BTreeSet<(&str, &str)> =
        edges.keys().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let found = circles(&pairs);
    let on_a_circle = |from: &str, to: &str| {
        pairs.contains(&(from, to)) && found.iter().any(|c| c.contains(&from) && c.contains(&to))
    };
    for (from, to, _) in CIRCLES_LEFT {
        assert!(on_a_circle(from, to), "{from} -> {to} is on no circle: take it from CIRCLES_LEFT");
    }
    edges.retain(|(from, to), _| !CIRCLES_LEFT.iter().any(|(f, t, _)| f == from && t == to));
    none(&circles_of(&edges));
}

#[test]
fn pure_modules_depend_on_their_arguments_alone() {
    none(&impure(super::code()));
}

#[test]
fn one_file_reads_the_environment_and_few_the_clock() {
    let code = super::code();
    let mut problems = vec![];
    for (_, file, entry, place) in reaches(code) {
        let allowed = match entry {
            // Splitting a PATH reads nothing.
            "std::env" if place.ends_with("env::split_paths") => continue,
            "std::env" => ENVIRONMENT,
            "std::time::Instant" | "std::time::SystemTime" => CLOCK,
            "jiff::Timestamp::now" | "jiff::Zoned::now" | "jiff::tz::TimeZone::system" => CLOCK,
            _ => continue,
        };
        if !allowed.iter().any(|a| *a == file || a.ends_with('/') && file.starts_with(a)) {
            problems.push(format!("{place}: only {} may", allowed.join(", ")));
        }
    }
    none(&problems);
}

/// Returns the code of files whose text is given.
fn given(files: &[(&str, &str)]) -> Code {
    Code::read(&|name| files.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).to_owned()))
}

/// The rules recognise every way to write a path. If they missed one, the tests above would prove nothing.
#[test]
fn the_rules_see_every_form_of_a_path() {
    let lib = ("lib.rs", "mod model; mod store; mod commands; mod emit;");
    let commands = ("commands.rs", "pub struct Verb; pub fn run() {}");
    let emit = ("emit.rs", "");
    let store = ("store.rs", "pub fn open() {}");
    for look in [
        "use crate::commands::Verb;",
        "use crate::{commands::Verb, store};",
        "use crate::{self as top, commands::{self}};",
        "use super::commands;",
        "use crate as top; fn f() { top::commands::run() }",
        "fn f() { crate::commands::run() }",
        "fn f() { super::commands::run() }",
        "fn f() { println!(\"{}\", crate::commands::run()) }",
        "fn f() { use crate::commands::*; }",
        "mod inner { fn f() { super::super::commands::run() } }",
        "#[derive(Clone)] struct S { #[with(crate::commands::run)] a: crate::commands::Verb }",
        "impl From<crate::commands::Verb> for u8 {}",
    ] {
        let code = given(&[lib, ("model.rs", look), store, commands, emit]);
        assert!(!looks_up(&code).is_empty(), "{look}");
    }
    for fine in [
        "#[cfg(test)] mod tests { use crate::commands; }",
        "#[cfg(test)] use crate::commands;",
        "fn f() { #[cfg(test)] crate::commands::run(); }",
        "// crate::commands\nconst TEXT: &str = \"crate::commands\";",
        "mod commands { pub fn run() {} } fn f() { self::commands::run() }",
    ] {
        none(&looks_up(&given(&[lib, ("model.rs", fine), store, commands, emit])));
    }
    for reach in [
        "use std::process::Command;",
        "use std::{fs, io};",
        "use std::fs as disk;",
        "fn f() { std::env::var(\"X\"); }",
        "use std::time::Instant; fn f() { Instant::now(); }",
        "use jiff::Timestamp; fn f() { Timestamp::now(); }",
        "use jiff::Zoned as Z; fn f() { Z::now(); }",
        "use std::time; fn f() { time::SystemTime::now(); }",
        "use std::*;",
        "fn f(p: &std::path::Path) { p.exists(); }",
        "mod inner { fn f() { ::std::fs::read(\"x\"); } }",
        "macro_rules! m { () => { std::fs::read(\"x\") } }",
        "fn f() { crate::store::open() }",
    ] {
        let code = given(&[lib, ("model.rs", ""), store, commands, ("emit.rs", reach)]);
        assert!(!impure(&code).is_empty(), "{reach}");
    }
    for fine in [
        "fn f() { std::env::consts::ARCH; }",
        "use jiff::Timestamp; fn f(t: Timestamp) { t.strftime(\"%Y\"); }",
        "use std::time::Duration; use std::io::Read;",
        "#[cfg(test)] mod tests { fn f() { std::fs::read(\"x\"); } }",
    ] {
        none(&impure(&given(&[lib, ("model.rs", ""), store, commands, ("emit.rs", fine)])));
    }
}

#[test]
fn circles_are_seen_through_facades() {
    let facade = "mod one; mod two; pub use one::One; pub use two::Two;";
    let code = |module: &str, one: &str, two: &str| {
        given(&[
            ("lib.rs", "mod model;"),
            ("model/mod.rs", module),
            ("model/one.rs", one),
            ("model/two.rs", two),
        ])
    };
    // Through the names that the parent re-exports, each file needs the other.
    let circle = code(
        facade,
        "use super::Two; pub struct One(Two);",
        "pub struct Two; fn f(_: &super::One) {}",
    );
    assert_eq!(circles_of(&file_edges(&circle)).len(), 3);
    // The parent uses a child, which uses the parent.
    let circle = code(
        &format!("{facade} pub struct All(One);"),
        "pub struct One; fn f(_: &super::All) {}",
        "pub struct Two;",
    );
    assert_eq!(circles_of(&file_edges(&circle)).len(), 3);
    // A re-export needs nothing.
    let fine = code(facade, "use super::Two; pub struct One(Two);", "pub struct Two; impl Two {}");
    none(&circles_of(&file_edges(&fine)));
    // This is a function with the name of its file.
    let circle = code(
        "mod one; mod two; pub use one::one;",
        "pub fn one() { super::two::two() }",
        "pub fn two() { super::one() }",
    );
    assert_eq!(circles_of(&file_edges(&circle)).len(), 3);
    let modules = given(&[
        ("lib.rs", "mod store; mod fetch;"),
        ("store.rs", "use crate::{fetch::get}; pub fn put() { get() }"),
        ("fetch.rs", "pub fn get() { crate::store::put() }"),
    ]);
    assert_eq!(circles_of(&module_edges(&modules)).len(), 3);
}

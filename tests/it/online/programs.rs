//! Programs out of real packages do real work where nothing of the host exists, at two paths, as an ordinary user; and on the host they open none of its files.
//!
//! The table is `tests/programs/*.toml`: a file is a group, with the toolchains of a manifest and a list of programs. Each program has the files of its work, the steps that are run
//! (`tests/programs/run.c` describes their form), what they must print and the files that they must write. `@work@` is the work directory, and `@NAME@` the tree of a toolchain.
//!
//! `COTTER_PROGRAM=perl` selects the programs whose names contain `perl`, and `COTTER_PLACE=Jail` (`Moved`, `Host`) one of the three places.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::support::{REPO, Scratch, contains, in_store, ok, text};

/// The user that the programs run as, if the tests run as root.
const NOBODY: u32 = 65534;
/// The time for the steps of one program: hundreds of times what they take on an idle machine.
const SECONDS: u32 = 300;

/// How many files of the host are named for each program.
const MOST: usize = 20;

/// The configuration of the machine that programs may read, as docs/trees.md lists it.
const CONFIGURATION: &[&str] = &[
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/timezone",
];
/// Where no file may be opened, nor asked for.
const FORBIDDEN: &[&str] =
    &["/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/etc", "/var/lib"];

/// The calls that open, start or enter something, with the paths behind numbers of files.
const STRACE: &[&str] =
    &["-y", "-qq", "-e", "trace=open,openat,openat2,creat,execve,execveat,chdir"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// The tables of the manifest.
    toolchains: toml::Table,
    program: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: String,
    /// The toolchains on its `PATH`, in this order.
    trees: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    run: Vec<Vec<String>>,
    /// What stands in the output of the steps.
    #[serde(default)]
    prints: Vec<String>,
    /// What stands in the files that the steps write.
    #[serde(default)]
    writes: BTreeMap<String, String>,
    /// Why the processes that the program starts are not traced on the host, if they cannot be.
    #[serde(default)]
    children_untraced: Option<String>,
    /// The files and directories of the host that the program reads nevertheless, each with the reason.
    #[serde(default)]
    reads: BTreeMap<String, String>,
    /// Why the program does not run at a path with a space, if it does not.
    #[serde(default)]
    no_space: Option<String>,
}

impl Group {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }

    fn named(name: &str) -> Self {
        Self::read(&Path::new(REPO).join("tests/programs").join(format!("{name}.toml")))
    }

    /// Locks and sets up the toolchains; returns their trees.
    fn trees(&self, names: &BTreeSet<&str>) -> BTreeMap<String, PathBuf> {
        let project = Scratch::new();
        let wanted = self.toolchains.iter().filter(|(name, _)| names.contains(name.as_str()));
        let mut manifest = toml::Table::new();
        let tables = wanted.map(|(name, table)| (name.clone(), table.clone()));
        manifest.insert("toolchains".to_owned(), toml::Value::Table(tables.collect()));
        let platform = cotter::internals::Platform::native().unwrap().to_string();
        manifest.insert("platforms".to_owned(), vec![platform].into());
        project.write("toolchains.toml", toml::to_string(&manifest).unwrap());
        ok(&mut in_store(store(), project.path(), &["setup", "--quiet"]));
        let path =
            |name: &str| ok(&mut in_store(store(), project.path(), &["path", name])).trim().into();
        names.iter().map(|name| ((*name).to_owned(), path(name))).collect()
    }
}

/// The shared store, without the repository's own toolchains.
fn store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store"))
}

/// The static program that runs the steps, compiled once by the pinned compiler.
fn runner() -> &'static Path {
    static RUNNER: OnceLock<(Scratch, PathBuf)> = OnceLock::new();
    let (_, path) = RUNNER.get_or_init(|| {
        let scratch = Scratch::new();
        let gcc = Group::named("compilers").trees(&["gcc"].into())["gcc"].join("bin/gcc");
        let source = Path::new(REPO).join("tests/programs/run.c");
        let path = scratch.join("run");
        ok(Command::new(gcc).args(["-O1", "-static", "-o"]).arg(&path).arg(source));
        (scratch, path)
    });
    path
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The empty jail, with the store at its own path.
    Jail,
    /// The empty jail, with the trees at another path.
    Moved,
    /// The host, under a trace.
    Host,
}

/// One program at one place.
struct Run<'a> {
    program: &'a Program,
    place: Place,
    /// The trees at the paths where the program sees them.
    trees: BTreeMap<&'a str, PathBuf>,
    scratch: Scratch,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, place: Place, trees: &BTreeMap<String, PathBuf>) -> Self {
        let scratch = Scratch::new();
        let seen = |name: &str| match place {
            Place::Jail => trees[name].clone(),
            Place::Moved => {
                let dir =
                    if program.no_space.is_some() { "/another-place" } else { "/another place" };
                Path::new(dir).join(trees[name].file_name().unwrap())
            }
            // A path that every user can reach.
            Place::Host => scratch.join("trees").join(trees[name].file_name().unwrap()),
        };
        let trees = program.trees.iter().map(|name| (name.as_str(), seen(name))).collect();
        Run { program, place, trees, scratch }
    }

    fn work(&self) -> PathBuf {
        self.scratch.join("work")
    }

    /// Fills in the paths.
    fn expand(&self, text: &str) -> String {
        let text = text.replace("@work@", self.work().to_str().unwrap());
        self.trees.iter().fold(text, |text, (name, tree)| {
            text.replace(&format!("@{name}@"), tree.to_str().unwrap())
        })
    }

    /// Writes the files and the steps; everything there belongs to the user that the program runs as.
    fn write(&self) -> PathBuf {
        for (name, content) in &self.program.files {
            self.scratch.write(&format!("work/{name}"), self.expand(content));
        }
        let owned = [self.work(), self.scratch.join("trace")];
        for dir in &owned {
            std::fs::create_dir_all(dir).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            ok(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).args(owned));
        }
        let mut script = vec![];
        for (i, step) in self.program.run.iter().enumerate() {
            let mut words: Vec<String> = step.iter().map(|word| self.expand(word)).collect();
            if self.place == Place::Host && self.program.children_untraced.is_some() {
                let log = self.scratch.join(&format!("trace/{i}"));
                let at = words.iter().position(|word| !is_prefix(word)).unwrap();
                let strace = ["/usr/bin/strace"].into_iter().chain(STRACE.iter().copied());
                let strace = strace.chain(["-o", log.to_str().unwrap()]).map(str::to_owned);
                words.splice(at..at, strace);
            }
            let count = words.len().to_string();
            for word in std::iter::once(count).chain(words) {
                script.extend(word.into_bytes());
                script.push(0);
            }
        }
        self.scratch.write("script", script)
    }

    /// A name that no tree brings would be found on the host, or nowhere.
    fn missing(&self, trees: &BTreeMap<String, PathBuf>) -> Vec<String> {
        let commands = self.program.run.iter().filter_map(|s| s.iter().find(|w| !is_prefix(w)));
        let names: BTreeSet<&String> =
            commands.filter(|name| !name.contains('/') && *name != "await").collect();
        let brought = |name: &str| {
            self.program.trees.iter().any(|tree| trees[tree].join("bin").join(name).exists())
        };
        names
            .into_iter()
            .filter(|name| !brought(name))
            .map(|name| format!("no tree has bin/{name}"))
            .collect()
    }

    fn command(&self, trees: &BTreeMap<String, PathBuf>) -> Command {
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new("bwrap");
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.args(["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
        command.args(["--die-with-parent", "--clearenv"]);
        match self.place {
            Place::Host => command.args(["--dev-bind", "/", "/", "--proc", "/proc"]),
            _ => command.args(["--proc", "/proc", "--dev", "/dev"]),
        };
        if root {
            // The runner becomes an ordinary user. A user namespace has only one.
            command.args(["--cap-add", "ALL"]);
        }
        let script = self.write();
        let work = self.work();
        for path in self.trees.values().chain([&work]).filter(|_| self.place != Place::Host) {
            // Otherwise bubblewrap makes directories that only root can enter.
            let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
            parents.pop();
            for parent in parents.iter().rev() {
                command.args(["--perms", "0755", "--dir"]).arg(parent);
            }
        }
        for name in &self.program.trees {
            if self.place == Place::Host {
                std::fs::create_dir_all(&self.trees[name.as_str()]).unwrap();
            }
            command.arg("--ro-bind").arg(&trees[name]).arg(&self.trees[name.as_str()]);
        }
        command.arg("--bind").arg(&work).arg(&work);
        let (own, run) = (Path::new("/.run"), Path::new("/.run/run"));
        let (run, script) = if self.place == Place::Host {
            (runner(), script)
        } else {
            self.configure(&mut command);
            command.args(["--perms", "0755", "--dir"]).arg(own);
            command.arg("--ro-bind").arg(runner()).arg(run);
            command.arg("--ro-bind").arg(script).arg(own.join("script"));
            (run, own.join("script"))
        };
        command.arg("--chdir").arg(&work);
        let bins = self.program.trees.iter().map(|name| self.trees[name.as_str()].join("bin"));
        // As behind `cotter exec`. In the jail, the last two exist only for programs that are redirected: they find what their tree has there.
        let path = std::env::join_paths(bins.chain(["/usr/bin".into(), "/bin".into()])).unwrap();
        command.args(["--setenv", "PATH"]).arg(path).args(["--setenv", "LANG", "C.UTF-8"]);
        for name in ["HOME", "TMPDIR"] {
            command.args(["--setenv", name]).arg(&work);
        }
        if self.place == Place::Host && self.program.children_untraced.is_none() {
            command.arg("strace").args(STRACE).arg("-ff");
            command.arg("-o").arg(self.scratch.join("trace/log"));
        }
        let uid = if root { NOBODY } else { 0 };
        command.arg(run).arg(script).args([uid.to_string(), SECONDS.to_string()]);
        command
    }

    /// Every machine has this configuration, also the smallest container: who its user is, and what `localhost` means.
    fn configure(&self, command: &mut Command) {
        let (uid, gid) = match rustix::process::geteuid() {
            root if root.is_root() => (NOBODY, NOBODY),
            user => (user.as_raw(), rustix::process::getegid().as_raw()),
        };
        let home = self.work();
        command.args(["--perms", "0755", "--dir", "/etc"]);
        for (name, text) in [
            ("passwd", format!("tester:x:{uid}:{gid}::{}:/bin/sh\n", home.display())),
            ("group", format!("tester:x:{gid}:\n")),
            ("hosts", "127.0.0.1 localhost\n".to_owned()),
        ] {
            let file = self.scratch.write(&format!("etc/{name}"), text);
            command.arg("--ro-bind").arg(file).arg(Path::new("/etc").join(name));
        }
    }

    /// Runs the program; returns what went wrong.
    fn problems(&self, trees: &BTreeMap<String, PathBuf>) -> Vec<String> {
        let mut problems = self.missing(trees);
        let output = self.command(trees).output().unwrap();
        let printed = text(&output);
        if !output.status.success() {
            problems.push(format!("{}\n{}", output.status, ends(&printed)));
        } else {
            for part in &self.program.prints {
                let part = self.expand(part);
                if !printed.contains(&part) {
                    problems.push(format!("{part:?} is not in the output:\n{}", ends(&printed)));
                }
            }
            for (name, part) in &self.program.writes {
                let written = std::fs::read(self.work().join(name)).unwrap_or_default();
                let part = self.expand(part);
                if !String::from_utf8_lossy(&written).contains(&part) {
                    problems.push(format!("{part:?} is not in {name}, of {} bytes", written.len()));
                }
            }
        }
        if self.place == Place::Host {
            let opened = self.opened();
            let count = opened.len();
            problems.extend(opened.into_iter().take(MOST));
            if count > MOST {
                problems.push(format!("and {} other files of the host", count - MOST));
            }
        }
        problems
    }

    /// The files of the host that were opened, started or asked for.
    fn opened(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = 0;
        for entry in std::fs::read_dir(self.scratch.join("trace")).unwrap() {
            let trace = std::fs::read(entry.unwrap().path()).unwrap();
            let trace = String::from_utf8_lossy(&trace);
            // The first line is the start of the process or follows it in the same program.
            let mut program = String::new();
            for line in trace.lines() {
                let Some((call, result)) = line.rsplit_once(" = ") else { continue };
                let Some(path) = asked(call) else { continue };
                seen += 1;
                // A launcher starts the loader, which is not the name to tell.
                if call.starts_with("execve") && result == "0" && !path.contains("/ld-linux") {
                    program.clone_from(&path);
                }
                if CONFIGURATION.contains(&path.as_str()) {
                    continue;
                }
                // What was opened stands behind the number: links were followed.
                let opened = result.split_once('<').and_then(|(_, p)| p.split_once('>'));
                let path = opened.map_or(path, |(p, _)| p.to_owned());
                let how = if result.starts_with("-1") { "asked for" } else { "opened" };
                // State of the machine may be asked for. What is there would be opened.
                if how == "asked for" && path.starts_with("/var/lib/") {
                    continue;
                }
                let is_known = self.program.reads.keys().any(|p| Path::new(&path).starts_with(p));
                if !is_known && is_forbidden(&path, &self.scratch, store()) {
                    let name = program.rsplit('/').next().unwrap_or_default();
                    found.insert(format!("{name} {how} {path}"));
                }
            }
        }
        assert!(seen > 3, "the trace of {} has {seen} lines", self.program.name);
        found
    }
}

/// Whether a word of a step says how the command behind it is run.
fn is_prefix(word: &str) -> bool {
    let variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    ["&", "!"].contains(&word)
        || word.starts_with(['<', '>'])
        || word.split_once('=').is_some_and(|(name, _)| name.chars().all(variable))
}

/// The path in a call of a trace, made absolute by the directory that strace prints, without `.` and `..`.
fn asked(call: &str) -> Option<String> {
    let (before, after) = call.split_once('"')?;
    let path = after.rsplit_once('"')?.0;
    let path = path.split_once('"').map_or(path, |(first, _)| first);
    let directory = before.split_once('<').and_then(|(_, d)| d.split_once('>')).map(|(d, _)| d);
    let whole = match directory {
        Some(directory) if !path.starts_with('/') => format!("{directory}/{path}"),
        _ => path.to_owned(),
    };
    if !whole.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = vec![];
    for part in whole.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match part {
            ".." => _ = parts.pop(),
            _ => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

fn is_forbidden(path: &str, scratch: &Scratch, store: &Path) -> bool {
    let path = Path::new(path);
    !path.starts_with(scratch.path())
        && !path.starts_with(store)
        && FORBIDDEN.iter().any(|place| path.starts_with(place))
}

/// The beginning and the end of a long text.
fn ends(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 30 {
        return lines.join("\n");
    }
    format!("{}\n...\n{}", lines[..8].join("\n"), lines[lines.len() - 20..].join("\n"))
}

/// Runs all programs of a group at all places. All problems are told together.
fn prove(name: &str) {
    let group = Group::named(name);
    let selected = std::env::var("COTTER_PROGRAM").unwrap_or_default();
    let only = std::env::var("COTTER_PLACE").unwrap_or_default();
    let programs: Vec<&Program> =
        group.program.iter().filter(|p| p.name.contains(&selected)).collect();
    let names: BTreeSet<&str> =
        programs.iter().flat_map(|p| p.trees.iter().map(String::as_str)).collect();
    let trees = group.trees(&names);
    let mut problems = vec![];
    for program in programs {
        let all = [Place::Jail, Place::Moved, Place::Host];
        for place in all.into_iter().filter(|p| format!("{p:?}").contains(&only)) {
            let found = Run::new(program, place, &trees).problems(&trees);
            problems.extend(found.iter().map(|p| format!("{} ({place:?}): {p}", program.name)));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

macro_rules! groups {
    ($($(#[$ignore:meta])? $name:ident)*) => {
        $(
            #[test]
            $(#[$ignore])?
            fn $name() {
                prove(stringify!($name));
            }
        )*

        const GROUPS: &[&str] = &[$(stringify!($name)),*];
    };
}

groups! {
    basics
    #[ignore = "full suite: large packages"] building
    compilers
    #[ignore = "full suite: large packages"] data
    #[ignore = "full suite: large packages"] data_analysis
    #[ignore = "full suite: large packages"] debugging
    #[ignore = "full suite: large packages"] documents
    git
    #[ignore = "full suite: large packages"] go
    #[ignore = "full suite: large packages"] java
    #[ignore = "full suite: large packages"] media
    #[ignore = "full suite: large packages"] native
    #[ignore = "full suite: large packages"] node
    parsers
    perl
    #[ignore = "full suite: large packages"] postgres
    #[ignore = "full suite: large packages"] python_programs
    #[ignore = "full suite: large packages"] rabbitmq
    #[ignore = "full suite: large packages"] scripting
    #[ignore = "full suite: large packages"] security
    #[ignore = "full suite: large packages"] shells
    #[ignore = "full suite: large packages"] web
}

/// Every file of the table has its test, and the table is as large as it should be.
#[test]
fn the_table_is_whole() {
    let files = std::fs::read_dir(Path::new(REPO).join("tests/programs")).unwrap();
    let files = files.map(|e| e.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter_map(|f| Some(f.strip_suffix(".toml")?.to_owned())).collect();
    assert_eq!(files, GROUPS.iter().map(|g| (*g).to_owned()).collect());
    let (mut programs, mut packages, mut suites) = (vec![], BTreeSet::new(), BTreeSet::new());
    for group in GROUPS.iter().map(|name| Group::named(name)) {
        programs.extend(group.program.iter().map(|p| p.name.clone()));
        let used: BTreeSet<&String> = group.program.iter().flat_map(|p| &p.trees).collect();
        for (name, table) in &group.toolchains {
            assert!(used.contains(name), "no program uses {name}");
            suites.insert(table["suite"].as_str().unwrap().to_owned());
            let named = table["packages"].as_array().unwrap().iter();
            packages.extend(named.map(|p| p.as_str().unwrap().to_owned()));
        }
    }
    let names: BTreeSet<&String> = programs.iter().collect();
    assert_eq!(names.len(), programs.len(), "two programs of the table have one name");
    assert!(programs.len() >= 60, "{} programs", programs.len());
    assert!(packages.len() >= 45, "{} packages", packages.len());
    assert_eq!(suites, ["bookworm", "trixie"].map(str::to_owned).into());
}

/// The proof is able to fail: a program of the host cannot be found in the jail, and its files are seen in the trace.
#[test]
fn what_reaches_the_host_is_told() {
    let program = |run: &[&str]| Program {
        name: "env".to_owned(),
        trees: vec![],
        files: BTreeMap::new(),
        run: vec![run.iter().map(|w| (*w).to_owned()).collect()],
        prints: vec![],
        writes: BTreeMap::new(),
        children_untraced: None,
        reads: BTreeMap::new(),
        no_space: None,
    };
    let trees = BTreeMap::new();
    let problems = |program: &Program, place| Run::new(program, place, &trees).problems(&trees);
    let absolute = program(&["/usr/bin/env"]);
    contains(&problems(&absolute, Place::Jail).join("\n"), &["cannot start /usr/bin/env"]);
    // The list of problems is cut, and where the machine has no archive of locales, libc comes late in it.
    let run = Run::new(&absolute, Place::Host, &trees);
    contains(&run.problems(&trees).join("\n"), &["env opened /"]);
    let all: Vec<String> = run.opened().into_iter().collect();
    contains(&all.join("\n"), &["env opened /usr/lib", "/libc.so.6"]);
    let by_name = problems(&program(&["env"]), Place::Host).join("\n");
    contains(&by_name, &["no tree has bin/env", "opened /usr/bin/env"]);
    let probe = program(&["/usr/bin/env", "-C", "/etc/no-such-directory", "true"]);
    contains(&problems(&probe, Place::Host).join("\n"), &["asked for /etc/no-such-directory"]);
}

//! The trace of one command that runs with trees.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Processes, TraceReader, is_birth, succeeded, texts};
use crate::audit::{Finding, TREE_FILE, TREE_RUN};
use crate::reach::is_below;

/// Where a command runs, and what belongs to it.
#[derive(Debug)]
pub struct TracedMachine<'a> {
    /// The directory in which it starts.
    pub here: &'a str,
    /// The directories whose files are not those of the host: the store, the working directory, the
    /// directory for temporary files.
    pub own: &'a [String],
    /// The configuration of the machine, as paths below the root.
    pub machine: &'a [&'a str],
    /// The directories of the trees, each with the name of the toolchain.
    pub trees: &'a [(String, String)],
}

/// What a command did with the files of the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The files that were opened and the programs that were started.
    pub findings: Vec<Finding>,
    /// The files that a program learned to exist, without opening them, each with the first such
    /// program.
    pub seen: BTreeMap<String, String>,
    /// The files that a program looked for in vain, in the same form.
    pub missed: BTreeMap<String, String>,
}

/// The places of the kernel, and the sockets through which libc asks for users.
const SYSTEM: &[&str] = &[
    "/proc",
    "/dev",
    "/sys",
    "/run/nscd",
    "/var/run/nscd",
    "/run/systemd/userdb",
    "/etc/ld.so.preload",
];

/// What a process is at a point of the trace.
#[derive(Debug, Clone)]
struct Process {
    /// The program that it runs, or `None` for a program of the host. What such a program opens is
    /// its own matter; that it was started is reported.
    program: Option<String>,
    directory: String,
}

/// Reads a trace of the calls of [`super::COMMAND_CALLS`], in which file descriptors are followed by
/// their paths (`strace -y`).
pub fn observe(trace: &str, around: &TracedMachine) -> Observed {
    let mut out = Observed::default();
    let mut found: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    let mut processes: Processes<Process> = Processes::new();
    let mut calls = TraceReader::new(trace);
    while let Some((pid, call)) = calls.next() {
        processes.meet(pid, &calls);
        let process = processes.get(pid).cloned().unwrap_or_else(|| Process {
            program: Some("the command line".to_owned()),
            directory: around.here.to_owned(),
        });
        if is_birth(&call) {
            processes.born(pid, &call);
            continue;
        }
        let name = call.split('(').next().unwrap_or_default();
        let texts = texts(&call);
        let done = succeeded(&call);
        if name == "fchdir" {
            if let Some(directory) = descriptor(&call, 0).filter(|_| done) {
                processes.set(pid, Process { directory, ..process });
            }
            continue;
        }
        let Some(path) = texts.first().map(|text| whole(&call, text, &process.directory)) else {
            continue;
        };
        match name {
            "chdir" if done => processes.set(pid, Process { directory: path, ..process }),
            "execve" if done => {
                if around.is_host(&path) {
                    let by = process.program.unwrap_or_else(|| "a program of the host".to_owned());
                    found.entry((TREE_RUN.id, path)).or_default().insert(by);
                    processes.set(pid, Process { program: None, ..process });
                } else {
                    let program = Some(around.told(started(&path, &texts)));
                    processes.set(pid, Process { program, ..process });
                }
            }
            _ => {
                let Some(program) = process.program else { continue };
                if around.is_machine(&path) {
                    // Its link may lead anywhere, as that of /etc/localtime does.
                } else if !around.is_host(&path) {
                    // A link inside may lead outside.
                    let real = opened(&call).filter(|real| done && around.is_host(real));
                    if let Some(real) = real {
                        found.entry((TREE_FILE.id, real)).or_default().insert(program);
                    }
                } else if !done {
                    out.missed.entry(path).or_insert(program);
                } else if is_opening(name, &call, &path) {
                    found.entry((TREE_FILE.id, path)).or_default().insert(program);
                } else if path.matches('/').count() > 1 {
                    out.seen.entry(path).or_insert(program);
                }
            }
        }
    }
    let finding = |((id, path), by): ((&str, String), BTreeSet<String>)| {
        let (rule, how) = if id == TREE_RUN.id {
            (&TREE_RUN, "was started by")
        } else {
            (&TREE_FILE, "was opened by")
        };
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        Finding::new(rule, path, format!("{how} {}", by.join(", ")))
    };
    out.findings = found.into_iter().map(finding).collect();
    out
}

impl TracedMachine<'_> {
    fn is_host(&self, path: &str) -> bool {
        path.starts_with('/')
            && !SYSTEM.iter().any(|dir| is_below(path, dir))
            && !self.own.iter().any(|dir| is_below(path, dir))
            && !self.is_machine(path)
    }

    fn is_machine(&self, path: &str) -> bool {
        self.machine.iter().any(|m| path.strip_prefix('/').is_some_and(|path| is_below(path, m)))
    }

    /// Returns the name of a program for people.
    fn told(&self, path: &str) -> String {
        let inside = |(root, name): &(String, String)| {
            let inner = path.strip_prefix(root.as_str())?.strip_prefix('/')?;
            let (dir, file) = inner.rsplit_once('/').unwrap_or(("", inner));
            let plain =
                file.strip_prefix('.').and_then(|f| f.strip_suffix(".real")).unwrap_or(file);
            Some(if dir.is_empty() {
                format!("{name}/{plain}")
            } else {
                format!("{name}/{dir}/{plain}")
            })
        };
        self.trees.iter().find_map(inside).unwrap_or_else(|| path.to_owned())
    }
}

/// Returns the program that an execution starts. The loader of a tree gets the program as the
/// argument behind the value of `--argv0`.
fn started<'c>(path: &'c str, texts: &'c [String]) -> &'c str {
    let is_loader = path.rsplit('/').next().is_some_and(|name| name.starts_with("ld-"));
    let behind = texts.iter().position(|t| t == "--argv0").and_then(|at| texts.get(at + 2));
    behind.filter(|_| is_loader).map_or(path, String::as_str)
}

/// Whether a call reads a file or a directory, or speaks to what listens there. Directories at the
/// top are opened to walk a path, which reveals nothing.
fn is_opening(name: &str, call: &str, path: &str) -> bool {
    match name {
        "open" | "openat" | "openat2" => {
            let is_top = path.matches('/').count() == 1 && call.contains("O_DIRECTORY");
            !is_top && !call.contains("O_PATH")
        }
        "connect" => true,
        _ => false,
    }
}

/// Returns the path of the file descriptor that a call got.
fn opened(call: &str) -> Option<String> {
    let result = &call[call.rfind(" = ")? + 3..];
    let path = result.split_once('<')?.1;
    let path = path.strip_suffix("(deleted)").unwrap_or(path).strip_suffix('>')?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Returns the path of the file descriptor that is the argument at a position.
fn descriptor(call: &str, position: usize) -> Option<String> {
    let argument = call.split_once('(')?.1.split(", ").nth(position)?;
    let path = argument.split_once('<')?.1;
    let path = path.split('>').next()?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Returns a path without `.` and `..`. A relative one begins at the directory that the call names,
/// or at that of the process.
fn whole(call: &str, text: &str, directory: &str) -> String {
    let joined = if text.starts_with('/') {
        text.to_owned()
    } else {
        let base = descriptor(call, 0).unwrap_or_else(|| directory.to_owned());
        format!("{base}/{text}")
    };
    let mut parts: Vec<&str> = vec![];
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around<'a>(own: &'a [String], trees: &'a [(String, String)]) -> TracedMachine<'a> {
        TracedMachine { here: "/work", own, machine: &["etc/localtime", "etc/passwd"], trees }
    }

    #[test]
    fn what_a_program_of_a_tree_opens_is_told() {
        let trace = "10 execve(\"/s/store/h-perl/bin/perl\", [\"perl\"], 0x0 /* 9 vars */) = 0\n\
            10 execve(\"/s/store/h-perl/usr/lib/ld-linux-x86-64.so.2\", [\"/s/x\", \"--inhibit-cache\", \"--argv0\", \"perl\", \"/s/store/h-perl/usr/bin/.perl.real\"], 0x0) = 0\n\
            10 access(\"/etc/ld.so.preload\", R_OK) = -1 ENOENT (No such file or directory)\n\
            10 openat(AT_FDCWD</work>, \"/usr/share/a\", O_RDONLY|O_CLOEXEC) = 3</usr/share/a>\n\
            10 openat(AT_FDCWD</work>, \"in/link\", O_RDONLY) = 3</opt/real>\n\
            10 openat(AT_FDCWD</work>, \"../elsewhere\", O_RDONLY) = 3</elsewhere>\n\
            10 openat(AT_FDCWD</work>, \"/etc/passwd\", O_RDONLY) = 3</etc/passwd>\n\
            10 openat(AT_FDCWD</work>, \"/etc/localtime\", O_RDONLY) = 3</usr/share/zoneinfo/UTC>\n\
            10 openat(AT_FDCWD</work>, \"/usr\", O_RDONLY|O_PATH|O_DIRECTORY) = 3</usr>\n\
            10 stat(\"/usr/share/b\", {st_mode=S_IFREG}) = 0\n\
            10 newfstatat(AT_FDCWD</work>, \"/usr/share/c\", 0x7ffc, 0) = -1 ENOENT (No such file)\n\
            10 chdir(\"/usr/lib\") = 0\n\
            10 openat(AT_FDCWD</usr/lib>, \"d\", O_RDONLY) = 3</usr/lib/d>\n\
            10 openat(AT_FDCWD</usr/lib>, \"nowhere\", O_RDONLY) = -1 ENOENT (No such file)\n\
            10 clone(child_stack=NULL, flags=SIGCHLD) = 11\n\
            11 execve(\"/bin/sh\", [\"sh\", \"-c\", \"x\"], 0x0) = 0\n\
            11 openat(AT_FDCWD</work>, \"/usr/lib/libc.so.6\", O_RDONLY) = 3</usr/lib/libc.so.6>\n\
            11 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path=\"/run/other\"}, 110) = 0\n\
            10 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path=\"/run/bus\"}, 110) = 0\n\
            10 exit_group(0) = ?\n";
        let own = ["/s".to_owned(), "/work".to_owned()];
        let trees = [("/s/store/h-perl".to_owned(), "perl".to_owned())];
        let seen = observe(trace, &around(&own, &trees));
        let told: Vec<_> =
            seen.findings.iter().map(|f| (f.id, f.place.as_str(), f.reason.as_str())).collect();
        let by = "was opened by perl/usr/bin/perl";
        assert_eq!(
            told,
            [
                ("tree-file", "/elsewhere", by),
                ("tree-file", "/opt/real", by),
                ("tree-file", "/run/bus", by),
                ("tree-file", "/usr/lib/d", by),
                ("tree-file", "/usr/share/a", by),
                ("tree-run", "/bin/sh", "was started by perl/usr/bin/perl"),
            ]
        );
        assert_eq!(seen.seen.keys().collect::<Vec<_>>(), ["/usr/share/b"]);
        assert_eq!(seen.missed.keys().collect::<Vec<_>>(), ["/usr/lib/nowhere", "/usr/share/c"]);
    }

    #[test]
    fn a_child_that_appears_before_its_parent_knows_inherits() {
        let trace = "5 execve(\"/s/store/t/bin/x\", [\"x\"], 0x0) = 0\n\
            5 vfork( <unfinished ...>\n\
            6 openat(AT_FDCWD</work>, \"/usr/share/a\", O_RDONLY) = 3</usr/share/a>\n\
            6 execve(\"/usr/bin/env\", [\"env\"], 0x0) = 0\n\
            5 <... vfork resumed>) = 6\n\
            6 openat(AT_FDCWD</work>, \"/usr/share/b\", O_RDONLY) = 3</usr/share/b>\n";
        let own = ["/s".to_owned()];
        let seen = observe(trace, &around(&own, &[("/s/store/t".to_owned(), "t".to_owned())]));
        let told: Vec<_> = seen.findings.iter().map(|f| f.place.as_str()).collect();
        assert_eq!(told, ["/usr/share/a", "/usr/bin/env"]);
    }
}

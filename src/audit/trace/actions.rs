//! The trace of a build with Bazel.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Processes, TraceReader, is_birth};
use crate::audit::{Finding, HOST_FILE, HOST_RUN, Rule, UNDECLARED_FILE};

/// Places that do not belong to the host, in addition to those of the kernel.
#[derive(Debug)]
pub struct OwnPlaces<'a> {
    /// The directories of the build and of the store.
    pub dirs: &'a [String],
    /// The workspace.
    pub workspace: &'a str,
    /// The files of the workspace that are inputs or outputs of an action, relative to the
    /// workspace.
    pub declared: &'a BTreeSet<&'a str>,
}

impl OwnPlaces<'_> {
    /// Whether a path is a file of the workspace that is no input of any action. A program that
    /// follows the links of its sandbox finds such files.
    fn is_undeclared(&self, path: &str) -> bool {
        let Some(inner) = path.strip_prefix(self.workspace).and_then(|p| p.strip_prefix('/'))
        else {
            return false;
        };
        // Bazel's own links into its output root.
        if inner.starts_with("bazel-") {
            return false;
        }
        // A directory may be an input as a whole.
        !std::iter::successors(Some(inner), |p| p.rsplit_once('/').map(|(dir, _)| dir))
            .any(|p| self.declared.contains(p))
    }
}

/// Files that every dynamically linked program and every shell opens at its start. What matters is
/// who opens them: the files that a shell of the host opens are its own.
const SHELLS: &[&str] = &["/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/dash"];

/// Reads a trace whose lines begin with a process ID. Only the descendants of Bazel's action
/// runners (`process-wrapper`, `linux-sandbox`) count, because the server itself may use the host.
pub fn look(trace: &str, allowed: OwnPlaces) -> Vec<Finding> {
    let mut out: BTreeMap<(&str, String), (&'static Rule, String)> = BTreeMap::new();
    // The program that each process runs, or `None` for processes that belong to no action.
    let mut running: Processes<Option<String>> = Processes::new();
    let mut calls = TraceReader::new(trace);
    let inside = |path: &str| {
        ["/proc", "/dev", "/sys", "/tmp"]
            .iter()
            .any(|d| path == *d || path.starts_with(&format!("{d}/")))
            || allowed.dirs.iter().map(String::as_str).chain([allowed.workspace]).any(|d| {
                path.strip_prefix(d).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    };
    while let Some((pid, call)) = calls.next() {
        if let Some(rest) = call.strip_prefix("execve(\"") {
            let path = rest.split('"').next().unwrap_or_default().to_owned();
            if !call.contains("= 0") {
                continue;
            }
            let name = path.rsplit('/').next().unwrap_or_default();
            running.meet(pid, &calls);
            let of_action = running.get(pid).is_some_and(Option::is_some);
            if matches!(name, "process-wrapper" | "linux-sandbox") {
                // Repository rules use the same wrapper, with a time limit that the actions of a
                // build do not have. A different rule examines what they search for.
                let is_limited = call.contains("\"--timeout=") && !call.contains("\"--timeout=0\"");
                let is_action =
                    name == "linux-sandbox" || call.contains("\"--stats=") || !is_limited;
                running.set(pid, is_action.then(String::new));
                continue;
            }
            if !of_action {
                running.set(pid, None);
                continue;
            }
            let is_host = path.starts_with('/') && !inside(&path);
            if is_host && !SHELLS.contains(&path.as_str()) {
                let by = running.get(pid).cloned().flatten().unwrap_or_default();
                out.entry((HOST_RUN.id, path.clone())).or_insert((&HOST_RUN, by));
            }
            running.set(pid, Some(if is_host { String::new() } else { path }));
        } else if is_birth(&call) {
            running.born(pid, &call);
        } else if call.starts_with("openat(") || call.starts_with("open(") {
            let Some(path) = call.split('"').nth(1) else { continue };
            let opened = !call.contains("= -1");
            // A program of the host opens its own libraries, and its start has already been
            // reported.
            if let Some(Some(program)) = running.get(pid)
                && !program.is_empty()
                && opened
                && path.starts_with('/')
                && !call.contains("O_DIRECTORY")
            {
                let rule = match (inside(path), allowed.is_undeclared(path)) {
                    (false, _) => &HOST_FILE,
                    (true, true) => &UNDECLARED_FILE,
                    (true, false) => continue,
                };
                out.entry((rule.id, path.to_owned())).or_insert_with(|| (rule, program.clone()));
            }
        }
    }
    out.into_iter()
        .map(|((_, path), (rule, by))| {
            let by = if by.is_empty() { "a shell or a program of the host".to_owned() } else { by };
            let how = if rule.id == HOST_RUN.id { "was started by" } else { "was opened by" };
            Finding::new(rule, path, format!("{how} {by}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_actions_count() {
        let trace = "10 execve(\"/usr/lib/jvm/bin/java\", [\"x\"], 0x0) = 0\n\
                     10 openat(AT_FDCWD, \"/usr/lib/jvm/lib/modules\", O_RDONLY) = 3\n\
                     10 vfork() = 11\n\
                     11 execve(\"/usr/share/bazel/process-wrapper\", [\"x\"], 0x0) = 0\n\
                     11 clone(child_stack=NULL, flags=SIGCHLD) = 12\n\
                     12 execve(\"/bin/bash\", [\"bash\"], 0x0) = 0\n\
                     12 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY) = 3\n\
                     12 clone(child_stack=NULL, flags=SIGCHLD) = 13\n\
                     13 execve(\"/usr/bin/python3\", [\"python3\"], 0x0) = 0\n\
                     12 clone(child_stack=NULL, flags=SIGCHLD) = 14\n\
                     14 execve(\"/out/bin/tool\", [\"tool\"], 0x0) = 0\n\
                     14 openat(AT_FDCWD, \"/etc/hostname\", O_RDONLY) = 3\n\
                     14 openat(AT_FDCWD, \"/out/a\", O_RDONLY) = 3\n\
                     14 openat(AT_FDCWD, \"/ws/a/declared.py\", O_RDONLY) = 3\n\
                     14 openat(AT_FDCWD, \"/ws/a/dir/b\", O_RDONLY) = 3\n\
                     14 openat(AT_FDCWD, \"/ws/bazel-ws/external/a\", O_RDONLY) = 3\n\
                     14 openat(AT_FDCWD, \"/ws/a/neighbour.py\", O_RDONLY) = 3\n";
        let declared = ["a/declared.py", "a/dir"].into();
        let allowed =
            OwnPlaces { dirs: &["/out".to_owned()], workspace: "/ws", declared: &declared };
        let found = look(trace, allowed);
        let told: Vec<_> = found.iter().map(|f| (f.id, f.place.as_str())).collect();
        assert_eq!(
            told,
            [
                ("host-file", "/etc/hostname"),
                ("host-run", "/usr/bin/python3"),
                ("undeclared-file", "/ws/a/neighbour.py")
            ]
        );
    }
}

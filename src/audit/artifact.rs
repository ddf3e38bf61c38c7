//! Examines what a file reveals about the machine that it needs: ELF headers, `#!` lines and paths.

use goblin::elf::Elf;

use super::{
    ELF_INTERPRETER, ELF_NEEDED, Finding, GLIBC_FLOOR, OUTPUT_PATH, OUTPUT_RPATH, PYTHON_ZIP,
    SHEBANG, TOOL_INTERPRETER, TOOL_RPATH, TREE_INTERPRETER, TREE_NEEDED, TREE_RPATH, TREE_SHEBANG,
};

/// The role of a file in the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The build produced it.
    Output,
    /// It is checked in.
    Source,
    /// It belongs to a tree of the store.
    Tree,
}

/// What is known about a file before it is read.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The name of the file in findings.
    pub place: &'a str,
    /// The role of the file in the build.
    pub role: Role,
    /// Whether it can be executed.
    pub executable: bool,
    /// The newest glibc that outputs may require.
    pub glibc_floor: Option<&'a str>,
    /// Paths of this machine that outputs must not contain.
    pub machine_paths: &'a [String],
    /// Whether a library of this name is in a directory that the file's own relative search path
    /// names, or in its tree.
    pub libraries: &'a dyn Fn(&str) -> bool,
}

/// The loaders that the ABI of glibc names. Every system with glibc has its own loader at this
/// path.
const LOADERS: &[&str] = &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The libraries of glibc and of GCC's run time, which exist on every system that can run a C++
/// program.
const SYSTEM: &[&str] = &[
    "libc.so",
    "libm.so",
    "libdl.so",
    "librt.so",
    "libpthread.so",
    "libresolv.so",
    "libutil.so",
    "libstdc++.so",
    "libgcc_s.so",
    "ld-linux",
];

/// The shells that exist at these paths on every machine, because POSIX or Bazel requires them.
const SHELLS: &[&str] = &["/bin/sh", "/bin/bash"];

/// Examines a file.
pub fn look(bytes: &[u8], subject: Subject) -> Vec<Finding> {
    let mut out = vec![];
    if bytes.starts_with(b"\x7fELF") {
        elf(bytes, subject, &mut out);
    } else if bytes.starts_with(b"#!") {
        script(bytes, subject, &mut out);
    }
    if subject.role == Role::Output {
        for path in subject.machine_paths {
            if let Some(at) = find_path(bytes, path.as_bytes()) {
                let end = bytes[at..]
                    .iter()
                    .position(|b| !(b.is_ascii_graphic()) || b"\"'<>,;".contains(b))
                    .map_or(bytes.len(), |n| at + n);
                let shown = String::from_utf8_lossy(&bytes[at..end.min(at + 160)]).into_owned();
                out.push(Finding::new(&OUTPUT_PATH, subject.place, format!("holds {shown}")));
                break;
            }
        }
    }
    out
}

fn script(bytes: &[u8], subject: Subject, out: &mut Vec<Finding>) {
    let line =
        String::from_utf8_lossy(bytes[2..].split(|b| *b == b'\n').next().unwrap_or_default())
            .trim()
            .to_owned();
    let program = line.split_whitespace().next().unwrap_or_default().to_owned();
    if find(&bytes[..bytes.len().min(4096)], b"PK\x03\x04").is_some() && line.contains("python") {
        out.push(Finding::new(
            &PYTHON_ZIP,
            subject.place,
            format!("a zip file that begins with #!{line}"),
        ));
    } else if subject.executable
        && !SHELLS.contains(&program.as_str())
        && !is_shell_of_env(&line)
        && super::is_host_path(&program)
    {
        let rule = if subject.role == Role::Tree { &TREE_SHEBANG } else { &SHEBANG };
        out.push(Finding::new(rule, subject.place, format!("begins with #!{line}")));
    }
}

fn is_shell_of_env(line: &str) -> bool {
    matches!(line, "/usr/bin/env bash" | "/usr/bin/env sh")
}

fn elf(bytes: &[u8], subject: Subject, out: &mut Vec<Finding>) {
    let Ok(elf) = Elf::parse(bytes) else { return };
    let rpaths: Vec<&str> = elf
        .rpaths
        .iter()
        .chain(&elf.runpaths)
        .flat_map(|p| p.split(':'))
        .filter(|p| !p.is_empty())
        .collect();
    let fixed: Vec<&str> = rpaths.iter().copied().filter(|p| super::is_host_path(p)).collect();
    let rule = match subject.role {
        Role::Output => &OUTPUT_RPATH,
        Role::Source => &TOOL_RPATH,
        Role::Tree => &TREE_RPATH,
    };
    if !fixed.is_empty() {
        out.push(Finding::new(
            rule,
            subject.place,
            format!("its search path holds {}", fixed.join(", ")),
        ));
    }
    if let Some(interpreter) = elf.interpreter {
        // In a tree, a launcher starts the program `.NAME.real` with the loader of the tree.
        // libc.so.6 and similar libraries can be executed, but nobody executes them.
        let name = subject.place.rsplit('/').next().unwrap_or_default();
        let is_started_by_launcher =
            (name.starts_with('.') && name.ends_with(".real")) || name.contains(".so");
        match subject.role {
            Role::Source => out.push(Finding::new(
                &TOOL_INTERPRETER,
                subject.place,
                format!("asks for {interpreter}"),
            )),
            Role::Tree if subject.executable && !is_started_by_launcher => out.push(Finding::new(
                &TREE_INTERPRETER,
                subject.place,
                format!("asks for {interpreter}"),
            )),
            Role::Output if !LOADERS.contains(&interpreter) => out.push(Finding::new(
                &ELF_INTERPRETER,
                subject.place,
                format!("asks for {interpreter}"),
            )),
            Role::Output | Role::Tree => {}
        }
    }
    if subject.role == Role::Source {
        return;
    }
    let is_known = |name: &str| {
        (subject.role == Role::Output && SYSTEM.iter().any(|s| name.starts_with(s)))
            || (subject.libraries)(name)
    };
    let unknown: Vec<&str> = elf.libraries.iter().copied().filter(|l| !is_known(l)).collect();
    if !unknown.is_empty() {
        let rule = if subject.role == Role::Tree { &TREE_NEEDED } else { &ELF_NEEDED };
        out.push(Finding::new(rule, subject.place, format!("needs {}", unknown.join(", "))));
    }
    // A program that includes its loader also includes its libc.
    let brings_its_own = elf.interpreter.is_none() && !elf.is_lib
        || rpaths.iter().any(|p| p.starts_with("/cotter-runtime/"));
    if let (Some(floor), Some(needs)) = (subject.glibc_floor, &elf.verneed)
        && !brings_its_own
    {
        let newest = needs
            .iter()
            .flat_map(|n| n.iter().map(|a| a.vna_name).collect::<Vec<_>>())
            .filter_map(|name| elf.dynstrtab.get_at(name))
            .filter_map(|v| v.strip_prefix("GLIBC_"))
            .filter(|v| v.starts_with(|c: char| c.is_ascii_digit()))
            .max_by_key(|v| version(v));
        if let Some(newest) = newest.filter(|v| version(v) > version(floor)) {
            out.push(Finding::new(
                &GLIBC_FLOOR,
                subject.place,
                format!("needs glibc {newest}, the floor is {floor}"),
            ));
        }
    }
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|p| p.parse().unwrap_or(0)).collect()
}

/// Returns the position at which a path occurs as a complete path: not in the middle of a longer
/// path, and not as the beginning of another name.
fn find_path(bytes: &[u8], path: &[u8]) -> Option<usize> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let mut from = 0;
    while let Some(step) = find(&bytes[from..], path) {
        let (at, end) = (from + step, from + step + path.len());
        if (at == 0 || !(is_name(bytes[at - 1]) || bytes[at - 1] == b'/'))
            && bytes.get(end).is_none_or(|b| !is_name(*b))
        {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    if what.is_empty() { None } else { bytes.windows(what.len()).position(|w| w == what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(bytes: &[u8], executable: bool, role: Role) -> Vec<&'static str> {
        let paths = ["/somewhere/project".to_owned()];
        let subject = Subject {
            place: "x",
            role,
            executable,
            glibc_floor: None,
            machine_paths: &paths,
            libraries: &|_| false,
        };
        look(bytes, subject).into_iter().map(|f| f.id).collect()
    }

    #[test]
    fn scripts() {
        assert_eq!(look_at(b"#!/usr/bin/env python3\n", true, Role::Source), ["shebang"]);
        assert_eq!(look_at(b"#!/usr/bin/perl -w\n", true, Role::Source), ["shebang"]);
        assert!(look_at(b"#!/bin/sh\n", true, Role::Source).is_empty());
        assert!(look_at(b"#!/usr/bin/env python3\n", false, Role::Source).is_empty());
        assert_eq!(
            look_at(b"#!/usr/bin/env python3\nPK\x03\x04", true, Role::Output),
            ["python-zip"]
        );
    }

    #[test]
    fn paths() {
        assert_eq!(
            look_at(b"...\0/somewhere/project/a.cc\0", false, Role::Output),
            ["output-path"]
        );
        assert!(look_at(b"...\0/somewhere/project/a.cc\0", false, Role::Source).is_empty());
        assert!(
            look_at(b"/else/somewhere/project/a.cc /somewhere/projects", false, Role::Output)
                .is_empty()
        );
    }
}

//! The lines of a trace.

use std::collections::{BTreeMap, BTreeSet};

/// Reads a trace whose lines begin with a process ID, call by call.
pub struct TraceReader<'t> {
    lines: std::str::Lines<'t>,
    /// The calls that have begun and not returned, by process.
    unfinished: BTreeMap<u32, String>,
}

impl<'t> TraceReader<'t> {
    /// Begins to read.
    pub fn new(trace: &'t str) -> Self {
        TraceReader { lines: trace.lines(), unfinished: BTreeMap::new() }
    }

    /// Returns the next call that has returned, and its process. If two processes make calls at
    /// the same time, a call is reported in two parts, which are put together here.
    pub fn next(&mut self) -> Option<(u32, String)> {
        loop {
            let Some((pid, call)) = self.lines.next()?.split_once(' ') else { continue };
            let (Ok(pid), call) = (pid.parse::<u32>(), call.trim_start()) else { continue };
            if let Some(first) = call.strip_suffix(" <unfinished ...>") {
                self.unfinished.insert(pid, first.to_owned());
                continue;
            }
            let resumed = call.strip_prefix("<... ").and_then(|c| c.split_once(" resumed>"));
            match (resumed, self.unfinished.remove(&pid)) {
                (Some((_, rest)), Some(first)) => return Some((pid, first + rest)),
                (Some(_), None) => {}
                (None, _) => return Some((pid, call.to_owned())),
            }
        }
    }

    /// Returns the processes that are creating another one at this moment.
    pub fn parents(&self) -> impl Iterator<Item = u32> {
        self.unfinished.iter().filter(|(_, call)| is_birth(call)).map(|(pid, _)| *pid)
    }
}

/// Whether a call creates a process.
pub fn is_birth(call: &str) -> bool {
    ["clone(", "clone3(", "vfork(", "fork("].iter().any(|c| call.starts_with(c))
}

/// What is known of each process. A trace may report a child before the call that created it has
/// returned.
pub struct Processes<T> {
    known: BTreeMap<u32, T>,
    early: BTreeSet<u32>,
}

impl<T: Clone> Processes<T> {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Processes { known: BTreeMap::new(), early: BTreeSet::new() }
    }

    /// Returns what is known of a process.
    pub fn get(&self, pid: u32) -> Option<&T> {
        self.known.get(&pid)
    }

    /// Records what a process is now.
    pub fn set(&mut self, pid: u32, what: T) {
        self.known.insert(pid, what);
    }

    /// Lets a process inherit from the one that is creating it, if it is not known yet.
    pub fn meet(&mut self, pid: u32, calls: &TraceReader) {
        if !self.known.contains_key(&pid) {
            let parent = calls.parents().find_map(|parent| self.known.get(&parent).cloned());
            if let Some(parent) = parent {
                self.known.insert(pid, parent);
            }
            self.early.insert(pid);
        }
    }

    /// Lets the child that a call created inherit. Process IDs are reused, so a child that is known
    /// from an earlier process is new, unless it was met before this call returned.
    pub fn born(&mut self, parent: u32, call: &str) {
        let Some(child) = call.rsplit("= ").next().and_then(|c| {
            c.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
        }) else {
            return;
        };
        if self.early.remove(&child) {
            return;
        }
        match self.known.get(&parent).cloned() {
            Some(what) => drop(self.known.insert(child, what)),
            None => drop(self.known.remove(&child)),
        }
    }
}

/// Returns the texts in quotation marks of a call, in order, as the bytes that they stand for.
pub fn texts(call: &str) -> Vec<String> {
    let mut out = vec![];
    let mut rest = call;
    while let Some(start) = rest.find('"') {
        let (text, after) = unquote(&rest[start + 1..]);
        out.push(text);
        rest = after;
    }
    out
}

/// Reads to the closing quotation mark. Returns the text and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut out = vec![];
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() && bytes[i] != b'"' {
        if bytes[i] != b'\\' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let digits =
            bytes[i + 1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
        if digits > 0 {
            let value =
                bytes[i + 1..=i + digits].iter().fold(0u32, |v, b| v * 8 + u32::from(b - b'0'));
            out.push(value as u8);
            i += 1 + digits;
        } else {
            out.extend(match bytes.get(i + 1) {
                Some(b'n') => Some(b'\n'),
                Some(b't') => Some(b'\t'),
                other => other.copied(),
            });
            i += 2;
        }
    }
    (String::from_utf8_lossy(&out).into_owned(), text.get(i + 1..).unwrap_or_default())
}

/// Whether a call has succeeded.
pub fn succeeded(call: &str) -> bool {
    call.rfind(" = ").is_some_and(|at| !call[at + 3..].starts_with(['-', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_two_parts_and_escapes() {
        let mut calls = TraceReader::new(
            "7 openat(AT_FDCWD, \"/a\\\"b\\303\\251\", O_RDONLY <unfinished ...>\n8 access(\"x\", R_OK) = -1 ENOENT (No such file or directory)\n7 <... openat resumed>) = 3</a>\n",
        );
        let (pid, call) = calls.next().unwrap();
        assert_eq!((pid, succeeded(&call)), (8, false));
        let (pid, call) = calls.next().unwrap();
        assert_eq!((pid, succeeded(&call)), (7, true));
        assert_eq!(texts(&call), ["/a\"bé"]);
        assert!(calls.next().is_none());
    }
}

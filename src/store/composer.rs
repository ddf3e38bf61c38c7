//! The process that composes a tree: it notes itself in the lock's file, so that others can tell for
//! whom they wait.

use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use crate::model::StoreName;

/// The pause between two attempts to lock a tree.
pub const PAUSE: Duration = Duration::from_millis(50);

/// The number of pauses after which the user is told for whom the program waits.
const LONG: u32 = 20;

/// The number of pauses after which a program goes on without a lock that it does not need: 10 s.
const TOO_LONG: u32 = 200;

/// The longest command line that is noted and shown, in bytes.
const LONGEST_COMMAND: usize = 200;

/// Counts the attempts to lock one tree.
#[derive(Debug, Default)]
pub struct Waiting(u32);

impl Waiting {
    /// Counts an attempt. Returns `true` once, when the user should be told.
    pub fn is_long(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 == LONG
    }

    /// Whether a program that can do without the lock should go on.
    pub fn is_too_long(&self) -> bool {
        self.0 >= TOO_LONG
    }
}

/// Notes this process in the file of a lock that it holds: its number and its command line. The
/// note is only shown to people, so a failure does no harm.
pub(super) fn note(mut file: &fs::File) {
    let command = fs::read("/proc/self/cmdline").unwrap_or_default();
    let words: Vec<String> = command
        .split(|b| *b == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let text = format!("{} {}", std::process::id(), words.join(" "));
    let _ = file
        .file()
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(shown(&text).as_bytes()));
}

/// Returns a text on one line, without what could change a terminal, and not too long.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > LONGEST_COMMAND {
            out.push_str("...");
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

/// Returns a sentence about the process that composes the tree `name` and holds the lock at `path`.
pub(super) fn sentence(path: &Path, name: &StoreName) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let since = fs::metadata(path).and_then(|meta| meta.modified());
    let since = since.ok().and_then(|at| at.elapsed().ok());
    let since = since.map(|age| format!(" for {} s", age.as_secs())).unwrap_or_default();
    match shown(&text).split_once(' ') {
        Some((pid, command)) => {
            format!("waiting for process {pid}, which has been making {name}{since}: {command}")
        }
        None => format!("waiting for another process, which has been making {name}{since}"),
    }
}

/// Returns a sentence about whoever holds the lock of the file at `path`. Source: proc(5),
/// `/proc/locks`, which names a process only to those who can see it.
pub(super) fn holder(path: &Path) -> String {
    let process = || {
        let file = fs::metadata(path).ok()?.ino().to_string();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let mut held = locks.lines().filter(|line| !line.contains("->")).filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let inode = words.get(5)?.rsplit(':').next()?;
            (words.get(1) == Some(&"FLOCK") && inode == file).then(|| words[4].to_owned())
        });
        let pid = held.find(|pid| pid.parse::<u32>().is_ok_and(|pid| pid > 0))?;
        let user = fs::metadata(Path::new("/proc").join(&pid)).ok()?.uid();
        Some(format!("process {pid} of the user {user}"))
    };
    let process = process().unwrap_or_else(|| "a process that can't be seen from here".to_owned());
    format!("{process} holds the lock {}", path.display())
}

//! What a job prints: the first part goes to a file, and the end is kept for messages.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;

use fs_err as fs;

/// The number of bytes of the file. What follows is counted and left out.
const FILE: u64 = 16 << 20;
/// The number of bytes that are kept for messages.
const TAIL: usize = 16 << 10;

/// The number of bytes after which a line that has not ended is told.
const LINE: usize = 4 << 10;

/// What is left of what a job has printed.
#[derive(Debug, Default)]
pub struct Kept {
    /// Its last bytes.
    pub tail: Vec<u8>,
    /// Whether it printed more than it may. It was not listened to any longer then.
    pub is_too_much: bool,
}

/// Reads what a job prints until it ends, or until it has printed `most` bytes, and writes it to a
/// file. Each line is told to `tell`.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(
    mut from: impl Read,
    file: &Path,
    most: u64,
    tell: Option<&(dyn Fn(&str) + Sync)>,
) -> io::Result<Kept> {
    let mut out = fs::File::create(file)?;
    let (mut total, mut tail) = (0_u64, VecDeque::new());
    let (mut line, mut is_too_much) = (vec![], false);
    let mut buffer = [0; 1 << 14];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let part = &buffer[..read];
        let room = usize::try_from(FILE.saturating_sub(total)).unwrap_or(usize::MAX);
        out.write_all(&part[..read.min(room)])?;
        total += read as u64;
        tail.extend(part);
        tail.drain(..tail.len().saturating_sub(TAIL));
        if let Some(tell) = tell {
            line.extend(part);
            tell_lines(&mut line, tell);
        }
        is_too_much = total > most;
        if is_too_much {
            break;
        }
    }
    if let Some(tell) = tell.filter(|_| !line.is_empty()) {
        tell(&String::from_utf8_lossy(&line));
    }
    if total > FILE {
        writeln!(out, "\n... {} more bytes were left out", total - FILE)?;
    }
    Ok(Kept { tail: tail.into(), is_too_much })
}

/// Tells the lines that have ended, and removes them.
fn tell_lines(text: &mut Vec<u8>, tell: &(dyn Fn(&str) + Sync)) {
    let mut done = 0;
    loop {
        let rest = &text[done..];
        let (line, skip) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], 1),
            None if rest.len() >= LINE => (rest, 0),
            None => break,
        };
        done += line.len() + skip;
        tell(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)));
    }
    text.drain(..done);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_file_is_bounded() {
        let dir = std::env::temp_dir().join(format!("cotter-log-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let file = dir.join("log");
        let text = b"0123456789abcdef".repeat(2 << 20);
        let kept = keep(text.as_slice(), &file, 64 << 20, None).unwrap();
        assert!(!kept.is_too_much);
        let tail = kept.tail;
        let written = fs::read(&file).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(tail, &text[text.len() - TAIL..]);
        let (kept, rest) = written.split_at(16 << 20);
        assert_eq!(kept, &text[..16 << 20]);
        assert_eq!(rest, b"\n... 16777216 more bytes were left out\n");
    }

    #[test]
    fn lines_are_told_as_they_come_and_too_much_ends_it() {
        let dir = std::env::temp_dir().join(format!("cotter-lines-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let told = std::sync::Mutex::new(vec![]);
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let text = format!("a\r\n\n{}\nlast", "x".repeat(20 << 10));
        keep(text.as_bytes(), &dir.join("log"), 1 << 20, Some(&tell)).unwrap();
        let lines = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines.last().unwrap().as_str()),
            ("a", "", "last")
        );
        assert_eq!(lines.concat().len(), text.len() - 4);
        assert!(
            keep(io::repeat(b'x'), &dir.join("log"), 1 << 20, Some(&tell)).unwrap().is_too_much
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}

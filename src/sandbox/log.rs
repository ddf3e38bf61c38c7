//! What a job prints: the first part goes to a file, and the end is kept for messages.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;

use fs_err as fs;

/// The number of bytes of the file. What follows is counted and left out.
const FILE: u64 = 16 << 20;
/// The number of bytes that are kept for messages.
const TAIL: usize = 16 << 10;

/// Reads what a job prints until it ends, and writes it to a file. Returns its last bytes.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(mut from: impl Read, file: &Path) -> io::Result<Vec<u8>> {
    let mut out = fs::File::create(file)?;
    let (mut total, mut tail) = (0_u64, VecDeque::new());
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
    }
    if total > FILE {
        writeln!(out, "\n... {} more bytes were left out", total - FILE)?;
    }
    Ok(tail.into())
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
        let tail = keep(text.as_slice(), &file).unwrap();
        let written = fs::read(&file).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(tail, &text[text.len() - TAIL..]);
        let (kept, rest) = written.split_at(16 << 20);
        assert_eq!(kept, &text[..16 << 20]);
        assert_eq!(rest, b"\n... 16777216 more bytes were left out\n");
    }
}

//! Reads Nix archives in one pass. Only the one canonical form of a tree is accepted, so what was
//! read gives the same bytes when it is written again.

use std::io::{self, Read};

use super::NarVisitor;

/// The greatest length of a name in bytes (NAME_MAX of Linux).
const LONGEST_NAME: u64 = 255;

/// The greatest length of the target of a symlink in bytes (PATH_MAX of Linux, with its NUL).
const LONGEST_TARGET: u64 = 4095;

/// The greatest length of a path below the root in bytes. It leaves room for the path of a store.
const LONGEST_PATH: usize = 3000;

/// The greatest number of directories within each other.
const DEEPEST: usize = 512;

/// The greatest length of the words of the format.
const LONGEST_WORD: u64 = 16;

/// The number of bytes of a file that are passed on at a time.
const CHUNK: usize = 128 << 10;

/// The reason why a NAR was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The bytes are no canonical NAR, or describe no tree that a file system can hold.
    #[error("{what}, at byte {at}")]
    Refused {
        /// The number of bytes before the fault.
        at: u64,
        /// What was expected, and what was got.
        what: String,
    },
    /// The bytes could not be read.
    #[error(transparent)]
    Read(io::Error),
    /// The receiver has failed.
    #[error(transparent)]
    Visitor(io::Error),
}

/// Reads a NAR to the end of `input` and tells its parts to `visitor`.
///
/// # Errors
/// See [`NarError`].
pub fn read(input: impl Read, visitor: &mut dyn NarVisitor) -> Result<(), NarError> {
    let mut reader = Reader { input, at: 0, buffer: vec![0; CHUNK], visitor };
    reader.word(b"nix-archive-1")?;
    reader.tree()?;
    match reader.some(1)? {
        0 => Ok(()),
        _ => Err(reader.refuse("expected the end of the archive, got more")),
    }
}

struct Reader<'v, R> {
    input: R,
    /// The number of bytes that were read.
    at: u64,
    buffer: Vec<u8>,
    visitor: &'v mut dyn NarVisitor,
}

/// A directory that is being read.
struct Open {
    /// The name of its last entry.
    last: Vec<u8>,
    /// The length of its path.
    path: usize,
}

impl<R: Read> Reader<'_, R> {
    /// Reads the node at the root and all below it.
    fn tree(&mut self) -> Result<(), NarError> {
        let mut open: Vec<Open> = vec![];
        loop {
            if let Some(path) = self.node(open.last().map_or(0, |dir| dir.path + dir.last.len()))? {
                if open.len() == DEEPEST {
                    return Err(self.refuse(&format!(
                        "expected at most {DEEPEST} directories within each other, got more"
                    )));
                }
                open.push(Open { last: vec![], path });
            } else if open.is_empty() {
                return Ok(());
            } else {
                self.end_entry()?;
            }
            // Now the innermost directory goes on with another entry, or ends, and with it an entry
            // of the directory above.
            loop {
                let Some(dir) = open.last_mut() else { return Ok(()) };
                let word = self.string(LONGEST_WORD)?;
                match word.as_slice() {
                    b"entry" => {
                        self.entry(dir)?;
                        break;
                    }
                    b")" => {
                        self.told(|visitor| visitor.end_directory())?;
                        open.pop();
                        if open.is_empty() {
                            return Ok(());
                        }
                        self.end_entry()?;
                    }
                    other => {
                        return Err(self.refuse(&format!(
                            "expected \"entry\" or \")\", got {}",
                            shown(other)
                        )));
                    }
                }
            }
        }
    }

    /// Reads a node as far as the entries of a directory. Returns the length of the path of a
    /// directory whose entries follow.
    fn node(&mut self, path: usize) -> Result<Option<usize>, NarError> {
        self.word(b"(")?;
        self.word(b"type")?;
        let kind = self.string(LONGEST_WORD)?;
        match kind.as_slice() {
            b"directory" => {
                self.told(|visitor| visitor.begin_directory())?;
                return Ok(Some(path + 1));
            }
            b"symlink" => {
                self.word(b"target")?;
                let target = self.string(LONGEST_TARGET)?;
                if target.is_empty() || target.contains(&0) {
                    return Err(self.refuse(&format!("expected a target, got {}", shown(&target))));
                }
                self.told(|visitor| visitor.symlink(&target))?;
            }
            b"regular" => self.file()?,
            other => {
                return Err(self.refuse(&format!(
                    "expected \"directory\", \"regular\" or \"symlink\", got {}",
                    shown(other)
                )));
            }
        }
        self.word(b")")?;
        Ok(None)
    }

    fn file(&mut self) -> Result<(), NarError> {
        let mut word = self.string(LONGEST_WORD)?;
        let executable = word == b"executable";
        if executable {
            self.word(b"")?;
            word = self.string(LONGEST_WORD)?;
        }
        if word != b"contents" {
            return Err(self.refuse(&format!("expected \"contents\", got {}", shown(&word))));
        }
        let size = self.number()?;
        self.told(|visitor| visitor.begin_file(executable, size))?;
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let got = self.some(most)?;
            if got == 0 {
                return Err(self.refuse(&format!(
                    "expected {left} more bytes of a file, got the end of the archive"
                )));
            }
            self.visitor.content(&self.buffer[..got]).map_err(NarError::Visitor)?;
            left -= got as u64;
        }
        self.padding(size)?;
        self.told(|visitor| visitor.end_file(size))
    }

    /// Reads the name of the next entry of a directory.
    fn entry(&mut self, dir: &mut Open) -> Result<(), NarError> {
        self.word(b"(")?;
        self.word(b"name")?;
        let name = self.string(LONGEST_NAME)?;
        let is_name = !matches!(name.as_slice(), b"" | b"." | b"..")
            && !name.iter().any(|byte| matches!(byte, 0 | b'/'));
        if !is_name {
            return Err(self.refuse(&format!("expected a file name, got {}", shown(&name))));
        }
        if name <= dir.last {
            return Err(self.refuse(&format!(
                "expected a name behind {}, got {}",
                shown(&dir.last),
                shown(&name)
            )));
        }
        if dir.path + name.len() > LONGEST_PATH {
            return Err(
                self.refuse(&format!("expected paths of at most {LONGEST_PATH} bytes, got more"))
            );
        }
        self.word(b"node")?;
        self.told(|visitor| visitor.begin_entry(&name))?;
        dir.last = name;
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), NarError> {
        self.word(b")")?;
        self.told(|visitor| visitor.end_entry())
    }

    fn told(
        &mut self,
        tell: impl FnOnce(&mut dyn NarVisitor) -> io::Result<()>,
    ) -> Result<(), NarError> {
        tell(self.visitor).map_err(NarError::Visitor)
    }

    /// Reads a word of the format.
    fn word(&mut self, expected: &[u8]) -> Result<(), NarError> {
        let got = self.string(LONGEST_WORD)?;
        if got == expected {
            return Ok(());
        }
        Err(self.refuse(&format!("expected {}, got {}", shown(expected), shown(&got))))
    }

    /// Reads a string of at most `most` bytes, which are few.
    fn string(&mut self, most: u64) -> Result<Vec<u8>, NarError> {
        let length = self.number()?;
        if length > most {
            return Err(
                self.refuse(&format!("expected a string of at most {most} bytes, got {length}"))
            );
        }
        let mut out = vec![0; usize::try_from(length).expect("it is at most 4095")];
        self.exactly(&mut out)?;
        self.padding(length)?;
        Ok(out)
    }

    /// Reads a number of 64 bits, least significant byte first.
    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exactly(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads the zeros that fill the place behind `length` bytes to a multiple of eight.
    fn padding(&mut self, length: u64) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        let rest = &mut bytes[..((8 - length % 8) % 8) as usize];
        self.exactly(rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(self.refuse("expected zeros as padding, got other bytes"));
        }
        Ok(())
    }

    fn exactly(&mut self, out: &mut [u8]) -> Result<(), NarError> {
        let mut done = 0;
        while done < out.len() {
            match self.input.read(&mut out[done..]) {
                Ok(0) => {
                    return Err(self.refuse(&format!(
                        "expected {} more bytes, got the end of the archive",
                        out.len() - done
                    )));
                }
                Ok(n) => {
                    done += n;
                    self.at += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(NarError::Read(e)),
            }
        }
        Ok(())
    }

    /// Reads some bytes, at most `most`, into the buffer. Returns 0 at the end of the input.
    fn some(&mut self, most: usize) -> Result<usize, NarError> {
        loop {
            match self.input.read(&mut self.buffer[..most]) {
                Ok(n) => {
                    self.at += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(NarError::Read(e)),
            }
        }
    }

    fn refuse(&self, what: &str) -> NarError {
        NarError::Refused { at: self.at, what: what.to_owned() }
    }
}

/// Returns bytes for a message: some at the beginning, with escapes.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let dots = if bytes.len() > MOST { "..." } else { "" };
    format!("\"{}\"{dots}", bytes[..bytes.len().min(MOST)].escape_ascii())
}

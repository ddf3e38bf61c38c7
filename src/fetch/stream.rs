//! The transfer of one input: first from a partial file, then from mirrors. The bytes are hashed
//! and kept while they pass through.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::Fetcher;
use super::http::{Body, is_passing, redact, transfer_error};
use super::refusals::Refusals;
use crate::error::{Cause, Error, ErrorKind, Measure, Result};
use crate::model::{Digest, Hasher, Input};
use crate::reporter::Task;

/// A partial download, locked against other processes and threads.
pub struct Part {
    path: PathBuf,
    file: fs::File,
}

impl Part {
    /// Opens `<digest>.part` and waits until no other process or thread writes to it.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub fn lock(dir: &Path, digest: &Digest) -> Result<Part> {
        let path = dir.join(format!("{digest}.part"));
        loop {
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                // Whoever may read it could lock it, and keep this process waiting.
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)
                .map_err(|e| Error::at("write", &path, e))?;
            loop {
                match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => break,
                    Err(rustix::io::Errno::WOULDBLOCK) => {
                        crate::interrupt::sleep(std::time::Duration::from_millis(20))?
                    }
                    Err(e) => return Err(Error::at("lock", &path, e.into())),
                }
            }
            // The previous writer may have renamed the file while this one waited.
            let same = fs::metadata(&path).is_ok_and(|there| {
                same_file(&there, &file.metadata().expect("an open file has metadata"))
            });
            if same {
                return Ok(Part { path, file });
            }
            if dir.join(digest.hex()).exists() {
                return Ok(Part { path, file });
            }
        }
    }
}

fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.ino() == b.ino() && a.dev() == b.dev()
}

/// The reason why a stream failed.
pub enum Failure {
    /// No other mirror can help.
    Final(Error),
    /// The bytes are not the locked ones. Another mirror may have the right bytes.
    WrongBytes {
        /// The mirror that sent them.
        by: String,
        /// Whether some of the bytes came from an earlier, partial download. The same mirror then
        /// gets another chance.
        resumed: bool,
        /// The error to report if no other mirror has the right bytes.
        error: Error,
    },
}

/// Reads an input and keeps the bytes from the network in the partial file.
pub struct InputStream<'a> {
    fetcher: &'a Fetcher,
    input: &'a Input,
    candidates: Vec<String>,
    refusals: &'a mut Refusals,
    current: usize,
    attempts: u32,
    part: Part,
    /// The number of bytes that the partial file already contained.
    kept: u64,
    position: u64,
    hasher: Hasher,
    body: Option<Body>,
    task: &'a Task,
    gave_up: Option<Error>,
    too_long: bool,
    /// The first mirror that sent bytes in this run.
    first: Option<usize>,
}

impl<'a> InputStream<'a> {
    /// Starts to read `input`.
    ///
    /// # Errors
    /// If the partial file cannot be read.
    pub fn open(
        fetcher: &'a Fetcher,
        input: &'a Input,
        candidates: Vec<String>,
        refusals: &'a mut Refusals,
        part: Part,
        task: &'a Task,
    ) -> Result<Self> {
        let mut kept = part.file.metadata().map_err(|e| Error::at("read", &part.path, e))?.len();
        if kept > input.size {
            part.file.set_len(0).map_err(|e| Error::at("write", &part.path, e))?;
            kept = 0;
        }
        let mut stream = InputStream {
            fetcher,
            input,
            candidates,
            refusals,
            current: 0,
            attempts: 0,
            part,
            kept,
            position: 0,
            hasher: Hasher::default(),
            body: None,
            task,
            gave_up: None,
            too_long: false,
            first: None,
        };
        stream
            .part
            .file
            .seek(SeekFrom::Start(0))
            .map_err(|e| Error::at("read", &stream.part.path, e))?;
        Ok(stream)
    }

    /// Reads the rest, checks the length and the digest, and moves the file into the cache under
    /// its name.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn finish(mut self) -> Result<(), Failure> {
        if self.gave_up.is_none() {
            let mut sink = vec![0; 128 * 1024];
            loop {
                match self.read(&mut sink) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => {
                        self.gave_up.get_or_insert_with(|| {
                            crate::error::from_io("can't read a download", e)
                        });
                        break;
                    }
                }
            }
        }
        if let Some(error) = self.gave_up {
            return Err(Failure::Final(error));
        }
        let got = std::mem::take(&mut self.hasher).finish();
        // If several mirrors sent parts of the file, the first one is refused: the last one may be
        // right, and is asked for the whole file.
        let by = self.candidates[self.first.unwrap_or(self.current).min(self.candidates.len() - 1)]
            .clone();
        if got == self.input.sha256 && !self.too_long {
            let done = self.part.path.with_extension("");
            let readable = std::fs::Permissions::from_mode(0o644);
            self.part
                .file
                .set_permissions(readable)
                .map_err(|e| Failure::Final(Error::at("write", &self.part.path, e)))?;
            fs::rename(&self.part.path, &done)
                .map_err(|e| Failure::Final(Error::at("move a download to", &done, e)))?;
            return Ok(());
        }
        fs::remove_file(&self.part.path)
            .map_err(|e| Failure::Final(Error::at("remove", &self.part.path, e)))?;
        let error = self
            .other_file()
            .because_of(if self.too_long {
                self.mismatch(Measure::Size, &self.input.size.to_string(), "more")
            } else {
                self.mismatch(Measure::Sha256, &self.input.sha256.hex(), &got.hex())
            })
            .because(format!("it came from {}", redact(&by)));
        Err(Failure::WrongBytes { by, resumed: self.kept > 0, error })
    }

    fn connect(&mut self) -> Result<()> {
        let url = self.candidates[self.current].clone();
        let mut body = self.fetcher.http.get(&url, self.position)?;
        if body.skipped < self.position {
            // The server does not support ranges: skip the bytes that are already present.
            let skip = self.position - body.skipped;
            let got = io::copy(&mut (&mut body.reader).take(skip), &mut io::sink())
                .map_err(|e| transfer_error(&url, e))?;
            if got != skip {
                return Err(Error::network(format!("{} ended after {got} bytes", redact(&url)))
                    .with_cause(Cause::BrokenOff { stalled: false }));
            }
        }
        if let Some(total) = body.length
            && total != self.input.size
        {
            let expected = self.input.size;
            return Err(self
                .other_file()
                .because(format!("expected {expected} bytes, {} offers {total}", redact(&url)))
                .with_cause(self.mismatch(
                    Measure::Size,
                    &expected.to_string(),
                    &total.to_string(),
                )));
        }
        self.body = Some(body);
        Ok(())
    }

    fn other_file(&self) -> Error {
        Error::verification(format!("{} is not the file that was locked", self.input.file_name()))
            .hint("a mirror or a proxy altered the file, or it was published anew")
    }

    fn mismatch(&self, what: Measure, expected: &str, got: &str) -> Cause {
        Cause::Mismatch { what, expected: expected.to_owned(), got: got.to_owned() }
    }

    /// Decides how to proceed after a failure: `Ok` means to continue (after a pause, or with the
    /// next mirror), `Err` means to give up.
    fn recover(&mut self, error: Error) -> Result<()> {
        self.body = None;
        // The cause is the disk, or the user who interrupted the program, and no mirror.
        if matches!(error.reason(), Some(Cause::Io { .. }))
            || error.kind() == ErrorKind::Interrupted
        {
            return Err(error);
        }
        let patience = self.fetcher.http.patience();
        let more = self.current + 1 < self.candidates.len();
        // A server that is too slow will be so again.
        let is_slow = matches!(error.reason(), Some(Cause::BrokenOff { stalled: true }));
        if is_passing(&error) && self.attempts < patience.retries && !(is_slow && more) {
            let pause = patience.pause(self.attempts);
            self.attempts += 1;
            self.task.note(&format!("{error}; trying again"));
            crate::interrupt::sleep(pause)?;
            return Ok(());
        }
        if more {
            self.task.note(&format!("{error}; asking the next mirror"));
        }
        self.refusals.add(&self.candidates[self.current], error);
        if more {
            self.current += 1;
            self.attempts = 0;
            return Ok(());
        }
        Err(std::mem::take(self.refusals).into_error().expect("one was added"))
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        crate::interrupt::check()?;
        if self.position < self.kept {
            let want =
                buf.len().min(usize::try_from(self.kept - self.position).unwrap_or(usize::MAX));
            let n = self
                .part
                .file
                .read(&mut buf[..want])
                .map_err(|e| Error::at("read", &self.part.path, e))?;
            if n == 0 {
                return Err(Error::io(
                    format!("{} shrank", self.part.path.display()),
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            return Ok(self.took(&buf[..n]));
        }
        loop {
            if self.position >= self.input.size {
                return Ok(0);
            }
            if self.body.is_none()
                && let Err(e) = self.connect()
            {
                self.recover(e)?;
                continue;
            }
            let body = self.body.as_mut().expect("connected");
            match body.reader.read(buf) {
                Ok(0) => {
                    let error = Error::network(format!(
                        "{} ended after {} of {} bytes",
                        redact(&self.candidates[self.current]),
                        self.position,
                        self.input.size
                    ))
                    .with_cause(Cause::BrokenOff { stalled: false });
                    self.recover(error)?;
                }
                Ok(n) => {
                    if self.position + n as u64 > self.input.size {
                        self.too_long = true;
                        self.position = self.input.size;
                        return Ok(0);
                    }
                    self.first.get_or_insert(self.current);
                    // Keep the bytes that arrived, so that a later run continues from here.
                    self.part
                        .file
                        .write_all(&buf[..n])
                        .map_err(|e| Error::at("write", &self.part.path, e))?;
                    return Ok(self.took(&buf[..n]));
                }
                Err(e) => {
                    let error = transfer_error(&redact(&self.candidates[self.current]), e);
                    self.recover(error)?;
                }
            }
        }
    }

    fn took(&mut self, bytes: &[u8]) -> usize {
        self.hasher.update(bytes);
        self.position += bytes.len() as u64;
        self.task.advance(bytes.len() as u64);
        bytes.len()
    }
}

impl Read for InputStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.gave_up.is_some() {
            return Err(io::Error::other("the download failed"));
        }
        let task = self.task;
        task.waiting(|| self.read_some(buf)).map_err(|e| {
            self.gave_up = Some(e);
            io::Error::from(Error::network("the download failed"))
        })
    }
}

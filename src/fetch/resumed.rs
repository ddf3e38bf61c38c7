//! Reads a file of which only the decoded content is known in advance. A transfer that breaks off goes
//! on where it was; nothing is kept on the disk.

use std::io::{self, Read};

use super::http::{Body, Http, is_passing, redact, transfer_error};
use crate::error::{Cause, Error, Result};
use crate::reporter::Task;

/// The bytes of a URL.
pub struct Resumed<'a> {
    http: &'a Http,
    url: &'a str,
    task: &'a Task,
    body: Option<Body>,
    /// The length of the file, if the server has said it.
    length: Option<u64>,
    position: u64,
    attempts: u32,
    failure: Option<Error>,
}

impl<'a> Resumed<'a> {
    /// Requests the file.
    ///
    /// # Errors
    /// If it cannot be had, after retries.
    pub fn open(http: &'a Http, url: &'a str, task: &'a Task) -> Result<Self> {
        let (body, length, failure) = (None, None, None);
        let mut out = Resumed { http, url, task, body, length, position: 0, attempts: 0, failure };
        while out.body.is_none() {
            if let Err(e) = out.connect() {
                out.recover(e)?;
            }
        }
        Ok(out)
    }

    /// Returns why the transfer was given up, if it was. A decoder may have hidden the reason.
    pub fn into_failure(self) -> Option<Error> {
        self.failure
    }

    fn connect(&mut self) -> Result<()> {
        let mut body = self.http.get(self.url, self.position)?;
        if body.skipped < self.position {
            let skip = self.position - body.skipped;
            let got = io::copy(&mut (&mut body.reader).take(skip), &mut io::sink())
                .map_err(|e| transfer_error(self.url, e))?;
            if got != skip {
                return Err(self.ended(got));
            }
        }
        if let (Some(before), Some(now)) = (self.length, body.length)
            && before != now
        {
            let shown = redact(self.url);
            return Err(Error::network(format!("{shown} changed while it was read"))
                .because(format!("expected {before} bytes, the server now offers {now}")));
        }
        self.length = self.length.or(body.length);
        self.body = Some(body);
        Ok(())
    }

    fn ended(&self, at: u64) -> Error {
        let of = self.length.map_or_else(String::new, |length| format!(" of {length}"));
        Error::network(format!("{} ended after {at}{of} bytes", redact(self.url)))
            .with_cause(Cause::BrokenOff { stalled: false })
    }

    /// Waits before the next attempt, or gives up.
    fn recover(&mut self, error: Error) -> Result<()> {
        self.body = None;
        let patience = self.http.patience();
        if !is_passing(&error) || self.attempts >= patience.retries {
            return Err(error);
        }
        let pause = patience.pause(self.attempts);
        self.attempts += 1;
        self.task.note(&format!("{error}; trying again"));
        crate::interrupt::sleep(pause)
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            crate::interrupt::check()?;
            let Some(body) = &mut self.body else {
                if let Err(e) = self.connect() {
                    self.recover(e)?;
                }
                continue;
            };
            match body.reader.read(buf) {
                Ok(0) if self.length.is_some_and(|length| self.position < length) => {
                    let error = self.ended(self.position);
                    self.recover(error)?;
                }
                Ok(n) => {
                    self.position += n as u64;
                    return Ok(n);
                }
                Err(e) => {
                    let error = transfer_error(&redact(self.url), e);
                    self.recover(error)?;
                }
            }
        }
    }
}

impl Read for Resumed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::Error::other("the transfer failed"));
        }
        let task = self.task;
        task.waiting(|| self.read_some(buf)).map_err(|e| {
            self.failure = Some(e);
            io::Error::other("the transfer failed")
        })
    }
}

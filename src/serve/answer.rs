//! The answers of the server.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fs_err as fs;

use super::request::{CacheRequest, Route};
use super::shelf::Shelf;
use crate::error::Result;

/// The number of bytes of a file that are sent at a time.
const CHUNK: usize = 64 << 10;

/// An answer.
pub struct CacheAnswer {
    /// The status (RFC 9110, section 15).
    pub status: u16,
    kind: &'static str,
    body: AnswerBody,
}

enum AnswerBody {
    /// A text that is not known yet, of which nothing but the headers is asked for.
    Untold,
    Text(String),
    /// A file, the first byte and the number of bytes that are sent, and its size.
    File(fs::File, u64, u64, u64),
}

impl CacheAnswer {
    /// Returns an answer that has only a status.
    pub fn status(status: u16) -> Self {
        let body = AnswerBody::Text(format!("{}\n", reason(status)));
        CacheAnswer { status, kind: "text/plain", body }
    }

    fn text(kind: &'static str, text: String) -> Self {
        CacheAnswer { status: 200, kind, body: AnswerBody::Text(text) }
    }

    /// Returns the answer to a request.
    ///
    /// # Errors
    /// If a tree is damaged, or cannot be packed.
    pub fn to(request: &CacheRequest, shelf: &Shelf) -> Result<Self> {
        let Some(route) = &request.route else { return Ok(Self::status(404)) };
        let (Route::NarInfo(hash) | Route::Listing(hash) | Route::Nar(hash, _)) = route else {
            return Ok(Self::text("text/x-nix-cache-info", shelf.introduction()));
        };
        let Some(name) = shelf.find(hash) else { return Ok(Self::status(404)) };
        match route {
            // Whether it is there can be said before it is packed.
            Route::NarInfo(_) if request.head => {
                let (kind, body) = ("text/x-nix-narinfo", AnswerBody::Untold);
                Ok(CacheAnswer { status: 200, kind, body })
            }
            Route::NarInfo(_) => Ok(Self::text("text/x-nix-narinfo", shelf.info(&name)?.render())),
            Route::Listing(_) => Ok(match shelf.listing(&name)? {
                Some(text) => Self::text("application/json", text),
                None => Self::status(404),
            }),
            Route::Nar(_, url) => {
                let Some((file, size)) = shelf.nar(&name, url)? else {
                    return Ok(Self::status(404));
                };
                let kind = "application/x-nix-nar";
                Ok(match request.range.map(|range| range.within(size)) {
                    None => CacheAnswer {
                        status: 200,
                        kind,
                        body: AnswerBody::File(file, 0, size, size),
                    },
                    Some(Some((from, length))) => CacheAnswer {
                        status: 206,
                        kind,
                        body: AnswerBody::File(file, from, length, size),
                    },
                    Some(None) => {
                        CacheAnswer { status: 416, kind, body: AnswerBody::File(file, 0, 0, size) }
                    }
                })
            }
            Route::CacheInfo => unreachable!("it is answered above"),
        }
    }

    /// Sends the answer. Returns the number of bytes of its body.
    ///
    /// # Errors
    /// If the client is gone or takes nothing.
    pub fn send(self, mut out: impl Write, head: bool, keep: bool) -> io::Result<u64> {
        let status = self.status;
        let mut said =
            format!("HTTP/1.1 {status} {}\r\nContent-Type: {}\r\n", reason(status), self.kind);
        if !keep {
            said += "Connection: close\r\n";
        }
        if status == 405 {
            said += "Allow: GET, HEAD\r\n";
        }
        let length = match &self.body {
            AnswerBody::Untold => None,
            AnswerBody::Text(text) => Some(text.len() as u64),
            AnswerBody::File(_, from, length, size) => {
                said += "Accept-Ranges: bytes\r\n";
                match status {
                    206 => {
                        said +=
                            &format!("Content-Range: bytes {from}-{}/{size}\r\n", from + length - 1)
                    }
                    416 => said += &format!("Content-Range: bytes */{size}\r\n"),
                    _ => {}
                }
                Some(*length)
            }
        };
        if let Some(length) = length {
            said += &format!("Content-Length: {length}\r\n");
        }
        said += "\r\n";
        match self.body {
            _ if head => {
                out.write_all(said.as_bytes())?;
                return Ok(0);
            }
            AnswerBody::Untold => out.write_all(said.as_bytes())?,
            AnswerBody::Text(text) => out.write_all((said + &text).as_bytes())?,
            AnswerBody::File(mut file, from, length, _) => {
                out.write_all(said.as_bytes())?;
                file.seek(SeekFrom::Start(from))?;
                let mut buffer = vec![0; CHUNK];
                let mut rest = file.take(length);
                let mut sent = 0;
                while sent < length {
                    let n = rest.read(&mut buffer)?;
                    if n == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    out.write_all(&buffer[..n])?;
                    sent += n as u64;
                }
            }
        }
        out.flush()?;
        Ok(length.unwrap_or(0))
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

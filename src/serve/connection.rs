//! One connection: requests one after the other, with limits for their length and for the time.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::answer::CacheAnswer;
use super::request::{Heard, hear};
use super::shelf::Shelf;
use crate::error::ErrorKind;
use crate::reporter::Reporter;

/// The greatest length of a request in bytes.
const LONGEST: usize = 16 << 10;

/// The time for which a connection stays open without a request, and the time in which a request must be complete.
const PATIENCE: Duration = Duration::from_secs(15);

/// The time for which a client may take nothing of an answer.
const STALL: Duration = Duration::from_secs(30);

/// Answers the requests of a connection until it ends.
pub fn serve(stream: &TcpStream, shelf: &Shelf, reporter: &Reporter) {
    let _ = stream.set_nodelay(true);
    if stream.set_write_timeout(Some(STALL)).is_err() {
        return;
    }
    let from = stream.peer_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
    let mut bytes = vec![];
    loop {
        let request = match next(stream, &mut bytes) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(status) => {
                let _ = CacheAnswer::status(status).send(stream, false, false);
                drain(stream);
                return;
            }
        };
        let answer = CacheAnswer::to(&request, shelf).unwrap_or_else(|e| {
            if e.kind() != ErrorKind::Interrupted {
                reporter.warn(&e.to_string());
            }
            CacheAnswer::status(500)
        });
        let status = answer.status;
        let sent = answer.send(stream, request.head, request.keep);
        if let Some(route) = &request.route {
            let said = sent.as_ref().map_or_else(ToString::to_string, |n| format!("{n} bytes"));
            reporter.detail(&format!("{from} {route:?}: {status}, {said}"));
        }
        if sent.is_err() || !request.keep {
            return;
        }
    }
}

/// Reads the next request. `bytes` has what was read behind the one before. The result is nothing if the client says no more, and a status if the request is refused.
fn next(
    mut stream: &TcpStream,
    bytes: &mut Vec<u8>,
) -> Result<Option<super::request::CacheRequest>, u16> {
    let since = Instant::now();
    let mut buffer = [0; 4096];
    loop {
        match hear(bytes) {
            Heard::Whole(_, length) if length > LONGEST => return Err(431),
            Heard::Whole(request, length) => {
                bytes.drain(..length);
                return Ok(Some(request));
            }
            Heard::Refused(status) => return Err(status),
            Heard::Part if bytes.len() > LONGEST => return Err(431),
            Heard::Part => {}
        }
        // The time is that of the whole request, so that a byte now and then does not keep the thread.
        let left = PATIENCE.saturating_sub(since.elapsed());
        let late = if bytes.is_empty() { Ok(None) } else { Err(408) };
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return late;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => bytes.extend(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return late,
        }
    }
}

/// Tells a client that there are too many.
pub fn refuse(stream: &TcpStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let _ = CacheAnswer::status(503).send(stream, false, false);
}

/// Reads what the client has sent already: a connection that is closed with unread bytes takes the answer with it.
fn drain(mut stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let mut buffer = [0; 4096];
    for _ in 0..64 {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => {}
            _ => return,
        }
    }
}

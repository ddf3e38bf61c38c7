//! What a resolution in the sandbox sees of the package indexes. The sandbox has no network: its
//! caller answers it, and asks the indexes itself, with credentials that the sandbox never sees.
//! Only pages of projects can be asked for, and the files that such a page has named. Sources: PEP
//! 503 and PEP 691 (pages), PEP 658 (metadata files), RFC 9112 (HTTP/1.1).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::error::{Cause, Error};
use crate::fetch::python_index::{absolute, may_lead_to};
use crate::fetch::{Http, IndexBounds, origin, redact};
use crate::model::{is_project_name, normalize_project};
use crate::sandbox::GATEWAY;

/// The longest request, in bytes.
const LONGEST: usize = 16 << 10;
/// The greatest number of header fields of a request.
const FIELDS: usize = 64;
/// The largest page, in bytes.
const LARGEST_PAGE: u64 = 64 << 20;
/// The largest page of which several are held at once, in bytes.
const LARGE_PAGE: u64 = 4 << 20;
/// The number of pages that are held at once, from the request to the end of the answer. What is made of
/// one takes several times its own memory. A page that is larger takes the room of all.
const MOST_PAGES: usize = 16;
/// The greatest length of the addresses of files that are remembered, in bytes. The pages of a thousand
/// projects take about 10 MB.
const LONGEST_FILES: usize = 256 << 20;
/// The greatest number of failures that are kept.
const MOST_FAILURES: usize = 100;
/// The time for which a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(30);
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.1";

/// Answers requests of a resolution.
pub struct Gateway<'a> {
    http: &'a Http,
    indexes: &'a [String],
    /// The files that pages have named. Their numbers are in their addresses.
    files: Mutex<Files>,
    failures: Mutex<Vec<Error>>,
    room: Room,
}

/// The room for pages: code in the sandbox may ask for any number of them, and need not read the
/// answers.
struct Room {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A part of the room.
struct TakenRoom<'a> {
    room: &'a Room,
    places: usize,
}

impl Room {
    fn new() -> Room {
        Room { free: Mutex::new(MOST_PAGES), freed: Condvar::new() }
    }

    /// Waits for the room of a number of pages, and takes it until the result is dropped.
    fn take(&self, places: usize) -> TakenRoom<'_> {
        let free = self.free.lock().expect("no panic holds it");
        let mut free =
            self.freed.wait_while(free, |free| *free < places).expect("no panic holds it");
        *free -= places;
        TakenRoom { room: self, places }
    }
}

impl Drop for TakenRoom<'_> {
    fn drop(&mut self) {
        if let Ok(mut free) = self.room.free.lock() {
            *free += self.places;
        }
        self.room.freed.notify_all();
    }
}

#[derive(Default)]
struct Files {
    urls: Vec<String>,
    numbers: BTreeMap<String, usize>,
    /// The sum of their lengths.
    length: usize,
}

/// An answer, with the room that it takes.
struct Answer<'a> {
    status: u16,
    kind: &'static str,
    length: Option<u64>,
    body: Box<dyn Read + Send>,
    _room: Option<TakenRoom<'a>>,
}

impl<'a> Answer<'a> {
    fn text(status: u16, kind: &'static str, text: String) -> Self {
        let length = Some(text.len() as u64);
        Answer {
            status,
            kind,
            length,
            body: Box::new(io::Cursor::new(text.into_bytes())),
            _room: None,
        }
    }

    fn in_room(self, room: TakenRoom<'a>) -> Self {
        Answer { _room: Some(room), ..self }
    }

    fn error(status: u16) -> Self {
        Answer::text(status, "text/plain", String::new())
    }
}

impl<'a> Gateway<'a> {
    /// Creates a gateway to indexes.
    pub fn new(http: &'a Http, indexes: &'a [String]) -> Self {
        let (files, failures) = (Mutex::default(), Mutex::default());
        Gateway { http, indexes, files, failures, room: Room::new() }
    }

    /// Returns the addresses of the indexes in the sandbox, in the same order.
    pub fn addresses(&self) -> Vec<String> {
        (0..self.indexes.len()).map(|number| format!("{}/index/{number}", root())).collect()
    }

    /// Returns what could not be fetched.
    pub fn failures(&self) -> Vec<Error> {
        std::mem::take(&mut *self.failures.lock().expect("no panic holds it"))
    }

    /// Replaces the addresses of the sandbox in a text by those of the indexes and of their files,
    /// without credentials.
    pub fn outside(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, index) in self.addresses().iter().zip(self.indexes).rev() {
            text = text.replace(address.as_str(), redact(index).trim_end_matches('/'));
        }
        let files = self.files.lock().expect("no panic holds it");
        let mark = format!("{}/file/", root());
        // What was replaced is not looked at again.
        let mut parts = text.split(mark.as_str());
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let ends = |c: char| c.is_whitespace() || "`'\"<>(),#".contains(c);
            let (address, rest) = part.split_at(part.find(ends).unwrap_or(part.len()));
            let (number, name) = address.split_once('/').unwrap_or((address, ""));
            let url = number.parse().ok().and_then(|n: usize| files.urls.get(n));
            out.push_str(&url.map_or_else(|| name.to_owned(), |url| redact(url)));
            out.push_str(rest);
        }
        out
    }

    /// Answers the request of a connection.
    pub fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let answer = match request(&mut stream) {
            Some((method, path)) if method == "GET" => self.answer(&path),
            Some(_) => Answer::error(405),
            None => Answer::error(400),
        };
        // A client that has gone needs no answer.
        let _ = send(&mut stream, answer);
    }

    fn answer(&self, path: &str) -> Answer<'_> {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let answer = match parts.as_slice() {
            ["index", number, project, ""] if is_project_name(project) => {
                let index = number.parse().ok().and_then(|n: usize| self.indexes.get(n));
                index.map(|index| self.page(index, project))
            }
            ["file", number, name] => {
                let files = self.files.lock().expect("no panic holds it");
                let url = number.parse().ok().and_then(|n: usize| files.urls.get(n)).cloned();
                drop(files);
                url.map(|url| self.file(&url, name.ends_with(".metadata")))
            }
            _ => None,
        };
        answer.unwrap_or_else(|| Answer::error(404))
    }

    /// Returns the page of a project, on which the addresses of files are those of this gateway.
    fn page(&self, index: &str, project: &str) -> Answer<'_> {
        let page = format!("{}/{}/", index.trim_end_matches('/'), normalize_project(project));
        let mut room = self.room.take(1);
        let mut found = self.http.text(&page, LARGE_PAGE, Some(ACCEPT));
        let is_large = |e: &Error| matches!(e.reason(), Some(Cause::Mismatch { .. }));
        if found.as_ref().is_err_and(is_large) {
            drop(room);
            room = self.room.take(MOST_PAGES);
            found = self.http.text(&page, LARGEST_PAGE, Some(ACCEPT));
        }
        let (text, kind) = match found {
            Ok(found) => found,
            Err(e) => return self.failed(e, false),
        };
        let bounds = IndexBounds::new(self.http, index);
        if kind.is_some_and(|k| k.contains("json")) || text.trim_start().starts_with('{') {
            let Ok(mut parsed) = serde_json::from_str::<serde_json::Value>(&text) else {
                let error = Error::network(format!("{} is no PEP 691 page", redact(&page)));
                return self.failed(error, true);
            };
            let files = parsed.get_mut("files").and_then(|files| files.as_array_mut());
            for file in files.into_iter().flatten() {
                if let Some(url) = file.get("url").and_then(|url| url.as_str()) {
                    let url = absolute(url, &page);
                    if let Err(e) = bounds.check(&url) {
                        return self.failed(e, true);
                    }
                    file["url"] = self.address(&url, index).into();
                }
            }
            let text = parsed.to_string();
            return Answer::text(200, "application/vnd.pypi.simple.v1+json", text).in_room(room);
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("href=\"") {
            let (before, value) = rest.split_at(at + "href=\"".len());
            let end = value.find('"').unwrap_or(value.len());
            let href = value[..end].replace("&amp;", "&");
            let (url, fragment) = href.split_once('#').unwrap_or((&href, ""));
            let url = absolute(url, &page);
            if let Err(e) = bounds.check(&url) {
                return self.failed(e, true);
            }
            out.push_str(before);
            out.push_str(&self.address(&url, index));
            if !fragment.is_empty() {
                out.push('#');
                out.push_str(fragment);
            }
            rest = &value[end..];
        }
        out.push_str(rest);
        Answer::text(200, "text/html", out).in_room(room)
    }

    /// Returns the address in the sandbox of a file that a page of `index` names. It ends in the
    /// name of the file, in which nothing is decoded. A page of a server must not lead to files of
    /// this machine: such an address stays as it is, and leads nowhere in the sandbox.
    fn address(&self, url: &str, index: &str) -> String {
        if !may_lead_to(index, url) {
            return url.to_owned();
        }
        let mut files = self.files.lock().expect("no panic holds it");
        let number = match files.numbers.get(url) {
            Some(number) => *number,
            // Nobody needs so many. The rest leads nowhere in the sandbox.
            None if files.length + url.len() > LONGEST_FILES => return url.to_owned(),
            None => {
                let number = files.urls.len();
                files.length += url.len();
                files.urls.push(url.to_owned());
                files.numbers.insert(url.to_owned(), number);
                number
            }
        };
        let path = url.split(['?', '#']).next().unwrap_or_default();
        format!("{}/file/{number}/{}", root(), path.rsplit('/').next().unwrap_or_default())
    }

    fn file(&self, url: &str, metadata: bool) -> Answer<'_> {
        let url = match url.split_once('?') {
            _ if !metadata => url.to_owned(),
            Some((path, query)) => format!("{path}.metadata?{query}"),
            None => format!("{url}.metadata"),
        };
        // A page chose the host. The user's credentials are for those of the indexes only.
        let own = self.indexes.iter().any(|index| origin(index) == origin(&url));
        let body = if own { self.http.get(&url, 0) } else { self.http.get_without_login(&url) };
        match body {
            Ok(body) => Answer {
                status: 200,
                kind: "application/octet-stream",
                length: body.length,
                body: body.reader,
                _room: None,
            },
            Err(e) => self.failed(e, !metadata),
        }
    }

    /// Returns the answer for something that could not be fetched. That a page is absent is no
    /// failure, but a file was named by a page.
    fn failed(&self, error: Error, absence_counts: bool) -> Answer<'_> {
        let status = match error.reason() {
            Some(Cause::Http { status, .. }) => *status,
            _ => 502,
        };
        if absence_counts || !matches!(status, 404 | 410) {
            let mut failures = self.failures.lock().expect("no panic holds it");
            if failures.len() < MOST_FAILURES {
                failures.push(error);
            }
        }
        Answer::error(status)
    }
}

fn root() -> String {
    format!("http://127.0.0.1:{GATEWAY}")
}

/// Reads the head of a request. Returns its method and its path.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = vec![];
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        head.extend(&buffer[..read]);
        if head.len() > LONGEST {
            return None;
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        if request.parse(&head).ok()?.is_complete() {
            return Some((request.method?.to_owned(), request.path?.to_owned()));
        }
    }
}

fn send(stream: &mut TcpStream, mut answer: Answer<'_>) -> io::Result<()> {
    let length = answer.length.map(|l| format!("Content-Length: {l}\r\n")).unwrap_or_default();
    // The answers of one resolution belong together.
    write!(
        stream,
        "HTTP/1.1 {} -\r\nContent-Type: {}\r\n{length}Cache-Control: max-age=3600\r\nConnection: close\r\n\r\n",
        answer.status, answer.kind
    )?;
    io::copy(&mut answer.body, stream)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn pages_wait_for_room() {
        let (room, held, most) = (Room::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..200 {
                let (room, held, most) = (&room, &held, &most);
                scope.spawn(move || {
                    let places = if number % 10 == 0 { MOST_PAGES } else { 1 };
                    let taken = room.take(places);
                    let now = held.fetch_add(places, Ordering::SeqCst) + places;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                    held.fetch_sub(places, Ordering::SeqCst);
                    drop(taken);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), MOST_PAGES);
        assert_eq!(*room.free.lock().unwrap(), MOST_PAGES);
    }
}
